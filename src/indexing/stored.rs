//! What the index holds of the walked folders before a run, loaded once.
//!
//! The plan takes what is stored of each walked file; what remains was not walked, and pruning decides about it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use imgsearch_index::{Failure, FileStat, Image, ImageId, KnownPath, Reader};

use crate::error::Result;
use crate::indexing::walk::Walked;

/// A stored image.
#[derive(Debug)]
pub(super) struct StoredImage {
    pub id: ImageId,
    pub stat: FileStat,
    pub digest: [u8; 32],
    /// Whether its file was missing before, together with its disk or folder.
    pub away: bool,
}

impl From<&Image> for StoredImage {
    fn from(image: &Image) -> Self {
        Self {
            id: image.id,
            stat: image.stat,
            digest: image.digest,
            away: image.away_since.is_some(),
        }
    }
}

/// What is stored under one path.
#[derive(Debug)]
pub(super) enum Entry {
    Image(StoredImage),
    /// The file could not be used.
    Failed(Failure),
}

/// A stored image that the walk did not find.
#[derive(Debug)]
pub(super) struct Missing {
    pub id: ImageId,
    pub path: PathBuf,
    /// Whether it was missing before, together with its disk or folder.
    pub away: bool,
}

/// What is stored below the walked roots and has not been taken yet.
pub(super) struct Stored<'a> {
    reader: &'a Reader,
    walked: &'a Walked,
    images: HashMap<PathBuf, StoredImage>,
    failures: HashMap<PathBuf, Failure>,
}

impl<'a> Stored<'a> {
    /// Loads everything below the roots at once. A database query for each path would take several times as long.
    ///
    /// # Errors
    ///
    /// If the database cannot be read.
    pub fn load(reader: &'a Reader, walked: &'a Walked) -> Result<Self> {
        let mut images = HashMap::new();
        let mut failures = HashMap::new();
        for root in &walked.roots {
            images.extend(reader.under(root)?.into_iter().map(|image| {
                let stored = StoredImage::from(&image);
                (image.path, stored)
            }));
            let below = reader.failures_under(root)?.into_iter();
            failures.extend(below.map(|failure| (failure.path.clone(), failure)));
        }
        Ok(Self {
            reader,
            walked,
            images,
            failures,
        })
    }

    /// Takes what is stored under the path of a walked file, which need not lie below a root.
    ///
    /// # Errors
    ///
    /// If the database cannot be read.
    pub fn take(&mut self, path: &Path) -> Result<Option<Entry>> {
        let failure = self.failures.remove(path);
        if let Some(image) = self.images.remove(path) {
            return Ok(Some(Entry::Image(image)));
        }
        if let Some(failure) = failure {
            return Ok(Some(Entry::Failed(failure)));
        }
        if self.walked.covers(path) {
            return Ok(None);
        }
        Ok(match self.reader.by_path(path)? {
            Some(KnownPath::Image(image)) => Some(Entry::Image(StoredImage::from(&*image))),
            Some(KnownPath::Failed(failure)) => Some(Entry::Failed(failure)),
            _ => None,
        })
    }

    /// Returns the images that were not taken, sorted by path, and the paths of failures.
    pub fn into_left(self) -> (Vec<Missing>, Vec<PathBuf>) {
        let mut missing: Vec<Missing> = self
            .images
            .into_iter()
            .map(|(path, image)| Missing {
                id: image.id,
                path,
                away: image.away,
            })
            .collect();
        missing.sort_by(|a, b| a.path.cmp(&b.path));
        (missing, self.failures.into_keys().collect())
    }
}
