//! The levels of likeness, and what decides between them.

use serde::Serialize;

use super::seen::{Numbers, Seen};
use crate::duplicates::verify::Verdict;

/// Two pictures that are at least this similar are near each other: shots of one scene. Lower ones are only of the same
/// kind of thing.
pub const NEAR: f32 = 0.95;

/// Two pictures that are at least this similar are alike: more likely than not, they show the same kind of thing.
pub const ALIKE: f32 = 0.5;

/// The shares of differing bits that stand for [`NEAR`] and [`ALIKE`] where an encoder has no similarities.
const BITS_NEAR: f32 = 0.1;
const BITS_ALIKE: f32 = 0.3;

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

/// Returns what two pictures are to each other. `same_pixels` says whether they are the same at their full size,
/// `verdict` what a comparison of their pixels found: numbers cannot tell a copy from the next shot of the same scene.
pub(super) fn level_of(
    a: &Seen,
    b: &Seen,
    same_pixels: bool,
    verdict: &Verdict,
    numbers: &Numbers,
) -> Likeness {
    if a.picture.digest == b.picture.digest {
        return Likeness::IdenticalBytes;
    }
    if same_pixels {
        return Likeness::IdenticalPixels;
    }
    match verdict {
        Verdict::Copy(_) => Likeness::EditedCopy,
        Verdict::Near(_) => Likeness::Near,
        Verdict::Different => by_numbers(numbers),
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
    use super::*;

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
}
