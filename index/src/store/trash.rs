//! The trash: images that were removed, kept for a while with their codes.
//!
//! They are not found any more, but can be restored, and a file that comes back need not be encoded.
//! A change of encoder ends that for those that the new one has no code of.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, Transaction, params};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::store::clock::now;
use crate::store::columns::{path_of, stat_of};
use crate::store::failures::forget_failure;
use crate::store::path;
use crate::store::reader::Reader;
use crate::store::refused::Refused;
use crate::store::types::{Change, FileStat, ImageId};
use crate::store::writer::Writer;

/// So many days removed images are kept. The first run after that deletes them.
pub const TRASH_DAYS: i64 = 30;

const SECONDS_A_DAY: i64 = 86_400;

/// A removed image that can be restored.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Trashed {
    /// Where its file was.
    pub path: PathBuf,
    /// Size and date of the file then.
    pub stat: FileStat,
    /// When it was removed, in seconds since 1970.
    pub removed: i64,
    row: i64,
}

/// What came of restoring.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Restored {
    /// Images that were restored.
    pub images: usize,
    /// Paths under which an image is stored again: it stays, and so does what is in the trash.
    pub stored_again: Vec<PathBuf>,
}

impl Reader {
    /// Returns the removed images that can be restored, sorted by path; of one path, the last removed
    /// comes first.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn trash(&self) -> Result<Vec<Trashed>> {
        self.many(
            "SELECT path, size, mtime_ns, inode, ctime_ns, removed, id FROM trash
             ORDER BY path, removed DESC, id DESC",
            (),
            |row| {
                Ok(Trashed {
                    path: path_of(row, 0)?,
                    stat: stat_of(row, [1, 2, 3, 4])?,
                    removed: row.get(5)?,
                    row: row.get(6)?,
                })
            },
        )
    }
}

impl Writer {
    /// Forgets the images and failures at and below a path; how many images. They are kept in the
    /// trash for [`TRASH_DAYS`].
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn discard_under(&mut self, path: &Path) -> Result<usize> {
        let images = self.reader()?.under(path)?;
        let changes: Vec<Change> = images
            .iter()
            .map(|image| Change::Discard { id: image.id })
            .collect();
        if !changes.is_empty() {
            self.apply(&changes)?;
        }
        self.forget_failures(|failed| failed.starts_with(path))?;
        self.expire_trash()?;
        self.sweep()?;
        Ok(images.len())
    }

    /// Forgets the images and failures at and below a path at once and for good, those in the trash
    /// too; how many images. The database's file is rewritten, so that nothing of them is left in
    /// it. Segments hold their codes until the next [`Writer::fold`] of `all`.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn remove_under(&mut self, path: &Path) -> Result<usize> {
        let dir = self.dir().to_owned();
        let fail = |source| Error::database(&dir, source);
        let (low, high) = path::below(path)?;
        let at = path::to_bytes(path)?;
        let below = "WHERE path = ?1 OR (path >= ?2 AND path < ?3)";
        let transaction = self.connection.transaction().map_err(fail)?;
        let delete = |table: &str| {
            transaction.execute(
                &format!("DELETE FROM {table} {below}"),
                params![at, low, high],
            )
        };
        let removed = delete("images").map_err(fail)? + delete("trash").map_err(fail)?;
        delete("failures").map_err(fail)?;
        delete("folders").map_err(fail)?;
        if removed > 0 {
            transaction
                .execute("UPDATE generation SET number = number + 1", ())
                .map_err(fail)?;
        }
        transaction.commit().map_err(fail)?;
        self.sweep()?;
        // Deleted rows stay in the file until they are overwritten, those of earlier removals too, and
        // the log holds the pages as they were.
        self.connection.execute_batch("VACUUM").map_err(fail)?;
        self.connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()))
            .map_err(fail)?;
        Ok(removed)
    }

    /// Restores removed images: those at and below a path, or all. They come back under new numbers.
    /// Of several that were removed from one path the last is restored.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn restore(&mut self, path: Option<&Path>) -> Result<Restored> {
        let mut chosen = self.reader()?.trash()?;
        chosen.retain(|trashed| path.is_none_or(|path| trashed.path.starts_with(path)));
        // The last removed of each path comes first.
        chosen.dedup_by(|later, first| later.path == first.path);
        let mut restored = Restored::default();
        let dir = self.dir().to_owned();
        let fail = |refused| match refused {
            Refused::Database(source) => Error::database(&dir, source),
            Refused::Input(error) => error,
        };
        let database = |source| Error::database(&dir, source);
        let transaction = self.connection.transaction().map_err(database)?;
        for trashed in chosen {
            if restore_one(&transaction, &trashed).map_err(fail)? {
                restored.images += 1;
            } else {
                restored.stored_again.push(trashed.path);
            }
        }
        if restored.images > 0 {
            transaction
                .execute("UPDATE generation SET number = number + 1", ())
                .map_err(database)?;
        }
        transaction.commit().map_err(database)?;
        Ok(restored)
    }

    /// Deletes what has been in the trash for [`TRASH_DAYS`].
    pub(crate) fn expire_trash(&mut self) -> Result<()> {
        self.connection
            .execute(
                "DELETE FROM trash WHERE removed < ?1",
                [now() - TRASH_DAYS * SECONDS_A_DAY],
            )
            .map_err(|source| Error::database(self.dir(), source))?;
        Ok(())
    }
}

/// Restores an image unless another is stored under its path; whether it was restored.
fn restore_one(transaction: &Transaction<'_>, trashed: &Trashed) -> Result<bool, Refused> {
    let restored = transaction
        .prepare_cached(
            "INSERT INTO images (path, size, mtime_ns, content, inode, ctime_ns)
             SELECT path, size, mtime_ns, content, inode, ctime_ns FROM trash
             WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM images WHERE images.path = trash.path)",
        )?
        .execute([trashed.row])?;
    if restored == 0 {
        return Ok(false);
    }
    is_back(transaction, &trashed.path)?;
    forget_failure(transaction, &trashed.path)?;
    Ok(true)
}

/// Moves an image to the trash; how many were moved.
pub(crate) fn discard(connection: &Connection, id: ImageId, now: i64) -> rusqlite::Result<usize> {
    connection
        .prepare_cached(
            "INSERT INTO trash (path, size, mtime_ns, inode, ctime_ns, content, removed)
             SELECT path, size, mtime_ns, inode, ctime_ns, content, ?2 FROM images WHERE id = ?1",
        )?
        .execute([id.0, now])?;
    connection
        .prepare_cached("DELETE FROM images WHERE id = ?1")?
        .execute([id.0])
}

/// Forgets in the trash what is stored again under its path.
pub(crate) fn is_back(connection: &Connection, path: &Path) -> Result<(), Refused> {
    connection
        .prepare_cached(
            "DELETE FROM trash WHERE path = ?1
             AND content = (SELECT content FROM images WHERE images.path = ?1)",
        )?
        .execute([path::to_bytes(path)?])?;
    Ok(())
}

/// Deletes from the trash what an attached index `new` has no content of: its encoder made other
/// codes. How many images.
pub(crate) fn drop_all_but_new(connection: &Connection) -> rusqlite::Result<usize> {
    connection.execute(
        "DELETE FROM trash WHERE NOT EXISTS
             (SELECT 1 FROM contents c JOIN new.contents n ON n.digest = c.digest WHERE c.id = trash.content)",
        (),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{content, encoder, insert};
    use crate::{Index, KnownPath};

    const CAT: &str = "/p/cat.jpg";

    /// Returns an index of a cat and a dog, of which the cat is removed.
    fn without_the_cat(dir: &Path) -> Writer {
        let mut writer = Writer::open(dir, &encoder(2, 8)).unwrap();
        let images = [(CAT, 1u8), ("/p/dog.jpg", 2)].map(|(path, number)| {
            let code = vec![f32::from(number), 0.0];
            insert(path, content(number.into(), code, vec![number]))
        });
        writer.apply(&images).unwrap();
        assert_eq!(writer.discard_under(Path::new(CAT)).unwrap(), 1);
        writer
    }

    fn ends(writer: &mut Writer) {
        writer.finish_run(&serde_json::Value::Null, true).unwrap();
    }

    fn digest(number: u64) -> [u8; 32] {
        content(number, vec![], vec![]).digest
    }

    /// Makes what is in the trash `days` older.
    fn age(writer: &Writer, days: i64) {
        writer
            .connection
            .execute(
                "UPDATE trash SET removed = removed - ?1",
                [days * SECONDS_A_DAY],
            )
            .unwrap();
    }

    #[test]
    fn what_was_removed_is_not_found_and_comes_back_under_a_new_number() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = without_the_cat(dir.path());
        ends(&mut writer);
        let index = Index::open(dir.path()).unwrap();
        let nearest = || index.nearest(&[1.0, 0.0], 1).unwrap()[0];
        assert_eq!(nearest().id.0, 2);
        let reader = writer.reader().unwrap();
        assert_eq!(reader.trash().unwrap()[0].path, Path::new(CAT));
        let stats = reader.stats().unwrap();
        assert_eq!((stats.images, stats.contents, stats.trash), (1, 1, 1));

        assert_eq!(
            writer.restore(Some(Path::new("/p/dog.jpg"))).unwrap(),
            Restored::default()
        );
        let restored = writer.restore(Some(Path::new("/p"))).unwrap();
        assert_eq!((restored.images, restored.stored_again.len()), (1, 0));
        assert_eq!((nearest().id.0, nearest().distance), (3, 0.0));
        assert_eq!(reader.trash().unwrap(), []);
        assert_eq!(writer.restore(None).unwrap(), Restored::default());
    }

    #[test]
    fn a_path_that_is_stored_again_keeps_what_it_has() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = without_the_cat(dir.path());
        writer
            .apply(&[insert(CAT, content(3, vec![3.0, 0.0], vec![3]))])
            .unwrap();
        let restored = writer.restore(None).unwrap();
        assert_eq!((restored.images, restored.stored_again.len()), (0, 1));
        let reader = writer.reader().unwrap();
        assert!(matches!(
            reader.by_path(Path::new(CAT)).unwrap(),
            Some(KnownPath::Image(image)) if image.digest == digest(3)
        ));
        assert_eq!(reader.trash().unwrap().len(), 1);

        // Of two that were removed from one path, the last comes back.
        writer.discard_under(Path::new(CAT)).unwrap();
        assert_eq!(reader.trash().unwrap().len(), 2);
        assert_eq!(writer.restore(None).unwrap().images, 1);
        assert_eq!(reader.images_with(&digest(3), 9).unwrap().len(), 1);
        assert_eq!(reader.trash().unwrap().len(), 1);
    }

    #[test]
    fn a_content_is_kept_as_long_as_the_trash_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = without_the_cat(dir.path());
        let reader = writer.reader().unwrap();
        age(&writer, TRASH_DAYS - 1);
        ends(&mut writer);
        assert!(reader.has_content(&digest(1)).unwrap());
        // A file that comes back needs no new code.
        let back = Change::InsertKnown {
            path: CAT.into(),
            stat: FileStat::default(),
            digest: digest(1),
        };
        writer.apply(&[back]).unwrap();
        assert_eq!(reader.trash().unwrap(), []);
        writer.discard_under(Path::new(CAT)).unwrap();
        age(&writer, TRASH_DAYS + 1);
        ends(&mut writer);
        assert_eq!(reader.trash().unwrap(), []);
        assert!(!reader.has_content(&digest(1)).unwrap());
    }

    #[test]
    fn what_is_removed_for_good_is_in_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = without_the_cat(dir.path());
        let holds = |what: &[u8]| {
            ["imgsearch.sqlite", "imgsearch.sqlite-wal"]
                .iter()
                .any(|name| {
                    let bytes = std::fs::read(dir.path().join(name)).unwrap_or_default();
                    bytes.windows(what.len()).any(|window| window == what)
                })
        };
        assert!(holds(CAT.as_bytes()) && holds(&digest(1)));
        // It lies in the trash.
        assert_eq!(writer.remove_under(Path::new(CAT)).unwrap(), 1);
        assert!(!holds(CAT.as_bytes()) && !holds(&digest(1)));
        assert_eq!(writer.restore(None).unwrap(), Restored::default());
        assert_eq!(writer.remove_under(Path::new("/p")).unwrap(), 1);
        assert!(!holds(b"/p/dog.jpg") && !holds(&digest(2)));
    }

    #[test]
    fn another_encoder_drops_what_it_has_no_code_of_and_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = without_the_cat(dir.path());
        writer
            .apply(&[insert("/p/cow.jpg", content(3, vec![3.0, 0.0], vec![3]))])
            .unwrap();
        writer.discard_under(Path::new("/p/cow.jpg")).unwrap();
        let aside = tempfile::tempdir().unwrap();
        let mut other = Writer::open(aside.path(), &encoder(3, 8)).unwrap();
        let dog_and_cow = [("/p/dog.jpg", 2), ("/p/copy-of-cow.jpg", 3)]
            .map(|(path, number)| insert(path, content(number, vec![0.5; 3], vec![1])));
        other.apply(&dog_and_cow).unwrap();
        writer.replace_with(other).unwrap();
        assert_eq!(writer.dropped_from_trash(), 1);
        assert_eq!(writer.restore(None).unwrap().images, 1);
        let found = Index::open(dir.path())
            .unwrap()
            .nearest(&[0.5; 3], 9)
            .unwrap();
        assert_eq!(found.len(), 3);

        // If no image is stored, another encoder starts afresh.
        writer.discard_under(Path::new("/p")).unwrap();
        drop(writer);
        let writer = Writer::open(dir.path(), &encoder(2, 16)).unwrap();
        assert_eq!(writer.dropped_from_trash(), 3);
        assert_eq!(writer.reader().unwrap().trash().unwrap(), []);
    }
}
