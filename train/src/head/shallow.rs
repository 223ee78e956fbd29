//! Heads without a hidden layer: one matrix from the principal components to the code.

use std::ops::ControlFlow;

use super::descent::{Failed, Fitted, fit, half_whitened};
use super::feature_transform::FeatureTransform;
use super::model::{Head, Record, SEMANTIC};
use super::options::{EpochReport, HeadOptions};
use super::set::{MAX_DIRECTIONS, TrainingSet, check, spread};
use crate::baseline::Pca;
use crate::error::{Error, Result};
use crate::hashing::hash_layer;
use crate::linear::{self, product};

/// Separates the draws of synthetic features from those of training.
const SYNTHESIS: u64 = 0x1b87_3593_cc9e_2d51;

/// Trains a head without a hidden layer; [`super::train_head`] says how.
pub(super) fn train(
    set: &TrainingSet<'_>,
    options: &HeadOptions,
    progress: &mut dyn FnMut(&EpochReport) -> ControlFlow<()>,
) -> Result<Head> {
    let n = check(set, options)?;
    let transform =
        FeatureTransform::new(linear::mean(set.clean, set.d), set.prior.clone(), options);
    let width = transform.width();
    let mut random = linear::Normal::new(options.seed ^ SYNTHESIS);
    let synthetic = set
        .prior
        .synthetic(set.clean, set.d, options.synthetic, &mut random);
    let synthetic_rows = synthetic.len() / set.d;
    let synthetic = transform.apply(&synthetic, synthetic_rows);
    // Synthetic rows have no altered copies. They are their own copies.
    let seen = |features: &[f32]| {
        let mut rows = transform.apply(features, n);
        rows.extend_from_slice(&synthetic);
        rows
    };
    let all = n + synthetic_rows;

    let clean = seen(set.clean);
    let kept = width.min(all - 1).min(MAX_DIRECTIONS.max(options.code_len));
    if options.code_len > kept {
        return Err(Error::InvalidInput(format!(
            "a code of {} numbers cannot be learned from {n} images and {width} features; ask for at most {kept}",
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
    let Fitted {
        encoder,
        epochs,
        last_loss,
    } = fit(&clean, &views, all, &start, options, progress).map_err(Failed::into_error)?;

    let fold = Fold {
        pca: &pca,
        width,
        scale,
    };
    let code_len = options.code_len;
    let code_centre = linear::mean(&product(&clean, &encoder, all, kept, code_len), code_len);
    let (code, code_bias) = fold.layer(&encoder, &code_centre);
    let (hash, medians) = hash_layer(&clean, (all, kept), (options.bits, options.seed))?;
    let (hash, hash_bias) = fold.layer(&hash, &medians);
    let record = Record {
        images: n,
        views: views.len(),
        epochs,
        batch: options.batch.min(all),
        synthetic: synthetic_rows,
        last_loss,
        ..record(options)
    };
    Ok(Head {
        transform,
        hidden: None,
        code,
        code_bias,
        hash,
        hash_bias,
        hash_weight: options.hash_weight,
        kind: SEMANTIC,
        record,
    })
}

/// Folds centring, projection and scaling into a layer behind them:
/// `layer = ((seen - mean) V * scale) E - below` becomes one matrix and a bias.
struct Fold<'a> {
    pca: &'a Pca,
    width: usize,
    scale: f32,
}

impl Fold<'_> {
    fn layer(&self, layer: &[f32], below: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let (columns, kept) = (below.len(), self.pca.variances.len());
        let mut weight = product(&self.pca.directions, layer, self.width, kept, columns);
        weight.iter_mut().for_each(|value| *value *= self.scale);
        let shift = product(&self.pca.mean, &weight, 1, self.width, columns);
        let bias = shift.iter().zip(below);
        let bias = bias.map(|(shift, below)| -shift - below).collect();
        (weight, bias)
    }
}

/// Returns what the options say about a training.
fn record(options: &HeadOptions) -> Record {
    Record {
        learning_rate: options.learning_rate,
        neighbourhood_weight: options.neighbourhood_weight,
        reconstruction_weight: options.reconstruction_weight,
        contrast_weight: options.contrast_weight,
        feature_temperature: options.feature_temperature,
        code_temperature: options.code_temperature,
        class_temperature: options.class_temperature,
        direction_weight: options.direction_weight,
        seed: options.seed,
        ..Record::default()
    }
}
