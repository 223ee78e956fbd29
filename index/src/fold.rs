//! Folding: what is newer than the segments goes into one, small segments into larger ones, and
//! what was removed out of them.
//!
//! A segment is written aside, synced and renamed before the database names it, in one transaction
//! with the removal of those that it replaces, whose files are unlinked last. A crash anywhere
//! leaves the segments that served before, and at worst a file that the next folding removes.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use rusqlite::params;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::graph::GraphOptions;
use crate::reader::StoredSegment;
use crate::rows::{LoadError, Loaded};
use crate::segment::{Content, GRAPHS, MOST_ROWS, Segment};
use crate::writer::Writer;

/// What is newer than the segments is folded in when it is so many images: reading them at the
/// opening of an index takes about 5 ms, and scanning them 25 µs of a query.
pub const FOLD_AT: usize = 4096;

/// A segment is made anew when more than one of so many of its images was removed.
const REMOVED_SHARE: usize = 5;

/// A segment is merged into one that is being made unless it is more than so many times as large.
const MERGE_RATIO: usize = 2;

/// How segments are folded.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct FoldOptions {
    /// Make as few segments as there can be of whatever is not in a full one, however little is
    /// new, and check every segment first.
    pub all: bool,
    /// Make every segment anew.
    pub rebuild: bool,
    /// How graphs are built.
    pub graph: GraphOptions,
}

/// What folding did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Folded {
    /// Segments that were made.
    pub made: usize,
    /// Segments that they replace.
    pub replaced: usize,
    /// Images in the new ones.
    pub images: usize,
    /// Nodes of their graphs that no search found, and that were linked in.
    pub linked_in: u64,
    /// What was wrong with segments that were made anew.
    pub damaged: Vec<String>,
    /// Seconds that it took.
    pub seconds: f64,
    /// Whether it was interrupted: what was made by then is in use.
    pub interrupted: bool,
}

/// A range of numbers to make a segment of.
#[derive(Debug, PartialEq, Eq)]
struct Range {
    /// The number before the first.
    after: i64,
    /// The last; none for all that come.
    last: Option<i64>,
    images: usize,
}

impl Writer {
    /// Folds what is newer than the segments into one where it has become much, and makes segments
    /// anew that are small, damaged or lost many of their images.
    ///
    /// `progress` is told how many images are linked into their new segments, and of how many.
    ///
    /// Readers go on with what they have open. Memory stays below a gigabyte however many images
    /// there are, for segments hold at most a million and are made one after the other.
    ///
    /// # Errors
    ///
    /// What the database says, and [`Error::Io`] where a segment cannot be written (a full disk,
    /// say): the segments that were there before go on serving then.
    pub fn fold(
        &mut self,
        options: &FoldOptions,
        stop: &AtomicBool,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Folded> {
        let started = Instant::now();
        options.graph.check()?;
        let mut folded = Folded::default();
        let stored = self.reader()?.segments()?;
        self.remove_strays(&stored)?;
        if cfg!(target_endian = "big") {
            // Segments are little-endian and mapped as they are; everything is scanned here.
            return Ok(folded);
        }
        let ranges = self.plan(&stored, options, &mut folded)?;
        let of: usize = ranges.iter().map(|range| range.images).sum();
        let done = AtomicUsize::new(0);
        for range in ranges {
            if stop.load(Ordering::Relaxed) {
                folded.interrupted = true;
                break;
            }
            let mut tell = || progress((done.load(Ordering::Relaxed) / GRAPHS).min(of), of);
            self.make(&range, options, &mut folded, &done, &mut tell)?;
        }
        folded.seconds = started.elapsed().as_secs_f64();
        Ok(folded)
    }

    /// What is to be made into segments.
    fn plan(
        &self,
        stored: &[StoredSegment],
        options: &FoldOptions,
        folded: &mut Folded,
    ) -> Result<Vec<Range>> {
        let reader = self.reader()?;
        // Each segment's images as they are now, and whether it has to be made anew.
        let mut pieces: Vec<(Range, bool)> = Vec::new();
        let mut after = 0;
        for segment in stored {
            let images = reader.count_between(segment.first - 1, segment.last)?;
            let opened = Segment::open(&segment.path(self.dir())).and_then(|open| {
                if options.all {
                    open.verify()?;
                }
                Ok(open)
            });
            let sound = match opened {
                Ok(open) => {
                    open.fits(self.encoder()) && open.len() == segment.images && open.is_current()
                }
                Err(error @ Error::NewerSegment { .. }) => return Err(error),
                Err(error) => {
                    folded.damaged.push(error.to_string());
                    false
                }
            };
            let removed = segment.images.saturating_sub(images);
            let worn = if options.all {
                removed > 0
            } else {
                removed * REMOVED_SHARE > segment.images
            };
            let range = Range {
                after: segment.first - 1,
                last: Some(segment.last),
                images,
            };
            pieces.push((range, !sound || worn || options.rebuild));
            after = segment.last;
        }
        let newer = reader.count_between(after, i64::MAX)?;
        let tail = Range {
            after,
            last: None,
            images: newer,
        };
        let due = newer > 0 && (newer >= FOLD_AT || options.all);
        let mut ratio = MERGE_RATIO;
        if options.all {
            ratio = usize::MAX;
            for i in 1..pieces.len() {
                if pieces[i - 1].0.images + pieces[i].0.images <= MOST_ROWS {
                    pieces[i].1 = true;
                }
            }
        }
        Ok(merged(pieces, due.then_some(tail), ratio))
    }

    /// Makes a segment, or several where there are more images than one takes, in the place of
    /// those in its range.
    fn make(
        &mut self,
        range: &Range,
        options: &FoldOptions,
        folded: &mut Folded,
        done: &AtomicUsize,
        tell: &mut dyn FnMut(),
    ) -> Result<()> {
        let dir = self.dir().to_owned();
        let mut after = range.after;
        loop {
            let reader = self.reader()?;
            let last = range.last.unwrap_or(i64::MAX);
            let loaded = Loaded::load(&reader.connection, self.encoder(), (after, last), MOST_ROWS)
                .map_err(|error| match error {
                    LoadError::Database(source) => reader.fail(source),
                    LoadError::Corrupt(what) => reader.corrupt(what),
                })?;
            let full = loaded.ids.len() == MOST_ROWS;
            let newest = loaded.ids.last().copied().unwrap_or(after);
            let end = if full {
                newest
            } else {
                range.last.unwrap_or(newest)
            };
            let number = reader.next_segment()?;
            drop(reader);
            let made = if loaded.ids.is_empty() {
                None
            } else {
                let content = Content {
                    encoder: self.encoder(),
                    rows: loaded.rows(),
                };
                let segment = watching(tell, || Segment::build(&content, &options.graph, done))?;
                let stored = StoredSegment {
                    name: StoredSegment::name_of(number),
                    number,
                    first: after + 1,
                    last: end,
                    images: segment.len(),
                };
                segment.write(&stored.path(&dir))?;
                folded.made += 1;
                folded.images += segment.len();
                folded.linked_in += u64::from(segment.linked_in());
                Some(stored)
            };
            folded.replaced += self.swap_segments((after, end), made.as_ref())?;
            if !full {
                return Ok(());
            }
            after = end;
        }
    }

    /// Names a new segment in the place of those that begin in a range, and unlinks theirs.
    fn swap_segments(
        &mut self,
        (after, last): (i64, i64),
        made: Option<&StoredSegment>,
    ) -> Result<usize> {
        let dir = self.dir().to_owned();
        let fail = |source| Error::database(&dir, source);
        let before: Vec<StoredSegment> = self
            .reader()?
            .segments()?
            .into_iter()
            .filter(|segment| segment.first > after && segment.first <= last)
            .collect();
        let transaction = self.connection.transaction().map_err(fail)?;
        for segment in &before {
            transaction
                .execute("DELETE FROM segments WHERE id = ?1", [segment.number])
                .map_err(fail)?;
        }
        if let Some(made) = made {
            transaction
                .execute(
                    "INSERT INTO segments (id, first_image, last_image, images) VALUES (?1, ?2, ?3, ?4)",
                    params![made.number, made.first, made.last, made.images as i64],
                )
                .map_err(fail)?;
        }
        transaction
            .execute(
                "DELETE FROM removed WHERE image > ?1 AND image <= ?2",
                [after, last],
            )
            .map_err(fail)?;
        transaction
            .execute("UPDATE generation SET number = number + 1", ())
            .map_err(fail)?;
        transaction.commit().map_err(fail)?;
        for segment in &before {
            // Nobody opens it any more; where it cannot be unlinked now, the next folding does.
            if let Err(error) = fs::remove_file(segment.path(&dir)) {
                tracing::debug!(%error, segment = segment.name, "a folded segment stays for now");
            }
        }
        Ok(before.len())
    }

    /// Removes files of segments that the database does not name: a crash left them.
    fn remove_strays(&self, stored: &[StoredSegment]) -> Result<()> {
        let dir = self.dir();
        let folder = StoredSegment::folder(dir);
        let listed = match fs::read_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return fs::create_dir(&folder)
                    .map_err(|source| Error::io("make the folder", &folder, source));
            }
            listed => listed.map_err(|source| Error::io("list", &folder, source))?,
        };
        for entry in listed {
            let entry = entry.map_err(|source| Error::io("list", &folder, source))?;
            let name = entry.file_name();
            if !stored.iter().any(|segment| *segment.name == *name) {
                let path = entry.path();
                fs::remove_file(&path).map_err(|source| Error::io("remove", &path, source))?;
            }
        }
        Ok(())
    }
}

/// Which ranges to make: what has to be, with the segments before and after it that are not much
/// larger than `ratio` times, up to a full segment.
fn merged(pieces: Vec<(Range, bool)>, tail: Option<Range>, ratio: usize) -> Vec<Range> {
    let mut ranges: Vec<Range> = Vec::new();
    // The piece that grows, from the newest to the oldest.
    let mut growing: Option<Range> = tail;
    for (piece, due) in pieces.into_iter().rev() {
        match &mut growing {
            Some(range)
                if range.images + piece.images <= MOST_ROWS
                    && (due || piece.images <= range.images.saturating_mul(ratio)) =>
            {
                range.after = piece.after;
                range.images += piece.images;
            }
            _ if due => ranges.extend(growing.replace(piece)),
            _ => ranges.extend(growing.take()),
        }
    }
    ranges.extend(growing);
    ranges.reverse();
    ranges
}

/// Does something in another thread while `tell` is called in this one, a few times a second.
fn watching<T: Send>(tell: &mut dyn FnMut(), work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    const TICK: std::time::Duration = std::time::Duration::from_millis(100);
    std::thread::scope(|scope| {
        // Nothing is ever sent: the end of the worker, however it comes, is the end of the channel.
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        let worker = scope.spawn(move || {
            let _ended = sender;
            work()
        });
        while let Err(std::sync::mpsc::RecvTimeoutError::Timeout) = receiver.recv_timeout(TICK) {
            tell();
        }
        let result = worker
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        tell();
        result
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(after: i64, last: i64, images: usize) -> Range {
        Range {
            after,
            last: Some(last),
            images,
        }
    }

    fn tail(after: i64, images: usize) -> Range {
        Range {
            after,
            last: None,
            images,
        }
    }

    #[test]
    fn a_tail_takes_in_what_is_not_much_larger() {
        let pieces = || {
            vec![
                (range(0, 100_000, 100_000), false),
                (range(100_000, 108_000, 8000), false),
                (range(108_000, 112_000, 4000), false),
            ]
        };
        assert_eq!(merged(pieces(), None, MERGE_RATIO), []);
        assert_eq!(
            merged(pieces(), Some(tail(112_000, 4096)), MERGE_RATIO),
            [tail(100_000, 16_096)]
        );
        assert_eq!(
            merged(pieces(), Some(tail(112_000, 60_000)), MERGE_RATIO),
            [tail(0, 172_000)]
        );
    }

    #[test]
    fn a_full_segment_is_left_alone() {
        let pieces = vec![(range(0, 1_000_000, MOST_ROWS), false)];
        assert_eq!(
            merged(pieces, Some(tail(1_000_000, 900_000)), MERGE_RATIO),
            [tail(1_000_000, 900_000)]
        );
    }

    #[test]
    fn what_is_damaged_is_made_anew_in_its_place() {
        let pieces = vec![
            (range(0, 10, 10), true),
            (range(10, 1_000_010, MOST_ROWS), false),
            (range(1_000_010, 1_000_020, 10), true),
        ];
        assert_eq!(
            merged(pieces, None, MERGE_RATIO),
            [range(0, 10, 10), range(1_000_010, 1_000_020, 10)]
        );
        // All images of a segment were removed.
        assert_eq!(
            merged(vec![(range(0, 5, 0), true)], None, MERGE_RATIO),
            [range(0, 5, 0)]
        );
    }
}
