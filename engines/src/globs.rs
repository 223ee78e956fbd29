//! Patterns of paths, which no server knows.

use globset::{Glob, GlobSet, GlobSetBuilder};
use imgsearch_index::{Error, Filter, Result};

/// Returns what matches the globs of a filter, or `None` if it has none.
///
/// # Errors
///
/// [`Error::InvalidInput`] for a glob that is none.
pub fn globs(filter: &Filter) -> Result<Option<GlobSet>> {
    if filter.globs.is_empty() {
        return Ok(None);
    }
    let mut globs = GlobSetBuilder::new();
    for text in &filter.globs {
        let wrong = |error: globset::Error| {
            Error::InvalidInput(format!(
                "the pattern {text:?} is not a valid glob: {}",
                error.kind()
            ))
        };
        globs.add(Glob::new(text).map_err(wrong)?);
    }
    let built = globs.build();
    built
        .map(Some)
        .map_err(|error| Error::InvalidInput(error.to_string()))
}
