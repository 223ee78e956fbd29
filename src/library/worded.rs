//! Words as a question: they stand for the stored images that most likely show what they name.
//!
//! Images are scored by their labels. Those with the highest scores are mixed, and the mixture is searched for like an
//! image (pseudo-relevance feedback: Rocchio 1971; Xu and Croft 1996). Both rank together, because each is better at
//! something: labels at broad words such as `bird`, the mixture at one kind of thing. mAP in a prototype on 51 classes
//! of objects, asked for by their names, and on 500 photographs of as many classes, asked for by 50 words for at least
//! eight of these:
//!
//! | ranked by | one kind | broad words |
//! | --- | --- | --- |
//! | labels | 0.664 | 0.846 |
//! | mixture | 0.715 | 0.659 |
//! | both, 8 for the square root of the score | 0.716 | 0.815 |
//! | both, 12 for the square root of the score | 0.710 | 0.830 |

use std::collections::{HashMap, HashSet};

use imgsearch_index::{ImageId, Mixture, Neighbour, Query, RankBy, SearchParams, SearchStats};

use super::query::View;
use crate::error::{Error, Result};
use crate::text::{Concept, Words};

/// Images that are mixed. 5 to 40 reach mAPs within 0.02 of each other; in a collection with fewer than ten images of
/// each kind, 10 is best.
pub(super) const SEEDS: usize = 10;

/// What the square root of a score counts against the distance from the mixture.
const SCORE_WEIGHT: f32 = 10.0;

/// Images that are ranked by their scores, too.
const SCORED: usize = 1000;

/// Images that are looked at for each concept, spread over its classes, and the fewest for each class.
const CANDIDATES: usize = 3200;
const CANDIDATES_OF_CLASS: usize = 20;

/// What an image that shows nothing of a concept counts for it, relative to the image that shows most of it. Low, so
/// that all concepts count; not 0, so that an image with three of four of them is a candidate.
const FLOOR: f32 = 0.1;

/// What stands for words in a collection.
pub(super) struct Shown {
    /// The mixture of the images that fit best.
    pub mixture: Mixture,
    /// Images with their scores, the best first, which has 1.
    scores: Vec<(ImageId, f32)>,
}

/// Returns what stands for the words, or `None` if no image shows any of them.
///
/// # Errors
///
/// [`Error::NoLabels`] if no image has labels, and the errors of the index.
pub(super) fn shown(view: &View<'_>, words: &Words) -> Result<Option<Shown>> {
    let reader = view.index.to_reader()?;
    let labelled = |class: u16, limit: usize| -> Result<Vec<(ImageId, f32)>> {
        Ok(reader.labelled(class, limit)?)
    };
    let scores = scores(&labelled, &words.concepts)?;
    if scores.is_empty() {
        let images = reader.count()?;
        if images > 0 && !reader.holds_labels()? {
            return Err(Error::NoLabels { images });
        }
        return Ok(None);
    }
    let bits = view.searcher.encoder().bits;
    mixed(scores, |id| view.searcher.stored(id), bits)
}

/// Mixes the images with the highest scores. Returns `None` if none of them is stored any more.
pub(super) fn mixed(
    scores: Vec<(ImageId, f32)>,
    stored: impl Fn(ImageId) -> Option<(Vec<f32>, Vec<u8>)>,
    bits: usize,
) -> Result<Option<Shown>> {
    // An image that was removed since the view was opened has none.
    let stored: Vec<(f32, Vec<f32>, Vec<u8>)> = scores
        .iter()
        .filter_map(|&(id, score)| {
            let (code, hash) = stored(id)?;
            Some((score, code, hash))
        })
        .take(SEEDS)
        .collect();
    if stored.is_empty() {
        return Ok(None);
    }
    let parts: Vec<(f32, Query<'_>)> = stored
        .iter()
        .map(|(score, code, hash)| (*score, Query::new(code).hash(hash)))
        .collect();
    let mixture = Mixture::blend(&parts, bits, false)?;
    Ok(Some(Shown { mixture, scores }))
}

/// What searches for a mixture.
pub(super) type Search<'a> =
    &'a dyn Fn(&Query<'_>, &SearchParams) -> Result<(Vec<Neighbour>, SearchStats)>;

/// What finds the images that most likely show a class, at most so many.
pub(super) type Labelled<'a> = &'a dyn Fn(u16, usize) -> Result<Vec<(ImageId, f32)>>;

impl Shown {
    /// Returns the images that are nearest to the mixture and show most of the words.
    ///
    /// # Errors
    ///
    /// As [`Library::search`](super::Library::search).
    pub fn ranked(
        &self,
        search: Search<'_>,
        params: &SearchParams,
    ) -> Result<(Vec<Neighbour>, SearchStats)> {
        // It is expanded already.
        let mut near = params.clone();
        near.expand = 0;
        if params.by != RankBy::Both {
            return search(&self.mixture.query(), &near);
        }
        near.radius = None;
        let (mut found, stats) = search(&self.mixture.query(), &near)?;
        let scores: HashMap<ImageId, f32> = self.scores.iter().take(SCORED).copied().collect();
        let ids: Option<HashSet<ImageId>> = params.filter.ids.clone().map(HashSet::from_iter);
        let wanted = |id: &ImageId| ids.as_ref().is_none_or(|ids| ids.contains(id));
        near.filter.ids = Some(scores.keys().copied().filter(wanted).collect());
        near.k = scores.len().max(1);
        let (scored, _) = search(&self.mixture.query(), &near)?;
        found.retain(|found| !scores.contains_key(&found.id));
        found.extend(scored);
        for found in &mut found {
            let score = scores.get(&found.id).copied().unwrap_or(0.0);
            found.distance += SCORE_WEIGHT * (1.0 - score.sqrt());
        }
        found.retain(|found| params.radius.is_none_or(|radius| found.distance <= radius));
        found.sort_unstable_by(|a, b| a.distance.total_cmp(&b.distance).then(a.id.cmp(&b.id)));
        found.truncate(params.k);
        Ok((found, stats))
    }
}

/// Returns the images that show the concepts, those that show all of them best first, with scores up to 1.
pub(super) fn scores(labelled: Labelled<'_>, concepts: &[Concept]) -> Result<Vec<(ImageId, f32)>> {
    let mut scores: HashMap<ImageId, Vec<f32>> = HashMap::new();
    for (place, concept) in concepts.iter().enumerate() {
        let limit = (CANDIDATES / concept.classes.len().max(1)).max(CANDIDATES_OF_CLASS);
        for &(class, share) in &concept.classes {
            for (id, probability) in labelled(class, limit)? {
                let of_image = scores
                    .entry(id)
                    .or_insert_with(|| vec![0.0; concepts.len()]);
                of_image[place] += share * probability.sqrt();
            }
        }
    }
    let mut highest = vec![f32::MIN_POSITIVE; concepts.len()];
    for of_image in scores.values() {
        for (highest, &score) in highest.iter_mut().zip(of_image) {
            *highest = highest.max(score);
        }
    }
    // The geometric mean: all concepts count.
    let together = |of_image: &[f32]| {
        if let ([score], [highest]) = (of_image, &highest[..]) {
            return score / highest;
        }
        let relative = of_image.iter().zip(&highest);
        let logs: f32 = relative
            .map(|(score, highest)| (FLOOR + score / highest).ln())
            .sum();
        (logs / concepts.len() as f32).exp()
    };
    let mut ranked: Vec<(ImageId, f32)> = scores
        .iter()
        .map(|(&id, of_image)| (id, together(of_image)))
        .collect();
    ranked.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let best = ranked.first().map_or(1.0, |(_, score)| *score);
    ranked.iter_mut().for_each(|(_, score)| *score /= best);
    Ok(ranked)
}
