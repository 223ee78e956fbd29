//! The report of an epoch.

use serde::{Deserialize, Serialize};

/// The report of an epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Epoch {
    /// Number of the epoch, from 1.
    pub epoch: usize,
    /// Number of all epochs.
    pub of: usize,
    /// Mean of the whole loss.
    pub loss: f64,
    /// Mean of the reconstruction loss.
    pub reconstruction: f64,
    /// Means of the other terms, weighted.
    pub terms: Vec<(String, f64)>,
    /// Mean of the reconstruction loss on the held-out samples, without corruption.
    pub held_out: f64,
    /// Samples per second.
    pub rate: f64,
}
