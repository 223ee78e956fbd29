//! Long pictures: panoramas and screenshots of pages, of which a square in the middle shows little.
//!
//! Their code should be that of the whole, so they are folded: cut along the long side into pieces, which are laid side by
//! side until the shape is close to a square. `docs/formats.md` says what that was measured against.

use fast_image_resize::Resizer;

use super::exif::Orientation;
use super::{Geometry, Resize, Rgb, resample_part};

/// The ratio of the sides from which a picture is long. Films in the widest common form have 2.39, phones' screens 2.3. At
/// 2.5, folding finds a strip of a photograph 1.4 times as often as the square in the middle does, at 4 2.5 times as often
/// (`benches/formats/long.py`).
pub(super) const LONG: f64 = 2.5;

/// Returns the number of pieces into which a picture is cut, or `None` if it is not long.
pub(super) fn pieces(width: u32, height: u32) -> Option<u32> {
    let ratio = f64::from(width.max(height)) / f64::from(width.min(height).max(1));
    // A square of n pieces has a ratio of n times n.
    (ratio >= LONG).then(|| (ratio.sqrt().round() as u32).clamp(2, MAX_PIECES))
}

/// Maximum number of pieces: each is drawn at least as high as a few pixels.
const MAX_PIECES: u32 = 16;

/// Folds a stored picture that `orientation` turns upright, to the size of `geometry`: the upright one would be folded
/// to the same.
///
/// # Errors
///
/// If the image has another number of pixels than its size says.
pub(super) fn fold(
    resizer: &mut Resizer,
    rgb: &Rgb,
    count: u32,
    geometry: &Geometry,
    orientation: Orientation,
) -> Result<Vec<u8>, String> {
    let (width, height) = (geometry.width as usize, geometry.height as usize);
    let is_wide = rgb.width > rgb.height;
    let side = if is_wide {
        geometry.height
    } else {
        geometry.width
    };
    let reverse = orientation.reverses_one_side();
    let mut out = vec![0; width * height * 3];
    let (long, short) = if is_wide {
        (rgb.width, rgb.height)
    } else {
        (rgb.height, rgb.width)
    };
    let count = count.min(side).min(long).max(1);
    for place in 0..count {
        let (from, to) = (place * side / count, (place + 1) * side / count);
        // Whole pixels, cut out, so that no piece has a seam of the next one.
        let bound = |place: u32| (u64::from(long) * u64::from(place) / u64::from(count)) as u32;
        let (first, end) = (bound(place), bound(place + 1));
        let first = if reverse { long - end } else { first };
        let piece = piece(rgb, is_wide, first, end - bound(place), short);
        let drawn = Geometry {
            width: if is_wide { geometry.width } else { to - from },
            height: if is_wide { to - from } else { geometry.height },
            resize: Resize::Squash,
        };
        let whole = [0.0, 0.0, f64::from(piece.width), f64::from(piece.height)];
        let pixels = resample_part(resizer, &piece, whole, &drawn)?;
        let (left, top) = if is_wide {
            (0, from as usize)
        } else {
            (from as usize, 0)
        };
        let line = drawn.width as usize * 3;
        for (y, line) in pixels.chunks_exact(line).enumerate() {
            let start = ((top + y) * width + left) * 3;
            out[start..start + line.len()].copy_from_slice(line);
        }
    }
    Ok(out)
}

/// Copies columns, or rows if the picture is high, out of a picture.
fn piece(rgb: &Rgb, is_wide: bool, first: u32, length: u32, short: u32) -> Rgb {
    let line = rgb.width as usize * 3;
    let (first, size) = (first as usize, length as usize);
    if is_wide {
        let rows = rgb.pixels.chunks_exact(line);
        Rgb {
            width: length,
            height: short,
            pixels: rows
                .flat_map(|row| &row[first * 3..(first + size) * 3])
                .copied()
                .collect(),
        }
    } else {
        Rgb {
            width: short,
            height: length,
            pixels: rgb.pixels[first * line..(first + size) * line].to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GEOMETRY: Geometry = Geometry {
        width: 8,
        height: 8,
        resize: Resize::ShortSideCrop { short: 8 },
    };

    /// Four squares in a row: red, green, blue, white.
    fn row() -> Rgb {
        let colours = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]];
        let line: Vec<u8> = colours
            .iter()
            .flat_map(|colour| colour.repeat(16))
            .collect();
        Rgb {
            width: 64,
            height: 16,
            pixels: line.repeat(16),
        }
    }

    #[test]
    fn only_long_pictures_are_folded() {
        assert_eq!(pieces(1920, 1080), None);
        assert_eq!(pieces(1000, 2400), None);
        assert_eq!(pieces(1080, 2990), Some(2));
        assert_eq!(pieces(3000, 1000), Some(2));
        assert_eq!(pieces(100, 900), Some(3));
        assert_eq!(pieces(1_000_000, 1), Some(MAX_PIECES));
    }

    #[test]
    fn the_pieces_lie_side_by_side_whatever_the_orientation() {
        let upright = row();
        let mut resizer = Resizer::new();
        let folded = fold(&mut resizer, &upright, 2, &GEOMETRY, Orientation::UPRIGHT).unwrap();
        let at = |x: usize, y: usize| &folded[(y * 8 + x) * 3..][..3];
        let corners = [at(1, 1), at(6, 1), at(1, 6), at(6, 6)];
        let expected = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255; 3]];
        assert_eq!(corners, expected);
        for orientation in (1..=8).map(Orientation::of) {
            // The stored picture is what becomes upright.
            let stored = (1..=8).map(Orientation::of).find_map(|back| {
                let pixels = back.apply(&upright.pixels, 64, 16);
                let (width, height) = if back.swaps_sides() {
                    (16, 64)
                } else {
                    (64, 16)
                };
                let again = orientation.apply(&pixels, width, height);
                (again == upright.pixels && back.swaps_sides() == orientation.swaps_sides())
                    .then_some(Rgb {
                        width: width as u32,
                        height: height as u32,
                        pixels,
                    })
            });
            let stored = stored.unwrap();
            let pixels = fold(&mut resizer, &stored, 2, &GEOMETRY, orientation).unwrap();
            assert_eq!(orientation.apply(&pixels, 8, 8), folded, "{orientation:?}");
        }
    }

    /// The resizer checks nothing in releases; in tests, the standard library does.
    #[test]
    fn small_pictures_of_any_shape_are_folded() {
        let wide = Geometry {
            width: 32,
            height: 32,
            resize: Resize::ShortSideCrop { short: 36 },
        };
        let mut resizer = Resizer::new();
        for short in 1..=5 {
            for long in (1..200).filter(|long| 2 * *long >= 5 * short) {
                for (width, height) in [(long, short), (short, long)] {
                    let rgb = Rgb {
                        width,
                        height,
                        pixels: vec![7; (width * height * 3) as usize],
                    };
                    let count = pieces(width, height).unwrap();
                    for geometry in [&GEOMETRY, &wide] {
                        let out = fold(&mut resizer, &rgb, count, geometry, Orientation::UPRIGHT)
                            .unwrap();
                        assert_eq!(out, vec![7; geometry.bytes()], "{width} by {height}");
                    }
                }
            }
        }
    }
}
