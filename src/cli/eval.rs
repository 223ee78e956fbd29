//! `imgsearch eval`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use imgsearch::train::dataset::{self, Labelled, Part};
use imgsearch::train::eval::copies::{CopiesReport, copies};
use imgsearch::train::eval::{
    Baselines, Chosen, EncoderOutput, MixtureRow, Protocol, Report, Row, evaluate, mixtures,
};
use imgsearch::train::extract::{ExtractOptions, Extracted, extract};
use imgsearch::train::perceptual::{self, Perceptual};
use imgsearch::{Engine, WalkOptions, walk};
use serde_json::json;

use super::args::{EvalArgs, Global};
use super::calibration::{self, Calibrated, calibrate};
use super::destination::check_output;
use super::output::{count, counted, shown, with_path};
use super::progress::{CommandProgress, Task};
use super::setup::engine;
use super::signals::stop_flag;
use super::streams::out;
use super::{Outcome, Result, eval_duplicates, eval_groups, eval_words, html};

pub fn run(global: &Global, args: &EvalArgs) -> Result {
    // Wrong arguments are reported before the work.
    let part: Part = args.part.parse()?;
    let protocol = match &args.protocol {
        Some(text) => text.parse()?,
        None => Protocol::default(),
    };
    if let Some(page) = &args.html {
        check_output(page)?;
    }
    calibration::check(args)?;
    let engines = open_encoders(global, args)?;
    let stop = stop_flag("stopping")?;
    let mut outcome = Outcome::Done;
    let (mut report, mut calibrated, mut of_copies) = (None, None, Vec::new());
    let mut of_mixtures = Vec::new();
    if let Some(folder) = &args.folder {
        let chosen = choose(args, folder, part, protocol)?;
        let progress = CommandProgress::new(Task::Evaluation, global, args.json, &stop);
        let made = measure(args, &chosen, &engines, &progress)?;
        progress.finish();
        if made.failed > 0 {
            outcome = Outcome::Partial;
        }
        report = Some(made.report);
        calibrated = made.calibrated;
        of_mixtures = made.mixtures;
    }
    if let (Some(calibrated), Some(file)) = (&calibrated, &args.calibrate) {
        calibration::write(&engines[0], calibrated, file)?;
    }
    if let Some(folder) = &args.copies {
        let walked = walk(std::slice::from_ref(folder), &WalkOptions::default())?;
        let paths: Vec<PathBuf> = walked.candidates.into_iter().map(|one| one.path).collect();
        for engine in &engines {
            let progress = CommandProgress::new(Task::Copies, global, args.json, &stop);
            let made = copies(engine, &paths, &progress)?;
            progress.finish();
            if !made.failed.is_empty() {
                outcome = Outcome::Partial;
            }
            of_copies.push(made);
        }
    }
    let of_duplicates = match &args.duplicates {
        Some(folder) => {
            let progress = CommandProgress::new(Task::Copies, global, args.json, &stop);
            let made = eval_duplicates::measure(global, args, folder, &progress)?;
            progress.finish();
            Some(made)
        }
        None => None,
    };
    let by_words = args
        .text
        .as_deref()
        .map(|folder| eval_words::ask(global, folder));
    let by_words = by_words.transpose()?;
    let of_groups = match &args.groups {
        Some(folder) => {
            let progress = CommandProgress::new(Task::Groups, global, args.json, &stop);
            let made = eval_groups::measure(global, folder, &progress)?;
            progress.finish();
            Some(made)
        }
        None => None,
    };
    if let Some(page) = &args.html {
        imgsearch::save(page, html::page(report.as_ref(), &of_copies)?.as_bytes())?;
    }
    if args.json {
        let mut value = to_json(report.as_ref(), &mut of_copies, part)?;
        if let Some(calibrated) = &calibrated {
            value["reliability"] = json!(calibrated.bins);
            value["similarity"] = json!(calibrated.map);
        }
        if !of_mixtures.is_empty() {
            let named = of_mixtures.iter();
            let named = named.map(|(name, rows)| json!({ "encoder": name, "rows": rows }));
            value["mixtures"] = named.collect();
        }
        if let Some(of_duplicates) = &of_duplicates {
            value["duplicates"] = json!(of_duplicates);
        }
        if let Some(by_words) = &by_words {
            value["words"] = json!(by_words);
        }
        if let Some(of_groups) = &of_groups {
            value["groups"] = json!(of_groups);
        }
        out!("{value}");
        return Ok(outcome);
    }
    if let Some(report) = &report {
        print(report, part);
    }
    if let Some(calibrated) = &calibrated {
        let written = args.calibrate.as_deref().filter(|_| !global.quiet);
        calibration::print(calibrated, written);
    }
    for (encoder, rows) in &of_mixtures {
        print_mixtures(encoder, rows);
    }
    for made in &of_copies {
        print_copies(made);
    }
    if let Some(made) = &of_duplicates {
        eval_duplicates::print(made);
    }
    if let (Some(folder), Some(by_words)) = (&args.text, &by_words) {
        eval_words::print(folder, by_words);
    }
    if let (Some(folder), Some(of_groups)) = (&args.groups, &of_groups) {
        eval_groups::print(folder, of_groups);
    }
    if let Some(page) = args.html.as_ref().filter(|_| !global.quiet) {
        out!("\nwrote {}", page.display());
    }
    Ok(outcome)
}

/// Returns the reports as JSON.
fn to_json(
    report: Option<&Report>,
    of_copies: &mut [CopiesReport],
    part: Part,
) -> Result<serde_json::Value> {
    let mut value = match report {
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
    Ok(value)
}

/// Opens the encoders to measure.
fn open_encoders(global: &Global, args: &EvalArgs) -> Result<Vec<Engine>> {
    let files: Vec<Option<&Path>> = if args.encoder.is_empty() {
        vec![None]
    } else {
        let files = args.encoder.iter();
        files.map(|path| Some(path.as_path())).collect()
    };
    files
        .into_iter()
        .map(|file| {
            let engine = engine(global, file, Some(&args.limits))?;
            engine.file().require_codes()?;
            Ok(engine)
        })
        .collect()
}

/// Chooses queries and database among the labelled images.
fn choose(args: &EvalArgs, folder: &Path, part: Part, protocol: Protocol) -> Result<Chosen> {
    let list = |folder: &Path| dataset::list(folder, part, &WalkOptions::default());
    let (train, test) = (folder.join("train"), folder.join("test"));
    let apart = matches!(protocol, Protocol::Split { .. }) && train.is_dir() && test.is_dir();
    let (own, queries): (Labelled, Option<Labelled>) = if apart {
        (list(&train)?, Some(list(&test)?))
    } else {
        (list(folder)?, None)
    };
    Ok(protocol.choose(own, queries, args.seed)?)
}

/// A report, and how many images could not be used for it.
struct Measured {
    report: Report,
    /// What similarities are worth, if there is one encoder and it has them.
    calibrated: Option<Calibrated>,
    /// How each encoder, by its name, answers questions of several images.
    mixtures: Vec<(String, Vec<MixtureRow>)>,
    failed: usize,
}

/// Encodes the chosen images with every encoder and scores the results.
fn measure(
    args: &EvalArgs,
    chosen: &Chosen,
    engines: &[Engine],
    progress: &CommandProgress<'_>,
) -> Result<Measured> {
    let mut all: Vec<(Extracted, f64)> = Vec::new();
    for engine in engines {
        let started = Instant::now();
        let paths = all.first().map_or(&chosen.paths, |(first, _)| &first.paths);
        let extracted = extract(engine, paths, ExtractOptions::default(), progress)?;
        all.push((extracted, started.elapsed().as_secs_f64()));
    }
    let read = &all[0].0.paths;
    let hashes = if args.no_baselines {
        None
    } else {
        Some(perceptual_hashes(&engines[0], read, progress)?)
    };
    let mut baselines = Baselines::default();
    baselines.of_features = !args.no_baselines;
    baselines.perceptual = hashes.as_deref();
    let outputs: Vec<EncoderOutput<'_>> = engines
        .iter()
        .zip(&all)
        .map(|(engine, (extracted, seconds))| EncoderOutput {
            info: engine.info(),
            extracted,
            seconds: *seconds,
        })
        .collect();
    let split = chosen.split(read);
    let calibrated = match (engines, all.as_slice()) {
        ([engine], [(extracted, _)]) => calibrate(args, engine, extracted, &split.labels)?,
        _ => None,
    };
    let mut of_mixtures = Vec::new();
    if args.mixtures {
        for (engine, (extracted, _)) in engines.iter().zip(&all) {
            let info = engine.info();
            let rows = mixtures(info, extracted, &split.labels, args.seed)?;
            of_mixtures.push((info.name.clone(), rows));
        }
    }
    Ok(Measured {
        calibrated,
        mixtures: of_mixtures,
        report: evaluate(&outputs, split, &chosen.description, baselines, progress)?,
        failed: all.iter().map(|(one, _)| one.failed.len()).sum(),
    })
}

fn perceptual_hashes(
    engine: &Engine,
    paths: &[PathBuf],
    progress: &CommandProgress<'_>,
) -> Result<Vec<Perceptual>> {
    let made = perceptual::of_files(paths, engine.limits(), engine.threads(), progress)?;
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
        "{:<24} {:>6} {:>6}  {:>6}  {:>11}  {cutoff:>8}  {:>6}  {:>6}  {:>6}  {:>8}  {:>7}  {:>7}",
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
         value of a bit occurs, times two; correl.: mean absolute correlation of two bits"
    );
}

fn line(row: &Row) -> String {
    let or_nothing = |value: Option<f64>, digits: usize| {
        value.map_or_else(String::new, |value| format!("{value:.digits$}"))
    };
    format!(
        "{:<24} {:>6} {:>6}  {:.4}  {:>11}  {:>8.4}  {:.4}  {:.4}  {:>6}  {:>8}  {:>7}  {:>7}",
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

fn print_mixtures(encoder: &str, rows: &[MixtureRow]) {
    out!(
        "\nquestions of several images, answered by {encoder}\n{:<36} {:>9}  {:>6}  {:>6}  {:>8}  {:>10}",
        "asked with",
        "questions",
        "mAP",
        "P@10",
        "alike@10",
        "similarity"
    );
    for row in rows {
        let mut asked = counted(row.images, "image", "images");
        if row.stored {
            asked += ", as it is stored";
        }
        if row.focus {
            asked += ", focus";
        }
        if row.less > 0.0 {
            asked += &format!(", less {} of a look-alike", row.less);
        }
        out!(
            "{asked:<36} {:>9}  {:.4}  {:.4}  {:>8.4}  {:>10}",
            count(row.questions as u64),
            row.map,
            row.precision_at_10,
            row.alike_at_10,
            row.similarity_error
                .map_or_else(String::new, |error| format!("{error:.3}"))
        );
    }
    out!(
        "alike@10: share of the class that looks most like the wanted one among the first ten; similarity: mean error of \
         the similarities, without expansion"
    );
}

fn print_copies(report: &CopiesReport) {
    out!(
        "\ncopies of {} images recognised by {}, at a precision of {:.1} %",
        count(report.images as u64),
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
    out!("\ncopies whose original comes first, and among the first ten, when they are the query");
    let heads: String = (report.found.iter())
        .map(|row| format!("  {:>24}", row.ranking))
        .collect();
    out!("{:<24}{heads}", "edit");
    for (i, edit) in report.edits.iter().enumerate() {
        let cells: String = (report.found.iter())
            .map(|row| {
                let (first, in_ten) = (row.first[i] * 100.0, row.in_ten[i] * 100.0);
                format!("  {first:>13.1} % {in_ten:>6.1} %")
            })
            .collect();
        out!("{:<24}{cells}", edit.name());
    }
}

/// Returns a report as JSON, including paths that are not UTF-8.
fn copies_json(report: &mut CopiesReport) -> Result<serde_json::Value> {
    let failed = std::mem::take(&mut report.failed);
    let mut value = serde_json::to_value(report)?;
    value["failed"] = failed
        .iter()
        .map(|(path, reason)| with_path(json!({"reason": reason}), "path", path))
        .collect();
    Ok(value)
}
