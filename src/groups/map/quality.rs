//! How far a map can be trusted.

use imgsearch_index::Points;
use rayon::prelude::*;

use super::layout::Place;

/// Neighbours on the map that are looked at.
pub const TRUST_NEIGHBOURS: usize = 12;

/// Images whose neighbours are looked at, spread evenly.
const SAMPLE: usize = 1000;

/// Returns the trustworthiness of places (Venna and Kaski 2001): one minus the scaled mean of how much too far down in
/// the order by code and hash the neighbours on the map are. Too few points for neighbours to differ are trusted.
pub(super) fn trustworthiness(points: &Points, shown: &[(usize, Place)]) -> f64 {
    let (n, k) = (shown.len(), TRUST_NEIGHBOURS);
    if n < 2 * k + 2 {
        return 1.0;
    }
    let step = n.div_ceil(SAMPLE).max(1);
    let asked: Vec<usize> = (0..n).step_by(step).collect();
    let penalties = asked.par_iter().map(|&at| {
        let (point, [x, y]) = shown[at];
        let others = || (0..n).filter(move |&other| other != at);
        let mut by_code: Vec<(f32, usize)> = others()
            .map(|other| (points.distance(point, shown[other].0), other))
            .collect();
        let mut on_map: Vec<(f32, usize)> = others()
            .map(|other| {
                let [ox, oy] = shown[other].1;
                ((x - ox).powi(2) + (y - oy).powi(2), other)
            })
            .collect();
        let order = |a: &(f32, usize), b: &(f32, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
        on_map.select_nth_unstable_by(k - 1, order);
        on_map.truncate(k);
        by_code.sort_unstable_by(order);
        let mut rank = vec![0u32; n];
        for (place, &(_, other)) in (1u32..).zip(&by_code) {
            rank[other] = place;
        }
        let too_far = on_map.iter();
        let too_far = too_far.map(|&(_, other)| rank[other].saturating_sub(k as u32));
        f64::from(too_far.sum::<u32>())
    });
    let mean = penalties.sum::<f64>() / asked.len() as f64;
    let (n, k) = (n as f64, k as f64);
    1.0 - mean * 2.0 / (k * (2.0 * n - 3.0 * k - 1.0))
}
