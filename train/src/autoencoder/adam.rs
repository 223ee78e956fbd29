//! The optimiser.

use candle_core::{Device, Tensor, Var};
use rayon::prelude::*;

/// Steps of Adam (Kingma and Ba 2015).
pub(crate) struct Adam {
    parameters: Vec<Var>,
    /// Means of gradients and of their squares.
    pub moments: Vec<(Vec<f32>, Vec<f32>)>,
    /// Number of steps done.
    pub step: i32,
}

const MEAN: f32 = 0.9;
const SQUARES: f32 = 0.999;
const MIN_DIVISOR: f32 = 1e-8;

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
                    *value -= rate * *mean / (square.sqrt() + MIN_DIVISOR);
                });
            parameter.set(&Tensor::from_vec(values, parameter.shape(), &Device::Cpu)?)?;
        }
        Ok(())
    }
}
