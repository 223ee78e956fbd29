//! The graph: hierarchical navigable small worlds (Malkov and Yashunin 2018) on flat arrays.
//!
//! While it is built, nodes are numbered so that those of higher levels come first: level `l`
//! holds the nodes `0..counts[l]`, and a search enters at node 0. The links of a node are a row of
//! fixed width, ended by [`NONE`] if there are fewer. What is kept ([`flat`]) has no such gaps,
//! and its nodes are the rows of a segment. A graph knows no distances: a [`Space`] has them.
//!
//! Builders make graphs, behind one trait and under the same tests: our own, and with the feature
//! `hnsw-rs` that crate.

mod beam;
mod build;
mod flat;
#[cfg(feature = "hnsw-rs")]
mod hnsw;
mod points;
mod repair;
pub(crate) mod space;
#[cfg(test)]
mod tests;

use std::sync::atomic::AtomicUsize;

use serde::Serialize;

pub(crate) use beam::Scratch;
pub(crate) use flat::{Flat, FlatView};
pub(crate) use points::{InBytes, Points, distinct};

use crate::error::{Error, Result};
use space::{Ordered, Space};

/// No node.
pub(crate) const NONE: u32 = u32::MAX;

/// Who links the points of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BuilderKind {
    /// Our own, on flat arrays.
    #[default]
    Flat,
    /// The crate `hnsw_rs`. Only with the feature `hnsw-rs`.
    #[cfg(feature = "hnsw-rs")]
    HnswRs,
}

/// How a graph is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct GraphOptions {
    /// Links of a node on the upper levels, at least 2; up to twice as many on the lowest. More
    /// make a larger graph that finds more. Default: 16.
    pub width: usize,
    /// Candidates while a node's links are chosen. More take longer to build and find
    /// more. Default: 100.
    pub ef_construction: usize,
    /// What the levels are drawn with. Default: 0.
    pub seed: u64,
    /// Threads of our own builder; 0 for one for each core. One thread builds the same graph from
    /// the same codes every time. Default: 0.
    pub threads: usize,
    /// Who links the points. Default: [`BuilderKind::Flat`].
    pub builder: BuilderKind,
}

impl BuilderKind {
    /// Every builder of this build.
    #[cfg(test)]
    pub(crate) const ALL: &[Self] = &[
        Self::Flat,
        #[cfg(feature = "hnsw-rs")]
        Self::HnswRs,
    ];
}

impl Default for GraphOptions {
    fn default() -> Self {
        Self {
            width: 16,
            ef_construction: 100,
            seed: 0,
            threads: 0,
            builder: BuilderKind::Flat,
        }
    }
}

impl GraphOptions {
    /// Refuses what no graph can be built with.
    pub(crate) fn check(&self) -> Result<()> {
        if (2..=255).contains(&self.width) && self.ef_construction > 0 {
            return Ok(());
        }
        Err(Error::InvalidInput(format!(
            "a graph needs a width between 2 and 255 and an ef_construction of at least 1, not {} and {}",
            self.width, self.ef_construction
        )))
    }
}

/// Makes graphs.
trait Builder {
    /// Links the points of `space`, of which there is at least one. `done` counts them up.
    fn build<S: Space>(&self, space: &S, options: &GraphOptions, done: &AtomicUsize) -> Built;
}

/// Links points, of which there is at least one, and sees to it that each can be found.
pub(crate) fn link<S: Space>(space: &S, options: &GraphOptions, done: &AtomicUsize) -> Built {
    let mut built = match options.builder {
        BuilderKind::Flat => build::FlatBuilder.build(space, options, done),
        #[cfg(feature = "hnsw-rs")]
        BuilderKind::HnswRs => hnsw::HnswRsBuilder.build(space, options, done),
    };
    let ordered = Ordered {
        space,
        order: &built.order,
    };
    built.linked_in = repair::connect(&ordered, &mut built.graph);
    built.linked_in += repair::find_all(&ordered, &mut built.graph);
    // Making room for a link can have cut another node off.
    built.linked_in += repair::connect(&ordered, &mut built.graph);
    built
}

/// A graph, and which point each of its nodes is.
#[derive(Debug)]
pub(crate) struct Built {
    graph: Graph,
    /// The graph's node `i` is the point `order[i]`.
    order: Vec<u32>,
    /// Nodes that no search found, and that were linked in.
    pub linked_in: usize,
}

/// A graph in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Graph {
    /// Nodes of each level, the lowest first.
    counts: Vec<u32>,
    /// Width of a row of links on the upper levels.
    width: usize,
    /// Rows of links of each level, the lowest first, which has twice the width.
    links: Vec<Vec<u32>>,
}

/// Returns width of a row of links of a level.
#[inline(always)]
fn row_width(width: usize, level: usize) -> usize {
    if level == 0 { width * 2 } else { width }
}
