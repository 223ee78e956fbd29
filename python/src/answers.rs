//! Search options and answers, as plain values for Python.

use std::path::PathBuf;

use imgsearch::index::{ImageId, Label, RankBy, SearchParams, SearchStrategy};
use imgsearch::{Answer, Error, Library, Match, Part, Question, Words, class_name};
use pyo3::prelude::*;

use crate::errors::{Kind, error, raised, raised_box};
use crate::pictures::Picture;
use crate::typed::filter::{Typed, filter};

/// How a search is done: the entries of a dictionary.
#[derive(Debug, Clone, FromPyObject)]
#[pyo3(from_item_all)]
pub struct Options {
    k: usize,
    rank_by: String,
    expand: usize,
    focus: bool,
    exact: bool,
    ef: Option<usize>,
    radius: Option<f32>,
    min_similarity: Option<f32>,
    filter: Filters,
}

/// Which images may be found: the entries of a dictionary.
#[derive(Debug, Clone, FromPyObject)]
#[pyo3(from_item_all)]
pub struct Filters {
    under: Vec<PathBuf>,
    globs: Vec<String>,
    after: Option<String>,
    before: Option<String>,
    min_size: Option<String>,
    max_size: Option<String>,
    labels: Vec<String>,
    formats: Vec<String>,
}

impl Filters {
    /// Returns the filter of the index.
    ///
    /// # Errors
    ///
    /// If a value is invalid, or the index cannot be read.
    pub fn to_index(&self, library: &Library) -> PyResult<imgsearch::index::Filter> {
        let typed = Typed {
            under: self.under.clone(),
            globs: self.globs.clone(),
            after: self.after.clone(),
            before: self.before.clone(),
            min_size: self.min_size.clone(),
            max_size: self.max_size.clone(),
            labels: self.labels.clone(),
            formats: self.formats.clone(),
        };
        filter(library, &typed, |text| tracing::warn!("{text}")).map_err(raised_box)
    }
}

/// Reads the name of a ranking.
///
/// # Errors
///
/// `BadQuery` if there is no such ranking.
pub fn ranking(name: &str) -> PyResult<RankBy> {
    match name {
        "both" => Ok(RankBy::Both),
        "code" => Ok(RankBy::Code),
        "hash" => Ok(RankBy::Hash),
        _ => Err(error(
            Kind::BadQuery,
            format!("rank_by is \"both\", \"code\" or \"hash\", not {name:?}"),
        )),
    }
}

impl Options {
    /// Returns how the index is searched. Distances of a question `without_similarity` have none.
    ///
    /// # Errors
    ///
    /// If a value is invalid, or the index cannot be read.
    pub fn params(&self, library: &Library, without_similarity: bool) -> PyResult<SearchParams> {
        let mut params = SearchParams::new(self.k).by(ranking(&self.rank_by)?);
        params.expand = self.expand;
        params.ef = self.ef;
        if self.exact {
            params.strategy = SearchStrategy::Exact;
        }
        params.filter = self.filter.to_index(library)?;
        params.radius = match self.min_similarity {
            None => self.radius,
            Some(_) if without_similarity || params.by != RankBy::Both => {
                return Err(error(
                    Kind::BadQuery,
                    "min_similarity needs rank_by=\"both\" and goes neither with words nor with less or focus: distances \
                     then have no similarity. Use radius",
                ));
            }
            Some(similarity) => {
                let furthest = furthest(library, similarity)?;
                Some(self.radius.map_or(furthest, |radius| radius.min(furthest)))
            }
        };
        Ok(params)
    }
}

/// Returns the distance of images of a similarity.
fn furthest(library: &Library, similarity: f32) -> PyResult<f32> {
    if !(0.0..=1.0).contains(&similarity) {
        return Err(error(
            Kind::BadQuery,
            format!("min_similarity is a number from 0 to 1, not {similarity}"),
        ));
    }
    let info = library.encoder_file().map_err(raised)?.info();
    let Some(map) = &info.similarity else {
        return Err(raised(Error::NoSimilarity {
            name: info.name.clone(),
        }));
    };
    map.distance(similarity).ok_or_else(|| {
        error(
            Kind::BadQuery,
            format!(
                "the encoder {:?} calls no two images {similarity} similar: choose a smaller min_similarity",
                info.name
            ),
        )
    })
}

/// A part of a question.
pub enum What {
    Picture(Picture),
    Words(String),
    Id(i64),
}

/// A question as Python asks it: parts with weights, below 0 for those to avoid.
pub struct Asked(Vec<(What, f32)>);

/// An answer, with the words that are unknown.
pub type Answered = (Vec<Row>, Option<bool>, Vec<String>);

/// A found image: id, path, distance, similarity, differing bits, labels, width, height, format, bytes, date, damage.
pub type Row = (
    i64,
    PathBuf,
    f32,
    Option<f32>,
    u32,
    Vec<(String, f32)>,
    u32,
    u32,
    String,
    u64,
    Option<i64>,
    Option<String>,
);

impl Asked {
    /// Reads a list of `(kind, value, weight)`, where the kind is `image`, `text` or `id`.
    ///
    /// # Errors
    ///
    /// If a value is not of its kind.
    pub fn of(parts: &Bound<'_, PyAny>) -> PyResult<Self> {
        let parts: Vec<(String, Bound<'_, PyAny>, f32)> = parts.extract()?;
        let parts = parts.into_iter().map(|(kind, value, weight)| {
            let what = match kind.as_str() {
                "text" => What::Words(value.extract()?),
                "id" => What::Id(value.extract()?),
                _ => What::Picture(Picture::of(&value)?),
            };
            Ok((what, weight))
        });
        Ok(Self(parts.collect::<PyResult<_>>()?))
    }

    fn is_words(&self) -> bool {
        matches!(self.0[..], [(What::Words(_), _)])
    }

    /// Encodes the parts and searches.
    ///
    /// # Errors
    ///
    /// If a part cannot be encoded, or the search fails.
    pub fn answer(&self, library: &Library, options: &Options) -> PyResult<Answered> {
        let avoids = self.0.iter().any(|(_, weight)| *weight < 0.0);
        let params = options.params(library, avoids || options.focus || self.is_words())?;
        let mut question = Question::new().focus(options.focus);
        let mut unknown = Vec::new();
        for (what, weight) in &self.0 {
            let part = match what {
                What::Picture(picture) => {
                    let encoded = picture.encode(library, "the image".as_ref());
                    Part::Image(encoded.map_err(raised)?)
                }
                What::Id(id) => Part::Stored(ImageId(*id)),
                What::Words(text) => words(library, text, &mut unknown)?,
            };
            question = if weight.is_sign_negative() {
                question.less_of(part, -weight)
            } else {
                question.more_of(part, *weight)
            };
        }
        let mut answer = match library.ask(&question, &params) {
            Ok(answer) => answer,
            // Not an error here: an answer can be empty.
            Err(Error::NothingShown) => return Ok((Vec::new(), Some(false), unknown)),
            Err(failed) => return Err(raised(failed)),
        };
        if self.is_words() {
            answer.forget_similarity();
        }
        let Answer {
            matches, resembles, ..
        } = answer;
        Ok((matches.into_iter().map(row).collect(), resembles, unknown))
    }
}

/// Encodes words with the text tower of the encoder. If it has none, reads them, and adds those that are unknown.
fn words(library: &Library, text: &str, unknown: &mut Vec<String>) -> PyResult<Part> {
    let info = library.encoder_file().map_err(raised)?.info();
    if info.text_tower.is_some() {
        let encoded = library.text_to_encoded(text).map_err(raised)?;
        return Ok(Part::Image(encoded));
    }
    let words = Words::read(text).map_err(raised)?;
    unknown.extend(words.unknown.iter().map(|unknown| unknown.word.clone()));
    Ok(Part::Words(words))
}

/// Returns the labels with the names of their classes.
pub fn named(labels: &[Label]) -> Vec<(String, f32)> {
    let named = labels.iter().filter_map(|label| {
        let name = class_name(label.class)?;
        Some((name.to_owned(), label.probability))
    });
    named.collect()
}

fn row(found: Match) -> Row {
    let image = found.image;
    (
        found.id.0,
        found.path,
        found.distance,
        found.similarity,
        found.hamming,
        named(&found.labels),
        image.width,
        image.height,
        image.format,
        image.stat.size,
        image.taken,
        image.damage,
    )
}
