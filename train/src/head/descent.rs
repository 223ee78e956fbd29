//! The descent: from the half-whitened main directions down the gradient of the objective.

use std::ops::ControlFlow;

use candle_core::Tensor;
use candle_nn::optim::{AdamW, Optimizer, ParamsAdamW};

use super::objective::{Batch, Model};
use super::options::{EpochReport, HeadOptions};
use crate::error::Error;
use crate::linear::{Normal, product};

/// The first main directions, each divided by the fourth root of its variance, scaled so that codes
/// have a length of about one. `rows` lie along the directions already.
pub(super) fn half_whitened(
    variances: &[f32],
    code_len: usize,
    rows: &[f32],
    n: usize,
) -> Vec<f32> {
    let width = variances.len();
    let mut encoder = vec![0.0; width * code_len];
    for (j, variance) in variances.iter().enumerate().take(code_len) {
        encoder[j * code_len + j] = variance.powf(-0.25);
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

/// Why a descent ended without a result.
pub(super) enum Failed {
    Diverged,
    Candle(candle_core::Error),
}

impl Failed {
    pub fn into_error(self) -> Error {
        Error::Training(match self {
            Self::Diverged => "the loss is not finite; a lower learning rate may help".to_owned(),
            Self::Candle(error) => error.to_string(),
        })
    }
}

impl From<candle_core::Error> for Failed {
    fn from(error: candle_core::Error) -> Self {
        Self::Candle(error)
    }
}

/// Moves the encoder by gradient descent; the encoder, the passes done, and the last loss.
pub(super) fn fit(
    clean: &[f32],
    views: &[Vec<f32>],
    n: usize,
    d: usize,
    start: &[f32],
    options: &HeadOptions,
    progress: &mut dyn FnMut(&EpochReport) -> ControlFlow<()>,
) -> Result<(Vec<f32>, usize, f64), Failed> {
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
        let mut picked = Vec::with_capacity(places.len() * d);
        for &i in places {
            picked.extend_from_slice(&rows[i * d..(i + 1) * d]);
        }
        Tensor::from_vec(picked, (places.len(), d), &candle_core::Device::Cpu)
    };
    let (mut step, mut done, mut last_loss) = (0, 0, 0.0);
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
        (done, last_loss) = (epoch, loss);
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
    Ok((encoder, done, last_loss))
}

/// The learning rate's share at a step: up over the first tenth, down to nothing at the end, both
/// along half a cosine (Smith and Topin 2018).
pub(crate) fn one_cycle(step: usize, steps: usize) -> f64 {
    let rise = (steps as f64 / 10.0).max(1.0);
    let step = step as f64 + 0.5;
    let along = if step < rise {
        step / rise
    } else {
        1.0 - (step - rise) / (steps as f64 - rise).max(1.0)
    };
    (1.0 - (along.clamp(0.0, 1.0) * std::f64::consts::PI).cos()) / 2.0
}
