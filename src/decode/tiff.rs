//! The directories of a TIFF file, as far as camera raw files need them: read piece by piece, because the files are
//! large and the directories small.

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
    /// The value, or where it is if it is longer than four bytes.
    value: [u8; 4],
}

impl Entry {
    fn bytes(&self) -> usize {
        match self.kind {
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            5 | 10 | 12 => 8,
            _ => 1,
        }
    }
}

/// A directory.
#[derive(Debug, Clone)]
pub(super) struct Directory(Vec<Entry>);

/// A TIFF file, or a part of a file that is built like one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tiff<'a> {
    data: Data<'a>,
    /// Where offsets count from.
    start: u64,
    little: bool,
}

impl<'a> Tiff<'a> {
    /// Reads the order of bytes at `start`, and returns it with the place of the first directory. The number after
    /// the order is not looked at: makers write their own.
    pub fn open(data: Data<'a>, start: u64) -> Option<(Self, u64)> {
        let head = piece(data, start, 8);
        let little = match head.get(..2)? {
            b"II" => true,
            b"MM" => false,
            _ => return None,
        };
        let tiff = Self {
            data,
            start,
            little,
        };
        Some((tiff, tiff.number(head.get(4..8)?)))
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
        let count = self.number(&self.piece(offset, 2)) as usize;
        let bytes = self.piece(offset.saturating_add(2), count * 12 + 4);
        let short = |bytes: &[u8]| self.number(bytes) as u16;
        let entries: Vec<Entry> = bytes
            .chunks_exact(12)
            .take(count)
            .map(|entry| Entry {
                tag: short(&entry[..2]),
                kind: short(&entry[2..4]),
                count: self.number(&entry[4..8]) as u32,
                value: [entry[8], entry[9], entry[10], entry[11]],
            })
            .collect();
        let next = bytes.get(count * 12..count * 12 + 4);
        (!entries.is_empty())
            .then(|| (Directory(entries), next.map_or(0, |next| self.number(next))))
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
        self.number(&entry.value)
    }

    fn content(&self, entry: &Entry, most: usize) -> Vec<u8> {
        let length = entry
            .bytes()
            .saturating_mul((entry.count as usize).min(most));
        if length <= 4 {
            return entry.value[..length].to_vec();
        }
        self.piece(self.place(entry), length)
    }

    /// Returns the numbers of an entry: the first of them, if there are many.
    pub fn values(&self, directory: &Directory, tag: u16) -> Vec<u64> {
        let Some(entry) = directory.entry(tag) else {
            return Vec::new();
        };
        let bytes = self.content(entry, MAX_VALUES);
        let all = bytes.chunks_exact(entry.bytes());
        all.map(|value| self.number(value)).collect()
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
        self.0.iter().find(|entry| entry.tag == tag)
    }
}

/// Numbers of entries.
pub(super) mod tag {
    /// Panasonic: a JPEG file.
    pub const PANASONIC_JPEG: u16 = 0x2e;
    pub const COMPRESSION: u16 = 0x103;
    /// How numbers become colours (`PhotometricInterpretation`).
    pub const COLOURS: u16 = 0x106;
    pub const STRIPS: u16 = 0x111;
    pub const ORIENTATION: u16 = 0x112;
    pub const STRIP_LENGTHS: u16 = 0x117;
    /// Directories of other images (`SubIFDs`).
    pub const PARTS: u16 = 0x14a;
    pub const JPEG: u16 = 0x201;
    pub const JPEG_LENGTH: u16 = 0x202;
    pub const EXIF: u16 = 0x8769;
    pub const TAKEN: u16 = 0x9003;
    pub const MAKER_NOTE: u16 = 0x927c;
    pub const DNG_VERSION: u16 = 0xc612;
}
