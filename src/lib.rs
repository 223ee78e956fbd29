//! Semantic image search by deep-autoencoder hashing.
//!
//! A deep autoencoder turns every image into a *code* of 30 numbers and a *semantic hash* of 256 bits. Images that
//! show similar things get similar codes and hashes. A search encodes the query image in the same way and finds the
//! nearest codes.
//!
//! ```no_run
//! use imgsearch::Library;
//!
//! let mut library = Library::open_or_create("my-index")?;
//! library.index(["photos"])?;
//! for found in library.nearest_to("cat.jpg", 10)? {
//!     println!("{:.3}  {}", found.distance, found.path.display());
//! }
//! # Ok::<(), imgsearch::Error>(())
//! ```
//!
//! - [`Library`] is the front door: it indexes and searches images, given as paths or bytes.
//! - [`Engine`] runs an encoder; [`train::extract`], [`train`] and [`train::eval`] build on it.
//! - [`duplicates`] finds files that hold the same picture.
//! - [`groups`] looks at a collection as a whole: its groups, outliers and a map of it.
//! - [`decode`] turns files of many formats into pixels, even if they are damaged or hostile.
//! - [`index`] stores and searches codes, for programs with their own codes; [`onnx`] reads, checks and runs
//!   encoder files; [`training`] makes new ones from numbers.
//!
//! Training and evaluation are behind the feature `train`, which is on by default. Without it, the
//! library builds about 110 crates fewer. `Watcher`, which keeps an index up to date by itself, is behind
//! the feature `watch`.

// Bad files and bad input are errors, never panics.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used))]

pub mod decode;
#[cfg(feature = "train")]
pub mod documents;
pub mod duplicates;
mod encode;
mod error;
pub mod groups;
mod indexing;
mod library;
mod progress;
mod random;
pub mod render;
mod text;
#[cfg(feature = "train")]
pub mod train;

pub use encode::engine::{Encoded, Engine, EngineOptions, Preloading, Worker};
pub use encode::npy::{NpyType, NpyWriter};
pub use encode::timings::Timings;
pub use error::{Error, Result};
pub use imgsearch_engines as engines;
pub use imgsearch_index as index;
pub use imgsearch_onnx as onnx;
#[cfg(feature = "train")]
pub use imgsearch_train as training;
pub use indexing::walk::{Candidate, IGNORE_FILE, WalkOptions, Walked, walk};
pub use indexing::{
    Adaptation, FolderCount, Forgetting, IndexOptions, Kept, Outcome, Planned, Shard, Summary,
    WhyKept,
};
pub use library::save::save;
pub use library::tower_copy::copy_beside as copy_text_tower;
pub use library::{
    Answer, Collection, Collections, DEFAULT_LESS, DEFAULT_NAME, Indexer, Library, Match,
    OpenOptions, Part, Question, SharedStatus, config_dir, default_dir,
};
#[cfg(feature = "watch")]
pub use library::{POLL_NETWORK, WatchEnd, WatchEvent, WatchProgress, WatchStopper, Watcher};
pub use progress::Progress;
pub use text::{Concept, UnknownWord, Words, class_name, classes_of};

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
