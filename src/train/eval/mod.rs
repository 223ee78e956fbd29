//! Evaluation of codes and hashes on labelled images.
//!
//! Every representation of the same images gets the same measures ([`Score`]). Baselines, fitted to the
//! database, show what is possible without our training: 30 principal components, an autoencoder that
//! only minimises the squared error, iterative quantisation (Gong and Lazebnik 2011) and the signs of a
//! random rotation (Charikar 2002) of the features, and two perceptual hashes
//! ([`crate::train::perceptual`]). Mean average precision hides a collapse of the hashes. Therefore a
//! report also has the share of distinct hashes, the balance of their bits and the correlation of bits.

mod agreement;
mod calibrate;
pub mod copies;
pub(crate) mod default_ranking;
pub mod duplicates;
mod found_copies;
mod groups;
pub(crate) mod kmeans;
mod metrics;
mod mixtures;
mod protocol;
mod words;

pub use calibrate::{LabelledPairs, ReliabilityBin};
pub use groups::{GroupRow, GroupsReport, groups_and_folders};
pub use metrics::{
    Evaluator, NEIGHBOURS, RANKS, RetrievalSplit, Score, balance_and_correlation, share_distinct,
};
pub use mixtures::{MixtureRow, mixtures};
pub use protocol::{Chosen, Protocol};
pub use words::{WordsReport, WordsRow, asked_by_words};

use imgsearch_index::hamming;
use imgsearch_onnx::EncoderInfo;
use imgsearch_train::autoencoder::{
    self, Design, Layers, Recipe, Samples, Scaling, Schedule, Shape,
};
use imgsearch_train::baseline::{Itq, Pca, random_signs};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::train::extract::Extracted;
use crate::train::perceptual::{self, Perceptual};
use default_ranking::{ByLogits, DefaultRanking, euclidean_from};

/// Numbers that the PCA and autoencoder baselines keep.
pub const PCA_LENGTH: usize = 30;

/// Bits of the ITQ and random baselines.
pub const BASELINE_BITS: [usize; 2] = [64, 256];

/// Units in the hidden layer of the plain autoencoder, and its epochs.
const PLAIN: (usize, usize) = (512, 10);

/// The seed of the baselines' random numbers.
const BASELINE_SEED: u64 = 1;

/// A row of an evaluation.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Row {
    /// The encoder's name; `None` for a baseline.
    pub encoder: Option<String>,
    /// The name of the representation.
    pub representation: String,
    /// Numbers or bits in it.
    pub length: usize,
    /// Bytes per image.
    pub bytes: usize,
    /// The measures.
    #[serde(flatten)]
    pub score: Score,
    /// The mean average precision divided by that of the features, if an encoder has features.
    pub map_of_features: Option<f64>,
    /// How the bits are used, for hashes.
    #[serde(flatten)]
    pub bits: Option<BitUse>,
}

/// How a hash uses its bits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct BitUse {
    /// Number of distinct hashes divided by the number of images.
    pub distinct: f64,
    /// See [`balance_and_correlation`].
    pub balance: f64,
    /// See [`balance_and_correlation`].
    pub correlation: f64,
}

/// An encoder that was evaluated.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Evaluated {
    /// Its name.
    pub name: String,
    /// Its fingerprint.
    pub fingerprint: String,
    /// Numbers in its code.
    pub code_len: usize,
    /// Bits in its hash.
    pub bits: usize,
    /// Images decoded and encoded per second.
    pub images_per_second: f64,
}

/// An evaluation.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// A description of the protocol.
    pub protocol: String,
    /// The encoders.
    pub encoders: Vec<Evaluated>,
    /// Number of queries.
    pub queries: usize,
    /// Number of images in the database.
    pub database: usize,
    /// Number of classes with at least one image.
    pub classes: usize,
    /// The cutoff rank of [`Score::map_at_cutoff`].
    pub cutoff: usize,
    /// The ranks of [`Score::precision_at`].
    pub ranks: [usize; RANKS.len()],
    /// A row for each representation.
    pub rows: Vec<Row>,
}

/// The output of one encoder.
#[derive(Debug, Clone, Copy)]
pub struct EncoderOutput<'a> {
    /// The encoder.
    pub info: &'a EncoderInfo,
    /// Features, codes and hashes; the same images in the same order for every encoder.
    pub extracted: &'a Extracted,
    /// Seconds that this took.
    pub seconds: f64,
}

/// Baselines to score in addition to the encoders.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Baselines<'a> {
    /// Baselines on the features of the first encoder that has them.
    pub of_features: bool,
    /// dHash and pHash of the images.
    pub perceptual: Option<&'a [Perceptual]>,
}

/// Scores the outputs of encoders on labelled images. `progress` gets the name of each representation
/// before it is scored.
///
/// # Errors
///
/// [`Error::BadEvaluation`] if no class has a query and another image, or if encoders saw
/// different images.
pub fn evaluate(
    encoders: &[EncoderOutput<'_>],
    split: RetrievalSplit,
    protocol: &str,
    baselines: Baselines<'_>,
    progress: &dyn Progress,
) -> Result<Report> {
    let n = split.labels.len();
    if encoders.iter().any(|own| own.extracted.paths.len() != n) {
        return Err(Error::BadEvaluation(
            "encoders could not read the same images, so they cannot be compared".to_owned(),
        ));
    }
    let mut classes = split.labels.clone();
    classes.sort_unstable();
    classes.dedup();
    let (queries, database, cutoff) = (split.queries.len(), split.database.len(), split.cutoff);
    let mut table = Table {
        evaluator: Evaluator::new(split),
        rows: Vec::new(),
        of_features: None,
        encoder: None,
        progress,
    };
    let reference = encoders
        .iter()
        .find(|own| own.extracted.feature_len > 0)
        .map(|own| own.extracted);
    for own in encoders {
        table.encoder = Some(own.info.name.clone());
        let first = reference.is_some_and(|reference| std::ptr::eq(reference, own.extracted));
        let same = reference.is_some_and(|reference| reference.features == own.extracted.features);
        if own.extracted.feature_len > 0 && (first || !same) {
            table.features(own.extracted, first)?;
        }
        table.encoder(own);
    }
    table.encoder = None;
    if baselines.of_features
        && let Some(reference) = reference
    {
        table.baselines(&reference.features, reference.feature_len)?;
    }
    if let Some(hashes) = baselines.perceptual {
        let of = |of: fn(&Perceptual) -> [u8; perceptual::BYTES]| -> Vec<u8> {
            hashes.iter().flat_map(of).collect()
        };
        table.hash("dHash", &of(|hashes| hashes.dhash), perceptual::BYTES * 8);
        table.hash("pHash", &of(|hashes| hashes.phash), perceptual::BYTES * 8);
    }
    if table.rows.iter().all(|row| row.score.queries == 0) {
        return Err(Error::BadEvaluation(
            "no class holds two images, so there is nothing to find".to_owned(),
        ));
    }
    Ok(Report {
        protocol: protocol.to_owned(),
        encoders: encoders
            .iter()
            .map(|own| Evaluated {
                name: own.info.name.clone(),
                fingerprint: own.info.fingerprint.clone(),
                code_len: own.info.code_len,
                bits: own.info.bits,
                images_per_second: n as f64 / own.seconds.max(f64::MIN_POSITIVE),
            })
            .collect(),
        queries,
        database,
        classes: classes.len(),
        cutoff,
        ranks: RANKS,
        rows: table.rows,
    })
}

struct Table<'a> {
    evaluator: Evaluator,
    rows: Vec<Row>,
    /// The features' mean average precision.
    of_features: Option<f64>,
    /// The encoder of the next rows.
    encoder: Option<String>,
    progress: &'a dyn Progress,
}

impl Table<'_> {
    fn features(&mut self, extracted: &Extracted, reference: bool) -> Result<()> {
        self.progress.scoring("features");
        let d = extracted.feature_len;
        let centred = centred_directions(&extracted.features, d, &self.evaluator.split().database);
        let apart = |q: usize, out: &mut [f32]| euclidean(&centred, d, q, out);
        let score = if reference {
            let score = self.evaluator.score_reference(apart);
            if score.queries == 0 {
                return Err(Error::BadEvaluation(
                    "no class holds two images, so there is nothing to find".to_owned(),
                ));
            }
            self.of_features = Some(score.map);
            score
        } else {
            self.evaluator.score(apart)
        };
        self.push("features", (d, d * 4), score, None);
        Ok(())
    }

    fn encoder(&mut self, own: &EncoderOutput<'_>) {
        let (code_len, bits) = (own.info.code_len, own.info.bits);
        let bytes = bits.div_ceil(8);
        let Extracted {
            codes,
            hashes,
            logits,
            ..
        } = own.extracted;
        self.numbers("code", codes, code_len);
        self.hash("hash", hashes, bits);

        self.progress.scoring("hash, asymmetric");
        let by_logits = ByLogits::new(hashes, logits, bits);
        let score = self
            .evaluator
            .score(|q, out| by_logits.apart(by_logits.of(q), 1.0, out));
        self.push("hash, asymmetric", (bits, bytes), score, None);

        self.progress.scoring("code + hash");
        let weight = own.info.hash_weight / bits as f32;
        let n = self.evaluator.split().labels.len();
        let score = self.evaluator.score(|q, out| {
            let mut apart = vec![0.0; n];
            bits_apart(hashes, bytes, q, &mut apart);
            euclidean(codes, code_len, q, out);
            for (out, apart) in out.iter_mut().zip(apart) {
                *out += weight * apart;
            }
        });
        self.push("code + hash", (code_len, code_len * 4 + bytes), score, None);

        let default = DefaultRanking {
            codes,
            code_len,
            hashes,
            by_logits,
            hash_weight: own.info.hash_weight,
        };
        let size = (code_len, code_len * 4 + bytes);
        self.progress.scoring("code + hash, asymmetric");
        let score = self.evaluator.score(|q, out| default.plain(q, out));
        self.push("code + hash, asymmetric", size, score, None);

        self.progress.scoring("code + hash, expanded");
        let score = {
            let database = &self.evaluator.split().database;
            self.evaluator
                .score(|q, out| default.expanded(q, database, out))
        };
        self.push("code + hash, expanded", size, score, None);
    }

    fn baselines(&mut self, features: &[f32], d: usize) -> Result<()> {
        let n = features.len() / d;
        let fitted: Vec<f32> = self
            .evaluator
            .split()
            .database
            .iter()
            .flat_map(|&i| &features[i * d..(i + 1) * d])
            .copied()
            .collect();
        let own = fitted.len() / d;
        let length = PCA_LENGTH.min(own.saturating_sub(1)).min(d);
        let pca = Pca::fit(&fitted, own, d, length)?;
        let projected = normalised(pca.project(features, n), length);
        self.numbers(&format!("PCA to {length}"), &projected, length);
        if own >= autoencoder::MIN_IMAGES + 2 {
            let codes = plain_autoencoder(&fitted, features, d, length)?;
            self.numbers("autoencoder, MSE", &normalised(codes, length), length);
        }
        for bits in BASELINE_BITS {
            // There must be as many directions as bits.
            if bits > d || bits >= own {
                continue;
            }
            let itq = Itq::fit(&fitted, own, d, bits, BASELINE_SEED)?;
            self.hash(&format!("ITQ {bits}"), &itq.hash(features, n), bits);
        }
        let centred = centred_directions(features, d, &self.evaluator.split().database);
        for bits in BASELINE_BITS.into_iter().filter(|&bits| bits <= d) {
            let hashes = random_signs(&centred, n, d, bits, BASELINE_SEED)?;
            self.hash(&format!("random signs {bits}"), &hashes, bits);
        }
        Ok(())
    }

    fn numbers(&mut self, name: &str, rows: &[f32], length: usize) {
        self.progress.scoring(name);
        let score = self
            .evaluator
            .score(|q, out| euclidean(rows, length, q, out));
        self.push(name, (length, length * 4), score, None);
    }

    fn hash(&mut self, name: &str, hashes: &[u8], bits: usize) {
        self.progress.scoring(name);
        let bytes = bits.div_ceil(8);
        let score = self
            .evaluator
            .score(|q, out| bits_apart(hashes, bytes, q, out));
        let (balance, correlation) = balance_and_correlation(hashes, bits);
        let bit_use = BitUse {
            distinct: share_distinct(hashes, bytes),
            balance,
            correlation,
        };
        self.push(name, (bits, bytes), score, Some(bit_use));
    }

    fn push(
        &mut self,
        name: &str,
        (length, bytes): (usize, usize),
        score: Score,
        bits: Option<BitUse>,
    ) {
        self.rows.push(Row {
            encoder: self.encoder.clone(),
            representation: name.to_owned(),
            length,
            bytes,
            map_of_features: self.of_features.map(|features| score.map / features),
            score,
            bits,
        });
    }
}

/// Returns the codes of an autoencoder with one hidden layer that only minimises the squared error of the
/// features.
fn plain_autoencoder(
    fitted: &[f32],
    features: &[f32],
    d: usize,
    code_len: usize,
) -> Result<Vec<f32>> {
    let (hidden, epochs) = PLAIN;
    let design = Design {
        layers: Layers::Dense(vec![hidden]),
        code_len,
        ..Design::deep(Shape::features(d))
    };
    let schedule = Schedule {
        epochs,
        batch: 256,
        seed: BASELINE_SEED,
        ..Schedule::default()
    };
    let scaling = Scaling::of(fitted, d)?;
    let of = |rows| Samples::features(rows, &scaling);
    let (validation, own) = fitted.split_at((fitted.len() / d / 10).max(1) * d);
    let recipe = Recipe {
        design,
        schedule,
        bits: BASELINE_BITS[0],
    };
    let trained = autoencoder::train(&of(own), &of(validation), &recipe, &mut |_| {
        std::ops::ControlFlow::Continue(())
    })?;
    Ok(trained.codes(&of(features))?)
}

fn euclidean(rows: &[f32], length: usize, query: usize, out: &mut [f32]) {
    euclidean_from(&rows[query * length..(query + 1) * length], rows, out);
}

fn bits_apart(hashes: &[u8], bytes: usize, query: usize, out: &mut [f32]) {
    let asked = &hashes[query * bytes..(query + 1) * bytes];
    for (out, row) in out.iter_mut().zip(hashes.chunks_exact(bytes)) {
        *out = hamming(asked, row) as f32;
    }
}

/// Subtracts the mean of some rows from all, and normalises them to length one. Their Euclidean distances
/// rank as the centred cosine.
fn centred_directions(rows: &[f32], d: usize, of: &[usize]) -> Vec<f32> {
    let mut mean = vec![0.0f64; d];
    for &i in of {
        for (mean, value) in mean.iter_mut().zip(&rows[i * d..(i + 1) * d]) {
            *mean += f64::from(*value) / of.len() as f64;
        }
    }
    let centred = rows
        .chunks_exact(d)
        .flat_map(|row| {
            row.iter()
                .zip(&mean)
                .map(|(value, mean)| value - *mean as f32)
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
