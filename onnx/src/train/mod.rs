//! Training: the encoder half of an autoencoder, on a trunk's features, without labels.
//!
//! ```text
//! features ─▶ likeness to classes ┐
//!      └────▶ direction ─▶ metric ┴─▶ main directions ─▶ encoder ─▶ code, length 1 ─▶ decoder
//!                                                   └──▶ rotation ─▶ hash
//! ```
//!
//! The encoder begins as the main directions of what is seen, half whitened, and is then moved so
//! that the codes keep its neighbourhoods and a decoder can make it from them ([`TrainOptions`]
//! has the weights). The hash is the signs of the main directions turned by iterative
//! quantisation, each bit split at its median. Where a collection is large, a hidden layer learns more
//! from it ([`TrainOptions::deep`]). What was compared, and why this, stands in the model card
//! `onnx/model/README.md`.

pub mod copies;
mod deep;
pub(crate) mod descent;
pub(crate) mod hashing;
mod head;
mod lens;
pub(crate) mod linear;
mod neighbours;
pub(crate) mod objective;
mod options;
mod quality;
mod set;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;

pub use head::{Head, HeadOutput, Identity};
pub use lens::Prior;
pub use options::{EpochReport, TrainOptions};
pub use quality::neighbourhood_preservation;
pub use set::{LEAST_PHOTOGRAPHS, TrainingSet};

use crate::error::{Error, Result};
use descent::{Failed, fit, half_whitened};
use hashing::hash_layer;
use head::{Record, SEMANTIC};
use lens::Lens;
use linear::product;
use set::check;

/// Linear methods without training, to measure a trained encoder against.
pub mod baseline {
    pub use super::linear::{Itq, Pca, random_signs};
}

/// The most main directions that are learned from.
const MOST_DIRECTIONS: usize = 512;

/// Directions of features that are spread less about their mean differ by rounding only; their
/// length is one.
const LEAST_SPREAD: f32 = 1e-5;

/// Parts the draw of imagined features from those of training.
const IMAGINING: u64 = 0x1b87_3593_cc9e_2d51;

/// Trains a head, with a hidden layer where [`TrainOptions::hidden`] says so. `progress` is told of every pass and may end the training early, with what was
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
    if options.hidden > 0 {
        return deep::train(set, options, progress);
    }
    let n = check(set, options)?;
    let lens = Lens::new(linear::mean(set.clean, set.d), set.prior.clone(), options);
    let width = lens.width();
    let mut random = linear::Normal::new(options.seed ^ IMAGINING);
    let imagined = set
        .prior
        .imagined(set.clean, set.d, options.imagined, &mut random);
    let imagined_rows = imagined.len() / set.d;
    let imagined = lens.apply(&imagined, imagined_rows);
    // The imagined have no altered copies: they stand for their own.
    let seen = |features: &[f32]| {
        let mut rows = lens.apply(features, n);
        rows.extend_from_slice(&imagined);
        rows
    };
    let all = n + imagined_rows;

    let clean = seen(set.clean);
    let most = width.min(all - 1);
    let kept = most.min(MOST_DIRECTIONS.max(options.code_len));
    if options.code_len > kept {
        return Err(Error::BadInput(format!(
            "a code of {} numbers cannot be learned from {n} photographs and {width} features; ask for at most {kept}",
            options.code_len
        )));
    }
    let pca = baseline::Pca::fit(&clean, all, width, kept)?;
    let scale = spread(&pca)?.recip();
    let along = |rows: &[f32]| {
        let mut rows = pca.project(rows, all);
        rows.iter_mut().for_each(|value| *value *= scale);
        rows
    };
    let clean = along(&clean);
    let views: Vec<Vec<f32>> = set.views.iter().map(|view| along(&seen(view))).collect();

    let start = half_whitened(&pca.variances, options.code_len, &clean, all);
    let (encoder, epochs, last_loss) =
        fit(&clean, &views, all, kept, &start, options, progress).map_err(Failed::into_error)?;

    // code = ((seen - mean) V * scale) E - centre, all folded into one matrix and a bias; the
    // hash likewise.
    let code_len = options.code_len;
    let code_centre = linear::mean(&product(&clean, &encoder, all, kept, code_len), code_len);
    let folded = |layer: &[f32], below: &[f32]| {
        let columns = below.len();
        let mut weight = product(&pca.directions, layer, width, kept, columns);
        weight.iter_mut().for_each(|value| *value *= scale);
        let shift = product(&pca.mean, &weight, 1, width, columns);
        let bias = shift.iter().zip(below);
        let bias: Vec<f32> = bias.map(|(shift, below)| -shift - below).collect();
        (weight, bias)
    };
    let (code, code_bias) = folded(&encoder, &code_centre);
    let (hash, medians) = hash_layer(&clean, (all, kept), (options.bits, options.seed))?;
    let (hash, hash_bias) = folded(&hash, &medians);
    Ok(Head {
        lens,
        hidden: None,
        code,
        code_bias,
        hash,
        hash_bias,
        hash_weight: options.hash_weight,
        kind: SEMANTIC,
        record: Record {
            photographs: n,
            views: views.len(),
            epochs,
            hidden: 0,
            neighbours: 0,
            rounds: 0,
            contrast_temperature: 0.0,
            batch: options.batch.min(all),
            learning_rate: options.learning_rate,
            neighbourhood_weight: options.neighbourhood_weight,
            reconstruction_weight: options.reconstruction_weight,
            contrast_weight: options.contrast_weight,
            feature_temperature: options.feature_temperature,
            code_temperature: options.code_temperature,
            class_temperature: options.class_temperature,
            direction_weight: options.direction_weight,
            imagined: imagined_rows,
            seed: options.seed,
            last_loss,
        },
    })
}

/// How far rows are spread about their mean along all main directions together.
fn spread(pca: &baseline::Pca) -> Result<f32> {
    let spread = pca.variances.iter().sum::<f32>().sqrt();
    if spread.is_finite() && spread > LEAST_SPREAD {
        return Ok(spread);
    }
    Err(Error::BadInput(
        "the photographs' features do not differ in any way that could be learned".to_owned(),
    ))
}
