//! The network: its parameters, and the computation from pixels to the code and back.

use candle_core::{Device, Result, Tensor, Var};
use candle_nn::ops::sigmoid;

use super::design::{Design, Layers, Sparsity};
use crate::linear::Normal;

/// The side of a convolution's kernel, its stride and its padding.
pub(super) const KERNEL: usize = 3;
pub(super) const STRIDE: usize = 2;
pub(super) const PADDING: usize = 1;

/// A layer's weights and biases.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    /// `[in, out]`; of a convolution `[out, in, 3, 3]`, of a transposed one `[in, out, 3, 3]`.
    pub weight: Var,
    /// `[out]`.
    pub bias: Var,
}

impl Layer {
    /// Draws the weights of a layer with `fan_in` inputs and `out` outputs.
    fn random(
        shape: &[usize],
        fan_in: usize,
        out: usize,
        gain: f32,
        random: &mut Normal,
    ) -> Result<Self> {
        let scale = (gain / fan_in as f32).sqrt();
        let count = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|_| scale * random.draw()).collect();
        Ok(Self {
            weight: Var::from_vec(values, shape, &Device::Cpu)?,
            bias: Var::zeros(out, candle_core::DType::F32, &Device::Cpu)?,
        })
    }
}

/// An autoencoder's parameters.
#[derive(Debug, Clone)]
pub(super) struct Network {
    pub design: Design,
    /// From the pixels on.
    pub encoder: Vec<Layer>,
    /// From the last of them to the code.
    pub code: Layer,
    /// To the logarithm of the code's variance, in a variational autoencoder.
    pub spread: Option<Layer>,
    /// To the logits of the bits, with a twin bottleneck.
    pub bits: Option<Layer>,
    /// From the bottleneck on, the pixels last.
    pub decoder: Vec<Layer>,
}

/// A value and how it changes along a direction of the input.
struct Dual {
    value: Tensor,
    slope: Option<Tensor>,
}

impl Dual {
    fn linear(self, of: impl Fn(&Tensor) -> Result<Tensor>, bias: &Tensor) -> Result<Self> {
        Ok(Self {
            value: of(&self.value)?.broadcast_add(bias)?,
            slope: self.slope.as_ref().map(of).transpose()?,
        })
    }

    fn relu(self) -> Result<Self> {
        let slope = match self.slope {
            Some(slope) => {
                let on = self.value.gt(0.0)?.to_dtype(slope.dtype())?;
                Some((slope * on)?)
            }
            None => None,
        };
        Ok(Self {
            value: self.value.relu()?,
            slope,
        })
    }

    fn sigmoid(self) -> Result<Self> {
        let value = sigmoid(&self.value)?;
        let slope = match self.slope {
            Some(slope) => Some((slope * (&value * (1.0 - &value)?)?)?),
            None => None,
        };
        Ok(Self { value, slope })
    }

    fn map(self, of: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Self> {
        Ok(Self {
            value: of(&self.value)?,
            slope: self.slope.as_ref().map(of).transpose()?,
        })
    }
}

/// What the encoder makes of a batch.
pub(super) struct Encoded {
    /// `[n, code_len]`.
    pub code: Tensor,
    /// The change of the code along the direction that was given.
    pub slope: Option<Tensor>,
    /// Logarithms of variances, `[n, code_len]`.
    pub spread: Option<Tensor>,
    /// `[n, bits]`.
    pub logits: Option<Tensor>,
}

impl Network {
    /// Makes a network with random weights (He et al. 2015).
    pub fn new(design: &Design, random: &mut Normal) -> Result<Self> {
        let mut layer = |shape: &[usize], fan_in: usize, out: usize, gain: f32| {
            Layer::random(shape, fan_in, out, gain, random)
        };
        let area = KERNEL * KERNEL;
        let mut encoder = Vec::new();
        let flat = match &design.layers {
            Layers::Dense(sizes) => {
                let mut inside = design.shape.len();
                for &out in sizes {
                    encoder.push(layer(&[inside, out], inside, out, 2.0)?);
                    inside = out;
                }
                inside
            }
            Layers::Convolutional(channels) => {
                let mut inside = design.shape.channels;
                for &out in channels {
                    let shape = [out, inside, KERNEL, KERNEL];
                    encoder.push(layer(&shape, inside * area, out, 2.0)?);
                    inside = out;
                }
                let (height, width) = *sides(design).last().unwrap_or(&(1, 1));
                inside * height * width
            }
        };
        let code_len = design.code_len;
        let code = layer(&[flat, code_len], flat, code_len, 1.0)?;
        // The spread starts small, so the decoder learns from the means first.
        let spread = match design.beta {
            Some(_) => {
                let layer = layer(&[flat, code_len], flat, code_len, 0.01)?;
                layer.bias.set(&(layer.bias.ones_like()? * -4.0)?)?;
                Some(layer)
            }
            None => None,
        };
        let bits = match design.twin_bits {
            0 => None,
            bits => Some(layer(&[flat, bits], flat, bits, 1.0)?),
        };

        let mut decoder = Vec::new();
        let mut inside = code_len + design.twin_bits;
        match &design.layers {
            Layers::Dense(sizes) => {
                for &out in sizes.iter().rev() {
                    decoder.push(layer(&[inside, out], inside, out, 2.0)?);
                    inside = out;
                }
                let out = design.shape.len();
                decoder.push(layer(&[inside, out], inside, out, 1.0)?);
            }
            Layers::Convolutional(channels) => {
                decoder.push(layer(&[inside, flat], inside, flat, 2.0)?);
                let outs = channels.iter().rev().skip(1).copied();
                let outs = outs.chain([design.shape.channels]);
                for (&inside, out) in channels.iter().rev().zip(outs) {
                    // Each pixel of a transposed convolution of stride 2 has a quarter of the
                    // kernel's inputs.
                    let fan_in = (inside * area).div_ceil(STRIDE * STRIDE);
                    let shape = [inside, out, KERNEL, KERNEL];
                    decoder.push(layer(&shape, fan_in, out, 2.0)?);
                }
            }
        }
        Ok(Self {
            design: design.clone(),
            encoder,
            code,
            spread,
            bits,
            decoder,
        })
    }

    /// All parameters, with names that say if they belong.
    pub fn parameters(&self) -> Vec<(String, Var)> {
        let mut all = Vec::new();
        let mut add = |name: &str, layer: &Layer| {
            all.push((format!("{name}.weight"), layer.weight.clone()));
            all.push((format!("{name}.bias"), layer.bias.clone()));
        };
        for (i, layer) in self.encoder.iter().enumerate() {
            add(&format!("encoder.{i}"), layer);
        }
        add("code", &self.code);
        if let Some(layer) = &self.spread {
            add("spread", layer);
        }
        if let Some(layer) = &self.bits {
            add("bits", layer);
        }
        for (i, layer) in self.decoder.iter().enumerate() {
            add(&format!("decoder.{i}"), layer);
        }
        all
    }

    /// The way down, of images `[n, channels × height × width]`, and the change along a
    /// direction of the same shape.
    pub fn encode(&self, samples: &Tensor, direction: Option<&Tensor>) -> Result<Encoded> {
        let shape = self.design.shape;
        let mut x = Dual {
            value: samples.clone(),
            slope: direction.cloned(),
        };
        let convolutional = matches!(self.design.layers, Layers::Convolutional(_));
        if convolutional {
            x = x.map(|x| x.reshape(((), shape.channels, shape.height, shape.width)))?;
        }
        for layer in &self.encoder {
            x = if convolutional {
                let bias = layer.bias.reshape((1, (), 1, 1))?;
                x.linear(|x| x.conv2d(&layer.weight, PADDING, STRIDE, 1, 1), &bias)?
            } else {
                x.linear(|x| x.matmul(&layer.weight), &layer.bias)?
            };
            x = x.relu()?;
        }
        if convolutional {
            x = x.map(|x| x.flatten_from(1))?;
        }
        let project = |layer: &Layer| x.value.matmul(&layer.weight)?.broadcast_add(&layer.bias);
        let spread = self.spread.as_ref().map(project).transpose()?;
        let logits = self.bits.as_ref().map(project).transpose()?;
        let mut code = x.linear(|x| x.matmul(&self.code.weight), &self.code.bias)?;
        if matches!(self.design.sparsity, Some(Sparsity::Kl { .. })) {
            code = code.sigmoid()?;
        }
        Ok(Encoded {
            code: code.value,
            slope: code.slope,
            spread,
            logits,
        })
    }

    /// The way up: logits of images `[n, channels × height × width]` of a bottleneck, which is
    /// the code and, if there are twins, -1 or 1 for each bit.
    pub fn decode(&self, bottleneck: &Tensor) -> Result<Tensor> {
        let last = self.decoder.len() - 1;
        let Layers::Convolutional(channels) = &self.design.layers else {
            let mut x = bottleneck.clone();
            for (i, layer) in self.decoder.iter().enumerate() {
                x = x.matmul(&layer.weight)?.broadcast_add(&layer.bias)?;
                if i < last {
                    x = x.relu()?;
                }
            }
            return Ok(x);
        };
        let sides = sides(&self.design);
        let (height, width) = sides[sides.len() - 1];
        let mut x = bottleneck
            .matmul(&self.decoder[0].weight)?
            .broadcast_add(&self.decoder[0].bias)?
            .relu()?
            .reshape(((), channels[channels.len() - 1], height, width))?;
        for (i, layer) in self.decoder.iter().enumerate().skip(1) {
            let (height, width) = sides[sides.len() - 1 - i];
            // One row and column more than an odd side needs, which are cut off.
            x = x
                .conv_transpose2d(&layer.weight, PADDING, 1, STRIDE, 1)?
                .narrow(2, 0, height)?
                .narrow(3, 0, width)?
                .broadcast_add(&layer.bias.reshape((1, (), 1, 1))?)?;
            if i < last {
                x = x.relu()?;
            }
        }
        x.flatten_from(1)
    }
}

/// Returns height and width before the first convolution and after each.
pub(super) fn sides(design: &Design) -> Vec<(usize, usize)> {
    let mut sides = vec![(design.shape.height, design.shape.width)];
    if let Layers::Convolutional(channels) = &design.layers {
        for i in 0..channels.len() {
            let (height, width) = sides[i];
            sides.push((height.div_ceil(STRIDE), width.div_ceil(STRIDE)));
        }
    }
    sides
}
