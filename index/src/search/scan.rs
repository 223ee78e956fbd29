//! Measuring rows: what they are ranked by, those that a graph led to, and all of a range.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering as AtomicOrdering};

use crate::kernels::bits::Bits;
use crate::kernels::distance::{hamming_words, l2};
use crate::kernels::simd::{self, Simd};
use crate::kernels::weighted::BitWeights;
use crate::search::RankBy;
use crate::segment::{FusedQuery, SearchScratch, Segment};
use crate::store::rows::Rows;

/// Rows that one task of a parallel scan looks at: enough that starting it costs nothing compared to
/// it, few enough that all cores have some at a hundred thousand rows. A multiple of 64.
pub(super) const ROWS_A_TASK: usize = 16 * 1024;

/// How many rows ahead a scan asks for codes: the processor by itself stops at the end of a page.
const AHEAD: usize = 16;

/// A row and its distance, ordered by (distance, part, row), which is the order of (distance, id).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Candidate {
    pub distance: f32,
    pub part: u32,
    pub row: u32,
}

impl Candidate {
    /// Returns which row of which part it is.
    pub fn place(&self) -> (u32, u32) {
        (self.part, self.row)
    }
}

impl Eq for Candidate {}

impl Ord for Candidate {
    #[inline(always)]
    fn cmp(&self, other: &Self) -> Ordering {
        self.distance
            .total_cmp(&other.distance)
            .then((self.part, self.row).cmp(&(other.part, other.row)))
    }
}

impl PartialOrd for Candidate {
    #[inline(always)]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What a query is measured with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scorer<'a> {
    pub code: &'a [f32],
    pub hash: &'a [u64],
    pub by: RankBy,
    /// What a differing bit counts.
    pub bit: f32,
    /// What each differing bit counts, for ranking by both with logits.
    pub weights: Option<&'a BitWeights>,
}

impl Scorer<'_> {
    #[inline(always)]
    pub fn distance<S: Simd>(&self, simd: S, rows: &Rows<'_>, row: usize) -> f32 {
        match self.by {
            RankBy::Code => l2(simd, self.code, rows.code(row)),
            RankBy::Hash => hamming_words(self.hash, rows.hash(row)) as f32 * self.bit,
            RankBy::Both => {
                let bits = match self.weights {
                    Some(weights) => weights.distance(rows.hash(row)),
                    None => hamming_words(self.hash, rows.hash(row)) as f32 * self.bit,
                };
                self.both(simd, rows, row, bits)
            }
        }
    }

    /// Returns the distance by both, given what the hashes add.
    #[inline(always)]
    fn both<S: Simd>(&self, simd: S, rows: &Rows<'_>, row: usize, bits: f32) -> f32 {
        l2(simd, self.code, rows.code(row)) + bits
    }

    /// Returns whether the graph over codes and hashes is the one that leads to what is near.
    pub fn is_fused(&self) -> bool {
        self.by == RankBy::Both && self.bit > 0.0
    }
}

thread_local! {
    static SCRATCH: RefCell<(SearchScratch, Vec<u32>)> = RefCell::default();
}

/// Returns the nearest rows that a search of a segment's graph finds, and the number of distances that
/// it computed.
pub(crate) fn along_graph(
    segment: &Segment,
    part: u32,
    scorer: &Scorer<'_>,
    k: usize,
    ef: usize,
    allowed: &Bits,
) -> (Vec<Candidate>, usize) {
    SCRATCH.with_borrow_mut(|(scratch, candidates)| {
        if scorer.is_fused() {
            let query = FusedQuery {
                code: scorer.code,
                hash: scorer.hash,
                weights: scorer.weights,
            };
            segment.fused_candidates(&query, ef, scratch, candidates);
        } else {
            segment.candidates(scorer.code, ef, scratch, candidates);
        }
        let rows = segment.rows();
        candidates.retain(|&row| allowed.contains(row as usize));
        let work = Rank {
            rows,
            part,
            candidates,
            scorer: *scorer,
        };
        let mut found = simd::widest(work);
        if found.len() > k {
            found.select_nth_unstable(k - 1);
            found.truncate(k);
        }
        let computed = scratch.visited() + candidates.len();
        (found, computed)
    })
}

/// Measures some rows.
pub(crate) struct Rank<'a> {
    pub rows: Rows<'a>,
    pub part: u32,
    pub candidates: &'a [u32],
    pub scorer: Scorer<'a>,
}

impl simd::Work for Rank<'_> {
    type Output = Vec<Candidate>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Vec<Candidate> {
        for &row in self.candidates {
            let start = row as usize * self.rows.stride;
            crate::kernels::prefetch::prefetch(self.rows.codes, start, self.rows.stride);
        }
        self.candidates
            .iter()
            .map(|&row| Candidate {
                distance: self.scorer.distance(simd, &self.rows, row as usize),
                part: self.part,
                row,
            })
            .collect()
    }
}

/// Looks at all rows of a range that may be found, for the nearest `k`.
pub(crate) struct Scan<'a> {
    pub rows: Rows<'a>,
    pub part: u32,
    pub range: Range<usize>,
    pub scorer: Scorer<'a>,
    pub allowed: &'a Bits,
    pub k: usize,
    /// The bits of a distance that no row of the answer is beyond, for whoever scans next: what is
    /// never below zero is ordered as its bits are.
    pub bound: &'a AtomicU32,
}

/// The best rows of a range, met in ascending order.
struct Best {
    heap: BinaryHeap<Candidate>,
    k: usize,
    part: u32,
    /// The distance of the worst of `k`.
    worst: f32,
    /// No row of the answer is beyond.
    beyond: f32,
}

impl Best {
    /// Returns whether a row at this distance, or a larger one, is no answer: rows ascend, so one at
    /// the distance of the worst comes behind it.
    #[inline(always)]
    fn refuses(&self, distance: f32) -> bool {
        distance >= self.worst || distance > self.beyond
    }

    #[inline(always)]
    fn take(&mut self, row: usize, distance: f32) {
        if self.refuses(distance) {
            return;
        }
        if self.heap.len() == self.k {
            self.heap.pop();
        }
        self.heap.push(Candidate {
            distance,
            part: self.part,
            row: row as u32,
        });
        if self.heap.len() == self.k {
            self.worst = self
                .heap
                .peek()
                .map_or(f32::INFINITY, |worst| worst.distance);
        }
    }
}

impl simd::Work for Scan<'_> {
    type Output = Vec<Candidate>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Vec<Candidate> {
        let Self {
            rows,
            part,
            range,
            scorer,
            allowed,
            k,
            bound,
        } = self;
        let mut best = Best {
            heap: BinaryHeap::with_capacity(k.min(range.len()) + 1),
            k,
            part,
            worst: f32::INFINITY,
            beyond: f32::from_bits(bound.load(AtomicOrdering::Relaxed)),
        };
        match (scorer.by, allowed.is_all(), scorer.weights) {
            (RankBy::Code, true, _) => {
                let codes = &rows.codes[range.start * rows.stride..range.end * rows.stride];
                for (row, code) in range.zip(codes.chunks_exact(rows.stride)) {
                    crate::kernels::prefetch::prefetch(
                        rows.codes,
                        (row + AHEAD) * rows.stride,
                        rows.stride,
                    );
                    best.take(row, l2(simd, scorer.code, code));
                }
            }
            (RankBy::Hash, true, _) => {
                each_apart(&rows, range, scorer.hash, |row, apart| {
                    best.take(row, apart as f32 * scorer.bit);
                });
            }
            (RankBy::Both, all, Some(weights)) => {
                // Two bounds: one that is quick, and what the bits add. They keep most codes from being
                // read.
                let mut look = |row: usize| {
                    let hash = rows.hash(row);
                    if best.refuses(weights.lower_bound(hash)) {
                        return;
                    }
                    let bits = weights.distance(hash);
                    if !best.refuses(bits) {
                        best.take(row, scorer.both(simd, &rows, row, bits));
                    }
                };
                if all {
                    range.for_each(look);
                } else {
                    allowed.for_each(range, &mut look);
                }
            }
            // What the bits alone add is a lower bound, and keeps most codes from being read.
            (RankBy::Both, true, None) => {
                each_apart(&rows, range, scorer.hash, |row, apart| {
                    let bits = apart as f32 * scorer.bit;
                    if !best.refuses(bits) {
                        best.take(row, scorer.both(simd, &rows, row, bits));
                    }
                });
            }
            (RankBy::Both, false, None) => allowed.for_each(range, |row| {
                let bits = hamming_words(scorer.hash, rows.hash(row)) as f32 * scorer.bit;
                if !best.refuses(bits) {
                    best.take(row, scorer.both(simd, &rows, row, bits));
                }
            }),
            (_, false, _) => {
                allowed.for_each(range, |row| {
                    best.take(row, scorer.distance(simd, &rows, row))
                });
            }
        }
        if best.heap.len() == k {
            bound.fetch_min(best.worst.to_bits(), AtomicOrdering::Relaxed);
        }
        best.heap.into_vec()
    }
}

/// Calls `visit` with each row of a range and the bits in which its hash differs. The lengths of
/// 64, 128, 256 and 512 bits have shapes of their own, which are compiled into vector instructions.
#[inline(always)]
fn each_apart(
    rows: &Rows<'_>,
    range: Range<usize>,
    hash: &[u64],
    mut visit: impl FnMut(usize, u32),
) {
    let hashes = &rows.hashes[range.start * rows.hash_words..];
    let mut visit = |i: usize, apart: u32| visit(range.start + i, apart);
    match rows.hash_words {
        1 => apart::<1>(hash, hashes, range.len(), &mut visit),
        2 => apart::<2>(hash, hashes, range.len(), &mut visit),
        4 => apart::<4>(hash, hashes, range.len(), &mut visit),
        8 => apart::<8>(hash, hashes, range.len(), &mut visit),
        words => {
            let hashes = hashes.chunks_exact(words).take(range.len());
            for (i, there) in hashes.enumerate() {
                visit(i, hamming_words(hash, there));
            }
        }
    }
}

/// Calls `visit` with the differing bits of `n` hashes of `WORDS` words.
#[inline(always)]
fn apart<const WORDS: usize>(
    asked: &[u64],
    hashes: &[u64],
    n: usize,
    visit: &mut impl FnMut(usize, u32),
) {
    let mut words = [0; WORDS];
    words.copy_from_slice(asked);
    let (hashes, _) = hashes.as_chunks::<WORDS>();
    for (i, hash) in hashes.iter().take(n).enumerate() {
        let apart = words
            .iter()
            .zip(hash)
            .map(|(a, b)| u64::from((a ^ b).count_ones()));
        visit(i, apart.sum::<u64>() as u32);
    }
}
