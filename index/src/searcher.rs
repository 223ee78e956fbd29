//! Search: a view of the index at one instant, and the ways to answer from it.
//!
//! The rows of a view lie in parts: mapped segments, and in memory what is newer than they are.
//! Each part of a query takes the cheaper way: along the graph, or past every row that may be
//! found. What the parts found is merged, best first, ties by id.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering as AtomicOrdering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rayon::prelude::*;
use serde::Serialize;

use crate::bits::Bits;
use crate::distance::{finite, hamming_words, words};
use crate::error::{Error, Result};
use crate::filter::Filter;
use crate::reader::Reader;
use crate::rows::{Loaded, Rows};
use crate::scan::{Found, Measure, Rank, Scan, along_graph};
use crate::segment::Segment;
use crate::simd;
use crate::types::{EncoderRecord, ImageId};

/// Rows that one task of a parallel scan looks at: enough that starting it costs nothing beside
/// it, few enough that all cores have some at a hundred thousand rows. A multiple of 64.
const ROWS_A_TASK: usize = 16 * 1024;

/// How many nodes a search of a graph keeps in view at least, where nothing else is asked for. Each
/// segment is measured when it is made, and one that needs more to find 0.99 of what a scan finds is
/// searched with more.
pub const DEFAULT_EF: usize = 64;

/// The largest view that a graph is searched with; what would need a larger one is scanned.
const MOST_EF: usize = 4096;

/// What ways cost, measured with `cargo bench -p imgsearch-index --bench search`, in nanoseconds on one thread: a
/// row of a scan of all rows, …
const SCANNED_ROW: f64 = 5.5;
/// … a row of a scan that picks rows, …
const PICKED_ROW: f64 = 6.0;
/// … a candidate of a search along the graph of the codes, …
const CANDIDATE: f64 = 500.0;
/// … the same three by code and hash together, where the hash keeps most codes from being read, …
const FUSED_SCANNED_ROW: f64 = 5.5;
const FUSED_PICKED_ROW: f64 = 7.0;
const FUSED_CANDIDATE: f64 = 650.0;
/// … and beginning a search along a graph.
const GRAPH_START: f64 = 2000.0;

/// How much of a thread each one after the first adds to a scan.
const SECOND_THREAD: f64 = 0.5;

/// What is asked with.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// A code of the index's length.
    pub code: &'a [f32],
    /// A packed hash of the index's length, where the hash is to count.
    pub hash: Option<&'a [u8]>,
}

/// What images are ranked by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RankBy {
    /// The Euclidean distance of the codes.
    #[default]
    Code,
    /// The share of bits that differ between the hashes.
    Hash,
    /// The squared Euclidean distance of the codes, and the share of differing bits times the
    /// encoder's [`hash_weight`](EncoderRecord::hash_weight), added.
    Both,
}

/// Which way a search takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Way {
    /// The cheaper one for each part.
    #[default]
    Auto,
    /// Past every row: nothing is missed.
    Exact,
    /// Along the graph where there is one.
    Graph,
    /// Past every hash, and then by code among so many of the best times k.
    Shortlist(usize),
}

/// How a search is done.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SearchParams {
    /// How many images to find, at least 1.
    pub k: usize,
    /// What they are ranked by. Default: the code.
    pub by: RankBy,
    /// Nodes that a search along a graph keeps in view, at least `k` of them: more take longer
    /// and miss fewer. Default: as many as the segment was measured to need, at least
    /// [`DEFAULT_EF`].
    pub ef: Option<usize>,
    /// Which way it takes. Default: the cheaper.
    pub way: Way,
    /// Which images may be found. Default: all.
    pub filter: Filter,
    /// Nothing at a larger distance is found. Default: no limit.
    pub radius: Option<f32>,
}

impl SearchParams {
    /// The `k` nearest by code.
    pub fn new(k: usize) -> Self {
        Self {
            k,
            by: RankBy::default(),
            ef: None,
            way: Way::Auto,
            filter: Filter::default(),
            radius: None,
        }
    }

    /// Ranks by something else.
    #[must_use]
    pub fn by(mut self, by: RankBy) -> Self {
        self.by = by;
        self
    }

    /// Takes a way.
    #[must_use]
    pub fn way(mut self, way: Way) -> Self {
        self.way = way;
        self
    }

    /// Keeps so many nodes in view.
    #[must_use]
    pub fn ef(mut self, ef: usize) -> Self {
        self.ef = Some(ef);
        self
    }

    /// Finds only what meets a filter.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// Finds nothing at a larger distance.
    #[must_use]
    pub fn radius(mut self, radius: f32) -> Self {
        self.radius = Some(radius);
        self
    }
}

/// A found image.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Neighbour {
    /// The image.
    pub id: ImageId,
    /// What it was ranked by, smallest first: see [`RankBy`].
    pub distance: f32,
    /// Bits that differ between the hashes, where the query has one.
    pub hamming: Option<u32>,
}

/// How a search was answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Explained {
    /// Images in the view.
    pub images: usize,
    /// Those of them that could be found.
    pub allowed: usize,
    /// The parts of the view.
    pub parts: Vec<PartExplained>,
    /// Whether the graph of some part found too few, so that its rows were scanned after all.
    pub fell_back: bool,
    /// What resolving the filter took, in microseconds.
    pub filter_us: f64,
    /// What searching took, in microseconds.
    pub search_us: f64,
}

/// How a part of a view answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PartExplained {
    /// The segment's file name; none for what is in memory.
    pub segment: Option<String>,
    /// Rows of the part.
    pub rows: usize,
    /// Those that could be found.
    pub allowed: usize,
    /// How many nodes were kept in view, where the way was along the graph; else it was past the
    /// rows.
    pub ef: Option<usize>,
    /// Whether the graph led to fewer than were asked for, so that the rows were scanned after all.
    pub fell_back: bool,
    /// Distances that were computed.
    pub distances: usize,
}

/// Which images of a view may be found, to be used for several searches of that view.
#[derive(Debug, Clone)]
pub struct Selection {
    /// The view.
    view: u64,
    generation: i64,
    parts: Vec<Bits>,
    seconds: f64,
}

impl Selection {
    /// Which instant of the index the filter was looked up in: that of the view where this is
    /// [`Searcher::generation`], else a later one. See [`Searcher::select`].
    pub fn generation(&self) -> i64 {
        self.generation
    }

    /// How many images.
    pub fn len(&self) -> usize {
        self.parts.iter().map(Bits::count).sum()
    }

    /// Whether no image may be found.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An immutable view of an index at one instant, to be searched by any number of threads while a
/// writer goes on.
#[derive(Debug)]
pub struct Searcher {
    /// No other view of this process has it.
    view: u64,
    encoder: EncoderRecord,
    parts: Vec<Part>,
    generation: i64,
    /// The newest segment's number when it was opened.
    newest_segment: i64,
    notes: Vec<String>,
    /// For filters.
    reader: Mutex<Reader>,
}

/// Counts the views of this process.
static VIEWS: AtomicU64 = AtomicU64::new(0);

/// Rows of a view that lie together.
#[derive(Debug)]
struct Part {
    source: Source,
    /// Those that were not removed.
    live: Bits,
}

#[derive(Debug)]
enum Source {
    Segment(Arc<Segment>, String),
    Loaded(Loaded),
}

impl Part {
    fn loaded(loaded: Loaded) -> Self {
        Self {
            live: Bits::all(loaded.ids.len()),
            source: Source::Loaded(loaded),
        }
    }

    fn rows(&self) -> Rows<'_> {
        match &self.source {
            Source::Segment(segment, _) => segment.rows(),
            Source::Loaded(loaded) => loaded.rows(),
        }
    }
}

impl Searcher {
    /// A view of what is committed. Segments that `before` has open are taken from it.
    pub(crate) fn open(reader: Reader, before: Option<&Self>) -> Result<Self> {
        // One snapshot of the database for everything.
        let snapshot = reader
            .connection()
            .unchecked_transaction()
            .map_err(|source| reader.fail(source))?;
        let encoder = reader.encoder()?;
        let generation = reader.generation()?;
        let newest_segment = reader.next_segment()?;
        let load = |after: i64, last: i64| {
            Loaded::load(&snapshot, &encoder, (after, last), usize::MAX)
                .map_err(|source| reader.fail(source))
        };
        let (mut parts, mut notes, mut covered) = (Vec::new(), Vec::new(), 0);
        let removed = reader.removed()?;
        for stored in reader.segments()? {
            if stored.first - 1 > covered {
                parts.push(Part::loaded(load(covered, stored.first - 1)?));
            }
            covered = stored.last;
            let open = before.and_then(|before| before.segment(&stored.name));
            let opened = match open {
                Some(segment) if segment.damage().is_none() => Ok(segment),
                Some(segment) => segment.verify().map(|()| segment),
                None => Segment::open(&stored.path(reader.dir()), &stored.verified),
            };
            let opened = opened.and_then(|segment| {
                segment.expect(&encoder, &stored)?;
                Ok(segment)
            });
            match opened {
                Ok(segment) => {
                    let mut live = Bits::all(segment.len());
                    let ids = segment.rows().ids;
                    let start = removed.partition_point(|&id| id < stored.first);
                    for id in removed[start..].iter().take_while(|&&id| id <= stored.last) {
                        if let Ok(row) = ids.binary_search(id) {
                            live.remove(row);
                        }
                    }
                    parts.push(Part {
                        live,
                        source: Source::Segment(segment, stored.name),
                    });
                }
                Err(error @ Error::NewerSegment { .. }) => return Err(error),
                Err(error) => {
                    let loaded = load(stored.first - 1, stored.last)?;
                    notes.push(format!(
                        "{error}: its {} images are read from the database instead, which is slower; imgsearch optimize \
                         makes it anew",
                        loaded.ids.len()
                    ));
                    parts.push(Part::loaded(loaded));
                }
            }
        }
        let known = before
            .filter(|before| before.encoder == encoder && before.newest_segment == newest_segment);
        let known = known.and_then(|before| before.tail(covered));
        let tail = match known {
            Some(known) => with_newer(known, &reader, &encoder)?,
            None => load(covered, i64::MAX)?,
        };
        if tail.seen() > 0 {
            parts.push(Part::loaded(tail));
        }
        notes.extend(note_of_rotten(&parts));
        drop(snapshot);
        Ok(Self {
            view: VIEWS.fetch_add(1, AtomicOrdering::Relaxed),
            encoder,
            parts,
            generation,
            newest_segment,
            notes,
            reader: Mutex::new(reader),
        })
    }

    /// What is in memory of the images behind all segments, where that is all of them.
    fn tail(&self, covered: i64) -> Option<Loaded> {
        match &self.parts.last()?.source {
            Source::Loaded(tail) if tail.rotten.is_empty() => {
                (tail.ids.first()? > &covered).then(|| tail.clone())
            }
            _ => None,
        }
    }

    fn segment(&self, name: &str) -> Option<Arc<Segment>> {
        self.parts.iter().find_map(|part| match &part.source {
            Source::Segment(segment, of) if of == name => Some(Arc::clone(segment)),
            _ => None,
        })
    }

    /// Has large segments checked while they are searched, unless a writer found them to be sound as
    /// they are. What is damaged is then told by [`Searcher::damage`].
    pub fn verify_meanwhile(&self) {
        for part in &self.parts {
            if let Source::Segment(segment, _) = &part.source {
                segment.verify_meanwhile();
            }
        }
    }

    /// A segment that was found to be damaged since this view was opened, and what is wrong with
    /// it. A new view does without it.
    pub fn damage(&self) -> Option<(PathBuf, String)> {
        self.parts.iter().find_map(|part| match &part.source {
            Source::Segment(segment, name) => {
                Some((PathBuf::from(name), segment.damage()?.to_owned()))
            }
            Source::Loaded(_) => None,
        })
    }

    /// The encoder that made the codes.
    pub fn encoder(&self) -> &EncoderRecord {
        &self.encoder
    }

    /// What a person should know of it, a line each: segments that could not be used.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Counted up by each change of the index: which instant this is a view of.
    pub fn generation(&self) -> i64 {
        self.generation
    }

    /// How many images it shows.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.live.count()).sum()
    }

    /// Whether it shows no image.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

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

    /// The images that meet a filter, for several searches.
    ///
    /// A view holds fast which images there are, and their codes. Paths, sizes and dates are those
    /// that the index holds when this is called, as those are that [`Index::image`] tells: where
    /// the index was changed since, an image that was moved is selected by its new path, and one
    /// that was removed is not selected. A view that held them fast, too, would keep the database's
    /// log from ending for as long as it is held. [`Selection::generation`] says which it was.
    ///
    /// [`Index::image`]: crate::Index::image
    ///
    /// # Errors
    ///
    /// Where the filter cannot be understood, and what the database says.
    pub fn select(&self, filter: &Filter) -> Result<Selection> {
        let started = Instant::now();
        let (ids, generation) = {
            let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
            reader.renew()?;
            let instant = reader
                .connection()
                .unchecked_transaction()
                .map_err(|source| reader.fail(source))?;
            let found = (filter.resolve(&reader)?, reader.generation()?);
            drop(instant);
            found
        };
        let parts = self
            .parts
            .iter()
            .map(|part| {
                let rows = part.rows().ids;
                let mut chosen = Bits::none(rows.len());
                // Both ascend, so one walk along each finds what they share.
                let first = rows.first().copied().unwrap_or(i64::MAX);
                let mut row = 0;
                for &id in &ids[ids.partition_point(|&id| id < first)..] {
                    row += rows[row..].iter().take_while(|&&there| there < id).count();
                    match rows.get(row) {
                        Some(&there) if there == id => chosen.insert(row),
                        Some(_) => {}
                        None => break,
                    }
                }
                chosen.intersect(&part.live);
                chosen
            })
            .collect();
        Ok(Selection {
            view: self.view,
            generation,
            parts,
            seconds: started.elapsed().as_secs_f64(),
        })
    }

    /// The images whose codes meet a condition.
    pub(crate) fn select_codes(&self, chosen: impl Fn(&[f32]) -> bool) -> Selection {
        let started = Instant::now();
        let parts = self.parts.iter().map(|part| {
            let rows = part.rows();
            let mut bits = Bits::none(rows.len());
            part.live.for_each(0..rows.len(), |row| {
                if chosen(rows.code(row)) {
                    bits.insert(row);
                }
            });
            bits
        });
        Selection {
            view: self.view,
            generation: self.generation,
            parts: parts.collect(),
            seconds: started.elapsed().as_secs_f64(),
        }
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
        let all: usize = (0..self.parts.len())
            .map(|part| allowed(part).count())
            .sum();
        let mut explained = Explained {
            images: self.len(),
            allowed: all,
            parts: Vec::with_capacity(self.parts.len()),
            fell_back: false,
            filter_us: selection.map_or(0.0, |selection| selection.seconds * 1e6),
            search_us: 0.0,
        };
        let mut found = match params.way {
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
                    .map(|(i, part)| self.way(part, allowed(i), params, &measure))
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
        found.sort_unstable();
        found.truncate(params.k);
        if params.by == RankBy::Code {
            // The root changes no order, so only the answers need it.
            for found in &mut found {
                found.distance = found.distance.sqrt();
            }
        }
        if let Some(radius) = params.radius {
            found.retain(|found| found.distance <= radius);
        }
        let neighbours = found
            .into_iter()
            .map(|found| {
                let rows = self.parts[found.part as usize].rows();
                Neighbour {
                    id: ImageId(rows.ids[found.row as usize]),
                    distance: found.distance,
                    hamming: hash
                        .as_deref()
                        .map(|hash| hamming_words(hash, rows.hash(found.row as usize))),
                }
            })
            .collect();
        explained.search_us = started.elapsed().as_secs_f64() * 1e6;
        Ok((neighbours, explained))
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

    /// The codes of all images, in the order of their numbers.
    pub fn codes(&self) -> Vec<Vec<f32>> {
        self.some_rows(self.len())
            .into_iter()
            .map(|(code, _)| code)
            .collect()
    }

    /// The packed hashes of all images, in the order of their numbers.
    pub fn hashes(&self) -> Vec<Vec<u8>> {
        self.some_rows(self.len())
            .into_iter()
            .map(|(_, hash)| hash)
            .collect()
    }

    /// The codes and packed hashes of at most `n` images, spread evenly.
    pub(crate) fn some_rows(&self, n: usize) -> Vec<(Vec<f32>, Vec<u8>)> {
        let all = self.len();
        let step = all.div_ceil(n.max(1)).max(1);
        let bytes = self.encoder.hash_bytes();
        let mut chosen = Vec::new();
        let mut place = 0;
        for part in &self.parts {
            let rows = part.rows();
            part.live.for_each(0..rows.len(), |row| {
                if place % step == 0 {
                    let code = rows.code(row)[..self.encoder.code_len].to_vec();
                    let mut hash: Vec<u8> = rows
                        .hash(row)
                        .iter()
                        .flat_map(|word| word.to_le_bytes())
                        .collect();
                    hash.truncate(bytes);
                    chosen.push((code, hash));
                }
                place += 1;
            });
        }
        chosen
    }

    /// How many candidates to keep in the graph of a part, where that is the way.
    fn way(
        &self,
        part: &Part,
        allowed: &Bits,
        params: &SearchParams,
        measure: &Measure<'_>,
    ) -> Option<usize> {
        let segment = match &part.source {
            Source::Segment(segment, _) => segment,
            Source::Loaded(_) => return None,
        };
        let fused = measure.is_fused();
        // The graph of the codes does not lead to what is near by both.
        let none = params.by == RankBy::Hash || (fused && !segment.has_fused_graph());
        if params.way == Way::Exact || none || allowed.count() == 0 {
            return None;
        }
        let rows = segment.len();
        let needed = match params.ef {
            Some(ef) => Some(ef.max(params.k)),
            None => segment
                .candidates_needed(params.by)
                .map(|needed| with_more(needed, params.k)),
        };
        // Of the candidates only some may be found.
        let among =
            |needed: usize| (needed as f64 * rows as f64 / allowed.count() as f64).ceil() as usize;
        if params.way == Way::Graph {
            let most = MOST_EF.max(params.ef.unwrap_or(0)).max(params.k);
            return Some(among(needed.unwrap_or(MOST_EF)).min(most).min(rows));
        }
        let ef = among(needed?);
        let (scanned_row, picked_row, candidate) = if fused {
            (FUSED_SCANNED_ROW, FUSED_PICKED_ROW, FUSED_CANDIDATE)
        } else {
            (SCANNED_ROW, PICKED_ROW, CANDIDATE)
        };
        let row = if allowed.is_all() {
            scanned_row
        } else {
            picked_row
        };
        let threads = if allowed.count() > ROWS_A_TASK {
            // All wait for the same memory.
            1.0 + SECOND_THREAD * (rayon::current_num_threads() as f64 - 1.0)
        } else {
            1.0
        };
        let scan = allowed.count() as f64 * row / threads;
        let walk = GRAPH_START + ef as f64 * candidate;
        (ef <= MOST_EF && walk < scan).then_some(ef)
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

/// Candidates for the nearest `k`, given those that ten of them need: two for each one more, with which 100
/// are found as completely as ten.
fn with_more(needed: usize, k: usize) -> usize {
    needed.saturating_add(k.saturating_sub(10).saturating_mul(2))
}

/// The rows of a part in tasks.
fn split(part: usize, rows: usize) -> impl Iterator<Item = (usize, std::ops::Range<usize>)> {
    (0..rows)
        .step_by(ROWS_A_TASK)
        .map(move |start| (part, start..rows.min(start + ROWS_A_TASK)))
}

/// What is in memory of the newest images, and what came since; all of it is loaded again where an
/// image was removed.
fn with_newer(mut known: Loaded, reader: &Reader, encoder: &EncoderRecord) -> Result<Loaded> {
    let before = known.ids.first().map_or(0, |first| first - 1);
    let last = known.last().unwrap_or(before);
    // Numbers are never used again, so as many as there were are the same.
    let mut after = last;
    if reader.count_between(before, last)? != known.ids.len() {
        known = Loaded::empty(encoder);
        after = before;
    }
    known
        .append(reader.connection(), encoder, (after, i64::MAX), usize::MAX)
        .map_err(|source| reader.fail(source))?;
    Ok(known)
}

/// What a person should know of images that are left out.
fn note_of_rotten(parts: &[Part]) -> Option<String> {
    let rotten: usize = parts
        .iter()
        .map(|part| match &part.source {
            Source::Loaded(loaded) => loaded.rotten.len(),
            Source::Segment(..) => 0,
        })
        .sum();
    (rotten > 0).then(|| {
        format!(
            "{rotten} of the images are left out: their stored codes are damaged; imgsearch check --repair mends what \
             can be, and imgsearch index reads the other files again"
        )
    })
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
    padded.resize(code.len().next_multiple_of(crate::distance::LANES), 0.0);
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
