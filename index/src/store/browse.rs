//! Looking through a collection without a question: by date, by folder, and what there is to filter by.

use std::path::{Path, PathBuf};

use super::holder::Holder;
use super::path;
use super::reader::Reader;
use super::types::ImageId;
use crate::error::Result;
use crate::filter::Filter;

/// A folder with images somewhere below it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageFolder {
    /// Its path.
    pub path: PathBuf,
    /// The number of images below it, in folders of it too.
    pub images: usize,
    /// Whether some of them are in folders of it.
    pub has_folders: bool,
}

impl Reader {
    /// Returns the ids of the images that meet a filter, ascending.
    ///
    /// # Errors
    ///
    /// If the filter cannot be understood, and if the database fails.
    pub fn ids(&self, filter: &Filter) -> Result<Vec<ImageId>> {
        let ids = self.matching(filter)?;
        Ok(ids.into_iter().map(ImageId).collect())
    }

    /// Returns the content of each image, as a number that images of the same content share, in the order of the
    /// images' ids.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn contents(&self) -> Result<Vec<(ImageId, i64)>> {
        self.many("SELECT id, content FROM images ORDER BY id", (), |row| {
            Ok((ImageId(row.get(0)?), row.get(1)?))
        })
    }

    /// Returns all images with their dates, the newest first, ties by id from the highest. A date is in seconds since
    /// 1970: when the image was taken by the camera's clock, or else the date of its file in UTC.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn by_date(&self) -> Result<Vec<(ImageId, i64)>> {
        let mut dated = self.many(
            "SELECT i.id, c.taken, i.mtime_ns FROM images i JOIN contents c ON c.id = i.content",
            (),
            |row| {
                let taken: Option<i64> = row.get(1)?;
                let modified: i64 = row.get(2)?;
                let date = taken.unwrap_or(modified.div_euclid(1_000_000_000));
                Ok((ImageId(row.get(0)?), date))
            },
        )?;
        dated.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(b.0.cmp(&a.0)));
        Ok(dated)
    }

    /// Returns the folders in a folder that have images below them, by name.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn folders_in(&self, folder: &Path) -> Result<Vec<ImageFolder>> {
        let (low, high) = path::below(folder)?;
        let depth = low.len();
        let separator = std::path::MAIN_SEPARATOR as u8;
        let mut folders: Vec<(Vec<u8>, usize, bool)> = Vec::new();
        let fail = |source| self.fail(source);
        let mut statement = self
            .connection()
            .prepare_cached("SELECT path FROM images WHERE path >= ?1 AND path < ?2 ORDER BY path")
            .map_err(fail)?;
        let mut rows = statement.query((low, high)).map_err(fail)?;
        while let Some(row) = rows.next().map_err(fail)? {
            let path: &[u8] = row
                .get_ref(0)
                .and_then(|path| Ok(path.as_blob()?))
                .map_err(fail)?;
            let below = path.get(depth..).unwrap_or_default();
            let Some(end) = below.iter().position(|&byte| byte == separator) else {
                continue;
            };
            let has_more = below[end + 1..].contains(&separator);
            match folders.last_mut() {
                Some((last, images, has_folders)) if last.as_slice() == &path[..depth + end] => {
                    *images += 1;
                    *has_folders |= has_more;
                }
                _ => folders.push((path[..depth + end].to_vec(), 1, has_more)),
            }
        }
        // Sorted by bytes, all paths that begin alike are neighbours, so each folder was met once.
        let folders = folders.into_iter().map(|(path, images, has_folders)| {
            Ok(ImageFolder {
                path: path::from_bytes(path)?,
                images,
                has_folders,
            })
        });
        folders.collect()
    }

    /// Returns the deepest folder that has all images below it, or `None` if there is no image.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn common_folder(&self) -> Result<Option<PathBuf>> {
        let end = |order: &str| {
            self.one(
                &format!("SELECT path FROM images ORDER BY path {order} LIMIT 1"),
                (),
                |row| row.get::<_, Vec<u8>>(0),
            )
        };
        // What the first and the last begin with alike, all between them begin with, too.
        let (Some(first), Some(last)) = (end("ASC")?, end("DESC")?) else {
            return Ok(None);
        };
        let (first, last) = (path::from_bytes(first)?, path::from_bytes(last)?);
        let mut shared = PathBuf::new();
        let parents = (first.parent(), last.parent());
        if let (Some(first), Some(last)) = parents {
            for (one, other) in first.components().zip(last.components()) {
                if one != other {
                    break;
                }
                shared.push(one);
            }
        }
        Ok(Some(shared))
    }

    /// Returns the formats of the images and how many there are of each, the most frequent first.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn formats(&self) -> Result<Vec<(String, usize)>> {
        self.many(
            "SELECT c.format, count(*) FROM images i JOIN contents c ON c.id = i.content
             GROUP BY c.format ORDER BY count(*) DESC, c.format",
            (),
            |row| Ok((row.get(0)?, counted(row.get(1)?))),
        )
    }

    /// Returns the classes that images most likely show, with the number of contents of which each is likelier than
    /// not, the most frequent first and at most `limit`.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn frequent_classes(&self, limit: usize) -> Result<Vec<(u16, usize)>> {
        self.many(
            "SELECT class, count(*) FROM labels WHERE probability >= 128
             GROUP BY class ORDER BY count(*) DESC, class LIMIT ?1",
            [i64::try_from(limit).unwrap_or(i64::MAX)],
            |row| Ok((row.get(0)?, counted(row.get(1)?))),
        )
    }

    /// Returns who is indexing at this moment, or `None` if nobody is. A run that was killed counts as going on where
    /// the system does not tell which processes there are.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn running(&self) -> Result<Option<Holder>> {
        let goes_on = self.last_run()?.is_some_and(|run| run.ended.is_none());
        Ok(if goes_on {
            Holder::alive(self.dir())
        } else {
            None
        })
    }
}

fn counted(count: i64) -> usize {
    usize::try_from(count).unwrap_or(0)
}
