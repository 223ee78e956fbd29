//! A trash that no program can list, or a build without the trash: a person has to bring files back.

use std::io;
use std::path::Path;

use imgsearch_index::Digest;

use super::Why;

/// Nothing is known of the trash.
#[derive(Debug)]
pub(in super::super) enum Rubbish {}

/// Nothing is ever found.
#[derive(Debug)]
pub(in super::super) enum Discarded {}

impl Rubbish {
    /// Refuses.
    ///
    /// # Errors
    ///
    /// Always.
    pub fn list() -> Result<Self, Why> {
        Err(Why::Refused(
            "this program cannot look into the trash here; bring the file back by hand".to_owned(),
        ))
    }

    /// Cannot be called.
    pub fn find(&self, _: &Path, _: &Digest) -> Option<Discarded> {
        match *self {}
    }
}

impl Discarded {
    /// Cannot be called.
    ///
    /// # Errors
    ///
    /// Never.
    pub fn restore(self, _: &Path, _: &Path, _: &Digest) -> io::Result<()> {
        match self {}
    }

    /// Cannot be called.
    pub fn finish(self, _: &Path) {
        match self {}
    }
}
