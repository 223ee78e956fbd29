//! The copy of its encoder that an index keeps, so that it stays usable whatever becomes of the
//! file that was given, or of the built-in encoder in a later version.

use std::fs;
use std::path::{Path, PathBuf};

use imgsearch_index::EncoderRecord;
use imgsearch_onnx::EncoderFile;

use crate::error::{Error, Result};
use crate::library::save::{ASIDE, save};

/// The file is called `encoder-FINGERPRINT.onnx`: by name, so that a crash while an index changes
/// its encoder never leaves codes beside another encoder's file.
const NAME: (&str, &str) = ("encoder-", ".onnx");

/// Hexadecimal digits of a fingerprint.
const FINGERPRINT_LENGTH: usize = 32;

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
    // The database may be somebody else's: what it says is no path until it was looked at.
    if !is_fingerprint(&record.fingerprint) {
        return Err("cannot be: the index names no possible encoder".to_owned());
    }
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

/// Removes the copies in `dir` of all encoders but one, and what a crash left of copies that were
/// being written. The folder is the user's, and so are other files in it whatever they are called:
/// only what [`keep`] would have written under its name is taken for a copy.
pub fn forget_others(dir: &Path, fingerprint: &str) -> Result<()> {
    let listed = fs::read_dir(dir).map_err(|source| Error::io("list", dir, source))?;
    for entry in listed {
        let entry = entry.map_err(|source| Error::io("list", dir, source))?;
        let (name, path) = (entry.file_name(), entry.path());
        let Some(name) = name.to_str() else { continue };
        let ours = match (fingerprint_in(name), name.strip_suffix(ASIDE)) {
            (Some(of), _) => of != fingerprint && holds(&path, of),
            // Such a file is begun anew where it is needed again, so it is nobody else's.
            (None, Some(whole)) => fingerprint_in(whole).is_some() && is_plain_file(&path),
            (None, None) => false,
        };
        if ours {
            fs::remove_file(&path).map_err(|source| Error::io("remove", &path, source))?;
        }
    }
    Ok(())
}

/// The fingerprint in the name of a copy; none where it is no copy's name.
fn fingerprint_in(name: &str) -> Option<&str> {
    let (start, end) = NAME;
    let fingerprint = name.strip_prefix(start)?.strip_suffix(end)?;
    is_fingerprint(fingerprint).then_some(fingerprint)
}

fn is_fingerprint(text: &str) -> bool {
    let is_hexadecimal = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.len() == FINGERPRINT_LENGTH && text.bytes().all(is_hexadecimal)
}

/// Whether a file is the encoder of this fingerprint.
fn holds(path: &Path, fingerprint: &str) -> bool {
    is_plain_file(path)
        && EncoderFile::from_path(path).is_ok_and(|file| file.info().fingerprint == fingerprint)
}

/// Whether it is a file and no link to one, which we never write.
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
            let error = kept(&index, &record).unwrap_err().to_string();
            assert!(error.contains("no possible encoder"), "{error}");
            assert!(wrong(&index, &record).is_some());
        }
    }

    #[test]
    fn only_our_copies_of_other_encoders_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let file = EncoderFile::default_encoder().unwrap();
        let fingerprint = file.info().fingerprint.clone();
        assert_eq!(fingerprint.len(), FINGERPRINT_LENGTH);
        keep(dir.path(), &file).unwrap();
        let ours = format!("encoder-{fingerprint}.onnx");
        let other = "0123456789abcdef0123456789abcdef";
        // A user's own, the last of them a copy of an encoder under a name that is not its own.
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

        forget_others(dir.path(), &fingerprint).unwrap();
        assert!(dir.path().join(&ours).exists());
        assert!(!dir.path().join(left).exists());
        // Now the index has another encoder.
        forget_others(dir.path(), other).unwrap();
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
