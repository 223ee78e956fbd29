//! Linear methods on rows of numbers: principal components and iterative quantisation.
//!
//! The training of codes and hashes starts from them, and they are baselines to compare trained encoders
//! with.

use faer::{Mat, MatRef, Side};
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng as _, SeedableRng as _};

use crate::error::{Error, Result};
use imgsearch_onnx::authoring::{MIN_NORM, pack};

/// Alternations of iterative quantisation; the published 50.
const ITQ_ITERATIONS: usize = 50;

/// The maximum number of rows for iterative quantisation. More change a rotation of 256 dimensions little,
/// and the time grows with them.
const ITQ_ROWS: usize = 8192;

/// Directions with less than this share of the largest variance are noise of the arithmetic.
const MIN_VARIANCE: f32 = 1e-7;

fn matrix(rows: &[f32], n: usize, d: usize) -> MatRef<'_, f32> {
    MatRef::from_row_major_slice(rows, n, d)
}

/// Returns a row-major copy.
pub(super) fn row_major(matrix: MatRef<'_, f32>) -> Vec<f32> {
    let mut out = Vec::with_capacity(matrix.nrows() * matrix.ncols());
    for i in 0..matrix.nrows() {
        out.extend((0..matrix.ncols()).map(|j| matrix[(i, j)]));
    }
    out
}

/// Returns the product of row-major matrices `[n, d]` and `[d, k]`.
pub(crate) fn product(a: &[f32], b: &[f32], n: usize, d: usize, k: usize) -> Vec<f32> {
    row_major((matrix(a, n, d) * matrix(b, d, k)).as_ref())
}

/// Returns the transpose of a row-major matrix `[n, d]`.
pub(super) fn transposed(rows: &[f32], n: usize, d: usize) -> Vec<f32> {
    row_major(matrix(rows, n, d).transpose())
}

/// Returns the mean of the rows.
pub(crate) fn mean(rows: &[f32], d: usize) -> Vec<f32> {
    let mut sums = vec![0.0f64; d];
    for row in rows.chunks_exact(d) {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += f64::from(*value);
        }
    }
    let n = (rows.len() / d).max(1) as f64;
    sums.into_iter().map(|sum| (sum / n) as f32).collect()
}

/// Subtracts `mean` from every row.
pub(crate) fn centre(rows: &mut [f32], mean: &[f32]) {
    for row in rows.chunks_exact_mut(mean.len()) {
        for (value, mean) in row.iter_mut().zip(mean) {
            *value -= mean;
        }
    }
}

/// Normalises every row to length one. A row of zeros stays. The exported graph does the same.
pub(crate) fn normalise(rows: &mut [f32], d: usize) {
    for row in rows.chunks_exact_mut(d) {
        let norm = row.iter().map(|v| v * v).sum::<f32>().sqrt();
        let norm = norm.max(MIN_NORM);
        row.iter_mut().for_each(|v| *v /= norm);
    }
}

/// Principal component analysis (Pearson 1901): the directions of largest variance.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Pca {
    /// The mean of the rows.
    pub mean: Vec<f32>,
    /// `[d, k]`, row-major: each column is a direction, the largest variance first.
    pub directions: Vec<f32>,
    /// The variance along each direction.
    pub variances: Vec<f32>,
}

impl Pca {
    /// Finds the `k` principal components of `n` rows of `d` numbers.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if there are fewer than two rows, `k` is larger than the
    /// number of directions, or numbers are not finite.
    pub fn fit(rows: &[f32], n: usize, d: usize, k: usize) -> Result<Self> {
        if n < 2 || rows.len() != n * d || k == 0 || k > d {
            return Err(Error::InvalidInput(format!(
                "{k} directions of {n} rows of {d} numbers cannot be found"
            )));
        }
        if rows.iter().any(|value| !value.is_finite()) {
            return Err(Error::InvalidInput(
                "a row holds a number that is not finite".to_owned(),
            ));
        }
        let mean = mean(rows, d);
        let mut centred = rows.to_vec();
        centre(&mut centred, &mean);
        let centred = matrix(&centred, n, d);
        let covariance: Mat<f32> =
            centred.transpose() * centred * faer::Scale(1.0 / (n - 1) as f32);
        let eigen = covariance
            .self_adjoint_eigen(Side::Lower)
            .map_err(|error| Error::Training(format!("no principal components: {error:?}")))?;
        // The smallest eigenvalue comes first.
        let place = |j: usize| d - 1 - j;
        let (vectors, values) = (eigen.U(), eigen.S().column_vector());
        let mut directions = vec![0.0; d * k];
        for i in 0..d {
            for j in 0..k {
                directions[i * k + j] = vectors[(i, place(j))];
            }
        }
        let floor = values[place(0)].max(f32::MIN_POSITIVE) * MIN_VARIANCE;
        Ok(Self {
            mean,
            directions,
            variances: (0..k).map(|j| values[place(j)].max(floor)).collect(),
        })
    }

    /// Returns the numbers in a projected row.
    pub fn k(&self) -> usize {
        self.variances.len()
    }

    /// Projects rows on the directions: `[n, k]`, row-major.
    pub fn project(&self, rows: &[f32], n: usize) -> Vec<f32> {
        let d = self.mean.len();
        let mut centred = rows.to_vec();
        centre(&mut centred, &self.mean);
        product(&centred, &self.directions, n, d, self.k())
    }
}

/// Returns how `n` rows of `d` numbers vary about zero: the mean of their outer products, `[d, d]`.
pub(super) fn scatter(rows: &[f32], n: usize, d: usize) -> Vec<f32> {
    let rows = matrix(rows, n, d);
    let scatter: Mat<f32> = rows.transpose() * rows * faer::Scale(1.0 / n as f32);
    row_major(scatter.as_ref())
}

/// Returns the matrix that gives rows of a [`scatter`] the same variance in every direction: `[d, d]`,
/// row-major. `ridge` times the mean variance is added in every direction.
///
/// # Errors
///
/// [`Error::Training`] if the scatter is not finite.
pub(super) fn whitening(scatter: &[f32], d: usize, ridge: f32) -> Result<Vec<f32>> {
    let eigen = matrix(scatter, d, d)
        .self_adjoint_eigen(Side::Lower)
        .map_err(|error| Error::Training(format!("nothing to whiten by: {error:?}")))?;
    let (vectors, values) = (eigen.U(), eigen.S().column_vector());
    let mean = (0..d).map(|j| values[j]).sum::<f32>() / d as f32;
    let factor = |j: usize| {
        let value = values[j].max(0.0) + ridge * mean;
        value.max(f32::MIN_POSITIVE).sqrt().recip()
    };
    Ok(row_major(
        Mat::from_fn(d, d, |i, j| vectors[(i, j)] * factor(j)).as_ref(),
    ))
}

/// Iterative quantisation (Gong and Lazebnik 2011): principal components, rotated so that
/// their signs lose as little as possible.
#[derive(Debug, Clone)]
pub struct Itq {
    pca: Pca,
    /// `[k, bits]`, row-major.
    rotation: Vec<f32>,
    bits: usize,
}

impl Itq {
    /// Learns `bits` bits from `n` rows of `d` numbers.
    ///
    /// # Errors
    ///
    /// As [`Pca::fit`]: there must be as many numbers in a row as bits.
    pub fn fit(rows: &[f32], n: usize, d: usize, bits: usize, seed: u64) -> Result<Self> {
        if bits > d {
            return Err(Error::InvalidInput(format!(
                "iterative quantisation makes at most {d} bits from {d} numbers, not {bits}"
            )));
        }
        let pca = Pca::fit(rows, n, d, bits)?;
        let rotation = rotation(&pca.project(rows, n), n, bits, seed)?;
        Ok(Self {
            pca,
            rotation,
            bits,
        })
    }

    /// Returns the packed hashes of `n` rows, `ceil(bits / 8)` bytes each.
    pub fn hash(&self, rows: &[f32], n: usize) -> Vec<u8> {
        let turned = product(
            &self.pca.project(rows, n),
            &self.rotation,
            n,
            self.bits,
            self.bits,
        );
        turned.chunks_exact(self.bits).flat_map(pack).collect()
    }
}

/// Returns the rotation `[k, k]` after which the signs of `n` rows of `k` numbers are nearest to the rows.
/// It alternates between the best signs for the rotation and the best rotation for the signs (the
/// orthogonal Procrustes problem, by singular value decomposition).
pub(crate) fn rotation(rows: &[f32], n: usize, k: usize, seed: u64) -> Result<Vec<f32>> {
    // Rows are evenly spread, so that sorted collections are represented.
    let step = n.div_ceil(ITQ_ROWS).max(1);
    let sample: Vec<f32> = rows
        .chunks_exact(k)
        .step_by(step)
        .flatten()
        .copied()
        .collect();
    let n = sample.len() / k;
    let rows = matrix(&sample, n, k);
    let mut random = Normal::new(seed);
    let noise = Mat::from_fn(k, k, |_, _| random.draw());
    let mut turn: Mat<f32> = noise.qr().compute_thin_Q();
    for _ in 0..ITQ_ITERATIONS {
        let turned = rows * &turn;
        let signs = Mat::from_fn(
            n,
            k,
            |i, j| if turned[(i, j)] > 0.0 { 1.0f32 } else { -1.0 },
        );
        let svd = (rows.transpose() * &signs)
            .svd()
            .map_err(|error| Error::Training(format!("no rotation: {error:?}")))?;
        turn = svd.U() * svd.V().transpose();
    }
    Ok(row_major(turn.as_ref()))
}

/// Returns the packed signs of `n` rows of `d` numbers along `bits` directions of a random rotation
/// (Charikar 2002, with orthogonal directions as in Ji et al. 2012).
///
/// # Errors
///
/// [`Error::InvalidInput`] if there are more bits than numbers.
pub fn random_signs(rows: &[f32], n: usize, d: usize, bits: usize, seed: u64) -> Result<Vec<u8>> {
    if bits > d {
        return Err(Error::InvalidInput(format!(
            "there are at most {d} orthogonal directions in {d} dimensions, not {bits}"
        )));
    }
    let mut random = Normal::new(seed);
    let noise = Mat::from_fn(d, bits, |_, _| random.draw());
    let turn: Mat<f32> = noise.qr().compute_thin_Q();
    let turned = row_major((matrix(rows, n, d) * turn).as_ref());
    Ok(turned.chunks_exact(bits).flat_map(pack).collect())
}

/// Seeded random numbers: the same on every machine and in every run.
pub(crate) struct Normal {
    bits: Pcg64Mcg,
}

impl Normal {
    pub fn new(seed: u64) -> Self {
        Self {
            bits: Pcg64Mcg::seed_from_u64(seed),
        }
    }

    /// Returns a number in `0.0..1.0`.
    pub fn unit(&mut self) -> f32 {
        (self.bits.next_u32() >> 8) as f32 / (1u32 << 24) as f32
    }

    /// Returns a number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.bits.next_u64() % n.max(1) as u64) as usize
    }

    /// Returns a standard normal number (Box and Muller 1958).
    pub fn draw(&mut self) -> f32 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f32::consts::TAU * self.unit()).cos()
    }

    /// Returns the numbers `0..n` in random order (Fisher and Yates).
    pub fn shuffled(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            order.swap(i, self.below(i + 1));
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretched(n: usize) -> Vec<f32> {
        let mut random = Normal::new(3);
        // Deviations 3, 1 and 0.2 along axes turned by 45 degrees in the first two.
        (0..n)
            .flat_map(|_| {
                let (a, b, c) = (3.0 * random.draw(), random.draw(), 0.2 * random.draw());
                let half = std::f32::consts::FRAC_1_SQRT_2;
                [half * (a - b) + 5.0, half * (a + b), c]
            })
            .collect()
    }

    #[test]
    fn pca_finds_the_axes_that_the_data_were_made_with() {
        let n = 20_000;
        let pca = Pca::fit(&stretched(n), n, 3, 2).unwrap();
        assert!((pca.mean[0] - 5.0).abs() < 0.1);
        assert!((pca.variances[0] - 9.0).abs() < 0.3, "{:?}", pca.variances);
        assert!((pca.variances[1] - 1.0).abs() < 0.05, "{:?}", pca.variances);
        let half = std::f32::consts::FRAC_1_SQRT_2;
        assert!((pca.directions[0].abs() - half).abs() < 0.02);
        assert!((pca.directions[2].abs() - half).abs() < 0.02);
    }

    #[test]
    fn whitened_rows_vary_alike_and_a_ridge_holds_the_narrow_ones_back() {
        let n = 20_000;
        let mut rows = stretched(n);
        let middle = mean(&rows, 3);
        centre(&mut rows, &middle);
        for (ridge, least) in [(0.0, 1.0), (1.0, 0.01)] {
            let white = whitening(&scatter(&rows, n, 3), 3, ridge).unwrap();
            let white = product(&rows, &white, n, 3, 3);
            let pca = Pca::fit(&white, n, 3, 3).unwrap();
            if ridge == 0.0 {
                assert!(pca.variances.iter().all(|v| (v - 1.0).abs() < 0.01));
            } else {
                // 9, 1 and 0.04 over themselves and the mean of 3.35.
                let wanted = [9.0 / 12.35, 1.0 / 4.35, 0.04 / 3.39];
                for (variance, wanted) in pca.variances.iter().zip(wanted) {
                    assert!((variance - wanted).abs() < 0.03, "{:?}", pca.variances);
                }
            }
            assert!(*pca.variances.last().unwrap() >= least * 0.5);
        }
    }

    #[test]
    fn the_rotation_is_orthogonal_and_better_than_none() {
        let (n, k) = (500, 8);
        let mut random = Normal::new(1);
        // Corners of a cube, turned: only the right rotation makes the signs exact.
        let turn = Mat::from_fn(k, k, |_, _| random.draw())
            .qr()
            .compute_thin_Q();
        let corners: Vec<f32> = (0..n * k)
            .map(|_| if random.unit() < 0.5 { 1.0 } else { -1.0 })
            .collect();
        let rows = row_major((matrix(&corners, n, k) * &turn).as_ref());
        let found = rotation(&rows, n, k, 7).unwrap();
        let r = matrix(&found, k, k);
        let gram = r.transpose() * r;
        for i in 0..k {
            for j in 0..k {
                let expected = f32::from(u8::from(i == j));
                assert!((gram[(i, j)] - expected).abs() < 1e-4);
            }
        }
        let loss = |rows: &[f32]| -> f32 { rows.iter().map(|v| (v - v.signum()).powi(2)).sum() };
        let turned = product(&rows, &found, n, k, k);
        assert!(
            loss(&turned) < 0.5 * loss(&rows),
            "{} {}",
            loss(&turned),
            loss(&rows)
        );
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert!(Pca::fit(&[1.0, 2.0], 1, 2, 1).is_err());
        assert!(Pca::fit(&[1.0, f32::NAN, 3.0, 4.0], 2, 2, 1).is_err());
        let error = Itq::fit(&stretched(10), 10, 3, 4, 0).unwrap_err();
        assert!(error.to_string().contains("at most 3"), "{error}");
    }

    #[test]
    fn shuffles_are_permutations_that_repeat() {
        let mut order = Normal::new(5).shuffled(1000);
        assert_eq!(order, Normal::new(5).shuffled(1000));
        assert_ne!(order, Normal::new(6).shuffled(1000));
        order.sort_unstable();
        assert!(order.into_iter().eq(0..1000));
    }
}
