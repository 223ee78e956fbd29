//! Which images are near enough to be compared by their pixels.

use std::ops::ControlFlow;

use imgsearch_index::{JoinParams, NearPair, Searcher, hamming, l2_squared};

use super::contents::Contents;
use super::types::{DuplicateOptions, Stage};
use crate::error::{Error, Result};
use crate::library::Library;
use crate::progress::Progress;

/// Pairs are near if they are nearer than this share of the distance of any two images. Of copies of photographs that
/// were blurred or turned by 90 degrees, which the built-in encoder sees most differently, 99 in 100 are.
const REACH: f32 = 0.8;

/// Images whose distances say how far apart any two are.
const SAMPLED: usize = 400;

/// With fewer images, all neighbours are compared.
const FEW: usize = 1000;

/// Returns the pairs of images, one of each content, that are near enough.
pub(super) fn pairs(
    library: &Library,
    contents: &Contents,
    options: &DuplicateOptions,
    progress: &dyn Progress,
) -> Result<Vec<NearPair>> {
    if contents.firsts().len() < 2 {
        return Ok(Vec::new());
    }
    let searcher = library.index_view()?.searcher()?;
    let mut params = JoinParams::default();
    params.k = options.neighbours;
    params.radius = typical(&searcher).map(|typical| REACH * typical);
    if let Some(similarity) = options.min_similarity {
        let radius = radius_of(library, similarity)?;
        params.radius = Some(params.radius.map_or(radius, |reach| reach.min(radius)));
    }
    params.images = Some(contents.firsts().to_vec());
    let joined = searcher.join(&params, |step| {
        progress.duplicates(Stage::Candidates, step.done, step.of);
        if progress.is_cancelled() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    joined.ok_or(Error::Interrupted)
}

/// Returns the distance at which images have a similarity.
fn radius_of(library: &Library, similarity: f32) -> Result<f32> {
    let info = library.encoder_file()?.info();
    let map = info
        .similarity
        .as_ref()
        .ok_or_else(|| Error::NoSimilarity {
            name: info.name.clone(),
        })?;
    // If no two images are so similar, only those at no distance are.
    Ok(map.distance(similarity).unwrap_or(0.0).min(f32::MAX))
}

/// Returns the median distance of two images by code and hash; `None` if there are few.
fn typical(searcher: &Searcher) -> Option<f32> {
    if searcher.len() < FEW {
        return None;
    }
    let encoder = searcher.encoder();
    let bit = encoder.hash_weight / encoder.bits as f32;
    let sample = searcher.sample(SAMPLED);
    let mut distances = Vec::with_capacity(sample.len() * sample.len() / 2);
    for (i, (code, hash)) in sample.iter().enumerate() {
        distances.extend(
            sample[..i]
                .iter()
                .map(|(other, bits)| l2_squared(code, other) + bit * hamming(hash, bits) as f32),
        );
    }
    if distances.is_empty() {
        return None;
    }
    let middle = distances.len() / 2;
    let (_, median, _) = distances.select_nth_unstable_by(middle, f32::total_cmp);
    // All images may be alike.
    (*median > 0.0).then_some(*median)
}
