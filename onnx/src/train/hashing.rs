//! The hash layer: main directions, turned by iterative quantisation, split at their medians.

use rayon::prelude::*;

use super::baseline::Pca;
use super::linear::{product, rotation};
use crate::error::Result;

/// The hash: as many main directions as there are bits, turned by iterative quantisation, each
/// bit split at its median. Where there are fewer directions than bits, several turns of them
/// stand side by side.
pub(crate) fn hash_layer(
    pca: &Pca,
    rows: &[f32],
    (n, width): (usize, usize),
    scale: f32,
    (bits, seed): (usize, u64),
) -> Result<(Vec<f32>, Vec<f32>)> {
    let k = pca.k().min(bits);
    let kept: Vec<f32> = (0..width)
        .flat_map(|i| &pca.directions[i * pca.k()..i * pca.k() + k])
        .copied()
        .collect();
    let projected = product(rows, &kept, n, width, k);
    let mut hash = vec![0.0; width * bits];
    for block in 0..bits.div_ceil(k) {
        let turn = rotation(&projected, n, k, seed.wrapping_add(block as u64))?;
        let turned = product(&kept, &turn, width, k, k);
        let (first, last) = (block * k, bits.min((block + 1) * k));
        for i in 0..width {
            hash[i * bits + first..i * bits + last]
                .copy_from_slice(&turned[i * k..i * k + last - first]);
        }
    }
    let logits = product(rows, &hash, n, width, bits);
    let medians: Vec<f32> = (0..bits)
        .into_par_iter()
        .map(|bit| {
            let mut column: Vec<f32> = logits.chunks_exact(bits).map(|row| row[bit]).collect();
            let (low, middle, _) = column.select_nth_unstable_by(n / 2, f32::total_cmp);
            let below = low.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            // Between the two middle ones of an even number, so that none lies on the edge.
            if below.is_finite() {
                (below + *middle) / 2.0
            } else {
                *middle
            }
        })
        .collect();
    // logits = ((direction - mean) * scale) H - median, folded.
    hash.iter_mut().for_each(|value| *value *= scale);
    let shift = product(&pca.mean, &hash, 1, width, bits);
    let bias = shift
        .iter()
        .zip(&medians)
        .map(|(shift, median)| -shift - median)
        .collect();
    Ok((hash, bias))
}
