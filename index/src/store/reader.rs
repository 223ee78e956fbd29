//! The reader: what is stored, as of whatever is committed.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Row};

use crate::error::{Error, Result};
use crate::store::checksum;
use crate::store::columns::{
    FAILURE_COLUMNS, IMAGE_COLUMNS, encoder_of, failure_of, image_of, path_of,
};
use crate::store::path;
use crate::store::schema::{self, Readable};
use crate::store::types::{Digest, EncoderRecord, Failure, Image, ImageId, KnownPath, Run};

/// Looks up images, failures and runs. It belongs to one thread; [`Reader::try_clone`] makes
/// another for another thread.
///
/// An index in a folder that is read-only, such as a copy on a disk that is mounted so, is read without
/// locks if it has to be. If somebody changes its files all the same, a reader that was opened
/// before says [`Error::Changed`], and one that is opened after shows what lies there then.
#[derive(Debug)]
pub struct Reader {
    dir: PathBuf,
    open: Readable,
}

impl Reader {
    /// Opens the index in `dir` for reading.
    ///
    /// # Errors
    ///
    /// [`Error::IndexNotFound`] if there is none, [`Error::NewerFormat`], and if the database fails.
    pub fn open(dir: &Path) -> Result<Self> {
        Ok(Self {
            open: schema::open_readable(dir)?,
            dir: dir.to_owned(),
        })
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.open.connection
    }

    /// Opens the database again if it no longer is the one that was opened: it was replaced,
    /// or lies in a read-only folder that was written to after all. Whether it was.
    pub(crate) fn renew(&mut self) -> Result<bool> {
        let stale = self.open.is_stale();
        if stale {
            self.open = schema::open_readable(&self.dir)?;
        }
        Ok(stale)
    }

    /// Refuses what was read so far if the files changed meanwhile and no lock kept them from it.
    ///
    /// # Errors
    ///
    /// [`Error::Changed`].
    pub(crate) fn still_holds(&self) -> Result<()> {
        if self.open.changed_beneath() {
            return Err(Error::Changed {
                dir: self.dir.clone(),
            });
        }
        Ok(())
    }

    /// See [`Readable::is_unlocked`].
    #[cfg(test)]
    pub(crate) fn is_unlocked(&self) -> bool {
        self.open.is_unlocked()
    }

    /// Returns the folder that holds the index.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns a reader of the same index for another thread.
    ///
    /// # Errors
    ///
    /// As [`Reader::open`].
    pub fn try_clone(&self) -> Result<Self> {
        Self::open(&self.dir)
    }

    /// Returns the encoder that made the codes.
    ///
    /// # Errors
    ///
    /// [`Error::IndexNotFound`] if whoever made the database got no further than that.
    pub fn encoder(&self) -> Result<EncoderRecord> {
        encoder_of(self.connection())
            .map_err(|source| self.fail(source))?
            .ok_or_else(|| Error::IndexNotFound {
                dir: self.dir.clone(),
            })
    }

    /// Returns what is stored under a path.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn by_path(&self, path: &Path) -> Result<Option<KnownPath>> {
        let bytes = path::to_bytes(path)?;
        let image = self.one(
            &format!("SELECT {IMAGE_COLUMNS} WHERE i.path = ?1"),
            [bytes],
            image_of,
        )?;
        if let Some(image) = image {
            return Ok(Some(KnownPath::Image(Box::new(image))));
        }
        let failure = self.one(
            &format!("SELECT {FAILURE_COLUMNS} WHERE path = ?1"),
            [bytes],
            failure_of,
        )?;
        Ok(failure.map(KnownPath::Failed))
    }

    /// Returns whether a content is stored, with a code that is as it was stored.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn has_content(&self, digest: &Digest) -> Result<bool> {
        let holds = self.one(
            "SELECT digest, code, hash, checksum FROM contents WHERE digest = ?1",
            [digest],
            |row| checksum::holds(row, 0),
        )?;
        Ok(holds == Some(true))
    }

    /// Returns at most `limit` images of a content.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn images_with(&self, digest: &Digest, limit: usize) -> Result<Vec<Image>> {
        self.many(
            &format!("SELECT {IMAGE_COLUMNS} WHERE c.digest = ?1 ORDER BY i.id LIMIT ?2"),
            (digest, limit as i64),
            image_of,
        )
    }

    /// Returns the image of an id.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn image(&self, id: ImageId) -> Result<Option<Image>> {
        self.one(
            &format!("SELECT {IMAGE_COLUMNS} WHERE i.id = ?1"),
            [id.0],
            image_of,
        )
    }

    /// Returns the images at and below a path, sorted by path.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn under(&self, path: &Path) -> Result<Vec<Image>> {
        let (low, high) = path::below(path)?;
        self.many(
            &format!(
                "SELECT {IMAGE_COLUMNS} WHERE i.path = ?1 OR (i.path >= ?2 AND i.path < ?3) ORDER BY i.path"
            ),
            (path::to_bytes(path)?, low, high),
            image_of,
        )
    }

    /// Returns the first image at or below a path, in the order of paths, that `wanted` accepts. At most `limit`
    /// images are looked at.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn find_under(
        &self,
        path: &Path,
        limit: usize,
        mut wanted: impl FnMut(&Image) -> bool,
    ) -> Result<Option<Image>> {
        let bytes = path::to_bytes(path)?;
        let (low, high) = path::below(path)?;
        let found = self
            .connection()
            .prepare_cached(&format!(
                "SELECT {IMAGE_COLUMNS} WHERE i.path = ?1 OR (i.path >= ?2 AND i.path < ?3) ORDER BY i.path LIMIT ?4"
            ))
            .and_then(|mut statement| {
                let bounds = (bytes, low, high, limit as i64);
                let mut images = statement.query_map(bounds, image_of)?;
                images
                    .find(|image| image.as_ref().is_ok_and(&mut wanted) || image.is_err())
                    .transpose()
            });
        self.still_holds()?;
        found.map_err(|source| self.fail(source))
    }

    /// Returns whether an image or a failure is stored at or below a path.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn knows_under(&self, path: &Path) -> Result<bool> {
        let (low, high) = path::below(path)?;
        let found = self.one(
            "SELECT 1 FROM images WHERE path = ?1 OR (path >= ?2 AND path < ?3)
             UNION ALL
             SELECT 1 FROM failures WHERE path = ?1 OR (path >= ?2 AND path < ?3) LIMIT 1",
            (path::to_bytes(path)?, low, high),
            |_| Ok(()),
        )?;
        Ok(found.is_some())
    }

    /// Returns the paths of all images, sorted.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn paths(&self) -> Result<Vec<PathBuf>> {
        self.many("SELECT path FROM images ORDER BY path", (), |row| {
            path_of(row, 0)
        })
    }

    /// Returns the number of stored images.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn count(&self) -> Result<usize> {
        let count = self.one("SELECT count(*) FROM images", (), |row| {
            row.get::<_, i64>(0)
        })?;
        Ok(usize::try_from(count.unwrap_or(0)).unwrap_or(0))
    }

    /// Returns all images, sorted by path.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn all(&self) -> Result<Vec<Image>> {
        self.many(
            &format!("SELECT {IMAGE_COLUMNS} ORDER BY i.path"),
            (),
            image_of,
        )
    }

    /// Returns whether an image is stored.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn holds_images(&self) -> Result<bool> {
        let found = self.one("SELECT 1 FROM images LIMIT 1", (), |_| Ok(()))?;
        Ok(found.is_some())
    }

    /// Returns every path that a run went over, sorted.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn roots(&self) -> Result<Vec<PathBuf>> {
        self.many(
            "SELECT DISTINCT path FROM run_roots ORDER BY path",
            (),
            |row| path_of(row, 0),
        )
    }

    /// Returns images of which a part is missing, sorted by path.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn damaged(&self) -> Result<Vec<Image>> {
        self.many(
            &format!("SELECT {IMAGE_COLUMNS} WHERE c.damage IS NOT NULL ORDER BY i.path"),
            (),
            image_of,
        )
    }

    /// Returns files that could not be read or decoded, sorted by path.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn failures(&self) -> Result<Vec<Failure>> {
        self.many(
            &format!("SELECT {FAILURE_COLUMNS} ORDER BY path"),
            (),
            failure_of,
        )
    }

    /// Returns files that could not be indexed, as [`Reader::failures`]: that of a path and those
    /// below it.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn failures_under(&self, path: &Path) -> Result<Vec<Failure>> {
        let (low, high) = path::below(path)?;
        self.many(
            &format!(
                "SELECT {FAILURE_COLUMNS} WHERE path = ?1 OR (path >= ?2 AND path < ?3) ORDER BY path"
            ),
            (path::to_bytes(path)?, low, high),
            failure_of,
        )
    }

    /// Returns the newest run.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn last_run(&self) -> Result<Option<Run>> {
        let run = self.one(
            "SELECT id, started, ended, completed, counts FROM runs ORDER BY id DESC LIMIT 1",
            (),
            |row| {
                Ok(Run {
                    id: row.get(0)?,
                    started: row.get(1)?,
                    ended: row.get(2)?,
                    completed: row.get(3)?,
                    counts: serde_json::from_str(&row.get::<_, String>(4)?).unwrap_or_default(),
                    roots: Vec::new(),
                })
            },
        )?;
        run.map(|mut run| {
            run.roots = self.many(
                "SELECT path FROM run_roots WHERE run = ?1 ORDER BY path",
                [run.id],
                |row| path_of(row, 0),
            )?;
            Ok(run)
        })
        .transpose()
    }

    /// Returns whether any run was completed.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn has_completed_run(&self) -> Result<bool> {
        let found: Option<i64> =
            self.one("SELECT 1 FROM runs WHERE completed LIMIT 1", (), |row| {
                row.get(0)
            })?;
        Ok(found.is_some())
    }

    /// Returns how often the index was changed.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn generation(&self) -> Result<i64> {
        self.one("SELECT number FROM generation", (), |row| row.get(0))?
            .ok_or_else(|| self.corrupt("its generation is missing"))
    }

    /// Reads several things as of one instant, while others may commit.
    pub(crate) fn at_one_instant<T>(&self, read: impl FnOnce() -> Result<T>) -> Result<T> {
        let snapshot = self
            .connection()
            .unchecked_transaction()
            .map_err(|source| self.fail(source))?;
        let result = read();
        drop(snapshot);
        result
    }

    /// Counts up when another connection commits; says nothing of this one's own commits.
    pub(crate) fn data_version(&self) -> Result<i64> {
        let version = self.one("PRAGMA data_version", (), |row| row.get(0))?;
        Ok(version.unwrap_or(0))
    }

    pub(super) fn one<T>(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
        map: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        let found = self
            .connection()
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_row(parameters, map).optional());
        self.still_holds()?;
        found.map_err(|source| self.fail(source))
    }

    pub(super) fn many<T>(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
        map: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let found = self
            .connection()
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_map(parameters, map)?.collect());
        self.still_holds()?;
        found.map_err(|source| self.fail(source))
    }

    pub(super) fn fail(&self, source: rusqlite::Error) -> Error {
        Error::database(&self.dir, source)
    }

    pub(crate) fn corrupt(&self, what: impl Into<String>) -> Error {
        Error::Corrupt {
            dir: self.dir.clone(),
            what: what.into(),
        }
    }
}
