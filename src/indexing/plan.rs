//! The plan: which of the walked files need reading, and which stored images were not walked.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::path::PathBuf;

use imgsearch_index::{
    Change, Failure, FailureKind, FileStat, Image, ImageId, KnownPath, ReadStore,
};

use super::IndexOptions;
use super::forget::Grounds;
use crate::decode::Limits;
use crate::error::Result;
use crate::indexing::walk::{Candidate, Walked};

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
    /// Whether its file was missing together with its disk or folder.
    pub away: bool,
    /// Whether size and date of the file are what they were, and something else is not.
    pub same_date: bool,
}

#[derive(Debug)]
pub(super) struct Plan {
    pub jobs: Vec<Job>,
    pub unchanged: usize,
    pub failed_before: usize,
    /// What changes of what is stored of unchanged files: what was not known of them before, and that
    /// they were away.
    pub touched: Vec<Change>,
    /// Stored images below the roots that the walk did not meet, sorted by path.
    pub missing: Vec<Missing>,
}

/// A stored image that the walk did not meet.
#[derive(Debug)]
pub(super) struct Missing {
    pub id: ImageId,
    pub path: PathBuf,
    /// Whether it was missing before, together with its disk or folder.
    pub away: bool,
}

/// What is stored of an image before the run.
struct Stored {
    id: ImageId,
    stat: FileStat,
    digest: [u8; 32],
    away: bool,
}

impl Stored {
    fn of(image: &Image) -> Self {
        Self {
            id: image.id,
            stat: image.stat,
            digest: image.digest,
            away: image.away_since.is_some(),
        }
    }
}

/// Compares what was walked with what is stored; `grounds` are told what was met unchanged.
pub(super) fn plan(
    store: &impl ReadStore,
    walked: &Walked,
    options: &IndexOptions,
    limits: &Limits,
    grounds: &mut Grounds<'_>,
) -> Result<Plan> {
    let is_unchanged = |stored: &FileStat, now: &FileStat| {
        if options.ignore_inode {
            stored.same_size_and_date(now)
        } else {
            stored.is_unchanged(now)
        }
    };
    let (mut jobs, mut touched) = (Vec::new(), Vec::new());
    let (mut unchanged, mut failed_before) = (0, 0);
    // All at once: asking the database for each path by itself takes several times as long.
    let mut stored: HashMap<PathBuf, Stored> = HashMap::new();
    let mut failures: HashMap<PathBuf, Failure> = HashMap::new();
    for root in &walked.roots {
        stored.extend(store.under(root)?.into_iter().map(|image| {
            let known = Stored::of(&image);
            (image.path, known)
        }));
        let below = store.failures_under(root)?.into_iter();
        failures.extend(below.map(|failure| (failure.path.clone(), failure)));
    }
    for candidate in &walked.candidates {
        let mut reason = None;
        // What remains in the end was not walked.
        let mut known = stored.remove(&candidate.path);
        let mut failed = failures.remove(&candidate.path);
        // Files that are listed by name need not lie below the roots.
        if known.is_none() && failed.is_none() && !walked.covers(&candidate.path) {
            match store.by_path(&candidate.path)? {
                Some(KnownPath::Image(image)) => known = Some(Stored::of(&image)),
                Some(KnownPath::Failed(failure)) => failed = Some(failure),
                _ => {}
            }
        }
        let before = match (known, failed) {
            (Some(known), _) if is_unchanged(&known.stat, &candidate.stat) => {
                unchanged += 1;
                if !known.away {
                    grounds.met(&candidate.path);
                }
                if known.away || known.stat.lacks(&candidate.stat) {
                    touched.push(Change::Touch {
                        path: candidate.path.clone(),
                        stat: candidate.stat,
                    });
                }
                continue;
            }
            (Some(known), _) => Some(Before {
                digest: known.digest,
                away: known.away,
                same_date: known.stat.same_size_and_date(&candidate.stat),
            }),
            (None, Some(failure)) => {
                if is_unchanged(&failure.stat, &candidate.stat) && !options.retry {
                    if lasts(failure.kind, limits) {
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
    let mut missing: Vec<Missing> = stored
        .into_iter()
        .map(|(path, known)| Missing {
            id: known.id,
            path,
            away: known.away,
        })
        .collect();
    missing.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(Plan {
        jobs,
        unchanged,
        failed_before,
        touched,
        missing,
    })
}

/// Whether a file that has not changed would fail again, at a cost. To find that one is too large
/// costs nothing; what took too long would again.
fn lasts(kind: FailureKind, limits: &Limits) -> bool {
    let now = FailureKind::TimedOut {
        limit: limits.max_time,
    };
    match kind {
        FailureKind::TimedOut { .. } => kind.limit_ms() == now.limit_ms(),
        kind => kind.is_of_content(),
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
