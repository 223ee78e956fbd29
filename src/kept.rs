//! The copy of its encoder that an index keeps, so that it stays usable whatever becomes of the
//! file that was given, or of the built-in encoder in a later version.

use std::fs;
use std::path::{Path, PathBuf};

use imgsearch_index::EncoderRecord;
use imgsearch_onnx::EncoderFile;

use crate::error::{Error, Result};
use crate::save::{ASIDE, save};

/// The file is called `encoder-FINGERPRINT.onnx`: by name, so that a crash while an index changes
/// its encoder never leaves codes beside another encoder's file.
const NAME: (&str, &str) = ("encoder-", ".onnx");

/// The encoder that the index in `dir` keeps; the built-in one, whatever became of the copy, where
/// that made the index.
///
/// # Errors
///
/// [`Error::KeptEncoder`] where the copy is missing or damaged and another encoder made the index.
pub fn kept(dir: &Path, record: &EncoderRecord) -> Result<EncoderFile> {
    // Reading and checking a file that holds the same would take a question longer.
    if EncoderFile::is_default(&record.fingerprint) {
        return Ok(EncoderFile::default_encoder()?);
    }
    read(dir, record).map_err(|wrong| Error::KeptEncoder {
        path: path_of(dir, &record.fingerprint),
        wrong,
        name: record.name.clone(),
        fingerprint: record.fingerprint.clone(),
    })
}

/// The copy in `dir` of the encoder that made the index, or what is wrong with it.
fn read(dir: &Path, record: &EncoderRecord) -> std::result::Result<EncoderFile, String> {
    let path = path_of(dir, &record.fingerprint);
    match EncoderFile::from_path(&path) {
        Ok(file) if file.info().fingerprint == record.fingerprint => Ok(file),
        Ok(_) => Err("holds another encoder".to_owned()),
        Err(_) if !path.exists() => Err("is missing".to_owned()),
        Err(error) => Err(format!("cannot be used ({error})")),
    }
}

/// What is wrong with the copy that the index in `dir` keeps, the built-in encoder's, too: a later
/// version may have another one built in.
pub fn wrong(dir: &Path, record: &EncoderRecord) -> Option<String> {
    let wrong = read(dir, record).err()?;
    let path = path_of(dir, &record.fingerprint);
    Some(format!(
        "the index's copy of its encoder, {}, {wrong}",
        path.display()
    ))
}

/// Writes the copy again where the built-in encoder made the index; whether it did.
pub fn restore(dir: &Path, record: &EncoderRecord) -> Result<bool> {
    let is_default = EncoderFile::is_default(&record.fingerprint);
    if is_default {
        keep(dir, &EncoderFile::default_encoder()?)?;
    }
    Ok(is_default)
}

/// Keeps a copy of an encoder in `dir`.
pub fn keep(dir: &Path, file: &EncoderFile) -> Result<()> {
    let path = path_of(dir, &file.info().fingerprint);
    if fs::read(&path).is_ok_and(|kept| kept == file.bytes()) {
        return Ok(());
    }
    save(&path, file.bytes())
}

/// Removes the copies in `dir` of all encoders but one.
pub fn forget_others(dir: &Path, fingerprint: &str) -> Result<()> {
    let kept = path_of(dir, fingerprint);
    let (start, end) = NAME;
    let listed = fs::read_dir(dir).map_err(|source| Error::io("list", dir, source))?;
    for entry in listed {
        let entry = entry.map_err(|source| Error::io("list", dir, source))?;
        let (name, path) = (entry.file_name(), entry.path());
        let name = name.to_string_lossy();
        // What a crash left of one that was being written goes, too.
        let whole = name.strip_suffix(ASIDE).unwrap_or(&name);
        if whole.starts_with(start) && whole.ends_with(end) && path != kept {
            fs::remove_file(&path).map_err(|source| Error::io("remove", &path, source))?;
        }
    }
    Ok(())
}

fn path_of(dir: &Path, fingerprint: &str) -> PathBuf {
    let (start, end) = NAME;
    dir.join(format!("{start}{fingerprint}{end}"))
}
