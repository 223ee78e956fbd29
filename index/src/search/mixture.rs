//! Mixtures: one query of several images.

use super::blend::Away;
use super::params::Query;
use crate::kernels::distance::pack_bits;

/// Logits count up to this number of times their mean size, so that a few of them do not outweigh the bits
/// of the neighbours, which count 1.
const MAX_LOGIT: f32 = 2.0;

/// A weighted mean of a query and stored images (Rocchio 1971), which is a query itself. [`Mixture::blend`] mixes
/// queries, some of which may count against the others.
///
/// # Examples
///
/// ```
/// use imgsearch_index::{Mixture, Query};
///
/// let mut mixture = Mixture::new(&Query::new(&[3.0, 4.0]).hash(&[0b001]), 3);
/// mixture.add(1.0, &[5.0, 0.0], &[0b110]);
/// mixture.add(1.0, &[4.0, 3.0], &[0b010]);
/// let mixture = mixture.finish();
/// // The majority of the bits, and the mean length.
/// assert_eq!(mixture.query().hash, Some(&[0b010][..]));
/// ```
#[derive(Debug, Clone)]
pub struct Mixture {
    pub(super) code: Vec<f32>,
    /// The lengths of the codes, added by weight.
    pub(super) length: f32,
    pub(super) weight: f32,
    /// Empty if the query has no hash.
    pub(super) logits: Vec<f32>,
    pub(super) hash: Vec<u8>,
    /// What is subtracted from each image that is mixed in.
    pub(super) away: Option<Away>,
}

impl Mixture {
    /// Starts with a query, whose hash has `bits` bits. It has the weight 1.
    pub fn new(query: &Query<'_>, bits: usize) -> Self {
        Self {
            code: query.code.to_vec(),
            length: length(query.code),
            weight: 1.0,
            logits: in_means(query, bits),
            hash: Vec::new(),
            away: query.away.cloned(),
        }
    }

    /// Adds a stored image, with its packed hash. The hash is ignored if the query has none.
    pub fn add(&mut self, weight: f32, code: &[f32], hash: &[u8]) {
        self.add_code(weight, code);
        for (bit, logit) in self.logits.iter_mut().enumerate() {
            *logit += weight * sign(hash[bit / 8] >> (bit % 8) & 1 == 1);
        }
        self.subtract(weight);
    }

    /// Adds a row of an index, whose code may be padded.
    pub(super) fn add_words(&mut self, weight: f32, code: &[f32], hash: &[u64]) {
        self.add_code(weight, code);
        for (bit, logit) in self.logits.iter_mut().enumerate() {
            *logit += weight * sign(hash[bit / 64] >> (bit % 64) & 1 == 1);
        }
        self.subtract(weight);
    }

    /// Takes what the query is to be less of from an image that was added, as it was taken from the query. Otherwise
    /// its share would fall with each image.
    fn subtract(&mut self, weight: f32) {
        let Some(away) = &self.away else { return };
        for (sum, number) in self.code.iter_mut().zip(&away.code) {
            *sum -= weight * number;
        }
        for (sum, logit) in self.logits.iter_mut().zip(&away.logits) {
            *sum -= weight * logit;
        }
    }

    fn add_code(&mut self, weight: f32, code: &[f32]) {
        for (sum, number) in self.code.iter_mut().zip(code) {
            *sum += weight * number;
        }
        self.length += weight * length(code);
        self.weight += weight;
    }

    /// Gives the code the mean length of those that were added, and packs the hash.
    #[must_use]
    pub fn finish(mut self) -> Self {
        let now = length(&self.code);
        if now > 0.0 {
            let scale = self.length / self.weight / now;
            self.code.iter_mut().for_each(|number| *number *= scale);
        }
        self.hash = pack_bits(&self.logits);
        self
    }

    /// Returns the query. The mixture must be [finished](Mixture::finish).
    pub fn query(&self) -> Query<'_> {
        let mut query = Query::new(&self.code);
        if !self.logits.is_empty() {
            query = query.hash(&self.hash).logits(&self.logits);
        }
        query.away = self.away.as_ref();
        query
    }
}

/// Returns the logits of a query in multiples of their mean size, limited; empty if it has no hash.
pub(super) fn in_means(query: &Query<'_>, bits: usize) -> Vec<f32> {
    match (query.logits, query.hash) {
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
    }
}

fn sign(set: bool) -> f32 {
    if set { 1.0 } else { -1.0 }
}

pub(super) fn length(code: &[f32]) -> f32 {
    code.iter()
        .map(|number| number * number)
        .sum::<f32>()
        .sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mixture_keeps_the_length_of_codes_and_follows_the_majority_of_bits() {
        let query = Query::new(&[3.0, 4.0]).hash(&[0b001]);
        let mut mixture = Mixture::new(&query, 3);
        mixture.add_words(1.0, &[5.0, 0.0, 0.0], &[0b110]);
        mixture.add_words(1.0, &[4.0, 3.0, 0.0], &[0b010]);
        let mixture = mixture.finish();
        assert!((length(&mixture.code) - 5.0).abs() < 1e-5);
        assert!((mixture.code[1] / mixture.code[0] - 7.0 / 12.0).abs() < 1e-5);
        assert_eq!(mixture.hash, [0b010]);
        assert_eq!(mixture.logits, [-1.0, 1.0, -1.0]);
    }

    #[test]
    fn large_logits_are_limited_and_small_ones_give_way() {
        let logits = [10.0f32, 0.1, -0.1, -0.2];
        let mut mixture = Mixture::new(&Query::new(&[1.0]).hash(&[0b0011]).logits(&logits), 4);
        assert_eq!(mixture.logits[0], MAX_LOGIT);
        mixture.add(0.5, &[1.0], &[0b1100]);
        let mixture = mixture.finish();
        assert_eq!(mixture.hash, [0b1101], "{:?}", mixture.logits);
    }

    #[test]
    fn a_query_without_a_hash_stays_without_one() {
        let mut mixture = Mixture::new(&Query::new(&[0.0, 0.0]), 8);
        mixture.add(1.0, &[0.0, 0.0], &[1]);
        let mixture = mixture.finish();
        assert!(mixture.query().hash.is_none());
        assert_eq!(mixture.code, [0.0, 0.0]);
    }
}
