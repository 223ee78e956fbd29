//! Points at the edge of a group: those that most of their neighbours place there.

use super::neighbours::{Lists, NONE};
use super::outliers::FENCE;

/// Neighbours that are asked, and how many of them have to agree.
const ASKED: usize = 10;
const AGREE: usize = 5;

/// How often it is asked: a point that joins counts for its neighbours the next time.
const ROUNDS: usize = 3;

/// Puts points without a group into the group that at least half of their ten nearest are in. HDBSCAN* leaves out
/// whatever is less dense than a group's middle; on photographs of 51 classes that is one image in eight, and three
/// quarters of these join. All are asked before any joins, so the order does not matter.
///
/// A point that stands out from all others joins nothing, though its nearest agree: they have to be somewhere.
pub(crate) fn join(lists: &Lists, group: &mut [u32]) {
    let reach: Vec<f32> = (0..group.len()).map(|point| reach(lists, point)).collect();
    let furthest = furthest(&reach);
    for _ in 0..ROUNDS {
        let joining: Vec<(usize, u32)> = (0..group.len())
            .filter(|&point| group[point] == NONE && reach[point] <= furthest)
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

/// Returns the mean distance of a point to those that are asked.
fn reach(lists: &Lists, point: usize) -> f32 {
    let near = lists.distances(point);
    let near = &near[..near.len().min(ASKED)];
    near.iter().sum::<f32>() / near.len().max(1) as f32
}

/// Returns the reach beyond which a point stands out, as among outliers.
fn furthest(reach: &[f32]) -> f32 {
    let mut sorted = reach.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else {
        return 0.0;
    };
    let [lower, upper] = [1, 3].map(|quarter| sorted[last * quarter / 4]);
    upper + FENCE * (upper - lower)
}
