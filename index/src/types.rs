//! What is stored and what is found: plain data.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The number of a stored image. It names one image with one code for good: an image whose
/// content changes gets a new one, and none is used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ImageId(pub i64);

impl fmt::Display for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What tells, without reading a file, that it has not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileStat {
    /// Size in bytes.
    pub size: u64,
    /// Modification time in nanoseconds since 1970, negative before.
    pub mtime_ns: i64,
}

/// BLAKE3 of a file's whole content.
pub type Digest = [u8; 32];

/// What an index remembers of the encoder that made its codes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EncoderRecord {
    /// Names the function from images to codes: equal fingerprints give equal codes.
    pub fingerprint: String,
    /// A name for people.
    pub name: String,
    /// Numbers in a code.
    pub code_len: usize,
    /// Bits in a hash.
    pub bits: usize,
    /// How much the hash counts beside the code where both rank: see
    /// [`RankBy::Both`](crate::RankBy::Both).
    pub hash_weight: f32,
    /// Anything else, as JSON.
    pub metadata: String,
}

impl EncoderRecord {
    /// Bytes in a packed hash.
    pub fn hash_bytes(&self) -> usize {
        self.bits.div_ceil(8)
    }

    /// What a differing bit adds to the squared distance of two codes where both rank.
    pub(crate) fn bit_distance(&self) -> f32 {
        self.hash_weight / self.bits as f32
    }
}

/// A stored image.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Image {
    /// Its number.
    pub id: ImageId,
    /// Where its file was when it was indexed.
    pub path: PathBuf,
    /// Size and date of the file then.
    pub stat: FileStat,
    /// The content's digest.
    pub digest: Digest,
    /// Width in pixels, as it is looked at.
    pub width: u32,
    /// Height in pixels, as it is looked at.
    pub height: u32,
    /// The file format, in lower case.
    pub format: String,
    /// When it was taken, in seconds since 1970 of the camera's clock, where the file says so.
    pub taken: Option<i64>,
    /// What is wrong with the file, where only a part of the picture could be used.
    pub damage: Option<String>,
}

/// The content of an image, to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewContent {
    /// BLAKE3 of the file.
    pub digest: Digest,
    /// Width in pixels, as it is looked at.
    pub width: u32,
    /// Height in pixels, as it is looked at.
    pub height: u32,
    /// The file format, in lower case.
    pub format: String,
    /// When it was taken, in seconds since 1970 of the camera's clock.
    pub taken: Option<i64>,
    /// What is wrong with the file.
    pub damage: Option<String>,
    /// The code: `code_len` finite numbers.
    pub code: Vec<f32>,
    /// The packed hash: bit `i` in byte `i / 8` at position `i % 8`.
    pub hash: Vec<u8>,
}

/// A file that could not be read or decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// The file.
    pub path: PathBuf,
    /// Its size and date then.
    pub stat: FileStat,
    /// Where it failed: `read` or `decode`.
    pub stage: String,
    /// Why, for people.
    pub reason: String,
}

/// What is stored under a path.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum KnownPath {
    /// An image.
    Image(Box<Image>),
    /// A file that could not be read or decoded.
    Failed(Failure),
}

/// A change to the store.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// An image with a content that is not stored. It replaces what is stored under its path,
    /// under a new number.
    Insert {
        /// Absolute path of its file.
        path: PathBuf,
        /// Size and date of the file.
        stat: FileStat,
        /// What is in it.
        content: NewContent,
    },
    /// An image whose content is stored: it is shared.
    InsertKnown {
        /// Absolute path of its file.
        path: PathBuf,
        /// Size and date of the file.
        stat: FileStat,
        /// The content's digest.
        digest: Digest,
    },
    /// The same content with another date.
    Touch {
        /// The stored path.
        path: PathBuf,
        /// The new size and date.
        stat: FileStat,
    },
    /// The file was moved: the image keeps its number.
    Rename {
        /// The image.
        id: ImageId,
        /// Its new path.
        path: PathBuf,
        /// Size and date of the file there.
        stat: FileStat,
    },
    /// The image is forgotten.
    Remove {
        /// The image.
        id: ImageId,
    },
    /// The file cannot be read or decoded. Where it cannot be decoded, an image stored under its
    /// path is forgotten, for its content is gone; where it cannot be read, the image stays.
    Failure {
        /// The file.
        path: PathBuf,
        /// Its size and date.
        stat: FileStat,
        /// `read` or `decode`.
        stage: String,
        /// Why, for people.
        reason: String,
        /// The content's digest, where it could be read.
        digest: Option<Digest>,
    },
}

/// The record of an indexing run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Run {
    /// Its number.
    pub id: i64,
    /// When it began, in seconds since 1970.
    pub started: i64,
    /// When it ended; none for a run that was killed or goes on.
    pub ended: Option<i64>,
    /// Whether it was through.
    pub completed: bool,
    /// The paths that were indexed.
    pub roots: Vec<PathBuf>,
    /// What it did, as the indexer counted.
    pub counts: serde_json::Value,
}

/// The size of an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Stored images.
    pub images: u64,
    /// Distinct contents among them.
    pub contents: u64,
    /// Images of which a part is missing.
    pub damaged: u64,
    /// Files that could not be read or decoded.
    pub failed: u64,
    /// Bytes of all files in the index folder.
    pub bytes: u64,
    /// Bytes of the database among them: what grows with the images.
    pub database_bytes: u64,
    /// Segments: see `index/FORMAT.md`.
    pub segments: u64,
    /// Bytes of the segments, which are made from the database.
    pub segment_bytes: u64,
}
