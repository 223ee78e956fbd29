//! Brings one picture onto another to a fraction of a pixel.
//!
//! Gauss-Newton steps on an affine map together with a gain and an offset of brightness (Lucas and Kanade 1981;
//! the brightness as in Evangelidis and Psarakis, "ECC", 2008). Pixels that do not fit, such as those below a caption,
//! count less in each step.

use super::affine::{Affine, size_of};
use super::grey::Grey;

/// The most steps.
const STEPS: usize = 8;

/// Steps that move no corner by more pixels than this end the search.
const STILL: f32 = 0.04;

/// Pictures whose brightness still differs by more than this after so many steps do not fit.
const HOPELESS: (usize, f64) = (2, 28.0);

/// Up to this step, every second row is looked at: it shows as well which pictures do not fit.
const COARSE: usize = 2;

/// Unknowns: six of the map, gain and offset.
const N: usize = 8;

/// Fewest pixels that a map has to be fitted to.
const FEWEST: f64 = 200.0;

/// A map of the first picture onto the second, and what brings the brightness of the second to that of the first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Aligned {
    pub map: Affine,
    pub gain: f32,
    pub offset: f32,
}

/// A picture with the slopes of its brightness.
pub(super) struct Sloped {
    grey: Grey,
    across: Grey,
    down: Grey,
}

impl Sloped {
    pub fn of(grey: Grey) -> Self {
        let (across, down) = grey.slopes();
        Self { grey, across, down }
    }
}

/// Returns the map of `a` onto `b` near `start` under which they look most alike; `None` if the search leads nowhere.
pub(super) fn align(a: &Grey, b: &Sloped, start: Affine) -> Option<Aligned> {
    let mut now = Aligned {
        map: start,
        gain: 1.0,
        offset: 0.0,
    };
    let mut scale = f64::INFINITY;
    for step in 0..STEPS {
        let every = if step <= COARSE { 2 } else { 1 };
        let (system, spread) = normal_equations(a, b, &now, scale, every)?;
        // Pictures that fit at all do so soon.
        if step == HOPELESS.0 && spread > HOPELESS.1 {
            return None;
        }
        scale = (1.5 * spread).max(3.0);
        let change = solve(system)?;
        let middle = (a.width as f32 / 2.0, a.height as f32 / 2.0);
        let moved = moved(&mut now, &change, middle);
        if !is_plausible(&now, &start) {
            return None;
        }
        if step > 1 && moved < STILL {
            break;
        }
    }
    Some(now)
}

/// Returns how `a` correlates with what it is mapped to in `b`, from -1 to 1, by every third pixel of every third row.
pub(super) fn correlation(a: &Grey, b: &Sloped, map: &Affine) -> f32 {
    let (width, height) = size_of(&b.grey);
    let mut sums = [0.0f32; 5];
    let mut count = 0.0f32;
    for row in (0..a.height).step_by(3) {
        for column in (0..a.width).step_by(3) {
            let (u, v) = map.of(column as f32 + 0.5, row as f32 + 0.5);
            if !(u >= 0.0 && v >= 0.0 && u <= width && v <= height) {
                continue;
            }
            let (own, other) = (
                a.pixels[row * a.width + column],
                b.grey.between(u - 0.5, v - 0.5),
            );
            count += 1.0;
            let values = [own, other, own * own, other * other, own * other];
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum += value;
            }
        }
    }
    let [own, other, own_square, other_square, both] = sums.map(|sum| sum / count.max(1.0));
    let spread = (own_square - own * own).max(0.0) * (other_square - other * other).max(0.0);
    (both - own * other) / spread.sqrt().max(1.0)
}

/// Returns the normal equations of a step, with their right side in the last column, and the mean residual, by one of
/// `every` so many rows.
fn normal_equations(
    a: &Grey,
    b: &Sloped,
    now: &Aligned,
    scale: f64,
    every: usize,
) -> Option<([[f64; N + 1]; N], f64)> {
    let (width, height) = size_of(&b.grey);
    let (cx, cy) = (a.width as f32 / 2.0, a.height as f32 / 2.0);
    let (mut sums, mut right) = ([[0.0f32; N]; N], [0.0f32; N]);
    let mut system = [[0.0f64; N + 1]; N];
    let (mut count, mut total) = (0.0f64, 0.0f64);
    for row in (0..a.height).step_by(every) {
        let y = row as f32 + 0.5;
        for (column, &wanted) in a.pixels[row * a.width..(row + 1) * a.width]
            .iter()
            .enumerate()
        {
            let x = column as f32 + 0.5;
            let (u, v) = now.map.of(x, y);
            if !(u >= 0.5 && v >= 0.5 && u <= width - 0.5 && v <= height - 0.5) {
                continue;
            }
            let (u, v) = (u - 0.5, v - 0.5);
            let there = b.grey.between(u, v);
            // What is as bright or dark as can be in one of them says nothing about brightness.
            if is_extreme(there) != is_extreme(wanted) {
                continue;
            }
            let residual = now.gain * there + now.offset - wanted;
            let ratio = residual / scale as f32;
            let weight = 1.0 / (1.0 + ratio * ratio);
            count += 1.0;
            total += f64::from(residual.abs().min(60.0));
            let across = now.gain * b.across.between(u, v);
            let down = now.gain * b.down.between(u, v);
            let (x, y) = (x - cx, y - cy);
            let slopes = [
                across * x,
                across * y,
                across,
                down * x,
                down * y,
                down,
                there,
                1.0,
            ];
            // The equations are symmetric, but whole rows of them are as fast as halves.
            for i in 0..N {
                let weighted = weight * slopes[i];
                for (sum, slope) in sums[i].iter_mut().zip(&slopes) {
                    *sum += weighted * slope;
                }
                right[i] -= weighted * residual;
            }
        }
        // Rows are summed up exactly; within a row, single precision is enough.
        for (all, (row, right)) in system.iter_mut().zip(sums.iter_mut().zip(&mut right)) {
            for (all, sum) in all.iter_mut().zip(row.iter_mut().chain([right])) {
                *all += f64::from(*sum);
                *sum = 0.0;
            }
        }
    }
    for (i, row) in system.iter_mut().enumerate() {
        // A direction that nothing speaks about stays as it is.
        row[i] *= 1.0 + 1e-4;
    }
    (count * every as f64 >= FEWEST).then(|| (system, total / count))
}

fn is_extreme(value: f32) -> bool {
    !(12.0..=243.0).contains(&value)
}

/// Solves linear equations by elimination; `None` if they have no single solution.
fn solve(mut system: [[f64; N + 1]; N]) -> Option<[f64; N]> {
    for i in 0..N {
        let pivot = (i..N).max_by(|&p, &q| system[p][i].abs().total_cmp(&system[q][i].abs()))?;
        system.swap(i, pivot);
        if system[i][i].abs() < 1e-9 {
            return None;
        }
        let row = system[i];
        for below in &mut system[i + 1..] {
            let factor = below[i] / row[i];
            for (value, above) in below.iter_mut().zip(row).skip(i) {
                *value -= factor * above;
            }
        }
    }
    let mut solution = [0.0; N];
    for i in (0..N).rev() {
        let known: f64 = (i + 1..N).map(|j| system[i][j] * solution[j]).sum();
        solution[i] = (system[i][N] - known) / system[i][i];
    }
    solution
        .iter()
        .all(|value| value.is_finite())
        .then_some(solution)
}

/// Changes a map by a step about the middle of the picture. Returns by how many pixels a corner moves.
fn moved(now: &mut Aligned, change: &[f64; N], (cx, cy): (f32, f32)) -> f32 {
    let c = change.map(|value| value as f32);
    let m = &mut now.map.m;
    (m[0], m[1], m[2], m[3]) = (m[0] + c[0], m[1] + c[1], m[2] + c[3], m[3] + c[4]);
    now.map.t[0] += c[2] - c[0] * cx - c[1] * cy;
    now.map.t[1] += c[5] - c[3] * cx - c[4] * cy;
    now.gain = (now.gain + c[6]).clamp(0.2, 5.0);
    now.offset = (now.offset + c[7]).clamp(-200.0, 200.0);
    let across = (c[0] * cx).abs() + (c[1] * cy).abs() + c[2].abs();
    let down = (c[3] * cx).abs() + (c[4] * cy).abs() + c[5].abs();
    across.max(down)
}

/// Returns whether a map is one that people make, and not far from where the search began.
fn is_plausible(now: &Aligned, start: &Affine) -> bool {
    let (across, down, cosine) = now.map.shape();
    let (before, below, _) = start.shape();
    let near = |one: f32, other: f32| (0.6..=1.7).contains(&(one / other));
    cosine.abs() < 0.2
        && near(across, before)
        && near(down, below)
        && now.map.determinant() * start.determinant() > 0.0
}
