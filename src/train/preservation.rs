//! How well an encoder does its job, without labels.

use imgsearch_index::{hamming, l2_squared};
use imgsearch_train::head::{Head, HeadOutput};
use imgsearch_train::neighbourhood_preservation;
use rayon::prelude::*;
use serde::Serialize;

use crate::train::extract::Extracted;

/// How many nearest neighbours by features count, if there are enough images.
pub const NEIGHBOURS: usize = 10;

/// At most one in this number of images counts as a neighbour: among few images, all are near.
const IMAGES_PER_NEIGHBOUR: usize = 5;

/// How well an encoder does its job.
///
/// For similar images, this is the share of neighbourhoods that are kept: of each held-out image's
/// nearest by features, how many are among its nearest by the code, or by the hash. For copies, it is
/// the share of altered copies of held-out images whose nearest image is their original.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Preservation {
    /// By the code.
    pub code: f64,
    /// By the hash.
    pub hash: f64,
    /// By both together, as queries rank by default.
    pub both: f64,
}

/// Codes and hashes of one encoder.
pub(super) struct Codes<'a> {
    pub codes: &'a [f32],
    pub code_len: usize,
    pub hashes: &'a [u8],
    pub bits: usize,
    pub hash_weight: f32,
}

/// Returns how many neighbours are compared among `n` images.
pub(super) fn neighbours_among(n: usize) -> usize {
    NEIGHBOURS.min(n / IMAGES_PER_NEIGHBOUR)
}

/// Returns how well codes keep the neighbourhoods of the features. The images from number `first` on
/// validate them.
pub(super) fn preservation(all: &Extracted, first: usize, of: &Codes<'_>) -> Preservation {
    let n = all.paths.len();
    let bytes = of.hashes.len() / n;
    let kept = |distance: &(dyn Fn(usize, usize) -> f32 + Sync)| {
        let neighbours = neighbours_among(n);
        let d = all.feature_len;
        neighbourhood_preservation(&all.features, d, n, neighbours, first..n, distance)
    };
    let code = |a, b| l2_squared(row(of.codes, of.code_len, a), row(of.codes, of.code_len, b));
    let hash = |a, b| hamming(row(of.hashes, bytes, a), row(of.hashes, bytes, b)) as f32;
    Preservation {
        code: kept(&code),
        hash: kept(&hash),
        both: kept(&|a, b| code(a, b) + of.hash_weight / of.bits as f32 * hash(a, b)),
    }
}

/// Returns the share of `copies`, one set for each view, whose nearest image is their original. They
/// are copies of the images from number `first` on.
pub(super) fn recognised(
    head: &Head,
    originals: &HeadOutput,
    first: usize,
    copies: &[HeadOutput],
) -> Preservation {
    let (code_len, bytes) = (head.code_len(), head.bits().div_ceil(8));
    let weight = head.hash_weight() / head.bits() as f32;
    let hashes = originals.hashes();
    let n = originals.codes.len() / code_len;
    let (mut right, mut of) = ([0usize; 3], 0usize);
    for copies in copies {
        let hashes_of_copies = copies.hashes();
        let each = (first..n).into_par_iter().map(|own| {
            let code = row(&copies.codes, code_len, own - first);
            let hash = row(&hashes_of_copies, bytes, own - first);
            let mut nearest = [(f32::INFINITY, 0); 3];
            for i in 0..n {
                let by_code = l2_squared(code, row(&originals.codes, code_len, i));
                let by_hash = hamming(hash, row(&hashes, bytes, i)) as f32;
                let distances = [by_code, by_hash, by_code + weight * by_hash];
                for (nearest, distance) in nearest.iter_mut().zip(distances) {
                    if distance < nearest.0 {
                        *nearest = (distance, i);
                    }
                }
            }
            nearest.map(|(_, i)| usize::from(i == own))
        });
        let sums = each.reduce(|| [0; 3], |a, b| std::array::from_fn(|i| a[i] + b[i]));
        right = std::array::from_fn(|i| right[i] + sums[i]);
        of += n - first;
    }
    let [code, hash, both] = right.map(|right| right as f64 / of.max(1) as f64);
    Preservation { code, hash, both }
}

fn row<T>(rows: &[T], length: usize, i: usize) -> &[T] {
    &rows[i * length..(i + 1) * length]
}
