//! Comparing: how alike two pictures are, and what of some files is not among others.
//!
//! Owns the levels of likeness ([`Likeness`]) and the one place that decides between them (`level.rs`).

mod folders;
mod level;
mod pair;
mod seen;

use std::path::PathBuf;

use imgsearch_index::{Digest, Label};

use super::difference::Difference;

pub use folders::{Compared, Presence, compare_files};
pub(crate) use folders::{NEAREST, Others, look_in};
pub use level::{ALIKE, Likeness, NEAR};
pub use pair::compare;

/// What is known of a picture that was compared.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Picture {
    /// Its file.
    pub path: PathBuf,
    /// Bytes of the file.
    pub bytes: u64,
    /// BLAKE3 of the file.
    pub digest: Digest,
    /// Width in pixels, as it is looked at.
    pub width: u32,
    /// Height in pixels, as it is looked at.
    pub height: u32,
    /// The name of its format, in lower case.
    pub format: &'static str,
    /// When it was taken, in seconds since 1970 of the camera's clock.
    pub taken: Option<i64>,
    /// What is wrong with the file, if only a part of the image could be used.
    pub damage: Option<String>,
    /// The classes that it most likely shows, best first; empty if the encoder knows none.
    pub labels: Vec<Label>,
}

/// How alike two pictures are.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Comparison {
    /// The two pictures, in the order in which they were given.
    pub pictures: [Picture; 2],
    /// What they are to each other.
    pub level: Likeness,
    /// How the second one differs from the first, if both are copies of one picture or shots of one scene.
    pub difference: Option<Difference>,
    /// The distance by code and hash: the mean of both directions, because a query counts its own bits by their
    /// certainty.
    pub distance: f32,
    /// Bits that differ between the two hashes.
    pub hamming: u32,
    /// Bits of a hash.
    pub bits: usize,
    /// How alike they are, from 0 to 1, as [`Match::similarity`](crate::Match::similarity); `None` if this was not
    /// measured for the encoder.
    pub similarity: Option<f32>,
    /// How much the pixels differ on average at the encoder's size, from 0 to 1.
    pub pixel_difference: f32,
}
