//! Folding: what is newer than the segments goes into one, small segments into larger ones, and
//! what was removed out of them.
//!
//! A segment is written under a temporary name, synced and renamed before the database names it, in one
//! transaction with the removal of those that it replaces, whose files are unlinked last. A crash
//! anywhere leaves the segments that served before, and at worst a file that the next folding removes.

mod plan;

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use serde::Serialize;

use plan::{Range, flag_neighbours, merged};

use crate::compare;
use crate::error::{Error, Result};
use crate::graph::GraphOptions;
use crate::progress::{Counter, Report, Step};
use crate::repair::Repaired;
use crate::segment::{Content, GRAPHS, MAX_ROWS, Segment};
use crate::store::mark::Mark;
use crate::store::reader::Reader;
use crate::store::rows::Loaded;
use crate::store::segments::StoredSegment;
use crate::store::writer::Writer;

/// What is newer than the segments is folded in when it is this number of images: reading them at the
/// opening of an index takes about 5 ms, and scanning them 25 µs of a query.
pub const FOLD_AT: usize = 4096;

/// While more is coming, what is newer than the segments is folded in when it is this number of images and
/// an eighth of those in segments, …
const GROWING_AT: usize = 4 * FOLD_AT;

/// … or at the latest when it is this number: reading them takes 80 ms, and linking them a few seconds.
const MAX_GROWING: usize = 16 * FOLD_AT;

/// A segment is rebuilt when more than one in this number of its images was removed.
const REMOVED_SHARE: usize = 5;

/// A segment is merged into one that is being made unless it is more than this many times as large.
const MERGE_RATIO: usize = 2;

/// How segments are folded.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct FoldOptions {
    /// Make as few segments as there can be of whatever is not in a full one, however little is
    /// new, and check every segment first.
    pub all: bool,
    /// Rebuild every segment.
    pub rebuild: bool,
    /// More is coming: leave the segments as they are, and fold what is newer into one of its own
    /// if it has become much. A folding without this merges those small ones.
    pub growing: bool,
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
    /// What was wrong with segments that were rebuilt.
    pub damaged: Vec<String>,
    /// What became of stored codes that did not match their checksums.
    #[serde(rename = "mended")]
    pub repaired: Repaired,
    /// What lies among the segments and is none. It is left alone.
    pub foreign: Vec<String>,
    /// Seconds that it took.
    pub seconds: f64,
    /// Whether it was interrupted: what was made by then is in use.
    pub interrupted: bool,
}

/// A sound segment.
struct Inspected {
    /// Whether it is of the newest format: an older one is rebuilt.
    current: bool,
    /// How its file is, if it was verified just now.
    mark: Option<Mark>,
}

impl Writer {
    /// Folds what is newer than the segments into one if it has become much, and rebuilds segments
    /// that are small, damaged or lost many of their images.
    ///
    /// `progress` is called on this thread a few times a second with the number of images that are
    /// linked into their new segments. If it breaks, folding ends before the next graph is built (a
    /// segment has two), and the segments that are complete by then are used.
    ///
    /// Readers go on with what they have open. Memory stays bounded however many images there
    /// are, for segments hold at most a million and are made one after the other.
    ///
    /// # Errors
    ///
    /// If the database fails, and [`Error::Io`] if a segment cannot be written (a full disk,
    /// say): the segments that were there before go on serving then.
    pub fn fold(
        &mut self,
        options: &FoldOptions,
        progress: &mut dyn FnMut(Step) -> ControlFlow<()>,
    ) -> Result<Folded> {
        let started = Instant::now();
        options.graph.check()?;
        let mut folded = Folded::default();
        let stored = self.reader()?.segments()?;
        folded.foreign = self.remove_leftover_files(&stored)?;
        if cfg!(target_endian = "big") {
            // Segments are little-endian and mapped as they are; everything is scanned here.
            return Ok(folded);
        }
        let ranges = if options.growing {
            self.tail_that_grows(&stored)?.into_iter().collect()
        } else {
            self.plan(&stored, options, &mut folded)?
        };
        let of = ranges.iter().map(|range| range.images).sum();
        let counter = Counter::default();
        let mut report = Report::new(progress, &counter, of, GRAPHS);
        for range in ranges {
            if !report.step() || !self.make(&range, options, &mut folded, &counter, &mut report)? {
                folded.interrupted = true;
                break;
            }
        }
        folded.seconds = started.elapsed().as_secs_f64();
        if of > 0 {
            tracing::info!(
                images = of,
                seconds = folded.seconds,
                interrupted = folded.interrupted,
                "folded"
            );
        }
        Ok(folded)
    }

    /// Returns the images above the segments, if they are enough for a segment though more is coming.
    fn tail_that_grows(&self, stored: &[StoredSegment]) -> Result<Option<Range>> {
        let after = stored.last().map_or(0, |segment| segment.last);
        let in_segments: usize = stored.iter().map(|segment| segment.images).sum();
        let due = (in_segments / 8).clamp(GROWING_AT, MAX_GROWING);
        let images = self.reader()?.count_between(after, i64::MAX)?;
        Ok((images >= due).then_some(Range {
            after,
            last: None,
            images,
        }))
    }

    /// Decides what is to be made into segments.
    fn plan(
        &mut self,
        stored: &[StoredSegment],
        options: &FoldOptions,
        folded: &mut Folded,
    ) -> Result<Vec<Range>> {
        let reader = self.reader()?;
        let removed = reader.removed()?;
        let mut verified = Vec::new();
        // Each segment's images as they are now, and whether it has to be rebuilt.
        let mut pieces: Vec<(Range, bool)> = Vec::new();
        let mut after = 0;
        for segment in stored {
            let images = reader.count_between(segment.first - 1, segment.last)?;
            let sound = match self.inspect(&reader, segment, &removed, options) {
                Ok(Inspected { current, mark }) => {
                    verified.extend(mark.map(|mark| (segment.number, mark)));
                    current
                }
                Err(error @ (Error::DamagedSegment { .. } | Error::Io { .. })) => {
                    folded.damaged.push(error.to_string());
                    false
                }
                Err(error) => return Err(error),
            };
            let gone = segment.images.saturating_sub(images);
            let worn = if options.all {
                gone > 0
            } else {
                gone * REMOVED_SHARE > segment.images
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
        drop(reader);
        self.set_verified(&verified)?;
        let tail = Range {
            after,
            last: None,
            images: newer,
        };
        let due = newer > 0 && (newer >= FOLD_AT || options.all);
        let mut ratio = MERGE_RATIO;
        if options.all {
            ratio = usize::MAX;
        }
        flag_neighbours(&mut pieces, ratio);
        Ok(merged(pieces, due.then_some(tail), ratio))
    }

    /// Sees whether a segment is sound: its header, and all of it if its file is not the one
    /// that was last found to be, whose mark is then to be kept.
    ///
    /// # Errors
    ///
    /// If something is wrong with it, and if the database fails.
    fn inspect(
        &self,
        reader: &Reader,
        stored: &StoredSegment,
        removed: &[i64],
        options: &FoldOptions,
    ) -> Result<Inspected> {
        let path = stored.path(self.dir());
        let segment = Segment::open(&path, &stored.verified)?;
        segment.expect(self.encoder(), stored)?;
        let current = segment.is_current();
        if options.rebuild || (segment.is_trusted() && !options.all) {
            return Ok(Inspected {
                current,
                mark: None,
            });
        }
        segment.verify()?;
        let differing = compare::differing(reader, self.encoder(), stored, &segment, removed)?;
        if differing > 0 {
            return Err(Error::DamagedSegment {
                path,
                what: format!("{differing} of its rows are not what the database holds"),
            });
        }
        Ok(Inspected {
            current,
            mark: Some(segment.mark()),
        })
    }

    /// Makes a segment, or several if there are more images than one takes, in the place of those in
    /// its range. Returns false if it was cancelled: the segment under way is given up, and those that
    /// were there serve.
    fn make(
        &mut self,
        range: &Range,
        options: &FoldOptions,
        folded: &mut Folded,
        counter: &Counter,
        report: &mut Report<'_>,
    ) -> Result<bool> {
        let mut after = range.after;
        loop {
            let last = range.last.unwrap_or(i64::MAX);
            let mut loaded = self.load((after, last))?;
            if !loaded.rotten.is_empty() {
                // What a segment still has of them must not go with it.
                folded.repaired.add(self.repair_images(&loaded.rotten)?);
                loaded = self.load((after, last))?;
            }
            let full = loaded.seen() == MAX_ROWS;
            let newest = loaded.last().unwrap_or(after);
            let end = if full {
                newest
            } else {
                range.last.unwrap_or(newest)
            };
            let made = if loaded.ids.is_empty() {
                None
            } else {
                let content = Content {
                    encoder: self.encoder(),
                    rows: loaded.rows(),
                };
                let built = report.during(|| {
                    let goes_on = || !counter.is_stopped();
                    Segment::build_while(&content, &options.graph, &counter.done, &goes_on)
                })?;
                let Some(segment) = built else {
                    return Ok(false);
                };
                folded.made += 1;
                folded.images += segment.len();
                folded.linked_in += u64::from(segment.linked_in());
                Some(self.write_segment(&segment, (after + 1, end))?)
            };
            folded.replaced += self.swap_segments((after, end), made.as_ref())?;
            if !full {
                return Ok(true);
            }
            after = end;
        }
    }

    /// Writes a segment of the images from `first` to `last`, which the database does not name yet.
    fn write_segment(&self, segment: &Segment, (first, last): (i64, i64)) -> Result<StoredSegment> {
        let number = self.free_number()?;
        let mut stored = StoredSegment {
            name: StoredSegment::name_of(number),
            number,
            first,
            last,
            images: segment.len(),
            verified: Mark::default(),
        };
        stored.verified = segment.write(&stored.path(self.dir()))?;
        Ok(stored)
    }

    fn load(&self, range: (i64, i64)) -> Result<Loaded> {
        self.reader()?.load(self.encoder(), range, MAX_ROWS)
    }

    /// Returns the number of the next segment: one whose file name is free.
    fn free_number(&self) -> Result<i64> {
        let mut number = self.reader()?.next_segment()?;
        let folder = StoredSegment::folder(self.dir());
        let taken = |number| {
            let path = folder.join(StoredSegment::name_of(number));
            let lies = |path: &Path| path.symlink_metadata().is_ok();
            lies(&path) || lies(&Segment::temporary(&path))
        };
        while taken(number) {
            number += 1;
        }
        Ok(number)
    }

    /// Names a new segment in the place of those that begin in a range, and deletes their files.
    fn swap_segments(&mut self, range: (i64, i64), made: Option<&StoredSegment>) -> Result<usize> {
        let before = self.replace_segments(range, made)?;
        for segment in &before {
            // Nobody opens it any more; if it cannot be deleted now, the next fold does it.
            if let Err(error) = fs::remove_file(segment.path(self.dir())) {
                tracing::debug!(%error, segment = segment.name, "a folded segment stays for now");
            }
        }
        Ok(before.len())
    }

    /// Removes files of segments that the database does not name: a crash left them. What else lies
    /// in the folder is somebody else's: what it is.
    fn remove_leftover_files(&self, stored: &[StoredSegment]) -> Result<Vec<String>> {
        let mut foreign = Vec::new();
        let folder = StoredSegment::folder(self.dir());
        let listed = match fs::read_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return fs::create_dir(&folder)
                    .map(|()| foreign)
                    .map_err(|source| Error::io("make the folder", &folder, source));
            }
            listed => listed.map_err(|source| Error::io("list", &folder, source))?,
        };
        for entry in listed {
            let entry = entry.map_err(|source| Error::io("list", &folder, source))?;
            let (name, path) = (entry.file_name(), entry.path());
            if stored.iter().any(|segment| *segment.name == *name) {
                continue;
            }
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            if is_file && name.to_str().is_some_and(StoredSegment::is_name) {
                fs::remove_file(&path).map_err(|source| Error::io("remove", &path, source))?;
            } else {
                foreign.push(path.display().to_string());
            }
        }
        foreign.sort();
        Ok(foreign)
    }
}
