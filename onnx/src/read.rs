//! Reading files whole, up to a limit.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use crate::error::{Error, Result};

/// The most bytes of an encoder's or a decoder's file: what a protobuf message may have, so that ONNX knows no
/// larger one either.
pub const MAX_MODEL_BYTES: u64 = (1 << 31) - 1;

/// Reads a regular file, if it is no larger than `most`. A device or a pipe, of which nobody knows how much will
/// come, is refused before anything is read.
///
/// # Errors
///
/// [`Error::Io`].
pub fn read_whole(path: &Path, most: u64) -> Result<Vec<u8>> {
    let read = || {
        let file = open_regular(path)?;
        let length = file.metadata()?.len();
        if length > most {
            return Err(too_large(length, most));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        // It may grow meanwhile.
        file.take(most + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > most {
            return Err(too_large(bytes.len() as u64, most));
        }
        Ok(bytes)
    };
    read().map_err(|source| Error::io("read", path, source))
}

/// Opens a file, if it is a regular one. Opening a pipe would wait for whoever writes to it.
pub fn open_regular(path: &Path) -> io::Result<File> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(invalid("it is not a regular file".to_owned()));
    }
    File::open(path)
}

/// Returns the error of a file that is larger than the limit.
pub fn too_large(length: u64, most: u64) -> io::Error {
    invalid(format!(
        "its {length} bytes are more than the {most} that are allowed"
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
        let told = read_whole(&path, 3).unwrap_err().to_string();
        assert!(told.contains("file") && told.contains("4 bytes"), "{told}");
        // Of a size that no memory holds, and read by nobody.
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(1 << 40)
            .unwrap();
        let told = read_whole(&path, MAX_MODEL_BYTES).unwrap_err().to_string();
        assert!(told.contains("1099511627776 bytes"), "{told}");
        assert!(read_whole(dir.path(), 4).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn what_never_ends_is_not_begun() {
        let told = read_whole(Path::new("/dev/zero"), 4)
            .unwrap_err()
            .to_string();
        assert!(told.contains("not a regular file"), "{told}");
    }
}
