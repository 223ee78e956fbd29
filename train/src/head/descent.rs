//! Gradient descent on the objective, from half-whitened principal components.

use std::ops::ControlFlow;

use candle_core::Tensor;
use candle_nn::optim::{AdamW, Optimizer, ParamsAdamW};

use super::objective::{Batch, Model};
use super::options::{EpochReport, HeadOptions};
use crate::error::Error;
use crate::linear::{Normal, product};

/// Returns the first principal components, each divided by the fourth root of its variance, scaled so
/// that codes have a length of about one. `rows` are projected already.
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

/// An encoder and how it was found.
pub(super) struct Fitted {
    /// `[d, code_len]`.
    pub encoder: Vec<f32>,
    /// Number of epochs done.
    pub epochs: usize,
    pub last_loss: f64,
}

/// Improves the encoder `start`, `[d, code_len]`, by gradient descent on `n` rows of `d` numbers and
/// their altered copies.
pub(super) fn fit(
    clean: &[f32],
    views: &[Vec<f32>],
    n: usize,
    start: &[f32],
    options: &HeadOptions,
    progress: &mut dyn FnMut(&EpochReport) -> ControlFlow<()>,
) -> Result<Fitted, Failed> {
    let d = clean.len() / n;
    let mut random = Normal::new(options.seed);
    let (code_len, width) = (options.code_len, options.decoder_width);
    let model = Model::new(start, d, code_len, width, &mut random)?;
    let settings = ParamsAdamW {
        weight_decay: 0.0,
        ..ParamsAdamW::default()
    };
    let mut optimizer = AdamW::new(model.parameters(), settings)?;
    let mut copies: Vec<&[f32]> = vec![clean];
    copies.extend(views.iter().map(Vec::as_slice));
    let batch = options.batch.min(n);
    let steps_per_epoch = n / batch;
    let steps = steps_per_epoch * options.epochs;
    let (mut step, mut epochs, mut last_loss) = (0, 0, 0.0);
    for epoch in 1..=options.epochs {
        let order = random.shuffled(n);
        let mut sums = [0.0f64; 4];
        for places in order.chunks_exact(batch) {
            let batch = draw(&copies, places, d, &mut random)?;
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
            sums.map(|sum| sum / steps_per_epoch as f64);
        if !loss.is_finite() {
            return Err(Failed::Diverged);
        }
        (epochs, last_loss) = (epoch, loss);
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
    Ok(Fitted {
        encoder,
        epochs,
        last_loss,
    })
}

/// Draws a batch: two different copies of each image, if there are two.
fn draw(
    copies: &[&[f32]],
    places: &[usize],
    d: usize,
    random: &mut Normal,
) -> candle_core::Result<Batch> {
    let gather = |rows: &[f32]| {
        let mut picked = Vec::with_capacity(places.len() * d);
        for &i in places {
            picked.extend_from_slice(&rows[i * d..(i + 1) * d]);
        }
        Tensor::from_vec(picked, (places.len(), d), &candle_core::Device::Cpu)
    };
    let first = random.below(copies.len());
    let second = (first + 1 + random.below(copies.len().saturating_sub(1))) % copies.len();
    Ok(Batch {
        one: gather(copies[first])?,
        other: gather(copies[second])?,
        clean: gather(copies[0])?,
    })
}

/// Returns the learning rate at a step, as a share of the maximum. It rises over the first tenth and
/// falls to zero at the end, both along half a cosine (Smith and Topin 2018).
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
