//! Indexing: from folders to a store that mirrors them.
//!
//! A run has five steps, one module each. The walk lists candidate files ([`crate::indexing::walk`]);
//! the [`plan`] compares them with what is stored, by size, dates and inode number, and leaves
//! the jobs; [`work`]ers, one a core, read, hash, decode and encode; the one [`write`]r takes
//! their results in the order of the jobs, so that ids do not depend on which worker was
//! faster, and commits them in batches. What vanished is [`prune`]d last, where [`forget`] finds that
//! it is gone for good.
//!
//! A crash loses what was not committed: at most [`COMMIT_EVERY`] images or
//! [`COMMIT_SECONDS`] of work, whichever is less, beside what the workers have in hand, and up to
//! ten seconds of it where a batch of pictures takes so long. The next run does just those again.

pub(crate) mod forget;
mod plan;
mod prune;
pub(crate) mod report;
pub mod walk;
mod work;
pub(crate) mod worker_pool;
mod write;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use imgsearch_index::{FoldOptions, Folded, Mended, Writer};

use crate::encode::engine::Engine;
use crate::error::Result;
use crate::indexing::walk::{WalkOptions, Walked};
use crate::progress::Progress;

pub use report::{FolderCount, Forgetting, Kept, Outcome, Planned, Summary, WhyKept};

/// Results are committed when this many have come together …
pub const COMMIT_EVERY: usize = 256;

/// … or when this many seconds have passed since the last commit.
pub const COMMIT_SECONDS: f64 = 1.0;

/// What is finished waits so long for the pictures of a batch that comes before it. Then it is stored
/// without: ids follow in another order, and no picture holds the others up.
const PATIENCE: Duration = Duration::from_secs(10);

/// At which step a file failed, as it is stored with the failure.
pub(crate) mod stage {
    /// The file could not be read. It is tried again in every run: what keeps it from being read
    /// leaves no trace in its size and date.
    pub const READ: &str = "read";
    /// It costs more than the limits of the run allow. Tried again in every run, for the same
    /// reason, but for what took too long, which waits for another limit.
    pub const LIMIT: &str = "limit";
    /// It was not tried, because others that took too long were still being decoded. What was
    /// stored of the file stays. Tried again in every run.
    pub const UNTRIED: &str = "untried";
    /// Its content is no picture that can be decoded. Tried again once it changes.
    pub const DECODE: &str = "decode";
}

/// What an indexing run looks at and does.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct IndexOptions {
    /// What is walked.
    pub walk: WalkOptions,
    /// Keep what is stored of files that vanished. Default: it is removed.
    pub keep_missing: bool,
    /// Forget what vanished however much it is. Default: where it is much, only what
    /// [`Progress::confirm_forget`] confirms.
    pub prune: bool,
    /// Take a file of the same size and date for unchanged though its inode number or change time
    /// is another, as on network disks that make them up. Default: it is read.
    pub ignore_inode: bool,
    /// Try again the files that could not be decoded before, changed or not. Those that could not
    /// be read, or were larger than the limits allow, are tried again anyway, and those that took
    /// too long once the limit on time is another.
    pub retry: bool,
}

/// Whether a run folds new images into segments as they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Folding {
    /// For an index that is searched during the run.
    AsItGrows,
    /// For an index of which only the images are used.
    Never,
}

/// Indexes what was walked. See [`crate::Library::index`].
pub(crate) fn run(
    writer: &mut Writer,
    engine: &Engine,
    walked: &Walked,
    options: &IndexOptions,
    folding: Folding,
    progress: &dyn Progress,
) -> Result<Summary> {
    let started = Instant::now();
    for (path, reason) in &walked.errors {
        progress.walk_error(path, reason);
    }
    let reader = writer.reader()?;
    let mut grounds = forget::Grounds::new(&reader, walked, walked.roots.clone())?;
    let plan = plan::plan(&reader, walked, options, engine.limits(), &mut grounds)?;
    progress.planned(&Planned {
        found: walked.candidates.len(),
        unchanged: plan.unchanged,
        jobs: plan.jobs.len(),
    });
    let mut summary = Summary {
        unchanged: plan.unchanged,
        failed_before: plan.failed_before,
        others: walked.others.len(),
        unreadable_folders: walked.errors.len(),
        ..Summary::default()
    };

    writer.begin_run(&walked.roots)?;
    // What a run stores that does not come to its end has its folders recorded.
    grounds.record(writer, std::iter::empty(), true)?;
    let encoding = Instant::now();
    let mut write = write::Write::new(writer, &plan, options, &mut grounds, progress, &mut summary)
        .folding(folding == Folding::AsItGrows);
    process(&reader, engine, &plan, progress, &mut write)?;
    let wrote = write.finish()?;
    summary.storing_seconds = wrote.took.as_secs_f64();
    let seconds = encoding.elapsed().as_secs_f64();
    if seconds > 0.0 && summary.encoded > 0 {
        summary.images_per_second = summary.encoded as f64 / seconds;
    }

    summary.interrupted = progress.is_cancelled();
    if !summary.interrupted {
        let mut prune = prune::Prune {
            writer,
            walked,
            grounds: &mut grounds,
            options,
            progress,
            summary: &mut summary,
        };
        prune.run(&plan, &wrote)?;
    }
    summary.seconds = started.elapsed().as_secs_f64();
    let counts = serde_json::to_value(&summary).unwrap_or_default();
    writer.finish_run(&counts, !summary.interrupted)?;
    Ok(summary)
}

/// Folds what is stored into segments.
pub(crate) fn fold(
    writer: &mut Writer,
    options: &FoldOptions,
    progress: &dyn Progress,
) -> Result<Folded> {
    let stop = AtomicBool::new(progress.is_cancelled());
    let folded = writer.fold(options, &stop, &mut |done, of| {
        progress.folding(done, of);
        stop.store(progress.is_cancelled(), Ordering::Relaxed);
    })?;
    for damaged in &folded.damaged {
        progress.note(&format!("{damaged}; it was made anew from the database"));
    }
    tell_of_mending(&folded.mended, progress);
    if options.all {
        for foreign in &folded.foreign {
            progress.note(&format!(
                "{foreign} is no segment of the index and is left alone"
            ));
        }
    }
    Ok(folded)
}

/// Says what became of stored codes that were damaged.
fn tell_of_mending(mended: &Mended, progress: &dyn Progress) {
    if mended.restored > 0 {
        progress.note(&format!(
            "the stored codes of {} images were damaged and came back from a segment",
            mended.restored
        ));
    }
    if !mended.to_read.is_empty() {
        progress.note(&format!(
            "the stored codes of {} images are damaged: they are left out of answers until the next imgsearch index \
             reads their files again",
            mended.to_read.len()
        ));
    }
}

/// Says where folding failed after a run. Its images are stored by then, and without segments
/// they are found all the same.
pub(crate) fn tell_of_folding(folded: Result<Folded>, progress: &dyn Progress) {
    if let Err(error) = folded {
        progress.note(&format!(
            "{error}\nNo image is lost, but searching is slower until imgsearch optimize succeeds"
        ));
    }
}

/// Hands the jobs out to workers and their results to the writer.
fn process(
    reader: &imgsearch_index::Reader,
    engine: &Engine,
    plan: &plan::Plan,
    progress: &dyn Progress,
    write: &mut write::Write<'_, '_>,
) -> Result<()> {
    if plan.jobs.is_empty() {
        return Ok(());
    }
    let dir = reader.dir();
    let shift = work::Shift {
        batch: engine.batch(),
        claims: work::Claims::default(),
        limits: *engine.limits(),
    };
    let sizes: Vec<u64> = plan.jobs.iter().map(plan::Job::size).collect();
    worker_pool::run(
        worker_pool::Jobs {
            weights: &sizes,
            threads: engine.threads(),
            count: plan.jobs.len(),
            chunk: engine.batch(),
            patience: PATIENCE,
        },
        progress,
        || work::Desk::new(engine, dir),
        |desk, range| shift.chunk(&plan.jobs[range], desk),
        |range, made| write.receive(range.start, made),
    )
}
