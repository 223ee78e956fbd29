//! The second builder: the crate `hnsw_rs` links the points, and what it made is flattened.
//!
//! Owns the use of `hnsw_rs`. It only ever builds, in memory, from points that were checked:
//! it ends the process on files that it does not understand and panics on numbers that are not.
//!
//! Its points are the numbers of ours, so that codes are not copied and the distance is our own.
//! What its graphs lack compared to [`FlatBuilder`](super::build::FlatBuilder)'s: if a node's links
//! are full it drops the farthest and not the one that others stand for, which leaves clusters
//! badly joined; and points that are inserted at the same time may miss each other.

use std::sync::atomic::{AtomicUsize, Ordering};

use hnsw_rs::prelude::{Distance, Hnsw};
use rayon::prelude::*;

use super::{Builder, Built, Graph, GraphOptions, NONE, Space, row_width};

/// The most levels that `hnsw_rs` has.
const LEVELS: usize = 16;

/// The most links that it can be asked for.
const MAX_WIDTH: usize = 255;

/// Builds by `hnsw_rs`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct HnswRsBuilder;

/// The distance of two points that are given by their numbers.
struct ByNumber<'a, S>(&'a S);

impl<S: Space> Distance<u32> for ByNumber<'_, S> {
    fn eval(&self, a: &[u32], b: &[u32]) -> f32 {
        self.0
            .distance(self.0.key(self.0.point(a[0]), self.0.point(b[0])))
    }
}

impl Builder for HnswRsBuilder {
    fn build<S: Space>(&self, space: &S, options: &GraphOptions, done: &AtomicUsize) -> Built {
        let width = options.width.min(MAX_WIDTH);
        let hnsw: Hnsw<'_, u32, _> = Hnsw::new(
            width,
            space.len(),
            LEVELS,
            options.ef_construction,
            ByNumber(space),
        );
        (0..space.len() as u32).into_par_iter().for_each(|point| {
            hnsw.insert_slice((&[point], point as usize));
            done.fetch_add(1, Ordering::Relaxed);
        });

        let indexed = hnsw.get_point_indexation();
        let mut order = Vec::with_capacity(space.len());
        let mut counts = Vec::new();
        for level in (0..LEVELS).rev() {
            order.extend(
                indexed
                    .get_layer_iterator(level)
                    .map(|point| point.get_origin_id() as u32),
            );
            if !order.is_empty() {
                counts.push(order.len() as u32);
            }
        }
        counts.reverse();
        let mut node_of = vec![NONE; space.len()];
        for (node, &point) in (0u32..).zip(&order) {
            node_of[point as usize] = node;
        }

        let mut links: Vec<Vec<u32>> = counts
            .iter()
            .enumerate()
            .map(|(level, &count)| vec![NONE; count as usize * row_width(width, level)])
            .collect();
        for level in 0..counts.len() {
            for point in indexed.get_layer_iterator(level) {
                let node = node_of[point.get_origin_id()];
                for (l, near) in point
                    .get_neighborhood_id()
                    .iter()
                    .enumerate()
                    .take(level + 1)
                {
                    let row_width = row_width(width, l);
                    let start = node as usize * row_width;
                    let row = &mut links[l][start..start + row_width];
                    // Links to nodes that do not reach up to this level are of no use on it.
                    let others = near.iter().map(|other| node_of[other.d_id]);
                    let usable = others.filter(|&other| other < counts[l] && other != node);
                    for (slot, other) in row.iter_mut().zip(usable) {
                        *slot = other;
                    }
                }
            }
        }
        Built {
            graph: Graph {
                counts,
                width,
                links,
            },
            order,
            linked_in: 0,
        }
    }
}
