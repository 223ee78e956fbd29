//! Indexing: from folders to a store that mirrors them.
//!
//! A run has five steps, each in a module. [`walk`] lists candidate files. [`plan`] compares them with what is
//! [`stored`], by size, dates and inode number, and leaves the jobs. The [`work`]ers, one per core, read, hash,
//! decode and encode. [`write`](mod@write) takes their results in the order of the jobs, so ids do not depend on
//! which worker is faster, and commits them in batches. Last, [`prune`] removes the images whose files are gone
//! for good, as [`forget`] decides.
//!
//! A crash loses what was not committed: at most [`COMMIT_EVERY`] images or [`COMMIT_SECONDS`] of work, whichever
//! is less, plus what the workers are processing, and up to ten seconds of work if a batch of images takes that
//! long. The next run repeats only that.

pub(crate) mod adapting;
pub(crate) mod forget;
mod plan;
mod prune;
pub(crate) mod report;
pub(crate) mod shared;
mod stored;
pub mod walk;
#[cfg(feature = "watch")]
pub(crate) mod watch;
mod witness;
mod work;
pub(crate) mod worker_pool;
mod write;

use std::ops::{ControlFlow, Range};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use imgsearch_index::{FoldOptions, Folded, Repaired, Writer};

use adapting::{Adapting, Due, Known};

use crate::encode::engine::Engine;
use crate::error::Result;
use crate::indexing::walk::{WalkOptions, Walked};
use crate::library::encoder_copy;
use crate::progress::Progress;

pub use report::{Adaptation, FolderCount, Forgetting, Kept, Outcome, Planned, Summary, WhyKept};
pub use shared::Shard;

/// Results are committed once there are this many …
pub const COMMIT_EVERY: usize = 256;

/// … or when this many seconds have passed since the last commit.
pub const COMMIT_SECONDS: f64 = 1.0;

/// Time that finished results wait for an earlier batch. Then they are stored before it: ids come in another
/// order, and no image holds the others up.
const PATIENCE: Duration = Duration::from_secs(10);

/// Options of an indexing run.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct IndexOptions {
    /// Which files are walked.
    pub walk: WalkOptions,
    /// Keep images whose files are gone. Default: they are removed.
    pub keep_missing: bool,
    /// Remove images whose files are gone, however many. Default: if they are many, only after
    /// [`Progress::confirm_forget`] confirms it.
    pub prune: bool,
    /// Treat a file of the same size and date as unchanged even if its inode number or change time differs, which
    /// some network disks make up. Default: such a file is read.
    pub ignore_inode: bool,
    /// Try again all files that could not be decoded before, even if they are unchanged. Default: unchanged files
    /// are tried again only if they could not be read, were larger than the limits, or took too long under another
    /// limit on time.
    pub retry: bool,
    /// Keep the built-in encoder in a new index, for good. Default: an encoder is trained on the images of the first
    /// run that has enough of them, and takes over if it is better ([`Summary::adaptation`]). Without the feature `train`, none is ever trained.
    pub no_adapt: bool,
    /// The share of the files that is indexed, if several machines share the work. Only a collection on a server can
    /// be indexed so. Default: all files.
    pub shard: Option<Shard>,
}

/// Whether a run folds new images into segments while it adds them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Folding {
    /// For an index that is searched during the run.
    AsItGrows,
    /// For an index that is not searched.
    Never,
}

/// What an indexing run works with.
pub(crate) struct Setup<'a> {
    pub engine: &'a Engine,
    pub options: &'a IndexOptions,
    pub folding: Folding,
    /// What trains an encoder if the index is new; `None` if it keeps the one that it has.
    pub adapting: Option<&'a Adapting>,
    /// The indexed folders, sorted, none inside another, if only a part of them was walked. The run then decides
    /// about that part, and is recorded as one of these folders.
    pub within: Option<&'a [PathBuf]>,
}

/// Indexes the walked files. See [`crate::Library::index`]. If an encoder was trained on them, it is the writer's
/// encoder afterwards.
///
/// # Errors
///
/// If the index cannot be read or written, or the encoder fails.
pub(crate) fn run(
    writer: &mut Writer,
    walked: &Walked,
    setup: &Setup<'_>,
    progress: &dyn Progress,
) -> Result<Summary> {
    let started = Instant::now();
    let Setup {
        engine, options, ..
    } = *setup;
    for (path, reason) in &walked.errors {
        tracing::info!(?path, reason, "skipped: it cannot be read");
        progress.walk_error(path, reason);
    }
    let reader = writer.reader()?;
    let roots = setup.within.unwrap_or(&walked.roots);
    let mut evidence = forget::Evidence::of_part(&reader, walked, setup.within)?;
    let mut stored = stored::Stored::load(&reader, walked)?;
    let mut plan = plan::plan(&mut stored, walked, options, engine.limits(), &mut evidence)?;
    let (missing, _) = stored.into_left();
    if setup.within.is_some() {
        witness::call(&reader, &missing, options, &mut evidence)?;
    }
    for path in &walked.others {
        tracing::debug!(?path, why = "no image", "skipped");
    }
    tracing::info!(
        roots = ?roots,
        images = walked.candidates.len(),
        other_files = walked.others.len(),
        unreadable_folders = walked.errors.len(),
        "walked"
    );
    tracing::info!(
        unchanged = plan.unchanged,
        failed_before = plan.failed_before,
        to_read = plan.jobs.len(),
        "planned"
    );
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

    let due = match setup.adapting {
        Some(adapting) => {
            let new = plan.jobs.iter().filter(|job| job.before.is_none());
            adapting.due(writer, walked.candidates.len(), new.count())?
        }
        None => Due::Nothing,
    };
    if options.no_adapt && setup.within.is_none() {
        Known::declined(writer, walked.candidates.len())?;
    }
    let adapting = setup.adapting.filter(|_| matches!(due, Due::Train));
    if let Due::Say(what) = due {
        summary.adaptation = Some(what);
    }
    let sampled = adapting.map_or(0, |adapting| {
        let images = walked.candidates.len();
        adapting::sample_first(&mut plan, walked, (adapting.max_sample)(images))
    });
    writer.begin_run(roots)?;
    // Now, so that the folders of a run that does not finish are recorded, too.
    evidence.record(writer, std::iter::empty(), true)?;
    let process = Process {
        reader: &reader,
        plan: &plan,
        context: work::WorkerContext::new(engine),
        progress,
    };
    let write = write::Write::new(
        writer,
        &plan,
        options,
        &mut evidence,
        progress,
        &mut summary,
    )
    .folding(setup.folding == Folding::AsItGrows);
    let encoding = Instant::now();
    let wrote = process.all(engine, adapting.map(|adapting| (adapting, sampled)), write)?;
    let seconds = encoding.elapsed().as_secs_f64();
    summary.storing_seconds = wrote.took.as_secs_f64();
    if let Some(what) = &summary.adaptation
        && what.was_tried()
    {
        Known::trained(writer, walked.candidates.len())?;
    }
    let trained = summary.adaptation.as_ref().map_or(0.0, Adaptation::seconds);
    if seconds > trained && summary.encoded > 0 {
        summary.images_per_second = summary.encoded as f64 / (seconds - trained);
    }

    summary.interrupted = progress.is_cancelled();
    if !summary.interrupted {
        let mut prune = prune::Prune {
            writer,
            walked,
            within: setup.within,
            evidence: &mut evidence,
            options,
            progress,
            summary: &mut summary,
        };
        prune.run(&plan.touched, &missing, &wrote)?;
    }
    if let Some(what) = &summary.adaptation {
        tracing::info!(?what, "encoder of the collection");
    }
    summary.seconds = started.elapsed().as_secs_f64();
    let counts = serde_json::to_value(&summary).unwrap_or_default();
    writer.finish_run(&counts, !summary.interrupted)?;
    Ok(summary)
}

/// Folds stored images into segments.
///
/// # Errors
///
/// If the database cannot be read or a segment cannot be written.
pub(crate) fn fold(
    writer: &mut Writer,
    options: &FoldOptions,
    progress: &dyn Progress,
) -> Result<Folded> {
    let folded = writer.fold(options, &mut |step| {
        progress.folding(step.done, step.of);
        if progress.is_cancelled() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    for damaged in &folded.damaged {
        progress.note(&format!("{damaged}; it was rebuilt from the database"));
    }
    report_repaired(&folded.repaired, progress);
    if options.all {
        for foreign in &folded.foreign {
            progress.note(&format!(
                "{foreign} is not a segment of the index and was left alone"
            ));
        }
    }
    Ok(folded)
}

/// Reports what happened to damaged stored codes.
fn report_repaired(repaired: &Repaired, progress: &dyn Progress) {
    if repaired.restored > 0 {
        progress.note(&format!(
            "the stored codes of {} images were damaged and were restored from a segment",
            repaired.restored
        ));
    }
    if !repaired.to_read.is_empty() {
        progress.note(&format!(
            "the stored codes of {} images are damaged: these images are left out of answers until the next indexing \
             run reads their files again",
            repaired.to_read.len()
        ));
    }
}

/// Reports whether folding failed after a run. Its images are stored by then, and searches find them without
/// segments, too.
pub(crate) fn report_folding(folded: Result<Folded>, progress: &dyn Progress) {
    if let Err(error) = folded {
        progress.folding_failed(&error);
    }
}

/// Hands out jobs to workers, and their results to the writer.
struct Process<'a> {
    reader: &'a imgsearch_index::Reader,
    plan: &'a plan::Plan,
    context: work::WorkerContext,
    progress: &'a dyn Progress,
}

impl Process<'_> {
    /// Processes all jobs: first the sampled ones, if an encoder is trained on them.
    fn all(
        &self,
        engine: &Engine,
        adapting: Option<(&Adapting, usize)>,
        mut write: write::Write<'_, '_>,
    ) -> Result<write::Wrote> {
        let (other, sampled) = match adapting {
            Some((adapting, sampled)) => {
                (self.sample(engine, sampled, adapting, &mut write)?, sampled)
            }
            None => (None, 0),
        };
        let engine = other.as_ref().unwrap_or(engine);
        self.jobs(engine, sampled..self.plan.jobs.len(), &mut write)?;
        write.finish()
    }

    /// Processes some jobs, named by their numbers.
    fn jobs(
        &self,
        engine: &Engine,
        range: Range<usize>,
        write: &mut write::Write<'_, '_>,
    ) -> Result<()> {
        let jobs = &self.plan.jobs[range.clone()];
        if jobs.is_empty() {
            return Ok(());
        }
        let dir = self.reader.dir();
        let (context, keep_features) = (&self.context, write.keeps_features());
        let sizes: Vec<u64> = jobs.iter().map(plan::Job::size).collect();
        worker_pool::run(
            worker_pool::Jobs {
                weights: &sizes,
                threads: engine.threads(),
                count: jobs.len(),
                chunk: engine.batch(),
                patience: PATIENCE,
            },
            self.progress,
            || {
                let reader = imgsearch_index::Reader::open(dir)?;
                let has_content = move |digest: &work::Digest| -> Result<bool> {
                    Ok(reader.has_content(digest)?)
                };
                work::WorkerState::new(engine, Box::new(has_content))
            },
            |state, chunk| context.run_chunk(&jobs[chunk], state, keep_features),
            |chunk, made| write.receive(range.start + chunk.start, made),
        )
    }

    /// Processes the first `sampled` jobs and trains an encoder on them. Returns it if it took over.
    fn sample(
        &self,
        engine: &Engine,
        sampled: usize,
        adapting: &Adapting,
        write: &mut write::Write<'_, '_>,
    ) -> Result<Option<Engine>> {
        write.keep_features();
        self.jobs(engine, 0..sampled, write)?;
        let mut sample = write.take_sample()?;
        if self.progress.is_cancelled() {
            return Ok(None);
        }
        let reader = write.reader()?;
        let lacking = adapting::add_stored(&mut sample, &reader, engine, adapting, self.progress)?;
        if self.progress.is_cancelled() {
            return Ok(None);
        }
        if lacking > 0 {
            // They have no code by another encoder.
            write.adapted(Adaptation::Failed {
                reason: format!(
                    "{lacking} images that an interrupted run stored cannot be read any more"
                ),
            });
            return Ok(None);
        }
        let (outcome, encoder) = (adapting.train)(engine, &sample, self.progress)?;
        if self.progress.is_cancelled() {
            return Ok(None);
        }
        let mut other = None;
        if let Some(new) = encoder {
            // Before anything changes.
            let started = engine.with(new.file)?;
            encoder_copy::store(self.reader.dir(), started.file())?;
            write.switch_encoder(&started.record(), &new.codes)?;
            encoder_copy::remove_others(self.reader.dir(), started.info())?;
            other = Some(started);
        }
        write.adapted(outcome);
        Ok(other)
    }
}
