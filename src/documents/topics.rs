//! Topics: what clusters and directions of codes stand for, in words.

use std::path::PathBuf;

use imgsearch_train::autoencoder::WordCounts;
use imgsearch_train::baseline::Pca;

use super::about::{Direction, Topic};
use super::vocabulary::Vocabulary;
use crate::error::Result;
use crate::train::eval::kmeans::of_rows;

/// Words that are named for each topic.
const WORDS_OF_TOPIC: usize = 8;

/// Words that are named for each end of a direction.
const WORDS_OF_END: usize = 6;

/// Directions that are described.
const DIRECTIONS: usize = 10;

/// The most topics unless another number is asked for.
const MOST_TOPICS: usize = 30;

/// Documents with their codes, in the same order.
pub(super) struct Coded<'a> {
    pub paths: &'a [PathBuf],
    pub counts: &'a WordCounts,
    /// `[n, code_len]`.
    pub codes: &'a [f32],
    pub code_len: usize,
}

/// Returns how many topics so many documents have: a quarter of the root of their number, as collections of 1,000
/// labelled documents with 8 labels have, from 2 to [`MOST_TOPICS`].
pub(super) fn default_topics(documents: usize) -> usize {
    let quarter = (documents as f64).sqrt() / 4.0;
    (quarter.round() as usize).clamp(2, MOST_TOPICS)
}

/// Returns the most telling words by their scores, best first.
fn best(vocabulary: &Vocabulary, scores: &[f32], n: usize) -> Vec<String> {
    let mut order: Vec<usize> = (0..scores.len()).filter(|&i| scores[i] > 0.0).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
    let words = order.iter().take(n);
    words
        .map(|&word| vocabulary.word(word).to_owned())
        .collect()
}

/// Returns in how many of some documents each word occurs.
fn frequencies(counts: &WordCounts, documents: impl Iterator<Item = usize>) -> Vec<f32> {
    let mut of = vec![0.0; counts.words()];
    for document in documents {
        for (word, _) in counts.row(document) {
            of[*word as usize] += 1.0;
        }
    }
    of
}

/// Returns `k` topics: clusters of codes by k-means. Their words are those whose share of the cluster's documents is
/// large, and larger than in all documents (the pointwise Kullback-Leibler divergence).
pub(super) fn topics(coded: &Coded<'_>, vocabulary: &Vocabulary, k: usize) -> Vec<Topic> {
    let rows: Vec<Vec<f32>> = coded
        .codes
        .chunks_exact(coded.code_len)
        .map(<[f32]>::to_vec)
        .collect();
    let clusters = of_rows(&rows, k);
    let all = frequencies(coded.counts, 0..rows.len());
    let mut topics = Vec::new();
    for cluster in 0..k {
        let own: Vec<usize> = (0..rows.len())
            .filter(|&i| clusters[i] == cluster)
            .collect();
        if own.is_empty() {
            continue;
        }
        let here = frequencies(coded.counts, own.iter().copied());
        let (n, of) = (own.len() as f32, rows.len() as f32);
        let scores: Vec<f32> = here
            .iter()
            .zip(&all)
            .map(|(here, all)| match *here > 0.0 {
                true => here / n * ((here / n) / (all / of)).ln(),
                false => 0.0,
            })
            .collect();
        let mut middle = vec![0.0f32; coded.code_len];
        for &document in &own {
            for (sum, value) in middle.iter_mut().zip(&rows[document]) {
                *sum += value / n;
            }
        }
        let far = |&document: &usize| -> f32 {
            let pairs = rows[document].iter().zip(&middle);
            pairs.map(|(a, b)| (a - b).powi(2)).sum()
        };
        let typical = own.iter().min_by(|a, b| far(a).total_cmp(&far(b)));
        topics.push(Topic {
            words: best(vocabulary, &scores, WORDS_OF_TOPIC),
            documents: own.len(),
            typical: typical.map_or_else(PathBuf::new, |&i| coded.paths[i].clone()),
        });
    }
    topics.sort_by_key(|topic| std::cmp::Reverse(topic.documents));
    topics
}

/// Returns what the strongest principal directions of the codes stand for. A word scores how far its documents lie along
/// the direction on average, times the root of their number, so that neither rare nor common words win by chance.
///
/// # Errors
///
/// If the directions cannot be computed.
pub(super) fn directions(coded: &Coded<'_>, vocabulary: &Vocabulary) -> Result<Vec<Direction>> {
    let n = coded.paths.len();
    let pca = Pca::fit(coded.codes, n, coded.code_len, coded.code_len)?;
    let along = pca.project(coded.codes, n);
    let whole: f32 = pca.variances.iter().sum();
    let often = frequencies(coded.counts, 0..n);
    Ok((0..DIRECTIONS.min(coded.code_len))
        .map(|direction| {
            let mut sums = vec![0.0f32; vocabulary.len()];
            for document in 0..n {
                let place = along[document * coded.code_len + direction];
                for (word, _) in coded.counts.row(document) {
                    sums[*word as usize] += place;
                }
            }
            let of = sums.iter().zip(&often);
            let scores: Vec<f32> = of.map(|(sum, often)| sum / often.max(1.0).sqrt()).collect();
            let opposite: Vec<f32> = scores.iter().map(|score| -score).collect();
            Direction {
                share: pca.variances[direction] / whole,
                toward: best(vocabulary, &scores, WORDS_OF_END),
                away: best(vocabulary, &opposite, WORDS_OF_END),
            }
        })
        .collect())
}
