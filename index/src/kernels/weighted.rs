//! The weighted Hamming distance: a query's hash logits against stored bits.
//!
//! A stored hash has bits only, but a query still has the logits that its bits come from. A bit whose
//! logit is near zero could as well be the other one, so a difference there says little. Each bit
//! therefore counts by the size of its logit: the asymmetric distance of Gordo et al. (Asymmetric
//! distances for binary embeddings, 2014), scaled so that all differing bits together add a given total,
//! as in the symmetric distance.
//!
//! There are two kernels. [`BitWeights::distance`] is exact: a table for every four bits.
//! [`BitWeights::lower_bound`] is four times as fast: it rounds weights down to [`SLICES`] bits and counts
//! them bit by bit (bit slicing), so that it needs only the instructions of the symmetric distance.

use crate::kernels::distance::words;

/// Bits of a weight in the fast kernel.
const SLICES: usize = 4;

/// Largest weight in the fast kernel, in units.
const MAX_UNITS: f32 = ((1 << SLICES) - 1) as f32;

/// Bits in a word of a hash.
const WORD_BITS: usize = 64;

/// Bits that one table covers.
const TABLE_BITS: usize = 4;

/// Tables for one word of a hash.
const TABLES_A_WORD: usize = WORD_BITS / TABLE_BITS;

/// What each differing bit adds to the distance of one query.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BitWeights {
    /// The query's own bits.
    hash: Vec<u64>,
    /// For every four bits of a hash, what each pattern of differences adds.
    tables: Vec<[f32; 1 << TABLE_BITS]>,
    /// For every word of a hash, one mask for each bit of the rounded weights.
    slices: Vec<[u64; SLICES]>,
    /// What one unit of the rounded weights adds.
    unit: f32,
}

impl BitWeights {
    /// Returns the weights of a query with these finite logits: if all bits differ, the distance is
    /// `total`. If all logits are zero, every bit counts the same.
    pub fn new(logits: &[f32], total: f32) -> Self {
        let sum: f64 = logits.iter().map(|logit| f64::from(logit.abs())).sum();
        let weight = |logit: f32| {
            if sum > 0.0 {
                (f64::from(total) * f64::from(logit.abs()) / sum) as f32
            } else {
                total / logits.len() as f32
            }
        };
        let weights: Vec<f32> = logits.iter().map(|&logit| weight(logit)).collect();
        let packed = super::distance::pack_bits(logits);
        let hash: Vec<u64> = words(&packed).collect();
        let of_bit = |bit: usize| weights.get(bit).copied().unwrap_or(0.0);

        let tables = (0..hash.len() * TABLES_A_WORD).map(|table| {
            let four: [f32; TABLE_BITS] =
                std::array::from_fn(|bit| of_bit(table * TABLE_BITS + bit));
            std::array::from_fn(|pattern| {
                let set = (0..TABLE_BITS).filter(|bit| pattern >> bit & 1 == 1);
                set.map(|bit| four[bit]).sum()
            })
        });
        let unit = weights.iter().copied().fold(0.0, f32::max) / MAX_UNITS;
        let units = |bit: usize| {
            if unit > 0.0 {
                // Down, or the bound would not be one. What is added keeps a weight of whole units whole.
                (of_bit(bit) / unit + 1e-4).floor().min(MAX_UNITS) as u64
            } else {
                0
            }
        };
        let slices = (0..hash.len()).map(|word| {
            std::array::from_fn(|slice| {
                (0..WORD_BITS).fold(0, |mask, bit| {
                    mask | (units(word * WORD_BITS + bit) >> slice & 1) << bit
                })
            })
        });
        Self {
            tables: tables.collect(),
            slices: slices.collect(),
            hash,
            unit,
        }
    }

    /// Returns the weights of the bits in which `hash` differs from the query's, added.
    #[inline(always)]
    pub fn distance(&self, hash: &[u64]) -> f32 {
        // Four sums, so that an addition need not wait for the one before.
        let mut sums = [0.0f32; 4];
        let tables = self.tables.chunks_exact(TABLES_A_WORD);
        for ((own, there), tables) in self.hash.iter().zip(hash).zip(tables) {
            let apart = own ^ there;
            for (i, table) in tables.iter().enumerate() {
                let pattern = (apart >> (i * TABLE_BITS)) as usize % table.len();
                sums[i % 4] += table[pattern];
            }
        }
        (sums[0] + sums[2]) + (sums[1] + sums[3])
    }

    /// Returns nearly the same, and never more than [`BitWeights::distance`] but for rounding.
    #[inline(always)]
    pub fn lower_bound(&self, hash: &[u64]) -> f32 {
        self.lower_bound_of(hash.iter().copied())
    }

    /// As [`BitWeights::lower_bound`], of the words of a hash.
    #[inline(always)]
    pub fn lower_bound_of(&self, hash: impl Iterator<Item = u64>) -> f32 {
        let mut units = 0;
        for ((own, there), slices) in self.hash.iter().zip(hash).zip(&self.slices) {
            let apart = own ^ there;
            for (slice, mask) in slices.iter().enumerate() {
                units += (apart & mask).count_ones() << slice;
            }
        }
        units as f32 * self.unit
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kernels::distance::pack_bits;

    /// As the definition has it.
    fn naive(logits: &[f32], hash: &[u8], total: f32) -> f64 {
        let sum: f64 = logits.iter().map(|logit| f64::from(logit.abs())).sum();
        let bits = logits.iter().enumerate();
        bits.filter(|(i, logit)| (hash[i / 8] >> (i % 8) & 1 == 1) != (**logit > 0.0))
            .map(|(_, logit)| {
                if sum > 0.0 {
                    f64::from(total) * f64::from(logit.abs()) / sum
                } else {
                    f64::from(total) / logits.len() as f64
                }
            })
            .sum()
    }

    proptest! {
        #[test]
        fn both_kernels_agree_with_the_definition(
            (logits, hash) in (1usize..300).prop_flat_map(|n| (
                prop::collection::vec(-4.0f32..4.0, n),
                prop::collection::vec(any::<u8>(), n.div_ceil(8)),
            ))
        ) {
            let total = 16.0;
            let weights = BitWeights::new(&logits, total);
            // Bits behind the last one are zero, as in a stored hash.
            let mut stored = hash;
            if logits.len() % 8 > 0 {
                *stored.last_mut().unwrap() &= (1 << (logits.len() % 8)) - 1;
            }
            let expected = naive(&logits, &stored, total);
            let packed: Vec<u64> = words(&stored).collect();
            let distance = f64::from(weights.distance(&packed));
            let bound = f64::from(weights.lower_bound(&packed));
            prop_assert!((distance - expected).abs() <= 1e-4 * f64::from(total), "{distance} {expected}");
            prop_assert!(bound <= distance + 0.01, "{bound} {distance}");
            // Each differing bit loses less than a unit.
            let unit = f64::from(weights.unit);
            let differing = packed.iter().zip(&weights.hash).map(|(a, b)| (a ^ b).count_ones()).sum::<u32>();
            prop_assert!(bound >= distance - unit * f64::from(differing) - 1e-4, "{bound} {distance}");
        }
    }

    #[test]
    fn the_own_hash_is_at_zero_and_its_opposite_at_the_total() {
        let logits: Vec<f32> = (0..256)
            .map(|i| ((i * 37 % 101) as f32 - 50.0) / 9.0)
            .collect();
        let weights = BitWeights::new(&logits, 16.0);
        let own: Vec<u64> = words(&pack_bits(&logits)).collect();
        assert_eq!(weights.distance(&own), 0.0);
        assert_eq!(weights.lower_bound(&own), 0.0);
        let opposite: Vec<u64> = own.iter().map(|word| !word).collect();
        assert!((weights.distance(&opposite) - 16.0).abs() < 1e-4);
    }

    #[test]
    fn equal_logits_give_the_symmetric_distance() {
        let logits = [1.0f32, -1.0, 1.0, 1.0, -1.0, 1.0, -1.0, -1.0];
        let weights = BitWeights::new(&logits, 8.0);
        let zeros = BitWeights::new(&[0.0; 8], 8.0);
        assert_eq!(weights.distance(&[0]), 4.0);
        assert_eq!(weights.lower_bound(&[0]), 4.0);
        assert_eq!(zeros.distance(&[0b111]), 3.0);
    }
}
