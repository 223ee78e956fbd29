//! Calibration: what a distance of the default ranking says about two images.
//!
//! Pairs are taken from labelled images, one class a folder. The share of pairs of one class at a distance is
//! the similarity there. That share depends on how many images of its class a collection has, so each query keeps
//! a random number of its class-mates, between one and all.

use imgsearch_onnx::{EncoderInfo, SimilarityMap};
use imgsearch_train::fit_similarity;
use rayon::prelude::*;
use serde::Serialize;

use super::default_ranking::DefaultRanking;
use crate::error::{Error, Result};
use crate::random::SplitMix;
use crate::train::extract::Extracted;

/// Nearest images that a query is paired with.
const NEAREST: usize = 50;

/// Other images that a query is paired with, drawn at random.
const OTHERS: usize = 50;

/// The maximum number of queries, spread evenly.
const MAX_QUERIES: usize = 10_000;

/// Bins of a reliability table.
const BINS: usize = 10;

/// Pairs of images, each a distance of the default ranking and whether both are of one class.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LabelledPairs {
    /// The distance, and 1 for the same class, else 0.
    pub(super) pairs: Vec<(f32, f32)>,
}

/// Pairs whose similarities lie in one range.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ReliabilityBin {
    /// The lower end of the range.
    pub from: f64,
    /// The upper end of the range.
    pub to: f64,
    /// The number of pairs.
    pub pairs: usize,
    /// The mean similarity.
    pub similarity: f64,
    /// The share of pairs of the same class.
    pub same_class: f64,
}

impl LabelledPairs {
    /// Pairs images by the outputs of an encoder. `labels` has the class of each. The same seed gives the same
    /// pairs.
    pub fn of(info: &EncoderInfo, extracted: &Extracted, labels: &[usize], seed: u64) -> Self {
        let n = labels.len();
        let ranking = DefaultRanking::of(info, extracted);
        let step = n.div_ceil(MAX_QUERIES).max(1);
        let pairs = (0..n).into_par_iter().step_by(step).flat_map_iter(|query| {
            let mut distances = vec![0.0; n];
            ranking.plain(query, &mut distances);
            // A seed of its own for each query, so that threads change nothing.
            let mut random =
                SplitMix::new(seed ^ (query as u64).wrapping_mul(0x2545_f491_4f6c_dd1d));
            paired(query, &distances, labels, &mut random)
        });
        Self {
            pairs: pairs.collect(),
        }
    }

    /// Fits a similarity map.
    ///
    /// # Errors
    ///
    /// [`Error::BadEvaluation`] if there are too few pairs, or all of them are of one class or of different ones.
    pub fn fit(&self) -> Result<SimilarityMap> {
        fit_similarity(&self.pairs).ok_or_else(|| {
            Error::BadEvaluation(
                "too few pairs of the same class and of different classes to measure similarities"
                    .to_owned(),
            )
        })
    }

    /// Returns how far a map's similarities are true. Ranges without pairs are left out.
    pub fn reliability(&self, map: &SimilarityMap) -> Vec<ReliabilityBin> {
        let mut sums = [(0usize, 0.0f64, 0.0f64); BINS];
        for &(distance, same) in &self.pairs {
            let similarity = f64::from(map.similarity(distance));
            let bin = &mut sums[((similarity * BINS as f64) as usize).min(BINS - 1)];
            *bin = (bin.0 + 1, bin.1 + similarity, bin.2 + f64::from(same));
        }
        let bins = sums.iter().enumerate().filter(|(_, bin)| bin.0 > 0);
        bins.map(|(i, &(pairs, similarity, same))| ReliabilityBin {
            from: i as f64 / BINS as f64,
            to: (i + 1) as f64 / BINS as f64,
            pairs,
            similarity: similarity / pairs as f64,
            same_class: same / pairs as f64,
        })
        .collect()
    }
}

/// Returns the pairs of one query.
pub(super) fn paired(
    query: usize,
    distances: &[f32],
    labels: &[usize],
    random: &mut SplitMix,
) -> Vec<(f32, f32)> {
    let others = (0..labels.len()).filter(|&i| i != query);
    let (mut mates, mut database): (Vec<usize>, Vec<usize>) =
        others.partition(|&i| labels[i] == labels[query]);
    if !mates.is_empty() {
        let kept = 1 + random.below(mates.len());
        draw_first(&mut mates, kept, random);
        mates.truncate(kept);
    }
    database.append(&mut mates);
    let order = |a: &usize, b: &usize| distances[*a].total_cmp(&distances[*b]).then(a.cmp(b));
    if database.len() > NEAREST {
        database.select_nth_unstable_by(NEAREST - 1, order);
        // In an order that does not depend on the selection.
        database[NEAREST..].sort_unstable();
        let rest = &mut database[NEAREST..];
        let drawn = OTHERS.min(rest.len());
        draw_first(rest, drawn, random);
        database.truncate(NEAREST + drawn);
    }
    let same = |i: usize| f32::from(u8::from(labels[i] == labels[query]));
    database
        .into_iter()
        .map(|i| (distances[i], same(i)))
        .collect()
}

/// Moves `n` items, drawn at random, to the front.
fn draw_first(items: &mut [usize], n: usize, random: &mut SplitMix) {
    for i in 0..n {
        items.swap(i, i + random.below(items.len() - i));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_paired_with_its_nearest_and_with_others() {
        // 20 class-mates and 300 others, at a distance that is their number.
        let labels: Vec<usize> = (0..321).map(|i| usize::from(i > 20)).collect();
        let distances: Vec<f32> = (0..321).map(|i| i as f32).collect();
        let mut kept = Vec::new();
        for seed in 0..300 {
            let pairs = paired(0, &distances, &labels, &mut SplitMix::new(seed));
            assert_eq!(
                pairs,
                paired(0, &distances, &labels, &mut SplitMix::new(seed))
            );
            assert_eq!(pairs.len(), NEAREST + OTHERS);
            assert!(pairs.iter().all(|pair| pair.0 > 0.0), "not with itself");
            let mates = pairs.iter().filter(|pair| pair.1 == 1.0).count();
            assert!(pairs.iter().all(|pair| (pair.1 == 1.0) == (pair.0 <= 20.0)));
            kept.push(mates);
        }
        assert!((1..=20).all(|mates| kept.contains(&mates)), "{kept:?}");
        // Few images are all paired.
        let pairs = paired(3, &distances[..30], &labels[..30], &mut SplitMix::new(1));
        assert!((10..=29).contains(&pairs.len()));
    }

    #[test]
    fn a_fitted_map_is_reliable_on_its_own_pairs() {
        let mut random = SplitMix::new(5);
        let pairs = (0..20_000).map(|_| {
            let distance = random.unit();
            (distance, f32::from(u8::from(random.unit() > distance)))
        });
        let pairs = LabelledPairs {
            pairs: pairs.collect(),
        };
        let map = pairs.fit().unwrap();
        let bins = pairs.reliability(&map);
        assert_eq!(bins.iter().map(|bin| bin.pairs).sum::<usize>(), 20_000);
        for bin in bins {
            let off = (bin.similarity - bin.same_class).abs();
            assert!(
                off < 0.05 && bin.from <= bin.similarity && bin.similarity <= bin.to,
                "{bin:?}"
            );
        }
        assert!(LabelledPairs::default().fit().is_err());
    }
}
