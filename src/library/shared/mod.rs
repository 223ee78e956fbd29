//! A library whose index is a collection on a server, shared by many machines.
//!
//! Owns what differs from an index in a folder. Everything else about a library, such as decoding and encoding, is
//! the same. The encoder is the built-in one, or the file that was given: the server keeps its record, not its file.

mod index;
mod query;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use imgsearch_engines::Options;
use imgsearch_index::collection::Collection;
use imgsearch_index::{Filter, Image, ImageId};
use imgsearch_onnx::EncoderFile;

use super::{Library, OpenOptions};
use crate::encode::engine::record_of;
use crate::error::{Error, Result};
use crate::indexing::walk::Names;

/// Images that are looked up at once.
pub(super) const PAGE: usize = 1000;

/// Returns the URL of a collection, if a place is one.
pub(super) fn url_of(place: &Path) -> Option<&str> {
    place
        .to_str()
        .filter(|text| imgsearch_engines::is_url(text))
}

/// What is known of a shared collection.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SharedStatus {
    /// Where it is, without passwords.
    pub place: String,
    /// Stored images.
    pub images: u64,
    /// Bytes that it takes at the server, if the server says it.
    pub bytes: Option<u64>,
    /// The encoder that made its codes.
    pub encoder: imgsearch_index::EncoderRecord,
}

impl Library {
    /// Opens a collection on a server.
    pub(super) fn open_shared(url: &str, options: OpenOptions) -> Result<Self> {
        let collection = imgsearch_engines::open(url, &Options::default())?;
        if let Some(file) = &options.encoder {
            file.require_codes()?;
            collection.check_encoder(&record_of(file.info()))?;
        }
        Ok(Self::on(collection, options))
    }

    /// Opens a collection on a server, and makes it if there is none.
    pub(super) fn create_shared(url: &str, mut options: OpenOptions) -> Result<Self> {
        let file = match options.encoder.take() {
            Some(file) => file,
            None => EncoderFile::default_encoder()?,
        };
        file.require_codes()?;
        let record = record_of(file.info());
        let collection = imgsearch_engines::create(url, &record, &Options::default())?;
        options.encoder = Some(file);
        Ok(Self::on(collection, options))
    }

    fn on(collection: Arc<dyn Collection>, options: OpenOptions) -> Self {
        let place = PathBuf::from(collection.place());
        let mut library = Self::assemble(&place, options, None);
        library.shared = Some(collection);
        library
    }

    /// Returns the collection on a server that this library searches; `None` if its index is in a folder.
    pub fn collection(&self) -> Option<&dyn Collection> {
        self.shared.as_deref()
    }

    /// Returns an error if the index is not in a folder.
    pub(super) fn needs_folder(&self) -> Result<()> {
        match &self.shared {
            Some(collection) => Err(Error::NeedsFolder {
                place: collection.place().to_owned(),
            }),
            None => Ok(()),
        }
    }

    /// Returns the file of the encoder that made a collection.
    pub(super) fn encoder_of(&self, collection: &dyn Collection) -> Result<EncoderFile> {
        let file = EncoderFile::default_encoder()?;
        collection.check_encoder(&record_of(file.info()))?;
        Ok(file)
    }

    /// Returns what is known of the collection on a server; `None` if the index is in a folder.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached.
    pub fn shared_status(&self) -> Result<Option<SharedStatus>> {
        let Some(collection) = &self.shared else {
            return Ok(None);
        };
        Ok(Some(SharedStatus {
            place: collection.place().to_owned(),
            images: collection.count(&Filter::default())?,
            bytes: collection.bytes()?,
            encoder: collection.encoder().clone(),
        }))
    }

    /// Returns a stored image, or `None` if it is not stored.
    ///
    /// # Errors
    ///
    /// If nothing has been indexed yet, or the index cannot be read.
    pub fn image(&self, id: ImageId) -> Result<Option<Image>> {
        Ok(match &self.shared {
            Some(collection) => collection.images(&[id])?.into_iter().next().flatten(),
            None => self.index_view()?.image(id)?,
        })
    }

    /// Forgets the images at and below paths, page by page.
    pub(super) fn remove_shared<P: AsRef<Path>>(
        &self,
        collection: &dyn Collection,
        paths: impl IntoIterator<Item = P>,
    ) -> Result<usize> {
        let names = Names::without_index();
        let mut removed = 0;
        for path in paths {
            let path = names.stored(path.as_ref())?;
            let mut after = None;
            loop {
                let page = collection.under(&path, after, PAGE)?;
                let ids: Vec<ImageId> = page.iter().map(|image| image.id).collect();
                after = ids.last().copied();
                if after.is_none() {
                    break;
                }
                removed += collection.remove(&ids)?;
            }
        }
        Ok(removed)
    }
}
