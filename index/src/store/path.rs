//! Paths as bytes: what the store keeps, so that names need not be UTF-8.

use std::path::{Path, PathBuf};

#[cfg(not(unix))]
use crate::error::Error;
use crate::error::Result;

/// Returns the bytes of a path, as they are stored.
///
/// # Errors
///
/// Where paths are no bytes, [`Error::BadPath`](crate::Error::BadPath) for one that is not Unicode.
#[cfg(unix)]
pub fn to_bytes(path: &Path) -> Result<&[u8]> {
    use std::os::unix::ffi::OsStrExt;
    Ok(path.as_os_str().as_bytes())
}

/// Returns the path of stored bytes.
///
/// # Errors
///
/// Where paths are no bytes, if they are not UTF-8.
#[cfg(unix)]
pub fn from_bytes(bytes: Vec<u8>) -> Result<PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    Ok(std::ffi::OsString::from_vec(bytes).into())
}

/// Returns the bytes of a path, as they are stored.
///
/// # Errors
///
/// [`Error::BadPath`] for one that is not Unicode.
#[cfg(not(unix))]
pub fn to_bytes(path: &Path) -> Result<&[u8]> {
    path.to_str()
        .map(str::as_bytes)
        .ok_or_else(|| Error::BadPath {
            path: path.to_owned(),
        })
}

/// Returns the path of stored bytes.
///
/// # Errors
///
/// If they are not UTF-8.
#[cfg(not(unix))]
pub fn from_bytes(bytes: Vec<u8>) -> Result<PathBuf> {
    String::from_utf8(bytes)
        .map(PathBuf::from)
        .map_err(|error| Error::InvalidInput(format!("a stored path is not UTF-8: {error}")))
}

/// Returns the smallest and the first too large byte string of the paths below a folder: those that
/// begin with it and a separator.
///
/// # Errors
///
/// As [`to_bytes`].
pub fn below(folder: &Path) -> Result<(Vec<u8>, Vec<u8>)> {
    let mut low = to_bytes(folder)?.to_vec();
    let separator = std::path::MAIN_SEPARATOR as u8;
    if low.last() != Some(&separator) {
        low.push(separator);
    }
    let mut high = low.clone();
    if let Some(last) = high.last_mut() {
        *last += 1;
    }
    Ok((low, high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn any_name_survives() {
        use std::os::unix::ffi::OsStrExt;
        let path = Path::new(std::ffi::OsStr::from_bytes(b"/a/\xff\xfe b"));
        let bytes = to_bytes(path).unwrap().to_vec();
        assert_eq!(from_bytes(bytes).unwrap(), path);
    }

    #[test]
    fn below_a_folder_is_not_beside_it() {
        let (low, high) = below(Path::new("/a/b")).unwrap();
        let inside = |path: &str| low.as_slice() <= path.as_bytes() && path.as_bytes() < &high[..];
        assert!(inside("/a/b/c") && inside("/a/b/\u{ff}/d"));
        assert!(!inside("/a/b") && !inside("/a/bc") && !inside("/a/b.jpg") && !inside("/a/c"));
        let (low, high) = below(Path::new("/")).unwrap();
        assert!(low.as_slice() <= &b"/x"[..] && &b"/x"[..] < high.as_slice());
    }
}
