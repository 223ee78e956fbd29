//! Duplicates: what a collection holds twice.
//!
//! [`find`] goes along what the index stores: files of identical content share a digest, and pictures that may be copies
//! of each other are near by code and hash ([`Searcher::join`](crate::index::Searcher::join)). Only these are decoded,
//! once each, and compared by their pixels ([`verify`]), so that a group can be trusted. Every file of a group was
//! compared with the best one of it: groups are no chains.

pub mod action;
mod candidates;
pub mod compare;
mod contents;
mod difference;
mod groups;
mod order;
mod pixels;
mod types;
pub mod verify;

use std::collections::HashMap;

use imgsearch_index::{Image, ImageId};

use crate::error::{Error, Result};
use crate::library::Library;
use crate::progress::Progress;
use contents::Contents;
pub use difference::{Change, Difference};
use groups::{Evidence, Grouped};
pub use types::{
    DuplicateFile, DuplicateGroup, DuplicateOptions, Duplicates, Keep, Level, Skipped, Stage,
};

/// Files that are opened between two looks at whether to stop.
const CHECKED: usize = 1024;

/// Finds what the collection of a library holds twice.
///
/// Nothing is changed. Files that cannot be read, or are not as they were when they were indexed, are left out and
/// returned as [`Duplicates::skipped`].
///
/// Memory: up to 24 bytes for each image and each of [`DuplicateOptions::neighbours`], and half of
/// [`Limits::max_memory`](crate::decode::Limits::max_memory) for small copies of the pictures that are compared.
///
/// # Errors
///
/// If nothing was indexed yet, if the index cannot be read or the filter is invalid, and [`Error::Interrupted`] after a
/// cancellation.
///
/// # Examples
///
/// ```no_run
/// use imgsearch::Library;
/// use imgsearch::duplicates::{DuplicateOptions, find};
///
/// let library = Library::open("my-index")?;
/// for group in find(&library, &DuplicateOptions::default(), &())?.groups {
///     println!("best: {}", group.files[group.best].path.display());
///     for file in group.others() {
///         let how = file.difference.iter().map(ToString::to_string).collect::<String>();
///         println!("      {} ({how})", file.path.display());
///     }
/// }
/// # Ok::<(), imgsearch::Error>(())
/// ```
pub fn find(
    library: &Library,
    options: &DuplicateOptions,
    progress: &dyn Progress,
) -> Result<Duplicates> {
    let contents = Contents::read(library, &options.filter)?;
    let mut found = Duplicates {
        images: contents.images(),
        ..Duplicates::default()
    };
    let mut looks = pixels::Looks::new(library, &contents)?;
    let mut evidence = Evidence::default();
    if options.level > Level::Identical {
        let pairs = candidates::pairs(library, &contents, options, progress)?;
        found.candidates = pairs.len();
        looks.compare(pairs, &mut evidence, progress)?;
        // What the search along the graph did not pair, but a group would hold.
        let missing = evidence.missing(options.level);
        looks.compare(missing, &mut evidence, progress)?;
        found.compared = looks.compared();
    }
    found.skipped = looks.take_skipped();
    let images = images_of(library, &contents, &evidence, &mut found.skipped, progress)?;
    if progress.is_cancelled() {
        return Err(Error::Interrupted);
    }
    let ranked = order::ranked(&images, options.keep);
    let grouped = groups::group(&ranked, &evidence, options, &contents);
    found.groups = grouped
        .into_iter()
        .filter_map(|grouped| assemble(grouped, &images, &contents, options))
        .collect();
    found
        .groups
        .sort_by(|a, b| a.files[a.best].path.cmp(&b.files[b.best].path));
    found.skipped.sort_by(|a, b| a.path.cmp(&b.path));
    found.skipped.dedup_by(|a, b| a.path == b.path);
    Ok(found)
}

/// Returns the images that may be in groups and whose files are as they were indexed. The others are skipped.
fn images_of(
    library: &Library,
    contents: &Contents,
    evidence: &Evidence,
    skipped: &mut Vec<Skipped>,
    progress: &dyn Progress,
) -> Result<HashMap<ImageId, Image>> {
    let mut ids: Vec<ImageId> = evidence.images().chain(contents.repeated()).collect();
    ids.sort_unstable();
    ids.dedup();
    let ids: Vec<ImageId> = ids
        .into_iter()
        .flat_map(|first| contents.files(first).iter().copied())
        .collect();
    let index = library.index_view()?;
    let mut kept = HashMap::new();
    for some in ids.chunks(CHECKED) {
        if progress.is_cancelled() {
            return Err(Error::Interrupted);
        }
        let images = index.images(some)?.into_iter().flatten();
        for (image, checked) in pixels::check(library, images.collect()) {
            match checked {
                Ok(()) => {
                    kept.insert(image.id, image);
                }
                Err(error) => skipped.push(Skipped {
                    path: image.path,
                    error,
                }),
            }
        }
    }
    Ok(kept)
}

/// Makes a group of what was found to belong together; `None` if fewer than two of its files are left.
fn assemble(
    grouped: Grouped,
    images: &HashMap<ImageId, Image>,
    contents: &Contents,
    options: &DuplicateOptions,
) -> Option<DuplicateGroup> {
    let mut files = Vec::new();
    let best = images.get(&grouped.best)?;
    let members = std::iter::once((grouped.best_content, None)).chain(
        grouped
            .members
            .into_iter()
            .map(|(id, verdict)| (id, Some(verdict))),
    );
    for (content, verdict) in members {
        for id in contents.files(content) {
            let Some(image) = images.get(id) else {
                continue;
            };
            let (level, difference) = match &verdict {
                None => (Level::Identical, None),
                Some(verdict) => difference::level_and_difference(best, image, verdict),
            };
            files.push(DuplicateFile::of(image, level, difference));
        }
    }
    if files.len() < 2 {
        return None;
    }
    order::sort(&mut files, options.keep, grouped.best);
    let level = files.iter().map(|file| file.level).max()?;
    Some(DuplicateGroup {
        best: files.iter().position(|file| file.id == grouped.best)?,
        level,
        files,
    })
}
