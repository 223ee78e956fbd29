//! How long operations report what they do, and how they are cancelled.

use std::path::Path;

#[cfg(feature = "train")]
use imgsearch_train::{autoencoder::Epoch, head::EpochReport};

use crate::indexing::report::{Forgetting, Kept, Outcome, Planned};

/// Receives the progress of a long operation, and can cancel it.
///
/// Every method has a default that does nothing, and `()` is the progress that reports nothing:
/// implement what you need. The library calls the methods on the thread that started the operation,
/// except [`Progress::is_cancelled`], which its workers call as well.
///
/// # Examples
///
/// ```
/// use std::sync::atomic::{AtomicBool, Ordering};
///
/// use imgsearch::Progress;
///
/// #[derive(Default)]
/// struct UntilStopped(AtomicBool);
///
/// impl Progress for UntilStopped {
///     fn is_cancelled(&self) -> bool {
///         self.0.load(Ordering::Relaxed)
///     }
/// }
///
/// let progress = UntilStopped::default();
/// assert!(!progress.is_cancelled());
/// progress.0.store(true, Ordering::Relaxed);
/// assert!(progress.is_cancelled());
/// ```
pub trait Progress: Sync {
    /// Returns whether the operation should stop. What is done by then is kept, as each operation
    /// documents. Once true, it must stay true.
    fn is_cancelled(&self) -> bool {
        false
    }

    /// Something that people should know and that is not a failure.
    fn note(&self, _text: &str) {}

    /// Indexing: the files are listed and compared with the index.
    fn planned(&self, _plan: &Planned) {}

    /// Indexing: a file is processed. It is on disk only after the next [`Progress::committed`].
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

    /// Folding: `done` of `of` images are linked into the segments that make searching fast.
    fn folding(&self, _done: usize, _of: usize) {}

    /// Training and evaluation: `done` of `of` images are decoded and encoded.
    fn encoded(&self, _done: usize, _of: usize) {}

    /// Training and evaluation: an image cannot be used.
    fn unusable(&self, _path: &Path, _reason: &str) {}

    #[cfg(feature = "train")]
    /// Training of a head: an epoch is over.
    fn epoch(&self, _report: &EpochReport) {}

    #[cfg(feature = "train")]
    /// Training of an autoencoder or a decoder: an epoch is over.
    fn autoencoder_epoch(&self, _epoch: &Epoch) {}

    /// Evaluation: the named representation is scored next.
    fn scoring(&self, _representation: &str) {}
}

impl Progress for () {}
