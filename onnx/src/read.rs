//! Reads whole files, up to a limit.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use crate::error::{Error, Result};

/// The maximum size of an encoder or decoder file: that of a protobuf message, so ONNX knows no larger
/// one.
pub const MAX_MODEL_BYTES: u64 = (1 << 31) - 1;

/// Reads a regular file of at max `max` bytes. A device or a pipe, whose length is unknown, is rejected
/// before anything is read.
///
/// # Errors
///
/// [`Error::Io`].
pub fn read_whole(path: &Path, max: u64) -> Result<Vec<u8>> {
    let read = || {
        let file = open_regular(path)?;
        let length = file.metadata()?.len();
        if length > max {
            return Err(too_large(length, max));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        // The file can grow in the meantime.
        file.take(max + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > max {
            return Err(too_large(bytes.len() as u64, max));
        }
        Ok(bytes)
    };
    read().map_err(|source| Error::io("read", path, source))
}

/// Opens a regular file. Opening a pipe would wait for a writer.
pub fn open_regular(path: &Path) -> io::Result<File> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(invalid("it is not a regular file".to_owned()));
    }
    File::open(path)
}

/// Returns the error of a file that is larger than the limit.
pub fn too_large(length: u64, max: u64) -> io::Error {
    invalid(format!(
        "its {length} bytes are more than the {max} that are allowed"
    ))
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_up_to_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "four").unwrap();
        assert_eq!(read_whole(&path, 4).unwrap(), b"four");
        let error = read_whole(&path, 3).unwrap_err().to_string();
        assert!(
            error.contains("file") && error.contains("4 bytes"),
            "{error}"
        );
        // A size that no memory holds.
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(1 << 40)
            .unwrap();
        let error = read_whole(&path, MAX_MODEL_BYTES).unwrap_err().to_string();
        assert!(error.contains("1099511627776 bytes"), "{error}");
        assert!(read_whole(dir.path(), 4).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn an_endless_file_is_not_read() {
        let error = read_whole(Path::new("/dev/zero"), 4)
            .unwrap_err()
            .to_string();
        assert!(error.contains("not a regular file"), "{error}");
    }
}
