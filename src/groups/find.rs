//! Finding the groups of a collection.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use imgsearch_index::{Filter, Image, ImageId, Index, Points, Searcher, Selection};
use rayon::prelude::*;
use serde::Serialize;

use super::condense::Condensed;
use super::dates::Dates;
use super::join::join;
use super::linkage::single_linkage;
use super::naming::{Shown, Word, words};
use super::neighbours::{Lists, NEIGHBOURS, NONE, mixed, of};

use crate::error::{Error, Result};
use crate::library::Library;
use crate::progress::{Progress, go_on};

/// The smallest default for the fewest images of a group.
const FEWEST: usize = 5;

/// The default for the fewest images of a group is the root of their number divided by this: 10 of 3,719, 166 of a
/// million.
const ROOT_BY: f64 = 6.0;

/// Images of a group whose labels and dates are read, spread evenly.
const SAMPLE: usize = 400;

/// Images of the whole collection whose labels are read.
const SAMPLE_OF_ALL: usize = 20_000;

/// How groups are found.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct GroupOptions {
    /// The fewest images of a group, at least 2, copies of one image counted once. Default: the root of their number
    /// divided by 6, and at least 5.
    pub min_size: Option<usize>,
    /// Levels of groups within groups that are looked for. Default: 0, none.
    pub depth: usize,
    /// Which images are grouped. Default: all.
    pub filter: Filter,
}

/// The groups of a collection.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Groups {
    /// The groups, the largest first, ties by their first image.
    pub groups: Vec<Group>,
    /// The images in no group, by id.
    pub ungrouped: Vec<ImageId>,
    /// The images looked at.
    pub images: usize,
    /// The fewest different images of a group.
    pub min_size: usize,
    /// Whether there are labels to name groups by.
    pub has_labels: bool,
}

/// Images that resemble each other more than they resemble others.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Group {
    /// The images, the most typical first.
    pub images: Vec<ImageId>,
    /// What it shows, in a word or two: the first of [`Group::words`]. `None` if no word fits.
    pub name: Option<String>,
    /// The words that set it apart, best first; at most three.
    pub words: Vec<Word>,
    /// When its images were taken.
    pub dates: Option<Dates>,
    /// The groups within it, the largest first. Not every image need be in one.
    pub groups: Vec<Group>,
}

impl Library {
    /// Finds groups of images that resemble each other, as many as there are. Images that belong nowhere are left out.
    ///
    /// The method is HDBSCAN* (Campello, Moulavi and Sander 2013) by the default ranking, along the nearest neighbours
    /// that the index finds, with images at the edge of a group joined to it. The same index gives the same groups.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`] if `progress` says so, and if the filter is invalid, the options are out of range or the
    /// index cannot be read.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use imgsearch::Library;
    /// use imgsearch::groups::GroupOptions;
    ///
    /// let library = Library::open("my-index")?;
    /// for group in library.groups(&GroupOptions::default(), &())?.groups {
    ///     let name = group.name.as_deref().unwrap_or("something");
    ///     println!("{} images of {name}", group.images.len());
    /// }
    /// # Ok::<(), imgsearch::Error>(())
    /// ```
    pub fn groups(&self, options: &GroupOptions, progress: &dyn Progress) -> Result<Groups> {
        let index = self.index_view()?;
        let searcher = index.searcher()?;
        let selection = select(&searcher, &options.filter)?;
        let points = searcher.points(selection.as_ref())?;
        let lists = of(&searcher, &points, NEIGHBOURS, progress)?;
        grouped(index, &points, &lists, options, progress)
    }
}

/// Returns the images of a view that a filter lets through; `None` for all.
pub(super) fn select(searcher: &Searcher, filter: &Filter) -> Result<Option<Selection>> {
    let selected = (!filter.is_empty()).then(|| searcher.select(filter));
    Ok(selected.transpose()?)
}

/// Returns the groups of points, given the nearest others of each.
pub(super) fn grouped(
    index: &Index,
    points: &Points,
    lists: &Lists,
    options: &GroupOptions,
    progress: &dyn Progress,
) -> Result<Groups> {
    let min_size = min_size(options, points.len())?;
    let mixed = mixed(points, lists, progress)?;
    let joins = single_linkage(&mixed, points, min_size, progress)?;
    let tree = Condensed::new(points.len(), &joins, min_size);
    go_on(progress)?;
    let clusters = tree.groups();
    let mut of_point = tree.members(&clusters);
    join(lists, &mut of_point);
    let mut found: Vec<Found> = clusters
        .into_iter()
        .map(|cluster| Found::new(Some(cluster)))
        .collect();
    for &(id, point) in points.images() {
        if let Some(found) = found.get_mut(of_point[point as usize] as usize) {
            found.images.push((id, point));
        }
    }
    let copies = copies(points, &of_point, min_size);
    let mut in_copies: Vec<ImageId> = copies.iter().flat_map(Found::ids).collect();
    in_copies.sort_unstable();
    let ungrouped: Vec<ImageId> = points
        .images()
        .iter()
        .filter(|(_, point)| of_point[*point as usize] == NONE)
        .map(|(id, _)| *id)
        .filter(|id| in_copies.binary_search(id).is_err())
        .collect();
    found.extend(copies);
    sort(&mut found);
    if options.depth > 0 {
        within(found.iter_mut().collect(), &tree, lists, options.depth);
    }
    go_on(progress)?;
    let names = Names::of_all(index, points, progress)?;
    let groups = found.into_iter().map(|found| names.name(found, points));
    Ok(Groups {
        groups: groups.collect::<Result<_>>()?,
        ungrouped,
        images: points.images().len(),
        min_size,
        has_labels: names.has_labels,
    })
}

fn min_size(options: &GroupOptions, points: usize) -> Result<usize> {
    match options.min_size {
        Some(size) if size < 2 => Err(Error::BadGroups(format!(
            "a group has at least 2 images, not {size}"
        ))),
        Some(size) => Ok(size),
        None => Ok(FEWEST.max(((points as f64).sqrt() / ROOT_BY).round() as usize)),
    }
}

/// A group without a name.
struct Found {
    /// Its cluster, if it is one.
    cluster: Option<u32>,
    /// Its images and their points, by id.
    images: Vec<(ImageId, u32)>,
    groups: Vec<Found>,
}

impl Found {
    fn new(cluster: Option<u32>) -> Self {
        Self {
            cluster,
            images: Vec::new(),
            groups: Vec::new(),
        }
    }

    fn ids(&self) -> impl Iterator<Item = ImageId> + '_ {
        self.images.iter().map(|&(id, _)| id)
    }
}

/// Sorts groups, the largest first.
fn sort(found: &mut Vec<Found>) {
    found.retain(|found| !found.images.is_empty());
    found.sort_by_key(|found| (Reverse(found.images.len()), found.images[0].0));
}

/// Returns a group of each point that has enough copies to be one, and is in none.
fn copies(points: &Points, of_point: &[u32], min_size: usize) -> Vec<Found> {
    let mut counts = vec![0usize; points.len()];
    for &(_, point) in points.images() {
        counts[point as usize] += 1;
    }
    let is_group = |point: usize| of_point[point] == NONE && counts[point] >= min_size;
    let mut place = vec![NONE; points.len()];
    let mut found: Vec<Found> = Vec::new();
    for &(id, point) in points.images() {
        let at = point as usize;
        if !is_group(at) {
            continue;
        }
        if place[at] == NONE {
            place[at] = found.len() as u32;
            found.push(Found::new(None));
        }
        found[place[at] as usize].images.push((id, point));
    }
    found
}

/// Finds the groups within the groups of one level, and within these, `depth` levels of them. A level is done in one
/// pass over all images, however many groups it has.
fn within(mut level: Vec<&mut Found>, tree: &Condensed, lists: &Lists, depth: usize) {
    // The clusters within, and the place of the group that each is in.
    let (mut inner, mut outer) = (Vec::new(), Vec::new());
    for (place, group) in level.iter().enumerate() {
        for cluster in group.cluster.into_iter().flat_map(|of| tree.groups_in(of)) {
            inner.push(cluster);
            outer.push(place);
        }
    }
    if inner.is_empty() {
        return;
    }
    let mut of_point = tree.members(&inner);
    join(lists, &mut of_point);
    for (place, group) in level.iter_mut().enumerate() {
        let mut own: BTreeMap<u32, Found> = BTreeMap::new();
        for &(id, point) in &group.images {
            let of = of_point[point as usize];
            if outer.get(of as usize) == Some(&place) {
                let found = own.entry(of);
                let found = found.or_insert_with(|| Found::new(Some(inner[of as usize])));
                found.images.push((id, point));
            }
        }
        group.groups = own.into_values().collect();
        sort(&mut group.groups);
    }
    if depth > 1 {
        let next = level.into_iter().flat_map(|group| &mut group.groups);
        within(next.collect(), tree, lists, depth - 1);
    }
}

/// What groups are named by.
struct Names<'a> {
    index: &'a Index,
    progress: &'a dyn Progress,
    all: Shown,
    has_labels: bool,
}

impl<'a> Names<'a> {
    fn of_all(index: &'a Index, points: &Points, progress: &'a dyn Progress) -> Result<Self> {
        let ids = spread(points.images(), SAMPLE_OF_ALL, |&(id, _)| id);
        let labels = index.labels(&ids)?;
        Ok(Self {
            index,
            progress,
            all: Shown::of(labels.iter().map(Vec::as_slice)),
            has_labels: labels.iter().any(|labels| !labels.is_empty()),
        })
    }

    fn name(&self, found: Found, points: &Points) -> Result<Group> {
        go_on(self.progress)?;
        let ids = spread(&found.images, SAMPLE, |&(id, _)| id);
        let (words, fits) = if self.has_labels {
            let labels = self.index.labels(&ids)?;
            words(&Shown::of(labels.iter().map(Vec::as_slice)), &self.all)
        } else {
            (Vec::new(), false)
        };
        let images: Vec<Image> = self.index.images(&ids)?.into_iter().flatten().collect();
        let name = words.first().filter(|_| fits);
        let groups = found.groups.into_iter();
        Ok(Group {
            name: name.map(|word| word.name.to_owned()),
            words,
            dates: Dates::of(images.iter()),
            groups: groups
                .map(|group| self.name(group, points))
                .collect::<Result<_>>()?,
            images: by_typicality(found.images, points),
        })
    }
}

/// Returns at most `most` of some things, spread evenly.
fn spread<T, U>(things: &[T], most: usize, of: impl Fn(&T) -> U) -> Vec<U> {
    let step = things.len().div_ceil(most).max(1);
    things.iter().step_by(step).map(of).collect()
}

/// Returns images by their distance from the mean of all codes and hashes, nearest first, ties by id.
fn by_typicality(images: Vec<(ImageId, u32)>, points: &Points) -> Vec<ImageId> {
    let Some(&(_, first)) = images.first() else {
        return Vec::new();
    };
    let mut code = vec![0f64; points.code(first as usize).len()];
    let bits = points.hash(first as usize).len() * 64;
    let mut set = vec![0f64; bits];
    for &(_, point) in &images {
        for (sum, &number) in code.iter_mut().zip(points.code(point as usize)) {
            *sum += f64::from(number);
        }
        for (word, sums) in points.hash(point as usize).iter().zip(set.chunks_mut(64)) {
            for (bit, sum) in sums.iter_mut().enumerate() {
                *sum += ((word >> bit) & 1) as f64;
            }
        }
    }
    let count = images.len() as f64;
    let mean: Vec<f32> = code.iter().map(|sum| (sum / count) as f32).collect();
    // The squared distance of a bit from a mean, up to what all images share.
    let gain: Vec<f32> = set
        .iter()
        .map(|sum| (1.0 - 2.0 * sum / count) as f32)
        .collect();
    let mut ranked: Vec<(f32, ImageId)> = images
        .into_par_iter()
        .map(|(id, point)| {
            let of_code = imgsearch_index::l2_squared(points.code(point as usize), &mean);
            let words = points.hash(point as usize).iter().zip(gain.chunks(64));
            let of_hash: f32 = words
                .map(|(word, gain)| {
                    let set = gain
                        .iter()
                        .enumerate()
                        .filter(|(bit, _)| (word >> bit) & 1 == 1);
                    set.map(|(_, gain)| gain).sum::<f32>()
                })
                .sum();
            (of_code + points.bit() * of_hash, id)
        })
        .collect();
    ranked.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    ranked.into_iter().map(|(_, id)| id).collect()
}
