//! Training an encoder on one's own photographs.
//!
//! The trunk's features of every photograph and of a few altered copies are computed once, an
//! autoencoder is trained on them without labels ([`imgsearch_onnx::train`]), and its encoder
//! half is written behind the trunk into one file that `index` and `query` take.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use imgsearch_onnx::EncoderFile;
use imgsearch_onnx::train::{
    EpochReport, Head, Identity, Metric, TrainOptions as HeadOptions, TrainingSet,
    neighbourhood_preservation,
};
use serde::Serialize;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::extract::{ExtractOptions, Extracted, extract};

/// Altered copies of each photograph, where nothing else is asked for.
pub const DEFAULT_VIEWS: usize = 2;

/// One photograph in so many is held out of the training and judges it.
const HELD_OUT: usize = 10;

/// How many of the nearest neighbours by features count for the preservation measure.
pub const NEIGHBOURS: usize = 10;

/// How training is done.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TrainOptions {
    /// The head's architecture, losses and schedule.
    pub head: HeadOptions,
    /// Altered copies of each photograph.
    pub views: usize,
    /// The encoder's name, kept in the file.
    pub name: String,
    /// What was trained on, in words, kept in the file.
    pub data: String,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self {
            head: HeadOptions::default(),
            views: DEFAULT_VIEWS,
            name: "trained".to_owned(),
            data: String::new(),
        }
    }
}

/// Told how training goes on.
pub trait TrainProgress {
    /// So many photographs of all have been encoded.
    fn extracted(&mut self, _done: usize, _of: usize) {}

    /// A photograph cannot be used.
    fn failed(&mut self, _path: &Path, _reason: &str) {}

    /// A pass over the photographs is done.
    fn epoch(&mut self, _report: &EpochReport) {}
}

/// How well neighbourhoods are kept: the share of each held-out photograph's [`NEIGHBOURS`]
/// nearest by features that are among as many nearest by the code, or by the hash.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Preservation {
    /// By the code.
    pub code: f64,
    /// By the hash.
    pub hash: f64,
}

/// What training gave.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Trained {
    /// The new encoder.
    pub file: EncoderFile,
    /// Photographs trained on.
    pub photographs: usize,
    /// Photographs held out.
    pub held_out: usize,
    /// The encoder whose features were trained on, judged by the held-out photographs; none for
    /// a bare trunk.
    pub before: Option<Preservation>,
    /// The new encoder, judged by the held-out photographs.
    pub after: Preservation,
    /// Seconds for computing the features.
    pub extract_seconds: f64,
    /// Seconds for training on them.
    pub train_seconds: f64,
}

/// Trains an encoder on the photographs at `paths`, on the features of `engine`'s encoder.
///
/// # Errors
///
/// [`Error::TooFewImages`], what extraction and training report, and [`Error::Interrupted`].
pub fn train(
    engine: &Engine,
    paths: &[PathBuf],
    options: &TrainOptions,
    stop: &AtomicBool,
    progress: &mut dyn TrainProgress,
) -> Result<Trained> {
    let started = std::time::Instant::now();
    let extract_options = ExtractOptions {
        views: options.views,
        seed: options.head.seed,
    };
    let mut all = extract(engine, paths, extract_options, stop, &mut |done| {
        progress.extracted(done, paths.len());
    })?;
    for (path, reason) in &all.failed {
        progress.failed(path, reason);
    }
    let extract_seconds = started.elapsed().as_secs_f64();
    if all.paths.len() < HELD_OUT * 2 {
        return Err(Error::TooFewImages(format!(
            "{} photographs could be used, and training needs at least {}; a hundred is a start, thousands are \
             better",
            all.paths.len(),
            HELD_OUT * 2
        )));
    }
    let judges = split_off_judges(&mut all);

    let started = std::time::Instant::now();
    let set = TrainingSet {
        clean: &all.features,
        views: all.views.iter().map(Vec::as_slice).collect(),
        d: all.feature_len,
        metric: Metric::of(engine.file())?,
    };
    let head = imgsearch_onnx::train::train_head(&set, &options.head, &mut |report| {
        progress.epoch(report);
        if stop.load(std::sync::atomic::Ordering::Relaxed) {
            std::ops::ControlFlow::Break(())
        } else {
            std::ops::ControlFlow::Continue(())
        }
    })?;
    if stop.load(std::sync::atomic::Ordering::Relaxed) {
        return Err(Error::Interrupted);
    }
    let train_seconds = started.elapsed().as_secs_f64();

    let info = engine.info();
    let before = (!judges.codes.is_empty())
        .then(|| preservation(&judges, &judges.codes, info.code_len, &judges.hashes));
    let after = judge(&head, &judges);
    let file = head.encoder_file(
        engine.file(),
        &Identity {
            name: options.name.clone(),
            training_data: options.data.clone(),
            photographs: all.paths.len(),
        },
    )?;
    Ok(Trained {
        file,
        photographs: all.paths.len(),
        held_out: judges.paths.len(),
        before,
        after,
        extract_seconds,
        train_seconds,
    })
}

fn judge(head: &Head, judges: &Extracted) -> Preservation {
    let output = head.apply(&judges.features, judges.paths.len());
    preservation(judges, &output.codes, head.code_len(), &output.hashes())
}

fn preservation(judges: &Extracted, codes: &[f32], code_len: usize, hashes: &[u8]) -> Preservation {
    let n = judges.paths.len();
    Preservation {
        code: neighbourhood_preservation(
            &judges.features,
            judges.feature_len,
            n,
            NEIGHBOURS,
            |a, b| imgsearch_index::l2_squared(row(codes, code_len, a), row(codes, code_len, b)),
        ),
        hash: neighbourhood_preservation(
            &judges.features,
            judges.feature_len,
            n,
            NEIGHBOURS,
            |a, b| {
                let bytes = hashes.len() / n;
                imgsearch_index::hamming(row(hashes, bytes, a), row(hashes, bytes, b)) as f32
            },
        ),
    }
}

fn row<T>(rows: &[T], length: usize, i: usize) -> &[T] {
    &rows[i * length..(i + 1) * length]
}

/// Takes every [`HELD_OUT`]-th photograph out.
fn split_off_judges(all: &mut Extracted) -> Extracted {
    let n = all.paths.len();
    let held = |i: usize| i % HELD_OUT == HELD_OUT - 1;
    let mut judges = Extracted {
        feature_len: all.feature_len,
        ..Extracted::default()
    };
    fn part<T: Clone>(rows: &mut Vec<T>, n: usize, held: impl Fn(usize) -> bool) -> Vec<T> {
        let length = rows.len() / n;
        let (mut out, mut kept) = (Vec::new(), Vec::new());
        if length > 0 {
            for (i, row) in rows.chunks_exact(length).enumerate() {
                (if held(i) { &mut out } else { &mut kept }).extend_from_slice(row);
            }
        }
        *rows = kept;
        out
    }
    judges.paths = part(&mut all.paths, n, held);
    judges.features = part(&mut all.features, n, held);
    judges.codes = part(&mut all.codes, n, held);
    judges.hashes = part(&mut all.hashes, n, held);
    judges.views = all
        .views
        .iter_mut()
        .map(|view| part(view, n, held))
        .collect();
    judges
}
