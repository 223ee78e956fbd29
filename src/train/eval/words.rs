//! Questions in words: how well the names of folders find what is in them.

use std::collections::BTreeMap;
use std::path::Path;

use imgsearch_index::{ImageId, SearchParams};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::library::{Library, Question};
use crate::text::Words;

/// Nearest images that are looked at.
const FIRST: usize = 10;

/// How the name of one folder finds its images.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct WordsRow {
    /// The name of the folder, with spaces, which was asked.
    pub words: String,
    /// What was understood.
    pub concepts: Vec<String>,
    /// Images in the folder.
    pub images: usize,
    /// Average precision over the whole ranking; 0 if nothing was understood.
    pub average_precision: f64,
    /// Share of the folder among the first ten.
    pub precision_at_10: f64,
}

/// How well words find images.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct WordsReport {
    /// One row for each folder, by name.
    pub rows: Vec<WordsRow>,
    /// Images in the index.
    pub images: usize,
    /// Mean average precision.
    pub map: f64,
    /// Mean precision at ten.
    pub precision_at_10: f64,
}

/// Asks an index for the names of the folders in `folder`, with underscores as spaces. The images of the folder are
/// right, and all others in the index are wrong.
///
/// # Errors
///
/// [`Error::TooFewImages`] if the index has no images in folders of `folder`, [`Error::NoLabels`] if it has no
/// labels, and the errors of the index.
pub fn asked_by_words(library: &Library, folder: &Path) -> Result<WordsReport> {
    let below = library.stored_path(folder)?;
    let reader = library.index_view()?.to_reader()?;
    let mut folders: BTreeMap<String, Vec<ImageId>> = BTreeMap::new();
    for image in reader.under(&below)? {
        let inner = image.path.strip_prefix(&below).ok();
        let mut parts = inner.into_iter().flat_map(Path::components);
        if let (Some(class), Some(_)) = (parts.next(), parts.next()) {
            let class = class.as_os_str().to_string_lossy().into_owned();
            folders.entry(class).or_default().push(image.id);
        }
    }
    if folders.is_empty() {
        return Err(Error::TooFewImages(format!(
            "the index has no images in folders of {}: index it first, with one folder for each kind of thing",
            below.display()
        )));
    }
    let images = reader.count()?;
    let rows = folders.into_iter().map(|(name, mut right)| {
        right.sort_unstable();
        row(library, &name.replace('_', " "), &right, images)
    });
    let rows = rows.collect::<Result<Vec<_>>>()?;
    let mean = |of: fn(&WordsRow) -> f64| rows.iter().map(of).sum::<f64>() / rows.len() as f64;
    Ok(WordsReport {
        images,
        map: mean(|row| row.average_precision),
        precision_at_10: mean(|row| row.precision_at_10),
        rows,
    })
}

fn row(library: &Library, words: &str, right: &[ImageId], images: usize) -> Result<WordsRow> {
    let mut row = WordsRow {
        words: words.to_owned(),
        concepts: Vec::new(),
        images: right.len(),
        average_precision: 0.0,
        precision_at_10: 0.0,
    };
    let read = match Words::read(words) {
        Err(Error::UnknownWords(_) | Error::BadWords(_)) => return Ok(row),
        read => read?,
    };
    row.concepts = read
        .concepts
        .iter()
        .map(|concept| concept.word.clone())
        .collect();
    let question = Question::new().more_words(&read, 1.0);
    let answer = match library.ask(&question, &SearchParams::new(images.max(1))) {
        Err(Error::NothingShown) => return Ok(row),
        answer => answer?,
    };
    let is_right = |id: &ImageId| right.binary_search(id).is_ok();
    let (mut met, mut sum) = (0usize, 0.0);
    for (place, found) in (1usize..).zip(&answer.matches) {
        if is_right(&found.id) {
            met += 1;
            sum += met as f64 / place as f64;
        }
    }
    row.average_precision = sum / right.len() as f64;
    let first = answer.matches.iter().take(FIRST);
    let met = first.filter(|found| is_right(&found.id)).count();
    row.precision_at_10 = met as f64 / FIRST as f64;
    Ok(row)
}
