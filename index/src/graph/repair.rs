//! Seeing to it that every node can be reached.
//!
//! Pruning can cut a node off: no link leads to it any more, and no search finds it. So after
//! building, every node that cannot be reached on the lowest level is linked from the nearest
//! that can. And a node that can be reached may still lie where no search for it looks, so each is
//! searched for by its own point, and one that is not found is linked from the nearest that was.

use rayon::prelude::*;

use super::beam::{Scratch, beam, descend};
use super::{Graph, NONE, Space, row_width};
use crate::kernels::simd;

/// Candidates of a search for a node.
const SOUGHT: usize = 16;

/// Candidates of a search for the place at which a lost node is linked in.
const VIEW: usize = 64;

/// Links in all nodes that cannot be reached from node 0 on the lowest level; how many there
/// were.
pub(super) fn connect<S: Space>(space: &S, graph: &mut Graph) -> usize {
    let nodes = space.len();
    let mut reached = vec![false; nodes];
    let mut open = Vec::new();
    if nodes > 0 {
        spread(graph, 0, &mut reached, &mut open);
    }
    let mut scratch = Scratch::default();
    let mut linked = 0;
    for node in 0..nodes as u32 {
        if reached[node as usize] {
            continue;
        }
        linked += 1;
        let query = space.point(node);
        let mut entry = descend(space, graph, query, 1);
        if !reached[entry as usize] {
            // A node of a higher level that is lost itself cannot be where the search begins.
            entry = 0;
        }
        beam(space, graph, query, 0, &[entry], VIEW, &mut scratch);
        let near: Vec<u32> = scratch
            .found()
            .map(|(found, _)| found)
            .filter(|&found| reached[found as usize])
            .collect();
        link_in(graph, &near, node);
        spread(graph, node, &mut reached, &mut open);
    }
    linked
}

/// Rounds of searching for every node. Linking one in may cost another a link.
const ROUNDS: usize = 3;

/// Searches for every node and links in those that are not found; how many links that took.
pub(super) fn find_all<S: Space>(space: &S, graph: &mut Graph) -> usize {
    let mut linked = 0;
    let mut sought: Vec<u32> = (0..space.len() as u32).collect();
    for _ in 0..ROUNDS {
        let lost: Vec<(u32, Vec<u32>)> = sought
            .par_iter()
            .map_init(Scratch::default, |scratch, &node| {
                simd::widest(Sought {
                    space,
                    graph,
                    node,
                    scratch,
                })
            })
            .flatten()
            .collect();
        if lost.is_empty() {
            break;
        }
        linked += lost.len();
        sought.clear();
        for (node, near) in lost {
            sought.push(node);
            sought.extend(link_in(graph, &near, node).into_iter().flatten());
        }
    }
    linked
}

/// A search for a node by its own point.
struct Sought<'a, S> {
    space: &'a S,
    graph: &'a Graph,
    node: u32,
    scratch: &'a mut Scratch,
}

impl<S: Space> simd::Work for Sought<'_, S> {
    /// The node and those found instead, if it was not found.
    type Output = Option<(u32, Vec<u32>)>;

    #[inline(always)]
    fn run<I: simd::Simd>(self, _: I) -> Self::Output {
        let Self {
            space,
            graph,
            node,
            scratch,
        } = self;
        let query = space.point(node);
        let entry = descend(space, graph, query, 1);
        beam(space, graph, query, 0, &[entry], SOUGHT, scratch);
        let mut found = scratch.found().map(|(found, _)| found);
        if found.any(|found| found == node) {
            return None;
        }
        Some((node, scratch.found().map(|(found, _)| found).collect()))
    }
}

/// Links a node from one of `near`, which are reached; the nodes that lost a link for it.
fn link_in(graph: &mut Graph, near: &[u32], node: u32) -> [Option<u32>; 2] {
    let width = row_width(graph.width, 0);
    let row = |node: u32| node as usize * width..(node as usize + 1) * width;
    let links = &mut graph.links[0];
    for &from in near {
        if let Some(free) = links[row(from)].iter().position(|&link| link == NONE) {
            links[row(from)][free] = node;
            return [None, None];
        }
    }
    // All are full: the nearest gives up its last link, which leads through the node from now on.
    // What the node gives up for it can only have been reached through the node if something
    // led there: in `connect` nothing did, and `find_all` looks for it again.
    let from = near.first().copied().unwrap_or(0);
    let last = row(from).end - 1;
    let moved = std::mem::replace(&mut links[last], node);
    let own = &mut links[row(node)];
    let mut given_up = None;
    if !own.contains(&moved) {
        let place = own
            .iter()
            .position(|&link| link == NONE)
            .unwrap_or(width - 1);
        let before = std::mem::replace(&mut own[place], moved);
        given_up = (before != NONE).then_some(before);
    }
    [Some(moved), given_up]
}

/// Marks what can be reached from a node on.
pub(super) fn spread(graph: &Graph, from: u32, reached: &mut [bool], open: &mut Vec<u32>) {
    let width = row_width(graph.width, 0);
    reached[from as usize] = true;
    open.push(from);
    while let Some(node) = open.pop() {
        let start = node as usize * width;
        for &link in &graph.links[0][start..start + width] {
            if link == NONE {
                break;
            }
            if !std::mem::replace(&mut reached[link as usize], true) {
                open.push(link);
            }
        }
    }
}
