//! Self-join: the pairs of images that are near each other, without comparing all pairs.
//!
//! Every image searches for its own nearest ones along the graphs, as a query would, but for all rows at once and
//! with nothing looked up or copied for each. Rows outside of segments have no graph: few of them are scanned, and for
//! many a graph is built in memory first.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use rayon::prelude::*;

use super::Searcher;
use super::params::RankBy;
use super::scan::{Candidate, Rank, Scan, Scorer, along_graph};
use super::view::Source;
use crate::error::{Error, Result};
use crate::graph::GraphOptions;
use crate::kernels::bits::Bits;
use crate::kernels::simd;
use crate::progress::{Counter, Report, Step};
use crate::segment::{Content, MAX_ROWS, Segment};
use crate::store::rows::Rows;
use crate::store::types::{EncoderRecord, ImageId};

/// More rows without a graph than this get one, because scanning them for each other would be slower.
const MOST_SCANNED: usize = 16 * 1024;

/// Rows that a thread searches for before it looks whether it should stop.
const CHUNK: usize = 256;

/// Candidates of a search along a graph in addition to those that are kept.
const SPARE: usize = 16;

/// What [`Searcher::join`] looks for.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct JoinParams {
    /// How many of its nearest images each image is paired with, at most. Default: 32.
    pub k: usize,
    /// Candidates of a search along a graph: more take longer and miss fewer pairs. Default: 16 more than `k`.
    pub ef: Option<usize>,
    /// The largest distance of a pair, by [`RankBy::Both`]. Default: no limit.
    pub radius: Option<f32>,
    /// The images to pair, ascending. Default: all.
    pub images: Option<Vec<ImageId>>,
}

impl Default for JoinParams {
    fn default() -> Self {
        Self {
            k: 32,
            ef: None,
            radius: None,
            images: None,
        }
    }
}

/// Two images that are near each other.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct NearPair {
    /// The image with the lower id.
    pub a: ImageId,
    /// The other one.
    pub b: ImageId,
    /// Their distance by [`RankBy::Both`].
    pub distance: f32,
}

impl NearPair {
    /// Returns a pair of images, in either order, of which no distance is known.
    pub fn new(one: ImageId, other: ImageId) -> Self {
        Self {
            a: one.min(other),
            b: one.max(other),
            distance: f32::NAN,
        }
    }
}

/// Rows with one way to search them.
struct Piece<'a> {
    rows: Rows<'a>,
    allowed: Bits,
    graph: Option<Graph<'a>>,
}

enum Graph<'a> {
    Stored(&'a Segment),
    Built(Box<Segment>),
}

impl Graph<'_> {
    fn segment(&self) -> &Segment {
        match self {
            Self::Stored(segment) => segment,
            Self::Built(segment) => segment,
        }
    }
}

impl Searcher {
    /// Returns the pairs of images that are near each other: each image with its nearest ones, by code and hash
    /// together ([`RankBy::Both`]), sorted by id. `None` if `progress` broke off.
    ///
    /// The search goes along the graphs, so a pair can be missed that an exhaustive search finds. The pairs take up
    /// to 24 bytes for each image and each of `k`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if `k` is 0 or the radius is not a number from 0 up.
    pub fn join(
        &self,
        params: &JoinParams,
        mut progress: impl FnMut(Step) -> ControlFlow<()>,
    ) -> Result<Option<Vec<NearPair>>> {
        check(params)?;
        let mut pieces = self.pieces(params.images.as_deref());
        let counter = Counter::default();
        let total = pieces.iter().map(|piece| piece.allowed.count()).sum();
        let mut report = Report::new(&mut progress, &counter, total, 1);
        if !report.step() {
            return Ok(None);
        }
        let pairs = report.during(|| {
            for piece in &mut pieces {
                link(piece, &self.encoder, &counter)?;
            }
            Ok(self.pairs(&pieces, params, &counter))
        })?;
        Ok((!counter.is_stopped()).then_some(pairs))
    }

    /// Returns the rows of the view, in the order of their ids, with those of `images` allowed.
    fn pieces(&self, images: Option<&[ImageId]>) -> Vec<Piece<'_>> {
        let mut pieces = Vec::new();
        for part in &self.parts {
            let rows = part.rows();
            let mut allowed = part.live.clone();
            if let Some(images) = images {
                let mut chosen = Bits::none(rows.len());
                let first = rows.ids.first().map_or(i64::MAX, |first| *first);
                let start = images.partition_point(|id| id.0 < first);
                let mut row = 0;
                for id in &images[start..] {
                    row += rows.ids[row..].partition_point(|there| *there < id.0);
                    match rows.ids.get(row) {
                        Some(there) if *there == id.0 => chosen.insert(row),
                        Some(_) => {}
                        None => break,
                    }
                }
                allowed.intersect(&chosen);
            }
            match &part.source {
                Source::Segment(segment, _) => pieces.push(Piece {
                    rows,
                    allowed,
                    graph: Some(Graph::Stored(segment)),
                }),
                Source::Loaded(_) => {
                    for start in (0..rows.len()).step_by(MAX_ROWS) {
                        let end = rows.len().min(start + MAX_ROWS);
                        let mut within = Bits::none(end - start);
                        allowed.for_each(start..end, |row| within.insert(row - start));
                        pieces.push(Piece {
                            rows: cut(&rows, start, end),
                            allowed: within,
                            graph: None,
                        });
                    }
                }
            }
        }
        pieces
    }

    fn pairs(&self, pieces: &[Piece<'_>], params: &JoinParams, counter: &Counter) -> Vec<NearPair> {
        let chunks: Vec<(usize, usize)> = pieces
            .iter()
            .enumerate()
            .flat_map(|(i, piece)| {
                (0..piece.rows.len())
                    .step_by(CHUNK)
                    .map(move |start| (i, start))
            })
            .collect();
        let near: Vec<Vec<NearPair>> = chunks
            .into_par_iter()
            .map(|(i, start)| {
                let mut found = Vec::new();
                if counter.is_stopped() {
                    return found;
                }
                let piece = &pieces[i];
                let mut done = 0;
                piece
                    .allowed
                    .for_each(start..piece.rows.len().min(start + CHUNK), |row| {
                        self.near(pieces, (i, row), params, &mut found);
                        done += 1;
                    });
                counter.done.fetch_add(done, Ordering::Relaxed);
                found
            })
            .collect();
        let mut pairs = near.concat();
        pairs.par_sort_unstable_by_key(|pair| (pair.a, pair.b));
        pairs.dedup_by_key(|pair| (pair.a, pair.b));
        pairs
    }

    /// Adds the pairs of one row with its nearest.
    fn near(
        &self,
        pieces: &[Piece<'_>],
        (own, row): (usize, usize),
        params: &JoinParams,
        pairs: &mut Vec<NearPair>,
    ) {
        let scorer = Scorer {
            code: pieces[own].rows.code(row),
            hash: pieces[own].rows.hash(row),
            by: RankBy::Both,
            bit: self.encoder.bit_distance(),
            weights: None,
        };
        // The row finds itself, too.
        let k = params.k + 1;
        let ef = params.ef.unwrap_or(k + SPARE).max(k);
        let mut found = Vec::new();
        for (i, piece) in pieces.iter().enumerate() {
            match &piece.graph {
                Some(graph) => walk(graph.segment(), piece, i, &scorer, (k, ef), &mut found),
                // What has a graph is found from here, so it need not scan as well.
                None if pieces[own].graph.is_none() => {
                    let bound = AtomicU32::new(params.radius.unwrap_or(f32::INFINITY).to_bits());
                    found.extend(simd::widest(Scan {
                        bound: &bound,
                        rows: piece.rows,
                        part: i as u32,
                        range: 0..piece.rows.len(),
                        scorer,
                        allowed: &piece.allowed,
                        k,
                    }));
                }
                None => {}
            }
        }
        found.retain(|found| found.place() != (own as u32, row as u32));
        found.sort_unstable();
        found.truncate(params.k);
        let id = ImageId(pieces[own].rows.ids[row]);
        let radius = params.radius.unwrap_or(f32::INFINITY);
        for found in found.iter().take_while(|found| found.distance <= radius) {
            let other = ImageId(pieces[found.part as usize].rows.ids[found.row as usize]);
            pairs.push(NearPair {
                a: id.min(other),
                b: id.max(other),
                distance: found.distance,
            });
        }
    }
}

/// Adds the nearest rows of a piece, along its graph.
fn walk(
    segment: &Segment,
    piece: &Piece<'_>,
    part: usize,
    scorer: &Scorer<'_>,
    (k, ef): (usize, usize),
    found: &mut Vec<Candidate>,
) {
    let part = part as u32;
    if !scorer.is_fused() || segment.has_fused_graph() {
        found.extend(along_graph(segment, part, scorer, k, ef, &piece.allowed).0);
        return;
    }
    // The graph of the codes alone leads to what is near by code; those are ranked by both.
    let by_code = Scorer {
        by: RankBy::Code,
        ..*scorer
    };
    let (near, _) = along_graph(segment, part, &by_code, 2 * k, 2 * ef, &piece.allowed);
    let candidates: Vec<u32> = near.iter().map(|near| near.row).collect();
    found.extend(simd::widest(Rank {
        rows: piece.rows,
        part,
        candidates: &candidates,
        scorer: *scorer,
    }));
}

/// Builds a graph for a piece that is too large to scan.
fn link(piece: &mut Piece<'_>, encoder: &EncoderRecord, counter: &Counter) -> Result<()> {
    if piece.graph.is_some() || piece.rows.len() <= MOST_SCANNED || counter.is_stopped() {
        return Ok(());
    }
    let content = Content {
        encoder,
        rows: piece.rows,
    };
    let linked = AtomicUsize::new(0);
    let built = Segment::build_while(&content, &GraphOptions::default(), &linked, &|| {
        !counter.is_stopped()
    })?;
    piece.graph = built.map(|segment| Graph::Built(Box::new(segment)));
    Ok(())
}

fn cut<'a>(rows: &Rows<'a>, start: usize, end: usize) -> Rows<'a> {
    Rows {
        ids: &rows.ids[start..end],
        codes: &rows.codes[start * rows.stride..end * rows.stride],
        hashes: &rows.hashes[start * rows.hash_words..end * rows.hash_words],
        ..*rows
    }
}

fn check(params: &JoinParams) -> Result<()> {
    let refuse = |why: String| Err(Error::InvalidInput(why));
    if params.k == 0 {
        return refuse("k is 0: pair each image with at least one".to_owned());
    }
    if let Some(radius) = params.radius
        && !(radius.is_finite() && radius >= 0.0)
    {
        return refuse(format!(
            "the radius is {radius}: a distance is a number from 0 up"
        ));
    }
    Ok(())
}
