//! Facts about the collection as a whole: small values under names that the program chooses.
//!
//! They describe the stored codes, so they go when another encoder takes over.

use rusqlite::params;

use super::reader::Reader;
use super::writer::Writer;
use crate::error::{Error, Result};

impl Reader {
    /// Returns a fact, or `None` if it was never set.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn fact(&self, name: &str) -> Result<Option<String>> {
        self.one("SELECT value FROM facts WHERE name = ?1", [name], |row| {
            row.get(0)
        })
    }
}

impl Writer {
    /// Sets a fact, which [`Reader::fact`] returns until another encoder takes over.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn set_fact(&mut self, name: &str, value: &str) -> Result<()> {
        self.connection
            .execute(
                "INSERT OR REPLACE INTO facts (name, value) VALUES (?1, ?2)",
                params![name, value],
            )
            .map_err(|source| Error::database(self.dir(), source))?;
        Ok(())
    }
}
