//! Segments as the database names them.

use std::path::{Path, PathBuf};

use super::mark::Mark;
use crate::error::{Error, Result};

/// A segment as the database names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredSegment {
    pub number: i64,
    /// The file's name.
    pub name: String,
    /// The first number of the images that it may hold.
    pub first: i64,
    /// The last.
    pub last: i64,
    /// How many it holds.
    pub images: usize,
    /// How its file was when it was last found to be sound.
    pub verified: Mark,
}

impl StoredSegment {
    /// The folder of segments in an index.
    pub fn folder(dir: &Path) -> PathBuf {
        dir.join("segments")
    }

    pub fn name_of(number: i64) -> String {
        format!("{number:06}.segment")
    }

    /// Whether a file of this name is one that we make: a segment, or one that is being written.
    pub fn is_name(name: &str) -> bool {
        let number = name
            .strip_suffix(".segment")
            .or_else(|| name.strip_suffix(".new"));
        number.is_some_and(|number| {
            number.len() >= 6 && number.bytes().all(|byte| byte.is_ascii_digit())
        })
    }

    pub fn path(&self, dir: &Path) -> PathBuf {
        Self::folder(dir).join(&self.name)
    }
}

/// The files in a folder, with their sizes.
pub(super) fn file_sizes(dir: &Path) -> Result<Vec<(std::ffi::OsString, u64)>> {
    let fail = |source| Error::io("list", dir, source);
    let mut sizes = Vec::new();
    let listed = match std::fs::read_dir(dir) {
        // What is derived may be deleted; it is made again.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(sizes),
        listed => listed.map_err(fail)?,
    };
    for entry in listed {
        let entry = entry.map_err(fail)?;
        match entry.metadata() {
            Ok(metadata) if metadata.is_file() => {
                sizes.push((entry.file_name(), metadata.len()));
            }
            Ok(_) => {}
            // Folded away as it was being looked at.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(fail(error)),
        }
    }
    Ok(sizes)
}
