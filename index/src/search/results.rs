//! What a search found, and how it was answered.

use serde::Serialize;

use crate::store::types::ImageId;

/// A found image.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Neighbour {
    /// The image.
    pub id: ImageId,
    /// What it was ranked by, smallest first: see [`RankBy`](crate::RankBy).
    pub distance: f32,
    /// Bits that differ between the hashes, if the query has one.
    pub hamming: Option<u32>,
}

impl Neighbour {
    /// Returns an image whose hash of `bits` bits differs in `apart` of them.
    pub fn apart(id: ImageId, apart: u32, bits: usize) -> Self {
        Self {
            id,
            distance: apart as f32 / bits.max(1) as f32,
            hamming: Some(apart),
        }
    }
}

/// How a search was answered.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SearchStats {
    /// Images in the view.
    pub images: usize,
    /// Those of them that could be found.
    pub allowed: usize,
    /// The parts of the view.
    pub parts: Vec<SegmentStats>,
    /// Whether the graph of some part found too few, so that its rows were scanned after all.
    pub fell_back: bool,
    /// Nearest images that the query was mixed with.
    #[serde(skip_serializing_if = "is_zero")]
    pub expanded: usize,
    /// What resolving the filter took, in microseconds.
    pub filter_us: f64,
    /// What searching took, in microseconds.
    pub search_us: f64,
}

/// How a part of a view answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SegmentStats {
    /// The segment's file name; none for what is in memory.
    pub segment: Option<String>,
    /// Rows of the part.
    pub rows: usize,
    /// Those that could be found.
    pub allowed: usize,
    /// Candidates of the search along the graph; none if the rows were scanned.
    pub ef: Option<usize>,
    /// Whether the graph led to fewer than were asked for, so that the rows were scanned after all.
    pub fell_back: bool,
    /// Distances that were computed.
    pub distances: usize,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}
