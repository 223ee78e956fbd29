//! Segments as the database names them.

use std::path::{Path, PathBuf};

use rusqlite::params;

use super::mark::Mark;
use super::reader::Reader;
use super::writer::Writer;
use crate::error::{Error, Result};

/// A segment as the database names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredSegment {
    pub number: i64,
    /// The file's name.
    pub name: String,
    /// The first number of the images that it may hold.
    pub first: i64,
    /// The last.
    pub last: i64,
    /// How many it holds.
    pub images: usize,
    /// How its file was when it was last found to be sound.
    pub verified: Mark,
}

impl StoredSegment {
    /// Returns the folder of segments in an index.
    pub fn folder(dir: &Path) -> PathBuf {
        dir.join("segments")
    }

    pub fn name_of(number: i64) -> String {
        format!("{number:06}.segment")
    }

    /// Returns whether a file of this name is one that we make: a segment, or one that is being
    /// written.
    pub fn is_name(name: &str) -> bool {
        let number = name
            .strip_suffix(".segment")
            .or_else(|| name.strip_suffix(".new"));
        number.is_some_and(|number| {
            number.len() >= 6 && number.bytes().all(|byte| byte.is_ascii_digit())
        })
    }

    pub fn path(&self, dir: &Path) -> PathBuf {
        Self::folder(dir).join(&self.name)
    }
}

impl Reader {
    /// Returns the segments, in the order of their images.
    pub(crate) fn segments(&self) -> Result<Vec<StoredSegment>> {
        self.many(
            "SELECT id, first_image, last_image, images,
                    verified_size, verified_mtime_ns, verified_ctime_ns
             FROM segments ORDER BY first_image",
            (),
            |row| {
                let number = row.get(0)?;
                Ok(StoredSegment {
                    name: StoredSegment::name_of(number),
                    number,
                    first: row.get(1)?,
                    last: row.get(2)?,
                    images: usize::try_from(row.get::<_, i64>(3)?).unwrap_or(0),
                    verified: Mark {
                        size: row.get(4)?,
                        mtime_ns: row.get(5)?,
                        ctime_ns: row.get(6)?,
                    },
                })
            },
        )
    }

    /// Returns images that were removed since their segment was made, ascending.
    pub(crate) fn removed(&self) -> Result<Vec<i64>> {
        self.many("SELECT image FROM removed ORDER BY image", (), |row| {
            row.get(0)
        })
    }

    /// Returns the number of images with ids above `after` up to `last`.
    pub(crate) fn count_between(&self, after: i64, last: i64) -> Result<usize> {
        let count = self.one(
            "SELECT count(*) FROM images WHERE id > ?1 AND id <= ?2",
            [after, last],
            |row| row.get::<_, i64>(0),
        )?;
        Ok(usize::try_from(count.unwrap_or(0)).unwrap_or(0))
    }

    /// Returns the number of the next segment.
    pub(crate) fn next_segment(&self) -> Result<i64> {
        let newest = self.one(
            "SELECT seq FROM sqlite_sequence WHERE name = 'segments'",
            (),
            |row| row.get::<_, i64>(0),
        )?;
        Ok(newest.unwrap_or(0) + 1)
    }
}

impl Writer {
    /// Records that the files of segments were found to be sound as they are.
    pub(crate) fn set_verified(&mut self, verified: &[(i64, Mark)]) -> Result<()> {
        if verified.is_empty() {
            return Ok(());
        }
        let dir = self.dir().to_owned();
        let fail = |source| Error::database(&dir, source);
        let transaction = self.connection.transaction().map_err(fail)?;
        for (number, mark) in verified {
            transaction
                .execute(
                    "UPDATE segments SET verified_size = ?2, verified_mtime_ns = ?3,
                            verified_ctime_ns = ?4 WHERE id = ?1",
                    params![number, mark.size, mark.mtime_ns, mark.ctime_ns],
                )
                .map_err(fail)?;
        }
        transaction.commit().map_err(fail)
    }

    /// Names a segment in place of those that begin in a range, in one transaction. Returns those that
    /// it replaces.
    pub(crate) fn replace_segments(
        &mut self,
        (after, last): (i64, i64),
        made: Option<&StoredSegment>,
    ) -> Result<Vec<StoredSegment>> {
        let dir = self.dir().to_owned();
        let fail = |source| Error::database(&dir, source);
        let before: Vec<StoredSegment> = self
            .reader()?
            .segments()?
            .into_iter()
            .filter(|segment| segment.first > after && segment.first <= last)
            .collect();
        let transaction = self.connection.transaction().map_err(fail)?;
        for segment in &before {
            transaction
                .execute("DELETE FROM segments WHERE id = ?1", [segment.number])
                .map_err(fail)?;
        }
        if let Some(made) = made {
            transaction
                .execute(
                    "INSERT INTO segments (id, first_image, last_image, images,
                            verified_size, verified_mtime_ns, verified_ctime_ns)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    params![
                        made.number,
                        made.first,
                        made.last,
                        made.images as i64,
                        made.verified.size,
                        made.verified.mtime_ns,
                        made.verified.ctime_ns
                    ],
                )
                .map_err(fail)?;
        }
        transaction
            .execute(
                "DELETE FROM removed WHERE image > ?1 AND image <= ?2",
                [after, last],
            )
            .map_err(fail)?;
        transaction
            .execute("UPDATE generation SET number = number + 1", ())
            .map_err(fail)?;
        transaction.commit().map_err(fail)?;
        Ok(before)
    }
}

/// Returns the files in a folder, with their sizes.
pub(super) fn file_sizes(dir: &Path) -> Result<Vec<(std::ffi::OsString, u64)>> {
    let fail = |source| Error::io("list", dir, source);
    let mut sizes = Vec::new();
    let listed = match std::fs::read_dir(dir) {
        // What is derived may be deleted; it is made again.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(sizes),
        listed => listed.map_err(fail)?,
    };
    for entry in listed {
        let entry = entry.map_err(fail)?;
        match entry.metadata() {
            Ok(metadata) if metadata.is_file() => {
                sizes.push((entry.file_name(), metadata.len()));
            }
            Ok(_) => {}
            // Folded away as it was being looked at.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(fail(error)),
        }
    }
    Ok(sizes)
}
