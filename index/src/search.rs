//! Exact search: every stored row is looked at.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use rayon::prelude::*;

use crate::distance::{LANES, finite, hamming_words, l2_squared, words};
use crate::error::{Error, Result};
use crate::types::{EncoderRecord, ImageId};
use crate::vectors::Vectors;

/// Rows that one task of a parallel scan looks at: enough that starting it costs nothing beside
/// it, few enough that all cores have some at a hundred thousand rows.
const ROWS_A_TASK: usize = 16 * 1024;

/// What is asked with.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// A code of the index's length.
    pub code: &'a [f32],
    /// A packed hash of the index's length, where the hash is to count.
    pub hash: Option<&'a [u8]>,
}

/// What images are ranked by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum RankBy {
    /// The Euclidean distance of the codes.
    #[default]
    Code,
    /// The share of bits that differ between the hashes.
    Hash,
    /// The squared Euclidean distance of the codes, and the share of differing bits times the
    /// encoder's [`hash_weight`](EncoderRecord::hash_weight), added.
    Both,
}

/// How a search is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SearchParams {
    /// How many images to find, at least 1.
    pub k: usize,
    /// What they are ranked by. Default: the code.
    pub by: RankBy,
}

impl SearchParams {
    /// The `k` nearest by code.
    pub fn new(k: usize) -> Self {
        Self {
            k,
            by: RankBy::default(),
        }
    }

    /// Ranks by something else.
    #[must_use]
    pub fn by(mut self, by: RankBy) -> Self {
        self.by = by;
        self
    }
}

/// A found image.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Neighbour {
    /// The image.
    pub id: ImageId,
    /// What it was ranked by, smallest first: see [`RankBy`].
    pub distance: f32,
    /// Bits that differ between the hashes, where the query has one.
    pub hamming: Option<u32>,
}

/// A row and its distance, ordered by (distance, id): rows are in the order of ids.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Found {
    distance: f32,
    row: usize,
}

impl Eq for Found {}

impl Ord for Found {
    fn cmp(&self, other: &Self) -> Ordering {
        self.distance
            .total_cmp(&other.distance)
            .then(self.row.cmp(&other.row))
    }
}

impl PartialOrd for Found {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The nearest rows, best first.
pub(crate) fn search(
    vectors: &Vectors,
    encoder: &EncoderRecord,
    query: &Query<'_>,
    params: &SearchParams,
) -> Result<Vec<Neighbour>> {
    if params.k == 0 {
        return Err(Error::BadInput(
            "k is 0: ask for at least one image".to_owned(),
        ));
    }
    let code = padded(encoder, query.code)?;
    let hash = query
        .hash
        .map(|hash| checked_hash(encoder, hash))
        .transpose()?;
    let need_hash = || {
        hash.as_deref()
            .ok_or_else(|| Error::BadInput("ranking by hash needs a query with a hash".to_owned()))
    };
    let bits = encoder.bits as f32;
    let by_code = |row| l2_squared(&code, vectors.code(row));
    let mut found = match params.by {
        RankBy::Code => scan(vectors.len(), params.k, by_code),
        RankBy::Hash => {
            let hash = need_hash()?;
            scan(vectors.len(), params.k, |row| {
                hamming_words(hash, vectors.hash(row)) as f32 / bits
            })
        }
        RankBy::Both => {
            let hash = need_hash()?;
            let weight = encoder.hash_weight / bits;
            scan(vectors.len(), params.k, |row| {
                by_code(row) + weight * hamming_words(hash, vectors.hash(row)) as f32
            })
        }
    };
    if params.by == RankBy::Code {
        // The root changes no order, so only the answers need it.
        for found in &mut found {
            found.distance = found.distance.sqrt();
        }
    }
    Ok(found
        .into_iter()
        .map(|found| Neighbour {
            id: vectors.ids[found.row],
            distance: found.distance,
            hamming: hash
                .as_deref()
                .map(|hash| hamming_words(hash, vectors.hash(found.row))),
        })
        .collect())
}

/// All rows whose hashes differ in at most `radius` bits, nearest first.
pub(crate) fn within_hamming(
    vectors: &Vectors,
    encoder: &EncoderRecord,
    hash: &[u8],
    radius: u32,
) -> Result<Vec<Neighbour>> {
    let hash = checked_hash(encoder, hash)?;
    let mut found: Vec<(u32, usize)> = (0..vectors.len())
        .into_par_iter()
        .with_min_len(ROWS_A_TASK)
        .map(|row| (hamming_words(&hash, vectors.hash(row)), row))
        .filter(|(apart, _)| *apart <= radius)
        .collect();
    found.sort_unstable();
    Ok(found
        .into_iter()
        .map(|(apart, row)| Neighbour {
            id: vectors.ids[row],
            distance: apart as f32 / encoder.bits as f32,
            hamming: Some(apart),
        })
        .collect())
}

fn padded(encoder: &EncoderRecord, code: &[f32]) -> Result<Vec<f32>> {
    if code.len() != encoder.code_len {
        return Err(Error::BadInput(format!(
            "a code of {} numbers was given, and the index holds codes of {}",
            code.len(),
            encoder.code_len
        )));
    }
    if !finite(code) {
        return Err(Error::BadInput(
            "the code holds a number that is not finite".to_owned(),
        ));
    }
    let mut padded = code.to_vec();
    padded.resize(code.len().next_multiple_of(LANES), 0.0);
    Ok(padded)
}

fn checked_hash(encoder: &EncoderRecord, hash: &[u8]) -> Result<Vec<u64>> {
    if hash.len() != encoder.hash_bytes() {
        return Err(Error::BadInput(format!(
            "a hash of {} bytes was given, and the index holds hashes of {}",
            hash.len(),
            encoder.hash_bytes()
        )));
    }
    Ok(words(hash).collect())
}

/// The `k` rows at the smallest distances, smallest first, ties by row.
fn scan(rows: usize, k: usize, distance: impl Fn(usize) -> f32 + Sync) -> Vec<Found> {
    let part = |range: std::ops::Range<usize>| {
        let mut best = BinaryHeap::with_capacity(k.min(range.len()) + 1);
        for row in range {
            let found = Found {
                distance: distance(row),
                row,
            };
            if best.len() < k {
                best.push(found);
            } else if best.peek().is_some_and(|worst| found < *worst) {
                best.pop();
                best.push(found);
            }
        }
        best.into_vec()
    };
    let mut found: Vec<Found> = if rows <= ROWS_A_TASK {
        part(0..rows)
    } else {
        (0..rows.div_ceil(ROWS_A_TASK))
            .into_par_iter()
            .flat_map_iter(|task| {
                let start = task * ROWS_A_TASK;
                part(start..rows.min(start + ROWS_A_TASK))
            })
            .collect()
    };
    found.sort_unstable();
    found.truncate(k);
    found
}
