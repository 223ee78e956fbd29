//! How long operations report their progress, and how they are cancelled.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(feature = "train")]
use imgsearch_train::{autoencoder::Epoch, head::EpochReport};

use crate::duplicates::Stage;
use crate::duplicates::action::Outcome as Acted;
use crate::error::{Error, Result};
use crate::indexing::report::{Forgetting, Kept, Outcome, Planned};

/// Receives the progress of a long operation, and can cancel it.
///
/// Every method has a default that does nothing: implement what you need. `()` reports nothing, and an
/// [`AtomicBool`] cancels once it is true. The library calls the methods on the thread that started the operation,
/// except [`Progress::is_cancelled`], which its workers call as well.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use imgsearch::Progress;
///
/// /// Stops at a point in time.
/// struct Until(Instant);
///
/// impl Progress for Until {
///     fn is_cancelled(&self) -> bool {
///         Instant::now() >= self.0
///     }
/// }
///
/// assert!(!Until(Instant::now() + Duration::from_secs(3600)).is_cancelled());
/// ```
pub trait Progress: Sync {
    /// Returns whether the operation should stop. What is done by then is kept, as each operation
    /// documents. Once true, it must stay true.
    fn is_cancelled(&self) -> bool {
        false
    }

    /// Reports something that people should know and that is not a failure.
    fn note(&self, _text: &str) {}

    /// Indexing: the files were listed and compared with the index.
    fn planned(&self, _plan: &Planned) {}

    /// Indexing: a file was processed. It is on disk only after the next [`Progress::committed`].
    fn file(&self, _path: &Path, _outcome: &Outcome) {}

    /// Indexing: a folder or link cannot be read. Images stored below it are kept.
    fn walk_error(&self, _path: &Path, _reason: &str) {}

    /// Indexing: this number of changes is on disk now, in addition to those reported before.
    fn committed(&self, _changes: usize) {}

    /// Indexing: images are kept although the walk did not find their files, because the files may
    /// still exist.
    fn kept(&self, _kept: &Kept) {}

    /// Indexing: much is about to be forgotten: at least 10 images and more than a tenth of all, or
    /// more than 100, or everything in a folder that was named.
    fn forgetting(&self, _what: &Forgetting) {}

    /// Indexing: returns whether that may be forgotten if
    /// [`IndexOptions::prune`](crate::IndexOptions::prune) does not allow it. Default: no.
    fn confirm_forget(&self, _what: &Forgetting) -> bool {
        false
    }

    /// Indexing: `files` files were read only because their inode number or change time differs; nothing else of
    /// them changed. On some file systems, such as network disks, this happens in every run:
    /// [`IndexOptions::ignore_inode`](crate::IndexOptions::ignore_inode) prevents it.
    fn read_in_vain(&self, _files: usize) {}

    /// Indexing: folding failed after the images were stored. No image is lost, but searching is slower until
    /// folding succeeds.
    fn folding_failed(&self, _error: &Error) {}

    /// Folding: `done` of `of` images are linked into the segments that make searching fast.
    fn folding(&self, _done: usize, _of: usize) {}

    /// Duplicates: an action came to this file, or its undoing.
    fn acted(&self, _path: &Path, _outcome: &Acted) {}

    /// Duplicates: `done` of `of` units of a stage are done.
    fn duplicates(&self, _stage: Stage, _done: usize, _of: usize) {}

    /// Training and evaluation: `done` of `of` images were decoded and encoded.
    fn encoded(&self, _done: usize, _of: usize) {}

    /// Training and evaluation: an image cannot be used.
    fn unusable(&self, _path: &Path, _reason: &str) {}

    #[cfg(feature = "train")]
    /// Training of a head: an epoch is over.
    fn epoch(&self, _report: &EpochReport) {}

    #[cfg(feature = "train")]
    /// Training of an autoencoder or a decoder: an epoch is over.
    fn autoencoder_epoch(&self, _epoch: &Epoch) {}

    /// Groups, outliers and maps: the nearest others of `done` of `of` different images are found.
    fn compared(&self, _done: usize, _of: usize) {}

    /// Maps: `done` of `of` rounds of moving images are over.
    fn placed(&self, _done: usize, _of: usize) {}

    /// Evaluation: the named representation is scored next.
    fn scoring(&self, _representation: &str) {}
}

/// Ends an operation that was cancelled.
///
/// # Errors
///
/// [`Error::Interrupted`].
pub(crate) fn go_on(progress: &dyn Progress) -> Result<()> {
    if progress.is_cancelled() {
        return Err(Error::Interrupted);
    }
    Ok(())
}

impl Progress for () {}

impl Progress for AtomicBool {
    fn is_cancelled(&self) -> bool {
        self.load(Ordering::Relaxed)
    }
}
