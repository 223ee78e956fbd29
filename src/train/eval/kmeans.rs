//! K-means, to compare groups with.

use imgsearch_index::Points;
use rayon::prelude::*;

use crate::random::SplitMix;

/// Starts; the one with the smallest error counts.
const STARTS: u64 = 3;

/// The most rounds of a start.
const ROUNDS: usize = 50;

/// Returns a cluster for each point: Lloyd's method by code and hash, from starting points that are drawn by their
/// distance (Arthur and Vassilvitskii 2007).
pub(super) fn kmeans(points: &Points, k: usize) -> Vec<usize> {
    let rows: Vec<Vec<f32>> = (0..points.len())
        .map(|point| numbers(points, point))
        .collect();
    of_rows(&rows, k)
}

/// Returns a cluster for each row of numbers.
pub(crate) fn of_rows(rows: &[Vec<f32>], k: usize) -> Vec<usize> {
    if rows.len() <= k {
        return (0..rows.len()).collect();
    }
    let starts = (0..STARTS).map(|seed| start(rows, k, seed));
    let best = starts.min_by(|a, b| a.0.total_cmp(&b.0));
    best.map(|(_, clusters)| clusters).unwrap_or_default()
}

/// Returns a code and the bits of its hash, scaled so that squared distances are those of the ranking.
fn numbers(points: &Points, point: usize) -> Vec<f32> {
    let mut row = points.code(point).to_vec();
    let scale = points.bit().sqrt();
    for word in points.hash(point) {
        row.extend((0..64).map(|bit| scale * ((word >> bit) & 1) as f32));
    }
    row
}

fn squared(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

fn start(rows: &[Vec<f32>], k: usize, seed: u64) -> (f64, Vec<usize>) {
    let mut random = SplitMix::new(seed);
    let mut centres = vec![rows[random.below(rows.len())].clone()];
    let mut far: Vec<f32> = rows
        .par_iter()
        .map(|row| squared(row, &centres[0]))
        .collect();
    while centres.len() < k {
        let sum: f64 = far.iter().map(|&far| f64::from(far)).sum();
        let mut left = f64::from(random.unit()) * sum;
        let drawn = far.iter().position(|&far| {
            left -= f64::from(far);
            left < 0.0
        });
        let centre = rows[drawn.unwrap_or(rows.len() - 1)].clone();
        far.par_iter_mut()
            .zip(rows)
            .for_each(|(far, row)| *far = far.min(squared(row, &centre)));
        centres.push(centre);
    }
    let mut clusters = vec![usize::MAX; rows.len()];
    let mut error = 0.0;
    for _ in 0..ROUNDS {
        let nearest: Vec<(f32, usize)> =
            rows.par_iter().map(|row| nearest(row, &centres)).collect();
        error = nearest.iter().map(|(far, _)| f64::from(*far)).sum();
        let next: Vec<usize> = nearest.into_iter().map(|(_, cluster)| cluster).collect();
        if next == clusters {
            break;
        }
        clusters = next;
        centres = means(rows, &clusters, centres);
    }
    (error, clusters)
}

fn nearest(row: &[f32], centres: &[Vec<f32>]) -> (f32, usize) {
    let measured = centres.iter().enumerate();
    let measured = measured.map(|(place, centre)| (squared(row, centre), place));
    let nearest = measured.min_by(|a, b| a.0.total_cmp(&b.0));
    nearest.unwrap_or((0.0, 0))
}

/// Returns the means of clusters; an empty one keeps its centre.
fn means(rows: &[Vec<f32>], clusters: &[usize], before: Vec<Vec<f32>>) -> Vec<Vec<f32>> {
    let mut sums: Vec<(usize, Vec<f32>)> = before
        .iter()
        .map(|centre| (0, vec![0.0; centre.len()]))
        .collect();
    for (row, &cluster) in rows.iter().zip(clusters) {
        let (count, sum) = &mut sums[cluster];
        *count += 1;
        sum.iter_mut()
            .zip(row)
            .for_each(|(sum, number)| *sum += number);
    }
    let means = sums.into_iter().zip(before).map(|((count, sum), before)| {
        if count == 0 {
            return before;
        }
        sum.into_iter().map(|sum| sum / count as f32).collect()
    });
    means.collect()
}
