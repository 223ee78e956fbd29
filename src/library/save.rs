//! Saving: files that are whole under their name, or not there.
//!
//! Owns how the crate writes files that somebody relies on: beside, synced, renamed, and the name
//! synced, too. A crash leaves what was there before, and at worst a file that ends in `.new`, which
//! the next saving removes. A link of that name is removed, too, and never followed: what it leads to is
//! somebody else's.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// What a file's name ends in while it is written.
pub(crate) const ASIDE: &str = ".new";

/// A file being written beside the one whose place it takes.
pub(crate) struct Saving {
    path: PathBuf,
    aside: PathBuf,
    /// The folder, to have the new name on disk, too.
    #[cfg(unix)]
    folder: File,
}

impl Saving {
    /// Makes the file beside, so that a folder that cannot be written to is told before the work.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn begin(path: &Path) -> Result<(Self, File)> {
        let mut aside = path.as_os_str().to_owned();
        aside.push(ASIDE);
        let aside = PathBuf::from(aside);
        #[cfg(unix)]
        let folder = {
            let folder = match path.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => folder,
                _ => Path::new("."),
            };
            File::open(folder).map_err(|error| Error::io("open", folder, error))?
        };
        let file = create(&aside).map_err(|error| Error::io("write", &aside, error))?;
        let saving = Self {
            path: path.to_owned(),
            aside,
            #[cfg(unix)]
            folder,
        };
        Ok((saving, file))
    }

    /// Puts the file in its place once all was written to it and synced, or removes it.
    ///
    /// # Errors
    ///
    /// What `written` holds, and [`Error::Io`] where it cannot be put there.
    pub fn end<T>(self, written: Result<T>) -> Result<T> {
        let placed = written.and_then(|value| {
            fs::rename(&self.aside, &self.path)
                .and_then(|()| self.sync_name())
                .map_err(|error| self.failed(error))?;
            Ok(value)
        });
        if placed.is_err() {
            // What could not be written whole is of no use; the first error is the one to tell.
            self.abandon();
        }
        placed
    }

    /// Has the new name on disk, too.
    fn sync_name(&self) -> io::Result<()> {
        #[cfg(unix)]
        self.folder.sync_all()?;
        Ok(())
    }

    /// Leaves what is in its place there, and removes the file beside it.
    pub fn abandon(self) {
        if let Err(error) = fs::remove_file(&self.aside) {
            tracing::debug!(%error, "an unfinished file could not be removed");
        }
    }

    /// What went wrong in writing it, as an error.
    pub fn failed(&self, source: io::Error) -> Error {
        Error::io("write", &self.path, source)
    }
}

/// Creates a file that nothing else is known by: a file or link of that name goes first, and what a
/// link leads to stays as it is.
fn create(aside: &Path) -> io::Result<File> {
    match fs::symlink_metadata(aside) {
        Ok(there) if there.is_file() || there.is_symlink() => fs::remove_file(aside)?,
        Ok(there) => {
            let what = if there.is_dir() {
                "a folder"
            } else {
                "something that is no file"
            };
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                format!("{what} of this name is in the way; move it away"),
            ));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    // Whoever puts a link there meanwhile gets an error, not a file of ours at its end.
    File::create_new(aside)
}

/// Saves a file whose content is at hand.
///
/// # Errors
///
/// [`Error::Io`]; what was there before is there still then, but where only the disk failed to keep
/// the new name.
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
    fn what_was_there_stays_until_the_new_is_whole() {
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
        // A leftover is replaced; a link in its place goes, and what it leads to stays.
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
    fn a_link_in_the_way_goes_and_what_it_leads_to_stays() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let aside = dir.path().join("file.new");
        let other = dir.path().join("other");
        fs::write(&other, b"somebody else's").unwrap();
        // To a file, to none, and to a folder.
        for target in ["other", "nowhere", "."] {
            symlink(target, &aside).unwrap();
            save(&path, target.as_bytes()).unwrap();
            assert_eq!(fs::read(&path).unwrap(), target.as_bytes());
            assert!(path.symlink_metadata().unwrap().is_file(), "{target}");
            assert_eq!(fs::read(&other).unwrap(), b"somebody else's", "{target}");
            assert!(aside.symlink_metadata().is_err(), "{target}");
        }
        assert!(!dir.path().join("nowhere").exists());
        // So does a link in the file's own place.
        fs::remove_file(&path).unwrap();
        symlink("other", &path).unwrap();
        save(&path, b"mine").unwrap();
        assert!(path.symlink_metadata().unwrap().is_file());
        assert_eq!(fs::read(&other).unwrap(), b"somebody else's");
    }

    #[test]
    fn what_a_crash_left_goes_and_a_folder_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let aside = dir.path().join("file.new");
        fs::write(&aside, b"half of a file that was longer").unwrap();
        save(&path, b"whole").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert!(!aside.exists());
        fs::create_dir(&aside).unwrap();
        fs::write(aside.join("mine"), b"mine").unwrap();
        let error = save(&path, b"again").unwrap_err().to_string();
        assert!(
            error.contains("file.new") && error.contains("a folder of this name"),
            "{error}"
        );
        assert_eq!(fs::read(aside.join("mine")).unwrap(), b"mine");
        assert_eq!(fs::read(&path).unwrap(), b"whole");
    }
}
