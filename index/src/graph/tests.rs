//! What must hold of every graph, whoever linked it.

use rand_core::{Rng, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::*;
use crate::graph::space::Floats;

const D: usize = 16;

fn random(n: usize, seed: u64) -> Vec<f32> {
    let mut random = Pcg64Mcg::seed_from_u64(seed);
    (0..n * D)
        .map(|_| random.next_u32() as f32 / u32::MAX as f32)
        .collect()
}

fn built(codes: &[f32], builder: BuilderKind) -> Built {
    let space = Floats {
        rows: codes,
        stride: D,
    };
    let options = GraphOptions {
        builder,
        ..GraphOptions::default()
    };
    link(&space, &options, &AtomicUsize::new(0))
}

fn all_reached(graph: &Graph) -> bool {
    let mut reached = vec![false; graph.counts[0] as usize];
    repair::spread(graph, 0, &mut reached, &mut Vec::new());
    reached.iter().all(|&reached| reached)
}

#[test]
fn links_lead_to_nodes_of_their_level_and_all_nodes_are_reached() {
    let codes = random(3000, 11);
    for &builder in BuilderKind::ALL {
        let Built { graph, order, .. } = built(&codes, builder);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert!(sorted.iter().copied().eq(0..3000), "{builder:?}");
        for (level, rows) in graph.links.iter().enumerate() {
            let width = row_width(graph.width, level);
            assert_eq!(rows.len(), graph.counts[level] as usize * width);
            for (node, row) in (0u32..).zip(rows.chunks_exact(width)) {
                let used = row.iter().position(|&link| link == NONE).unwrap_or(width);
                assert!(row[used..].iter().all(|&link| link == NONE));
                for (i, &link) in row[..used].iter().enumerate() {
                    assert!(link < graph.counts[level] && link != node, "{builder:?}");
                    assert!(!row[..i].contains(&link), "{builder:?}: linked twice");
                }
            }
        }
        assert!(all_reached(&graph), "{builder:?}");
    }
}

#[test]
fn the_flat_graph_has_the_links_of_the_one_that_was_built() {
    let codes = random(2000, 5);
    let built = built(&codes, BuilderKind::Flat);
    // Every third row of 6000 is a node.
    let nodes: Vec<u32> = (0..2000).map(|i| i * 3).collect();
    let flat = Flat::new(&built, &nodes, 6000);
    let view = flat.view();
    let row_of = |node: u32| nodes[built.order[node as usize] as usize];
    let width = row_width(built.graph.width, 0);
    for (node, row) in (0u32..).zip(built.graph.links[0].chunks_exact(width)) {
        let linked = row.iter().take_while(|&&link| link != NONE);
        assert!(
            linked
                .map(|&link| row_of(link))
                .eq(view.row(row_of(node)).iter().copied())
        );
    }
    assert!(
        (0..6000)
            .filter(|row| row % 3 != 0)
            .all(|row| view.row(row).is_empty())
    );
    assert_eq!(flat.uppers[0], row_of(0));
    assert_eq!(flat.counts, built.graph.counts[1..]);
}

#[test]
fn nodes_that_are_cut_off_are_linked_in() {
    let codes = random(600, 13);
    let space = Floats {
        rows: &codes,
        stride: D,
    };
    let Built {
        mut graph, order, ..
    } = built(&codes, BuilderKind::Flat);
    let lost = 300u32..330;
    let width = row_width(graph.width, 0);
    for row in graph.links[0].chunks_exact_mut(width) {
        let mut kept: Vec<u32> = row
            .iter()
            .copied()
            .filter(|link| *link != NONE && !lost.contains(link))
            .collect();
        kept.resize(width, NONE);
        row.copy_from_slice(&kept);
    }
    assert!(!all_reached(&graph));
    let ordered = Ordered {
        space: &space,
        order: &order,
    };
    assert_eq!(repair::connect(&ordered, &mut graph), lost.len());
    assert!(all_reached(&graph));
}

#[test]
fn nodes_that_no_search_finds_are_linked_in() {
    // Two crowds far apart, and one link each way between them: searches from the one that the
    // graph is entered in do not find the other's.
    let mut codes = random(400, 3);
    for code in codes[200 * D..].iter_mut() {
        *code += 50.0;
    }
    let space = Floats {
        rows: &codes,
        stride: D,
    };
    let Built { graph, order, .. } = built(&codes, BuilderKind::Flat);
    let far = |node: u32| order[node as usize] >= 200;
    let width = row_width(graph.width, 0);
    let mut cut = Graph {
        counts: vec![400],
        width: graph.width,
        links: vec![graph.links[0].clone()],
    };
    for (node, row) in (0u32..).zip(cut.links[0].chunks_exact_mut(width)) {
        let mut kept: Vec<u32> = row
            .iter()
            .copied()
            .filter(|&link| link != NONE && far(link) == far(node))
            .collect();
        kept.resize(width, NONE);
        row.copy_from_slice(&kept);
    }
    // The one way over begins where no search stops.
    let (here, there): (Vec<u32>, Vec<u32>) = (0..400).partition(|&node| far(node) == far(0));
    let last = here[here.len() - 1] as usize;
    cut.links[0][last * width + width - 1] = NONE;
    let free = cut.links[0][last * width..(last + 1) * width]
        .iter()
        .position(|&link| link == NONE)
        .unwrap();
    cut.links[0][last * width + free] = there[0];
    let ordered = Ordered {
        space: &space,
        order: &order,
    };
    assert_eq!(repair::connect(&ordered, &mut cut), 0, "all can be reached");
    let linked = repair::find_all(&ordered, &mut cut);
    assert!(linked > 0, "not all are found");
    assert_eq!(repair::find_all(&ordered, &mut cut), 0, "now they are");
}
