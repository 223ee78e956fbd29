//! Questions: several images at once, more of these and less of those.

use std::time::Instant;

use imgsearch_index::{ImageId, Mixture, Query, SearchParams};

use super::Library;
use super::query::{Answer, Asking, View};
use super::worded::{self, Shown};
use crate::encode::engine::Encoded;
use crate::error::{Error, Result};
use crate::text::{self, Words};

/// A good weight for [`Question::less`]. On photographs of 51 classes it halves the images of the most similar other
/// class among the first ten. Larger ones lose the wanted class, too: `benches/README.md` has the figures.
pub const DEFAULT_LESS: f32 = 0.2;

/// A part of a question.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Part {
    /// An encoded image.
    Image(Encoded),
    /// A stored image, by its id. Nothing is decoded: its code and hash come from the index.
    Stored(ImageId),
    /// Words. They stand for the stored images that most likely show what they name.
    Words(Words),
}

/// A question of several images: more of some, and less of others.
///
/// The weighted mean of the parts asked for is searched for, less the parts to avoid (Rocchio 1971). Weights of parts
/// asked for only count in proportion to each other. The weight of a part to avoid is relative to the whole question:
/// [`DEFAULT_LESS`] is a good one. Parts of weight 0 do not count.
///
/// # Examples
///
/// ```no_run
/// use imgsearch::index::{DEFAULT_EXPAND, RankBy, SearchParams};
/// use imgsearch::{DEFAULT_LESS, Library, Question};
///
/// let library = Library::open("my-index")?;
/// let chair = library.encode_file("chair.jpg".as_ref())?;
/// let office = library.encode_file("office-chair.jpg".as_ref())?;
/// let question = Question::new().more(&chair, 1.0).less(&office, DEFAULT_LESS);
/// let params = SearchParams::new(10).by(RankBy::Both).expand(DEFAULT_EXPAND);
/// for found in library.ask(&question, &params)?.matches {
///     println!("{:.3}  {}", found.distance, found.path.display());
/// }
/// # Ok::<(), imgsearch::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Question {
    parts: Vec<Weighted>,
    focus: bool,
}

/// A part and how much it counts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Weighted {
    pub part: Part,
    /// As it was given.
    pub weight: f32,
    pub is_wanted: bool,
}

impl Question {
    /// Returns a question without parts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for more of an encoded image.
    #[must_use]
    pub fn more(self, image: &Encoded, weight: f32) -> Self {
        self.more_of(Part::Image(image.clone()), weight)
    }

    /// Asks for less of an encoded image.
    #[must_use]
    pub fn less(self, image: &Encoded, weight: f32) -> Self {
        self.less_of(Part::Image(image.clone()), weight)
    }

    /// Asks for more of a stored image.
    #[must_use]
    pub fn more_id(self, id: ImageId, weight: f32) -> Self {
        self.more_of(Part::Stored(id), weight)
    }

    /// Asks for less of a stored image.
    #[must_use]
    pub fn less_id(self, id: ImageId, weight: f32) -> Self {
        self.less_of(Part::Stored(id), weight)
    }

    /// Asks for more of what words name.
    #[must_use]
    pub fn more_words(self, words: &Words, weight: f32) -> Self {
        self.more_of(Part::Words(words.clone()), weight)
    }

    /// Asks for less of what words name.
    #[must_use]
    pub fn less_words(self, words: &Words, weight: f32) -> Self {
        self.less_of(Part::Words(words.clone()), weight)
    }

    /// Asks for more of a part. The weight is a number from 0 up.
    #[must_use]
    pub fn more_of(self, part: Part, weight: f32) -> Self {
        self.with(part, weight, true)
    }

    /// Asks for less of a part. The weight is a number from 0 up.
    #[must_use]
    pub fn less_of(self, part: Part, weight: f32) -> Self {
        self.with(part, weight, false)
    }

    fn with(mut self, part: Part, weight: f32, is_wanted: bool) -> Self {
        self.parts.push(Weighted {
            part,
            weight,
            is_wanted,
        });
        self
    }

    /// Makes what the parts asked for agree on count more. Where all of them show one class, this gains little (0.002
    /// of mAP with ten), and a part that shows something else does more harm than without.
    #[must_use]
    pub fn focus(mut self, focus: bool) -> Self {
        self.focus = focus;
        self
    }

    /// Returns the parts that count.
    ///
    /// # Errors
    ///
    /// [`Error::BadQuestion`] if a weight is not a number from 0 up, or nothing is asked for.
    fn checked(&self) -> Result<Vec<&Weighted>> {
        let bad = self.parts.iter().map(|part| part.weight);
        let bad = bad.filter(|weight| !(weight.is_finite() && *weight >= 0.0));
        if let Some(weight) = bad.into_iter().next() {
            return Err(Error::BadQuestion(format!(
                "the weight {weight} is not a number from 0 up"
            )));
        }
        let counting: Vec<&Weighted> = self.parts.iter().filter(|part| part.weight > 0.0).collect();
        if !counting.iter().any(|part| part.is_wanted) {
            return Err(Error::BadQuestion(
                "the question asks for nothing: no part that it wants more of has a weight above 0"
                    .to_owned(),
            ));
        }
        Ok(counting)
    }
}

impl Library {
    /// Returns the images that answer a question best, in one ranking.
    ///
    /// Stored images that are part of the question are found like any other: they show how near the answers are, and
    /// a filter can leave them out. A question of one encoded image is answered as by [`Library::search`].
    ///
    /// There are no [similarities](super::Match::similarity) with a part to avoid or with focus, because distances
    /// then depend on the weights. For other questions they hold nearly as well as for one image: their mean error on
    /// photographs of 51 classes is 0.04 for a stored image, 0.05 for three images and 0.07 for ten, and 0.03 for one.
    /// [`Answer::resembles`] is known for one encoded image only.
    ///
    /// # Errors
    ///
    /// [`Error::BadQuestion`] if nothing is asked for or a weight is not a number from 0 up, [`Error::NoSuchImage`] if
    /// an id is not stored, [`Error::NothingShown`] if no image shows what words name, [`Error::NoLabels`] if words
    /// are asked and the images have no labels, and as [`Library::search`].
    pub fn ask(&self, question: &Question, params: &SearchParams) -> Result<Answer> {
        let parts = question.checked()?;
        if let [
            Weighted {
                part: Part::Image(image),
                ..
            },
        ] = parts[..]
        {
            return self.search(image, params);
        }
        if let Some(collection) = &self.shared {
            return self.ask_shared(&**collection, &parts, question.focus, params);
        }
        let view = self.view()?;
        let mut resolved = Vec::with_capacity(parts.len());
        for weighted in parts {
            match resolve(self, &view, &weighted.part)? {
                Some(part) => resolved.push((weighted, part)),
                None if weighted.is_wanted => return Err(Error::NothingShown),
                // Nothing shows what is to be avoided.
                None => {}
            }
        }
        if let [(_, Resolved::Words(shown))] = &resolved[..] {
            let searching = Instant::now();
            let search = |query: &Query<'_>, params: &SearchParams| -> Result<_> {
                Ok(view.searcher.explain(query, params)?)
            };
            let ranked = shown.ranked(&search, params)?;
            let asking = Asking {
                has_similarity: false,
                may_resemble: None,
            };
            return self.answered(&view, ranked, params, &asking, searching);
        }
        let queries: Vec<(f32, Query<'_>)> = resolved
            .iter()
            .map(|(weighted, part)| {
                let sign = if weighted.is_wanted { 1.0 } else { -1.0 };
                (sign * weighted.weight, part.query())
            })
            .collect();
        let is_plain = !question.focus && resolved.iter().all(|(part, _)| part.is_wanted);
        let asking = Asking {
            has_similarity: is_plain,
            may_resemble: None,
        };
        if let [(_, query)] = queries[..] {
            return self.answer(&view, &query, params, &asking);
        }
        let bits = view.searcher.encoder().bits;
        let mixture = Mixture::blend(&queries, bits, question.focus)?;
        self.answer(&view, &mixture.query(), params, &asking)
    }
}

/// Reads what a part needs from the index. Returns `None` for words that no image shows.
fn resolve<'a>(library: &Library, view: &View<'_>, part: &'a Part) -> Result<Option<Resolved<'a>>> {
    Ok(match part {
        Part::Image(image) => Some(Resolved::Image(image)),
        Part::Stored(id) => match view.searcher.stored(*id) {
            Some((code, hash)) => Some(Resolved::Stored(code, hash)),
            None => return Err(Error::NoSuchImage { id: *id }),
        },
        Part::Words(words) => match worded::shown(view, words) {
            Err(Error::NoLabels { images }) => match text::of_words(library, words)? {
                Some(encoded) => Some(Resolved::Text(encoded)),
                None => return Err(Error::NoLabels { images }),
            },
            shown => shown?.map(Resolved::Words),
        },
    })
}

/// A part, and what was read from the index for it.
enum Resolved<'a> {
    Image(&'a Encoded),
    Stored(Vec<f32>, Vec<u8>),
    Words(Shown),
    /// Words, where images have no labels.
    Text(Encoded),
}

impl Resolved<'_> {
    fn query(&self) -> Query<'_> {
        match self {
            Self::Image(image) => image.query(),
            Self::Text(text) => text.query(),
            Self::Stored(code, hash) => Query::new(code).hash(hash),
            Self::Words(shown) => shown.mixture.query(),
        }
    }
}
