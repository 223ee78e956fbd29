//! The index's copy of its encoder's text tower, so that texts can be asked for wherever the index is.

use std::path::{Path, PathBuf};

use imgsearch_onnx::{EncoderFile, EncoderInfo, TextFile};

use crate::error::Result;
use crate::library::save::save;

/// What the name of a copy starts and ends with; between them is the fingerprint.
const NAME: (&str, &str) = ("text-", ".onnx");

/// Stores a copy in `dir` of the text tower beside an encoder's file, if it has one and `dir` does not. Encoders
/// trained on the same trunk share it.
///
/// # Errors
///
/// If the file beside the encoder is another model's, or the copy cannot be written.
pub fn store(dir: &Path, file: &EncoderFile) -> Result<()> {
    let (Some(tower), Some(path)) = (&file.info().text_tower, file.path()) else {
        return Ok(());
    };
    let copy = path_of(dir, tower);
    if copy.exists() {
        return Ok(());
    }
    match TextFile::beside(path, file.info())? {
        Some(tower) => save(&copy, tower.bytes()),
        None => Ok(()),
    }
}

/// Reads the text tower of the encoder in `file`: the copy in `dir`, or the file beside the encoder's own. `None` if
/// there is neither.
///
/// # Errors
///
/// If a file is no text tower, or damaged.
#[cfg(feature = "text")]
pub fn load(dir: &Path, file: &EncoderFile) -> Result<Option<TextFile>> {
    // The name of the encoder's copy does not matter: the tower's is known by its fingerprint.
    let mut places = vec![dir.join("encoder.onnx")];
    places.extend(file.path().map(Path::to_owned));
    for place in places {
        if let Some(tower) = TextFile::beside(&place, file.info())? {
            return Ok(Some(tower));
        }
    }
    Ok(None)
}

/// Returns whether a file has the name of a copy.
pub fn is_copy(name: &str) -> bool {
    let (start, end) = NAME;
    let fingerprint = name
        .strip_prefix(start)
        .and_then(|name| name.strip_suffix(end));
    let is_hexadecimal = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    fingerprint.is_some_and(|text| text.len() == 32 && text.bytes().all(is_hexadecimal))
}

/// Returns whether a file is a copy of a text tower other than `kept`.
pub fn is_other(path: &Path, kept: Option<&str>) -> bool {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or("");
    is_copy(name)
        && kept.is_none_or(|kept| TextFile::copy_name(kept) != name)
        && TextFile::from_path(path)
            .is_ok_and(|file| TextFile::copy_name(&file.info().fingerprint) == name)
}

fn path_of(dir: &Path, fingerprint: &str) -> PathBuf {
    dir.join(TextFile::copy_name(fingerprint))
}

/// Copies the text tower of the encoder at `from` beside the encoder at `to`, which was trained on its features.
/// Returns the new file, or `None` if there is no text tower.
///
/// # Errors
///
/// If the file beside the encoder is another model's, or the copy cannot be written.
pub fn copy_beside(from: &Path, to: &Path, info: &EncoderInfo) -> Result<Option<PathBuf>> {
    let Some(tower) = TextFile::beside(from, info)? else {
        return Ok(None);
    };
    let path = TextFile::path_beside(to);
    save(&path, tower.bytes())?;
    Ok(Some(path))
}
