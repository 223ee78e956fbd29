//! `imgsearch compare`.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use imgsearch::duplicates::compare::{
    Compared, Comparison, Likeness, Picture, Presence, compare, compare_files,
};
use imgsearch::index::Label;
use imgsearch::{Engine, Library, Progress, Walked, class_name, walk};
use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::args::{CompareArgs, Global};
use super::output::{bar, bytes, count, counted, moment, relative, shown, with_path};
use super::pictures::PairPictures;
use super::query::percents;
use super::setup::{engine, say_provider, walk_options};
use super::signals::stop_flag;
use super::streams::{self, out, say};
use super::{Outcome, Result, setup};

pub fn run(global: &Global, args: &CompareArgs) -> Result {
    match &args.b {
        Some(b) if is_file(&args.a)? && is_file(b)? => pair(global, args, b),
        _ if args.show || args.show_as.is_some() => {
            Err("--show draws two pictures; name two files for that".into())
        }
        Some(b) => folders(global, args, b),
        None => with_index(global, args),
    }
}

/// Returns whether a path leads to a file.
///
/// # Errors
///
/// If it leads nowhere.
fn is_file(path: &Path) -> Result<bool> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(!metadata.is_dir()),
        Err(error) => Err(format!("cannot read {}: {error}", path.display()).into()),
    }
}

/// Starts the encoder: the named one, that of a named index, or the built-in one.
fn start(global: &Global, args: &CompareArgs) -> Result<Engine> {
    if args.encoder.is_none() && global.index_is_typed {
        let library = open_library(global, args)?;
        let file = library.encoder_file()?.clone();
        let engine = Engine::new(file, setup::engine_options(global, Some(&args.limits)))?;
        say_provider(global, &engine);
        return Ok(engine);
    }
    engine(global, args.encoder.as_deref(), Some(&args.limits))
}

fn open_library(global: &Global, args: &CompareArgs) -> Result<Library> {
    setup::library(global, args.encoder.as_deref(), Some(&args.limits))
}

/// Returns the share that `--threshold` asks for.
fn threshold(args: &CompareArgs) -> Option<f32> {
    args.threshold.map(|percent| percent / 100.0)
}

/// Refuses a threshold for an encoder that has no similarities.
fn check_threshold(args: &CompareArgs, engine: &Engine) -> Result<()> {
    let info = engine.info();
    if args.threshold.is_some() && info.similarity.is_none() {
        return Err(format!(
            "the encoder {:?} has no similarities, which --threshold needs; imgsearch eval --calibrate measures them",
            info.name
        )
        .into());
    }
    Ok(())
}

/// Compares two pictures.
fn pair(global: &Global, args: &CompareArgs, b: &Path) -> Result {
    if args.paths || args.print0 {
        return Err("--paths and -0 list what is missing; name a folder for that".into());
    }
    let pictures = PairPictures::new(global, args);
    let engine = start(global, args)?;
    check_threshold(args, &engine)?;
    let compared = compare(&engine, &args.a, b)?;
    let is_same = match (threshold(args), compared.similarity) {
        (Some(least), Some(similarity)) => compared.level.is_same_picture() || similarity >= least,
        _ => compared.level.is_same_picture(),
    };
    if args.json {
        out!("{}", pair_json(&compared, is_same));
    } else {
        let [a, b] = &compared.pictures;
        let size = |of: &Picture| format!("{} × {}", of.width, of.height);
        let titles = [(a.path.as_path(), size(a)), (b.path.as_path(), size(b))];
        pictures.draw(engine.limits(), titles)?;
        print_pair(&compared);
    }
    Ok(if is_same {
        Outcome::Done
    } else {
        Outcome::Partial
    })
}

fn pair_json(compared: &Comparison, is_same: bool) -> Value {
    let [a, b] = compared.pictures.each_ref().map(|picture| {
        let line = json!({
            "bytes": picture.bytes, "width": picture.width, "height": picture.height,
            "format": picture.format, "taken": picture.taken, "damage": picture.damage,
            "digest": hexadecimal(&picture.digest),
            "labels": picture.labels.iter().map(label).collect::<Vec<_>>(),
        });
        with_path(line, "path", &picture.path)
    });
    json!({
        "level": compared.level, "same": is_same, "similarity": compared.similarity,
        "distance": compared.distance, "hamming": compared.hamming,
        "pixel_difference": compared.pixel_difference, "a": a, "b": b,
        "changes": compared.difference.as_ref().map(|difference| &difference.changes),
        "differs": compared.difference.as_ref().map(ToString::to_string),
    })
}

fn label(label: &Label) -> Value {
    json!({"name": class_name(label.class), "probability": label.probability})
}

fn hexadecimal(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Prints how alike two pictures are, and in what they differ.
fn print_pair(compared: &Comparison) {
    let [a, b] = &compared.pictures;
    out!("level       {}", compared.level.name());
    if compared.level == Likeness::IdenticalBytes {
        out!("similarity  100 %");
        return;
    }
    match compared.similarity {
        Some(similarity) => out!("similarity  {}", percents(similarity)),
        None => out!("distance    {:.4}", compared.distance),
    }
    if let Some(difference) = &compared.difference {
        out!("differs     {difference}");
    }
    out!(
        "hash        {} of {} bits differ",
        compared.hamming,
        compared.bits
    );
    if compared.level != Likeness::IdenticalPixels {
        out!(
            "pixels      {:.1} % apart on average, at the encoder's size",
            100.0 * compared.pixel_difference
        );
    }
    for (name, one, other) in facts(a, b) {
        if one == other {
            out!("{name:11} {one}, both");
        } else {
            out!("{name:11} {one}, and {other}");
        }
    }
}

/// Returns what is known of both pictures: a name, and what it is for each.
fn facts(a: &Picture, b: &Picture) -> Vec<(&'static str, String, String)> {
    let both = |of: &dyn Fn(&Picture) -> String| (of(a), of(b));
    let facts: [(&'static str, (String, String)); 6] = [
        ("file", both(&|picture| bytes(picture.bytes))),
        (
            "size",
            both(&|picture| format!("{} × {}", picture.width, picture.height)),
        ),
        ("format", both(&|picture| picture.format.to_owned())),
        (
            "taken",
            both(&|picture| picture.taken.map_or("unknown".to_owned(), moment)),
        ),
        ("shows", both(&|picture| shows(picture))),
        (
            "damage",
            both(&|picture| picture.damage.clone().unwrap_or("none".to_owned())),
        ),
    ];
    let is_known = |(name, (one, other)): &(&str, (String, String))| match *name {
        "damage" => one != "none" || other != "none",
        "taken" => one != "unknown" || other != "unknown",
        _ => !one.is_empty() || !other.is_empty(),
    };
    let known = facts.into_iter().filter(is_known);
    known
        .map(|(name, (one, other))| (name, one, other))
        .collect()
}

/// Returns what a picture most likely shows.
fn shows(picture: &Picture) -> String {
    let label = picture.labels.first();
    let name = label.and_then(|label| class_name(label.class));
    name.unwrap_or_default().to_owned()
}

/// The pictures of A.
fn walked(args: &CompareArgs, path: &Path) -> Result<Walked> {
    Ok(walk(&[path.to_owned()], &walk_options(&args.walk))?)
}

fn paths_of(walked: &Walked) -> Vec<PathBuf> {
    let candidates = walked.candidates.iter();
    candidates.map(|candidate| candidate.path.clone()).collect()
}

/// Says what could not be compared, and returns whether something of it may be a picture.
fn say_rest(global: &Global, walked: &Walked) -> bool {
    for (path, reason) in &walked.errors {
        say!("cannot read {}: {reason}", shown(path));
    }
    if !walked.others.is_empty() && !global.quiet {
        say!(
            "{} of another kind than pictures, such as {}, not compared",
            counted(walked.others.len(), "file", "files"),
            shown(&relative(&walked.others[0]))
        );
    }
    !walked.errors.is_empty()
}

/// Looks for the pictures of A in B, and at least one of them is a folder.
fn folders(global: &Global, args: &CompareArgs, b: &Path) -> Result {
    let (ours, theirs) = (walked(args, &args.a)?, walked(args, b)?);
    let files = paths_of(&ours);
    // A file is not there because of itself.
    let own: HashSet<PathBuf> = files
        .iter()
        .filter_map(|path| fs::canonicalize(path).ok())
        .collect();
    let mut others = paths_of(&theirs);
    others.retain(|path| fs::canonicalize(path).is_ok_and(|real| !own.contains(&real)));
    let engine = start(global, args)?;
    check_threshold(args, &engine)?;
    let stop = stop_flag("stopping")?;
    let progress = Reporter::new(global, args, stop);
    let mut printer = Printer::new(args);
    let compared = compare_files(
        &engine,
        &files,
        &others,
        threshold(args),
        &progress,
        &mut |path, presence| printer.add(path, presence),
    );
    progress.clear();
    let compared = compared?;
    for (path, reason) in &compared.others_failed {
        say!("{}: not compared: {reason}", shown(&relative(path)));
    }
    let rest = say_rest(global, &ours) | !theirs.errors.is_empty();
    for (path, reason) in &theirs.errors {
        say!("cannot read {}: {reason}", shown(path));
    }
    printer.finish(global, &compared, &shown(b), &[]);
    Ok(outcome(&compared, files.is_empty() || rest))
}

/// Looks for the pictures of A in the index.
fn with_index(global: &Global, args: &CompareArgs) -> Result {
    let library = open_library(global, args)?;
    let ours = walked(args, &args.a)?;
    let files = paths_of(&ours);
    check_threshold(args, library.engine()?)?;
    say_provider(global, library.engine()?);
    let stop = stop_flag("stopping")?;
    let progress = Reporter::new(global, args, stop);
    let mut printer = Printer::new(args);
    let compared =
        library.compare_files(&files, threshold(args), &progress, &mut |path, presence| {
            printer.add(path, presence)
        });
    progress.clear();
    let compared = compared?;
    let rest = say_rest(global, &ours);
    let roots = library.index_view()?.to_reader()?.roots()?;
    printer.finish(global, &compared, "the index", &roots);
    Ok(outcome(&compared, files.is_empty() || rest))
}

fn outcome(compared: &Compared, is_partial: bool) -> Outcome {
    if is_partial || compared.missing + compared.unreadable > 0 {
        Outcome::Partial
    } else {
        Outcome::Done
    }
}

/// Prints what became of each file.
struct Printer<'a> {
    args: &'a CompareArgs,
    /// Where files were found.
    places: Vec<PathBuf>,
}

impl<'a> Printer<'a> {
    fn new(args: &'a CompareArgs) -> Self {
        Self {
            args,
            places: Vec::new(),
        }
    }

    fn add(&mut self, path: &Path, presence: &Presence) {
        if let Presence::Content { of } | Presence::Picture { of, .. } = presence {
            self.places.push(of.clone());
        }
        if self.args.json {
            out!("{}", with_path(presence_json(presence), "path", path));
            return;
        }
        let (is_missing, why) = match presence {
            Presence::Missing { nearest, undecoded } => {
                let like = nearest.as_ref().map(|(of, level, similarity)| {
                    let similarity =
                        similarity.map(|similarity| format!(", {}", percents(similarity)));
                    let of = shown(&relative(of));
                    format!("{} {of}{}", level.name(), similarity.unwrap_or_default())
                });
                (true, like.or_else(|| undecoded.clone()))
            }
            Presence::Unreadable { reason } => (false, Some(reason.clone())),
            _ => return,
        };
        if self.args.paths || self.args.print0 {
            let end = if self.args.print0 { b"\0" } else { b"\n" };
            if is_missing {
                let path = path.as_os_str().as_encoded_bytes();
                streams::bytes(&[path, end].concat());
            } else {
                say!("{}", why.unwrap_or_default());
            }
        } else if is_missing {
            match why {
                Some(why) => out!("{}  ({why})", shown(&relative(path))),
                None => out!("{}", shown(&relative(path))),
            }
        } else {
            say!("{}", why.unwrap_or_default());
        }
    }

    /// Prints the sums. `roots` are folders by which the places are counted.
    fn finish(&self, global: &Global, compared: &Compared, place: &str, roots: &[PathBuf]) {
        let there = compared.by_content + compared.by_picture;
        let all = there + compared.missing + compared.unreadable;
        if self.args.json {
            out!(
                "{}",
                json!({
                    "event": "summary", "pictures": all, "by_content": compared.by_content,
                    "by_picture": compared.by_picture, "missing": compared.missing,
                    "unreadable": compared.unreadable,
                })
            );
            return;
        }
        if global.quiet {
            return;
        }
        if all == 0 {
            say!("no image was found under {}", shown(&self.args.a));
            return;
        }
        let mut text = format!(
            "{} of {} in {place}: {} with the same bytes, {} as another file of the same picture; {} missing",
            count(there as u64),
            counted(all, "picture", "pictures"),
            count(compared.by_content as u64),
            count(compared.by_picture as u64),
            count(compared.missing as u64),
        );
        if compared.unreadable > 0 {
            text += &format!(", {} unreadable", count(compared.unreadable as u64));
        }
        say!("{text}");
        for (root, files) in by_root(&self.places, roots) {
            say!("  {} in {}", count(files as u64), shown(root));
        }
    }
}

/// Returns how many places lie below each root, so that a person sees where copies are.
fn by_root<'r>(places: &[PathBuf], roots: &'r [PathBuf]) -> BTreeMap<&'r Path, usize> {
    let mut counts = BTreeMap::new();
    for place in places {
        if let Some(root) = roots.iter().find(|root| place.starts_with(root)) {
            *counts.entry(root.as_path()).or_default() += 1;
        }
    }
    counts
}

fn presence_json(presence: &Presence) -> Value {
    match presence {
        Presence::Content { of } => with_path(
            json!({"event": "there", "level": Likeness::IdenticalBytes}),
            "of",
            of,
        ),
        Presence::Picture {
            of,
            level,
            similarity,
        } => {
            let line = json!({"event": "there", "level": level, "similarity": similarity});
            with_path(line, "of", of)
        }
        Presence::Missing { nearest, undecoded } => {
            let mut line = json!({"event": "missing", "undecoded": undecoded});
            if let Some((of, level, similarity)) = nearest {
                let near = json!({"level": level, "similarity": similarity});
                line["nearest"] = with_path(near, "path", of);
            }
            line
        }
        Presence::Unreadable { reason } => json!({"event": "unreadable", "reason": reason}),
        _ => Value::Null,
    }
}

/// Shows how many files were read or encoded.
struct Reporter {
    stop: Arc<AtomicBool>,
    bar: ProgressBar,
}

impl Reporter {
    fn new(global: &Global, args: &CompareArgs, stop: Arc<AtomicBool>) -> Self {
        Self {
            stop,
            bar: bar(global, args.json, 0, "files"),
        }
    }

    fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Progress for Reporter {
    fn is_cancelled(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn encoded(&self, done: usize, of: usize) {
        self.bar.set_length(of as u64);
        self.bar.set_position(done as u64);
    }
}
