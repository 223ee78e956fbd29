//! Reports of a run: its plan, each file, what it keeps or is about to forget, and its summary.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// Stored images that the walk did not find and that are kept, because their files may still exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Kept {
    /// The folder in doubt.
    pub folder: PathBuf,
    /// The number of stored images in and below it.
    pub images: usize,
    /// The reason why they are kept.
    pub why: WhyKept,
}

/// The reason why images are kept although the walk did not find their files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WhyKept {
    /// The folder cannot be read.
    Unreadable,
    /// An indexed folder is missing or empty.
    Empty,
    /// The folder is not the one that held them, or it is missing and was on another disk. Perhaps a disk is not
    /// mounted, or another one takes its place.
    Elsewhere,
    /// The folder was missing or another one when their files were first missing, and they have not been found
    /// since.
    Unseen,
    /// New files have the same contents, but this folder was not walked and is missing or empty.
    NotWalked,
}

/// Many images that are about to be forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Forgetting {
    /// The number of images.
    pub images: usize,
    /// The number of stored images.
    pub of: usize,
    /// The folders that they were in, the one with the most images first.
    pub folders: Vec<FolderCount>,
    /// An indexed folder in which no image is left.
    pub emptied: Option<PathBuf>,
}

/// A folder that loses images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FolderCount {
    /// The folder.
    pub folder: PathBuf,
    /// The number of images that were in it, not counting folders below.
    pub images: usize,
}

impl Forgetting {
    /// From this number on, images are many if they are more than a tenth of all …
    const MIN_IMAGES: usize = 10;
    const SHARE_OF_ALL: usize = 10;
    /// … and above this number in any case.
    const MAX_IMAGES: usize = 100;

    /// Returns what is about to be forgotten of `of` stored images, or `None` if it needs no confirmation.
    pub(crate) fn of<'p>(
        paths: impl Iterator<Item = &'p Path>,
        of: usize,
        emptied: Option<PathBuf>,
    ) -> Option<Self> {
        let mut counts: HashMap<&Path, usize> = HashMap::new();
        let mut images = 0;
        for path in paths {
            *counts.entry(path.parent().unwrap_or(path)).or_default() += 1;
            images += 1;
        }
        let much = images > Self::MAX_IMAGES
            || (images >= Self::MIN_IMAGES && images * Self::SHARE_OF_ALL > of)
            || (images > 0 && emptied.is_some());
        if !much {
            return None;
        }
        let mut folders: Vec<FolderCount> = counts
            .into_iter()
            .map(|(folder, images)| FolderCount {
                folder: folder.to_owned(),
                images,
            })
            .collect();
        folders.sort_by(|a, b| b.images.cmp(&a.images).then(a.folder.cmp(&b.folder)));
        Some(Self {
            images,
            of,
            folders,
            emptied,
        })
    }
}

impl Summary {
    /// Counts a file that is stored, and returns what became of it.
    pub(super) fn stored(&mut self, was_known: bool, damage: Option<String>) -> Outcome {
        let outcome = if was_known {
            self.changed += 1;
            Outcome::Changed
        } else {
            self.added += 1;
            Outcome::Added
        };
        match damage {
            Some(damage) => {
                self.damaged += 1;
                Outcome::Damaged(damage)
            }
            None => outcome,
        }
    }
}

/// The result for one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// A new image.
    Added,
    /// The content of the image changed.
    Changed,
    /// The image was stored under another path, which is gone.
    Moved,
    /// The file's date changed, and its content did not.
    Touched,
    /// The image is gone and was removed.
    Removed,
    /// The image was indexed as far as it could be decoded; with the reason.
    Damaged(String),
    /// The file was not indexed; with the reason.
    Failed(String),
    /// The file was tried again and failed for the same reason as before.
    FailedAgain(String),
}

/// The size of the work, known after the walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Planned {
    /// Candidate image files that the walk found.
    pub found: usize,
    /// Files that are stored and have not changed.
    pub unchanged: usize,
    /// Files to read.
    pub jobs: usize,
}

/// What an indexing run did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Summary {
    /// New images.
    pub added: usize,
    /// Images whose content changed.
    pub changed: usize,
    /// Images found again under another path.
    pub moved: usize,
    /// Images that were removed because their files are gone.
    pub removed: usize,
    /// Images that were kept on request or out of caution although their files were not found.
    pub kept_missing: usize,
    /// Of these, the images that were kept only because they were many and nobody confirmed to forget them.
    pub kept_unconfirmed: usize,
    /// Images that were kept because a folder above them cannot be read.
    pub kept_unreadable: usize,
    /// Files that were skipped because at most their dates and numbers changed.
    pub unchanged: usize,
    /// Of the images added or changed, those whose content was stored already and which were not encoded again.
    pub identical: usize,
    /// Images that were indexed although a part of them is missing.
    pub damaged: usize,
    /// Images encoded that show nothing: one colour.
    pub blank: usize,
    /// Files that could not be read or decoded in this run.
    pub failed: usize,
    /// Of these, files that cost more than the limits allow.
    #[serde(skip)]
    pub over_limit: usize,
    /// Files that could not be read or decoded before, and are unchanged or failed again for the same reason.
    pub failed_before: usize,
    /// Walked files that are not images.
    pub others: usize,
    /// Folders and links that could not be read.
    pub unreadable_folders: usize,
    /// Images encoded.
    pub encoded: usize,
    /// Duration of the run in seconds, including the walk.
    pub seconds: f64,
    /// Seconds that the storing thread spent on storing, including waits for the disk. Reading and encoding
    /// continue meanwhile.
    pub storing_seconds: f64,
    /// Encoded images per second of reading and encoding.
    pub images_per_second: f64,
    /// Whether the run was interrupted before it was complete.
    pub interrupted: bool,
    /// What happened to the encoder, or could.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adaptation: Option<Adaptation>,
}

/// What a run did about an encoder for the collection, or what a person can do.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Adaptation {
    /// A new index has fewer images than training pays for.
    TooFew {
        /// The number that it pays for.
        min_images: usize,
    },
    /// An encoder was trained on the collection and took over.
    Better {
        /// The number of images that it was trained on.
        images: usize,
        /// How alike the nearest images were before, from 0 to 1
        /// ([`Judge`](imgsearch_train::judge::Judge)).
        before: f64,
        /// How alike they are now.
        after: f64,
        /// Seconds for training and judging.
        seconds: f64,
    },
    /// An encoder was trained on the collection, and the built-in one stays.
    NotBetter {
        /// The number of images that it was trained on.
        images: usize,
        /// How alike the nearest images are.
        before: f64,
        /// How alike they would have been.
        after: f64,
        /// Seconds for training and judging.
        seconds: f64,
    },
    /// No encoder could be trained, and the built-in one stays.
    Failed {
        /// The reason.
        reason: String,
    },
    /// The collection is at least twice as large as when its encoder was trained.
    Grown {
        /// The number of images then.
        from: usize,
        /// The number of images now.
        to: usize,
    },
    /// The index has the built-in encoder, and is large enough for one of its own. Reported once.
    Offered,
}

impl Adaptation {
    /// Returns whether training was tried.
    pub(crate) fn was_tried(&self) -> bool {
        matches!(
            self,
            Self::Better { .. } | Self::NotBetter { .. } | Self::Failed { .. }
        )
    }

    /// Returns the seconds that training took.
    pub(crate) fn seconds(&self) -> f64 {
        match self {
            Self::Better { seconds, .. } | Self::NotBetter { seconds, .. } => *seconds,
            _ => 0.0,
        }
    }
}
