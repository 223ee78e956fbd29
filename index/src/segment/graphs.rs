//! The two graphs of a segment: one over the codes, one over codes and hashes together.
//!
//! Ranking by both is ranking by another distance, and along a graph of the codes alone its nearest
//! are not met: on CIFAR-10's 60,000 images a quarter of the ten nearest by both is not among the
//! 256 nearest by code. So it has a graph of its own, over rows that hold a code in bytes and the
//! hash behind it.

use std::sync::atomic::AtomicUsize;

use super::Segment;
use super::format::Section;
use crate::graph::space::{
    Bytes as ByteSpace, Floats, Fused as FusedSpace, Weighted as WeightedSpace, fuse, fused_stride,
    quantise,
};
use crate::graph::{self, Flat, FlatView, GraphOptions, InBytes, NONE, Points, Scratch, distinct};
use crate::kernels::weighted::BitWeights;
use crate::store::rows::Rows;
use crate::store::types::EncoderRecord;

/// What a search of a graph needs, to be used again.
#[derive(Debug, Default)]
pub(crate) struct SearchScratch {
    beam: Scratch,
    bytes: Vec<i8>,
    fused: Vec<u8>,
}

impl SearchScratch {
    /// Leaves a node out of searches, as if it were not there; no graph may have it on an upper level.
    pub fn leave_out(&mut self, node: Option<u32>) {
        self.beam.leave_out(node);
    }

    /// Returns the number of distances that the last search computed.
    pub fn visited(&self) -> usize {
        self.beam.visited()
    }
}

/// A query of the graph over codes and hashes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FusedQuery<'a> {
    /// The padded code.
    pub code: &'a [f32],
    /// The hash in words.
    pub hash: &'a [u64],
    /// What each differing bit counts; if none, all the same.
    pub weights: Option<&'a BitWeights>,
}

/// A graph over codes and hashes.
pub(super) struct FusedGraph {
    pub rows: Vec<u8>,
    pub stride: usize,
    /// What a differing bit adds to the squared distance of two codes.
    pub bit: f32,
    pub duplicates: Vec<u32>,
    pub flat: Flat,
    /// Distinct rows: the nodes.
    pub nodes: usize,
    pub linked_in: u32,
}

/// Returns the graph of the codes, and how many of its nodes had to be linked in.
pub(super) fn by_code(
    points: &Points,
    rows: &Rows<'_>,
    options: &GraphOptions,
    done: &AtomicUsize,
) -> (Flat, u32) {
    let n = rows.len();
    if n == 0 {
        let none = Flat {
            offsets: vec![0],
            links: Vec::new(),
            uppers: Vec::new(),
            counts: Vec::new(),
            width: options.width,
            upper_links: Vec::new(),
        };
        return (none, 0);
    }
    let built = match &points.bytes {
        Some(InBytes {
            rows: bytes,
            stride,
            ..
        }) => {
            let distinct = gathered(bytes, *stride, &points.nodes);
            let space = ByteSpace {
                rows: &distinct,
                stride: *stride,
            };
            graph::link(&space, options, done)
        }
        None => {
            let distinct = gathered(rows.codes, rows.stride, &points.nodes);
            let space = Floats {
                rows: &distinct,
                stride: rows.stride,
            };
            graph::link(&space, options, done)
        }
    };
    (
        Flat::new(&built, &points.nodes, n),
        u32::try_from(built.linked_in).unwrap_or(u32::MAX),
    )
}

/// Returns the graph of codes and hashes; none if the hash does not count, and if the codes are not
/// in bytes: ranking by both then reads every row.
pub(super) fn by_both(
    points: &Points,
    rows: &Rows<'_>,
    encoder: &EncoderRecord,
    options: &GraphOptions,
    done: &AtomicUsize,
) -> Option<FusedGraph> {
    let bytes = points.bytes.as_ref()?;
    let bit = encoder.bit_distance();
    if rows.len() == 0 || !(bit.is_finite() && bit > 0.0) {
        return None;
    }
    let stride = fused_stride(bytes.stride, rows.hash_words);
    let mut all = Vec::with_capacity(rows.len() * stride);
    for (row, code) in bytes.rows.chunks_exact(bytes.stride).enumerate() {
        fuse(code, rows.hash(row), &mut all);
    }
    let (nodes, duplicates) = distinct(&all, stride, u8::cmp);
    let apart = gathered(&all, stride, &nodes);
    let space = FusedSpace {
        rows: &apart,
        stride,
        code_bytes: bytes.stride,
        step: bytes.scale * bytes.scale,
        bit,
    };
    let built = graph::link(&space, options, done);
    Some(FusedGraph {
        stride,
        bit,
        flat: Flat::new(&built, &nodes, rows.len()),
        nodes: nodes.len(),
        linked_in: u32::try_from(built.linked_in).unwrap_or(u32::MAX),
        rows: all,
        duplicates,
    })
}

impl Segment {
    /// Returns the rows that a search of the graph of the codes with `ef` candidates meets nearest to
    /// `code`, which is padded: those of a node together.
    pub fn candidates(
        &self,
        code: &[f32],
        ef: usize,
        scratch: &mut SearchScratch,
        out: &mut Vec<u32>,
    ) {
        out.clear();
        if self.len() == 0 {
            return;
        }
        let ef = ef.clamp(1, self.len());
        let graph = FlatView {
            offsets: self.section(Section::Offsets),
            links: self.section(Section::Links),
            uppers: self.section(Section::Uppers),
            counts: &self.header.counts,
            width: self.header.width,
            upper_links: self.section(Section::UpperLinks),
        };
        if self.header.byte_stride > 0 {
            scratch.bytes.clear();
            quantise(code, self.header.scale, &mut scratch.bytes);
            let space = ByteSpace {
                rows: self.section(Section::Bytes),
                stride: self.header.byte_stride,
            };
            graph.search(&space, &scratch.bytes, ef, &mut scratch.beam);
        } else {
            let space = Floats {
                rows: self.section(Section::Codes),
                stride: self.header.stride,
            };
            graph.search(&space, code, ef, &mut scratch.beam);
        }
        unfold(&scratch.beam, self.section(Section::Duplicates), out);
    }

    /// Returns whether there is a graph over codes and hashes together.
    pub fn has_fused_graph(&self) -> bool {
        self.header.fused_stride > 0
    }

    /// Does what [`Segment::candidates`] does along the graph over codes and hashes together; finds
    /// nothing if there is none.
    pub fn fused_candidates(
        &self,
        query: &FusedQuery<'_>,
        ef: usize,
        scratch: &mut SearchScratch,
        out: &mut Vec<u32>,
    ) {
        out.clear();
        if !self.has_fused_graph() || self.len() == 0 {
            return;
        }
        scratch.bytes.clear();
        quantise(query.code, self.header.scale, &mut scratch.bytes);
        scratch.fused.clear();
        fuse(&scratch.bytes, query.hash, &mut scratch.fused);
        if scratch.bytes.len() != self.header.byte_stride
            || scratch.fused.len() != self.header.fused_stride
        {
            return;
        }
        let graph = FlatView {
            offsets: self.section(Section::FusedOffsets),
            links: self.section(Section::FusedLinks),
            uppers: self.section(Section::FusedUppers),
            counts: &self.header.fused_counts,
            width: self.header.width,
            upper_links: self.section(Section::FusedUpperLinks),
        };
        let space = FusedSpace {
            rows: self.section(Section::FusedRows),
            stride: self.header.fused_stride,
            code_bytes: self.header.byte_stride,
            step: self.header.scale * self.header.scale,
            bit: self.header.fused_bit,
        };
        let ef = ef.clamp(1, self.len());
        match query.weights {
            Some(weights) => {
                let space = WeightedSpace {
                    fused: space,
                    weights,
                };
                graph.search(&space, &scratch.fused, ef, &mut scratch.beam);
            }
            None => graph.search(&space, &scratch.fused, ef, &mut scratch.beam),
        }
        unfold(&scratch.beam, self.section(Section::FusedDuplicates), out);
    }
}

/// Adds the rows of the nodes that were found to `out`.
fn unfold(scratch: &Scratch, duplicates: &[u32], out: &mut Vec<u32>) {
    for (node, _) in scratch.found() {
        let mut row = node;
        // Duplicates stand in ascending order and each is one node's, so this ends whatever the file
        // holds, and soon.
        while out.len() < duplicates.len() {
            out.push(row);
            let next = duplicates[row as usize];
            if next == NONE || next <= row || next as usize >= duplicates.len() {
                break;
            }
            row = next;
        }
    }
}

fn gathered<T: Copy>(rows: &[T], stride: usize, which: &[u32]) -> Vec<T> {
    let mut out = Vec::with_capacity(which.len() * stride);
    for &row in which {
        let start = row as usize * stride;
        out.extend_from_slice(&rows[start..start + stride]);
    }
    out
}
