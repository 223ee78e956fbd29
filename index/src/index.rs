//! The index as it is searched.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::error::Result;
use crate::reader::Reader;
use crate::search::{self, Neighbour, Query, SearchParams};
use crate::types::{EncoderRecord, Image, ImageId};
use crate::vectors::{LoadError, Vectors};
use crate::writer::check_encoder;

/// An index, opened to be searched. It shows the images as they were when it was first searched,
/// whatever is written meanwhile, until [`Index::refresh`].
///
/// It may be shared between threads.
#[derive(Debug)]
pub struct Index {
    dir: PathBuf,
    encoder: EncoderRecord,
    reader: Mutex<Reader>,
    vectors: OnceLock<Vectors>,
}

impl Index {
    /// Opens the index in `dir`. Codes are loaded at the first search.
    ///
    /// # Errors
    ///
    /// [`Error::NoIndex`](crate::Error::NoIndex) where there is none,
    /// [`Error::NewerFormat`](crate::Error::NewerFormat) where a newer version wrote it,
    /// [`Error::Corrupt`](crate::Error::Corrupt) where it is no database.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        let dir = dir.as_ref();
        let reader = Reader::open(dir)?;
        Ok(Self {
            dir: dir.to_owned(),
            encoder: reader.encoder()?,
            reader: Mutex::new(reader),
            vectors: OnceLock::new(),
        })
    }

    /// The folder that holds the index.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The encoder that made the codes.
    pub fn encoder(&self) -> &EncoderRecord {
        &self.encoder
    }

    /// Refuses an encoder whose codes cannot be compared with the stored ones.
    ///
    /// # Errors
    ///
    /// [`Error::EncoderMismatch`](crate::Error::EncoderMismatch).
    pub fn check_encoder(&self, given: &EncoderRecord) -> Result<()> {
        check_encoder(&self.dir, &self.encoder, given)
    }

    /// How many images it shows.
    ///
    /// # Errors
    ///
    /// What the database says, as codes are loaded;
    /// [`Error::EncoderMismatch`](crate::Error::EncoderMismatch) where they were replaced by
    /// another encoder's since it was opened: [`Index::refresh`] shows those.
    pub fn len(&self) -> Result<usize> {
        Ok(self.vectors()?.len())
    }

    /// Whether it shows no image.
    ///
    /// # Errors
    ///
    /// As [`Index::len`].
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// The `k` images whose codes are nearest to `code`, nearest first, ties by id; fewer where
    /// there are fewer.
    ///
    /// # Errors
    ///
    /// [`Error::BadInput`](crate::Error::BadInput) where `k` is 0 or `code` is not
    /// [`code_len`](EncoderRecord::code_len) finite numbers.
    pub fn nearest(&self, code: &[f32], k: usize) -> Result<Vec<Neighbour>> {
        self.search(&Query { code, hash: None }, &SearchParams::new(k))
    }

    /// The nearest images by code, by hash or by both.
    ///
    /// # Errors
    ///
    /// As [`Index::nearest`], and where a hash is needed and missing or of another length.
    pub fn search(&self, query: &Query<'_>, params: &SearchParams) -> Result<Vec<Neighbour>> {
        search::search(self.vectors()?, &self.encoder, query, params)
    }

    /// All images whose hashes differ from `hash` in at most `radius` bits, nearest first, ties
    /// by id.
    ///
    /// # Errors
    ///
    /// Where the hash is not of the index's length.
    pub fn within_hamming(&self, hash: &[u8], radius: u32) -> Result<Vec<Neighbour>> {
        search::within_hamming(self.vectors()?, &self.encoder, hash, radius)
    }

    /// What is known of an image; none where it was removed meanwhile.
    ///
    /// # Errors
    ///
    /// What the database says.
    pub fn image(&self, id: ImageId) -> Result<Option<Image>> {
        self.reader().image(id)
    }

    /// What is known of several images, in their order.
    ///
    /// # Errors
    ///
    /// What the database says.
    pub fn images(&self, ids: &[ImageId]) -> Result<Vec<Option<Image>>> {
        let reader = self.reader();
        ids.iter().map(|&id| reader.image(id)).collect()
    }

    /// A reader of everything else that is stored.
    ///
    /// # Errors
    ///
    /// What the database says.
    pub fn to_reader(&self) -> Result<Reader> {
        self.reader().try_clone()
    }

    /// Shows what was committed since, codes of another encoder included.
    ///
    /// # Errors
    ///
    /// What the database says.
    pub fn refresh(&mut self) -> Result<()> {
        let encoder = self.reader().encoder()?;
        self.encoder = encoder;
        self.vectors = OnceLock::new();
        Ok(())
    }

    fn reader(&self) -> MutexGuard<'_, Reader> {
        // A panic in another thread leaves a reader as it was.
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn vectors(&self) -> Result<&Vectors> {
        if let Some(vectors) = self.vectors.get() {
            return Ok(vectors);
        }
        let reader = self.reader();
        // One snapshot of the database for both: the encoder may have been replaced since.
        let snapshot = reader
            .connection
            .unchecked_transaction()
            .map_err(|source| reader.fail(source))?;
        self.check_encoder(&reader.encoder()?)?;
        let vectors = Vectors::load(&snapshot, &self.encoder).map_err(|error| match error {
            LoadError::Database(source) => reader.fail(source),
            LoadError::Corrupt(what) => reader.corrupt(what),
        })?;
        Ok(self.vectors.get_or_init(|| vectors))
    }
}
