//! What is asked and what is found: plain data.

use std::path::PathBuf;

use imgsearch_index::{Digest, Filter, Image, ImageId};
use serde::Serialize;

use super::difference::Difference;
use crate::error::Error;

/// How alike two files are, from the most to the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// The same bytes.
    Identical,
    /// The same picture: re-encoded, resized, cropped, turned, mirrored, with bars or a caption, blurred or brighter.
    #[default]
    Edited,
    /// Another picture that shows nearly the same: shots of a burst.
    Near,
}

impl Level {
    /// Returns the name for programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Identical => "identical",
            Self::Edited => "edited",
            Self::Near => "near",
        }
    }
}

/// Which file of a group is the best one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Keep {
    /// The one with the most pixels, then the least compressed, then the oldest. Bars do not count as pixels.
    #[default]
    Best,
    /// The newest, by when it was taken or else the date of the file.
    Newest,
    /// The oldest.
    Oldest,
    /// The one with the most bytes.
    Largest,
    /// The one with the shortest path.
    ShortestPath,
}

/// What [`find`](super::find) looks for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DuplicateOptions {
    /// Up to which level. Default: [`Level::Edited`].
    pub level: Level,
    /// Which images are compared with each other. Default: all.
    pub filter: Filter,
    /// Which file of a group is the best one.
    pub keep: Keep,
    /// Only pairs of at least this similarity by the encoder, from 0 to 1: fewer pictures are compared, and copies that
    /// the encoder sees differently are missed. Default: no limit.
    pub min_similarity: Option<f32>,
    /// How many of its nearest images each image is compared with, at most. More find copies that the encoder sees
    /// differently, in collections with many images alike, and take longer. Default: 48.
    pub neighbours: usize,
}

impl Default for DuplicateOptions {
    fn default() -> Self {
        Self {
            level: Level::default(),
            filter: Filter::default(),
            keep: Keep::default(),
            min_similarity: None,
            neighbours: 48,
        }
    }
}

/// A file of a group.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DuplicateFile {
    /// The file.
    pub path: PathBuf,
    /// The image's number in the index.
    pub id: ImageId,
    /// BLAKE3 of the file.
    pub content: Digest,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// Width in pixels, as it is looked at.
    pub width: u32,
    /// Height in pixels, as it is looked at.
    pub height: u32,
    /// The file format, in lower case.
    pub format: String,
    /// When it was taken, in seconds since 1970 of the camera's clock, if the file says so.
    pub taken: Option<i64>,
    /// The date of the file, in nanoseconds since 1970.
    pub modified_ns: i64,
    /// How alike it is to the best file of the group; [`Level::Identical`] for that one.
    pub level: Level,
    /// How it differs from the best file; `None` if it has the same content.
    pub difference: Option<Difference>,
}

impl DuplicateFile {
    pub(super) fn of(image: &Image, level: Level, difference: Option<Difference>) -> Self {
        Self {
            path: image.path.clone(),
            id: image.id,
            content: image.digest,
            bytes: image.stat.size,
            width: image.width,
            height: image.height,
            format: image.format.clone(),
            taken: image.taken,
            modified_ns: image.stat.mtime_ns,
            level,
            difference,
        }
    }

    /// Returns its number of pixels.
    pub fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }
}

/// Files that hold the same picture.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DuplicateGroup {
    /// At least two files, the best one first.
    pub files: Vec<DuplicateFile>,
    /// Which of them is the best one.
    pub best: usize,
    /// The level of the file that differs most from the best one.
    pub level: Level,
}

impl DuplicateGroup {
    /// Returns the files other than the best one.
    pub fn others(&self) -> impl Iterator<Item = &DuplicateFile> {
        let files = self.files.iter().enumerate();
        files.filter(|(i, _)| *i != self.best).map(|(_, file)| file)
    }
}

/// A file that was left out.
#[derive(Debug)]
#[non_exhaustive]
pub struct Skipped {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub error: Error,
}

/// What was found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Duplicates {
    /// The groups, by the path of the best file. A file is in one of them at most.
    pub groups: Vec<DuplicateGroup>,
    /// Files that were left out, by path.
    pub skipped: Vec<Skipped>,
    /// Images that were looked through.
    pub images: usize,
    /// Pairs that were near enough to be compared.
    pub candidates: usize,
    /// Pairs that were compared by their pixels.
    pub compared: usize,
}

/// A part of the work, for [`Progress::duplicates`](crate::Progress::duplicates).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// Looking for pairs that are near each other; counted in images.
    Candidates,
    /// Comparing them by their pixels; counted in pairs.
    Pixels,
}
