//! The writer: stores the results in the order of the jobs, and commits them in batches.
//!
//! It runs on the thread that started the run, and nothing else writes to the store.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use imgsearch_index::{
    Change, EncoderRecord, FOLD_AT, FailureKind, FileStat, FoldOptions, ImageId, NewCode,
    NewContent, Reader, Writer,
};

use super::adapting::Sample;
use super::forget::{Doubt, Evidence, Moved};
use super::plan::{Job, Plan};
use super::report::Adaptation;
use super::work::{Digest, JobResult};
use super::{COMMIT_EVERY, COMMIT_SECONDS, IndexOptions, Outcome, Summary};
use crate::error::{Error, Result};
use crate::progress::Progress;

/// Number of images with the same content that are examined to find one that was moved.
const MOVE_CANDIDATES: usize = 64;

pub(super) struct Write<'a, 'g> {
    writer: &'a mut Writer,
    jobs: &'a [Job],
    options: &'a IndexOptions,
    evidence: &'a mut Evidence<'g>,
    progress: &'a dyn Progress,
    summary: &'a mut Summary,
    changes: Vec<Change>,
    last_commit: Instant,
    /// The contents of this run: stored if `None`, else the failure.
    settled: HashMap<Digest, Option<(FailureKind, String)>>,
    /// Jobs whose content another worker has claimed and not delivered yet.
    waiting: HashMap<Digest, Vec<usize>>,
    /// Jobs whose content is that of a missing image. Whether that image was moved may depend on files that come
    /// later.
    undecided: Vec<(usize, Digest)>,
    wrote: Wrote,
    /// Whether new images are folded into segments during the run.
    folding: bool,
    /// Number of committed changes since the last check whether to fold.
    unfolded: usize,
    /// What is kept of the images of a sample.
    sample: Option<Sample>,
}

/// What the writer leaves for pruning.
#[derive(Default)]
pub(super) struct Wrote {
    /// Images that were moved.
    pub renamed: HashSet<ImageId>,
    /// Missing images with the content of a new file that do not count as moved.
    pub left: HashMap<ImageId, Doubt>,
    /// Files that were read only because their inode number or change time differs.
    pub read_in_vain: usize,
    /// Time that storing took.
    pub took: Duration,
}

impl<'a, 'g> Write<'a, 'g> {
    pub fn new(
        writer: &'a mut Writer,
        plan: &'a Plan,
        options: &'a IndexOptions,
        evidence: &'a mut Evidence<'g>,
        progress: &'a dyn Progress,
        summary: &'a mut Summary,
    ) -> Self {
        Self {
            writer,
            jobs: &plan.jobs,
            options,
            evidence,
            progress,
            summary,
            changes: Vec::new(),
            last_commit: Instant::now(),
            settled: HashMap::new(),
            waiting: HashMap::new(),
            undecided: Vec::new(),
            wrote: Wrote::default(),
            folding: false,
            unfolded: 0,
            sample: None,
        }
    }

    /// Sets whether images are folded into segments during the run, so that a search meanwhile need not read all of
    /// them from the database.
    pub fn folding(mut self, folding: bool) -> Self {
        self.folding = folding;
        self
    }

    /// Takes the results of the jobs from number `start` on, and commits once there are enough.
    ///
    /// # Errors
    ///
    /// If the index cannot be written.
    pub fn receive(&mut self, start: usize, made: Vec<JobResult>) -> Result<()> {
        let received = Instant::now();
        for (i, made) in made.into_iter().enumerate() {
            self.settle(start + i, made)?;
        }
        let due = self.last_commit.elapsed().as_secs_f64() >= COMMIT_SECONDS;
        if self.changes.len() >= COMMIT_EVERY || (due && !self.changes.is_empty()) {
            self.commit()?;
            self.fold();
        }
        self.wrote.took += received.elapsed();
        Ok(())
    }

    /// Decides the undecided jobs and commits the rest.
    ///
    /// # Errors
    ///
    /// If the index cannot be written.
    pub fn finish(mut self) -> Result<Wrote> {
        let started = Instant::now();
        self.evidence.forget_answers();
        for (job, digest) in std::mem::take(&mut self.undecided) {
            match self.moved_from(digest)? {
                Some((id, Moved::Yes)) => self.renamed(job, id),
                _ => self.share(job, digest),
            }
        }
        self.commit()?;
        self.wrote.took += started.elapsed();
        Ok(self.wrote)
    }

    /// Keeps the features of the images that come, for [`Write::take_sample`].
    pub fn keep_features(&mut self) {
        self.sample = Some(Sample::default());
    }

    /// Returns whether the features are kept.
    pub fn keeps_features(&self) -> bool {
        self.sample.is_some()
    }

    /// Commits what is not on disk yet. Returns what was kept, and keeps no more.
    ///
    /// # Errors
    ///
    /// If the index cannot be written.
    pub fn take_sample(&mut self) -> Result<Sample> {
        self.commit()?;
        Ok(self.sample.take().unwrap_or_default())
    }

    /// Returns a reader of the index.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn reader(&self) -> Result<Reader> {
        Ok(self.writer.reader()?)
    }

    /// Gives all stored images the codes of another encoder.
    ///
    /// # Errors
    ///
    /// As [`Writer::switch_encoder`].
    pub fn switch_encoder(&mut self, encoder: &EncoderRecord, codes: &[NewCode]) -> Result<()> {
        Ok(self.writer.switch_encoder(encoder, codes)?)
    }

    /// Records what came of the training of an encoder.
    pub fn adapted(&mut self, outcome: Adaptation) {
        self.summary.adaptation = Some(outcome);
    }

    fn commit(&mut self) -> Result<()> {
        if !self.changes.is_empty() {
            self.writer.apply(&self.changes)?;
            self.progress.committed(self.changes.len());
            self.unfolded += self.changes.len();
            self.changes.clear();
        }
        self.last_commit = Instant::now();
        Ok(())
    }

    /// Folds the images of the run once there are many. The workers continue meanwhile until the queue is full;
    /// then all cores link.
    fn fold(&mut self) {
        if !self.folding || self.unfolded < FOLD_AT || self.progress.is_cancelled() {
            return;
        }
        self.unfolded = 0;
        let mut options = FoldOptions::default();
        options.growing = true;
        let folded = super::fold(self.writer, &options, &Unseen(self.progress));
        if folded.is_err() {
            // For example, the disk is full. What is stored stays, and the run need not try again.
            self.folding = false;
            super::report_folding(folded, self.progress);
        }
    }

    fn settle(&mut self, job: usize, made: JobResult) -> Result<()> {
        match made {
            JobResult::Same => {
                let Job {
                    candidate, before, ..
                } = &self.jobs[job];
                if before.is_some_and(|before| !before.away) {
                    self.evidence.met(&candidate.path);
                }
                if before.is_some_and(|before| before.same_date) {
                    self.wrote.read_in_vain += 1;
                }
                self.changes.push(Change::Touch {
                    path: candidate.path.clone(),
                    stat: candidate.stat,
                });
                self.summary.unchanged += 1;
                self.progress.file(&candidate.path, &Outcome::Touched);
            }
            JobResult::Stored { digest } => self.known(job, digest)?,
            JobResult::DuplicateOfPending { digest } => match self.settled.get(&digest).cloned() {
                Some(outcome) => self.settle_duplicate(job, digest, outcome)?,
                None => self.waiting.entry(digest).or_default().push(job),
            },
            JobResult::Encoded {
                digest,
                decoded,
                code,
                hash,
                labels,
                kept,
            } => {
                if let (Some(sample), Some((features, logits))) = (&mut self.sample, kept) {
                    sample.digests.push(digest);
                    sample.features.extend(features);
                    sample.codes.extend(&code);
                    sample.hashes.extend(&hash);
                    sample.logits.extend(logits);
                }
                let damage = decoded.damage.clone();
                self.summary.blank += usize::from(decoded.blank);
                let (path, stat) = self.place(job);
                self.changes.push(Change::Insert {
                    path,
                    stat,
                    content: NewContent {
                        digest,
                        width: decoded.width,
                        height: decoded.height,
                        format: decoded.format.name().to_owned(),
                        taken: decoded.taken,
                        damage: decoded.damage,
                        code,
                        hash,
                        labels,
                    },
                });
                self.summary.encoded += 1;
                self.count(job, damage);
                self.deliver(digest, None)?;
            }
            JobResult::Failed {
                kind,
                reason,
                digest,
            } => {
                self.failed(job, kind, reason.clone(), digest);
                if let Some(digest) = digest {
                    self.deliver(digest, Some((kind, reason)))?;
                }
            }
        }
        Ok(())
    }

    /// Records the outcome of a content, and settles the jobs that waited for it.
    fn deliver(&mut self, digest: Digest, failure: Option<(FailureKind, String)>) -> Result<()> {
        self.settled.insert(digest, failure.clone());
        for job in self.waiting.remove(&digest).unwrap_or_default() {
            self.settle_duplicate(job, digest, failure.clone())?;
        }
        Ok(())
    }

    fn settle_duplicate(
        &mut self,
        job: usize,
        digest: Digest,
        failure: Option<(FailureKind, String)>,
    ) -> Result<()> {
        match failure {
            Some((kind, reason)) => self.failed(job, kind, reason, Some(digest)),
            None => self.share(job, digest),
        }
        Ok(())
    }

    /// Settles a job whose content was stored before the run: its file was moved, or is a copy.
    fn known(&mut self, job: usize, digest: Digest) -> Result<()> {
        let moved = match self.jobs[job].before {
            None => self.moved_from(digest)?,
            Some(_) => None,
        };
        match moved {
            Some((id, Moved::Yes)) => self.renamed(job, id),
            Some(_) => self.undecided.push((job, digest)),
            None => self.share(job, digest),
        }
        Ok(())
    }

    fn renamed(&mut self, job: usize, id: ImageId) {
        let (path, stat) = self.place(job);
        self.progress.file(&path, &Outcome::Moved);
        self.changes.push(Change::Rename { id, path, stat });
        self.wrote.renamed.insert(id);
        self.wrote.left.remove(&id);
        self.summary.moved += 1;
    }

    /// Returns an image of this content that was moved, or may have been, and that no other file has taken over.
    fn moved_from(&mut self, digest: Digest) -> Result<Option<(ImageId, Moved)>> {
        let mut perhaps = None;
        for image in self.writer.images_with(&digest, MOVE_CANDIDATES)? {
            if self.wrote.renamed.contains(&image.id) {
                continue;
            }
            let away = image.away_since.is_some();
            let keep_missing = self.options.keep_missing;
            match self
                .evidence
                .may_have_moved(&image.path, away, keep_missing)
            {
                Moved::Yes => return Ok(Some((image.id, Moved::Yes))),
                Moved::Perhaps => perhaps = perhaps.or(Some((image.id, Moved::Perhaps))),
                Moved::Outside(doubt) => {
                    self.wrote.left.insert(image.id, doubt);
                }
                Moved::No => {}
            }
        }
        Ok(perhaps)
    }

    fn share(&mut self, job: usize, digest: Digest) {
        let (path, stat) = self.place(job);
        self.changes
            .push(Change::InsertKnown { path, stat, digest });
        self.summary.identical += 1;
        self.count(job, None);
    }

    fn count(&mut self, job: usize, damage: Option<String>) {
        let Job {
            candidate, before, ..
        } = &self.jobs[job];
        let outcome = self.summary.stored(before.is_some(), damage);
        self.progress.file(&candidate.path, &outcome);
    }

    fn failed(&mut self, job: usize, kind: FailureKind, reason: String, digest: Option<Digest>) {
        let (path, stat) = self.place(job);
        if !self.options.retry && self.jobs[job].failed_before.as_ref() == Some(&reason) {
            self.summary.failed_before += 1;
            self.progress.file(&path, &Outcome::FailedAgain(reason));
            return;
        }
        self.summary.failed += 1;
        tracing::info!(
            ?path,
            kind = kind.name(),
            reason,
            "skipped: it cannot be used"
        );
        if kind.is_over_limit() {
            self.summary.over_limit += 1;
        }
        self.progress.file(&path, &Outcome::Failed(reason.clone()));
        self.changes.push(Change::Failure {
            path,
            stat,
            kind,
            reason,
            // A failure with a digest replaces what is stored under the path.
            digest: digest.filter(|_| !matches!(kind, FailureKind::Deferred | FailureKind::Read)),
        });
    }

    fn place(&self, job: usize) -> (std::path::PathBuf, FileStat) {
        let candidate = &self.jobs[job].candidate;
        (candidate.path.clone(), candidate.stat)
    }
}

/// Hides the progress of folding, which would replace the progress of the run.
struct Unseen<'a>(&'a dyn Progress);

impl Progress for Unseen<'_> {
    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }

    fn note(&self, text: &str) {
        self.0.note(text);
    }

    fn folding_failed(&self, error: &Error) {
        self.0.folding_failed(error);
    }
}

#[cfg(test)]
mod tests;
