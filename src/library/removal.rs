//! Forgetting images on request, and bringing them back.

use std::path::{Path, PathBuf};

use imgsearch_index::{Reader, Restored, Trashed, Writer};

use super::Library;
use crate::error::Result;
use crate::indexing::walk::Names;

impl Library {
    /// Forgets the images at and below `paths`, whether their files exist or not, and returns their
    /// number. [`Library::restore`] brings them back for
    /// [`TRASH_DAYS`](imgsearch_index::TRASH_DAYS) days; a collection on a server forgets them for good.
    ///
    /// # Errors
    ///
    /// If there is no index, another process writes to it, or it cannot be written.
    pub fn remove<P: AsRef<Path>>(&mut self, paths: impl IntoIterator<Item = P>) -> Result<usize> {
        if let Some(collection) = &self.shared {
            return self.remove_shared(&**collection, paths);
        }
        self.forget(paths, |writer, path| writer.discard_under(path))
    }

    /// Forgets the images at and below `paths` for good, including those that were removed before, and
    /// returns their number. Segments hold their codes until [`Library::optimize`] rebuilds them.
    ///
    /// # Errors
    ///
    /// As [`Library::remove`].
    pub fn remove_forever<P: AsRef<Path>>(
        &mut self,
        paths: impl IntoIterator<Item = P>,
    ) -> Result<usize> {
        if let Some(collection) = &self.shared {
            return self.remove_shared(&**collection, paths);
        }
        self.forget(paths, |writer, path| writer.remove_under(path))
    }

    fn forget<P: AsRef<Path>>(
        &mut self,
        paths: impl IntoIterator<Item = P>,
        forget: impl Fn(&mut Writer, &Path) -> imgsearch_index::Result<usize>,
    ) -> Result<usize> {
        let mut writer = self.writer()?;
        let reader = writer.reader()?;
        let names = Names::of(&reader)?;
        let mut removed = 0;
        for path in paths {
            removed += forget(&mut writer, &names.stored(path.as_ref())?)?;
        }
        Ok(removed)
    }

    /// Returns the removed images that [`Library::restore`] would bring back, sorted by path: those at
    /// and below `paths`, or all if `paths` is empty.
    ///
    /// # Errors
    ///
    /// If there is no index, or it cannot be read.
    pub fn trash(&self, paths: &[PathBuf]) -> Result<Vec<Trashed>> {
        self.needs_folder()?;
        let reader = Reader::open(&self.dir)?;
        let names = Names::of(&reader)?;
        let wanted = paths
            .iter()
            .map(|path| names.stored(path))
            .collect::<Result<Vec<_>>>()?;
        let mut trash = reader.trash()?;
        trash.retain(|one| {
            wanted.is_empty() || wanted.iter().any(|path| one.path.starts_with(path))
        });
        Ok(trash)
    }

    /// Brings back removed images: those at and below `paths`, or all if `paths` is empty. They get new
    /// ids. An image is not restored if another one is stored under its path by now.
    ///
    /// # Errors
    ///
    /// As [`Library::remove`].
    pub fn restore(&mut self, paths: &[PathBuf]) -> Result<Restored> {
        let mut writer = self.writer()?;
        if paths.is_empty() {
            return Ok(writer.restore(None)?);
        }
        let reader = writer.reader()?;
        let names = Names::of(&reader)?;
        let mut all = Restored::default();
        for path in paths {
            let restored = writer.restore(Some(&names.stored(path)?))?;
            all.images += restored.images;
            all.stored_again.extend(restored.stored_again);
        }
        Ok(all)
    }
}
