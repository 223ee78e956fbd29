//! The copy of its encoder that an index keeps, so that it stays usable whatever becomes of the
//! file that was given, or of the built-in encoder in a later version.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use imgsearch_index::EncoderRecord;
use imgsearch_onnx::EncoderFile;

use crate::error::{Error, Result};
use crate::save::{ASIDE, save};

/// The file is called `encoder-FINGERPRINT.onnx`: by name, so that a crash while an index changes
/// its encoder never leaves codes beside another encoder's file.
const NAME: (&str, &str) = ("encoder-", ".onnx");

/// An encoder that an index is about to move to is called `adapted-FINGERPRINT.onnx` until it has. By
/// name, so that no file of the user's is overwritten or taken for it.
const STAGED: (&str, &str) = ("adapted-", ".onnx");

/// Hexadecimal digits of a fingerprint.
const FINGERPRINT_LENGTH: usize = 32;

/// The encoder that the index in `dir` keeps; the built-in one, whatever became of the copy, where
/// that made the index.
///
/// # Errors
///
/// [`Error::KeptEncoder`] where the copy is missing or damaged and another encoder made the index, and
/// [`imgsearch_index::Error::Corrupt`] where what the database calls its encoder is no fingerprint.
pub fn kept(dir: &Path, record: &EncoderRecord) -> Result<EncoderFile> {
    // Reading and checking a file that holds the same would take a question longer.
    if EncoderFile::is_default(&record.fingerprint) {
        return Ok(EncoderFile::default_encoder()?);
    }
    let path = stored_path(dir, record).map_err(|what| imgsearch_index::Error::Corrupt {
        dir: dir.to_owned(),
        what,
    })?;
    read(&path, record).map_err(|wrong| Error::KeptEncoder {
        path,
        wrong,
        name: record.name.clone(),
        fingerprint: record.fingerprint.clone(),
    })
}

/// The copy of the encoder that made the index, or what is wrong with it.
fn read(path: &Path, record: &EncoderRecord) -> std::result::Result<EncoderFile, String> {
    match EncoderFile::from_path(path) {
        Ok(file) if file.info().fingerprint == record.fingerprint => Ok(file),
        Ok(_) => Err("holds another encoder".to_owned()),
        Err(_) if !path.exists() => Err("is missing".to_owned()),
        Err(error) => Err(format!("cannot be used ({error})")),
    }
}

/// What is wrong with the copy that the index in `dir` keeps, the built-in encoder's, too: a later
/// version may have another one built in.
pub fn wrong(dir: &Path, record: &EncoderRecord) -> Option<String> {
    let path = match stored_path(dir, record) {
        Ok(path) => path,
        Err(what) => return Some(format!("the index is damaged: {what}")),
    };
    let wrong = read(&path, record).err()?;
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
    let path = path_of(dir, NAME, &file.info().fingerprint);
    if fs::read(&path).is_ok_and(|kept| kept == file.bytes()) {
        return Ok(());
    }
    save(&path, file.bytes())
}

/// Keeps an encoder in `dir` that the index there is to move to.
///
/// # Errors
///
/// [`Error::Io`], also if something that is not this encoder has its name.
pub fn stage(dir: &Path, file: &EncoderFile) -> Result<()> {
    let fingerprint = &file.info().fingerprint;
    let path = path_of(dir, STAGED, fingerprint);
    if path.symlink_metadata().is_ok() {
        if holds(&path, fingerprint) {
            return Ok(());
        }
        let what = "something else of this name is in the way; move it away";
        let source = io::Error::new(io::ErrorKind::AlreadyExists, what);
        return Err(Error::io("write", &path, source));
    }
    save(&path, file.bytes())
}

/// The encoder of a fingerprint that the index in `dir` was to move to.
pub fn staged(dir: &Path, fingerprint: &str) -> Option<EncoderFile> {
    if !is_fingerprint(fingerprint) {
        return None;
    }
    let path = path_of(dir, STAGED, fingerprint);
    let is_it = holds(&path, fingerprint);
    is_it.then(|| EncoderFile::from_path(&path).ok()).flatten()
}

/// Removes the copies in `dir` of all encoders but one, and what a crash left of copies that were
/// being written.
pub fn forget_others(dir: &Path, fingerprint: &str) -> Result<()> {
    forget(dir, NAME, |of| of != fingerprint)
}

/// Removes the encoders that [`stage`] kept in `dir`.
pub fn forget_staged(dir: &Path) -> Result<()> {
    forget(dir, STAGED, |_| true)
}

/// Removes unwanted copies of encoders, and unfinished ones. The folder is the user's, and so are
/// other files in it whatever they are called: only what we would have written under its name is
/// taken for a copy.
fn forget(dir: &Path, kind: (&str, &str), unwanted: impl Fn(&str) -> bool) -> Result<()> {
    let listed = fs::read_dir(dir).map_err(|source| Error::io("list", dir, source))?;
    for entry in listed {
        let entry = entry.map_err(|source| Error::io("list", dir, source))?;
        let (name, path) = (entry.file_name(), entry.path());
        let Some(name) = name.to_str() else { continue };
        let ours = match (fingerprint_in(name, kind), name.strip_suffix(ASIDE)) {
            (Some(of), _) => unwanted(of) && holds(&path, of),
            // Such a file is begun anew where it is needed again, so it is nobody else's.
            (None, Some(whole)) => fingerprint_in(whole, kind).is_some() && is_plain_file(&path),
            (None, None) => false,
        };
        if ours {
            fs::remove_file(&path).map_err(|source| Error::io("remove", &path, source))?;
        }
    }
    Ok(())
}

/// The fingerprint in the name of a copy; none where it is no copy's name.
fn fingerprint_in<'n>(name: &'n str, (start, end): (&str, &str)) -> Option<&'n str> {
    let fingerprint = name.strip_prefix(start)?.strip_suffix(end)?;
    is_fingerprint(fingerprint).then_some(fingerprint)
}

/// Whether it is what an encoder file's fingerprint looks like, and so may be a part of a path.
fn is_fingerprint(text: &str) -> bool {
    let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.len() == FINGERPRINT_LENGTH && text.bytes().all(is_digit)
}

/// Where the copy lies of the encoder that a database names, or what is wrong with that name: anybody
/// may have written it.
fn stored_path(dir: &Path, record: &EncoderRecord) -> std::result::Result<PathBuf, String> {
    let fingerprint = &record.fingerprint;
    if is_fingerprint(fingerprint) {
        return Ok(path_of(dir, NAME, fingerprint));
    }
    Err(format!(
        "it names its encoder by {fingerprint:?}, which is no fingerprint ({FINGERPRINT_LENGTH} digits of 0-9 and a-f)"
    ))
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

fn path_of(dir: &Path, (start, end): (&str, &str), fingerprint: &str) -> PathBuf {
    dir.join(format!("{start}{fingerprint}{end}"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
    #[test]
    fn a_fingerprint_that_leads_elsewhere_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().join("index");
        fs::create_dir(&dir).unwrap();
        let file = EncoderFile::default_encoder().unwrap();
        // What each would be read as, were it taken for a part of a path.
        fs::create_dir(dir.join("encoder-")).unwrap();
        fs::write(place.path().join("x.onnx"), file.bytes()).unwrap();
        let long = "a".repeat(FINGERPRINT_LENGTH + 1);
        for fingerprint in [
            "/../../x",
            "../../x",
            "/etc/passwd",
            "",
            "0123456789ABCDEF0123456789abcdef",
            "0123456789abcdef0123456789abcde\0",
            "ä€𝄞ä€𝄞ä€𝄞ä€𝄞",
            &long,
        ] {
            let record = EncoderRecord {
                fingerprint: fingerprint.to_owned(),
                name: "theirs".to_owned(),
                code_len: 30,
                bits: 256,
                hash_weight: 1.0,
                metadata: "{}".to_owned(),
            };
            let error = kept(&dir, &record).unwrap_err();
            assert!(
                matches!(error, Error::Index(imgsearch_index::Error::Corrupt { .. }))
                    && error.to_string().contains("no fingerprint"),
                "{fingerprint:?}: {error}"
            );
            let told = wrong(&dir, &record).unwrap();
            assert!(told.contains("no fingerprint"), "{told}");
        }
    }
    #[test]
    fn an_encoder_to_move_to_takes_no_file_of_the_users_place() {
        let dir = tempfile::tempdir().unwrap();
        let file = EncoderFile::default_encoder().unwrap();
        let fingerprint = file.info().fingerprint.clone();
        let ours = dir.path().join(format!("adapted-{fingerprint}.onnx"));
        let theirs = [
            "adapted.onnx".to_owned(),
            "adapted-mine.onnx".to_owned(),
            format!("adapted-{}.onnx", "a".repeat(32)),
            "adapted.onnx.new".to_owned(),
        ];
        for name in &theirs {
            fs::write(dir.path().join(name), "mine").unwrap();
        }
        assert!(staged(dir.path(), &fingerprint).is_none());
        assert!(staged(dir.path(), &"a".repeat(32)).is_none());
        // A name that leads to a file which is there and whole.
        fs::create_dir(dir.path().join("adapted-")).unwrap();
        fs::write(dir.path().join("x.onnx"), file.bytes()).unwrap();
        assert!(staged(dir.path(), "/../x").is_none());
        stage(dir.path(), &file).unwrap();
        stage(dir.path(), &file).unwrap();
        assert!(staged(dir.path(), &fingerprint).is_some());
        forget_staged(dir.path()).unwrap();
        assert!(!ours.exists());
        fs::write(&ours, "mine").unwrap();
        let error = stage(dir.path(), &file).unwrap_err().to_string();
        assert!(error.contains("in the way"), "{error}");
        forget_staged(dir.path()).unwrap();
        assert_eq!(fs::read(&ours).unwrap(), b"mine");
        for name in &theirs {
            assert_eq!(fs::read(dir.path().join(name)).unwrap(), b"mine", "{name}");
        }
    }
}
