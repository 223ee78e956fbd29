//! Parameters in an address: a question, filters, and which part of the answer.

use imgsearch::decode::Crop;
use imgsearch::index::{DEFAULT_EXPAND, Filter, ImageId, RankBy, SearchParams, SearchStrategy};
use imgsearch::{DEFAULT_LESS, Library, Part, Question, Words};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::describe::{Unknown, WordsInfo};
use super::problem::{Problem, Result};
use super::snapshots::Place;
use super::token::{self, BadToken};
use crate::typed::filter::{self, Typed};

/// Images in a part of an answer, unless another number is asked for, and at most.
const DEFAULT_LIMIT: usize = 60;
const MAX_LIMIT: usize = 200;

/// Values that one parameter may have.
const MAX_VALUES: usize = 100;

/// What to rank images by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// The code.
    Code,
    /// The semantic hash.
    Hash,
    /// Both together.
    Both,
}

/// The parameters of a question, of filters and of paging. All but paging mean what the options of `imgsearch query`
/// mean.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct Params {
    /// Ask with a stored image.
    #[param(minimum = 1)]
    pub id: Option<i64>,
    /// Ask with words.
    pub text: Option<String>,
    /// Ask with an uploaded picture, by its token.
    pub code: Option<String>,
    /// Ask with a part of the picture: left, top, width and height, in pixels or per cent, as in `10%,10%,50%,50%`.
    pub crop: Option<String>,
    /// Ask for more of `id:ID`, `text:WORDS` or `code:TOKEN`; a weight can follow after a colon.
    pub more: Vec<String>,
    /// Ask for less of it. The weight is 0.2 unless one follows.
    pub less: Vec<String>,
    /// What to rank images by.
    #[param(inline)]
    pub by: Option<By>,
    /// Scan every image.
    pub exact: Option<bool>,
    /// Nearest images that the question is expanded by.
    #[param(minimum = 0, maximum = 100)]
    pub expand: Option<usize>,
    /// Only images at or below one of these paths.
    pub under: Vec<String>,
    /// Only images whose whole path matches one of these globs.
    pub glob: Vec<String>,
    /// Only images taken at this date or later.
    pub after: Option<String>,
    /// Only images taken before this date.
    pub before: Option<String>,
    /// Only images of one of these formats.
    #[serde(rename = "type")]
    pub formats: Vec<String>,
    /// Only images that most likely show all of these.
    pub label: Vec<String>,
    /// Only images in this polygon on the map: x and y of each corner, as in `0,0,4.5,0,4.5,3`.
    pub region: Option<String>,
    /// Only files of at least this size, such as `200k`.
    pub min_size: Option<String>,
    /// Only files of at most this size.
    pub max_size: Option<String>,
    /// Only images that are at least this similar, in per cent.
    #[param(minimum = 0, maximum = 100)]
    pub min_similarity: Option<f32>,
    /// Duplicates: also shots that are nearly the same, such as those of a burst.
    pub near: Option<bool>,
    /// Images, or groups of them, to return.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<usize>,
    /// Where to go on: the `next` of the answer before.
    pub cursor: Option<String>,
}

/// A question that can be asked.
#[derive(Debug)]
pub struct Asked {
    pub question: Question,
    pub words: Vec<WordsInfo>,
    /// Whether its answers have similarities.
    pub has_similarity: bool,
}

/// Encodes a part of a stored image.
pub type Encode<'a> = dyn FnMut(ImageId, &Crop) -> Result<Part> + 'a;

impl Params {
    /// Returns how many images are asked for.
    pub fn limit(&self) -> Result<usize> {
        match self.limit {
            None => Ok(DEFAULT_LIMIT),
            Some(limit @ 1..=MAX_LIMIT) => Ok(limit),
            Some(limit) => Err(Problem::bad(format!(
                "limit is {limit}; it must be from 1 to {MAX_LIMIT}"
            ))),
        }
    }

    /// Returns where to go on; offsets are below `end`.
    pub fn place(&self, end: usize) -> Result<Option<Place>> {
        let cursor = self.cursor.as_deref();
        cursor.map(|text| Place::parse(text, end)).transpose()
    }

    /// Refuses what belongs to a question, where there is none. `what` is what is listed.
    pub fn without_question(&self, what: &str) -> Result<()> {
        if self.asks() || self.min_similarity.is_some() {
            return Err(Problem::bad(format!(
                "{what} are listed without a question: ask with /api/v1/search"
            )));
        }
        Ok(())
    }

    /// Refuses what belongs to duplicates.
    pub fn without_near(&self) -> Result<()> {
        if self.near.is_some() {
            return Err(Problem::bad("near goes with /api/v1/duplicates"));
        }
        Ok(())
    }

    /// Returns whether anything is asked.
    pub fn asks(&self) -> bool {
        self.id.is_some()
            || self.text.is_some()
            || self.code.is_some()
            || !self.more.is_empty()
            || !self.less.is_empty()
    }

    /// Returns whether the answer takes a millisecond or so, which is less than handing it to another thread costs: a
    /// search along the graph, without words, filters or a picture to decode.
    pub fn is_quick(&self) -> bool {
        let quick = Self {
            id: self.id,
            code: self.code.clone(),
            by: self.by,
            limit: self.limit,
            ..Self::default()
        };
        self.expand.is_none_or(|expand| expand <= 10)
            && *self
                == Self {
                    expand: self.expand,
                    ..quick
                }
    }

    /// Returns the parameters without those of paging.
    pub fn without_paging(&self) -> Self {
        Self {
            limit: None,
            cursor: None,
            ..self.clone()
        }
    }

    /// Returns the filter, but for the region and the folders.
    pub fn filter(&self, library: &Library) -> Result<Filter> {
        for (name, values) in [
            ("under", &self.under),
            ("glob", &self.glob),
            ("type", &self.formats),
            ("label", &self.label),
        ] {
            if values.len() > MAX_VALUES {
                return Err(Problem::bad(format!(
                    "{} values of {name} are too many; at most {MAX_VALUES} are possible",
                    values.len()
                )));
            }
        }
        let typed = Typed {
            // Paths come from the index and are compared with those in it: no file is looked at.
            under: Vec::new(),
            globs: self.glob.clone(),
            after: self.after.clone(),
            before: self.before.clone(),
            min_size: self.min_size.clone(),
            max_size: self.max_size.clone(),
            labels: self.label.clone(),
            formats: self.formats.clone(),
        };
        let filter = filter::filter(library, &typed, |_| ());
        filter.map_err(|error| match error.downcast_ref() {
            Some(error) => Problem::of(error, None),
            None => Problem::bad(error.to_string()),
        })
    }

    /// Returns how to search for `k` images, but for the filter.
    pub fn search(&self, library: &Library, k: usize, asked: &Asked) -> Result<SearchParams> {
        let by = match self.by {
            Some(By::Code) => RankBy::Code,
            Some(By::Hash) => RankBy::Hash,
            None | Some(By::Both) => RankBy::Both,
        };
        self.without_near()?;
        let mut params = SearchParams::new(k).by(by);
        if self.exact == Some(true) {
            params = params.strategy(SearchStrategy::Exact);
        }
        params.expand = self.expand.unwrap_or(DEFAULT_EXPAND);
        if params.expand > 100 {
            return Err(Problem::bad(format!(
                "expand is {}; it must be from 0 to 100",
                params.expand
            )));
        }
        if let Some(percent) = self.min_similarity {
            params.radius = Some(self.radius(library, percent, asked)?);
        }
        Ok(params)
    }

    /// Returns the distance of images that are similar to `percent` per cent.
    fn radius(&self, library: &Library, percent: f32, asked: &Asked) -> Result<f32> {
        if !(0.0..=100.0).contains(&percent) {
            return Err(Problem::bad(format!(
                "min_similarity is {percent}; it must be from 0 to 100"
            )));
        }
        if !asked.has_similarity || matches!(self.by, Some(By::Code | By::Hash)) {
            return Err(Problem::bad(
                "min_similarity does not go with words alone, less, or a ranking by code or hash: their distances have \
                 no similarity",
            ));
        }
        let file = library
            .encoder_file()
            .map_err(|error| Problem::of(&error, None))?;
        let map = file.info().similarity.as_ref().ok_or_else(|| {
            Problem::bad("similarities were not measured for the encoder of this index")
        })?;
        map.distance(percent / 100.0).ok_or_else(|| {
            Problem::bad(format!(
                "the encoder calls no two images {percent} % similar; choose a smaller min_similarity"
            ))
        })
    }

    /// Returns the question. `main` is what was uploaded, and `encode` encodes a part of a stored image.
    pub fn question(
        &self,
        library: &Library,
        main: Option<Part>,
        encode: &mut Encode<'_>,
    ) -> Result<Asked> {
        let mains = usize::from(self.id.is_some())
            + usize::from(self.text.is_some())
            + usize::from(self.code.is_some())
            + usize::from(main.is_some());
        if mains > 1 {
            return Err(Problem::bad(
                "a question starts with one of id, text, code or an uploaded picture; add the others with more",
            ));
        }
        if self.more.len() + self.less.len() > MAX_VALUES {
            return Err(Problem::bad(format!(
                "a question of {} parts is too long; at most {MAX_VALUES} are possible",
                self.more.len() + self.less.len()
            )));
        }
        let mut reading = Reading {
            library,
            words: Vec::new(),
            only_words: true,
        };
        let mut question = Question::new();
        if let Some(part) = self.main(&mut reading, main, encode)? {
            question = question.more_of(part, 1.0);
        }
        for value in &self.more {
            let (part, weight) = reading.part(value, 1.0)?;
            question = question.more_of(part, weight);
        }
        for value in &self.less {
            let (part, weight) = reading.part(value, DEFAULT_LESS)?;
            question = question.less_of(part, weight);
        }
        if mains == 0 && self.more.is_empty() {
            return Err(Problem::bad(
                "this asks for nothing: give one of id, text or code, or upload a picture",
            ));
        }
        Ok(Asked {
            question,
            has_similarity: self.less.is_empty() && !reading.only_words,
            words: reading.words,
        })
    }

    /// Returns what the question starts with.
    fn main(
        &self,
        reading: &mut Reading<'_>,
        uploaded: Option<Part>,
        encode: &mut Encode<'_>,
    ) -> Result<Option<Part>> {
        if uploaded.is_some() {
            reading.only_words = false;
            return Ok(uploaded);
        }
        let crop = self.crop.as_deref().map(parse_crop).transpose()?;
        if crop.is_some() && self.id.is_none() {
            return Err(Problem::bad(
                "crop needs an id or an uploaded picture to take a part of",
            ));
        }
        if let Some(id) = self.id {
            reading.only_words = false;
            return Ok(Some(match crop {
                Some(crop) => encode(ImageId(id), &crop)?,
                None => Part::Stored(ImageId(id)),
            }));
        }
        if let Some(text) = &self.text {
            return reading.text(text).map(Some);
        }
        self.code
            .as_deref()
            .map(|code| reading.code(code))
            .transpose()
    }
}

/// Reads a part of a picture.
pub fn parse_crop(text: &str) -> Result<Crop> {
    text.parse()
        .map_err(|error| Problem::bad(format!("crop: {error}")))
}

/// Reads the parts of a question.
struct Reading<'a> {
    library: &'a Library,
    words: Vec<WordsInfo>,
    only_words: bool,
}

impl Reading<'_> {
    /// Reads `id:12`, `text:dog` or `code:…`, each perhaps with a weight.
    fn part(&mut self, value: &str, default: f32) -> Result<(Part, f32)> {
        let (what, weight) = match value.rsplit_once(':') {
            Some((what, tail)) if what.contains(':') => match tail.trim().parse::<f32>() {
                Ok(weight) => (what, weight),
                // A text with a colon.
                Err(_) => (value, default),
            },
            _ => (value, default),
        };
        let part = match what.split_once(':') {
            Some(("id", id)) => {
                self.only_words = false;
                let id: Option<i64> = id.parse().ok().filter(|id| *id > 0);
                let id =
                    id.ok_or_else(|| Problem::bad(format!("{what:?} is not the id of an image")))?;
                Part::Stored(ImageId(id))
            }
            Some(("text", text)) => self.text(text)?,
            Some(("code", code)) => self.code(code)?,
            _ => {
                return Err(Problem::bad(format!(
                    "{value:?} is no part of a question: write id:ID, text:WORDS or code:TOKEN"
                )));
            }
        };
        Ok((part, weight))
    }

    fn code(&mut self, code: &str) -> Result<Part> {
        self.only_words = false;
        let failed = |error: imgsearch::Error| Problem::of(&error, None);
        let record = self.library.index_view().map_err(failed)?.encoder();
        let read = token::read(code, &record.fingerprint, record.code_len, record.bits);
        read.map(Part::Image).map_err(|bad| match bad {
            BadToken::NotAToken => Problem::bad("the code is not the token of a picture"),
            BadToken::OtherEncoder => Problem::new(
                axum::http::StatusCode::CONFLICT,
                "the picture was encoded before this index got another encoder",
            )
            .hint("Upload it again"),
        })
    }

    fn text(&mut self, text: &str) -> Result<Part> {
        let failed = |error: imgsearch::Error| Problem::of(&error, None);
        let has_tower = self
            .library
            .encoder_file()
            .is_ok_and(|file| file.info().text_tower.is_some());
        if has_tower {
            self.words.push(WordsInfo {
                text: text.to_owned(),
                understood: vec![text.to_owned()],
                unknown: Vec::new(),
            });
            return Ok(Part::Image(
                self.library.text_to_encoded(text).map_err(failed)?,
            ));
        }
        let words = Words::read(text).map_err(failed)?;
        let unknown = words.unknown.iter().map(|unknown| Unknown {
            word: unknown.word.clone(),
            alike: unknown.alike.clone(),
        });
        self.words.push(WordsInfo {
            text: text.to_owned(),
            understood: words.concepts.iter().map(|one| one.word.clone()).collect(),
            unknown: unknown.collect(),
        });
        Ok(Part::Words(words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(query: &str) -> Result<Params, serde_html_form::de::Error> {
        serde_html_form::from_str(query)
    }

    #[test]
    fn lists_repeat_and_unknown_names_are_refused() {
        let read = params("under=/a&under=/b%20c&type=jpeg&limit=5&exact=true&by=hash").unwrap();
        assert_eq!(read.under, ["/a", "/b c"]);
        assert_eq!((read.limit().unwrap(), read.exact), (5, Some(true)));
        assert_eq!(read.by, Some(By::Hash));
        assert!(!read.asks() && params("more=id:3").unwrap().asks());
        for bad in ["undr=/a", "limit=x", "by=colour", "id=1.5", "exact=perhaps"] {
            assert!(params(bad).is_err(), "{bad}");
        }
        for quick in ["id=3", "id=3&limit=10&by=code&expand=3", "code=A"] {
            assert!(params(quick).unwrap().is_quick(), "{quick}");
        }
        for slow in [
            "id=3&exact=true",
            "text=cat",
            "id=3&under=/a",
            "id=3&expand=50",
            "id=3&cursor=1.60",
        ] {
            assert!(!params(slow).unwrap().is_quick(), "{slow}");
        }
        for bad in ["limit=0", "limit=201"] {
            assert!(params(bad).unwrap().limit().is_err(), "{bad}");
        }
        assert_eq!(params("").unwrap().limit().unwrap(), DEFAULT_LIMIT);
    }
}
