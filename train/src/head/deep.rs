//! Deep heads: a hidden layer before code and hash, for collections of ten thousand and more.
//!
//! ```text
//! features ─▶ direction ─▶ main directions ─▶ hidden, rectified ─┬─▶ code, length 1 ┬─▶ decoder
//!                                                                └─▶ hash ──────────┘
//! ```
//!
//! Two things are drawn together, in the code and in the hash alike: altered copies of a photograph,
//! and photographs of which each is among the other's nearest by features, where features are the
//! mean over the copies. All others of a batch are pushed apart (NT-Xent, Chen et al. 2020; neighbours
//! as positives as in Van Gansbeke et al. 2020, each the other's neighbour as in Qin et al. 2011).
//! That is done in rounds: the second begins anew with twice as many neighbours, by what the first has
//! learned, which are more often of the same kind than those by features.
//!
//! The hash is trained as the hyperbolic tangents of its logits and balanced; code and hash side by
//! side are a twin bottleneck (Shen et al. 2020) from which a decoder makes the features again.

use std::ops::ControlFlow;

use candle_core::{Device, Tensor, Var};
use candle_nn::optim::{AdamW, Optimizer, ParamsAdamW};

use super::descent::{Failed, one_cycle};
use super::feature_transform::{Lens, Prior};
use super::model::{Head, Hidden, Record, SEMANTIC};
use super::objective::{contrast, unit};
use super::options::{EpochReport, HeadOptions};
use super::set::{MOST_DIRECTIONS, TrainingSet, check, spread};
use crate::baseline::Pca;
use crate::error::{Error, Result};
use crate::hashing::medians;
use crate::linear::{Normal, mean, normalise, product};
use crate::neighbours::mutual;

/// Main directions that neighbours are looked for along; more rank alike.
const NEIGHBOUR_DIRECTIONS: usize = 128;
/// Rows that are encoded at once.
const BLOCK: usize = 4096;
/// How much the balance of the bits counts beside a contrast of weight 1.
const BALANCE: f64 = 0.1;
/// The temperature of the hashes' contrast is so many times that of the codes'.
const HASH_TEMPERATURE: f64 = 1.25;

/// Trains a head with `options.hidden` units; [`super::train_head`] says how.
pub(super) fn train(
    set: &TrainingSet<'_>,
    options: &HeadOptions,
    progress: &mut dyn FnMut(&EpochReport) -> ControlFlow<()>,
) -> Result<Head> {
    let n = check(set, options)?;
    if options.epochs == 0 {
        return Err(Error::InvalidInput(
            "a hidden layer begins at random: it takes at least one pass".to_owned(),
        ));
    }
    if set.views.is_empty() && options.neighbours == 0 {
        return Err(Error::InvalidInput(
            "a hidden layer learns from altered copies and from neighbours, and there are none of either".to_owned(),
        ));
    }
    let d = set.d;
    let lens = Lens::new(mean(set.clean, d), Prior::default(), options);
    let clean = lens.apply(set.clean, n);
    let kept = d.min(n - 1).min(MOST_DIRECTIONS);
    let pca = Pca::fit(&clean, n, d, kept)?;
    let mut copies = vec![pca.project(&clean, n)];
    drop(clean);
    for view in &set.views {
        copies.push(pca.project(&lens.apply(view, n), n));
    }
    // Numbers of variance one go in, taken together.
    let scale = (kept as f32).sqrt() / spread(&pca)?;
    for rows in &mut copies {
        rows.iter_mut().for_each(|value| *value *= scale);
    }
    let mut neighbours = by_features(&copies, n, kept, options.neighbours);

    let mut random = Normal::new(options.seed);
    let rounds = options.rounds.max(1);
    let (mut epochs, mut last_loss, mut ended) = (0, 0.0, false);
    let mut network = None;
    for round in 0..rounds {
        if let Some(learned) = &network {
            neighbours = by_code(learned, &copies, n, 2 * options.neighbours)
                .map_err(|error| Failed::from(error).into_error())?;
        }
        // A fresh one: what the last has learned goes on in whom it calls neighbours.
        let fresh = Network::new(kept, options, &mut random)
            .map_err(|error| Failed::from(error).into_error())?;
        let before = epochs;
        let mut told = |report: &EpochReport| {
            let report = EpochReport {
                epoch: before + report.epoch,
                of: rounds * options.epochs,
                ..*report
            };
            let flow = progress(&report);
            ended = flow.is_break();
            flow
        };
        let (done, loss) = fit(&fresh, &copies, &neighbours, options, &mut told)?;
        (epochs, last_loss) = (epochs + done, loss);
        network = Some(fresh);
        if ended || options.neighbours == 0 || round + 1 == rounds {
            break;
        }
    }
    let Some(network) = network else {
        return Err(Error::Training("no round was trained".to_owned()));
    };
    let read = |var: &Var| {
        let values = var.as_tensor().flatten_all();
        let values = values
            .and_then(|tensor| tensor.to_vec1::<f32>())
            .map_err(|error| Failed::from(error).into_error())?;
        // The last step may have gone astray.
        if values.iter().any(|value| !value.is_finite()) {
            return Err(Failed::Diverged.into_error());
        }
        Ok(values)
    };
    let units = options.hidden;
    let (into, below) = (read(&network.hidden)?, read(&network.hidden_bias)?);
    // hidden = ((seen - mean) V * scale) W + b, folded into one matrix and a bias.
    let mut weight = product(&pca.directions, &into, d, kept, units);
    weight.iter_mut().for_each(|value| *value *= scale);
    let shift = product(&pca.mean, &weight, 1, d, units);
    let bias = below.iter().zip(&shift).map(|(b, shift)| b - shift);
    let hidden = Hidden {
        bias: bias.collect(),
        weight,
    };
    let hash = read(&network.hash)?;
    let seen = hidden.apply(&lens.apply(set.clean, n), n, d);
    let medians = medians(&product(&seen, &hash, n, units, options.bits), options.bits);
    Ok(Head {
        lens,
        hidden: Some(hidden),
        code: read(&network.code)?,
        code_bias: vec![0.0; options.code_len],
        hash,
        hash_bias: medians.iter().map(|median| -median).collect(),
        hash_weight: options.hash_weight,
        kind: SEMANTIC,
        record: Record {
            photographs: n,
            views: set.views.len(),
            hidden: units,
            neighbours: options.neighbours,
            rounds,
            epochs,
            batch: options.batch.min(n),
            learning_rate: options.learning_rate,
            reconstruction_weight: options.reconstruction_weight,
            contrast_weight: options.contrast_weight,
            contrast_temperature: options.contrast_temperature,
            seed: options.seed,
            last_loss,
            ..Record::default()
        },
    })
}

/// Of each photograph, those that it is to be drawn to: neighbours by features, the mean over its
/// copies.
fn by_features(copies: &[Vec<f32>], n: usize, kept: usize, k: usize) -> Vec<Vec<u32>> {
    let width = kept.min(NEIGHBOUR_DIRECTIONS);
    let mut rows = vec![0.0f32; n * width];
    for copy in copies {
        for (row, copy) in rows.chunks_exact_mut(width).zip(copy.chunks_exact(kept)) {
            row.iter_mut()
                .zip(copy)
                .for_each(|(sum, value)| *sum += value);
        }
    }
    normalise(&mut rows, width);
    mutual(&rows, n, width, k)
}

/// The same by what a network has learned: its codes and the tangents of its bits side by side, the
/// mean over the copies.
fn by_code(
    network: &Network,
    copies: &[Vec<f32>],
    n: usize,
    k: usize,
) -> candle_core::Result<Vec<Vec<u32>>> {
    let mut rows = Vec::new();
    for copy in copies {
        let kept = copy.len() / n;
        let mut own = Vec::new();
        for block in copy.chunks(BLOCK * kept) {
            let block = Tensor::from_slice(block, (block.len() / kept, kept), &Device::Cpu)?;
            let (code, bits) = network.encode(&block)?;
            let bits = (&bits * (bits.dim(1)? as f64).sqrt().recip())?;
            own.extend(
                Tensor::cat(&[code, bits], 1)?
                    .flatten_all()?
                    .to_vec1::<f32>()?,
            );
        }
        if rows.is_empty() {
            rows = own;
        } else {
            let pairs = rows.iter_mut().zip(&own);
            pairs.for_each(|(sum, value): (&mut f32, _)| *sum += value);
        }
    }
    let width = rows.len() / n;
    normalise(&mut rows, width);
    Ok(mutual(&rows, n, width, k))
}

/// The parameters.
struct Network {
    /// `[kept, units]`.
    hidden: Var,
    hidden_bias: Var,
    /// `[units, code_len]`.
    code: Var,
    /// `[units, bits]`.
    hash: Var,
    /// `[code_len + bits, decoder_width]`.
    decoder_in: Var,
    /// `[decoder_width, kept]`.
    decoder_out: Var,
}

/// The terms of the loss, each with its weight in.
struct Terms {
    contrast: Tensor,
    balance: Tensor,
    reconstruction: Tensor,
}

impl Network {
    fn new(kept: usize, options: &HeadOptions, random: &mut Normal) -> candle_core::Result<Self> {
        // He et al. 2015, for rectified units.
        let mut noise = |rows: usize, columns: usize| -> candle_core::Result<Var> {
            let scale = (2.0 / rows as f32).sqrt();
            let values: Vec<f32> = (0..rows * columns).map(|_| scale * random.draw()).collect();
            Var::from_vec(values, (rows, columns), &Device::Cpu)
        };
        let units = options.hidden;
        Ok(Self {
            hidden: noise(kept, units)?,
            hidden_bias: Var::from_vec(vec![0.0f32; units], units, &Device::Cpu)?,
            code: noise(units, options.code_len)?,
            hash: noise(units, options.bits)?,
            decoder_in: noise(options.code_len + options.bits, options.decoder_width)?,
            decoder_out: noise(options.decoder_width, kept)?,
        })
    }

    fn parameters(&self) -> Vec<Var> {
        [
            &self.hidden,
            &self.hidden_bias,
            &self.code,
            &self.hash,
            &self.decoder_in,
            &self.decoder_out,
        ]
        .map(Clone::clone)
        .to_vec()
    }

    /// Codes of length one, and the tangents of the hash's logits.
    fn encode(&self, rows: &Tensor) -> candle_core::Result<(Tensor, Tensor)> {
        let hidden = rows.matmul(&self.hidden)?;
        let hidden = hidden.broadcast_add(&self.hidden_bias)?.relu()?;
        Ok((
            unit(&hidden.matmul(&self.code)?)?,
            hidden.matmul(&self.hash)?.tanh()?,
        ))
    }

    /// The loss on rows and on those that they are drawn to; the decoder is to make `clean`.
    fn terms(
        &self,
        [one, other, clean]: [&Tensor; 3],
        options: &HeadOptions,
    ) -> candle_core::Result<Terms> {
        let (code, bits) = self.encode(one)?;
        let (other_code, other_bits) = self.encode(other)?;
        let shrink = (bits.dim(1)? as f64).sqrt().recip();
        let temperature = options.contrast_temperature;
        let apart = (contrast(&code, &other_code, temperature)?
            + contrast(
                &(&bits * shrink)?,
                &(other_bits * shrink)?,
                HASH_TEMPERATURE * temperature,
            )?)?;
        let balance = bits.mean(0)?.sqr()?.sum_all()?;
        let decoded = Tensor::cat(&[&code, &bits], 1)?
            .matmul(&self.decoder_in)?
            .relu()?
            .matmul(&self.decoder_out)?;
        let cosine = (unit(&decoded)? * unit(clean)?)?.sum(candle_core::D::Minus1)?;
        Ok(Terms {
            contrast: (apart * options.contrast_weight)?,
            balance: (balance * (BALANCE * options.contrast_weight))?,
            reconstruction: ((1.0 - cosine)?.mean_all()? * options.reconstruction_weight)?,
        })
    }
}

impl Terms {
    fn total(&self) -> candle_core::Result<Tensor> {
        (&self.contrast + &self.balance)? + &self.reconstruction
    }
}

/// Trains the network; the passes done, and the last loss.
fn fit(
    network: &Network,
    copies: &[Vec<f32>],
    neighbours: &[Vec<u32>],
    options: &HeadOptions,
    progress: &mut dyn FnMut(&EpochReport) -> ControlFlow<()>,
) -> Result<(usize, f64)> {
    let n = neighbours.len();
    let d = copies[0].len() / n;
    let mut random = Normal::new(options.seed.wrapping_add(1));
    let settings = ParamsAdamW {
        weight_decay: 0.0,
        ..ParamsAdamW::default()
    };
    let descend = || -> std::result::Result<(usize, f64), Failed> {
        let mut optimizer = AdamW::new(network.parameters(), settings)?;
        let batch = options.batch.min(n);
        let steps_an_epoch = n / batch;
        let (mut step, mut done, mut last_loss) = (0, 0, 0.0);
        for epoch in 1..=options.epochs {
            let mut sums = [0.0f64; 3];
            for places in random.shuffled(n).chunks_exact(batch) {
                let pairs: Vec<[(usize, usize); 2]> = places
                    .iter()
                    .map(|&i| pair(i, &neighbours[i], copies.len(), &mut random))
                    .collect();
                let rows = |of: &dyn Fn(usize) -> (usize, usize)| {
                    let mut values = Vec::with_capacity(batch * d);
                    for i in 0..batch {
                        let (copy, place) = of(i);
                        values.extend_from_slice(&copies[copy][place * d..(place + 1) * d]);
                    }
                    Tensor::from_vec(values, (batch, d), &Device::Cpu)
                };
                let (one, other) = (rows(&|i| pairs[i][0])?, rows(&|i| pairs[i][1])?);
                let clean = rows(&|i| (0, places[i]))?;
                let terms = network.terms([&one, &other, &clean], options)?;
                let total = terms.total()?;
                let rate = one_cycle(step, steps_an_epoch * options.epochs);
                optimizer.set_learning_rate(options.learning_rate * rate);
                optimizer.backward_step(&total)?;
                let values = [&total, &terms.reconstruction, &terms.contrast];
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum += f64::from(value.to_scalar::<f32>()?);
                }
                step += 1;
            }
            let [loss, reconstruction, contrast] = sums.map(|sum| sum / steps_an_epoch as f64);
            if !loss.is_finite() {
                return Err(Failed::Diverged);
            }
            (done, last_loss) = (epoch, loss);
            let report = EpochReport {
                epoch,
                of: options.epochs,
                loss,
                neighbourhood: 0.0,
                reconstruction,
                contrast,
            };
            if progress(&report).is_break() {
                break;
            }
        }
        Ok((done, last_loss))
    };
    descend().map_err(Failed::into_error)
}

/// A photograph and one that it is drawn to, itself or a neighbour, each as copy and place. Of
/// itself it is another copy, where there are two.
fn pair(own: usize, neighbours: &[u32], copies: usize, random: &mut Normal) -> [(usize, usize); 2] {
    let copy = random.below(copies);
    // The photograph itself is one of those, and stands alone where there is no other copy.
    let alone = usize::from(copies > 1 || neighbours.is_empty());
    let drawn = random.below(neighbours.len() + alone);
    match neighbours.get(drawn) {
        Some(&other) => [(copy, own), (random.below(copies), other as usize)],
        None => {
            let other = (copy + 1 + random.below(copies.saturating_sub(1))) % copies;
            [(copy, own), (other, own)]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_neighbours_or_other_copies_of_the_same() {
        let mut random = Normal::new(1);
        let (mut own, mut others) = (0, [0; 2]);
        for _ in 0..3000 {
            let [(copy, place), (other_copy, other)] = pair(7, &[3, 5], 4, &mut random);
            assert_eq!(place, 7);
            assert!(copy < 4 && other_copy < 4);
            match other {
                7 => {
                    assert_ne!(copy, other_copy);
                    own += 1;
                }
                3 => others[0] += 1,
                5 => others[1] += 1,
                _ => panic!("{other}"),
            }
        }
        for drawn in [own, others[0], others[1]] {
            assert!((850..1150).contains(&drawn), "{drawn}");
        }
        // Without copies a neighbour, and where there is none the photograph itself.
        assert_eq!(pair(7, &[3], 1, &mut random), [(0, 7), (0, 3)]);
        assert_eq!(pair(7, &[], 1, &mut random), [(0, 7), (0, 7)]);
    }

    /// The gradient of one term by the library against finite differences, along random ways.
    fn check_gradient(term: impl Fn(&Terms) -> Tensor) {
        let options = HeadOptions {
            code_len: 3,
            bits: 5,
            decoder_width: 6,
            contrast_weight: 0.7,
            reconstruction_weight: 2.0,
            ..HeadOptions::deep(7)
        };
        let mut random = Normal::new(3);
        let network = Network::new(4, &options, &mut random).unwrap();
        let mut rows = || {
            let values: Vec<f32> = (0..9 * 4).map(|_| random.draw()).collect();
            Tensor::from_vec(values, (9, 4), &Device::Cpu).unwrap()
        };
        let batch = [rows(), rows(), rows()];
        let terms = || network.terms(batch.each_ref(), &options).unwrap();
        let scalar = |tensor: &Tensor| f64::from(tensor.to_scalar::<f32>().unwrap());
        let gradients = term(&terms()).backward().unwrap();
        let mut checked = 0;
        for parameter in network.parameters() {
            let Some(gradient) = gradients.get(&parameter) else {
                continue;
            };
            let way: Vec<f32> = (0..parameter.elem_count()).map(|_| random.draw()).collect();
            let way = Tensor::from_vec(way, parameter.shape(), &Device::Cpu).unwrap();
            let slope = scalar(&(gradient * &way).unwrap().sum_all().unwrap());
            let here = parameter.as_tensor().copy().unwrap();
            let step = 5e-4;
            let at = |distance: f64| {
                let moved = (&here + (&way * distance).unwrap()).unwrap();
                parameter.set(&moved).unwrap();
                scalar(&term(&terms()))
            };
            let measured = (at(step) - at(-step)) / (2.0 * step);
            parameter.set(&here).unwrap();
            let error = (measured - slope).abs();
            assert!(error < 0.03 * measured.abs().max(0.2), "{measured} {slope}");
            checked += 1;
        }
        assert!(checked >= 3, "{checked} parameters have a gradient");
    }

    #[test]
    fn gradient_of_the_contrast_of_code_and_hash() {
        check_gradient(|terms| terms.contrast.clone());
    }

    #[test]
    fn gradient_of_the_balance() {
        check_gradient(|terms| terms.balance.clone());
    }

    #[test]
    fn gradient_of_the_reconstruction_from_code_and_hash() {
        check_gradient(|terms| terms.reconstruction.clone());
    }
}
