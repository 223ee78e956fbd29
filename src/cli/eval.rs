//! `imgsearch eval`.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use imgsearch::train::dataset::{self, Labelled, Part};
use imgsearch::train::eval::copies::{CopiesReport, copies};
use imgsearch::train::eval::{Baselines, Judged, Protocol, Report, Row, evaluate};
use imgsearch::train::extract::{ExtractOptions, Extracted, extract};
use imgsearch::train::perceptual::{self, Perceptual};
use imgsearch::{Engine, WalkOptions, walk};
use serde_json::json;

use super::args::{EvalArgs, Global};
use super::output::{bar, count, shown, with_path};
use super::setup::engine;
use super::signals::stop_flag;
use super::streams::{out, say};
use super::{Outcome, Result, html};

pub fn run(global: &Global, args: &EvalArgs) -> Result {
    // Before the work, not after it.
    let part: Part = args.part.parse()?;
    let protocol = match &args.protocol {
        Some(text) => text.parse()?,
        None => Protocol::default(),
    };
    if let Some(page) = &args.html {
        super::train::check_output(page)?;
    }
    let files: Vec<Option<&Path>> = if args.encoder.is_empty() {
        vec![None]
    } else {
        args.encoder
            .iter()
            .map(|path| Some(path.as_path()))
            .collect()
    };
    let engines = files
        .into_iter()
        .map(|file| {
            let engine = engine(global, file, Some(&args.limits))?;
            engine.file().require_codes()?;
            Ok(engine)
        })
        .collect::<Result<Vec<Engine>>>()?;
    let stop = stop_flag("stopping")?;
    let mut outcome = Outcome::Done;
    let (mut report, mut of_copies) = (None, Vec::new());
    if let Some(folder) = &args.folder {
        let made = judge(global, args, (folder, part, protocol), &engines, &stop)?;
        if made.1 > 0 {
            outcome = Outcome::Partial;
        }
        report = Some(made.0);
    }
    if let Some(folder) = &args.copies {
        let walked = walk(std::slice::from_ref(folder), &WalkOptions::default())?;
        let paths: Vec<PathBuf> = walked.candidates.into_iter().map(|one| one.path).collect();
        for engine in &engines {
            let bar = bar(global, args.json, paths.len() as u64, "photographs edited");
            let made = copies(engine, &paths, &stop, &mut |done| {
                bar.set_position(done as u64);
            })?;
            bar.finish_and_clear();
            if !made.failed.is_empty() {
                outcome = Outcome::Partial;
            }
            for (path, reason) in &made.failed {
                say!("{}: {reason}", shown(path));
            }
            of_copies.push(made);
        }
    }
    if let Some(page) = &args.html {
        imgsearch::save(page, html::page(report.as_ref(), &of_copies)?.as_bytes())?;
    }
    if args.json {
        let mut value = match &report {
            Some(report) => serde_json::to_value(report)?,
            None => json!({}),
        };
        if report.is_some() {
            value["part"] = json!(part.to_string());
        }
        if !of_copies.is_empty() {
            let made = of_copies.iter_mut().map(copies_json);
            value["copies"] = made.collect::<Result<_>>()?;
        }
        out!("{value}");
        return Ok(outcome);
    }
    if let Some(report) = &report {
        print(report, part);
    }
    for made in &of_copies {
        print_copies(made);
    }
    if let Some(page) = args.html.as_ref().filter(|_| !global.quiet) {
        out!("\nwrote {}", page.display());
    }
    Ok(outcome)
}

/// Encodes the labelled images with every encoder and scores them; the report, and how many images
/// could not be used.
fn judge(
    global: &Global,
    args: &EvalArgs,
    (folder, part, protocol): (&Path, Part, Protocol),
    engines: &[Engine],
    stop: &AtomicBool,
) -> Result<(Report, usize)> {
    let list = |folder: &Path| dataset::list(folder, part, &WalkOptions::default());
    let (train, test) = (folder.join("train"), folder.join("test"));
    let apart = matches!(protocol, Protocol::Split { .. }) && train.is_dir() && test.is_dir();
    let (own, asking): (Labelled, Option<Labelled>) = if apart {
        (list(&train)?, Some(list(&test)?))
    } else {
        (list(folder)?, None)
    };
    let chosen = protocol.choose(own, asking, args.seed)?;
    let mut all: Vec<(Extracted, f64)> = Vec::new();
    for engine in engines {
        let bar = bar(global, args.json, chosen.paths.len() as u64, "images");
        let started = Instant::now();
        let paths = all.first().map_or(&chosen.paths, |(first, _)| &first.paths);
        let options = ExtractOptions::default();
        let extracted = extract(engine, paths, options, stop, &mut |done| {
            bar.set_position(done as u64);
        })?;
        bar.finish_and_clear();
        all.push((extracted, started.elapsed().as_secs_f64()));
    }
    let failed: Vec<_> = all.iter().flat_map(|(one, _)| &one.failed).collect();
    for (path, reason) in &failed {
        say!("{}: {reason}", shown(path));
    }
    let read = &all[0].0.paths;
    let hashes = if args.no_baselines {
        None
    } else {
        Some(perceptual_hashes(&engines[0], read, stop)?)
    };
    let mut baselines = Baselines::default();
    baselines.of_features = !args.no_baselines;
    baselines.perceptual = hashes.as_deref();
    let judged: Vec<Judged<'_>> = engines
        .iter()
        .zip(&all)
        .map(|(engine, (extracted, seconds))| Judged {
            info: engine.info(),
            extracted,
            seconds: *seconds,
        })
        .collect();
    let scoring = bar(global, args.json, 0, "");
    let report = evaluate(
        &judged,
        chosen.sets(read),
        &chosen.words,
        baselines,
        &mut |name| scoring.set_message(format!("scoring {name}")),
    )?;
    scoring.finish_and_clear();
    Ok((report, failed.len()))
}

fn perceptual_hashes(
    engine: &Engine,
    paths: &[PathBuf],
    stop: &AtomicBool,
) -> Result<Vec<Perceptual>> {
    let limits = (engine.limits(), engine.threads());
    let made = perceptual::of_files(paths, limits, stop)?;
    paths
        .iter()
        .zip(made)
        .map(|(path, made)| made.map_err(|reason| format!("{}: {reason}", shown(path)).into()))
        .collect()
}

fn print(report: &Report, part: Part) {
    out!("{}", report.protocol);
    out!(
        "{} queries, {} images of {} classes, part {part}",
        count(report.queries as u64),
        count(report.database as u64),
        count(report.classes as u64)
    );
    for encoder in &report.encoders {
        out!(
            "encoder {} ({}): {:.0} images/s decoded and encoded",
            encoder.name,
            encoder.fingerprint,
            encoder.images_per_second
        );
    }
    let cutoff = format!("mAP@{}", report.cutoff);
    let head = format!(
        "{:<18} {:>6} {:>6}  {:>6}  {:>11}  {cutoff:>8}  {:>6}  {:>6}  {:>6}  {:>8}  {:>7}  {:>7}",
        "ranked by",
        "length",
        "bytes",
        "mAP",
        "of features",
        "P@1",
        "P@10",
        "kept",
        "distinct",
        "balance",
        "correl."
    );
    let mut group: Option<&Option<String>> = None;
    for row in &report.rows {
        if group != Some(&row.encoder) {
            out!(
                "\n{}\n{head}",
                row.encoder.as_deref().unwrap_or("baselines")
            );
            group = Some(&row.encoder);
        }
        out!("{}", line(row));
    }
    out!(
        "\nkept: share of the ten nearest by features that are among the ten nearest; balance: how often the rarer \
         value of a bit occurs, doubled; correl.: mean absolute correlation of two bits"
    );
}

fn line(row: &Row) -> String {
    let or_nothing = |value: Option<f64>, digits: usize| {
        value.map_or_else(String::new, |value| format!("{value:.digits$}"))
    };
    format!(
        "{:<18} {:>6} {:>6}  {:.4}  {:>11}  {:>8.4}  {:.4}  {:.4}  {:>6}  {:>8}  {:>7}  {:>7}",
        row.representation,
        row.length,
        row.bytes,
        row.score.map,
        or_nothing(row.map_of_features, 3),
        row.score.map_at_cutoff,
        row.score.precision_at[0],
        row.score.precision_at_10(),
        or_nothing(row.score.neighbours_kept, 3),
        or_nothing(row.bits.map(|bits| bits.distinct), 3),
        or_nothing(row.bits.map(|bits| bits.balance), 3),
        or_nothing(row.bits.map(|bits| bits.correlation), 3),
    )
    .trim_end()
    .to_owned()
}

fn print_copies(report: &CopiesReport) {
    out!(
        "\ncopies of {} photographs recognised by {}, at a precision of {:.1} %",
        count(report.photographs as u64),
        report.encoder,
        report.precision * 100.0
    );
    let columns = report.rows.iter();
    let heads: String = columns
        .map(|row| format!("  {:>16}", row.representation))
        .collect();
    out!("{:<24}{heads}", "edit");
    for (i, edit) in report.edits.iter().enumerate() {
        let columns = report.rows.iter();
        let cells: String = columns
            .map(|row| format!("  {:>14.1} %", row.recall[i] * 100.0))
            .collect();
        out!("{:<24}{cells}", edit.name());
    }
}

/// A report as JSON, with those names in it that are no text, too.
fn copies_json(report: &mut CopiesReport) -> Result<serde_json::Value> {
    let failed = std::mem::take(&mut report.failed);
    let mut value = serde_json::to_value(report)?;
    value["failed"] = failed
        .iter()
        .map(|(path, reason)| with_path(json!({"reason": reason}), "path", path))
        .collect();
    Ok(value)
}
