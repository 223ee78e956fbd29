//! Files that were read just now: whether a path still has the content that was indexed.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::Path;

use imgsearch_index::{Digest, FileStat};

use super::Why;
use crate::indexing::walk::stat_of;

/// A file whose content was verified, and what the system said of it then.
#[derive(Debug)]
pub(super) struct Checked {
    stat: FileStat,
    pub metadata: Metadata,
}

impl Checked {
    /// Reads the file at `path` and compares its content.
    ///
    /// # Errors
    ///
    /// The reason why it is not a plain file of this content.
    pub fn read(path: &Path, digest: &Digest) -> Result<Self, Why> {
        let there = plain(path)?;
        if digest_of(path).map_err(|error| Why::refused(&error))? != *digest {
            return Err(Why::Changed);
        }
        // Whoever wrote to it meanwhile may have changed what was read before.
        let metadata = plain(path)?;
        let stat = stat_of(&metadata);
        if !stat_of(&there).is_unchanged(&stat) {
            return Err(Why::Changed);
        }
        Ok(Self { stat, metadata })
    }

    /// Returns an error if anything speaks for a change since it was read.
    ///
    /// # Errors
    ///
    /// The reason why it is not the file that was read.
    pub fn still(&self, path: &Path) -> Result<(), Why> {
        if self.stat.is_unchanged(&stat_of(&plain(path)?)) {
            Ok(())
        } else {
            Err(Why::Changed)
        }
    }

    /// Takes over what the system says of a file after we gave it one more name, which changes its change time only.
    pub fn linked(&mut self, path: &Path) {
        if let Ok(metadata) = plain(path) {
            let now = stat_of(&metadata);
            if self.stat.same_size_and_date(&now) && self.stat.inode == now.inode {
                self.stat = now;
                self.metadata = metadata;
            }
        }
    }

    pub fn stat(&self) -> FileStat {
        self.stat
    }
}

/// Returns what the system says of a file that is neither a link nor a folder.
pub(super) fn plain(path: &Path) -> Result<Metadata, Why> {
    let metadata = fs::symlink_metadata(path).map_err(|error| Why::refused(&error))?;
    if metadata.is_symlink() {
        Err(Why::Link)
    } else if metadata.is_file() {
        Ok(metadata)
    } else {
        Err(Why::NotAFile)
    }
}

/// Returns BLAKE3 of a file.
pub(super) fn digest_of(path: &Path) -> io::Result<Digest> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path)?)?;
    Ok(*hasher.finalize().as_bytes())
}

/// Returns whether the file at `path` has a content.
pub(super) fn holds(path: &Path, digest: &Digest) -> bool {
    plain(path).is_ok() && digest_of(path).is_ok_and(|there| there == *digest)
}

/// Returns whether two paths lead to one file.
pub(super) fn is_same_file(one: &Path, other: &Path) -> bool {
    same_file::is_same_file(one, other).unwrap_or(false)
}
