//! What a program asks of a store, whichever database holds the images.
//!
//! [`ReadStore`] and [`WriteStore`] are what commands and indexing need, [`SearchStore`] is what
//! queries need. [`Reader`], [`Writer`] and [`Index`] implement them with SQLite and segments.
//! Another store implements the same traits and passes the same tests (`src/tests/interface.rs`).
//!
//! [`Reader`]: crate::Reader
//! [`Writer`]: crate::Writer
//! [`Index`]: crate::Index

use std::path::{Path, PathBuf};

use super::reader::Reader;
use super::types::{Change, Digest, EncoderRecord, Failure, Image, ImageId, KnownPath, Run, Stats};
use super::writer::Writer;
use crate::error::Result;

/// Looks up what is stored, as of whatever is committed when a method is called.
///
/// # Errors
///
/// Every method fails if the store cannot be read.
pub trait ReadStore {
    /// Returns the encoder that made the stored codes.
    fn encoder(&self) -> Result<EncoderRecord>;

    /// Returns the image of an id, or `None` if it was removed.
    fn image(&self, id: ImageId) -> Result<Option<Image>>;

    /// Returns what is stored under a path.
    fn by_path(&self, path: &Path) -> Result<Option<KnownPath>>;

    /// Returns whether a content is stored with a sound code, so that its file need not be encoded.
    fn has_content(&self, digest: &Digest) -> Result<bool>;

    /// Returns at most `limit` images of a content.
    fn images_with(&self, digest: &Digest, limit: usize) -> Result<Vec<Image>>;

    /// Returns the images at and below a path, sorted by path.
    fn under(&self, path: &Path) -> Result<Vec<Image>>;

    /// Returns the failures at and below a path, sorted by path.
    fn failures_under(&self, path: &Path) -> Result<Vec<Failure>>;

    /// Returns the newest run of indexing.
    fn last_run(&self) -> Result<Option<Run>>;

    /// Returns the size of the store.
    fn stats(&self) -> Result<Stats>;
}

/// Changes what is stored. One writer at a time has a store.
///
/// # Errors
///
/// Every method fails if the store cannot be written. Nothing is changed then.
pub trait WriteStore {
    /// Returns applies changes together: all of them are stored when it returns, or none.
    fn apply(&mut self, changes: &[Change]) -> Result<()>;

    /// Forgets the failures whose paths `chosen` accepts. Returns their number.
    fn forget_failures(&mut self, chosen: &dyn Fn(&Path) -> bool) -> Result<usize>;

    /// Records that a run of indexing begins.
    fn begin_run(&mut self, roots: &[PathBuf]) -> Result<()>;

    /// Records that the run ended.
    fn finish_run(&mut self, counts: &serde_json::Value, completed: bool) -> Result<()>;
}

impl ReadStore for Reader {
    fn encoder(&self) -> Result<EncoderRecord> {
        self.encoder()
    }

    fn image(&self, id: ImageId) -> Result<Option<Image>> {
        self.image(id)
    }

    fn by_path(&self, path: &Path) -> Result<Option<KnownPath>> {
        self.by_path(path)
    }

    fn has_content(&self, digest: &Digest) -> Result<bool> {
        self.has_content(digest)
    }

    fn images_with(&self, digest: &Digest, limit: usize) -> Result<Vec<Image>> {
        self.images_with(digest, limit)
    }

    fn under(&self, path: &Path) -> Result<Vec<Image>> {
        self.under(path)
    }

    fn failures_under(&self, path: &Path) -> Result<Vec<Failure>> {
        self.failures_under(path)
    }

    fn last_run(&self) -> Result<Option<Run>> {
        self.last_run()
    }

    fn stats(&self) -> Result<Stats> {
        self.stats()
    }
}

impl WriteStore for Writer {
    fn apply(&mut self, changes: &[Change]) -> Result<()> {
        self.apply(changes)
    }

    fn forget_failures(&mut self, chosen: &dyn Fn(&Path) -> bool) -> Result<usize> {
        self.forget_failures(chosen)
    }

    fn begin_run(&mut self, roots: &[PathBuf]) -> Result<()> {
        self.begin_run(roots)
    }

    fn finish_run(&mut self, counts: &serde_json::Value, completed: bool) -> Result<()> {
        self.finish_run(counts, completed)
    }
}
