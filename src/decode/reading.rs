//! The bytes of an image as a stream, for decoders that read in order or seek.

use std::cell::RefCell;
use std::io::{self, BufRead, Read, Seek, SeekFrom};
use std::rc::Rc;

use super::source::{Data, OnDisk};

/// Bytes of a file on disk that are read at once.
const BLOCK: usize = 64 << 10;

/// Bytes that may still be read, shared with whoever handed the stream to a decoder. So a decoder that collects
/// headers does not load endless ones into memory.
#[derive(Debug, Clone, Default)]
pub(super) struct Allowed(Rc<RefCell<Allowance>>);

#[derive(Debug, Default)]
struct Allowance {
    /// `None`: no limit.
    left: Option<u64>,
    exceeded: bool,
}

impl Allowed {
    /// Allows this number of bytes.
    pub fn up_to(bytes: u64) -> Self {
        let allowed = Self::default();
        allowed.0.borrow_mut().left = Some(bytes);
        allowed
    }

    /// Removes the limit.
    pub fn lift(&self) {
        self.0.borrow_mut().left = None;
    }

    /// Returns whether more bytes were requested than allowed.
    pub fn was_exceeded(&self) -> bool {
        self.0.borrow().exceeded
    }

    /// Returns how many of `wanted` bytes may be read.
    fn grant(&self, wanted: usize) -> io::Result<usize> {
        let mut allowance = self.0.borrow_mut();
        match allowance.left {
            Some(0) if wanted > 0 => {
                allowance.exceeded = true;
                Err(io::Error::other("more bytes are read than allowed"))
            }
            Some(left) => Ok(usize::try_from(left).unwrap_or(usize::MAX).min(wanted)),
            None => Ok(wanted),
        }
    }

    fn spend(&self, read: usize) {
        if let Some(left) = &mut self.0.borrow_mut().left {
            *left = left.saturating_sub(read as u64);
        }
    }
}

/// What a stream gives after its end, for decoders that show nothing of a file that is cut.
#[derive(Debug, Clone)]
pub(super) struct Padding {
    block: Rc<Vec<u8>>,
    /// Where the padding ends, too.
    end: u64,
    /// How far beyond the file was read.
    given: Rc<RefCell<u64>>,
}

impl Padding {
    /// Pads with one byte, up to a length of the whole.
    pub fn with(byte: u8, end: u64) -> Self {
        Self {
            block: Rc::new(vec![byte; PADDING]),
            end,
            given: Rc::default(),
        }
    }

    /// Returns how many bytes beyond the file were read.
    pub fn given(&self) -> u64 {
        *self.given.borrow()
    }
}

/// Bytes of padding at once.
const PADDING: usize = 4 << 10;

/// Which bytes count as read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counting {
    /// All bytes that are read or skipped.
    All,
    /// Not the bytes that are skipped (`fill_buf` and `consume`).
    Copied,
}

/// The bytes of an image as a stream.
pub(super) struct Reading<'a> {
    from: From<'a>,
    allowed: Allowed,
    counting: Counting,
    length: u64,
    padding: Option<Padding>,
}

enum From<'a> {
    Memory(io::Cursor<&'a [u8]>),
    Disk(Window<'a>),
}

impl<'a> Reading<'a> {
    /// Creates a stream from the start of `data`, which gives no more than `allowed`.
    pub fn new(data: Data<'a>, allowed: Allowed, counting: Counting) -> Self {
        Self {
            from: match data {
                Data::Memory(bytes) => From::Memory(io::Cursor::new(bytes)),
                Data::Disk(disk) => From::Disk(Window {
                    disk,
                    block: Vec::new(),
                    start: 0,
                    place: 0,
                }),
            },
            allowed,
            counting,
            length: data.length(),
            padding: None,
        }
    }

    /// Lets padding follow the end.
    pub fn padded(self, padding: Option<Padding>) -> Self {
        Self { padding, ..self }
    }

    fn place(&self) -> u64 {
        match &self.from {
            From::Memory(cursor) => cursor.position(),
            From::Disk(window) => window.place,
        }
    }

    fn skip(&mut self, bytes: u64) {
        match &mut self.from {
            From::Memory(cursor) => cursor.set_position(cursor.position().saturating_add(bytes)),
            From::Disk(window) => window.place = window.place.saturating_add(bytes),
        }
    }

    /// Returns how many bytes of padding are next.
    fn padding_ahead(&self) -> usize {
        let place = self.place();
        match &self.padding {
            Some(padding) if place >= self.length => {
                let left = padding.end.saturating_sub(place);
                usize::try_from(left).unwrap_or(usize::MAX).min(PADDING)
            }
            _ => 0,
        }
    }

    fn note_padding(&self) {
        if let Some(padding) = &self.padding {
            let beyond = self.place().saturating_sub(self.length);
            let mut given = padding.given.borrow_mut();
            *given = beyond.max(*given);
        }
    }
}

impl Read for Reading<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let granted = self.allowed.grant(into.len())?;
        let ahead = self.padding_ahead().min(granted);
        if ahead > 0
            && let Some(padding) = &self.padding
        {
            into[..ahead].copy_from_slice(&padding.block[..ahead]);
            self.skip(ahead as u64);
            self.note_padding();
            return Ok(ahead);
        }
        let read = match &mut self.from {
            From::Memory(cursor) => cursor.read(&mut into[..granted]),
            From::Disk(window) => window.read(&mut into[..granted]),
        }?;
        self.allowed.spend(read);
        Ok(read)
    }
}

impl BufRead for Reading<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let ahead = self.padding_ahead();
        if ahead > 0
            && let Some(padding) = &self.padding
        {
            return Ok(&padding.block[..ahead]);
        }
        let filled = match &mut self.from {
            From::Memory(cursor) => cursor.fill_buf(),
            From::Disk(window) => window.fill_buf(),
        }?;
        let granted = match self.counting {
            Counting::All => self.allowed.grant(filled.len())?,
            Counting::Copied => filled.len(),
        };
        Ok(&filled[..granted])
    }

    fn consume(&mut self, bytes: usize) {
        if self.counting == Counting::All {
            self.allowed.spend(bytes);
        }
        self.skip(bytes as u64);
        self.note_padding();
    }
}

impl Seek for Reading<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match &mut self.from {
            From::Memory(cursor) => cursor.seek(to),
            From::Disk(window) => window.seek(to),
        }
    }
}

/// A block of a file on disk, and the current position.
struct Window<'a> {
    disk: &'a OnDisk,
    block: Vec<u8>,
    /// Where the block starts in the file.
    start: u64,
    place: u64,
}

impl Window<'_> {
    /// Returns the part of the block after the position.
    fn at_hand(&self) -> &[u8] {
        let inside = self.place.checked_sub(self.start);
        let inside = inside.and_then(|inside| usize::try_from(inside).ok());
        inside
            .and_then(|inside| self.block.get(inside..))
            .unwrap_or_default()
    }

    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at_hand().is_empty() {
            self.block.resize(BLOCK, 0);
            self.start = self.place;
            let read = self.disk.read_at(&mut self.block, self.place);
            self.block.truncate(*read.as_ref().unwrap_or(&0));
            read?;
        }
        Ok(self.at_hand())
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        // Large reads need not go through the block.
        let read = if into.len() >= BLOCK && self.at_hand().is_empty() {
            self.disk.read_at(into, self.place)?
        } else {
            let filled = self.fill_buf()?;
            let count = filled.len().min(into.len());
            into[..count].copy_from_slice(&filled[..count]);
            count
        };
        self.place += read as u64;
        Ok(read)
    }

    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::End(offset) => Data::Disk(self.disk).length().checked_add_signed(offset),
            SeekFrom::Current(offset) => self.place.checked_add_signed(offset),
        };
        self.place = place.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.place)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Limits;
    use super::super::source::{MAX_IN_MEMORY, Source};
    use super::*;

    /// Creates a file with a known pattern that stays on disk.
    fn pattern(dir: &std::path::Path) -> (Source, Vec<u8>) {
        let bytes: Vec<u8> = (0..MAX_IN_MEMORY as usize + 4321)
            .map(|i| (i * 7 % 253) as u8)
            .collect();
        let path = dir.join("file");
        std::fs::write(&path, &bytes).unwrap();
        (Source::open(&path, &Limits::default()).unwrap(), bytes)
    }

    #[test]
    fn a_file_on_disk_reads_as_its_bytes_do() {
        let dir = tempfile::tempdir().unwrap();
        let (source, bytes) = pattern(dir.path());
        let unbounded = || Allowed::default();
        let mut disk = Reading::new(source.data(), unbounded(), Counting::All);
        let mut memory = Reading::new(Data::Memory(&bytes), unbounded(), Counting::All);
        let mut random = 1u64;
        for _ in 0..3000 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let number = (random >> 33) as usize;
            let to = match number % 5 {
                0 => SeekFrom::Start(number as u64 % (bytes.len() as u64 + 9)),
                1 => SeekFrom::End(-((number % 100_000) as i64)),
                2 => SeekFrom::Current(number as i64 % 1000 - 500),
                _ => SeekFrom::Current(0),
            };
            let (a, b) = (disk.seek(to), memory.seek(to));
            assert_eq!(a.is_ok(), b.is_ok(), "{to:?}");
            let mut piece = vec![0; [3, 1000, BLOCK - 1, BLOCK + 1, 200_000][number % 7 % 5]];
            let want = piece.len();
            let mut other = piece.clone();
            let filled = |reading: &mut Reading<'_>, into: &mut Vec<u8>| {
                into.clear();
                reading.take(want as u64).read_to_end(into).unwrap();
            };
            filled(&mut disk, &mut piece);
            filled(&mut memory, &mut other);
            assert!(piece == other, "{want} bytes behind {b:?}");
            let next = disk.fill_buf().unwrap();
            assert_eq!(next.first(), memory.fill_buf().unwrap().first());
            let some = next.len().min(5);
            disk.consume(some);
            memory.consume(some);
        }
    }

    #[test]
    fn padding_follows_the_end_and_is_counted() {
        let padding = Padding::with(7, 6);
        let reading = || Reading::new(Data::Memory(b"abc"), Allowed::default(), Counting::All);
        let mut got = Vec::new();
        let mut stream = reading().padded(Some(padding.clone()));
        stream.read_to_end(&mut got).unwrap();
        assert_eq!(got, b"abc\x07\x07\x07");
        assert_eq!(padding.given(), 3);
        let padding = Padding::with(0, 9);
        let mut stream = reading().padded(Some(padding.clone()));
        stream.seek(SeekFrom::Start(2)).unwrap();
        assert_eq!(stream.fill_buf().unwrap(), b"c");
        stream.consume(1);
        assert_eq!(stream.fill_buf().unwrap(), [0; 6]);
        stream.consume(2);
        assert_eq!(padding.given(), 2);
    }

    #[test]
    fn no_more_is_read_than_is_allowed() {
        let dir = tempfile::tempdir().unwrap();
        let (source, bytes) = pattern(dir.path());
        for data in [source.data(), Data::Memory(&bytes)] {
            let allowed = Allowed::up_to(100_000);
            let mut reading = Reading::new(data, allowed.clone(), Counting::All);
            let mut got = Vec::new();
            assert!(reading.read_to_end(&mut got).is_err());
            assert_eq!(got.len(), 100_000);
            assert!(allowed.was_exceeded());
            allowed.lift();
            reading.read_to_end(&mut got).unwrap();
            assert!(got == bytes);
            // Skipped bytes count, or do not.
            let skip = |counting| {
                let allowed = Allowed::up_to(10);
                let mut reading = Reading::new(data, allowed.clone(), counting);
                while let Ok(block) = reading.fill_buf()
                    && !block.is_empty()
                {
                    let count = block.len();
                    reading.consume(count);
                }
                allowed.was_exceeded()
            };
            assert!(skip(Counting::All));
            assert!(!skip(Counting::Copied));
        }
    }
}
