//! The levels of likeness, and what decides between them.

use serde::Serialize;

use super::seen::{Numbers, Seen};

/// Two pictures that are at least this similar are near each other: shots of one scene. Lower ones are only of the same
/// kind of thing.
pub const NEAR: f32 = 0.95;

/// Two pictures that are at least this similar are alike: more likely than not, they show the same kind of thing.
pub const ALIKE: f32 = 0.5;

/// The shares of differing bits that stand for [`NEAR`] and [`ALIKE`] where an encoder has no similarities.
const BITS_NEAR: f32 = 0.1;
const BITS_ALIKE: f32 = 0.3;

/// Pixels in the side of a block of which the mean is compared: what a smaller size, a re-encoding or a little blur change
/// is mostly within a block.
const BLOCK: usize = 8;

/// Blocks of a copy differ at most so much on average, from 0 to 1.
const COPY_DIFFERENCE: f32 = 0.013;

/// The block of a copy that differs most differs at most so much: if something in the scene moved, one differs more.
const COPY_WORST: f32 = 0.12;

/// The brightness of the blocks of a copy is correlated at least so much. Without it, two dark pictures would be copies of
/// each other.
const COPY_CORRELATION: f32 = 0.995;

/// What two pictures are to each other, from the same to something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Likeness {
    /// The files are the same, byte for byte.
    IdenticalBytes,
    /// The decoded pictures are the same, pixel for pixel.
    IdenticalPixels,
    /// One is an edited copy of the other.
    EditedCopy,
    /// They are nearly the same, as two shots of one scene are.
    Near,
    /// They show the same kind of thing.
    Alike,
    /// They show different things.
    Different,
}

impl Likeness {
    /// Returns whether it is the same picture.
    pub fn is_same_picture(self) -> bool {
        self <= Self::EditedCopy
    }

    /// Returns the level in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::IdenticalBytes => "identical bytes",
            Self::IdenticalPixels => "identical pixels",
            Self::EditedCopy => "edited copy",
            Self::Near => "near",
            Self::Alike => "alike",
            Self::Different => "different",
        }
    }
}

/// Returns what two pictures are to each other. `same_pixels` says whether they are the same at their full size.
pub(super) fn level_of(a: &Seen, b: &Seen, same_pixels: bool, numbers: &Numbers) -> Likeness {
    if a.picture.digest == b.picture.digest {
        Likeness::IdenticalBytes
    } else if same_pixels {
        Likeness::IdenticalPixels
    } else if is_copy(a, b) {
        Likeness::EditedCopy
    } else {
        by_numbers(numbers)
    }
}

/// Returns whether one picture is an edited copy of the other: the pixels decide, because numbers cannot tell a copy
/// from the next shot of the same scene. It finds copies at another size or quality, not those that were cropped,
/// turned or mirrored.
fn is_copy(a: &Seen, b: &Seen) -> bool {
    let (a, b) = (blocks(a), blocks(b));
    if a.len() != b.len() || a.is_empty() {
        return false;
    }
    let apart = |(a, b): (&[f32; 3], &[f32; 3])| -> f32 {
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f32>() / 3.0
    };
    let differences: Vec<f32> = a.iter().zip(&b).map(apart).collect();
    let mean = differences.iter().sum::<f32>() / a.len() as f32;
    let worst = differences.into_iter().fold(0.0, f32::max);
    mean <= COPY_DIFFERENCE && worst <= COPY_WORST && correlation(&a, &b) >= COPY_CORRELATION
}

/// Returns the mean colour of each block, from 0 to 1.
fn blocks(seen: &Seen) -> Vec<[f32; 3]> {
    let rows: Vec<&[u8]> = seen.pixels.chunks_exact(3 * seen.width.max(1)).collect();
    let mut blocks = Vec::new();
    for rows in rows.chunks_exact(BLOCK) {
        for left in (0..=seen.width.saturating_sub(BLOCK)).step_by(BLOCK) {
            let mut sums = [0u32; 3];
            for row in rows {
                for pixel in row[3 * left..3 * (left + BLOCK)].chunks_exact(3) {
                    let colours = sums.iter_mut().zip(pixel);
                    colours.for_each(|(sum, &colour)| *sum += u32::from(colour));
                }
            }
            blocks.push(sums.map(|sum| sum as f32 / (255 * BLOCK * BLOCK) as f32));
        }
    }
    blocks
}

/// Returns Pearson's correlation of the brightness of blocks; 0 if one picture has none but one brightness.
fn correlation(a: &[[f32; 3]], b: &[[f32; 3]]) -> f32 {
    let centred = |blocks: &[[f32; 3]]| -> Vec<f32> {
        let bright = blocks
            .iter()
            .map(|colours| colours.iter().sum::<f32>() / 3.0);
        let bright: Vec<f32> = bright.collect();
        let mean = bright.iter().sum::<f32>() / bright.len().max(1) as f32;
        bright.into_iter().map(|value| value - mean).collect()
    };
    let (a, b) = (centred(a), centred(b));
    let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let size = (product(&a, &a) * product(&b, &b)).sqrt();
    if size > 1e-6 {
        product(&a, &b) / size
    } else {
        0.0
    }
}

/// Returns what two pictures are to each other if there are no pixels to look at.
pub(super) fn by_numbers(numbers: &Numbers) -> Likeness {
    let (is_near, is_alike) = match numbers.similarity {
        Some(similarity) => (similarity >= NEAR, similarity >= ALIKE),
        None => {
            let share = numbers.hamming as f32 / numbers.bits.max(1) as f32;
            (share <= BITS_NEAR, share <= BITS_ALIKE)
        }
    };
    if is_near {
        Likeness::Near
    } else if is_alike {
        Likeness::Alike
    } else {
        Likeness::Different
    }
}

/// Returns how much the pixels differ on average at the encoder's size, from 0 to 1.
pub(super) fn pixel_difference(a: &Seen, b: &Seen) -> f32 {
    let pairs = a.pixels.iter().zip(&b.pixels);
    let sum: u64 = pairs.map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f32 / (255.0 * a.pixels.len().max(1) as f32)
}

#[cfg(test)]
mod tests {
    use super::super::Picture;
    use super::*;
    use crate::encode::engine::Encoded;

    fn numbers(similarity: Option<f32>, hamming: u32) -> Numbers {
        Numbers {
            distance: 1.0,
            hamming,
            bits: 256,
            similarity,
        }
    }

    #[test]
    fn numbers_alone_never_make_a_copy() {
        for (similarity, hamming, level) in [
            (Some(1.0), 0, Likeness::Near),
            (Some(NEAR), 200, Likeness::Near),
            (Some(0.94), 0, Likeness::Alike),
            (Some(ALIKE), 0, Likeness::Alike),
            (Some(0.49), 0, Likeness::Different),
            (None, 0, Likeness::Near),
            (None, 50, Likeness::Alike),
            (None, 128, Likeness::Different),
        ] {
            assert_eq!(by_numbers(&numbers(similarity, hamming)), level);
        }
        assert!(!Likeness::Near.is_same_picture() && Likeness::EditedCopy.is_same_picture());
    }

    /// A picture of 64 × 64 pixels, of the brightness of a function of place.
    fn seen(bright: impl Fn(usize, usize) -> u8) -> Seen {
        let pixels = (0..64 * 64).flat_map(|i| [bright(i % 64, i / 64); 3]);
        Seen {
            picture: Picture {
                path: "picture.png".into(),
                bytes: 1,
                digest: [0; 32],
                width: 64,
                height: 64,
                format: "png",
                taken: None,
                damage: None,
                labels: Vec::new(),
            },
            encoded: Encoded::of_code(vec![0.0], vec![1.0]),
            pixels: pixels.collect(),
            width: 64,
        }
    }

    #[test]
    fn pixels_tell_a_copy_from_another_shot() {
        let slope = |x: usize, y: usize| (2 * x + y) as u8;
        let original = seen(slope);
        // What a re-encoding changes: a little, and another bit in each pixel.
        assert!(is_copy(
            &original,
            &seen(|x, y| slope(x, y) + ((x * 7 + y * 3) % 5) as u8)
        ));
        // Something that moved in a corner.
        let moved = seen(|x, y| if x < 9 && y < 9 { 255 } else { slope(x, y) });
        assert!(pixel_difference(&original, &moved) < 0.02 && !is_copy(&original, &moved));
        assert!(
            !is_copy(&original, &seen(|x, y| slope(63 - x, y))),
            "mirrored"
        );
        // Two dark pictures are close in numbers, and have nothing in common.
        let dark = |seed: usize| seen(move |x, y| ((x / 8 * seed + y / 8 * 5) % 3) as u8);
        assert!(pixel_difference(&dark(2), &dark(3)) < 0.01);
        assert!(is_copy(&dark(2), &dark(2)) && !is_copy(&dark(2), &dark(3)));
        assert!(!is_copy(&seen(|_, _| 0), &seen(|_, _| 1)), "nothing to see");
    }
}
