//! The plan: which of the walked files have to be read.

use std::cmp::Reverse;

use imgsearch_index::{Change, FailureKind, FileStat};

use super::IndexOptions;
use super::forget::Evidence;
use super::stored::{Entry, Stored};
use crate::decode::Limits;
use crate::error::Result;
use crate::indexing::walk::{Candidate, Walked};

/// A file to read, and what is stored under its path.
#[derive(Debug)]
pub(super) struct Job {
    pub candidate: Candidate,
    pub before: Option<PreviousContent>,
    /// The reason why it could not be used before.
    pub failed_before: Option<String>,
}

impl Job {
    /// Returns the bytes of the file when it was walked.
    pub fn size(&self) -> u64 {
        self.candidate.stat.size
    }
}

/// The content that is stored under a path before the run.
#[derive(Debug, Clone, Copy)]
pub(super) struct PreviousContent {
    pub digest: [u8; 32],
    /// Whether its file was missing, together with its disk or folder.
    pub away: bool,
    /// Whether the file has the same size and date as before, and something else differs.
    pub same_date: bool,
}

#[derive(Debug)]
pub(super) struct Plan {
    pub jobs: Vec<Job>,
    pub unchanged: usize,
    pub failed_before: usize,
    /// Changes of what is stored of unchanged files: numbers that were not known before, and that the files are
    /// not away any more.
    pub touched: Vec<Change>,
}

/// Compares the walked files with what is stored, and takes it from `stored`. Files that are unchanged are
/// recorded in `evidence`.
///
/// # Errors
///
/// If the database cannot be read.
pub(super) fn plan(
    stored: &mut Stored<'_>,
    walked: &Walked,
    options: &IndexOptions,
    limits: &Limits,
    evidence: &mut Evidence<'_>,
) -> Result<Plan> {
    let is_unchanged = |stored: &FileStat, now: &FileStat| {
        if options.ignore_inode {
            stored.same_size_and_date(now)
        } else {
            stored.is_unchanged(now)
        }
    };
    let mut plan = Plan {
        jobs: Vec::new(),
        unchanged: 0,
        failed_before: 0,
        touched: Vec::new(),
    };
    for candidate in &walked.candidates {
        let (mut before, mut reason) = (None, None);
        match stored.take(&candidate.path)? {
            Some(Entry::Image(image)) if is_unchanged(&image.stat, &candidate.stat) => {
                plan.unchanged += 1;
                if !image.away {
                    evidence.met(&candidate.path);
                }
                if image.away || image.stat.lacks(&candidate.stat) {
                    plan.touched.push(Change::Touch {
                        path: candidate.path.clone(),
                        stat: candidate.stat,
                    });
                }
                continue;
            }
            Some(Entry::Image(image)) => {
                before = Some(PreviousContent {
                    digest: image.digest,
                    away: image.away,
                    same_date: image.stat.same_size_and_date(&candidate.stat),
                });
            }
            Some(Entry::Failed(failure))
                if is_unchanged(&failure.stat, &candidate.stat) && !options.retry =>
            {
                if lasts(failure.kind, limits) {
                    plan.failed_before += 1;
                    continue;
                }
                reason = Some(failure.reason);
            }
            Some(Entry::Failed(_)) | None => {}
        }
        plan.jobs.push(Job {
            candidate: candidate.clone(),
            before,
            failed_before: reason,
        });
    }
    large_first(&mut plan.jobs);
    Ok(plan)
}

/// Returns whether an unchanged file would fail again, at a cost. It costs nothing to find that a file is too
/// large; a file that took too long would take as long again.
fn lasts(kind: FailureKind, limits: &Limits) -> bool {
    let now = FailureKind::TimedOut {
        limit: limits.max_time,
    };
    match kind {
        FailureKind::TimedOut { .. } => kind.limit_ms() == now.limit_ms(),
        kind => kind.is_of_content(),
    }
}

/// Number of jobs at the end of the list that are sorted by size.
const SORTED_BY_SIZE: usize = 1024;

/// Sorts the last jobs by size, large files first, so that no core still works on a large file when the others
/// have finished (Graham 1969: longest processing time first). All other jobs keep the order of their paths.
pub(super) fn large_first(jobs: &mut [Job]) {
    let last = jobs.len().saturating_sub(SORTED_BY_SIZE);
    jobs[last..].sort_by_key(|job| Reverse(job.size()));
}
