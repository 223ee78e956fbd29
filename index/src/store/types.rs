//! What is stored and what is found: plain data.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

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

/// What shows, without reading a file, that it has not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileStat {
    /// Size in bytes.
    pub size: u64,
    /// Modification time in nanoseconds since 1970, negative before.
    pub mtime_ns: i64,
    /// Number of the file on its disk; 0 if it is not known.
    pub inode: u64,
    /// When the file or its name last changed, in nanoseconds since 1970, as the system has it; 0
    /// if it is not known.
    pub ctime_ns: i64,
}

impl FileStat {
    /// Returns whether nothing speaks for a change from `self` to `now`: size, date, and what is known
    /// on both sides of inode number and change time are the same.
    ///
    /// FAT keeps neither of the last two. Linux makes up the number at each mount there, and
    /// gives the date as change time; if it does, the number counts for nothing, or a memory card
    /// would be read whole each time that it is put in.
    pub fn is_unchanged(&self, now: &Self) -> bool {
        if !self.same_size_and_date(now) {
            return false;
        }
        let ctimes_known = self.ctime_ns != 0 && now.ctime_ns != 0;
        if ctimes_known && self.ctime_ns != now.ctime_ns {
            return false;
        }
        let made_up = ctimes_known && now.ctime_ns == now.mtime_ns;
        made_up || self.inode == 0 || now.inode == 0 || self.inode == now.inode
    }

    /// Returns whether size and date are the same, whatever else changed.
    pub fn same_size_and_date(&self, now: &Self) -> bool {
        (self.size, self.mtime_ns) == (now.size, now.mtime_ns)
    }

    /// Returns whether `now` knows something that would help to see a later change, and `self` does
    /// not.
    pub fn lacks(&self, now: &Self) -> bool {
        (self.inode == 0 && now.inode != 0) || (self.ctime_ns == 0 && now.ctime_ns != 0)
    }
}

/// Which folder stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FolderId {
    /// Number of the disk. It may be another after the system was restarted, and belong to
    /// another disk then.
    pub device: u64,
    /// Number of the folder on the disk.
    pub inode: u64,
    /// When the folder was made, in nanoseconds since 1970; 0 if the system does not report it.
    pub born_ns: i64,
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
    /// How much the hash counts in addition to the code if both rank: see
    /// [`RankBy::Both`](crate::RankBy::Both).
    pub hash_weight: f32,
    /// Anything else, as JSON.
    pub metadata: String,
}

impl EncoderRecord {
    /// Returns bytes in a packed hash.
    pub fn hash_bytes(&self) -> usize {
        self.bits.div_ceil(8)
    }

    /// Returns what a differing bit adds to the squared distance of two codes if both rank.
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
    /// When it was taken, in seconds since 1970 of the camera's clock, if the file says so.
    pub taken: Option<i64>,
    /// What is wrong with the file, if only a part of the image could be used.
    pub damage: Option<String>,
    /// Since when the file has been missing together with the disk or folder that it was on, in
    /// seconds since 1970; none if that is not so.
    pub away_since: Option<i64>,
}

impl Image {
    /// Returns a stored image, for whoever keeps images elsewhere.
    pub fn stored(id: ImageId, path: PathBuf, stat: FileStat, content: &NewContent) -> Self {
        Self {
            id,
            path,
            stat,
            digest: content.digest,
            width: content.width,
            height: content.height,
            format: content.format.clone(),
            taken: content.taken,
            damage: content.damage.clone(),
            away_since: None,
        }
    }
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
    /// The classes that it most likely shows, if the encoder tells them apart; each class once.
    pub labels: Vec<Label>,
}

/// A class that an image may show, by the classifier of its encoder.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Label {
    /// Number of the class in the classifier.
    pub class: u16,
    /// How likely the image shows it, from 0 to 1. The store keeps 255 steps.
    pub probability: f32,
}

/// A code of a stored content by another encoder.
#[derive(Debug, Clone, PartialEq)]
pub struct NewCode {
    /// BLAKE3 of the file.
    pub digest: Digest,
    /// The code, in the length of the new encoder.
    pub code: Vec<f32>,
    /// The packed hash.
    pub hash: Vec<u8>,
}

/// Why a file could not be used. It decides when the file is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailureKind {
    /// The file could not be read. Its size and date do not show when that changes, so every run
    /// tries it again.
    Read,
    /// Its content cannot be decoded. It is tried again if the file changes.
    Decode,
    /// Its format is known and cannot be decoded. It is tried again if the file changes.
    Unsupported,
    /// It exceeds a limit on size or memory. Finding that out costs nothing, so every run tries it
    /// again.
    Limit,
    /// Decoding it took longer than allowed. It is tried again if the file or the limit changes.
    TimedOut {
        /// The limit, stored in whole milliseconds.
        limit: Duration,
    },
    /// It was not tried, because slow files before it were still being decoded. Every run tries it
    /// again.
    Deferred,
}

impl FailureKind {
    /// Returns the name that is stored and printed: the variant in snake case.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Decode => "decode",
            Self::Unsupported => "unsupported",
            Self::Limit => "limit",
            Self::TimedOut { .. } => "timed_out",
            Self::Deferred => "deferred",
        }
    }

    /// Returns the kind of a stored name, and of the limit in milliseconds that belongs to it.
    pub(crate) fn from_name(name: &str, limit_ms: Option<u64>) -> Option<Self> {
        Some(match name {
            "read" => Self::Read,
            "decode" => Self::Decode,
            "unsupported" => Self::Unsupported,
            "limit" => Self::Limit,
            "timed_out" => Self::TimedOut {
                limit: Duration::from_millis(limit_ms?),
            },
            "deferred" => Self::Deferred,
            _ => return None,
        })
    }

    /// Returns the limit in milliseconds, as it is stored: only [`FailureKind::TimedOut`] has one.
    pub fn limit_ms(&self) -> Option<u64> {
        match self {
            Self::TimedOut { limit } => Some(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)),
            _ => None,
        }
    }

    /// Returns whether a limit is the reason: the file exceeds one, or was not tried because others did.
    pub fn is_over_limit(&self) -> bool {
        matches!(self, Self::Limit | Self::TimedOut { .. } | Self::Deferred)
    }

    /// Returns whether the content is the reason, so that only another content can be used.
    pub fn is_of_content(&self) -> bool {
        matches!(self, Self::Decode | Self::Unsupported)
    }
}

/// A file that could not be read or decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// The file.
    pub path: PathBuf,
    /// Its size and date then.
    pub stat: FileStat,
    /// Why, for programs.
    pub kind: FailureKind,
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
    /// The same content with another date, or found again if it was away.
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
    /// The image is forgotten at once and for good.
    Remove {
        /// The image.
        id: ImageId,
    },
    /// The image is forgotten, and kept in the trash for a while: see
    /// [`Writer::restore`](crate::Writer::restore).
    Discard {
        /// The image.
        id: ImageId,
    },
    /// The image's file is missing together with the disk or folder that it was on. It stays, and
    /// [`Image::away_since`] says so until its file is met again.
    Away {
        /// The image.
        id: ImageId,
    },
    /// The file cannot be read or decoded. If it cannot be decoded, an image stored under its
    /// path is forgotten, for its content is gone; if it cannot be read, the image stays.
    Failure {
        /// The file.
        path: PathBuf,
        /// Its size and date.
        stat: FileStat,
        /// Why, for programs.
        kind: FailureKind,
        /// Why, for people.
        reason: String,
        /// The content's digest, if it could be read.
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
    /// Removed images that are still kept in the trash.
    pub trash: u64,
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

/// The images of one format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FormatCount {
    /// The file format, in lower case.
    pub format: String,
    /// Stored images.
    pub images: u64,
    /// Bytes of their files.
    pub bytes: u64,
    /// Images of which a part is missing.
    pub damaged: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_of_failure_is_what_its_name_and_limit_say() {
        let limit = Duration::from_millis(1500);
        for kind in [
            FailureKind::Read,
            FailureKind::Decode,
            FailureKind::Unsupported,
            FailureKind::Limit,
            FailureKind::TimedOut { limit },
            FailureKind::Deferred,
        ] {
            let back = FailureKind::from_name(kind.name(), kind.limit_ms());
            assert_eq!(back, Some(kind));
            let json = serde_json::to_string(&kind).unwrap();
            assert!(json.contains(&format!("\"{}\"", kind.name())), "{json}");
        }
        assert_eq!(FailureKind::from_name("timed_out", None), None);
        assert_eq!(FailureKind::from_name("stage", None), None);
    }

    #[test]
    fn a_file_has_changed_where_anything_known_of_it_has() {
        let stat = FileStat {
            size: 5,
            mtime_ns: 100,
            inode: 7,
            ctime_ns: 200,
        };
        let now = |inode, ctime_ns| FileStat {
            inode,
            ctime_ns,
            ..stat
        };
        assert!(stat.is_unchanged(&stat));
        for changed in [
            FileStat { size: 6, ..stat },
            FileStat {
                mtime_ns: 101,
                ..stat
            },
            now(8, 200),
            now(7, 201),
            now(8, 0),
            now(0, 201),
        ] {
            assert!(!stat.is_unchanged(&changed), "{changed:?}");
        }
        // What one side does not know says nothing.
        let unknown = now(0, 0);
        for (then, now) in [(stat, unknown), (unknown, stat), (stat, now(0, 200))] {
            assert!(then.is_unchanged(&now), "{then:?} {now:?}");
        }
        assert!(unknown.lacks(&stat) && !stat.lacks(&unknown) && !stat.lacks(&stat));
        // FAT: the change time is the date, and the number is made up at each mount.
        let fat = FileStat {
            ctime_ns: 100,
            ..stat
        };
        assert!(fat.is_unchanged(&FileStat { inode: 99, ..fat }));
    }
}
