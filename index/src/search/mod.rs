//! Search: a view of the index at one instant, and the strategies to answer from it.
//!
//! The rows of a view lie in parts: mapped segments, and in memory what is newer than they are.
//! Each part of a query is answered the cheaper way: along the graph, or by an exhaustive scan of the
//! rows that may be found. What the parts found is merged, best first, ties by id.

mod blend;
mod checked;
mod collect;
mod execute;
mod expand;
mod interface;
mod join;
mod mixture;
mod params;
mod results;
mod scan;
mod select;
mod strategy;
mod view;

pub(crate) use checked::{bit_weights, checked_hash};
pub use collect::Points;
pub use expand::{expansion_shift, expansion_weight};
pub use interface::SearchStore;
pub use join::{JoinParams, NearPair};
pub use mixture::Mixture;
pub use params::{DEFAULT_EF, DEFAULT_EXPAND, Query, RankBy, SearchParams, SearchStrategy};
pub use results::{Neighbour, SearchStats, SegmentStats};
pub(crate) use scan::{Rank, Scan, Scorer};
pub use select::Selection;
pub use view::{Note, Searcher};
