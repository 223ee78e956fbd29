//! What is drawn for people.

pub mod chart;
