//! Decoding the pictures that may be copies of each other, and comparing them.
//!
//! Every picture is decoded once as long as what is compared fits into the memory: pairs come in an order in which
//! those with a picture in common are together, and small copies are dropped when room is needed.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use imgsearch_index::{Image, ImageId, NearPair};
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::contents::Contents;
use super::groups::Evidence;
use super::types::{Skipped, Stage};
use super::verify::{LONGER_SIDE, Picture, Verdict, compare_pictures};
use crate::decode::{DecodeError, Decoder, Source};
use crate::error::{Error, Result};
use crate::library::Library;
use crate::progress::Progress;
use crate::render::thumbnail::thumbnail;

/// Bytes of a small copy in memory.
const COPY_BYTES: u64 = 72 << 10;

/// The fewest and the most small copies in memory.
const COPIES: (u64, u64) = (256, 16 * 1024);

/// Pairs that are compared between two looks at the progress.
const BATCH: usize = 2048;

/// Small copies are made of thumbnails of this longer side: fewer pixels would lose what a small copy holds.
const DECODED: u32 = 2 * LONGER_SIDE;

/// A picture, ready to be compared.
pub(super) struct Look {
    picture: Picture,
    taken: Option<i64>,
}

impl Look {
    /// Makes a small copy of a picture, whose size is `whole`.
    pub fn of(
        decoder: &mut Decoder,
        source: &Source,
        whole: (u32, u32),
        taken: Option<i64>,
    ) -> Result<Self, DecodeError> {
        let small = thumbnail(decoder, source, DECODED)?;
        Ok(Self {
            picture: Picture::of_small(&small, whole)?,
            taken,
        })
    }
}

/// Compares pictures of a library.
pub(super) struct Looks<'a> {
    library: &'a Library,
    contents: &'a Contents,
    pool: ThreadPool,
    /// The most small copies in memory.
    room: usize,
    kept: HashMap<ImageId, Arc<Look>>,
    unusable: HashSet<ImageId>,
    skipped: Vec<Skipped>,
    compared: usize,
}

impl<'a> Looks<'a> {
    pub fn new(library: &'a Library, contents: &'a Contents) -> Result<Self> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(library.engine_options().threads)
            .build()
            .map_err(|error| Error::Worker(error.to_string()))?;
        let room = library.limits().max_memory / 2 / COPY_BYTES;
        Ok(Self {
            library,
            contents,
            pool,
            room: usize::try_from(room.clamp(COPIES.0, COPIES.1)).unwrap_or(usize::MAX),
            kept: HashMap::new(),
            unusable: HashSet::new(),
            skipped: Vec::new(),
            compared: 0,
        })
    }

    /// Returns the number of pairs that were compared.
    pub fn compared(&self) -> usize {
        self.compared
    }

    /// Returns the files that could not be used.
    pub fn take_skipped(&mut self) -> Vec<Skipped> {
        std::mem::take(&mut self.skipped)
    }

    /// Compares pairs of images, and adds what is found.
    ///
    /// # Errors
    ///
    /// If the index cannot be read; [`Error::Interrupted`].
    pub fn compare(
        &mut self,
        pairs: Vec<NearPair>,
        evidence: &mut Evidence,
        progress: &dyn Progress,
    ) -> Result<()> {
        let ordered = together(pairs);
        let pairs = &ordered.pairs;
        let mut start = 0;
        progress.duplicates(Stage::Pixels, 0, pairs.len());
        while start < pairs.len() {
            let (end, needed) = batch(&ordered, start, self.room);
            self.load(&needed, progress)?;
            if progress.is_cancelled() {
                return Err(Error::Interrupted);
            }
            for (a, b, verdict) in self.judge(&ordered, &pairs[start..end], progress) {
                evidence.add(a, b, verdict);
            }
            if progress.is_cancelled() {
                return Err(Error::Interrupted);
            }
            start = end;
            progress.duplicates(Stage::Pixels, start, pairs.len());
        }
        Ok(())
    }

    fn judge(
        &mut self,
        ordered: &Ordered,
        pairs: &[(u32, u32)],
        progress: &dyn Progress,
    ) -> Vec<(ImageId, ImageId, Verdict)> {
        let kept = &self.kept;
        let judged: Vec<_> = self.pool.install(|| {
            let pairs = pairs.par_iter().filter(|_| !progress.is_cancelled());
            pairs
                .filter_map(|pair| {
                    let (a, b) = ordered.of(*pair);
                    let (one, other) = (kept.get(&a)?, kept.get(&b)?);
                    Some((a, b, judged(one, other)))
                })
                .collect()
        });
        self.compared += judged.len();
        judged
    }

    /// Makes the small copies of images that are not in memory.
    fn load(&mut self, needed: &HashSet<ImageId>, progress: &dyn Progress) -> Result<()> {
        let new = |id: &ImageId| !self.kept.contains_key(id) && !self.unusable.contains(id);
        let mut missing: Vec<ImageId> = needed.iter().copied().filter(new).collect();
        missing.sort_unstable();
        if self.kept.len() + missing.len() > self.room {
            self.kept.retain(|id, _| needed.contains(id));
        }
        let index = self.library.index_view()?;
        let files = missing.iter().map(|first| self.contents.files(*first));
        let wanted: Vec<Vec<Image>> = files
            .map(|files| Ok(index.images(files)?.into_iter().flatten().collect()))
            .collect::<Result<_>>()?;
        let library = self.library;
        let made: Vec<_> = self.pool.install(|| {
            let wanted = wanted.into_par_iter();
            wanted
                .map_init(
                    || Decoder::new(*library.limits()),
                    |decoder, files| {
                        if progress.is_cancelled() {
                            return (None, Vec::new());
                        }
                        first_that_opens(library, decoder, files)
                    },
                )
                .collect()
        });
        for (id, (look, skipped)) in missing.into_iter().zip(made) {
            self.skipped.extend(skipped);
            match look {
                Some(look) => drop(self.kept.insert(id, Arc::new(look))),
                None => drop(self.unusable.insert(id)),
            }
        }
        Ok(())
    }
}

/// Compares two pictures. Copies have the date of the picture if they have one: with two dates, there were two shots.
pub(super) fn judged(a: &Look, b: &Look) -> Verdict {
    let verdict = compare_pictures(&a.picture, &b.picture);
    match (verdict, a.taken, b.taken) {
        (Verdict::Copy(alignment), Some(one), Some(other)) if one != other => {
            Verdict::Near(alignment)
        }
        _ => verdict,
    }
}

/// Makes a small copy of the first of several files of one content that can be used. Returns those that cannot.
fn first_that_opens(
    library: &Library,
    decoder: &mut Decoder,
    files: Vec<Image>,
) -> (Option<Look>, Vec<Skipped>) {
    let mut skipped = Vec::new();
    for image in files {
        match look(library, decoder, &image) {
            Ok(look) => return (Some(look), skipped),
            Err(error) => skipped.push(Skipped {
                path: image.path,
                error,
            }),
        }
    }
    (None, skipped)
}

fn look(library: &Library, decoder: &mut Decoder, image: &Image) -> Result<Look> {
    let file = library.open_image(image)?;
    let source = Source::of_file(file, library.limits())
        .map_err(|unread| Error::unread(unread, &image.path))?;
    let whole = (image.width, image.height);
    Look::of(decoder, &source, whole, image.taken).map_err(|source| Error::Image {
        path: image.path.clone(),
        source,
    })
}

/// Returns for each image whether its file still is as it was indexed.
pub(super) fn check(library: &Library, images: Vec<Image>) -> Vec<(Image, Result<()>)> {
    let checked = images.into_par_iter().map(|image| {
        let opened = library.open_image(&image).map(drop);
        (image, opened)
    });
    checked.collect()
}

/// Pairs of images, in the order in which they are compared.
struct Ordered {
    /// The images, by their places in that order.
    ids: Vec<ImageId>,
    /// Pairs of places, the higher one first, sorted.
    pairs: Vec<(u32, u32)>,
}

impl Ordered {
    /// Returns the images of a pair.
    fn of(&self, pair: (u32, u32)) -> (ImageId, ImageId) {
        (self.ids[pair.0 as usize], self.ids[pair.1 as usize])
    }
}

/// Puts pairs in an order in which those with an image in common are together: the images are walked from one to those
/// that it is paired with, and each pair comes with the later one of its images.
fn together(pairs: Vec<NearPair>) -> Ordered {
    let mut sorted: Vec<ImageId> = pairs.iter().flat_map(|pair| [pair.a, pair.b]).collect();
    sorted.sort_unstable();
    sorted.dedup();
    let number = |id: ImageId| sorted.partition_point(|other| *other < id) as u32;
    let numbered: Vec<(u32, u32)> = pairs
        .iter()
        .map(|pair| (number(pair.a), number(pair.b)))
        .collect();
    drop(pairs);
    // Whom each image is paired with, without gaps.
    let mut starts = vec![0u32; sorted.len() + 1];
    for (a, b) in &numbered {
        starts[*a as usize + 1] += 1;
        starts[*b as usize + 1] += 1;
    }
    for i in 0..sorted.len() {
        starts[i + 1] += starts[i];
    }
    let mut filled = starts.clone();
    let mut near = vec![0u32; numbered.len() * 2];
    for &(a, b) in &numbered {
        for (one, other) in [(a, b), (b, a)] {
            near[filled[one as usize] as usize] = other;
            filled[one as usize] += 1;
        }
    }
    const NONE: u32 = u32::MAX;
    let mut places = vec![NONE; sorted.len()];
    let mut ids = Vec::with_capacity(sorted.len());
    let mut queue = VecDeque::new();
    for start in 0..sorted.len() as u32 {
        queue.push_back(start);
        while let Some(image) = queue.pop_front() {
            let place = &mut places[image as usize];
            if *place != NONE {
                continue;
            }
            *place = ids.len() as u32;
            ids.push(sorted[image as usize]);
            let (first, last) = (starts[image as usize], starts[image as usize + 1]);
            let next = near[first as usize..last as usize].iter().copied();
            queue.extend(next.filter(|other| places[*other as usize] == NONE));
        }
    }
    let mut pairs = numbered;
    for pair in &mut pairs {
        let (one, other) = (places[pair.0 as usize], places[pair.1 as usize]);
        *pair = (one.max(other), one.min(other));
    }
    pairs.sort_unstable();
    Ordered { ids, pairs }
}

/// Returns where the pairs end that are compared next, and the images that are needed for them.
fn batch(ordered: &Ordered, start: usize, room: usize) -> (usize, HashSet<ImageId>) {
    let mut needed = HashSet::new();
    let mut end = start;
    for pair in ordered.pairs[start..].iter().take(BATCH) {
        let (a, b) = ordered.of(*pair);
        let more = usize::from(!needed.contains(&a)) + usize::from(!needed.contains(&b));
        if needed.len() + more > room {
            break;
        }
        needed.extend([a, b]);
        end += 1;
    }
    (end, needed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(of: &[(i64, i64)]) -> Ordered {
        let pairs = of.iter();
        together(
            pairs
                .map(|&(a, b)| NearPair::new(ImageId(a), ImageId(b)))
                .collect(),
        )
    }

    #[test]
    fn pairs_with_an_image_in_common_come_together() {
        let ordered = ordered(&[(1, 9), (2, 8), (5, 8), (2, 5), (3, 9)]);
        let ids: Vec<(i64, i64)> = ordered
            .pairs
            .iter()
            .map(|pair| ordered.of(*pair))
            .map(|(a, b)| (a.0.min(b.0), a.0.max(b.0)))
            .collect();
        assert_eq!(ids, [(1, 9), (3, 9), (2, 8), (2, 5), (5, 8)]);
        assert!(together(Vec::new()).pairs.is_empty());
    }

    #[test]
    fn a_batch_needs_no_more_images_than_there_is_room_for() {
        let ordered = ordered(&[(1, 2), (1, 3), (2, 3), (4, 5)]);
        let (end, needed) = batch(&ordered, 0, 3);
        assert_eq!((end, needed.len()), (3, 3));
        let (end, needed) = batch(&ordered, 3, 3);
        assert_eq!((end, needed.len()), (4, 2));
    }
}
