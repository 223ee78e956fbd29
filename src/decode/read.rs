//! Reading image files: no more of them than is allowed.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::{DecodeError, Limits};

/// Why an image file was not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unread {
    /// The system could not.
    #[error(transparent)]
    Io(#[from] io::Error),

    /// It is longer than is allowed.
    #[error(transparent)]
    OverLimit(#[from] DecodeError),
}

impl Limits {
    /// Reads a whole file into `buffer`, in place of what is there.
    ///
    /// # Errors
    ///
    /// [`Unread`], before more than [`Limits::max_file_bytes`] are in memory.
    pub fn read(&self, path: &Path, buffer: &mut Vec<u8>) -> Result<(), Unread> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        self.check_bytes(length)?;
        buffer.clear();
        buffer.reserve(usize::try_from(length).unwrap_or(0));
        self.read_from(file, buffer)
    }

    /// Reads all that `source` gives into `buffer`, in place of what is there.
    ///
    /// # Errors
    ///
    /// As [`Limits::read`]. A file may grow while it is read, and a pipe says nothing beforehand.
    pub fn read_from(&self, source: impl Read, buffer: &mut Vec<u8>) -> Result<(), Unread> {
        buffer.clear();
        source
            .take(self.max_file_bytes.saturating_add(1))
            .read_to_end(buffer)?;
        Ok(self.check_bytes(buffer.len() as u64)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_read_than_is_allowed() {
        let limits = Limits {
            max_file_bytes: 4,
            ..Limits::default()
        };
        let mut buffer = b"what was there before".to_vec();
        limits.read_from(&b"four"[..], &mut buffer).unwrap();
        assert_eq!(buffer, b"four");
        // Without an end: all of it would never be read.
        let error = limits.read_from(io::repeat(7), &mut buffer).unwrap_err();
        assert!(matches!(error, Unread::OverLimit(_)));
        let message = error.to_string();
        assert!(message.contains("--max-file-size"), "{message}");
        assert_eq!(buffer.len(), 5);

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "fives").unwrap();
        assert!(matches!(
            limits.read(&path, &mut buffer),
            Err(Unread::OverLimit(DecodeError::TooManyBytes {
                length: 5,
                limit: 4
            }))
        ));
        std::fs::write(&path, "abcd").unwrap();
        limits.read(&path, &mut buffer).unwrap();
        assert_eq!(buffer, b"abcd");
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(
            limits.read(&path, &mut buffer),
            Err(Unread::Io(_))
        ));
    }
}
