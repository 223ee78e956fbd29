//! Corners of a picture, and what it looks like around each: points that are found again in an edited copy.
//!
//! Corners are maxima of the smaller eigenvalue of the structure tensor (Shi and Tomasi, "Good features to
//! track", 1994) at three sizes of the picture. Each is described by 256 comparisons of brightness around it
//! (Calonder et al., "BRIEF", 2010), turned by the direction of its intensity centroid (Rublee et al., "ORB",
//! 2011). A second description is that of the mirrored picture, so that mirrored copies cost no second picture.

use std::sync::OnceLock;

use super::grey::Grey;

/// Sizes of the picture at which corners are looked for, and the most corners of each.
const LEVELS: [(f32, usize); 3] = [(1.0, 72), (0.7, 48), (0.5, 40)];

/// Pixels between a corner and the edge, at its level.
const MARGIN: usize = 8;

/// Pixels between two corners of a level.
const APART: usize = 4;

/// Corners that are weaker than this share of the strongest are noise.
const WEAKEST: f32 = 0.004;

/// Pixels around a corner that decide its direction.
const RADIUS: isize = 9;

/// The reach of a description in pixels.
const REACH: f32 = 12.0;

/// Bits of a description in words.
const WORDS: usize = 4;

/// A description: each bit says which of two places is brighter.
pub(super) type Bits = [u64; WORDS];

/// A corner. Places are in pixels of the picture, whatever its level.
#[derive(Debug, Clone)]
pub(super) struct Feature {
    pub x: f32,
    pub y: f32,
    /// The direction of the intensity centroid: cosine and sine.
    pub towards: (f32, f32),
    /// The size of its level relative to the picture.
    pub scale: f32,
}

/// The corners of a picture, and their descriptions in the same order.
#[derive(Debug, Clone, Default)]
pub(super) struct Features {
    pub corners: Vec<Feature>,
    pub bits: Vec<Bits>,
    /// The descriptions in the mirrored picture.
    pub mirrored: Vec<Bits>,
}

impl Features {
    /// Returns the number of corners.
    pub fn len(&self) -> usize {
        self.corners.len()
    }
}

/// Returns the corners of a picture.
pub(super) fn features(picture: &Grey) -> Features {
    let mut all = Features::default();
    for (scale, most) in LEVELS {
        let side = |side: usize| ((side as f32 * scale).round() as usize).max(1);
        let (width, height) = (side(picture.width), side(picture.height));
        if width.min(height) <= 2 * MARGIN {
            continue;
        }
        let level = picture.resized(width, height).blurred(1.2);
        let soft = Around::of(&level.blurred(1.0));
        let back = (
            picture.width as f32 / width as f32,
            picture.height as f32 / height as f32,
        );
        for (x, y) in corners(&level, most) {
            let towards = direction(&soft, x, y);
            let (bits, mirrored) = describe(&soft, x, y, towards);
            all.bits.push(bits);
            all.mirrored.push(mirrored);
            all.corners.push(Feature {
                x: (x as f32 + 0.5) * back.0 - 0.5,
                y: (y as f32 + 0.5) * back.1 - 0.5,
                towards,
                scale,
            });
        }
    }
    all
}

/// Returns the strongest corners of a level, apart from each other.
fn corners(level: &Grey, most: usize) -> Vec<(usize, usize)> {
    let strength = strengths(level);
    let (width, height) = (level.width, level.height);
    let mut found: Vec<(f32, usize, usize)> = Vec::new();
    for y in MARGIN..height - MARGIN {
        for x in MARGIN..width - MARGIN {
            let own = strength[y * width + x];
            let is_best = || {
                (y - 1..=y + 1).all(|y| {
                    strength[y * width + x - 1..=y * width + x + 1]
                        .iter()
                        .all(|near| *near <= own)
                })
            };
            if own > 0.5 && is_best() {
                found.push((own, x, y));
            }
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.2, a.1).cmp(&(b.2, b.1))));
    let weakest = found.first().map_or(0.0, |best| best.0 * WEAKEST);
    let mut taken = vec![false; width * height];
    let mut kept = Vec::new();
    for (_, x, y) in found.into_iter().take_while(|corner| corner.0 >= weakest) {
        if kept.len() == most {
            break;
        }
        if taken[y * width + x] {
            continue;
        }
        for y in y - APART..=y + APART {
            taken[y * width + x - APART..=y * width + x + APART].fill(true);
        }
        kept.push((x, y));
    }
    kept
}

/// Returns the smaller eigenvalue of the structure tensor at each pixel.
fn strengths(level: &Grey) -> Vec<f32> {
    let (across, down) = level.slopes();
    let product = |one: &Grey, other: &Grey| {
        let products = one.pixels.iter().zip(&other.pixels);
        let pixels = products.map(|(one, other)| one * other).collect();
        Grey { pixels, ..*level }.blurred(1.5)
    };
    let (xx, yy) = (product(&across, &across), product(&down, &down));
    let xy = product(&across, &down);
    let tensor = xx.pixels.iter().zip(&yy.pixels).zip(&xy.pixels);
    tensor
        .map(|((xx, yy), xy)| {
            let (mean, half) = ((xx + yy) / 2.0, (xx - yy) / 2.0);
            mean - (half * half + xy * xy).sqrt()
        })
        .collect()
}

/// A level with its edges drawn out, so that what lies around a corner is read without looking for the edge.
struct Around {
    width: usize,
    pixels: Vec<f32>,
}

impl Around {
    /// Pixels beyond each edge: the most by which what is read around a corner reaches beyond it.
    const BEYOND: usize = 12;

    fn of(level: &Grey) -> Self {
        let width = level.width + 2 * Self::BEYOND;
        let mut pixels = Vec::with_capacity(width * (level.height + 2 * Self::BEYOND));
        for y in 0..level.height + 2 * Self::BEYOND {
            let y = y.saturating_sub(Self::BEYOND).min(level.height - 1);
            let row = &level.pixels[y * level.width..(y + 1) * level.width];
            pixels.extend([row[0]; Self::BEYOND]);
            pixels.extend_from_slice(row);
            pixels.extend([row[level.width - 1]; Self::BEYOND]);
        }
        Self { width, pixels }
    }

    /// Returns the place of a pixel of the level.
    fn place(&self, x: usize, y: usize) -> usize {
        (y + Self::BEYOND) * self.width + x + Self::BEYOND
    }
}

/// Returns the direction from a corner to the centre of brightness around it.
fn direction(level: &Around, x: usize, y: usize) -> (f32, f32) {
    let (mut across, mut down) = (0.0f32, 0.0f32);
    let middle = level.place(x, y) as isize;
    for dy in -RADIUS..=RADIUS {
        let half = ((RADIUS * RADIUS - dy * dy) as f32).sqrt() as isize;
        let start = (middle + dy * level.width as isize - half) as usize;
        let row = &level.pixels[start..=start + 2 * half as usize];
        for (i, value) in row.iter().enumerate() {
            across += (i as isize - half) as f32 * value;
        }
        down += dy as f32 * row.iter().sum::<f32>();
    }
    let length = (across * across + down * down).sqrt();
    if length > 0.0 {
        (across / length, down / length)
    } else {
        (1.0, 0.0)
    }
}

/// Returns the description of a corner, and that in the mirrored picture.
fn describe(level: &Around, x: usize, y: usize, (cos, sin): (f32, f32)) -> (Bits, Bits) {
    // The corners of the square that places are drawn from reach this far when it is turned.
    let most = Around::BEYOND as f32 + MARGIN as f32;
    let middle = level.place(x, y) as isize;
    let width = level.width as isize;
    // Rounding by a whole number takes one instruction, other than `round`.
    let rounded = |value: f32| (value.clamp(-most, most) + 64.5) as isize - 64;
    let value = |along: f32, beside: f32| {
        let across = rounded(along * cos - beside * sin);
        let down = rounded(along * sin + beside * cos);
        level.pixels[(middle + down * width + across) as usize]
    };
    let (mut bits, mut mirrored) = ([0; WORDS], [0; WORDS]);
    for (i, [(a, b), (c, d)]) in pattern().iter().enumerate() {
        bits[i / 64] |= u64::from(value(*a, *b) < value(*c, *d)) << (i % 64);
        mirrored[i / 64] |= u64::from(value(*a, -*b) < value(*c, -*d)) << (i % 64);
    }
    (bits, mirrored)
}

/// Pairs of places around a corner: along its direction, and beside it.
type Pattern = [[(f32, f32); 2]; WORDS * 64];

/// Returns the places to compare: drawn once from a bell, the same in every run.
fn pattern() -> &'static Pattern {
    static PATTERN: OnceLock<Pattern> = OnceLock::new();
    PATTERN.get_or_init(|| {
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        // The sum of four uniform numbers is nearly normal.
        let mut draw = || {
            let sum: f32 = (0..4)
                .map(|_| {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    (state >> 40) as f32 / (1u32 << 24) as f32 - 0.5
                })
                .sum();
            (sum * 10.0).clamp(-REACH, REACH)
        };
        std::array::from_fn(|_| [(draw(), draw()), (draw(), draw())])
    })
}

#[cfg(test)]
mod tests {
    use imgsearch_index::hamming_to_all;

    use super::*;

    fn picture() -> Grey {
        Grey::from_fn(160, 120, |x, y| {
            let blob = |cx: f32, cy: f32, r: f32| {
                let away = (x as f32 - cx).hypot(y as f32 - cy);
                if away < r { 120.0 } else { 0.0 }
            };
            40.0 + blob(50.0, 40.0, 17.0)
                + blob(110.0, 70.0, 23.0)
                + (x * 7 % 31 + y * 5 % 17) as f32
        })
    }

    #[test]
    fn corners_are_apart_and_within() {
        let found = features(&picture());
        assert!(found.len() > 30, "{}", found.len());
        for one in &found.corners {
            assert!(one.x > 4.0 && one.x < 156.0 && one.y > 4.0 && one.y < 116.0);
        }
        let none = |grey: &Grey| features(grey).len() == 0;
        assert!(none(&Grey::from_fn(160, 120, |_, _| 9.0)));
        assert!(none(&Grey::from_fn(10, 120, |x, y| (x * y % 9) as f32)));
    }

    #[test]
    fn a_mirrored_picture_has_the_mirrored_descriptions() {
        let picture = picture();
        let flipped = Grey::from_fn(160, 120, |x, y| picture.at(159 - x as isize, y as isize));
        let (own, other) = (features(&picture), features(&flipped));
        let mut apart = Vec::new();
        let found = (0..own.len()).filter(|&i| {
            let corner = &own.corners[i];
            hamming_to_all(&own.mirrored[i], &other.bits, &mut apart);
            other.corners.iter().zip(&apart).any(|(other, apart)| {
                let away = (159.0 - corner.x - other.x).hypot(corner.y - other.y);
                away < 2.0 && corner.scale == other.scale && *apart < 40
            })
        });
        assert!(found.count() * 10 > own.len() * 7);
    }
}
