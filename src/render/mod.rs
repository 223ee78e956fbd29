//! Drawings for people.

#[cfg(feature = "train")]
pub mod chart;
pub mod thumbnail;
