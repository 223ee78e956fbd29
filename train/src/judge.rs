//! A judge of encoders that needs no labels.
//!
//! A good code is better than the features that it was trained on, so how well it copies them says little.
//! The judge compares it with features that are better than the trunk's own: each image is described by the
//! trunk's classes and directions, and averaged with its nearest images, twice. What images of one kind
//! have in common stays, and what single images show by chance goes (the idea of diffusion: Iscen et al.,
//! Efficient diffusion on region manifolds, 2017). An encoder's score is how similar the nearest images by
//! its code are in that description.
//!
//! `benches/judge` compares its verdicts with those of true labels; the model card has the table.

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::head::feature_transform::FeatureTransform;
use crate::head::{ClassifierPrior, HeadOptions};
use crate::linear::{mean, normalise, product, transposed};

/// Nearest images that an image is averaged with, the first and the second time.
const AVERAGED: [usize; 2] = [5, 10];

/// Nearest images that count fully, and those that count less the later they come.
const FIRST: usize = 10;
const LATER: usize = 50;

/// Weight of the later ones together, relative to the first.
const LATER_WEIGHT: f32 = 0.3;

/// At most one in this number of images counts as a neighbour: among few images, all are near.
const IMAGES_PER_NEIGHBOUR: usize = 5;

/// The minimum number of images that are judged by.
pub const MIN_JUDGED: usize = 2 * IMAGES_PER_NEIGHBOUR;

/// A judge of the encoders of one collection; the module says how it judges.
#[derive(Debug, Clone)]
pub struct Judge {
    n: usize,
    /// How similar every two images are: `[n, n]`.
    similar: Vec<f32>,
    /// The weight of each rank.
    weights: Vec<f32>,
    /// What a random ranking scores, and the best one.
    bounds: (f64, f64),
}

impl Judge {
    /// Makes a judge from the features of images of the collection, `[n, d]`. The time and the memory grow
    /// with the square of `n`; a thousand are enough.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if the features are no rows of `d` numbers, fewer than [`MIN_JUDGED`], or
    /// if the prior does not fit them.
    pub fn new(features: &[f32], d: usize, prior: &ClassifierPrior) -> Result<Self> {
        if d == 0 || !features.len().is_multiple_of(d) || !prior.takes(d) {
            return Err(Error::InvalidInput(format!(
                "{} features are no rows of {d}",
                features.len()
            )));
        }
        let n = features.len() / d;
        if n < MIN_JUDGED {
            return Err(Error::InvalidInput(format!(
                "{n} images are too few to judge by: at least {MIN_JUDGED} are needed"
            )));
        }
        let options = HeadOptions::default();
        let transform = FeatureTransform::new(mean(features, d), prior.clone(), &options);
        let width = transform.width();
        let mut rows = transform.apply(features, n);
        normalise(&mut rows, width);
        let mut similar = similarities(&rows, n, width);
        for averaged in AVERAGED {
            rows = averaged_with_nearest(&rows, &similar, width, averaged);
            similar = similarities(&rows, n, width);
        }
        let pairs = (n * (n - 1)) as f64;
        let all: f64 = similar.iter().map(|&x| f64::from(x)).sum();
        let own: f64 = (0..n).map(|i| f64::from(similar[i * n + i])).sum();
        let mut judge = Self {
            n,
            similar,
            weights: rank_weights(n),
            bounds: ((all - own) / pairs, 1.0),
        };
        judge.bounds.1 = judge.mean_similarity(|image, out| {
            let similar = &judge.similar[image * n..(image + 1) * n];
            out.iter_mut().zip(similar).for_each(|(out, x)| *out = -x);
        });
        Ok(judge)
    }

    /// Returns the number of images.
    pub fn len(&self) -> usize {
        self.n
    }

    /// Returns whether there are none, which is never so.
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// Returns the score of a ranking: how similar the nearest images are, from 0 for a random ranking to 1 for
    /// the best possible one. `distances` writes the distances from an image to all. Only scores of the same
    /// judge can be compared.
    pub fn score(&self, distances: impl Fn(usize, &mut [f32]) + Sync) -> f64 {
        let (random, best) = self.bounds;
        // If all images are equal, every ranking is as good.
        if best <= random + 1e-9 {
            return 1.0;
        }
        (self.mean_similarity(distances) - random) / (best - random)
    }

    fn mean_similarity(&self, distances: impl Fn(usize, &mut [f32]) + Sync) -> f64 {
        let total: f32 = self.weights.iter().sum();
        let scores = (0..self.n).into_par_iter().map_init(
            || (vec![0.0; self.n], Vec::with_capacity(self.n)),
            |(apart, order), image| {
                distances(image, apart);
                order.clear();
                order.extend((0..self.n).filter(|&other| other != image));
                let by_distance =
                    |a: &usize, b: &usize| apart[*a].total_cmp(&apart[*b]).then(a.cmp(b));
                let last = self.weights.len() - 1;
                if last + 1 < order.len() {
                    order.select_nth_unstable_by(last, by_distance);
                    order.truncate(last + 1);
                }
                order.sort_unstable_by(by_distance);
                let similar = &self.similar[image * self.n..(image + 1) * self.n];
                let ranked = order.iter().zip(&self.weights);
                let sum: f32 = ranked.map(|(&other, weight)| weight * similar[other]).sum();
                f64::from(sum / total)
            },
        );
        scores.sum::<f64>() / self.n as f64
    }
}

/// Returns the weight of each rank among the nearest of `n` images.
fn rank_weights(n: usize) -> Vec<f32> {
    let first = FIRST.min(n / IMAGES_PER_NEIGHBOUR);
    let later = LATER.min(n / IMAGES_PER_NEIGHBOUR);
    let discount = |rank: usize| ((rank + 2) as f32).log2().recip();
    let all: f32 = (0..later).map(discount).sum();
    (0..later)
        .map(|rank| {
            let fully = if rank < first {
                (first as f32).recip()
            } else {
                0.0
            };
            fully + LATER_WEIGHT * discount(rank) / all
        })
        .collect()
}

/// Returns the inner products of rows, `[n, n]`.
fn similarities(rows: &[f32], n: usize, width: usize) -> Vec<f32> {
    product(rows, &transposed(rows, n, width), n, width, n)
}

/// Returns each row plus its nearest ones, scaled to length one.
fn averaged_with_nearest(rows: &[f32], similar: &[f32], width: usize, nearest: usize) -> Vec<f32> {
    let n = rows.len() / width;
    let nearest = nearest.min(n - 1);
    let mut out = rows.to_vec();
    out.par_chunks_exact_mut(width)
        .zip(similar.par_chunks_exact(n))
        .enumerate()
        .for_each(|(own, (row, similar))| {
            let mut others: Vec<usize> = (0..n).filter(|&other| other != own).collect();
            let closest = |a: &usize, b: &usize| similar[*b].total_cmp(&similar[*a]).then(a.cmp(b));
            others.select_nth_unstable_by(nearest - 1, closest);
            for &other in &others[..nearest] {
                let other = &rows[other * width..(other + 1) * width];
                row.iter_mut().zip(other).for_each(|(sum, x)| *sum += x);
            }
        });
    normalise(&mut out, width);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::Normal;

    const D: usize = 24;

    /// Returns images of six kinds, their features blurred by `noise`, and their kinds.
    fn images(n: usize, noise: f32) -> (Vec<f32>, Vec<usize>) {
        let mut random = Normal::new(3);
        let centres: Vec<f32> = (0..6 * D).map(|_| random.draw()).collect();
        let kinds: Vec<usize> = (0..n).map(|i| i % 6).collect();
        let mut features = Vec::new();
        for &kind in &kinds {
            let centre = &centres[kind * D..][..D];
            features.extend(centre.iter().map(|x| x + noise * random.draw()));
        }
        (features, kinds)
    }

    fn by_kind<'a>(kinds: &'a [usize], wrong: usize) -> impl Fn(usize, &mut [f32]) + Sync + 'a {
        move |image, out| {
            for (other, out) in out.iter_mut().enumerate() {
                let mistaken = other % 10 < wrong;
                let differs = kinds[image] != kinds[other];
                *out = f32::from(u8::from(differs != mistaken)) + (other as f32) * 1e-6;
            }
        }
    }

    #[test]
    fn the_true_kinds_win_over_the_features_and_mistakes_cost() {
        let (features, kinds) = images(300, 1.5);
        let judge = Judge::new(&features, D, &ClassifierPrior::default()).unwrap();
        let truth = judge.score(by_kind(&kinds, 0));
        let by_features = judge.score(|image, out| {
            let own = &features[image * D..][..D];
            for (out, row) in out.iter_mut().zip(features.chunks_exact(D)) {
                *out = own.iter().zip(row).map(|(a, b)| (a - b).powi(2)).sum();
            }
        });
        assert!(truth > by_features + 0.02, "{truth} {by_features}");
        let mut before = truth;
        for wrong in [2, 4, 6] {
            let score = judge.score(by_kind(&kinds, wrong));
            assert!(score < before - 0.01, "{wrong}: {score} {before}");
            before = score;
        }
    }

    #[test]
    fn what_cannot_be_judged_by_is_refused() {
        let (features, _) = images(MIN_JUDGED, 1.0);
        let prior = ClassifierPrior::default();
        assert_eq!(Judge::new(&features, D, &prior).unwrap().len(), MIN_JUDGED);
        assert!(Judge::new(&features[..9 * D], D, &prior).is_err());
        assert!(Judge::new(&features[1..], D, &prior).is_err());
        assert!(Judge::new(&[], 0, &prior).is_err());
    }

    #[test]
    fn equal_images_are_all_alike() {
        let judge = Judge::new(&vec![1.0; 20 * D], D, &ClassifierPrior::default()).unwrap();
        let score = judge.score(|_, out| out.fill(0.0));
        assert!((0.0..=1.0).contains(&score), "{score}");
    }
}
