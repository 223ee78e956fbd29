//! Places in two dimensions: UMAP (McInnes, Healy and Melville 2018).
//!
//! Each pair of neighbours has a weight that says how surely they belong together. Places begin at the two main
//! directions of the codes. Then, round by round, neighbours draw each other nearer, the surer the more often, and every
//! point pushes a few others away that are drawn at random. One thread does it in a fixed order with seeded random
//! numbers, so the same lists give the same places, however many cores there are.

use imgsearch_index::Points;
use rayon::prelude::*;

use super::super::neighbours::Lists;
use crate::error::Result;
use crate::progress::{Progress, go_on};
use crate::random::SplitMix;

/// The curve `1 / (1 + a d^(2b))` of belonging together by distance on the map: that of a smallest distance of 0.8 and a
/// spread of 1.5, so that pictures have room. With 0.1 and 1, groups are small heaps far apart, and neighbours can be
/// trusted as much: 0.992 instead of 0.989 at twelve of them, on photographs of 51 classes.
const A: f32 = 0.1743;
const B: f32 = 1.3717;

/// Points that each drawn point is pushed away from.
const PUSHED: usize = 5;

/// The most that one step moves a point along one axis.
const MOST: f32 = 4.0;

/// Width of the map before the first round.
const WIDTH: f32 = 10.0;

/// Rounds for a small collection, for a large one, and where that begins.
const ROUNDS: (usize, usize) = (500, 200);
const LARGE: usize = 10_000;

/// Rounds in which new points find their places among those that stay.
const ROUNDS_OF_NEW: usize = 100;

/// Edges between two looks at whether to stop.
const AT_ONCE: usize = 65_536;

/// The place of a point.
pub(crate) type Place = [f32; 2];

/// Two points that belong together.
#[derive(Debug, Clone, Copy)]
struct Edge {
    a: u32,
    b: u32,
    weight: f32,
}

/// Returns a place for each point. Points whose places are known keep them exactly.
///
/// # Errors
///
/// [`Error::Interrupted`](crate::Error::Interrupted) if `progress` says so.
pub(crate) fn layout(
    points: &Points,
    lists: &Lists,
    known: &[Option<Place>],
    seed: u64,
    progress: &dyn Progress,
) -> Result<Vec<Place>> {
    let edges = edges(lists);
    go_on(progress)?;
    let mut random = SplitMix::new(seed);
    let stays: Vec<bool> = known.iter().map(Option::is_some).collect();
    let (places, rounds) = if stays.contains(&true) {
        (
            among_known(points, lists, known, &mut random),
            ROUNDS_OF_NEW,
        )
    } else {
        let rounds = if points.len() > LARGE {
            ROUNDS.1
        } else {
            ROUNDS.0
        };
        (main_directions(points, &mut random), rounds)
    };
    let work = Moving {
        edges,
        stays,
        places,
        random,
        power: Power::new(),
    };
    work.run(rounds, progress)
}

/// Returns the weights of all pairs of neighbours.
fn edges(lists: &Lists) -> Vec<Edge> {
    let weights: Vec<Vec<f32>> = (0..lists.len())
        .into_par_iter()
        .map(|point| membership(lists.distances(point), lists.k))
        .collect();
    let of = |a: usize, b: u32| {
        let place = lists.near(a).iter().position(|&near| near == b);
        place.map(|place| weights[a][place])
    };
    let mut edges = Vec::new();
    for (a, of_a) in weights.iter().enumerate() {
        for (&b, &weight) in lists.near(a).iter().zip(of_a) {
            let back = of(b as usize, a as u32);
            // The pair has one edge: from the smaller number if each is a neighbour of the other.
            if back.is_some() && b < a as u32 {
                continue;
            }
            let back = back.unwrap_or(0.0);
            edges.push(Edge {
                a: a as u32,
                b,
                weight: weight + back - weight * back,
            });
        }
    }
    edges
}

/// Returns how surely each neighbour belongs to a point: the nearest one surely, the others by their distance behind it,
/// so that all together count `log2(k)`.
fn membership(squared: &[f32], k: usize) -> Vec<f32> {
    let distances: Vec<f32> = squared
        .iter()
        .map(|square| square.max(0.0).sqrt())
        .collect();
    let Some(&nearest) = distances.first() else {
        return Vec::new();
    };
    let target = (k as f32).log2();
    let sum = |scale: f32| -> f32 {
        let terms = distances.iter();
        terms
            .map(|distance| (-(distance - nearest) / scale).exp())
            .sum()
    };
    let mean = distances.iter().sum::<f32>() / distances.len() as f32;
    let least = (mean * 1e-3).max(1e-9);
    let (mut low, mut high) = (least, mean.max(least) * 1e3);
    for _ in 0..48 {
        let middle = 0.5 * (low + high);
        if sum(middle) > target {
            high = middle;
        } else {
            low = middle;
        }
    }
    let scale = 0.5 * (low + high);
    distances
        .iter()
        .map(|distance| (-(distance - nearest) / scale).exp())
        .collect()
}

/// Returns places along the two main directions of the codes, [`WIDTH`] wide.
fn main_directions(points: &Points, random: &mut SplitMix) -> Vec<Place> {
    let n = points.len();
    let Some(length) = (n > 0).then(|| points.code(0).len()) else {
        return Vec::new();
    };
    let mut mean = vec![0f64; length];
    for point in 0..n {
        for (sum, &number) in mean.iter_mut().zip(points.code(point)) {
            *sum += f64::from(number) / n as f64;
        }
    }
    let centred = |point: usize| -> Vec<f64> {
        let numbers = points.code(point).iter().zip(&mean);
        numbers
            .map(|(&number, mean)| f64::from(number) - mean)
            .collect()
    };
    let mut covariance = vec![0f64; length * length];
    for point in 0..n {
        let row = centred(point);
        for (i, a) in row.iter().enumerate() {
            for (j, b) in row.iter().enumerate() {
                covariance[i * length + j] += a * b / n as f64;
            }
        }
    }
    let first = direction(&covariance, length, None, random);
    let second = direction(&covariance, length, Some(&first), random);
    let mut places: Vec<Place> = (0..n)
        .map(|point| {
            let row = centred(point);
            [&first, &second].map(|axis| dot(axis, &row) as f32)
        })
        .collect();
    let widest = places
        .iter()
        .flatten()
        .fold(0f32, |most, x| most.max(x.abs()));
    for x in places.iter_mut().flatten() {
        // Equal codes have different hashes: they begin a little apart.
        let apart = (random.unit() - 0.5) * 1e-3;
        *x = *x / widest.max(f32::MIN_POSITIVE) * (WIDTH / 2.0) + apart;
    }
    places
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Returns the main direction of a covariance at right angles to `other`, by repeated multiplication.
fn direction(
    covariance: &[f64],
    length: usize,
    other: Option<&[f64]>,
    random: &mut SplitMix,
) -> Vec<f64> {
    let mut axis: Vec<f64> = (0..length)
        .map(|_| f64::from(random.unit()) - 0.5)
        .collect();
    for _ in 0..200 {
        let mut next: Vec<f64> = covariance
            .chunks(length)
            .map(|row| dot(row, &axis))
            .collect();
        if let Some(other) = other {
            let along = dot(&next, other);
            for (number, other) in next.iter_mut().zip(other) {
                *number -= along * other;
            }
        }
        let norm = dot(&next, &next).sqrt();
        if norm <= f64::MIN_POSITIVE {
            // All codes are equal along what is left.
            return vec![0.0; length];
        }
        axis = next.into_iter().map(|number| number / norm).collect();
    }
    axis
}

/// Returns the known places, and for each new point the middle of its neighbours that have a place.
fn among_known(
    points: &Points,
    lists: &Lists,
    known: &[Option<Place>],
    random: &mut SplitMix,
) -> Vec<Place> {
    let mut places = known.to_vec();
    loop {
        let new: Vec<(usize, Place)> = (0..places.len())
            .filter(|&point| places[point].is_none())
            .filter_map(|point| Some((point, middle(lists, &places, point)?)))
            .collect();
        if new.is_empty() {
            break;
        }
        for (point, place) in new {
            let apart = [0, 1].map(|_| (random.unit() - 0.5) * 0.1);
            places[point] = Some([place[0] + apart[0], place[1] + apart[1]]);
        }
    }
    let placed: Vec<usize> = (0..places.len())
        .filter(|&point| known[point].is_some())
        .collect();
    (0..places.len())
        .map(|point| {
            // No neighbour of a neighbour has a place: next to the nearest that has one.
            places[point].unwrap_or_else(|| {
                let nearest = placed.iter().copied().min_by(|&a, &b| {
                    let [a, b] = [a, b].map(|other| points.distance(point, other));
                    a.total_cmp(&b)
                });
                let [x, y] = nearest.and_then(|near| known[near]).unwrap_or_default();
                [x + random.unit() - 0.5, y + random.unit() - 0.5]
            })
        })
        .collect()
}

/// Returns the middle of a point's neighbours that have a place, the nearer ones counting more.
fn middle(lists: &Lists, places: &[Option<Place>], point: usize) -> Option<Place> {
    let weights = membership(lists.distances(point), lists.k);
    let (mut sum, mut total) = ([0f32; 2], 0f32);
    for (&near, weight) in lists.near(point).iter().zip(weights) {
        if let Some(place) = places[near as usize] {
            sum = [sum[0] + weight * place[0], sum[1] + weight * place[1]];
            total += weight;
        }
    }
    (total > 0.0).then(|| sum.map(|sum| sum / total))
}

/// Points on their way.
struct Moving {
    edges: Vec<Edge>,
    /// Points that do not move.
    stays: Vec<bool>,
    places: Vec<Place>,
    random: SplitMix,
    power: Power,
}

/// Squared distances to the power of [`B`], by a table with straight lines between its numbers: a tenth of the time of
/// `powf`, and the same on every machine. It errs by less than a ten-thousandth.
struct Power {
    table: Vec<f32>,
}

impl Power {
    /// Binary exponents of the smallest and the largest number in the table. What is beyond counts as these.
    const REACH: (u32, u32) = (127 - 40, 127 + 40);

    /// Numbers for each exponent, as bits of the mantissa.
    const BITS: u32 = 6;

    /// What is left of a number when its place in the table is taken off.
    const REST: u32 = 23 - Self::BITS;

    fn new() -> Self {
        let places = Self::REACH.0 << Self::BITS..=Self::REACH.1 << Self::BITS;
        let number = |place: u32| f64::from(f32::from_bits(place << Self::REST));
        Self {
            table: places
                .map(|place| number(place).powf(f64::from(B)) as f32)
                .collect(),
        }
    }

    #[inline(always)]
    fn of(&self, number: f32) -> f32 {
        let (least, most) = (Self::REACH.0 << 23, (Self::REACH.1 << 23) - 1);
        let bits = number.to_bits().clamp(least, most) - least;
        let place = (bits >> Self::REST) as usize;
        let rest = (bits & ((1 << Self::REST) - 1)) as f32 / (1 << Self::REST) as f32;
        let (before, after) = (self.table[place], self.table[place + 1]);
        before + (after - before) * rest
    }
}

impl Moving {
    fn run(mut self, rounds: usize, progress: &dyn Progress) -> Result<Vec<Place>> {
        let most = self
            .edges
            .iter()
            .map(|edge| edge.weight)
            .fold(0.0, f32::max);
        self.edges.retain(|edge| {
            // Drawn less than once.
            let is_drawn = edge.weight * rounds as f32 >= most;
            is_drawn && !(self.stays[edge.a as usize] && self.stays[edge.b as usize])
        });
        let every: Vec<f32> = self.edges.iter().map(|edge| most / edge.weight).collect();
        let mut due = every.clone();
        for round in 0..rounds {
            let step = 1.0 - round as f32 / rounds as f32;
            let now = (round + 1) as f32;
            for place in 0..self.edges.len() {
                if place.is_multiple_of(AT_ONCE) {
                    go_on(progress)?;
                }
                if due[place] <= now {
                    due[place] += every[place];
                    let Edge { a, b, .. } = self.edges[place];
                    self.draw(a as usize, b as usize, step);
                }
            }
            progress.placed(round + 1, rounds);
        }
        Ok(self.places)
    }

    /// Draws two points together, and pushes others away from both.
    fn draw(&mut self, a: usize, b: usize, step: f32) {
        let (from, apart) = self.apart(a, b);
        if apart > 0.0 {
            let power = self.power.of(apart);
            let pull = -2.0 * A * B * (power / apart) / (1.0 + A * power);
            self.shift(a, from, pull * step);
            self.shift(b, from, -pull * step);
        }
        for end in [a, b] {
            if self.stays[end] {
                continue;
            }
            for _ in 0..PUSHED {
                let other = self.random.below(self.places.len());
                if other == end {
                    continue;
                }
                let (from, apart) = self.apart(end, other);
                if apart > 0.0 {
                    let push = 2.0 * B / ((0.001 + apart) * (1.0 + A * self.power.of(apart)));
                    self.shift(end, from, push * step);
                }
            }
        }
    }

    /// Returns the way from `b` to `a` and its squared length.
    fn apart(&self, a: usize, b: usize) -> (Place, f32) {
        let ([ax, ay], [bx, by]) = (self.places[a], self.places[b]);
        let from = [ax - bx, ay - by];
        (from, from[0] * from[0] + from[1] * from[1])
    }

    fn shift(&mut self, point: usize, along: Place, by: f32) {
        if !self.stays[point] {
            let most = MOST;
            for (x, along) in self.places[point].iter_mut().zip(along) {
                *x += (along * by).clamp(-most, most);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_from_the_table_are_right_to_a_ten_thousandth() {
        let power = Power::new();
        let mut number = 1e-9f32;
        while number < 1e9 {
            let (own, exact) = (power.of(number), number.powf(B));
            assert!((own / exact - 1.0).abs() < 1e-4, "{number}: {own} {exact}");
            number *= 1.037;
        }
        assert!(power.of(1e-30) > 0.0 && power.of(f32::MAX).is_finite());
    }
}
