//! The loss of a head without a hidden layer, and its parameters.
//!
//! The encoder's last layer takes an image's centred features `x` to a code on the unit sphere.
//! Three terms, each with a weight:
//!
//! - *neighbourhood*: the cross-entropy from the softmax of feature similarities within a batch
//!   to that of code similarities, the codes of one altered copy against those of another. It is
//!   the Kullback-Leibler divergence of stochastic neighbour embedding (Hinton and Roweis 2002)
//!   up to a constant;
//! - *reconstruction*: one minus the cosine between the features and what a decoder makes of the
//!   code, which is what makes it an autoencoder;
//! - *contrast*: the code of one copy is nearest to the other copy of its image in the batch (NT-Xent,
//!   Chen et al. 2020).

use candle_core::{CpuStorage, CustomOp2, D, Device, Layout, Result, Shape, Tensor, Var};
use candle_nn::ops::log_softmax;
use rayon::prelude::*;

use super::options::HeadOptions;
use crate::linear::{Normal, product, transposed};

/// Replaces a similarity that must not count. Softmax gives it a probability of zero.
const NEVER: f64 = -1e9;

/// The parameters.
pub(super) struct Model {
    /// `[d, code]`.
    pub encoder: Var,
    /// `[code, width]`.
    decoder_in: Var,
    /// `[width, d]`.
    decoder_out: Var,
}

/// A batch: features of two copies and of the image itself, each `[n, d]`.
pub(super) struct Batch {
    pub one: Tensor,
    pub other: Tensor,
    pub clean: Tensor,
}

/// The terms of the loss, weighted.
pub(super) struct Terms {
    pub neighbourhood: Tensor,
    pub reconstruction: Tensor,
    pub contrast: Tensor,
}

impl Terms {
    pub fn total(&self) -> Result<Tensor> {
        (&self.neighbourhood + &self.reconstruction)? + &self.contrast
    }
}

impl Model {
    /// Starts with a given encoder and a random decoder.
    pub fn new(
        encoder: &[f32],
        d: usize,
        code: usize,
        width: usize,
        random: &mut Normal,
    ) -> Result<Self> {
        let device = &Device::Cpu;
        let mut noise = |rows: usize, columns: usize| -> Result<Var> {
            // He et al. 2015, for rectified units.
            let scale = (2.0 / rows as f32).sqrt();
            let values: Vec<f32> = (0..rows * columns).map(|_| scale * random.draw()).collect();
            Var::from_vec(values, (rows, columns), device)
        };
        Ok(Self {
            decoder_in: noise(code, width)?,
            decoder_out: noise(width, d)?,
            encoder: Var::from_slice(encoder, (d, code), device)?,
        })
    }

    pub fn parameters(&self) -> Vec<Var> {
        vec![
            self.encoder.clone(),
            self.decoder_in.clone(),
            self.decoder_out.clone(),
        ]
    }

    fn code(&self, features: &Tensor) -> Result<Tensor> {
        unit(&features.matmul(&self.encoder)?)
    }

    /// Returns the loss on a batch.
    pub fn terms(&self, batch: &Batch, options: &HeadOptions) -> Result<Terms> {
        let (one, other) = (self.code(&batch.one)?, self.code(&batch.other)?);
        let clean = unit(&batch.clean)?;
        let n = clean.dim(0)?;
        let itself = (Tensor::eye(n, candle_core::DType::F32, &Device::Cpu)? * NEVER)?;
        let across = one.matmul(&other.t()?)?;

        let wanted = ((clean.matmul(&clean.t()?)? / options.feature_temperature)? + &itself)?;
        let wanted = candle_nn::ops::softmax(&wanted, D::Minus1)?.detach();
        let got = log_softmax(
            &((&across / options.code_temperature)? + &itself)?,
            D::Minus1,
        )?;
        let neighbourhood = (wanted * got)?.sum(D::Minus1)?.mean_all()?.neg()?;

        let decoded = one
            .matmul(&self.decoder_in)?
            .relu()?
            .matmul(&self.decoder_out)?;
        let cosine = (unit(&decoded)? * &clean)?.sum(D::Minus1)?;
        let reconstruction = (1.0 - cosine)?.mean_all()?;

        let contrast = if options.contrast_weight > 0.0 {
            contrast(&one, &other, options.contrast_temperature)?
        } else {
            Tensor::zeros((), candle_core::DType::F32, &Device::Cpu)?
        };
        Ok(Terms {
            neighbourhood: (neighbourhood * options.neighbourhood_weight)?,
            reconstruction: (reconstruction * options.reconstruction_weight)?,
            contrast: (contrast * options.contrast_weight)?,
        })
    }
}

/// Returns NT-Xent (Chen et al. 2020): the loss of finding the other copy of each row of `one` in the batch.
/// The opposite direction is left out. Rows must have length one.
pub(crate) fn contrast(one: &Tensor, other: &Tensor, temperature: f64) -> Result<Tensor> {
    let term = Contrast {
        temperature: temperature as f32,
    };
    one.contiguous()?.apply_op2(&other.contiguous()?, term)
}

/// NT-Xent and its gradient in one operation. As a composition of the library's operations, it would pass
/// a dozen times over matrices of a batch by two batches, in each direction.
struct Contrast {
    temperature: f32,
}

/// The probabilities that each row of a batch is paired with others.
struct Likely {
    /// With the other copies, `[n, n]`.
    across: Vec<f32>,
    /// With the other rows of its own side, `[n, n]`.
    within: Vec<f32>,
    /// The mean cross-entropy.
    loss: f32,
}

impl Contrast {
    fn likely(&self, one: &[f32], other: &[f32], n: usize, d: usize) -> Likely {
        let similar = |rows: &[f32]| {
            let mut all = product(one, &transposed(rows, n, d), n, d, n);
            all.par_iter_mut()
                .for_each(|value| *value /= self.temperature);
            all
        };
        let (mut across, mut within) = (similar(other), similar(one));
        let losses = across
            .par_chunks_exact_mut(n)
            .zip(within.par_chunks_exact_mut(n))
            .enumerate()
            .map(|(i, (across, within))| {
                within[i] = f32::NEG_INFINITY;
                let own = across[i];
                let both = || across.iter().chain(within.iter());
                let most = both().copied().fold(f32::NEG_INFINITY, f32::max);
                let mut sum = 0.0;
                for value in across.iter_mut().chain(within.iter_mut()) {
                    *value = (*value - most).exp();
                    sum += *value;
                }
                for value in across.iter_mut().chain(within) {
                    *value /= sum;
                }
                f64::from(sum.ln() + most - own)
            });
        // In order, so that the same batch has the same loss.
        let losses: Vec<f64> = losses.collect();
        let loss = (losses.iter().sum::<f64>() / n as f64) as f32;
        Likely {
            across,
            within,
            loss,
        }
    }
}

impl CustomOp2 for Contrast {
    fn name(&self) -> &'static str {
        "contrast"
    }

    fn cpu_fwd(
        &self,
        one: &CpuStorage,
        one_layout: &Layout,
        other: &CpuStorage,
        other_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (n, d) = one_layout.shape().dims2()?;
        if other_layout.shape().dims2()? != (n, d) {
            candle_core::bail!("a contrast is of as many rows of as many numbers");
        }
        let (one, other) = (rows(one, one_layout)?, rows(other, other_layout)?);
        let loss = self.likely(one, other, n, d).loss;
        Ok((CpuStorage::F32(vec![loss]), Shape::from(())))
    }

    fn bwd(
        &self,
        one: &Tensor,
        other: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (n, d) = one.dims2()?;
        let read = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<f32>();
        let (one, other) = (read(one)?, read(other)?);
        let Likely {
            mut across, within, ..
        } = self.likely(&one, &other, n, d);
        (0..n).for_each(|i| across[i * n + i] -= 1.0);
        // Each similarity moves both rows that it compares.
        let mut of_one = product(&across, &other, n, n, d);
        let both_ways = transposed(&within, n, n);
        let both_ways: Vec<f32> = within.iter().zip(&both_ways).map(|(a, b)| a + b).collect();
        let sides = product(&both_ways, &one, n, n, d);
        of_one.iter_mut().zip(&sides).for_each(|(a, b)| *a += b);
        let of_other = product(&transposed(&across, n, n), &one, n, n, d);
        let factor =
            f64::from(gradient.to_scalar::<f32>()?) / (n as f64 * f64::from(self.temperature));
        let made = |rows: Vec<f32>| Tensor::from_vec(rows, (n, d), &Device::Cpu)? * factor;
        Ok((Some(made(of_one)?), Some(made(of_other)?)))
    }
}

/// Returns the numbers of a contiguous tensor.
fn rows<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((start, end))) => Ok(&values[start..end]),
        _ => candle_core::bail!("a contrast is of contiguous float32 rows"),
    }
}

/// Normalises rows to length one.
pub(crate) fn unit(rows: &Tensor) -> Result<Tensor> {
    let norm = (rows.sqr()?.sum_keepdim(D::Minus1)? + 1e-9)?.sqrt()?;
    rows.broadcast_div(&norm)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: usize = 3;
    const WIDTH: usize = 6;
    const FEATURES: usize = 5;

    fn batch(random: &mut Normal) -> Batch {
        let mut rows = || {
            let values: Vec<f32> = (0..8 * FEATURES).map(|_| random.draw()).collect();
            Tensor::from_vec(values, (8, FEATURES), &Device::Cpu).unwrap()
        };
        Batch {
            one: rows(),
            other: rows(),
            clean: rows(),
        }
    }

    /// The gradient of one term by the library against finite differences, along random ways.
    fn check(term: impl Fn(&Terms) -> Tensor) {
        let mut random = Normal::new(11);
        let start: Vec<f32> = (0..FEATURES * CODE).map(|_| random.draw()).collect();
        let model = Model::new(&start, FEATURES, CODE, WIDTH, &mut random).unwrap();
        let batch = batch(&mut random);
        let options = HeadOptions {
            contrast_weight: 1.0,
            reconstruction_weight: 1.0,
            ..HeadOptions::default()
        };
        let value = || -> f64 {
            let terms = model.terms(&batch, &options).unwrap();
            f64::from(term(&terms).to_scalar::<f32>().unwrap())
        };
        let gradients = term(&model.terms(&batch, &options).unwrap())
            .backward()
            .unwrap();
        let mut checked = 0;
        for parameter in model.parameters() {
            let Some(gradient) = gradients.get(&parameter) else {
                continue;
            };
            let direction: Vec<f32> = (0..parameter.elem_count()).map(|_| random.draw()).collect();
            let way = Tensor::from_vec(direction, parameter.shape(), &Device::Cpu).unwrap();
            let slope = (gradient * &way)
                .unwrap()
                .sum_all()
                .unwrap()
                .to_scalar::<f32>()
                .unwrap();
            let here = parameter.as_tensor().copy().unwrap();
            let step = 1e-3;
            let at = |distance: f64| {
                parameter
                    .set(&(&here + (&way * distance).unwrap()).unwrap())
                    .unwrap();
                value()
            };
            let measured = (at(step) - at(-step)) / (2.0 * step);
            parameter.set(&here).unwrap();
            let error = (measured - f64::from(slope)).abs();
            assert!(
                error < 0.02 * measured.abs().max(0.05),
                "{measured} {slope}"
            );
            checked += 1;
        }
        assert!(checked > 0);
    }

    #[test]
    fn gradient_of_the_neighbourhood_term() {
        check(|terms| terms.neighbourhood.clone());
    }

    #[test]
    fn gradient_of_the_reconstruction_term() {
        check(|terms| terms.reconstruction.clone());
    }

    #[test]
    fn gradient_of_the_contrast_term() {
        check(|terms| terms.contrast.clone());
    }

    #[test]
    fn the_contrast_is_what_plain_operations_make_and_so_are_its_gradients() {
        let mut random = Normal::new(5);
        let (n, d, temperature) = (9, 4, 0.3);
        let mut rows = || {
            let values: Vec<f32> = (0..n * d).map(|_| random.draw()).collect();
            Var::from_tensor(
                &unit(&Tensor::from_vec(values, (n, d), &Device::Cpu).unwrap()).unwrap(),
            )
            .unwrap()
        };
        let (one, other) = (rows(), rows());
        let plain = || -> Result<Tensor> {
            let eye = Tensor::eye(n, candle_core::DType::F32, &Device::Cpu)?;
            let across = (one.matmul(&other.t()?)? / temperature)?;
            let within = ((one.matmul(&one.t()?)? / temperature)? + (&eye * NEVER)?)?;
            let all = log_softmax(&Tensor::cat(&[&across, &within], 1)?, D::Minus1)?;
            (all.narrow(1, 0, n)? * eye)?
                .sum(D::Minus1)?
                .mean_all()?
                .neg()
        };
        let own = (contrast(&one, &other, temperature).unwrap() * 1.7).unwrap();
        let theirs = (plain().unwrap() * 1.7).unwrap();
        let scalar = |tensor: &Tensor| tensor.to_scalar::<f32>().unwrap();
        assert!((scalar(&own) - scalar(&theirs)).abs() < 1e-5);
        let (own, theirs) = (own.backward().unwrap(), theirs.backward().unwrap());
        for side in [&one, &other] {
            let difference = (own.get(side).unwrap() - theirs.get(side).unwrap()).unwrap();
            let largest = difference.abs().unwrap().max_all().unwrap();
            assert!(scalar(&largest) < 1e-5, "{largest}");
        }
    }

    #[test]
    fn a_perfect_autoencoder_reconstructs_at_no_cost() {
        let mut random = Normal::new(1);
        let identity = [1.0, 0.0, 0.0, 1.0];
        let model = Model::new(&identity, 2, 2, 4, &mut random).unwrap();
        // Each sign of each number has a unit of its own.
        let into = [1.0f32, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0, -1.0];
        let out = [1.0f32, 0.0, -1.0, 0.0, 0.0, 1.0, 0.0, -1.0];
        model
            .decoder_in
            .set(&Tensor::from_slice(&into, (2, 4), &Device::Cpu).unwrap())
            .unwrap();
        model
            .decoder_out
            .set(&Tensor::from_slice(&out, (4, 2), &Device::Cpu).unwrap())
            .unwrap();
        let rows =
            Tensor::from_slice(&[0.6f32, -0.8, -1.0, 2.0, 3.0, 0.1], (3, 2), &Device::Cpu).unwrap();
        let batch = Batch {
            one: rows.clone(),
            other: rows.clone(),
            clean: rows,
        };
        let terms = model.terms(&batch, &HeadOptions::default()).unwrap();
        assert!(terms.reconstruction.to_scalar::<f32>().unwrap().abs() < 1e-5);
    }
}
