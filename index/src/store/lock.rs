//! The writer's lock: one process writes, and a second learns who.
//!
//! Owns the file `writer.lock`. The lock is the kernel's, so it ends with its holder however
//! that ends; the text in the file only says who it was. A link of that name is refused: what it leads
//! to would be overwritten.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use super::clock::now;
use super::holder::Holder;
use crate::error::{Error, Result};

/// The lock's name inside an index.
pub(crate) const LOCK_FILE: &str = "writer.lock";

/// The lock, held until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of the index in `dir`, or says who has it.
    pub fn take(dir: &Path) -> Result<Self> {
        let path = dir.join(LOCK_FILE);
        refuse_what_is_no_file(&path)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|source| Error::io("open", &path, source))?;
        // A link that was put there meanwhile; nothing was written yet.
        refuse_what_is_no_file(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Locked {
                    dir: dir.to_owned(),
                    holder: read_holder(&mut file),
                });
            }
            Err(TryLockError::Error(source)) => return Err(Error::io("lock", &path, source)),
        }
        let holder = Holder {
            pid: std::process::id(),
            command: std::env::args_os()
                .map(|word| word.to_string_lossy().into_owned())
                .collect::<Vec<_>>()
                .join(" "),
            since: now().cast_unsigned(),
        };
        let text = serde_json::to_vec(&holder).unwrap_or_default();
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(&text))
            .map_err(|source| Error::io("write", &path, source))?;
        Ok(Self { _file: file })
    }
}

/// Refuses a link, which would be followed, and whatever else is no file.
fn refuse_what_is_no_file(path: &Path) -> Result<()> {
    match path.symlink_metadata() {
        Ok(there) if !there.is_file() => {
            let what = if there.is_symlink() {
                "it is a link, which is not followed; remove it"
            } else {
                "it is no file; move it away"
            };
            let source = io::Error::new(io::ErrorKind::InvalidInput, what);
            Err(Error::io("lock", path, source))
        }
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(Error::io("open", path, source))
        }
        _ => Ok(()),
    }
}

/// Returns what the file says of its holder; nobody in particular if it cannot be read, as on
/// platforms whose locks forbid reading.
fn read_holder(file: &mut File) -> Holder {
    let mut text = String::new();
    match file.read_to_string(&mut text) {
        Ok(_) => serde_json::from_str(&text).unwrap_or_default(),
        Err(_) => Holder::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_the_first_is() {
        let dir = tempfile::tempdir().unwrap();
        let first = Lock::take(dir.path()).unwrap();
        match Lock::take(dir.path()) {
            Err(Error::Locked { holder, .. }) => {
                assert_eq!(holder.pid, std::process::id());
                assert!(holder.to_string().contains(&holder.pid.to_string()));
            }
            other => panic!("{other:?}"),
        }
        drop(first);
        Lock::take(dir.path()).unwrap();
    }
    #[cfg(unix)]
    #[test]
    fn a_link_in_the_place_of_the_lock_is_refused_and_its_file_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let (lock, other) = (dir.path().join(LOCK_FILE), dir.path().join("other"));
        std::fs::write(&other, "somebody else's").unwrap();
        for target in ["other", "nowhere"] {
            std::os::unix::fs::symlink(target, &lock).unwrap();
            let error = Lock::take(dir.path()).unwrap_err().to_string();
            assert!(
                error.contains("it is a link") && error.contains(LOCK_FILE),
                "{error}"
            );
            std::fs::remove_file(&lock).unwrap();
        }
        assert_eq!(std::fs::read(&other).unwrap(), b"somebody else's");
        assert!(!dir.path().join("nowhere").exists());
        std::fs::create_dir(&lock).unwrap();
        let error = Lock::take(dir.path()).unwrap_err().to_string();
        assert!(error.contains("it is no file"), "{error}");
    }
}
