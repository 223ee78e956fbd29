//! The source of an image's bytes: memory, or a file that is read in pieces.
//!
//! Owns how image files are opened and read. A file of up to [`MAX_IN_MEMORY`] bytes is read at once. Of a larger
//! file, only the beginning is in memory; decoders read the rest as they need it, and those that need the whole
//! file load it after they have reserved the memory. Files are not mapped: if somebody truncated a mapped file, the
//! process would end.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use super::error::DecodeError;
use super::format::{Format, old_tga, sniff};
use super::{Limits, SMALL};

/// Maximum size of files that are read at once, into a buffer that each worker has.
pub(super) const MAX_IN_MEMORY: u64 = SMALL;

/// Bytes of a larger file that are read when it is opened: enough for the headers of nearly all files.
const HEAD_BYTES: usize = 256 << 10;

/// Bytes that are hashed at once.
const HASH_BLOCK: usize = 256 << 10;

/// Bytes at the end of a file that may identify its format.
const TAIL_BYTES: usize = 18;

/// The reason why an image file was not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The system could not read it.
    #[error(transparent)]
    Io(#[from] io::Error),

    /// It is longer than the limit.
    #[error(transparent)]
    OverLimit(#[from] DecodeError),
}

/// An open image file.
///
/// A file of up to 8 MiB is in memory. Of a larger file, only the beginning is: a [`Decoder`](super::Decoder) reads
/// the rest as it needs it.
#[derive(Debug, Clone)]
pub struct Source(Inner);

#[derive(Debug, Clone)]
enum Inner {
    Memory(Arc<Vec<u8>>),
    Disk(Arc<OnDisk>),
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
    /// [`ReadError`] if the file cannot be read, or is longer than [`Limits::max_file_bytes`].
    pub fn open(path: &Path, limits: &Limits) -> Result<Self, ReadError> {
        Self::of_file(File::open(path)?, limits)
    }

    /// Opens another image file in place of this one, and reuses its memory.
    ///
    /// # Errors
    ///
    /// As [`Source::open`]. The source is then empty.
    pub fn reopen(&mut self, path: &Path, limits: &Limits) -> Result<(), ReadError> {
        let buffer = self.take_buffer();
        *self = Self::read_into(buffer, File::open(path)?, limits)?;
        Ok(())
    }

    /// Reads an image from an open file.
    ///
    /// # Errors
    ///
    /// As [`Source::open`].
    pub fn of_file(file: File, limits: &Limits) -> Result<Self, ReadError> {
        Self::read_into(Vec::new(), file, limits)
    }

    fn read_into(mut buffer: Vec<u8>, file: File, limits: &Limits) -> Result<Self, ReadError> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            read_all(file, limits, &mut buffer)?;
            return Ok(Self::from(buffer));
        }
        limits.check_bytes(metadata.len())?;
        if metadata.len() <= MAX_IN_MEMORY {
            buffer.reserve(usize::try_from(metadata.len()).unwrap_or(0));
            // One byte more, to notice that it has grown.
            (&file).take(MAX_IN_MEMORY + 1).read_to_end(&mut buffer)?;
            limits.check_bytes(buffer.len() as u64)?;
            if buffer.len() as u64 <= MAX_IN_MEMORY {
                return Ok(Self::from(buffer));
            }
        }
        let disk = OnDisk::new(file)?;
        limits.check_bytes(disk.length)?;
        Ok(Self(Inner::Disk(Arc::new(disk))))
    }

    /// Reads everything from a pipe into memory.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the pipe cannot be read, or gives more than [`Limits::max_file_bytes`].
    pub fn read(pipe: impl Read, limits: &Limits) -> Result<Self, ReadError> {
        let mut buffer = Vec::new();
        read_all(pipe, limits, &mut buffer)?;
        Ok(Self::from(buffer))
    }

    /// Takes the memory of the previous file, if nobody else uses it.
    fn take_buffer(&mut self) -> Vec<u8> {
        let mut buffer = match std::mem::take(self).0 {
            Inner::Memory(bytes) => Arc::try_unwrap(bytes).unwrap_or_default(),
            Inner::Disk(_) => Vec::new(),
        };
        buffer.clear();
        // The buffer of a pipe can be larger than what a worker may keep.
        buffer.shrink_to(MAX_IN_MEMORY as usize + 1);
        buffer
    }

    /// Returns the bytes of the file.
    pub fn length(&self) -> u64 {
        self.data().length()
    }

    /// Returns the BLAKE3 hash of the whole file. Only a piece of it at a time is in memory.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn digest(&self) -> io::Result<[u8; 32]> {
        let disk = match &self.0 {
            Inner::Memory(bytes) => return Ok(*blake3::hash(bytes).as_bytes()),
            Inner::Disk(disk) => disk,
        };
        let mut hasher = blake3::Hasher::new();
        let mut block = vec![0; HASH_BLOCK];
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

    /// Returns whether the file has not changed since it was opened. A file in memory has not.
    ///
    /// # Errors
    ///
    /// If the system does not say.
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

/// Reads everything from `pipe`, whose length is unknown.
fn read_all(pipe: impl Read, limits: &Limits, buffer: &mut Vec<u8>) -> Result<(), ReadError> {
    pipe.take(limits.max_file_bytes.saturating_add(1))
        .read_to_end(buffer)?;
    Ok(limits.check_bytes(buffer.len() as u64)?)
}

/// What to decode: the bytes of a file, or a [`Source`].
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

    /// Returns a source for another thread: bytes are copied, a source is shared.
    pub(super) fn to_source(self) -> Source {
        match self.0 {
            Kind::Bytes(bytes) => Source::from(bytes.to_vec()),
            Kind::Source(source) => source.clone(),
        }
    }
}

/// The bytes of an image, as decoders see them.
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

    /// Returns the format of the file.
    pub fn format(self) -> Option<Format> {
        let disk = match self {
            Self::Memory(bytes) => return sniff(bytes).or_else(|| old_tga(bytes, self.length())),
            Self::Disk(disk) => disk,
        };
        // The end of the file identifies a TGA, not the end of what is in memory.
        let by_head = sniff(&disk.head).filter(|format| *format != Format::Tga);
        by_head.or_else(|| {
            let mut tail = [0; TAIL_BYTES];
            let start = disk.length.checked_sub(TAIL_BYTES as u64)?;
            let read = disk.read_at(&mut tail, start).ok()?;
            let marked = sniff(&tail[..read]).filter(|format| *format == Format::Tga);
            marked.or_else(|| old_tga(&disk.head, disk.length))
        })
    }

    /// Returns the time that was spent on reading so far.
    pub fn reading(self) -> Duration {
        match self {
            Self::Memory(_) => Duration::ZERO,
            Self::Disk(disk) => Duration::from_nanos(disk.reading.load(Ordering::Relaxed)),
        }
    }

    /// Returns the read error of the system, if there was one.
    pub fn trouble(self) -> Option<String> {
        match self {
            Self::Memory(_) => None,
            Self::Disk(disk) => disk.trouble.get().cloned(),
        }
    }
}

/// A file that is not in memory.
#[derive(Debug)]
pub(super) struct OnDisk {
    file: File,
    length: u64,
    head: Vec<u8>,
    stamp: Stamp,
    /// Nanoseconds that were spent on reading, which is not decoding.
    reading: AtomicU64,
    /// The read error of the system, because a decoder may mistake it for damage.
    trouble: OnceLock<String>,
    #[cfg(test)]
    bytes_read: AtomicU64,
}

impl OnDisk {
    fn new(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let mut disk = Self {
            length: metadata.len(),
            stamp: Stamp::of(&metadata),
            file,
            head: Vec::new(),
            reading: AtomicU64::new(0),
            trouble: OnceLock::new(),
            #[cfg(test)]
            bytes_read: AtomicU64::new(0),
        };
        let mut head = vec![0; HEAD_BYTES];
        let read = disk.read_at(&mut head, 0)?;
        head.truncate(read);
        disk.head = head;
        Ok(disk)
    }

    /// Returns the beginning of the file, which is in memory.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// Returns how many bytes were read so far.
    #[cfg(test)]
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    /// Reads the whole file.
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

    /// Reads as many bytes as fit, or all from `place` to the end.
    pub fn read_at(&self, into: &mut [u8], place: u64) -> io::Result<usize> {
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
        #[cfg(test)]
        self.bytes_read.fetch_add(filled as u64, Ordering::Relaxed);
        read.inspect_err(|error| {
            // Only the first error counts; later ones follow from it.
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
    io::Seek::seek(&mut file, io::SeekFrom::Start(place))?;
    file.read(into)
}

/// Properties of a file that change when it is written to.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(max_file_bytes: u64) -> Limits {
        Limits {
            max_file_bytes,
            ..Limits::default()
        }
    }

    #[test]
    fn no_more_is_read_than_is_allowed() {
        let four = limits(4);
        assert_eq!(Source::read(&b"four"[..], &four).unwrap().length(), 4);
        // An endless pipe, which must not be read to its end.
        let error = Source::read(io::repeat(7), &four).unwrap_err();
        assert!(matches!(error, ReadError::OverLimit(_)));
        assert!(error.to_string().contains("the limit of 4"), "{error}");

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "fives").unwrap();
        assert!(matches!(
            Source::open(&path, &four),
            Err(ReadError::OverLimit(DecodeError::TooManyBytes {
                length: 5,
                limit: 4
            }))
        ));
        std::fs::write(&path, "abcd").unwrap();
        let source = Source::open(&path, &four).unwrap();
        assert!(matches!(source.data(), Data::Memory(b"abcd")));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(Source::open(&path, &four), Err(ReadError::Io(_))));
    }

    #[test]
    fn a_large_file_stays_on_disk_and_a_change_of_it_shows() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let bytes: Vec<u8> = (0..MAX_IN_MEMORY as usize + 99)
            .map(|i| (i % 251) as u8)
            .collect();
        std::fs::write(&path, &bytes).unwrap();
        let source = Source::open(&path, &Limits::default()).unwrap();
        let Data::Disk(disk) = source.data() else {
            panic!("it is in memory");
        };
        assert_eq!(disk.head(), &bytes[..HEAD_BYTES]);
        assert!(disk.load().unwrap() == bytes);
        assert_eq!(source.length(), bytes.len() as u64);
        assert_eq!(source.digest().unwrap(), *blake3::hash(&bytes).as_bytes());
        assert!(source.is_unchanged().unwrap());
        std::fs::write(&path, &bytes[1..]).unwrap();
        assert!(!source.is_unchanged().unwrap());
    }

    #[test]
    fn the_memory_of_one_file_serves_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let (large, small) = (dir.path().join("large"), dir.path().join("small"));
        std::fs::write(&large, vec![1; 1 << 20]).unwrap();
        std::fs::write(&small, "small").unwrap();
        let mut source = Source::open(&large, &Limits::default()).unwrap();
        let place = |source: &Source| match source.data() {
            Data::Memory(bytes) => bytes.as_ptr(),
            Data::Disk(_) => panic!("it is on disk"),
        };
        let before = place(&source);
        source.reopen(&small, &Limits::default()).unwrap();
        assert_eq!(place(&source), before);
        // A buffer that a helper still uses is left to it.
        let shared = source.clone();
        source.reopen(&large, &Limits::default()).unwrap();
        assert!(matches!(shared.data(), Data::Memory(b"small")));
    }
}
