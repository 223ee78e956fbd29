//! Evaluation: what an encoder's codes and hashes are worth on a labelled folder.
//!
//! Every representation of the same images is scored leave-one-out with the same measures
//! ([`Score`]), beside what could be had without training on the same features: a principal
//! component analysis to 30 numbers, and iterative quantisation (Gong and Lazebnik 2011) to 64
//! and 256 bits. Mean average precision hides a collapse of the hashes, so the share of distinct
//! ones stands beside it.

mod metrics;

pub use metrics::{Score, leave_one_out, share_distinct};

use imgsearch_index::{hamming, l2_squared};
use imgsearch_onnx::train::baseline::{Itq, Pca};
use serde::Serialize;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::extract::Extracted;

/// Numbers that the PCA baseline keeps.
pub const PCA_LENGTH: usize = 30;

/// Bits of the ITQ baselines.
pub const ITQ_BITS: [usize; 2] = [64, 256];

/// The seed of the baselines' random rotations.
const BASELINE_SEED: u64 = 1;

/// A row of an evaluation.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Row {
    /// What was ranked by.
    pub representation: String,
    /// Numbers or bits in it.
    pub length: usize,
    /// Bytes that one image takes.
    pub bytes: usize,
    /// The measures.
    #[serde(flatten)]
    pub score: Score,
    /// The mean average precision over that of the features.
    pub map_of_features: f64,
    /// Distinct hashes over images; none for what is no hash.
    pub distinct: Option<f64>,
}

/// An encoder's evaluation.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The encoder's name.
    pub encoder: String,
    /// The encoder's fingerprint.
    pub fingerprint: String,
    /// Images that were scored.
    pub images: usize,
    /// Classes with at least one image.
    pub classes: usize,
    /// A row for each representation.
    pub rows: Vec<Row>,
}

/// Scores what was extracted of labelled images.
///
/// `labels` holds a class for each extracted image. `tick` is told the name of each
/// representation before it is scored.
///
/// # Errors
///
/// [`Error::BadEvaluation`] where no class has two images.
pub fn evaluate(
    engine: &Engine,
    extracted: &Extracted,
    labels: &[usize],
    baselines: bool,
    tick: &mut dyn FnMut(&str),
) -> Result<Report> {
    let info = engine.info();
    let n = labels.len();
    let d = extracted.feature_len;
    let (code_len, bits) = (info.code_len, info.bits);
    let bytes = bits.div_ceil(8);
    let mut table = Table {
        labels,
        rows: Vec::new(),
        features: 0.0,
    };
    let mut classes = labels.to_vec();
    classes.sort_unstable();
    classes.dedup();

    tick("features");
    let centred = centred_directions(&extracted.features, d);
    let of_features = table.score(|q, out| euclidean(&centred, d, q, out));
    if of_features.queries == 0 {
        return Err(Error::BadEvaluation(
            "no class holds two images, so there is nothing to find".to_owned(),
        ));
    }
    table.features = of_features.map;
    table.push("features", d, d * 4, of_features, None);

    tick("code");
    let codes = &extracted.codes;
    let score = table.score(|q, out| euclidean(codes, code_len, q, out));
    table.push("code", code_len, code_len * 4, score, None);

    tick("hash");
    let hashes = &extracted.hashes;
    let score = table.score(|q, out| bits_apart(hashes, bytes, q, out));
    let distinct = Some(share_distinct(hashes, bytes));
    table.push("hash", bits, bytes, score, distinct);

    tick("code + hash");
    let weight = info.hash_weight / bits as f32;
    let score = table.score(|q, out| {
        let mut apart = vec![0.0; n];
        bits_apart(hashes, bytes, q, &mut apart);
        euclidean(codes, code_len, q, out);
        for (out, apart) in out.iter_mut().zip(apart) {
            *out += weight * apart;
        }
    });
    table.push("code + hash", code_len, code_len * 4 + bytes, score, None);

    if baselines {
        let name = format!("PCA to {PCA_LENGTH}");
        tick(&name);
        let length = PCA_LENGTH.min(n.saturating_sub(1)).min(d);
        let pca = Pca::fit(&extracted.features, n, d, length)?;
        let projected = normalised(pca.project(&extracted.features, n), length);
        let score = table.score(|q, out| euclidean(&projected, length, q, out));
        table.push(&name, length, length * 4, score, None);
        for bits in ITQ_BITS {
            let name = format!("ITQ {bits} bits");
            tick(&name);
            // As many directions as there are bits must exist.
            if bits > d || bits >= n {
                continue;
            }
            let itq = Itq::fit(&extracted.features, n, d, bits, BASELINE_SEED)?;
            let hashes = itq.hash(&extracted.features, n);
            let bytes = bits.div_ceil(8);
            let score = table.score(|q, out| bits_apart(&hashes, bytes, q, out));
            let distinct = Some(share_distinct(&hashes, bytes));
            table.push(&name, bits, bytes, score, distinct);
        }
    }
    Ok(Report {
        encoder: info.name.clone(),
        fingerprint: info.fingerprint.clone(),
        images: n,
        classes: classes.len(),
        rows: table.rows,
    })
}

struct Table<'a> {
    labels: &'a [usize],
    rows: Vec<Row>,
    /// The features' mean average precision.
    features: f64,
}

impl Table<'_> {
    fn score(&self, distances: impl Fn(usize, &mut [f32]) + Sync) -> Score {
        leave_one_out(self.labels, distances)
    }

    fn push(
        &mut self,
        name: &str,
        length: usize,
        bytes: usize,
        score: Score,
        distinct: Option<f64>,
    ) {
        self.rows.push(Row {
            representation: name.to_owned(),
            length,
            bytes,
            score,
            map_of_features: score.map / self.features,
            distinct,
        });
    }
}

fn euclidean(rows: &[f32], length: usize, query: usize, out: &mut [f32]) {
    let asked = &rows[query * length..(query + 1) * length];
    for (out, row) in out.iter_mut().zip(rows.chunks_exact(length)) {
        *out = l2_squared(asked, row);
    }
}

fn bits_apart(hashes: &[u8], bytes: usize, query: usize, out: &mut [f32]) {
    let asked = &hashes[query * bytes..(query + 1) * bytes];
    for (out, row) in out.iter_mut().zip(hashes.chunks_exact(bytes)) {
        *out = hamming(asked, row) as f32;
    }
}

/// Rows without their common mean, each of length one: their Euclidean distances rank as the
/// centred cosine does.
fn centred_directions(rows: &[f32], d: usize) -> Vec<f32> {
    let n = (rows.len() / d).max(1);
    let mut mean = vec![0.0f64; d];
    for row in rows.chunks_exact(d) {
        for (mean, value) in mean.iter_mut().zip(row) {
            *mean += f64::from(*value);
        }
    }
    let centred = rows
        .chunks_exact(d)
        .flat_map(|row| {
            row.iter()
                .zip(&mean)
                .map(|(value, sum)| value - (sum / n as f64) as f32)
        })
        .collect();
    normalised(centred, d)
}

fn normalised(mut rows: Vec<f32>, d: usize) -> Vec<f32> {
    for row in rows.chunks_exact_mut(d) {
        let norm = row.iter().map(|v| v * v).sum::<f32>().sqrt();
        if norm > 0.0 {
            row.iter_mut().for_each(|v| *v /= norm);
        }
    }
    rows
}
