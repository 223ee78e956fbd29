//! Random numbers that are the same on every machine and with every version of every crate.

/// SplitMix64 (Steele, Lea and Flood 2014): enough randomness to place a crop or draw a sample.
#[derive(Debug, Clone)]
pub struct SplitMix(u64);

impl SplitMix {
    /// Returns a generator. The same seed gives the same numbers.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number in `0.0..1.0`.
    pub fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u64 << 24) as f32
    }

    /// Returns a number in `0..n`, or 0 if `n` is 0 (Lemire 2019, without its correction of a bias below
    /// `n / 2^64`).
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.bits()) * n as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_lie_within_their_bounds_and_repeat() {
        let (mut one, mut other) = (SplitMix::new(3), SplitMix::new(3));
        let mut counts = [0; 7];
        for _ in 0..7_000 {
            let unit = one.unit();
            assert!((0.0..1.0).contains(&unit));
            assert_eq!(unit.to_bits(), other.unit().to_bits());
            counts[one.below(7)] += 1;
            other.below(7);
        }
        assert!(
            counts.iter().all(|&count| (850..1150).contains(&count)),
            "{counts:?}"
        );
        assert_eq!(one.below(0), 0);
    }
}
