//! Everything a view shows, at once: for whoever looks at a collection as a whole rather than for one image.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_128;

use super::Searcher;
use super::params::{Query, SearchParams};
use super::select::Selection;
use crate::error::Result;
use crate::kernels::bits::Bits;
use crate::kernels::distance::{hamming_words, l2_squared};
use crate::store::types::ImageId;

/// The distinct images of a view: one of each code and hash, in the order of their ids.
///
/// Files of the same content have the same code and hash, and so have a few contents that differ in nothing that
/// the encoder sees. They are one *point* here, so that copies of one image are not neighbours of each other.
#[derive(Debug, Clone)]
pub struct Points {
    /// The first image of each point, ascending.
    ids: Vec<ImageId>,
    /// The code of each point.
    codes: Vec<f32>,
    code_len: usize,
    /// The hash of each point, in whole words.
    hashes: Vec<u64>,
    words: usize,
    /// What a differing bit adds to a squared distance of codes.
    bit: f32,
    /// Every image and its point, in the order of their ids.
    images: Vec<(ImageId, u32)>,
    /// The first images, to search among; `None` if those are all that the view shows.
    selection: Option<Selection>,
}

impl Searcher {
    /// Returns the distinct images of the view, or of a selection of it.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if the selection is another view's.
    pub fn points(&self, selection: Option<&Selection>) -> Result<Points> {
        self.check(&SearchParams::new(1), selection)?;
        let mut points = Points {
            ids: Vec::new(),
            codes: Vec::new(),
            code_len: self.encoder.code_len,
            hashes: Vec::new(),
            words: self.encoder.bits.div_ceil(64),
            bit: if self.encoder.bits == 0 {
                0.0
            } else {
                self.encoder.bit_distance()
            },
            images: Vec::new(),
            selection: None,
        };
        let mut first = self.select_codes(|_| false);
        let mut known: HashMap<u128, u32> = HashMap::new();
        let mut bytes = Vec::new();
        for (number, part) in self.parts.iter().enumerate() {
            let rows = part.rows();
            let allowed: &Bits = match selection {
                Some(selection) => &selection.parts[number],
                None => &part.live,
            };
            allowed.for_each(0..rows.len(), |row| {
                let (code, hash) = (&rows.code(row)[..points.code_len], rows.hash(row));
                bytes.clear();
                // Adding zero makes the two zeros one.
                let code_bytes = code.iter().flat_map(|number| (number + 0.0).to_le_bytes());
                bytes.extend(code_bytes);
                bytes.extend(hash.iter().flat_map(|word| word.to_le_bytes()));
                let id = ImageId(rows.ids[row]);
                // 128 bits do not collide by chance in any collection that fits on a disk.
                let point = match known.entry(xxh3_128(&bytes)) {
                    Entry::Occupied(known) => *known.get(),
                    Entry::Vacant(new) => {
                        let point = points.ids.len() as u32;
                        points.ids.push(id);
                        points.codes.extend_from_slice(code);
                        points.hashes.extend_from_slice(hash);
                        first.parts[number].insert(row);
                        *new.insert(point)
                    }
                };
                points.images.push((id, point));
            });
        }
        // Without a selection, a search need not look at each row whether it may be found.
        points.selection = (points.len() < self.len()).then_some(first);
        Ok(points)
    }

    /// Returns the points nearest to each of some points, by the ranking of `params`, nearest first: at most `k`
    /// each, without the point itself. The filter of `params` is not looked at. The searches run on all cores.
    ///
    /// # Errors
    ///
    /// As [`Searcher::search`]; [`Error::InvalidInput`](crate::Error::InvalidInput) if `k` is 0, or the points are a part of
    /// another view's.
    pub fn nearest_points(
        &self,
        points: &Points,
        of: std::ops::Range<usize>,
        params: &SearchParams,
    ) -> Result<Vec<Vec<u32>>> {
        let mut params = params.clone();
        let k = params.k;
        params.k = k.saturating_add(1);
        of.into_par_iter()
            .map(|point| {
                let hash = points.packed_hash(point, self.encoder.hash_bytes());
                let query = Query::new(points.code(point)).hash(&hash);
                let (found, _) = self.search_in(&query, &params, points.selection.as_ref())?;
                let near = found.iter().filter_map(|found| points.first(found.id));
                Ok(near
                    .filter(|&near| near as usize != point)
                    .take(k)
                    .collect())
            })
            .collect()
    }
}

impl Points {
    /// Returns the number of points.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Returns the first image of each point, ascending.
    pub fn ids(&self) -> &[ImageId] {
        &self.ids
    }

    /// Returns every image and the number of its point, in the order of the images' ids.
    pub fn images(&self) -> &[(ImageId, u32)] {
        &self.images
    }

    /// Returns the code of a point.
    ///
    /// # Panics
    ///
    /// If there is no such point.
    #[inline(always)]
    pub fn code(&self, point: usize) -> &[f32] {
        &self.codes[point * self.code_len..(point + 1) * self.code_len]
    }

    /// Returns the hash of a point as words: bit `i` is in word `i / 64` at position `i % 64`.
    ///
    /// # Panics
    ///
    /// If there is no such point.
    #[inline(always)]
    pub fn hash(&self, point: usize) -> &[u64] {
        &self.hashes[point * self.words..(point + 1) * self.words]
    }

    /// Returns the distance of two points by code and hash: the squared distance of the codes, and for each bit
    /// that differs [`Points::bit`].
    ///
    /// # Panics
    ///
    /// If there is no such point.
    #[inline(always)]
    pub fn distance(&self, a: usize, b: usize) -> f32 {
        l2_squared(self.code(a), self.code(b)) + self.bit * self.bits_between(a, b) as f32
    }

    /// Returns the number of bits in which two hashes differ.
    ///
    /// # Panics
    ///
    /// If there is no such point.
    #[inline(always)]
    pub fn bits_between(&self, a: usize, b: usize) -> u32 {
        hamming_words(self.hash(a), self.hash(b))
    }

    /// Returns what a differing bit adds to a distance.
    pub fn bit(&self) -> f32 {
        self.bit
    }

    /// Returns the point whose first image it is.
    fn first(&self, id: ImageId) -> Option<u32> {
        let point = self.ids.binary_search(&id).ok()?;
        u32::try_from(point).ok()
    }

    fn packed_hash(&self, point: usize, bytes: usize) -> Vec<u8> {
        let words = self.hash(point).iter();
        let mut hash: Vec<u8> = words.flat_map(|word| word.to_le_bytes()).collect();
        hash.truncate(bytes);
        hash
    }
}
