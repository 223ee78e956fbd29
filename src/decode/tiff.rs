//! The directories of a TIFF file: read piece by piece, because the files are large and the directories small.
//!
//! Owns the structure, in its old form and in that of BigTIFF. What a directory says of a picture is in `tiff/`; camera
//! raw files (`raw.rs`) look for previews.

pub(super) mod bits;
pub(super) mod colours;
pub(super) mod fax;
pub(super) mod jpeg;
pub(super) mod layout;
pub(super) mod picture;
pub(super) mod unpack;

use super::source::Data;

/// Maximum number of directories of a file. Cameras write fewer than ten.
const MAX_DIRECTORIES: usize = 64;

/// Maximum number of values that are read of an entry.
const MAX_VALUES: usize = 64;

/// Reads bytes of a file, as many as are there.
pub(super) fn piece(data: Data<'_>, place: u64, length: usize) -> Vec<u8> {
    match data {
        Data::Memory(bytes) => {
            let rest = usize::try_from(place)
                .ok()
                .and_then(|place| bytes.get(place..));
            let rest = rest.unwrap_or_default();
            rest[..length.min(rest.len())].to_vec()
        }
        Data::Disk(disk) => {
            let left = data.length().saturating_sub(place);
            let length = length.min(usize::try_from(left).unwrap_or(usize::MAX));
            let mut bytes = vec![0; length];
            // The error is kept by the file, which whoever asked for the image looks at.
            let read = disk.read_at(&mut bytes, place).unwrap_or(0);
            bytes.truncate(read);
            bytes
        }
    }
}

/// An entry of a directory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub tag: u16,
    kind: u16,
    pub count: u32,
    /// The value, or where it is if it is longer than that: four bytes, and in a BigTIFF eight.
    value: [u8; 8],
}

impl Entry {
    fn bytes(&self) -> usize {
        match self.kind {
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            5 | 10 | 12 | 16..=18 => 8,
            _ => 1,
        }
    }
}

/// A directory.
#[derive(Debug, Clone)]
pub(super) struct Directory {
    entries: Vec<Entry>,
    /// Whether the file ends within it.
    is_cut: bool,
}

/// A TIFF file, or a part of a file that is built like one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tiff<'a> {
    data: Data<'a>,
    /// Where offsets count from.
    start: u64,
    little: bool,
    /// Whether offsets have eight bytes.
    big: bool,
}

/// The number after the order of bytes in a BigTIFF.
const BIG: u64 = 43;

impl<'a> Tiff<'a> {
    /// Reads the order of bytes at `start`, and returns it with the place of the first directory. The number after
    /// the order only tells BigTIFF: makers write their own.
    pub fn open(data: Data<'a>, start: u64) -> Option<(Self, u64)> {
        let head = piece(data, start, 16);
        let little = match head.get(..2)? {
            b"II" => true,
            b"MM" => false,
            _ => return None,
        };
        let mut tiff = Self {
            data,
            start,
            little,
            big: false,
        };
        tiff.big = tiff.number(head.get(2..4)?) == BIG;
        let first = if tiff.big { 8..16 } else { 4..8 };
        Some((tiff, tiff.number(head.get(first)?)))
    }

    /// Returns the same file with offsets that count from `start`, and in another order of bytes.
    pub fn from(self, start: u64, little: Option<bool>) -> Self {
        Self {
            start,
            little: little.unwrap_or(self.little),
            ..self
        }
    }

    /// Returns where offsets count from.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Returns bytes at an offset.
    pub fn piece(&self, offset: u64, length: usize) -> Vec<u8> {
        piece(self.data, self.start.saturating_add(offset), length)
    }

    /// Returns whether the first byte of a number is its smallest.
    pub fn is_little(&self) -> bool {
        self.little
    }

    /// Returns the length of the file in bytes.
    pub fn length(&self) -> u64 {
        self.data.length()
    }

    fn number(&self, bytes: &[u8]) -> u64 {
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        if self.little {
            bytes.iter().rev().fold(0, add)
        } else {
            bytes.iter().fold(0, add)
        }
    }

    /// Returns the directory at an offset, and the offset of the next.
    pub fn directory(&self, offset: u64) -> Option<(Directory, u64)> {
        let (counter, size, wide) = if self.big { (8, 20, 8) } else { (2, 12, 4) };
        // As many entries as there are tags, at most.
        let count = self.number(&self.piece(offset, counter)).min(0xffff) as usize;
        let bytes = self.piece(offset.saturating_add(counter as u64), count * size + wide);
        let short = |bytes: &[u8]| self.number(bytes) as u16;
        let entries: Vec<Entry> = bytes
            .chunks_exact(size)
            .take(count)
            .map(|entry| {
                let mut value = [0; 8];
                value[..wide].copy_from_slice(&entry[size - wide..]);
                Entry {
                    tag: short(&entry[..2]),
                    kind: short(&entry[2..4]),
                    count: self.number(&entry[4..size - wide]).min(u64::from(u32::MAX)) as u32,
                    value,
                }
            })
            .collect();
        let next = bytes.get(count * size..count * size + wide);
        let is_cut = entries.len() < count;
        (!entries.is_empty()).then(|| {
            let directory = Directory { entries, is_cut };
            (directory, next.map_or(0, |next| self.number(next)))
        })
    }

    /// Returns the directories of the file: those of the chain, and those that they name as their parts.
    pub fn directories(&self, first: u64) -> Vec<Directory> {
        let mut all = Vec::new();
        let mut seen = vec![0];
        let mut waiting = vec![first];
        while let Some(offset) = waiting.pop()
            && seen.len() <= MAX_DIRECTORIES
        {
            if seen.contains(&offset) {
                continue;
            }
            seen.push(offset);
            if let Some((directory, next)) = self.directory(offset) {
                waiting.push(next);
                waiting.extend(self.values(&directory, tag::PARTS).iter().rev());
                all.push(directory);
            }
        }
        all
    }

    /// Returns where the bytes of an entry are, counted from where offsets do.
    pub fn place(&self, entry: &Entry) -> u64 {
        self.number(&entry.value[..self.inline()])
    }

    /// Returns the bytes of a value that are in its entry.
    fn inline(&self) -> usize {
        if self.big { 8 } else { 4 }
    }

    fn content(&self, entry: &Entry, most: usize) -> Vec<u8> {
        let length = entry
            .bytes()
            .saturating_mul((entry.count as usize).min(most));
        if length <= self.inline() {
            return entry.value[..length].to_vec();
        }
        self.piece(self.place(entry), length)
    }

    /// Returns whether the file ends within a directory, or within the content of one of its entries.
    pub fn ends_within(&self, directory: &Directory, tag: u16) -> bool {
        directory.is_cut
            || directory.entry(tag).is_some_and(|entry| {
                let length = entry.bytes() as u64 * u64::from(entry.count);
                length > self.inline() as u64
                    && self
                        .start
                        .saturating_add(self.place(entry))
                        .saturating_add(length)
                        > self.length()
            })
    }

    /// Returns the numbers of an entry: the first of them, if there are many.
    pub fn values(&self, directory: &Directory, tag: u16) -> Vec<u64> {
        self.many(directory, tag, MAX_VALUES)
    }

    /// Returns the numbers of an entry, `most` of them.
    pub fn many(&self, directory: &Directory, tag: u16, most: usize) -> Vec<u64> {
        let Some(entry) = directory.entry(tag) else {
            return Vec::new();
        };
        let bytes = self.content(entry, most);
        let all = bytes.chunks_exact(entry.bytes());
        all.map(|value| self.number(value)).collect()
    }

    /// Returns the first fractions of an entry.
    pub fn fractions(&self, directory: &Directory, tag: u16) -> Vec<f32> {
        let Some(entry) = directory.entry(tag) else {
            return Vec::new();
        };
        let bytes = self.content(entry, MAX_VALUES);
        let halves = bytes.chunks_exact(8).map(|value| {
            let (above, below) = value.split_at(4);
            self.number(above) as f32 / self.number(below).max(1) as f32
        });
        halves.collect()
    }

    /// Returns the bytes of an entry, `most` of them.
    pub fn bytes(&self, directory: &Directory, tag: u16, most: usize) -> Option<Vec<u8>> {
        Some(self.content(directory.entry(tag)?, most))
    }

    /// Returns the first number of an entry.
    pub fn value(&self, directory: &Directory, tag: u16) -> Option<u64> {
        self.values(directory, tag).first().copied()
    }

    /// Returns the beginning of the bytes of an entry.
    pub fn text(&self, directory: &Directory, tag: u16) -> Option<Vec<u8>> {
        let entry = directory.entry(tag)?;
        Some(self.content(entry, MAX_VALUES))
    }
}

impl Directory {
    /// Returns the entry of a tag.
    pub fn entry(&self, tag: u16) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.tag == tag)
    }
}

/// Numbers of entries.
pub(super) mod tag {
    /// Panasonic: a JPEG file.
    pub const PANASONIC_JPEG: u16 = 0x2e;
    pub const WIDTH: u16 = 0x100;
    pub const HEIGHT: u16 = 0x101;
    pub const BITS: u16 = 0x102;
    pub const COMPRESSION: u16 = 0x103;
    /// How numbers become colours (`PhotometricInterpretation`).
    pub const COLOURS: u16 = 0x106;
    /// Which end of a byte comes first (`FillOrder`).
    pub const FILL_ORDER: u16 = 0x10a;
    pub const STRIPS: u16 = 0x111;
    pub const ORIENTATION: u16 = 0x112;
    pub const SAMPLES: u16 = 0x115;
    pub const STRIP_ROWS: u16 = 0x116;
    pub const STRIP_LENGTHS: u16 = 0x117;
    pub const MAX_SAMPLE: u16 = 0x119;
    /// Whether the samples of a pixel are together (`PlanarConfiguration`).
    pub const PLANES: u16 = 0x11c;
    pub const FAX3_OPTIONS: u16 = 0x124;
    /// When a program changed it (`DateTime`).
    pub const CHANGED: u16 = 0x132;
    pub const PREDICTOR: u16 = 0x13d;
    pub const PALETTE: u16 = 0x140;
    pub const TILE_WIDTH: u16 = 0x142;
    pub const TILE_HEIGHT: u16 = 0x143;
    pub const TILES: u16 = 0x144;
    pub const TILE_LENGTHS: u16 = 0x145;
    /// Which inks there are (`InkSet`): 1 is CMYK.
    pub const INKS: u16 = 0x14c;
    pub const EXTRA_SAMPLES: u16 = 0x152;
    pub const SAMPLE_FORMAT: u16 = 0x153;
    pub const JPEG_TABLES: u16 = 0x15b;
    /// Directories of other images (`SubIFDs`).
    pub const PARTS: u16 = 0x14a;
    pub const JPEG: u16 = 0x201;
    pub const JPEG_LENGTH: u16 = 0x202;
    pub const JPEG_Q_TABLES: u16 = 0x207;
    pub const JPEG_DC_TABLES: u16 = 0x208;
    pub const JPEG_AC_TABLES: u16 = 0x209;
    pub const YCC_COEFFICIENTS: u16 = 0x211;
    pub const YCC_SUBSAMPLING: u16 = 0x212;
    /// The values of black and white (`ReferenceBlackWhite`).
    pub const BLACK_WHITE: u16 = 0x214;
    pub const XMP: u16 = 0x2bc;
    pub const IPTC: u16 = 0x83bb;
    pub const PROFILE: u16 = 0x8773;
    pub const EXIF: u16 = 0x8769;
    pub const TAKEN: u16 = 0x9003;
    pub const DIGITISED: u16 = 0x9004;
    pub const MAKER_NOTE: u16 = 0x927c;
    pub const DNG_VERSION: u16 = 0xc612;
}
