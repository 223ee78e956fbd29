//! What an index needs beside images: that what it holds is checked and mended.

use std::path::Path;

use imgsearch_index::{Index, Repaired, Writer};

use crate::error::Result;
use crate::library::Library;
use crate::library::encoder_copy;

impl Library {
    /// What is wrong with the copy of its encoder that the index in `dir` keeps; none where it is
    /// whole.
    ///
    /// # Errors
    ///
    /// Where there is no index in `dir`, or it cannot be read.
    pub fn check_kept_encoder(dir: impl AsRef<Path>) -> Result<Option<String>> {
        let dir = dir.as_ref();
        Ok(encoder_copy::wrong(dir, Index::open(dir)?.encoder()))
    }

    /// Writes the copy of its encoder in the index in `dir` again where it is damaged or missing and
    /// the built-in encoder made the index; whether there is a sound one now.
    ///
    /// # Errors
    ///
    /// Where there is no index in `dir`, another process writes to it, or the file cannot be
    /// written.
    pub fn mend_kept_encoder(dir: impl AsRef<Path>) -> Result<bool> {
        let dir = dir.as_ref();
        let writer = Writer::open_existing(dir)?;
        let record = writer.encoder();
        Ok(encoder_copy::wrong(dir, record).is_none() || encoder_copy::restore(dir, record)?)
    }

    /// Deals with stored codes that do not match their checksums: see
    /// [`Writer::repair`](imgsearch_index::Writer::repair).
    ///
    /// # Errors
    ///
    /// Where there is no index in `dir`, another process writes to it, or it cannot be written.
    pub fn mend(dir: impl AsRef<Path>) -> Result<Repaired> {
        Ok(Writer::open_existing(dir.as_ref())?.repair()?)
    }
}
