//! The front door: a library of images, opened in a folder, indexed and asked.

pub(crate) mod encoder_copy;
pub(crate) mod reencode;
pub(crate) mod save;
mod upkeep;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Instant;

use imgsearch_index::{
    FoldOptions, Folded, ImageId, Index, Query, RankBy, Reader, Restored, SearchParams,
    SearchStats, Trashed, Writer,
};
use imgsearch_onnx::EncoderFile;

use crate::decode::{Content, Decoder, Limits, Source};
use crate::encode::engine::{Encoded, Engine, EngineOptions, Worker, geometry_of, record_of};
use crate::encode::timings::{Timings, ms_since};
use crate::error::{Error, Result};
use crate::indexing::walk::{self, Names};
use crate::indexing::{self, IndexOptions, Summary};
use crate::progress::Progress;

/// One answer to a query.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Match {
    /// The image.
    pub id: ImageId,
    /// Where it was when it was indexed.
    pub path: PathBuf,
    /// The distance it was ranked by: the Euclidean distance of the codes, the share of
    /// differing bits, or the two together. 0 for the image itself.
    pub distance: f32,
    /// Bits that differ between the two hashes.
    pub hamming: u32,
}

/// A library of images: an index in a folder, and the encoder that made it.
///
/// # Examples
///
/// ```no_run
/// use imgsearch::{IndexOptions, Library};
///
/// let mut library = Library::open_or_create("my-index")?;
/// library.index(&["photos".into()], &IndexOptions::default(), &())?;
/// for found in library.nearest_to("cat.jpg", 10)? {
///     println!("{:.3}  {}", found.distance, found.path.display());
/// }
/// # Ok::<(), imgsearch::Error>(())
/// ```
#[derive(Debug)]
pub struct Library {
    dir: PathBuf,
    file: EncoderFile,
    options: EngineOptions,
    engine: OnceLock<Engine>,
    /// What encodes queries.
    asker: Mutex<Asker>,
    index: OnceLock<Index>,
    timings: Mutex<Timings>,
}

/// What encodes queries. It decodes by itself, so that the first image is decoded while the worker is
/// being made.
#[derive(Debug)]
struct Asker {
    decoder: Decoder,
    worker: Option<Worker>,
}

/// How a [`Library`] is opened.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct OpenOptions {
    /// The encoder. Default: the one that the index keeps, and the built-in one where there is
    /// no index yet.
    pub encoder: Option<EncoderFile>,
    /// How the encoder runs.
    pub engine: EngineOptions,
}

impl Library {
    /// Opens the library in `dir` with default options.
    ///
    /// # Errors
    ///
    /// Where there is no index in `dir`, or it cannot be read.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(dir, OpenOptions::default())
    }

    /// Opens the library in `dir`.
    ///
    /// # Errors
    ///
    /// Where there is no index in `dir`, it cannot be read, or another encoder made it than the
    /// one given.
    pub fn open_with(dir: impl AsRef<Path>, options: OpenOptions) -> Result<Self> {
        let dir = dir.as_ref();
        let mut timings = Timings::default();
        let started = Instant::now();
        let index = Index::open(dir)?;
        timings.index_ms = ms_since(started);
        let reading = Instant::now();
        let file = match options.encoder {
            Some(file) => file,
            None => encoder_copy::kept(dir, index.encoder())?,
        };
        timings.encoder_ms = ms_since(reading);
        file.require_codes()?;
        index.check_encoder(&record_of(file.info()))?;
        timings.waited_since(started);
        let mut library = Self::assemble(dir, file, options.engine, Some(index));
        library.timings = Mutex::new(timings);
        Ok(library)
    }

    /// Opens the library in `dir`, which may not exist yet: [`Library::index`] makes it.
    ///
    /// # Errors
    ///
    /// As [`Library::open`], but for a missing index.
    pub fn open_or_create(dir: impl AsRef<Path>) -> Result<Self> {
        Self::open_or_create_with(dir, OpenOptions::default())
    }

    /// Opens the library in `dir`, which may not exist yet.
    ///
    /// # Errors
    ///
    /// As [`Library::open_with`], but for a missing index.
    pub fn open_or_create_with(dir: impl AsRef<Path>, options: OpenOptions) -> Result<Self> {
        let dir = dir.as_ref();
        let given = options.encoder.as_ref().map(EncoderFile::info);
        match Index::open(dir) {
            // Where no image is stored yet, nothing depends on the encoder that was first meant.
            Ok(index)
                if given.is_some_and(|info| info.fingerprint != index.encoder().fingerprint)
                    && !Reader::open(dir)?.holds_images()? => {}
            Ok(_) => return Self::open_with(dir, options),
            Err(imgsearch_index::Error::IndexNotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let file = match options.encoder {
            Some(file) => file,
            None => EncoderFile::default_encoder()?,
        };
        file.require_codes()?;
        Ok(Self::assemble(dir, file, options.engine, None))
    }

    fn assemble(
        dir: &Path,
        file: EncoderFile,
        options: EngineOptions,
        index: Option<Index>,
    ) -> Self {
        Self {
            dir: dir.to_owned(),
            file,
            engine: OnceLock::new(),
            asker: Mutex::new(Asker {
                decoder: Decoder::new(options.limits),
                worker: None,
            }),
            options,
            index: index.map_or_else(OnceLock::new, OnceLock::from),
            timings: Mutex::default(),
        }
    }

    /// What getting ready and the newest question took. Where several threads ask at once, their
    /// steps are mixed.
    pub fn timings(&self) -> Timings {
        *self.times()
    }

    /// What an image may cost.
    pub fn limits(&self) -> &Limits {
        &self.options.limits
    }

    fn times(&self) -> MutexGuard<'_, Timings> {
        // A panic in another thread leaves numbers as they were.
        self.timings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The folder that holds the index.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The index, to search with codes of one's own.
    ///
    /// # Errors
    ///
    /// Where nothing was indexed yet, or another encoder made the index meanwhile.
    pub fn index_view(&self) -> Result<&Index> {
        if let Some(index) = self.index.get() {
            return Ok(index);
        }
        // There was none when the library was opened; another process may have made it since, or
        // a run of this one that failed later.
        let index = Index::open(&self.dir)?;
        index.check_encoder(&record_of(self.file.info()))?;
        Ok(self.index.get_or_init(|| index))
    }

    /// The encoder's file.
    pub fn encoder_file(&self) -> &EncoderFile {
        &self.file
    }

    /// The running encoder, started at its first use.
    ///
    /// # Errors
    ///
    /// As [`Engine::new`].
    pub fn engine(&self) -> Result<&Engine> {
        if let Some(engine) = self.engine.get() {
            return Ok(engine);
        }
        let engine = Engine::new(self.file.clone(), self.options.clone())?;
        {
            let mut times = self.times();
            times.runtime_ms = engine.runtime().load_seconds() * 1000.0;
            times.runtime_waited_ms = engine.started().runtime_waited_ms;
            times.session_ms = engine.started().session_ms;
        }
        Ok(self.engine.get_or_init(|| engine))
    }

    /// Indexes files and folders, or brings what is indexed of them up to date.
    ///
    /// Unchanged files are not read. See [`IndexOptions`] and [`Summary`].
    ///
    /// # Errors
    ///
    /// Where a path does not exist, another process writes to the index, the encoder fails or
    /// the store cannot be written. Files that cannot be decoded are no error.
    pub fn index(
        &mut self,
        paths: &[PathBuf],
        options: &IndexOptions,
        progress: &dyn Progress,
    ) -> Result<Summary> {
        self.index_until(paths, options, progress, &AtomicBool::new(false))
    }

    /// As [`Library::index`], until `stop` is set: what is done by then is committed.
    ///
    /// # Errors
    ///
    /// As [`Library::index`].
    pub fn index_until(
        &mut self,
        paths: &[PathBuf],
        options: &IndexOptions,
        progress: &dyn Progress,
        stop: &AtomicBool,
    ) -> Result<Summary> {
        // What can fail before anything is created does.
        let engine = self.engine()?;
        walk::check(paths, &options.walk)?;
        let mut writer = Writer::open(&self.dir, &engine.record())?;
        if writer.dropped_from_trash() > 0 {
            progress.note(&format!(
                "{} removed images cannot be restored any more: this encoder has no codes of them",
                writer.dropped_from_trash()
            ));
        }
        encoder_copy::keep(&self.dir, &self.file)?;
        encoder_copy::forget_others(&self.dir, &self.file.info().fingerprint)?;
        let started = Instant::now();
        let names = Names::of(&writer.reader()?)?.to_walk(paths, &options.walk)?;
        let walked = walk::walk_named(names, &options.walk)?;
        for path in &walked.left_out {
            progress.note(&format!(
                "{} is left out: a file {} in a folder above names it",
                path.display(),
                walk::IGNORE_FILE
            ));
        }
        let summary = indexing::run_folding(&mut writer, engine, &walked, options, stop, progress);
        let folded = match &summary {
            Ok(summary) if !summary.interrupted => {
                indexing::fold(&mut writer, &FoldOptions::default(), stop, progress)
            }
            _ => Ok(Folded::default()),
        };
        drop(writer);
        self.index = OnceLock::from(Index::open(&self.dir)?);
        let mut summary = summary?;
        indexing::tell_of_folding(folded, progress);
        summary.seconds = started.elapsed().as_secs_f64();
        Ok(summary)
    }

    /// Makes searching fast: what is newer than the segments is folded into them, however little
    /// it is, and what was removed is folded away. [`Library::index`] does so by itself where it
    /// has become much.
    ///
    /// # Errors
    ///
    /// Where there is no index, another process writes to it, or a segment cannot be written: the
    /// index goes on with those that it has.
    pub fn optimize(
        dir: impl AsRef<Path>,
        options: &FoldOptions,
        stop: &AtomicBool,
        progress: &dyn Progress,
    ) -> Result<Folded> {
        let mut writer = Writer::open_existing(dir.as_ref())?;
        indexing::fold(&mut writer, options, stop, progress)
    }

    /// Encodes every stored image again with the encoder of `options`, or the built-in one. The
    /// old index serves until the new one is complete; an interrupted or failed run leaves it as
    /// it was, and the next with the same encoder goes on from what was done.
    ///
    /// # Errors
    ///
    /// As [`Library::index`]; and where stored images would be dropped that are only out of
    /// reach: below a folder that is missing, empty or another, or unreadable
    /// ([`Error::OutOfReach`], [`Error::StoredUnreadable`]), missing where they were to be kept
    /// ([`Error::StoredMissing`]), or so many that it has to be confirmed
    /// ([`Error::Unconfirmed`]).
    pub fn reencode(
        dir: impl AsRef<Path>,
        options: OpenOptions,
        index_options: &IndexOptions,
        progress: &dyn Progress,
        stop: &AtomicBool,
    ) -> Result<Summary> {
        let dir = dir.as_ref();
        Index::open(dir)?;
        let file = match options.encoder {
            Some(file) => file,
            None => EncoderFile::default_encoder()?,
        };
        file.require_codes()?;
        let engine = Engine::new(file, options.engine)?;
        reencode::run(dir, &engine, index_options, progress, stop)
    }

    /// Whether [`Library::reencode`] was begun in `dir` and did not come to its end.
    pub fn reencoding_begun(dir: impl AsRef<Path>) -> bool {
        reencode::begun(dir.as_ref())
    }

    /// The `k` images most like the image file at `path`, best first.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read or decoded, or nothing was indexed yet.
    pub fn nearest_to(&self, path: impl AsRef<Path>, k: usize) -> Result<Vec<Match>> {
        let encoded = self.encode_file(path.as_ref())?;
        self.nearest(&encoded, k, RankBy::Both)
    }

    /// The `k` images nearest to what was encoded, best first, ties by id.
    ///
    /// # Errors
    ///
    /// Where `k` is 0, the code is not the index's length, or nothing was indexed yet.
    pub fn nearest(&self, encoded: &Encoded, k: usize, by: RankBy) -> Result<Vec<Match>> {
        self.search(encoded, &SearchParams::new(k).by(by))
            .map(|(found, _)| found)
    }

    /// The images nearest to what was encoded, searched as `params` says, and how that was done.
    ///
    /// # Errors
    ///
    /// As [`Library::nearest`], and where the filter cannot be understood.
    pub fn search(
        &self,
        encoded: &Encoded,
        params: &SearchParams,
    ) -> Result<(Vec<Match>, SearchStats)> {
        let index = self.index_view()?;
        let query = Query::new(&encoded.code)
            .hash(&encoded.hash)
            .logits(&encoded.logits);
        let started = Instant::now();
        let searcher = index.searcher()?;
        let view_ms = ms_since(started);
        let searching = Instant::now();
        let (neighbours, explained) = searcher.explain(&query, params)?;
        let search_ms = ms_since(searching);
        let looking_up = Instant::now();
        let ids: Vec<ImageId> = neighbours.iter().map(|found| found.id).collect();
        let images = index.images(&ids)?;
        let mut times = self.times();
        times.view_ms = view_ms;
        times.search_ms = search_ms;
        times.paths_ms = ms_since(looking_up);
        times.waited_since(started);
        drop(times);
        let found = neighbours
            .into_iter()
            .zip(images)
            .filter_map(|(found, image)| {
                Some(Match {
                    id: found.id,
                    path: image?.path,
                    distance: found.distance,
                    hamming: found.hamming.unwrap_or(0),
                })
            })
            .collect();
        Ok((found, explained))
    }

    /// The path under which something is stored that a person names: where links lead to it, it has
    /// several paths, and is stored under one. It need not exist any more. [`Filter::under`] wants
    /// such a path.
    ///
    /// # Errors
    ///
    /// Where nothing was indexed yet, or the index cannot be read.
    ///
    /// [`Filter::under`]: imgsearch_index::Filter::under
    pub fn stored_path(&self, path: impl AsRef<Path>) -> Result<PathBuf> {
        let reader = self.index_view()?.to_reader()?;
        Names::of(&reader)?.stored(path.as_ref())
    }

    /// Encodes one image file.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read or decoded.
    pub fn encode_file(&self, path: &Path) -> Result<Encoded> {
        let started = Instant::now();
        let source =
            Source::open(path, self.limits()).map_err(|unread| Error::unread(unread, path))?;
        let read_ms = ms_since(started);
        let encoded = self.encode_bytes(&source, path);
        let mut times = self.times();
        times.read_ms = read_ms;
        times.waited(read_ms);
        drop(times);
        encoded
    }

    /// Encodes one image file's bytes, or a [`Source`] of them; `name` stands in error messages.
    ///
    /// # Errors
    ///
    /// Where the bytes are no image that can be decoded.
    pub fn encode_bytes<'a>(
        &self,
        content: impl Into<Content<'a>>,
        name: &Path,
    ) -> Result<Encoded> {
        let started = Instant::now();
        self.times().begin();
        let encoded = self.encoded(content.into(), name);
        // Whatever came of it, the time is gone.
        self.times().waited_since(started);
        encoded
    }

    fn encoded(&self, content: Content<'_>, name: &Path) -> Result<Encoded> {
        let mut asker = self.asker.lock().unwrap_or_else(PoisonError::into_inner);
        let Asker { decoder, worker } = &mut *asker;
        let geometry = geometry_of(self.file.info());
        let mut pixels = vec![0; geometry.bytes()];
        let mut decode = || {
            let started = Instant::now();
            let decoded = decoder.decode_into(content, &geometry, &mut pixels);
            (decoded, ms_since(started))
        };
        let (worker, (decoded, decode_ms)) = match worker {
            Some(worker) => (worker, decode()),
            // The image is decoded while the encoder starts: neither needs the other. The encoder
            // starts here, where memory comes in larger pieces than in a thread that is new.
            none => thread::scope(|scope| {
                let decoding = thread::Builder::new()
                    .spawn_scoped(scope, decode)
                    .map_err(|source| Error::io("start a thread to decode", name, source))?;
                let made = self.engine().and_then(Engine::worker);
                let decoded = decoding
                    .join()
                    .map_err(|panic| Error::Worker(crate::decode::panic_text(&*panic)))?;
                Ok::<_, Error>((none.insert(made?), decoded))
            })?,
        };
        let decoded = decoded.map_err(|source| Error::Image {
            path: name.to_owned(),
            source,
        })?;
        let encoding = Instant::now();
        let encoded = worker.encode_decoded(&pixels, decoded);
        let mut times = self.times();
        times.decode_ms = decode_ms;
        times.encode_ms = ms_since(encoding);
        drop(times);
        encoded
    }

    /// Forgets the images at and below `paths`, whether the files exist or not; how many. They can be
    /// had back for [`TRASH_DAYS`](imgsearch_index::TRASH_DAYS): [`Library::restore`].
    ///
    /// # Errors
    ///
    /// Where there is no index, another process writes to it, or it cannot be written.
    pub fn remove(dir: impl AsRef<Path>, paths: &[PathBuf]) -> Result<usize> {
        let mut writer = Writer::open_existing(dir.as_ref())?;
        let reader = writer.reader()?;
        let names = Names::of(&reader)?;
        let mut removed = 0;
        for path in paths {
            removed += writer.discard_under(&names.stored(path)?)?;
        }
        Ok(removed)
    }

    /// Forgets the images at and below `paths` for good, those that were removed before included;
    /// how many. Segments hold their codes until [`Library::optimize`] makes them anew.
    ///
    /// # Errors
    ///
    /// As [`Library::remove`].
    pub fn remove_forever(dir: impl AsRef<Path>, paths: &[PathBuf]) -> Result<usize> {
        let mut writer = Writer::open_existing(dir.as_ref())?;
        let reader = writer.reader()?;
        let names = Names::of(&reader)?;
        let mut removed = 0;
        for path in paths {
            removed += writer.remove_under(&names.stored(path)?)?;
        }
        Ok(removed)
    }

    /// The removed images that [`Library::restore`] would bring back, sorted by path.
    ///
    /// # Errors
    ///
    /// Where there is no index, or it cannot be read.
    pub fn trash(dir: impl AsRef<Path>, paths: &[PathBuf]) -> Result<Vec<Trashed>> {
        let reader = Reader::open(dir.as_ref())?;
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

    /// Brings back images that were removed: those at and below `paths`, or all where there are
    /// none. They come back under new numbers, but not where another image is stored by now.
    ///
    /// # Errors
    ///
    /// As [`Library::remove`].
    pub fn restore(dir: impl AsRef<Path>, paths: &[PathBuf]) -> Result<Restored> {
        let mut writer = Writer::open_existing(dir.as_ref())?;
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

/// The folder that holds the user's index where no other is named: `imgsearch` in the platform's
/// data folder.
///
/// # Errors
///
/// [`Error::NoDataFolder`] on a system without a home folder.
pub fn default_dir() -> Result<PathBuf> {
    directories::ProjectDirs::from("", "", "imgsearch")
        .map(|dirs| dirs.data_dir().to_owned())
        .ok_or(Error::NoDataFolder)
}
