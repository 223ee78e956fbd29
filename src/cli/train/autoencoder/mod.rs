//! `imgsearch train autoencoder`: autoencoders of many kinds, on pixels or features.

mod design;
mod output;
mod source;

use std::path::Path;
use std::sync::atomic::Ordering;

use imgsearch::train::autoencoder::{decoder_path, train_autoencoder};
use imgsearch::training::autoencoder::{Recipe, Schedule, is_checkpoint};

use crate::cli::args::{AutoencoderArgs, Global};
use crate::cli::destination::check_output;
use crate::cli::progress::{CommandProgress, Task};
use crate::cli::signals::stop_flag;
use crate::cli::streams::say;
use crate::cli::{Outcome, Result};

pub fn run(global: &Global, args: &AutoencoderArgs) -> Result {
    let output = &args.common.output;
    check_output(output)?;
    let checkpoint = output.with_extension("checkpoint");
    check_name(output, &checkpoint)?;
    check_unfinished(args, &checkpoint)?;
    let stop = stop_flag("stopping after this epoch; what was learned is kept")?;
    let progress = CommandProgress::new(Task::Autoencoder, global, args.common.json, &stop);
    let source = source::open(global, args, &progress)?;
    let samples = source.samples();
    let mut schedule = Schedule {
        batch: args.batch,
        patience: args.patience,
        seed: args.common.seed,
        ..Schedule::default()
    };
    if let Some(epochs) = args.epochs {
        schedule.epochs = epochs;
    }
    if let Some(rate) = args.learning_rate {
        schedule.learning_rate = rate;
    }
    let recipe = Recipe {
        design: design::design(&args.design, samples.shape(), args.common.code)?,
        schedule,
        bits: args.common.bits,
    };
    if args.restart {
        remove(&checkpoint)?;
    }
    let trained = train_autoencoder(&samples, &recipe, Some(&checkpoint), &progress)?;
    progress.finish();
    let interrupted = stop.load(Ordering::Relaxed);
    let written = output::write(global, args, &source, &trained)?;
    if !interrupted {
        remove(&checkpoint)?;
    }
    if args.common.json {
        output::print_event(args, &trained, &written);
    } else if !global.quiet {
        output::print(args, &trained, &written);
    }
    if interrupted && !global.quiet {
        say!("Interrupted: what was learned is written. To resume: the same command with --resume");
    }
    Ok(if interrupted {
        Outcome::Interrupted
    } else {
        Outcome::Done
    })
}

/// Rejects a name of the encoder under which something else is written.
fn check_name(output: &Path, checkpoint: &Path) -> Result<()> {
    let record = output.with_extension("json");
    let decoder = decoder_path(output);
    let others = [
        (checkpoint, "the state of the run"),
        (&record, "the record of the run"),
        (&decoder, "the decoder"),
    ];
    match others.iter().find(|(path, _)| *path == output) {
        None => Ok(()),
        Some((_, what)) => Err(format!(
            "cannot write {}: {what} is written there; name the encoder otherwise, such as {}",
            output.display(),
            output.with_extension("onnx").display()
        )
        .into()),
    }
}

/// Rejects a start that would destroy the state of an interrupted run, and a resumption without one.
fn check_unfinished(args: &AutoencoderArgs, checkpoint: &Path) -> Result<()> {
    let shown = checkpoint.display();
    if !checkpoint.try_exists()? {
        return if args.resume {
            Err(format!("there is no run to resume: no checkpoint {shown}").into())
        } else {
            Ok(())
        };
    }
    if !is_checkpoint(checkpoint)? {
        return Err(format!(
            "{shown} is in the way: the state of the run is written there, and this file holds something else. Move it, \
             or give the encoder another name"
        )
        .into());
    }
    if args.resume || args.restart {
        return Ok(());
    }
    Err(format!(
        "an interrupted run left its state in {shown}. To resume it: the same command with --resume. To start over and \
         delete it: the same command with --restart"
    )
    .into())
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("cannot remove {}: {error}", path.display()).into())
        }
        _ => Ok(()),
    }
}
