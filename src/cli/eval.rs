//! `imgsearch eval`.

use std::collections::HashMap;

use imgsearch::WalkOptions;
use imgsearch::eval::{Report, evaluate};
use imgsearch::extract::{ExtractOptions, extract};
use imgsearch::labelled::{self, Part};
use serde_json::json;

use super::args::{EvalArgs, Global};
use super::output::{bar, count, shown};
use super::setup::{engine, stop_flag};
use super::{Outcome, Result};

pub fn run(global: &Global, args: &EvalArgs) -> Result {
    let part: Part = args.part.parse()?;
    let listed = labelled::list(&args.folder, part, &WalkOptions::default())?;
    let engine = engine(global, args.encoder.as_deref(), Some(&args.limits))?;
    engine.file().require_codes()?;
    let stop = stop_flag("stopping")?;
    let bar = bar(global, args.json, listed.paths.len() as u64, "images");
    let extracted = extract(
        &engine,
        &listed.paths,
        ExtractOptions::default(),
        &stop,
        &mut |done| {
            bar.set_position(done as u64);
        },
    )?;
    bar.finish_and_clear();
    for (path, reason) in &extracted.failed {
        eprintln!("{}: {reason}", shown(path));
    }
    let class_of: HashMap<_, _> = listed.paths.iter().zip(&listed.labels).collect();
    let labels: Vec<usize> = extracted.paths.iter().map(|path| *class_of[path]).collect();
    let report = evaluate(
        &engine,
        &extracted,
        &labels,
        !args.no_baselines,
        &mut |_| {},
    )?;
    if args.json {
        let mut value = serde_json::to_value(&report)?;
        value["part"] = json!(part.to_string());
        println!("{value}");
    } else {
        print(&report, part);
    }
    Ok(if extracted.failed.is_empty() {
        Outcome::Done
    } else {
        Outcome::Lacking
    })
}

fn print(report: &Report, part: Part) {
    println!(
        "{} ({}) on {} images of {} classes, part {part}; leave-one-out, ties by order of paths",
        report.encoder,
        report.fingerprint,
        count(report.images as u64),
        count(report.classes as u64)
    );
    println!();
    println!(
        "{:<14} {:>8} {:>6}  {:>6}  {:>11}  {:>6}  {:>8}",
        "ranked by", "length", "bytes", "mAP", "of features", "P@10", "distinct"
    );
    for row in &report.rows {
        println!(
            "{:<14} {:>8} {:>6}  {:.4}  {:>11.3}  {:.4}  {:>8}",
            row.representation,
            row.length,
            row.bytes,
            row.score.map,
            row.map_of_features,
            row.score.precision_at_10,
            row.distinct
                .map_or_else(String::new, |share| format!("{share:.3}"))
        );
    }
}
