//! `imgsearch adapt`: trains an encoder on the images of an index.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use imgsearch::onnx::EncoderFile;
use imgsearch::train::{ADAPTED, Judged, TrainOptions, Trained, train};
use imgsearch::training::copies::COPIES;
use imgsearch::training::head::HeadOptions;
use imgsearch::{Engine, Library, OpenOptions};
use serde_json::json;

use super::args::{AdaptArgs, Global};
use super::output::{count, duration};
use super::progress::{CommandProgress, Task};
use super::setup::{engine_options, index_dir, open_options, say_provider};
use super::signals::stop_flag;
use super::streams::{out, say};
use super::train::preservation::print_preservation;
use super::{Outcome, Result, index};

/// Start and end of the name of the new encoder, `adapted-FINGERPRINT.onnx`. It is in the index until the
/// index has moved to it. No other file has that name.
const TEMPORARY: (&str, &str) = ("adapted-", ".onnx");

pub fn run(global: &Global, args: &AdaptArgs) -> Result {
    let dir = index_dir(global)?;
    let stop = stop_flag("stopping; the index stays as it is")?;
    let file = match unfinished(&dir)? {
        Some(file) => {
            if !global.quiet && !args.json {
                say!("resuming with the encoder that an earlier run trained");
            }
            file
        }
        None => match learn(global, args, &dir, &stop)? {
            Some(file) => {
                imgsearch::save(&temporary_path(&dir, &file), file.bytes())?;
                file
            }
            None => return Ok(Outcome::Done),
        },
    };
    let temporary = temporary_path(&dir, &file);
    let mut open = OpenOptions::default();
    open.engine = engine_options(global, Some(&args.limits));
    let mut library = Library::open_with(&dir, open)?;
    let view = index::IndexProgress::new(global, args.json, stop);
    let summary = library.indexer().progress(&view).reencode(file)?;
    view.finish(global, true, &dir, &summary);
    if summary.interrupted {
        return Ok(Outcome::Interrupted);
    }
    std::fs::remove_file(&temporary).map_err(|source| imgsearch::Error::Io {
        action: "remove",
        path: temporary,
        source,
    })?;
    Ok(if summary.failed > 0 {
        Outcome::Partial
    } else {
        Outcome::Done
    })
}

fn temporary_path(dir: &Path, file: &EncoderFile) -> PathBuf {
    let (start, end) = TEMPORARY;
    dir.join(format!("{start}{}{end}", file.info().fingerprint))
}

/// Returns the encoder that an interrupted run was moving the index to.
fn unfinished(dir: &Path) -> Result<Option<EncoderFile>> {
    if !Library::open(dir)?.has_unfinished_reencoding() {
        return Ok(None);
    }
    let (start, end) = TEMPORARY;
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !(name.starts_with(start) && name.ends_with(end)) {
            continue;
        }
        // An incomplete file is made again, and a file with a wrong name is not ours.
        if let Ok(file) = EncoderFile::from_path(&path)
            && temporary_path(dir, &file) == path
        {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

/// Trains. Returns the encoder if the index should move to it.
fn learn(
    global: &Global,
    args: &AdaptArgs,
    dir: &Path,
    stop: &AtomicBool,
) -> Result<Option<EncoderFile>> {
    let library = Library::open_with(dir, open_options(global, None, Some(&args.limits))?)?;
    let mut images: Vec<PathBuf> = library.index_view()?.to_reader()?.paths()?;
    let all = images.len();
    if args.limit < all {
        images = (0..args.limit)
            .map(|i| images[i * all / args.limit].clone())
            .collect();
    }
    let engine: &Engine = library.engine()?;
    say_provider(global, engine);
    if engine.info().kind == COPIES {
        return Err(
            "the index's encoder recognises copies, and adapting would make it find similar images; train another with \
             imgsearch train copies, and move the index to it with imgsearch index --reencode --encoder FILE"
                .into(),
        );
    }
    let mut options = TrainOptions::default();
    options.head = HeadOptions::for_collection(images.len());
    options.views = args.views;
    options.head.hash_weight = engine.info().hash_weight;
    options.name = format!("{}{ADAPTED}", engine.info().name.trim_end_matches(ADAPTED));
    options.data = format!(
        "{} photographs of the user's own index",
        count(images.len() as u64)
    );
    options.head.code_len = args.code;
    options.head.bits = args.bits;
    options.head.seed = args.seed;
    if let Some(epochs) = args.epochs {
        options.head.epochs = epochs;
    }
    let progress = CommandProgress::new(Task::Head, global, args.json, stop);
    let trained = train(engine, &images, &options, &progress)?;
    progress.finish();
    let better = trained
        .judged
        .is_none_or(|judged| judged.before.is_none_or(|before| judged.after > before));
    report(global, args, &trained, better);
    let moves = (better || args.force) && !args.dry_run;
    Ok(moves.then_some(trained.file))
}

/// Says how alike the nearest images are by the two encoders.
pub fn judged_line(judged: &Judged) -> String {
    let after = 100.0 * judged.after;
    match judged.before {
        Some(before) => format!(
            "nearest images alike: {:.1} % of the best possible before, {after:.1} % after",
            100.0 * before
        ),
        None => format!("nearest images alike: {after:.1} % of the best possible"),
    }
}

fn report(global: &Global, args: &AdaptArgs, trained: &Trained, better: bool) {
    if args.json {
        out!(
            "{}",
            json!({
                "event": "trained", "fingerprint": trained.file.info().fingerprint, "better": better,
                "photographs": trained.images, "held_out": trained.held_out,
                "neighbours": trained.neighbours, "before": trained.before, "after": trained.after,
                "judged": trained.judged,
                "extract_seconds": trained.extract_seconds, "train_seconds": trained.train_seconds,
            })
        );
        return;
    }
    if global.quiet {
        return;
    }
    out!(
        "trained on {} images in {} (after {} for their features)",
        count(trained.images as u64),
        duration(trained.train_seconds),
        duration(trained.extract_seconds)
    );
    print_preservation(trained);
    if let Some(judged) = &trained.judged {
        out!("{}", judged_line(judged));
    }
    out!(
        "{}",
        match (better, args.dry_run, args.force) {
            (true, true, _) => "It is better; without --dry-run the index moves to it.",
            (true, false, _) =>
                "It is better: the index moves to it, and answers as before until then.",
            (false, _, true) => "It is not better, but the index moves to it.",
            (false, ..) =>
                "It is not better than the encoder of the index: the index is unchanged. More images, or --force, would \
                 change that.",
        }
    );
}
