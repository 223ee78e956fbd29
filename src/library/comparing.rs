//! What of some files is not in the index.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use imgsearch_index::{Digest, KnownPath, RankBy, SearchParams, Searcher};

use super::Library;
use crate::decode::{Limits, Source};
use crate::duplicates::compare::{Compared, NEAREST, Others, Presence, look_in};
use crate::encode::engine::{Encoded, Engine};
use crate::error::Result;
use crate::progress::Progress;

impl Library {
    /// Looks for each of `files` in the index, by content and by picture, and reports it in the order of the files. The
    /// indexed files need not be in reach; only with them, an edited copy can be told from another shot of the same
    /// scene. Pictures that are at least `threshold` similar count as the same, if one is given, from 0 to 1. Images that
    /// were indexed from one of `files` do not count: such a file is not there because of itself.
    ///
    /// # Errors
    ///
    /// If there is no index, or it cannot be read; the errors of the encoder, and
    /// [`Error::Interrupted`](crate::Error::Interrupted).
    pub fn compare_files(
        &self,
        files: &[PathBuf],
        threshold: Option<f32>,
        progress: &dyn Progress,
        report: &mut dyn FnMut(&Path, &Presence),
    ) -> Result<Compared> {
        let mut stored = Stored {
            library: self,
            searcher: None,
            own: own_paths(files),
        };
        look_in(
            self.engine()?,
            files,
            &mut stored,
            threshold,
            progress,
            report,
        )
    }
}

/// The nearest images among which are some that do not come from the asked files.
const ENOUGH: usize = 16 * NEAREST;

/// The images of an index.
struct Stored<'a> {
    library: &'a Library,
    searcher: Option<Arc<Searcher>>,
    /// The paths of the asked files.
    own: HashSet<PathBuf>,
}

/// Returns the paths of files, as given and without links.
fn own_paths(files: &[PathBuf]) -> HashSet<PathBuf> {
    let real = files.iter().filter_map(|path| fs::canonicalize(path).ok());
    real.chain(files.iter().cloned()).collect()
}

impl Others for Stored<'_> {
    fn places(&self, digests: &[Digest]) -> Result<Vec<Option<PathBuf>>> {
        let reader = self.library.index_view()?.to_reader()?;
        let place = |digest| {
            let images = reader.images_with(digest, i32::MAX as usize)?;
            let mut paths = images.into_iter().map(|image| image.path);
            Ok(paths.find(|path| !self.own.contains(path)))
        };
        digests.iter().map(place).collect()
    }

    fn prepare(&mut self, _: &Engine, _: &dyn Progress) -> Result<()> {
        self.searcher = Some(self.library.index_view()?.searcher()?);
        Ok(())
    }

    fn nearest(&self, _: &Engine, asked: &Encoded) -> Result<Vec<(PathBuf, f32, u32)>> {
        let Some(searcher) = self.searcher.as_ref().filter(|view| !view.is_empty()) else {
            return Ok(Vec::new());
        };
        let params = SearchParams::new(ENOUGH).by(RankBy::Both);
        let found = searcher.search(&asked.query(), &params)?;
        let ids: Vec<_> = found.iter().map(|found| found.id).collect();
        let images = self.library.index_view()?.images(&ids)?;
        let near = found.into_iter().zip(images).filter_map(|(found, image)| {
            let bits = found.hamming.unwrap_or(0);
            let path = image?.path;
            (!self.own.contains(&path)).then_some((path, found.distance, bits))
        });
        Ok(near.take(NEAREST).collect())
    }

    fn open(&self, path: &Path, limits: &Limits) -> Result<Option<Source>> {
        let reader = self.library.index_view()?.to_reader()?;
        let Some(KnownPath::Image(image)) = reader.by_path(path)? else {
            return Ok(None);
        };
        let file = self.library.open_image(&image).ok();
        Ok(file.and_then(|file| Source::of_file(file, limits).ok()))
    }
}
