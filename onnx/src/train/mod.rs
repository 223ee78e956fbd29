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

pub(crate) mod descent;
pub(crate) mod hashing;
mod head;
pub(crate) mod linear;
pub(crate) mod objective;
mod options;
mod quality;
mod set;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;

pub use head::{Head, HeadOutput, Identity};
pub use options::{EpochReport, TrainOptions};
pub use quality::neighbourhood_preservation;
pub use set::{LEAST_PHOTOGRAPHS, Metric, TrainingSet};

use crate::error::{Error, Result};
use descent::{Failed, fit, half_whitened};
use hashing::hash_layer;
use head::{Record, directions};
use linear::product;
use set::check;

/// Linear methods without training, to measure a trained encoder against.
pub mod baseline {
    pub use super::linear::{Itq, Pca, random_signs};
}

/// The most directions of a bare trunk that a hash is made from.
const MOST_HASH_DIRECTIONS: usize = 512;

/// Directions of features that are spread less about their mean differ by rounding only; their
/// length is one.
const LEAST_SPREAD: f32 = 1e-5;

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
    let spread = pca.variances.iter().sum::<f32>().sqrt();
    if !(spread.is_finite() && spread > LEAST_SPREAD) {
        return Err(Error::BadInput(
            "the photographs' features do not differ in any way that could be learned".to_owned(),
        ));
    }
    let scale = spread.recip();
    let scaled = |mut rows: Vec<f32>| {
        linear::centre(&mut rows, &pca.mean);
        rows.iter_mut().for_each(|value| *value *= scale);
        rows
    };
    let clean = scaled(clean);
    let views: Vec<Vec<f32>> = set.views.iter().map(|view| scaled(rows_of(view))).collect();

    let start = half_whitened(&pca, options.code_len, &clean, n, width);
    let (encoder, epochs, last_loss) = fit(&clean, &views, n, width, &start, options, progress)
        .map_err(|error| match error {
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

    let (hash, hash_bias) = hash_layer(
        &pca,
        &clean,
        (n, width),
        scale,
        (options.bits, options.seed),
    )?;
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
            epochs,
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
