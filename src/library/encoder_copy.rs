//! The index's copy of its encoder, so that the index does not depend on the given file, or on the encoder that a
//! later version has built in.

use std::fs;
use std::path::{Path, PathBuf};

use imgsearch_index::EncoderRecord;
use imgsearch_onnx::{EncoderFile, EncoderInfo};

use crate::error::{Error, Result};
use crate::library::save::{TEMP_SUFFIX, save};
use crate::library::tower_copy;

/// The file is called `encoder-FINGERPRINT.onnx`, so a crash while an index changes its encoder never leaves codes
/// next to another encoder's file.
const NAME: (&str, &str) = ("encoder-", ".onnx");

/// Number of hexadecimal digits of a fingerprint.
const FINGERPRINT_LENGTH: usize = 32;

/// Returns the encoder of the index in `dir`. If that is the built-in one, the copy is not read.
///
/// # Errors
///
/// [`Error::EncoderCopy`] if the copy is missing or damaged and another encoder made the index.
pub fn load(dir: &Path, record: &EncoderRecord) -> Result<EncoderFile> {
    // Reading and checking a copy of the same file would make a query slower.
    if EncoderFile::is_default(&record.fingerprint) {
        return Ok(EncoderFile::default_encoder()?);
    }
    read(dir, record).map_err(|wrong| Error::EncoderCopy {
        path: path_of(dir, &record.fingerprint),
        wrong,
        name: record.name.clone(),
        fingerprint: record.fingerprint.clone(),
    })
}

/// Reads the copy in `dir` of the encoder that made the index; the error says what is wrong with it.
fn read(dir: &Path, record: &EncoderRecord) -> std::result::Result<EncoderFile, String> {
    let path = path_of(dir, &record.fingerprint);
    // The database may be somebody else's, so its fingerprint is not part of a path before it was checked.
    if !is_fingerprint(&record.fingerprint) {
        return Err("cannot exist: the index names an impossible encoder".to_owned());
    }
    match EncoderFile::from_path(&path) {
        Ok(file) if file.info().fingerprint == record.fingerprint => Ok(file),
        Ok(_) => Err("holds another encoder".to_owned()),
        Err(_) if !path.exists() => Err("is missing".to_owned()),
        Err(error) => Err(format!("cannot be used ({error})")),
    }
}

/// Returns what is wrong with the copy in `dir`, or `None` if it is intact. The built-in encoder's copy counts,
/// too, because a later version may have another one built in.
pub fn problem(dir: &Path, record: &EncoderRecord) -> Option<String> {
    let wrong = read(dir, record).err()?;
    let path = path_of(dir, &record.fingerprint);
    Some(format!(
        "the index's copy of its encoder, {}, {wrong}",
        path.display()
    ))
}

/// Writes the copy again if the built-in encoder made the index, and returns whether it did.
///
/// # Errors
///
/// If the file cannot be written.
pub fn restore(dir: &Path, record: &EncoderRecord) -> Result<bool> {
    let is_default = EncoderFile::is_default(&record.fingerprint);
    if is_default {
        store(dir, &EncoderFile::default_encoder()?)?;
    }
    Ok(is_default)
}

/// Stores a copy of an encoder in `dir`, and one of its text tower.
///
/// # Errors
///
/// If the file cannot be written.
pub fn store(dir: &Path, file: &EncoderFile) -> Result<()> {
    tower_copy::store(dir, file)?;
    let path = path_of(dir, &file.info().fingerprint);
    if fs::read(&path).is_ok_and(|kept| kept == file.bytes()) {
        return Ok(());
    }
    save(&path, file.bytes())
}

/// Removes the copies in `dir` of all other encoders, and temporary files that a crash left. The folder belongs to
/// the user, and so do other files in it, whatever their names: a file counts as a copy only if [`store`] would
/// have written it under its name.
///
/// # Errors
///
/// If the folder cannot be listed or a file cannot be removed.
pub fn remove_others(dir: &Path, kept: &EncoderInfo) -> Result<()> {
    remove(dir, Some(kept))
}

/// Removes all copies in `dir`, as [`remove_others`] does those of others.
///
/// # Errors
///
/// As [`remove_others`].
pub fn remove_all(dir: &Path) -> Result<()> {
    remove(dir, None)
}

fn remove(dir: &Path, kept: Option<&EncoderInfo>) -> Result<()> {
    let fingerprint = kept.map_or("", |kept| kept.fingerprint.as_str());
    let listed = fs::read_dir(dir).map_err(|source| Error::io("list", dir, source))?;
    for entry in listed {
        let entry = entry.map_err(|source| Error::io("list", dir, source))?;
        let (name, path) = (entry.file_name(), entry.path());
        let Some(name) = name.to_str() else { continue };
        let tower = kept.and_then(|kept| kept.text_tower.as_deref());
        let ours = match (fingerprint_in(name), name.strip_suffix(TEMP_SUFFIX)) {
            (Some(of), _) => of != fingerprint && holds(&path, of),
            // Such a temporary file is written from the start if it is needed again.
            (None, Some(whole)) => {
                (fingerprint_in(whole).is_some() || tower_copy::is_copy(whole))
                    && is_plain_file(&path)
            }
            (None, None) => is_plain_file(&path) && tower_copy::is_other(&path, tower),
        };
        if ours {
            fs::remove_file(&path).map_err(|source| Error::io("remove", &path, source))?;
        }
    }
    Ok(())
}

/// Returns the fingerprint in the name of a copy, or `None` for other names.
fn fingerprint_in(name: &str) -> Option<&str> {
    let (start, end) = NAME;
    let fingerprint = name.strip_prefix(start)?.strip_suffix(end)?;
    is_fingerprint(fingerprint).then_some(fingerprint)
}

fn is_fingerprint(text: &str) -> bool {
    let is_hexadecimal = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.len() == FINGERPRINT_LENGTH && text.bytes().all(is_hexadecimal)
}

/// Returns whether a file is the encoder with this fingerprint.
fn holds(path: &Path, fingerprint: &str) -> bool {
    is_plain_file(path)
        && EncoderFile::from_path(path).is_ok_and(|file| file.info().fingerprint == fingerprint)
}

/// Returns whether it is a file and not a link, which imgsearch never writes.
fn is_plain_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file())
}

fn path_of(dir: &Path, fingerprint: &str) -> PathBuf {
    let (start, end) = NAME;
    dir.join(format!("{start}{fingerprint}{end}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_that_is_a_path_leads_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let index = dir.path().join("index");
        fs::create_dir_all(index.join("encoder-")).unwrap();
        let file = EncoderFile::default_encoder().unwrap();
        fs::write(dir.path().join("x.onnx"), file.bytes()).unwrap();
        for fingerprint in ["/../../x", "../x", "", "é"] {
            let record = EncoderRecord {
                fingerprint: fingerprint.to_owned(),
                name: "somebody's".to_owned(),
                code_len: 30,
                bits: 256,
                hash_weight: 16.0,
                metadata: "{}".to_owned(),
            };
            let error = load(&index, &record).unwrap_err().to_string();
            assert!(error.contains("an impossible encoder"), "{error}");
            assert!(problem(&index, &record).is_some());
        }
    }

    #[test]
    fn only_our_copies_of_other_encoders_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let file = EncoderFile::default_encoder().unwrap();
        let fingerprint = file.info().fingerprint.clone();
        assert_eq!(fingerprint.len(), FINGERPRINT_LENGTH);
        store(dir.path(), &file).unwrap();
        let ours = format!("encoder-{fingerprint}.onnx");
        let other = "0123456789abcdef0123456789abcdef";
        // The user's own files; the last is a copy of an encoder under the name of another.
        let theirs = [
            "encoder-mine.onnx".to_owned(),
            "encoder-0123456789abcdef.onnx".to_owned(),
            "encoder-mine.onnx.new".to_owned(),
            format!("encoder-{}.onnx", other.to_uppercase()),
            format!("my-{ours}"),
            format!("encoder-{other}.onnx"),
        ];
        for name in &theirs {
            fs::write(dir.path().join(name), file.bytes()).unwrap();
        }
        fs::create_dir(dir.path().join(format!("encoder-{}.onnx", "a".repeat(32)))).unwrap();
        let left = format!("encoder-{other}.onnx.new");
        fs::write(dir.path().join(&left), "half of one").unwrap();

        let mut info = file.info().clone();
        remove_others(dir.path(), &info).unwrap();
        assert!(dir.path().join(&ours).exists());
        assert!(!dir.path().join(left).exists());
        // Now the index has another encoder.
        other.clone_into(&mut info.fingerprint);
        remove_others(dir.path(), &info).unwrap();
        assert!(!dir.path().join(ours).exists());
        for name in &theirs {
            assert!(dir.path().join(name).exists(), "{name}");
        }
        assert!(
            dir.path()
                .join(format!("encoder-{}.onnx", "a".repeat(32)))
                .is_dir()
        );
    }
}
