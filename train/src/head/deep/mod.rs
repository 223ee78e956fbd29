//! Deep heads: a hidden layer before code and hash, for collections of ten thousand and more.
//!
//! ```text
//! features ─▶ direction ─▶ principal components ─▶ hidden, rectified ─┬─▶ code, length 1 ┬─▶ decoder
//!                                                                     └─▶ hash ──────────┘
//! ```
//!
//! The loss draws together altered copies of an image, and images that are mutual nearest neighbours by
//! features, in the code and in the hash. Features are the mean over the copies. It pushes all others of
//! a batch apart (NT-Xent, Chen et al. 2020; neighbours as positives as in Van Gansbeke et al. 2020;
//! mutual neighbours as in Qin et al. 2011). Training has rounds: the second starts again with twice as
//! many neighbours, by what the first learned. They are of the same kind more often than those by
//! features.
//!
//! The hash is trained as the hyperbolic tangents of its logits, and balanced. Code and hash together are
//! a twin bottleneck (Shen et al. 2020) from which a decoder reconstructs the features.

mod fit;
mod network;

use std::ops::ControlFlow;

use candle_core::{Device, Tensor, Var};

use self::fit::fit;
use self::network::Network;
use super::descent::Failed;
use super::feature_transform::{ClassifierPrior, FeatureTransform};
use super::model::{Head, Hidden, Record, SEMANTIC};
use super::options::{EpochReport, HeadOptions};
use super::set::{MAX_DIRECTIONS, TrainingSet, check, spread};
use crate::baseline::Pca;
use crate::error::{Error, Result};
use crate::hashing::medians;
use crate::linear::{Normal, mean, normalise, product};
use crate::neighbours::mutual;

/// Principal components for finding neighbours. More give the same ranking.
const NEIGHBOUR_DIRECTIONS: usize = 128;
/// Rows that are encoded at once.
const BLOCK: usize = 4096;

/// Trains a head with `options.hidden` units; [`super::train_head`] says how.
pub(super) fn train(
    set: &TrainingSet<'_>,
    options: &HeadOptions,
    progress: &mut dyn FnMut(&EpochReport) -> ControlFlow<()>,
) -> Result<Head> {
    let n = check(set, options)?;
    if options.epochs == 0 {
        return Err(Error::InvalidInput(
            "a hidden layer starts at random: it needs at least one epoch".to_owned(),
        ));
    }
    if set.views.is_empty() && options.neighbours == 0 {
        return Err(Error::InvalidInput(
            "a hidden layer learns from altered copies and from neighbours, and there are none of either".to_owned(),
        ));
    }
    let input = Input::new(set, options, n)?;
    let learned = rounds(&input, options, progress)?;
    head(set, options, input, &learned)
}

/// What goes into the network.
struct Input {
    n: usize,
    transform: FeatureTransform,
    pca: Pca,
    /// Principal components that are kept.
    kept: usize,
    /// The factor that gives all numbers together a variance of one each.
    scale: f32,
    /// The images and their altered copies, each `[n, kept]`.
    copies: Vec<Vec<f32>>,
}

impl Input {
    fn new(set: &TrainingSet<'_>, options: &HeadOptions, n: usize) -> Result<Self> {
        let d = set.d;
        let prior = ClassifierPrior::default();
        let transform = FeatureTransform::new(mean(set.clean, d), prior, options);
        let clean = transform.apply(set.clean, n);
        let kept = d.min(n - 1).min(MAX_DIRECTIONS);
        let pca = Pca::fit(&clean, n, d, kept)?;
        let mut copies = vec![pca.project(&clean, n)];
        drop(clean);
        for view in &set.views {
            copies.push(pca.project(&transform.apply(view, n), n));
        }
        let scale = (kept as f32).sqrt() / spread(&pca)?;
        for rows in &mut copies {
            rows.iter_mut().for_each(|value| *value *= scale);
        }
        Ok(Self {
            n,
            transform,
            pca,
            kept,
            scale,
            copies,
        })
    }
}

/// The network of the last round, and how it was trained.
struct Learned {
    network: Network,
    rounds: usize,
    epochs: usize,
    last_loss: f64,
}

/// Trains round after round, each with neighbours by what the one before learned.
fn rounds(
    input: &Input,
    options: &HeadOptions,
    progress: &mut dyn FnMut(&EpochReport) -> ControlFlow<()>,
) -> Result<Learned> {
    let (n, copies) = (input.n, &input.copies);
    let candle = |error: candle_core::Error| Failed::from(error).into_error();
    let mut neighbours = by_features(copies, n, input.kept, options.neighbours);
    let mut random = Normal::new(options.seed);
    let rounds = options.rounds.max(1);
    let (mut epochs, mut last_loss, mut ended) = (0, 0.0, false);
    let mut network = None;
    for round in 0..rounds {
        if let Some(learned) = &network {
            neighbours = by_code(learned, copies, n, 2 * options.neighbours).map_err(candle)?;
        }
        // The network starts from random weights again. Only the neighbours carry over.
        let fresh = Network::new(input.kept, options, &mut random).map_err(candle)?;
        let before = epochs;
        let mut report = |report: &EpochReport| {
            let report = EpochReport {
                epoch: before + report.epoch,
                of: rounds * options.epochs,
                ..*report
            };
            let flow = progress(&report);
            ended = flow.is_break();
            flow
        };
        let (done, loss) = fit(&fresh, copies, &neighbours, options, &mut report)?;
        (epochs, last_loss) = (epochs + done, loss);
        network = Some(fresh);
        if ended || options.neighbours == 0 || round + 1 == rounds {
            break;
        }
    }
    let network = network.ok_or_else(|| Error::Training("no round was trained".to_owned()))?;
    Ok(Learned {
        network,
        rounds,
        epochs,
        last_loss,
    })
}

/// Reads a parameter.
fn values(var: &Var) -> Result<Vec<f32>> {
    let values = var.as_tensor().flatten_all();
    let values = values
        .and_then(|tensor| tensor.to_vec1::<f32>())
        .map_err(|error| Failed::from(error).into_error())?;
    // The last step may have diverged.
    if values.iter().any(|value| !value.is_finite()) {
        return Err(Failed::Diverged.into_error());
    }
    Ok(values)
}

/// Folds the scaling into the layers, and splits the bits at their medians.
fn head(
    set: &TrainingSet<'_>,
    options: &HeadOptions,
    input: Input,
    learned: &Learned,
) -> Result<Head> {
    let (d, n, kept, units) = (set.d, input.n, input.kept, options.hidden);
    let network = &learned.network;
    let (into, below) = (values(&network.hidden)?, values(&network.hidden_bias)?);
    // hidden = ((seen - mean) V * scale) W + b, folded into one matrix and a bias.
    let mut weight = product(&input.pca.directions, &into, d, kept, units);
    weight.iter_mut().for_each(|value| *value *= input.scale);
    let shift = product(&input.pca.mean, &weight, 1, d, units);
    let bias = below.iter().zip(&shift).map(|(b, shift)| b - shift);
    let hidden = Hidden {
        bias: bias.collect(),
        weight,
    };
    let hash = values(&network.hash)?;
    let seen = hidden.apply(&input.transform.apply(set.clean, n), n, d);
    let medians = medians(&product(&seen, &hash, n, units, options.bits), options.bits);
    Ok(Head {
        transform: input.transform,
        hidden: Some(hidden),
        code: values(&network.code)?,
        code_bias: vec![0.0; options.code_len],
        hash,
        hash_bias: medians.iter().map(|median| -median).collect(),
        hash_weight: options.hash_weight,
        kind: SEMANTIC,
        record: Record {
            images: n,
            views: set.views.len(),
            hidden: units,
            neighbours: options.neighbours,
            rounds: learned.rounds,
            epochs: learned.epochs,
            batch: options.batch.min(n),
            learning_rate: options.learning_rate,
            reconstruction_weight: options.reconstruction_weight,
            contrast_weight: options.contrast_weight,
            contrast_temperature: options.contrast_temperature,
            seed: options.seed,
            last_loss: learned.last_loss,
            ..Record::default()
        },
    })
}

/// Returns the neighbours of each image by features, the mean over its copies.
fn by_features(copies: &[Vec<f32>], n: usize, kept: usize, k: usize) -> Vec<Vec<u32>> {
    let width = kept.min(NEIGHBOUR_DIRECTIONS);
    let mut rows = vec![0.0f32; n * width];
    for copy in copies {
        for (row, copy) in rows.chunks_exact_mut(width).zip(copy.chunks_exact(kept)) {
            row.iter_mut()
                .zip(copy)
                .for_each(|(sum, value)| *sum += value);
        }
    }
    normalise(&mut rows, width);
    mutual(&rows, n, width, k)
}

/// Returns the neighbours of each image by what a network learned: its codes and the tangents of its
/// bits together, the mean over the copies.
fn by_code(
    network: &Network,
    copies: &[Vec<f32>],
    n: usize,
    k: usize,
) -> candle_core::Result<Vec<Vec<u32>>> {
    let mut rows = Vec::new();
    for copy in copies {
        let kept = copy.len() / n;
        let mut own = Vec::new();
        for block in copy.chunks(BLOCK * kept) {
            let block = Tensor::from_slice(block, (block.len() / kept, kept), &Device::Cpu)?;
            let (code, bits) = network.encode(&block)?;
            let bits = (&bits * (bits.dim(1)? as f64).sqrt().recip())?;
            own.extend(
                Tensor::cat(&[code, bits], 1)?
                    .flatten_all()?
                    .to_vec1::<f32>()?,
            );
        }
        if rows.is_empty() {
            rows = own;
        } else {
            let pairs = rows.iter_mut().zip(&own);
            pairs.for_each(|(sum, value): (&mut f32, _)| *sum += value);
        }
    }
    let width = rows.len() / n;
    normalise(&mut rows, width);
    Ok(mutual(&rows, n, width, k))
}
