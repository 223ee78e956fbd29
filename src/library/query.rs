//! Queries: an image becomes a code and a hash, and these become the nearest images.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use imgsearch_index::{
    DEFAULT_EXPAND, Image, ImageId, Index, Label, Neighbour, Query, RankBy, SearchParams,
    SearchStats, Searcher,
};

use super::query_encoders::QueryEncoder;
use super::{Library, resemblance};
use crate::decode::{Content, Crop, Source};
use crate::encode::engine::{Encoded, Engine, geometry_of};
use crate::encode::timings::ms_since;
use crate::error::{Error, Result};
use crate::indexing::walk::Names;

/// One result of a query.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Match {
    /// The image.
    pub id: ImageId,
    /// The path of its file when it was indexed.
    pub path: PathBuf,
    /// What else is stored of it: size, date, format and what is damaged.
    pub image: Image,
    /// The distance that ranks it: the Euclidean distance of the codes, the share of differing bits,
    /// or both together. 0 for the image itself.
    pub distance: f32,
    /// Bits that differ between the two hashes.
    pub hamming: u32,
    /// How alike the two images are, from 0 to 1: the share of pairs at this distance that show the same
    /// kind of thing. `None` if this was not measured for the encoder, for a ranking other than
    /// [`RankBy::Both`], or for a [`Question`](crate::Question) with parts to avoid or focus.
    pub similarity: Option<f32>,
    /// The classes that it most likely shows, best first: see [`class_name`](crate::class_name). Empty if that is
    /// not stored.
    pub labels: Vec<Label>,
    /// Whether the text that belongs to it answers, too: see `Library::merge_documents`. An image that only its text
    /// found has the distance of that from the question.
    pub by_text: bool,
}

/// The results of a query, and how the search found them.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Answer {
    /// The nearest images, best first, ties by id.
    pub matches: Vec<Match>,
    /// Whether the query looks like anything in the collection: `false` if its nearest images are further
    /// away than those of 95 % of the collection's own images. `None` if that is unknown: in a
    /// collection of fewer than 200 images, for an image that is in the index, with a filter or a radius,
    /// and for rankings other than [`RankBy::Both`].
    pub resembles: Option<bool>,
    /// Which way the search took, and what it cost.
    pub stats: SearchStats,
}

impl Answer {
    /// Takes away how alike query and images are, and whether the query looks like anything. Both were measured
    /// for images, and a text is further away from every image than images are from each other.
    pub fn forget_similarity(&mut self) {
        self.resembles = None;
        for found in &mut self.matches {
            found.similarity = None;
        }
    }
}

/// A view of the index that is open for a query.
pub(super) struct View<'a> {
    pub index: &'a Index,
    pub searcher: Arc<Searcher>,
    /// When it began to be opened, and how long that took.
    started: Instant,
    ms: f64,
}

/// What can be said of an answer.
pub(super) struct Asking<'a> {
    /// Whether similarities were measured for such queries.
    pub has_similarity: bool,
    /// The code and hash of an image that may look like nothing here.
    pub may_resemble: Option<(&'a [f32], &'a [u8])>,
}

impl Library {
    /// Returns the `k` images nearest to the image file at `path`, best first.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or decoded, or nothing has been indexed yet.
    pub fn nearest_to(&self, path: impl AsRef<Path>, k: usize) -> Result<Vec<Match>> {
        let encoded = self.encode_file(path.as_ref())?;
        self.nearest(&encoded, k, RankBy::Both)
    }

    /// Returns the `k` images nearest to an encoded image, best first, ties by id. The query is expanded by
    /// the [`DEFAULT_EXPAND`] nearest images, which come first; [`Library::search`] can do without.
    ///
    /// # Errors
    ///
    /// If `k` is 0, if the code has another length than those of the index, or if nothing has been
    /// indexed yet.
    pub fn nearest(&self, encoded: &Encoded, k: usize, by: RankBy) -> Result<Vec<Match>> {
        let answer = self.search(encoded, &SearchParams::new(k).by(by).expand(DEFAULT_EXPAND))?;
        Ok(answer.matches)
    }

    /// Returns the images nearest to an encoded image under `params`.
    ///
    /// # Errors
    ///
    /// As [`Library::nearest`], and if the filter is invalid.
    pub fn search(&self, encoded: &Encoded, params: &SearchParams) -> Result<Answer> {
        if let Some(collection) = &self.shared {
            return self.search_shared(&**collection, &encoded.query(), params);
        }
        let asking = Asking {
            has_similarity: true,
            may_resemble: Some((&encoded.code, &encoded.hash)),
        };
        self.answer(&self.view()?, &encoded.query(), params, &asking)
    }

    /// Opens a view of the index for a query.
    pub(super) fn view(&self) -> Result<View<'_>> {
        let index = self.index_view()?;
        let started = Instant::now();
        Ok(View {
            index,
            searcher: index.searcher()?,
            started,
            ms: ms_since(started),
        })
    }

    /// Returns the images nearest to a query.
    pub(super) fn answer(
        &self,
        view: &View<'_>,
        query: &Query<'_>,
        params: &SearchParams,
        asking: &Asking<'_>,
    ) -> Result<Answer> {
        let searching = Instant::now();
        let found = view.searcher.explain(query, params)?;
        self.answered(view, found, params, asking, searching)
    }

    /// Returns what was found since `searching`, with paths, similarities and labels.
    pub(super) fn answered(
        &self,
        view: &View<'_>,
        (neighbours, stats): (Vec<Neighbour>, SearchStats),
        params: &SearchParams,
        asking: &Asking<'_>,
        searching: Instant,
    ) -> Result<Answer> {
        let is_default =
            params.by == RankBy::Both && params.filter.is_empty() && params.radius.is_none();
        let resembles = match asking.may_resemble.filter(|_| is_default) {
            Some(query) => resemblance::resembles(view.index, &view.searcher, query)?,
            None => None,
        };
        let search_ms = ms_since(searching);
        let looking_up = Instant::now();
        let ids: Vec<ImageId> = neighbours.iter().map(|found| found.id).collect();
        let images = view.index.images(&ids)?;
        let labels = view.index.labels(&ids)?;
        {
            let mut times = self.times();
            times.view_ms = view.ms;
            times.search_ms = search_ms;
            times.paths_ms = ms_since(looking_up);
            times.waited_since(view.started);
        }
        let has_similarity = params.by == RankBy::Both && asking.has_similarity;
        Ok(Answer {
            matches: self.matches(neighbours, (images, labels), has_similarity),
            resembles,
            stats,
        })
    }

    /// Returns what was found with what is stored of it, and with similarities if those were measured for the question.
    pub(super) fn matches(
        &self,
        neighbours: Vec<Neighbour>,
        (images, labels): (Vec<Option<Image>>, Vec<Vec<Label>>),
        has_similarity: bool,
    ) -> Vec<Match> {
        // Without its encoder, an index can still be searched.
        let encoder = self.encoder_file().ok().filter(|_| has_similarity);
        let map = encoder.and_then(|file| file.info().similarity.as_ref());
        let found = neighbours.into_iter().zip(images).zip(labels);
        let matches = found.filter_map(|((found, image), labels)| {
            // Another program may have removed it meanwhile.
            let image = image?;
            Some(Match {
                id: found.id,
                path: image.path.clone(),
                image,
                distance: found.distance,
                hamming: found.hamming.unwrap_or(0),
                similarity: map.map(|map| map.similarity(found.distance)),
                labels,
                by_text: false,
            })
        });
        matches.collect()
    }

    /// Returns the path under which the index stores what `path` names. A file that several links lead
    /// to is stored under one of its paths. The file need not exist any more. [`Filter::under`] takes
    /// such paths.
    ///
    /// # Errors
    ///
    /// If nothing has been indexed yet, or the index cannot be read.
    ///
    /// [`Filter::under`]: imgsearch_index::Filter::under
    pub fn stored_path(&self, path: impl AsRef<Path>) -> Result<PathBuf> {
        if self.shared.is_some() {
            return Names::without_index().stored(path.as_ref());
        }
        let reader = self.index_view()?.to_reader()?;
        Names::of(&reader)?.stored(path.as_ref())
    }

    /// Encodes one image file.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or decoded.
    pub fn encode_file(&self, path: &Path) -> Result<Encoded> {
        let started = Instant::now();
        let source =
            Source::open(path, self.limits()).map_err(|unread| Error::unread(unread, path))?;
        let read_ms = ms_since(started);
        let encoded = self.encode_bytes(&source, path);
        let mut times = self.times();
        times.read_ms = read_ms;
        times.waited(read_ms);
        drop(times);
        encoded
    }

    /// Encodes the bytes of one image file, or a [`Source`] of them. Error messages call it `name`.
    ///
    /// # Errors
    ///
    /// If the bytes are not an image that can be decoded.
    pub fn encode_bytes<'a>(
        &self,
        content: impl Into<Content<'a>>,
        name: &Path,
    ) -> Result<Encoded> {
        self.encode_timed(content.into(), name, None)
    }

    /// Encodes a part of one image file, given as its bytes or a [`Source`] of them, as if the part were an image of
    /// its own. The part is one of the upright image. Error messages call the file `name`.
    ///
    /// # Errors
    ///
    /// As [`Library::encode_bytes`], and
    /// [`DecodeError::OutsideOfImage`](crate::decode::DecodeError::OutsideOfImage).
    pub fn encode_part<'a>(
        &self,
        content: impl Into<Content<'a>>,
        name: &Path,
        part: &Crop,
    ) -> Result<Encoded> {
        self.encode_timed(content.into(), name, Some(part))
    }

    fn encode_timed(
        &self,
        content: Content<'_>,
        name: &Path,
        part: Option<&Crop>,
    ) -> Result<Encoded> {
        // Before the clock starts: reading it has a step of its own.
        self.encoder_file()?;
        let started = Instant::now();
        self.times().begin();
        let encoded = self.encoded(content, name, part);
        // Whatever comes of it, the time is spent.
        self.times().waited_since(started);
        encoded
    }

    fn encoded(&self, content: Content<'_>, name: &Path, part: Option<&Crop>) -> Result<Encoded> {
        let geometry = geometry_of(self.encoder_file()?.info());
        let mut lease = self.query_encoders.take();
        let QueryEncoder { decoder, worker } = &mut *lease;
        let mut pixels = vec![0; geometry.bytes()];
        let mut decode = || {
            let started = Instant::now();
            let decoded = match part {
                Some(part) => decoder.decode_part_into(content, part, &geometry, &mut pixels),
                None => decoder.decode_into(content, &geometry, &mut pixels),
            };
            (decoded, ms_since(started))
        };
        let (worker, (decoded, decode_ms)) = match worker {
            Some(worker) => (worker, decode()),
            // The image is decoded while the encoder starts, since neither needs the other. The encoder
            // starts on this thread, because memory comes in larger pieces here than on a new one.
            none => thread::scope(|scope| {
                let decoding = thread::Builder::new()
                    .spawn_scoped(scope, decode)
                    .map_err(|source| Error::io("start a thread to decode", name, source))?;
                let made = self.engine().and_then(Engine::worker);
                let decoded = decoding
                    .join()
                    .map_err(|panic| Error::Worker(crate::decode::panic_text(&*panic)))?;
                Ok::<_, Error>((none.insert(made?), decoded))
            })?,
        };
        let decoded = decoded.map_err(|source| Error::Image {
            path: name.to_owned(),
            source,
        })?;
        let encoding = Instant::now();
        let encoded = worker.encode_decoded(&pixels, decoded);
        let mut times = self.times();
        times.decode_ms = decode_ms;
        times.encode_ms = ms_since(encoding);
        drop(times);
        encoded
    }
}
