//! Training: the encoder half of an autoencoder, on a trunk's features, without labels.
//!
//! ```text
//! features ─▶ centre, length 1 ─▶ metric ─▶ encoder ─▶ code, length 1 ─▶ decoder ─▶ features
//!                                      └──▶ rotation ─▶ hash
//! ```
//!
//! The encoder begins as the main directions of the training features, half whitened, and is then
//! moved so that the codes keep the features' neighbourhoods and a decoder can make the features
//! from them ([`TrainOptions`] has the weights). The hash is the sign of the features turned by
//! iterative quantisation, each bit split at its median. What was compared, and why this, stands
//! in the model card `onnx/model/README.md`.

mod head;
mod linear;
mod objective;

use std::ops::ControlFlow;

use candle_core::Tensor;
use candle_nn::optim::{AdamW, Optimizer, ParamsAdamW};
use rayon::prelude::*;
use serde::Serialize;

pub use head::{Head, HeadOutput, Identity};

use crate::contract::EncoderFile;
use crate::error::{Error, Result};
use crate::surgery::{METRIC, constant};
use head::{Record, directions};
use linear::{Normal, product, rotation};
use objective::{Batch, Model};

/// Linear methods without training, to measure a trained encoder against.
pub mod baseline {
    pub use super::linear::{Itq, Pca};
}

/// The fewest photographs that can be trained on.
pub const LEAST_PHOTOGRAPHS: usize = 16;

/// The most directions of a bare trunk that a hash is made from.
const MOST_HASH_DIRECTIONS: usize = 512;

/// What is trained on.
#[derive(Debug, Clone)]
pub struct TrainingSet<'a> {
    /// Features of the photographs: `[n, d]`, row-major.
    pub clean: &'a [f32],
    /// Features of altered copies, each `[n, d]`. They teach the code what does not matter.
    pub views: Vec<&'a [f32]>,
    /// Numbers in a row.
    pub d: usize,
    /// What the trunk says of how much each direction matters.
    pub metric: Option<Metric>,
}

/// How much each direction of a trunk's features matters: a matrix `[d, width]` that they are
/// taken through before anything is learned.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    matrix: Vec<f32>,
    width: usize,
}

impl Metric {
    /// The metric that a file's trunk carries.
    ///
    /// # Errors
    ///
    /// [`Error::Contract`] where it has the wrong shape.
    pub fn of(file: &EncoderFile) -> Result<Option<Self>> {
        let Some((shape, matrix)) = constant(&file.model()?, METRIC) else {
            return Ok(None);
        };
        match (shape.as_slice(), file.info().feature_len) {
            (&[d, width], Some(length)) if d == length && width > 0 => {
                Ok(Some(Self { matrix, width }))
            }
            _ => Err(Error::Contract {
                name: file.info().name.clone(),
                reason: format!("its constant `{METRIC}` has the shape {shape:?}"),
            }),
        }
    }
}

/// How a head is trained. The defaults are the recipe of the built-in encoder.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainOptions {
    /// Numbers in the code. Default: 30.
    pub code_len: usize,
    /// Bits in the hash. Default: 256.
    pub bits: usize,
    /// Passes over the photographs. Default: 20.
    pub epochs: usize,
    /// Photographs in a batch, among which neighbourhoods are compared. Default: 512.
    pub batch: usize,
    /// The largest learning rate, reached after a tenth of the steps. Default: 0.0005.
    pub learning_rate: f64,
    /// Units in the decoder's hidden layer. Default: 512.
    pub decoder_width: usize,
    /// Weight of the neighbourhood term. Default: 1.
    pub neighbourhood_weight: f64,
    /// Weight of the reconstruction term. Default: 0.5.
    pub reconstruction_weight: f64,
    /// Weight of the contrast term. Default: 0.
    pub contrast_weight: f64,
    /// Temperature of the softmax over feature similarities. Default: 0.1.
    pub feature_temperature: f64,
    /// Temperature of the softmax over code similarities. Default: 0.25.
    pub code_temperature: f64,
    /// Temperature of the contrast term. Default: 0.3.
    pub contrast_temperature: f64,
    /// How much the hash counts beside the code where both rank. Default: 8.
    pub hash_weight: f32,
    /// What everything random is drawn with. Default: 0.
    pub seed: u64,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self {
            code_len: 30,
            bits: 256,
            epochs: 20,
            batch: 512,
            learning_rate: 5e-4,
            decoder_width: 512,
            neighbourhood_weight: 1.0,
            reconstruction_weight: 0.5,
            contrast_weight: 0.0,
            feature_temperature: 0.1,
            code_temperature: 0.25,
            contrast_temperature: 0.3,
            hash_weight: 8.0,
            seed: 0,
        }
    }
}

/// A pass over the photographs, done.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EpochReport {
    /// Its number, from 1.
    pub epoch: usize,
    /// Of so many.
    pub of: usize,
    /// Mean of the whole loss.
    pub loss: f64,
    /// Mean of the neighbourhood term, weighted.
    pub neighbourhood: f64,
    /// Mean of the reconstruction term, weighted.
    pub reconstruction: f64,
    /// Mean of the contrast term, weighted.
    pub contrast: f64,
}

/// Trains a head. `progress` is told of every pass and may end the training early, with what was
/// learned so far.
///
/// The same set, options and seed give the same head on the same machine.
///
/// # Errors
///
/// [`Error::BadInput`] for too few photographs, features that are not finite or all alike, views
/// of another shape, or sizes of zero; [`Error::Training`] where the loss diverges.
pub fn train_head(
    set: &TrainingSet<'_>,
    options: &TrainOptions,
    progress: &mut dyn FnMut(&EpochReport) -> ControlFlow<()>,
) -> Result<Head> {
    let n = check(set, options)?;
    let mean = linear::mean(set.clean, set.d);
    let metric = set.metric.as_ref().map(|metric| metric.matrix.as_slice());
    let width = set.metric.as_ref().map_or(set.d, |metric| metric.width);
    let rows_of = |features: &[f32]| directions(features, n, &mean, metric, width);
    let clean = rows_of(set.clean);

    let most = width.min(n - 1);
    let kept = most.min(MOST_HASH_DIRECTIONS.max(options.code_len));
    let pca = baseline::Pca::fit(&clean, n, width, kept)?;
    if options.code_len > kept {
        return Err(Error::BadInput(format!(
            "a code of {} numbers cannot be learned from {n} photographs and {width} features; ask for at most {kept}",
            options.code_len
        )));
    }
    let scale = pca.variances.iter().sum::<f32>().sqrt().recip();
    let scaled = |mut rows: Vec<f32>| {
        linear::centre(&mut rows, &pca.mean);
        rows.iter_mut().for_each(|value| *value *= scale);
        rows
    };
    let clean = scaled(clean);
    let views: Vec<Vec<f32>> = set.views.iter().map(|view| scaled(rows_of(view))).collect();

    let start = half_whitened(&pca, options.code_len, &clean, n, width);
    let (encoder, last_loss) =
        fit(&clean, &views, n, width, &start, options, progress).map_err(|error| match error {
            Failed::Diverged => {
                Error::Training("the loss is not finite; a lower learning rate may help".to_owned())
            }
            Failed::Candle(error) => Error::Training(error.to_string()),
        })?;

    // code = ((direction - mean) * scale) E - centre, all folded into one matrix and a bias.
    let code_centre = linear::mean(
        &product(&clean, &encoder, n, width, options.code_len),
        options.code_len,
    );
    let code: Vec<f32> = encoder.iter().map(|value| value * scale).collect();
    let shift = product(&pca.mean, &code, 1, width, options.code_len);
    let code_bias = shift
        .iter()
        .zip(&code_centre)
        .map(|(shift, centre)| -shift - centre)
        .collect();

    let (hash, hash_bias) = hash_layer(&pca, &clean, n, width, scale, options)?;
    Ok(Head {
        mean,
        metric: metric.map(<[f32]>::to_vec),
        width,
        code,
        code_bias,
        hash,
        hash_bias,
        hash_weight: options.hash_weight,
        record: Record {
            photographs: n,
            views: views.len(),
            epochs: options.epochs,
            batch: options.batch.min(n),
            learning_rate: options.learning_rate,
            neighbourhood_weight: options.neighbourhood_weight,
            reconstruction_weight: options.reconstruction_weight,
            contrast_weight: options.contrast_weight,
            feature_temperature: options.feature_temperature,
            code_temperature: options.code_temperature,
            seed: options.seed,
            last_loss,
        },
    })
}

fn check(set: &TrainingSet<'_>, options: &TrainOptions) -> Result<usize> {
    let bad = |text: String| Err(Error::BadInput(text));
    if set.d == 0 || !set.clean.len().is_multiple_of(set.d) {
        return bad(format!(
            "{} features are no rows of {}",
            set.clean.len(),
            set.d
        ));
    }
    let n = set.clean.len() / set.d;
    if n < LEAST_PHOTOGRAPHS {
        return bad(format!(
            "{n} photographs are too few to train on: at least {LEAST_PHOTOGRAPHS} are needed, and hundreds are better"
        ));
    }
    if set.views.iter().any(|view| view.len() != set.clean.len()) {
        return bad("the altered copies are not as many as the photographs".to_owned());
    }
    if set
        .metric
        .as_ref()
        .is_some_and(|metric| metric.matrix.len() != set.d * metric.width)
    {
        return bad("the metric does not fit the features".to_owned());
    }
    let all = std::iter::once(&set.clean).chain(&set.views);
    if all
        .flat_map(|rows| rows.iter())
        .any(|value| !value.is_finite())
    {
        return bad("a feature is not finite".to_owned());
    }
    if set
        .clean
        .chunks_exact(set.d)
        .all(|row| row == &set.clean[..set.d])
    {
        return bad("all photographs have the same features: there is nothing to learn".to_owned());
    }
    if options.code_len == 0 || options.bits == 0 || options.batch < 2 {
        return bad("the code, the hash and the batch need at least one number, one bit and two photographs".to_owned());
    }
    Ok(n)
}

/// The main directions, each divided by the fourth root of its variance, scaled so that codes
/// have a length of about one.
fn half_whitened(
    pca: &baseline::Pca,
    code_len: usize,
    rows: &[f32],
    n: usize,
    width: usize,
) -> Vec<f32> {
    let kept = pca.k();
    let mut encoder = vec![0.0; width * code_len];
    for i in 0..width {
        for j in 0..code_len {
            encoder[i * code_len + j] = pca.directions[i * kept + j] / pca.variances[j].powf(0.25);
        }
    }
    let codes = product(rows, &encoder, n, width, code_len);
    let lengths: f32 = codes
        .chunks_exact(code_len)
        .map(|code| code.iter().map(|v| v * v).sum::<f32>().sqrt())
        .sum();
    let shrink = (lengths / n as f32).max(f32::MIN_POSITIVE).recip();
    encoder.iter_mut().for_each(|value| *value *= shrink);
    encoder
}

enum Failed {
    Diverged,
    Candle(candle_core::Error),
}

impl From<candle_core::Error> for Failed {
    fn from(error: candle_core::Error) -> Self {
        Self::Candle(error)
    }
}

/// Moves the encoder by gradient descent; the encoder and its last loss.
fn fit(
    clean: &[f32],
    views: &[Vec<f32>],
    n: usize,
    d: usize,
    start: &[f32],
    options: &TrainOptions,
    progress: &mut dyn FnMut(&EpochReport) -> ControlFlow<()>,
) -> Result<(Vec<f32>, f64), Failed> {
    let mut random = Normal::new(options.seed);
    let model = Model::new(
        start,
        d,
        options.code_len,
        options.decoder_width,
        &mut random,
    )?;
    let mut optimizer = AdamW::new(
        model.parameters(),
        ParamsAdamW {
            weight_decay: 0.0,
            ..ParamsAdamW::default()
        },
    )?;
    let batch = options.batch.min(n);
    let steps_an_epoch = n / batch;
    let steps = steps_an_epoch * options.epochs;
    let mut copies: Vec<&[f32]> = vec![clean];
    copies.extend(views.iter().map(Vec::as_slice));
    let gather = |rows: &[f32], places: &[usize]| -> candle_core::Result<Tensor> {
        let picked: Vec<f32> = places
            .iter()
            .flat_map(|&i| &rows[i * d..(i + 1) * d])
            .copied()
            .collect();
        Tensor::from_vec(picked, (places.len(), d), &candle_core::Device::Cpu)
    };
    let (mut step, mut last_loss) = (0, 0.0);
    for epoch in 1..=options.epochs {
        let order = random.shuffled(n);
        let mut sums = [0.0f64; 4];
        for places in order.chunks_exact(batch) {
            // Two different copies of each photograph, where there are two.
            let first = random.below(copies.len());
            let second = (first + 1 + random.below(copies.len().saturating_sub(1))) % copies.len();
            let batch = Batch {
                one: gather(copies[first], places)?,
                other: gather(copies[second], places)?,
                clean: gather(clean, places)?,
            };
            optimizer.set_learning_rate(options.learning_rate * one_cycle(step, steps));
            let terms = model.terms(&batch, options)?;
            let total = terms.total()?;
            optimizer.backward_step(&total)?;
            let values = [
                &total,
                &terms.neighbourhood,
                &terms.reconstruction,
                &terms.contrast,
            ];
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum += f64::from(value.to_scalar::<f32>()?);
            }
            step += 1;
        }
        let [loss, neighbourhood, reconstruction, contrast] =
            sums.map(|sum| sum / steps_an_epoch as f64);
        if !loss.is_finite() {
            return Err(Failed::Diverged);
        }
        last_loss = loss;
        let report = EpochReport {
            epoch,
            of: options.epochs,
            loss,
            neighbourhood,
            reconstruction,
            contrast,
        };
        if progress(&report).is_break() {
            break;
        }
    }
    let encoder = model.encoder.flatten_all()?.to_vec1::<f32>()?;
    if encoder.iter().any(|value| !value.is_finite()) {
        return Err(Failed::Diverged);
    }
    Ok((encoder, last_loss))
}

/// The learning rate's share at a step: up over the first tenth, down to nothing at the end, both
/// along half a cosine (Smith and Topin 2018).
fn one_cycle(step: usize, steps: usize) -> f64 {
    let rise = (steps as f64 / 10.0).max(1.0);
    let step = step as f64 + 0.5;
    let along = if step < rise {
        step / rise
    } else {
        1.0 - (step - rise) / (steps as f64 - rise).max(1.0)
    };
    (1.0 - (along.clamp(0.0, 1.0) * std::f64::consts::PI).cos()) / 2.0
}

/// The hash: as many main directions as there are bits, turned by iterative quantisation, each
/// bit split at its median. Where there are fewer directions than bits, several turns of them
/// stand side by side.
fn hash_layer(
    pca: &baseline::Pca,
    rows: &[f32],
    n: usize,
    width: usize,
    scale: f32,
    options: &TrainOptions,
) -> Result<(Vec<f32>, Vec<f32>)> {
    let bits = options.bits;
    let k = pca.k().min(bits);
    let kept: Vec<f32> = (0..width)
        .flat_map(|i| &pca.directions[i * pca.k()..i * pca.k() + k])
        .copied()
        .collect();
    let projected = product(rows, &kept, n, width, k);
    let mut hash = vec![0.0; width * bits];
    for block in 0..bits.div_ceil(k) {
        let turn = rotation(&projected, n, k, options.seed.wrapping_add(block as u64))?;
        let turned = product(&kept, &turn, width, k, k);
        let (first, last) = (block * k, bits.min((block + 1) * k));
        for i in 0..width {
            hash[i * bits + first..i * bits + last]
                .copy_from_slice(&turned[i * k..i * k + last - first]);
        }
    }
    let logits = product(rows, &hash, n, width, bits);
    let medians: Vec<f32> = (0..bits)
        .into_par_iter()
        .map(|bit| {
            let mut column: Vec<f32> = logits.chunks_exact(bits).map(|row| row[bit]).collect();
            let (low, middle, _) = column.select_nth_unstable_by(n / 2, f32::total_cmp);
            let below = low.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            // Between the two middle ones of an even number, so that none lies on the edge.
            if below.is_finite() {
                (below + *middle) / 2.0
            } else {
                *middle
            }
        })
        .collect();
    // logits = ((direction - mean) * scale) H - median, folded.
    hash.iter_mut().for_each(|value| *value *= scale);
    let shift = product(&pca.mean, &hash, 1, width, bits);
    let bias = shift
        .iter()
        .zip(&medians)
        .map(|(shift, median)| -shift - median)
        .collect();
    Ok((hash, bias))
}

/// How well distances keep the neighbourhoods of features: the mean share of each row's `k`
/// nearest, by the cosine of the centred features, that are among its `k` nearest by `distance`.
/// Ties go by number. A random ranking has `k / (n - 1)`.
pub fn neighbourhood_preservation(
    features: &[f32],
    d: usize,
    n: usize,
    k: usize,
    distance: impl Fn(usize, usize) -> f32 + Sync,
) -> f64 {
    let rows = directions(features, n, &linear::mean(features, d), None, d);
    let similarity = product(&rows, &linear_transpose(&rows, n, d), n, d, n);
    let k = k.min(n.saturating_sub(1));
    if k == 0 {
        return 1.0;
    }
    let nearest = |row: usize, score: &dyn Fn(usize) -> f32| -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).filter(|&other| other != row).collect();
        order.sort_unstable_by(|&a, &b| score(a).total_cmp(&score(b)).then(a.cmp(&b)));
        order.truncate(k);
        order
    };
    let shared: usize = (0..n)
        .into_par_iter()
        .map(|row| {
            let wanted = nearest(row, &|other| -similarity[row * n + other]);
            let got = nearest(row, &|other| distance(row, other));
            got.iter().filter(|other| wanted.contains(other)).count()
        })
        .sum();
    shared as f64 / (n * k) as f64
}

fn linear_transpose(rows: &[f32], n: usize, d: usize) -> Vec<f32> {
    let mut out = vec![0.0; rows.len()];
    for i in 0..n {
        for j in 0..d {
            out[j * n + i] = rows[i * d + j];
        }
    }
    out
}
