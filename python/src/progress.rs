//! Long operations: they run on a thread of their own, while the caller's thread reports and listens for Ctrl-C.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use imgsearch::duplicates::Stage;
use imgsearch::training::autoencoder::Epoch;
use imgsearch::training::head::EpochReport;
use imgsearch::{Error, Forgetting, Kept, Outcome, Planned, Progress};
use pyo3::prelude::*;

use crate::errors::{Kind, error, raised};

/// How long Ctrl-C waits at most for being noticed.
const TICK: Duration = Duration::from_millis(50);

/// What is reported.
#[derive(Debug, Clone, PartialEq)]
enum Event {
    /// A stage, and how much of it is done.
    Done(&'static str, usize, usize),
    /// Something that people should know.
    Note(String),
}

/// Reports to the caller's thread, which may cancel.
pub struct Reporter {
    stop: Arc<AtomicBool>,
    events: Sender<Event>,
    jobs: AtomicUsize,
    files: AtomicUsize,
    epochs: AtomicUsize,
}

impl Reporter {
    fn send(&self, event: Event) {
        // The receiver outlives the work.
        let _ = self.events.send(event);
    }

    /// Reports how much of a stage is done.
    pub fn done(&self, stage: &'static str, done: usize, of: usize) {
        self.send(Event::Done(stage, done, of));
    }

    /// Ends the work.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Progress for Reporter {
    fn is_cancelled(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn note(&self, text: &str) {
        self.send(Event::Note(text.to_owned()));
    }

    fn planned(&self, plan: &Planned) {
        self.jobs.store(plan.jobs, Ordering::Relaxed);
        self.done("indexing", 0, plan.jobs);
    }

    fn file(&self, path: &Path, outcome: &Outcome) {
        if let Outcome::Damaged(reason) | Outcome::Failed(reason) = outcome {
            self.note(&format!("{}: {reason}", path.display()));
        }
        if *outcome != Outcome::Removed {
            let files = self.files.fetch_add(1, Ordering::Relaxed) + 1;
            let jobs = self.jobs.load(Ordering::Relaxed);
            self.done("indexing", files.min(jobs), jobs);
        }
    }

    fn walk_error(&self, path: &Path, reason: &str) {
        self.note(&format!("{}: {reason}", path.display()));
    }

    fn kept(&self, kept: &Kept) {
        self.note(&format!(
            "{} images are kept although their files were not found: {} is missing, empty, unreadable or another folder",
            kept.images,
            kept.folder.display()
        ));
    }

    fn forgetting(&self, what: &Forgetting) {
        self.note(&format!(
            "the files of {} of {} images are gone; these images are kept unless prune=True allows to forget them",
            what.images, what.of
        ));
    }

    fn folding_failed(&self, error: &Error) {
        self.note(&format!(
            "{error}; no image is lost, but searching is slower until this succeeds"
        ));
    }

    fn folding(&self, done: usize, of: usize) {
        self.done("folding", done, of);
    }

    fn duplicates(&self, stage: Stage, done: usize, of: usize) {
        let stage = match stage {
            Stage::Candidates => "candidates",
            _ => "pixels",
        };
        self.done(stage, done, of);
    }

    fn encoded(&self, done: usize, of: usize) {
        self.done("encoding", done, of);
    }

    fn unusable(&self, path: &Path, reason: &str) {
        self.note(&format!("{}: {reason}", path.display()));
    }

    fn epoch(&self, _report: &EpochReport) {
        let epochs = self.epochs.fetch_add(1, Ordering::Relaxed) + 1;
        self.done("epochs", epochs, 0);
    }

    fn autoencoder_epoch(&self, _epoch: &Epoch) {
        let epochs = self.epochs.fetch_add(1, Ordering::Relaxed) + 1;
        self.done("epochs", epochs, 0);
    }

    fn compared(&self, done: usize, of: usize) {
        self.done("neighbours", done, of);
    }

    fn placed(&self, done: usize, of: usize) {
        self.done("placing", done, of);
    }

    fn scoring(&self, representation: &str) {
        self.note(&format!("scoring {representation}"));
    }
}

/// Runs `work` on another thread and returns its result. Meanwhile `report(stage, done, of)` and `report("note", text)`
/// are called on this thread, with the newest of what came in. The work is cancelled by a signal whose handler
/// raises, as that of Ctrl-C does, and by a report that raises.
///
/// # Errors
///
/// What the handler or the report raised, once the work has stopped; or what the work returned.
pub fn run<T: Send>(
    py: Python<'_>,
    report: Option<&Bound<'_, PyAny>>,
    work: impl FnOnce(&Reporter) -> PyResult<T> + Send,
) -> PyResult<T> {
    let stop = Arc::new(AtomicBool::new(false));
    let (events, mut received) = mpsc::channel();
    let reporter = Reporter {
        stop: Arc::clone(&stop),
        events,
        jobs: AtomicUsize::new(0),
        files: AtomicUsize::new(0),
        epochs: AtomicUsize::new(0),
    };
    thread::scope(|scope| {
        let worker = thread::Builder::new()
            .name("imgsearch-work".to_owned())
            // Drops the reporter at its end, which ends the loop below.
            .spawn_scoped(scope, move || {
                let reporter = reporter;
                work(&reporter)
            })
            .map_err(|failed| error(Kind::Error, format!("no thread can be started: {failed}")))?;
        let listened = listen(py, report, &mut received, &stop);
        let made = py.detach(|| worker.join());
        listened?;
        made.unwrap_or_else(|panic| {
            let text = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned());
            Err(raised(Error::Worker(text.unwrap_or_default())))
        })
    })
}

/// Reports until the work is over. Returns the first exception.
fn listen(
    py: Python<'_>,
    report: Option<&Bound<'_, PyAny>>,
    received: &mut Receiver<Event>,
    stop: &AtomicBool,
) -> PyResult<()> {
    let mut result = Ok(());
    loop {
        // Exclusively, because a receiver cannot be shared.
        let waiting = &mut *received;
        let first = match py.detach(move || waiting.recv_timeout(TICK)) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return result,
        };
        if result.is_ok() {
            result = py.check_signals();
        }
        let events = newest(first.into_iter().chain(received.try_iter()));
        if let Some(report) = report {
            for event in events {
                if result.is_ok() {
                    result = call(report, event);
                }
            }
        }
        if result.is_err() {
            stop.store(true, Ordering::Relaxed);
        }
    }
}

/// Returns the notes, and of each stage what is reported last.
fn newest(events: impl Iterator<Item = Event>) -> VecDeque<Event> {
    let mut kept: VecDeque<Event> = VecDeque::new();
    for event in events {
        if let (Event::Done(stage, ..), Some(Event::Done(last, ..))) = (&event, kept.back())
            && stage == last
        {
            kept.pop_back();
        }
        kept.push_back(event);
    }
    kept
}

fn call(report: &Bound<'_, PyAny>, event: Event) -> PyResult<()> {
    match event {
        Event::Done(stage, done, of) => report.call1((stage, done, of))?,
        Event::Note(text) => report.call1(("note", text, 0))?,
    };
    Ok(())
}
