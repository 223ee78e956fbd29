//! Distances between codes and between hashes.
//!
//! Safe Rust in a shape that the compiler turns into vector instructions: fixed-size lanes, no
//! branch inside. The squared difference and not the shorter sum of a dot product: equal codes
//! are at exactly zero.

use crate::kernels::simd::{self, Simd};

/// Lanes of the code kernel; rows are padded to a multiple of it.
pub(crate) const LANES: usize = 16;

/// Returns the squared Euclidean distance of two codes.
///
/// # Panics
///
/// If the lengths differ.
///
/// # Examples
///
/// ```
/// assert_eq!(imgsearch_index::l2_squared(&[1.0, 2.0], &[4.0, 6.0]), 25.0);
/// ```
pub fn l2_squared(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "codes of different lengths");
    let (a_lanes, a_rest) = a.as_chunks::<LANES>();
    let (b_lanes, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0f32; LANES];
    for (a, b) in a_lanes.iter().zip(b_lanes) {
        for lane in 0..LANES {
            let difference = a[lane] - b[lane];
            sums[lane] += difference * difference;
        }
    }
    let mut sum = total(sums);
    for (a, b) in a_rest.iter().zip(b_rest) {
        sum += (a - b) * (a - b);
    }
    sum
}

/// Returns the squared Euclidean distance of two codes that are padded to whole lanes, with the
/// instructions of `simd`: left to itself, the compiler sums in pairs of numbers, and a scan takes
/// three times as long.
#[inline(always)]
pub(crate) fn l2<S: Simd>(simd: S, a: &[f32], b: &[f32]) -> f32 {
    let (a, _) = S::as_simd_f32s(a);
    let (b, _) = S::as_simd_f32s(b);
    let mut sum = simd.splat_f32s(0.0);
    for (a, b) in a.iter().zip(b) {
        let difference = simd.sub_f32s(*a, *b);
        sum = simd.mul_add_e_f32s(difference, difference, sum);
    }
    simd.reduce_sum_f32s(sum)
}

/// Returns the squared Euclidean distance of two codes that are padded to whole lanes, to be compiled
/// into whatever calls it.
#[inline(always)]
pub(crate) fn l2_lanes(a: &[f32], b: &[f32]) -> f32 {
    let (a, _) = a.as_chunks::<LANES>();
    let (b, _) = b.as_chunks::<LANES>();
    let mut sums = [0.0f32; LANES];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            let difference = a[lane] - b[lane];
            sums[lane] += difference * difference;
        }
    }
    total(sums)
}

/// Adds the lanes up, in pairs: one after the other, each addition would wait for the last, and
/// a scan would take twice as long.
#[inline(always)]
fn total(sums: [f32; LANES]) -> f32 {
    let eight: [f32; 8] = std::array::from_fn(|lane| sums[lane] + sums[lane + 8]);
    let four: [f32; 4] = std::array::from_fn(|lane| eight[lane] + eight[lane + 4]);
    (four[0] + four[2]) + (four[1] + four[3])
}

/// Returns the number of bits in which two packed hashes differ.
///
/// # Panics
///
/// If the lengths differ.
///
/// # Examples
///
/// ```
/// assert_eq!(imgsearch_index::hamming(&[0b1010_0000, 1], &[0b0000_0000, 3]), 3);
/// ```
pub fn hamming(a: &[u8], b: &[u8]) -> u32 {
    assert_eq!(a.len(), b.len(), "hashes of different lengths");
    let (a_words, a_rest) = a.as_chunks::<8>();
    let (b_words, b_rest) = b.as_chunks::<8>();
    let words: u32 = a_words
        .iter()
        .zip(b_words)
        .map(|(a, b)| (u64::from_ne_bytes(*a) ^ u64::from_ne_bytes(*b)).count_ones())
        .sum();
    let rest: u32 = a_rest
        .iter()
        .zip(b_rest)
        .map(|(a, b)| (a ^ b).count_ones())
        .sum();
    words + rest
}

/// Returns the bits that differ between two hashes in words of 64 bits.
#[inline(always)]
pub(crate) fn hamming_words(a: &[u64], b: &[u64]) -> u32 {
    a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum()
}

/// Returns a packed hash as words of 64 bits, the last one filled with zeros.
pub(crate) fn words(hash: &[u8]) -> impl Iterator<Item = u64> + '_ {
    hash.chunks(8).map(|chunk| {
        let mut bytes = [0; 8];
        bytes[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(bytes)
    })
}

/// Packs logits into a hash: bit `i` is whether logit `i` is above zero, and lies in byte
/// `i / 8` at position `i % 8`, the lowest first. Bits that fill the last byte are zero.
///
/// # Examples
///
/// ```
/// let hash = imgsearch_index::pack_bits(&[1.0, -1.0, 0.5, 0.0, -2.0, -2.0, -2.0, -2.0, 3.0]);
/// assert_eq!(hash, [0b0000_0101, 0b0000_0001]);
/// ```
pub fn pack_bits(logits: &[f32]) -> Vec<u8> {
    logits
        .chunks(8)
        .map(|chunk| {
            chunk
                .iter()
                .enumerate()
                .fold(0, |byte, (i, &logit)| byte | (u8::from(logit > 0.0) << i))
        })
        .collect()
}

pub(crate) fn finite(code: &[f32]) -> bool {
    code.iter().all(|value| value.is_finite())
}

/// Writes in how many bits a hash of 256 bits differs from each of several, with the widest instructions that the
/// processor has. `apart` has an entry for each row then.
pub fn hamming_to_all(hash: &[u64; 4], rows: &[[u64; 4]], apart: &mut Vec<u32>) {
    apart.clear();
    simd::widest(ToAll { hash, rows, apart });
}

struct ToAll<'a> {
    hash: &'a [u64; 4],
    rows: &'a [[u64; 4]],
    apart: &'a mut Vec<u32>,
}

impl simd::Work for ToAll<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        // Closures that are passed on to iterators may be compiled apart, without these instructions.
        self.apart.resize(self.rows.len(), 0);
        let [a, b, c, d] = *self.hash;
        for (apart, row) in self.apart.iter_mut().zip(self.rows) {
            *apart = (a ^ row[0]).count_ones()
                + (b ^ row[1]).count_ones()
                + (c ^ row[2]).count_ones()
                + (d ^ row[3]).count_ones();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn hamming_counts_bits(
            pair in (0usize..70).prop_flat_map(|n| {
                (prop::collection::vec(any::<u8>(), n), prop::collection::vec(any::<u8>(), n))
            })
        ) {
            let (a, b) = pair;
            let mut naive = 0;
            for i in 0..a.len() * 8 {
                naive += u32::from((a[i / 8] >> (i % 8)) & 1 != (b[i / 8] >> (i % 8)) & 1);
            }
            prop_assert_eq!(hamming(&a, &b), naive);
            let (a, b): (Vec<u64>, Vec<u64>) = (words(&a).collect(), words(&b).collect());
            prop_assert_eq!(hamming_words(&a, &b), naive);
        }

        #[test]
        fn l2_is_the_sum_of_squared_differences(
            pair in (0usize..100).prop_flat_map(|n| {
                (prop::collection::vec(-10.0f32..10.0, n), prop::collection::vec(-10.0f32..10.0, n))
            })
        ) {
            let (a, b) = pair;
            let naive: f64 = a.iter().zip(&b).map(|(a, b)| f64::from(a - b).powi(2)).sum();
            prop_assert!((f64::from(l2_squared(&a, &b)) - naive).abs() <= 1e-5 * naive.max(1.0));
            prop_assert_eq!(l2_squared(&a, &a), 0.0);
            let padded = |row: &[f32]| {
                let mut row = row.to_vec();
                row.resize(row.len().next_multiple_of(LANES), 0.0);
                row
            };
            let lanes = f64::from(l2_lanes(&padded(&a), &padded(&b)));
            prop_assert!((lanes - naive).abs() <= 1e-5 * naive.max(1.0));
        }

        #[test]
        fn packing_keeps_every_bit_in_its_place(logits in prop::collection::vec(-1.0f32..1.0, 0..300)) {
            let hash = pack_bits(&logits);
            prop_assert_eq!(hash.len(), logits.len().div_ceil(8));
            for (i, &logit) in logits.iter().enumerate() {
                prop_assert_eq!((hash[i / 8] >> (i % 8)) & 1 == 1, logit > 0.0);
            }
            let set: u32 = hash.iter().map(|byte| byte.count_ones()).sum();
            prop_assert_eq!(set as usize, logits.iter().filter(|&&l| l > 0.0).count());
        }
    }
}
