//! Search: what building, opening and asking an index of many images costs, and what it finds.
//!
//! `cargo bench -p imgsearch-index --bench search -- [--images N] [--codes FOLDER] [--keep DIR] [--dump DIR]`
//!
//! Images are codes in clusters, drawn from a seed, 30 numbers of length one each, with 256 bits
//! that follow from them; or the codes of an index, with `--codes`. No photograph is decoded.
//! `benches/peers.py` measures other libraries on the same codes, in turns with this program.
//!
//! `--ef N,N,…` asks with so many candidates in view. `--only-graph` leaves out everything that is not along the graph, `--json` is for programs,
//! `--opened` only opens the index of `--keep` and asks once, and `--hnsw-rs` asks the crate
//! `hnsw_rs` as it comes.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Instant;

use hnsw_rs::api::AnnT;
use hnsw_rs::prelude::{DistL2, Hnsw, HnswIo};
use imgsearch_index::{
    Change, EncoderRecord, Filter, FoldOptions, ImageId, Index, Query, RankBy, SearchParams,
    Searcher, Way, Writer,
};
use rayon::prelude::*;
use synthetic::{BITS, CODE, codes, hash, planes};

#[path = "synthetic.rs"]
mod synthetic;

const QUERIES: usize = 2000;
const K: usize = 10;
/// All queries on all threads take a few milliseconds, so they are asked so many times.
const REPEATS: usize = 5;
fn fill(dir: &Path, codes: &[f32], planes: &[f32], first: usize) {
    let encoder = EncoderRecord {
        fingerprint: "bench".to_owned(),
        name: "bench".to_owned(),
        code_len: CODE,
        bits: BITS,
        hash_weight: 8.0,
        metadata: "{}".to_owned(),
    };
    synthetic::fill(dir, &encoder, codes, planes, first);
}

struct Asked {
    codes: Vec<f32>,
    hashes: Vec<Vec<u8>>,
}

impl Asked {
    fn new(images: usize, planes: &[f32]) -> Self {
        let codes = codes(QUERIES, images, 0xa5a5_0000_0000_0001);
        let hashes = codes
            .chunks_exact(CODE)
            .map(|code| hash(code, planes))
            .collect();
        Self { codes, hashes }
    }

    fn queries(&self) -> impl Iterator<Item = Query<'_>> {
        let codes = self.codes.chunks_exact(CODE);
        codes.zip(&self.hashes).map(|(code, hash)| Query {
            code,
            hash: Some(hash),
        })
    }
}

/// The answers' ids and microseconds a query, one thread.
fn ask(
    searcher: &Searcher,
    asked: &Asked,
    n: usize,
    params: &SearchParams,
) -> (Vec<Vec<ImageId>>, f64) {
    let selection = (!params.filter.is_empty()).then(|| searcher.select(&params.filter).unwrap());
    let started = Instant::now();
    let found = asked
        .queries()
        .take(n)
        .map(|query| {
            let (found, _) = searcher
                .search_in(&query, params, selection.as_ref())
                .unwrap();
            found.into_iter().map(|found| found.id).collect()
        })
        .collect();
    (found, started.elapsed().as_secs_f64() * 1e6 / n as f64)
}

fn recall(found: &[Vec<ImageId>], truth: &[Vec<ImageId>]) -> f64 {
    let (mut same, mut of) = (0, 0);
    for (found, truth) in found.iter().zip(truth) {
        of += truth.len();
        same += truth.iter().filter(|id| found.contains(id)).count();
    }
    same as f64 / of.max(1) as f64
}

fn main() {
    let mut images = 100_000;
    let mut keep: Option<PathBuf> = None;
    let mut dump: Option<PathBuf> = None;
    let mut of_index: Option<PathBuf> = None;
    let mut efs = vec![10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512];
    let (mut json, mut only_graph, mut opened, mut as_it_comes) = (false, false, false, false);
    let mut given = std::env::args().skip(1);
    while let Some(word) = given.next() {
        let mut value = || {
            given
                .next()
                .unwrap_or_else(|| panic!("{word} needs a value"))
        };
        match word.as_str() {
            "--bench" => {}
            "--images" => images = value().parse().expect("--images takes a number"),
            "--codes" => of_index = Some(value().into()),
            "--keep" => keep = Some(value().into()),
            "--dump" => dump = Some(value().into()),
            "--ef" => efs = value().split(',').map(|ef| ef.parse().unwrap()).collect(),
            "--json" => json = true,
            "--only-graph" => only_graph = true,
            "--opened" => opened = true,
            "--hnsw-rs" => as_it_comes = true,
            other => panic!("unknown option {other}"),
        }
    }
    let planes = planes();
    let temporary = tempfile::tempdir().unwrap();
    let dir = keep
        .clone()
        .unwrap_or_else(|| temporary.path().join("index"));
    let asked;
    if opened {
        print_opened(&dir, &Asked::new(images, &planes));
        return;
    }
    if let Some(of) = of_index {
        // Every fifth code asks, up to a number; the others are stored.
        let all = Index::open(of).unwrap();
        let codes: Vec<f32> = all.searcher().unwrap().codes().concat();
        let (mut stored, mut asking) = (Vec::new(), Vec::new());
        for (i, code) in codes.chunks_exact(CODE).enumerate() {
            if i % 5 == 0 && asking.len() < QUERIES * CODE {
                asking.extend_from_slice(code);
            } else {
                stored.extend_from_slice(code);
            }
        }
        images = stored.len() / CODE;
        let hashes = asking
            .chunks_exact(CODE)
            .map(|code| hash(code, &planes))
            .collect();
        asked = Asked {
            codes: asking,
            hashes,
        };
        fill(&dir, &stored, &planes, 0);
        dumped(dump.as_deref(), &stored, &asked);
    } else {
        asked = Asked::new(images, &planes);
        if !dir.exists() {
            let started = Instant::now();
            let codes = codes(images, images, 1);
            fill(&dir, &codes, &planes, 0);
            if !json {
                println!(
                    "stored {images} images in {:.1} s",
                    started.elapsed().as_secs_f64()
                );
            }
            dumped(dump.as_deref(), &codes, &asked);
        }
    }

    let mut writer = Writer::open_existing(&dir).unwrap();
    let folded = writer
        .fold(
            &FoldOptions::default(),
            &AtomicBool::new(false),
            &mut |_, _| {},
        )
        .unwrap();
    drop(writer);
    if folded.made > 0 && !json {
        println!(
            "built in {:.1} s, {} nodes linked in afterwards",
            folded.seconds, folded.linked_in
        );
    }
    let segments: u64 = std::fs::read_dir(dir.join("segments"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();

    if !json {
        println!(
            "{:.0} bytes an image in segments",
            segments as f64 / images as f64
        );
        let again = |what: &str| {
            let program = std::env::current_exe().unwrap();
            print!("{what}: ");
            std::io::stdout().flush().unwrap();
            let mut program = Command::new(program);
            program
                .arg("--opened")
                .args(["--images", &images.to_string()]);
            assert!(program.arg("--keep").arg(&dir).status().unwrap().success());
        };
        if cfg!(target_os = "linux") {
            evict(&dir);
            again("read from the disk");
        }
        again("from the page cache");
    }
    let index = Index::open(&dir).unwrap();
    let searcher = index.searcher().unwrap();

    let n = asked.queries().count();
    let few = n.min(200);
    let exact = SearchParams::new(K).way(Way::Exact);
    let truth: Vec<Vec<ImageId>> = {
        let queries: Vec<Query<'_>> = asked.queries().collect();
        let found = searcher.search_many(&queries, &exact).unwrap();
        found
            .into_iter()
            .map(|found| found.into_iter().map(|found| found.id).collect())
            .collect()
    };
    // Once through, so that everything is in memory.
    ask(
        &searcher,
        &asked,
        n,
        &SearchParams::new(K).way(Way::Graph).ef(64),
    );
    if !json {
        println!(
            "\nalong the graph, k = {K}\n   ef   recall   µs, one thread   queries/s, all threads"
        );
    }
    for &ef in &efs {
        let params = SearchParams::new(K).way(Way::Graph).ef(ef);
        let (found, us) = ask(&searcher, &asked, n, &params);
        let queries: Vec<Query<'_>> = asked.queries().collect();
        let mut taken: Vec<f64> = (0..REPEATS)
            .map(|_| {
                let started = Instant::now();
                searcher.search_many(&queries, &params).unwrap();
                started.elapsed().as_secs_f64()
            })
            .collect();
        taken.sort_by(f64::total_cmp);
        let all = n as f64 / taken[REPEATS / 2];
        let recall = recall(&found, &truth);
        if json {
            println!(
                "{{\"ef\": {ef}, \"recall\": {recall:.5}, \"us\": {us:.2}, \"per_second\": {all:.0}}}"
            );
        } else {
            println!("{ef:>5}   {recall:.4}   {us:>14.1}   {all:>22.0}");
        }
    }
    if as_it_comes {
        print_hnsw_rs(&searcher.codes().concat(), &asked, &truth, &efs, json);
        return;
    }
    if json || only_graph {
        return;
    }

    println!("\npast the rows, on all threads          µs    GB/s");
    let (_, us) = ask(&searcher, &asked, few.min(50), &exact);
    let rate = |bytes: usize, us: f64| (images * bytes) as f64 / us / 1e3;
    println!(
        "codes                         {us:>11.0}   {:>5.1}",
        rate(128, us)
    );
    let by_hash = exact.clone().by(RankBy::Hash);
    let (_, us) = ask(&searcher, &asked, few.min(50), &by_hash);
    println!(
        "hashes                        {us:>11.0}   {:>5.1}",
        rate(32, us)
    );
    let one = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .unwrap();
    one.install(|| {
        let (_, us) = ask(&searcher, &asked, few.min(20), &exact);
        println!(
            "codes, one thread             {us:>11.0}   {:>5.1}",
            rate(128, us)
        );
        let (_, us) = ask(&searcher, &asked, few.min(20), &by_hash);
        println!(
            "hashes, one thread            {us:>11.0}   {:>5.1}",
            rate(32, us)
        );
    });
    println!(
        "memory, summed over {:>4} MB              {:>14.1}",
        (images * 128) >> 20,
        bandwidth(images * 32)
    );
    let short = SearchParams::new(K).way(Way::Shortlist(50));
    let (found, us) = ask(&searcher, &asked, few, &short);
    println!(
        "shortlist of {} by hash      {us:>11.0}   recall {:.4}",
        50 * K,
        recall(&found, &truth)
    );

    println!("\nby code and hash together   ef    recall      µs");
    let both_exact = SearchParams::new(K).by(RankBy::Both).way(Way::Exact);
    let (both_truth, us) = ask(&searcher, &asked, few, &both_exact);
    println!("past the rows                              {us:>7.0}");
    for ef in [32, 64, 128, 256] {
        let params = SearchParams::new(K).by(RankBy::Both).way(Way::Graph).ef(ef);
        let (found, us) = ask(&searcher, &asked, few, &params);
        println!(
            "along the graph            {ef:>3}    {:.4}  {us:>7.0}",
            recall(&found, &both_truth)
        );
    }

    println!("\nfiltered                      recall      µs   the way");
    for (name, share) in [("50 %", 0.5), ("1 %", 0.01), ("0.01 %", 0.0001)] {
        let mut filter = Filter::default();
        filter.before = Some((images as f64 * share).ceil() as i64);
        // Along the graph nearly every row would be met before one that may be found.
        let ways = [Way::Auto, Way::Exact, Way::Graph];
        for way in ways.into_iter().take(if share < 0.001 { 2 } else { 3 }) {
            let params = SearchParams::new(K).filter(filter.clone());
            let (truth, _) = ask(&searcher, &asked, few, &params.clone().way(Way::Exact));
            let (found, us) = ask(&searcher, &asked, few, &params.way(way));
            println!(
                "{name:<7}                       {:.4}  {us:>7.0}   {way:?}",
                recall(&found, &truth)
            );
        }
    }

    for share in [100, 10] {
        let more = images / share;
        let tail = tempfile::tempdir().unwrap();
        if images > 200_000 {
            break;
        }
        copy(&dir, tail.path());
        fill(tail.path(), &codes(more, images, 99), &planes, images);
        let searcher = Index::open(tail.path()).unwrap().searcher().unwrap();
        let params = SearchParams::new(K).way(Way::Graph);
        ask(&searcher, &asked, n, &params);
        let (_, us) = ask(&searcher, &asked, n, &params);
        println!("\n{more} images newer than the segments: {us:.1} µs");
    }
    if images <= 200_000 {
        let third = tempfile::tempdir().unwrap();
        copy(&dir, third.path());
        let mut writer = Writer::open_existing(third.path()).unwrap();
        let changes: Vec<Change> = (0..images as i64)
            .filter(|i| i % 10 < 3)
            .map(|i| Change::Remove { id: ImageId(i + 1) })
            .collect();
        writer.apply(&changes).unwrap();
        let measure = |what: &str| {
            let searcher = Index::open(third.path()).unwrap().searcher().unwrap();
            let params = SearchParams::new(K).way(Way::Graph);
            let (truth, _) = ask(&searcher, &asked, few, &exact);
            ask(&searcher, &asked, n, &params);
            let (found, us) = ask(&searcher, &asked, n, &params);
            println!(
                "{what}: {us:.1} µs at recall {:.4}",
                recall(&found[..few], &truth)
            );
        };
        println!();
        measure("30 % removed");
        writer
            .fold(
                &FoldOptions::default(),
                &AtomicBool::new(false),
                &mut |_, _| {},
            )
            .unwrap();
        measure("and folded away");
    }
    let checked = index.check(&AtomicUsize::new(0)).unwrap();
    println!(
        "\nchecked: {} of {} images not found by their own codes, {} segments damaged",
        checked.lost,
        checked.images,
        checked.damaged.len()
    );
}

/// What this process holds in memory of a kind that the system names, in bytes; zero elsewhere
/// than on Linux.
fn resident(kind: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(kind));
    let kib = line.and_then(|line| line.trim_matches([':', '\t', ' ', 'k', 'B']).parse().ok());
    kib.map_or(0, |kib: usize| kib << 10)
}

/// How long opening an index takes until one query is answered, and what memory it takes by then
/// and after all queries.
fn print_opened(dir: &Path, asked: &Asked) {
    let before = resident("RssAnon") + resident("RssFile");
    let started = Instant::now();
    let index = Index::open(dir).unwrap();
    let first = asked.queries().next().unwrap();
    index.nearest(first.code, K).unwrap();
    let opened = started.elapsed().as_secs_f64() * 1e3;
    let first = resident("RssAnon") + resident("RssFile") - before;
    let searcher = index.searcher().unwrap();
    ask(&searcher, asked, QUERIES, &SearchParams::new(K));
    let all = resident("RssAnon") + resident("RssFile") - before;
    println!(
        "opened and a query answered in {opened:.1} ms, {:.1} MB resident; {:.1} MB after {QUERIES} queries",
        first as f64 / 1e6,
        all as f64 / 1e6
    );
}

/// Has the system forget what it keeps of an index's files in memory.
fn evict(dir: &Path) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            evict(&path);
        } else {
            let mut of = std::ffi::OsString::from("of=");
            of.push(&path);
            let quiet = [
                "conv=notrunc,fdatasync",
                "oflag=nocache",
                "count=0",
                "status=none",
            ];
            let done = Command::new("dd")
                .arg("if=/dev/null")
                .arg(of)
                .args(quiet)
                .status();
            assert!(done.unwrap().success());
        }
    }
}

/// The crate `hnsw_rs` as it comes: built on all threads, asked on one, saved and loaded.
fn print_hnsw_rs(codes: &[f32], asked: &Asked, truth: &[Vec<ImageId>], efs: &[usize], json: bool) {
    let before = resident("RssAnon");
    let started = Instant::now();
    let rows: Vec<Vec<f32>> = codes.chunks_exact(CODE).map(<[f32]>::to_vec).collect();
    let hnsw: Hnsw<'_, f32, DistL2> = Hnsw::new(16, rows.len(), 16, 100, DistL2 {});
    let given: Vec<(&Vec<f32>, usize)> = rows.iter().zip(0..).collect();
    hnsw.parallel_insert(&given);
    let built = started.elapsed().as_secs_f64();
    let held = (resident("RssAnon") - before) / rows.len();
    let folder = tempfile::tempdir().unwrap();
    hnsw.file_dump(folder.path(), "hnsw").unwrap();
    let size: u64 = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    let started = Instant::now();
    let mut saved = HnswIo::new(folder.path(), "hnsw");
    let loaded: Hnsw<'_, f32, DistL2> = saved.load_hnsw().unwrap();
    loaded.search(&asked.codes[..CODE], K, 64);
    let opened = started.elapsed().as_secs_f64() * 1e3;
    if !json {
        println!(
            "\nhnsw_rs as it comes: built in {built:.1} s, {held} bytes an image in memory and {} on disk, opened and a query answered in {opened:.0} ms\n   ef   recall   µs, one thread",
            size as usize / rows.len()
        );
    }
    for &ef in efs {
        let started = Instant::now();
        let found: Vec<Vec<ImageId>> = asked
            .queries()
            .map(|query| {
                let found = hnsw.search(query.code, K, ef);
                // Images were stored in the order of their codes, and their numbers begin at 1.
                found
                    .iter()
                    .map(|found| ImageId(found.d_id as i64 + 1))
                    .collect()
            })
            .collect();
        let us = started.elapsed().as_secs_f64() * 1e6 / found.len() as f64;
        let recall = recall(&found, truth);
        if json {
            println!(
                "{{\"ef\": {ef}, \"recall\": {recall:.5}, \"us\": {us:.2}, \"built\": {built:.1}}}"
            );
        } else {
            println!("{ef:>5}   {recall:.4}   {us:>14.1}");
        }
    }
}

fn dumped(dump: Option<&Path>, codes: &[f32], asked: &Asked) {
    let Some(dump) = dump else { return };
    let bytes =
        |numbers: &[f32]| -> Vec<u8> { numbers.iter().flat_map(|v| v.to_le_bytes()).collect() };
    std::fs::create_dir_all(dump).unwrap();
    std::fs::write(dump.join("base.f32"), bytes(codes)).unwrap();
    std::fs::write(dump.join("queries.f32"), bytes(&asked.codes)).unwrap();
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy(&path, &target);
        } else {
            std::fs::copy(&path, target).unwrap();
        }
    }
}

/// How fast this machine reads memory from beginning to end, all threads, in GB/s.
fn bandwidth(numbers: usize) -> f64 {
    let memory: Vec<u32> = (0..numbers.max(1 << 22)).map(|i| i as u32).collect();
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let started = Instant::now();
        let sum: u32 = memory
            .par_chunks(1 << 16)
            .map(|some| some.iter().fold(0u32, |sum, v| sum.wrapping_add(*v)))
            .reduce(|| 0, u32::wrapping_add);
        std::hint::black_box(sum);
        best = best.min(started.elapsed().as_secs_f64());
    }
    (memory.len() * 4) as f64 / best / 1e9
}
