//! The layout of a segment's file. `index/FORMAT.md` has it in words.

use std::ops::Range;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use super::{GRAPHS, MAX_ROWS};
use crate::error::{Error, Result};

/// The newest format of a segment, which is what is written. Format 1 has no fused graph.
pub const SEGMENT_FORMAT: u32 = 2;

/// What a segment begins with.
const MAGIC: [u8; 8] = *b"imgseg\r\n";

/// Bytes of the header.
pub(super) const HEADER: usize = 512;

/// Sections begin at multiples of it.
pub(super) const ALIGNMENT: usize = 64;

/// The most upper levels that a header has room for.
pub(super) const MAX_LEVELS: usize = 16;

/// The sections, in the order of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    /// int64 a row, ascending.
    Ids,
    /// float32 × `stride` a row.
    Codes,
    /// uint64 × `hash_words` a row.
    Hashes,
    /// int8 × `byte_stride` a row; empty if bytes are too coarse.
    Bytes,
    /// uint32 a row: the next row of an equal point.
    Duplicates,
    /// uint32 a row, and one more.
    Offsets,
    /// uint32 a link.
    Links,
    /// uint32 a row of the upper levels.
    Uppers,
    /// uint32 × `width` a node of each upper level.
    UpperLinks,
    /// `fused_stride` bytes a row: the code in bytes, then the hash; empty without a fused graph,
    /// as are all sections that follow.
    FusedRows,
    /// uint32 a row: the next row of an equal fused row.
    FusedDuplicates,
    /// As `Offsets`, of the fused graph.
    FusedOffsets,
    /// As `Links`.
    FusedLinks,
    /// As `Uppers`.
    FusedUppers,
    /// As `UpperLinks`.
    FusedUpperLinks,
}

/// All sections, with their names.
pub(crate) const SECTIONS: [(Section, &str); 15] = [
    (Section::Ids, "ids"),
    (Section::Codes, "codes"),
    (Section::Hashes, "hashes"),
    (Section::Bytes, "bytes"),
    (Section::Duplicates, "duplicates"),
    (Section::Offsets, "offsets"),
    (Section::Links, "links"),
    (Section::Uppers, "uppers"),
    (Section::UpperLinks, "upper links"),
    (Section::FusedRows, "fused rows"),
    (Section::FusedDuplicates, "fused duplicates"),
    (Section::FusedOffsets, "fused offsets"),
    (Section::FusedLinks, "fused links"),
    (Section::FusedUppers, "fused uppers"),
    (Section::FusedUpperLinks, "fused upper links"),
];

/// The first sections, which format 1 has as well.
const FIRST_SECTIONS: usize = 9;

/// What the header says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Header {
    /// The format that it was read in.
    pub format: u32,
    pub rows: usize,
    pub code_len: usize,
    pub stride: usize,
    pub bits: usize,
    pub hash_words: usize,
    /// A code's number is its byte times this; 0 if there are no bytes.
    pub scale: f32,
    pub byte_stride: usize,
    pub width: usize,
    /// Nodes of the upper levels, level 1 first.
    pub counts: Vec<u32>,
    /// Nodes that were linked in after building, in both graphs.
    pub linked_in: u32,
    /// Bytes of a fused row; 0 if there is no fused graph.
    pub fused_stride: usize,
    /// What a differing bit adds to the squared distance of two codes in the fused graph.
    pub fused_bit: f32,
    /// Nodes of the upper levels of the fused graph, level 1 first.
    pub fused_counts: Vec<u32>,
    /// Candidates that finding enough takes, by code and by both: 0 if it was not measured.
    pub candidates: [u16; GRAPHS],
    /// BLAKE3-like name of the encoder, as the index has it.
    pub fingerprint: String,
    /// Length of each section in bytes, without what fills it up.
    pub lengths: [usize; SECTIONS.len()],
    /// XXH3 of each section, with what fills it up.
    pub checksums: [u64; SECTIONS.len()],
}

/// The longest fingerprint that a header has room for.
pub(crate) const MAX_FINGERPRINT: usize = 64;

struct Put<'a>(&'a mut [u8], usize);

impl Put<'_> {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0[self.1..self.1 + bytes.len()].copy_from_slice(bytes);
        self.1 += bytes.len();
    }

    fn u32(&mut self, number: usize) {
        // Every number that is written is of a segment of at most a million rows.
        self.bytes(&(number as u32).to_le_bytes());
    }

    fn u64(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }
}

struct Take<'a>(&'a [u8], usize);

impl Take<'_> {
    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.0[self.1..self.1 + N]);
        self.1 += N;
        bytes
    }

    fn u32(&mut self) -> usize {
        u32::from_le_bytes(self.bytes()) as usize
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }
}

impl Header {
    /// Returns where a section lies, without its padding.
    pub fn range(&self, section: Section) -> Range<usize> {
        let place = section as usize;
        let before: usize = self.lengths[..place]
            .iter()
            .map(|length| length.next_multiple_of(ALIGNMENT))
            .sum();
        let start = HEADER + before;
        start..start + self.lengths[place]
    }

    /// Returns where a section lies, with its padding.
    pub fn whole(&self, section: Section) -> Range<usize> {
        let range = self.range(section);
        range.start..range.end.next_multiple_of(ALIGNMENT)
    }

    /// Returns bytes of the file.
    pub fn file_length(&self) -> usize {
        self.whole(Section::FusedUpperLinks).end
    }

    /// Writes the header, with its own checksum at its end.
    pub fn write(&self, out: &mut [u8]) {
        out[..HEADER].fill(0);
        let mut put = Put(out, 0);
        put.bytes(&MAGIC);
        put.u32(SEGMENT_FORMAT as usize);
        put.u32(self.rows);
        put.u32(self.code_len);
        put.u32(self.stride);
        put.u32(self.bits);
        put.u32(self.hash_words);
        put.bytes(&self.scale.to_le_bytes());
        put.u32(self.byte_stride);
        put.u32(self.width);
        put.u32(self.linked_in as usize);
        put.u32(self.counts.len());
        put.u32(self.fingerprint.len());
        for level in 0..MAX_LEVELS {
            put.u32(self.counts.get(level).copied().unwrap_or(0) as usize);
        }
        let mut fingerprint = [0; MAX_FINGERPRINT];
        fingerprint[..self.fingerprint.len()].copy_from_slice(self.fingerprint.as_bytes());
        put.bytes(&fingerprint);
        let table: Vec<_> = self.lengths.iter().zip(&self.checksums).collect();
        let (first, rest) = table.split_at(FIRST_SECTIONS);
        for (length, checksum) in first {
            put.u64(**length as u64);
            put.u64(**checksum);
        }
        put.u32(self.fused_stride);
        put.bytes(&self.fused_bit.to_le_bytes());
        put.u32(self.fused_counts.len());
        for level in 0..MAX_LEVELS {
            put.u32(self.fused_counts.get(level).copied().unwrap_or(0) as usize);
        }
        for (length, checksum) in rest {
            put.u64(**length as u64);
            put.u64(**checksum);
        }
        for candidates in self.candidates {
            put.bytes(&candidates.to_le_bytes());
        }
        let end = HEADER - 8;
        let own = xxh3_64(&out[..end]);
        out[end..HEADER].copy_from_slice(&own.to_le_bytes());
    }

    /// Reads and checks a header against a file of `bytes`.
    ///
    /// # Errors
    ///
    /// [`Error::DamagedSegment`], [`Error::NewerSegment`].
    pub fn read(bytes: &[u8], path: &Path) -> Result<Self> {
        let damaged = |what| damaged(path, what);
        let (format, mut take) = begin(bytes, path)?;
        let (rows, code_len, stride) = (take.u32(), take.u32(), take.u32());
        let (bits, hash_words) = (take.u32(), take.u32());
        let scale = f32::from_le_bytes(take.bytes());
        let (byte_stride, width, linked_in) = (take.u32(), take.u32(), take.u32() as u32);
        let (levels, fingerprint_length) = (take.u32(), take.u32());
        let counts: Vec<u32> = (0..MAX_LEVELS).map(|_| take.u32() as u32).collect();
        let fingerprint: [u8; MAX_FINGERPRINT] = take.bytes();
        let mut lengths = [0; SECTIONS.len()];
        // What a format before does not have is empty.
        let mut checksums = [checksum(&[]); SECTIONS.len()];
        let mut table = |take: &mut Take<'_>, places: Range<usize>| {
            for place in places {
                lengths[place] = usize::try_from(take.u64()).unwrap_or(usize::MAX);
                checksums[place] = take.u64();
            }
        };
        table(&mut take, 0..FIRST_SECTIONS);
        let (mut fused_stride, mut fused_bit, mut fused_levels) = (0, 0.0, 0);
        let mut fused_counts = Vec::new();
        let mut candidates = [0; GRAPHS];
        if format > 1 {
            fused_stride = take.u32();
            fused_bit = f32::from_le_bytes(take.bytes());
            fused_levels = take.u32();
            fused_counts = (0..MAX_LEVELS).map(|_| take.u32() as u32).collect();
            fused_counts.truncate(fused_levels);
            table(&mut take, FIRST_SECTIONS..SECTIONS.len());
            candidates = [(); GRAPHS].map(|()| u16::from_le_bytes(take.bytes()));
        }
        let fingerprint = fingerprint
            .get(..fingerprint_length)
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .ok_or_else(|| damaged("its header makes no sense"))?;
        let header = Self {
            format,
            rows,
            code_len,
            stride,
            bits,
            hash_words,
            scale,
            byte_stride,
            width,
            counts: counts.into_iter().take(levels).collect(),
            linked_in,
            fused_stride,
            fused_bit,
            fused_counts,
            candidates,
            fingerprint: fingerprint.to_owned(),
            lengths,
            checksums,
        };
        // The header is as it was written; what was written must be what this version expects.
        if !header.is_possible(levels.max(fused_levels), bytes.len()) {
            return Err(damaged("its header makes no sense"));
        }
        if header.file_length() != bytes.len() {
            return Err(damaged("its length is not what its header says"));
        }
        Ok(header)
    }

    /// Returns whether its numbers go together, and what they promise lies within a file of `length`:
    /// all that a search takes for granted.
    fn is_possible(&self, levels: usize, length: usize) -> bool {
        let links = [Section::Links, Section::FusedLinks].map(|links| self.lengths[links as usize]);
        // A level is a part of the one below it, and the lowest of them of the rows.
        let nested = |counts: &[u32]| {
            counts.is_sorted_by(|below, above| below >= above)
                && counts.iter().all(|&count| count > 0)
                && counts
                    .first()
                    .is_none_or(|&count| count as usize <= self.rows)
        };
        // A fused row holds a code in bytes and a hash.
        let fused = self.fused_stride == 0
            || (self.byte_stride > 0
                && self.fused_stride.is_multiple_of(8)
                && self.fused_stride >= self.byte_stride + self.hash_words * 8);
        levels <= MAX_LEVELS
            && self.rows <= MAX_ROWS
            && nested(&self.counts)
            && nested(&self.fused_counts)
            && fused
            && links.iter().all(|links| links.is_multiple_of(4))
            && self.lengths.iter().all(|&own| own <= length)
            && self.expected_lengths(links) == Some(self.lengths)
    }

    /// Returns the lengths that follow from the numbers, given those of the links of both graphs.
    pub fn expected_lengths(&self, links: [usize; 2]) -> Option<[usize; SECTIONS.len()]> {
        let rows = self.rows;
        let uppers = |counts: &[u32]| match counts.first() {
            Some(&first) => first as usize,
            None => rows.min(1),
        };
        let times = |a: usize, b: usize| a.checked_mul(b);
        let upper_links = |counts: &[u32]| {
            let nodes: usize = counts.iter().map(|&count| count as usize).sum();
            times(times(nodes, self.width)?, 4)
        };
        let fused = |bytes: usize| if self.fused_stride == 0 { 0 } else { bytes };
        Some([
            times(rows, 8)?,
            times(times(rows, self.stride)?, 4)?,
            times(times(rows, self.hash_words)?, 8)?,
            times(rows, self.byte_stride)?,
            times(rows, 4)?,
            times(rows + 1, 4)?,
            links[0],
            times(uppers(&self.counts), 4)?,
            upper_links(&self.counts)?,
            times(rows, self.fused_stride)?,
            fused(times(rows, 4)?),
            fused(times(rows + 1, 4)?),
            fused(links[1]),
            fused(times(uppers(&self.fused_counts), 4)?),
            fused(upper_links(&self.fused_counts)?),
        ])
    }
}

/// Where the header's table of the first sections begins: a length and a checksum each.
#[cfg(any(test, feature = "fuzzing"))]
const TABLE: usize = 184;

/// Where the table of the sections that follow begins.
#[cfg(any(test, feature = "fuzzing"))]
const FUSED_TABLE: usize = TABLE + 16 * FIRST_SECTIONS + 12 + 4 * MAX_LEVELS;

/// Makes a file's checksums right whatever it holds: the header's, and those of the sections that
/// lie in the file if `sections` says so. What is damaged is then found by what it says.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn seal(bytes: &mut [u8], sections: bool) {
    if bytes.len() < HEADER {
        return;
    }
    let mut start = HEADER as u64;
    let first = (0..FIRST_SECTIONS).map(|i| TABLE + 16 * i);
    let rest = (0..SECTIONS.len() - FIRST_SECTIONS).map(|i| FUSED_TABLE + 16 * i);
    for place in first.chain(rest) {
        let length = Take(bytes, place).u64();
        let end = start.saturating_add(length.checked_next_multiple_of(64).unwrap_or(u64::MAX));
        let within = usize::try_from(start).ok().zip(usize::try_from(end).ok());
        if sections && let Some(section) = within.and_then(|(start, end)| bytes.get(start..end)) {
            let own = checksum(section);
            bytes[place + 8..place + 16].copy_from_slice(&own.to_le_bytes());
        }
        start = end;
    }
    let end = HEADER - 8;
    let own = xxh3_64(&bytes[..end]);
    bytes[end..HEADER].copy_from_slice(&own.to_le_bytes());
}

/// Checks magic, checksum and format of a header. Returns the format and what follows it.
fn begin<'a>(bytes: &'a [u8], path: &Path) -> Result<(u32, Take<'a>)> {
    if bytes.len() < HEADER {
        return Err(damaged(path, "it is shorter than its header"));
    }
    let mut take = Take(bytes, 0);
    if take.bytes() != MAGIC {
        return Err(damaged(path, "it does not begin as a segment does"));
    }
    let end = HEADER - 8;
    let own = Take(bytes, end).u64();
    let sound = xxh3_64(&bytes[..end]) == own;
    let format = take.u32() as u32;
    if format > SEGMENT_FORMAT && sound {
        return Err(Error::NewerSegment {
            path: path.to_owned(),
            found: format,
            known: SEGMENT_FORMAT,
        });
    }
    if !sound || !(1..=SEGMENT_FORMAT).contains(&format) {
        return Err(damaged(path, "its header does not match its checksum"));
    }
    Ok((format, take))
}

fn damaged(path: &Path, what: &str) -> Error {
    Error::DamagedSegment {
        path: path.to_owned(),
        what: what.to_owned(),
    }
}

/// Returns the checksum of a section.
pub(super) fn checksum(bytes: &[u8]) -> u64 {
    xxh3_64(bytes)
}
