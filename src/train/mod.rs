//! Training an encoder on one's own photographs.
//!
//! The trunk's features of every photograph and of a few altered copies are computed once, an
//! autoencoder is trained on them without labels ([`imgsearch_train`]), and its encoder
//! half is written behind the trunk into one file that `index` and `query` take.

pub(crate) mod augment;
pub mod autoencoder;
pub mod dataset;
pub mod eval;
pub mod extract;
pub mod feature_cache;
pub mod perceptual;
pub(crate) mod random;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use imgsearch_onnx::EncoderFile;
use imgsearch_train::copies::{train_copies_head, trunk_for_copies};
use imgsearch_train::head::{
    EpochReport, Head, HeadOptions, HeadOutput, Identity, LEAST_PHOTOGRAPHS, Prior, TrainingSet,
    train_head,
};
use imgsearch_train::neighbourhood_preservation;
use rayon::prelude::*;
use serde::Serialize;

use crate::encode::engine::Engine;
use crate::error::{Error, Result};
pub use crate::train::augment::Purpose;
use crate::train::extract::{ExtractOptions, Extracted, extract};
use crate::train::feature_cache::extract_kept;

/// One photograph in so many is held out of the training and judges it.
const HELD_OUT: usize = 10;

/// How many of the nearest neighbours by features count for the preservation measure, where there
/// are photographs enough.
pub const NEIGHBOURS: usize = 10;

/// One photograph in so many may count as a neighbour: of a few photographs all are near.
const LEAST_CROWD: usize = 5;

/// How training is done.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TrainOptions {
    /// The head's architecture, losses and schedule.
    pub head: HeadOptions,
    /// What the encoder is to find.
    pub purpose: Purpose,
    /// Altered copies of each photograph.
    pub views: usize,
    /// The encoder's name, kept in the file.
    pub name: String,
    /// What was trained on, in words, kept in the file.
    pub data: String,
    /// A file that keeps the features for the next time, and has them where it was made of the same
    /// photographs by the same encoder. Altered copies are then the same for every seed.
    pub features: Option<PathBuf>,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self {
            head: HeadOptions::default(),
            purpose: Purpose::default(),
            views: Purpose::default().views(),
            name: "trained".to_owned(),
            data: String::new(),
            features: None,
        }
    }
}

/// Told how training goes on.
pub trait TrainProgress {
    /// So many photographs of all have been encoded.
    fn extracted(&mut self, _done: usize, _of: usize) {}

    /// A photograph cannot be used.
    fn failed(&mut self, _path: &Path, _reason: &str) {}

    /// A pass over the photographs is done.
    fn epoch(&mut self, _report: &EpochReport) {}
}

/// How well an encoder does what it is for. To find similar photographs, how well neighbourhoods
/// are kept: the share of each held-out photograph's nearest by features,
/// among all photographs, that are among as many nearest by the code, or by the hash. To find copies,
/// the share of the altered copies of held-out photographs to which, among all photographs, their own
/// is nearest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Preservation {
    /// By the code.
    pub code: f64,
    /// By the hash.
    pub hash: f64,
    /// By both together, as queries rank where nothing else is asked for.
    pub both: f64,
}

/// What training gave.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Trained {
    /// The new encoder.
    pub file: EncoderFile,
    /// The photographs, those held out last.
    pub paths: Vec<PathBuf>,
    /// Their codes by the new encoder, `[photographs, code_len]`.
    pub codes: Vec<f32>,
    /// Every pass.
    pub epochs: Vec<EpochReport>,
    /// Photographs trained on.
    pub photographs: usize,
    /// Photographs held out.
    pub held_out: usize,
    /// How many nearest of each held-out photograph were compared: [`NEIGHBOURS`], or fewer where
    /// there are few photographs.
    pub neighbours: usize,
    /// The encoder whose features were trained on, judged by the held-out photographs; none for
    /// a bare trunk.
    pub before: Option<Preservation>,
    /// The new encoder, judged by the held-out photographs.
    pub after: Preservation,
    /// Seconds for computing the features.
    pub extract_seconds: f64,
    /// Whether they were kept from an earlier time.
    pub features_kept: bool,
    /// Seconds for training on them.
    pub train_seconds: f64,
}

/// Trains an encoder on the photographs at `paths`, on the features of `engine`'s encoder.
///
/// # Errors
///
/// [`Error::TooFewImages`], what extraction and training report, and [`Error::Interrupted`].
pub fn train(
    engine: &Engine,
    paths: &[PathBuf],
    options: &TrainOptions,
    stop: &AtomicBool,
    progress: &mut dyn TrainProgress,
) -> Result<Trained> {
    // Before the work, not after it.
    require_enough(paths.len(), "were found", options)?;
    require_copies(options)?;
    if engine.info().feature_len.is_none() {
        return Err(Error::NoFeatures {
            name: engine.info().name.clone(),
        });
    }
    let of_copies = match options.purpose {
        Purpose::Similar => None,
        Purpose::Copies => Some(engine.with(trunk_for_copies(engine.file())?)?),
    };
    let engine = of_copies.as_ref().unwrap_or(engine);
    let started = std::time::Instant::now();
    let extract_options = ExtractOptions {
        views: options.views,
        seed: match options.features {
            Some(_) => 0,
            None => options.head.seed,
        },
        purpose: options.purpose,
    };
    let mut tick = |done| progress.extracted(done, paths.len());
    let (mut all, features_kept) = match &options.features {
        Some(file) => extract_kept(file, engine, paths, extract_options, stop, &mut tick)?,
        None => (
            extract(engine, paths, extract_options, stop, &mut tick)?,
            false,
        ),
    };
    for (path, reason) in &all.failed {
        progress.failed(path, reason);
    }
    let extract_seconds = started.elapsed().as_secs_f64();
    let n = all.paths.len();
    require_enough(n, "could be used", options)?;
    let trained_on = judges_last(&mut all);
    let d = all.feature_len;

    let started = std::time::Instant::now();
    let set = TrainingSet {
        clean: &all.features[..trained_on * d],
        views: all
            .views
            .iter()
            .map(|view| &view[..trained_on * d])
            .collect(),
        d,
        prior: Prior::of(engine.file())?,
    };
    let mut epochs = Vec::new();
    let head = match options.purpose {
        Purpose::Copies => train_copies_head(&set, &options.head)?,
        Purpose::Similar => train_head(&set, &options.head, &mut |report| {
            progress.epoch(report);
            epochs.push(*report);
            if stop.load(Ordering::Relaxed) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?,
    };
    if stop.load(Ordering::Relaxed) {
        return Err(Error::Interrupted);
    }
    let train_seconds = started.elapsed().as_secs_f64();

    let neighbours = NEIGHBOURS.min(n / LEAST_CROWD);
    let judge = |codes: &[f32], code_len: usize, hashes: &[u8], hash_weight: f32, bits: usize| {
        let bytes = hashes.len() / n;
        let kept = |distance: &(dyn Fn(usize, usize) -> f32 + Sync)| {
            neighbourhood_preservation(&all.features, d, n, neighbours, trained_on..n, distance)
        };
        let code =
            |a, b| imgsearch_index::l2_squared(row(codes, code_len, a), row(codes, code_len, b));
        let hash =
            |a, b| imgsearch_index::hamming(row(hashes, bytes, a), row(hashes, bytes, b)) as f32;
        Preservation {
            code: kept(&code),
            hash: kept(&hash),
            both: kept(&|a, b| code(a, b) + hash_weight / bits as f32 * hash(a, b)),
        }
    };
    let info = engine.info();
    // A trunk for copies has no codes to compare with.
    let before = (!all.codes.is_empty()).then(|| {
        judge(
            &all.codes,
            info.code_len,
            &all.hashes,
            info.hash_weight,
            info.bits,
        )
    });
    let output = head.apply(&all.features, n);
    let after = match options.purpose {
        Purpose::Similar => judge(
            &output.codes,
            head.code_len(),
            &output.hashes(),
            head.hash_weight(),
            head.bits(),
        ),
        Purpose::Copies => {
            let copies = all.views.iter();
            let copies = copies.map(|view| head.apply(&view[trained_on * d..], n - trained_on));
            recognised(&head, &output, trained_on, &copies.collect::<Vec<_>>())
        }
    };
    let file = head.encoder_file(
        engine.file(),
        &Identity {
            name: options.name.clone(),
            training_data: options.data.clone(),
            photographs: trained_on,
        },
    )?;
    Ok(Trained {
        file,
        codes: output.codes,
        epochs,
        paths: all.paths,
        photographs: trained_on,
        held_out: n - trained_on,
        neighbours,
        before,
        after,
        extract_seconds,
        features_kept,
        train_seconds,
    })
}

/// The share of `copies` of the photographs from number `first` on, one set for each view, to which
/// their own photograph is the nearest of all.
fn recognised(
    head: &Head,
    photographs: &HeadOutput,
    first: usize,
    copies: &[HeadOutput],
) -> Preservation {
    let (code_len, bytes) = (head.code_len(), head.bits().div_ceil(8));
    let weight = head.hash_weight() / head.bits() as f32;
    let hashes = photographs.hashes();
    let n = photographs.codes.len() / code_len;
    let (mut right, mut of) = ([0usize; 3], 0usize);
    for copies in copies {
        let hashes_of_copies = copies.hashes();
        let each = (first..n).into_par_iter().map(|own| {
            let code = row(&copies.codes, code_len, own - first);
            let hash = row(&hashes_of_copies, bytes, own - first);
            let mut nearest = [(f32::INFINITY, 0); 3];
            for i in 0..n {
                let by_code =
                    imgsearch_index::l2_squared(code, row(&photographs.codes, code_len, i));
                let by_hash = imgsearch_index::hamming(hash, row(&hashes, bytes, i)) as f32;
                let apart = [by_code, by_hash, by_code + weight * by_hash];
                for (nearest, apart) in nearest.iter_mut().zip(apart) {
                    if apart < nearest.0 {
                        *nearest = (apart, i);
                    }
                }
            }
            nearest.map(|(_, i)| usize::from(i == own))
        });
        let sums = each.reduce(|| [0; 3], |a, b| std::array::from_fn(|i| a[i] + b[i]));
        right = std::array::from_fn(|i| right[i] + sums[i]);
        of += n - first;
    }
    let [code, hash, both] = right.map(|right| right as f64 / of.max(1) as f64);
    Preservation { code, hash, both }
}

/// The fewest photographs that a code of `code_len` numbers can be learned from, those held out
/// among them.
pub fn least_photographs(code_len: usize) -> usize {
    // So many points span at most one direction less.
    let trained_on = LEAST_PHOTOGRAPHS.max(code_len.saturating_add(1));
    // The smallest number that leaves them where a tenth, rounded down, is held out.
    (trained_on + (trained_on - 1) / (HELD_OUT - 1)).max(2 * HELD_OUT)
}

fn require_enough(n: usize, what: &str, options: &TrainOptions) -> Result<()> {
    let code_len = options.head.code_len;
    let least = least_photographs(code_len);
    if n >= least {
        return Ok(());
    }
    let mut text = format!(
        "{n} photographs {what}, and learning a code of {code_len} numbers takes at least {least}; a hundred is a \
         start, thousands are better"
    );
    if n >= least_photographs(1) {
        text += ". A shorter code takes fewer: see --code";
    }
    Err(Error::TooFewImages(text))
}

/// Some things are learned from altered copies only.
fn require_copies(options: &TrainOptions) -> Result<()> {
    let head = &options.head;
    let needed = match options.purpose {
        Purpose::Copies => true,
        Purpose::Similar => head.hidden > 0 && head.neighbours == 0,
    };
    if needed && options.views == 0 {
        return Err(imgsearch_train::Error::InvalidInput(
            "without altered copies and without neighbours there is nothing to learn from: ask for --views 1 at least"
                .to_owned(),
        )
        .into());
    }
    Ok(())
}

fn row<T>(rows: &[T], length: usize, i: usize) -> &[T] {
    &rows[i * length..(i + 1) * length]
}

/// Moves every [`HELD_OUT`]-th photograph behind the others; how many come before them.
fn judges_last(all: &mut Extracted) -> usize {
    fn reorder<T: Clone>(rows: &mut Vec<T>, n: usize) {
        let length = rows.len() / n;
        if length == 0 {
            return;
        }
        let mut judges = Vec::with_capacity(n / HELD_OUT * length);
        let mut to = 0;
        for i in 0..n {
            if i % HELD_OUT == HELD_OUT - 1 {
                judges.extend_from_slice(&rows[i * length..(i + 1) * length]);
                continue;
            }
            if to != i {
                for j in 0..length {
                    rows.swap(to * length + j, i * length + j);
                }
            }
            to += 1;
        }
        rows.truncate(to * length);
        rows.extend(judges);
    }
    let n = all.paths.len();
    reorder(&mut all.paths, n);
    reorder(&mut all.features, n);
    reorder(&mut all.codes, n);
    reorder(&mut all.hashes, n);
    all.views.iter_mut().for_each(|view| reorder(view, n));
    n - n / HELD_OUT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tenth_judges_and_no_row_is_lost() {
        for n in [1, 9, 10, 34, 100] {
            let mut all = Extracted {
                paths: (0..n).map(|i| PathBuf::from(i.to_string())).collect(),
                features: (0..2 * n).map(|i| i as f32).collect(),
                feature_len: 2,
                ..Extracted::default()
            };
            let before = all.clone();
            let trained_on = judges_last(&mut all);
            let order: Vec<usize> = all
                .paths
                .iter()
                .map(|path| path.to_str().unwrap().parse().unwrap())
                .collect();
            let held = |&i: &usize| i % HELD_OUT == HELD_OUT - 1;
            let expected: Vec<usize> = (0..n)
                .filter(|i| !held(i))
                .chain((0..n).filter(held))
                .collect();
            assert_eq!(order, expected);
            assert_eq!(trained_on, (0..n).filter(|i| !held(i)).count());
            for (place, &i) in order.iter().enumerate() {
                assert_eq!(row(&all.features, 2, place), row(&before.features, 2, i));
            }
        }
    }

    #[test]
    fn the_least_number_is_the_least_that_leaves_enough() {
        let leaves = |n: usize| n - n / HELD_OUT;
        for code_len in 1..200 {
            let least = least_photographs(code_len);
            let needed = LEAST_PHOTOGRAPHS.max(code_len + 1);
            assert!(leaves(least) >= needed, "{code_len}");
            assert!(
                least == 2 * HELD_OUT || leaves(least - 1) < needed,
                "{code_len}"
            );
        }
    }
}
