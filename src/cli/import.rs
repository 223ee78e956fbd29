//! `imgsearch import`.

use std::path::PathBuf;

use imgsearch::onnx::{EncoderFile, ImportOptions, Imported, Pooling, Runtime, TextFile, import};
use imgsearch::train::{TrainOptions, Trained, train};
use imgsearch::{Engine, WalkOptions, save, walk};
use serde_json::json;

use super::args::{Global, ImportArgs, PoolingArg};
use super::destination::check_output;
use super::output::{bytes, count, typed, with_path};
use super::progress::{CommandProgress, Task};
use super::setup::engine_options;
use super::signals::stop_flag;
use super::streams::{out, say};
use super::train::preservation::print_preservation;
use super::{Outcome, Result};

pub fn run(global: &Global, args: &ImportArgs) -> Result {
    check_output(&args.output)?;
    let runtime = Runtime::load(&engine_options(global, None).runtime())?;
    let imported = import(&args.model, &options(args), runtime)?;
    if !global.quiet {
        for note in &imported.notes {
            say!("{note}");
        }
    }
    let trained = match args.train.as_slice() {
        [] => None,
        paths => Some(train_head(global, args, &imported, paths)?),
    };
    let file = trained
        .as_ref()
        .map_or(&imported.encoder, |trained| &trained.file);
    // The text tower first: an encoder that names one is not written without it.
    let text = match &imported.text {
        Some(text) => {
            let path = TextFile::path_beside(&args.output);
            save(&path, text.bytes())?;
            Some((path, text))
        }
        None => None,
    };
    save(&args.output, file.bytes())?;
    if args.json {
        print_event(
            args,
            &imported,
            file,
            trained.as_ref(),
            text.as_ref().map(|(path, _)| path),
        );
    } else if !global.quiet {
        print(args, &imported, file, trained.as_ref(), text);
    }
    Ok(Outcome::Done)
}

fn options(args: &ImportArgs) -> ImportOptions {
    let mut options = ImportOptions::default();
    options.variant.clone_from(&args.variant);
    options.output.clone_from(&args.output_name);
    options.pooling = args.pooling.map(|pooling| match pooling {
        PoolingArg::Cls => Pooling::Cls,
        PoolingArg::Mean => Pooling::Mean,
    });
    options.mean = args.mean;
    options.std = args.std;
    options.size = args.size;
    options.resize = args.resize;
    options.name.clone_from(&args.name);
    options.code_len = args.code;
    options.bits = args.bits;
    options.seed = args.seed;
    options
}

fn train_head(
    global: &Global,
    args: &ImportArgs,
    imported: &Imported,
    paths: &[PathBuf],
) -> Result<Trained> {
    let found = walk(paths, &WalkOptions::default())?.candidates;
    let images: Vec<PathBuf> = found.into_iter().map(|candidate| candidate.path).collect();
    let engine = Engine::new(imported.encoder.clone(), engine_options(global, None))?;
    let mut options = TrainOptions::default();
    options.name.clone_from(&imported.encoder.info().name);
    options.data = format!(
        "{} photographs of the user's own",
        count(images.len() as u64)
    );
    options.head.code_len = args.code;
    options.head.bits = args.bits;
    options.head.seed = args.seed;
    let stop = stop_flag("stopping; nothing is written")?;
    let progress = CommandProgress::new(Task::Head, global, args.json, &stop);
    let trained = train(&engine, &images, &options, &progress)?;
    progress.finish();
    Ok(trained)
}

fn print_event(
    args: &ImportArgs,
    imported: &Imported,
    file: &EncoderFile,
    trained: Option<&Trained>,
    text: Option<&PathBuf>,
) {
    let mut event = json!({
        "event": "imported", "encoder": file.info(), "features": imported.features, "notes": imported.notes,
        "trained_on": trained.map_or(0, |trained| trained.images), "text": null,
    });
    event = with_path(event, "file", &args.output);
    event = with_path(event, "source", &imported.source);
    if let Some(text) = text {
        event = with_path(event, "text", text);
    }
    out!("{event}");
}

fn print(
    args: &ImportArgs,
    imported: &Imported,
    file: &EncoderFile,
    trained: Option<&Trained>,
    text: Option<(PathBuf, &TextFile)>,
) {
    let info = file.info();
    out!(
        "read {}: images of {} by {} pixels ({}), {} features from {}",
        imported.source.display(),
        info.width,
        info.height,
        info.resize,
        count(info.feature_len.unwrap_or(0) as u64),
        imported.features
    );
    if let Some(trained) = trained {
        out!(
            "trained the head on {} images",
            count(trained.images as u64)
        );
        print_preservation(trained);
    }
    if let Some((path, text)) = &text {
        out!(
            "wrote {} ({}), the text tower: texts of up to {} tokens",
            path.display(),
            bytes(text.bytes().len() as u64),
            text.info().length
        );
    }
    let output = typed(args.output.as_os_str());
    out!(
        "wrote {} ({}). Use it with: imgsearch index FOLDER --encoder {output}",
        args.output.display(),
        bytes(file.bytes().len() as u64)
    );
    if trained.is_none() {
        out!(
            "its head is drawn without any image; a trained one is better: imgsearch train head PHOTOS --trunk {output} -o \
             trained.onnx"
        );
    }
}
