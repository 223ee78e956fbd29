//! Segments: immutable files of codes, hashes and a graph over them, mapped into memory.
//!
//! Derived from the database and never more than a copy of it: whoever finds one missing or
//! damaged reads the same rows from there.

mod calibrate;
mod format;
mod graphs;
pub(crate) mod mapped;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use bytemuck::{AnyBitPattern, NoUninit};

use crate::error::{Error, Result};
#[cfg(test)]
use crate::graph::NONE;
use crate::graph::{Flat, GraphOptions, Points};
use crate::kernels::distance::LANES;
use crate::search::{DEFAULT_EF, RankBy};
use crate::segment::mapped::Bytes;
use crate::store::mark::Mark;
use crate::store::rows::Rows;
use crate::store::segments::StoredSegment;
use crate::store::types::EncoderRecord;
use format::{Header, MAX_FINGERPRINT, MAX_LEVELS, SECTIONS, Section, checksum};

pub use format::SEGMENT_FORMAT;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use format::seal;
use graphs::FusedGraph;
pub(crate) use graphs::{FusedQuery, SearchScratch};

/// Graphs of a segment: each row is linked into this number of them.
pub(crate) const GRAPHS: usize = 2;

/// The most rows of a segment, so that the memory for building one is bounded.
pub const MAX_ROWS: usize = 1_000_000;

/// Candidates for ranking by code and hash together, in a segment of which it was not measured: a point
/// has more neighbours that are nearly as near, for the hash adds directions to those of the code.
const UNMEASURED_BY_BOTH: usize = 2 * DEFAULT_EF;

/// Files up to this size are checked whole when they are opened; larger ones meanwhile.
const CHECK_AT_ONCE: usize = 16 << 20;

/// A segment, opened.
#[derive(Debug)]
pub(crate) struct Segment {
    path: PathBuf,
    bytes: Bytes,
    header: Header,
    /// How the file was when it was opened.
    mark: Mark,
    /// Whether that is how it was when it was last found to be sound.
    trusted: bool,
    /// What is wrong with it, once all of it was looked at.
    verdict: OnceLock<Option<String>>,
}

/// What a segment is made of.
pub(crate) struct Content<'a> {
    pub encoder: &'a EncoderRecord,
    pub rows: Rows<'a>,
}

impl Segment {
    /// Makes a segment in memory. `done` counts each row up [`GRAPHS`] times, once for each graph that
    /// it is linked into.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if the options are out of range or there are more rows than a
    /// segment takes.
    #[cfg(any(test, feature = "fuzzing"))]
    pub fn build(
        content: &Content<'_>,
        options: &GraphOptions,
        done: &AtomicUsize,
    ) -> Result<Self> {
        match Self::build_while(content, options, done, &|| true)? {
            Some(segment) => Ok(segment),
            None => Err(Error::InvalidInput("it was interrupted".to_owned())),
        }
    }

    /// Does what [`Segment::build`] does; returns `None` if `goes_on` says so before a graph is
    /// started or its candidates are measured. A graph that is started is completed.
    ///
    /// # Errors
    ///
    /// As [`Segment::build`].
    pub fn build_while(
        content: &Content<'_>,
        options: &GraphOptions,
        done: &AtomicUsize,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<Option<Self>> {
        options.check()?;
        let Content { encoder, rows } = content;
        let n = rows.len();
        if n > MAX_ROWS {
            return Err(Error::InvalidInput(format!(
                "{n} rows are more than the {MAX_ROWS} of a segment"
            )));
        }
        let points = Points::of(rows.codes, rows.stride);
        if !goes_on() {
            return Ok(None);
        }
        let (flat, linked_in) = graphs::by_code(&points, rows, options, done);
        done.fetch_add(n - points.nodes.len(), Ordering::Relaxed);
        if !goes_on() {
            return Ok(None);
        }
        let fused = graphs::by_both(&points, rows, encoder, options, done);
        let linked = fused.as_ref().map_or(0, |fused| fused.nodes);
        done.fetch_add(n - linked, Ordering::Relaxed);
        let mut header = header(content, &points, &flat, fused.as_ref());
        header.linked_in += linked_in;
        if header.counts.len() > MAX_LEVELS {
            return Err(Error::InvalidInput(format!(
                "a graph of {} upper levels is more than the {MAX_LEVELS} of a segment",
                header.counts.len()
            )));
        }
        let in_bytes = points.bytes.as_ref().map_or(&[][..], |bytes| &bytes.rows);
        let of_fused = |part: &dyn for<'a> Fn(&'a FusedGraph) -> &'a [u8]| -> &[u8] {
            fused.as_ref().map_or(&[][..], part)
        };
        let parts: [&[u8]; SECTIONS.len()] = [
            bytemuck::cast_slice(rows.ids),
            bytemuck::cast_slice(rows.codes),
            bytemuck::cast_slice(rows.hashes),
            bytemuck::cast_slice(in_bytes),
            bytemuck::cast_slice(&points.duplicates),
            bytemuck::cast_slice(&flat.offsets),
            bytemuck::cast_slice(&flat.links),
            bytemuck::cast_slice(&flat.uppers),
            bytemuck::cast_slice(&flat.upper_links),
            of_fused(&|fused| &fused.rows),
            of_fused(&|fused| bytemuck::cast_slice(&fused.duplicates)),
            of_fused(&|fused| bytemuck::cast_slice(&fused.flat.offsets)),
            of_fused(&|fused| bytemuck::cast_slice(&fused.flat.links)),
            of_fused(&|fused| bytemuck::cast_slice(&fused.flat.uppers)),
            of_fused(&|fused| bytemuck::cast_slice(&fused.flat.upper_links)),
        ];
        header.lengths = parts.map(<[u8]>::len);
        let mut bytes = Bytes::zeroed(header.file_length());
        let out = bytes.as_mut_slice();
        for ((section, _), part) in SECTIONS.iter().zip(parts) {
            out[header.range(*section)].copy_from_slice(part);
            header.checksums[*section as usize] = checksum(&out[header.whole(*section)]);
        }
        let mut segment = Self {
            path: PathBuf::new(),
            bytes,
            header,
            mark: Mark::default(),
            trusted: false,
            verdict: OnceLock::from(None),
        };
        if !goes_on() {
            return Ok(None);
        }
        segment.header.candidates =
            [RankBy::Code, RankBy::Both].map(|by| calibrate::candidates(&segment, by));
        segment.header.write(segment.bytes.as_mut_slice());
        Ok(Some(segment))
    }

    /// Returns the name under which a file is written.
    pub fn temporary(path: &Path) -> PathBuf {
        path.with_extension("new")
    }

    /// Writes the segment to `path`: under a temporary name, synced, renamed. Returns the file's mark.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]; nothing is left then.
    pub fn write(&self, path: &Path) -> Result<Mark> {
        let aside = Self::temporary(path);
        // Nothing that lies there is written to or through: not a link, nor somebody else's file.
        let mut file =
            File::create_new(&aside).map_err(|source| Error::io("write", &aside, source))?;
        let mut write = || {
            file.write_all(self.bytes.as_slice())?;
            file.sync_all()?;
            std::fs::rename(&aside, path)?;
            sync_folder(path)?;
            Mark::of(&file)
        };
        write().map_err(|source| {
            // What could not be written whole is of no use; the first error is the one to return.
            if let Err(error) = std::fs::remove_file(&aside) {
                tracing::debug!(%error, "an unfinished segment could not be removed");
            }
            Error::io("write", path, source)
        })
    }

    /// Opens a segment. If its file is not as it was when it was `verified`, a small one is
    /// checked whole, a large one by [`Segment::verify_meanwhile`] later.
    ///
    /// # Errors
    ///
    /// [`Error::DamagedSegment`], [`Error::NewerSegment`], [`Error::Io`].
    pub fn open(path: &Path, verified: &Mark) -> Result<Arc<Self>> {
        let opened = File::open(path).and_then(|file| Ok((Mark::of(&file)?, Bytes::map(&file)?)));
        let (mark, bytes) = opened.map_err(|source| Error::io("open", path, source))?;
        let mut segment = Self::unverified(bytes, path)?;
        segment.mark = mark;
        segment.trusted = mark.is(verified);
        if !segment.trusted && segment.len() > 0 && segment.as_bytes().len() <= CHECK_AT_ONCE {
            segment.verify()?;
        }
        Ok(Arc::new(segment))
    }

    /// Returns a segment of whose bytes the header alone was looked at, as a large one's are at first.
    ///
    /// # Errors
    ///
    /// [`Error::DamagedSegment`], [`Error::NewerSegment`].
    pub fn unverified(bytes: Bytes, path: &Path) -> Result<Self> {
        let header = Header::read(bytes.as_slice(), path)?;
        Ok(Self {
            path: path.to_owned(),
            bytes,
            header,
            mark: Mark::default(),
            trusted: false,
            verdict: OnceLock::new(),
        })
    }

    /// Returns the file's mark when it was opened.
    pub fn mark(&self) -> Mark {
        self.mark
    }

    /// Returns whether its file is as it was when it was last found to be sound.
    pub fn is_trusted(&self) -> bool {
        self.trusted
    }

    /// Checks the whole segment in a thread of its own, unless it is trusted; what it finds is then
    /// returned by [`Segment::damage`].
    pub fn verify_meanwhile(self: &Arc<Self>) {
        if self.trusted || self.verdict.get().is_some() {
            return;
        }
        let segment = Arc::clone(self);
        let spawned = std::thread::Builder::new()
            .name("imgsearch-verify".to_owned())
            .spawn(move || {
                segment.verdict();
            });
        if let Err(error) = spawned {
            tracing::debug!(%error, "no thread to check a segment in");
        }
    }

    /// Checks every section against its checksum, once.
    ///
    /// # Errors
    ///
    /// [`Error::DamagedSegment`].
    pub fn verify(&self) -> Result<()> {
        match self.verdict() {
            None => Ok(()),
            Some(what) => Err(Error::DamagedSegment {
                path: self.path.clone(),
                what: what.clone(),
            }),
        }
    }

    fn verdict(&self) -> Option<&String> {
        let look = || {
            let bytes = self.bytes.as_slice();
            let wrong = |section: Section| {
                checksum(&bytes[self.header.whole(section)])
                    != self.header.checksums[section as usize]
            };
            let (_, name) = SECTIONS.iter().find(|(section, _)| wrong(*section))?;
            Some(format!("its {name} do not match their checksum"))
        };
        self.verdict.get_or_init(look).as_ref()
    }

    /// Returns what is known to be wrong with it.
    pub fn damage(&self) -> Option<&str> {
        self.verdict.get()?.as_deref()
    }

    /// Returns the number of candidates that a search along its graph takes to find what a ranking's
    /// scan finds; none if no number that was tried is enough.
    pub fn candidates_needed(&self, by: RankBy) -> Option<usize> {
        match self.header.candidates[usize::from(by == RankBy::Both)] {
            calibrate::NEVER => None,
            // Made before it was measured, or too small for that.
            0 if by == RankBy::Both => Some(UNMEASURED_BY_BOTH),
            measured => Some(usize::from(measured).max(DEFAULT_EF)),
        }
    }

    /// Returns the file's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// Returns the number of rows.
    pub fn len(&self) -> usize {
        self.header.rows
    }

    /// Returns the number of nodes of the graph that were linked in after building.
    pub fn linked_in(&self) -> u32 {
        self.header.linked_in
    }

    /// Returns whether it is of the newest format: an older one is read, and rebuilt when segments are
    /// folded.
    pub fn is_current(&self) -> bool {
        self.header.format == SEGMENT_FORMAT
    }

    /// Returns whether it holds rows of this encoder in the shape that this version gives them.
    pub fn fits(&self, encoder: &EncoderRecord) -> bool {
        let header = &self.header;
        shortened(&encoder.fingerprint) == header.fingerprint
            && (header.code_len, header.bits) == (encoder.code_len, encoder.bits)
            && header.stride == encoder.code_len.next_multiple_of(LANES)
            && header.hash_words == encoder.bits.div_ceil(64)
            && (header.fused_stride == 0 || header.fused_bit == encoder.bit_distance())
    }

    /// Refuses a segment, sound as it may be, that is not the one that the database names.
    ///
    /// # Errors
    ///
    /// [`Error::DamagedSegment`].
    pub fn expect(&self, encoder: &EncoderRecord, stored: &StoredSegment) -> Result<()> {
        let ids = self.rows().ids;
        let within = ids.first().is_none_or(|&id| id >= stored.first)
            && ids.last().is_none_or(|&id| id <= stored.last);
        if self.fits(encoder) && self.len() == stored.images && within {
            return Ok(());
        }
        Err(Error::DamagedSegment {
            path: self.path.clone(),
            what: "it is not the one that the index knows".to_owned(),
        })
    }

    /// Returns the rows.
    pub fn rows(&self) -> Rows<'_> {
        Rows {
            ids: self.section(Section::Ids),
            codes: self.section(Section::Codes),
            stride: self.header.stride,
            hashes: self.section(Section::Hashes),
            hash_words: self.header.hash_words,
        }
    }

    /// Says that all codes, or all hashes, are about to be read.
    pub fn will_scan(&self, codes: bool, hashes: bool) {
        if codes {
            self.bytes.will_scan(self.header.range(Section::Codes));
        }
        if hashes {
            self.bytes.will_scan(self.header.range(Section::Hashes));
        }
    }

    /// Returns the number of rows that share a node with a row before them.
    #[cfg(test)]
    pub fn duplicates(&self) -> usize {
        let duplicates: &[u32] = self.section(Section::Duplicates);
        duplicates.iter().filter(|&&next| next != NONE).count()
    }

    fn section<T: AnyBitPattern + NoUninit>(&self, section: Section) -> &[T] {
        // Sections are aligned and of whole elements: `Header::read` saw to it.
        bytemuck::cast_slice(&self.bytes.as_slice()[self.header.range(section)])
    }
}

/// Returns the header of a new segment, without lengths, checksums and numbers of candidates.
fn header(
    content: &Content<'_>,
    points: &Points,
    flat: &Flat,
    fused: Option<&FusedGraph>,
) -> Header {
    let Content { encoder, rows } = content;
    let bytes = points.bytes.as_ref();
    Header {
        format: SEGMENT_FORMAT,
        rows: rows.len(),
        code_len: encoder.code_len,
        stride: rows.stride,
        bits: encoder.bits,
        hash_words: rows.hash_words,
        scale: bytes.map_or(0.0, |bytes| bytes.scale),
        byte_stride: bytes.map_or(0, |bytes| bytes.stride),
        width: flat.width,
        counts: flat.counts.clone(),
        linked_in: fused.map_or(0, |fused| fused.linked_in),
        fused_stride: fused.map_or(0, |fused| fused.stride),
        fused_bit: fused.map_or(0.0, |fused| fused.bit),
        fused_counts: fused.map_or(Vec::new(), |fused| fused.flat.counts.clone()),
        candidates: [0; GRAPHS],
        fingerprint: shortened(&encoder.fingerprint).to_owned(),
        lengths: [0; SECTIONS.len()],
        checksums: [0; SECTIONS.len()],
    }
}

/// Returns as much of a fingerprint as a header has room for.
fn shortened(fingerprint: &str) -> &str {
    &fingerprint[..fingerprint.floor_char_boundary(MAX_FINGERPRINT)]
}

/// Has the name of a new file on disk, too.
pub(crate) fn sync_folder(path: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}
