//! Executing a search: along graphs, past rows, merged.

use std::sync::atomic::AtomicU32;
use std::time::Instant;

use rayon::prelude::*;

use super::Searcher;
use super::checked::{bit_weights, checked_hash, padded};
use super::params::{Query, RankBy, SearchParams, SearchStrategy};
use super::results::{Neighbour, SearchStats, SegmentStats};
use super::scan::{Candidate, ROWS_A_TASK, Rank, Scan, Scorer, along_graph};
use super::select::Selection;
use super::strategy;
use super::view::Source;
use crate::error::{Error, Result};
use crate::kernels::bits::Bits;
use crate::kernels::distance::hamming_words;
use crate::kernels::simd;
use crate::kernels::weighted::BitWeights;
use crate::store::rows::Rows;
use crate::store::types::ImageId;

/// A query in the shape of the stored rows.
pub(super) struct Prepared {
    /// Padded with zeros.
    code: Vec<f32>,
    /// Empty if the query has none.
    hash: Vec<u64>,
    weights: Option<BitWeights>,
}

impl Searcher {
    /// Returns the `k` images whose codes are nearest to `code`, nearest first, ties by id; fewer if
    /// there are fewer.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if `k` is 0 or `code` is not
    /// [`code_len`](crate::EncoderRecord::code_len) finite numbers.
    pub fn nearest(&self, code: &[f32], k: usize) -> Result<Vec<Neighbour>> {
        self.search(&Query::new(code), &SearchParams::new(k))
    }

    /// Returns the nearest images by code, by hash or by both.
    ///
    /// # Errors
    ///
    /// As [`Searcher::nearest`], and if a hash is needed and missing or of another length, if
    /// the filter cannot be understood, and if the database fails.
    pub fn search(&self, query: &Query<'_>, params: &SearchParams) -> Result<Vec<Neighbour>> {
        self.explain(query, params).map(|(found, _)| found)
    }

    /// Does what [`Searcher::search`] does, and returns how it was answered as well.
    ///
    /// # Errors
    ///
    /// As [`Searcher::search`].
    pub fn explain(
        &self,
        query: &Query<'_>,
        params: &SearchParams,
    ) -> Result<(Vec<Neighbour>, SearchStats)> {
        if params.filter.is_empty() {
            return self.search_in(query, params, None);
        }
        let selection = self.select(&params.filter)?;
        self.search_in(query, params, Some(&selection))
    }

    /// Does what [`Searcher::explain`] does, among the images of a selection of this view; the filter
    /// of `params` is not looked at.
    ///
    /// # Errors
    ///
    /// As [`Searcher::search`]; [`Error::InvalidInput`] if the selection is another view's.
    pub fn search_in(
        &self,
        query: &Query<'_>,
        params: &SearchParams,
        selection: Option<&Selection>,
    ) -> Result<(Vec<Neighbour>, SearchStats)> {
        self.search_parts(query, params, selection, true)
    }

    /// Does what [`Searcher::search_in`] does; a part whose graph found too few is scanned only if
    /// `fall_back` says so.
    pub(crate) fn search_parts(
        &self,
        query: &Query<'_>,
        params: &SearchParams,
        selection: Option<&Selection>,
        fall_back: bool,
    ) -> Result<(Vec<Neighbour>, SearchStats)> {
        let started = Instant::now();
        self.check(params, selection)?;
        let (found, mut stats) = if params.expand > 0 {
            self.find_expanded(query, params, selection, fall_back)?
        } else {
            self.find(query, params, selection, fall_back)?
        };
        let hash = query
            .hash
            .map(|hash| checked_hash(&self.encoder, hash))
            .transpose()?;
        let neighbours = self.finish(found, params, hash.as_deref());
        stats.search_us = started.elapsed().as_secs_f64() * 1e6;
        Ok((neighbours, stats))
    }

    /// Finds the nearest `k` rows or more, in no order.
    pub(super) fn find(
        &self,
        query: &Query<'_>,
        params: &SearchParams,
        selection: Option<&Selection>,
        fall_back: bool,
    ) -> Result<(Vec<Candidate>, SearchStats)> {
        let prepared = self.prepare(query, params)?;
        self.find_prepared(&prepared, params, selection, fall_back)
    }

    /// Checks a query, and brings it into the shape of the stored rows.
    pub(super) fn prepare(&self, query: &Query<'_>, params: &SearchParams) -> Result<Prepared> {
        let code = padded(&self.encoder, query.code)?;
        let hash = query
            .hash
            .map(|hash| checked_hash(&self.encoder, hash))
            .transpose()?;
        if hash.is_none()
            && (params.by != RankBy::Code
                || matches!(params.strategy, SearchStrategy::Shortlist(_)))
        {
            return Err(Error::InvalidInput(
                "ranking by hash needs a query with a hash".to_owned(),
            ));
        }
        let weights = match query.logits {
            Some(logits) if params.by == RankBy::Both => {
                Some(bit_weights(&self.encoder, logits, query.hash)?)
            }
            _ => None,
        };
        Ok(Prepared {
            code,
            hash: hash.unwrap_or_default(),
            weights,
        })
    }

    /// Does what [`Searcher::find`] does, with a query that was checked.
    pub(super) fn find_prepared(
        &self,
        prepared: &Prepared,
        params: &SearchParams,
        selection: Option<&Selection>,
        fall_back: bool,
    ) -> Result<(Vec<Candidate>, SearchStats)> {
        let scorer = self.scorer(params.by, prepared);
        let allowed = |part: usize| match selection {
            Some(selection) => &selection.parts[part],
            None => &self.parts[part].live,
        };
        let mut stats = SearchStats {
            images: self.len(),
            allowed: (0..self.parts.len())
                .map(|part| allowed(part).count())
                .sum(),
            parts: Vec::with_capacity(self.parts.len()),
            fell_back: false,
            expanded: 0,
            filter_us: selection.map_or(0.0, |selection| selection.seconds * 1e6),
            search_us: 0.0,
        };
        let found = if let SearchStrategy::Shortlist(factor) = params.strategy {
            let by_hash = Scorer {
                by: RankBy::Hash,
                ..scorer
            };
            let keep = params.k.saturating_mul(factor.max(1));
            let scans = vec![None; self.parts.len()];
            let mut short = self.execute(&by_hash, keep, &scans, allowed, fall_back, &mut stats);
            short.sort_unstable();
            short.truncate(keep);
            self.rescored(&scorer, short)
        } else {
            let parts = self.parts.iter().enumerate();
            let efs: Vec<Option<usize>> = parts
                .map(|(i, part)| strategy::candidates(part, allowed(i), params, &scorer))
                .collect();
            self.execute(&scorer, params.k, &efs, allowed, fall_back, &mut stats)
        };
        Ok((found, stats))
    }

    /// Returns the rows of a part.
    pub(super) fn rows_of(&self, part: usize) -> Rows<'_> {
        self.parts[part].rows()
    }

    /// Returns what computes the distances of a ranking.
    pub(super) fn scorer<'a>(&self, by: RankBy, prepared: &'a Prepared) -> Scorer<'a> {
        let bits = self.encoder.bits as f32;
        Scorer {
            code: &prepared.code,
            hash: &prepared.hash,
            by,
            bit: match by {
                RankBy::Both => self.encoder.hash_weight / bits,
                _ => 1.0 / bits,
            },
            weights: prepared.weights.as_ref(),
        }
    }

    /// Refuses what no search can be done with.
    pub(super) fn check(&self, params: &SearchParams, selection: Option<&Selection>) -> Result<()> {
        if params.k == 0 {
            return Err(Error::InvalidInput(
                "k is 0: ask for at least one image".to_owned(),
            ));
        }
        if let Some(radius) = params.radius
            && !(radius.is_finite() && radius >= 0.0)
        {
            return Err(Error::InvalidInput(format!(
                "the radius is {radius}: a distance is a number from 0 up"
            )));
        }
        if selection.is_some_and(|selection| selection.view != self.view) {
            return Err(Error::InvalidInput(
                "the selection is another view's: select again in the view that is searched"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    /// Returns the nearest `k` of what the parts found, nearest first, within the radius.
    fn finish(
        &self,
        mut found: Vec<Candidate>,
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

    /// Answers several queries on all cores, in their order.
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

    /// Returns all images whose hashes differ from `hash` in at most `radius` bits, nearest first,
    /// ties by id.
    ///
    /// # Errors
    ///
    /// If the hash is not of the index's length.
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

    /// Finds the nearest `k` in each part: along its graph with as many candidates as `efs` says, or by
    /// a scan if it says none. More than `k` may come back, in no order.
    ///
    /// A part whose graph led to fewer than `k` allowed rows, and holds more, is scanned: what is near
    /// the query there is not allowed, and what is allowed is out of the candidates' reach. What other
    /// parts found is no reason not to, because they hold other rows.
    fn execute<'a>(
        &'a self,
        scorer: &Scorer<'_>,
        k: usize,
        efs: &[Option<usize>],
        allowed: impl Fn(usize) -> &'a Bits + Sync,
        fall_back: bool,
        stats: &mut SearchStats,
    ) -> Vec<Candidate> {
        let mut found = Vec::new();
        let mut distances = vec![0; self.parts.len()];
        let mut to_scan: Vec<bool> = efs.iter().map(Option::is_none).collect();
        for (part, (some, computed)) in self.walk(scorer, k, efs, &allowed) {
            distances[part] = computed;
            let too_few = some.len() < k.min(allowed(part).count());
            stats.fell_back |= too_few;
            if too_few && fall_back {
                to_scan[part] = true;
            } else {
                found.extend(some);
            }
        }
        self.scan(scorer, k, &to_scan, &allowed, &mut found);
        for (i, part) in self.parts.iter().enumerate() {
            let rows_allowed = allowed(i).count();
            stats.parts.push(SegmentStats {
                segment: match &part.source {
                    Source::Segment(_, name) => Some(name.clone()),
                    Source::Loaded(_) => None,
                },
                rows: part.rows().len(),
                allowed: rows_allowed,
                ef: efs[i],
                fell_back: to_scan[i] && efs[i].is_some(),
                distances: distances[i] + if to_scan[i] { rows_allowed } else { 0 },
            });
        }
        found
    }

    /// Searches the graphs of the parts that have a number of candidates. Returns, for each, its
    /// nearest rows and the number of distances that were computed.
    fn walk<'a>(
        &'a self,
        scorer: &Scorer<'_>,
        k: usize,
        efs: &[Option<usize>],
        allowed: &(impl Fn(usize) -> &'a Bits + Sync),
    ) -> Vec<(usize, (Vec<Candidate>, usize))> {
        let walk = |&(part, ef): &(usize, usize)| {
            let Source::Segment(segment, _) = &self.parts[part].source else {
                return (part, (Vec::new(), 0));
            };
            let found = along_graph(segment, part as u32, scorer, k, ef, allowed(part));
            (part, found)
        };
        let to_walk: Vec<(usize, usize)> = efs
            .iter()
            .enumerate()
            .filter_map(|(part, ef)| Some((part, (*ef)?)))
            .collect();
        if to_walk.len() > 1 {
            to_walk.par_iter().map(walk).collect()
        } else {
            to_walk.iter().map(walk).collect()
        }
    }

    /// Reads all rows that may be found of the parts to scan, and adds the nearest `k` of each task to
    /// what was found.
    fn scan<'a>(
        &'a self,
        scorer: &Scorer<'_>,
        k: usize,
        to_scan: &[bool],
        allowed: &(impl Fn(usize) -> &'a Bits + Sync),
        found: &mut Vec<Candidate>,
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
                scorer: *scorer,
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
                segment.will_scan(scorer.by == RankBy::Code, scorer.by != RankBy::Code);
            }
        }
        let scanned: Vec<Vec<Candidate>> = if tasks.len() > 1 {
            tasks.into_par_iter().map(scan).collect()
        } else {
            tasks.into_iter().map(scan).collect()
        };
        found.extend(scanned.into_iter().flatten());
    }

    /// Returns the same rows with the distances of another scorer.
    pub(super) fn rescored(
        &self,
        scorer: &Scorer<'_>,
        mut found: Vec<Candidate>,
    ) -> Vec<Candidate> {
        found.sort_unstable_by_key(|found| (found.part, found.row));
        let of_parts = found.chunk_by(|a, b| a.part == b.part);
        let ranked = of_parts.flat_map(|some| {
            let candidates: Vec<u32> = some.iter().map(|found| found.row).collect();
            simd::widest(Rank {
                rows: self.parts[some[0].part as usize].rows(),
                part: some[0].part,
                candidates: &candidates,
                scorer: *scorer,
            })
        });
        ranked.collect()
    }

    /// Returns the ranges of rows that a scan of some parts is done in.
    fn tasks(&self, of: impl Fn(usize) -> bool) -> Vec<(usize, std::ops::Range<usize>)> {
        let chosen = (0..self.parts.len()).filter(|&part| of(part));
        chosen
            .flat_map(|part| split(part, self.parts[part].rows().len()))
            .collect()
    }
}

/// Returns the rows of a part in tasks.
fn split(part: usize, rows: usize) -> impl Iterator<Item = (usize, std::ops::Range<usize>)> {
    (0..rows)
        .step_by(ROWS_A_TASK)
        .map(move |start| (part, start..rows.min(start + ROWS_A_TASK)))
}
