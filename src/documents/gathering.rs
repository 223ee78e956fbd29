//! From folders to documents: which text belongs to which picture.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use imgsearch_index::FileStat;
use rayon::prelude::*;

use super::reading::{decoded, text_of_json};
use crate::decode::{text_of_file, text_of_xmp};
use crate::error::{Error, Result};
use crate::{WalkOptions, walk};

/// Extensions of files that are documents.
const TEXTS: [&str; 5] = ["caption", "md", "rst", "text", "txt"];

/// Maximum bytes of a text.
const MAX_BYTES: u64 = 16 << 20;

/// Files that could not be read, with the reason.
type Unread = Vec<(PathBuf, String)>;

/// A document: all text that belongs to a picture, or a text file by itself.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Document {
    /// The picture, or the text file if it belongs to none.
    pub path: PathBuf,
    /// Whether it belongs to a picture.
    pub is_picture: bool,
    /// Size and date of the file at `path`.
    pub stat: FileStat,
    /// Its text.
    pub text: String,
}

/// The documents of some folders.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Gathered {
    /// The documents, sorted by path. None is blank.
    pub documents: Vec<Document>,
    /// Files and folders that could not be read or hold no text, with the reason, sorted.
    pub errors: Vec<(PathBuf, String)>,
    /// The absolute paths of the folders.
    pub roots: Vec<PathBuf>,
}

/// Finds the documents in and below `paths`. Captions in `.txt`, `.json` and `.xmp` files belong to the picture of the
/// same folder and name (`a.txt` or `a.jpg.txt` to `a.jpg`), as do keywords, titles and descriptions inside the
/// picture's own file. A text file without a picture is a document by itself.
///
/// # Errors
///
/// As [`walk`]. What cannot be read is in [`Gathered::errors`].
pub fn gather(paths: &[PathBuf], options: &WalkOptions) -> Result<Gathered> {
    let walked = walk(paths, options)?;
    let mut errors = walked.errors;
    let mut by_name: HashMap<PathBuf, Vec<usize>> = HashMap::new();
    for (place, picture) in walked.candidates.iter().enumerate() {
        let stem = picture.path.with_extension("");
        for name in [picture.path.clone(), stem] {
            by_name.entry(name).or_default().push(place);
        }
    }
    let mut beside: Vec<Vec<PathBuf>> = vec![Vec::new(); walked.candidates.len()];
    let mut alone = Vec::new();
    for path in walked.others {
        let extension = extension(&path);
        if !TEXTS.contains(&&*extension) && extension != "json" && extension != "xmp" {
            continue;
        }
        match by_name.get(&path.with_extension("")) {
            Some(places) => places
                .iter()
                .for_each(|&place| beside[place].push(path.clone())),
            None if TEXTS.contains(&&*extension) => alone.push(path),
            None => {}
        }
    }
    let of_pictures = walked.candidates.par_iter().zip(&beside);
    let of_pictures = of_pictures.map(|(picture, beside)| {
        let mut errors = Vec::new();
        let mut parts = Vec::new();
        for path in beside {
            match text_of(path) {
                Ok(text) => parts.push(text),
                Err(reason) => errors.push((path.clone(), reason)),
            }
        }
        match text_of_file(&picture.path) {
            Ok(text) => parts.push(text),
            Err(error) => errors.push((picture.path.clone(), error.to_string())),
        }
        let document = Document {
            path: picture.path.clone(),
            is_picture: true,
            stat: picture.stat,
            text: parts.join("\n"),
        };
        (Some(document), errors)
    });
    let of_texts = alone.par_iter().map(|path| match text_of(path) {
        Ok(text) => {
            let document = Document {
                path: path.clone(),
                is_picture: false,
                stat: stat_of(path),
                text,
            };
            (Some(document), Vec::new())
        }
        Err(reason) => (None, vec![(path.clone(), reason)]),
    });
    let read: Vec<(Option<Document>, Unread)> = of_pictures.chain(of_texts).collect();
    let mut documents = BTreeMap::new();
    // A text that belongs to two pictures is named once if it cannot be read.
    let mut failed: BTreeMap<PathBuf, String> = errors.drain(..).collect();
    for (document, errors) in read {
        failed.extend(errors);
        if let Some(document) = document
            && !document.text.trim().is_empty()
        {
            documents.insert(document.path.clone(), document);
        }
    }
    Ok(Gathered {
        documents: documents.into_values().collect(),
        errors: failed.into_iter().collect(),
        roots: walked.roots,
    })
}

fn extension(path: &Path) -> String {
    let extension = path.extension().unwrap_or_default();
    extension.to_string_lossy().to_lowercase()
}

/// Returns the text of a file, or why it has none.
pub(super) fn text_of(path: &Path) -> Result<String, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("it is longer than {} MiB", MAX_BYTES >> 20));
    }
    match &*extension(path) {
        "xmp" => Ok(text_of_xmp(&bytes)),
        "json" => text_of_json(&decoded(&bytes)?),
        _ => Ok(decoded(&bytes)?),
    }
}

/// Returns the text of a file that is asked with.
///
/// # Errors
///
/// [`Error::BadDocuments`] if it has none.
pub fn read_text(path: &Path) -> Result<String> {
    text_of(path).map_err(|reason| Error::BadDocuments(format!("{}: {reason}", path.display())))
}

/// Returns size and date of a file; nothing of them if it is gone.
fn stat_of(path: &Path) -> FileStat {
    let mut stat = FileStat::default();
    if let Ok(metadata) = fs::metadata(path) {
        stat.size = metadata.len();
        let modified = metadata.modified().ok();
        let since = modified.and_then(|modified| modified.duration_since(UNIX_EPOCH).ok());
        stat.mtime_ns = since.map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(0));
    }
    stat
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captions_belong_to_the_pictures_beside_them() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let png = b"\x89PNG\r\n\x1a\n";
        for name in ["a.png", "b.png", "c.png"] {
            fs::write(at(name), png).unwrap();
        }
        fs::write(at("a.txt"), "steam train").unwrap();
        fs::write(at("a.png.json"), r#"{"caption": "an engine"}"#).unwrap();
        fs::write(at("b.xmp"), "<dc:title>a bridge</dc:title>").unwrap();
        fs::write(at("notes.txt"), "by itself").unwrap();
        fs::write(at("other.json"), r#"{"caption": "of nothing"}"#).unwrap();
        fs::write(at("blank.txt"), " \n").unwrap();
        fs::write(at("binary.txt"), b"\x7fELF\0\0\0").unwrap();
        let found = gather(&[dir.path().to_owned()], &WalkOptions::default()).unwrap();
        let said: Vec<(String, &str, bool)> = found
            .documents
            .iter()
            .map(|document| {
                let name = document.path.file_name().unwrap().to_string_lossy();
                (name.into_owned(), document.text.trim(), document.is_picture)
            })
            .collect();
        let of = |name: &str, text, is_picture| (name.to_owned(), text, is_picture);
        assert_eq!(
            said,
            [
                of("a.png", "an engine\nsteam train", true),
                of("b.png", "a bridge", true),
                of("notes.txt", "by itself", false),
            ]
        );
        assert_eq!(found.errors.len(), 1);
        assert!(found.errors[0].0.ends_with("binary.txt"));
        assert!(found.errors[0].1.contains("no text"));
    }
}
