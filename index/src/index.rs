//! The index as it is searched.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use crate::error::{Error, Result};
use crate::search::{Neighbour, Query, SearchParams, Searcher};
use crate::store::reader::Reader;
use crate::store::types::{EncoderRecord, Image, ImageId, Label};
use crate::store::writer::check_encoder;

/// An index, opened to be searched. Each search sees what was committed before it; a
/// [`Searcher`] is a view of one instant. If the folder's files are replaced, or a read-only
/// folder is written to after all, the next search sees that, too.
///
/// It may be shared between threads.
#[derive(Debug)]
pub struct Index {
    dir: PathBuf,
    encoder: EncoderRecord,
    reader: Mutex<Reader>,
    /// More connections for rows, if several threads look them up at once.
    spare: Mutex<Vec<Reader>>,
    /// How often the database was opened again because it was no longer the same.
    renewed: AtomicUsize,
    view: Mutex<Option<NewestView>>,
}

/// The newest view, and the commit that it was found to be up to date with.
#[derive(Debug)]
struct NewestView {
    searcher: Arc<Searcher>,
    version: i64,
    /// How often the database had been opened again by then.
    renewed: usize,
}

/// Connections for rows that are kept, in addition to the one that every index has.
const MAX_SPARE: usize = 8;

/// Attempts to open a view, if segments are folded away while it is opened.
const ATTEMPTS: usize = 4;

impl Index {
    /// Opens the index in `dir`. Codes that are not in a segment are loaded at the first search.
    ///
    /// # Errors
    ///
    /// [`Error::IndexNotFound`](crate::Error::IndexNotFound) if there is none,
    /// [`Error::NewerFormat`](crate::Error::NewerFormat) if a newer version wrote it,
    /// [`Error::Corrupt`](crate::Error::Corrupt) if it is no database.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        let dir = dir.as_ref();
        let reader = Reader::open(dir)?;
        Ok(Self {
            dir: dir.to_owned(),
            encoder: reader.encoder()?,
            reader: Mutex::new(reader),
            spare: Mutex::default(),
            renewed: AtomicUsize::new(0),
            view: Mutex::new(None),
        })
    }

    /// Returns the folder that holds the index.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the encoder that made the codes.
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

    /// Returns a view of what is committed now.
    ///
    /// # Errors
    ///
    /// If the database fails; [`Error::NewerSegment`](crate::Error::NewerSegment);
    /// [`Error::EncoderMismatch`](crate::Error::EncoderMismatch) if the codes were replaced by
    /// another encoder's since it was opened: [`Index::refresh`] takes to those.
    pub fn searcher(&self) -> Result<Arc<Searcher>> {
        for _ in 1..ATTEMPTS {
            match self.newest() {
                Err(Error::Changed { .. }) => {}
                newest => return newest,
            }
        }
        self.newest()
    }

    /// See [`Index::searcher`]; [`Error::Changed`] if files that no lock guards changed meanwhile.
    fn newest(&self) -> Result<Arc<Searcher>> {
        let mut view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        let (version, generation, renewed) = {
            let reader = self.reader()?;
            let renewed = self.renewed.load(Ordering::Relaxed);
            // What was seen of a database that was replaced says nothing about the new one.
            if view.as_ref().is_some_and(|view| view.renewed != renewed) {
                *view = None;
            }
            let version = reader.data_version()?;
            if let Some(view) = &*view
                && view.version == version
                && view.searcher.damage().is_none()
            {
                return Ok(Arc::clone(&view.searcher));
            }
            (version, reader.generation()?, renewed)
        };
        if let Some(view) = &mut *view
            && view.searcher.generation() == generation
            && view.searcher.damage().is_none()
        {
            view.version = version;
            return Ok(Arc::clone(&view.searcher));
        }
        let before = view.as_ref().map(|view| &*view.searcher);
        let open = || {
            let opened = Searcher::open(self.to_reader()?, before);
            // What looks like damage may be two states of the files, too.
            self.lock().still_holds()?;
            opened
        };
        let mut searcher = open()?;
        for _ in 1..ATTEMPTS {
            // A segment that is not there may have been folded away since its name was read.
            let over = searcher.notes().is_empty()
                || self.reader()?.generation()? == searcher.generation();
            if over {
                break;
            }
            searcher = open()?;
        }
        self.check_encoder(searcher.encoder())?;
        searcher.verify_meanwhile();
        let searcher = Arc::new(searcher);
        *view = Some(NewestView {
            searcher: Arc::clone(&searcher),
            version,
            renewed,
        });
        Ok(searcher)
    }

    /// Returns the number of images.
    ///
    /// # Errors
    ///
    /// As [`Index::searcher`].
    pub fn len(&self) -> Result<usize> {
        Ok(self.searcher()?.len())
    }

    /// Returns whether there is no image.
    ///
    /// # Errors
    ///
    /// As [`Index::searcher`].
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.searcher()?.is_empty())
    }

    /// Returns the `k` images whose codes are nearest to `code`, nearest first, ties by id; fewer if
    /// there are fewer.
    ///
    /// # Errors
    ///
    /// As [`Index::searcher`] and [`Searcher::nearest`].
    pub fn nearest(&self, code: &[f32], k: usize) -> Result<Vec<Neighbour>> {
        self.searcher()?.nearest(code, k)
    }

    /// Returns the nearest images by code, by hash or by both.
    ///
    /// # Errors
    ///
    /// As [`Index::searcher`] and [`Searcher::search`].
    pub fn search(&self, query: &Query<'_>, params: &SearchParams) -> Result<Vec<Neighbour>> {
        self.searcher()?.search(query, params)
    }

    /// Returns all images whose hashes differ from `hash` in at most `radius` bits, nearest first,
    /// ties by id.
    ///
    /// # Errors
    ///
    /// As [`Index::searcher`] and [`Searcher::within_hamming`].
    pub fn within_hamming(&self, hash: &[u8], radius: u32) -> Result<Vec<Neighbour>> {
        self.searcher()?.within_hamming(hash, radius)
    }

    /// Returns an image, or `None` if it was removed meanwhile.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn image(&self, id: ImageId) -> Result<Option<Image>> {
        self.lookup(|reader| reader.image(id))
    }

    /// Returns several images, in the order of their ids as given.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn images(&self, ids: &[ImageId]) -> Result<Vec<Option<Image>>> {
        // In one transaction: beginning one takes longer than looking up a row.
        self.lookup(|reader| {
            reader.at_one_instant(|| ids.iter().map(|&id| reader.image(id)).collect())
        })
    }

    /// Returns the labels of several images, in the order of their ids as given, each with the most likely first.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn labels(&self, ids: &[ImageId]) -> Result<Vec<Vec<Label>>> {
        self.lookup(|reader| {
            reader.at_one_instant(|| ids.iter().map(|&id| reader.labels(id)).collect())
        })
    }

    /// Returns a fact about the collection, or `None` if it was never set.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn fact(&self, name: &str) -> Result<Option<String>> {
        self.reader()?.fact(name)
    }

    /// Returns a reader of everything else that is stored.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn to_reader(&self) -> Result<Reader> {
        self.reader()?.try_clone()
    }

    /// Switches to the codes of another encoder, if those before were replaced.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn refresh(&mut self) -> Result<()> {
        let encoder = self.reader()?.encoder()?;
        self.encoder = encoder;
        self.view = Mutex::new(None);
        Ok(())
    }

    /// Reads rows. A thread that comes while another reads takes a connection of its own, which is kept for the
    /// next.
    fn lookup<T>(&self, read: impl FnOnce(&Reader) -> Result<T>) -> Result<T> {
        match self.reader.try_lock() {
            Ok(reader) => return read(&*self.renewed(reader)?),
            Err(TryLockError::Poisoned(poisoned)) => {
                return read(&*self.renewed(poisoned.into_inner())?);
            }
            Err(TryLockError::WouldBlock) => {}
        }
        let spare = || self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = spare().pop();
        let mut reader = match taken {
            Some(reader) => reader,
            None => Reader::open(&self.dir)?,
        };
        reader.renew()?;
        let read = read(&reader);
        let mut spare = spare();
        if spare.len() < MAX_SPARE {
            spare.push(reader);
        }
        read
    }

    /// Returns the reader, of the database that lies there now.
    fn reader(&self) -> Result<MutexGuard<'_, Reader>> {
        self.renewed(self.lock())
    }

    fn renewed<'a>(&self, mut reader: MutexGuard<'a, Reader>) -> Result<MutexGuard<'a, Reader>> {
        if reader.renew()? {
            self.renewed.fetch_add(1, Ordering::Relaxed);
        }
        Ok(reader)
    }

    /// Returns the reader as it was opened last.
    fn lock(&self) -> MutexGuard<'_, Reader> {
        // A panic in another thread leaves a reader as it was.
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
