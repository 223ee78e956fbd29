//! Indexing into a collection that many machines share.
//!
//! There is no coordinator. Each machine takes the files whose paths fall to its [`Shard`], and whatever it stores
//! may be stored again. A run that was killed is repeated, also in other shares: unchanged files are skipped, and
//! nothing is doubled, because an image is named by its path and its content.
//!
//! Images are forgotten only with [`IndexOptions::prune`], and only if the nearest folder above that exists was read in
//! this run and is not empty: a disk that is not mounted on one machine must not empty the collection of all.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Instant;

use imgsearch_index::collection::{Collection, Entry, to_bytes};
use imgsearch_index::{Image, ImageId, NewContent};

use super::plan::{Job, PreviousContent, large_first};
use super::walk::Walked;
use super::work::{Digest, JobResult, WorkerContext, WorkerState};
use super::{
    COMMIT_EVERY, COMMIT_SECONDS, IndexOptions, Kept, Outcome, PATIENCE, Planned, Summary, WhyKept,
    worker_pool,
};
use crate::encode::engine::Engine;
use crate::error::Result;
use crate::progress::Progress;

/// Images that are looked up at once.
const PAGE: usize = 1000;

/// A machine's share of the files: all whose paths fall to it, by a hash of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    number: u32,
    of: u32,
}

impl Shard {
    /// Returns share `number` of `of`, counted from 1; `None` if there is no such share.
    pub fn new(number: u32, of: u32) -> Option<Self> {
        (1..=of).contains(&number).then_some(Self { number, of })
    }

    /// Returns whether a path falls to this share. Each path falls to one.
    pub fn takes(&self, path: &Path) -> bool {
        // A path that cannot be stored fails in the first share.
        let bytes = to_bytes(path).unwrap_or_default();
        let mut first = [0; 8];
        first.copy_from_slice(&blake3::hash(bytes).as_bytes()[..8]);
        u64::from_le_bytes(first) % u64::from(self.of) == u64::from(self.number - 1)
    }
}

/// What a run works with.
pub(crate) struct SharedRun<'a> {
    pub collection: &'a dyn Collection,
    pub engine: &'a Engine,
    pub options: &'a IndexOptions,
    pub progress: &'a dyn Progress,
}

/// Indexes the walked files that fall to this machine.
///
/// # Errors
///
/// If the server cannot be reached for longer than a restart takes, or the encoder fails.
pub(crate) fn run(run: &SharedRun<'_>, mut walked: Walked) -> Result<Summary> {
    let started = Instant::now();
    let SharedRun {
        collection,
        engine,
        options,
        progress,
    } = *run;
    for (path, reason) in &walked.errors {
        progress.walk_error(path, reason);
    }
    let all: HashSet<PathBuf> = match options.prune {
        true => walked
            .candidates
            .iter()
            .map(|one| one.path.clone())
            .collect(),
        false => HashSet::new(),
    };
    if let Some(shard) = options.shard {
        walked.candidates.retain(|one| shard.takes(&one.path));
    }
    let mut summary = Summary {
        others: walked.others.len(),
        unreadable_folders: walked.errors.len(),
        ..Summary::default()
    };
    let jobs = plan(run, &walked, &mut summary)?;
    progress.planned(&Planned {
        found: walked.candidates.len(),
        unchanged: summary.unchanged,
        jobs: jobs.len(),
    });
    let context = WorkerContext::new(engine);
    let sizes: Vec<u64> = jobs.iter().map(Job::size).collect();
    let encoding = Instant::now();
    let mut write = Write::new(run, &jobs, &mut summary);
    worker_pool::run(
        worker_pool::Jobs {
            weights: &sizes,
            threads: engine.threads(),
            count: jobs.len(),
            chunk: engine.batch(),
            patience: PATIENCE,
        },
        progress,
        || {
            let has_content = move |digest: &Digest| -> Result<bool> {
                Ok(collection.content(digest)?.is_some())
            };
            WorkerState::new(engine, Box::new(has_content))
        },
        |state, chunk| context.run_chunk(&jobs[chunk], state, false),
        |chunk, made| write.receive(chunk.start, made),
    )?;
    write.finish()?;
    let seconds = encoding.elapsed().as_secs_f64();
    if summary.encoded > 0 && seconds > 0.0 {
        summary.images_per_second = summary.encoded as f64 / seconds;
    }
    summary.interrupted = progress.is_cancelled();
    if !summary.interrupted {
        if options.prune {
            prune(run, &walked, &all, &mut summary)?;
        }
        collection.flush()?;
    }
    summary.seconds = started.elapsed().as_secs_f64();
    Ok(summary)
}

/// Returns the files to read: those that are not stored as they are.
fn plan(run: &SharedRun<'_>, walked: &Walked, summary: &mut Summary) -> Result<Vec<Job>> {
    let mut jobs = Vec::new();
    for some in walked.candidates.chunks(PAGE) {
        let paths: Vec<PathBuf> = some.iter().map(|one| one.path.clone()).collect();
        for (candidate, stored) in some.iter().zip(run.collection.by_paths(&paths)?) {
            let is_unchanged = |stored: &Image| {
                if run.options.ignore_inode {
                    stored.stat.same_size_and_date(&candidate.stat)
                } else {
                    stored.stat.is_unchanged(&candidate.stat)
                }
            };
            if stored.as_ref().is_some_and(is_unchanged) {
                summary.unchanged += 1;
                continue;
            }
            jobs.push(Job {
                candidate: candidate.clone(),
                before: stored.map(|image| PreviousContent {
                    digest: image.digest,
                    away: false,
                    same_date: image.stat.same_size_and_date(&candidate.stat),
                }),
                failed_before: None,
            });
        }
    }
    large_first(&mut jobs);
    Ok(jobs)
}

/// Stores results in batches, while the workers go on. What waits is bounded, so a slow server holds them up in the end.
struct Write<'a, 'r> {
    run: &'a SharedRun<'r>,
    jobs: &'a [Job],
    summary: &'a mut Summary,
    batch: Vec<Entry>,
    last: Instant,
    /// Jobs with the content of another file of this run.
    waiting: Vec<(usize, Digest)>,
}

impl<'a, 'r> Write<'a, 'r> {
    fn new(run: &'a SharedRun<'r>, jobs: &'a [Job], summary: &'a mut Summary) -> Self {
        Self {
            run,
            jobs,
            summary,
            batch: Vec::new(),
            last: Instant::now(),
            waiting: Vec::new(),
        }
    }

    fn receive(&mut self, start: usize, made: Vec<JobResult>) -> Result<()> {
        let received = Instant::now();
        for (i, made) in made.into_iter().enumerate() {
            self.settle(start + i, made)?;
        }
        let is_due = self.last.elapsed().as_secs_f64() >= COMMIT_SECONDS;
        if self.batch.len() >= COMMIT_EVERY || is_due {
            self.commit()?;
        }
        self.summary.storing_seconds += received.elapsed().as_secs_f64();
        Ok(())
    }

    fn settle(&mut self, job: usize, made: JobResult) -> Result<()> {
        match made {
            JobResult::Encoded {
                digest,
                decoded,
                code,
                hash,
                labels,
                ..
            } => {
                self.summary.encoded += 1;
                self.summary.blank += usize::from(decoded.blank);
                let content = NewContent {
                    digest,
                    width: decoded.width,
                    height: decoded.height,
                    format: decoded.format.name().to_owned(),
                    taken: decoded.taken,
                    damage: decoded.damage,
                    code,
                    hash,
                    labels,
                };
                self.store(job, content);
            }
            JobResult::Stored { digest } => self.share(job, digest)?,
            JobResult::Same => {
                if let Some(before) = &self.jobs[job].before {
                    self.touch(job, before.digest)?;
                }
            }
            JobResult::DuplicateOfPending { digest } => self.waiting.push((job, digest)),
            JobResult::Failed { reason, kind, .. } => {
                if kind.is_over_limit() {
                    self.summary.over_limit += 1;
                }
                self.failed(job, reason);
            }
        }
        Ok(())
    }

    fn store(&mut self, job: usize, content: NewContent) {
        let Job {
            candidate, before, ..
        } = &self.jobs[job];
        let damage = content.damage.clone();
        let outcome = self.summary.stored(before.is_some(), damage);
        self.run.progress.file(&candidate.path, &outcome);
        self.batch.push(Entry {
            path: candidate.path.clone(),
            stat: candidate.stat,
            content,
        });
    }

    /// Stores a file whose content is stored.
    fn share(&mut self, job: usize, digest: Digest) -> Result<()> {
        match self.run.collection.content(&digest)? {
            Some(content) => {
                self.summary.identical += 1;
                self.store(job, content);
            }
            None => self.failed(
                job,
                "a file with the same content could not be used, or was removed meanwhile"
                    .to_owned(),
            ),
        }
        Ok(())
    }

    /// Stores the new date of a file whose content is the same.
    fn touch(&mut self, job: usize, digest: Digest) -> Result<()> {
        let candidate = &self.jobs[job].candidate;
        if let Some(content) = self.run.collection.content(&digest)? {
            self.summary.unchanged += 1;
            self.run.progress.file(&candidate.path, &Outcome::Touched);
            self.batch.push(Entry {
                path: candidate.path.clone(),
                stat: candidate.stat,
                content,
            });
        }
        Ok(())
    }

    fn failed(&mut self, job: usize, reason: String) {
        self.summary.failed += 1;
        let path = &self.jobs[job].candidate.path;
        self.run.progress.file(path, &Outcome::Failed(reason));
    }

    fn commit(&mut self) -> Result<()> {
        let batch = std::mem::take(&mut self.batch);
        if !batch.is_empty() {
            self.run.collection.upsert(&batch)?;
        }
        self.last = Instant::now();
        Ok(())
    }

    fn finish(mut self) -> Result<()> {
        self.commit()?;
        for (job, digest) in std::mem::take(&mut self.waiting) {
            self.share(job, digest)?;
            if self.batch.len() >= COMMIT_EVERY {
                self.commit()?;
            }
        }
        self.commit()
    }
}

/// Forgets the images of this share whose files are gone for good.
fn prune(
    run: &SharedRun<'_>,
    walked: &Walked,
    found: &HashSet<PathBuf>,
    summary: &mut Summary,
) -> Result<()> {
    let is_ours = |path: &Path| run.options.shard.is_none_or(|shard| shard.takes(path));
    let mut folders: HashMap<PathBuf, Option<WhyKept>> = HashMap::new();
    let mut kept: BTreeMap<PathBuf, (usize, WhyKept)> = BTreeMap::new();
    for root in &walked.roots {
        let mut after = None;
        loop {
            let page = run.collection.under(root, after, PAGE)?;
            let Some(last) = page.last() else {
                break;
            };
            after = Some(last.id);
            let mut gone: Vec<ImageId> = Vec::new();
            for image in page {
                let path = &image.path;
                if found.contains(path) || !is_ours(path) || !is_missing(path) {
                    continue;
                }
                let folder = existing_folder(path);
                let doubt = *folders
                    .entry(folder.clone())
                    .or_insert_with(|| doubt(&folder, walked));
                match doubt {
                    Some(why) => {
                        summary.kept_missing += 1;
                        kept.entry(folder).or_insert((0, why)).0 += 1;
                    }
                    None => {
                        gone.push(image.id);
                        run.progress.file(path, &Outcome::Removed);
                    }
                }
            }
            summary.removed += run.collection.remove(&gone)?;
        }
    }
    for (folder, (images, why)) in kept {
        run.progress.kept(&Kept {
            folder,
            images,
            why,
        });
    }
    Ok(())
}

/// Returns whether the system says that there is no such file.
fn is_missing(path: &Path) -> bool {
    fs::symlink_metadata(path)
        .is_err_and(|error| matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory))
}

/// Returns the nearest folder above a path that exists.
fn existing_folder(path: &Path) -> PathBuf {
    let mut above = path.ancestors().skip(1);
    above
        .find(|folder| folder.is_dir())
        .unwrap_or(path)
        .to_owned()
}

/// Returns why it cannot be told whether images of a folder are gone: it was not read, or is empty like the place of a
/// disk that is not mounted.
fn doubt(folder: &Path, walked: &Walked) -> Option<WhyKept> {
    if walked
        .folders
        .binary_search_by(|walked| walked.as_path().cmp(folder))
        .is_err()
    {
        return Some(WhyKept::Unreadable);
    }
    let is_empty = fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none());
    is_empty.then_some(WhyKept::Empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_falls_to_one_share() {
        assert!(Shard::new(0, 3).is_none() && Shard::new(4, 3).is_none());
        assert!(Shard::new(1, 0).is_none());
        let shares: Vec<Shard> = (1..=3).filter_map(|number| Shard::new(number, 3)).collect();
        let mut sizes = [0; 3];
        for i in 0..3000 {
            let path = PathBuf::from(format!("/photos/{i}.jpg"));
            let takers: Vec<usize> = (0..3).filter(|&share| shares[share].takes(&path)).collect();
            assert_eq!(takers.len(), 1);
            sizes[takers[0]] += 1;
        }
        assert!(
            sizes.iter().all(|size| (900..1100).contains(size)),
            "{sizes:?}"
        );
    }
}
