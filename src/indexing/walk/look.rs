//! Examining one file: an image, something else, or unreadable.

use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::{Candidate, stat_of};
use crate::decode;

/// Number of leading bytes that decide whether a file without an image extension is an image.
const SNIFF_BYTES: usize = 64;

/// What a file is.
#[derive(Debug)]
pub(super) enum Seen {
    Candidate(Candidate),
    Other(PathBuf),
    /// It cannot be read, with the reason. It may be an image.
    Unreadable(PathBuf, String),
}

/// Examines a regular file; `None` if it has vanished.
pub(super) fn look_at(path: PathBuf, metadata: &Metadata) -> Option<Seen> {
    // An empty file is not an image. Files that only seem empty, as in /proc, may never end.
    let is_image = decode::has_image_extension(&path)
        || metadata.len() > 0
            && match starts_like_an_image(&path) {
                Ok(is_image) => is_image,
                Err(error) if error.kind() == ErrorKind::NotFound => return None,
                Err(error) => return Some(Seen::Unreadable(path, error.to_string())),
            };
    Some(if is_image {
        let stat = stat_of(metadata);
        Seen::Candidate(Candidate { path, stat })
    } else {
        Seen::Other(path)
    })
}

/// Returns whether the first bytes are those of an image.
fn starts_like_an_image(path: &Path) -> std::io::Result<bool> {
    let mut head = Vec::with_capacity(SNIFF_BYTES);
    File::open(path)?
        .take(SNIFF_BYTES as u64)
        .read_to_end(&mut head)?;
    Ok(decode::sniff(&head).is_some())
}
