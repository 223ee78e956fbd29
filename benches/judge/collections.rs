//! Photographs and their features, and the collections that are drawn from them.

use std::path::{Path, PathBuf};

use imgsearch::train::extract::{ExtractOptions, extract};
use imgsearch::{Engine, Result, WalkOptions, walk};

/// Photographs, objects first.
pub struct Pool {
    pub features: Vec<f32>,
    /// Numbers in a row of features.
    pub d: usize,
    /// The class of each photograph; `None` for those that have a class of their own.
    pub classes: Vec<Option<usize>>,
}

/// Photographs to index.
pub struct Collection {
    pub name: String,
    /// The third of the classes that it is drawn from.
    pub third: usize,
    pub images: Vec<usize>,
}

impl Pool {
    pub fn read(engine: &Engine, objects: &Path, photos: &Path) -> Result<Self> {
        let list = |folder: &Path| -> Result<Vec<PathBuf>> {
            let walked = walk(&[folder.to_owned()], &WalkOptions::default())?;
            Ok(walked
                .candidates
                .into_iter()
                .map(|candidate| candidate.path)
                .collect())
        };
        let objects = list(objects)?;
        let labelled = objects.len();
        let paths = [objects, list(photos)?].concat();
        let extracted = extract(engine, &paths, ExtractOptions::default(), &())?;
        let mut names: Vec<PathBuf> = Vec::new();
        let classes = extracted.paths.iter().map(|path| {
            let place = paths.iter().position(|other| other == path)?;
            let folder = path.parent().filter(|_| place < labelled)?;
            Some(
                names
                    .iter()
                    .position(|name| name == folder)
                    .unwrap_or_else(|| {
                        names.push(folder.to_owned());
                        names.len() - 1
                    }),
            )
        });
        Ok(Self {
            classes: classes.collect(),
            d: extracted.feature_len,
            features: extracted.features,
        })
    }

    fn all(&self, wanted: impl Fn(Option<usize>) -> bool) -> Vec<usize> {
        (0..self.classes.len())
            .filter(|&i| wanted(self.classes[i]))
            .collect()
    }

    /// Returns the photographs of the other two thirds of the classes, and those without a class.
    pub fn outside(&self, third: usize) -> Vec<usize> {
        self.all(|class| class.is_none_or(|class| class % 3 != third))
    }

    pub fn features_of(&self, images: &[usize]) -> Vec<f32> {
        let rows = images
            .iter()
            .map(|&i| &self.features[i * self.d..][..self.d]);
        rows.flatten().copied().collect()
    }

    pub fn labels_of(&self, images: &[usize]) -> Vec<Option<usize>> {
        images.iter().map(|&i| self.classes[i]).collect()
    }
}

/// Returns the collections: each third as a whole, a part of its classes, and parts of it with and without other
/// photographs.
pub fn collections(pool: &Pool) -> Vec<Collection> {
    let mut all = Vec::new();
    for third in 0..3 {
        let own = pool.all(|class| class.is_some_and(|class| class % 3 == third));
        let with_others = pool.all(|class| class.is_none_or(|class| class % 3 == third));
        let half = pool.all(|class| class.is_some_and(|class| class % 6 == third));
        let mut add = |name: &str, images: Vec<usize>| {
            all.push(Collection {
                name: format!("third {third}, {name}"),
                third,
                images,
            });
        };
        add("300", drawn(&own, 300, third as u64));
        add("600, others", drawn(&with_others, 600, third as u64));
        add("half", half);
        add("all", own);
        add("all, others", with_others);
    }
    all
}

/// Draws `n` of the images, the same for the same seed, and keeps their order.
pub fn drawn(from: &[usize], n: usize, seed: u64) -> Vec<usize> {
    let key = |i: usize| {
        let mut x = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ^ seed.wrapping_mul(0xd1b5_4a32_d192_ed03);
        x ^= x >> 29;
        x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x ^ (x >> 32)
    };
    let mut images = from.to_vec();
    images.sort_unstable_by_key(|&i| key(i));
    images.truncate(n);
    images.sort_unstable();
    images
}
