//! Asking an index, and how much of the truth it finds.

use std::time::Instant;

use imgsearch_index::{ImageId, Query, RankBy, SearchParams, SearchStrategy, Searcher};

use crate::synthetic::Images;

/// Nearest images that are asked for.
pub const K: usize = 10;
/// All queries on all threads take a few milliseconds, so they are asked this number of times.
const REPEATS: usize = 5;

/// What is found for each query.
pub type Answers = Vec<Vec<ImageId>>;

fn query(images: &Images, i: usize) -> Query<'_> {
    let (code, hash) = images.get(i);
    let query = Query::new(code).hash(hash);
    match images.logits(i) {
        Some(logits) => query.logits(logits),
        None => query,
    }
}

/// The answers to at most `n` queries, and microseconds a query on one thread.
pub fn ask(searcher: &Searcher, asked: &Images, n: usize, params: &SearchParams) -> (Answers, f64) {
    let selection = (!params.filter.is_empty()).then(|| searcher.select(&params.filter).unwrap());
    let n = n.min(asked.len());
    let started = Instant::now();
    let found = (0..n)
        .map(|i| {
            let (found, _) = searcher
                .search_in(&query(asked, i), params, selection.as_ref())
                .unwrap();
            found.into_iter().map(|found| found.id).collect()
        })
        .collect();
    (found, started.elapsed().as_secs_f64() * 1e6 / n as f64)
}

/// The exact answers to at most `n` queries, on all threads.
pub fn truth(searcher: &Searcher, asked: &Images, n: usize, params: &SearchParams) -> Answers {
    let queries: Vec<Query<'_>> = (0..n.min(asked.len())).map(|i| query(asked, i)).collect();
    let exact = params.clone().strategy(SearchStrategy::Exact);
    searcher
        .search_many(&queries, &exact)
        .unwrap()
        .into_iter()
        .map(|found| found.into_iter().map(|found| found.id).collect())
        .collect()
}

/// Queries a second on all threads, the median of a few times.
pub fn per_second(searcher: &Searcher, asked: &Images, params: &SearchParams) -> f64 {
    let queries: Vec<Query<'_>> = (0..asked.len()).map(|i| query(asked, i)).collect();
    let mut taken: Vec<f64> = (0..REPEATS)
        .map(|_| {
            let started = Instant::now();
            searcher.search_many(&queries, params).unwrap();
            started.elapsed().as_secs_f64()
        })
        .collect();
    taken.sort_by(f64::total_cmp);
    queries.len() as f64 / taken[REPEATS / 2]
}

/// The share of the truth that was found.
pub fn recall(found: &[Vec<ImageId>], truth: &[Vec<ImageId>]) -> f64 {
    let (mut same, mut of) = (0, 0);
    for (found, truth) in found.iter().zip(truth) {
        of += truth.len();
        same += truth.iter().filter(|id| found.contains(id)).count();
    }
    same as f64 / of.max(1) as f64
}

/// Returns how a query is answered: along the graph, with a number of candidates, or by a scan.
pub fn strategy(searcher: &Searcher, asked: &Images, params: &SearchParams) -> String {
    let (_, explained) = searcher.explain(&query(asked, 0), params).unwrap();
    match explained.parts.iter().filter_map(|part| part.ef).max() {
        Some(ef) => format!("along the graph, {ef} candidates"),
        None => "past the rows".to_owned(),
    }
}

/// The rankings that are measured, with their names.
pub const RANKINGS: [(&str, RankBy); 2] = [("code", RankBy::Code), ("code and hash", RankBy::Both)];

/// What `imgsearch query` ranks by: code and hash, and the query has the logits of its hash.
pub const DEFAULT: &str = "code and hash with logits, the default";

/// What the sizes of logits are drawn with.
pub const LOGITS: u64 = 7;
