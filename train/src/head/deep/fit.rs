//! The descent of a deep head.

use std::ops::ControlFlow;

use candle_core::{Device, Tensor};
use candle_nn::optim::{AdamW, Optimizer, ParamsAdamW};

use super::network::Network;
use crate::error::Result;
use crate::head::descent::{Failed, one_cycle};
use crate::head::options::{EpochReport, HeadOptions};
use crate::linear::Normal;

/// Trains the network; the epochs done, and the last loss.
pub(super) fn fit(
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

/// Draws a positive pair: an image and a neighbour, or another copy of the image if there is one. Each is
/// a copy and a place.
fn pair(own: usize, neighbours: &[u32], copies: usize, random: &mut Normal) -> [(usize, usize); 2] {
    let copy = random.below(copies);
    // The image itself is one of the choices, if it has another copy or no neighbours.
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
        // Without copies it is a neighbour; without neighbours it is the image itself.
        assert_eq!(pair(7, &[3], 1, &mut random), [(0, 7), (0, 3)]);
        assert_eq!(pair(7, &[], 1, &mut random), [(0, 7), (0, 7)]);
    }
}
