//! What an index needs in addition to images: fast search, and repair of what is damaged.

use imgsearch_index::{FoldOptions, Folded, Repaired};

use super::{Library, encoder_copy, reencode};
use crate::error::Result;
use crate::indexing;
use crate::progress::Progress;

impl Library {
    /// Makes searching fast: folds new images into segments, however few they are, and removed ones out
    /// of them. [`Library::index`] does this by itself once there are many.
    ///
    /// # Errors
    ///
    /// If there is no index, another process writes to it, or a segment cannot be written. The index
    /// then keeps the segments that it has.
    pub fn optimize(&mut self, options: &FoldOptions, progress: &dyn Progress) -> Result<Folded> {
        let mut writer = self.writer()?;
        indexing::fold(&mut writer, options, progress)
    }

    /// Returns whether [`Indexer::reencode`](crate::Indexer::reencode) was started and has not finished.
    pub fn has_unfinished_reencoding(&self) -> bool {
        reencode::is_unfinished(&self.dir)
    }

    /// Returns what is wrong with the index's copy of its encoder, or `None` if it is intact.
    ///
    /// # Errors
    ///
    /// If there is no index, or it cannot be read.
    pub fn check_encoder_copy(&self) -> Result<Option<String>> {
        Ok(encoder_copy::problem(
            &self.dir,
            self.index_view()?.encoder(),
        ))
    }

    /// Writes the index's copy of its encoder again if it is damaged or missing and the built-in encoder
    /// made the index. Returns whether the copy is intact now.
    ///
    /// # Errors
    ///
    /// If there is no index, another process writes to it, or the file cannot be written.
    pub fn repair_encoder_copy(&mut self) -> Result<bool> {
        let writer = self.writer()?;
        let record = writer.encoder();
        Ok(encoder_copy::problem(&self.dir, record).is_none()
            || encoder_copy::restore(&self.dir, record)?)
    }

    /// Repairs stored codes that do not match their checksums: see
    /// [`Writer::repair`](imgsearch_index::Writer::repair).
    ///
    /// # Errors
    ///
    /// If there is no index, another process writes to it, or it cannot be written.
    pub fn repair_codes(&mut self) -> Result<Repaired> {
        Ok(self.writer()?.repair()?)
    }
}
