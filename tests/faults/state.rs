//! The content of an index, read directly with SQLite.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::path::Path;

use imgsearch::groups::map::MAP_FILE;
use imgsearch::index::{Error, Index};
use rusqlite::{Connection, OpenFlags};

/// What is stored of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    digest: Vec<u8>,
    code: Vec<u8>,
    hash: Vec<u8>,
}

/// What an index holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct State {
    pub fingerprint: String,
    pub rows: BTreeMap<Vec<u8>, Row>,
    /// The file of where images lie on the map, if there is one.
    pub map: Option<Vec<u8>>,
}

impl State {
    /// Reads the index in `dir`; empty if there is none.
    pub fn read(dir: &Path) -> Result<Self, String> {
        match Index::open(dir) {
            Ok(_) => {}
            Err(Error::IndexNotFound { .. }) => return Ok(Self::default()),
            Err(error) => return Err(format!("it cannot be opened: {error}")),
        }
        let database = dir.join("imgsearch.sqlite");
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let read = |connection: &Connection| -> rusqlite::Result<Self> {
            let fingerprint =
                connection.query_row("SELECT fingerprint FROM encoder", (), |row| row.get(0))?;
            let rows = connection
                .prepare(
                    "SELECT path, digest, code, hash FROM images JOIN contents ON contents.id = images.content",
                )?
                .query_map((), |row| {
                    let (digest, code, hash) = (row.get(1)?, row.get(2)?, row.get(3)?);
                    Ok((row.get(0)?, Row { digest, code, hash }))
                })?
                .collect::<rusqlite::Result<_>>()?;
            Ok(Self {
                fingerprint,
                rows,
                map: None,
            })
        };
        let mut state = Connection::open_with_flags(database, flags)
            .and_then(|connection| read(&connection))
            .map_err(|error| format!("it cannot be read: {error}"))?;
        state.map = match std::fs::read(dir.join(MAP_FILE)) {
            Ok(map) => Some(map),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(format!("its map cannot be read: {error}")),
        };
        Ok(state)
    }

    /// Checks that every image that was stored before and stays is there, and that each is as before or as after.
    pub fn lies_between(&self, before: &Self, after: &Self) -> Result<(), String> {
        for (path, row) in &self.rows {
            if before.rows.get(path) != Some(row) && after.rows.get(path) != Some(row) {
                return Err(format!(
                    "{} is neither as it was nor as it comes to be",
                    name(path)
                ));
            }
        }
        match before
            .rows
            .keys()
            .find(|path| after.rows.contains_key(*path) && !self.rows.contains_key(*path))
        {
            Some(path) => Err(format!("{} is lost", name(path))),
            None => Ok(()),
        }
    }
}

fn name(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

/// Checks that the database is intact and agrees with the segments.
pub fn audit(dir: &Path) -> Result<(), String> {
    let index = match Index::open(dir) {
        Ok(index) => index,
        Err(Error::IndexNotFound { .. }) => return Ok(()),
        Err(error) => return Err(format!("it cannot be opened: {error}")),
    };
    let checked = index
        .check(&mut |_| ControlFlow::Continue(()))
        .map_err(|error| format!("it cannot be checked: {error}"))?;
    if !checked.is_sound() {
        return Err(format!("the check finds {checked:?}"));
    }
    let result: String = Connection::open(dir.join("imgsearch.sqlite"))
        .and_then(|database| database.query_row("PRAGMA integrity_check", (), |row| row.get(0)))
        .map_err(|error| format!("its integrity cannot be checked: {error}"))?;
    if result != "ok" {
        return Err(format!("SQLite finds {result}"));
    }
    Ok(())
}

/// Checks that an idle index holds no leftover files.
pub fn leftover_files(dir: &Path) -> Result<(), String> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(|error| error.to_string())? {
            let entry = entry.map_err(|error| error.to_string())?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.path().is_dir() {
                if name == "segments" {
                    folders.push(entry.path());
                } else {
                    found.push(entry.path());
                }
            } else if !is_expected(&name) {
                found.push(entry.path());
            } else if name.ends_with(".onnx") {
                encoders(dir, &entry.path())?;
            }
        }
    }
    if found.is_empty() {
        Ok(())
    } else {
        Err(format!("left over: {found:?}"))
    }
}

fn is_expected(name: &str) -> bool {
    [
        "imgsearch.sqlite",
        "imgsearch.sqlite-wal",
        "imgsearch.sqlite-shm",
        "writer.lock",
        MAP_FILE,
    ]
    .contains(&name)
        || name.ends_with(".segment")
        || (name.starts_with("encoder-") && name.ends_with(".onnx"))
}

/// Checks that the copy of an encoder is the one that made the index.
fn encoders(dir: &Path, file: &Path) -> Result<(), String> {
    let state = State::read(dir)?;
    if file.to_string_lossy().contains(&state.fingerprint) {
        Ok(())
    } else {
        Err(format!("{} is not the index's encoder", file.display()))
    }
}
