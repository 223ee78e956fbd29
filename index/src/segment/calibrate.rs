//! How many candidates the graphs of a segment need, measured when they are built.
//!
//! How far a search has to look depends on the codes: a view of 64 finds everything in one collection
//! and nine tenths in another. So when a segment is made, its graphs are asked questions of two kinds,
//! and with more and more candidates, until the answers are those of a scan. One kind is a row of the
//! segment, searched for as if it were not there. The other is a row that was moved as two others
//! differ, for an image that somebody asks with is less like the stored ones than they are like each
//! other. What that takes is kept in the header, and a search that says nothing else uses it.

use std::collections::HashSet;
use std::sync::atomic::AtomicU32;

use rand_core::{Rng, SeedableRng};
use rand_pcg::Pcg64Mcg;
use rayon::prelude::*;

use super::format::Section;
use super::{FusedQuery, SearchScratch, Segment};
use crate::graph::NONE;
use crate::kernels::bits::Bits;
use crate::kernels::simd;
use crate::search::RankBy;
use crate::search::{Rank, Scan, Scorer};

/// Rows that are asked for, each twice. If points lie in clusters a search finds all of an answer or
/// nothing, and then a share of 0.995 is known to within 0.003.
const ASKED: usize = 512;

/// How many neighbours of each are compared.
const NEIGHBOURS: usize = 10;

/// The share of them that has to be found. What is promised is 0.99 of the neighbours of an image
/// that is not in the index.
const ENOUGH: f64 = 0.995;

/// How far a row is moved, as a share of the difference between two others. With this, what is measured
/// is enough for images that are not in the index: for CIFAR-10's, and for photographs whose copies
/// fill an index of a million (`cargo bench -p imgsearch-index --bench search -- --codes INDEX`, "as
/// asked by default").
const MOVED: f32 = 0.3;

/// The numbers of candidates that are tried.
const TRIED: [u16; 14] = [
    48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096,
];

/// Segments of fewer rows are scanned in any case.
pub(super) const MIN_ROWS: usize = 4096;

/// What stands in a header of a graph that does not lead to enough with any number that is tried.
pub(super) const NEVER: u16 = u16::MAX;

/// Returns the number of candidates that finds enough along the graph of a ranking: 0 if it was not
/// measured.
pub(super) fn candidates(segment: &Segment, by: RankBy) -> u16 {
    let is_fused = by == RankBy::Both;
    if segment.len() < MIN_ROWS || (is_fused && !segment.has_fused_graph()) {
        return 0;
    }
    let (own, moved): (Vec<Question>, Vec<Question>) = questions(segment, by).into_iter().unzip();
    let mut needed = 0;
    for asked in [own, moved] {
        // What was too few for the first kind need not be tried with the second.
        let tried = TRIED.into_iter().filter(|&ef| ef >= needed);
        let mut enough = tried.filter(|&ef| share(segment, by, &asked, ef) >= ENOUGH);
        match enough.next() {
            Some(ef) => needed = ef,
            None => return NEVER,
        }
    }
    needed
}

/// Returns the share of the right answers that a search along the graph finds.
fn share(segment: &Segment, by: RankBy, asked: &[Question], ef: u16) -> f64 {
    let found: usize = asked
        .par_iter()
        .map_init(
            || (SearchScratch::default(), Vec::new()),
            |(scratch, candidates), question| {
                question.ask(segment, by, ef.into(), scratch, candidates)
            },
        )
        .sum();
    found as f64 / (asked.len() * NEIGHBOURS).max(1) as f64
}

/// What is asked with.
struct Question {
    code: Vec<f32>,
    hash: Vec<u64>,
    /// A row that is left out.
    without: Option<u32>,
    /// How far the last of the neighbours is.
    furthest: f32,
}

impl Question {
    fn scorer(&self, segment: &Segment, by: RankBy) -> Scorer<'_> {
        Scorer {
            code: &self.code,
            hash: &self.hash,
            by,
            bit: segment.header.fused_bit,
            weights: None,
        }
    }

    /// Finds the answer by a scan of all allowed rows.
    fn answered(mut self, segment: &Segment, by: RankBy, allowed: &Bits) -> Self {
        let mut found = simd::widest(Scan {
            rows: segment.rows(),
            part: 0,
            range: 0..segment.len(),
            scorer: self.scorer(segment, by),
            allowed,
            k: NEIGHBOURS,
            bound: &AtomicU32::new(f32::INFINITY.to_bits()),
        });
        found.sort_unstable();
        let last = found.get(NEIGHBOURS - 1);
        self.furthest = last.map_or(f32::INFINITY, |last| last.distance);
        self
    }

    /// Returns the number of neighbours that a search along the graph finds.
    fn ask(
        &self,
        segment: &Segment,
        by: RankBy,
        ef: usize,
        scratch: &mut SearchScratch,
        candidates: &mut Vec<u32>,
    ) -> usize {
        scratch.leave_out(self.without);
        if by == RankBy::Both {
            let query = FusedQuery {
                code: &self.code,
                hash: &self.hash,
                weights: None,
            };
            segment.fused_candidates(&query, ef, scratch, candidates);
        } else {
            segment.candidates(&self.code, ef, scratch, candidates);
        }
        let found = simd::widest(Rank {
            rows: segment.rows(),
            part: 0,
            candidates,
            scorer: self.scorer(segment, by),
        });
        let near = found.iter().filter(|found| found.distance <= self.furthest);
        near.count().min(NEIGHBOURS)
    }
}

/// Questions of both kinds, a pair for each row that is asked for.
fn questions(segment: &Segment, by: RankBy) -> Vec<(Question, Question)> {
    let (uppers, duplicates) = if by == RankBy::Both {
        (Section::FusedUppers, Section::FusedDuplicates)
    } else {
        (Section::Uppers, Section::Duplicates)
    };
    let duplicates: &[u32] = segment.section(duplicates);
    let asked = asked(segment.section(uppers), duplicates);
    let rows = segment.rows();
    let all = Bits::all(segment.len());
    let question = |row: u32, without| Question {
        code: rows.code(row as usize).to_vec(),
        hash: rows.hash(row as usize).to_vec(),
        without,
        furthest: f32::INFINITY,
    };
    (0..asked.len())
        .into_par_iter()
        .map(|i| {
            let row = asked[i];
            let mut others = all.clone();
            let mut duplicate = row;
            while duplicate != NONE {
                others.remove(duplicate as usize);
                duplicate = duplicates[duplicate as usize];
            }
            let own = question(row, Some(row)).answered(segment, by, &others);
            let other = |n: usize| asked[(i + asked.len() * n / 3) % asked.len()] as usize;
            let (from, to) = (other(1), other(2));
            let mut moved = question(row, None);
            let steps = rows.code(from).iter().zip(rows.code(to));
            for (number, (from, to)) in moved.code.iter_mut().zip(steps) {
                *number += MOVED * (to - from);
            }
            let mut random = Pcg64Mcg::seed_from_u64(i as u64);
            let steps = rows.hash(from).iter().zip(rows.hash(to));
            for (word, (from, to)) in moved.hash.iter_mut().zip(steps) {
                *word ^= (from ^ to) & bits_with(MOVED, &mut random);
            }
            (own, moved.answered(segment, by, &all))
        })
        .collect()
}

/// Returns 64 bits, of which each is set with a probability.
fn bits_with(probability: f32, random: &mut Pcg64Mcg) -> u64 {
    (0..64).fold(0, |bits, place| {
        let unit = (random.next_u64() >> 40) as f32 / (1u64 << 24) as f32;
        bits | (u64::from(unit < probability) << place)
    })
}

/// Returns rows spread evenly that are nodes of the lowest level only: what every search passes cannot
/// be left out of one.
fn asked(uppers: &[u32], duplicates: &[u32]) -> Vec<u32> {
    let mut others: HashSet<u32> = uppers.iter().copied().collect();
    // Of equal rows only the first is a node.
    others.extend(duplicates.iter().filter(|&&next| next != NONE));
    let nodes = (0..duplicates.len() as u32).filter(|row| !others.contains(row));
    let nodes: Vec<u32> = nodes.collect();
    let step = (nodes.len() / ASKED).max(1);
    nodes.into_iter().step_by(step).take(ASKED).collect()
}
