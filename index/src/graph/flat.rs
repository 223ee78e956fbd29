//! A graph as it is kept: the rows of a segment are its nodes, and links stand without gaps.

use super::beam::{Scratch, Walk, beam, descend};
use super::space::Space;
use super::{Built, NONE, row_width};
use crate::kernels::simd;

/// Searches with at least this number of candidates enter the lowest level in several places, …
const WIDE: usize = 192;
/// … a quarter as many: if a view that large is needed, points lie in clusters, of which the nearest
/// node of the level above shows only one.
const ENTRIES: usize = 4;

/// A graph in arrays that can be written to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flat {
    /// Where each row's links on the lowest level begin, and where the last one's end.
    pub offsets: Vec<u32>,
    /// Links on the lowest level, rows.
    pub links: Vec<u32>,
    /// The rows of the upper levels, those of higher levels first; at least one, where a search
    /// enters.
    pub uppers: Vec<u32>,
    /// How many of them each upper level holds, level 1 first.
    pub counts: Vec<u32>,
    /// Links of a node on an upper level.
    pub width: usize,
    /// Links on the upper levels, level 1 first: places in `uppers`, [`NONE`] if there are
    /// fewer than `width`.
    pub upper_links: Vec<u32>,
}

impl Flat {
    /// Returns the graph of `built`, whose point `i` is the row `nodes[i]` of `rows` rows.
    pub fn new(built: &Built, nodes: &[u32], rows: usize) -> Self {
        let row_of = |node: u32| nodes[built.order[node as usize] as usize];
        let graph = &built.graph;
        let lowest = row_width(graph.width, 0);
        let linked = |node: usize| {
            let row = &graph.links[0][node * lowest..(node + 1) * lowest];
            let used = row.iter().position(|&link| link == NONE);
            &row[..used.unwrap_or(lowest)]
        };
        // Counted first, then filled in.
        let mut offsets = vec![0u32; rows + 1];
        for node in 0..built.order.len() {
            offsets[row_of(node as u32) as usize + 1] = linked(node).len() as u32;
        }
        for row in 0..rows {
            offsets[row + 1] += offsets[row];
        }
        let mut links = vec![NONE; offsets[rows] as usize];
        for node in 0..built.order.len() {
            let start = offsets[row_of(node as u32) as usize] as usize;
            for (place, &link) in links[start..].iter_mut().zip(linked(node)) {
                *place = row_of(link);
            }
        }
        let counts = graph.counts[1..].to_vec();
        let uppers = counts.first().copied().unwrap_or(1).max(1);
        Self {
            offsets,
            links,
            uppers: (0..uppers).map(row_of).collect(),
            counts,
            width: graph.width,
            upper_links: graph.links[1..].concat(),
        }
    }

    #[cfg(test)]
    pub fn view(&self) -> FlatView<'_> {
        FlatView {
            offsets: &self.offsets,
            links: &self.links,
            uppers: &self.uppers,
            counts: &self.counts,
            width: self.width,
            upper_links: &self.upper_links,
        }
    }
}

/// A graph in arrays that may lie in a file. Whatever stands in them, walking it ends and stays
/// within them: links that lead nowhere are not followed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FlatView<'a> {
    pub offsets: &'a [u32],
    pub links: &'a [u32],
    pub uppers: &'a [u32],
    pub counts: &'a [u32],
    pub width: usize,
    pub upper_links: &'a [u32],
}

impl FlatView<'_> {
    fn rows(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Returns the row that a node of the upper levels is; the first row if what stands there is none.
    #[inline(always)]
    fn upper(&self, place: u32) -> u32 {
        let row = self.uppers[place as usize];
        if (row as usize) < self.rows() { row } else { 0 }
    }

    /// Returns a row's links.
    #[inline(always)]
    pub fn row(&self, row: u32) -> &[u32] {
        let (start, end) = (self.offsets[row as usize], self.offsets[row as usize + 1]);
        self.links.get(start as usize..end as usize).unwrap_or(&[])
    }

    /// Finds the `ef` rows nearest to `query`; they are then in `scratch`.
    pub fn search<S: Space>(&self, space: &S, query: &S::Point, ef: usize, scratch: &mut Scratch) {
        simd::widest(Descent {
            space,
            graph: self,
            query,
            ef,
            scratch,
        });
    }
}

/// Upper levels by places in `uppers`, the lowest by rows.
impl Walk for FlatView<'_> {
    fn levels(&self) -> usize {
        self.counts.len() + 1
    }

    #[inline(always)]
    fn point(&self, level: usize, node: u32) -> u32 {
        if level == 0 { node } else { self.upper(node) }
    }

    #[inline(always)]
    fn links(&self, level: usize, node: u32, mut visit: impl FnMut(u32)) {
        if level == 0 {
            let rows = self.rows() as u32;
            for &link in self.row(node) {
                if link < rows {
                    visit(link);
                }
            }
            return;
        }
        let before: u32 = self.counts[..level - 1].iter().sum();
        let start = (before + node) as usize * self.width;
        let links = self.upper_links.get(start..start + self.width);
        for &link in links.unwrap_or(&[]) {
            // What leads nowhere is no node either.
            if link >= self.counts[level - 1] {
                break;
            }
            visit(link);
        }
    }

    #[inline(always)]
    fn prefetch(&self, node: u32) {
        let (start, end) = (
            self.offsets[node as usize] as usize,
            self.offsets[node as usize + 1] as usize,
        );
        crate::kernels::prefetch::prefetch(self.links, start, end.saturating_sub(start));
    }
}

/// A search from the top to the lowest level.
struct Descent<'a, S: Space> {
    space: &'a S,
    graph: &'a FlatView<'a>,
    query: &'a S::Point,
    ef: usize,
    scratch: &'a mut Scratch,
}

impl<S: Space> simd::Work for Descent<'_, S> {
    type Output = ();

    #[inline(always)]
    fn run<I: simd::Simd>(self, _: I) {
        let mut entries = Vec::new();
        if self.ef >= WIDE && self.graph.levels() > 1 {
            let entry = descend(self.space, self.graph, self.query, 2);
            let ef = self.ef / ENTRIES;
            let scratch = &mut *self.scratch;
            beam(self.space, self.graph, self.query, 1, &[entry], ef, scratch);
            let found = self.scratch.found();
            entries.extend(found.map(|(node, _)| self.graph.upper(node)));
        } else {
            let entry = descend(self.space, self.graph, self.query, 1);
            entries.push(self.graph.upper(entry));
        }
        beam(
            self.space,
            self.graph,
            self.query,
            0,
            &entries,
            self.ef,
            self.scratch,
        );
    }
}
