//! A head that needs no data: drawn directions.

use super::ImportOptions;
use crate::encoder_file::{CODE, FEATURES, HASH};
use crate::graph_edit::Grafter;
use crate::proto::ModelProto;

/// Puts a code and the logits of a hash behind the features, which have length 1: their products with drawn
/// directions. The directions of the code are at right angles to each other, so that distances of codes stand for
/// those of features (Johnson and Lindenstrauss 1984); so are those of the hash, in groups of `width`, and the
/// bits tell the angle between features (Charikar 2002).
///
/// Features of images share a mean that only images tell, so nothing is centred here, and bits are less balanced
/// than those of a trained head.
pub(super) fn graft(model: &mut ModelProto, width: usize, options: &ImportOptions) {
    let mut random = Drawing::new(options.seed);
    let code = directions(&mut random, width, options.code_len);
    let hash = directions(&mut random, width, options.bits);
    let mut graft = Grafter::new(model, "head.");
    let weights = graft.constant("code.weight", &[width, options.code_len], &code);
    let linear = graft.node("MatMul", &[FEATURES, &weights], "code.linear");
    let unit = graft.unit(&linear, options.code_len, "code.direction");
    graft.output_node("Identity", &[&unit], CODE, options.code_len);
    let weights = graft.constant("hash.weight", &[width, options.bits], &hash);
    graft.output_node("MatMul", &[FEATURES, &weights], HASH, options.bits);
}

/// Draws `k` directions among `d` numbers as the columns of a matrix `[d, k]`. Each group of `d` is at right angles.
fn directions(random: &mut Drawing, d: usize, k: usize) -> Vec<f32> {
    let mut columns: Vec<Vec<f64>> = Vec::with_capacity(k);
    while columns.len() < k {
        let group = columns.len() / d * d;
        let mut column: Vec<f64> = (0..d).map(|_| random.normal()).collect();
        // Twice, because what one round leaves of the others is not small after rounding.
        for _ in 0..2 {
            for other in &columns[group..] {
                let along: f64 = column.iter().zip(other).map(|(a, b)| a * b).sum();
                column
                    .iter_mut()
                    .zip(other)
                    .for_each(|(a, b)| *a -= along * b);
            }
        }
        let norm = column.iter().map(|a| a * a).sum::<f64>().sqrt();
        // A column that the others nearly span is drawn again.
        if norm > 1e-3 {
            columns.push(column.iter().map(|a| a / norm).collect());
        }
    }
    (0..d)
        .flat_map(|row| columns.iter().map(move |column| column[row] as f32))
        .collect()
}

/// Random numbers: SplitMix64 (Steele, Lea and Flood 2014), the same on every machine.
pub(super) struct Drawing(u64);

impl Drawing {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number above 0 and up to 1.
    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    /// A number of the normal distribution (Box and Muller 1958).
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.unit().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_are_at_right_angles_and_of_length_one() {
        let (d, k) = (8, 20);
        let drawn = directions(&mut Drawing::new(3), d, k);
        let product = |a: usize, b: usize| -> f32 {
            (0..d)
                .map(|row| drawn[row * k + a] * drawn[row * k + b])
                .sum()
        };
        for a in 0..k {
            assert!((product(a, a) - 1.0).abs() < 1e-5);
            let group = a / d * d;
            for b in group..a {
                assert!(product(a, b).abs() < 1e-5, "{a} {b}");
            }
        }
        assert_eq!(drawn, directions(&mut Drawing::new(3), d, k));
        assert_ne!(drawn, directions(&mut Drawing::new(4), d, k));
    }
}
