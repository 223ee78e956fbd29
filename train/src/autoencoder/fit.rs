//! The descent: batches, steps of Adam, and the best pass kept.

use std::ops::ControlFlow;
use std::path::Path;

use candle_core::{Device, Tensor, Var};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::checkpoint::{Checkpoint, Header};
use super::design::{Design, Schedule, Shape};
use super::network::Network;
use super::objective::{Chance, reconstruction, terms};
use crate::error::{Error, Result};
use crate::head::descent::one_cycle;
use crate::linear::{self, Normal};

/// What an autoencoder is trained on: pictures, or rows of features.
#[derive(Debug, Clone, Copy)]
pub struct Pictures<'a> {
    shape: Shape,
    values: Values<'a>,
    /// Which of the values count; all where there is none.
    only: Option<&'a [usize]>,
    /// What stands for their content.
    source: Option<[u8; 32]>,
}

#[derive(Debug, Clone, Copy)]
enum Values<'a> {
    Pixels(&'a [u8]),
    Features(&'a [f32], &'a Scaling),
}

/// How features are brought to the order of magnitude that training expects: without their mean,
/// and of length one on average.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Scaling {
    /// What is taken from each row.
    pub mean: Vec<f32>,
    /// What each number is then multiplied by.
    pub scale: f32,
}

impl Scaling {
    /// Of rows of `d` features.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] where numbers are not finite or all rows alike.
    pub fn of(rows: &[f32], d: usize) -> Result<Self> {
        let mean = linear::mean(rows, d);
        let mut sum = 0.0;
        for row in rows.chunks_exact(d) {
            let centred = row.iter().zip(&mean);
            sum += centred
                .map(|(value, mean)| f64::from(value - mean).powi(2))
                .sum::<f64>();
        }
        let length = (sum / (rows.len() / d).max(1) as f64).sqrt();
        let scale = length.recip() as f32;
        if !(scale.is_finite() && scale > 0.0) {
            return Err(Error::InvalidInput(
                "the features do not differ, or are not finite: there is nothing to learn"
                    .to_owned(),
            ));
        }
        Ok(Self { mean, scale })
    }
}

impl<'a> Pictures<'a> {
    /// Pictures: bytes row by row, channels last, `[n, height, width, channels]`.
    pub fn new(shape: Shape, pixels: &'a [u8]) -> Self {
        Self {
            shape,
            values: Values::Pixels(pixels),
            only: None,
            source: None,
        }
    }

    /// Rows of features, `[n, d]`.
    pub fn features(rows: &'a [f32], scaling: &'a Scaling) -> Self {
        Self {
            shape: Shape::features(scaling.mean.len()),
            values: Values::Features(rows, scaling),
            only: None,
            source: None,
        }
    }

    /// Only those at these places, of the ones that were given first.
    #[must_use]
    pub fn only(&self, places: &'a [usize]) -> Self {
        Self {
            only: Some(places),
            ..*self
        }
    }

    /// Names where they come from. A run that goes on compares this instead of the numbers: those that a graphics
    /// card computed are not the same to the last digit the next time.
    #[must_use]
    pub fn from_source(&self, source: [u8; 32]) -> Self {
        Self {
            source: Some(source),
            ..*self
        }
    }

    /// BLAKE3 of the pictures in their order, or of what stands for them.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(format!("{:?} {}", self.shape, self.len()).as_bytes());
        if let Some(source) = &self.source {
            hasher.update(source);
            for place in self.only.into_iter().flatten() {
                hasher.update(&(*place as u64).to_le_bytes());
            }
            return *hasher.finalize().as_bytes();
        }
        let d = self.shape.len();
        for i in 0..self.len() {
            let place = self.only.map_or(i, |only| only[i]) * d;
            match self.values {
                Values::Pixels(pixels) => {
                    hasher.update(&pixels[place..place + d]);
                }
                Values::Features(rows, _) => {
                    let row = rows[place..place + d].iter();
                    let bytes: Vec<u8> = row.flat_map(|value| value.to_le_bytes()).collect();
                    hasher.update(&bytes);
                }
            }
        }
        *hasher.finalize().as_bytes()
    }

    /// Of each.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        if let Some(only) = self.only {
            return only.len();
        }
        let numbers = match self.values {
            Values::Pixels(pixels) => pixels.len(),
            Values::Features(rows, _) => rows.len(),
        };
        numbers / self.shape.len().max(1)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Some of them as numbers, `[n, channels × height × width]`, channels first: pixels from 0 to
    /// 1, features scaled.
    pub(super) fn numbers(&self, places: &[usize]) -> Vec<f32> {
        let d = self.shape.len();
        let mut values = vec![0.0f32; places.len() * d];
        let area = self.shape.height * self.shape.width;
        values
            .par_chunks_exact_mut(d)
            .zip(places)
            .map(|(row, &place)| (row, self.only.map_or(place, |only| only[place])))
            .for_each(|(row, place)| match self.values {
                Values::Pixels(pixels) => {
                    let picture = &pixels[place * d..(place + 1) * d];
                    for (i, pixel) in picture.chunks_exact(self.shape.channels).enumerate() {
                        for (channel, &byte) in pixel.iter().enumerate() {
                            row[channel * area + i] = f32::from(byte) / 255.0;
                        }
                    }
                }
                Values::Features(rows, scaling) => {
                    let own = rows[place * d..(place + 1) * d].iter().zip(&scaling.mean);
                    for (out, (value, mean)) in row.iter_mut().zip(own) {
                        *out = (value - mean) * scaling.scale;
                    }
                }
            });
        values
    }

    /// The same as a tensor.
    pub(super) fn tensor(&self, places: &[usize]) -> candle_core::Result<Tensor> {
        let shape = (places.len(), self.shape.len());
        Tensor::from_vec(self.numbers(places), shape, &Device::Cpu)
    }
}

/// A pass over the pictures, done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Epoch {
    /// Its number, from 1.
    pub epoch: usize,
    /// Of so many.
    pub of: usize,
    /// Mean of the whole loss.
    pub loss: f64,
    /// Mean of the reconstruction's part.
    pub reconstruction: f64,
    /// Means of the other terms, weighted.
    pub terms: Vec<(String, f64)>,
    /// The reconstruction's part on the held-out pictures, nothing spoiled.
    pub held_out: f64,
    /// Pictures a second.
    pub rate: f64,
}

/// What a training run came to.
pub(super) struct Fitted {
    pub network: Network,
    pub epochs: Vec<Epoch>,
    /// The pass whose parameters were kept.
    pub best: usize,
}

/// Steps of Adam (Kingma and Ba 2015).
pub(super) struct Adam {
    parameters: Vec<Var>,
    /// Means of gradients and of their squares.
    moments: Vec<(Vec<f32>, Vec<f32>)>,
    step: i32,
}

const MEAN: f32 = 0.9;
const SQUARES: f32 = 0.999;
const LEAST: f32 = 1e-8;

impl Adam {
    pub fn new(parameters: Vec<Var>) -> Self {
        let zeros = |var: &Var| vec![0.0; var.elem_count()];
        let moments = parameters.iter().map(|var| (zeros(var), zeros(var)));
        Self {
            moments: moments.collect(),
            parameters,
            step: 0,
        }
    }

    pub fn descend(&mut self, loss: &Tensor, rate: f64) -> candle_core::Result<()> {
        let gradients = loss.backward()?;
        self.step += 1;
        let unbias = |decay: f32| 1.0 - f64::from(decay).powi(self.step);
        let rate = (rate * unbias(SQUARES).sqrt() / unbias(MEAN)) as f32;
        for (parameter, (mean, squares)) in self.parameters.iter().zip(&mut self.moments) {
            let Some(gradient) = gradients.get(parameter) else {
                continue;
            };
            let gradient: Vec<f32> = gradient.flatten_all()?.to_vec1()?;
            let mut values: Vec<f32> = parameter.flatten_all()?.to_vec1()?;
            values
                .par_iter_mut()
                .zip(&gradient)
                .zip(mean.par_iter_mut().zip(squares.par_iter_mut()))
                .with_min_len(1 << 14)
                .for_each(|((value, gradient), (mean, square))| {
                    *mean = MEAN * *mean + (1.0 - MEAN) * gradient;
                    *square = SQUARES * *square + (1.0 - SQUARES) * gradient * gradient;
                    *value -= rate * *mean / (square.sqrt() + LEAST);
                });
            parameter.set(&Tensor::from_vec(values, parameter.shape(), &Device::Cpu)?)?;
        }
        Ok(())
    }
}

/// Trains; `progress` is told of every pass and may end it there. Where there is a `checkpoint`,
/// the state is written there after each pass, and the run goes on from the one that is there.
pub(super) fn fit(
    design: &Design,
    schedule: &Schedule,
    pictures: &Pictures<'_>,
    held_out: &Pictures<'_>,
    checkpoint: Option<&Path>,
    progress: &mut dyn FnMut(&Epoch) -> ControlFlow<()>,
) -> Result<Fitted> {
    let failed = |error: candle_core::Error| Error::Training(error.to_string());
    let mut random = Normal::new(schedule.seed);
    let network = Network::new(design, &mut random).map_err(failed)?;
    let parameters: Vec<Var> = network
        .parameters()
        .into_iter()
        .map(|(_, var)| var)
        .collect();
    let mut adam = Adam::new(parameters.clone());
    let n = pictures.len();
    let batch = schedule.batch.min(n);
    let of_epoch = n / batch;
    let steps = of_epoch * schedule.epochs;
    let mut epochs: Vec<Epoch> = Vec::new();
    let mut best: (f64, usize, Vec<Tensor>) = (f64::INFINITY, 0, Vec::new());
    let header = Header {
        design: design.clone(),
        schedule: schedule.clone(),
        pictures: n,
        held_out: held_out.len(),
        content: match checkpoint {
            Some(_) => blake3::hash(&[pictures.digest(), held_out.digest()].concat())
                .to_hex()
                .to_string(),
            None => String::new(),
        },
        epochs: Vec::new(),
        best: 0,
        steps: 0,
        lengths: parameters.iter().map(|var| var.elem_count()).collect(),
    };
    if let Some(path) = checkpoint.filter(|path| path.exists()) {
        let saved = Checkpoint::load(path, &header)?;
        let tensors = |all: &[Vec<f32>]| -> candle_core::Result<Vec<Tensor>> {
            let shaped = all.iter().zip(&parameters);
            shaped
                .map(|(values, var)| Tensor::from_slice(values, var.shape(), &Device::Cpu))
                .collect()
        };
        for (var, values) in parameters
            .iter()
            .zip(tensors(&saved.parameters).map_err(failed)?)
        {
            var.set(&values).map_err(failed)?;
        }
        epochs.clone_from(&saved.header.epochs);
        let held = saved.header.best.checked_sub(1).and_then(|i| epochs.get(i));
        best = (
            held.map_or(f64::INFINITY, |epoch| epoch.held_out),
            saved.header.best,
            tensors(&saved.best).map_err(failed)?,
        );
        adam.moments = saved.moments;
        adam.step = saved.header.steps;
    }
    let pass = |adam: &mut Adam, epoch: usize| -> candle_core::Result<(f64, f64, Vec<_>)> {
        let first = (epoch - 1) * of_epoch;
        // Of its own, so that a run that goes on draws what the whole one would have drawn.
        let mut random =
            Normal::new(schedule.seed ^ (epoch as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let (mut loss, mut rebuilt, mut others) = (0.0, 0.0, Vec::<(String, f64)>::new());
        for (i, places) in random.shuffled(n).chunks_exact(batch).enumerate() {
            let clean = pictures.tensor(places)?;
            let chance = Chance::draw(design, &clean, &mut random)?;
            let terms = terms(&network, &clean, &chance)?;
            let total = terms.total()?;
            adam.descend(&total, schedule.learning_rate * one_cycle(first + i, steps))?;
            let value = |tensor: &Tensor| tensor.to_scalar::<f32>().map(f64::from);
            let share = 1.0 / of_epoch as f64;
            loss += share * value(&total)?;
            rebuilt += share * value(&terms.reconstruction)?;
            if others.is_empty() {
                others = terms
                    .others
                    .iter()
                    .map(|(name, _)| ((*name).to_owned(), 0.0))
                    .collect();
            }
            for ((_, sum), (_, term)) in others.iter_mut().zip(&terms.others) {
                *sum += share * value(term)?;
            }
        }
        Ok((loss, rebuilt, others))
    };
    let waited = |epoch: usize, best: usize| epoch >= best + schedule.patience.max(1);
    let done = epochs.len();
    for epoch in done + 1..=schedule.epochs {
        if done > 0 && waited(epoch - 1, best.1) {
            break;
        }
        let started = std::time::Instant::now();
        let (loss, rebuilt, others) = pass(&mut adam, epoch).map_err(failed)?;
        let rate = (of_epoch * batch) as f64 / started.elapsed().as_secs_f64();
        let held = judge(&network, held_out).map_err(failed)?;
        if !loss.is_finite() || !held.is_finite() {
            return Err(Error::Training(
                "the loss is not finite; a lower learning rate may help".to_owned(),
            ));
        }
        if held < best.0 {
            let copies = parameters.iter().map(|var| var.as_tensor().copy());
            best = (
                held,
                epoch,
                copies.collect::<Result<_, _>>().map_err(failed)?,
            );
        }
        let report = Epoch {
            epoch,
            of: schedule.epochs,
            loss,
            reconstruction: rebuilt,
            terms: others,
            held_out: held,
            rate,
        };
        let over = progress(&report).is_break() || waited(epoch, best.1);
        epochs.push(report);
        if let Some(path) = checkpoint {
            let read = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<f32>();
            let own = parameters.iter().map(|var| read(var.as_tensor()));
            Checkpoint {
                header: Header {
                    epochs: epochs.clone(),
                    best: best.1,
                    steps: adam.step,
                    ..header.clone()
                },
                parameters: own.collect::<Result<_, _>>().map_err(failed)?,
                best: best
                    .2
                    .iter()
                    .map(read)
                    .collect::<Result<_, _>>()
                    .map_err(failed)?,
                moments: adam.moments.clone(),
            }
            .save(path)?;
        }
        if over {
            break;
        }
    }
    for (parameter, kept) in parameters.iter().zip(&best.2) {
        parameter.set(kept).map_err(failed)?;
    }
    Ok(Fitted {
        network,
        epochs,
        best: best.1,
    })
}

/// Pictures that are looked at together where nothing is trained.
pub(super) const AT_ONCE: usize = 256;

/// What reconstructing a picture costs on average.
fn judge(network: &Network, pictures: &Pictures<'_>) -> candle_core::Result<f64> {
    let mut sum = 0.0;
    let all: Vec<usize> = (0..pictures.len()).collect();
    for places in all.chunks(AT_ONCE) {
        let clean = pictures.tensor(places)?;
        let logits = rebuilt(network, &clean)?;
        let costs = reconstruction(&network.design, &logits, &clean)?;
        sum += f64::from(costs.sum_all()?.to_scalar::<f32>()?);
    }
    Ok(sum / all.len() as f64)
}

/// Logits of the reconstruction, through the code as it is stored.
pub(super) fn rebuilt(network: &Network, pictures: &Tensor) -> candle_core::Result<Tensor> {
    let encoded = network.encode(pictures, None)?;
    let bottleneck = super::objective::bottleneck(&encoded.code, encoded.logits.as_ref())?;
    network.decode(&bottleneck)
}
