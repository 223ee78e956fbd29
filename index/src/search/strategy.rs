//! Choosing the cheaper strategy for each part of a view: along its graph, or a scan of its rows.

use super::params::{RankBy, SearchParams, SearchStrategy};
use super::scan::{ROWS_A_TASK, Scorer};
use super::view::{Part, Source};
use crate::kernels::bits::Bits;

/// The most candidates of a search along a graph; a search that needs more scans.
const MAX_EF: usize = 4096;

/// What the ways cost on one thread, in nanoseconds, as `cargo bench -p imgsearch-index --bench search`
/// measures it.
struct Costs {
    /// A row of a scan of all rows.
    scanned_row: f64,
    /// A row of a scan that skips some.
    picked_row: f64,
    /// A candidate of a search along the graph.
    candidate: f64,
}

const BY_CODE: Costs = Costs {
    scanned_row: 5.5,
    picked_row: 6.0,
    candidate: 500.0,
};

/// By code and hash, the hashes keep the scan from reading most codes.
const BY_BOTH: Costs = Costs {
    scanned_row: 5.5,
    picked_row: 7.0,
    candidate: 650.0,
};

/// What starting a search along a graph costs, in nanoseconds.
const GRAPH_START: f64 = 2000.0;

/// How much of a thread each one after the first adds to a scan: all wait for the same memory.
const SECOND_THREAD: f64 = 0.5;

/// Returns the number of candidates with which to search a part along its graph, or `None` if a scan is
/// the way.
pub(super) fn candidates(
    part: &Part,
    allowed: &Bits,
    params: &SearchParams,
    scorer: &Scorer<'_>,
) -> Option<usize> {
    let segment = match &part.source {
        Source::Segment(segment, _) => segment,
        Source::Loaded(_) => return None,
    };
    let fused = scorer.is_fused();
    // The graph of the codes does not lead to what is near by both.
    let no_graph = params.by == RankBy::Hash || (fused && !segment.has_fused_graph());
    if params.strategy == SearchStrategy::Exact || no_graph || allowed.count() == 0 {
        return None;
    }
    let needed = match params.ef {
        Some(ef) => Some(ef.max(params.k)),
        None => segment
            .candidates_needed(params.by)
            .map(|needed| for_more(needed, params.k)),
    };
    // Only some of the candidates may be found.
    let rows = segment.len();
    let among = |needed: usize| (needed as f64 * rows as f64 / allowed.count() as f64).ceil();
    if params.strategy == SearchStrategy::Graph {
        let most = MAX_EF.max(params.ef.unwrap_or(0)).max(params.k).min(rows);
        return Some((among(needed.unwrap_or(MAX_EF)) as usize).min(most));
    }
    let ef = among(needed?);
    let costs = if fused { BY_BOTH } else { BY_CODE };
    let walk = GRAPH_START + ef * costs.candidate;
    (ef <= MAX_EF as f64 && walk < scan_cost(allowed, &costs)).then_some(ef as usize)
}

fn scan_cost(allowed: &Bits, costs: &Costs) -> f64 {
    let row = if allowed.is_all() {
        costs.scanned_row
    } else {
        costs.picked_row
    };
    let more_threads = if allowed.count() > ROWS_A_TASK {
        rayon::current_num_threads() as f64 - 1.0
    } else {
        0.0
    };
    allowed.count() as f64 * row / (1.0 + SECOND_THREAD * more_threads)
}

/// Returns the candidates that `k` neighbours need, given those that ten need: two for each one more, with
/// which 100 are found as completely as ten.
fn for_more(needed: usize, k: usize) -> usize {
    needed.saturating_add(k.saturating_sub(10).saturating_mul(2))
}
