//! Executing a search: along graphs, past rows, merged.

use std::sync::atomic::AtomicU32;
use std::time::Instant;

use rayon::prelude::*;

use super::Searcher;
use super::params::{Query, RankBy, SearchParams, Way};
use super::results::{Explained, Neighbour, PartExplained};
use super::scan::{Found, Measure, Rank, Scan, along_graph};
use super::select::Selection;
use super::strategy;
use super::view::Source;
use crate::error::{Error, Result};
use crate::kernels::bits::Bits;
use crate::kernels::distance::{finite, hamming_words, words};
use crate::kernels::simd;
use crate::store::types::{EncoderRecord, ImageId};

/// Rows that one task of a parallel scan looks at: enough that starting it costs nothing beside
/// it, few enough that all cores have some at a hundred thousand rows. A multiple of 64.
pub(super) const ROWS_A_TASK: usize = 16 * 1024;

impl Searcher {
    /// The `k` images whose codes are nearest to `code`, nearest first, ties by id; fewer where
    /// there are fewer.
    ///
    /// # Errors
    ///
    /// [`Error::BadInput`] where `k` is 0 or `code` is not
    /// [`code_len`](EncoderRecord::code_len) finite numbers.
    pub fn nearest(&self, code: &[f32], k: usize) -> Result<Vec<Neighbour>> {
        self.search(&Query { code, hash: None }, &SearchParams::new(k))
    }

    /// The nearest images by code, by hash or by both.
    ///
    /// # Errors
    ///
    /// As [`Searcher::nearest`]; where a hash is needed and missing or of another length, where
    /// the filter cannot be understood, and what the database says to it.
    pub fn search(&self, query: &Query<'_>, params: &SearchParams) -> Result<Vec<Neighbour>> {
        self.explain(query, params).map(|(found, _)| found)
    }

    /// As [`Searcher::search`], and how it was answered.
    ///
    /// # Errors
    ///
    /// As [`Searcher::search`].
    pub fn explain(
        &self,
        query: &Query<'_>,
        params: &SearchParams,
    ) -> Result<(Vec<Neighbour>, Explained)> {
        if params.filter.is_empty() {
            return self.search_in(query, params, None);
        }
        let selection = self.select(&params.filter)?;
        self.search_in(query, params, Some(&selection))
    }

    /// As [`Searcher::explain`], among the images of a selection of this view; the filter of
    /// `params` is not looked at.
    ///
    /// # Errors
    ///
    /// As [`Searcher::search`]; [`Error::BadInput`] where the selection is another view's.
    pub fn search_in(
        &self,
        query: &Query<'_>,
        params: &SearchParams,
        selection: Option<&Selection>,
    ) -> Result<(Vec<Neighbour>, Explained)> {
        self.search_parts(query, params, selection, true)
    }

    /// As [`Searcher::search_in`]; a part whose graph found too few is scanned only where
    /// `fall_back` says so.
    pub(crate) fn search_parts(
        &self,
        query: &Query<'_>,
        params: &SearchParams,
        selection: Option<&Selection>,
        fall_back: bool,
    ) -> Result<(Vec<Neighbour>, Explained)> {
        let started = Instant::now();
        self.check(params, selection)?;
        let code = padded(&self.encoder, query.code)?;
        let hash = query
            .hash
            .map(|hash| checked_hash(&self.encoder, hash))
            .transpose()?;
        if hash.is_none() && (params.by != RankBy::Code || matches!(params.way, Way::Shortlist(_)))
        {
            return Err(Error::BadInput(
                "ranking by hash needs a query with a hash".to_owned(),
            ));
        }
        let bits = self.encoder.bits as f32;
        let measure = Measure {
            code: &code,
            hash: hash.as_deref().unwrap_or(&[]),
            by: params.by,
            bit: match params.by {
                RankBy::Both => self.encoder.hash_weight / bits,
                _ => 1.0 / bits,
            },
        };
        let allowed = |part: usize| match selection {
            Some(selection) => &selection.parts[part],
            None => &self.parts[part].live,
        };
        let mut explained = Explained {
            images: self.len(),
            allowed: (0..self.parts.len())
                .map(|part| allowed(part).count())
                .sum(),
            parts: Vec::with_capacity(self.parts.len()),
            fell_back: false,
            filter_us: selection.map_or(0.0, |selection| selection.seconds * 1e6),
            search_us: 0.0,
        };
        let found = match params.way {
            Way::Shortlist(factor) => {
                let by_hash = Measure {
                    by: RankBy::Hash,
                    ..measure
                };
                let keep = params.k.saturating_mul(factor.max(1));
                let ways = vec![None; self.parts.len()];
                let mut short =
                    self.look(&by_hash, keep, &ways, allowed, fall_back, &mut explained);
                short.sort_unstable();
                short.truncate(keep);
                self.ranked(&measure, short)
            }
            _ => {
                let ways: Vec<Option<usize>> = self
                    .parts
                    .iter()
                    .enumerate()
                    .map(|(i, part)| strategy::candidates(part, allowed(i), params, &measure))
                    .collect();
                self.look(
                    &measure,
                    params.k,
                    &ways,
                    allowed,
                    fall_back,
                    &mut explained,
                )
            }
        };
        let neighbours = self.finish(found, params, hash.as_deref());
        explained.search_us = started.elapsed().as_secs_f64() * 1e6;
        Ok((neighbours, explained))
    }

    /// Refuses what no search can be done with.
    fn check(&self, params: &SearchParams, selection: Option<&Selection>) -> Result<()> {
        if params.k == 0 {
            return Err(Error::BadInput(
                "k is 0: ask for at least one image".to_owned(),
            ));
        }
        if let Some(radius) = params.radius
            && !(radius.is_finite() && radius >= 0.0)
        {
            return Err(Error::BadInput(format!(
                "the radius is {radius}: a distance is a number from 0 up"
            )));
        }
        if selection.is_some_and(|selection| selection.view != self.view) {
            return Err(Error::BadInput(
                "the selection is another view's: select again in the view that is searched"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    /// Returns the nearest `k` of what the parts found, nearest first, within the radius.
    fn finish(
        &self,
        mut found: Vec<Found>,
        params: &SearchParams,
        hash: Option<&[u64]>,
    ) -> Vec<Neighbour> {
        found.sort_unstable();
        found.truncate(params.k);
        let neighbours = found.into_iter().map(|found| {
            let rows = self.parts[found.part as usize].rows();
            let row = found.row as usize;
            Neighbour {
                id: ImageId(rows.ids[row]),
                // The root changes no order, so only the answers need it.
                distance: match params.by {
                    RankBy::Code => found.distance.sqrt(),
                    _ => found.distance,
                },
                hamming: hash.map(|hash| hamming_words(hash, rows.hash(row))),
            }
        });
        let limit = params.radius.unwrap_or(f32::INFINITY);
        neighbours.filter(|found| found.distance <= limit).collect()
    }

    /// Several queries on all cores, in their order.
    ///
    /// # Errors
    ///
    /// As [`Searcher::search`], the first of them.
    pub fn search_many(
        &self,
        queries: &[Query<'_>],
        params: &SearchParams,
    ) -> Result<Vec<Vec<Neighbour>>> {
        let selection = (!params.filter.is_empty())
            .then(|| self.select(&params.filter))
            .transpose()?;
        queries
            .par_iter()
            .map(|query| {
                self.search_in(query, params, selection.as_ref())
                    .map(|(found, _)| found)
            })
            .collect()
    }

    /// All images whose hashes differ from `hash` in at most `radius` bits, nearest first, ties
    /// by id.
    ///
    /// # Errors
    ///
    /// Where the hash is not of the index's length.
    pub fn within_hamming(&self, hash: &[u8], radius: u32) -> Result<Vec<Neighbour>> {
        let hash = checked_hash(&self.encoder, hash)?;
        let mut found: Vec<(u32, u32, u32)> = self
            .tasks(|_| true)
            .into_par_iter()
            .flat_map_iter(|(part, range)| {
                let rows = self.parts[part].rows();
                let mut found = Vec::new();
                self.parts[part].live.for_each(range, |row| {
                    let apart = hamming_words(&hash, rows.hash(row));
                    if apart <= radius {
                        found.push((apart, part as u32, row as u32));
                    }
                });
                found
            })
            .collect();
        found.sort_unstable();
        Ok(found
            .into_iter()
            .map(|(apart, part, row)| Neighbour {
                id: ImageId(self.parts[part as usize].rows().ids[row as usize]),
                distance: apart as f32 / self.encoder.bits as f32,
                hamming: Some(apart),
            })
            .collect())
    }

    /// Looks for the nearest `k` in each part; more than `k` may come back, in no order.
    ///
    /// A part whose graph led to fewer than `k` rows that may be found, and holds more, is scanned:
    /// what lies near the query there is not allowed, and what is lies out of the candidates'
    /// reach. What other parts found is no reason not to, for they hold other rows.
    fn look<'a>(
        &'a self,
        measure: &Measure<'_>,
        k: usize,
        ways: &[Option<usize>],
        allowed: impl Fn(usize) -> &'a Bits + Sync,
        fall_back: bool,
        explained: &mut Explained,
    ) -> Vec<Found> {
        let walk = |&(part, ef): &(usize, usize)| {
            let Source::Segment(segment, _) = &self.parts[part].source else {
                return (part, (Vec::new(), 0));
            };
            let found = along_graph(segment, part as u32, measure, k, ef, allowed(part));
            (part, found)
        };
        let to_walk: Vec<(usize, usize)> = ways
            .iter()
            .enumerate()
            .filter_map(|(part, ef)| Some((part, (*ef)?)))
            .collect();
        let walked: Vec<(usize, (Vec<Found>, usize))> = if to_walk.len() > 1 {
            to_walk.par_iter().map(walk).collect()
        } else {
            to_walk.iter().map(walk).collect()
        };
        let mut found = Vec::new();
        let mut distances = vec![0; self.parts.len()];
        let mut to_scan: Vec<bool> = ways.iter().map(Option::is_none).collect();
        for (part, (some, computed)) in walked {
            distances[part] = computed;
            let too_few = some.len() < k.min(allowed(part).count());
            explained.fell_back |= too_few;
            if too_few && fall_back {
                to_scan[part] = true;
            } else {
                found.extend(some);
            }
        }
        self.scan(measure, k, &to_scan, &allowed, &mut found);
        for (i, part) in self.parts.iter().enumerate() {
            let rows_allowed = allowed(i).count();
            explained.parts.push(PartExplained {
                segment: match &part.source {
                    Source::Segment(_, name) => Some(name.clone()),
                    Source::Loaded(_) => None,
                },
                rows: part.rows().len(),
                allowed: rows_allowed,
                ef: ways[i],
                fell_back: to_scan[i] && ways[i].is_some(),
                distances: distances[i] + if to_scan[i] { rows_allowed } else { 0 },
            });
        }
        found
    }

    /// Reads all rows that may be found of the parts to scan, and adds the nearest `k` of each task to
    /// what was found.
    fn scan<'a>(
        &'a self,
        measure: &Measure<'_>,
        k: usize,
        to_scan: &[bool],
        allowed: &(impl Fn(usize) -> &'a Bits + Sync),
        found: &mut Vec<Found>,
    ) {
        // What is beyond the `k` nearest so far is no answer.
        let mut bound = f32::INFINITY;
        if found.len() >= k {
            let (_, worst, _) = found.select_nth_unstable(k - 1);
            bound = worst.distance;
        }
        let bound = AtomicU32::new(bound.to_bits());
        let scan = |(part, range): (usize, std::ops::Range<usize>)| {
            simd::widest(Scan {
                bound: &bound,
                rows: self.parts[part].rows(),
                part: part as u32,
                range,
                measure: *measure,
                allowed: allowed(part),
                k,
            })
        };
        let mut tasks = Vec::new();
        for part in (0..self.parts.len()).filter(|&part| to_scan[part]) {
            let rows = self.parts[part].rows().len();
            if allowed(part).count() <= ROWS_A_TASK {
                tasks.push((part, 0..rows));
            } else {
                tasks.extend(split(part, rows));
            }
            if let Source::Segment(segment, _) = &self.parts[part].source
                && allowed(part).is_all()
            {
                // By both, the hashes keep most codes from being read.
                segment.will_scan(measure.by == RankBy::Code, measure.by != RankBy::Code);
            }
        }
        let scanned: Vec<Vec<Found>> = if tasks.len() > 1 {
            tasks.into_par_iter().map(scan).collect()
        } else {
            tasks.into_iter().map(scan).collect()
        };
        found.extend(scanned.into_iter().flatten());
    }

    /// The same rows by another measure.
    fn ranked(&self, measure: &Measure<'_>, mut found: Vec<Found>) -> Vec<Found> {
        found.sort_unstable_by_key(|found| (found.part, found.row));
        let of_parts = found.chunk_by(|a, b| a.part == b.part);
        let ranked = of_parts.flat_map(|some| {
            let candidates: Vec<u32> = some.iter().map(|found| found.row).collect();
            simd::widest(Rank {
                rows: self.parts[some[0].part as usize].rows(),
                part: some[0].part,
                candidates: &candidates,
                measure: *measure,
            })
        });
        ranked.collect()
    }

    /// The ranges of rows that a scan of some parts is done in.
    fn tasks(&self, of: impl Fn(usize) -> bool) -> Vec<(usize, std::ops::Range<usize>)> {
        let chosen = (0..self.parts.len()).filter(|&part| of(part));
        chosen
            .flat_map(|part| split(part, self.parts[part].rows().len()))
            .collect()
    }
}

/// The rows of a part in tasks.
fn split(part: usize, rows: usize) -> impl Iterator<Item = (usize, std::ops::Range<usize>)> {
    (0..rows)
        .step_by(ROWS_A_TASK)
        .map(move |start| (part, start..rows.min(start + ROWS_A_TASK)))
}

fn padded(encoder: &EncoderRecord, code: &[f32]) -> Result<Vec<f32>> {
    if code.len() != encoder.code_len {
        return Err(Error::BadInput(format!(
            "a code of {} numbers was given, and the index holds codes of {}",
            code.len(),
            encoder.code_len
        )));
    }
    if !finite(code) {
        return Err(Error::BadInput(
            "the code holds a number that is not finite".to_owned(),
        ));
    }
    let mut padded = code.to_vec();
    padded.resize(
        code.len().next_multiple_of(crate::kernels::distance::LANES),
        0.0,
    );
    Ok(padded)
}

fn checked_hash(encoder: &EncoderRecord, hash: &[u8]) -> Result<Vec<u64>> {
    if hash.len() != encoder.hash_bytes() {
        return Err(Error::BadInput(format!(
            "a hash of {} bytes was given, and the index holds hashes of {}",
            hash.len(),
            encoder.hash_bytes()
        )));
    }
    Ok(words(hash).collect())
}
