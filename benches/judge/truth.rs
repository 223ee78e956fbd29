//! What labels say of a ranking, and the default ranking.

use imgsearch::training::head::{Head, HeadOutput};
use rayon::prelude::*;

/// Writes the distances from an image to all, as queries rank by default.
pub fn rank(head: &Head, output: &HeadOutput, image: usize, out: &mut [f32]) {
    let (length, bits) = (head.code_len(), head.bits());
    let code = &output.codes[image * length..][..length];
    let logits = &output.logits[image * bits..][..bits];
    let sum: f32 = logits.iter().map(|logit| logit.abs()).sum();
    let weight = head.hash_weight() / sum.max(f32::MIN_POSITIVE);
    let rows = output
        .codes
        .chunks_exact(length)
        .zip(output.logits.chunks_exact(bits));
    for (out, (other, theirs)) in out.iter_mut().zip(rows) {
        let apart: f32 = code.iter().zip(other).map(|(a, b)| (a - b).powi(2)).sum();
        let differing = logits.iter().zip(theirs);
        let differing: f32 = differing
            .map(|(a, b)| {
                if (*a > 0.0) == (*b > 0.0) {
                    0.0
                } else {
                    a.abs()
                }
            })
            .sum();
        *out = apart + weight * differing;
    }
}

/// Returns the mean average precision of a ranking, each image left out of its own answer.
pub fn map(labels: &[Option<usize>], distances: &(impl Fn(usize, &mut [f32]) + Sync)) -> f64 {
    let precisions: Vec<f64> = (0..labels.len())
        .into_par_iter()
        .filter_map(|image| {
            let own = labels[image]?;
            let mut apart = vec![0.0; labels.len()];
            distances(image, &mut apart);
            let mut order: Vec<usize> = (0..labels.len()).filter(|&i| i != image).collect();
            order.sort_by(|&a, &b| apart[a].total_cmp(&apart[b]));
            let (mut found, mut sum) = (0, 0.0);
            for (rank, &other) in order.iter().enumerate() {
                if labels[other] == Some(own) {
                    found += 1;
                    sum += f64::from(found) / (rank + 1) as f64;
                }
            }
            (found > 0).then(|| sum / f64::from(found))
        })
        .collect();
    precisions.iter().sum::<f64>() / precisions.len().max(1) as f64
}
