//! Decoders alone: small pictures from the codes of an encoder that was trained otherwise.

use std::ops::ControlFlow;

use candle_core::{Device, Tensor, Var};

use super::design::{Design, Layers, Schedule};
use super::fit::{AT_ONCE, Adam, Epoch, Pictures};
use super::network::Network;
use super::objective::reconstruction;
use super::{decoder_bytes, design::Loss};
use crate::error::{Error, Result};
use crate::head::descent::one_cycle;
use crate::linear::Normal;
use imgsearch_onnx::{EncoderFile, EncoderInfo};

/// Channels of the transposed convolutions, the last first.
const CHANNELS: [usize; 3] = [32, 64, 128];

/// One picture in so many is held out and judges each pass.
const HELD_OUT: usize = 10;

/// Trains a decoder from `codes`, `[n, code_len]`, to as many `pictures`: transposed convolutions
/// by the squared error, with the parameters kept that serve held-out pictures best. The file belongs
/// to the encoder `of`, and [`super::Decoder`] opens it.
///
/// The same codes, pictures, schedule and seed give the same file on the same machine.
///
/// # Errors
///
/// [`Error::InvalidInput`] where codes and pictures are not equally many or too few, or what
/// [`Schedule::check`] refuses; [`Error::Training`] where the loss diverges.
pub fn train_decoder(
    codes: &[f32],
    pictures: &Pictures<'_>,
    of: &EncoderFile,
    schedule: &Schedule,
    progress: &mut dyn FnMut(&Epoch) -> ControlFlow<()>,
) -> Result<Vec<u8>> {
    schedule.check()?;
    let info: &EncoderInfo = of.info();
    let (n, code_len) = (pictures.len(), info.code_len);
    if code_len == 0 || codes.len() != n * code_len || n < 2 * HELD_OUT {
        return Err(Error::InvalidInput(format!(
            "a decoder cannot be learned from {} numbers of codes of {code_len} and {n} pictures; at least {} are needed",
            codes.len(),
            2 * HELD_OUT
        )));
    }
    let failed = |error: candle_core::Error| Error::Training(error.to_string());
    let mut design = Design::deep(pictures.shape());
    design.layers = Layers::Convolutional(CHANNELS.to_vec());
    design.code_len = code_len;
    design.loss = Loss::Mse;
    let network = Network::new(&design, &mut Normal::new(schedule.seed)).map_err(failed)?;
    let parameters: Vec<Var> = network
        .decoder
        .iter()
        .flat_map(|layer| [layer.weight.clone(), layer.bias.clone()])
        .collect();
    let (judges, own): (Vec<usize>, Vec<usize>) =
        (0..n).partition(|i| i % HELD_OUT == HELD_OUT - 1);
    let cost = |places: &[usize]| -> candle_core::Result<Tensor> {
        let rows = places
            .iter()
            .flat_map(|&i| &codes[i * code_len..][..code_len]);
        let rows: Vec<f32> = rows.copied().collect();
        let rows = Tensor::from_vec(rows, (places.len(), code_len), &Device::Cpu)?;
        reconstruction(&design, &network.decode(&rows)?, &pictures.tensor(places)?)
    };
    let value = |tensor: &Tensor| tensor.to_scalar::<f32>().map(f64::from);

    let mut adam = Adam::new(parameters.clone());
    let batch = schedule.batch.min(own.len());
    let of_epoch = own.len() / batch;
    let mut random = Normal::new(schedule.seed.wrapping_add(1));
    let mut best: (f64, usize, Vec<Tensor>) = (f64::INFINITY, 0, Vec::new());
    for epoch in 1..=schedule.epochs {
        let started = std::time::Instant::now();
        let mut pass = || -> candle_core::Result<(f64, f64)> {
            let mut loss = 0.0;
            for (i, places) in random.shuffled(own.len()).chunks_exact(batch).enumerate() {
                let places: Vec<usize> = places.iter().map(|&i| own[i]).collect();
                let cost = cost(&places)?.mean_all()?;
                let step = (epoch - 1) * of_epoch + i;
                let rate = one_cycle(step, of_epoch * schedule.epochs);
                adam.descend(&cost, schedule.learning_rate * rate)?;
                loss += value(&cost)? / of_epoch as f64;
            }
            let mut held = 0.0;
            for places in judges.chunks(AT_ONCE) {
                held += value(&cost(places)?.sum_all()?)? / judges.len() as f64;
            }
            Ok((loss, held))
        };
        let (loss, held_out) = pass().map_err(failed)?;
        if !loss.is_finite() || !held_out.is_finite() {
            return Err(Error::Training(
                "the loss is not finite; a lower learning rate may help".to_owned(),
            ));
        }
        if held_out < best.0 {
            let copies = parameters.iter().map(|var| var.as_tensor().copy());
            let copies = copies.collect::<candle_core::Result<_>>().map_err(failed)?;
            best = (held_out, epoch, copies);
        }
        let report = Epoch {
            epoch,
            of: schedule.epochs,
            loss,
            reconstruction: loss,
            terms: Vec::new(),
            held_out,
            rate: (of_epoch * batch) as f64 / started.elapsed().as_secs_f64(),
        };
        if progress(&report).is_break() || epoch >= best.1 + schedule.patience.max(1) {
            break;
        }
    }
    for (parameter, kept) in parameters.iter().zip(&best.2) {
        parameter.set(kept).map_err(failed)?;
    }
    decoder_bytes(&network, of)
}

#[cfg(test)]
mod tests {
    use super::super::Shape;
    use super::*;
    use imgsearch_onnx::{Decoder, Encodings, Runtime, RuntimeOptions};

    const SHAPE: Shape = Shape {
        height: 8,
        width: 8,
        channels: 3,
    };

    /// Codes of length one, and pictures whose colour is said by their first three numbers.
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
        let pictures = Pictures::new(SHAPE, &pixels);
        let schedule = Schedule {
            epochs: 60,
            batch: 32,
            learning_rate: 3e-3,
            ..Schedule::default()
        };
        let train = |schedule: &Schedule| {
            train_decoder(&codes, &pictures, &of, schedule, &mut |_| {
                ControlFlow::Continue(())
            })
            .unwrap()
        };
        let bytes = train(&schedule);
        let runtime = Runtime::load(&RuntimeOptions::default()).unwrap();
        let mut decoder = Decoder::new(&bytes, "it", of.info(), runtime).unwrap();
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
        let pictures = Pictures::new(SHAPE, &pixels);
        let error = train_decoder(
            &codes[1..],
            &pictures,
            &of,
            &Schedule::default(),
            &mut |_| ControlFlow::Continue(()),
        )
        .unwrap_err();
        assert!(error.to_string().contains("40 pictures"), "{error}");
    }
}
