//! How well two ways of grouping the same things agree.

/// Returns the adjusted mutual information of two groupings (Vinh, Epps and Bailey 2010), with the arithmetic mean of
/// the entropies: 1 if they are the same, about 0 if one says nothing about the other.
///
/// # Panics
///
/// If the lengths differ.
pub(crate) fn adjusted_mutual_information(a: &[usize], b: &[usize]) -> f64 {
    assert_eq!(a.len(), b.len(), "groupings of different things");
    let n = a.len();
    let (of_a, of_b) = (sizes(a), sizes(b));
    let is_trivial = |sizes: &[usize]| sizes.len() <= 1 || sizes.len() == n;
    if is_trivial(&of_a) && is_trivial(&of_b) && of_a.len() == of_b.len() {
        return 1.0;
    }
    let mut joint = std::collections::BTreeMap::new();
    for pair in a.iter().copied().zip(b.iter().copied()) {
        *joint.entry(pair).or_insert(0usize) += 1;
    }
    let count = n as f64;
    let (a_sizes, b_sizes) = (counts(a), counts(b));
    let mutual: f64 = joint
        .iter()
        .map(|((i, j), &both)| {
            let both = both as f64;
            let product = a_sizes[*i] as f64 * b_sizes[*j] as f64;
            both / count * (count * both / product).ln()
        })
        .sum();
    let expected = expected(&of_a, &of_b, n);
    let mean = 0.5 * (entropy(&of_a, count) + entropy(&of_b, count));
    let range = mean - expected;
    if range.abs() < 1e-12 {
        return 0.0;
    }
    (mutual - expected) / range
}

/// Returns the number of things in each group by its number; 0 for numbers that no group has.
fn counts(groups: &[usize]) -> Vec<usize> {
    let mut counts = vec![0; groups.iter().max().map_or(0, |most| most + 1)];
    for &group in groups {
        counts[group] += 1;
    }
    counts
}

fn sizes(groups: &[usize]) -> Vec<usize> {
    let mut sizes = counts(groups);
    sizes.retain(|&size| size > 0);
    sizes
}

fn entropy(sizes: &[usize], count: f64) -> f64 {
    let shares = sizes.iter().map(|&size| size as f64 / count);
    -shares.map(|share| share * share.ln()).sum::<f64>()
}

/// Returns the mutual information to expect of groups of these sizes that were filled by chance: over all sizes that a
/// pair of groups can share, which follow the hypergeometric distribution.
fn expected(of_a: &[usize], of_b: &[usize], n: usize) -> f64 {
    let mut factorial = vec![0f64; n + 1];
    for number in 2..=n {
        factorial[number] = factorial[number - 1] + (number as f64).ln();
    }
    // Many groups have the same size: each pair of sizes is summed once.
    let (of_a, of_b) = (tally(of_a), tally(of_b));
    let count = n as f64;
    let mut sum = 0.0;
    for &(a, many_a) in &of_a {
        for &(b, many_b) in &of_b {
            let fixed =
                factorial[a] + factorial[b] + factorial[n - a] + factorial[n - b] - factorial[n];
            let first = (a + b).saturating_sub(n).max(1);
            let of_pair: f64 = (first..=a.min(b))
                .map(|both| {
                    let information =
                        (both as f64 / count) * (count * both as f64 / (a * b) as f64).ln();
                    let rest = factorial[both]
                        + factorial[a - both]
                        + factorial[b - both]
                        + factorial[n + both - a - b];
                    information * (fixed - rest).exp()
                })
                .sum();
            sum += of_pair * (many_a * many_b) as f64;
        }
    }
    sum
}

/// Returns each size and how often it occurs.
fn tally(sizes: &[usize]) -> Vec<(usize, usize)> {
    let mut sorted = sizes.to_vec();
    sorted.sort_unstable();
    let equal = sorted.chunk_by(|a, b| a == b);
    equal.map(|equal| (equal[0], equal.len())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn is_near(made: f64, wanted: f64) {
        assert!((made - wanted).abs() < 1e-6, "{made}, not {wanted}");
    }

    #[test]
    fn the_value_is_that_of_the_paper() {
        // As scikit-learn 1.x computes them.
        is_near(
            adjusted_mutual_information(&[0, 0, 0, 1, 1, 1], &[0, 0, 1, 1, 2, 2]),
            0.298_792_458_170_890_5,
        );
        is_near(
            adjusted_mutual_information(&[0, 0, 1, 1], &[1, 1, 0, 0]),
            1.0,
        );
        is_near(
            adjusted_mutual_information(&[0, 0, 0, 0], &[0, 1, 2, 3]),
            0.0,
        );
        is_near(
            adjusted_mutual_information(&[0, 1, 2, 3], &[3, 1, 0, 2]),
            1.0,
        );
        let by_chance =
            adjusted_mutual_information(&[0, 1, 0, 1, 0, 1, 0, 1], &[0, 0, 1, 1, 0, 0, 1, 1]);
        assert!(by_chance < 0.0, "{by_chance}");
    }
}
