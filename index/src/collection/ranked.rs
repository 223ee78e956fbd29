//! Ranking candidates of an engine: the same distances, expansion and order as in the index in a folder.
//!
//! An engine knows the distance of codes and that of hashes. The ranking by both, with logits or without, is neither.
//! So candidates are fetched by code and by hash, and measured here.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use super::{Candidate, Collection, Fetch, Near, is_by_hash};
use crate::error::{Error, Result};
use crate::kernels::distance::{finite, hamming, l2_squared, words};
use crate::kernels::weighted::BitWeights;
use crate::search::{
    Mixture, Neighbour, Query, RankBy, SearchParams, SearchStats, SearchStrategy, SegmentStats,
    bit_weights, checked_hash, expansion_shift, expansion_weight,
};
use crate::store::types::{EncoderRecord, ImageId};

/// Candidates by each of code and hash for a ranking by both, as a multiple of `k`, and the fewest. Measured on
/// photographs: see `docs/engines.md`.
const BOTH_FACTOR: usize = 20;
const BOTH_MIN: usize = 400;

/// Candidates beyond `k` for a ranking by hash, among which ties are ordered by id.
const TIES: usize = 64;

/// A query, prepared for measuring candidates.
struct Ranker<'a> {
    query: Query<'a>,
    by: RankBy,
    /// What a differing bit counts.
    bit: f32,
    weights: Option<BitWeights>,
}

/// A measured candidate.
#[derive(Debug, Clone)]
struct Ranked {
    distance: f32,
    candidate: Candidate,
}

impl<'a> Ranker<'a> {
    fn new(encoder: &EncoderRecord, query: &Query<'a>, by: RankBy) -> Result<Self> {
        if query.code.len() != encoder.code_len {
            return Err(Error::InvalidInput(format!(
                "a code of {} numbers was given, and the collection holds codes of {}",
                query.code.len(),
                encoder.code_len
            )));
        }
        if !finite(query.code) {
            return Err(Error::InvalidInput(
                "the code holds a number that is not finite".to_owned(),
            ));
        }
        if let Some(hash) = query.hash {
            checked_hash(encoder, hash)?;
        } else if is_by_hash(by) {
            return Err(Error::InvalidInput(
                "ranking by hash needs a query with a hash".to_owned(),
            ));
        }
        let weights = match query.logits {
            Some(logits) if by == RankBy::Both => Some(bit_weights(encoder, logits, query.hash)?),
            _ => None,
        };
        let bit = match by {
            RankBy::Both => encoder.bit_distance(),
            _ => 1.0 / encoder.bits as f32,
        };
        Ok(Self {
            query: *query,
            by,
            bit,
            weights,
        })
    }

    /// Returns the distance that ranks a candidate. By code it is squared, which changes no order.
    fn distance(&self, candidate: &Candidate) -> f32 {
        let apart = || {
            let hash = self.query.hash.unwrap_or(&[]);
            hamming(hash, &candidate.hash) as f32 * self.bit
        };
        let code = || l2_squared(self.query.code, &candidate.code);
        match (self.by, &self.weights) {
            (RankBy::Code, _) => code(),
            (RankBy::Hash, _) => apart(),
            (RankBy::Both, None) => code() + apart(),
            (RankBy::Both, Some(weights)) => {
                let words: Vec<u64> = words(&candidate.hash).collect();
                code() + weights.distance(&words)
            }
        }
    }

    fn measured(&self, candidates: Vec<Candidate>) -> Vec<Ranked> {
        candidates
            .into_iter()
            .map(|candidate| Ranked {
                distance: self.distance(&candidate),
                candidate,
            })
            .collect()
    }
}

/// Sorts by (distance, id).
fn sort(found: &mut [Ranked]) {
    found.sort_unstable_by(|a, b| {
        let by_distance = a.distance.total_cmp(&b.distance);
        by_distance.then(a.candidate.id.cmp(&b.candidate.id))
    });
}

/// Searches a collection: see [`Collection::search`].
pub(crate) fn search<C: Collection + ?Sized>(
    collection: &C,
    query: &Query<'_>,
    params: &SearchParams,
) -> Result<(Vec<Neighbour>, SearchStats)> {
    let started = Instant::now();
    if params.k == 0 {
        return Err(Error::InvalidInput(
            "k is 0, and a search finds at least one image".to_owned(),
        ));
    }
    let mut seen = 0;
    let (found, expanded) = if params.expand > 0 {
        find_expanded(collection, query, params, &mut seen)?
    } else {
        (find(collection, query, params, &mut seen)?, 0)
    };
    let limit = params.radius.unwrap_or(f32::INFINITY);
    let mut neighbours: Vec<Neighbour> = found
        .into_iter()
        .take(params.k)
        .map(|found| Neighbour {
            id: found.candidate.id,
            distance: match params.by {
                RankBy::Code => found.distance.sqrt(),
                _ => found.distance,
            },
            hamming: query.hash.map(|hash| hamming(hash, &found.candidate.hash)),
        })
        .filter(|found| found.distance <= limit)
        .collect();
    // Two squares that differ may have one root.
    neighbours.sort_by(|a, b| a.distance.total_cmp(&b.distance).then(a.id.cmp(&b.id)));
    let search_us = started.elapsed().as_secs_f64() * 1e6;
    // Counting may take longer than the search, and only an empty answer needs it.
    let (images, allowed) = if neighbours.is_empty() {
        let all = collection.count(&crate::Filter::default())?;
        let allowed = match params.filter.is_empty() {
            true => all,
            false => collection.count(&params.filter)?,
        };
        (to_usize(all), to_usize(allowed))
    } else {
        (seen, seen)
    };
    let stats = SearchStats {
        images,
        allowed,
        parts: vec![SegmentStats {
            segment: Some(collection.place().to_owned()),
            rows: seen,
            allowed: seen,
            ef: params.ef,
            fell_back: false,
            distances: seen,
        }],
        fell_back: false,
        expanded,
        filter_us: 0.0,
        search_us,
    };
    Ok((neighbours, stats))
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Finds the nearest `k`, sorted. Adds the number of candidates to `seen`.
fn find<C: Collection + ?Sized>(
    collection: &C,
    query: &Query<'_>,
    params: &SearchParams,
    seen: &mut usize,
) -> Result<Vec<Ranked>> {
    let ranker = Ranker::new(collection.encoder(), query, params.by)?;
    let mut how = Fetch {
        n: params.k,
        ef: params.ef,
        exact: params.strategy == SearchStrategy::Exact,
        filter: &params.filter,
    };
    let hash = query.hash.unwrap_or(&[]);
    let candidates = match params.by {
        RankBy::Code => collection.candidates(Near::Code(query.code), &how)?,
        RankBy::Hash => {
            how.n = params.k.saturating_add(TIES);
            collection.candidates(Near::Hash(hash), &how)?
        }
        RankBy::Both => {
            how.n = params.k.saturating_mul(BOTH_FACTOR).max(BOTH_MIN);
            how.n = how.n.max(params.ef.unwrap_or(0));
            let mut all = collection.candidates(Near::Code(query.code), &how)?;
            let by_code: HashSet<ImageId> = all.iter().map(|one| one.id).collect();
            let by_hash = collection.candidates(Near::Hash(hash), &how)?;
            all.extend(by_hash.into_iter().filter(|one| !by_code.contains(&one.id)));
            all
        }
    };
    *seen += candidates.len();
    let mut found = ranker.measured(candidates);
    sort(&mut found);
    found.truncate(params.k);
    Ok(found)
}

/// Finds the nearest with the query mixed with the nearest images, in the same way as in a folder
/// ([`SearchParams::expand`]). Returns how many were mixed in, too.
fn find_expanded<C: Collection + ?Sized>(
    collection: &C,
    query: &Query<'_>,
    params: &SearchParams,
    seen: &mut usize,
) -> Result<(Vec<Ranked>, usize)> {
    let mut first = params.clone();
    first.k = params.expand;
    let mut near = find(collection, query, &first, seen)?;
    let (Some(nearest), Some(last)) = (near.first(), near.last()) else {
        return Ok((near, 0));
    };
    let (nearest, last) = (nearest.distance, last.distance);
    // What the ranking does not look at was not checked, and is not mixed.
    let mut mixed = match (params.by, query.hash) {
        (RankBy::Both, _) => *query,
        (RankBy::Hash, Some(hash)) => Query::new(query.code).hash(hash),
        _ => Query::new(query.code),
    };
    mixed.away = query.away;
    let from_away = match query.away() {
        Some(away) => {
            let ranker = Ranker::new(collection.encoder(), &away, params.by)?;
            let measured = near.iter().map(|found| {
                let distance = ranker.distance(&found.candidate);
                (found.candidate.id, distance)
            });
            measured.collect::<HashMap<ImageId, f32>>()
        }
        None => HashMap::new(),
    };
    let mut mixture = Mixture::new(&mixed, collection.encoder().bits);
    for found in &near {
        let candidate = &found.candidate;
        // An image that is nearer to what the query is less of would bring that back.
        let is_nearer = from_away.get(&candidate.id);
        if is_nearer.is_some_and(|&away| away < found.distance) {
            continue;
        }
        let weight = expansion_weight(found.distance - nearest);
        mixture.add(weight, &candidate.code, &candidate.hash);
    }
    let mixture = mixture.finish();
    let mut second = params.clone();
    second.k = params.k.saturating_add(near.len());
    let mut rest = find(collection, &mixture.query(), &second, seen)?;
    let mixed_in: HashSet<ImageId> = near.iter().map(|found| found.candidate.id).collect();
    rest.retain(|found| !mixed_in.contains(&found.candidate.id));
    let first = rest.first().map(|found| found.distance);
    let shift = first.map_or(0.0, |first| expansion_shift(last, first));
    for found in &mut rest {
        found.distance = (found.distance + shift).max(last.next_up());
    }
    let expanded = near.len();
    near.append(&mut rest);
    sort(&mut near);
    Ok((near, expanded))
}
