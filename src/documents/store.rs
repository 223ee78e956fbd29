//! Where documents are stored: a folder beside the images of an index.
//!
//! Owns the layout of `documents/`: each state is complete in a folder of its own, with an index of codes, the encoder
//! and what is known of them, and the file `current` names the one that counts. It is replaced last, so a run that ends
//! early leaves the state before it.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use imgsearch_index::Reader;

use super::about::About;
use crate::error::{Error, Result};
use crate::library::save::save;

/// The folder in that of an index.
const FOLDER: &str = "documents";
/// The file that names the state that counts.
const CURRENT: &str = "current";
/// What is known of a state.
const ABOUT: &str = "about.json";
/// The encoder of a state.
const ENCODER: &str = "encoder.onnx";
/// The file that a run locks.
const LOCK: &str = "lock";
/// What the name of a state's folder begins with. A number follows.
const STATE: &str = "state-";

/// Stored documents.
#[derive(Debug)]
pub(super) struct Stored {
    pub dir: PathBuf,
    pub about: About,
}

/// Returns the folder of the state that counts, if there is one.
fn current(folder: &Path) -> Result<Option<PathBuf>> {
    let path = folder.join(CURRENT);
    match fs::read_to_string(&path) {
        Ok(name) if number_of(&name).is_some() => Ok(Some(folder.join(name))),
        Ok(_) => Err(damaged(&path, "it names no state")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", &path, error)),
    }
}

fn number_of(name: &str) -> Option<u64> {
    name.strip_prefix(STATE)?.parse().ok()
}

pub(super) fn damaged(path: &Path, why: &str) -> Error {
    Error::BadDocuments(format!(
        "{} is damaged: {why}. To make it again, delete the folder {FOLDER} that it is in, and run imgsearch topics \
         FOLDER",
        path.display()
    ))
}

impl Stored {
    /// Opens the documents of the index in `dir`; `None` if it has none.
    pub fn open(dir: &Path) -> Result<Option<Self>> {
        let Some(dir) = current(&dir.join(FOLDER))? else {
            return Ok(None);
        };
        let path = dir.join(ABOUT);
        let about = fs::read(&path).map_err(|error| Error::io("read", &path, error))?;
        let about =
            serde_json::from_slice(&about).map_err(|error| damaged(&path, &error.to_string()))?;
        Ok(Some(Self { dir, about }))
    }

    /// Returns the encoder's file.
    pub fn model_bytes(&self) -> Result<Vec<u8>> {
        let path = self.model_path();
        let bytes = fs::read(&path).map_err(|error| Error::io("read", &path, error))?;
        if blake3::hash(&bytes).to_hex()[..32] != self.about.encoder {
            return Err(damaged(&path, "it is not the encoder that was stored"));
        }
        Ok(bytes)
    }

    pub fn model_path(&self) -> PathBuf {
        self.dir.join(ENCODER)
    }

    /// Returns a reader of the documents.
    pub fn reader(&self) -> Result<Reader> {
        Ok(Reader::open(&self.dir)?)
    }
}

/// A state that is being made.
pub(super) struct Making {
    folder: PathBuf,
    dir: PathBuf,
    /// Held until the state is there.
    _lock: File,
}

impl Making {
    /// Begins a state in the index in `dir`.
    pub fn begin(dir: &Path) -> Result<Self> {
        let folder = dir.join(FOLDER);
        fs::create_dir_all(&folder).map_err(|error| Error::io("create", &folder, error))?;
        let path = folder.join(LOCK);
        let lock = File::create(&path).map_err(|error| Error::io("create", &path, error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::BadDocuments(format!(
                    "another process reads documents into {}",
                    folder.display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(Error::io("lock", &path, error)),
        }
        // What a run that was killed left.
        let kept = current(&folder)?;
        let mut last = 0;
        for state in states(&folder)? {
            last = last.max(state.0);
            if Some(&state.1) != kept.as_ref() {
                remove(&state.1)?;
            }
        }
        let dir = folder.join(format!("{STATE}{}", last + 1));
        fs::create_dir(&dir).map_err(|error| Error::io("create", &dir, error))?;
        Ok(Self {
            folder,
            dir,
            _lock: lock,
        })
    }

    /// Returns its folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Completes the state and lets it count. The one before is removed.
    pub fn finish(self, encoder: &[u8], about: &About) -> Result<()> {
        save(&self.dir.join(ENCODER), encoder)?;
        let path = self.dir.join(ABOUT);
        let about = serde_json::to_vec(about)
            .map_err(|error| Error::BadDocuments(format!("{}: {error}", path.display())))?;
        save(&path, &about)?;
        let name = self.dir.file_name().unwrap_or_default();
        save(
            &self.folder.join(CURRENT),
            name.to_string_lossy().as_bytes(),
        )?;
        for (_, state) in states(&self.folder)? {
            if state != self.dir {
                remove(&state)?;
            }
        }
        Ok(())
    }
}

impl Drop for Making {
    /// Removes a state that does not count; if that fails, the next run does it.
    fn drop(&mut self) {
        if !matches!(current(&self.folder), Ok(Some(kept)) if kept == self.dir) {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

/// Returns the folders of states with their numbers.
fn states(folder: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let failed = |error| Error::io("read", folder, error);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if let Some(number) = entry.file_name().to_str().and_then(number_of) {
            found.push((number, entry.path()));
        }
    }
    Ok(found)
}

fn remove(dir: &Path) -> Result<()> {
    fs::remove_dir_all(dir).map_err(|error| Error::io("remove", dir, error))
}

/// Deletes the documents of the index in `dir`, if it has any.
///
/// # Errors
///
/// If a file cannot be deleted. What no run made stays, and the folder with it.
pub fn delete(dir: &Path) -> Result<()> {
    let folder = dir.join(FOLDER);
    if !folder.is_dir() {
        return Ok(());
    }
    for name in [CURRENT, "current.new", LOCK] {
        let path = folder.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::io("remove", &path, error));
            }
            _ => {}
        }
    }
    for (_, state) in states(&folder)? {
        remove(&state)?;
    }
    match fs::remove_dir(&folder) {
        Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => {
            Err(Error::io("remove", &folder, error))
        }
        _ => Ok(()),
    }
}
