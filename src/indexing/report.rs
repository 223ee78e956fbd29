//! What a run reports: its plan, each file, what it keeps or is about to forget, and its summary.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// Stored images whose files were not met and that stay, because they may still exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Kept {
    /// The folder in doubt.
    pub folder: PathBuf,
    /// How many stored images lie at and below it.
    pub images: usize,
    /// Why they stay.
    pub why: WhyKept,
}

/// Why images stay whose files were not met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WhyKept {
    /// The folder cannot be read.
    Unreadable,
    /// A folder that was to be indexed is missing or empty.
    Empty,
    /// The folder is not the one that held them, or it is missing and was on another disk: a disk is
    /// not there, or another in its place.
    Elsewhere,
    /// The folder was elsewhere when they were missed first, and they have not been met since.
    Unseen,
    /// Files of the same contents are new elsewhere, but this folder is missing or empty and was not
    /// walked.
    NotWalked,
}

/// Many images that are about to be forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Forgetting {
    /// How many.
    pub images: usize,
    /// Of how many that are stored.
    pub of: usize,
    /// The folders that they were in, those of the most images first.
    pub folders: Vec<FolderCount>,
    /// A folder that was to be indexed and in which no image is left.
    pub emptied: Option<PathBuf>,
}

/// How many of the images that are about to be forgotten were in a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FolderCount {
    /// The folder.
    pub folder: PathBuf,
    /// How many were in it, not counting folders below.
    pub images: usize,
}

impl Forgetting {
    /// From so many images on, it is much to lose where it is more than a tenth of all …
    const LEAST: usize = 10;
    const SHARE: usize = 10;
    /// … and always where it is more than so many.
    const MOST: usize = 100;

    /// What is about to be forgotten of `of` stored images, where it is so much that somebody should
    /// confirm it.
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
        let much = images > Self::MOST
            || (images >= Self::LEAST && images * Self::SHARE > of)
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

/// What became of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// A new image.
    Added,
    /// An image whose content is another than before.
    Changed,
    /// An image that was stored under another path, which is gone.
    Moved,
    /// The file's date changed and its content did not.
    Touched,
    /// An image that is no longer there.
    Removed,
    /// Indexed as far as it could be decoded.
    Damaged(String),
    /// Not indexed; why.
    Failed(String),
    /// Tried again and not indexed, for the same reason as before.
    FailedAgain(String),
}

/// The size of the work, known once the files are walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Planned {
    /// Candidate image files that were walked.
    pub found: usize,
    /// Those that are stored and have not changed.
    pub unchanged: usize,
    /// Those to read.
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
    /// Images whose files vanished and which were removed from the index.
    pub removed: usize,
    /// Images whose files vanished and which were kept on request or out of caution.
    pub kept_missing: usize,
    /// Those of them that were kept only because they were many and nobody confirmed that they
    /// are to be forgotten.
    pub kept_unconfirmed: usize,
    /// Images that were kept because they lie below a folder that cannot be read.
    pub kept_unreadable: usize,
    /// Files skipped because nothing about them had changed, or nothing but dates and numbers.
    pub unchanged: usize,
    /// Of the images added or changed, those whose content was stored already and which were
    /// not encoded again.
    pub identical: usize,
    /// Images indexed of which a part is missing.
    pub damaged: usize,
    /// Files that could not be read or decoded in this run.
    pub failed: usize,
    /// Files that could not be read or decoded before, and have not changed since or fail again
    /// for the same reason.
    pub failed_before: usize,
    /// Files walked that are no images.
    pub others: usize,
    /// Folders and links that could not be read.
    pub unreadable_folders: usize,
    /// Images encoded.
    pub encoded: usize,
    /// Seconds that the run took, walking included.
    pub seconds: f64,
    /// Seconds of those that the thread which stores results spent on it, waiting for the disk
    /// included; reading and encoding go on meanwhile.
    pub storing_seconds: f64,
    /// Images encoded a second, over the time that reading and encoding took.
    pub images_per_second: f64,
    /// Whether the run was interrupted before it was through.
    pub interrupted: bool,
}
