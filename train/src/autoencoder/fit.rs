//! A training run: restores its state, trains epoch after epoch, validates and saves.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use candle_core::{Device, Tensor, Var};

use super::adam::Adam;
use super::checkpoint::{Checkpoint, Header};
use super::design::Recipe;
use super::epoch::Epoch;
use super::network::Network;
use super::objective::{StepNoise, reconstruction, terms};
use super::samples::{AT_ONCE, Samples};
use crate::error::{Error, Result};
use crate::head::descent::one_cycle;
use crate::linear::Normal;

/// The result of a run.
pub(super) struct Fitted {
    pub network: Network,
    pub epochs: Vec<Epoch>,
    /// The epoch whose parameters were kept.
    pub best: usize,
}

/// The best parameters so far.
pub(super) struct Best {
    /// Their cost on the held-out samples.
    pub held_out: f64,
    /// The epoch that they are from; 0 before the first.
    pub epoch: usize,
    pub parameters: Vec<Tensor>,
}

impl Best {
    /// Returns the best of no epoch.
    pub fn none() -> Self {
        Self {
            held_out: f64::INFINITY,
            epoch: 0,
            parameters: Vec::new(),
        }
    }

    /// Keeps the parameters of an epoch if they are better.
    pub fn offer(&mut self, epoch: usize, held_out: f64, parameters: &[Var]) -> Result<()> {
        if held_out < self.held_out {
            let copies = parameters.iter().map(|var| var.as_tensor().copy());
            *self = Self {
                held_out,
                epoch,
                parameters: copies.collect::<candle_core::Result<_>>().map_err(failed)?,
            };
        }
        Ok(())
    }

    /// Returns whether `patience` epochs brought nothing better.
    pub fn is_exhausted(&self, epoch: usize, patience: usize) -> bool {
        epoch >= self.epoch + patience.max(1)
    }

    /// Sets the parameters to the best.
    pub fn restore(&self, parameters: &[Var]) -> Result<()> {
        for (parameter, kept) in parameters.iter().zip(&self.parameters) {
            parameter.set(kept).map_err(failed)?;
        }
        Ok(())
    }
}

/// Returns the error of a failed computation.
pub(super) fn failed(error: candle_core::Error) -> Error {
    Error::Training(error.to_string())
}

/// Refuses a loss that diverged.
pub(super) fn require_finite(loss: f64, held_out: f64) -> Result<()> {
    if loss.is_finite() && held_out.is_finite() {
        return Ok(());
    }
    Err(Error::Training(
        "the loss is not finite; a lower learning rate may help".to_owned(),
    ))
}

/// The mean losses of an epoch.
struct Losses {
    whole: f64,
    reconstruction: f64,
    others: Vec<(String, f64)>,
}

struct Run<'a> {
    recipe: &'a Recipe,
    samples: &'a Samples<'a>,
    held_out: &'a Samples<'a>,
    network: Network,
    parameters: Vec<Var>,
    adam: Adam,
    epochs: Vec<Epoch>,
    best: Best,
}

/// Trains, and reports every epoch to `progress`, which can end the run. If there is a `checkpoint`,
/// the run resumes from it and writes its state to it after each epoch.
pub(super) fn fit(
    recipe: &Recipe,
    samples: &Samples<'_>,
    held_out: &Samples<'_>,
    checkpoint: Option<&Path>,
    progress: &mut dyn FnMut(&Epoch) -> ControlFlow<()>,
) -> Result<Fitted> {
    let schedule = &recipe.schedule;
    let mut run = Run::new(recipe, samples, held_out)?;
    let header = checkpoint.map(|_| run.header());
    if let (Some(path), Some(header)) = (checkpoint.filter(|path| path.exists()), &header) {
        run.resume(Checkpoint::load(path, header)?)?;
    }
    let done = run.epochs.len();
    for epoch in done + 1..=schedule.epochs {
        if done > 0 && run.best.is_exhausted(epoch - 1, schedule.patience) {
            break;
        }
        let report = run.epoch(epoch)?;
        let over = progress(&report).is_break() || run.best.is_exhausted(epoch, schedule.patience);
        run.epochs.push(report);
        if let (Some(path), Some(header)) = (checkpoint, &header) {
            run.state(header)?.save(path)?;
        }
        if over {
            break;
        }
    }
    run.best.restore(&run.parameters)?;
    Ok(Fitted {
        network: run.network,
        epochs: run.epochs,
        best: run.best.epoch,
    })
}

impl<'a> Run<'a> {
    fn new(
        recipe: &'a Recipe,
        samples: &'a Samples<'a>,
        held_out: &'a Samples<'a>,
    ) -> Result<Self> {
        let mut random = Normal::new(recipe.schedule.seed);
        let network = Network::new(&recipe.design, &mut random).map_err(failed)?;
        let parameters: Vec<Var> = network
            .parameters()
            .into_iter()
            .map(|(_, var)| var)
            .collect();
        Ok(Self {
            recipe,
            samples,
            held_out,
            network,
            adam: Adam::new(parameters.clone()),
            parameters,
            epochs: Vec::new(),
            best: Best::none(),
        })
    }

    /// Returns what identifies this run in its checkpoint.
    fn header(&self) -> Header {
        let digests = [self.samples.digest(), self.held_out.digest()].concat();
        Header {
            design: self.recipe.design.clone(),
            schedule: self.recipe.schedule.clone(),
            samples: self.samples.len(),
            held_out: self.held_out.len(),
            content: blake3::hash(&digests).to_hex().to_string(),
            epochs: Vec::new(),
            best: 0,
            steps: 0,
            lengths: self.parameters.iter().map(|var| var.elem_count()).collect(),
        }
    }

    /// Takes over the state of an interrupted run.
    fn resume(&mut self, saved: Checkpoint) -> Result<()> {
        let tensors = |all: &[Vec<f32>]| -> Result<Vec<Tensor>> {
            let shaped = all.iter().zip(&self.parameters);
            shaped
                .map(|(values, var)| Tensor::from_slice(values, var.shape(), &Device::Cpu))
                .collect::<candle_core::Result<_>>()
                .map_err(failed)
        };
        for (var, values) in self.parameters.iter().zip(tensors(&saved.parameters)?) {
            var.set(&values).map_err(failed)?;
        }
        self.epochs = saved.header.epochs;
        let epoch = saved.header.best;
        let report = epoch.checked_sub(1).and_then(|i| self.epochs.get(i));
        self.best = Best {
            held_out: report.map_or(f64::INFINITY, |report| report.held_out),
            epoch,
            parameters: tensors(&saved.best)?,
        };
        self.adam.moments = saved.moments;
        self.adam.step = saved.header.steps;
        Ok(())
    }

    /// Returns the state to save.
    fn state(&self, header: &Header) -> Result<Checkpoint> {
        let read = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<f32>();
        let all = |tensors: &mut dyn Iterator<Item = &Tensor>| {
            let values: candle_core::Result<Vec<Vec<f32>>> = tensors.map(read).collect();
            values.map_err(failed)
        };
        Ok(Checkpoint {
            header: Header {
                epochs: self.epochs.clone(),
                best: self.best.epoch,
                steps: self.adam.step,
                ..header.clone()
            },
            parameters: all(&mut self.parameters.iter().map(Var::as_tensor))?,
            best: all(&mut self.best.parameters.iter())?,
            moments: self.adam.moments.clone(),
        })
    }

    /// Trains one epoch, validates it and keeps its parameters if they are the best.
    fn epoch(&mut self, epoch: usize) -> Result<Epoch> {
        let started = Instant::now();
        let losses = self.descend(epoch).map_err(failed)?;
        let rate = (self.steps_per_epoch() * self.batch()) as f64 / started.elapsed().as_secs_f64();
        let held_out = self.validate().map_err(failed)?;
        require_finite(losses.whole, held_out)?;
        self.best.offer(epoch, held_out, &self.parameters)?;
        Ok(Epoch {
            epoch,
            of: self.recipe.schedule.epochs,
            loss: losses.whole,
            reconstruction: losses.reconstruction,
            terms: losses.others,
            held_out,
            rate,
        })
    }

    fn batch(&self) -> usize {
        self.recipe.schedule.batch.min(self.samples.len())
    }

    fn steps_per_epoch(&self) -> usize {
        self.samples.len() / self.batch()
    }

    /// Does the steps of one epoch.
    fn descend(&mut self, epoch: usize) -> candle_core::Result<Losses> {
        let Recipe {
            design, schedule, ..
        } = self.recipe;
        let steps_per_epoch = self.steps_per_epoch();
        let steps = steps_per_epoch * schedule.epochs;
        let first = (epoch - 1) * steps_per_epoch;
        // Each epoch has its own seed, so a resumed run draws what an uninterrupted one draws.
        let mut random =
            Normal::new(schedule.seed ^ (epoch as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut losses = Losses {
            whole: 0.0,
            reconstruction: 0.0,
            others: Vec::new(),
        };
        let shuffled = random.shuffled(self.samples.len());
        for (i, places) in shuffled.chunks_exact(self.batch()).enumerate() {
            let clean = self.samples.tensor(places)?;
            let noise = StepNoise::draw(design, &clean, &mut random)?;
            let terms = terms(&self.network, &clean, &noise)?;
            let total = terms.total()?;
            let rate = schedule.learning_rate * one_cycle(first + i, steps);
            self.adam.descend(&total, rate)?;
            let value = |tensor: &Tensor| tensor.to_scalar::<f32>().map(f64::from);
            let share = 1.0 / steps_per_epoch as f64;
            losses.whole += share * value(&total)?;
            losses.reconstruction += share * value(&terms.reconstruction)?;
            if losses.others.is_empty() {
                let names = terms.others.iter();
                losses.others = names.map(|(name, _)| ((*name).to_owned(), 0.0)).collect();
            }
            for ((_, sum), (_, term)) in losses.others.iter_mut().zip(&terms.others) {
                *sum += share * value(term)?;
            }
        }
        Ok(losses)
    }

    /// Returns the mean cost of reconstructing a held-out sample.
    fn validate(&self) -> candle_core::Result<f64> {
        let mut sum = 0.0;
        let all: Vec<usize> = (0..self.held_out.len()).collect();
        for places in all.chunks(AT_ONCE) {
            let clean = self.held_out.tensor(places)?;
            let logits = rebuilt(&self.network, &clean)?;
            let costs = reconstruction(&self.network.design, &logits, &clean)?;
            sum += f64::from(costs.sum_all()?.to_scalar::<f32>()?);
        }
        Ok(sum / all.len() as f64)
    }
}

/// Returns the logits of the reconstruction, through the code as it is stored.
pub(super) fn rebuilt(network: &Network, samples: &Tensor) -> candle_core::Result<Tensor> {
    let encoded = network.encode(samples, None)?;
    let bottleneck = super::objective::bottleneck(&encoded.code, encoded.logits.as_ref())?;
    network.decode(&bottleneck)
}
