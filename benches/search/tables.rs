//! The tables in addition to that of the graph: the default, scans, filters, newer and removed images.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use imgsearch_index::{
    Change, DEFAULT_EXPAND, Filter, FoldOptions, ImageId, Index, Moment, RankBy, SearchParams,
    SearchStrategy, Searcher, Writer,
};
use rayon::prelude::*;

use crate::asking::{Answers, K, RANKINGS, ask, recall, strategy, truth};
use crate::data::Data;
use crate::synthetic::{self, CODE, Images};

/// Nearest images if many are asked for.
const MANY: usize = 100;

/// Queries if each takes long.
const FEW: usize = 1000;

/// What a person gets who asks for nothing in particular.
pub fn defaults(searcher: &Searcher, asked: &Images) {
    println!("\nas asked by default              recall      µs   the way");
    for (name, by) in RANKINGS {
        row(searcher, asked, name, &SearchParams::new(K).by(by));
    }
    let many = SearchParams::new(MANY).by(RankBy::Both);
    row(searcher, asked, &format!("the same, k = {MANY}"), &many);
}

/// The default ranking, asked with logits.
pub fn default_ranking(searcher: &Searcher, asked: &Images) {
    let params = SearchParams::new(K).by(RankBy::Both);
    row(searcher, asked, "code and hash with logits", &params);
    let scan = params.clone().strategy(SearchStrategy::Exact);
    row(searcher, asked, "the same, every row", &scan);
    let expanded = params.expand(DEFAULT_EXPAND);
    row(searcher, asked, "the same, expanded", &expanded);
}

fn row(searcher: &Searcher, asked: &Images, name: &str, params: &SearchParams) {
    let truth = truth(searcher, asked, FEW, params);
    let (found, us) = ask(searcher, asked, FEW, params);
    let strategy = strategy(searcher, asked, params);
    println!(
        "{name:<32} {:.4} {us:>7.0}   {strategy}",
        recall(&found, &truth)
    );
}

/// Scans, on all threads and on one.
pub fn past_the_rows(searcher: &Searcher, asked: &Images) {
    let images = searcher.len();
    println!("\npast the rows, on all threads          µs    GB/s");
    let exact = SearchParams::new(K).strategy(SearchStrategy::Exact);
    let by_hash = exact.clone().by(RankBy::Hash);
    let both = exact.clone().by(RankBy::Both);
    let line = |name: &str, params: &SearchParams, bytes: usize, n: usize| {
        let (_, us) = ask(searcher, asked, n, params);
        let rate = (images * bytes) as f64 / us / 1e3;
        println!("{name:<30}{us:>11.0}   {rate:>5.1}");
    };
    line("codes", &exact, 128, 50);
    line("hashes", &by_hash, 32, 50);
    line("both, hashes first", &both, 32, 50);
    let one = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .unwrap();
    one.install(|| {
        line("codes, one thread", &exact, 128, 20);
        line("hashes, one thread", &by_hash, 32, 20);
        line("both, one thread", &both, 32, 20);
    });
    println!(
        "memory, summed over {:>4} MB              {:>14.1}",
        (images * 128) >> 20,
        bandwidth(images * 32)
    );
    let truth = truth(searcher, asked, FEW, &exact);
    let short = SearchParams::new(K).strategy(SearchStrategy::Shortlist(50));
    let (found, us) = ask(searcher, asked, FEW, &short);
    println!(
        "shortlist of {} by hash      {us:>11.0}   recall {:.4}",
        50 * K,
        recall(&found, &truth)
    );
}

/// The ids of the images on one side of the codes: the share of them whose first number is largest. Who
/// asks from the other side finds none of them near.
fn one_side(images: &Images, share: f64) -> Vec<ImageId> {
    let mut order: Vec<usize> = (0..images.len()).collect();
    let first = |i: usize| images.codes[i * CODE];
    order.sort_unstable_by(|&a, &b| first(b).total_cmp(&first(a)));
    order.truncate((images.len() as f64 * share).ceil() as usize);
    // Images were stored in their order, and numbers begin at 1.
    order.iter().map(|&i| ImageId(i as i64 + 1)).collect()
}

/// Filters that have nothing to do with the codes, and some that have.
pub fn filtered(searcher: &Searcher, data: &Data) {
    let images = data.stored.len();
    let mut filters = Vec::new();
    for (name, share) in [
        ("50 %", 0.5),
        ("10 %", 0.1),
        ("1 %", 0.01),
        ("0.01 %", 0.0001),
    ] {
        let mut filter = Filter::default();
        filter.before = Some(Moment::utc((images as f64 * share).ceil() as i64));
        filters.push((name.to_owned(), share, filter));
    }
    for share in [0.5, 0.1, 0.01] {
        let filter = Filter::default().ids(one_side(&data.stored, share));
        filters.push((format!("{} % on one side", share * 100.0), share, filter));
    }
    for (ranking, by) in RANKINGS {
        println!("\nfiltered, by {ranking}\n                          recall      µs   the way");
        for (name, share, filter) in &filters {
            let params = SearchParams::new(K).by(by).filter(filter.clone());
            let truth = truth(searcher, &data.asked, FEW, &params);
            // Along the graph nearly every row would be met before one that may be found.
            let strategies = [
                SearchStrategy::Auto,
                SearchStrategy::Exact,
                SearchStrategy::Graph,
            ];
            for strategy in strategies
                .into_iter()
                .take(if *share < 0.001 { 2 } else { 3 })
            {
                let params = params.clone().strategy(strategy);
                let (found, us) = ask(searcher, &data.asked, FEW, &params);
                println!(
                    "{name:<24}  {:.4} {us:>7.0}   {strategy:?}",
                    recall(&found, &truth)
                );
            }
        }
    }
}

/// Images that are newer than the segments.
pub fn newer(dir: &Path, data: &Data) {
    let images = data.stored.len();
    println!();
    for share in [100, 10] {
        let more = images / share;
        let tail = tempfile::tempdir().unwrap();
        copy(dir, tail.path());
        let mut newer = Images::default();
        let drawn = synthetic::draw(more, images, 99);
        (0..more).for_each(|i| newer.push(drawn.get(i)));
        synthetic::fill(tail.path(), &data.encoder, &newer, images);
        let searcher = Index::open(tail.path()).unwrap().searcher().unwrap();
        for (name, by) in RANKINGS {
            let params = SearchParams::new(K).by(by).strategy(SearchStrategy::Graph);
            ask(&searcher, &data.asked, usize::MAX, &params);
            let (_, us) = ask(&searcher, &data.asked, usize::MAX, &params);
            println!("{more} images newer than the segments, by {name}: {us:.1} µs");
        }
    }
}

/// Removed images: at random, and all on one side of the codes.
pub fn removed(dir: &Path, data: &Data) {
    let images = data.stored.len();
    let at_random: Vec<ImageId> = (0..images as i64)
        .filter(|i| i % 10 < 3)
        .map(|i| ImageId(i + 1))
        .collect();
    let one_side = one_side(&data.stored, 0.3);
    for (what, ids) in [("at random", at_random), ("on one side", one_side)] {
        let third = tempfile::tempdir().unwrap();
        copy(dir, third.path());
        let mut writer = Writer::open_existing(third.path()).unwrap();
        let changes: Vec<Change> = ids.into_iter().map(|id| Change::Remove { id }).collect();
        writer.apply(&changes).unwrap();
        println!("\n30 % removed {what}");
        let measure = |when: &str| {
            let searcher = Index::open(third.path()).unwrap().searcher().unwrap();
            for (name, by) in RANKINGS {
                let params = SearchParams::new(K).by(by);
                let truth: Answers = truth(&searcher, &data.asked, FEW, &params);
                ask(&searcher, &data.asked, usize::MAX, &params);
                let (found, us) = ask(&searcher, &data.asked, usize::MAX, &params);
                println!(
                    "{when}, by {name}: {us:.1} µs at recall {:.4}",
                    recall(&found[..FEW.min(found.len())], &truth)
                );
            }
        };
        measure("still in the segments");
        writer
            .fold(&FoldOptions::default(), &mut |_| ControlFlow::Continue(()))
            .unwrap();
        measure("folded away");
    }
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
