//! What a program asks of whatever searches its images.

use super::params::{Query, SearchParams};
use super::results::{Neighbour, SearchStats};
use crate::error::Result;
use crate::index::Index;

/// Searches the stored images, as of whatever is committed when a method is called.
///
/// # Errors
///
/// Every method fails if the store cannot be read or the query does not fit its encoder.
pub trait SearchStore {
    /// Returns the number of images that can be found.
    fn len(&self) -> Result<usize>;

    /// Returns whether no image can be found.
    fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Returns the nearest images that meet the filter, within the radius, in the order of
    /// (distance, id), and how they were found.
    fn explain(
        &self,
        query: &Query<'_>,
        params: &SearchParams,
    ) -> Result<(Vec<Neighbour>, SearchStats)>;
}

impl SearchStore for Index {
    fn len(&self) -> Result<usize> {
        self.len()
    }

    fn explain(
        &self,
        query: &Query<'_>,
        params: &SearchParams,
    ) -> Result<(Vec<Neighbour>, SearchStats)> {
        self.searcher()?.explain(query, params)
    }
}
