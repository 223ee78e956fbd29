//! Best-first search in a graph, with all that it needs at hand to be used again.

use super::{Graph, NONE, Space, row_width};

/// A graph that can be walked: in memory, mapped from a file, or growing.
pub(super) trait Walk {
    /// Returns the number of levels; the lowest is 0.
    fn levels(&self) -> usize;

    /// Returns the point that a node of a level is.
    fn point(&self, level: usize, node: u32) -> u32;

    /// Calls `visit` with each link of a node of a level.
    fn links(&self, level: usize, node: u32, visit: impl FnMut(u32));

    /// Has a node's links on the lowest level brought near.
    fn prefetch(&self, _node: u32) {}
}

impl Walk for Graph {
    fn levels(&self) -> usize {
        self.counts.len()
    }

    #[inline(always)]
    fn point(&self, _level: usize, node: u32) -> u32 {
        node
    }

    #[inline(always)]
    fn links(&self, level: usize, node: u32, mut visit: impl FnMut(u32)) {
        let width = row_width(self.width, level);
        let start = node as usize * width;
        for &link in &self.links[level][start..start + width] {
            if link == NONE {
                break;
            }
            visit(link);
        }
    }

    #[inline(always)]
    fn prefetch(&self, node: u32) {
        let width = self.width * 2;
        crate::kernels::prefetch::prefetch(&self.links[0], node as usize * width, width);
    }
}

/// A candidate: the key of its distance above its number, and a mark once its links were
/// followed. Entries order by (distance, node).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry(u64);

impl Entry {
    #[inline(always)]
    fn new(key: u32, node: u32) -> Self {
        Self(u64::from(key) << 32 | u64::from(node) << 1)
    }

    #[inline(always)]
    fn node(self) -> u32 {
        (self.0 as u32) >> 1
    }

    #[inline(always)]
    fn key(self) -> u32 {
        (self.0 >> 32) as u32
    }

    #[inline(always)]
    fn is_followed(self) -> bool {
        self.0 & 1 == 1
    }
}

/// What a search needs, kept from one to the next. One thread uses it at a time.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// A bit a node.
    visited: Vec<u64>,
    /// The visited nodes, to clear their bits.
    touched: Vec<u32>,
    /// The nearest nodes found so far, best first.
    pool: Vec<Entry>,
    /// Links to look at.
    fresh: Vec<u32>,
    /// A node of the lowest level that no search meets.
    left_out: Option<u32>,
}

impl Scratch {
    /// Makes room for a graph of `nodes` nodes.
    fn prepare(&mut self, nodes: usize, level: usize) {
        let words = nodes.div_ceil(64);
        if self.visited.len() < words {
            self.visited.resize(words, 0);
        }
        for &node in &self.touched {
            self.visited[node as usize / 64] = 0;
        }
        self.touched.clear();
        self.pool.clear();
        if level == 0
            && let Some(node) = self.left_out
        {
            self.visit(node);
        }
    }

    /// Leaves a node of the lowest level out of the searches that follow.
    pub fn leave_out(&mut self, node: Option<u32>) {
        self.left_out = node;
    }

    /// Returns whether the node is met for the first time.
    #[inline(always)]
    fn visit(&mut self, node: u32) -> bool {
        let (word, bit) = (node as usize / 64, 1u64 << (node % 64));
        let first = self.visited[word] & bit == 0;
        if first {
            self.visited[word] |= bit;
            self.touched.push(node);
        }
        first
    }

    /// Returns what the last search found: nodes and keys, nearest first.
    pub fn found(&self) -> impl ExactSizeIterator<Item = (u32, u32)> + '_ {
        self.pool.iter().map(|entry| (entry.node(), entry.key()))
    }

    /// Returns the number of distances that the last search computed on the lowest level it searched.
    pub fn visited(&self) -> usize {
        self.touched.len()
    }
}

/// Walks down from node 0 on the top to `level`, always to the nearest; the node of `level` or of
/// the lowest level above it where it ends, and node 0 if there is none.
#[inline(always)]
pub(super) fn descend<S: Space, W: Walk>(
    space: &S,
    walk: &W,
    query: &S::Point,
    level: usize,
) -> u32 {
    let mut node = 0;
    if walk.levels() <= level {
        return node;
    }
    let mut key = space.key(query, space.point(walk.point(walk.levels() - 1, node)));
    for level in (level..walk.levels()).rev() {
        loop {
            let before = node;
            walk.links(level, before, |link| {
                let there = space.key(query, space.point(walk.point(level, link)));
                if there < key {
                    (node, key) = (link, there);
                }
            });
            if node == before {
                break;
            }
        }
    }
    node
}

/// Finds the `ef` nodes of `level` nearest to `query`, from `entries` on; they are then in
/// `scratch`.
#[inline(always)]
pub(super) fn beam<S: Space, W: Walk>(
    space: &S,
    walk: &W,
    query: &S::Point,
    level: usize,
    entries: &[u32],
    ef: usize,
    scratch: &mut Scratch,
) {
    scratch.prepare(space.len(), level);
    for &entry in entries {
        if scratch.visit(entry) {
            let key = space.key(query, space.point(walk.point(level, entry)));
            insert(&mut scratch.pool, ef, Entry::new(key, entry));
        }
    }
    let mut next = 0;
    while let Some(entry) = scratch.pool.get_mut(next) {
        if entry.is_followed() {
            next += 1;
            continue;
        }
        let node = entry.node();
        entry.0 |= 1;
        let mut fresh = std::mem::take(&mut scratch.fresh);
        fresh.clear();
        walk.links(level, node, |link| {
            if scratch.visit(link) {
                space.prefetch(walk.point(level, link));
                fresh.push(link);
            }
        });
        // The likely next one's links come while the distances are computed.
        if level == 0
            && let Some(after) = scratch.pool.get(next + 1)
        {
            walk.prefetch(after.node());
        }
        for &link in &fresh {
            let key = space.key(query, space.point(walk.point(level, link)));
            if let Some(place) = insert(&mut scratch.pool, ef, Entry::new(key, link)) {
                next = next.min(place);
            }
        }
        scratch.fresh = fresh;
    }
}

/// Puts an entry in its place among the `ef` best; where, unless it is beyond them.
#[inline(always)]
fn insert(pool: &mut Vec<Entry>, ef: usize, entry: Entry) -> Option<usize> {
    if pool.len() == ef {
        if pool.last().is_none_or(|last| *last <= entry) {
            return None;
        }
        pool.pop();
    }
    let place = pool.partition_point(|there| *there < entry);
    pool.insert(place, entry);
    Some(place)
}
