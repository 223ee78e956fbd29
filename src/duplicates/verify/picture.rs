//! What is kept of a picture to compare it with others.

use super::affine::Affine;
use super::agree::Planes;
use super::features::{Features, features};
use super::grey::Grey;
use crate::decode::{self, DecodeError, Geometry, Resize, Rgb};

/// The longer side in pixels of what is compared.
pub const LONGER_SIDE: u32 = 192;

/// The shorter side has at least this number of pixels, whatever the shape.
const SHORTEST: u32 = 24;

/// The side of the coarse square that whole pictures are compared by.
pub(super) const COARSE: usize = 16;

/// A row or column at an edge is a bar if its brightness deviates less than this within it, and from the bar's.
const EVEN: f32 = 5.0;

/// What is darker is black, …
const BLACK: f32 = 14.0;

/// … and what is brighter white.
const WHITE: f32 = 246.0;

/// The blur in pixels under which pictures are compared: a copy may be a little softer than the picture.
const SOFTNESS: f32 = 1.5;

/// Bars take at least this share of a side, or they are none.
const THINNEST: f32 = 0.02;

/// A small copy of a picture, prepared for [`compare_pictures`](super::compare_pictures): about 70 KiB.
#[derive(Debug, Clone)]
pub struct Picture {
    /// The size of what it was made of, in pixels.
    pub(super) whole: (u32, u32),
    width: usize,
    height: usize,
    /// The two planes in bytes.
    soft: Vec<u8>,
    extreme: Vec<i8>,
    pub(super) features: Features,
    /// The coarse squares of the whole picture, and of what lies between bars.
    pub(super) views: Vec<CoarseView>,
    /// The mean squared slope of the softened brightness: how sharp the picture is.
    pub(super) sharpness: f32,
    /// The mean difference between the strongest and the weakest channel, 0 to 255: none in black and white.
    pub(super) colour: f32,
}

/// A part of a picture as a coarse square, with a mean of 0 and a length of 1.
#[derive(Debug, Clone)]
pub(super) struct CoarseView {
    /// Left, top, right and bottom in pixels of the small copy.
    pub part: [f32; 4],
    pub square: Vec<f32>,
}

impl Picture {
    /// Prepares a decoded picture, which should be upright and have a shorter side of some 200 pixels or more.
    ///
    /// # Errors
    ///
    /// If the picture has another number of pixels than its size says.
    ///
    /// # Examples
    ///
    /// ```
    /// use imgsearch::decode::Rgb;
    /// use imgsearch::duplicates::verify::{Picture, Verdict, compare_pictures};
    ///
    /// let (width, height) = (300, 200);
    /// let rings = |x: i32, y: i32| ((x * x + y * y * 2) / 300 % 256) as u8;
    /// let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    /// let pixels = places.flat_map(|(x, y)| [rings(x - 90, y - 70); 3]).collect();
    /// let image = Rgb { width: width as u32, height: height as u32, pixels };
    ///
    /// let picture = Picture::of(&image)?;
    /// assert!(matches!(compare_pictures(&picture, &picture), Verdict::Copy(_)));
    /// # Ok::<(), imgsearch::decode::DecodeError>(())
    /// ```
    pub fn of(image: &Rgb) -> Result<Self, DecodeError> {
        Self::of_small(image, (image.width, image.height))
    }

    /// Prepares a smaller copy of a picture that has `whole` pixels across and down.
    ///
    /// # Errors
    ///
    /// As [`Picture::of`].
    pub fn of_small(image: &Rgb, whole: (u32, u32)) -> Result<Self, DecodeError> {
        let scale = f64::from(LONGER_SIDE) / f64::from(image.width.max(image.height).max(1));
        // Even sides halve without a remainder.
        let side = |side: u32| {
            let scaled = (f64::from(side) * scale / 2.0).round() as u32 * 2;
            scaled.clamp(SHORTEST, LONGER_SIDE)
        };
        let geometry = Geometry {
            width: side(image.width),
            height: side(image.height),
            resize: Resize::Squash,
        };
        let small = decode::resized(image, &geometry)?;
        let (pixels, _) = small.as_chunks::<3>();
        let spread = |pixel: &[u8; 3]| {
            let [r, g, b] = *pixel;
            f32::from(r.max(g).max(b) - r.min(g).min(b))
        };
        let colour = pixels.iter().map(spread).sum::<f32>() / pixels.len().max(1) as f32;
        let grey: Vec<f32> = pixels.iter().map(decode::luma).collect();
        let grey = Grey {
            width: geometry.width as usize,
            height: geometry.height as usize,
            pixels: grey,
        };
        Ok(Self::of_grey(&grey, whole, colour))
    }

    pub(super) fn of_grey(grey: &Grey, whole: (u32, u32), colour: f32) -> Self {
        let (width, height) = (grey.width, grey.height);
        let all = [0.0, 0.0, width as f32, height as f32];
        let mut parts = vec![all];
        parts.extend(between_bars(grey));
        let soft = grey.blurred(SOFTNESS);
        let (across, down) = soft.slopes();
        let slopes = across.pixels.iter().zip(&down.pixels);
        let squares: f32 = slopes
            .map(|(across, down)| across * across + down * down)
            .sum();
        let sharpness = squares / soft.pixels.len() as f32;
        let extreme = Grey {
            pixels: grey.pixels.iter().map(|value| extreme(*value)).collect(),
            ..*grey
        };
        Self {
            whole,
            width,
            height,
            soft: soft
                .pixels
                .iter()
                .map(|value| value.round() as u8)
                .collect(),
            extreme: extreme
                .blurred(SOFTNESS)
                .pixels
                .iter()
                .map(|value| (value * 127.0).round() as i8)
                .collect(),
            features: features(grey),
            views: parts
                .into_iter()
                .filter_map(|part| coarse(&soft, part))
                .collect(),
            sharpness,
            colour,
        }
    }

    /// Returns what the picture is compared by.
    pub(super) fn planes(&self) -> Planes {
        let grey = |pixels: Vec<f32>| Grey {
            width: self.width,
            height: self.height,
            pixels,
        };
        Planes {
            soft: grey(self.soft.iter().map(|value| f32::from(*value)).collect()),
            extreme: grey(
                self.extreme
                    .iter()
                    .map(|value| f32::from(*value) / 127.0)
                    .collect(),
            ),
        }
    }

    /// Returns the size of the small copy.
    pub(super) fn size(&self) -> (f32, f32) {
        (self.width as f32, self.height as f32)
    }
}

impl CoarseView {
    /// Returns how alike two views are under each of the eight ways to turn and mirror the first, from -1 to 1.
    pub fn alike(&self, other: &Self) -> [f32; 8] {
        const LAST: usize = COARSE - 1;
        std::array::from_fn(|turn| {
            let mut sum = 0.0;
            for y in 0..COARSE {
                for x in 0..COARSE {
                    let (u, v) = if turn >= 4 { (LAST - x, y) } else { (x, y) };
                    let (u, v) = match turn % 4 {
                        0 => (u, v),
                        1 => (LAST - v, u),
                        2 => (LAST - u, LAST - v),
                        _ => (v, LAST - u),
                    };
                    sum += self.square[y * COARSE + x] * other.square[v * COARSE + u];
                }
            }
            sum
        })
    }

    /// Returns the map that brings this view onto another one, turned in one of the eight ways.
    pub fn onto(&self, other: &Self, turn: usize) -> Affine {
        let size = |part: &[f32; 4]| (part[2] - part[0], part[3] - part[1]);
        let mut map = Affine::onto(size(&self.part), size(&other.part), turn);
        let (x, y) = map.of(-self.part[0], -self.part[1]);
        map.t = [x + other.part[0], y + other.part[1]];
        map
    }
}

/// Returns 1 for white, -1 for black and 0 for everything between.
fn extreme(value: f32) -> f32 {
    f32::from(i8::from(value > WHITE) - i8::from(value < BLACK))
}

/// Returns a part of a picture as a coarse square, or `None` if there is nothing in it.
fn coarse(grey: &Grey, part: [f32; 4]) -> Option<CoarseView> {
    let cut = part.map(|side| side as usize);
    let (width, height) = (cut[2] - cut[0], cut[3] - cut[1]);
    let whole = Grey::from_fn(width, height, |x, y| {
        grey.pixels[(cut[1] + y) * grey.width + cut[0] + x]
    });
    let mut square = whole.resized(COARSE, COARSE).pixels;
    let mean = square.iter().sum::<f32>() / square.len() as f32;
    square.iter_mut().for_each(|value| *value -= mean);
    let length = square.iter().map(|value| value * value).sum::<f32>().sqrt();
    // A deviation of one grey level.
    if length < COARSE as f32 {
        return None;
    }
    square.iter_mut().for_each(|value| *value /= length);
    Some(CoarseView { part, square })
}

/// Returns what lies between even bars at the edges, if there are any and enough lies there.
fn between_bars(grey: &Grey) -> Option<[f32; 4]> {
    let (width, height) = (grey.width, grey.height);
    let column = |x: usize| even((0..height).map(move |y| grey.pixels[y * width + x]));
    let row = |y: usize| even((0..width).map(move |x| grey.pixels[y * width + x]));
    let thick = |count: usize, of: &dyn Fn(usize) -> Option<f32>| {
        let Some(first) = of(0) else { return 0 };
        (0..count)
            .take_while(|&i| of(i).is_some_and(|mean| (mean - first).abs() < EVEN))
            .count()
    };
    let bars = [
        thick(width, &column),
        thick(height, &row),
        thick(width, &|x| column(width - 1 - x)),
        thick(height, &|y| row(height - 1 - y)),
    ];
    let thin = |bar: usize, side: usize| (bar as f32) < THINNEST * side as f32;
    let bar = |i: usize, side: usize| if thin(bars[i], side) { 0 } else { bars[i] };
    let bars = [bar(0, width), bar(1, height), bar(2, width), bar(3, height)];
    if bars == [0; 4] {
        return None;
    }
    let (right, bottom) = (width.checked_sub(bars[2])?, height.checked_sub(bars[3])?);
    let is_enough = right > bars[0] + width / 4 && bottom > bars[1] + height / 4;
    is_enough.then(|| [bars[0], bars[1], right, bottom].map(|side| side as f32))
}

/// Returns the mean of values that hardly deviate from it.
fn even(values: impl Iterator<Item = f32> + Clone) -> Option<f32> {
    let count = values.clone().count() as f32;
    let mean = values.clone().sum::<f32>() / count;
    let squares: f32 = values.map(|value| (value - mean).powi(2)).sum();
    ((squares / count).sqrt() < EVEN).then_some(mean)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey() -> Grey {
        Grey::from_fn(120, 80, |x, y| ((x * x / 20 + y * 3) % 200) as f32)
    }

    #[test]
    fn bars_are_seen_and_a_picture_without_has_none() {
        assert_eq!(between_bars(&grey()), None);
        let own = grey();
        let barred = Grey::from_fn(120, 100, |x, y| {
            if (10..90).contains(&y) {
                own.pixels[(y - 10) * 120 + x]
            } else {
                0.0
            }
        });
        assert_eq!(between_bars(&barred), Some([0.0, 10.0, 120.0, 90.0]));
        assert_eq!(between_bars(&Grey::from_fn(60, 40, |_, _| 3.0)), None);
    }

    #[test]
    fn a_view_knows_how_it_was_turned() {
        let own = Picture::of_grey(&grey(), (120, 80), 0.0);
        let turned = Grey::from_fn(80, 120, |x, y| grey().at(y as isize, 79 - x as isize));
        let turned = Picture::of_grey(&turned, (80, 120), 0.0);
        let alike = own.views[0].alike(&turned.views[0]);
        assert!(alike[1] > 0.99, "{alike:?}");
        assert!(
            alike
                .iter()
                .enumerate()
                .all(|(i, value)| i == 1 || *value < 0.9)
        );
        let map = own.views[0].onto(&turned.views[0], 1);
        assert_eq!(map.of(0.0, 0.0), (80.0, 0.0));
    }
}
