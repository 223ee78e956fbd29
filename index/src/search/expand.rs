//! Query expansion: a search whose query is mixed with the nearest images that a first search finds.
//!
//! The nearest images show what the query is about: what they have in common counts more, and what is the
//! query's alone counts less. Average query expansion (Chum et al., Total recall, 2007) with weights that
//! fall with the distance, over codes and, where the query has them, logits.

use std::time::Instant;

use super::Searcher;
use super::params::{Query, RankBy, SearchParams};
use super::results::SearchStats;
use super::scan::Candidate;
use super::select::Selection;
use crate::error::Result;
use crate::kernels::distance::pack_bits;

/// How fast the weight of a neighbour falls with its distance behind the nearest one. On photographs of 50
/// classes that no encoder was trained on, 0.2 gives the highest mAP with two to four neighbours.
const DECAY: f32 = 0.2;

/// Logits count up to this number of times their mean size, so that a few of them do not outweigh the bits
/// of the neighbours, which count 1.
const MAX_LOGIT: f32 = 2.0;

/// A weighted mean of a query and stored images.
struct Mixture {
    code: Vec<f32>,
    /// The lengths of the codes, added by weight.
    length: f32,
    weight: f32,
    /// Empty if the query has no hash.
    logits: Vec<f32>,
    hash: Vec<u8>,
}

impl Mixture {
    /// Starts with a query, which has the weight 1.
    fn of(query: &Query<'_>, bits: usize) -> Self {
        let logits = match (query.logits, query.hash) {
            (Some(logits), _) => {
                let sum: f32 = logits.iter().map(|logit| logit.abs()).sum();
                let mean = (sum / bits.max(1) as f32).max(f32::MIN_POSITIVE);
                let in_means = logits.iter().map(|logit| logit / mean);
                in_means
                    .map(|logit| logit.clamp(-MAX_LOGIT, MAX_LOGIT))
                    .collect()
            }
            (None, Some(hash)) => (0..bits)
                .map(|bit| sign(hash[bit / 8] >> (bit % 8) & 1 == 1))
                .collect(),
            (None, None) => Vec::new(),
        };
        Self {
            code: query.code.to_vec(),
            length: length(query.code),
            weight: 1.0,
            logits,
            hash: Vec::new(),
        }
    }

    /// Adds a stored image, whose code may be padded.
    fn add(&mut self, weight: f32, code: &[f32], hash: &[u64]) {
        for (sum, number) in self.code.iter_mut().zip(code) {
            *sum += weight * number;
        }
        self.length += weight * length(code);
        self.weight += weight;
        for (bit, logit) in self.logits.iter_mut().enumerate() {
            *logit += weight * sign(hash[bit / 64] >> (bit % 64) & 1 == 1);
        }
    }

    /// Gives the code the mean length of those that were added, and packs the hash.
    fn finish(mut self) -> Self {
        let now = length(&self.code);
        if now > 0.0 {
            let scale = self.length / self.weight / now;
            self.code.iter_mut().for_each(|number| *number *= scale);
        }
        self.hash = pack_bits(&self.logits);
        self
    }

    fn query(&self) -> Query<'_> {
        let query = Query::new(&self.code);
        if self.logits.is_empty() {
            query
        } else {
            query.hash(&self.hash).logits(&self.logits)
        }
    }
}

fn sign(set: bool) -> f32 {
    if set { 1.0 } else { -1.0 }
}

fn length(code: &[f32]) -> f32 {
    code.iter()
        .map(|number| number * number)
        .sum::<f32>()
        .sqrt()
}

impl Searcher {
    /// Finds what `params` asks for with the query mixed with the [`SearchParams::expand`] nearest images.
    pub(super) fn find_expanded(
        &self,
        query: &Query<'_>,
        params: &SearchParams,
        selection: Option<&Selection>,
        fall_back: bool,
    ) -> Result<(Vec<Candidate>, SearchStats)> {
        let started = Instant::now();
        let mut first = params.clone();
        first.k = params.expand;
        let (mut near, stats) = self.find(query, &first, selection, fall_back)?;
        near.sort_unstable();
        near.truncate(params.expand);
        let Some(nearest) = near.first().map(|nearest| nearest.distance) else {
            return Ok((near, stats));
        };
        // What the ranking does not look at was not checked, and is not mixed.
        let query = match (params.by, query.hash) {
            (RankBy::Both, _) => *query,
            (RankBy::Hash, Some(hash)) => Query::new(query.code).hash(hash),
            _ => Query::new(query.code),
        };
        let mut mixture = Mixture::of(&query, self.encoder().bits);
        for found in &near {
            let rows = self.rows_of(found.part as usize);
            let row = found.row as usize;
            let weight = (-DECAY * (found.distance - nearest)).exp();
            mixture.add(weight, rows.code(row), rows.hash(row));
        }
        let mixture = mixture.finish();
        let (found, mut stats) = self.find(&mixture.query(), params, selection, fall_back)?;
        stats.expanded = near.len();
        stats.search_us = started.elapsed().as_secs_f64() * 1e6;
        Ok((found, stats))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mixture_keeps_the_length_of_codes_and_follows_the_majority_of_bits() {
        let query = Query::new(&[3.0, 4.0]).hash(&[0b001]);
        let mut mixture = Mixture::of(&query, 3);
        mixture.add(1.0, &[5.0, 0.0, 0.0], &[0b110]);
        mixture.add(1.0, &[4.0, 3.0, 0.0], &[0b010]);
        let mixture = mixture.finish();
        assert!((length(&mixture.code) - 5.0).abs() < 1e-5);
        assert!((mixture.code[1] / mixture.code[0] - 7.0 / 12.0).abs() < 1e-5);
        assert_eq!(mixture.hash, [0b010]);
        assert_eq!(mixture.logits, [-1.0, 1.0, -1.0]);
    }

    #[test]
    fn large_logits_are_limited_and_small_ones_give_way() {
        let logits = [10.0f32, 0.1, -0.1, -0.2];
        let mut mixture = Mixture::of(&Query::new(&[1.0]).hash(&[0b0011]).logits(&logits), 4);
        assert_eq!(mixture.logits[0], MAX_LOGIT);
        mixture.add(0.5, &[1.0], &[0b1100]);
        let mixture = mixture.finish();
        assert_eq!(mixture.hash, [0b1101], "{:?}", mixture.logits);
    }

    #[test]
    fn a_query_without_a_hash_stays_without_one() {
        let mut mixture = Mixture::of(&Query::new(&[0.0, 0.0]), 8);
        mixture.add(1.0, &[0.0, 0.0], &[1]);
        let mixture = mixture.finish();
        assert!(mixture.query().hash.is_none());
        assert_eq!(mixture.code, [0.0, 0.0]);
    }
}
