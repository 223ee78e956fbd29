//! Indexing runs: how they are set up, and the order of their steps.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Instant;

use imgsearch_index::{FoldOptions, Folded, Index, Reader, Writer};
use imgsearch_onnx::EncoderFile;

use super::{Library, encoder_copy, reencode, resemblance};
use crate::encode::engine::Engine;
use crate::error::{Error, Result};
use crate::groups::foreign;
use crate::indexing::adapting::Adapting;
use crate::indexing::walk::{self, Names, WalkOptions, Walked};
use crate::indexing::{self, Folding, IndexOptions, Setup, Shard, Summary};
use crate::progress::Progress;

/// What trains an encoder for a new index.
const ADAPTING: Option<Adapting> = {
    #[cfg(feature = "train")]
    {
        use crate::train::collection::{MIN_COLLECTION, extract_stored, max_sample, train_for};
        Some(Adapting {
            min_images: MIN_COLLECTION,
            max_sample,
            train: train_for,
            extract: extract_stored,
        })
    }
    #[cfg(not(feature = "train"))]
    None
};

/// An indexing run that is being set up: options first, then [`Indexer::run`] or
/// [`Indexer::reencode`].
///
/// # Examples
///
/// ```no_run
/// use imgsearch::Library;
///
/// let mut library = Library::open_or_create("my-index")?;
/// let summary = library.indexer().retry(true).run(["photos", "scans"])?;
/// println!("{} new images", summary.added);
/// # Ok::<(), imgsearch::Error>(())
/// ```
#[must_use = "an indexer does nothing until it runs"]
pub struct Indexer<'a> {
    library: &'a mut Library,
    options: IndexOptions,
    progress: &'a dyn Progress,
}

impl std::fmt::Debug for Indexer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Indexer")
            .field("library", &self.library)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Library {
    /// Indexes files and folders, or updates what is indexed of them. Unchanged files are not read.
    ///
    /// This is [`Library::indexer`] with default options.
    ///
    /// # Errors
    ///
    /// As [`Indexer::run`].
    pub fn index<P: Into<PathBuf>>(
        &mut self,
        paths: impl IntoIterator<Item = P>,
    ) -> Result<Summary> {
        self.indexer().run(paths)
    }

    /// Returns the paths that the last run indexed; none if there was no run.
    ///
    /// # Errors
    ///
    /// If the index cannot be read.
    pub fn last_roots(&self) -> Result<Vec<PathBuf>> {
        self.needs_folder()?;
        match Reader::open(&self.dir) {
            Ok(reader) => Ok(reader.last_run()?.map_or_else(Vec::new, |run| run.roots)),
            Err(imgsearch_index::Error::IndexNotFound { .. }) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns an indexing run to set up.
    pub fn indexer(&mut self) -> Indexer<'_> {
        Indexer {
            library: self,
            options: IndexOptions::default(),
            progress: &(),
        }
    }
}

/// What a run goes over.
pub(super) struct Over<'a> {
    pub walked: &'a Walked,
    /// See [`Setup::within`].
    pub within: Option<&'a [PathBuf]>,
    /// Whether an encoder may be trained for a new index.
    pub adapts: bool,
}

impl Library {
    /// Opens the index for a run, and creates it if there is none.
    pub(super) fn begin_indexing(&mut self, progress: &dyn Progress) -> Result<Writer> {
        // See `Library::writer`.
        self.index.take();
        let engine = self.engine()?;
        let writer = Writer::open(&self.dir, &engine.record())?;
        if writer.dropped_from_trash() > 0 {
            progress.note(&format!(
                "{} removed images cannot be restored any more: this encoder has no codes of them",
                writer.dropped_from_trash()
            ));
        }
        encoder_copy::store(&self.dir, engine.file())?;
        encoder_copy::remove_others(&self.dir, engine.info())?;
        Ok(writer)
    }

    /// Indexes what was walked, and folds it. Returns the summary, and whether folding failed.
    pub(super) fn index_walked(
        &self,
        writer: &mut Writer,
        over: &Over<'_>,
        options: &IndexOptions,
        progress: &dyn Progress,
    ) -> Result<(Summary, Result<Folded>)> {
        let may_adapt = over.adapts && !self.encoder_given && !options.no_adapt;
        let setup = Setup {
            engine: self.engine()?,
            options,
            folding: Folding::AsItGrows,
            adapting: ADAPTING.as_ref().filter(|_| may_adapt),
            within: over.within,
        };
        let summary = indexing::run(writer, over.walked, &setup, progress)?;
        if summary.interrupted {
            return Ok((summary, Ok(Folded::default())));
        }
        let folded = indexing::fold(writer, &FoldOptions::default(), progress);
        resemblance::update_or_say(writer, progress);
        foreign::update_or_say(writer, progress);
        Ok((summary, folded))
    }

    /// Closes the index after a run, and forgets the encoder if another one has taken over.
    pub(super) fn end_indexing(&mut self, writer: Writer) -> Result<()> {
        if writer.encoder().fingerprint != self.engine()?.info().fingerprint {
            self.forget_encoder();
        }
        Ok(())
    }
}

impl<'a> Indexer<'a> {
    /// Reports to `progress`, which can also cancel the run. What is done by then is kept.
    pub fn progress(mut self, progress: &'a dyn Progress) -> Self {
        self.progress = progress;
        self
    }

    /// Replaces all options.
    pub fn options(mut self, options: IndexOptions) -> Self {
        self.options = options;
        self
    }

    /// Sets which files are walked.
    pub fn walk(mut self, walk: WalkOptions) -> Self {
        self.options.walk = walk;
        self
    }

    /// Sets [`IndexOptions::keep_missing`].
    pub fn keep_missing(mut self, keep: bool) -> Self {
        self.options.keep_missing = keep;
        self
    }

    /// Sets [`IndexOptions::prune`].
    pub fn prune(mut self, prune: bool) -> Self {
        self.options.prune = prune;
        self
    }

    /// Sets [`IndexOptions::ignore_inode`].
    pub fn ignore_inode(mut self, ignore: bool) -> Self {
        self.options.ignore_inode = ignore;
        self
    }

    /// Sets [`IndexOptions::shard`].
    pub fn shard(mut self, shard: Option<Shard>) -> Self {
        self.options.shard = shard;
        self
    }

    /// Sets [`IndexOptions::no_adapt`].
    pub fn no_adapt(mut self, no_adapt: bool) -> Self {
        self.options.no_adapt = no_adapt;
        self
    }

    /// Sets [`IndexOptions::retry`].
    pub fn retry(mut self, retry: bool) -> Self {
        self.options.retry = retry;
        self
    }

    /// Indexes files and folders, or updates what is indexed of them. Unchanged files are not read.
    ///
    /// # Errors
    ///
    /// If a path does not exist, another process writes to the index, the encoder fails or the store
    /// cannot be written. A file that cannot be decoded is not an error: [`Summary::failed`] counts it.
    pub fn run<P: Into<PathBuf>>(self, paths: impl IntoIterator<Item = P>) -> Result<Summary> {
        let Self {
            library,
            options,
            progress,
        } = self;
        let paths: Vec<PathBuf> = paths.into_iter().map(Into::into).collect();
        // What can fail before anything is created fails here.
        library.engine()?;
        walk::check(&paths, &options.walk)?;
        if let Some(collection) = &library.shared {
            return library.index_shared(&**collection, &paths, &options, progress);
        }
        if options.shard.is_some() {
            return Err(Error::ShardOfFolder);
        }
        let mut writer = library.begin_indexing(progress)?;
        let started = Instant::now();
        let names = Names::of(&writer.reader()?)?.to_walk(&paths, &options.walk)?;
        let walked = walk::walk_named(names, &options.walk)?;
        for path in &walked.left_out {
            progress.note(&format!(
                "{} is left out: a file {} in a folder above names it",
                path.display(),
                walk::IGNORE_FILE
            ));
        }
        let over = Over {
            walked: &walked,
            within: None,
            adapts: true,
        };
        let indexed = library.index_walked(&mut writer, &over, &options, progress);
        library.end_indexing(writer)?;
        library.index = OnceLock::from(Index::open(&library.dir)?);
        let (mut summary, folded) = indexed?;
        indexing::report_folding(folded, progress);
        summary.seconds = started.elapsed().as_secs_f64();
        Ok(summary)
    }

    /// Encodes every stored image again with `encoder`, which becomes the library's encoder. The old
    /// codes answer queries until the new ones are complete. If the run fails or is cancelled, the index
    /// stays as it was, and the next run with the same encoder resumes.
    ///
    /// # Errors
    ///
    /// As [`Indexer::run`]. In addition, if stored images would be lost that may still exist:
    /// [`Error::OutOfReach`] if they lie below a folder that is missing, empty or another one,
    /// [`Error::StoredUnreadable`] if they cannot be read, [`Error::StoredMissing`] if they are missing
    /// and [`IndexOptions::keep_missing`] is set, and [`Error::Unconfirmed`] if many are missing and
    /// nobody confirms it.
    ///
    /// [`Error::OutOfReach`]: crate::Error::OutOfReach
    /// [`Error::StoredUnreadable`]: crate::Error::StoredUnreadable
    /// [`Error::StoredMissing`]: crate::Error::StoredMissing
    /// [`Error::Unconfirmed`]: crate::Error::Unconfirmed
    pub fn reencode(self, encoder: EncoderFile) -> Result<Summary> {
        let Self {
            library,
            options,
            progress,
        } = self;
        library.index_view()?;
        library.index.take();
        encoder.require_codes()?;
        let engine = Engine::new(encoder.clone(), library.options.clone())?;
        let summary = reencode::run(&library.dir, &engine, &options, progress)?;
        if !summary.interrupted {
            library.query_encoders.clear();
            library.index = OnceLock::from(Index::open(&library.dir)?);
            library.file = OnceLock::from(encoder);
            library.engine = OnceLock::from(engine);
        }
        Ok(summary)
    }
}
