//! What a search is asked with, and how it is done.

use serde::Serialize;

use super::blend::Away;
use crate::filter::Filter;

/// The fewest candidates of a search of a graph, unless the caller asks for another number. Each
/// segment is measured when it is made, and one that needs more to find 0.99 of what a scan finds is
/// searched with more.
pub const DEFAULT_EF: usize = 64;

/// A good number of images for [`SearchParams::expand`]: on photographs of 51 classes, four or six find no
/// more of the same class.
pub const DEFAULT_EXPAND: usize = 3;

/// What a search asks for.
///
/// # Examples
///
/// ```
/// use imgsearch_index::{Query, pack_bits};
///
/// let (code, logits) = ([0.5, -0.25], [1.5, -0.1, 0.3, -2.0]);
/// let hash = pack_bits(&logits);
/// let query = Query::new(&code).hash(&hash).logits(&logits);
/// assert_eq!(query.hash, Some(&[0b0101][..]));
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Query<'a> {
    /// A code of the index's length.
    pub code: &'a [f32],
    /// A packed hash of the index's length. Ranking by hash or by both needs it.
    pub hash: Option<&'a [u8]>,
    /// The logits of the hash, one per bit. If they are given, [`RankBy::Both`] counts a differing bit
    /// by the size of its logit.
    pub logits: Option<&'a [f32]>,
    /// What the query is less of: see [`Mixture::blend`](crate::Mixture::blend).
    pub(crate) away: Option<&'a Away>,
}

impl<'a> Query<'a> {
    /// Asks with a code.
    pub fn new(code: &'a [f32]) -> Self {
        Self {
            code,
            hash: None,
            logits: None,
            away: None,
        }
    }

    /// Asks with a hash as well.
    #[must_use]
    pub fn hash(mut self, hash: &'a [u8]) -> Self {
        self.hash = Some(hash);
        self
    }

    /// Returns what the query is less of, as a query of its own: see [`Mixture::blend`](crate::Mixture::blend).
    pub fn away(&self) -> Option<Query<'a>> {
        self.away.map(Away::query)
    }

    /// Asks with the logits of the hash as well.
    #[must_use]
    pub fn logits(mut self, logits: &'a [f32]) -> Self {
        self.logits = Some(logits);
        self
    }
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
    /// The squared Euclidean distance of the codes plus the share of differing bits times the encoder's
    /// [`hash_weight`](crate::EncoderRecord::hash_weight). If the query has [logits](Query::logits), each
    /// bit counts by the size of its logit.
    Both,
}

/// How a search finds its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SearchStrategy {
    /// The cheaper one for each part.
    #[default]
    Auto,
    /// By an exhaustive scan: nothing is missed.
    Exact,
    /// Along the graph if there is one.
    Graph,
    /// By a scan of the hashes, and then by code among the best: this number times k.
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
    /// Candidates of a search along a graph, at least `k` of them: more take longer
    /// and miss fewer. Default: as many as the segment was measured to need, at least
    /// [`DEFAULT_EF`].
    pub ef: Option<usize>,
    /// How the answer is found. Default: the cheaper way.
    pub strategy: SearchStrategy,
    /// Which images may be found. Default: all.
    pub filter: Filter,
    /// Nothing at a larger distance is found. Default: no limit.
    pub radius: Option<f32>,
    /// Query expansion: a first search finds this number of nearest images, and a second one searches with
    /// the query mixed with them. The images that were mixed in come first, at their own distances. The
    /// others follow, at their distances from the mixture, or further away. Default: 0, no
    /// expansion; [`DEFAULT_EXPAND`] is a good number.
    pub expand: usize,
}

impl SearchParams {
    /// Asks for the `k` nearest by code.
    pub fn new(k: usize) -> Self {
        Self {
            k,
            by: RankBy::default(),
            ef: None,
            strategy: SearchStrategy::Auto,
            filter: Filter::default(),
            radius: None,
            expand: 0,
        }
    }

    /// Ranks by something else.
    #[must_use]
    pub fn by(mut self, by: RankBy) -> Self {
        self.by = by;
        self
    }

    /// Chooses how the answer is found.
    #[must_use]
    pub fn strategy(mut self, strategy: SearchStrategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// Sets the number of candidates of a search along a graph.
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

    /// Searches again with the query mixed with this number of nearest images; 0 for none.
    #[must_use]
    pub fn expand(mut self, expand: usize) -> Self {
        self.expand = expand;
        self
    }

    /// Finds nothing at a larger distance.
    #[must_use]
    pub fn radius(mut self, radius: f32) -> Self {
        self.radius = Some(radius);
        self
    }
}
