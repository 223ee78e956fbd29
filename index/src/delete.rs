//! Deleting an index: its own files, and nothing else that lies in its folder.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::index::Index;
use crate::store::lock::{LOCK_FILE, Lock};
use crate::store::schema::{self, APPLICATION_ID, DATABASE_FILE};
use crate::store::segments::StoredSegment;

/// What a SQLite database begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Bytes of a SQLite database's header that say what it is.
const HEADER: usize = 100;

impl Index {
    /// Returns whether a database lies in `dir`, however far whoever made it got.
    pub fn lies_in(dir: impl AsRef<Path>) -> bool {
        schema::database_path(dir.as_ref()).is_file()
    }

    /// Deletes the index in `dir` and the folder, unless something lies in it that no index made:
    /// what that is. Nothing happens if the folder does not exist.
    ///
    /// # Errors
    ///
    /// Nothing is deleted if `dir` is a link, if another program made the database in it
    /// ([`Error::Corrupt`]), or if somebody writes to it ([`Error::Locked`]). [`Error::Io`].
    pub fn delete(dir: impl AsRef<Path>) -> Result<Vec<PathBuf>> {
        let dir = dir.as_ref();
        match dir.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(Error::io("look at", dir, source)),
            Ok(there) if !there.is_dir() => {
                let source = io::Error::new(io::ErrorKind::NotADirectory, "it is no folder");
                return Err(Error::io("delete the index in", dir, source));
            }
            Ok(_) => {}
        }
        let database = schema::database_path(dir);
        if is_plain_file(&database) {
            if is_of_another_program(&database)? {
                return Err(schema::of_another_program(dir));
            }
            drop(Lock::take(dir)?);
        }
        remove_segments(dir)?;
        // The database before its log: without the log it could be a half of two states.
        for end in ["", "-wal", "-shm", "-journal"] {
            remove(&dir.join(format!("{DATABASE_FILE}{end}")))?;
        }
        remove(&dir.join(LOCK_FILE))?;
        remove_folder(dir)
    }
}

/// Returns whether a file is evidently no database of ours. One that is cut off or blank, as a crash
/// leaves it, may be.
fn is_of_another_program(database: &Path) -> Result<bool> {
    let mut header = Vec::new();
    File::open(database)
        .and_then(|file| file.take(HEADER as u64).read_to_end(&mut header))
        .map_err(|source| Error::io("read", database, source))?;
    let begun = header.len().min(MAGIC.len());
    if header[..begun] != MAGIC[..begun] {
        return Ok(true);
    }
    let word = |at: usize| {
        let bytes = header.get(at..at + 4)?;
        bytes.try_into().ok().map(u32::from_be_bytes)
    };
    let (Some(pages), Some(format), Some(application)) = (word(28), word(60), word(68)) else {
        return Ok(false);
    };
    // Ours gets its number in the transaction that makes its first table.
    let is_blank = application == 0 && format == 0 && pages <= 1;
    Ok(!is_blank && application != APPLICATION_ID.cast_unsigned())
}

fn remove_segments(dir: &Path) -> Result<()> {
    let folder = StoredSegment::folder(dir);
    if !folder.symlink_metadata().is_ok_and(|there| there.is_dir()) {
        return Ok(());
    }
    for path in listed(&folder)? {
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_some_and(StoredSegment::is_name) {
            remove(&path)?;
        }
    }
    remove_folder(&folder).map(drop)
}

/// Removes a file; a link or a folder, which we never made, stays.
fn remove(path: &Path) -> Result<()> {
    if !is_plain_file(path) {
        return Ok(());
    }
    fs::remove_file(path).map_err(|source| Error::io("remove", path, source))
}

/// Removes a folder if it is empty, or says what is in it.
fn remove_folder(path: &Path) -> Result<Vec<PathBuf>> {
    let left = listed(path)?;
    if left.is_empty() {
        fs::remove_dir(path).map_err(|source| Error::io("remove", path, source))?;
    }
    Ok(left)
}

fn listed(folder: &Path) -> Result<Vec<PathBuf>> {
    let fail = |source| Error::io("list", folder, source);
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(fail)? {
        paths.push(entry.map_err(fail)?.path());
    }
    paths.sort();
    Ok(paths)
}

fn is_plain_file(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|there| there.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{content, encoder, going_on, insert};
    use crate::{FoldOptions, Writer};

    fn made(dir: &Path) -> Writer {
        let mut writer = Writer::open(dir, &encoder(2, 8)).unwrap();
        let image = insert("/p/1.jpg", content(1, vec![0.5, 0.5], vec![1]));
        writer.apply(&[image]).unwrap();
        let options = FoldOptions {
            all: true,
            ..FoldOptions::default()
        };
        assert_eq!(writer.fold(&options, &mut going_on).unwrap().made, 1);
        writer
    }

    #[test]
    fn an_index_goes_with_its_folder_and_with_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().join("index");
        assert_eq!(Index::delete(&dir).unwrap(), Vec::<PathBuf>::new());
        drop(made(&dir));
        assert!(Index::lies_in(&dir));
        assert_eq!(Index::delete(&dir).unwrap(), Vec::<PathBuf>::new());
        assert!(!dir.exists());

        // What is left of a run that was killed.
        let writer = made(&dir);
        assert!(dir.join("imgsearch.sqlite-wal").exists());
        let refused = Index::delete(&dir).unwrap_err();
        assert!(matches!(refused, Error::Locked { .. }), "{refused}");
        drop(writer);
        fs::write(dir.join("imgsearch.sqlite-wal"), "left").unwrap();
        fs::write(dir.join("segments/000002.new"), "half").unwrap();
        // What no index made, or not under that name.
        let theirs = [
            "notes.txt",
            "imgsearch.sqlite.bak",
            "segments/000001.txt",
            "segments/mine.segment",
        ];
        for name in theirs {
            fs::write(dir.join(name), name).unwrap();
        }
        fs::create_dir(dir.join("segments/000007.segment")).unwrap();
        let left = Index::delete(&dir).unwrap();
        let stays = ["imgsearch.sqlite.bak", "notes.txt", "segments"];
        assert_eq!(left, stays.map(|name| dir.join(name)));
        for name in theirs {
            assert_eq!(fs::read(dir.join(name)).unwrap(), name.as_bytes());
        }
        assert!(dir.join("segments/000007.segment").is_dir());
        assert_eq!(fs::read_dir(dir.join("segments")).unwrap().count(), 3);
        assert!(!Index::lies_in(&dir));
    }

    #[test]
    fn what_is_no_index_is_not_deleted() {
        let place = tempfile::tempdir().unwrap();
        let refused = |dir: &Path| {
            let error = Index::delete(dir).unwrap_err();
            assert!(matches!(error, Error::Corrupt { .. }), "{error}");
            assert!(Index::lies_in(dir));
        };
        let text = place.path().join("text");
        fs::create_dir(&text).unwrap();
        fs::write(text.join(DATABASE_FILE), "my notes on image search").unwrap();
        fs::write(text.join(LOCK_FILE), "mine").unwrap();
        refused(&text);
        assert_eq!(fs::read(text.join(LOCK_FILE)).unwrap(), b"mine");

        let other = place.path().join("other");
        fs::create_dir(&other).unwrap();
        for (id, format) in [(0, 0), (0, 3), (77, 0), (77, 3)] {
            let path = other.join(DATABASE_FILE);
            let connection = rusqlite::Connection::open(&path).unwrap();
            connection
                .execute_batch(&format!(
                    "CREATE TABLE notes (text); PRAGMA application_id = {id}; PRAGMA user_version = {format}"
                ))
                .unwrap();
            drop(connection);
            refused(&other);
            fs::remove_file(path).unwrap();
        }

        // Ours however far it got.
        for bytes in [&b""[..], b"SQLite fo", MAGIC] {
            fs::write(other.join(DATABASE_FILE), bytes).unwrap();
            assert!(Index::delete(&other).unwrap().is_empty());
            fs::create_dir(&other).unwrap();
        }
        drop(schema::open_writable(&other).unwrap());
        assert!(Index::delete(&other).unwrap().is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn no_link_is_followed() {
        use std::os::unix::fs::symlink;
        let place = tempfile::tempdir().unwrap();
        let (index, link) = (place.path().join("index"), place.path().join("link"));
        drop(made(&index));
        symlink("index", &link).unwrap();
        let error = Index::delete(&link).unwrap_err().to_string();
        assert!(error.contains("no folder"), "{error}");
        // Of what lies in a folder neither: these lead into somebody else's index.
        let dir = place.path().join("dir");
        fs::create_dir(&dir).unwrap();
        for name in [DATABASE_FILE, "segments"] {
            symlink(index.join(name), dir.join(name)).unwrap();
        }
        assert_eq!(Index::delete(&dir).unwrap().len(), 2);
        assert!(Index::lies_in(&index));
        assert!(index.join("segments/000001.segment").is_file());
    }
}
