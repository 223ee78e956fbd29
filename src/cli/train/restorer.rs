//! `imgsearch train restorer`.

use std::sync::atomic::Ordering;

use imgsearch::onnx::RestorerTask;
use imgsearch::train::restoration::{Length, RestorerOptions, train_restorer};
use imgsearch::{save, walk};
use serde_json::json;

use crate::cli::args::{Global, RestorerArgs};
use crate::cli::destination::check_output;
use crate::cli::output::{bytes, count, duration, typed, with_path};
use crate::cli::progress::{CommandProgress, Task};
use crate::cli::setup::{engine_options, walk_options};
use crate::cli::signals::stop_flag;
use crate::cli::streams::{out, say};
use crate::cli::{Outcome, Result};

pub fn run(global: &Global, args: &RestorerArgs) -> Result {
    check_output(&args.output)?;
    let walked = walk(&args.paths, &walk_options(&args.walk))?;
    let paths: Vec<_> = walked.candidates.into_iter().map(|one| one.path).collect();
    let task = RestorerTask::from(args.task);
    let engine = engine_options(global, Some(&args.limits));
    let mut options = RestorerOptions::new(task);
    if let Some(minutes) = args.minutes {
        options.length = Length::Minutes(minutes);
    }
    if let Some(epochs) = args.epochs {
        options.length = Length::Epochs(epochs);
    }
    options.seed = args.seed;
    options.threads = engine.threads;
    options.limits = engine.limits;
    let stop = stop_flag("stopping; what was learned is kept")?;
    let progress = CommandProgress::new(Task::Restorer, global, args.json, &stop);
    let trained = train_restorer(&paths, &options, &progress, &mut |report| {
        if args.json {
            out!(
                "{}",
                json!({"event": "training", "done": report.done, "steps": report.steps, "loss": report.loss,
                       "held_out_db": report.held_out, "corrupted_db": report.corrupted,
                       "patches_per_second": report.rate})
            );
        } else if !global.quiet {
            say!(
                "{:>3.0} %: step {}, loss {:.4}, held out {:.2} dB (corrupted {:.2} dB), {:.0} patches/s",
                report.done * 100.0,
                report.steps,
                report.loss,
                report.held_out,
                report.corrupted,
                report.rate
            );
        }
    })?;
    progress.finish();
    let restored = &trained.restored;
    let last = restored.reports.last();
    let training = json!({
        "task": task.name(), "pictures": trained.pictures, "held_out": trained.held_out, "seed": args.seed,
        "seconds": restored.seconds, "steps": last.map(|report| report.steps),
        "held_out_db": last.map(|report| report.held_out),
        "corrupted_db": last.map(|report| report.corrupted), "version": env!("CARGO_PKG_VERSION"),
    });
    let file = restored.file(&training.to_string())?;
    save(&args.output, &file)?;
    if args.json {
        let event = json!({"event": "trained", "training": training});
        out!("{}", with_path(event, "file", &args.output));
    } else if !global.quiet {
        out!(
            "learned from {} pictures in {}\nwrote {} ({}). Use it with: imgsearch restore IMAGE --model {} -o OUT",
            count(trained.pictures as u64),
            duration(restored.seconds),
            args.output.display(),
            bytes(file.len() as u64),
            typed(args.output.as_os_str())
        );
    }
    Ok(if stop.load(Ordering::Relaxed) {
        Outcome::Interrupted
    } else {
        Outcome::Done
    })
}
