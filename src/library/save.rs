//! Saving: a file is complete under its name, or not there.
//!
//! Owns how the crate writes files that somebody relies on: a temporary file next to the target is written, synced
//! and renamed, and the new name is synced, too. A crash leaves the old file, and at worst a temporary file that
//! ends in `.new`, which the next saving removes. A link with that name is removed, too, and never followed: its
//! target belongs to somebody else.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The suffix of a file's name while it is written.
pub(crate) const TEMP_SUFFIX: &str = ".new";

/// A temporary file that takes the place of another when it is complete.
pub(crate) struct Saving {
    path: PathBuf,
    temp: PathBuf,
    /// The folder, to sync the new name.
    #[cfg(unix)]
    folder: File,
}

impl Saving {
    /// Creates the temporary file, so that an unwritable folder is an error before the work starts.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the folder cannot be opened or the file cannot be created.
    pub fn begin(path: &Path) -> Result<(Self, File)> {
        let mut temp = path.as_os_str().to_owned();
        temp.push(TEMP_SUFFIX);
        let temp = PathBuf::from(temp);
        #[cfg(unix)]
        let folder = {
            let folder = match path.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => folder,
                _ => Path::new("."),
            };
            File::open(folder).map_err(|error| Error::io("open", folder, error))?
        };
        let file = create(&temp).map_err(|error| Error::io("write", &temp, error))?;
        let saving = Self {
            path: path.to_owned(),
            temp,
            #[cfg(unix)]
            folder,
        };
        Ok((saving, file))
    }

    /// Puts a complete and synced file in its place. If `written` is an error, removes the file.
    ///
    /// # Errors
    ///
    /// If `written` is an error: that one. [`Error::Io`] if the file cannot be renamed.
    pub fn end<T>(self, written: Result<T>) -> Result<T> {
        let placed = written.and_then(|value| {
            fs::rename(&self.temp, &self.path)
                .and_then(|()| self.sync_name())
                .map_err(|error| self.failed(error))?;
            Ok(value)
        });
        if placed.is_err() {
            // An incomplete file is of no use. The first error is the one to return.
            self.abandon();
        }
        placed
    }

    /// Syncs the new name to the disk.
    fn sync_name(&self) -> io::Result<()> {
        #[cfg(unix)]
        self.folder.sync_all()?;
        Ok(())
    }

    /// Removes the temporary file and leaves the old one.
    pub fn abandon(self) {
        if let Err(error) = fs::remove_file(&self.temp) {
            tracing::debug!(%error, "an unfinished file could not be removed");
        }
    }

    /// Returns an error of writing, with the path.
    pub fn failed(&self, source: io::Error) -> Error {
        Error::io("write", &self.path, source)
    }
}

/// Creates a file. A file or link with the same name is removed before; the target of a link stays as it is.
fn create(temp: &Path) -> io::Result<File> {
    match fs::symlink_metadata(temp) {
        Ok(there) if there.is_file() || there.is_symlink() => fs::remove_file(temp)?,
        Ok(there) => {
            let what = if there.is_dir() {
                "a folder"
            } else {
                "something that is not a file"
            };
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                format!("{what} of this name is in the way; move it elsewhere"),
            ));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    // Fails if a link has been put there meanwhile, instead of writing to its target.
    File::create_new(temp)
}

/// Saves a file whose content is in memory.
///
/// # Errors
///
/// [`Error::Io`] if the file cannot be written. The old file is then still there, unless only the sync of the new
/// name failed.
pub fn save(path: &Path, content: &[u8]) -> Result<()> {
    let (saving, mut file) = Saving::begin(path)?;
    let written = file
        .write_all(content)
        .and_then(|()| file.sync_all())
        .map_err(|error| saving.failed(error));
    saving.end(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_file_stays_until_the_new_one_is_complete() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        save(&path, b"old").unwrap();
        let (saving, mut file) = Saving::begin(&path).unwrap();
        file.write_all(b"ne").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        let failed: Result<()> = saving.end(Err(Error::Interrupted));
        assert!(matches!(failed, Err(Error::Interrupted)));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        save(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        // A leftover is replaced; a link in its place is removed, and its target stays.
        fs::write(dir.path().join("file.new"), b"half").unwrap();
        save(&path, b"newer").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"newer");
        #[cfg(unix)]
        {
            let other = dir.path().join("other");
            fs::write(&other, b"somebody's").unwrap();
            std::os::unix::fs::symlink(&other, dir.path().join("file.new")).unwrap();
            save(&path, b"newest").unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"newest");
            assert!(fs::symlink_metadata(&path).unwrap().is_file());
            assert_eq!(fs::read(&other).unwrap(), b"somebody's");
        }
        // A folder in the way is an error with its name, and stays.
        fs::create_dir(dir.path().join("folder")).unwrap();
        let error = save(&dir.path().join("folder"), b"new").unwrap_err();
        assert!(error.to_string().contains("folder"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_the_way_is_removed_and_its_target_stays() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let temp = dir.path().join("file.new");
        let other = dir.path().join("other");
        fs::write(&other, b"somebody else's").unwrap();
        // To a file, to nothing, and to a folder.
        for target in ["other", "nowhere", "."] {
            symlink(target, &temp).unwrap();
            save(&path, target.as_bytes()).unwrap();
            assert_eq!(fs::read(&path).unwrap(), target.as_bytes());
            assert!(path.symlink_metadata().unwrap().is_file(), "{target}");
            assert_eq!(fs::read(&other).unwrap(), b"somebody else's", "{target}");
            assert!(temp.symlink_metadata().is_err(), "{target}");
        }
        assert!(!dir.path().join("nowhere").exists());
        // The same for a link in the file's own place.
        fs::remove_file(&path).unwrap();
        symlink("other", &path).unwrap();
        save(&path, b"mine").unwrap();
        assert!(path.symlink_metadata().unwrap().is_file());
        assert_eq!(fs::read(&other).unwrap(), b"somebody else's");
    }

    #[test]
    fn a_leftover_file_is_removed_and_a_folder_in_the_way_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let temp = dir.path().join("file.new");
        fs::write(&temp, b"half of a file that was longer").unwrap();
        save(&path, b"whole").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert!(!temp.exists());
        fs::create_dir(&temp).unwrap();
        fs::write(temp.join("mine"), b"mine").unwrap();
        let error = save(&path, b"again").unwrap_err().to_string();
        assert!(
            error.contains("file.new") && error.contains("a folder of this name"),
            "{error}"
        );
        assert_eq!(fs::read(temp.join("mine")).unwrap(), b"mine");
        assert_eq!(fs::read(&path).unwrap(), b"whole");
    }
}
