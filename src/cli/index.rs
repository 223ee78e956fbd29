//! `imgsearch index`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use imgsearch::groups::Foreign;
use imgsearch::onnx::EncoderFile;
use imgsearch::{
    Adaptation, Forgetting, IndexOptions, Kept, Library, Outcome as FileOutcome, Planned, Progress,
    Summary,
};
use indicatif::ProgressBar;
use serde_json::json;

use super::args::{AdaptArgs, AdaptWhen, Global, IndexArgs};
use super::output::{bar, command, count, counted, duration, shown, typed, with_path};
use super::setup::{index_place, open_options, say_provider, walk_options};
use super::signals::stop_flag;
use super::streams::{out, say};
use super::{Outcome, Result, adapt, file_list, foreign, forgetting, hints, shared};

/// Number of problems of each kind that are printed when they occur; the others are counted.
const MAX_NAMED: usize = 10;

pub fn run(global: &Global, args: &IndexArgs) -> Result {
    let dir = index_place(global)?;
    let on_server = dir.to_str().is_some_and(imgsearch::engines::is_url);
    if on_server && let Some(option) = shared::folder_only(args) {
        return Err(format!(
            "{option} needs an index in a folder; a collection on a server keeps the encoder that it was made for"
        )
        .into());
    }
    let stop = stop_flag(
        "stopping after the images that are being processed; press Ctrl-C again to stop at once",
    )?;
    let mut options = IndexOptions::default();
    options.walk = walk_options(&args.walk);
    options.keep_missing = args.keep_missing;
    options.prune = args.prune;
    options.ignore_inode = args.ignore_inode;
    options.retry = args.retry;
    options.shard = args.shard;
    options.no_adapt = args.no_adapt || args.adapt == AdaptWhen::Never || args.encoder.is_some();
    let view = IndexProgress::new(global, args.json, stop);
    let summary = if args.reencode {
        reencode(global, args, &dir, options, &view)?
    } else {
        update(global, args, &dir, options, &view)?
    };
    let foreign = if summary.interrupted || on_server {
        None
    } else {
        much_foreign(&dir)?
    };
    if let Some((_, foreign)) = foreign.as_ref().filter(|_| args.json) {
        view.event(&json!({"event": "foreign", "foreign": foreign::to_json(foreign)}));
    }
    view.finish(global, args.reencode, &dir, &summary);
    if let Some((library, foreign)) = foreign.filter(|_| !args.json && !global.quiet) {
        foreign::say_if_much(global, &library, &foreign)?;
    }
    if let Some(text) = could_adapt(summary.adaptation.as_ref()) {
        if args.adapt == AdaptWhen::Auto && !summary.interrupted {
            return adapt::run(global, &AdaptArgs::of_index(args));
        }
        if !global.quiet && !args.json {
            let adapt = command(global.index.as_deref(), &["adapt"].map(OsStr::new));
            say!("{text}: {adapt}");
        }
    }
    Ok(if summary.interrupted {
        Outcome::Interrupted
    } else if summary.failed > 0 || summary.unreadable_folders > 0 || summary.kept_unconfirmed > 0 {
        Outcome::Partial
    } else {
        Outcome::Done
    })
}

/// Returns how much of the collection is foreign to its encoder, if it is much.
fn much_foreign(dir: &Path) -> Result<Option<(Library, Foreign)>> {
    let library = Library::open(dir)?;
    let foreign = library.foreign()?.filter(Foreign::is_much);
    Ok(foreign.map(|foreign| (library, foreign)))
}

fn reencode(
    global: &Global,
    args: &IndexArgs,
    dir: &Path,
    options: IndexOptions,
    view: &IndexProgress,
) -> Result<Summary> {
    let mut open = open_options(global, args.encoder.as_deref(), Some(&args.limits))?;
    // Taken out, because the index still has another encoder.
    let encoder = match open.encoder.take() {
        Some(encoder) => encoder,
        None => EncoderFile::default_encoder()?,
    };
    let mut library = Library::open_with(dir, open)?;
    Ok(library
        .indexer()
        .options(options)
        .progress(view)
        .reencode(encoder)?)
}

fn update(
    global: &Global,
    args: &IndexArgs,
    dir: &Path,
    options: IndexOptions,
    view: &IndexProgress,
) -> Result<Summary> {
    let named = file_list::with_list(&args.paths, args.files_from.as_deref())?;
    let open = open_options(global, args.encoder.as_deref(), Some(&args.limits))?;
    let mut library = Library::open_or_create_with(dir, open)?;
    let paths = if named.is_empty() {
        if library.collection().is_some() {
            return Err(
                "name the folders to index: a collection on a server remembers none, because machines have others"
                    .into(),
            );
        }
        library.last_roots()?
    } else {
        named
    };
    if paths.is_empty() {
        let index = command(
            global.index.as_deref(),
            &["index", "FOLDER"].map(OsStr::new),
        );
        return Err(format!("nothing is indexed yet; name the folders to index: {index}").into());
    }
    say_provider(global, library.engine()?);
    Ok(library
        .indexer()
        .options(options)
        .progress(view)
        .run(paths)?)
}

/// Shows the progress of an indexing run to a person or a program.
pub struct IndexProgress {
    json: bool,
    quiet: bool,
    bar: ProgressBar,
    /// The index, if an option names it.
    index: Option<PathBuf>,
    stop: Arc<AtomicBool>,
    failures: Capped,
    unreadable: Capped,
    kept: Capped,
}

/// Counts problems of one kind, of which up to [`MAX_NAMED`] are printed.
#[derive(Debug, Default)]
struct Capped(AtomicUsize);

impl Capped {
    /// Counts one more, and returns whether to print it.
    fn admits(&self) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed) < MAX_NAMED
    }

    /// Returns the number of problems that were not printed, if there are any, and starts again.
    fn rest(&self) -> Option<usize> {
        let met = self.0.swap(0, Ordering::Relaxed);
        met.checked_sub(MAX_NAMED).filter(|&rest| rest > 0)
    }
}

impl IndexProgress {
    pub fn new(global: &Global, json: bool, stop: Arc<AtomicBool>) -> Self {
        let bar = bar(global, json, 0, "images");
        bar.set_message("looking for images ");
        Self {
            json,
            quiet: global.quiet,
            bar,
            index: global.index.clone(),
            stop,
            failures: Capped::default(),
            unreadable: Capped::default(),
            kept: Capped::default(),
        }
    }

    /// Prints the number of unreadable folders and links that were not named.
    fn report_rest_of_unreadable(&self) {
        if let Some(rest) = self.unreadable.rest() {
            let folders = counted(rest, "other folder or link", "other folders and links");
            let list = self.list(&["index", "--json"]);
            self.bar
                .suspend(|| say!("… and into {folders}: {list} names each"));
        }
    }

    /// Prints the number of problems of each kind that were not named.
    fn report_rest(&self) {
        self.report_rest_of_unreadable();
        if let Some(rest) = self.kept.rest() {
            let folders = counted(rest, "other folder", "other folders");
            let list = self.list(&["index", "--json"]);
            say!("… and images of {folders} are kept: {list} names each");
        }
        if let Some(rest) = self.failures.rest() {
            let files = counted(rest, "more file", "more files");
            let list = self.list(&["status", "--damaged"]);
            say!("… and {files} could not be used completely: {list} names each");
        }
    }

    /// Returns the command that lists something of this index.
    fn list(&self, words: &[&str]) -> String {
        let words: Vec<&OsStr> = words.iter().map(OsStr::new).collect();
        command(self.index.as_deref(), &words)
    }

    /// Prints an event as a line of JSON.
    pub fn event(&self, event: &serde_json::Value) {
        out!("{event}");
    }

    /// Removes the bar, and prints the numbers of problems that were not named.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
        self.report_rest();
    }

    /// Prints how the run ended. `reencoding` says that an interrupted run leaves the index as it was.
    pub fn finish(&self, global: &Global, reencoding: bool, dir: &Path, summary: &Summary) {
        self.clear();
        if summary.over_limit > 0 && !self.json {
            say!("{}", hints::LIMITS);
        }
        if self.json {
            self.event(&json!({"event": "summary", "summary": summary}));
        } else if !self.quiet {
            print_summary(summary, dir);
        }
        if summary.interrupted && !global.quiet {
            let what = if reencoding {
                "the index is unchanged, and the images encoded so far are kept for the next run"
            } else {
                "the images indexed so far are kept"
            };
            say!("Interrupted: {what}. To resume: {}", command_typed());
        }
    }
}

impl Progress for IndexProgress {
    fn is_cancelled(&self) -> bool {
        self.stop.is_cancelled()
    }

    fn planned(&self, plan: &Planned) {
        self.report_rest_of_unreadable();
        self.bar.set_length(plan.jobs as u64);
        self.bar.set_message("");
        self.bar.reset_eta();
        self.bar.reset_elapsed();
        if self.json {
            self.event(&json!({"event": "planned", "plan": plan}));
        }
    }

    fn file(&self, path: &Path, outcome: &FileOutcome) {
        if !matches!(outcome, FileOutcome::Removed) {
            self.bar.inc(1);
        }
        if self.json {
            let event = json!({"event": "file", "outcome": outcome});
            self.event(&with_path(event, "path", path));
            return;
        }
        let (FileOutcome::Failed(reason) | FileOutcome::Damaged(reason)) = outcome else {
            return;
        };
        if self.failures.admits() {
            self.bar.suspend(|| say!("{}: {reason}", shown(path)));
        }
    }

    fn walk_error(&self, path: &Path, reason: &str) {
        if self.json {
            let event = json!({"event": "unreadable", "reason": reason});
            self.event(&with_path(event, "path", path));
        } else if self.unreadable.admits() {
            self.bar
                .suspend(|| say!("cannot look into {}: {reason}", shown(path)));
        }
    }

    fn kept(&self, kept: &Kept) {
        if self.json {
            let event = json!({"event": "kept", "images": kept.images, "why": kept.why});
            self.event(&with_path(event, "folder", &kept.folder));
        } else if self.kept.admits() {
            let text = forgetting::why_kept(self.index.as_deref(), kept);
            self.bar.suspend(|| say!("{text}"));
        }
    }

    fn forgetting(&self, what: &Forgetting) {
        if self.json {
            let folders: Vec<_> = what
                .folders
                .iter()
                .take(forgetting::MAX_NAMED_FOLDERS)
                .map(|count| with_path(json!({"images": count.images}), "folder", &count.folder))
                .collect();
            self.event(&json!({
                "event": "forgetting", "images": what.images, "of": what.of, "folders": folders,
            }));
        } else {
            let text = forgetting::announced(what);
            self.bar.suspend(|| say!("{text}"));
        }
    }

    fn confirm_forget(&self, what: &Forgetting) -> bool {
        let confirmed = !self.json && self.bar.suspend(|| forgetting::asked(what));
        if !confirmed {
            self.note("They are kept. If they are gone for good, run this again with --prune");
        }
        confirmed
    }

    fn folding(&self, done: usize, of: usize) {
        if self.bar.length() != Some(of as u64) || done == 0 {
            self.bar.set_message("linking for search ");
            self.bar.set_length(of as u64);
            self.bar.reset_eta();
            self.bar.reset_elapsed();
        }
        self.bar.set_position(done as u64);
        if self.json && done == of {
            self.event(&json!({"event": "folded", "images": of}));
        }
    }

    fn committed(&self, done: usize) {
        if self.json {
            self.event(&json!({"event": "committed", "changes": done}));
        }
    }

    fn read_in_vain(&self, files: usize) {
        let files = counted(files, "file was", "files were");
        self.note(&format!(
            "{files} read only because the inode number or change time differs; nothing else changed. If this happens in \
             every run, as on some network disks, add --ignore-inode"
        ));
    }

    fn folding_failed(&self, error: &imgsearch::Error) {
        let optimize = self.list(&["optimize"]);
        self.note(&format!(
            "{error}\nNo image is lost, but searching is slower until this succeeds: {optimize}"
        ));
    }

    fn note(&self, text: &str) {
        if self.json {
            self.event(&json!({"event": "note", "text": text}));
        } else {
            self.bar.suspend(|| say!("{text}"));
        }
    }
}

/// Returns the command as it was typed, to be typed again.
fn command_typed() -> String {
    let words = super::TYPED.get().into_iter().flatten().skip(1);
    words.fold("imgsearch".to_owned(), |command, word| {
        command + " " + &typed(word)
    })
}

/// Prints what a run did to the index in `dir`.
pub fn print_summary(summary: &Summary, dir: &Path) {
    let looked_at = summary.added
        + summary.changed
        + summary.moved
        + summary.unchanged
        + summary.failed
        + summary.failed_before;
    let kept = summary.kept_missing + summary.kept_unreadable;
    if looked_at + summary.removed + kept == 0 && !summary.interrupted {
        say!(
            "No image was found among {}. Hidden files and folders are skipped unless you add --hidden; so is what \
             --ignore or a file {} names.",
            counted(summary.others, "file", "files"),
            imgsearch::IGNORE_FILE
        );
        return;
    }
    let mut parts = Vec::new();
    let mut part = |n: usize, text: &str| {
        if n > 0 {
            parts.push(format!("{} {text}", count(n as u64)));
        }
    };
    part(summary.added, "added");
    part(summary.changed, "changed");
    part(summary.moved, "moved");
    part(summary.removed, "removed");
    part(summary.unchanged, "unchanged");
    part(summary.kept_missing, "missing and kept");
    part(summary.kept_unreadable, "out of reach and kept");
    part(summary.damaged, "partly damaged");
    part(summary.blank, "blank");
    part(summary.failed, "unusable");
    part(
        summary.failed_before,
        "unusable as before (--retry tries them again)",
    );
    let mut line = parts.join(", ");
    if summary.identical > 0 {
        line += &format!(
            " ({} of the same content as others)",
            count(summary.identical as u64)
        );
    }
    line += &format!("; {}", duration(summary.seconds));
    if summary.encoded > 0 {
        line += &format!(", {:.0} images/s", summary.images_per_second);
    }
    say!("{line}");
    if let Some(text) = summary.adaptation.as_ref().and_then(adaptation) {
        say!("{text}");
    }
    let place = imgsearch::engines::redacted(&dir.to_string_lossy());
    say!("index: {}", shown(Path::new(&place)));
}

/// Says why the index could have a better encoder, if that is so.
fn could_adapt(what: Option<&Adaptation>) -> Option<String> {
    match what? {
        Adaptation::Grown { from, to } => Some(format!(
            "The collection has grown from {} to {} images since an encoder was trained on it. This trains a new one",
            count(*from as u64),
            count(*to as u64)
        )),
        Adaptation::Offered => Some(
            "This index has the built-in encoder. An encoder that is trained on its images finds more of the same kind"
                .to_owned(),
        ),
        _ => None,
    }
}

/// Says what happened to the encoder.
fn adaptation(what: &Adaptation) -> Option<String> {
    let alike = |before: f64, after: f64| {
        format!(
            "nearest images alike: {:.1} % of the best possible by the built-in encoder, {:.1} % by the new one",
            100.0 * before,
            100.0 * after
        )
    };
    Some(match what {
        Adaptation::TooFew { min_images } => {
            format!("encoder: built-in; from {min_images} images on, a new index trains its own")
        }
        Adaptation::Better {
            images,
            before,
            after,
            seconds,
        } => format!(
            "encoder: trained on {} images of this collection in {}; {}",
            count(*images as u64),
            duration(*seconds),
            alike(*before, *after)
        ),
        Adaptation::NotBetter {
            images,
            before,
            after,
            seconds,
        } => format!(
            "encoder: built-in; one trained on {} images in {} was not better; {}",
            count(*images as u64),
            duration(*seconds),
            alike(*before, *after)
        ),
        Adaptation::Failed { reason } => {
            format!("encoder: built-in, because none could be trained: {reason}")
        }
        _ => return None,
    })
}
