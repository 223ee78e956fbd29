//! Fitting a similarity map: what share of the pairs at a distance belong together.
//!
//! Isotonic regression (pool adjacent violators; Ayer et al. 1955) gives the falling step function with the
//! least squared error. Steps would make equal numbers of different distances, so a line through their
//! middles takes their place.

use imgsearch_onnx::SimilarityMap;

/// The fewest pairs to fit a map to.
const MIN_PAIRS: usize = 100;

/// The most knots of a fitted map.
const KNOTS: usize = 24;

/// The number of steps before pooling, of about equally many pairs each. The height of a step of few pairs would
/// be chance.
const STEPS: usize = 200;

/// Pairs of about the same distance: the mean of their distances and targets.
#[derive(Debug, Clone, Copy)]
struct Step {
    distance: f64,
    target: f64,
    pairs: f64,
}

impl Step {
    fn with(self, other: Self) -> Self {
        let pairs = self.pairs + other.pairs;
        let mean = |a: f64, b: f64| (a * self.pairs + b * other.pairs) / pairs;
        Self {
            distance: mean(self.distance, other.distance),
            target: mean(self.target, other.target),
            pairs,
        }
    }
}

/// Fits a map to pairs of a ranked distance and a target from 0 to 1: 1 if the two images belong together.
/// Distance 0 always has similarity 1: it is the image itself.
///
/// Returns `None` for fewer than 100 pairs, for numbers that are not finite, and if all distances or all
/// targets are equal.
pub fn fit_similarity(pairs: &[(f32, f32)]) -> Option<SimilarityMap> {
    let is_sound = |&(distance, target): &(f32, f32)| {
        distance.is_finite() && distance >= 0.0 && (0.0..=1.0).contains(&target)
    };
    let first = pairs.first()?;
    let is_flat =
        pairs.iter().all(|pair| pair.0 == first.0) || pairs.iter().all(|pair| pair.1 == first.1);
    if pairs.len() < MIN_PAIRS || is_flat || !pairs.iter().all(is_sound) {
        return None;
    }
    let mut sorted = pairs.to_vec();
    sorted.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let knots = thinned(falling(&grouped(&sorted)));
    SimilarityMap::new(knots).ok()
}

/// Joins neighbouring pairs into steps; pairs of the same distance are in the same one.
fn grouped(sorted: &[(f32, f32)]) -> Vec<Step> {
    let least = sorted.len() as f64 / STEPS as f64;
    let mut steps: Vec<Step> = Vec::new();
    let mut before = f32::NAN;
    for &(distance, target) in sorted {
        let step = Step {
            distance: f64::from(distance),
            target: f64::from(target),
            pairs: 1.0,
        };
        match steps.last_mut() {
            Some(last) if last.pairs < least || distance == before => *last = last.with(step),
            _ => steps.push(step),
        }
        before = distance;
    }
    steps
}

/// Pools steps until none is higher than the one before it.
fn falling(steps: &[Step]) -> Vec<Step> {
    let mut pooled: Vec<Step> = Vec::new();
    for &step in steps {
        let mut step = step;
        while let Some(last) = pooled.pop_if(|last| last.target <= step.target) {
            step = last.with(step);
        }
        pooled.push(step);
    }
    pooled
}

/// Returns at most [`KNOTS`] knots of a curve through the middles of the steps, which starts at (0, 1).
fn thinned(steps: Vec<Step>) -> Vec<(f32, f32)> {
    let mut curve: Vec<(f64, f64)> = vec![(0.0, 1.0)];
    let middles = steps.iter().map(|step| (step.distance, step.target));
    curve.extend(middles.filter(|middle| middle.0 > 0.0));
    // The knot that changes the curve least goes first (Visvalingam and Whyatt 1993).
    while curve.len() > KNOTS {
        let changed = |i: usize| {
            let (a, b, c) = (curve[i - 1], curve[i], curve[i + 1]);
            ((b.0 - a.0) * (c.1 - a.1) - (c.0 - a.0) * (b.1 - a.1)).abs()
        };
        let inner = 1..curve.len() - 1;
        let Some(least) = inner.min_by(|&a, &b| changed(a).total_cmp(&changed(b))) else {
            break;
        };
        curve.remove(least);
    }
    let mut knots: Vec<(f32, f32)> = Vec::new();
    for (distance, target) in curve {
        let (distance, target) = (rounded(distance), rounded(target).clamp(0.0, 1.0));
        match knots.last() {
            // Two middles that round to the same distance.
            Some(last) if distance <= last.0 => {}
            Some(last) => knots.push((distance, target.min(last.1))),
            None => knots.push((distance, target)),
        }
    }
    knots
}

/// Rounds to four decimal places, which is more than the fit is good for.
fn rounded(number: f64) -> f32 {
    ((number * 1e4).round() / 1e4) as f32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};
    use rand_pcg::Pcg64Mcg;
    use rand_pcg::rand_core::{Rng as _, SeedableRng as _};

    use super::*;

    fn unit(random: &mut Pcg64Mcg) -> f32 {
        (random.next_u32() >> 8) as f32 / (1 << 24) as f32
    }

    #[test]
    fn a_known_curve_is_recovered_from_noisy_labels() {
        let curve = |distance: f32| 1.0 / (1.0 + ((distance - 5.0) / 1.2).exp());
        let mut random = Pcg64Mcg::seed_from_u64(7);
        let pairs: Vec<(f32, f32)> = (0..200_000)
            .map(|_| {
                let distance = 10.0 * unit(&mut random);
                let same = unit(&mut random) < curve(distance);
                (distance, f32::from(u8::from(same)))
            })
            .collect();
        let map = fit_similarity(&pairs).unwrap();
        assert!((2..=KNOTS).contains(&map.knots().len()));
        assert_eq!(map.knots()[0], (0.0, 1.0));
        for i in 1..100 {
            let distance = i as f32 / 10.0;
            let off = (map.similarity(distance) - curve(distance)).abs();
            assert!(off < 0.03, "{distance}: {off}");
        }
    }

    #[test]
    fn without_enough_pairs_or_spread_there_is_no_map() {
        let pair = |i: usize| (i as f32, f32::from(u8::from(i < 50)));
        let pairs: Vec<(f32, f32)> = (0..100).map(pair).collect();
        assert!(fit_similarity(&pairs).is_some());
        assert!(fit_similarity(&[]).is_none());
        assert!(fit_similarity(&pairs[..99]).is_none());
        assert!(fit_similarity(&[(1.0, 1.0); 100]).is_none());
        let with = |change: fn(&mut (f32, f32))| {
            let mut pairs = pairs.clone();
            change(&mut pairs[10]);
            fit_similarity(&pairs)
        };
        assert!(with(|pair| pair.0 = f32::NAN).is_none());
        assert!(with(|pair| pair.0 = -1.0).is_none());
        assert!(with(|pair| pair.1 = 1.5).is_none());
        let mut level = pairs.clone();
        level.iter_mut().for_each(|pair| pair.1 = 0.0);
        assert!(fit_similarity(&level).is_none());
    }

    proptest! {
        #[test]
        fn a_map_never_rises(
            pairs in proptest::collection::vec((0.0f32..20.0, 0.0f32..=1.0), 0..600),
            ties in 1.0f32..1000.0,
        ) {
            let pairs: Vec<(f32, f32)> = pairs
                .into_iter()
                .map(|(distance, target)| ((distance * ties).round() / ties, target.round()))
                .collect();
            if let Some(map) = fit_similarity(&pairs) {
                prop_assert!(map.knots().len() <= KNOTS);
                prop_assert_eq!(map.knots()[0], (0.0, 1.0));
                prop_assert!(map.knots().windows(2).all(|pair| pair[0].1 >= pair[1].1));
            }
        }
    }
}
