//! The loss: the reconstruction, and a term for each kind.

use candle_core::{CpuStorage, CustomOp1, D, DType, Device, Layout, Result, Shape, Tensor};
use candle_nn::ops::{log_softmax, sigmoid, softmax};

use super::design::{Design, Loss, Noise, Sparsity};
use super::network::Network;
use crate::head::objective::{contrast, unit};
use crate::linear::Normal;

/// Replaces a similarity that must not count. Softmax gives it a probability of zero.
const NEVER: f64 = -1e9;
/// Temperatures of the softmax over similarities of pixels and of codes.
const PIXEL_TEMPERATURE: f64 = 0.1;
const CODE_TEMPERATURE: f64 = 0.25;
/// Temperature of the softmax over codes of two views.
const VIEW_TEMPERATURE: f64 = 0.3;
/// The share of features that a view leaves out.
const FEATURES_LEFT_OUT: f32 = 0.2;
/// The squared precision of the coding rate (Yu et al. 2020).
const PRECISION: f64 = 0.5;
/// Logarithms of variances are kept within this of 0, so that none overflows.
const MAX_SPREAD: f64 = 10.0;

/// The terms of the loss, weighted. Each is the mean over samples.
#[derive(Debug)]
pub(super) struct Terms {
    pub reconstruction: Tensor,
    /// Name and value of each other term that is switched on.
    pub others: Vec<(&'static str, Tensor)>,
}

impl Terms {
    pub fn total(&self) -> Result<Tensor> {
        let mut total = self.reconstruction.clone();
        for (_, term) in &self.others {
            total = (total + term)?;
        }
        Ok(total)
    }
}

/// The random numbers of a step. They are drawn before it, so that a step can be repeated.
pub(super) struct StepNoise {
    /// The input: the samples, corrupted in a denoising autoencoder.
    pub corrupted: Tensor,
    /// Standard normal numbers, `[n, code_len]`, in a variational autoencoder.
    epsilon: Option<Tensor>,
    /// Standard normal numbers in the shape of the samples, in a contractive autoencoder.
    direction: Option<Tensor>,
    /// Shifted copies of the samples, if there is a two-view term.
    view: Option<Tensor>,
}

impl StepNoise {
    pub fn draw(design: &Design, clean: &Tensor, random: &mut Normal) -> Result<Self> {
        let (n, d) = clean.dims2()?;
        let mut normal = |columns: usize| {
            let values: Vec<f32> = (0..n * columns).map(|_| random.draw()).collect();
            Tensor::from_vec(values, (n, columns), &Device::Cpu)
        };
        let epsilon = design.beta.map(|_| normal(design.code_len)).transpose()?;
        let direction = (design.contraction > 0.0).then(|| normal(d)).transpose()?;
        Ok(Self {
            corrupted: corrupt(design, clean, random)?,
            epsilon,
            direction,
            view: (design.two_view > 0.0)
                .then(|| moved(design, clean, random))
                .transpose()?,
        })
    }
}

/// Corrupts samples with the noise of the design, if it has any.
pub(super) fn corrupt(design: &Design, clean: &Tensor, random: &mut Normal) -> Result<Tensor> {
    let Some(noise) = design.noise else {
        return Ok(clean.clone());
    };
    let mut values: Vec<f32> = clean.flatten_all()?.to_vec1()?;
    for value in &mut values {
        match noise {
            Noise::Gaussian(deviation) => {
                *value += deviation as f32 * random.draw();
                if !design.shape.is_features() {
                    *value = value.clamp(0.0, 1.0);
                }
            }
            Noise::Masking(share) => {
                if f64::from(random.unit()) < share {
                    *value = 0.0;
                }
            }
        }
    }
    Tensor::from_vec(values, clean.shape(), &Device::Cpu)
}

/// Shifts each image by up to an eighth of its sides, repeats its rim, and makes it up to a fifth brighter
/// or darker. Features cannot be shifted; a fifth of them is left out.
fn moved(design: &Design, clean: &Tensor, random: &mut Normal) -> Result<Tensor> {
    let shape = design.shape;
    let values: Vec<f32> = clean.flatten_all()?.to_vec1()?;
    let mut out = values.clone();
    if shape.is_features() {
        for value in &mut out {
            if random.unit() < FEATURES_LEFT_OUT {
                *value = 0.0;
            }
        }
        return Tensor::from_vec(out, clean.shape(), &Device::Cpu);
    }
    let (height, width) = (shape.height, shape.width);
    let samples = values.chunks_exact(shape.len());
    for (image, out) in samples.zip(out.chunks_exact_mut(shape.len())) {
        let mut shift = |side: usize| {
            let most = side / 8;
            random.below(2 * most + 1) as isize - most as isize
        };
        let (down, right) = (shift(height), shift(width));
        let light = 0.8 + 0.4 * random.unit();
        let from = |place: usize, shift: isize, side: usize| {
            place.saturating_add_signed(shift).min(side - 1)
        };
        let planes = image.chunks_exact(height * width);
        for (plane, out) in planes.zip(out.chunks_exact_mut(height * width)) {
            for (y, row) in out.chunks_exact_mut(width).enumerate() {
                let y = from(y, down, height);
                for (x, value) in row.iter_mut().enumerate() {
                    *value = (plane[y * width + from(x, right, width)] * light).min(1.0);
                }
            }
        }
    }
    Tensor::from_vec(out, clean.shape(), &Device::Cpu)
}

/// Returns the bottleneck of a code and its bits. Bits are -1 and 1. Their gradient is that of the logits'
/// hyperbolic tangent, as if nothing were rounded.
pub(super) fn bottleneck(code: &Tensor, logits: Option<&Tensor>) -> Result<Tensor> {
    let Some(logits) = logits else {
        return Ok(code.clone());
    };
    let soft = logits.tanh()?;
    let hard = ((logits.gt(0.0)?.to_dtype(DType::F32)? * 2.0)? - 1.0)?;
    let bits = (&soft + (hard - &soft)?.detach())?;
    Tensor::cat(&[code, &bits], 1)
}

/// Returns the loss on a batch of clean samples, `[n, d]`, with numbers from 0 to 1.
pub(super) fn terms(network: &Network, clean: &Tensor, noise: &StepNoise) -> Result<Terms> {
    let design = &network.design;
    let encoded = network.encode(&noise.corrupted, noise.direction.as_ref())?;
    let mut others = Vec::new();
    let mut code = encoded.code.clone();
    if let (Some(beta), Some(spread), Some(epsilon)) =
        (design.beta, &encoded.spread, &noise.epsilon)
    {
        let spread = spread.clamp(-MAX_SPREAD, MAX_SPREAD)?;
        let kl = ((encoded.code.sqr()? + spread.exp()?)? - &spread)?;
        let kl = ((kl - 1.0)? * 0.5)?.sum(D::Minus1)?.mean_all()?;
        others.push(("divergence", (kl * beta)?));
        code = (code + (epsilon * (spread * 0.5)?.exp()?)?)?;
    }
    let logits = network.decode(&bottleneck(&code, encoded.logits.as_ref())?)?;
    let reconstruction = reconstruction(design, &logits, clean)?.mean_all()?;
    match design.sparsity {
        Some(Sparsity::L1 { weight }) => {
            let l1 = encoded.code.abs()?.sum(D::Minus1)?.mean_all()?;
            others.push(("sparsity", (l1 * weight)?));
        }
        Some(Sparsity::Kl { target, weight }) => {
            let mean = encoded.code.mean(0)?.clamp(1e-6, 1.0 - 1e-6)?;
            let on = ((mean.log()? - target.ln())? * -target)?;
            let off = (((1.0 - &mean)?.log()? - (1.0 - target).ln())? * -(1.0 - target))?;
            others.push(("sparsity", ((on + off)?.sum_all()? * weight)?));
        }
        None => {}
    }
    if let Some(slope) = &encoded.slope {
        // The expectation over standard normal directions of the squared change is the squared
        // Frobenius norm (Hutchinson 1990).
        let norm = slope.sqr()?.sum(D::Minus1)?.mean_all()?;
        others.push(("contraction", (norm * design.contraction)?));
    }
    if let Some(logits) = &encoded.logits {
        // Bits that are on half the time say the most.
        let balance = logits.tanh()?.mean(0)?.sqr()?.sum_all()?;
        others.push(("balance", balance));
    }
    if design.neighbourhood > 0.0 {
        let term = neighbourhood(&encoded.code, clean)?;
        others.push(("neighbourhood", (term * design.neighbourhood)?));
    }
    if let Some(view) = &noise.view {
        let other = network.encode(view, None)?.code;
        let term = contrast(&unit(&encoded.code)?, &unit(&other)?, VIEW_TEMPERATURE)?;
        others.push(("two views", (term * design.two_view)?));
    }
    if design.coding_rate > 0.0 {
        let term = coding_rate(&encoded.code)?;
        others.push(("coding rate", (term * -design.coding_rate)?));
    }
    Ok(Terms {
        reconstruction,
        others,
    })
}

/// Returns the output for `logits`: pixels between 0 and 1, features without limits.
pub(super) fn output(design: &Design, logits: &Tensor) -> Result<Tensor> {
    if design.loss == Loss::Softmax {
        softmax(logits, D::Minus1)
    } else if design.shape.is_features() {
        Ok(logits.clone())
    } else {
        sigmoid(logits)
    }
}

/// Returns the squared error of reconstructing each sample as `logits`: `[n]`.
pub(super) fn squared_error(design: &Design, logits: &Tensor, clean: &Tensor) -> Result<Tensor> {
    (output(design, logits)? - clean)?.sqr()?.sum(D::Minus1)
}

/// Returns the loss of reconstructing each sample as `logits`: `[n]`.
pub(super) fn reconstruction(design: &Design, logits: &Tensor, clean: &Tensor) -> Result<Tensor> {
    match design.loss {
        Loss::Mse => squared_error(design, logits, clean),
        Loss::Bce => {
            // max(x, 0) - x t + ln(1 + exp(-|x|)), which never overflows.
            let soft = (logits.abs()?.neg()?.exp()? + 1.0)?.log()?;
            ((logits.relu()? - (logits * clean)?)? + soft)?.sum(D::Minus1)
        }
        Loss::Cosine => {
            let cosine = (unit(&output(design, logits)?)? * unit(clean)?)?.sum(D::Minus1)?;
            (1.0 - cosine)? * clean.dim(1)? as f64
        }
        Loss::Softmax => {
            let sums = clean
                .sum_keepdim(D::Minus1)?
                .clamp(f32::MIN_POSITIVE, f32::MAX)?;
            let shares = clean.broadcast_div(&sums)?;
            (shares * log_softmax(logits, D::Minus1)?)?
                .sum(D::Minus1)?
                .neg()
        }
    }
}

/// Returns the cross-entropy from the softmax of the similarities of centred pixels within a batch to
/// that of codes (Hinton and Roweis 2002).
fn neighbourhood(code: &Tensor, clean: &Tensor) -> Result<Tensor> {
    let n = clean.dim(0)?;
    let itself = (Tensor::eye(n, DType::F32, &Device::Cpu)? * NEVER)?;
    let similarities = |rows: &Tensor, temperature: f64| -> Result<Tensor> {
        let rows = unit(&rows.broadcast_sub(&rows.mean_keepdim(0)?)?)?;
        (rows.matmul(&rows.t()?)? / temperature)? + &itself
    };
    let wanted = softmax(&similarities(clean, PIXEL_TEMPERATURE)?, D::Minus1)?.detach();
    let got = log_softmax(&similarities(code, CODE_TEMPERATURE)?, D::Minus1)?;
    (wanted * got)?.sum(D::Minus1)?.mean_all()?.neg()
}

/// Returns the coding rate of a batch in nats: half the log-determinant of `I + d / (n ε²) Zᵀ Z`, of
/// centred codes of length one.
fn coding_rate(code: &Tensor) -> Result<Tensor> {
    let (n, d) = code.dims2()?;
    let rows = unit(&code.broadcast_sub(&code.mean_keepdim(0)?)?)?;
    let spread = (rows.t()?.matmul(&rows)? * (d as f64 / (n as f64 * PRECISION)))?;
    let matrix = (spread + Tensor::eye(d, DType::F32, &Device::Cpu)?)?;
    matrix.contiguous()?.apply_op1(LogDeterminant)? * 0.5
}

/// The logarithm of the determinant of a symmetric positive definite matrix; its gradient is the
/// inverse.
struct LogDeterminant;

fn cholesky(values: &[f32], d: usize) -> Result<faer::linalg::solvers::Llt<f64>> {
    faer::Mat::from_fn(d, d, |i, j| f64::from(values[i * d + j]))
        .llt(faer::Side::Lower)
        .map_err(|error| candle_core::Error::Msg(format!("no Cholesky factor: {error:?}")))
}

impl CustomOp1 for LogDeterminant {
    fn name(&self) -> &'static str {
        "log-determinant"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (d, _) = layout.shape().dims2()?;
        let CpuStorage::F32(values) = storage else {
            candle_core::bail!("the log-determinant is of float32 matrices");
        };
        let Some((start, end)) = layout.contiguous_offsets() else {
            candle_core::bail!("the log-determinant is of contiguous matrices");
        };
        let factor = cholesky(&values[start..end], d)?;
        let factor = factor.L();
        let sum: f64 = (0..d).map(|i| 2.0 * factor[(i, i)].ln()).sum();
        Ok((CpuStorage::F32(vec![sum as f32]), Shape::from(())))
    }

    fn bwd(&self, matrix: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        use faer::linalg::solvers::DenseSolveCore as _;
        let (d, _) = matrix.dims2()?;
        let values: Vec<f32> = matrix.flatten_all()?.to_vec1()?;
        let inverse = cholesky(&values, d)?.inverse();
        let inverse: Vec<f32> = (0..d * d).map(|i| inverse[(i / d, i % d)] as f32).collect();
        let inverse = Tensor::from_vec(inverse, (d, d), &Device::Cpu)?;
        Ok(Some(inverse.broadcast_mul(gradient)?))
    }
}

#[cfg(test)]
mod tests;
