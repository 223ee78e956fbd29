//! Extraction: features, codes and hashes of many image files, without an index.
//!
//! Training and evaluation start from them.

use std::path::{Path, PathBuf};

use crate::decode::{self, DecodeError, Geometry, Limits, Rgb, Source};
use crate::encode::engine::{Engine, Worker};
use crate::error::Result;
use crate::indexing::worker_pool::Jobs;
use crate::progress::Progress;
use crate::train::augment::{self, Purpose, View};
use crate::train::jobs::{self, report_unusable};

/// The result of [`extract`], row by row in the order of the paths.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Extracted {
    /// The images that could be encoded.
    pub paths: Vec<PathBuf>,
    /// Features, `[images, feature_len]`, row-major.
    pub features: Vec<f32>,
    /// Features of altered copies of the images, one matrix of that shape for each view.
    pub views: Vec<Vec<f32>>,
    /// Codes, `[images, code_len]`; empty for a trunk.
    pub codes: Vec<f32>,
    /// Packed hashes, `[images, ceil(bits / 8)]`; empty for a trunk.
    pub hashes: Vec<u8>,
    /// Logits of the hashes' bits, `[images, bits]`; empty for a trunk.
    pub logits: Vec<f32>,
    /// Numbers in a row of features; 0 if the encoder declares none.
    pub feature_len: usize,
    /// The images that could not be encoded, and the reasons.
    pub failed: Vec<(PathBuf, String)>,
    /// Whether some of those were not tried ([`DecodeError::is_untried`]).
    pub(crate) untried: bool,
}

/// Options of [`extract`].
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct ExtractOptions {
    /// Altered copies of each image to extract features of.
    pub views: usize,
    /// Seed of the alterations.
    pub seed: u64,
    /// The purpose of the alterations.
    pub purpose: Purpose,
}

/// The features, codes and hash of one image.
struct Row {
    features: Vec<f32>,
    views: Vec<Vec<f32>>,
    code: Vec<f32>,
    hash: Vec<u8>,
    logits: Vec<f32>,
}

/// The reason why an image has no row.
struct Failed {
    reason: String,
    untried: bool,
}

impl From<String> for Failed {
    fn from(reason: String) -> Self {
        Self {
            reason,
            untried: false,
        }
    }
}

impl From<DecodeError> for Failed {
    fn from(error: DecodeError) -> Self {
        Self {
            reason: error.to_string(),
            untried: error.is_untried(),
        }
    }
}

/// Encodes the files at `paths` on all workers of the engine.
///
/// # Errors
///
/// The errors of the encoder, and [`Error::Interrupted`](crate::Error::Interrupted). An image that
/// cannot be decoded is listed in [`Extracted::failed`].
pub fn extract(
    engine: &Engine,
    paths: &[PathBuf],
    options: ExtractOptions,
    progress: &dyn Progress,
) -> Result<Extracted> {
    let feature_len = engine.info().feature_len.unwrap_or(0);
    let mut extracted = Extracted {
        feature_len,
        views: vec![Vec::new(); options.views],
        ..Extracted::default()
    };
    let batch = engine.batch();
    jobs::run(
        Jobs::in_order(engine.threads(), paths.len(), batch),
        progress,
        || engine.worker(),
        |worker, range| {
            rows(
                worker,
                engine.limits(),
                &paths[range.clone()],
                range.start,
                options,
            )
        },
        |range, rows| {
            let end = range.end;
            for (i, row) in range.zip(rows) {
                match row {
                    Ok(row) => {
                        extracted.paths.push(paths[i].clone());
                        extracted.features.extend_from_slice(&row.features);
                        extracted.codes.extend_from_slice(&row.code);
                        extracted.hashes.extend_from_slice(&row.hash);
                        extracted.logits.extend_from_slice(&row.logits);
                        for (all, view) in extracted.views.iter_mut().zip(&row.views) {
                            all.extend_from_slice(view);
                        }
                    }
                    Err(failed) => {
                        extracted.untried |= failed.untried;
                        extracted.failed.push((paths[i].clone(), failed.reason));
                    }
                }
            }
            progress.encoded(end, paths.len());
            Ok(())
        },
    )?;
    report_unusable(&extracted.failed, progress);
    Ok(extracted)
}

/// Returns view `v` of image number `i`, in the encoder's size.
fn alteration(
    image: &Rgb,
    options: ExtractOptions,
    (i, v): (usize, usize),
    geometry: &Geometry,
) -> Result<Vec<u8>, String> {
    match options.purpose {
        Purpose::Similar => {
            let view = View::draw(options.seed, i as u64, v as u64);
            augment::apply(image, view, geometry)
        }
        Purpose::Copies => {
            let copy = augment::copy(image, options.seed, i as u64, v as u64)?;
            decode::resized(&copy, geometry).map_err(|error| error.to_string())
        }
    }
}

/// Returns the rows of a chunk of files. The first file has number `start`.
fn rows(
    worker: &mut Worker,
    limits: &Limits,
    paths: &[PathBuf],
    start: usize,
    options: ExtractOptions,
) -> Result<Vec<Result<Row, Failed>>> {
    let size = worker.image_bytes();
    let geometry = worker.geometry();
    let mut pixels = Vec::with_capacity(paths.len() * size);
    // The altered copies, view after view.
    let mut altered = vec![Vec::with_capacity(paths.len() * size); options.views];
    let mut rows = Vec::with_capacity(paths.len());
    let mut file = Source::default();
    let mut decoded = |i: usize, path: &Path| -> Result<_, Failed> {
        file.reopen(path, limits)
            .map_err(|error| error.to_string())?;
        let mut clean = vec![0; size];
        worker.decode_into(&file, &mut clean)?;
        let mut views = Vec::new();
        if options.views > 0 {
            let whole = worker.decode_whole(&file)?;
            for v in 0..options.views {
                views.push(alteration(&whole, options, (start + i, v), &geometry)?);
            }
        }
        Ok((clean, views))
    };
    for (i, path) in paths.iter().enumerate() {
        let decoded = decoded(i, path);
        rows.push(decoded.map(|(clean, views)| {
            pixels.extend_from_slice(&clean);
            for (all, view) in altered.iter_mut().zip(views) {
                all.extend_from_slice(&view);
            }
        }));
    }
    let n = pixels.len() / size;
    if n == 0 {
        return Ok(rows
            .into_iter()
            .filter_map(|row| row.err().map(Err))
            .collect());
    }
    let encodings = worker.encode(&pixels, n)?;
    let views = altered
        .iter()
        .map(|pixels| worker.encode(pixels, n))
        .collect::<Result<Vec<_>>>()?;
    let mut good = 0..n;
    Ok(rows
        .into_iter()
        .map(|row| {
            row.map(|()| {
                let i = good.next().unwrap_or_default();
                Row {
                    features: encodings.features(i).to_vec(),
                    views: views.iter().map(|view| view.features(i).to_vec()).collect(),
                    code: encodings.code(i).to_vec(),
                    hash: encodings.hash(i),
                    logits: encodings.logits(i).to_vec(),
                }
            })
        })
        .collect())
}
