//! How good codes are, without labels.

use std::ops::Range;

use rayon::prelude::*;

use crate::head::feature_transform::directions;
use crate::linear::{mean, product, transposed};

/// Rows whose similarities are in memory at once.
const BLOCK: usize = 256;

/// Returns how well distances keep the neighbourhoods of features: the mean share of the `k` nearest rows
/// to each row of `queries`, by the cosine of the centred features, that are among its `k` nearest by
/// `distance`. Ties go by number. A random ranking has `k / (n - 1)`.
///
/// `k` must be well below `n`: if all rows are neighbours, every ranking keeps them all.
pub fn neighbourhood_preservation(
    features: &[f32],
    d: usize,
    n: usize,
    k: usize,
    queries: Range<usize>,
    distance: impl Fn(usize, usize) -> f32 + Sync,
) -> f64 {
    let k = k.min(n.saturating_sub(1));
    if k == 0 || queries.is_empty() {
        return 1.0;
    }
    let rows = directions(features, &mean(features, d));
    let columns = transposed(&rows, n, d);
    let shared: usize = rows[queries.start * d..queries.end * d]
        .chunks(BLOCK * d)
        .enumerate()
        .map(|(block, some)| {
            let similarity = product(some, &columns, some.len() / d, d, n);
            similarity
                .par_chunks_exact(n)
                .enumerate()
                .map(|(i, similarity)| {
                    let row = queries.start + block * BLOCK + i;
                    let wanted = nearest(row, n, k, |other| -similarity[other]);
                    let got = nearest(row, n, k, |other| distance(row, other));
                    got.iter().filter(|other| wanted.contains(other)).count()
                })
                .sum::<usize>()
        })
        .sum();
    shared as f64 / (queries.len() * k) as f64
}

/// The `k` rows, `row` itself left out, with the lowest scores, in no order.
fn nearest(row: usize, n: usize, k: usize, score: impl Fn(usize) -> f32) -> Vec<usize> {
    let mut scored: Vec<(f32, usize)> = (0..n)
        .filter(|&other| other != row)
        .map(|other| (score(other), other))
        .collect();
    let by_score = |a: &(f32, usize), b: &(f32, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
    scored.select_nth_unstable_by(k - 1, by_score);
    scored[..k].iter().map(|&(_, other)| other).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::{Normal, normalise};

    fn rows(n: usize, d: usize) -> Vec<f32> {
        let mut random = Normal::new(4);
        (0..n * d).map(|_| random.draw()).collect()
    }

    #[test]
    fn features_keep_their_own_neighbourhoods() {
        // More rows than a block.
        let (n, d) = (2 * BLOCK + 3, 6);
        let features = rows(n, d);
        let mut own = features.clone();
        crate::linear::centre(&mut own, &mean(&features, d));
        normalise(&mut own, d);
        let own = |a: usize, b: usize| -> f32 {
            let pair = own[a * d..][..d].iter().zip(&own[b * d..][..d]);
            pair.map(|(x, y)| (x - y).powi(2)).sum()
        };
        assert!(neighbourhood_preservation(&features, d, n, 10, 0..n, own) > 0.999);
        assert!(neighbourhood_preservation(&features, d, n, 10, n - 7..n, own) > 0.999);
    }

    #[test]
    fn a_random_ranking_keeps_what_chance_keeps() {
        let (n, d, k) = (400, 6, 20);
        let (features, other) = (rows(n, d), rows(2 * n, 1));
        let kept = neighbourhood_preservation(&features, d, n, k, 0..n, |a, b| {
            (other[n + a] - other[n + b]).abs()
        });
        let by_chance = k as f64 / (n - 1) as f64;
        assert!((kept - by_chance).abs() < 0.02, "{kept} {by_chance}");
    }

    #[test]
    fn where_all_are_neighbours_all_are_kept() {
        assert_eq!(
            neighbourhood_preservation(&rows(5, 2), 2, 5, 10, 0..5, |_, _| 0.0),
            1.0
        );
        assert_eq!(
            neighbourhood_preservation(&[1.0, 2.0], 2, 1, 10, 0..1, |_, _| 0.0),
            1.0
        );
    }
}
