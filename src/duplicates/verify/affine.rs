//! Maps from the places of one picture to those of another.
//!
//! Places are continuous: a picture of width `w` reaches from 0 to `w`, and the centre of its first pixel is at 0.5.
//! So a map of pictures at half their size has the same matrix and half the shift.

use super::grey::Grey;

/// An affine map: `(x, y)` goes to `(m[0] x + m[1] y + t[0], m[2] x + m[3] y + t[1])`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Affine {
    pub m: [f32; 4],
    pub t: [f32; 2],
}

impl Affine {
    /// Returns the map of one picture onto another of these sizes that squashes it. `turn` is one of the eight ways
    /// to turn and mirror a picture: quarter turns clockwise, and 4 more for mirrored before.
    pub fn onto(from: (f32, f32), to: (f32, f32), turn: usize) -> Self {
        // In squares from 0 to 1: where the corner and the two sides go.
        let (right, down, corner) = match turn % 4 {
            0 => ((1.0, 0.0), (0.0, 1.0), (0.0, 0.0)),
            1 => ((0.0, 1.0), (-1.0, 0.0), (1.0, 0.0)),
            2 => ((-1.0, 0.0), (0.0, -1.0), (1.0, 1.0)),
            _ => ((0.0, -1.0), (1.0, 0.0), (0.0, 1.0)),
        };
        let (right, corner) = if turn >= 4 {
            (
                (-right.0, -right.1),
                (corner.0 + right.0, corner.1 + right.1),
            )
        } else {
            (right, corner)
        };
        Self {
            m: [
                right.0 * to.0 / from.0,
                down.0 * to.0 / from.1,
                right.1 * to.1 / from.0,
                down.1 * to.1 / from.1,
            ],
            t: [corner.0 * to.0, corner.1 * to.1],
        }
    }

    /// Returns where a place goes.
    #[inline(always)]
    pub fn of(&self, x: f32, y: f32) -> (f32, f32) {
        (
            self.m[0] * x + self.m[1] * y + self.t[0],
            self.m[2] * x + self.m[3] * y + self.t[1],
        )
    }

    /// Returns by how much areas grow, negative if the map mirrors.
    pub fn determinant(&self) -> f32 {
        self.m[0] * self.m[3] - self.m[1] * self.m[2]
    }

    /// Returns the map back, or `None` if there is none.
    pub fn inverse(&self) -> Option<Self> {
        let d = self.determinant();
        if !(d.is_finite() && d.abs() > 1e-6) {
            return None;
        }
        let m = [self.m[3] / d, -self.m[1] / d, -self.m[2] / d, self.m[0] / d];
        let t = [
            -(m[0] * self.t[0] + m[1] * self.t[1]),
            -(m[2] * self.t[0] + m[3] * self.t[1]),
        ];
        Some(Self { m, t })
    }

    /// Returns the same map for pictures that are scaled by `by`, both.
    pub fn scaled(&self, by: f32) -> Self {
        Self {
            m: self.m,
            t: self.t.map(|shift| shift * by),
        }
    }

    /// Returns the same map for pictures whose places count from 0 to 1 in both directions.
    pub fn in_squares(&self, from: (f32, f32), to: (f32, f32)) -> Self {
        Self {
            m: [
                self.m[0] * from.0 / to.0,
                self.m[1] * from.1 / to.0,
                self.m[2] * from.0 / to.1,
                self.m[3] * from.1 / to.1,
            ],
            t: [self.t[0] / to.0, self.t[1] / to.1],
        }
    }

    /// Returns the lengths to which the map brings the two sides of a unit square, and the cosine between them.
    pub fn shape(&self) -> (f32, f32, f32) {
        let (across, down) = (self.m[0].hypot(self.m[2]), self.m[1].hypot(self.m[3]));
        let dot = self.m[0] * self.m[1] + self.m[2] * self.m[3];
        (across, down, dot / (across * down).max(1e-9))
    }

    /// Returns the share of a picture of size `from` that the map brings into one of size `to`: the corners of the
    /// first, cut off at the four sides of the second (Sutherland and Hodgman, 1974).
    pub fn share_within(&self, from: (f32, f32), to: (f32, f32)) -> f32 {
        let corners = [(0.0, 0.0), (from.0, 0.0), from, (0.0, from.1)];
        let mut shape: Vec<(f32, f32)> = corners.iter().map(|(x, y)| self.of(*x, *y)).collect();
        let whole = area(&shape);
        // How far a place is inside of a side.
        let sides: [&dyn Fn((f32, f32)) -> f32; 4] =
            [&|(x, _)| x, &|(_, y)| y, &|(x, _)| to.0 - x, &|(_, y)| {
                to.1 - y
            }];
        for inside in sides {
            let mut cut = Vec::with_capacity(shape.len() + 1);
            for (i, &end) in shape.iter().enumerate() {
                let start = shape[(i + shape.len() - 1) % shape.len()];
                let (before, after) = (inside(start), inside(end));
                if (before < 0.0) != (after < 0.0) {
                    let part = before / (before - after);
                    let between = |one: f32, other: f32| one + part * (other - one);
                    cut.push((between(start.0, end.0), between(start.1, end.1)));
                }
                if after >= 0.0 {
                    cut.push(end);
                }
            }
            shape = cut;
        }
        if whole > 0.0 {
            (area(&shape) / whole).min(1.0)
        } else {
            0.0
        }
    }
}

/// Returns the area of a shape by its corners.
fn area(corners: &[(f32, f32)]) -> f32 {
    let next = corners.iter().cycle().skip(1);
    let twice: f32 = corners
        .iter()
        .zip(next)
        .map(|(a, b)| a.0 * b.1 - b.0 * a.1)
        .sum();
    twice.abs() / 2.0
}

/// Returns the size of a picture as a map sees it.
pub(super) fn size_of(picture: &Grey) -> (f32, f32) {
    (picture.width as f32, picture.height as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eight_ways_take_corners_to_corners() {
        let (from, to) = ((4.0, 2.0), (40.0, 30.0));
        let corner = |turn| Affine::onto(from, to, turn).of(0.0, 0.0);
        let beside = |turn| Affine::onto(from, to, turn).of(4.0, 0.0);
        assert_eq!((corner(0), beside(0)), ((0.0, 0.0), (40.0, 0.0)));
        assert_eq!((corner(1), beside(1)), ((40.0, 0.0), (40.0, 30.0)));
        assert_eq!((corner(2), beside(2)), ((40.0, 30.0), (0.0, 30.0)));
        assert_eq!((corner(3), beside(3)), ((0.0, 30.0), (0.0, 0.0)));
        assert_eq!((corner(4), beside(4)), ((40.0, 0.0), (0.0, 0.0)));
        for turn in 0..8 {
            let map = Affine::onto(from, to, turn);
            assert_eq!(map.determinant() < 0.0, turn >= 4);
            let back = map.inverse().unwrap();
            let (x, y) = map.of(1.0, 1.5);
            let (x, y) = back.of(x, y);
            assert!((x - 1.0).abs() < 1e-4 && (y - 1.5).abs() < 1e-4);
            assert_eq!(map.share_within(from, to), 1.0);
        }
    }

    #[test]
    fn a_map_in_squares_takes_shares_to_shares() {
        let (from, to) = ((4.0, 2.0), (40.0, 30.0));
        let map = Affine::onto(from, to, 1);
        let squares = map.in_squares(from, to);
        for (x, y) in [(0.0, 0.0), (0.25, 0.5), (1.0, 1.0)] {
            let place = map.of(x * from.0, y * from.1);
            let share = squares.of(x, y);
            assert!((place.0 / to.0 - share.0).abs() < 1e-5);
            assert!((place.1 / to.1 - share.1).abs() < 1e-5);
        }
    }

    #[test]
    fn shares_are_areas() {
        let shifted = |x: f32, y: f32| Affine {
            m: [1.0, 0.0, 0.0, 1.0],
            t: [x, y],
        };
        let share = |x, y| shifted(x, y).share_within((10.0, 8.0), (10.0, 8.0));
        assert!((share(1.0, 0.0) - 0.9).abs() < 1e-5);
        assert!((share(-2.0, 4.0) - 0.4).abs() < 1e-5);
        assert_eq!(share(30.0, 0.0), 0.0);
        // Turned by 45 degrees, a square's corners stand out of an equal one: 2 √2 - 2 of it are within.
        let half = 0.5f32.sqrt();
        let turned = Affine {
            m: [half, -half, half, half],
            t: [5.0, 5.0 - 10.0 * half],
        };
        let within = turned.share_within((10.0, 10.0), (10.0, 10.0));
        assert!((within - 0.828).abs() < 0.001, "{within}");
    }

    #[test]
    fn a_map_without_area_has_no_way_back() {
        let flat = Affine {
            m: [1.0, 2.0, 2.0, 4.0],
            t: [0.0; 2],
        };
        assert_eq!(flat.inverse(), None);
    }
}
