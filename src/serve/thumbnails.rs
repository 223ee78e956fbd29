//! Thumbnails, made on demand and kept on disk by content.
//!
//! They lie in `thumbnails/` of the index, named by the digest of the image, and can be deleted at any time. A bound
//! keeps the folder small: the oldest go first.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::time::SystemTime;

use imgsearch::decode::{Decoder, Source};
use imgsearch::index::Image;
use imgsearch::render::thumbnail::{jpeg, thumbnail};
use imgsearch::{Error, Library};

/// The name of the folder in the index.
pub const FOLDER: &str = "thumbnails";

/// The quality of a thumbnail as JPEG.
const QUALITY: u8 = 82;

/// What is left of the bound when the oldest thumbnails were deleted.
const KEPT_SHARE: f64 = 0.9;

/// The longer side of a thumbnail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// 256 pixels.
    Small,
    /// 512 pixels.
    Large,
}

impl Side {
    pub fn pixels(self) -> u32 {
        match self {
            Self::Small => 256,
            Self::Large => 512,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Small => "256",
            Self::Large => "512",
        }
    }
}

/// The thumbnails of an index.
#[derive(Debug)]
pub struct Thumbnails {
    dir: PathBuf,
    max_bytes: u64,
    /// Bytes of all files, once they were counted.
    bytes: AtomicU64,
    counted: Once,
    /// One thread deletes at a time.
    deleting: Mutex<()>,
    /// Decoders that are not in use.
    decoders: Mutex<Vec<Decoder>>,
}

impl Thumbnails {
    /// Keeps at most `max_bytes` of thumbnails in a folder of the index; with 0, none.
    pub fn new(index: &std::path::Path, max_bytes: u64) -> Self {
        Self {
            dir: index.join(FOLDER),
            max_bytes,
            bytes: AtomicU64::new(0),
            counted: Once::new(),
            deleting: Mutex::new(()),
            decoders: Mutex::new(Vec::new()),
        }
    }

    fn path(&self, image: &Image, side: Side) -> PathBuf {
        let digest: String = image.digest[..16]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let folder = self.dir.join(&digest[..2]);
        folder.join(format!("{digest}-{}.jpg", side.name()))
    }

    /// Returns a thumbnail that is on disk.
    pub fn cached(&self, image: &Image, side: Side) -> Option<Vec<u8>> {
        fs::read(self.path(image, side)).ok()
    }

    /// Makes a thumbnail of the file of an image, and keeps it. If it cannot be kept, it is returned all the same.
    ///
    /// # Errors
    ///
    /// If the file is not there or not the one that was indexed, or cannot be decoded.
    pub fn make(&self, library: &Library, image: &Image, side: Side) -> Result<Vec<u8>, Error> {
        let file = library.open_image(image)?;
        let source = Source::of_file(file, library.limits())
            .map_err(|unread| Error::unread(unread, &image.path))?;
        let mut decoder = self
            .decoders
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop()
            .unwrap_or_else(|| Decoder::new(*library.limits()));
        let made = thumbnail(&mut decoder, &source, side.pixels());
        self.decoders
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(decoder);
        let undecoded = |source| Error::Image {
            path: image.path.clone(),
            source,
        };
        let bytes = made
            .and_then(|small| jpeg(&small, QUALITY))
            .map_err(undecoded)?;
        self.keep(image, side, &bytes);
        Ok(bytes)
    }

    /// Writes a thumbnail to disk. A disk that is full or read-only only makes the next request slower.
    fn keep(&self, image: &Image, side: Side, bytes: &[u8]) {
        if self.max_bytes == 0 {
            return;
        }
        let path = self.path(image, side);
        // No other thread and no other server writes to the same file.
        let unique = (std::process::id(), std::thread::current().id());
        let temporary = path.with_extension(format!("{unique:?}.new"));
        let written = path
            .parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::write(&temporary, bytes))
            .and_then(|()| fs::rename(&temporary, &path));
        if let Err(error) = written {
            tracing::debug!("a thumbnail cannot be kept: {error}");
            return;
        }
        self.counted.call_once(|| {
            let bytes = self.files().iter().map(|file| file.bytes).sum();
            self.bytes.store(bytes, Ordering::Relaxed);
        });
        let total = self.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if total + bytes.len() as u64 > self.max_bytes {
            self.shrink();
        }
    }

    /// Deletes the oldest thumbnails.
    fn shrink(&self) {
        let Ok(_one) = self.deleting.try_lock() else {
            return;
        };
        let mut files = self.files();
        files.sort_unstable_by_key(|file| file.made);
        let mut total: u64 = files.iter().map(|file| file.bytes).sum();
        let allowed = (self.max_bytes as f64 * KEPT_SHARE) as u64;
        for file in files {
            if total <= allowed {
                break;
            }
            if fs::remove_file(&file.path).is_ok() {
                total -= file.bytes;
            }
        }
        self.bytes.store(total, Ordering::Relaxed);
    }

    fn files(&self) -> Vec<Kept> {
        let folders = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let entries = folders.flat_map(|folder| fs::read_dir(folder.path()).into_iter().flatten());
        let files = entries.flatten().filter_map(|entry| {
            let metadata = entry.metadata().ok().filter(fs::Metadata::is_file)?;
            Some(Kept {
                path: entry.path(),
                bytes: metadata.len(),
                made: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
            })
        });
        files.collect()
    }
}

/// A thumbnail on disk.
struct Kept {
    path: PathBuf,
    bytes: u64,
    made: SystemTime,
}
