//! Segments: immutable files of codes, hashes and a graph over them, mapped into memory.
//!
//! Derived from the database and never more than a copy of it: whoever finds one missing or
//! damaged reads the same rows from there.

mod format;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use bytemuck::{AnyBitPattern, NoUninit};

use crate::distance::LANES;
use crate::error::{Error, Result};
use crate::graph::space::{Bytes as ByteSpace, Floats, quantise};
use crate::graph::{self, Flat, FlatView, GraphOptions, InBytes, NONE, Points, Scratch};
use crate::mapped::Bytes;
use crate::mark::Mark;
use crate::reader::StoredSegment;
use crate::rows::Rows;
use crate::types::EncoderRecord;
use format::{Header, MOST_FINGERPRINT, MOST_LEVELS, SECTIONS, Section, checksum};

pub use format::SEGMENT_FORMAT;
pub(crate) use format::seal;

/// The most rows of a segment. Building one takes about 600 bytes a row beside the file, so less
/// than a gigabyte.
pub const MOST_ROWS: usize = 1_000_000;

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
    /// Makes a segment in memory. `done` counts its rows up as they are linked.
    ///
    /// # Errors
    ///
    /// [`Error::BadInput`] where the options are out of range or there are more rows than a
    /// segment takes.
    pub fn build(
        content: &Content<'_>,
        options: &GraphOptions,
        done: &AtomicUsize,
    ) -> Result<Self> {
        options.check()?;
        let Content { encoder, rows } = content;
        let n = rows.len();
        if n > MOST_ROWS {
            return Err(Error::BadInput(format!(
                "{n} rows are more than the {MOST_ROWS} of a segment"
            )));
        }
        let points = Points::of(rows.codes, rows.stride);
        let (flat, linked_in) = linked(&points, rows, options, done);
        done.fetch_add(n - points.nodes.len(), Ordering::Relaxed);
        let mut header = Header {
            rows: n,
            code_len: encoder.code_len,
            stride: rows.stride,
            bits: encoder.bits,
            hash_words: rows.hash_words,
            scale: points.bytes.as_ref().map_or(0.0, |bytes| bytes.scale),
            byte_stride: points.bytes.as_ref().map_or(0, |bytes| bytes.stride),
            width: flat.width,
            counts: flat.counts.clone(),
            linked_in,
            fingerprint: shortened(&encoder.fingerprint).to_owned(),
            lengths: [0; SECTIONS.len()],
            checksums: [0; SECTIONS.len()],
        };
        if header.counts.len() > MOST_LEVELS {
            return Err(Error::BadInput(format!(
                "a graph of {} upper levels is more than the {MOST_LEVELS} of a segment",
                header.counts.len()
            )));
        }
        let in_bytes = points.bytes.as_ref().map_or(&[][..], |bytes| &bytes.rows);
        let parts: [&[u8]; SECTIONS.len()] = [
            bytemuck::cast_slice(rows.ids),
            bytemuck::cast_slice(rows.codes),
            bytemuck::cast_slice(rows.hashes),
            bytemuck::cast_slice(in_bytes),
            bytemuck::cast_slice(&points.twins),
            bytemuck::cast_slice(&flat.offsets),
            bytemuck::cast_slice(&flat.links),
            bytemuck::cast_slice(&flat.uppers),
            bytemuck::cast_slice(&flat.upper_links),
        ];
        header.lengths = parts.map(<[u8]>::len);
        let mut bytes = Bytes::zeroed(header.file_length());
        let out = bytes.as_mut_slice();
        for ((section, _), part) in SECTIONS.iter().zip(parts) {
            out[header.range(*section)].copy_from_slice(part);
            header.checksums[*section as usize] = checksum(&out[header.whole(*section)]);
        }
        header.write(out);
        Ok(Self {
            path: PathBuf::new(),
            bytes,
            header,
            mark: Mark::default(),
            trusted: false,
            verdict: OnceLock::from(None),
        })
    }

    /// The name under which a file is written.
    pub fn aside(path: &Path) -> PathBuf {
        path.with_extension("new")
    }

    /// Writes the segment to `path`: aside, synced, renamed. How the file is then.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]; nothing is left then.
    pub fn write(&self, path: &Path) -> Result<Mark> {
        let aside = Self::aside(path);
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
            // What could not be written whole is of no use; the first error is the one to tell.
            if let Err(error) = std::fs::remove_file(&aside) {
                tracing::debug!(%error, "an unfinished segment could not be removed");
            }
            Error::io("write", path, source)
        })
    }

    /// Opens a segment. Where its file is not as it was when it was `verified`, a small one is
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

    /// A segment of whose bytes the header alone was looked at, as a large one's are at first.
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

    /// How its file was when it was opened.
    pub fn mark(&self) -> Mark {
        self.mark
    }

    /// Whether its file is as it was when it was last found to be sound.
    pub fn is_trusted(&self) -> bool {
        self.trusted
    }

    /// Checks the whole segment in a thread of its own, unless it is trusted; what it finds is then
    /// told by [`Segment::damage`].
    pub fn verify_meanwhile(self: &Arc<Self>) {
        if self.trusted || self.verdict.get().is_some() {
            return;
        }
        let segment = Arc::clone(self);
        let spawned = std::thread::Builder::new()
            .name("imgsearch-verify".to_owned())
            .spawn(move || {
                segment.look();
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
        match self.look() {
            None => Ok(()),
            Some(what) => Err(Error::DamagedSegment {
                path: self.path.clone(),
                what: what.clone(),
            }),
        }
    }

    fn look(&self) -> Option<&String> {
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

    /// What is known to be wrong with it.
    pub fn damage(&self) -> Option<&str> {
        self.verdict.get()?.as_deref()
    }

    /// The file's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.header.rows
    }

    /// Nodes of the graph that were linked in after building.
    pub fn linked_in(&self) -> u32 {
        self.header.linked_in
    }

    /// Whether it holds rows of this encoder in the shape that this version gives them.
    pub fn fits(&self, encoder: &EncoderRecord) -> bool {
        let header = &self.header;
        shortened(&encoder.fingerprint) == header.fingerprint
            && (header.code_len, header.bits) == (encoder.code_len, encoder.bits)
            && header.stride == encoder.code_len.next_multiple_of(LANES)
            && header.hash_words == encoder.bits.div_ceil(64)
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

    /// The rows.
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

    /// The rows that a search of the graph with `ef` nodes in view meets nearest to `code`, which
    /// is padded: those of a node together.
    pub fn candidates(&self, code: &[f32], ef: usize, desk: &mut GraphDesk, out: &mut Vec<u32>) {
        out.clear();
        if self.len() == 0 {
            return;
        }
        let ef = ef.clamp(1, self.len());
        let graph = self.graph();
        if self.header.byte_stride > 0 {
            desk.bytes.clear();
            quantise(code, self.header.scale, &mut desk.bytes);
            let space = ByteSpace {
                rows: self.section(Section::Bytes),
                stride: self.header.byte_stride,
            };
            graph.search(&space, &desk.bytes, ef, &mut desk.scratch);
        } else {
            let space = Floats {
                rows: self.section(Section::Codes),
                stride: self.header.stride,
            };
            graph.search(&space, code, ef, &mut desk.scratch);
        }
        let twins: &[u32] = self.section(Section::Twins);
        for (node, _) in desk.scratch.found() {
            let mut row = node;
            // Twins stand in ascending order and each is one node's, so this ends whatever the file
            // holds, and soon.
            while out.len() < twins.len() {
                out.push(row);
                let next = twins[row as usize];
                if next == NONE || next <= row || next as usize >= twins.len() {
                    break;
                }
                row = next;
            }
        }
    }

    /// Rows that share a node with a row before them.
    #[cfg(test)]
    pub fn twins(&self) -> usize {
        let twins: &[u32] = self.section(Section::Twins);
        twins.iter().filter(|&&next| next != NONE).count()
    }

    fn graph(&self) -> FlatView<'_> {
        FlatView {
            offsets: self.section(Section::Offsets),
            links: self.section(Section::Links),
            uppers: self.section(Section::Uppers),
            counts: &self.header.counts,
            width: self.header.width,
            upper_links: self.section(Section::UpperLinks),
        }
    }

    fn section<T: AnyBitPattern + NoUninit>(&self, section: Section) -> &[T] {
        // Sections are aligned and of whole elements: `Header::read` saw to it.
        bytemuck::cast_slice(&self.bytes.as_slice()[self.header.range(section)])
    }
}

/// What a search of a graph needs, to be used again.
#[derive(Debug, Default)]
pub(crate) struct GraphDesk {
    scratch: Scratch,
    bytes: Vec<i8>,
}

impl GraphDesk {
    /// How many distances the last search computed.
    pub fn visited(&self) -> usize {
        self.scratch.visited()
    }
}

/// The graph of the points, and how many of them had to be linked in.
fn linked(
    points: &Points,
    rows: &Rows<'_>,
    options: &GraphOptions,
    done: &AtomicUsize,
) -> (Flat, u32) {
    let n = rows.len();
    if n == 0 {
        let none = Flat {
            offsets: vec![0],
            links: Vec::new(),
            uppers: Vec::new(),
            counts: Vec::new(),
            width: options.width,
            upper_links: Vec::new(),
        };
        return (none, 0);
    }
    let built = match &points.bytes {
        Some(InBytes {
            rows: bytes,
            stride,
            ..
        }) => {
            let distinct = gathered(bytes, *stride, &points.nodes);
            let space = ByteSpace {
                rows: &distinct,
                stride: *stride,
            };
            graph::link(&space, options, done)
        }
        None => {
            let distinct = gathered(rows.codes, rows.stride, &points.nodes);
            let space = Floats {
                rows: &distinct,
                stride: rows.stride,
            };
            graph::link(&space, options, done)
        }
    };
    (
        Flat::new(&built, &points.nodes, n),
        u32::try_from(built.linked_in).unwrap_or(u32::MAX),
    )
}

fn gathered<T: Copy>(rows: &[T], stride: usize, which: &[u32]) -> Vec<T> {
    let mut out = Vec::with_capacity(which.len() * stride);
    for &row in which {
        let start = row as usize * stride;
        out.extend_from_slice(&rows[start..start + stride]);
    }
    out
}

/// As much of a fingerprint as a header has room for.
fn shortened(fingerprint: &str) -> &str {
    &fingerprint[..fingerprint.floor_char_boundary(MOST_FINGERPRINT)]
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
