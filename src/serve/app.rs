//! What all requests share: the library, which is opened when it is there, and bounds for what costs much.

use std::error::Error as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use imgsearch::{Error, Library, OpenOptions, index};
use tokio::sync::watch;

use super::browse::Dates;
use super::describe::Status;
use super::duplicates::FoundGroups;
use super::map::Maps;
use super::problem::{Problem, Result};
use super::snapshots::Snapshots;
use super::thumbnails::Thumbnails;
use super::work::Turns;

/// Uploads that wait at most, and thumbnails.
const UPLOADS: usize = 64;
const THUMBNAILS: usize = 1000;

/// Says what to do about an error.
pub type Hint = dyn Fn(&Error) -> Option<String> + Send + Sync;

/// Returns how the library is opened.
pub type Opening = dyn Fn() -> OpenOptions + Send + Sync;

/// What all requests share.
pub struct App {
    /// The folder of the index.
    pub dir: PathBuf,
    opening: Box<Opening>,
    hint: Box<Hint>,
    library: RwLock<Option<Arc<Library>>>,
    /// Uploads that are decoded at once.
    pub encoders: Turns,
    /// Thumbnails that are made at once.
    pub painters: Turns,
    pub thumbnails: Thumbnails,
    pub snapshots: Snapshots,
    pub dates: Mutex<Option<Arc<Dates>>>,
    pub duplicates: FoundGroups,
    pub maps: Maps,
    /// The state of the index, renewed while somebody listens.
    status: watch::Receiver<Option<Status>>,
    /// The maximum bytes of an upload.
    pub max_upload: u64,
    /// Whether files can be shown in the file manager of this machine.
    pub local: bool,
}

impl App {
    pub fn new(
        dir: PathBuf,
        opening: Box<Opening>,
        hint: Box<Hint>,
        thumbnails: Thumbnails,
        status: watch::Receiver<Option<Status>>,
        (max_upload, local): (u64, bool),
    ) -> Self {
        Self {
            dir,
            opening,
            hint,
            library: RwLock::new(None),
            encoders: Turns::per_core(UPLOADS),
            painters: Turns::per_core(THUMBNAILS),
            thumbnails,
            snapshots: Snapshots::default(),
            dates: Mutex::new(None),
            duplicates: FoundGroups::default(),
            maps: Maps::default(),
            status,
            max_upload,
            local,
        }
    }

    /// Returns the library, opened if it was not.
    fn library(&self) -> Result<Arc<Library>, Error> {
        let opened = self.library.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(library) = &*opened {
            return Ok(Arc::clone(library));
        }
        drop(opened);
        let mut slot = self.library.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(library) = &*slot {
            return Ok(Arc::clone(library));
        }
        let library = Arc::new(Library::open_with(&self.dir, (self.opening)())?);
        *slot = Some(Arc::clone(&library));
        Ok(library)
    }

    /// Does something with the library. It is opened again if the index was replaced or got another encoder.
    pub fn with<T>(&self, act: impl Fn(&Library) -> Result<T>) -> Result<T> {
        let library = self.library().map_err(|error| self.problem(&error))?;
        let done = act(&library);
        if done.is_ok() || !self.is_outdated(&library) {
            return done;
        }
        *self.library.write().unwrap_or_else(PoisonError::into_inner) = None;
        self.duplicates.forget();
        self.maps.forget();
        let library = self.library().map_err(|error| self.problem(&error))?;
        act(&library)
    }

    /// Returns whether the library must be opened again.
    fn is_outdated(&self, library: &Library) -> bool {
        let state = library.index_view().and_then(|view| Ok(view.searcher()?));
        match state {
            Ok(_) => false,
            Err(Error::Index(
                index::Error::EncoderMismatch { .. }
                | index::Error::Changed { .. }
                | index::Error::IndexNotFound { .. },
            )) => true,
            Err(error) => error.source().is_some(),
        }
    }

    /// Returns the state of the index whenever it changes.
    pub fn watched(&self) -> watch::Receiver<Option<Status>> {
        self.status.clone()
    }

    /// Returns an error as a problem.
    pub fn problem(&self, error: &Error) -> Problem {
        Problem::of(error, (self.hint)(error))
    }
}
