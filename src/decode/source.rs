//! Where a picture's bytes come from: memory, or a file that is read piece by piece.
//!
//! Owns how image files are opened and read. A file of up to [`WHOLE`] bytes is read at once; of a
//! larger one no more than its beginning is in memory until a decoder asks for the rest, which it
//! does only after the memory for that was reserved. Nothing is mapped: a photograph that somebody
//! cuts short while it is mapped would end the process.

use std::cell::{Cell, RefCell};
use std::fs::{File, Metadata};
use std::io::{self, BufRead, Read, Seek, SeekFrom};
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use super::error::DecodeError;
use super::format::{Format, sniff};
use super::{Limits, Unread};

/// Files of up to so many bytes are read whole, into a buffer that each worker has for that.
pub(super) const WHOLE: u64 = 8 << 20;

/// Bytes of a larger file that are read to see what it is.
const HEAD: usize = 64 << 10;

/// Bytes of a larger file that are read at once.
const BLOCK: usize = 64 << 10;

/// Bytes that are hashed at once.
const HASHED: usize = 256 << 10;

/// Bytes at the end of a file that may say what it is.
const TAIL: u64 = 18;

/// An image file, opened, or the bytes of one.
///
/// Of a large file only the beginning is in memory: the decoder reads the rest as it needs it.
#[derive(Debug, Clone)]
pub struct Source(Inner);

#[derive(Debug, Clone)]
enum Inner {
    Memory(Arc<Vec<u8>>),
    Disk(Arc<OnDisk>),
}

/// A file that is not in memory.
#[derive(Debug)]
pub(super) struct OnDisk {
    file: File,
    length: u64,
    head: Vec<u8>,
    stamp: Stamp,
    /// Nanoseconds that were spent on reading, which is no decoding.
    reading: AtomicU64,
    /// Why the system could not read it, in case a decoder takes that for damage.
    trouble: OnceLock<String>,
}

/// What changes when a file is written to.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
    #[cfg(unix)]
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt as _;
        Self {
            length: metadata.len(),
            modified: metadata.modified().ok(),
            #[cfg(unix)]
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Default for Source {
    fn default() -> Self {
        Self::from(Vec::new())
    }
}

impl From<Vec<u8>> for Source {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Inner::Memory(Arc::new(bytes)))
    }
}

impl Source {
    /// Opens an image file.
    ///
    /// # Errors
    ///
    /// [`Unread`]: it cannot be read, or is longer than [`Limits::max_file_bytes`].
    pub fn open(path: &Path, limits: &Limits) -> Result<Self, Unread> {
        let mut source = Self::default();
        source.reopen(path, limits)?;
        Ok(source)
    }

    /// Opens another image file in place of this one, whose memory is used again.
    ///
    /// # Errors
    ///
    /// As [`Source::open`]; this is empty then.
    pub fn reopen(&mut self, path: &Path, limits: &Limits) -> Result<(), Unread> {
        let mut buffer = self.take_buffer();
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            read_all(file, limits, &mut buffer)?;
            self.0 = Inner::Memory(Arc::new(buffer));
            return Ok(());
        }
        limits.check_bytes(metadata.len())?;
        if metadata.len() <= WHOLE {
            buffer.reserve(usize::try_from(metadata.len()).unwrap_or(0));
            // One more, to see whether it has grown.
            (&file).take(WHOLE + 1).read_to_end(&mut buffer)?;
            limits.check_bytes(buffer.len() as u64)?;
            if buffer.len() as u64 <= WHOLE {
                self.0 = Inner::Memory(Arc::new(buffer));
                return Ok(());
            }
        }
        let metadata = file.metadata()?;
        limits.check_bytes(metadata.len())?;
        let mut disk = OnDisk {
            length: metadata.len(),
            stamp: Stamp::of(&metadata),
            file,
            head: vec![0; HEAD],
            reading: AtomicU64::new(0),
            trouble: OnceLock::new(),
        };
        let mut head = std::mem::take(&mut disk.head);
        let read = disk.read_at(&mut head, 0)?;
        head.truncate(read);
        disk.head = head;
        self.0 = Inner::Disk(Arc::new(disk));
        Ok(())
    }

    /// Reads all that a pipe gives.
    ///
    /// # Errors
    ///
    /// [`Unread`]: it cannot be read, or gives more than [`Limits::max_file_bytes`].
    pub fn read(pipe: impl Read, limits: &Limits) -> Result<Self, Unread> {
        let mut buffer = Vec::new();
        read_all(pipe, limits, &mut buffer)?;
        Ok(Self::from(buffer))
    }

    /// The memory of the file before, where nobody else has it any more.
    fn take_buffer(&mut self) -> Vec<u8> {
        let mut buffer = match std::mem::take(self).0 {
            Inner::Memory(bytes) => Arc::try_unwrap(bytes).unwrap_or_default(),
            Inner::Disk(_) => Vec::new(),
        };
        buffer.clear();
        // A pipe's can be larger than what a worker may keep.
        buffer.shrink_to(WHOLE as usize + 1);
        buffer
    }

    /// Bytes of the file.
    pub fn length(&self) -> u64 {
        match &self.0 {
            Inner::Memory(bytes) => bytes.len() as u64,
            Inner::Disk(disk) => disk.length,
        }
    }

    /// The BLAKE3 hash of the whole file, of which a piece at a time is in memory.
    ///
    /// # Errors
    ///
    /// Where the system cannot read it.
    pub fn digest(&self) -> io::Result<[u8; 32]> {
        let disk = match &self.0 {
            Inner::Memory(bytes) => return Ok(*blake3::hash(bytes).as_bytes()),
            Inner::Disk(disk) => disk,
        };
        let mut hasher = blake3::Hasher::new();
        let mut block = vec![0; HASHED];
        let mut place = 0;
        loop {
            let read = disk.read_at(&mut block, place)?;
            if read == 0 {
                return Ok(*hasher.finalize().as_bytes());
            }
            hasher.update(&block[..read]);
            place += read as u64;
        }
    }

    /// Whether the file is what it was when it was opened. What is in memory is.
    ///
    /// # Errors
    ///
    /// Where the system does not say.
    pub fn is_unchanged(&self) -> io::Result<bool> {
        Ok(match &self.0 {
            Inner::Memory(_) => true,
            Inner::Disk(disk) => Stamp::of(&disk.file.metadata()?) == disk.stamp,
        })
    }

    pub(super) fn data(&self) -> Data<'_> {
        match &self.0 {
            Inner::Memory(bytes) => Data::Memory(bytes),
            Inner::Disk(disk) => Data::Disk(disk),
        }
    }
}

/// Reads all that `pipe` gives, which says nothing of its length beforehand.
fn read_all(pipe: impl Read, limits: &Limits, buffer: &mut Vec<u8>) -> Result<(), Unread> {
    let most = limits.max_file_bytes.min(limits.max_memory);
    pipe.take(most.saturating_add(1)).read_to_end(buffer)?;
    let length = buffer.len() as u64;
    limits.check_bytes(length)?;
    if length > most {
        return Err(Unread::OverLimit(DecodeError::TooMuchMemory {
            width: 0,
            height: 0,
            limit: limits.max_memory,
        }));
    }
    Ok(())
}

/// What is decoded: the bytes of a file, or a [`Source`].
#[derive(Debug, Clone, Copy)]
pub struct Content<'a>(Kind<'a>);

#[derive(Debug, Clone, Copy)]
enum Kind<'a> {
    Bytes(&'a [u8]),
    Source(&'a Source),
}

impl<'a> From<&'a [u8]> for Content<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self(Kind::Bytes(bytes))
    }
}

impl<'a> From<&'a Vec<u8>> for Content<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Self(Kind::Bytes(bytes))
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Content<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Self(Kind::Bytes(bytes))
    }
}

impl<'a> From<&'a Source> for Content<'a> {
    fn from(source: &'a Source) -> Self {
        Self(Kind::Source(source))
    }
}

impl<'a> Content<'a> {
    pub(super) fn data(self) -> Data<'a> {
        match self.0 {
            Kind::Bytes(bytes) => Data::Memory(bytes),
            Kind::Source(source) => source.data(),
        }
    }

    /// For another thread: bytes that are somebody's are copied, a source is shared.
    pub(super) fn to_source(self) -> Source {
        match self.0 {
            Kind::Bytes(bytes) => Source::from(bytes.to_vec()),
            Kind::Source(source) => source.clone(),
        }
    }

    /// Bytes that [`Content::to_source`] copies.
    pub(super) fn copied(self) -> u64 {
        match self.0 {
            Kind::Bytes(bytes) => bytes.len() as u64,
            Kind::Source(_) => 0,
        }
    }
}

/// A picture's bytes, as decoders see them.
#[derive(Debug, Clone, Copy)]
pub(super) enum Data<'a> {
    Memory(&'a [u8]),
    Disk(&'a OnDisk),
}

impl<'a> Data<'a> {
    pub fn length(self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Disk(disk) => disk.length,
        }
    }

    /// What is in memory: all of it, or the beginning.
    pub fn head(self) -> &'a [u8] {
        match self {
            Self::Memory(bytes) => bytes,
            Self::Disk(disk) => &disk.head,
        }
    }

    /// The format of the file.
    pub fn format(self) -> Option<Format> {
        let Self::Disk(disk) = self else {
            return sniff(self.head());
        };
        // A TGA is told by the end of the file, not by the end of what is in memory of it.
        let by_head = sniff(&disk.head).filter(|format| *format != Format::Tga);
        by_head.or_else(|| {
            let mut tail = [0; TAIL as usize];
            let start = disk.length.checked_sub(TAIL)?;
            let read = disk.read_at(&mut tail, start).ok()?;
            sniff(&tail[..read]).filter(|format| *format == Format::Tga)
        })
    }

    /// A reader from the beginning on.
    pub fn reader(self) -> Reading<'a> {
        Reading {
            from: match self {
                Self::Memory(bytes) => From::Memory(io::Cursor::new(bytes)),
                Self::Disk(disk) => From::Disk(Window {
                    disk,
                    block: Vec::new(),
                    start: 0,
                    place: 0,
                }),
            },
            allowed: Allowed::default(),
        }
    }

    /// Time that went into reading so far.
    pub fn reading(self) -> Duration {
        match self {
            Self::Memory(_) => Duration::ZERO,
            Self::Disk(disk) => Duration::from_nanos(disk.reading.load(Ordering::Relaxed)),
        }
    }

    /// Why the system could not read it, if that happened.
    pub fn trouble(self) -> Option<String> {
        match self {
            Self::Memory(_) => None,
            Self::Disk(disk) => disk.trouble.get().cloned(),
        }
    }
}

impl OnDisk {
    /// All of the file.
    pub fn load(&self) -> io::Result<Vec<u8>> {
        let length = usize::try_from(self.length).map_err(io::Error::other)?;
        let mut bytes = Vec::new();
        bytes
            .try_reserve_exact(length)
            .map_err(|_| io::ErrorKind::OutOfMemory)?;
        bytes.resize(length, 0);
        let read = self.read_at(&mut bytes, 0)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// Reads as many bytes as fit, or all that there are behind `place`.
    fn read_at(&self, into: &mut [u8], place: u64) -> io::Result<usize> {
        let started = Instant::now();
        let mut filled = 0;
        let read = loop {
            if filled == into.len() {
                break Ok(filled);
            }
            match read_once(&self.file, &mut into[filled..], place + filled as u64) {
                Ok(0) => break Ok(filled),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        let took = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.reading.fetch_add(took, Ordering::Relaxed);
        read.inspect_err(|error| {
            // The first one tells; later ones follow from it.
            let _ = self.trouble.set(error.to_string());
        })
    }
}

#[cfg(unix)]
fn read_once(file: &File, into: &mut [u8], place: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, into, place)
}

#[cfg(windows)]
fn read_once(file: &File, into: &mut [u8], place: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, into, place)
}

#[cfg(not(any(unix, windows)))]
fn read_once(mut file: &File, into: &mut [u8], place: u64) -> io::Result<usize> {
    file.seek(SeekFrom::Start(place))?;
    file.read(into)
}

/// How much of a picture may still be read, shared with whoever handed the reader to a decoder.
#[derive(Debug, Clone, Default)]
pub(super) struct Allowed(Rc<RefCell<Allowance>>);

#[derive(Debug, Default)]
struct Allowance {
    /// None: no bound.
    left: Option<u64>,
    exceeded: bool,
}

impl Allowed {
    /// Bounds what may be read from now on, or not.
    pub fn set(&self, left: Option<u64>) {
        self.0.borrow_mut().left = left;
    }

    /// Whether more was asked for than was allowed.
    pub fn was_exceeded(&self) -> bool {
        self.0.borrow().exceeded
    }

    /// How many of `wanted` bytes may be read.
    fn grant(&self, wanted: usize) -> io::Result<usize> {
        let mut allowance = self.0.borrow_mut();
        match allowance.left {
            None => Ok(wanted),
            Some(0) if wanted > 0 => {
                allowance.exceeded = true;
                Err(io::Error::other("its headers are longer than is allowed"))
            }
            Some(left) => Ok(usize::try_from(left).unwrap_or(usize::MAX).min(wanted)),
        }
    }

    fn spend(&self, read: usize) {
        if let Some(left) = &mut self.0.borrow_mut().left {
            *left = left.saturating_sub(read as u64);
        }
    }
}

/// Reads a picture's bytes in order, or from anywhere.
pub(super) struct Reading<'a> {
    from: From<'a>,
    allowed: Allowed,
}

enum From<'a> {
    Memory(io::Cursor<&'a [u8]>),
    Disk(Window<'a>),
}
