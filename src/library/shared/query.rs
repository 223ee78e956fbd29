//! Queries to a collection on a server: the same parts, mixtures and words as for a folder.

use std::collections::HashMap;
use std::time::Instant;

use imgsearch_index::collection::Collection;
use imgsearch_index::{ImageId, Mixture, Neighbour, Query, RankBy, SearchParams, SearchStats};

use crate::encode::engine::Encoded;
use crate::encode::timings::ms_since;
use crate::error::{Error, Result};
use crate::library::Library;
use crate::library::query::Answer;
use crate::library::question::{Part, Weighted};
use crate::library::worded::{self, SEEDS, Shown};
use crate::text::Words;

/// A part, and what was read for it.
enum Resolved<'a> {
    Image(&'a Encoded),
    Stored(Vec<f32>, Vec<u8>),
    Words(Shown),
}

impl Resolved<'_> {
    fn query(&self) -> Query<'_> {
        match self {
            Self::Image(image) => image.query(),
            Self::Stored(code, hash) => Query::new(code).hash(hash),
            Self::Words(shown) => shown.mixture.query(),
        }
    }
}

impl Library {
    /// Answers a question of several parts: see [`Library::ask`].
    pub(in crate::library) fn ask_shared(
        &self,
        collection: &dyn Collection,
        parts: &[&Weighted],
        focus: bool,
        params: &SearchParams,
    ) -> Result<Answer> {
        let mut resolved = Vec::with_capacity(parts.len());
        for weighted in parts {
            match self.resolve_shared(collection, &weighted.part)? {
                Some(part) => resolved.push((weighted, part)),
                None if weighted.is_wanted => return Err(Error::NothingShown),
                // Nothing shows what is to be avoided.
                None => {}
            }
        }
        let search =
            |query: &Query<'_>, params: &SearchParams| -> Result<(Vec<Neighbour>, SearchStats)> {
                Ok(collection.search(query, params)?)
            };
        if let [(_, Resolved::Words(shown))] = &resolved[..] {
            let found = shown.ranked(&search, params)?;
            return self.answered_shared(collection, found, params, false);
        }
        let queries: Vec<(f32, Query<'_>)> = resolved
            .iter()
            .map(|(weighted, part)| {
                let sign = if weighted.is_wanted { 1.0 } else { -1.0 };
                (sign * weighted.weight, part.query())
            })
            .collect();
        let is_plain = !focus && resolved.iter().all(|(part, _)| part.is_wanted);
        let found = match queries[..] {
            [(_, query)] => search(&query, params)?,
            _ => {
                let mixture = Mixture::blend(&queries, collection.encoder().bits, focus)?;
                search(&mixture.query(), params)?
            }
        };
        self.answered_shared(collection, found, params, is_plain)
    }

    /// Answers a query of one image.
    pub(in crate::library) fn search_shared(
        &self,
        collection: &dyn Collection,
        query: &Query<'_>,
        params: &SearchParams,
    ) -> Result<Answer> {
        let searching = Instant::now();
        let found = collection.search(query, params)?;
        self.times().search_ms = ms_since(searching);
        self.answered_shared(collection, found, params, true)
    }

    /// Reads what a part needs. Returns `None` for words that no image shows.
    fn resolve_shared<'a>(
        &self,
        collection: &dyn Collection,
        part: &'a Part,
    ) -> Result<Option<Resolved<'a>>> {
        Ok(match part {
            Part::Image(image) => Some(Resolved::Image(image)),
            Part::Stored(id) => match collection.codes(&[*id])?.into_iter().next().flatten() {
                Some(stored) => Some(Resolved::Stored(stored.code, stored.hash)),
                None => return Err(Error::NoSuchImage { id: *id }),
            },
            Part::Words(words) => shown(collection, words)?.map(Resolved::Words),
        })
    }

    /// Returns what was found, with paths, similarities and labels.
    fn answered_shared(
        &self,
        collection: &dyn Collection,
        (neighbours, stats): (Vec<Neighbour>, SearchStats),
        params: &SearchParams,
        has_similarity: bool,
    ) -> Result<Answer> {
        let looking_up = Instant::now();
        let ids: Vec<ImageId> = neighbours.iter().map(|found| found.id).collect();
        let images = collection.images(&ids)?;
        let labels = collection.labels(&ids)?;
        self.times().paths_ms = ms_since(looking_up);
        let has_similarity = params.by == RankBy::Both && has_similarity;
        Ok(Answer {
            matches: self.matches(neighbours, (images, labels), has_similarity),
            resembles: None,
            stats,
        })
    }
}

/// Returns what stands for words in a collection, or `None` if no image shows any of them.
fn shown(collection: &dyn Collection, words: &Words) -> Result<Option<Shown>> {
    let labelled = |class: u16, limit: usize| -> Result<Vec<(ImageId, f32)>> {
        Ok(collection.labelled(class, limit)?)
    };
    let scores = worded::scores(&labelled, &words.concepts)?;
    // A few more, of which some may be removed meanwhile.
    let best: Vec<ImageId> = scores.iter().take(2 * SEEDS).map(|&(id, _)| id).collect();
    let codes: HashMap<ImageId, (Vec<f32>, Vec<u8>)> = collection
        .codes(&best)?
        .into_iter()
        .flatten()
        .map(|stored| (stored.id, (stored.code, stored.hash)))
        .collect();
    worded::mixed(
        scores,
        |id| codes.get(&id).cloned(),
        collection.encoder().bits,
    )
}
