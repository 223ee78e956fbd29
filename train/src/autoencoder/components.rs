//! Principal components, as a measure for autoencoders.

use super::samples::Samples;
use crate::baseline::Pca;
use crate::error::Result;

/// The maximum number of samples for principal components. More change little.
const MAX_FOR_COMPONENTS: usize = 20_000;

/// The maximum length of a sample for principal components. The time grows with its cube.
const MAX_NUMBERS: usize = 2_048;

/// Returns the mean squared error of held-out samples that `k` principal components of the others leave.
/// An autoencoder must beat it. Returns `None` if samples have more than 2,048 numbers.
///
/// # Errors
///
/// [`InvalidInput`](crate::Error::InvalidInput) if there are too few images for `k` components.
pub fn component_error(
    samples: &Samples<'_>,
    held_out: &Samples<'_>,
    k: usize,
) -> Result<Option<f64>> {
    let d = samples.shape().len();
    if d > MAX_NUMBERS {
        return Ok(None);
    }
    let numbers = |samples: &Samples<'_>, n: usize| -> Vec<f32> {
        let evenly: Vec<usize> = (0..n).map(|i| i * samples.len() / n).collect();
        samples.numbers(&evenly)
    };
    let n = samples.len().min(MAX_FOR_COMPONENTS);
    let pca = Pca::fit(&numbers(samples, n), n, d, k)?;
    let own = numbers(held_out, held_out.len());
    let kept = pca.project(&own, held_out.len());
    let mut left = 0.0;
    for (row, code) in own.chunks_exact(d).zip(kept.chunks_exact(k)) {
        let centred = row.iter().zip(&pca.mean);
        left += centred
            .map(|(v, mean)| f64::from(v - mean).powi(2))
            .sum::<f64>();
        left -= code.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
    }
    Ok(Some(left / held_out.len() as f64))
}
