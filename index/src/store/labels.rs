//! Labels: the classes that images most likely show, by the classifier of their encoder.
//!
//! One row per content and class. An index by class gives the images that most likely show it without looking
//! at the others.

use rusqlite::{Row, Transaction, params};

use super::reader::Reader;
use super::types::{ImageId, Label};
use crate::error::Result;

/// Steps of a stored probability.
const STEPS: f32 = 255.0;

/// Returns a probability as it is stored.
pub(super) fn stored(probability: f32) -> i64 {
    (probability.clamp(0.0, 1.0) * STEPS).round() as i64
}

fn read(row: &Row<'_>, column: usize) -> rusqlite::Result<f32> {
    Ok(row.get::<_, i64>(column)? as f32 / STEPS)
}

/// Stores the labels of a content.
pub(super) fn insert(
    transaction: &Transaction<'_>,
    content: i64,
    labels: &[Label],
) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare_cached(
        "INSERT OR REPLACE INTO labels (content, class, probability) VALUES (?1, ?2, ?3)",
    )?;
    for label in labels {
        insert.execute(params![content, label.class, stored(label.probability)])?;
    }
    Ok(())
}

impl Reader {
    /// Returns the labels of an image, the most likely first, or none if it has none.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn labels(&self, id: ImageId) -> Result<Vec<Label>> {
        self.many(
            "SELECT l.class, l.probability FROM images i JOIN labels l ON l.content = i.content
             WHERE i.id = ?1 ORDER BY l.probability DESC, l.class",
            [id.0],
            |row| {
                Ok(Label {
                    class: row.get(0)?,
                    probability: read(row, 1)?,
                })
            },
        )
    }

    /// Returns at most `limit` images that show a class, the most likely first, each with its probability. Of
    /// files with the same content, one is named.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn labelled(&self, class: u16, limit: usize) -> Result<Vec<(ImageId, f32)>> {
        self.many(
            // Along the index, so that a few are found fast among many.
            "SELECT (SELECT min(i.id) FROM images i WHERE i.content = l.content), l.probability FROM labels l
             WHERE l.class = ?1 AND EXISTS (SELECT 1 FROM images i WHERE i.content = l.content)
             ORDER BY l.probability DESC, l.content LIMIT ?2",
            params![class, i64::try_from(limit).unwrap_or(i64::MAX)],
            |row| Ok((ImageId(row.get(0)?), read(row, 1)?)),
        )
    }

    /// Returns whether any image has labels.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn holds_labels(&self) -> Result<bool> {
        let found = self.one("SELECT 1 FROM labels LIMIT 1", (), |_| Ok(()))?;
        Ok(found.is_some())
    }

    /// Returns the number of images that have no labels.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn unlabelled(&self) -> Result<usize> {
        let found = self.one(
            "SELECT count(*) FROM images i WHERE NOT EXISTS (SELECT 1 FROM labels l WHERE l.content = i.content)",
            (),
            |row| row.get::<_, i64>(0),
        )?;
        Ok(found
            .and_then(|count| usize::try_from(count).ok())
            .unwrap_or(0))
    }
}
