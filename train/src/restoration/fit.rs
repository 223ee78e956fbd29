//! Training: batches of corrupted and clean patches, and steps of Adam.

use std::ops::ControlFlow;
use std::time::Instant;

use candle_core::{Device, Tensor};

use super::Task;
use super::network::{COLOURS, Network, PLANES};
use crate::autoencoder::Adam;
use crate::error::{Error, Result};
use crate::linear::Normal;

/// Rounding of the loss near zero (Charbonnier et al. 1994), in the unit of pixels from 0 to 1.
const SOFT: f64 = 0.01;
/// The share of the training in which the learning rate rises.
const WARM_UP: f64 = 0.03;
/// Number of reports of a training.
const REPORTS: usize = 20;
/// The network takes pictures whose sides are multiples of this.
const MULTIPLE: usize = 8;

/// Patches to learn from.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Side of a patch in pixels.
    pub side: usize,
    /// Corrupted patches, `[n, 4, side, side]`: red, green and blue from -0.5 to 0.5, and the fourth plane.
    pub inputs: Vec<f32>,
    /// Clean patches, `[n, 3, side, side]`.
    pub targets: Vec<f32>,
    /// How much each pixel counts, `[n, 1, side, side]`.
    pub weights: Vec<f32>,
}

/// How long a training takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Duration {
    /// Number of steps. The same seed gives the same file on the same machine.
    Steps(usize),
    /// Seconds. How far it comes depends on the machine.
    Seconds(f64),
}

/// How to train.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// How long.
    pub duration: Duration,
    /// Channels of the largest layers. Default: 24.
    pub width: usize,
    /// Patches of a step. Default: 16.
    pub batch: usize,
    /// Side of a patch in pixels, a multiple of 8. Default: 64.
    pub side: usize,
    /// Maximum learning rate of one cycle. Default: 0.002.
    pub learning_rate: f64,
    /// Seed of the first weights.
    pub seed: u64,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            duration: Duration::Seconds(600.0),
            width: 24,
            batch: 16,
            side: 64,
            learning_rate: 0.002,
            seed: 0,
        }
    }
}

/// How a training goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Report {
    /// Share that is done, from 0 to 1.
    pub done: f64,
    /// Number of steps so far.
    pub steps: usize,
    /// Mean loss since the last report.
    pub loss: f64,
    /// PSNR of the held-out patches in dB, of the pixels that count.
    pub held_out: f64,
    /// PSNR of the held-out patches before they are restored.
    pub corrupted: f64,
    /// Patches a second.
    pub rate: f64,
}

/// A trained network.
#[derive(Debug, Clone)]
pub struct Restored {
    pub(super) network: Network,
    pub(super) task: Task,
    /// The reports of the training, the last one of its end.
    pub reports: Vec<Report>,
    /// Seconds of training.
    pub seconds: f64,
}

/// Trains a network on the batches that `draw` makes of a step's number. `progress` can end the run; what
/// was learned is kept.
///
/// # Errors
///
/// [`Error::InvalidInput`] if a batch has another size than the schedule says, [`Error::Training`] if
/// the loss diverges.
pub fn train(
    task: Task,
    schedule: &Schedule,
    held_out: &Batch,
    draw: &mut dyn FnMut(usize, usize) -> Result<Batch>,
    progress: &mut dyn FnMut(Option<&Report>) -> ControlFlow<()>,
) -> Result<Restored> {
    check(schedule)?;
    let mut random = Normal::new(schedule.seed);
    let network = Network::new(schedule.width, &mut random).map_err(failed)?;
    let mut adam = Adam::new(network.parameters());
    let started = Instant::now();
    let mut restored = Restored {
        network,
        task,
        reports: Vec::new(),
        seconds: 0.0,
    };
    let corrupted = psnr_of(held_out);
    let (mut steps, mut losses, mut next) = (0, Vec::new(), 1.0 / REPORTS as f64);
    loop {
        let share = match schedule.duration {
            Duration::Steps(all) => steps as f64 / all.max(1) as f64,
            Duration::Seconds(all) => started.elapsed().as_secs_f64() / all,
        };
        let stopped = progress(None).is_break();
        let is_over = share >= 1.0 || stopped;
        if (share >= next || is_over) && steps > 0 {
            next += 1.0 / REPORTS as f64;
            let report = Report {
                done: share.min(1.0),
                steps,
                loss: losses.iter().sum::<f64>() / losses.len().max(1) as f64,
                held_out: restored.psnr(held_out, schedule.side)?,
                corrupted,
                rate: (steps * schedule.batch) as f64 / started.elapsed().as_secs_f64(),
            };
            losses.clear();
            restored.reports.push(report);
            if progress(Some(&report)).is_break() || is_over {
                break;
            }
        }
        if is_over {
            break;
        }
        let batch = draw(steps, schedule.batch)?;
        let loss = loss(&restored.network, &batch, schedule.side)?;
        let value = f64::from(loss.to_scalar::<f32>().map_err(failed)?);
        if !value.is_finite() {
            return Err(Error::Training("the loss is not finite".to_owned()));
        }
        losses.push(value);
        let rate = schedule.learning_rate * cycle(share);
        adam.descend(&loss, rate).map_err(failed)?;
        steps += 1;
    }
    if steps == 0 {
        return Err(Error::Training(
            "it was stopped before its first step".to_owned(),
        ));
    }
    restored.seconds = started.elapsed().as_secs_f64();
    Ok(restored)
}

/// The learning rate's share of its maximum: it rises, and falls as a cosine.
fn cycle(share: f64) -> f64 {
    if share < WARM_UP {
        return (share / WARM_UP).max(0.05);
    }
    let rest = ((share - WARM_UP) / (1.0 - WARM_UP)).min(1.0);
    0.01 + 0.99 * 0.5 * (1.0 + (std::f64::consts::PI * rest).cos())
}

fn check(schedule: &Schedule) -> Result<()> {
    let ok = schedule.side > 0
        && schedule.side.is_multiple_of(MULTIPLE)
        && schedule.width > 0
        && schedule.batch > 0;
    if ok {
        return Ok(());
    }
    Err(Error::InvalidInput(format!(
        "patches of side {} cannot be trained on: the side is a multiple of {MULTIPLE}, and width and batch are above zero",
        schedule.side
    )))
}

fn failed(error: candle_core::Error) -> Error {
    Error::Training(error.to_string())
}

fn tensor(values: &[f32], planes: usize, side: usize) -> Result<Tensor> {
    let one = planes * side * side;
    if values.is_empty() || !values.len().is_multiple_of(one) {
        return Err(Error::InvalidInput(format!(
            "{} numbers are no patches of {planes} planes and side {side}",
            values.len()
        )));
    }
    let shape = (values.len() / one, planes, side, side);
    Tensor::from_slice(values, shape, &Device::Cpu).map_err(failed)
}

/// The mean of sqrt(d² + ε²) - ε over the pixels that count.
fn loss(network: &Network, batch: &Batch, side: usize) -> Result<Tensor> {
    let inputs = tensor(&batch.inputs, PLANES, side)?;
    let targets = tensor(&batch.targets, COLOURS, side)?;
    let weights = tensor(&batch.weights, 1, side)?;
    let all: f64 = batch.weights.iter().map(|&weight| f64::from(weight)).sum();
    let compute = || -> candle_core::Result<Tensor> {
        let error = (network.forward(&inputs)? - targets)?;
        let soft = ((error.sqr()? + SOFT * SOFT)?.sqrt()? - SOFT)?;
        soft.broadcast_mul(&weights)?.sum_all()? / (all * COLOURS as f64).max(1.0)
    };
    compute().map_err(failed)
}

/// PSNR in dB of values from 0 to 1, of the pixels that count.
fn psnr(made: &[f32], batch: &Batch, planes: usize) -> f64 {
    let area = batch.side * batch.side;
    let (mut sum, mut all) = (0.0, 0.0);
    for (i, &target) in batch.targets.iter().enumerate() {
        let (patch, rest) = (i / (COLOURS * area), i % (COLOURS * area));
        let weight = f64::from(batch.weights[patch * area + rest % area]);
        let error = f64::from(made[patch * planes * area + rest] - target);
        sum += weight * error * error;
        all += weight;
    }
    -10.0 * (sum / all.max(1.0)).max(1e-10).log10()
}

fn psnr_of(batch: &Batch) -> f64 {
    psnr(&batch.inputs, batch, PLANES)
}

impl Restored {
    /// Restores patches `[n, 4, height, width]`, with sides that are multiples of 8. Returns
    /// `[n, 3, height, width]`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if the number of values differs.
    pub fn run(&self, inputs: &[f32], [height, width]: [usize; 2]) -> Result<Vec<f32>> {
        let one = PLANES * height * width;
        let fits = height.is_multiple_of(MULTIPLE) && width.is_multiple_of(MULTIPLE);
        if one == 0 || !fits || !inputs.len().is_multiple_of(one) {
            return Err(Error::InvalidInput(format!(
                "{} numbers are no pictures of {width} × {height} in 4 planes",
                inputs.len()
            )));
        }
        let shape = (inputs.len() / one, PLANES, height, width);
        Tensor::from_slice(inputs, shape, &Device::Cpu)
            .and_then(|inputs| self.network.forward(&inputs)?.flatten_all()?.to_vec1())
            .map_err(failed)
    }

    fn psnr(&self, batch: &Batch, side: usize) -> Result<f64> {
        let made = self.run(&batch.inputs, [side, side])?;
        Ok(psnr(&made, batch, COLOURS))
    }

    /// What the network was trained for.
    pub fn task(&self) -> Task {
        self.task
    }
}
