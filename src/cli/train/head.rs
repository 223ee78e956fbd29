//! `imgsearch train head` and `imgsearch train copies`.

use std::path::PathBuf;

use imgsearch::train::autoencoder::{decoder_for, decoder_path};
use imgsearch::train::{Purpose, TrainOptions, Trained, train};
use imgsearch::training::copies::HASH_WEIGHT;
use imgsearch::training::head::{EpochReport, HeadOptions};
use imgsearch::{copy_text_tower, save};
use serde_json::json;

use super::input;
use super::preservation::{print_preservation, print_recognised};
use crate::cli::args::{CommonArgs, CopiesArgs, Global, HeadArgs, TrunkArgs};
use crate::cli::destination::check_output;
use crate::cli::output::{bytes, count, duration, typed, with_path, with_paths};
use crate::cli::progress::{CommandProgress, Task};
use crate::cli::signals::stop_flag;
use crate::cli::streams::out;
use crate::cli::{Outcome, Result, charts};

pub fn run(global: &Global, args: &HeadArgs) -> Result {
    if args.hidden_units > 0 && args.synthetic > 0 {
        return Err("--synthetic has no meaning with --hidden-units".into());
    }
    let mut options = TrainOptions::default();
    if args.hidden_units > 0 {
        options.head = HeadOptions::deep(args.hidden_units);
        options.head.neighbours = args.neighbours;
        options.head.rounds = args.rounds as usize;
    }
    options.purpose = Purpose::Similar;
    options.views = args.views.unwrap_or(options.purpose.views());
    if let Some(epochs) = args.epochs {
        options.head.epochs = epochs;
    }
    if let Some(rate) = args.learning_rate {
        options.head.learning_rate = rate;
    }
    options.head.synthetic = args.synthetic;
    if let Some(weight) = args.hash_weight {
        options.head.hash_weight = weight;
    }
    train_on_trunk(global, &args.common, &args.trunk, options, args.decoder)
}

pub fn run_copies(global: &Global, args: &CopiesArgs) -> Result {
    let mut options = TrainOptions::default();
    options.purpose = Purpose::Copies;
    options.views = args.views.unwrap_or(options.purpose.views());
    options.head.hash_weight = args.hash_weight.unwrap_or(HASH_WEIGHT);
    train_on_trunk(global, &args.common, &args.trunk, options, args.decoder)
}

/// Trains with `options`, which say nothing of the shared arguments yet.
fn train_on_trunk(
    global: &Global,
    common: &CommonArgs,
    trunk: &TrunkArgs,
    mut options: TrainOptions,
    decoder: bool,
) -> Result {
    let images = input::images(common)?;
    check_output(&common.output)?;
    let file = trunk.trunk.as_deref();
    let engine = input::open_trunk(global, common, file, trunk.side, trunk.resize)?;
    options.name = input::name(common);
    options.data = input::description(common, images.len());
    options.features.clone_from(&trunk.features);
    options.head.code_len = common.code;
    options.head.bits = common.bits;
    options.head.seed = common.seed;
    let stop = stop_flag("stopping; nothing is written")?;
    let progress = CommandProgress::new(Task::Head, global, common.json, &stop);
    let trained = train(&engine, &images, &options, &progress)?;
    progress.finish();
    // Both are made before either is written, so that they always belong together.
    let decoder = if decoder {
        let progress = CommandProgress::new(Task::Decoder, global, common.json, &stop);
        let file = decoder_for(&engine, &trained, common.seed, &progress)?;
        progress.finish();
        Some(file)
    } else {
        None
    };
    if let Some(from) = file {
        copy_text_tower(from, &common.output, trained.file.info())?;
    }
    save(&common.output, trained.file.bytes())?;
    let decoder = match decoder {
        Some(file) => {
            let path = decoder_path(&common.output);
            save(&path, &file)?;
            Some(path)
        }
        None => None,
    };
    let written = Written {
        decoder,
        charts: if common.no_charts {
            Vec::new()
        } else {
            draw(common, &trained)?
        },
    };
    if common.json {
        print_event(common, &trained, &written);
    } else if !global.quiet {
        print(common, options.purpose, &trained, &written);
    }
    Ok(Outcome::Done)
}

/// What was written next to the encoder.
struct Written {
    decoder: Option<PathBuf>,
    charts: Vec<PathBuf>,
}

fn draw(common: &CommonArgs, trained: &Trained) -> Result<Vec<PathBuf>> {
    let column = |of: fn(&EpochReport) -> f64| trained.epochs.iter().map(of).collect::<Vec<f64>>();
    let mut losses = vec![
        ("whole", column(|epoch| epoch.loss)),
        ("neighbourhood", column(|epoch| epoch.neighbourhood)),
        ("contrast", column(|epoch| epoch.contrast)),
        ("reconstruction", column(|epoch| epoch.reconstruction)),
    ];
    // Terms that are switched off are not drawn.
    losses.retain(|(_, values)| values.iter().any(|&value| value != 0.0));
    let mut drawn = Vec::new();
    // An encoder for copies is found in closed form, without epochs.
    if !trained.epochs.is_empty() {
        drawn.push(charts::losses(&common.output, &losses)?);
    }
    let paths = trained.paths.iter();
    let folders: Vec<String> = paths.map(|path| input::folder_of(path)).collect();
    let code_len = trained.file.info().code_len;
    let codes = charts::codes(&common.output, &trained.codes, code_len, &folders)?;
    drawn.extend(codes);
    Ok(drawn)
}

fn print_event(common: &CommonArgs, trained: &Trained, written: &Written) {
    let event = json!({
        "event": "trained", "fingerprint": trained.file.info().fingerprint, "decoder": null,
        "photographs": trained.images, "held_out": trained.held_out, "neighbours": trained.neighbours,
        "before": trained.before,
        "after": trained.after, "extract_seconds": trained.extract_seconds,
        "features_kept": trained.features_cached,
        "train_seconds": trained.train_seconds,
    });
    let mut event = with_path(event, "file", &common.output);
    if let Some(decoder) = &written.decoder {
        event = with_path(event, "decoder", decoder);
    }
    out!("{}", with_paths(event, "charts", &written.charts));
}

fn print(common: &CommonArgs, purpose: Purpose, trained: &Trained, written: &Written) {
    out!(
        "trained on {} images in {} (after {} for their features{})",
        count(trained.images as u64),
        duration(trained.train_seconds),
        duration(trained.extract_seconds),
        if trained.features_cached {
            ", which came from the cache"
        } else {
            ""
        }
    );
    match purpose {
        Purpose::Copies => print_recognised(trained),
        _ => print_preservation(trained),
    }
    for chart in &written.charts {
        out!("drew {}", chart.display());
    }
    out!(
        "wrote {} ({}). Use it with: imgsearch index FOLDER --encoder {}",
        common.output.display(),
        bytes(trained.file.bytes().len() as u64),
        typed(common.output.as_os_str())
    );
    if let Some(decoder) = &written.decoder {
        out!(
            "wrote {}. Look at it with: imgsearch reconstruct IMAGE --encoder {}",
            decoder.display(),
            typed(common.output.as_os_str())
        );
    }
}
