//! A collection as a whole: its groups, what stands alone in it, what its encoder does not know, and a map of it.
//!
//! Everything begins with the same two things: the distinct images of a view ([`Points`]), and for each of them its
//! nearest others, which the index's own graphs find. Nothing compares all pairs, so the cost grows
//! with the number of images.
//!
//! - [`Library::groups`](crate::Library::groups): groups by HDBSCAN* (Campello, Moulavi and Sander 2013) on the graph of
//!   neighbours, named by what sets them apart.
//! - [`Library::outliers`](crate::Library::outliers): images that are far from everything else.
//! - [`Library::unknown`](crate::Library::unknown) and [`Library::foreign`](crate::Library::foreign): images that the
//!   encoder knows little of.
//! - [`Library::map`](crate::Library::map): places in two dimensions by UMAP (McInnes, Healy and Melville 2018).
//!
//! [`Points`]: imgsearch_index::Points

mod condense;
mod dates;
mod find;
pub(crate) mod foreign;
mod join;
mod linkage;
pub mod map;
mod naming;
mod neighbours;
mod outliers;
#[cfg(test)]
mod tests;
mod vocabulary;

pub use dates::Dates;
pub use find::{Group, GroupOptions, Groups};
pub use foreign::{Foreign, MIN_FOREIGN, SMALL_SIDE, UNSURE};
pub use naming::Word;
pub use outliers::{Outlier, OutlierOptions, Outliers, Unknown};
