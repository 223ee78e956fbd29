//! Training and evaluation of encoders.

use std::path::{Path, PathBuf};
use std::time::Instant;

use imgsearch::train::dataset::{self, Part};
use imgsearch::train::eval::{self, Baselines, EncoderOutput, Protocol};
use imgsearch::train::extract::{ExtractOptions, extract};
use imgsearch::train::{Purpose, TrainOptions, Trained};
use imgsearch::{Engine, WalkOptions, save, walk};
use pyo3::prelude::*;
use serde_json::json;

use crate::encoder::{encoder_file, engine_options};
use crate::errors::{Kind, error, raised};
use crate::library::to_json;
use crate::process;
use crate::progress::{Reporter, run};

/// Trains an encoder on the images at and below paths, and writes it. Returns what came of it as JSON.
#[pyfunction]
#[expect(
    clippy::too_many_arguments,
    reason = "the Python side gives them names"
)]
pub fn train(
    py: Python<'_>,
    paths: Vec<PathBuf>,
    output: PathBuf,
    encoder: Option<PathBuf>,
    purpose: &str,
    name: Option<String>,
    epochs: Option<usize>,
    report: Option<&Bound<'_, PyAny>>,
) -> PyResult<String> {
    process::check()?;
    let mut options = TrainOptions::default();
    options.purpose = match purpose {
        "similar" => Purpose::Similar,
        "copies" => Purpose::Copies,
        _ => {
            return Err(error(
                Kind::BadQuery,
                format!("purpose is \"similar\" or \"copies\", not {purpose:?}"),
            ));
        }
    };
    options.views = options.purpose.views();
    if let Some(name) = name {
        options.name = name;
    }
    if let Some(epochs) = epochs {
        options.head.epochs = epochs;
    }
    let trained = run(py, report, |progress| {
        let walked = walk(&paths, &WalkOptions::default()).map_err(raised)?;
        let images: Vec<PathBuf> = walked.candidates.into_iter().map(|one| one.path).collect();
        let engine = Engine::new(encoder_file(encoder)?, engine_options(0, "cpu")?);
        let engine = engine.map_err(raised)?;
        let trained = imgsearch::train::train(&engine, &images, &options, progress);
        let trained = trained.map_err(raised)?;
        save(&output, trained.file.bytes()).map_err(raised)?;
        Ok(trained)
    })?;
    let Trained {
        images,
        held_out,
        before,
        after,
        judged,
        train_seconds,
        extract_seconds,
        ..
    } = trained;
    to_json(&json!({
        "images": images, "held_out": held_out, "before": before, "after": after, "judged": judged,
        "extract_seconds": extract_seconds, "train_seconds": train_seconds,
    }))
}

/// Measures encoders on a folder with one folder for each class. Returns the report as JSON.
#[pyfunction]
pub fn evaluate(
    py: Python<'_>,
    folder: PathBuf,
    encoders: Vec<Option<PathBuf>>,
    protocol: Option<String>,
    baselines: bool,
    seed: u64,
    report: Option<&Bound<'_, PyAny>>,
) -> PyResult<String> {
    process::check()?;
    let bad = |message: String| error(Kind::BadQuery, message);
    let protocol: Protocol = match protocol {
        Some(text) => text.parse().map_err(bad)?,
        None => Protocol::default(),
    };
    run(py, report, |progress| {
        measure(&folder, encoders, protocol, baselines, seed, progress)
    })
}

fn measure(
    folder: &Path,
    encoders: Vec<Option<PathBuf>>,
    protocol: Protocol,
    baselines: bool,
    seed: u64,
    progress: &Reporter,
) -> PyResult<String> {
    let own = dataset::list(folder, Part::All, &WalkOptions::default()).map_err(raised)?;
    let chosen = protocol.choose(own, None, seed).map_err(raised)?;
    let mut engines = Vec::new();
    let mut all = Vec::new();
    let mut paths = chosen.paths.clone();
    for path in encoders {
        let engine = Engine::new(encoder_file(path)?, engine_options(0, "cpu")?);
        let engine = engine.map_err(raised)?;
        let started = Instant::now();
        let extracted = extract(&engine, &paths, ExtractOptions::default(), progress);
        let extracted = extracted.map_err(raised)?;
        paths.clone_from(&extracted.paths);
        all.push((extracted, started.elapsed().as_secs_f64()));
        engines.push(engine);
    }
    let outputs: Vec<EncoderOutput<'_>> = engines
        .iter()
        .zip(&all)
        .map(|(engine, (extracted, seconds))| EncoderOutput {
            info: engine.info(),
            extracted,
            seconds: *seconds,
        })
        .collect();
    let split = chosen.split(&paths);
    let mut wanted = Baselines::default();
    wanted.of_features = baselines;
    let report = eval::evaluate(&outputs, split, &chosen.description, wanted, progress);
    to_json(&report.map_err(raised)?)
}
