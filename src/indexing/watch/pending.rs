//! Paths that changed, until it is quiet around them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::QUIET;
use super::settle::calm_time;

/// A file that is written to is read after this time without news even if its writer has not closed it.
pub(crate) const OPEN_QUIET: Duration = Duration::from_secs(30);

/// Paths that are due wait at most this long for a burst of other changes to end.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// If more paths wait, everything is walked instead.
const MAX_PATHS: usize = 200_000;

/// What happened to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    /// It is there and may be complete: it was made, moved here, or closed by whoever wrote it.
    Touched,
    /// Somebody writes to it, and will tell when that is over.
    Written,
    /// Its dates or permissions changed.
    Dated,
    /// It was deleted or moved away.
    Removed,
}

/// Paths that wait, and what is known of them.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    waiting: HashMap<PathBuf, Waiting>,
    /// When everything is to be walked.
    everything: Option<Instant>,
    /// When the last sign came.
    last: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    /// When it is read if nothing else happens to it.
    due: Instant,
    /// Whether it is being written to.
    is_open: bool,
    /// Whether it was deleted or moved away meanwhile, whatever stands there now.
    was_removed: bool,
}

impl Waiting {
    fn until(due: Instant) -> Self {
        Self {
            due,
            is_open: false,
            was_removed: false,
        }
    }
}

/// Paths to index.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Batch {
    /// Sorted; none if everything is to be walked.
    pub paths: Vec<PathBuf>,
    pub is_everything: bool,
    /// Paths of which the system said that they were deleted or moved away, sorted.
    pub removed: Vec<PathBuf>,
}

impl Pending {
    /// Notes what happened to a path. Returns when it is due.
    pub fn note(&mut self, path: &Path, sign: Sign, now: Instant) -> Instant {
        self.last = Some(now);
        let before = self.waiting.get(path);
        let is_open = match sign {
            Sign::Written => true,
            Sign::Dated => before.is_some_and(|before| before.is_open),
            Sign::Touched | Sign::Removed => false,
        };
        let wait = match sign {
            _ if is_open => OPEN_QUIET,
            Sign::Removed => QUIET,
            _ => calm_time(path),
        };
        let waiting = Waiting {
            due: now + wait,
            is_open,
            was_removed: sign == Sign::Removed,
        };
        self.put(path, waiting);
        waiting.due
    }

    /// Notes that a path is to be looked at, at a point in time. It was quiet before.
    pub fn look_at(&mut self, path: &Path, due: Instant) {
        self.put(path, Waiting::until(due));
    }

    fn put(&mut self, path: &Path, new: Waiting) {
        if let Some(waiting) = self.waiting.get_mut(path) {
            let was_removed = new.was_removed || waiting.was_removed;
            *waiting = Waiting { was_removed, ..new };
        } else if self.waiting.len() < MAX_PATHS {
            self.waiting.insert(path.to_owned(), new);
        } else {
            self.everything.get_or_insert(new.due);
        }
    }

    /// Notes that everything is to be walked, at a point in time.
    pub fn everything(&mut self, due: Instant) {
        let sooner = self.everything.map_or(due, |before| before.min(due));
        self.everything = Some(sooner);
    }

    /// Puts back a batch that could not be indexed.
    pub fn put_back(&mut self, batch: Batch, due: Instant) {
        if batch.is_everything {
            self.everything(due);
        }
        for path in batch.paths {
            if !self.waiting.contains_key(&path) {
                self.put(&path, Waiting::until(due));
            }
        }
        for path in batch.removed {
            self.waiting
                .entry(path)
                .or_insert(Waiting::until(due))
                .was_removed = true;
        }
    }

    /// Returns whether a path waits.
    pub fn holds(&self, path: &Path) -> bool {
        self.waiting.contains_key(path)
    }

    /// Returns when the next batch begins.
    pub fn due_at(&self) -> Option<Instant> {
        let first = self.waiting.values().map(|waiting| waiting.due).min();
        let first = match (first, self.everything) {
            (Some(first), Some(everything)) => first.min(everything),
            (first, everything) => first.or(everything)?,
        };
        // A burst is one batch, unless it takes long.
        let calm = self.last.map_or(first, |last| last + QUIET);
        Some(first.max(calm.min(first + MAX_WAIT)))
    }

    /// Takes what is due, or returns `None` if nothing is.
    pub fn take(&mut self, now: Instant) -> Option<Batch> {
        if self.due_at().is_none_or(|due| due > now) {
            return None;
        }
        let mut batch = Batch {
            is_everything: self.everything.take_if(|due| *due <= now).is_some(),
            ..Batch::default()
        };
        self.waiting.retain(|path, waiting| {
            if waiting.due > now {
                return true;
            }
            if waiting.was_removed {
                batch.removed.push(path.clone());
            }
            batch.paths.push(path.clone());
            false
        });
        batch.paths.sort();
        batch.removed.sort();
        if batch.is_everything {
            batch.paths.clear();
        }
        Some(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn names(batch: Option<Batch>) -> Vec<String> {
        let paths = batch.map_or_else(Vec::new, |batch| batch.paths);
        paths
            .iter()
            .map(|path| path.display().to_string())
            .collect()
    }

    #[test]
    fn a_burst_is_one_batch_once_it_is_over() {
        let (mut pending, start) = (Pending::default(), Instant::now());
        assert_eq!(pending.due_at(), None);
        for i in 0..10_000u64 {
            let path = PathBuf::from(format!("/p/{i}.jpg"));
            pending.note(&path, Sign::Touched, start + ms(i / 20));
        }
        // The last came after half a second.
        assert_eq!(pending.take(start + ms(500)), None);
        let batch = pending.take(start + ms(900)).unwrap();
        assert_eq!(batch.paths.len(), 10_000);
        assert_eq!(pending.due_at(), None);
    }

    #[test]
    fn a_file_is_due_within_a_second_and_a_half_whatever_happens_to_others() {
        let (mut pending, start) = (Pending::default(), Instant::now());
        pending.note(Path::new("/p/a.jpg"), Sign::Touched, start);
        for i in 0..200 {
            let now = start + ms(10 * i);
            pending.note(Path::new("/p/other.jpg"), Sign::Touched, now);
            let taken = names(pending.take(now));
            if now < start + QUIET + MAX_WAIT {
                assert!(taken.is_empty(), "after {} ms: {taken:?}", 10 * i);
            } else {
                assert_eq!(taken, ["/p/a.jpg"], "after {} ms", 10 * i);
                return;
            }
        }
        panic!("it was never due");
    }

    #[test]
    fn a_file_that_is_written_waits_for_its_writer() {
        let (mut pending, start) = (Pending::default(), Instant::now());
        let path = Path::new("/p/a.jpg");
        pending.note(path, Sign::Touched, start);
        pending.note(path, Sign::Written, start + ms(100));
        pending.note(path, Sign::Dated, start + ms(200));
        assert_eq!(pending.take(start + ms(10_000)), None);
        assert!(pending.holds(path));
        pending.note(path, Sign::Touched, start + ms(10_000));
        assert_eq!(pending.take(start + ms(10_300)), None);
        assert_eq!(names(pending.take(start + ms(10_400))), ["/p/a.jpg"]);
        // One that never tells is read some time.
        pending.note(path, Sign::Written, start);
        assert_eq!(names(pending.take(start + OPEN_QUIET)), ["/p/a.jpg"]);
        // A download that is not over has a name that says so.
        pending.note(Path::new("/p/a.jpg.part"), Sign::Touched, start);
        assert_eq!(pending.take(start + ms(5000)), None);
    }

    #[test]
    fn what_was_deleted_is_told_even_if_something_stands_there_again() {
        let (mut pending, start) = (Pending::default(), Instant::now());
        let path = Path::new("/p/a");
        pending.note(path, Sign::Removed, start);
        pending.note(path, Sign::Touched, start);
        let batch = pending.take(start + QUIET).unwrap();
        assert_eq!(
            (&batch.paths, &batch.removed),
            (&vec![path.into()], &vec![path.into()])
        );
        // What could not be indexed comes again, with this.
        pending.put_back(batch.clone(), start + ms(5000));
        assert_eq!(pending.take(start + ms(4000)), None);
        assert_eq!(pending.take(start + ms(5000)), Some(batch));
    }

    #[test]
    fn too_many_paths_are_everything() {
        let (mut pending, start) = (Pending::default(), Instant::now());
        for i in 0..=MAX_PATHS {
            pending.note(Path::new(&format!("/{i}")), Sign::Touched, start);
        }
        let batch = pending.take(start + QUIET).unwrap();
        assert!(batch.is_everything && batch.paths.is_empty());
        assert_eq!(pending.due_at(), None);
    }
}
