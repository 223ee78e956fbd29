//! Watching: an index that follows its folders by itself.
//!
//! Owns what callers see: how a [`Watcher`] is set up and stopped, and what it reports. [`session`] has the loop,
//! [`roots`] knows which of the watched folders are there.

mod batched;
mod roots;
mod session;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use imgsearch_index::Reader;

use super::Library;
use crate::error::Result;
use crate::indexing::walk::WalkOptions;
use crate::indexing::watch::Shared;
use crate::indexing::{IndexOptions, Summary};
use crate::progress::Progress;

/// How often a network disk is looked at if [`Watcher::poll`] does not say it.
pub const POLL_NETWORK: Duration = Duration::from_secs(60);

/// Keeps an index up to date: new, changed, moved and deleted files are indexed about a second after they were
/// last written.
///
/// It begins with one indexing run, and then waits for the system to report changes. Changes that come together
/// are indexed together, by the rules of [`Library::indexer`]: the same files are left out, and images whose disk
/// or folder vanished are kept. The index is locked only while a batch is written. If another process writes to it
/// meanwhile, the batch waits.
///
/// Network disks report nothing of what other machines change. They are looked at every [`POLL_NETWORK`].
///
/// # Examples
///
/// ```no_run
/// use imgsearch::Library;
///
/// let mut library = Library::open_or_create("my-index")?;
/// let watcher = library.watcher();
/// let stopper = watcher.stopper();
/// std::thread::spawn(move || {
///     std::thread::sleep(std::time::Duration::from_secs(3600));
///     stopper.stop();
/// });
/// watcher.run(["photos"], &())?;
/// # Ok::<(), imgsearch::Error>(())
/// ```
#[must_use = "a watcher does nothing until it runs"]
pub struct Watcher<'a> {
    library: &'a mut Library,
    options: IndexOptions,
    poll: Option<Duration>,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Watcher<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watcher")
            .field("library", &self.library)
            .field("options", &self.options)
            .field("poll", &self.poll)
            .finish_non_exhaustive()
    }
}

/// Ends a [`Watcher`], from any thread.
#[derive(Debug, Clone)]
pub struct WatchStopper(Arc<Shared>);

impl WatchStopper {
    /// Ends the watcher. A batch stops after the images that are being processed, and what is stored by then is
    /// kept.
    pub fn stop(&self) {
        self.0.tell(|state| state.is_stopped = true);
    }
}

/// What a [`Watcher`] reports besides the [`Progress`] of its batches.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum WatchEvent {
    /// A batch was indexed. The first one covers everything.
    Indexed(Summary),
    /// Everything was indexed once. From now on, changes are.
    Ready {
        /// The number of folders whose changes the system reports.
        folders: usize,
        /// Folders that are looked at regularly.
        polled: Vec<PathBuf>,
    },
    /// A batch waits because another process writes to the index.
    Waiting {
        /// The process, in words.
        holder: String,
    },
    /// The system does not report the changes of all folders, so all are looked at regularly.
    Incomplete {
        /// The reason.
        reason: String,
    },
    /// A watched folder is not there any more. Its images are kept.
    Vanished {
        /// The folder.
        folder: PathBuf,
    },
    /// A watched folder is back, and is indexed again.
    Returned {
        /// The folder.
        folder: PathBuf,
    },
}

/// Receives the reports of a [`Watcher`]. `()` ignores them.
pub trait WatchProgress: Progress {
    /// Reports something about the watcher itself.
    fn watch(&self, _event: &WatchEvent) {}
}

impl WatchProgress for () {}

/// How a [`Watcher`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct WatchEnd {
    /// Whether a batch was cut short. The next run, of a watcher or an indexer, does the rest.
    pub interrupted: bool,
}

impl Library {
    /// Returns a watcher to set up.
    pub fn watcher(&mut self) -> Watcher<'_> {
        Watcher {
            library: self,
            options: IndexOptions::default(),
            poll: None,
            shared: Arc::default(),
        }
    }

    /// Returns the files and folders that the index covers: those that a run indexed and of which something is
    /// stored, and those of the last run; sorted. They need not exist any more.
    ///
    /// # Errors
    ///
    /// If the index cannot be read.
    pub fn indexed_roots(&self) -> Result<Vec<PathBuf>> {
        let reader = match Reader::open(&self.dir) {
            Ok(reader) => reader,
            Err(imgsearch_index::Error::IndexNotFound { .. }) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let last = reader.last_run()?.map_or_else(Vec::new, |run| run.roots);
        let mut covered = Vec::new();
        for root in reader.roots()? {
            if last.contains(&root) || reader.knows_under(&root)? {
                covered.push(root);
            }
        }
        Ok(covered)
    }
}

impl Watcher<'_> {
    /// Sets how files are indexed.
    pub fn options(mut self, options: IndexOptions) -> Self {
        self.options = options;
        self
    }

    /// Sets which files are walked.
    pub fn walk(mut self, walk: WalkOptions) -> Self {
        self.options.walk = walk;
        self
    }

    /// Looks at all folders regularly, too: for file systems that report nothing, and for more folders than the
    /// system can watch. Default: only network disks are looked at, every [`POLL_NETWORK`].
    pub fn poll(mut self, every: Duration) -> Self {
        self.poll = Some(every);
        self
    }

    /// Returns what ends the watcher. Without it, the watcher runs until an error or until
    /// [`Progress::is_cancelled`] is true when something happens.
    pub fn stopper(&self) -> WatchStopper {
        WatchStopper(Arc::clone(&self.shared))
    }

    /// Watches files and folders until it is stopped; if none are given, those of [`Library::indexed_roots`], which
    /// need not be there yet.
    ///
    /// Images whose files are deleted are forgotten as by [`Indexer::run`](crate::Indexer::run), and can be restored
    /// for [`TRASH_DAYS`](imgsearch_index::TRASH_DAYS) days. If many are missing, they are forgotten if the system
    /// reported that they were deleted or moved away, and otherwise only after confirmation.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchPath`](crate::Error::NoSuchPath) if a given path does not exist,
    /// [`Error::NothingToWatch`](crate::Error::NothingToWatch) if there is none,
    /// [`Error::WatchLimit`](crate::Error::WatchLimit) if there are more folders than the system can watch and
    /// [`Watcher::poll`] is not set, and the errors of an indexing run, except that it waits for other processes
    /// that write.
    pub fn run<P: Into<PathBuf>>(
        self,
        paths: impl IntoIterator<Item = P>,
        progress: &dyn WatchProgress,
    ) -> Result<WatchEnd> {
        let paths: Vec<PathBuf> = paths.into_iter().map(Into::into).collect();
        session::Session::start(self, &paths, progress)?.run()
    }
}
