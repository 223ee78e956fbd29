//! Heads without a hidden layer: one matrix from the main directions to the code.

use std::ops::ControlFlow;

use super::descent::{Failed, fit, half_whitened};
use super::feature_transform::Lens;
use super::model::{Head, Record, SEMANTIC};
use super::options::{EpochReport, HeadOptions};
use super::set::{MOST_DIRECTIONS, TrainingSet, check, spread};
use crate::baseline::Pca;
use crate::error::{Error, Result};
use crate::hashing::hash_layer;
use crate::linear::{self, product};

/// Parts the draw of imagined features from those of training.
const IMAGINING: u64 = 0x1b87_3593_cc9e_2d51;

/// Trains a head without a hidden layer; [`super::train_head`] says how.
pub(super) fn train(
    set: &TrainingSet<'_>,
    options: &HeadOptions,
    progress: &mut dyn FnMut(&EpochReport) -> ControlFlow<()>,
) -> Result<Head> {
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
        return Err(Error::InvalidInput(format!(
            "a code of {} numbers cannot be learned from {n} photographs and {width} features; ask for at most {kept}",
            options.code_len
        )));
    }
    let pca = Pca::fit(&clean, all, width, kept)?;
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
