//! Stored codes that do not match their checksums: finding them, and putting them right.

use rusqlite::{Connection, OptionalExtension, params};

use super::change::set_aside;
use super::checksum;
use super::reader::Reader;
use super::types::ImageId;
use super::writer::Writer;
use crate::error::{Error, Result};

/// Contents that do not match their checksums.
#[derive(Debug, Default)]
pub(crate) struct Rotten {
    /// Those that no repair has dealt with yet.
    pub contents: Vec<i64>,
    /// Those that wait for their files to be read again.
    pub waiting: Vec<i64>,
}

/// A code and a hash, as the database stores them.
pub(crate) type StoredCode = (Vec<u8>, Vec<u8>);

/// What replacing codes did.
#[derive(Debug, Default)]
pub(crate) struct ReplacedCodes {
    /// Images whose codes are right again.
    pub restored: usize,
    /// Images whose codes are lost.
    pub lost: Vec<ImageId>,
}

impl Reader {
    /// Looks at every content.
    pub(crate) fn rotten(&self) -> Result<Rotten> {
        rotten(self.connection()).map_err(|source| self.fail(source))
    }

    /// Returns the images of a content, ascending.
    pub(crate) fn images_of(&self, content: i64) -> Result<Vec<i64>> {
        images_of(self.connection(), content).map_err(|source| self.fail(source))
    }

    /// Returns at most `limit` lines about what SQLite finds wrong with the database's file, and about
    /// images without a content.
    pub(crate) fn database_errors(&self, limit: usize) -> Result<Vec<String>> {
        let lines = |sql: &str| -> rusqlite::Result<Vec<String>> {
            let mut statement = self.connection().prepare(sql)?;
            statement.query_map((), |row| row.get(0))?.collect()
        };
        let found = lines(&format!("PRAGMA quick_check({limit})"));
        let mut errors = match found.map_err(|source| self.fail(source)) {
            Ok(found) => found,
            Err(Error::Corrupt { what, .. }) => vec![what],
            Err(error) => return Err(error),
        };
        errors.retain(|line| line != "ok");
        if errors.is_empty() {
            let sql = format!(
                "SELECT 'the image ' || id || ' has no content' FROM images i
                 WHERE NOT EXISTS (SELECT 1 FROM contents c WHERE c.id = i.content) LIMIT {limit}"
            );
            errors = lines(&sql).map_err(|source| self.fail(source))?;
        }
        Ok(errors)
    }
}

impl Writer {
    /// Returns the contents of some images, each once.
    pub(crate) fn contents_of(&self, images: &[i64]) -> Result<Vec<i64>> {
        let mut contents = Vec::new();
        for image in images {
            let content: Option<i64> = self
                .connection
                .query_row("SELECT content FROM images WHERE id = ?1", [image], |row| {
                    row.get(0)
                })
                .optional()
                .map_err(|source| Error::database(self.dir(), source))?;
            contents.extend(content);
        }
        contents.sort_unstable();
        contents.dedup();
        Ok(contents)
    }

    /// Replaces the codes of contents by copies, of which `copy_of` returns that of an image. A copy
    /// counts only if it matches the content's checksum; a content without one waits for its file to
    /// be read again.
    pub(crate) fn replace_codes(
        &mut self,
        contents: &[i64],
        mut copy_of: impl FnMut(i64) -> Option<StoredCode>,
    ) -> Result<ReplacedCodes> {
        let dir = self.dir().to_owned();
        let fail = |source| Error::database(&dir, source);
        let mut outcome = ReplacedCodes::default();
        let transaction = self.connection.transaction().map_err(fail)?;
        for &content in contents {
            let images = images_of(&transaction, content).map_err(fail)?;
            let (digest, sum): (Vec<u8>, Option<i64>) = transaction
                .query_row(
                    "SELECT digest, checksum FROM contents WHERE id = ?1",
                    [content],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .map_err(fail)?;
            let copy = images.iter().find_map(|&image| {
                let (code, hash) = copy_of(image)?;
                (sum == Some(checksum::of(&digest, &code, &hash))).then_some((code, hash))
            });
            if let Some((code, hash)) = copy {
                transaction
                    .execute(
                        "UPDATE contents SET code = ?2, hash = ?3 WHERE id = ?1",
                        params![content, code, hash],
                    )
                    .map_err(fail)?;
                outcome.restored += images.len();
            } else {
                set_aside(&transaction, content).map_err(fail)?;
                outcome.lost.extend(images.into_iter().map(ImageId));
            }
        }
        transaction
            .execute("UPDATE generation SET number = number + 1", ())
            .map_err(fail)?;
        transaction.commit().map_err(fail)?;
        Ok(outcome)
    }
}

fn rotten(connection: &Connection) -> rusqlite::Result<Rotten> {
    let mut rotten = Rotten::default();
    let mut statement =
        connection.prepare("SELECT id, digest, code, hash, checksum FROM contents")?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        if checksum::holds(row, 1)? {
            continue;
        }
        let waits = row.get::<_, Option<i64>>(4)?.is_none();
        let list = if waits {
            &mut rotten.waiting
        } else {
            &mut rotten.contents
        };
        list.push(row.get(0)?);
    }
    Ok(rotten)
}

fn images_of(connection: &Connection, content: i64) -> rusqlite::Result<Vec<i64>> {
    connection
        .prepare_cached("SELECT id FROM images WHERE content = ?1 ORDER BY id")?
        .query_map([content], |row| row.get(0))?
        .collect()
}
