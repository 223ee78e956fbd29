//! The size of an index, and what is in it.

use std::collections::BTreeMap;
use std::path::Path;

use super::columns::failure_kind_of;
use super::reader::Reader;
use super::schema::DATABASE_FILE;
use super::segments::{StoredSegment, file_sizes};
use super::types::{FailureKind, FormatCount, Stats};
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

    /// Returns the number of files that could not be used, by kind. Limits of time are not told apart: those of the
    /// kind [`FailureKind::TimedOut`] count under the first of them.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn failures_by_kind(&self) -> Result<Vec<(FailureKind, u64)>> {
        self.many(
            "SELECT kind, count(*), min(limit_ms) FROM failures GROUP BY kind ORDER BY count(*) DESC, kind",
            (),
            |row| {
                let count: i64 = row.get(1)?;
                Ok((failure_kind_of(row, [0, 2])?, count.unsigned_abs()))
            },
        )
    }

    /// Returns the images by their format, those of which there are most first.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn format_counts(&self) -> Result<Vec<FormatCount>> {
        self.many(
            "SELECT c.format, count(*), sum(i.size), count(c.damage) FROM images i
             JOIN contents c ON c.id = i.content GROUP BY c.format ORDER BY count(*) DESC, c.format",
            (),
            |row| {
                let number = |column| Ok::<_, rusqlite::Error>(row.get::<_, i64>(column)?.unsigned_abs());
                Ok(FormatCount {
                    format: row.get(0)?,
                    images: number(1)?,
                    bytes: number(2)?,
                    damaged: number(3)?,
                })
            },
        )
    }

    /// Returns the number of files that could not be used, by their extension in lower case, those of which there are
    /// most first.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn failures_by_extension(&self) -> Result<Vec<(String, u64)>> {
        let mut counts = BTreeMap::<String, u64>::new();
        for failure in self.failures()? {
            let extension = Path::new(&failure.path).extension().unwrap_or_default();
            *counts
                .entry(extension.to_string_lossy().to_lowercase())
                .or_default() += 1;
        }
        let mut counts: Vec<(String, u64)> = counts.into_iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        Ok(counts)
    }
}
