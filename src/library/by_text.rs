//! Words as a question to the texts that belong to pictures, beside what the pictures show.

use std::cmp::Reverse;
use std::collections::HashMap;

use imgsearch_index::{ImageId, KnownPath, RankBy, SearchParams, SearchStats};

use super::Library;
use super::query::{Answer, Match};
use crate::documents::Documents;
use crate::error::{Error, Result};

/// What is added to each rank before its reciprocal counts (Cormack, Clarke and Büttcher 2009).
const RANK_OFFSET: usize = 60;

impl Library {
    /// Opens the documents that [`learn`](crate::documents::learn) stored with this index; `None` if there are none, or
    /// the index is a collection on a server.
    ///
    /// # Errors
    ///
    /// As [`Documents::open`].
    pub fn documents(&self) -> Result<Option<Documents>> {
        if self.shared.is_some() {
            return Ok(None);
        }
        Documents::open(self.dir(), self.engine_options())
    }

    /// Merges the images whose texts are about `text` into `answer`, by the reciprocals of their ranks, and keeps the
    /// first `k`. Without an answer, the texts answer alone. Returns `None` if there is no answer and no text is about
    /// it. [`Match::by_text`] marks the images whose text answers.
    ///
    /// # Errors
    ///
    /// As [`Documents::nearest`], except for unknown words; if the index cannot be read.
    pub fn merge_documents(
        &self,
        documents: &Documents,
        text: &str,
        answer: Option<Answer>,
        k: usize,
    ) -> Result<Option<Answer>> {
        let params = SearchParams::new(k)
            .by(RankBy::Code)
            .filter(Documents::of_pictures());
        let found = match documents.nearest(text, &params) {
            Ok(found) => found,
            Err(Error::UnknownWords(_)) => return Ok(answer),
            Err(error) => return Err(error),
        };
        let view = self.index_view()?;
        let reader = view.to_reader()?;
        let mut by_text = Vec::new();
        for found in found {
            if !found.is_about_it {
                continue;
            }
            // A picture that was never indexed, or not decoded, is no image that can be found.
            let Some(KnownPath::Image(image)) = reader.by_path(&found.path)? else {
                continue;
            };
            let labels = view.labels(&[image.id])?.pop().unwrap_or_default();
            by_text.push(Match {
                id: image.id,
                path: image.path.clone(),
                image: *image,
                distance: found.distance,
                hamming: found.hamming.unwrap_or(0),
                similarity: None,
                labels,
                by_text: true,
            });
        }
        if by_text.is_empty() {
            return Ok(answer);
        }
        let mut answer = match answer {
            Some(answer) => answer,
            None => {
                let mut stats = SearchStats::default();
                stats.images = reader.count()?;
                stats.allowed = stats.images;
                Answer {
                    matches: Vec::new(),
                    resembles: None,
                    stats,
                }
            }
        };
        answer.matches = merged(answer.matches, by_text, k);
        Ok(Some(answer))
    }
}

/// Merges two rankings. An image of both keeps what the first says of it.
fn merged(seen: Vec<Match>, by_text: Vec<Match>, k: usize) -> Vec<Match> {
    let score = |rank: usize| 1.0 / (RANK_OFFSET + rank + 1) as f64;
    let mut all: Vec<(f64, Match)> = Vec::new();
    let mut places: HashMap<ImageId, usize> = HashMap::new();
    for (rank, found) in seen.into_iter().enumerate() {
        places.insert(found.id, all.len());
        all.push((score(rank), found));
    }
    for (rank, found) in by_text.into_iter().enumerate() {
        match places.get(&found.id) {
            Some(&place) => {
                all[place].0 += score(rank);
                all[place].1.by_text = true;
            }
            None => all.push((score(rank), found)),
        }
    }
    // Of equal ranks, what was written about a picture comes first: somebody chose the words.
    all.sort_by(|(a, one), (b, other)| {
        let texts = Reverse(one.by_text).cmp(&Reverse(other.by_text));
        b.total_cmp(a).then(texts).then(one.id.cmp(&other.id))
    });
    all.truncate(k);
    all.into_iter().map(|(_, found)| found).collect()
}
