//! Witnesses: stored images that show that the folder of a missing image is the same as before.
//!
//! A run over whole folders finds such images itself. A run over a part of them, such as one deleted file, finds
//! none, and without creation times the numbers of a folder do not show whether another disk stands in its place.
//! So it looks for one image that a walk would have found unchanged.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use imgsearch_index::{FileStat, Reader};

use super::IndexOptions;
use super::forget::Evidence;
use super::report::WhyKept;
use super::stored::Missing;
use super::walk::stat_of;
use crate::error::Result;

/// Stored images of a folder that are looked at. If that many are missing or changed, the folder stays in doubt.
const MAX_TRIED: usize = 1000;

/// Looks for a witness in every folder in doubt, and tells `evidence`.
///
/// # Errors
///
/// If the index cannot be read.
pub(super) fn call(
    reader: &Reader,
    missing: &[Missing],
    options: &IndexOptions,
    evidence: &mut Evidence<'_>,
) -> Result<()> {
    let mut asked: HashSet<PathBuf> = HashSet::new();
    for one in missing {
        let Some(doubt) = evidence.doubt(&one.path) else {
            continue;
        };
        if doubt.why != WhyKept::Elsewhere || !asked.insert(doubt.folder.clone()) {
            continue;
        }
        let found = reader.find_under(&doubt.folder, MAX_TRIED, |image| {
            image.away_since.is_none() && is_unchanged(&image.path, &image.stat, options)
        })?;
        if let Some(image) = found {
            evidence.met(&image.path);
        }
    }
    evidence.forget_answers();
    Ok(())
}

fn is_unchanged(path: &Path, stored: &FileStat, options: &IndexOptions) -> bool {
    let Ok(metadata) = fs::metadata(path) else {
        return false;
    };
    let now = stat_of(&metadata);
    metadata.is_file()
        && if options.ignore_inode {
            stored.same_size_and_date(&now)
        } else {
            stored.is_unchanged(&now)
        }
}
