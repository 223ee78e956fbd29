//! The progress of one batch: what a watcher's caller sees, and how a batch is cancelled.

use std::path::{Path, PathBuf};

use super::WatchProgress;
use crate::error::Error;
use crate::indexing::watch::Shared;
use crate::indexing::{Forgetting, Kept, Outcome, Planned};
use crate::progress::Progress;

/// The progress of a batch, which a stopped watcher cancels.
pub(super) struct Batched<'a> {
    pub inner: &'a dyn WatchProgress,
    pub shared: &'a Shared,
    /// Paths of which the system said that they were deleted or moved away.
    pub removed: &'a [PathBuf],
}

impl Batched<'_> {
    /// Returns whether the system said of all these images that they were deleted or moved away.
    fn was_told(&self, what: &Forgetting) -> bool {
        what.folders.iter().all(|count| {
            let folder = count.folder.as_path();
            let is_in = |path: &&PathBuf| path.parent() == Some(folder);
            self.removed.iter().any(|path| folder.starts_with(path))
                || self.removed.iter().filter(is_in).count() >= count.images
        })
    }
}

impl Progress for Batched<'_> {
    fn is_cancelled(&self) -> bool {
        self.shared.lock().is_stopped || self.inner.is_cancelled()
    }

    fn note(&self, text: &str) {
        self.inner.note(text);
    }

    fn planned(&self, plan: &Planned) {
        self.inner.planned(plan);
    }

    fn file(&self, path: &Path, outcome: &Outcome) {
        self.inner.file(path, outcome);
    }

    fn walk_error(&self, path: &Path, reason: &str) {
        self.inner.walk_error(path, reason);
    }

    fn committed(&self, changes: usize) {
        self.inner.committed(changes);
    }

    fn kept(&self, kept: &Kept) {
        self.inner.kept(kept);
    }

    fn forgetting(&self, what: &Forgetting) {
        if !self.was_told(what) {
            self.inner.forgetting(what);
        }
    }

    fn confirm_forget(&self, what: &Forgetting) -> bool {
        self.was_told(what) || self.inner.confirm_forget(what)
    }

    fn read_in_vain(&self, files: usize) {
        self.inner.read_in_vain(files);
    }

    fn folding_failed(&self, error: &Error) {
        self.inner.folding_failed(error);
    }

    fn folding(&self, done: usize, of: usize) {
        self.inner.folding(done, of);
    }

    fn encoded(&self, done: usize, of: usize) {
        self.inner.encoded(done, of);
    }

    fn unusable(&self, path: &Path, reason: &str) {
        self.inner.unusable(path, reason);
    }

    #[cfg(feature = "train")]
    fn epoch(&self, report: &imgsearch_train::head::EpochReport) {
        self.inner.epoch(report);
    }

    #[cfg(feature = "train")]
    fn autoencoder_epoch(&self, epoch: &imgsearch_train::autoencoder::Epoch) {
        self.inner.autoencoder_epoch(epoch);
    }

    fn scoring(&self, representation: &str) {
        self.inner.scoring(representation);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::indexing::FolderCount;

    #[test]
    fn many_images_are_forgotten_only_if_the_system_told_of_all() {
        let removed = ["/p/a", "/p/b/1.jpg", "/p/b/2.jpg"].map(PathBuf::from);
        let batched = Batched {
            inner: &(),
            shared: &Shared::default(),
            removed: &removed,
        };
        let confirms = |folders: &[(&str, usize)]| {
            let folders = folders.iter().map(|&(folder, images)| FolderCount {
                folder: folder.into(),
                images,
            });
            batched.confirm_forget(&Forgetting {
                images: 200,
                of: 200,
                folders: folders.collect(),
                emptied: None,
            })
        };
        assert!(confirms(&[("/p/a", 150), ("/p/a/deep", 48), ("/p/b", 2)]));
        assert!(!confirms(&[("/p/a", 150), ("/p/b", 3)]));
        assert!(!confirms(&[("/p/ab", 1)]) && !confirms(&[("/p", 2)]));
    }
}
