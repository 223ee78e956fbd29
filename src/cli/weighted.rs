//! Parts of a question as they are typed: `B.jpg`, `B.jpg:0.5`, `id:7:0.5`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use imgsearch::index::ImageId;

use super::output::shown;

/// A part of a question.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// A file, or `-` for standard input.
    Picture(PathBuf),
    /// All pictures of a folder.
    Folder(PathBuf),
    /// A stored image.
    Id(ImageId),
    /// Words that name what images show.
    Words(String),
}

impl What {
    /// Returns what a path names. What is no file and does not look like one is words.
    pub fn at(path: &Path) -> Self {
        if path.is_dir() {
            return Self::Folder(path.to_owned());
        }
        let is_there = path == Path::new("-") || path.symlink_metadata().is_ok();
        match path.to_str() {
            Some(text) if !is_there && !looks_like_a_path(text) => Self::Words(text.to_owned()),
            _ => Self::Picture(path.to_owned()),
        }
    }
}

/// Returns whether a text has a separator of folders, or ends like the name of a file.
fn looks_like_a_path(text: &str) -> bool {
    let is_ending = |ending: &str| {
        (1..=5).contains(&ending.len()) && ending.chars().all(|c| c.is_ascii_alphanumeric())
    };
    text.contains(['/', std::path::MAIN_SEPARATOR])
        || text
            .rsplit_once('.')
            .is_some_and(|(stem, ending)| !stem.is_empty() && is_ending(ending))
}

/// A part of a question and how much it counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Weighted {
    pub what: What,
    pub weight: f32,
}

/// Reads the value of `--more` or `--less`. A file or folder of exactly this name wins over a weight.
///
/// # Errors
///
/// If what follows the last colon is no weight, and a file of the whole name does not exist.
pub fn parse(value: &OsStr, default: f32) -> Result<Weighted, String> {
    let whole = Path::new(value);
    let is_there = whole.symlink_metadata().is_ok();
    if is_there {
        return Ok(Weighted {
            what: What::at(whole),
            weight: default,
        });
    }
    let text = value.to_str().unwrap_or_default();
    if let Some(id) = text.strip_prefix("id:") {
        let (id, weight) = match id.split_once(':') {
            Some((id, weight)) => (id, weight_of(weight, &format!("id:{id}"))?),
            None => (id, default),
        };
        return Ok(Weighted {
            what: What::Id(id_of(id)?),
            weight,
        });
    }
    let Some((path, tail)) = at_last_colon(value) else {
        return Ok(Weighted {
            what: What::at(whole),
            weight: default,
        });
    };
    let is_number = tail.parse::<f32>().is_ok();
    if !is_number && path.symlink_metadata().is_err() {
        // Neither is there, so it is a path with a colon that does not exist.
        return Ok(Weighted {
            what: What::Picture(whole.to_owned()),
            weight: default,
        });
    }
    let weight = weight_of(&tail, &shown(&path))?;
    Ok(Weighted {
        what: What::at(&path),
        weight,
    })
}

/// Reads the id of a stored image.
pub fn id_of(text: &str) -> Result<ImageId, String> {
    let id = text.parse().ok().filter(|id| *id > 0);
    id.map(ImageId)
        .ok_or_else(|| format!("{text:?} is not an id: it must be a whole number from 1 up"))
}

fn weight_of(text: &str, of: &str) -> Result<f32, String> {
    let weight = text.parse().ok();
    weight
        .filter(|weight: &f32| weight.is_finite() && *weight >= 0.0)
        .ok_or_else(|| {
            format!(
                "{text:?} is not a weight of {of}: write a number from 0 up after the colon, such as {of}:0.5"
            )
        })
}

/// Returns what is before the last colon, and what is after it; `None` unless both are there.
fn at_last_colon(value: &OsStr) -> Option<(PathBuf, String)> {
    if let Some(text) = value.to_str() {
        let (path, tail) = text.rsplit_once(':')?;
        return (!path.is_empty()).then(|| (PathBuf::from(path), tail.to_owned()));
    }
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        let bytes = value.as_bytes();
        let colon = bytes.iter().rposition(|&byte| byte == b':')?;
        let tail = std::str::from_utf8(&bytes[colon + 1..]).ok()?;
        let path = PathBuf::from(OsStr::from_bytes(&bytes[..colon]));
        Some((path, tail.to_owned()))
    }
    #[cfg(not(unix))]
    None
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read(value: impl AsRef<OsStr>) -> Result<(What, f32), String> {
        parse(value.as_ref(), 0.2).map(|weighted| (weighted.what, weighted.weight))
    }

    #[test]
    fn a_weight_follows_the_last_colon() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("b.jpg"), "").unwrap();
        fs::create_dir(path("cats")).unwrap();
        let picture = |name: &str, weight: f32| Ok((What::Picture(path(name)), weight));
        assert_eq!(read(path("b.jpg")), picture("b.jpg", 0.2));
        assert_eq!(read(path("b.jpg:0.5")), picture("b.jpg", 0.5));
        assert_eq!(read(path("b.jpg:0")), picture("b.jpg", 0.0));
        assert_eq!(read(path("cats:2")), Ok((What::Folder(path("cats")), 2.0)));
        assert_eq!(read("-:3"), Ok((What::Picture("-".into()), 3.0)));
        // What does not exist is reported when it is read.
        assert_eq!(read(path("c.jpg:0.5")), picture("c.jpg", 0.5));
        assert_eq!(read(path("c:d.jpg")), picture("c:d.jpg", 0.2));
    }

    #[test]
    fn what_is_no_file_and_looks_like_none_is_words() {
        let words = |text: &str, weight: f32| Ok((What::Words(text.to_owned()), weight));
        assert_eq!(read("dog on a beach"), words("dog on a beach", 0.2));
        assert_eq!(read("dog:0.5"), words("dog", 0.5));
        assert_eq!(read("st. bernard"), words("st. bernard", 0.2));
        for path in ["cat.jpg", "photos/cat", "./cat", "my dog.jpeg"] {
            assert_eq!(read(path), Ok((What::Picture(path.into()), 0.2)));
        }
    }

    #[test]
    fn a_file_of_the_whole_name_wins() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("b.jpg:0.5");
        fs::write(&path, "").unwrap();
        assert_eq!(read(&path), Ok((What::Picture(path), 0.2)));
    }

    #[test]
    fn an_id_may_have_a_weight() {
        assert_eq!(read("id:7"), Ok((What::Id(ImageId(7)), 0.2)));
        assert_eq!(read("id:7:1.5"), Ok((What::Id(ImageId(7)), 1.5)));
        for bad in ["id:", "id:x", "id:0", "id:-3", "id:1.5", "id:x:1"] {
            let error = read(bad).unwrap_err();
            assert!(error.contains("not an id"), "{bad}: {error}");
        }
        assert!(read("id:7:x").unwrap_err().contains("not a weight of id:7"));
    }

    #[test]
    fn what_is_no_weight_is_refused_if_the_file_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("b.jpg");
        fs::write(&path, "").unwrap();
        for bad in ["abc", "", "-1", "nan", "inf", "1e99", "0,5"] {
            let error = read(format!("{}:{bad}", path.display())).unwrap_err();
            assert!(
                error.contains("b.jpg:0.5") && error.contains(&format!("{bad:?} is not a weight")),
                "{bad}: {error}"
            );
        }
        // A number shows that a weight is meant.
        assert!(read("nowhere.jpg:-1").unwrap_err().contains("from 0 up"));
    }

    #[cfg(unix)]
    #[test]
    fn a_path_that_is_not_unicode_may_have_a_weight() {
        use std::os::unix::ffi::OsStrExt;
        let path = |bytes: &[u8]| PathBuf::from(OsStr::from_bytes(bytes));
        let found = read(path(b"caf\xe9.jpg:2")).unwrap();
        assert_eq!(found, (What::Picture(path(b"caf\xe9.jpg")), 2.0));
    }
}
