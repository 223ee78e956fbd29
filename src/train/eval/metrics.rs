//! Retrieval measures of one representation.

use rayon::prelude::*;
use serde::Serialize;

/// The ranks of [`Score::precision_at`].
pub const RANKS: [usize; 10] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];

/// The number of nearest neighbours of [`Score::neighbours_kept`].
pub const NEIGHBOURS: usize = 10;

/// Queries and database of an evaluation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetrievalSplit {
    /// The class of each item.
    pub labels: Vec<usize>,
    /// The queries.
    pub queries: Vec<usize>,
    /// The items that are ranked, at equal distance in this order. A query never finds itself.
    pub database: Vec<usize>,
    /// The cutoff rank of [`Score::map_at_cutoff`].
    pub cutoff: usize,
}

impl RetrievalSplit {
    /// Makes every item a query, with all others as the database.
    pub fn leave_one_out(labels: Vec<usize>, cutoff: usize) -> Self {
        let all: Vec<usize> = (0..labels.len()).collect();
        Self {
            labels,
            queries: all.clone(),
            database: all,
            cutoff,
        }
    }

    /// Makes some items queries and others the database.
    pub fn split(
        labels: Vec<usize>,
        queries: Vec<usize>,
        database: Vec<usize>,
        cutoff: usize,
    ) -> Self {
        Self {
            labels,
            queries,
            database,
            cutoff,
        }
    }
}

/// How well a representation ranks images of the same class first.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Score {
    /// Mean over the queries of the average precision over the whole ranking, which counts every
    /// item of the query's class (Manning, Raghavan and Schütze 2008, section 8.4).
    pub map: f64,
    /// Mean over the queries of the average precision up to the cutoff, divided by the number of items of
    /// the query's class up to it, as in the literature on hashing.
    pub map_at_cutoff: f64,
    /// Mean share of items of the query's class among the first [`RANKS`].
    pub precision_at: [f64; RANKS.len()],
    /// The share of the ten nearest by the features that are among the ten nearest.
    pub neighbours_kept: Option<f64>,
    /// Number of queries that count: those whose class has an item in the database.
    pub queries: usize,
}

impl Score {
    /// Returns the mean share of items of the query's class among the first ten.
    pub fn precision_at_10(&self) -> f64 {
        self.precision_at[3]
    }
}

/// The measures of one query.
#[derive(Debug, Clone, Copy, Default)]
struct One {
    map: f64,
    map_at_cutoff: f64,
    precision_at: [f64; RANKS.len()],
    kept: f64,
}

/// Scores representations of the same items.
#[derive(Debug)]
pub struct Evaluator {
    split: RetrievalSplit,
    /// The nearest items of each query by the features, after those are scored.
    nearest: Option<Vec<Vec<usize>>>,
}

impl Evaluator {
    /// Returns an evaluator of these items.
    pub fn new(split: RetrievalSplit) -> Self {
        Self {
            split,
            nearest: None,
        }
    }

    /// Returns queries and database.
    pub fn split(&self) -> &RetrievalSplit {
        &self.split
    }

    /// Scores a representation. `distances(i, out)` writes the distances from item `i` to all
    /// items.
    pub fn score(&self, distances: impl Fn(usize, &mut [f32]) + Sync) -> Score {
        self.run(distances).0
    }

    /// Scores the reference representation, whose neighbours the others should keep.
    pub fn score_reference(&mut self, distances: impl Fn(usize, &mut [f32]) + Sync) -> Score {
        let (score, nearest) = self.run(distances);
        self.nearest = Some(nearest);
        score
    }

    fn run(&self, distances: impl Fn(usize, &mut [f32]) + Sync) -> (Score, Vec<Vec<usize>>) {
        let RetrievalSplit {
            labels,
            queries,
            database,
            ..
        } = &self.split;
        let mut of_class = vec![0usize; labels.iter().max().map_or(0, |most| most + 1)];
        for &item in database {
            of_class[labels[item]] += 1;
        }
        let mut member = vec![false; labels.len()];
        for &item in database {
            member[item] = true;
        }
        let ranked: Vec<(Option<One>, Vec<usize>)> = queries
            .par_iter()
            .enumerate()
            .map_init(
                || (vec![0.0; labels.len()], Vec::with_capacity(database.len())),
                |(row, order), (place, &query)| {
                    let relevant = of_class[labels[query]] - usize::from(member[query]);
                    if relevant == 0 {
                        return (None, Vec::new());
                    }
                    distances(query, row);
                    order.clear();
                    order.extend((0..database.len()).filter(|&i| database[i] != query));
                    let apart = |&i: &usize| row[database[i]];
                    order.sort_unstable_by(|a, b| {
                        apart(a).total_cmp(&apart(b)).then_with(|| a.cmp(b))
                    });
                    let nearest: Vec<usize> = order[..NEIGHBOURS.min(order.len())].to_vec();
                    let mut one = self.one(query, order, relevant);
                    if let Some(wanted) = self.nearest.as_ref().map(|all| &all[place]) {
                        let kept = nearest.iter().filter(|item| wanted.contains(item)).count();
                        one.kept = kept as f64 / wanted.len().max(1) as f64;
                    }
                    (Some(one), nearest)
                },
            )
            .collect();
        let ones: Vec<One> = ranked.iter().filter_map(|(one, _)| *one).collect();
        let count = ones.len();
        let mean =
            |of: &dyn Fn(&One) -> f64| ones.iter().map(of).sum::<f64>() / count.max(1) as f64;
        let score = Score {
            map: mean(&|one| one.map),
            map_at_cutoff: mean(&|one| one.map_at_cutoff),
            precision_at: std::array::from_fn(|i| mean(&|one| one.precision_at[i])),
            neighbours_kept: self.nearest.as_ref().map(|_| mean(&|one| one.kept)),
            queries: count,
        };
        (
            score,
            ranked.into_iter().map(|(_, nearest)| nearest).collect(),
        )
    }

    /// Measures a ranking of places in the database.
    fn one(&self, query: usize, order: &[usize], relevant: usize) -> One {
        let RetrievalSplit {
            labels,
            database,
            cutoff,
            ..
        } = &self.split;
        let mut one = One::default();
        let (mut hits, mut precisions) = (0usize, 0.0);
        let mut ranks = RANKS.iter().zip(&mut one.precision_at).peekable();
        for (rank, &place) in order.iter().enumerate() {
            if labels[database[place]] == labels[query] {
                hits += 1;
                precisions += hits as f64 / (rank + 1) as f64;
            }
            if let Some((_, precision)) = ranks.next_if(|(at, _)| **at == rank + 1) {
                *precision = hits as f64 / (rank + 1) as f64;
            }
            if rank + 1 == (*cutoff).min(order.len()) {
                one.map_at_cutoff = precisions / hits.max(1) as f64;
            }
        }
        // If there are fewer items than a rank, all of them count.
        for (_, precision) in ranks {
            *precision = hits as f64 / order.len().max(1) as f64;
        }
        one.map = precisions / relevant as f64;
        one
    }
}

/// Returns the number of distinct hashes divided by the number of items: 1 if all differ.
pub fn share_distinct(hashes: &[u8], bytes: usize) -> f64 {
    let all: std::collections::HashSet<&[u8]> = hashes.chunks_exact(bytes).collect();
    all.len() as f64 / (hashes.len() / bytes).max(1) as f64
}

/// Returns how evenly hashes use their bits: the mean over the bits of how often the rarer value occurs,
/// 1 if both occur equally often, and the mean absolute correlation of pairs of bits, 0 if they are
/// independent.
pub fn balance_and_correlation(hashes: &[u8], bits: usize) -> (f64, f64) {
    let bytes = bits.div_ceil(8);
    let n = hashes.len() / bytes;
    if n == 0 {
        return (0.0, 0.0);
    }
    // Each bit's values of all items, packed.
    let words = n.div_ceil(64);
    let columns: Vec<Vec<u64>> = (0..bits)
        .into_par_iter()
        .map(|bit| {
            let mut column = vec![0u64; words];
            for (i, hash) in hashes.chunks_exact(bytes).enumerate() {
                column[i / 64] |= u64::from(hash[bit / 8] >> (bit % 8) & 1) << (i % 64);
            }
            column
        })
        .collect();
    let ones = |column: &[u64]| column.iter().map(|word| word.count_ones()).sum::<u32>();
    let shares: Vec<f64> = columns
        .iter()
        .map(|column| f64::from(ones(column)) / n as f64)
        .collect();
    let balance = shares.iter().map(|p| 2.0 * p.min(1.0 - p)).sum::<f64>() / bits as f64;
    let correlations: f64 = (0..bits)
        .into_par_iter()
        .map(|a| {
            (a + 1..bits)
                .map(|b| {
                    let both = columns[a].iter().zip(&columns[b]);
                    let both: u32 = both.map(|(a, b)| (a & b).count_ones()).sum();
                    let (p, q) = (shares[a], shares[b]);
                    let spread = (p * (1.0 - p) * q * (1.0 - q)).sqrt();
                    if spread > 0.0 {
                        ((f64::from(both) / n as f64 - p * q) / spread).abs()
                    } else {
                        // A bit that never changes holds no information.
                        1.0
                    }
                })
                .sum::<f64>()
        })
        .sum();
    let pairs = (bits * bits.saturating_sub(1) / 2).max(1);
    (balance, correlations / pairs as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(places: &[f32]) -> impl Fn(usize, &mut [f32]) + Sync + '_ {
        move |query, out| {
            for (out, place) in out.iter_mut().zip(places) {
                *out = (place - places[query]).abs();
            }
        }
    }

    fn on_a_line(labels: &[usize], places: &[f32]) -> Score {
        Evaluator::new(RetrievalSplit::leave_one_out(labels.to_vec(), 1000)).score(line(places))
    }

    #[test]
    fn a_perfect_ranking_scores_one() {
        let score = on_a_line(&[0, 0, 0, 1, 1, 1], &[0.0, 0.1, 0.2, 9.0, 9.1, 9.2]);
        assert!((score.map - 1.0).abs() < 1e-12);
        assert!((score.map_at_cutoff - 1.0).abs() < 1e-12);
        assert_eq!(score.queries, 6);
        // Two of the five others are of the class.
        assert!((score.precision_at_10() - 2.0 / 5.0).abs() < 1e-12);
        assert!((score.precision_at[0] - 1.0).abs() < 1e-12);
        assert!((score.precision_at[1] - 1.0).abs() < 1e-12);
        assert!((score.precision_at[2] - 2.0 / 5.0).abs() < 1e-12);
    }

    #[test]
    fn average_precision_is_as_worked_out_by_hand() {
        // Query 0 ranks 1 (wrong), 2 (right), 3 (wrong), 4 (right): (1/2 + 2/4) / 2.
        let evaluator = Evaluator::new(RetrievalSplit::leave_one_out(vec![0, 1, 0, 2, 0], 3));
        let one = evaluator.one(0, &[1, 2, 3, 4], 2);
        assert!((one.map - 0.5).abs() < 1e-12);
        // Among the first three there is one right, on rank two.
        assert!((one.map_at_cutoff - 0.5).abs() < 1e-12);
        assert!((one.precision_at[1] - 0.5).abs() < 1e-12);
        let evaluator = Evaluator::new(RetrievalSplit::leave_one_out(vec![0, 1, 0, 2, 0], 1));
        assert_eq!(evaluator.one(0, &[1, 2, 3, 4], 2).map_at_cutoff, 0.0);
    }

    #[test]
    fn ties_go_by_number_and_lone_classes_do_not_ask() {
        // All at one place: the ranking is 0, 1, 2 without the query.
        let score = on_a_line(&[0, 1, 0], &[5.0; 3]);
        assert_eq!(score.queries, 2);
        // Query 0 ranks 1 (wrong), 2 (right): 1/2. Query 2 ranks 0 (right): 1.
        assert!((score.map - 0.75).abs() < 1e-12);
    }

    #[test]
    fn nothing_at_all_scores_zero() {
        assert_eq!(on_a_line(&[], &[]).queries, 0);
        assert_eq!(on_a_line(&[0, 1], &[0.0, 1.0]).map, 0.0);
    }

    #[test]
    fn queries_find_the_database_only_and_ties_go_by_its_order() {
        let labels = vec![0, 0, 1, 0, 1];
        let split = RetrievalSplit::split(labels, vec![0], vec![4, 3, 2], 1000);
        let score = Evaluator::new(split).score(line(&[0.0; 5]));
        // 4 (wrong), 3 (right), 2 (wrong).
        assert!((score.map - 0.5).abs() < 1e-12);
        assert_eq!(score.queries, 1);
    }

    #[test]
    fn neighbours_of_the_reference_are_looked_for() {
        let labels: Vec<usize> = (0..40).map(|i| i % 2).collect();
        let places: Vec<f32> = (0..40u8).map(f32::from).collect();
        let mut evaluator = Evaluator::new(RetrievalSplit::leave_one_out(labels, 1000));
        assert_eq!(evaluator.score(line(&places)).neighbours_kept, None);
        evaluator.score_reference(line(&places));
        let same = evaluator.score(line(&places)).neighbours_kept.unwrap();
        assert!((same - 1.0).abs() < 1e-12);
        let shuffled: Vec<f32> = (0..40u32).map(|i| (i * 17 % 40) as f32).collect();
        let other = evaluator.score(line(&shuffled)).neighbours_kept.unwrap();
        assert!(other > 0.1 && other < 0.5, "{other}");
    }

    #[test]
    fn collapsed_hashes_show() {
        assert!((share_distinct(&[1, 2, 1, 2, 3, 4], 2) - 2.0 / 3.0).abs() < 1e-12);
        assert!((share_distinct(&[1, 2, 3], 1) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn balance_and_correlation_of_bits_worked_out_by_hand() {
        // Bit 0: 1 0 1 0; bit 1 the same; bit 2: 1 1 0 0; bit 3 always 0.
        let hashes = [0b0111, 0b0100, 0b0011, 0b0000];
        let (balance, correlation) = balance_and_correlation(&hashes, 4);
        assert!((balance - 0.75).abs() < 1e-12);
        // Pairs: (0,1) 1; (0,2) and (1,2) 0; with bit 3 each 1.
        assert!((correlation - 4.0 / 6.0).abs() < 1e-12, "{correlation}");
    }
}
