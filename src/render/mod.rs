//! Drawings for people.

pub mod chart;
