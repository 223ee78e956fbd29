//! Points at the edge of a group: those that most of their neighbours place there.

use super::neighbours::{Lists, NONE};

/// Neighbours that are asked, and how many of them have to agree.
const ASKED: usize = 10;
const AGREE: usize = 5;

/// How often it is asked: a point that joins counts for its neighbours the next time.
const ROUNDS: usize = 3;

/// Puts points without a group into the group that at least half of their ten nearest are in. HDBSCAN* leaves out
/// whatever is less dense than a group's middle; on photographs of 51 classes that is one image in eight, and three
/// quarters of these join. All are asked before any joins, so the order does not matter.
pub(crate) fn join(lists: &Lists, group: &mut [u32]) {
    for _ in 0..ROUNDS {
        let joining: Vec<(usize, u32)> = (0..group.len())
            .filter(|&point| group[point] == NONE)
            .filter_map(|point| Some((point, majority(lists, group, point)?)))
            .collect();
        if joining.is_empty() {
            return;
        }
        for (point, of) in joining {
            group[point] = of;
        }
    }
}

/// Returns the group of most neighbours; of two, the one of the nearer ones.
fn majority(lists: &Lists, group: &[u32], point: usize) -> Option<u32> {
    let asked = lists.near(point).iter().take(ASKED);
    let of: Vec<u32> = asked.map(|&near| group[near as usize]).collect();
    let mut best: Option<(usize, u32)> = None;
    for &candidate in of.iter().filter(|&&of| of != NONE) {
        let votes = of.iter().filter(|&&of| of == candidate).count();
        if best.is_none_or(|(most, _)| votes > most) {
            best = Some((votes, candidate));
        }
    }
    // In a collection of a few images, half of those that there are.
    let needed = AGREE.min(of.len().div_ceil(2));
    best.filter(|&(votes, _)| votes >= needed).map(|(_, of)| of)
}
