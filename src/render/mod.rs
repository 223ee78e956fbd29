//! Drawings for people.

#[cfg(feature = "train")]
pub mod chart;
#[cfg(feature = "cli")]
pub mod map;
#[cfg(feature = "cli")]
mod overlay;
#[cfg(feature = "cli")]
pub mod sheet;
#[cfg(feature = "cli")]
pub mod terminal;
pub mod thumbnail;
