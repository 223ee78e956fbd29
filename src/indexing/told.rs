//! What is told of images that are kept, and of many that are about to be forgotten.

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
