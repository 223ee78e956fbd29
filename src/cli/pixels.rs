//! `imgsearch train --kind`: autoencoders of other kinds, on pixels or features.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use image::RgbImage;
use imgsearch::Engine;
use imgsearch::onnx::EncoderFile;
use imgsearch::train::autoencoder::{TrainedAutoencoder, decoder_path, small, train_autoencoder};
use imgsearch::train::extract::{ExtractOptions, extract};
use imgsearch::train::feature_cache::key;
use imgsearch::training::autoencoder::{
    Design, Epoch, Layers, Loss, Noise, Pictures, Scaling, Schedule, Shape, Sparsity,
    is_checkpoint, read_idx, read_idx_labels,
};
use imgsearch::training::head::Identity;
use indicatif::ProgressBar;
use serde_json::json;

use super::args::{Global, KindArg, LossArg, OnArg, PixelArgs, TrainArgs};
use super::output::{bar, bytes, count, duration, shown, typed, with_path, with_paths};
use super::setup::engine_options;
use super::signals::stop_flag;
use super::streams::{out, say};
use super::train::{check_output, described, named, photographs, trunk};
use super::{Outcome, Result, charts};

pub fn run(global: &Global, args: &TrainArgs, kind: KindArg) -> Result {
    check_output(&args.output)?;
    let own = &args.on_pixels;
    let checkpoint = args.output.with_extension("checkpoint");
    check_beside(&args.output, &checkpoint)?;
    check_unfinished(own, &checkpoint)?;
    let stop = stop_flag("stopping after this pass; what was learned is kept")?;
    let source = match own.on {
        OnArg::Pixels => pictures(global, args, kind, &stop)?,
        OnArg::Features => features(global, args, kind, &stop)?,
    };
    let pictures = source.pictures();
    let design = design(own, kind, pictures.shape(), args.code)?;
    let mut schedule = Schedule {
        batch: own.batch,
        patience: own.patience,
        seed: args.seed,
        ..Schedule::default()
    };
    if let Some(epochs) = args.epochs {
        schedule.epochs = epochs;
    }
    if let Some(rate) = args.learning_rate {
        schedule.learning_rate = rate;
    }
    if own.restart {
        remove(&checkpoint)?;
    }
    let passes = bar(global, args.json, schedule.epochs as u64, "passes");
    let mut tell = |epoch: &Epoch| show(global, args, &passes, epoch);
    let trained = train_autoencoder(
        &pictures,
        (&design, &schedule, args.bits),
        Some(&checkpoint),
        &stop,
        &mut tell,
    )?;
    passes.finish_and_clear();
    let interrupted = stop.load(Ordering::Relaxed);
    let written = files(args, global, &source, &trained)?;
    if !interrupted {
        remove(&checkpoint)?;
    }
    report(args, global, &trained, &written);
    if interrupted && !global.quiet {
        say!("Interrupted: what was learned is written. To go on: the same with --resume");
    }
    Ok(if interrupted {
        Outcome::Interrupted
    } else {
        Outcome::Done
    })
}

/// Refuses an encoder's name under which something else is written.
fn check_beside(output: &Path, checkpoint: &Path) -> Result<()> {
    let record = output.with_extension("json");
    let decoder = decoder_path(output);
    let beside = [
        (checkpoint, "the state of the run"),
        (&record, "the record of the run"),
        (&decoder, "the decoder"),
    ];
    match beside.iter().find(|(path, _)| *path == output) {
        None => Ok(()),
        Some((_, what)) => Err(format!(
            "cannot write {}: {what} is written there; name the encoder otherwise, such as {}",
            output.display(),
            output.with_extension("onnx").display()
        )
        .into()),
    }
}

/// Refuses to begin where that would destroy what an interrupted run left, and to go on where there is nothing.
fn check_unfinished(args: &PixelArgs, checkpoint: &Path) -> Result<()> {
    let shown = checkpoint.display();
    if !checkpoint.try_exists()? {
        return if args.resume {
            Err(format!("there is no run to go on with: no checkpoint {shown}").into())
        } else {
            Ok(())
        };
    }
    if !is_checkpoint(checkpoint)? {
        return Err(format!(
            "{shown} is in the way: the state of the run is written there, and it is none. Move it, or give the \
             encoder another name"
        )
        .into());
    }
    if args.resume || args.restart {
        return Ok(());
    }
    Err(format!(
        "a run that was interrupted left its state in {shown}. Go on with it: the same with --resume. Begin anew and \
         delete it: the same with --restart"
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

fn show(global: &Global, args: &TrainArgs, passes: &ProgressBar, epoch: &Epoch) {
    if args.json {
        out!("{}", json!({"event": "epoch", "report": epoch}));
        return;
    }
    passes.set_position(epoch.epoch as u64);
    passes.set_message(format!(
        "held out {:.4}, {:.0} pictures/s ",
        epoch.held_out, epoch.rate
    ));
    if passes.is_hidden() && !global.quiet {
        let terms: String = epoch
            .terms
            .iter()
            .map(|(name, value)| format!(", {name} {value:.4}"))
            .collect();
        say!(
            "pass {:>3} of {}: reconstruction {:.4}{terms}, held out {:.4}; {:.0} pictures/s",
            epoch.epoch,
            epoch.of,
            epoch.reconstruction,
            epoch.held_out,
            epoch.rate
        );
    }
}

/// What is trained on.
struct Source {
    values: Values,
    /// What each picture is coloured by in the chart of codes: its folder, or its label.
    groups: Vec<String>,
}

enum Values {
    Pixels(Shape, Vec<u8>),
    Features(Box<Features>),
}

struct Features {
    rows: Vec<f32>,
    scaling: Scaling,
    engine: Engine,
    /// Names what they were computed of.
    source: [u8; 32],
}

impl Source {
    fn pictures(&self) -> Pictures<'_> {
        match &self.values {
            Values::Pixels(shape, pixels) => Pictures::new(*shape, pixels),
            Values::Features(own) => {
                Pictures::features(&own.rows, &own.scaling).from_source(own.source)
            }
        }
    }
}

/// What was written.
struct Written {
    encoder: EncoderFile,
    decoder: Option<(PathBuf, usize)>,
    charts: Vec<PathBuf>,
}

/// Writes the encoder, its decoder, the record of the run, and charts.
fn files(
    args: &TrainArgs,
    global: &Global,
    source: &Source,
    trained: &TrainedAutoencoder,
) -> Result<Written> {
    let pictures = source.pictures();
    let identity = Identity {
        name: named(args),
        training_data: described(args, pictures.len()),
        photographs: pictures.len(),
    };
    let autoencoder = &trained.autoencoder;
    let (encoder, decoder) = match &source.values {
        Values::Pixels(..) => {
            let encoder = autoencoder.encoder_file(&identity)?;
            let decoder = autoencoder.decoder_file(&encoder)?;
            (encoder, Some(decoder))
        }
        Values::Features(own) => (
            autoencoder.encoder_file_behind(own.engine.file(), &own.scaling, &identity)?,
            None,
        ),
    };
    imgsearch::save(&args.output, encoder.bytes())?;
    let decoder = match decoder {
        Some(bytes) => {
            let path = decoder_path(&args.output);
            imgsearch::save(&path, &bytes)?;
            Some((path, bytes.len()))
        }
        None => None,
    };
    let record = format!("{:#}\n", record(trained, &encoder, global));
    imgsearch::save(&args.output.with_extension("json"), record.as_bytes())?;
    let charts = if args.no_charts {
        Vec::new()
    } else {
        draw(args, source, trained)?
    };
    Ok(Written {
        encoder,
        decoder,
        charts,
    })
}

/// Pictures that the chart of reconstructions shows.
const SHOWN: usize = 12;
/// Pixels of a picture's side, where nothing else is asked for.
const DEFAULT_SIDE: usize = 32;

fn draw(args: &TrainArgs, source: &Source, trained: &TrainedAutoencoder) -> Result<Vec<PathBuf>> {
    let epochs = &trained.autoencoder.record().epochs;
    let column = |of: fn(&Epoch) -> f64| epochs.iter().map(of).collect::<Vec<f64>>();
    let mut drawn = vec![charts::losses(
        &args.output,
        &[
            ("reconstruction", column(|epoch| epoch.reconstruction)),
            ("held out", column(|epoch| epoch.held_out)),
        ],
    )?];
    let judges = &trained.judges;
    let pictures = source.pictures();
    let codes = trained.autoencoder.codes(&pictures.only(judges))?;
    let groups: Vec<String> = judges.iter().map(|&i| source.groups[i].clone()).collect();
    let code_len = codes.len() / judges.len();
    drawn.extend(charts::codes(&args.output, &codes, code_len, &groups)?);
    if let Values::Pixels(shape, pixels) = &source.values {
        let shown = &judges[..judges.len().min(SHOWN)];
        let sides = [shape.height, shape.width, shape.channels];
        let d = shape.len();
        let bytes = shown.iter().flat_map(|&i| &pixels[i * d..(i + 1) * d]);
        let originals: Vec<f32> = bytes.map(|&byte| f32::from(byte) / 255.0).collect();
        let made = trained.autoencoder.reconstruct(&pictures.only(shown))?;
        let errors = originals.chunks_exact(d).zip(made.chunks_exact(d));
        let captions = errors
            .map(|(a, b)| {
                let error: f32 = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum();
                format!("error {error:.2}")
            })
            .collect();
        let row = |values: &[f32]| -> Vec<RgbImage> {
            let each = values.chunks_exact(d);
            each.filter_map(|values| charts::picture(sides, values))
                .collect()
        };
        drawn.push(charts::reconstructions(
            &args.output,
            &[row(&originals), row(&made)],
            &[Vec::new(), captions],
        )?);
    }
    Ok(drawn)
}

/// The name of a photograph's folder.
fn folder(path: &Path) -> String {
    let name = path.parent().and_then(Path::file_name);
    name.unwrap_or_default().to_string_lossy().into_owned()
}

/// The pictures to train on: an IDX file's, or photographs made small.
fn pictures(global: &Global, args: &TrainArgs, kind: KindArg, stop: &AtomicBool) -> Result<Source> {
    let own = &args.on_pixels;
    if let [path] = args.paths.as_slice()
        && path.is_file()
    {
        return idx(args, path);
    }
    let side = args.side.map_or(DEFAULT_SIDE, |side| side as usize);
    let shape = Shape {
        height: side,
        width: side,
        channels: if own.grey { 1 } else { 3 },
    };
    // Before the work, not after it.
    design(own, kind, shape, args.code)?;
    let paths: Vec<PathBuf> = photographs(args)?;
    let options = engine_options(global, Some(&args.limits));
    let threads = match options.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let bar = bar(global, args.json, paths.len() as u64, "photographs");
    let limits = (&options.limits, threads);
    let made = small(&paths, shape, limits, stop, &mut |done| {
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    tell_failed(args, &made.failed);
    Ok(Source {
        groups: made.paths.iter().map(|path| folder(path)).collect(),
        values: Values::Pixels(shape, made.pixels),
    })
}

/// An IDX file's images, and their labels where those lie beside it under the usual name.
fn idx(args: &TrainArgs, path: &Path) -> Result<Source> {
    let read = read_idx(path)?;
    let all = read.pictures().len();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(name.replace("images-idx3", "labels-idx1"));
    let labels = if beside != path && beside.is_file() {
        read_idx_labels(&beside)?
    } else {
        Vec::new()
    };
    let limit = args.limit.unwrap_or(all).min(all);
    let kept: Vec<usize> = (0..limit).map(|i| i * all / limit).collect();
    let d = read.shape.len();
    let pixels = kept
        .iter()
        .flat_map(|&i| &read.pixels[i * d..(i + 1) * d])
        .copied()
        .collect();
    let group = |i: &usize| labels.get(*i).map(u8::to_string).unwrap_or_default();
    Ok(Source {
        groups: kept.iter().map(group).collect(),
        values: Values::Pixels(read.shape, pixels),
    })
}

/// The features of photographs.
fn features(global: &Global, args: &TrainArgs, kind: KindArg, stop: &AtomicBool) -> Result<Source> {
    let engine = trunk(global, args)?;
    let Some(length) = engine.info().feature_len else {
        return Err(imgsearch::Error::NoFeatures {
            name: engine.info().name.clone(),
        }
        .into());
    };
    // Before the work, not after it.
    design(&args.on_pixels, kind, Shape::features(length), args.code)?;
    let paths = photographs(args)?;
    let bar = bar(global, args.json, paths.len() as u64, "photographs");
    let options = ExtractOptions::default();
    let made = extract(&engine, &paths, options, stop, &mut |done| {
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    tell_failed(args, &made.failed);
    let scaling = Scaling::of(&made.features, made.feature_len)?;
    Ok(Source {
        groups: made.paths.iter().map(|path| folder(path)).collect(),
        values: Values::Features(Box::new(Features {
            source: key(&engine, &made.paths, options)?,
            rows: made.features,
            scaling,
            engine,
        })),
    })
}

fn tell_failed(args: &TrainArgs, failed: &[(PathBuf, String)]) {
    for (path, reason) in failed {
        if args.json {
            let event = json!({"event": "failed", "reason": reason});
            out!("{}", with_path(event, "path", path));
        } else {
            say!("{}: {reason}", shown(path));
        }
    }
}

fn design(args: &PixelArgs, kind: KindArg, shape: Shape, code_len: usize) -> Result<Design> {
    let start = match kind {
        KindArg::Convolutional => Design::convolutional(shape),
        _ => Design::deep(shape),
    };
    let layers = match (&args.layers, kind) {
        (None, KindArg::Simple) => Layers::Dense(Vec::new()),
        (None, _) => start.layers.clone(),
        (Some(sizes), KindArg::Convolutional) => Layers::Convolutional(sizes.clone()),
        (Some(sizes), KindArg::Simple) if !sizes.is_empty() => {
            return Err("a simple autoencoder has no layers but its code: leave --layers out, or use --kind deep".into());
        }
        (Some(sizes), _) => Layers::Dense(sizes.clone()),
    };
    let part = |given: &Option<String>, of: KindArg, usual: &str| match given {
        Some(text) => Some(text.clone()),
        None => (kind == of).then(|| usual.to_owned()),
    };
    let number = |given: Option<f64>, of: KindArg, usual: f64| {
        given.or_else(|| (kind == of).then_some(usual))
    };
    let noise = part(&args.noise, KindArg::Denoising, "masking:0.25");
    let sparsity = part(&args.sparsity, KindArg::Sparse, "l1:0.05");
    let bits = args.twin_bits;
    let design = Design {
        layers,
        code_len,
        loss: match args.loss {
            LossArg::Mse => Loss::Mse,
            LossArg::Bce => Loss::Bce,
            LossArg::Cosine => Loss::Cosine,
        },
        noise: noise.as_deref().map(parse_noise).transpose()?,
        sparsity: sparsity.as_deref().map(parse_sparsity).transpose()?,
        contraction: number(args.contraction, KindArg::Contractive, 0.001).unwrap_or(0.0),
        beta: number(args.beta, KindArg::Variational, 1.0),
        twin_bits: bits.unwrap_or(if kind == KindArg::Twin { 64 } else { 0 }),
        neighbourhood: args.neighbourhood,
        two_view: args.two_view,
        coding_rate: args.coding_rate,
        ..start
    };
    design.check()?;
    Ok(design)
}

fn parse_noise(text: &str) -> Result<Noise> {
    let parsed = text.split_once(':').and_then(|(kind, number)| {
        let number = number.parse().ok()?;
        match kind {
            "gaussian" => Some(Noise::Gaussian(number)),
            "masking" => Some(Noise::Masking(number)),
            _ => None,
        }
    });
    parsed.ok_or_else(|| {
        format!("--noise {text}: write gaussian:DEVIATION or masking:SHARE, such as masking:0.25")
            .into()
    })
}

fn parse_sparsity(text: &str) -> Result<Sparsity> {
    let parts: Vec<&str> = text.split(':').collect();
    let parsed = match parts.as_slice() {
        ["l1", weight] => weight.parse().ok().map(|weight| Sparsity::L1 { weight }),
        ["kl", target, weight] => target
            .parse()
            .ok()
            .zip(weight.parse().ok())
            .map(|(target, weight)| Sparsity::Kl { target, weight }),
        _ => None,
    };
    parsed.ok_or_else(|| {
        format!("--sparsity {text}: write l1:WEIGHT or kl:TARGET:WEIGHT, such as kl:0.05:1").into()
    })
}

/// The run's record, which is written beside the encoder.
fn record(
    trained: &TrainedAutoencoder,
    encoder: &EncoderFile,
    global: &Global,
) -> serde_json::Value {
    json!({
        "run": trained.autoencoder.record(),
        "fingerprint": encoder.info().fingerprint,
        "squared_error": trained.error,
        "squared_error_of_main_components": trained.component_error,
        "seconds": trained.seconds,
        "environment": {
            "imgsearch": env!("CARGO_PKG_VERSION"),
            "system": std::env::consts::OS,
            "processor": std::env::consts::ARCH,
            "threads": global.threads,
        },
    })
}

fn report(args: &TrainArgs, global: &Global, trained: &TrainedAutoencoder, written: &Written) {
    let record = trained.autoencoder.record();
    if args.json {
        let event = json!({
            "event": "trained", "decoder": null,
            "fingerprint": written.encoder.info().fingerprint,
            "pictures": record.pictures, "held_out": record.held_out,
            "passes": record.epochs.len(), "best_pass": record.best,
            "squared_error": trained.error,
            "squared_error_of_main_components": trained.component_error,
            "train_seconds": trained.seconds,
        });
        let mut event = with_path(event, "file", &args.output);
        if let Some((decoder, _)) = &written.decoder {
            event = with_path(event, "decoder", decoder);
        }
        out!("{}", with_paths(event, "charts", &written.charts));
        return;
    }
    if global.quiet {
        return;
    }
    out!(
        "{}: trained on {} pictures in {}; pass {} of {} was the best",
        written.encoder.info().kind,
        count(record.pictures as u64),
        duration(trained.seconds),
        record.best,
        record.epochs.len(),
    );
    let compared = trained.component_error.map_or_else(String::new, |error| {
        format!(
            "; {} main components leave {error:.3}, {:.2} times as much",
            record.design.code_len,
            error / trained.error
        )
    });
    out!(
        "squared error of {} held-out pictures: {:.3}{compared}",
        count(record.held_out as u64),
        trained.error
    );
    for chart in &written.charts {
        out!("drew {}", chart.display());
    }
    let size = bytes(written.encoder.bytes().len() as u64);
    match &written.decoder {
        Some((decoder, length)) => out!(
            "wrote {} ({size}) and {} ({}). Look at it with: imgsearch reconstruct IMAGE --encoder {}",
            args.output.display(),
            decoder.display(),
            bytes(*length as u64),
            typed(args.output.as_os_str())
        ),
        None => out!(
            "wrote {} ({size}). Use it with: imgsearch index FOLDER --encoder {}",
            args.output.display(),
            typed(args.output.as_os_str())
        ),
    }
}
