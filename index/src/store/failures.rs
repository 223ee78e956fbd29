//! Files that could not be used.

use std::path::Path;

use rusqlite::Transaction;

use super::path;
use super::refused::Refused;

/// Deletes what is recorded of a file that could not be used.
pub(crate) fn forget_failure(transaction: &Transaction<'_>, path: &Path) -> Result<(), Refused> {
    transaction
        .prepare_cached("DELETE FROM failures WHERE path = ?1")?
        .execute([path::to_bytes(path)?])?;
    Ok(())
}
