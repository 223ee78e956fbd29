//! The size of an index.

use super::reader::Reader;
use super::schema::DATABASE_FILE;
use super::segments::{StoredSegment, file_sizes};
use super::types::Stats;
use crate::error::Result;

impl Reader {
    /// Returns the size of the index.
    ///
    /// # Errors
    ///
    /// If the database fails, and if the folder cannot be listed.
    pub fn stats(&self) -> Result<Stats> {
        let count = |sql: &str| -> Result<u64> {
            let count = self.one(sql, (), |row| row.get::<_, i64>(0))?;
            Ok(count.unwrap_or(0).unsigned_abs())
        };
        let (mut bytes, mut database_bytes) = (0, 0);
        for (name, size) in file_sizes(self.dir())? {
            bytes += size;
            // The logs' names begin with the database's.
            if name.to_string_lossy().starts_with(DATABASE_FILE) {
                database_bytes += size;
            }
        }
        let segments = self.segments()?;
        let segment_bytes = if segments.is_empty() {
            0
        } else {
            let sizes = file_sizes(&StoredSegment::folder(self.dir()))?;
            sizes.iter().map(|(_, size)| size).sum()
        };
        Ok(Stats {
            images: count("SELECT count(*) FROM images")?,
            // Those that only the trash has are not among them.
            contents: count("SELECT count(DISTINCT content) FROM images")?,
            trash: count("SELECT count(*) FROM trash")?,
            damaged: count(
                "SELECT count(*) FROM images i JOIN contents c ON c.id = i.content WHERE c.damage IS NOT NULL",
            )?,
            failed: count("SELECT count(*) FROM failures")?,
            bytes: bytes + segment_bytes,
            database_bytes,
            segments: segments.len() as u64,
            segment_bytes,
        })
    }
}
