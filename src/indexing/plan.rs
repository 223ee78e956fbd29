//! The plan: which of the walked files need reading, and which stored images were not walked.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use imgsearch_index::{Change, Failure, FileStat, ImageId, KnownPath, Reader, Writer};

use super::{IndexOptions, Outcome, Progress, Summary, stage};
use crate::decode::{DecodeError, Limits};
use crate::error::Result;
use crate::walk::{Candidate, Walked};

/// A file to read, and what is stored under its path.
#[derive(Debug)]
pub(super) struct Job {
    pub candidate: Candidate,
    pub before: Option<Before>,
    /// Why it could not be used before.
    pub failed_before: Option<String>,
}

impl Job {
    /// Bytes of the file, when it was walked.
    pub fn size(&self) -> u64 {
        self.candidate.stat.size
    }
}

/// What is stored under a path before the run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Before {
    pub digest: [u8; 32],
}

#[derive(Debug)]
pub(super) struct Plan {
    pub jobs: Vec<Job>,
    pub unchanged: usize,
    pub failed_before: usize,
    /// Stored images below the roots that the walk did not meet.
    pub missing: Vec<(ImageId, PathBuf)>,
}

/// Compares what was walked with what is stored.
pub(super) fn plan(
    reader: &Reader,
    walked: &Walked,
    options: &IndexOptions,
    limits: &Limits,
) -> Result<Plan> {
    let mut jobs = Vec::new();
    let (mut unchanged, mut failed_before) = (0, 0);
    // All at once: asking the database for each path by itself takes several times as long.
    let mut stored: HashMap<PathBuf, (ImageId, FileStat, Before)> = HashMap::new();
    let mut failures: HashMap<PathBuf, Failure> = HashMap::new();
    for root in &walked.roots {
        stored.extend(reader.under(root)?.into_iter().map(|image| {
            let before = Before {
                digest: image.digest,
            };
            (image.path, (image.id, image.stat, before))
        }));
        let below = reader.failures_under(root)?.into_iter();
        failures.extend(below.map(|failure| (failure.path.clone(), failure)));
    }
    for candidate in &walked.candidates {
        let mut reason = None;
        // What remains in the end was not walked.
        let mut known = stored
            .remove(&candidate.path)
            .map(|(_, stat, before)| (stat, before));
        let mut failed = failures.remove(&candidate.path);
        // Files that are listed by name need not lie below the roots.
        if known.is_none() && failed.is_none() && !walked.covers(&candidate.path) {
            match reader.by_path(&candidate.path)? {
                Some(KnownPath::Image(image)) => {
                    let before = Before {
                        digest: image.digest,
                    };
                    known = Some((image.stat, before));
                }
                Some(KnownPath::Failed(failure)) => failed = Some(failure),
                _ => {}
            }
        }
        let before = match (known, failed) {
            (Some((stat, _)), _) if stat == candidate.stat => {
                unchanged += 1;
                continue;
            }
            (Some((_, before)), _) => Some(before),
            (None, Some(failure)) => {
                if failure.stat == candidate.stat && !options.retry {
                    if lasts(&failure, limits) {
                        failed_before += 1;
                        continue;
                    }
                    reason = Some(failure.reason);
                }
                None
            }
            (None, None) => None,
        };
        jobs.push(Job {
            candidate: candidate.clone(),
            before,
            failed_before: reason,
        });
    }
    large_first(&mut jobs);
    let mut missing: Vec<(ImageId, PathBuf)> = stored
        .into_iter()
        .map(|(path, (id, ..))| (id, path))
        .collect();
    missing.sort_by(|(_, a), (_, b)| a.cmp(b));
    Ok(Plan {
        jobs,
        unchanged,
        failed_before,
        missing,
    })
}

/// Whether a file that has not changed would fail again, at a cost. To find that one is too large
/// costs nothing; what took too long would again.
fn lasts(failure: &Failure, limits: &Limits) -> bool {
    let too_slow = DecodeError::TooSlow {
        limit: limits.max_time,
    };
    match failure.stage.as_str() {
        stage::DECODE => true,
        stage::LIMIT => failure.reason == too_slow.to_string(),
        _ => false,
    }
}

/// How many of the last jobs are done in the order of their size.
const LAST: usize = 1024;

/// Puts the large files among the last ones first, so that no core is left with one of them when
/// the others have nothing to do any more (Graham 1969: longest processing time first). All
/// before keep the order of their paths.
fn large_first(jobs: &mut [Job]) {
    let last = jobs.len().saturating_sub(LAST);
    jobs[last..].sort_by_key(|job| Reverse(job.size()));
}

/// Stored images that the walk did not meet, to be removed where they are really gone.
pub(super) struct Missing<'a> {
    pub rows: &'a [(ImageId, PathBuf)],
    pub renamed: &'a HashSet<ImageId>,
    pub walked: &'a Walked,
}

impl Missing<'_> {
    /// Removes what vanished; keeps what is only out of sight.
    pub fn settle(
        &self,
        writer: &mut Writer,
        options: &IndexOptions,
        progress: &dyn Progress,
        summary: &mut Summary,
    ) -> Result<()> {
        let gone: Vec<&(ImageId, PathBuf)> = self
            .rows
            .iter()
            .filter(|(id, path)| !self.renamed.contains(id) && self.is_gone(path))
            .collect();
        if options.keep_missing {
            summary.kept_missing += gone.len();
            return Ok(());
        }
        let (gone, suspicious): (Vec<_>, Vec<_>) = gone.into_iter().partition(|(_, path)| {
            self.walked
                .root_of(path)
                .is_none_or(|root| self.shows_anything(root))
        });
        if let Some((_, path)) = suspicious.first() {
            let root = self.walked.root_of(path).unwrap_or(path);
            summary.kept_missing += suspicious.len();
            progress.note(&format!(
                "{} is empty, but {} indexed images are stored under it: they are kept, in case a disk is not \
                 mounted. If they are gone for good: imgsearch remove {0}",
                root.display(),
                suspicious.len(),
            ));
        }
        for batch in gone.chunks(super::COMMIT_EVERY) {
            let changes: Vec<Change> = batch
                .iter()
                .map(|(id, _)| Change::Remove { id: *id })
                .collect();
            writer.apply(&changes)?;
            for (_, path) in batch {
                progress.file(path, &Outcome::Removed);
            }
            summary.removed += batch.len();
        }
        writer.forget_failures(|path| self.walked.covers(path) && self.is_gone(path))?;
        Ok(())
    }

    /// Whether a file that was not walked is gone, left out by an ignore file or stored under another
    /// name, and not merely out of sight: excluded by an option, or below a folder that cannot be read.
    fn is_gone(&self, path: &Path) -> bool {
        if self
            .walked
            .others
            .binary_search_by(|other| other.as_path().cmp(path))
            .is_ok()
        {
            // It is still there, and no longer an image.
            return true;
        }
        if self.walked.is_ignored(path) || self.walked.is_second_name(path) {
            return true;
        }
        let unreadable = self
            .walked
            .errors
            .iter()
            .any(|(folder, _)| path.starts_with(folder));
        !unreadable
            && matches!(fs::symlink_metadata(path), Err(error) if error.kind() == std::io::ErrorKind::NotFound
                || error.kind() == std::io::ErrorKind::NotADirectory)
    }

    fn shows_anything(&self, root: &Path) -> bool {
        let walked = &self.walked.candidates;
        let first = walked.partition_point(|candidate| candidate.path.as_path() < root);
        walked
            .get(first)
            .is_some_and(|candidate| candidate.path.starts_with(root))
            || fs::read_dir(root).is_ok_and(|mut entries| entries.next().is_some())
    }
}
