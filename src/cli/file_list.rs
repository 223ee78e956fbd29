//! Lists of files, as `find` and editors write them.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::Result;
use super::output::shown;

/// Reads names from a file, or from standard input for `-`: one a line, or each up to a zero byte if `null` says so.
/// Empty ones are left out.
pub fn read(list: &Path, null: bool) -> Result<Vec<PathBuf>> {
    names(&bytes(list)?, null)
}

/// Does what [`read`] does. Names end with zero bytes if there is one, because no name has one in it.
pub fn read_either(list: &Path) -> Result<Vec<PathBuf>> {
    let bytes = bytes(list)?;
    names(&bytes, bytes.contains(&0))
}

/// Returns the names that were typed, and those of a list after them. A list without names is an error: what was asked
/// for the files of the list would otherwise be done for all.
pub fn with_list(typed: &[PathBuf], list: Option<&Path>) -> Result<Vec<PathBuf>> {
    let mut names = typed.to_vec();
    if let Some(list) = list {
        let listed = read_either(list)?;
        if listed.is_empty() {
            return Err(format!("the list {} names no file", shown(list)).into());
        }
        names.extend(listed);
    }
    Ok(names)
}

fn bytes(list: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = if list == Path::new("-") {
        io::stdin().lock().read_to_end(&mut bytes)
    } else {
        File::open(list).and_then(|mut file| file.read_to_end(&mut bytes))
    };
    read.map_err(|error| format!("the list {} cannot be read: {error}", shown(list)))?;
    Ok(bytes)
}

fn names(bytes: &[u8], null: bool) -> Result<Vec<PathBuf>> {
    let names = if null {
        split(bytes, 0)
    } else {
        split(bytes, b'\n')
    };
    names
        .map(|name| match null {
            true => name,
            // Windows ends lines with two characters.
            false => name.strip_suffix(b"\r").unwrap_or(name),
        })
        .filter(|name| !name.is_empty())
        .map(path)
        .collect()
}

fn split(bytes: &[u8], end: u8) -> impl Iterator<Item = &[u8]> {
    bytes.split(move |&byte| byte == end)
}

#[cfg(unix)]
fn path(name: &[u8]) -> Result<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    Ok(PathBuf::from(std::ffi::OsStr::from_bytes(name)))
}

#[cfg(not(unix))]
fn path(name: &[u8]) -> Result<PathBuf> {
    match std::str::from_utf8(name) {
        Ok(name) => Ok(PathBuf::from(name)),
        Err(_) => Err(format!(
            "the list has a name that is not UTF-8: {}",
            String::from_utf8_lossy(name)
        )
        .into()),
    }
}
