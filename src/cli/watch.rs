//! `imgsearch watch`, and the watcher of `imgsearch serve --watch`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use imgsearch::{
    Forgetting, IndexOptions, Kept, Library, Outcome as FileOutcome, Planned, Progress, Summary,
    WatchEnd, WatchEvent, WatchProgress, WatchStopper, Watcher,
};
use serde_json::json;

use super::args::{Global, LimitArgs, WatchArgs};
use super::index::{IndexProgress, print_summary};
use super::output::{command, count, counted, shown, with_path, with_paths};
use super::setup::{index_dir, open_options, walk_options};
use super::signals::stop_with;
use super::streams::say;
use super::{Outcome, Result};

pub fn run(global: &Global, args: &WatchArgs) -> Result {
    let dir = index_dir(global)?;
    let mut options = IndexOptions::default();
    options.walk = walk_options(&args.walk);
    options.keep_missing = args.keep_missing;
    options.prune = args.prune;
    options.ignore_inode = args.ignore_inode;
    options.no_adapt = args.no_adapt;
    let open = open_options(global, None, Some(&args.limits))?;
    let mut library = Library::open_or_create_with(&dir, open)?;
    let watcher = set_up(&mut library, options, args.poll);
    let stopper = watcher.stopper();
    let stop = stop_with("ending", move || stopper.stop())?;
    let view = View::new(global, args.json, stop, &dir);
    let end = watcher.run(&args.paths, &view)?;
    view.ended(end);
    Ok(if end.interrupted {
        Outcome::Interrupted
    } else {
        Outcome::Done
    })
}

fn set_up(library: &mut Library, options: IndexOptions, poll: Option<Duration>) -> Watcher<'_> {
    let watcher = library.watcher().options(options);
    match poll {
        Some(every) => watcher.poll(every),
        None => watcher,
    }
}

/// A watcher on a thread of its own.
pub struct Running {
    pub stopper: WatchStopper,
    pub thread: JoinHandle<imgsearch::Result<WatchEnd>>,
}

/// Starts a watcher of these paths, or of what the index covers, beside something else.
pub fn spawn(
    global: &Global,
    limits: &LimitArgs,
    paths: Vec<PathBuf>,
    poll: Option<Duration>,
) -> Result<Running> {
    let dir = index_dir(global)?;
    let open = open_options(global, None, Some(limits))?;
    let mut library = Library::open_or_create_with(&dir, open)?;
    let mut view = View::new(global, false, Arc::default(), &dir);
    view.may_ask = false;
    let (sender, receiver) = mpsc::channel();
    let thread = thread::Builder::new()
        .name("watcher".to_owned())
        .spawn(move || {
            let watcher = set_up(&mut library, IndexOptions::default(), poll);
            // Whoever started it waits for this.
            let _ = sender.send(watcher.stopper());
            watcher.run(paths, &view)
        })?;
    Ok(Running {
        stopper: receiver.recv()?,
        thread,
    })
}

/// Shows what a watcher does to a person or a program.
struct View {
    json: bool,
    quiet: bool,
    dir: PathBuf,
    /// The index, if an option names it.
    index: Option<PathBuf>,
    files: IndexProgress,
    /// Whether a person may be asked a question before everything was indexed once.
    may_ask: bool,
    /// Whether everything was indexed once.
    is_ready: AtomicBool,
}

impl View {
    fn new(global: &Global, json: bool, stop: Arc<AtomicBool>, dir: &Path) -> Self {
        Self {
            may_ask: true,
            json,
            quiet: global.quiet,
            dir: dir.to_owned(),
            index: global.index.clone(),
            files: IndexProgress::new(global, json, stop),
            is_ready: AtomicBool::new(false),
        }
    }

    fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Relaxed)
    }

    /// Prints that the watcher ended.
    fn ended(&self, end: WatchEnd) {
        self.files.clear();
        if self.json {
            self.files
                .event(&json!({"event": "ended", "interrupted": end.interrupted}));
        } else if end.interrupted && !self.quiet {
            say!(
                "a batch was cut short; what was indexed is kept, and the next start does the rest"
            );
        }
    }

    fn indexed(&self, summary: &Summary) {
        self.files.clear();
        if self.json {
            self.files
                .event(&json!({"event": "batch", "summary": summary}));
        } else if !self.quiet {
            if self.is_ready() {
                if let Some(line) = line(summary) {
                    say!("{line}");
                }
            } else {
                print_summary(summary, &self.dir);
            }
        }
    }

    fn ready(&self, folders: usize, polled: &[PathBuf]) {
        self.is_ready.store(true, Ordering::Relaxed);
        if self.json {
            let event = json!({"event": "watching", "folders": folders});
            self.files.event(&with_paths(event, "polled", polled));
        } else if !self.quiet {
            let folders = counted(folders, "folder", "folders");
            let names: Vec<String> = polled.iter().map(|path| shown(path)).collect();
            let polled = match names.len() {
                0 => String::new(),
                _ => format!(", and looking at {} regularly", names.join(", ")),
            };
            say!("watching {folders}{polled}; Ctrl-C ends it");
        }
    }

    /// Prints an event about a folder, or a line.
    fn folder(&self, event: &str, folder: &Path, line: std::fmt::Arguments<'_>) {
        if self.json {
            let event = json!({"event": event});
            self.files.event(&with_path(event, "folder", folder));
        } else {
            say!("{line}");
        }
    }
}

/// Returns what a batch changed in one line, or `None` if that is nothing.
fn line(summary: &Summary) -> Option<String> {
    let parts = [
        (summary.added, "new"),
        (summary.changed, "changed"),
        (summary.moved, "moved"),
        (summary.removed, "gone"),
        (summary.kept_missing, "missing and kept"),
        (summary.kept_unreadable, "out of reach and kept"),
        (summary.damaged, "partly damaged"),
        (summary.blank, "blank"),
        (summary.failed, "unusable"),
    ];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| format!("{} {what}", count(*number as u64)))
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

impl WatchProgress for View {
    fn watch(&self, event: &WatchEvent) {
        match event {
            WatchEvent::Indexed(summary) => self.indexed(summary),
            WatchEvent::Ready { folders, polled } => self.ready(*folders, polled),
            WatchEvent::Waiting { holder } if self.json => {
                self.files
                    .event(&json!({"event": "waiting", "holder": holder}));
            }
            WatchEvent::Waiting { holder } => {
                say!("waiting for {holder}, which writes to the index")
            }
            WatchEvent::Incomplete { reason } if self.json => {
                self.files
                    .event(&json!({"event": "incomplete", "reason": reason}));
            }
            WatchEvent::Incomplete { reason } => {
                say!("{reason}; all folders are looked at regularly instead");
            }
            WatchEvent::Vanished { folder } => {
                let remove = command(
                    self.index.as_deref(),
                    &[OsStr::new("remove"), folder.as_os_str()],
                );
                self.folder(
                    "vanished",
                    folder,
                    format_args!(
                        "{} is not there any more: its images are kept until it is back. If it is gone for good: {remove}",
                        shown(folder)
                    ),
                );
            }
            WatchEvent::Returned { folder } => {
                self.folder(
                    "returned",
                    folder,
                    format_args!("{} is back", shown(folder)),
                );
            }
            _ => {}
        }
    }
}

impl Progress for View {
    fn is_cancelled(&self) -> bool {
        self.files.is_cancelled()
    }

    fn planned(&self, plan: &Planned) {
        self.files.planned(plan);
    }

    fn file(&self, path: &Path, outcome: &FileOutcome) {
        self.files.file(path, outcome);
    }

    fn walk_error(&self, path: &Path, reason: &str) {
        self.files.walk_error(path, reason);
    }

    fn kept(&self, kept: &Kept) {
        self.files.kept(kept);
    }

    fn forgetting(&self, what: &Forgetting) {
        self.files.forgetting(what);
    }

    fn confirm_forget(&self, what: &Forgetting) -> bool {
        if self.may_ask && !self.is_ready() {
            return self.files.confirm_forget(what);
        }
        // Nobody may sit there to answer, and the index is locked meanwhile.
        let prune = command(self.index.as_deref(), &["index", "--prune"].map(OsStr::new));
        self.note(&format!(
            "They are kept. If they are gone for good: {prune}"
        ));
        false
    }

    fn folding(&self, done: usize, of: usize) {
        self.files.folding(done, of);
    }

    fn committed(&self, done: usize) {
        self.files.committed(done);
    }

    fn read_in_vain(&self, files: usize) {
        self.files.read_in_vain(files);
    }

    fn folding_failed(&self, error: &imgsearch::Error) {
        self.files.folding_failed(error);
    }

    fn note(&self, text: &str) {
        self.files.note(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_one_line_and_nothing_is_none() {
        let mut summary = Summary::default();
        summary.unchanged = 7;
        assert_eq!(line(&summary), None);
        (summary.added, summary.moved, summary.removed) = (3, 1, 1200);
        assert_eq!(line(&summary).unwrap(), "3 new, 1 moved, 1,200 gone");
    }
}
