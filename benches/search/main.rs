//! Search: what building, opening and asking an index of many images costs, and what it finds.
//!
//! `cargo bench -p imgsearch-index --bench search -- [--images N] [--codes INDEX] [--keep DIR] [--dump DIR]`
//!
//! Images are drawn from a seed: codes in clusters, 30 numbers of length one each, and 256 bits that are
//! as loosely tied to them as real ones. With `--codes INDEX` they are the codes and hashes of an index
//! of real images, of which every fifth asks (an index has no logits, so their sizes are drawn); with `--images` as well, as many copies of them, moved a
//! little, as it takes to come to that number. No photograph is decoded. Recall is always that of the
//! ranking's own exact answers. `benches/peers.py` measures other libraries on the same codes, in turns
//! with this program.
//!
//! `--ef N,N,…` asks with these numbers of candidates. `--only-graph` leaves out everything that is not
//! along the graph, `--json` is for programs (with `--by both` for the ranking by code and hash
//! instead of the code's), `--opened` only opens the index of `--keep` and asks once, and `--hnsw-rs` asks the crate
//! `hnsw_rs` as it comes (with the feature `hnsw-rs`).

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use imgsearch_index::{FoldOptions, Index, RankBy, SearchParams, SearchStrategy, Searcher, Writer};

use asking::{DEFAULT, K, LOGITS, RANKINGS, ask, per_second, recall, truth};
use data::Data;
use synthetic::Images;

mod asking;
mod data;
#[path = "../evict.rs"]
mod evict;
#[cfg(feature = "hnsw-rs")]
mod hnsw_rs;
mod opened;
#[path = "../synthetic.rs"]
mod synthetic;
mod tables;

/// What was typed.
struct Options {
    images: Option<usize>,
    of_index: Option<PathBuf>,
    keep: Option<PathBuf>,
    dump: Option<PathBuf>,
    efs: Vec<usize>,
    by: RankBy,
    json: bool,
    only_graph: bool,
    opened: bool,
    hnsw_rs: bool,
}

fn options() -> Options {
    let mut options = Options {
        images: None,
        of_index: None,
        keep: None,
        dump: None,
        efs: vec![10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512],
        by: RankBy::Code,
        json: false,
        only_graph: false,
        opened: false,
        hnsw_rs: false,
    };
    let mut given = std::env::args().skip(1);
    while let Some(word) = given.next() {
        let mut value = || {
            given
                .next()
                .unwrap_or_else(|| panic!("{word} needs a value"))
        };
        match word.as_str() {
            "--bench" => {}
            "--images" => {
                options.images = Some(value().parse().expect("--images takes a number"));
            }
            "--codes" => options.of_index = Some(value().into()),
            "--keep" => options.keep = Some(value().into()),
            "--dump" => options.dump = Some(value().into()),
            "--ef" => {
                options.efs = value().split(',').map(|ef| ef.parse().unwrap()).collect();
            }
            "--by" => {
                options.by = match value().as_str() {
                    "code" => RankBy::Code,
                    "both" => RankBy::Both,
                    other => panic!("--by takes code or both, not {other}"),
                }
            }
            "--json" => options.json = true,
            "--only-graph" => options.only_graph = true,
            "--opened" => options.opened = true,
            "--hnsw-rs" => options.hnsw_rs = true,
            other => panic!("unknown option {other}"),
        }
    }
    options
}

fn main() {
    let options = options();
    let temporary = tempfile::tempdir().unwrap();
    let dir = options
        .keep
        .clone()
        .unwrap_or_else(|| temporary.path().join("index"));
    if options.opened {
        let images = options.images.unwrap_or(100_000);
        opened::print(&dir, &data::queries(images));
        return;
    }
    let data = match &options.of_index {
        Some(of) => Data::of_index(of, options.images),
        None => Data::drawn(options.images.unwrap_or(100_000)),
    };
    if let Some(dump) = &options.dump {
        dumped(dump, &data);
    }
    if !options.json && !options.only_graph {
        describe(&data);
    }
    build(&dir, &data, &options);

    let index = Index::open(&dir).unwrap();
    let searcher = index.searcher().unwrap();
    // Once through, so that everything is in memory.
    for (_, by) in RANKINGS {
        let params = SearchParams::new(K).by(by).strategy(SearchStrategy::Graph);
        ask(&searcher, &data.asked, usize::MAX, &params);
    }
    if options.hnsw_rs {
        compare_hnsw_rs(&searcher, &data, &options);
        return;
    }
    for (name, by) in RANKINGS {
        if !options.json || by == options.by {
            along_the_graph(&searcher, &data.asked, &options, name, by);
        }
    }
    if options.json {
        return;
    }
    let asked = data.asked.with_logits(LOGITS);
    along_the_graph(&searcher, &asked, &options, DEFAULT, RankBy::Both);
    tables::defaults(&searcher, &data.asked);
    tables::default_ranking(&searcher, &asked);
    if options.only_graph {
        return;
    }
    tables::past_the_rows(&searcher, &data.asked);
    tables::filtered(&searcher, &data);
    if data.stored.len() <= 1_000_000 {
        tables::newer(&dir, &data);
        tables::removed(&dir, &data);
    }
    let checked = index.check(&mut |_| ControlFlow::Continue(())).unwrap();
    println!(
        "\nchecked: {} of {} images not found by their own codes, {} segments damaged",
        checked.lost,
        checked.images,
        checked.damaged.len()
    );
}

/// Prints what kind of codes and hashes are searched.
fn describe(data: &Data) {
    let (near, any) = data::tie(&data.stored);
    println!(
        "tie of codes and hashes (Spearman): {near:.2} among the 100 nearest by code, {any:.2} among any"
    );
    println!(
        "local intrinsic dimension by both: {:.1}",
        data::dimension(&data.stored, data.encoder.hash_weight)
    );
}

/// Stores the images in `dir` unless an index is there, and builds their segments.
fn build(dir: &Path, data: &Data, options: &Options) {
    let images = data.stored.len();
    let say = |text: String| {
        if !options.json {
            println!("{text}");
        }
    };
    if !dir.exists() {
        let started = Instant::now();
        synthetic::fill(dir, &data.encoder, &data.stored, 0);
        let seconds = started.elapsed().as_secs_f64();
        say(format!("stored {images} images in {seconds:.1} s"));
    }
    let folded = Writer::open_existing(dir)
        .unwrap()
        .fold(&FoldOptions::default(), &mut |_| ControlFlow::Continue(()))
        .unwrap();
    if folded.made > 0 {
        say(format!(
            "built in {:.1} s, {} nodes linked in afterwards",
            folded.seconds, folded.linked_in
        ));
    }
    if options.json {
        return;
    }
    let segments: u64 = std::fs::read_dir(dir.join("segments"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    let each = segments as f64 / images as f64;
    say(format!("{each:.0} bytes an image in segments"));
    if options.of_index.is_none() {
        opened::print_both(dir, images);
    }
}

/// Asks the crate `hnsw_rs` for the same codes.
#[cfg(feature = "hnsw-rs")]
fn compare_hnsw_rs(searcher: &Searcher, data: &Data, options: &Options) {
    let codes = SearchParams::new(K);
    let truth = truth(searcher, &data.asked, usize::MAX, &codes);
    hnsw_rs::print(
        &searcher.codes().concat(),
        &data.asked,
        &truth,
        &options.efs,
        options.json,
    );
}

#[cfg(not(feature = "hnsw-rs"))]
fn compare_hnsw_rs(_: &Searcher, _: &Data, _: &Options) {
    panic!("--hnsw-rs needs the feature: cargo bench -p imgsearch-index --features hnsw-rs ...");
}

fn along_the_graph(searcher: &Searcher, asked: &Images, options: &Options, name: &str, by: RankBy) {
    let all = SearchParams::new(K).by(by);
    let truth = truth(searcher, asked, usize::MAX, &all);
    if !options.json {
        println!(
            "\nalong the graph by {name}, k = {K}\n   ef   recall   µs, one thread   queries/s, all threads"
        );
    }
    for &ef in &options.efs {
        let params = all.clone().strategy(SearchStrategy::Graph).ef(ef);
        let (found, us) = ask(searcher, asked, usize::MAX, &params);
        let all = per_second(searcher, asked, &params);
        let recall = recall(&found, &truth);
        if options.json {
            println!(
                "{{\"ef\": {ef}, \"recall\": {recall:.5}, \"us\": {us:.2}, \"per_second\": {all:.0}}}"
            );
        } else {
            println!("{ef:>5}   {recall:.4}   {us:>14.1}   {all:>22.0}");
        }
    }
}

/// Writes the codes and hashes for other programs.
fn dumped(dump: &Path, data: &Data) {
    let bytes =
        |numbers: &[f32]| -> Vec<u8> { numbers.iter().flat_map(|v| v.to_le_bytes()).collect() };
    std::fs::create_dir_all(dump).unwrap();
    std::fs::write(dump.join("base.f32"), bytes(&data.stored.codes)).unwrap();
    std::fs::write(dump.join("queries.f32"), bytes(&data.asked.codes)).unwrap();
    std::fs::write(dump.join("base.bits"), &data.stored.hashes).unwrap();
    std::fs::write(dump.join("queries.bits"), &data.asked.hashes).unwrap();
}
