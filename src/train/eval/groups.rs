//! Groups: how well they agree with the folders that people sorted images into.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use imgsearch_index::{Filter, ImageId, Points};
use rayon::prelude::*;
use serde::Serialize;

use super::agreement::adjusted_mutual_information;
use super::kmeans::kmeans;
use crate::error::{Error, Result};
use crate::groups::{Group, GroupOptions};
use crate::library::Library;
use crate::progress::Progress;
use crate::text::classes_of;

/// One group, and the folder that most of its images are in.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct GroupRow {
    /// Images in it.
    pub images: usize,
    /// Its name, if a word fits.
    pub name: Option<String>,
    /// The words that set it apart.
    pub words: Vec<String>,
    /// The folder that most of its images are in.
    pub folder: String,
    /// The share of its images that are in that folder.
    pub purity: f64,
    /// Whether the name is right: at least half of the classes that it stands for are the folder's, or its last word is
    /// the folder's, as in *table lamp* for *lamp*. `None` if the folder is not called like a class of ImageNet or a word
    /// above some, or if it has less than half of the group.
    pub is_right: Option<bool>,
}

/// How well groups agree with folders.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct GroupsReport {
    /// One row for each group, the largest first.
    pub rows: Vec<GroupRow>,
    /// Images that were grouped.
    pub images: usize,
    /// Folders.
    pub folders: usize,
    /// Images in no group.
    pub ungrouped: usize,
    /// Adjusted mutual information (Vinh, Epps and Bailey 2010) with the folders, each image without a group being a
    /// group of its own.
    pub alone: f64,
    /// The same, with each image without a group in that of the nearest image that has one.
    pub nearest: f64,
    /// The same for k-means by code and hash, with as many clusters as there are folders.
    pub kmeans: f64,
    /// Groups of folders that are called like classes.
    pub nameable: usize,
    /// Those that have the right name.
    pub right: usize,
}

/// Groups the indexed images of `folder`, in which each folder holds images of one kind, and compares the groups with the
/// folders.
///
/// # Errors
///
/// [`Error::TooFewImages`] if the index has no images in folders of `folder`, and the errors of
/// [`Library::groups`](crate::Library::groups).
pub fn groups_and_folders(
    library: &Library,
    folder: &Path,
    progress: &dyn Progress,
) -> Result<GroupsReport> {
    let below = library.stored_path(folder)?;
    let index = library.index_view()?;
    let folders = folders(&index.to_reader()?.under(&below)?, &below);
    let mut names: Vec<&String> = folders.values().collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return Err(Error::TooFewImages(format!(
            "the index has no images in folders of {}: index it first, with one folder for each kind of thing",
            below.display()
        )));
    }
    let ids: Vec<ImageId> = folders.keys().copied().collect();
    let truth: Vec<usize> = folders
        .values()
        .map(|name| names.partition_point(|other| *other < name))
        .collect();
    let options = GroupOptions {
        filter: Filter::default().ids(ids.iter().copied()),
        ..GroupOptions::default()
    };
    let groups = library.groups(&options, progress)?;
    let mut of_image: HashMap<ImageId, usize> = HashMap::new();
    for (place, group) in groups.groups.iter().enumerate() {
        of_image.extend(group.images.iter().map(|id| (*id, place)));
    }
    let searcher = index.searcher()?;
    let points = searcher.points(Some(&searcher.select(&options.filter)?))?;
    let mut next = groups.groups.len();
    let alone: Vec<usize> = ids
        .iter()
        .map(|id| {
            of_image.get(id).copied().unwrap_or_else(|| {
                next += 1;
                next - 1
            })
        })
        .collect();
    let nearest = nearest(&points, &ids, &of_image);
    let clusters = kmeans(&points, names.len());
    let by_kmeans: Vec<usize> = points
        .images()
        .iter()
        .map(|&(_, point)| clusters[point as usize])
        .collect();
    let rows: Vec<GroupRow> = groups
        .groups
        .iter()
        .map(|group| row(group, &folders))
        .collect();
    let judged = || rows.iter().filter_map(|row| row.is_right);
    Ok(GroupsReport {
        images: ids.len(),
        folders: names.len(),
        ungrouped: groups.ungrouped.len(),
        alone: adjusted_mutual_information(&truth, &alone),
        nearest: adjusted_mutual_information(&truth, &nearest),
        kmeans: adjusted_mutual_information(&truth, &by_kmeans),
        nameable: judged().count(),
        right: judged().filter(|&right| right).count(),
        rows,
    })
}

/// Returns the folder in `below` that each image is in.
fn folders(images: &[imgsearch_index::Image], below: &Path) -> BTreeMap<ImageId, String> {
    let mut folders = BTreeMap::new();
    for image in images {
        let inner = image.path.strip_prefix(below).ok();
        let mut parts = inner.into_iter().flat_map(Path::components);
        if let (Some(folder), Some(_)) = (parts.next(), parts.next()) {
            let folder = folder.as_os_str().to_string_lossy().into_owned();
            folders.insert(image.id, folder);
        }
    }
    folders
}

/// Returns the group of each image, or that of the nearest image that has one.
fn nearest(points: &Points, ids: &[ImageId], of_image: &HashMap<ImageId, usize>) -> Vec<usize> {
    let grouped: Vec<(usize, usize)> = points
        .images()
        .iter()
        .filter_map(|(id, point)| Some((*point as usize, *of_image.get(id)?)))
        .collect();
    let images = points.images().par_iter().zip(ids);
    images
        .map(|(&(_, point), id)| {
            of_image.get(id).copied().unwrap_or_else(|| {
                let measured = grouped
                    .iter()
                    .map(|&(other, group)| (points.distance(point as usize, other), group));
                let nearest = measured.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                nearest.map_or(0, |(_, group)| group)
            })
        })
        .collect()
}

fn row(group: &Group, folders: &BTreeMap<ImageId, String>) -> GroupRow {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for id in &group.images {
        if let Some(folder) = folders.get(id) {
            *counts.entry(folder).or_default() += 1;
        }
    }
    let most = counts
        .into_iter()
        .max_by_key(|&(name, count)| (count, std::cmp::Reverse(name)));
    let (folder, count) = most.unwrap_or(("", 0));
    let purity = count as f64 / group.images.len().max(1) as f64;
    GroupRow {
        images: group.images.len(),
        name: group.name.clone(),
        words: group
            .words
            .iter()
            .map(|word| word.name.to_owned())
            .collect(),
        folder: folder.to_owned(),
        purity,
        is_right: if purity < 0.5 {
            None
        } else {
            is_right(group, folder)
        },
    }
}

/// Returns whether a group's name says what a folder is called; `None` if nothing is known of the folder's name.
fn is_right(group: &Group, folder: &str) -> Option<bool> {
    let folder = folder.replace('_', " ").to_lowercase();
    let truth = classes_of(&folder).ok()?;
    let (Some(name), Some(word)) = (&group.name, group.words.first()) else {
        return Some(false);
    };
    let shared = word.classes.iter().filter(|class| truth.contains(class));
    let last = |text: &str| text.rsplit(' ').next().map(str::to_lowercase);
    Some(shared.count() * 2 >= word.classes.len() || last(name) == last(&folder))
}
