//! Watching: which files changed, and when it is time to index them.
//!
//! [`source`] asks the system to tell of changes, [`mounts`] of disks that come and go. What they tell is
//! [`pending`] until it has been quiet for a while, so that a burst is one batch and a file is not read while it is
//! written. [`settle`] examines files that a walk found, of which nobody told. [`outlook`] says whether a run would
//! change anything, before the writer's lock is taken.

#[cfg(target_os = "linux")]
mod mounts;
mod outlook;
mod pending;
mod settle;
mod source;

use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

#[cfg(target_os = "linux")]
pub(crate) use mounts::{Mounts, is_silent, near};
pub(crate) use outlook::outlook;
pub(crate) use pending::{Batch, Pending, Sign};
pub(crate) use settle::Settling;
pub(crate) use source::{Source, Trouble};

/// What the threads that are told of changes share with the one that indexes.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub pending: Pending,
    /// Whether it was told to end.
    pub is_stopped: bool,
    /// Whether a disk came or went.
    pub mounts_changed: bool,
    /// What the system reported instead of changes: nothing more can be watched.
    pub trouble: Option<Trouble>,
    /// When the thread that indexes wakes up by itself.
    sleeps_until: Option<Instant>,
}

impl Shared {
    pub fn lock(&self) -> MutexGuard<'_, State> {
        // A panic in another thread leaves paths that wait, or do not.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what happened to a path.
    pub fn note(&self, path: &Path, sign: Sign) {
        let mut state = self.lock();
        let due = state.pending.note(path, sign, Instant::now());
        // A burst wakes nobody.
        let is_earlier = state.sleeps_until.is_none_or(|until| due < until);
        if is_earlier {
            state.sleeps_until = Some(due);
            self.wake.notify_all();
        }
    }

    /// Changes the state, and wakes whoever waits.
    pub fn tell(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.wake.notify_all();
    }

    /// Waits until something is due, at the latest until `until`.
    pub fn wait(&self, until: Option<Instant>) {
        let mut state = self.lock();
        loop {
            if state.is_stopped || state.mounts_changed || state.trouble.is_some() {
                return;
            }
            let due = state.pending.due_at();
            let until = match (due, until) {
                (Some(due), Some(until)) => Some(due.min(until)),
                (due, until) => due.or(until),
            };
            let now = Instant::now();
            if until.is_some_and(|until| until <= now) {
                return;
            }
            state.sleeps_until = until;
            let left = until.map(|until| until - now);
            state = match left {
                Some(left) => {
                    let woken = self.wake.wait_timeout(state, left);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self
                    .wake
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

/// Sorted paths of which none lies inside another.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outermost(Vec<PathBuf>);

impl Outermost {
    pub fn of(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut all: Vec<PathBuf> = paths.into_iter().collect();
        all.sort();
        all.dedup_by(|inner, outer| inner.starts_with(&*outer));
        Self(all)
    }

    pub fn as_slice(&self) -> &[PathBuf] {
        &self.0
    }

    /// Returns the path that another one is or lies below.
    pub fn above(&self, path: &Path) -> Option<&PathBuf> {
        let after = self.0.partition_point(|one| one.as_path() <= path);
        let one = self.0[..after].last()?;
        path.starts_with(one).then_some(one)
    }
}

/// Time without news of a file after which it is read. A batch begins after it, too.
pub(crate) const QUIET: Duration = Duration::from_millis(400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outermost_paths_are_kept() {
        let paths = ["/b/c", "/a", "/a/b", "/ab", "/b/c", "/a!"].map(PathBuf::from);
        let outermost = Outermost::of(paths);
        let expected = ["/a", "/a!", "/ab", "/b/c"].map(PathBuf::from);
        assert_eq!(outermost.as_slice(), expected);
        assert_eq!(outermost.above(Path::new("/a/b/x")), Some(&expected[0]));
        assert_eq!(outermost.above(Path::new("/ab")), Some(&expected[2]));
        assert_eq!(outermost.above(Path::new("/b/d")), None);
    }

    #[test]
    fn a_burst_wakes_a_sleeper_when_it_is_over() {
        let shared = Shared::default();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..100 {
                    shared.note(Path::new(&format!("/a/{number}")), Sign::Touched);
                }
            });
            shared.wait(None);
        });
        let batch = shared.lock().pending.take(Instant::now() + QUIET);
        assert_eq!(batch.map(|batch| batch.paths.len()), Some(100));
        shared.tell(|state| state.is_stopped = true);
        shared.wait(None);
    }
}
