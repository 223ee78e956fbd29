//! Decoders alone: small images from the codes of any encoder.

use std::ops::ControlFlow;
use std::time::Instant;

use candle_core::{Device, Tensor, Var};
use imgsearch_onnx::{EncoderFile, EncoderInfo};

use super::adam::Adam;
use super::design::{Design, Layers, Loss, Schedule};
use super::epoch::Epoch;
use super::export::decoder_bytes;
use super::fit::{Best, failed, require_finite};
use super::network::Network;
use super::objective::reconstruction;
use super::samples::{AT_ONCE, Samples};
use crate::error::{Error, Result};
use crate::head::descent::one_cycle;
use crate::linear::Normal;

/// Channels of the transposed convolutions, the last first.
const CHANNELS: [usize; 3] = [32, 64, 128];

/// One image in this number is held out and validates each epoch.
const HELD_OUT: usize = 10;

/// Trains a decoder from `codes`, `[n, code_len]`, to as many `images`: transposed convolutions
/// by the squared error, with the parameters kept that serve held-out images best. The file belongs
/// to the encoder `of`, and [`CodeDecoder`](imgsearch_onnx::CodeDecoder) opens it.
///
/// The same codes, images, schedule and seed give the same file on the same machine.
///
/// # Errors
///
/// [`Error::InvalidInput`] if codes and images are not equally many or too few, or what
/// [`Schedule::check`] refuses; [`Error::Training`] if the loss diverges.
pub fn train_decoder(
    codes: &[f32],
    samples: &Samples<'_>,
    of: &EncoderFile,
    schedule: &Schedule,
    progress: &mut dyn FnMut(&Epoch) -> ControlFlow<()>,
) -> Result<Vec<u8>> {
    schedule.check()?;
    let info: &EncoderInfo = of.info();
    let (n, code_len) = (samples.len(), info.code_len);
    if code_len == 0 || codes.len() != n * code_len || n < 2 * HELD_OUT {
        return Err(Error::InvalidInput(format!(
            "a decoder cannot be learned from {} numbers of codes of {code_len} and {n} images; at least {} are needed",
            codes.len(),
            2 * HELD_OUT
        )));
    }
    let mut design = Design::deep(samples.shape());
    design.layers = Layers::Convolutional(CHANNELS.to_vec());
    design.code_len = code_len;
    design.loss = Loss::Mse;
    let network = Network::new(&design, &mut Normal::new(schedule.seed)).map_err(failed)?;
    let parameters: Vec<Var> = network
        .decoder
        .iter()
        .flat_map(|layer| [layer.weight.clone(), layer.bias.clone()])
        .collect();
    let (held_out, own): (Vec<usize>, Vec<usize>) =
        (0..n).partition(|i| i % HELD_OUT == HELD_OUT - 1);
    let mut run = Run {
        codes,
        samples,
        schedule,
        network: &network,
        adam: Adam::new(parameters.clone()),
        random: Normal::new(schedule.seed.wrapping_add(1)),
        own,
        held_out,
    };
    let mut best = Best::none();
    for epoch in 1..=schedule.epochs {
        let report = run.epoch(epoch)?;
        best.offer(epoch, report.held_out, &parameters)?;
        if progress(&report).is_break() || best.is_exhausted(epoch, schedule.patience) {
            break;
        }
    }
    best.restore(&parameters)?;
    decoder_bytes(&network, of)
}

struct Run<'a> {
    /// `[n, code_len]`.
    codes: &'a [f32],
    samples: &'a Samples<'a>,
    schedule: &'a Schedule,
    network: &'a Network,
    adam: Adam,
    random: Normal,
    /// The samples to train on.
    own: Vec<usize>,
    /// The samples that validate.
    held_out: Vec<usize>,
}

impl Run<'_> {
    /// Trains one epoch and validates it.
    fn epoch(&mut self, epoch: usize) -> Result<Epoch> {
        let started = Instant::now();
        let batch = self.schedule.batch.min(self.own.len());
        let steps = self.own.len() / batch;
        let (loss, held_out) = self.descend(epoch, batch, steps).map_err(failed)?;
        require_finite(loss, held_out)?;
        Ok(Epoch {
            epoch,
            of: self.schedule.epochs,
            loss,
            reconstruction: loss,
            terms: Vec::new(),
            held_out,
            rate: (steps * batch) as f64 / started.elapsed().as_secs_f64(),
        })
    }

    /// Does the steps of one epoch. Returns the mean cost of training and of validation samples.
    fn descend(
        &mut self,
        epoch: usize,
        batch: usize,
        steps: usize,
    ) -> candle_core::Result<(f64, f64)> {
        let value = |tensor: &Tensor| tensor.to_scalar::<f32>().map(f64::from);
        let mut loss = 0.0;
        let shuffled = self.random.shuffled(self.own.len());
        for (i, places) in shuffled.chunks_exact(batch).enumerate() {
            let places: Vec<usize> = places.iter().map(|&i| self.own[i]).collect();
            let cost = self.cost(&places)?.mean_all()?;
            let rate = one_cycle((epoch - 1) * steps + i, steps * self.schedule.epochs);
            self.adam
                .descend(&cost, self.schedule.learning_rate * rate)?;
            loss += value(&cost)? / steps as f64;
        }
        let mut held_out = 0.0;
        for places in self.held_out.chunks(AT_ONCE) {
            held_out += value(&self.cost(places)?.sum_all()?)? / self.held_out.len() as f64;
        }
        Ok((loss, held_out))
    }

    /// Returns the cost of reconstructing each of these samples.
    fn cost(&self, places: &[usize]) -> candle_core::Result<Tensor> {
        let design = &self.network.design;
        let code_len = design.code_len;
        let rows = places
            .iter()
            .flat_map(|&i| &self.codes[i * code_len..][..code_len]);
        let rows: Vec<f32> = rows.copied().collect();
        let rows = Tensor::from_vec(rows, (places.len(), code_len), &Device::Cpu)?;
        reconstruction(
            design,
            &self.network.decode(&rows)?,
            &self.samples.tensor(places)?,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::Shape;
    use super::*;
    use imgsearch_onnx::{CodeDecoder, Encodings, Runtime, RuntimeOptions};

    const SHAPE: Shape = Shape {
        height: 8,
        width: 8,
        channels: 3,
    };

    /// Codes of length one, and images whose colour is said by their first three numbers.
    fn pairs(n: usize, code_len: usize) -> (Vec<f32>, Vec<u8>) {
        let mut random = Normal::new(5);
        let mut codes: Vec<f32> = (0..n * code_len).map(|_| random.draw()).collect();
        crate::linear::normalise(&mut codes, code_len);
        let pixels = codes.chunks_exact(code_len).flat_map(|code| {
            let colour: [u8; 3] =
                std::array::from_fn(|c| (128.0 + 250.0 * code[c]).clamp(0.0, 255.0) as u8);
            std::iter::repeat_n(colour, SHAPE.height * SHAPE.width).flatten()
        });
        let pixels = pixels.collect();
        (codes, pixels)
    }

    #[test]
    fn a_decoder_learns_what_codes_say_and_belongs_to_their_encoder() {
        let of = EncoderFile::default_encoder().unwrap();
        let code_len = of.info().code_len;
        let n = 400;
        let (codes, pixels) = pairs(n, code_len);
        let samples = Samples::new(SHAPE, &pixels);
        let schedule = Schedule {
            epochs: 60,
            batch: 32,
            learning_rate: 3e-3,
            ..Schedule::default()
        };
        let train = |schedule: &Schedule| {
            train_decoder(&codes, &samples, &of, schedule, &mut |_| {
                ControlFlow::Continue(())
            })
            .unwrap()
        };
        let bytes = train(&schedule);
        let runtime = Runtime::load(&RuntimeOptions::default()).unwrap();
        let mut decoder = CodeDecoder::new(&bytes, "it", of.info(), runtime).unwrap();
        let asked = Encodings::of_codes(n, codes.clone());
        let (sides, made) = decoder.decode(&asked).unwrap();
        assert_eq!(sides, [8, 8, 3]);
        let error = |of: &dyn Fn(usize) -> f32| -> f64 {
            let errors = pixels.iter().enumerate();
            let sum: f64 = errors
                .map(|(i, &byte)| f64::from(f32::from(byte) / 255.0 - of(i)).powi(2))
                .sum();
            sum / pixels.len() as f64
        };
        let mean = pixels.iter().map(|&v| f64::from(v)).sum::<f64>() / pixels.len() as f64 / 255.0;
        let (left, blank) = (error(&|i| made[i]), error(&|_| mean as f32));
        assert!(left < 0.3 * blank, "{left} {blank}");

        let short = Schedule {
            epochs: 1,
            ..schedule
        };
        assert_eq!(train(&short), train(&short));
    }

    #[test]
    fn codes_and_pictures_must_be_equally_many() {
        let of = EncoderFile::default_encoder().unwrap();
        let (codes, pixels) = pairs(40, of.info().code_len);
        let samples = Samples::new(SHAPE, &pixels);
        let error = train_decoder(
            &codes[1..],
            &samples,
            &of,
            &Schedule::default(),
            &mut |_| ControlFlow::Continue(()),
        )
        .unwrap_err();
        assert!(error.to_string().contains("40 images"), "{error}");
    }
}
