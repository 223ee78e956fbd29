//! The network of a deep head, and its loss.

use candle_core::{Device, Tensor, Var};

use crate::head::objective::{contrast, unit};
use crate::head::options::HeadOptions;
use crate::linear::Normal;

/// The weight of the balance of the bits, next to a contrast of weight 1.
const BALANCE: f64 = 0.1;
/// The temperature of the hashes' contrast, as a multiple of that of the codes.
const HASH_TEMPERATURE: f64 = 1.25;

/// The parameters.
pub(super) struct Network {
    /// `[kept, units]`.
    pub hidden: Var,
    pub hidden_bias: Var,
    /// `[units, code_len]`.
    pub code: Var,
    /// `[units, bits]`.
    pub hash: Var,
    /// `[code_len + bits, decoder_width]`.
    pub decoder_in: Var,
    /// `[decoder_width, kept]`.
    pub decoder_out: Var,
}

/// The terms of the loss, each with its weight in.
pub(super) struct Terms {
    pub contrast: Tensor,
    pub balance: Tensor,
    pub reconstruction: Tensor,
}

impl Network {
    pub fn new(
        kept: usize,
        options: &HeadOptions,
        random: &mut Normal,
    ) -> candle_core::Result<Self> {
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

    pub fn parameters(&self) -> Vec<Var> {
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
    pub fn encode(&self, rows: &Tensor) -> candle_core::Result<(Tensor, Tensor)> {
        let hidden = rows.matmul(&self.hidden)?;
        let hidden = hidden.broadcast_add(&self.hidden_bias)?.relu()?;
        Ok((
            unit(&hidden.matmul(&self.code)?)?,
            hidden.matmul(&self.hash)?.tanh()?,
        ))
    }

    /// The loss on rows and on those that they are drawn to; the decoder is to make `clean`.
    pub fn terms(
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
    pub fn total(&self) -> candle_core::Result<Tensor> {
        (&self.contrast + &self.balance)? + &self.reconstruction
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks the gradient of one term against finite differences, along random directions.
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
