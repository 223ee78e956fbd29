//! Our own builder: points are inserted by all threads at once into the flat arrays that the
//! graph will be.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rand_core::{Rng, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::beam::{Scratch, Walk, beam, descend};
use crate::kernels::simd;

use super::{Builder, Built, Graph, GraphOptions, NONE, Ordered, Space, row_width};

/// Points inserted by one thread before the others join, so that they meet a graph.
const ALONE: usize = 512;

/// Points that a thread takes at a time.
const CHUNK: usize = 64;

/// The most levels above the lowest: a segment's header has room for no more. Only a narrow graph
/// of very many points would have them.
const MAX_UPPER: usize = 16;

/// Inserts points into flat arrays.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FlatBuilder;

impl Builder for FlatBuilder {
    fn build<S: Space>(&self, space: &S, options: &GraphOptions, done: &AtomicUsize) -> Built {
        let (order, counts) = levels(space.len(), options);
        let ordered = Ordered {
            space,
            order: &order,
        };
        let growing = Growing::new(counts, options.width);
        let next = AtomicUsize::new(0);
        let insert = |limit| {
            simd::widest(Insertion {
                growing: &growing,
                space: &ordered,
                ef: options.ef_construction,
                next: &next,
                limit,
                done,
            });
        };
        let alone = space.len().min(ALONE);
        insert(alone);
        next.store(alone, Ordering::Relaxed);
        let threads = match options.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| insert(space.len()));
            }
        });
        Built {
            graph: growing.into_graph(),
            order,
            linked_in: 0,
        }
    }
}

/// Draws the points' levels: the points in the order of their nodes, and the nodes of each level.
fn levels(points: usize, options: &GraphOptions) -> (Vec<u32>, Vec<u32>) {
    let mut random = Pcg64Mcg::seed_from_u64(options.seed);
    let scale = 1.0 / (options.width as f64).ln();
    let mut by_level: Vec<Vec<u32>> = Vec::new();
    for point in 0..points as u32 {
        let unit = (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        let level = level_of(unit, scale);
        if by_level.len() <= level {
            by_level.resize(level + 1, Vec::new());
        }
        by_level[level].push(point);
    }
    let mut counts = vec![0; by_level.len()];
    let mut sum = 0;
    for (count, points) in counts.iter_mut().zip(&by_level).rev() {
        sum += points.len() as u32;
        *count = sum;
    }
    let order = by_level.into_iter().rev().flatten().collect();
    (order, counts)
}

/// Returns the level of a point, given a number from 0 up to, but not including, 1: one in `width` of
/// those of a level reaches the next.
fn level_of(unit: f64, scale: f64) -> usize {
    ((-(1.0 - unit).ln() * scale) as usize).min(MAX_UPPER)
}

/// What one thread does: it takes points and inserts them until `limit`.
struct Insertion<'a, S> {
    growing: &'a Growing,
    space: &'a S,
    ef: usize,
    next: &'a AtomicUsize,
    limit: usize,
    done: &'a AtomicUsize,
}

impl<S: Space> simd::Work for Insertion<'_, S> {
    type Output = ();

    #[inline(always)]
    fn run<I: simd::Simd>(self, _: I) {
        let mut scratch = InsertionScratch::default();
        loop {
            let start = self
                .next
                .fetch_add(CHUNK, Ordering::Relaxed)
                .min(self.limit);
            let end = self.limit.min(start + CHUNK);
            if start == end {
                break;
            }
            for node in start..end {
                self.growing
                    .insert(self.space, node as u32, self.ef, &mut scratch);
            }
            self.done.fetch_add(end - start, Ordering::Relaxed);
        }
    }
}

/// What a thread needs to insert.
#[derive(Debug, Default)]
struct InsertionScratch {
    beam: Scratch,
    near: Vec<(u32, u32)>,
    chosen: Vec<u32>,
}

/// A graph that grows. Links are read without a lock: a reader may see a row half changed, whose
/// every entry is still a node.
#[derive(Debug)]
struct Growing {
    counts: Vec<u32>,
    width: usize,
    links: Vec<Vec<AtomicU32>>,
    /// Held while a node's rows are changed.
    locks: Vec<Mutex<()>>,
}

impl Walk for Growing {
    fn levels(&self) -> usize {
        self.counts.len()
    }

    #[inline(always)]
    fn point(&self, _level: usize, node: u32) -> u32 {
        node
    }

    #[inline(always)]
    fn links(&self, level: usize, node: u32, mut visit: impl FnMut(u32)) {
        for link in self.row(level, node) {
            let link = link.load(Ordering::Relaxed);
            if link == NONE {
                break;
            }
            visit(link);
        }
    }
}

impl Growing {
    fn new(counts: Vec<u32>, width: usize) -> Self {
        let links = counts.iter().enumerate().map(|(level, &count)| {
            let entries = count as usize * row_width(width, level);
            (0..entries).map(|_| AtomicU32::new(NONE)).collect()
        });
        Self {
            links: links.collect(),
            width,
            locks: (0..counts.first().copied().unwrap_or(0))
                .map(|_| Mutex::new(()))
                .collect(),
            counts,
        }
    }

    fn into_graph(self) -> Graph {
        let plain = |row: Vec<AtomicU32>| row.into_iter().map(AtomicU32::into_inner).collect();
        Graph {
            counts: self.counts,
            width: self.width,
            links: self.links.into_iter().map(plain).collect(),
        }
    }

    #[inline(always)]
    fn row(&self, level: usize, node: u32) -> &[AtomicU32] {
        let width = row_width(self.width, level);
        &self.links[level][node as usize * width..(node as usize + 1) * width]
    }

    fn lock(&self, node: u32) -> MutexGuard<'_, ()> {
        self.locks[node as usize]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    #[inline(always)]
    fn insert<S: Space>(&self, space: &S, node: u32, ef: usize, scratch: &mut InsertionScratch) {
        if node == 0 {
            return;
        }
        let level = self.counts.iter().filter(|&&count| node < count).count() - 1;
        let query = space.point(node);
        let mut entries = vec![descend(space, self, query, level + 1)];
        for level in (0..=level).rev() {
            beam(space, self, query, level, &entries, ef, &mut scratch.beam);
            scratch.near.clear();
            scratch
                .near
                .extend(scratch.beam.found().filter(|&(found, _)| found != node));
            entries.clear();
            entries.extend(scratch.near.iter().map(|&(found, _)| found));
            choose(space, &scratch.near, self.width, &mut scratch.chosen);
            {
                let _locked = self.lock(node);
                let row = self.row(level, node);
                // Others may have linked themselves here meanwhile: they stay if there is room.
                let mut chosen = scratch.chosen.clone();
                self.links(level, node, |link| {
                    if chosen.len() < row.len() && !chosen.contains(&link) {
                        chosen.push(link);
                    }
                });
                write(row, &chosen);
            }
            for i in 0..scratch.chosen.len() {
                let other = scratch.chosen[i];
                self.link_back(space, level, other, node, &mut scratch.near);
            }
        }
    }

    /// Links `node` from `from`, whose links are chosen again if the row is full.
    #[inline(always)]
    fn link_back<S: Space>(
        &self,
        space: &S,
        level: usize,
        from: u32,
        node: u32,
        near: &mut Vec<(u32, u32)>,
    ) {
        let _locked = self.lock(from);
        let row = self.row(level, from);
        let used = row
            .iter()
            .position(|link| link.load(Ordering::Relaxed) == NONE);
        let filled = &row[..used.unwrap_or(row.len())];
        if filled
            .iter()
            .any(|link| link.load(Ordering::Relaxed) == node)
        {
            return;
        }
        if let Some(used) = used {
            row[used].store(node, Ordering::Relaxed);
            return;
        }
        let here = space.point(from);
        near.clear();
        near.push((node, space.key(here, space.point(node))));
        near.extend(row.iter().map(|link| {
            let link = link.load(Ordering::Relaxed);
            (link, space.key(here, space.point(link)))
        }));
        near.sort_unstable_by_key(|&(node, key)| (key, node));
        let mut chosen = Vec::with_capacity(row.len());
        choose(space, near, row.len(), &mut chosen);
        write(row, &chosen);
    }
}

fn write(row: &[AtomicU32], chosen: &[u32]) {
    for (i, slot) in row.iter().enumerate() {
        slot.store(chosen.get(i).copied().unwrap_or(NONE), Ordering::Relaxed);
    }
}

/// Chooses links among `near`, which is sorted: those that are not much nearer to one chosen before
/// than to the point itself (Malkov and Yashunin 2018, algorithm 4; the slack is that of Subramanya
/// and others 2019, without which points in dense clusters are left with a link or two).
#[inline(always)]
fn choose<S: Space>(space: &S, near: &[(u32, u32)], most: usize, chosen: &mut Vec<u32>) {
    chosen.clear();
    for &(node, key) in near {
        if chosen.len() == most {
            break;
        }
        let point = space.point(node);
        let apart = space.distance(key);
        let is_far = |key| space.distance(key) * space.slack() >= apart;
        if chosen
            .iter()
            .all(|&other| is_far(space.key(point, space.point(other))))
        {
            chosen.push(node);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_point_is_on_more_levels_than_a_segment_has_room_for() {
        let scale = |width: f64| 1.0 / width.ln();
        // The largest number that is drawn: at width 2 it would be on level 53.
        let largest = 1.0 - 1.0 / (1u64 << 53) as f64;
        assert_eq!(level_of(largest, scale(2.0)), MAX_UPPER);
        assert_eq!(level_of(largest, scale(16.0)), 13);
        assert_eq!(level_of(0.0, scale(2.0)), 0);
        assert_eq!(level_of(0.5, scale(2.0)), 1);
    }
}
