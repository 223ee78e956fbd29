//! The hash of trained codes: principal components, rotated by iterative quantisation and split at their medians (Gong and
//! Lazebnik, 2011).

use super::export::HashLayer;
use crate::baseline::Pca;
use crate::error::Result;
use crate::hashing::hash_layer;
use crate::linear::{Normal, product};

/// Pairs of codes whose distances are measured.
const PAIRS: usize = 10_000;

/// Makes the layer that gives the logits of `bits` bits, of codes `[n, code_len]`.
pub(super) fn layer(
    codes: &[f32],
    code_len: usize,
    (bits, seed): (usize, u64),
) -> Result<HashLayer> {
    let n = codes.len() / code_len;
    let directions = code_len.min(n.saturating_sub(1));
    let pca = Pca::fit(codes, n, code_len, directions)?;
    let along = pca.project(codes, n);
    let (hash, medians) = hash_layer(&along, (n, directions), (bits, seed))?;
    let weight = product(&pca.directions, &hash, code_len, directions, bits);
    let shift = product(&pca.mean, &weight, 1, code_len, bits);
    let bias = shift.iter().zip(&medians);
    Ok(HashLayer {
        bias: bias.map(|(shift, median)| -shift - median).collect(),
        weight,
    })
}

/// Returns how much the hash counts beside codes `[n, code_len]`: half of the bits of two samples differ on average, so
/// both count alike.
pub(super) fn weight(codes: &[f32], code_len: usize, seed: u64) -> f32 {
    let n = codes.len() / code_len;
    let mut random = Normal::new(seed);
    let apart: f64 = (0..PAIRS)
        .map(|_| {
            let [a, b] = [random.below(n), random.below(n)].map(|i| i * code_len);
            let pairs = codes[a..a + code_len].iter().zip(&codes[b..b + code_len]);
            pairs.map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>()
        })
        .sum();
    (2.0 * apart / PAIRS as f64) as f32
}
