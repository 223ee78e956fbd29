//! Codes, semantic hashes and what is known of the images they belong to: stored in SQLite,
//! searched in mapped files and, what is newer, in memory.
//!
//! This crate knows nothing of image files. It takes a *code* (30 numbers by default) and a
//! *hash* (256 bits by default) for each image, as an encoder made them, and finds the nearest.
//! SQLite is the only truth; whatever else an index holds can be made from it.
//!
//! ```
//! use imgsearch_index::{Change, EncoderRecord, FileStat, Index, NewContent, Writer};
//!
//! let dir = tempfile::tempdir()?;
//! let encoder = EncoderRecord {
//!     fingerprint: "1b2c".into(), name: "two numbers".into(), code_len: 2, bits: 8,
//!     hash_weight: 1.0, metadata: "{}".into(),
//! };
//! let mut writer = Writer::open(dir.path(), &encoder)?;
//! for (i, code) in [[0.0, 0.0], [1.0, 0.0], [5.0, 5.0]].into_iter().enumerate() {
//!     let content = NewContent {
//!         digest: [i as u8; 32], width: 640, height: 480, format: "jpeg".into(), taken: None,
//!         damage: None, code: code.into(), hash: vec![0], labels: Vec::new(),
//!     };
//!     let path = format!("/photos/{i}.jpg").into();
//!     writer.apply(&[Change::Insert { path, stat: FileStat::default(), content }])?;
//! }
//!
//! let index = Index::open(dir.path())?;
//! let nearest = index.nearest(&[0.9, 0.0], 2)?;
//! assert_eq!(index.image(nearest[0].id)?.unwrap().path.to_str(), Some("/photos/1.jpg"));
//! assert_eq!(index.image(nearest[1].id)?.unwrap().path.to_str(), Some("/photos/0.jpg"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - [`Index`] is searched; any number may be open, next to a writer too. A [`Searcher`] is its view
//!   of one instant.
//! - [`Writer`] changes what is stored, a batch a transaction; one at a time holds the lock.
//! - [`Reader`] looks up images by path, content and number.
//! - [`l2_squared`], [`hamming`] and [`pack_bits`] are the distances and the order of bits.
//!
//! `FORMAT.md`, next to this crate's manifest, describes the files on disk.

// What a file or a user brings is an error, never a panic.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used))]

mod check;
pub mod collection;
mod compare;
mod delete;
mod error;
mod filter;
mod fold;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod graph;
mod index;
mod kernels;
mod progress;
mod repair;
mod search;
mod segment;
mod store;
#[cfg(test)]
mod tests;

pub use check::{Checked, RECALL_FLOOR, RankingChecked};
pub use error::{Error, Result};
pub use filter::{Filter, LabelFilter, Moment};
pub use fold::{FOLD_AT, FoldOptions, Folded};
pub use graph::{BuilderKind, GraphOptions};
pub use index::Index;
pub use kernels::distance::{hamming, hamming_to_all, l2_squared, pack_bits};
pub use progress::Step;
pub use repair::Repaired;
pub use search::{
    DEFAULT_EF, DEFAULT_EXPAND, JoinParams, Mixture, NearPair, Neighbour, Note, Points, Query,
    RankBy, SearchParams, SearchStats, SearchStore, SearchStrategy, Searcher, SegmentStats,
    Selection, expansion_shift, expansion_weight,
};
pub use segment::{MAX_ROWS, SEGMENT_FORMAT};
pub use store::browse::ImageFolder;
pub use store::holder::Holder;
pub use store::interface::{ReadStore, WriteStore};
pub use store::reader::Reader;
pub use store::schema::FORMAT_VERSION;
pub use store::trash::{Restored, TRASH_DAYS, Trashed};
pub use store::types::{
    Change, Digest, EncoderRecord, Failure, FailureKind, FileStat, FolderId, FormatCount, Image,
    ImageId, KnownPath, Label, NewCode, NewContent, Run, Stats,
};
pub use store::writer::Writer;
