//! What resembles nothing else, and what the encoder knows little of.

use imgsearch_index::{Filter, ImageId, Label};
use serde::Serialize;

use super::find::select;
use super::foreign::{doubt, is_small};
use super::neighbours::{Lists, NEIGHBOURS, of};
use crate::error::{Error, Result};
use crate::library::Library;
use crate::progress::Progress;

/// Neighbours whose mean distance counts. On 3,719 photographs of 51 classes with 200 of as many other classes, the
/// order by the mean of ten has an area under the curve of 0.96. The mean divided by that of the neighbours, as local
/// outlier factors have it (Breunig et al. 2000), has 0.6: sparse classes hide what is foreign.
const AMONG: usize = 10;

/// How far beyond the upper quartile, in distances between the quartiles, an image stands out (Tukey 1977).
pub(super) const FENCE: f32 = 1.5;

/// Images whose labels are read between two looks at whether to stop.
const AT_ONCE: usize = 4096;

/// What outliers are looked for.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct OutlierOptions {
    /// The most images returned. Default: 10.
    pub k: usize,
    /// Which images are looked at, and compared with each other. Default: all.
    pub filter: Filter,
}

impl Default for OutlierOptions {
    fn default() -> Self {
        Self {
            k: 10,
            filter: Filter::default(),
        }
    }
}

/// The images that are furthest from all others.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Outliers {
    /// The images, the furthest first, ties by id. Of copies of one image, the first.
    pub outliers: Vec<Outlier>,
    /// The distance at which half of all different images are from their nearest.
    pub typical: f32,
    /// Images that are further away stand out: they are beyond the upper quartile by one and a half times the distance
    /// between the quartiles (Tukey 1977).
    pub limit: f32,
    /// The number of different images that stand out.
    pub beyond: usize,
    /// The different images that were compared.
    pub images: usize,
}

/// An image and how far it is from the others.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Outlier {
    /// The image.
    pub id: ImageId,
    /// The mean distance, by code and hash, to its ten nearest other images.
    pub distance: f32,
    /// Its nearest other image; `None` if there is none.
    pub nearest: Option<ImageId>,
    /// The share of the collection that is nearer to its nearest images, from 0 to 1.
    pub rank: f32,
}

/// An image that the encoder knows little of.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Unknown {
    /// The image.
    pub id: ImageId,
    /// How undecided the encoder's classifier is about it: the entropy of the classes divided by that of a guess, from 0
    /// (sure of one class) to 1 (no idea).
    pub doubt: f32,
    /// Whether it is so small that the encoder sees mostly what enlarging makes up.
    pub small: bool,
    /// What it may show, best first.
    pub labels: Vec<Label>,
}

impl Library {
    /// Returns the images that resemble nothing else: those whose ten nearest are furthest away.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`] if `progress` says so, and if the filter is invalid or the index cannot be read.
    pub fn outliers(&self, options: &OutlierOptions, progress: &dyn Progress) -> Result<Outliers> {
        let searcher = self.index_view()?.searcher()?;
        let selection = select(&searcher, &options.filter)?;
        let points = searcher.points(selection.as_ref())?;
        let lists = of(&searcher, &points, NEIGHBOURS, progress)?;
        Ok(furthest(points.ids(), &lists, options.k))
    }

    /// Returns the `k` images of which the encoder knows least: those about which its classifier is least decided, and
    /// first those that are too small to show it anything. Of equal ones, the smaller id comes first. Images without
    /// labels are passed over.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownNeedsLabels`] if no image has labels, [`Error::Interrupted`] if `progress` says so, and if the filter is
    /// invalid or the index cannot be read.
    pub fn unknown(
        &self,
        options: &OutlierOptions,
        progress: &dyn Progress,
    ) -> Result<Vec<Unknown>> {
        let index = self.index_view()?;
        let ids = index.to_reader()?.ids(&options.filter)?;
        let mut found: Vec<Unknown> = Vec::new();
        for some in ids.chunks(AT_ONCE) {
            if progress.is_cancelled() {
                return Err(Error::Interrupted);
            }
            let images = index.images(some)?;
            let labels = index.labels(some)?;
            let known = images.into_iter().zip(labels);
            found.extend(known.filter_map(|(image, labels)| {
                let image = image?;
                Some(Unknown {
                    id: image.id,
                    doubt: doubt(&labels)?,
                    small: is_small(&image),
                    labels,
                })
            }));
        }
        if found.is_empty() && !ids.is_empty() && !index.to_reader()?.holds_labels()? {
            return Err(Error::UnknownNeedsLabels { images: ids.len() });
        }
        found.sort_by(|a, b| {
            let least = b.small.cmp(&a.small).then(b.doubt.total_cmp(&a.doubt));
            least.then(a.id.cmp(&b.id))
        });
        found.truncate(options.k);
        Ok(found)
    }
}

/// Returns the `k` points that are furthest from their nearest.
fn furthest(ids: &[ImageId], lists: &Lists, k: usize) -> Outliers {
    let mean = |point: usize| {
        let near = lists.distances(point);
        let near = &near[..near.len().min(AMONG)];
        // The sum of none is minus zero.
        (near.iter().sum::<f32>() + 0.0) / near.len().max(1) as f32
    };
    let mut order: Vec<(f32, usize)> = (0..ids.len()).map(|point| (mean(point), point)).collect();
    order.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let at = |share: f64| {
        let last = order.len().checked_sub(1)?;
        Some(order[last - (share * last as f64).round() as usize].0)
    };
    let [lower, typical, upper] = [0.25, 0.5, 0.75].map(|share| at(share).unwrap_or(0.0));
    let limit = upper + FENCE * (upper - lower);
    let outliers = order.iter().take(k).map(|&(distance, point)| {
        let nearer = order.len() - order.partition_point(|other| other.0 >= distance);
        Outlier {
            id: ids[point],
            distance,
            nearest: lists.near(point).first().map(|&near| ids[near as usize]),
            rank: nearer as f32 / order.len() as f32,
        }
    });
    Outliers {
        outliers: outliers.collect(),
        typical,
        limit,
        beyond: order.partition_point(|other| other.0 > limit),
        images: order.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_far_from_everything_comes_first() {
        let ids: Vec<ImageId> = (1..=40).map(ImageId).collect();
        let near = |point: u32| {
            let distance = if point == 7 {
                50.0
            } else {
                1.0 + point as f32 / 40.0
            };
            vec![((point + 1) % 40, distance), ((point + 2) % 40, distance)]
        };
        let lists = Lists::new(4, &(0..40).map(near).collect::<Vec<_>>());
        let found = furthest(&ids, &lists, 2);
        assert_eq!((found.outliers[0].id, found.beyond), (ImageId(8), 1));
        assert_eq!(found.outliers[0].nearest, Some(ImageId(9)));
        assert!((found.outliers[0].rank - 39.0 / 40.0).abs() < 1e-6);
        assert_eq!(found.outliers.len(), 2);
        assert!(found.typical < found.limit && found.limit < 50.0);
    }

    #[test]
    fn one_image_or_none_stands_out_from_nothing() {
        let none = furthest(&[], &Lists::new(4, &[]), 5);
        assert_eq!((none.outliers.len(), none.beyond, none.images), (0, 0, 0));
        let one = furthest(&[ImageId(3)], &Lists::new(4, &[Vec::new()]), 5);
        assert_eq!((one.outliers[0].nearest, one.beyond), (None, 0));
    }
}
