//! `imgsearch train`.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use imgsearch::Engine;
use imgsearch::save;
use imgsearch::train::autoencoder::{decoder_for, decoder_path};
use imgsearch::train::dataset::{self, Part};
use imgsearch::train::{Purpose, TrainOptions, TrainProgress, Trained, train};
use imgsearch::training::copies::HASH_WEIGHT;
use imgsearch::training::head::{EpochReport, HeadOptions};
use imgsearch::walk;
use indicatif::ProgressBar;
use serde_json::json;

use super::args::{Global, PurposeArg, TrainArgs};
use super::output::{bar, bytes, count, duration, shown, typed, with_path, with_paths};
use super::setup::{engine, walk_options};
use super::signals::stop_flag;
use super::streams::{out, say};
use super::{Outcome, Result, charts};

pub fn run(global: &Global, args: &TrainArgs) -> Result {
    if let Some(kind) = args.on_pixels.kind {
        return super::pixels::run(global, args, kind);
    }
    let photographs = photographs(args)?;
    check_output(&args.output)?;
    require_use(args)?;
    let engine = trunk(global, args)?;
    let mut options = TrainOptions::default();
    if args.hidden_units > 0 {
        options.head = HeadOptions::deep(args.hidden_units);
        options.head.neighbours = args.neighbours;
        options.head.rounds = args.rounds as usize;
    }
    options.purpose = match args.purpose {
        PurposeArg::Similar => Purpose::Similar,
        PurposeArg::Copies => Purpose::Copies,
    };
    options.views = args.views.unwrap_or(options.purpose.views());
    options.name = named(args);
    options.data = described(args, photographs.len());
    options.features.clone_from(&args.features);
    options.head.code_len = args.code;
    options.head.bits = args.bits;
    options.head.seed = args.seed;
    if let Some(epochs) = args.epochs {
        options.head.epochs = epochs;
    }
    if let Some(rate) = args.learning_rate {
        options.head.learning_rate = rate;
    }
    options.head.imagined = args.imagined;
    match (args.hash_weight, args.purpose) {
        (Some(weight), _) => options.head.hash_weight = weight,
        (None, PurposeArg::Copies) => options.head.hash_weight = HASH_WEIGHT,
        (None, PurposeArg::Similar) => {}
    }
    let stop = stop_flag("stopping; nothing is written")?;
    let mut view = View::new(global, args.json, photographs.len());
    let trained = train(&engine, &photographs, &options, &stop, &mut view)?;
    view.finish();
    // Both before either is written, so that they always belong together.
    let decoder = if args.decoder {
        Some(view.decoder(&engine, &trained, args.seed, &stop)?)
    } else {
        None
    };
    save(&args.output, trained.file.bytes())?;
    if let Some(decoder) = decoder {
        save(&decoder_path(&args.output), &decoder)?;
    }
    let drawn = if args.no_charts {
        Vec::new()
    } else {
        draw(args, &trained)?
    };
    report(args, global, &trained, &drawn);
    Ok(Outcome::Done)
}

/// Refuses options that nothing would come of.
fn require_use(args: &TrainArgs) -> Result<()> {
    let deep = args.hidden_units > 0;
    let unused = match args.purpose {
        PurposeArg::Copies => [
            ("--hidden-units", deep),
            ("--epochs", args.epochs.is_some()),
            ("--learning-rate", args.learning_rate.is_some()),
            ("--imagined", args.imagined > 0),
        ],
        PurposeArg::Similar => [
            ("--imagined", deep && args.imagined > 0),
            ("", false),
            ("", false),
            ("", false),
        ],
    };
    match unused.iter().find(|(_, unused)| *unused) {
        None => Ok(()),
        Some((option, _)) if deep && args.purpose == PurposeArg::Similar => {
            Err(format!("{option} has no meaning with --hidden-units").into())
        }
        Some((option, _)) => Err(format!(
            "{option} has no meaning with --for copies, which finds its encoder in one step"
        )
        .into()),
    }
}

/// The encoder to train on, shown pictures of the size that was asked for.
pub fn trunk(global: &Global, args: &TrainArgs) -> Result<Engine> {
    let engine = engine(global, args.trunk.as_deref(), Some(&args.limits))?;
    if args.side.is_none() && args.resize.is_none() {
        return Ok(engine);
    }
    let side = args.side.unwrap_or_else(|| engine.info().width);
    Ok(engine.with(engine.file().trunk_at(side, args.resize)?)?)
}

fn draw(args: &TrainArgs, trained: &Trained) -> Result<Vec<PathBuf>> {
    let column = |of: fn(&EpochReport) -> f64| trained.epochs.iter().map(of).collect::<Vec<f64>>();
    let mut losses = vec![
        ("whole", column(|epoch| epoch.loss)),
        ("neighbourhood", column(|epoch| epoch.neighbourhood)),
        ("contrast", column(|epoch| epoch.contrast)),
        ("reconstruction", column(|epoch| epoch.reconstruction)),
    ];
    // Without the terms that are switched off.
    losses.retain(|(_, values)| values.iter().any(|&value| value != 0.0));
    let mut drawn = Vec::new();
    // An encoder for copies is found in closed form, without passes.
    if !trained.epochs.is_empty() {
        drawn.push(charts::losses(&args.output, &losses)?);
    }
    let folders: Vec<String> = trained
        .paths
        .iter()
        .map(|path| {
            let name = path.parent().and_then(Path::file_name);
            name.unwrap_or_default().to_string_lossy().into_owned()
        })
        .collect();
    let code_len = trained.file.info().code_len;
    drawn.extend(charts::codes(
        &args.output,
        &trained.codes,
        code_len,
        &folders,
    )?);
    Ok(drawn)
}

/// The encoder's name.
pub fn named(args: &TrainArgs) -> String {
    match &args.name {
        Some(name) => name.clone(),
        None => args
            .output
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
    }
}

/// What was trained on, in words.
pub fn described(args: &TrainArgs, n: usize) -> String {
    match &args.data {
        Some(data) => data.clone(),
        None => format!("{} photographs of the user's own", count(n as u64)),
    }
}

/// The photographs to train on, evenly thinned where there is a limit.
pub fn photographs(args: &TrainArgs) -> Result<Vec<PathBuf>> {
    let part: Part = args.part.parse()?;
    let mut found: Vec<PathBuf> = if part == Part::All {
        let walked = walk(&args.paths, &walk_options(&args.walk))?;
        walked
            .candidates
            .into_iter()
            .map(|candidate| candidate.path)
            .collect()
    } else {
        // Only the first path is a labelled folder; of the others everything is taken.
        let (labelled, others) = args
            .paths
            .split_first()
            .ok_or("no photographs were named")?;
        let mut found = dataset::list(labelled, part, &walk_options(&args.walk))?.paths;
        if !others.is_empty() {
            let walked = walk(others, &walk_options(&args.walk))?;
            found.extend(
                walked
                    .candidates
                    .into_iter()
                    .map(|candidate| candidate.path),
            );
        }
        found
    };
    if let Some(limit) = args.limit.filter(|&limit| limit < found.len()) {
        let all = found.len();
        found = (0..limit).map(|i| found[i * all / limit].clone()).collect();
    }
    if found.is_empty() {
        return Err(
            "no photograph was found; hidden files and folders are skipped, see --hidden".into(),
        );
    }
    Ok(found)
}

/// Finds out before the work, not after it, that the file cannot be written.
pub fn check_output(path: &Path) -> Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(format!(
            "cannot write {}: there is no folder {}",
            path.display(),
            folder.display()
        )
        .into());
    }
    if path.is_dir() {
        return Err(format!("cannot write {}: it is a folder", path.display()).into());
    }
    Ok(())
}

/// What a person or a program sees of training.
pub struct View<'a> {
    json: bool,
    quiet: bool,
    bar: ProgressBar,
    epochs: Option<ProgressBar>,
    global: &'a Global,
}

impl<'a> View<'a> {
    pub fn new(global: &'a Global, json: bool, photographs: usize) -> Self {
        Self {
            json,
            quiet: global.quiet,
            bar: bar(global, json, photographs as u64, "photographs"),
            epochs: None,
            global,
        }
    }

    pub fn finish(&self) {
        self.bar.finish_and_clear();
        if let Some(epochs) = &self.epochs {
            epochs.finish_and_clear();
        }
    }
}

impl View<'_> {
    /// Trains a decoder, and shows how it goes.
    fn decoder(
        &self,
        engine: &Engine,
        trained: &Trained,
        seed: u64,
        stop: &AtomicBool,
    ) -> Result<Vec<u8>> {
        let mut passes: Option<ProgressBar> = None;
        let file = decoder_for(engine, trained, seed, stop, &mut |epoch| {
            if self.json {
                out!("{}", json!({"event": "decoder", "report": epoch}));
                return;
            }
            let passes = passes
                .get_or_insert_with(|| bar(self.global, false, epoch.of as u64, "decoder passes"));
            passes.set_position(epoch.epoch as u64);
            passes.set_message(format!("squared error {:.2} ", epoch.held_out));
            if passes.is_hidden() && !self.quiet {
                say!(
                    "decoder, pass {:>3} of {}: squared error {:.3}, held out {:.3}",
                    epoch.epoch,
                    epoch.of,
                    epoch.loss,
                    epoch.held_out
                );
            }
        })?;
        if let Some(passes) = passes {
            passes.finish_and_clear();
        }
        Ok(file)
    }
}

impl TrainProgress for View<'_> {
    fn extracted(&mut self, done: usize, of: usize) {
        self.bar.set_position(done as u64);
        if self.json {
            out!("{}", json!({"event": "extracted", "done": done, "of": of}));
        }
    }

    fn failed(&mut self, path: &Path, reason: &str) {
        if self.json {
            let event = json!({"event": "failed", "reason": reason});
            out!("{}", with_path(event, "path", path));
        } else {
            self.bar.suspend(|| say!("{}: {reason}", shown(path)));
        }
    }

    fn epoch(&mut self, report: &EpochReport) {
        if self.json {
            out!("{}", json!({"event": "epoch", "report": report}));
            return;
        }
        self.bar.finish_and_clear();
        let global = self.global;
        let epochs = self
            .epochs
            .get_or_insert_with(|| bar(global, false, report.of as u64, "passes"));
        epochs.set_position(report.epoch as u64);
        epochs.set_message(format!("loss {:.4} ", report.loss));
        if epochs.is_hidden() && !self.quiet {
            let terms = [
                ("neighbourhood", report.neighbourhood),
                ("contrast", report.contrast),
                ("reconstruction", report.reconstruction),
            ];
            let terms = terms.iter().filter(|(_, value)| *value != 0.0);
            let terms: Vec<String> = terms
                .map(|(name, value)| format!("{name} {value:.4}"))
                .collect();
            say!(
                "pass {:>3} of {}: loss {:.4} ({})",
                report.epoch,
                report.of,
                report.loss,
                terms.join(", ")
            );
        }
    }
}

fn report(args: &TrainArgs, global: &Global, trained: &Trained, drawn: &[PathBuf]) {
    let info = trained.file.info();
    if args.json {
        let event = json!({
            "event": "trained", "fingerprint": info.fingerprint, "decoder": null,
            "photographs": trained.photographs, "held_out": trained.held_out, "neighbours": trained.neighbours,
            "before": trained.before,
            "after": trained.after, "extract_seconds": trained.extract_seconds,
            "features_kept": trained.features_kept,
            "train_seconds": trained.train_seconds,
        });
        let mut event = with_path(event, "file", &args.output);
        if args.decoder {
            event = with_path(event, "decoder", &decoder_path(&args.output));
        }
        out!("{}", with_paths(event, "charts", drawn));
        return;
    }
    if global.quiet {
        return;
    }
    out!(
        "trained on {} photographs in {} (after {} for their features{})",
        count(trained.photographs as u64),
        duration(trained.train_seconds),
        duration(trained.extract_seconds),
        if trained.features_kept {
            ", which were kept"
        } else {
            ""
        }
    );
    match args.purpose {
        PurposeArg::Similar => print_preservation(trained),
        PurposeArg::Copies => print_recognised(trained),
    }
    for chart in drawn {
        out!("drew {}", chart.display());
    }
    out!(
        "wrote {} ({}). Use it with: imgsearch index FOLDER --encoder {}",
        args.output.display(),
        bytes(trained.file.bytes().len() as u64),
        typed(args.output.as_os_str())
    );
    if args.decoder {
        out!(
            "wrote {}. Look at it with: imgsearch reconstruct IMAGE --encoder {}",
            decoder_path(&args.output).display(),
            typed(args.output.as_os_str())
        );
    }
}

/// How many copies are recognised.
fn print_recognised(trained: &Trained) {
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    out!(
        "altered copies of {} held-out photographs to which their own is the nearest of all:\n  by code {}, by hash {}, \
         by both {}",
        count(trained.held_out as u64),
        percent(trained.after.code),
        percent(trained.after.hash),
        percent(trained.after.both)
    );
}

/// What was kept of neighbourhoods, before and after.
pub fn print_preservation(trained: &Trained) {
    out!(
        "neighbours kept, of the {} nearest by features to each of {} held-out photographs:",
        trained.neighbours,
        count(trained.held_out as u64)
    );
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    out!("            code      hash      both");
    let rows = [("before", trained.before), ("after", Some(trained.after))];
    for (name, kept) in rows {
        if let Some(kept) = kept {
            out!(
                "  {name:<6}  {:>6}    {:>6}    {:>6}",
                percent(kept.code),
                percent(kept.hash),
                percent(kept.both)
            );
        }
    }
}
