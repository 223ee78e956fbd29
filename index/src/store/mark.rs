//! Marks of files: what shows, without reading one, that it is still the same.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;

/// Size and times of a file. All zero if nothing is known of it, which no file is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Mark {
    pub size: i64,
    /// When its content was changed, in nanoseconds since 1970.
    pub mtime_ns: i64,
    /// When anything about it was changed, which no program can set; 0 if the system has none.
    pub ctime_ns: i64,
}

impl Mark {
    /// Returns the mark of a file that is open.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn of(file: &File) -> io::Result<Self> {
        Ok(Self::from(&file.metadata()?))
    }

    /// Returns the mark of a file; none if there is none or the system does not say.
    pub fn at(path: &Path) -> Option<Self> {
        Some(Self::from(&std::fs::metadata(path).ok()?))
    }

    /// Returns whether a file of this mark is the one that was `verified`.
    pub fn is(&self, verified: &Self) -> bool {
        *verified != Self::default() && self == verified
    }
}

impl From<&Metadata> for Mark {
    fn from(metadata: &Metadata) -> Self {
        Self {
            size: metadata.len().cast_signed(),
            mtime_ns: mtime_ns(metadata),
            ctime_ns: ctime_ns(metadata),
        }
    }
}

#[cfg(unix)]
fn mtime_ns(metadata: &Metadata) -> i64 {
    use std::os::unix::fs::MetadataExt;
    nanoseconds(metadata.mtime(), metadata.mtime_nsec())
}

#[cfg(unix)]
fn ctime_ns(metadata: &Metadata) -> i64 {
    use std::os::unix::fs::MetadataExt;
    nanoseconds(metadata.ctime(), metadata.ctime_nsec())
}

#[cfg(unix)]
fn nanoseconds(seconds: i64, nanoseconds: i64) -> i64 {
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(nanoseconds)
}

#[cfg(not(unix))]
fn mtime_ns(metadata: &Metadata) -> i64 {
    let since = metadata
        .modified()
        .ok()
        .and_then(|modified| modified.duration_since(std::time::UNIX_EPOCH).ok());
    since.map_or(0, |since| {
        i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
    })
}

#[cfg(not(unix))]
fn ctime_ns(_: &Metadata) -> i64 {
    0
}

/// Returns which file lies under a path: another one if it was replaced. None if there is none, or
/// the system does not number files.
#[cfg(unix)]
pub(crate) fn identity(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
pub(crate) fn identity(_: &Path) -> Option<(u64, u64)> {
    None
}
