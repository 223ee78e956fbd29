//! Single linkage over mutual reachability: the first half of HDBSCAN* (Campello, Moulavi and Sander 2013).
//!
//! The *core distance* of a point is the distance to its fifth neighbour. Two points are as far apart as the largest of
//! their distance and both core distances, so sparse regions lie far from everything. The shortest edges that connect
//! all points make the tree in which groups are found. Edges come from the lists of neighbours. Islands that no edge
//! leaves are joined by the shortest way out that a scan from some of their points finds.

use imgsearch_index::Points;
use rayon::prelude::*;

use super::neighbours::Lists;
use crate::error::Result;
use crate::progress::{Progress, go_on};

/// The neighbour whose distance is the core distance. On photographs of 51 classes, ten find the same groups with more
/// noise.
pub(crate) const CORE: usize = 5;

/// No edge is shorter than this share of the median core distance. Without it, shots of one moment would be so dense that
/// they alone decide what a group is. Measured on photographs: from 0 to 0.75 the groups are the same.
const SHORTEST: f32 = 0.5;

/// The most islands that a way out is looked for, and the points of each that it is looked for from.
const ISLANDS: usize = 64;
const FROM: usize = 8;

/// How much further apart islands are for which no way was looked for.
const OUT_OF_SIGHT: f32 = 1.5;

/// Two nodes that become one: points are numbered from 0 up, joins after them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Join {
    pub left: u32,
    pub right: u32,
    /// The length of the edge between them.
    pub length: f32,
    /// Points in it.
    pub size: u32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Edge {
    a: u32,
    b: u32,
    length: f32,
}

/// Returns the joins of all points, shortest first: one less than there are points. The last one is the root.
///
/// `points` measures the ways between islands; `min_size` is the fewest points of an island that is worth a way.
///
/// # Errors
///
/// [`Error::Interrupted`](crate::Error::Interrupted) if `progress` says so.
pub(crate) fn single_linkage(
    lists: &Lists,
    points: &Points,
    min_size: usize,
    progress: &dyn Progress,
) -> Result<Vec<Join>> {
    let core: Vec<f32> = (0..lists.len())
        .map(|point| core_distance(lists, point))
        .collect();
    let shortest = SHORTEST * median(&core);
    let mut edges = edges(lists, &core, shortest);
    go_on(progress)?;
    sort(&mut edges);
    go_on(progress)?;
    let mut tree = Tree::of(lists.len(), &edges);
    if tree.joins.len() + 1 < lists.len() {
        // A way may be shorter than an edge within an island, so the tree is made again.
        edges.extend(ways_out(&mut tree, points, &core, min_size, progress));
        go_on(progress)?;
        sort(&mut edges);
        tree = Tree::of(lists.len(), &edges);
        let longest = tree.joins.iter().map(|join| join.length);
        let longest = longest.fold(0.0, f32::max) * OUT_OF_SIGHT;
        tree.join_rest(longest);
    }
    Ok(tree.joins)
}

/// Returns the distance, not squared, to the [`CORE`]th neighbour, or to the last one if there are fewer.
fn core_distance(lists: &Lists, point: usize) -> f32 {
    let distances = lists.distances(point);
    let place = CORE.min(distances.len()).checked_sub(1);
    place.map_or(0.0, |place| distances[place].max(0.0).sqrt())
}

fn median(numbers: &[f32]) -> f32 {
    let mut sorted = numbers.to_vec();
    if sorted.is_empty() {
        return 0.0;
    }
    let middle = sorted.len() / 2;
    *sorted.select_nth_unstable_by(middle, f32::total_cmp).1
}

/// Returns one edge for each pair of neighbours.
fn edges(lists: &Lists, core: &[f32], shortest: f32) -> Vec<Edge> {
    (0..lists.len())
        .into_par_iter()
        .flat_map_iter(|point| {
            let a = point as u32;
            lists.pairs(point).filter_map(move |(b, distance)| {
                // If each is a neighbour of the other, the smaller number has the edge.
                let is_first = a < b || !lists.near(b as usize).contains(&a);
                is_first.then(|| Edge {
                    a,
                    b,
                    length: distance
                        .max(0.0)
                        .sqrt()
                        .max(core[point])
                        .max(core[b as usize])
                        .max(shortest),
                })
            })
        })
        .collect()
}

/// Sorts edges by (length, points), so that the tree does not depend on the number of threads.
fn sort(edges: &mut [Edge]) {
    edges.par_sort_unstable_by(|x, y| {
        x.length
            .total_cmp(&y.length)
            .then((x.a, x.b).cmp(&(y.a, y.b)))
    });
}

/// Returns the shortest edge that a scan finds out of each of the largest islands, from some of its points.
/// If `progress` is cancelled, some are missing.
fn ways_out(
    tree: &mut Tree,
    points: &Points,
    core: &[f32],
    min_size: usize,
    progress: &dyn Progress,
) -> Vec<Edge> {
    let islands = tree.islands();
    let of: Vec<u32> = (0..core.len() as u32)
        .map(|point| tree.find(point))
        .collect();
    // The largest one is where the others lead to.
    let others = islands.iter().skip(1).take(ISLANDS);
    let large = others.filter(|island| island.len() >= min_size);
    let starts: Vec<u32> = large
        .flat_map(|island| {
            let step = island.len().div_ceil(FROM);
            island.iter().copied().step_by(step)
        })
        .collect();
    starts
        .par_iter()
        .filter(|_| !progress.is_cancelled())
        .filter_map(|&a| {
            let outside = (0..core.len() as u32).filter(|&b| of[b as usize] != of[a as usize]);
            let measured = outside.map(|b| (points.distance(a as usize, b as usize), b));
            let (distance, b) = measured.min_by(|x, y| x.0.total_cmp(&y.0).then(x.1.cmp(&y.1)))?;
            let length = distance.max(0.0).sqrt();
            let length = length.max(core[a as usize]).max(core[b as usize]);
            Some(Edge { a, b, length })
        })
        .collect()
}

/// Points that are being joined.
struct Tree {
    /// The parent of each point in its set.
    parent: Vec<u32>,
    /// The newest node of the set that a point stands for.
    node: Vec<u32>,
    joins: Vec<Join>,
    points: u32,
}

impl Tree {
    fn new(points: usize) -> Self {
        let numbers: Vec<u32> = (0..points as u32).collect();
        Self {
            parent: numbers.clone(),
            node: numbers,
            joins: Vec::with_capacity(points.saturating_sub(1)),
            points: points as u32,
        }
    }

    /// Joins points along edges, the shortest first.
    fn of(points: usize, edges: &[Edge]) -> Self {
        let mut tree = Self::new(points);
        for edge in edges {
            tree.join(edge.a, edge.b, edge.length);
        }
        tree
    }

    fn find(&mut self, mut point: u32) -> u32 {
        while self.parent[point as usize] != point {
            let above = self.parent[self.parent[point as usize] as usize];
            self.parent[point as usize] = above;
            point = above;
        }
        point
    }

    fn size(&self, node: u32) -> u32 {
        match node.checked_sub(self.points) {
            Some(join) => self.joins[join as usize].size,
            None => 1,
        }
    }

    /// Joins the sets of two points, unless they are one already.
    fn join(&mut self, a: u32, b: u32, length: f32) {
        let (a, b) = (self.find(a), self.find(b));
        if a == b {
            return;
        }
        let (left, right) = (self.node[a as usize], self.node[b as usize]);
        let (of_left, of_right) = (self.size(left), self.size(right));
        // The smaller set goes below the larger one, so that looking for its root stays short.
        let (top, below) = if of_left >= of_right { (a, b) } else { (b, a) };
        self.parent[below as usize] = top;
        self.node[top as usize] = self.points + self.joins.len() as u32;
        self.joins.push(Join {
            left,
            right,
            length,
            size: of_left + of_right,
        });
    }

    /// Returns the points of each set, the largest first.
    fn islands(&mut self) -> Vec<Vec<u32>> {
        let mut members: Vec<Vec<u32>> = vec![Vec::new(); self.points as usize];
        for point in 0..self.points {
            let root = self.find(point);
            members[root as usize].push(point);
        }
        members.retain(|members| !members.is_empty());
        members.sort_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
        members
    }

    /// Joins whatever is still apart, smaller sets first.
    fn join_rest(&mut self, length: f32) {
        let islands = self.islands();
        let Some(main) = islands.first() else { return };
        for island in islands.iter().skip(1).rev() {
            self.join(main[0], island[0], length);
        }
    }
}
