//! Looking at one file: an image, something else, or out of sight.

use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::{Candidate, stat_of};
use crate::decode;

/// How many leading bytes decide whether a file without an image's extension is an image.
const SNIFF_BYTES: usize = 64;

/// What a file turned out to be.
#[derive(Debug)]
pub(super) enum Seen {
    Candidate(Candidate),
    Other(PathBuf),
    /// Nobody can tell, and why. It may be an image.
    Unreadable(PathBuf, String),
}

/// Looks at a regular file; nothing where it vanished meanwhile.
pub(super) fn look_at(path: PathBuf, metadata: &Metadata) -> Option<Seen> {
    // An empty file is no image, and those that only look empty, as in /proc, may never end.
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

/// Whether the first bytes are an image's.
fn starts_like_an_image(path: &Path) -> std::io::Result<bool> {
    let mut head = Vec::with_capacity(SNIFF_BYTES);
    File::open(path)?
        .take(SNIFF_BYTES as u64)
        .read_to_end(&mut head)?;
    Ok(decode::sniff(&head).is_some())
}
