//! Whether a file that a walk found is complete.
//!
//! Nobody told of it, or told of a folder above: it may be written right now. It is complete if its dates are not of
//! this moment, or if it did not change between two looks. The second holds although a server's clock is wrong.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use imgsearch_index::FileStat;

use super::QUIET;
use super::pending::{OPEN_QUIET, Pending};
use crate::indexing::walk::{Candidate, nanoseconds};

/// The endings of names under which programs store what they have not received completely.
const TEMPORARY: [&str; 11] = [
    "part",
    "partial",
    "crdownload",
    "download",
    "opdownload",
    "filepart",
    "tmp",
    "temp",
    "swp",
    "aria2",
    "!ut",
];

/// Returns how long a file of this name must be quiet.
pub(super) fn calm_time(path: &Path) -> Duration {
    let is_temporary = path.extension().is_some_and(|extension| {
        let extension = extension.to_string_lossy().to_lowercase();
        TEMPORARY.contains(&extension.as_str()) || extension.ends_with('~')
    });
    if is_temporary { OPEN_QUIET } else { QUIET }
}

/// What was seen of files that changed a moment ago.
#[derive(Debug, Default)]
pub(crate) struct Settling(HashMap<PathBuf, (FileStat, Instant)>);

impl Settling {
    /// Takes the files that may be incomplete from a list, and notes in `pending` when to look at them again.
    pub fn sift(&mut self, candidates: &mut Vec<Candidate>, pending: &mut Pending) {
        let (now, clock) = (Instant::now(), nanoseconds(SystemTime::now()));
        candidates.retain(|candidate| {
            if pending.holds(&candidate.path) {
                return false;
            }
            let due = self.due(candidate, now, clock);
            if let Some(due) = due {
                pending.look_at(&candidate.path, due);
            }
            due.is_none()
        });
        // Those that were deleted meanwhile.
        self.0
            .retain(|_, (_, seen)| now.duration_since(*seen) <= 2 * OPEN_QUIET);
    }

    /// Returns when to look at a file again, or `None` if it is complete. `clock` is the time in nanoseconds since
    /// 1970.
    fn due(&mut self, candidate: &Candidate, now: Instant, clock: i64) -> Option<Instant> {
        let (path, stat) = (&candidate.path, candidate.stat);
        // Whoever makes an empty file will write to it.
        let calm = if stat.size == 0 {
            OPEN_QUIET
        } else {
            calm_time(path)
        };
        let changed = stat.mtime_ns.max(stat.ctime_ns);
        let age = u64::try_from(clock.saturating_sub(changed)).unwrap_or(0);
        if Duration::from_nanos(age) >= calm {
            self.0.remove(path);
            return None;
        }
        match self.0.get(path) {
            Some((before, seen)) if *before == stat => {
                let due = *seen + calm;
                if due <= now {
                    self.0.remove(path);
                    return None;
                }
                Some(due)
            }
            _ => {
                self.0.insert(path.clone(), (stat, now));
                Some(now + calm)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn candidate(name: &str, size: u64, changed: i64) -> Candidate {
        Candidate {
            path: PathBuf::from(name),
            stat: FileStat {
                size,
                mtime_ns: changed,
                inode: 1,
                ctime_ns: changed,
            },
        }
    }

    #[test]
    fn an_old_file_is_complete_and_a_growing_one_is_not() {
        let (mut settling, start) = (Settling::default(), Instant::now());
        let clock = 1000 * SECOND;
        let at = |millis: u64| start + Duration::from_millis(millis);
        let old = candidate("/a.jpg", 5, 990 * SECOND);
        assert_eq!(settling.due(&old, start, clock), None);
        // Its date is the present, whatever the clock of the server.
        for skew in [0, 3600 * SECOND] {
            let new = |size| candidate("/b.jpg", size, clock + skew);
            assert_eq!(settling.due(&new(5), start, clock), Some(at(400)));
            assert_eq!(settling.due(&new(9), at(400), clock), Some(at(800)));
            assert_eq!(settling.due(&new(9), at(700), clock), Some(at(800)));
            assert_eq!(settling.due(&new(9), at(800), clock), None);
        }
        assert!(settling.0.is_empty());
    }

    #[test]
    fn empty_files_and_downloads_take_longer() {
        let mut settling = Settling::default();
        let (now, clock) = (Instant::now(), 1000 * SECOND);
        for (name, size) in [
            ("/a.jpg", 0),
            ("/a.jpg.part", 5),
            ("/A.CRDOWNLOAD", 5),
            ("/a.jpg~", 5),
        ] {
            let one = candidate(name, size, 990 * SECOND);
            assert_eq!(
                settling.due(&one, now, clock),
                Some(now + OPEN_QUIET),
                "{name}"
            );
            let later = clock + 60 * SECOND;
            assert_eq!(settling.due(&one, now, later), None, "{name}");
        }
        assert_eq!(calm_time(Path::new("/part/tmp.jpg")), QUIET);
    }
}
