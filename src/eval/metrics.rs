//! Retrieval measures: average precision and precision at k, leave-one-out.

use rayon::prelude::*;
use serde::Serialize;

/// The cut-off of [`Score::precision_at_10`].
const TEN: usize = 10;

/// How well a representation puts images of one class beside each other.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Score {
    /// Mean over the queries of the average precision over the whole ranking.
    pub map: f64,
    /// Mean share of images of the query's class among the first ten.
    pub precision_at_10: f64,
    /// Queries that counted: images whose class has another image.
    pub queries: usize,
}

/// Scores a representation leave-one-out: every item asks, all others are ranked.
///
/// `labels[i]` is the class of item `i`, and `distances(i, out)` writes the distances from item
/// `i` to all items. Items at equal distance are ranked by their number, which, where items are
/// sorted by class, favours nobody in particular and is the same for every representation.
///
/// The average precision is over the whole ranking and counts every relevant item
/// (Manning, Raghavan and Schütze 2008, section 8.4).
pub fn leave_one_out(labels: &[usize], distances: impl Fn(usize, &mut [f32]) + Sync) -> Score {
    let n = labels.len();
    let scored: Vec<(f64, f64)> = (0..n)
        .into_par_iter()
        .map_init(
            || (vec![0.0; n], Vec::with_capacity(n)),
            |(row, order), query| {
                let relevant = labels.iter().filter(|&&l| l == labels[query]).count() - 1;
                if relevant == 0 {
                    return None;
                }
                distances(query, row);
                order.clear();
                order.extend((0..n).filter(|&i| i != query));
                order.sort_unstable_by(|&a, &b| row[a].total_cmp(&row[b]).then(a.cmp(&b)));
                Some(query_score(labels, query, order, relevant))
            },
        )
        .flatten()
        .collect();
    let queries = scored.len();
    let mean = |of: fn(&(f64, f64)) -> f64| {
        if queries == 0 {
            0.0
        } else {
            scored.iter().map(of).sum::<f64>() / queries as f64
        }
    };
    Score {
        map: mean(|s| s.0),
        precision_at_10: mean(|s| s.1),
        queries,
    }
}

/// Average precision and precision at ten of one ranking.
fn query_score(labels: &[usize], query: usize, order: &[usize], relevant: usize) -> (f64, f64) {
    let (mut hits, mut precisions, mut in_ten) = (0, 0.0, 0);
    for (rank, &item) in order.iter().enumerate() {
        if labels[item] == labels[query] {
            hits += 1;
            precisions += f64::from(hits) / (rank + 1) as f64;
            in_ten += usize::from(rank < TEN);
        }
    }
    (
        precisions / relevant as f64,
        in_ten as f64 / TEN.min(order.len()) as f64,
    )
}

/// The share of items whose hash no other item has, among all distinct hashes possible:
/// distinct hashes over items. 1 where all differ.
pub fn share_distinct(hashes: &[u8], bytes: usize) -> f64 {
    let all: std::collections::HashSet<&[u8]> = hashes.chunks_exact(bytes).collect();
    all.len() as f64 / (hashes.len() / bytes).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_a_line(labels: &[usize], places: &[f32]) -> Score {
        leave_one_out(labels, |query, out| {
            for (out, place) in out.iter_mut().zip(places) {
                *out = (place - places[query]).abs();
            }
        })
    }

    #[test]
    fn a_perfect_ranking_scores_one() {
        let score = on_a_line(&[0, 0, 0, 1, 1, 1], &[0.0, 0.1, 0.2, 9.0, 9.1, 9.2]);
        assert!((score.map - 1.0).abs() < 1e-12);
        assert_eq!(score.queries, 6);
        // Two of the five others are of the class.
        assert!((score.precision_at_10 - 2.0 / 5.0).abs() < 1e-12);
    }

    #[test]
    fn average_precision_is_as_worked_out_by_hand() {
        // Query 0 ranks 1 (wrong), 2 (right), 3 (wrong), 4 (right): (1/2 + 2/4) / 2.
        let labels = [0, 1, 0, 2, 0];
        let (ap, _) = query_score(&labels, 0, &[1, 2, 3, 4], 2);
        assert!((ap - 0.5).abs() < 1e-12);
    }

    #[test]
    fn ties_go_by_number_and_lone_classes_do_not_ask() {
        // All at one place: the ranking is 0, 1, 2 without the query.
        let score = on_a_line(&[0, 1, 0], &[5.0; 3]);
        assert_eq!(score.queries, 2);
        // Query 0 ranks 1 (wrong), 2 (right): 1/2. Query 2 ranks 0 (right): 1.
        assert!((score.map - 0.75).abs() < 1e-12);
    }

    #[test]
    fn nothing_at_all_scores_zero() {
        assert_eq!(on_a_line(&[], &[]).queries, 0);
        assert_eq!(on_a_line(&[0, 1], &[0.0, 1.0]).map, 0.0);
    }

    #[test]
    fn collapsed_hashes_show() {
        assert!((share_distinct(&[1, 2, 1, 2, 3, 4], 2) - 2.0 / 3.0).abs() < 1e-12);
        assert!((share_distinct(&[1, 2, 3], 1) - 1.0).abs() < 1e-12);
    }
}
