//! Questions of several images: how much better they find a class than one image does.

use imgsearch_index::{DEFAULT_EXPAND, Mixture, Query};
use imgsearch_onnx::EncoderInfo;
use rayon::prelude::*;
use serde::Serialize;

use super::calibrate::{LabelledPairs, ReliabilityBin, paired};
use super::default_ranking::DefaultRanking;
use super::metrics::{Evaluator, RetrievalSplit};
use crate::error::{Error, Result};
use crate::library::DEFAULT_LESS;
use crate::random::SplitMix;
use crate::train::extract::Extracted;

/// Questions of each class.
const DRAWS: usize = 8;

/// The numbers of images that questions are asked with.
const SIZES: [usize; 3] = [1, 3, 10];

/// Images of a class that are left to be found, at least.
const MIN_LEFT: usize = 2;

/// Images of each class that say which other class looks most like it.
const CONFUSED: usize = 40;

/// Nearest images that are looked at.
const FIRST: usize = 10;

/// How one kind of question finds its class.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct MixtureRow {
    /// Images of the class that are asked with.
    pub images: usize,
    /// Whether only what an index stores of them is asked with: a hash without its logits.
    pub stored: bool,
    /// Whether focus is on.
    pub focus: bool,
    /// The weight of an image of the most similar other class, which is subtracted; 0 for none.
    pub less: f32,
    /// Number of questions.
    pub questions: usize,
    /// Mean average precision over the whole ranking.
    pub map: f64,
    /// Mean share of the class among the first ten.
    pub precision_at_10: f64,
    /// Mean share of the most similar other class among the first ten.
    pub alike_at_10: f64,
    /// How far the similarities of the encoder are off for such questions: the mean difference from the share of
    /// images of the class, over ten ranges, without expansion. `None` if the encoder has no similarities.
    pub similarity_error: Option<f64>,
}

/// A kind of question.
#[derive(Debug, Clone, Copy)]
struct Kind {
    images: usize,
    stored: bool,
    focus: bool,
    less: f32,
}

impl Kind {
    const fn of(images: usize) -> Self {
        Self {
            images,
            stored: false,
            focus: false,
            less: 0.0,
        }
    }

    /// Returns the kinds that are scored.
    fn all() -> Vec<Self> {
        let mut kinds = Vec::new();
        for images in SIZES {
            let plain = Self::of(images);
            kinds.push(plain);
            if images == 1 {
                kinds.push(Self {
                    stored: true,
                    ..plain
                });
            } else {
                kinds.push(Self {
                    focus: true,
                    ..plain
                });
            }
            kinds.push(Self {
                less: DEFAULT_LESS,
                ..plain
            });
        }
        kinds
    }
}

/// One draw: the images of a class to ask with, and one of the class that looks most like it.
struct Draw {
    images: Vec<usize>,
    alike: usize,
    /// All images but those.
    database: Vec<usize>,
}

/// Asks with images of each class, drawn at random, and scores the default ranking of all other images. A question of
/// fewer images is asked with the first of the same ones, and none of those is to be found. `labels` has the class
/// of each image.
///
/// # Errors
///
/// [`Error::BadEvaluation`] if there are fewer than two classes, or none has three images.
pub fn mixtures(
    info: &EncoderInfo,
    extracted: &Extracted,
    labels: &[usize],
    seed: u64,
) -> Result<Vec<MixtureRow>> {
    let ranking = DefaultRanking::of(info, extracted);
    let draws = draws(&ranking, labels, seed);
    let mut rows = Vec::new();
    for kind in Kind::all() {
        let asked = draws.iter().filter(|draw| draw.images.len() >= kind.images);
        let asked: Vec<&Draw> = asked.collect();
        if asked.is_empty() {
            continue;
        }
        let scored: Vec<Scored> = asked
            .par_iter()
            .map(|draw| score(&ranking, labels, draw, kind))
            .collect::<Result<_>>()?;
        let mean =
            |of: fn(&Scored) -> f64| scored.iter().map(of).sum::<f64>() / scored.len() as f64;
        rows.push(MixtureRow {
            images: kind.images,
            stored: kind.stored,
            focus: kind.focus,
            less: kind.less,
            questions: scored.len(),
            map: mean(|one| one.map),
            precision_at_10: mean(|one| one.precision_at_10),
            alike_at_10: mean(|one| one.alike_at_10),
            similarity_error: info.similarity.as_ref().map(|map| {
                let pairs = scored.iter().flat_map(|one| &one.pairs).copied();
                let pairs = LabelledPairs {
                    pairs: pairs.collect(),
                };
                error_of(&pairs.reliability(map))
            }),
        });
    }
    if rows.is_empty() {
        return Err(Error::BadEvaluation(format!(
            "mixtures need two classes, and one of them with {} images",
            1 + MIN_LEFT
        )));
    }
    Ok(rows)
}

/// Draws the questions.
fn draws(ranking: &DefaultRanking<'_>, labels: &[usize], seed: u64) -> Vec<Draw> {
    let classes = labels.iter().max().map_or(0, |most| most + 1);
    let mut of_class: Vec<Vec<usize>> = vec![Vec::new(); classes];
    for (i, &label) in labels.iter().enumerate() {
        of_class[label].push(i);
    }
    let most = SIZES[SIZES.len() - 1];
    let mut random = SplitMix::new(seed);
    let mut draws = Vec::new();
    for own in of_class.iter().filter(|own| own.len() > MIN_LEFT) {
        let Some(alike) = most_alike(ranking, labels, own) else {
            continue;
        };
        for _ in 0..DRAWS {
            let mut images = own.clone();
            let n = most.min(own.len() - MIN_LEFT);
            for i in 0..n {
                let other = i + random.below(images.len() - i);
                images.swap(i, other);
            }
            images.truncate(n);
            let alike = of_class[alike][random.below(of_class[alike].len())];
            let database = (0..labels.len()).filter(|i| *i != alike && !images.contains(i));
            draws.push(Draw {
                database: database.collect(),
                images,
                alike,
            });
        }
    }
    draws
}

/// Returns the class with most images among the nearest of other classes; `None` if there is no other.
fn most_alike(ranking: &DefaultRanking<'_>, labels: &[usize], own: &[usize]) -> Option<usize> {
    let label = labels[own[0]];
    let others: Vec<usize> = (0..labels.len()).filter(|&i| labels[i] != label).collect();
    let mut counts = vec![0usize; labels.iter().max().map_or(0, |most| most + 1)];
    let mut distances = vec![0.0; labels.len()];
    for &image in own.iter().take(CONFUSED) {
        ranking.plain(image, &mut distances);
        for near in first(&distances, &others) {
            counts[labels[near]] += 1;
        }
    }
    let most = counts.iter().copied().max().filter(|&most| most > 0)?;
    counts.iter().position(|&count| count == most)
}

/// The measures of one question.
struct Scored {
    map: f64,
    precision_at_10: f64,
    alike_at_10: f64,
    /// Distances without expansion, and 1 for images of the class, else 0.
    pairs: Vec<(f32, f32)>,
}

fn score(
    ranking: &DefaultRanking<'_>,
    labels: &[usize],
    draw: &Draw,
    kind: Kind,
) -> Result<Scored> {
    let images = &draw.images[..kind.images];
    let mut parts: Vec<(f32, Query<'_>)> = images
        .iter()
        .map(|&i| {
            let mut query = ranking.query(i);
            if kind.stored {
                query.logits = None;
            }
            (1.0, query)
        })
        .collect();
    if kind.less > 0.0 {
        parts.push((-kind.less, ranking.query(draw.alike)));
    }
    let mixture = Mixture::blend(&parts, ranking.by_logits.bits, kind.focus)?;
    let query = match parts[..] {
        [(_, alone)] if !kind.stored => alone,
        _ => mixture.query(),
    };
    let mut distances = vec![0.0; labels.len()];
    ranking.answer(&query, std::iter::empty(), 0, &mut distances);
    // What is asked with is not found, so one of them stands for the question before the database.
    let places: Vec<usize> = [images[0]].iter().chain(&draw.database).copied().collect();
    let from_question: Vec<f32> = places.iter().map(|&i| distances[i]).collect();
    let of_places: Vec<usize> = places.iter().map(|&i| labels[i]).collect();
    let mut random = SplitMix::new(images[0] as u64);
    let pairs = paired(0, &from_question, &of_places, &mut random);

    let database = draw.database.iter().copied();
    ranking.answer(&query, database, DEFAULT_EXPAND, &mut distances);
    let split = RetrievalSplit::split(
        labels.to_vec(),
        vec![images[0]],
        draw.database.clone(),
        draw.database.len(),
    );
    let score = Evaluator::new(split).score(|_, out| out.copy_from_slice(&distances));
    let first = first(&distances, &draw.database);
    let alike = first
        .iter()
        .filter(|&&i| labels[i] == labels[draw.alike])
        .count();
    Ok(Scored {
        map: score.map,
        precision_at_10: score.precision_at_10(),
        alike_at_10: alike as f64 / first.len().max(1) as f64,
        pairs,
    })
}

/// Returns how far similarities are off on average.
fn error_of(bins: &[ReliabilityBin]) -> f64 {
    let pairs: usize = bins.iter().map(|bin| bin.pairs).sum();
    let off = bins
        .iter()
        .map(|bin| bin.pairs as f64 * (bin.similarity - bin.same_class).abs());
    off.sum::<f64>() / pairs.max(1) as f64
}

/// Returns the nearest of some images.
fn first(distances: &[f32], among: &[usize]) -> Vec<usize> {
    let mut order = among.to_vec();
    let by_distance = |a: &usize, b: &usize| distances[*a].total_cmp(&distances[*b]).then(a.cmp(b));
    if order.len() > FIRST {
        order.select_nth_unstable_by(FIRST - 1, by_distance);
        order.truncate(FIRST);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::eval::default_ranking::ByLogits;

    /// Codes on a circle: three classes of 15 around 0, 40 and 180 degrees, each spread by some degrees.
    fn circle() -> (Vec<f32>, Vec<u8>, Vec<f32>, Vec<usize>) {
        let (mut codes, mut logits, mut labels) = (Vec::new(), Vec::new(), Vec::new());
        let mut random = SplitMix::new(5);
        for (label, centre) in [(0, 0.0f32), (1, 40.0), (2, 180.0)] {
            for _ in 0..15 {
                let angle = (centre + 50.0 * (random.unit() - 0.5)).to_radians();
                codes.extend([angle.cos(), angle.sin()]);
                logits.extend((0..8).map(|i| (angle + i as f32 * 0.7).cos()));
                labels.push(label);
            }
        }
        let hashes = logits.chunks(8).flat_map(imgsearch_index::pack_bits);
        (codes, hashes.collect(), logits, labels)
    }

    #[test]
    fn several_images_find_more_of_their_class_than_one() {
        let (codes, hashes, logits, labels) = circle();
        let ranking = DefaultRanking {
            codes: &codes,
            code_len: 2,
            hashes: &hashes,
            by_logits: ByLogits::new(&hashes, &logits, 8),
            hash_weight: 1.0,
        };
        assert_eq!(
            most_alike(&ranking, &labels, &(0..15).collect::<Vec<_>>()),
            Some(1)
        );
        let draws = draws(&ranking, &labels, 1);
        assert_eq!(draws.len(), 3 * DRAWS);
        let mut sums = [0.0; 3];
        for draw in &draws {
            assert_eq!(draw.images.len(), 10);
            assert_eq!(draw.database.len(), labels.len() - 11);
            assert!(
                draw.images
                    .iter()
                    .all(|&i| labels[i] == labels[draw.images[0]])
            );
            assert_ne!(labels[draw.alike], labels[draw.images[0]]);
            let score = |images, less| {
                let kind = Kind {
                    less,
                    ..Kind::of(images)
                };
                score(&ranking, &labels, draw, kind).unwrap()
            };
            let (one, ten, less) = (score(1, 0.0), score(10, 0.0), score(10, 0.5));
            sums[0] += ten.map - one.map;
            sums[1] += ten.alike_at_10 - less.alike_at_10;
            sums[2] += one.precision_at_10;
            assert!(one.pairs.len() <= labels.len() - 11);
            assert!(one.pairs.iter().any(|pair| pair.1 == 1.0));
        }
        assert!(sums[0] > 0.0 && sums[1] > 0.0, "{sums:?}");
        assert!(sums[2] > 0.0 && sums[2] <= draws.len() as f64);
    }
}
