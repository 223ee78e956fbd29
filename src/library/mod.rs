//! The front door: a library of images in a folder, which is indexed and searched.
//!
//! Owns the order of what a caller wants: which encoder an index has, when it is loaded, and what is
//! opened again after a change. Everything else is a call of [`crate::indexing`], [`crate::encode`] or
//! `imgsearch-index`.

#[cfg(feature = "train")]
mod by_text;
mod collections;
mod comparing;
pub(crate) mod encoder_copy;
mod indexer;
mod places;
mod query;
mod query_encoders;
mod question;
pub(crate) mod reencode;
mod removal;
pub(crate) mod resemblance;
pub(crate) mod save;
mod shared;
mod stored_file;
mod tidying;
pub(crate) mod tower_copy;
mod upkeep;
#[cfg(feature = "watch")]
mod watch;
mod worded;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use imgsearch_index::collection::Collection as Shared;
use imgsearch_index::{Index, Reader, Writer};
use imgsearch_onnx::EncoderFile;

use crate::decode::Limits;
use crate::encode::engine::{Engine, EngineOptions, record_of};
use crate::encode::timings::{Timings, ms_since};
use crate::error::Result;

pub use collections::{Collection, Collections, DEFAULT_NAME};
pub use indexer::Indexer;
pub use places::{config_dir, default_dir};
pub use query::{Answer, Match};
use query_encoders::QueryEncoders;
pub use question::{DEFAULT_LESS, Part, Question};
pub use shared::SharedStatus;
#[cfg(feature = "watch")]
pub use watch::{POLL_NETWORK, WatchEnd, WatchEvent, WatchProgress, WatchStopper, Watcher};

/// A library of images: an index in a folder, and the encoder that made it.
///
/// A library can be shared between threads: queries run in parallel, each with an encoder of its own,
/// at most [`EngineOptions::threads`] at a time.
///
/// # Examples
///
/// ```no_run
/// use imgsearch::Library;
///
/// let mut library = Library::open_or_create("my-index")?;
/// library.index(["photos"])?;
/// for found in library.nearest_to("cat.jpg", 10)? {
///     println!("{:.3}  {}", found.distance, found.path.display());
/// }
/// # Ok::<(), imgsearch::Error>(())
/// ```
#[derive(Debug)]
pub struct Library {
    dir: PathBuf,
    options: EngineOptions,
    /// Whether the caller chose the encoder.
    encoder_given: bool,
    /// The encoder file: given, or read from the index's copy at its first use.
    file: OnceLock<EncoderFile>,
    engine: OnceLock<Engine>,
    query_encoders: QueryEncoders,
    /// What encodes texts, started at its first use.
    #[cfg(feature = "text")]
    pub(crate) tower: OnceLock<crate::text::Tower>,
    index: OnceLock<Index>,
    /// The collection on a server, if the index is not in a folder.
    shared: Option<Arc<dyn Shared>>,
    timings: Mutex<Timings>,
}

/// How a [`Library`] is opened.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct OpenOptions {
    /// The encoder. Default: the index's own, or the built-in one if there is no index yet.
    pub encoder: Option<EncoderFile>,
    /// How the encoder runs.
    pub engine: EngineOptions,
}

impl Library {
    /// Opens the library in `dir` with default options.
    ///
    /// # Errors
    ///
    /// If there is no index in `dir`, or it cannot be read.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(dir, OpenOptions::default())
    }

    /// Opens the library in `dir`. The index's own encoder is loaded at its first use.
    ///
    /// In place of a folder, `dir` may be the URL of a collection on a server, such as
    /// `postgres://USER@HOST/DATABASE?collection=NAME`. Indexing, queries and removing work there; what needs an index
    /// in a folder fails with [`Error::NeedsFolder`](crate::Error::NeedsFolder).
    ///
    /// # Errors
    ///
    /// If there is no index in `dir`, if it cannot be read, or if another encoder made it than the
    /// given one.
    pub fn open_with(dir: impl AsRef<Path>, options: OpenOptions) -> Result<Self> {
        let dir = dir.as_ref();
        if let Some(url) = shared::url_of(dir) {
            return Self::open_shared(url, options);
        }
        let started = Instant::now();
        let index = Index::open(dir)?;
        if let Some(file) = &options.encoder {
            file.require_codes()?;
            index.check_encoder(&record_of(file.info()))?;
        }
        let library = Self::assemble(dir, options, Some(index));
        {
            let mut timings = library.times();
            timings.index_ms = ms_since(started);
            timings.waited_since(started);
        }
        Ok(library)
    }

    /// Opens the library in `dir`. If there is none yet, [`Library::index`] creates it.
    ///
    /// # Errors
    ///
    /// As [`Library::open`], except for a missing index.
    pub fn open_or_create(dir: impl AsRef<Path>) -> Result<Self> {
        Self::open_or_create_with(dir, OpenOptions::default())
    }

    /// Opens the library in `dir`. If there is none yet, [`Library::index`] creates it.
    ///
    /// # Errors
    ///
    /// As [`Library::open_with`], except for a missing index.
    pub fn open_or_create_with(dir: impl AsRef<Path>, mut options: OpenOptions) -> Result<Self> {
        let dir = dir.as_ref();
        if let Some(url) = shared::url_of(dir) {
            return Self::create_shared(url, options);
        }
        let given_by_caller = options.encoder.is_some();
        let given = options.encoder.as_ref().map(EncoderFile::info);
        match Index::open(dir) {
            // As long as no image is stored, nothing depends on the encoder of the first run.
            Ok(index)
                if given.is_some_and(|info| info.fingerprint != index.encoder().fingerprint)
                    && !Reader::open(dir)?.holds_images()? => {}
            Ok(_) => return Self::open_with(dir, options),
            Err(imgsearch_index::Error::IndexNotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let file = match options.encoder.take() {
            Some(file) => file,
            None => EncoderFile::default_encoder()?,
        };
        file.require_codes()?;
        options.encoder = Some(file);
        let mut library = Self::assemble(dir, options, None);
        library.encoder_given = given_by_caller;
        Ok(library)
    }

    fn assemble(dir: &Path, options: OpenOptions, index: Option<Index>) -> Self {
        Self {
            dir: dir.to_owned(),
            encoder_given: options.encoder.is_some(),
            file: options.encoder.map_or_else(OnceLock::new, OnceLock::from),
            engine: OnceLock::new(),
            query_encoders: QueryEncoders::new(&options.engine),
            #[cfg(feature = "text")]
            tower: OnceLock::new(),
            options: options.engine,
            index: index.map_or_else(OnceLock::new, OnceLock::from),
            shared: None,
            timings: Mutex::default(),
        }
    }

    /// Returns the folder of the index.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns how the encoder runs.
    pub(crate) fn engine_options(&self) -> &EngineOptions {
        &self.options
    }

    /// Returns what one image may cost.
    pub fn limits(&self) -> &Limits {
        &self.options.limits
    }

    /// Returns the index, for programs that have codes of their own or want more than this type offers.
    ///
    /// # Errors
    ///
    /// If nothing has been indexed yet, or if another encoder has made the index since this library was
    /// opened.
    pub fn index_view(&self) -> Result<&Index> {
        self.needs_folder()?;
        if let Some(index) = self.index.get() {
            return Ok(index);
        }
        // There was none when the library was opened. Another process may have made it since, or a run
        // of this one that failed later.
        let index = Index::open(&self.dir)?;
        if let Some(file) = self.file.get() {
            index.check_encoder(&record_of(file.info()))?;
        }
        Ok(self.index.get_or_init(|| index))
    }

    /// Returns the encoder's file, read from the index's copy at its first use.
    ///
    /// # Errors
    ///
    /// [`Error::EncoderCopy`](crate::Error::EncoderCopy) if the copy is missing or damaged.
    pub fn encoder_file(&self) -> Result<&EncoderFile> {
        if let Some(file) = self.file.get() {
            return Ok(file);
        }
        if let Some(collection) = &self.shared {
            let file = self.encoder_of(&**collection)?;
            return Ok(self.file.get_or_init(|| file));
        }
        let started = Instant::now();
        let index = self.index_view()?;
        let file = encoder_copy::load(&self.dir, index.encoder())?;
        file.require_codes()?;
        index.check_encoder(&record_of(file.info()))?;
        {
            let mut times = self.times();
            times.encoder_ms = ms_since(started);
            times.waited_since(started);
        }
        Ok(self.file.get_or_init(|| file))
    }

    /// Returns the running encoder, started at its first use.
    ///
    /// # Errors
    ///
    /// As [`Engine::new`] and [`Library::encoder_file`].
    pub fn engine(&self) -> Result<&Engine> {
        if let Some(engine) = self.engine.get() {
            return Ok(engine);
        }
        let engine = Engine::new(self.encoder_file()?.clone(), self.options.clone())?;
        {
            let mut times = self.times();
            times.runtime_ms = engine.runtime().load_seconds() * 1000.0;
            times.runtime_waited_ms = engine.started().runtime_waited_ms;
            times.session_ms = engine.started().session_ms;
        }
        Ok(self.engine.get_or_init(|| engine))
    }

    /// Opens the index for writing. The view closes first: SQLite deletes its log when the last connection
    /// closes, and a connection that only reads cannot.
    fn writer(&mut self) -> Result<Writer> {
        self.needs_folder()?;
        self.index.take();
        Ok(Writer::open_existing(&self.dir)?)
    }

    /// Forgets the encoder that it had, because the index has another one now.
    fn forget_encoder(&mut self) {
        self.query_encoders.clear();
        #[cfg(feature = "text")]
        self.tower.take();
        self.file = OnceLock::new();
        self.engine = OnceLock::new();
    }

    /// Returns what opening and the newest query took. If several threads query at once, their steps
    /// are mixed.
    pub fn timings(&self) -> Timings {
        *self.times()
    }

    fn times(&self) -> MutexGuard<'_, Timings> {
        // A panic in another thread leaves numbers as they were.
        self.timings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
