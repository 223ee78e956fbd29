//! Training of a head on image files: features, the head, and how good it is.

use std::path::PathBuf;
use std::time::Instant;

use imgsearch_onnx::{EncoderFile, SimilarityMap};
use imgsearch_train::copies::{train_copies_head, trunk_for_copies};
use imgsearch_train::head::{
    ClassifierPrior, EpochReport, Head, HeadOptions, HeadOutput, Identity, TrainingSet, train_head,
};
use serde::Serialize;

use crate::encode::engine::Engine;
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::train::augment::Purpose;
use crate::train::collection::{CollectionJudge, Output, similarity_of};
use crate::train::extract::{ExtractOptions, Extracted, extract};
use crate::train::feature_cache::extract_cached;
use crate::train::jobs::{check_cancelled, flow};
use crate::train::preservation::{Codes, Preservation, neighbours_among, preservation, recognised};
use crate::train::split::{min_images, validation_last};

/// Options of [`train`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TrainOptions {
    /// The head's architecture, losses and schedule.
    pub head: HeadOptions,
    /// What the encoder finds.
    pub purpose: Purpose,
    /// Altered copies of each image.
    pub views: usize,
    /// The encoder's name, stored in its file.
    pub name: String,
    /// A description of the training data, stored in the encoder's file.
    pub data: String,
    /// A file that caches the features. It is read if the same encoder made it from the same images,
    /// and written otherwise. Altered copies are then the same for every seed.
    pub features: Option<PathBuf>,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self {
            head: HeadOptions::default(),
            purpose: Purpose::default(),
            views: Purpose::default().views(),
            name: "trained".to_owned(),
            data: String::new(),
            features: None,
        }
    }
}

/// Scores of a [`Judge`](imgsearch_train::judge::Judge) of the collection, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Judged {
    /// Of the encoder whose features were trained on; `None` for a bare trunk.
    pub before: Option<f64>,
    /// Of the new encoder.
    pub after: f64,
}

/// The result of [`train`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Trained {
    /// The new encoder.
    pub file: EncoderFile,
    /// The images, those held out last.
    pub paths: Vec<PathBuf>,
    /// Their codes by the new encoder, `[images, code_len]`.
    pub codes: Vec<f32>,
    /// The report of every epoch.
    pub epochs: Vec<EpochReport>,
    /// Number of images trained on.
    pub images: usize,
    /// Number of images held out.
    pub held_out: usize,
    /// How many nearest neighbours of each held-out image were compared:
    /// [`NEIGHBOURS`](crate::train::NEIGHBOURS), or fewer if there are few images.
    pub neighbours: usize,
    /// How good the encoder is whose features were trained on; `None` for a bare trunk.
    pub before: Option<Preservation>,
    /// How good the new encoder is.
    pub after: Preservation,
    /// The verdict without labels on both; `None` for copies, and if there are too few images.
    pub judged: Option<Judged>,
    /// Seconds for computing the features.
    pub extract_seconds: f64,
    /// Whether the features came from the cache.
    pub features_cached: bool,
    /// Seconds for training on them.
    pub train_seconds: f64,
}

/// Trains an encoder on the images at `paths`, on the features of `engine`'s encoder.
///
/// # Errors
///
/// [`Error::TooFewImages`], the errors of extraction and training, and [`Error::Interrupted`].
pub fn train(
    engine: &Engine,
    paths: &[PathBuf],
    options: &TrainOptions,
    progress: &dyn Progress,
) -> Result<Trained> {
    check_before(engine, paths.len(), options)?;
    let of_copies = match options.purpose {
        Purpose::Similar => None,
        Purpose::Copies => Some(engine.with(trunk_for_copies(engine.file())?)?),
    };
    let engine = of_copies.as_ref().unwrap_or(engine);
    let started = Instant::now();
    let (mut all, features_cached) = features(engine, paths, options, progress)?;
    let extract_seconds = started.elapsed().as_secs_f64();
    let n = all.paths.len();
    require_enough(n, "could be used", options)?;
    let trained_on = validation_last(&mut all);

    let started = Instant::now();
    let (head, epochs) = fit(engine.file(), &all, trained_on, options, progress)?;
    let train_seconds = started.elapsed().as_secs_f64();

    let before = before(engine, &all, trained_on);
    let output = head.apply(&all.features, n);
    let (judged, similarity) = match options.purpose {
        Purpose::Similar => judged(engine, &all, &head, &output)?,
        Purpose::Copies => (None, None),
    };
    let after = match options.purpose {
        Purpose::Similar => preservation(
            &all,
            trained_on,
            &Codes {
                codes: &output.codes,
                code_len: head.code_len(),
                hashes: &output.hashes(),
                bits: head.bits(),
                hash_weight: head.hash_weight(),
            },
        ),
        Purpose::Copies => {
            let d = all.feature_len;
            let copies = all.views.iter();
            let copies = copies.map(|view| head.apply(&view[trained_on * d..], n - trained_on));
            recognised(&head, &output, trained_on, &copies.collect::<Vec<_>>())
        }
    };
    let identity = Identity {
        name: options.name.clone(),
        training_data: options.data.clone(),
        images: trained_on,
        similarity,
    };
    Ok(Trained {
        file: head.encoder_file(engine.file(), &identity)?,
        codes: output.codes,
        epochs,
        paths: all.paths,
        images: trained_on,
        held_out: n - trained_on,
        neighbours: neighbours_among(n),
        before,
        after,
        judged,
        extract_seconds,
        features_cached,
        train_seconds,
    })
}

/// Judges the encoder that computed the features and the new one, and returns what the new one's distances mean.
fn judged(
    engine: &Engine,
    all: &Extracted,
    head: &Head,
    output: &HeadOutput,
) -> Result<(Option<Judged>, Option<SimilarityMap>)> {
    let info = engine.info();
    let prior = ClassifierPrior::of(engine.file())?;
    let Some(judge) = CollectionJudge::new(&all.features, all.feature_len, &prior)? else {
        return Ok((None, None));
    };
    let old = Output {
        codes: &all.codes,
        code_len: info.code_len,
        hashes: &all.hashes,
        logits: &all.logits,
        bits: info.bits,
    };
    let hashes = output.hashes();
    let new = Output {
        codes: &output.codes,
        code_len: head.code_len(),
        hashes: &hashes,
        logits: &output.logits,
        bits: head.bits(),
    };
    let has_codes = !all.codes.is_empty();
    let known = info.similarity.as_ref().filter(|_| has_codes);
    let similarity = similarity_of(known, (&old, info.hash_weight), (&new, head.hash_weight()));
    let judged = Judged {
        before: has_codes.then(|| judge.score(&old, info.hash_weight)),
        after: judge.score(&new, head.hash_weight()),
    };
    Ok((Some(judged), similarity))
}

/// Checks what can be checked before the work.
fn check_before(engine: &Engine, images: usize, options: &TrainOptions) -> Result<()> {
    require_enough(images, "were found", options)?;
    require_views(options)?;
    if engine.info().feature_len.is_none() {
        return Err(Error::NoFeatures {
            name: engine.info().name.clone(),
        });
    }
    Ok(())
}

/// Returns the features of the images, and whether they came from the cache.
fn features(
    engine: &Engine,
    paths: &[PathBuf],
    options: &TrainOptions,
    progress: &dyn Progress,
) -> Result<(Extracted, bool)> {
    let extract_options = ExtractOptions {
        views: options.views,
        seed: match options.features {
            Some(_) => 0,
            None => options.head.seed,
        },
        purpose: options.purpose,
    };
    match &options.features {
        Some(file) => extract_cached(file, engine, paths, extract_options, progress),
        None => Ok((extract(engine, paths, extract_options, progress)?, false)),
    }
}

/// Trains the head on the first `trained_on` images.
fn fit(
    trunk: &EncoderFile,
    all: &Extracted,
    trained_on: usize,
    options: &TrainOptions,
    progress: &dyn Progress,
) -> Result<(Head, Vec<EpochReport>)> {
    let d = all.feature_len;
    let set = TrainingSet {
        clean: &all.features[..trained_on * d],
        views: all
            .views
            .iter()
            .map(|view| &view[..trained_on * d])
            .collect(),
        d,
        prior: ClassifierPrior::of(trunk)?,
    };
    let mut epochs = Vec::new();
    let head = match options.purpose {
        Purpose::Copies => train_copies_head(&set, &options.head)?,
        Purpose::Similar => train_head(&set, &options.head, &mut |report| {
            progress.epoch(report);
            epochs.push(*report);
            flow(progress)
        })?,
    };
    check_cancelled(progress)?;
    Ok((head, epochs))
}

/// Returns how good the encoder is that computed the features. A trunk for copies has no codes to
/// compare with.
fn before(engine: &Engine, all: &Extracted, trained_on: usize) -> Option<Preservation> {
    let info = engine.info();
    (!all.codes.is_empty()).then(|| {
        preservation(
            all,
            trained_on,
            &Codes {
                codes: &all.codes,
                code_len: info.code_len,
                hashes: &all.hashes,
                bits: info.bits,
                hash_weight: info.hash_weight,
            },
        )
    })
}

fn require_enough(n: usize, what: &str, options: &TrainOptions) -> Result<()> {
    let code_len = options.head.code_len;
    let min = min_images(code_len);
    if n >= min {
        return Ok(());
    }
    let mut text = format!(
        "{n} images {what}, and a code of {code_len} numbers needs at least {min}; a hundred is a start, thousands are \
         better"
    );
    if n >= min_images(1) {
        text += ". A shorter code needs fewer: see --code";
    }
    Err(Error::TooFewImages(text))
}

/// Refuses to learn from altered copies if there are none.
fn require_views(options: &TrainOptions) -> Result<()> {
    let head = &options.head;
    let needed = match options.purpose {
        Purpose::Copies => true,
        Purpose::Similar => head.hidden > 0 && head.neighbours == 0,
    };
    if needed && options.views == 0 {
        return Err(imgsearch_train::Error::InvalidInput(
            "without altered copies and without neighbours there is nothing to learn from; use at least --views 1"
                .to_owned(),
        )
        .into());
    }
    Ok(())
}
