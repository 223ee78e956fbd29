//! Documents: texts that belong to pictures, and texts by themselves.
//!
//! ```text
//! text ─▶ words ─▶ counts from 0 to 1 ─▶ 500–250–125 ─▶ code of 30 numbers ─▶ hash of 128 bits
//! ```
//!
//! A deep autoencoder of the counts of words (Hinton and Salakhutdinov 2006; semantic hashing: Salakhutdinov and Hinton
//! 2009) turns each document into a code and a hash, which an index of their own stores. Documents about the same topic
//! get similar codes even if they share few words.
//!
//! [`gather`] finds documents, [`learn`] trains on them and stores them in the folder of an index, [`Documents`] answers
//! questions.

mod about;
mod gathering;
mod reading;
mod stop_words;
mod store;
mod topics;
mod training;
mod vocabulary;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use imgsearch_index::{Filter, Index, Query, SearchParams, pack_bits};
use imgsearch_onnx::{Runtime, WordEncoder};
use serde::Deserialize;

pub use about::{About, Direction, Topic};
pub use gathering::{Document, Gathered, gather, read_text};
pub(crate) use reading::decoded;
pub use store::delete;
use store::{Stored, damaged};
pub use training::{Learned, MIN_DOCUMENTS, TopicOptions, learn};
use vocabulary::Vocabulary;

use crate::EngineOptions;
use crate::error::{Error, Result};

/// Numbers in the code of a document.
pub const CODE_LEN: usize = 30;

/// Bits in the hash of a document.
pub const BITS: usize = 128;

/// The squared distance of codes up to which a document is about the question: a cosine of at least 0.5.
const ABOUT_IT: f32 = 1.0;

/// What the file of an encoder of documents holds besides the network.
#[derive(Debug, Deserialize)]
struct Model {
    vocabulary: Vocabulary,
}

impl Model {
    fn of(encoder: &WordEncoder) -> Result<Self> {
        let model: Self = serde_json::from_str(encoder.metadata())
            .map_err(|error| Error::BadDocuments(format!("the encoder of documents: {error}")))?;
        if !model.vocabulary.is_sound() {
            return Err(Error::BadDocuments(
                "the encoder of documents has words without weights".to_owned(),
            ));
        }
        Ok(model)
    }
}

/// Returns what is stored as the format of a document.
fn format_of(is_picture: bool) -> &'static str {
    if is_picture { "picture" } else { "text" }
}

/// A document that was found.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct FoundDocument {
    /// The picture that it belongs to, or the text file.
    pub path: PathBuf,
    /// Whether it belongs to a picture.
    pub is_picture: bool,
    /// The distance that ranks it, as [`Match::distance`](crate::Match::distance).
    pub distance: f32,
    /// Bits that differ between the two hashes.
    pub hamming: Option<u32>,
    /// Whether it is about the question: the cosine of the codes is at least 0.5.
    pub is_about_it: bool,
}

/// The stored documents of an index, opened to be searched.
#[derive(Debug)]
pub struct Documents {
    index: Index,
    encoder: Mutex<WordEncoder>,
    vocabulary: Vocabulary,
    about: About,
}

impl Documents {
    /// Returns what is known of the documents in the index in `dir`; `None` if it has none.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub fn about_those_in(dir: &Path) -> Result<Option<About>> {
        Ok(Stored::open(dir)?.map(|stored| stored.about))
    }

    /// Opens the documents of the index in `dir`; `None` if it has none.
    ///
    /// # Errors
    ///
    /// If they cannot be read, or ONNX Runtime cannot be loaded.
    pub fn open(dir: &Path, engine: &EngineOptions) -> Result<Option<Self>> {
        let Some(stored) = Stored::open(dir)? else {
            return Ok(None);
        };
        let runtime = Runtime::load(&engine.runtime())?;
        let path = stored.model_path();
        let name = path.display().to_string();
        let encoder = WordEncoder::new(&stored.model_bytes()?, &name, runtime)?;
        let model = Model::of(&encoder).map_err(|error| damaged(&path, &error.to_string()))?;
        Ok(Some(Self {
            index: Index::open(&stored.dir)?,
            encoder: Mutex::new(encoder),
            vocabulary: model.vocabulary,
            about: stored.about,
        }))
    }

    /// Returns what is known of the documents.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// Returns the filter of documents that belong to pictures, for [`Documents::nearest`].
    pub fn of_pictures() -> Filter {
        Filter::default().formats([format_of(true)])
    }

    /// Returns the documents nearest to a text, best first.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownWords`] if none of its words is in the vocabulary; and the errors of the index and the encoder.
    pub fn nearest(&self, text: &str, params: &SearchParams) -> Result<Vec<FoundDocument>> {
        let counts = self.vocabulary.counts(text);
        if counts.is_empty() {
            return Err(Error::UnknownWords(
                "none of the words is among those that the documents were told apart by".to_owned(),
            ));
        }
        let mut row = vec![0.0; self.vocabulary.len()];
        for (word, count) in counts {
            row[word as usize] = count;
        }
        let encoded = {
            // A panic in another thread leaves the session as it was.
            let mut encoder = self.encoder.lock().unwrap_or_else(PoisonError::into_inner);
            encoder.encode(&row, row.len())?
        };
        let hash = pack_bits(&encoded.logits);
        let query = Query::new(&encoded.codes)
            .hash(&hash)
            .logits(&encoded.logits);
        let found = self.index.search(&query, params)?;
        let searcher = self.index.searcher()?;
        let mut documents = Vec::with_capacity(found.len());
        for neighbour in found {
            let Some(image) = self.index.image(neighbour.id)? else {
                continue;
            };
            let code = searcher.stored(neighbour.id).map(|(code, _)| code);
            let squared = code.map(|code| {
                let pairs = code.iter().zip(&encoded.codes);
                pairs.map(|(a, b)| (a - b).powi(2)).sum::<f32>()
            });
            documents.push(FoundDocument {
                is_picture: image.format == format_of(true),
                path: image.path,
                distance: neighbour.distance,
                hamming: neighbour.hamming,
                is_about_it: squared.is_some_and(|squared| squared <= ABOUT_IT),
            });
        }
        Ok(documents)
    }
}
