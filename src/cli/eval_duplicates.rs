//! `imgsearch eval --duplicates`: how many edited copies are found, and how much else.

use std::fs;
use std::path::{Path, PathBuf};

use imgsearch::onnx::EncoderFile;
use imgsearch::train::eval::duplicates::{DuplicatesEval, DuplicatesReport, duplicates};
use imgsearch::{Progress, WalkOptions, walk};
use serde_json::json;

use super::Result;
use super::args::{EvalArgs, Global};
use super::output::{count, shown, with_path};
use super::setup::{encoder_file, engine_options};
use super::streams::out;

/// The list of all files in a folder that is kept.
const LIST: &str = "files.jsonl";

/// Pairs that are wrong are named, up to this number of them.
const MOST_NAMED: usize = 10;

/// Edits pictures of `folder` and finds them again.
pub fn measure(
    global: &Global,
    args: &EvalArgs,
    folder: &Path,
    progress: &dyn Progress,
) -> Result<DuplicatesReport> {
    let encoder = match args.encoder.first() {
        Some(path) => encoder_file(path)?,
        None => EncoderFile::default_encoder()?,
    };
    let walked = walk(&[folder.to_owned()], &WalkOptions::default())?;
    let paths: Vec<PathBuf> = walked.candidates.into_iter().map(|one| one.path).collect();
    let mut options = DuplicatesEval::default();
    options.seed = args.seed;
    options.engine = engine_options(global, Some(&args.limits));
    let Some(kept) = &args.keep_files else {
        let work = tempfile::tempdir()?;
        return Ok(duplicates(
            &encoder,
            &paths,
            &options,
            work.path(),
            progress,
        )?);
    };
    // Files of another evaluation would be taken for those of this one.
    fs::create_dir(kept)
        .map_err(|error| format!("cannot create the folder {}: {error}", shown(kept)))?;
    let report = duplicates(&encoder, &paths, &options, kept, progress)?;
    let lines = report.files.iter().map(|file| {
        let line = with_path(json!(file), "path", &file.path);
        format!("{line}\n")
    });
    imgsearch::save(&kept.join(LIST), lines.collect::<String>().as_bytes())?;
    Ok(report)
}

/// Prints a line for each edit, and what is wrong.
pub fn print(report: &DuplicatesReport) {
    out!(
        "\nduplicates: {} pictures edited in {} ways among {} strangers, by {}",
        count(report.edited as u64),
        report.rows.len(),
        count(report.strangers as u64),
        report.encoder
    );
    out!(
        "{:<24}  {:>9}  {:>9}  {:>9}  {:>9}",
        "edit",
        "recall",
        "precision",
        "dHash",
        "pHash"
    );
    for row in &report.rows {
        let cells = [row.recall, row.precision, row.dhash, row.phash];
        let cells: String = cells
            .iter()
            .map(|share| format!("  {:>7.2} %", share * 100.0))
            .collect();
        out!("{:<24}{cells}", row.edit.name());
    }
    let mean = |of: fn(&imgsearch::train::eval::duplicates::DuplicatesRow) -> f64| {
        report.rows.iter().map(of).sum::<f64>() / report.rows.len().max(1) as f64
    };
    let all = [
        report.recall,
        report.precision,
        mean(|row| row.dhash),
        mean(|row| row.phash),
    ];
    let cells: String = all
        .iter()
        .map(|share| format!("  {:>7.2} %", share * 100.0))
        .collect();
    out!("{:<24}{cells}", "all");
    let bits = |threshold: Option<usize>| {
        threshold.map_or_else(|| "none".to_owned(), |bits| format!("{bits} bits"))
    };
    out!(
        "{} right pairs and {} wrong ones; {} pairs were near and {} compared in {:.1} s, indexing the copies included; \
         thresholds of dHash and pHash: {}, {}",
        count(report.right as u64),
        count(report.wrong.len() as u64),
        count(report.pairs.0 as u64),
        count(report.pairs.1 as u64),
        report.seconds,
        bits(report.thresholds.0),
        bits(report.thresholds.1)
    );
    for (one, other) in report.wrong.iter().take(MOST_NAMED) {
        out!("wrong: {} and {}", shown(one), shown(other));
    }
    let pairs: usize = report
        .alike
        .iter()
        .map(|group| group.len() * (group.len() - 1) / 2)
        .sum();
    out!(
        "before anything was edited, the folder held {} groups of {} pairs; --json lists them",
        count(report.alike.len() as u64),
        count(pairs as u64)
    );
}
