//! The hash layer: principal components, rotated by iterative quantisation, split at their medians.

use rayon::prelude::*;

use crate::error::Result;
use crate::linear::{product, rotation};

/// Makes the hash of `n` centred rows along `directions` principal components, the first ones first. As
/// many components as there are bits are rotated by iterative quantisation, and each bit is split at its
/// median. If there are fewer components than bits, the hash has several rotations of them.
///
/// Returns the weights, `[directions, bits]`, and the medians: the logits are the product minus the
/// medians.
pub(crate) fn hash_layer(
    rows: &[f32],
    (n, directions): (usize, usize),
    (bits, seed): (usize, u64),
) -> Result<(Vec<f32>, Vec<f32>)> {
    let k = directions.min(bits);
    let kept = rows.chunks_exact(directions).flat_map(|row| &row[..k]);
    let kept: Vec<f32> = kept.copied().collect();
    let mut hash = vec![0.0; directions * bits];
    for block in 0..bits.div_ceil(k) {
        let turn = rotation(&kept, n, k, seed.wrapping_add(block as u64))?;
        let (first, last) = (block * k, bits.min((block + 1) * k));
        for i in 0..k {
            hash[i * bits + first..i * bits + last]
                .copy_from_slice(&turn[i * k..i * k + last - first]);
        }
    }
    let logits = product(rows, &hash, n, directions, bits);
    let medians = medians(&logits, bits);
    Ok((hash, medians))
}

/// Returns the median of each bit's logits, `[n, bits]`.
pub(crate) fn medians(logits: &[f32], bits: usize) -> Vec<f32> {
    let n = logits.len() / bits;
    (0..bits)
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
        .collect()
}
