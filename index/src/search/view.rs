//! A view of the index at one instant: which segments and rows there are.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::error::{Error, Result};
use crate::kernels::bits::Bits;
use crate::segment::Segment;
use crate::store::reader::Reader;
use crate::store::rows::{Loaded, Rows};
use crate::store::segments::StoredSegment;
use crate::store::types::{EncoderRecord, ImageId};

/// An immutable view of an index at one instant, to be searched by any number of threads while a
/// writer goes on.
#[derive(Debug)]
pub struct Searcher {
    /// No other view of this process has it.
    pub(super) view: u64,
    pub(super) encoder: EncoderRecord,
    pub(super) parts: Vec<Part>,
    pub(super) generation: i64,
    /// The newest segment's number when it was opened.
    newest_segment: i64,
    notes: Vec<Note>,
    /// For filters.
    pub(super) reader: Mutex<Reader>,
}

/// Counts the views of this process.
static VIEWS: AtomicU64 = AtomicU64::new(0);

/// Rows of a view that lie together.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) source: Source,
    /// Those that were not removed.
    pub(super) live: Bits,
}

#[derive(Debug)]
pub(super) enum Source {
    Segment(Arc<Segment>, String),
    Loaded(Loaded),
}

impl Part {
    fn loaded(loaded: Loaded) -> Self {
        Self {
            live: Bits::all(loaded.ids.len()),
            source: Source::Loaded(loaded),
        }
    }

    pub(super) fn rows(&self) -> Rows<'_> {
        match &self.source {
            Source::Segment(segment, _) => segment.rows(),
            Source::Loaded(loaded) => loaded.rows(),
        }
    }
}

/// Something that a person should know of a view.
#[derive(Debug)]
#[non_exhaustive]
pub enum Note {
    /// A segment cannot be used. The next fold rebuilds it.
    DamagedSegment {
        /// What is wrong with it.
        error: Error,
        /// Images of the segment.
        images: usize,
    },

    /// Images are left out until they are repaired or indexed again.
    LostCodes {
        /// Images that are left out.
        images: usize,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DamagedSegment { error, images } => write!(
                f,
                "{error}: its {images} images are read from the database instead, which is slower"
            ),
            Self::LostCodes { images } => write!(
                f,
                "{images} of the images are left out: their stored codes are damaged"
            ),
        }
    }
}

impl Searcher {
    /// Opens a view of what is committed. Segments that `before` has open are taken from it.
    pub(crate) fn open(reader: Reader, before: Option<&Self>) -> Result<Self> {
        let state = reader.at_one_instant(|| State::read(&reader, before))?;
        Ok(Self {
            view: VIEWS.fetch_add(1, Ordering::Relaxed),
            encoder: state.encoder,
            notes: notes(state.damaged, &state.parts),
            parts: state.parts,
            generation: state.generation,
            newest_segment: state.newest_segment,
            reader: Mutex::new(reader),
        })
    }

    /// Returns the images above all segments that are in memory, if those are all of them.
    fn tail(&self, covered: i64) -> Option<Loaded> {
        match &self.parts.last()?.source {
            Source::Loaded(tail) if tail.rotten.is_empty() => {
                (tail.ids.first()? > &covered).then(|| tail.clone())
            }
            _ => None,
        }
    }

    fn segment(&self, name: &str) -> Option<Arc<Segment>> {
        self.parts.iter().find_map(|part| match &part.source {
            Source::Segment(segment, of) if of == name => Some(Arc::clone(segment)),
            _ => None,
        })
    }

    /// Has large segments checked while they are searched, unless a writer found them to be sound as
    /// they are. [`Searcher::damage`] then returns what is damaged.
    pub fn verify_meanwhile(&self) {
        for part in &self.parts {
            if let Source::Segment(segment, _) = &part.source {
                segment.verify_meanwhile();
            }
        }
    }

    /// Returns a segment that was found to be damaged since this view was opened, and what is wrong
    /// with it. A new view does without it.
    pub fn damage(&self) -> Option<(PathBuf, String)> {
        self.parts.iter().find_map(|part| match &part.source {
            Source::Segment(segment, name) => {
                Some((PathBuf::from(name), segment.damage()?.to_owned()))
            }
            Source::Loaded(_) => None,
        })
    }

    /// Returns the encoder that made the codes.
    pub fn encoder(&self) -> &EncoderRecord {
        &self.encoder
    }

    /// Returns what a person should know of it.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Returns which instant this is a view of: a number that each change of the index counts up.
    pub fn generation(&self) -> i64 {
        self.generation
    }

    /// Returns the number of images that it shows.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.live.count()).sum()
    }

    /// Returns whether it shows no image.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the codes of all images, in the order of their numbers.
    pub fn codes(&self) -> Vec<Vec<f32>> {
        self.sample(self.len())
            .into_iter()
            .map(|(code, _)| code)
            .collect()
    }

    /// Returns the packed hashes of all images, in the order of their numbers.
    pub fn hashes(&self) -> Vec<Vec<u8>> {
        self.sample(self.len())
            .into_iter()
            .map(|(_, hash)| hash)
            .collect()
    }

    /// Returns the codes and packed hashes of at most `n` images, spread evenly.
    pub fn sample(&self, n: usize) -> Vec<(Vec<f32>, Vec<u8>)> {
        let all = self.len();
        let step = all.div_ceil(n.max(1)).max(1);
        let mut chosen = Vec::new();
        let mut place = 0;
        for part in &self.parts {
            let rows = part.rows();
            part.live.for_each(0..rows.len(), |row| {
                if place % step == 0 {
                    chosen.push(self.code_and_hash(&rows, row));
                }
                place += 1;
            });
        }
        chosen
    }

    /// Returns the code and packed hash of an image, or `None` if the view does not show it.
    pub fn stored(&self, id: ImageId) -> Option<(Vec<f32>, Vec<u8>)> {
        self.parts.iter().find_map(|part| {
            let rows = part.rows();
            let row = rows.ids.binary_search(&id.0).ok()?;
            let is_live = part.live.contains(row);
            is_live.then(|| self.code_and_hash(&rows, row))
        })
    }

    fn code_and_hash(&self, rows: &Rows<'_>, row: usize) -> (Vec<f32>, Vec<u8>) {
        let code = rows.code(row)[..self.encoder.code_len].to_vec();
        let words = rows.hash(row).iter();
        let mut hash: Vec<u8> = words.flat_map(|word| word.to_le_bytes()).collect();
        hash.truncate(self.encoder.hash_bytes());
        (code, hash)
    }
}

/// What a view shows, as of one instant.
struct State {
    encoder: EncoderRecord,
    generation: i64,
    newest_segment: i64,
    parts: Vec<Part>,
    /// Segments that could not be used, and how many images are read from the database instead.
    damaged: Vec<(Error, usize)>,
}

impl State {
    fn read(reader: &Reader, before: Option<&Searcher>) -> Result<Self> {
        let mut state = Self {
            encoder: reader.encoder()?,
            generation: reader.generation()?,
            newest_segment: reader.next_segment()?,
            parts: Vec::new(),
            damaged: Vec::new(),
        };
        let removed = reader.removed()?;
        let mut covered = 0;
        for stored in reader.segments()? {
            if stored.first - 1 > covered {
                let between = (covered, stored.first - 1);
                let loaded = reader.load(&state.encoder, between, usize::MAX)?;
                state.parts.push(Part::loaded(loaded));
            }
            covered = stored.last;
            match state.open_segment(reader, &stored, before) {
                Ok(segment) => {
                    let live = live_rows(&segment, &stored, &removed);
                    let source = Source::Segment(segment, stored.name);
                    state.parts.push(Part { source, live });
                }
                Err(error @ Error::NewerSegment { .. }) => return Err(error),
                Err(error) => {
                    let range = (stored.first - 1, stored.last);
                    let loaded = reader.load(&state.encoder, range, usize::MAX)?;
                    state.damaged.push((error, loaded.ids.len()));
                    state.parts.push(Part::loaded(loaded));
                }
            }
        }
        let tail = state.tail(reader, before, covered)?;
        if tail.seen() > 0 {
            state.parts.push(Part::loaded(tail));
        }
        Ok(state)
    }

    fn open_segment(
        &self,
        reader: &Reader,
        stored: &StoredSegment,
        before: Option<&Searcher>,
    ) -> Result<Arc<Segment>> {
        let segment = match before.and_then(|before| before.segment(&stored.name)) {
            Some(segment) => {
                if segment.damage().is_some() {
                    segment.verify()?;
                }
                segment
            }
            None => Segment::open(&stored.path(reader.dir()), &stored.verified)?,
        };
        segment.expect(&self.encoder, stored)?;
        Ok(segment)
    }

    /// Loads the images above all segments, or adds the newest to those that are in memory.
    fn tail(&self, reader: &Reader, before: Option<&Searcher>, covered: i64) -> Result<Loaded> {
        let known = before.filter(|before| {
            before.encoder == self.encoder && before.newest_segment == self.newest_segment
        });
        match known.and_then(|before| before.tail(covered)) {
            Some(known) => with_newer(known, reader, &self.encoder),
            None => reader.load(&self.encoder, (covered, i64::MAX), usize::MAX),
        }
    }
}

/// Returns the rows of a segment whose images were not removed.
fn live_rows(segment: &Segment, stored: &StoredSegment, removed: &[i64]) -> Bits {
    let mut live = Bits::all(segment.len());
    let ids = segment.rows().ids;
    let start = removed.partition_point(|&id| id < stored.first);
    for id in removed[start..].iter().take_while(|&&id| id <= stored.last) {
        if let Ok(row) = ids.binary_search(id) {
            live.remove(row);
        }
    }
    live
}

/// Returns adds the images that came since to those in memory; loads all of them again if an image was
/// removed.
fn with_newer(mut known: Loaded, reader: &Reader, encoder: &EncoderRecord) -> Result<Loaded> {
    let before = known.ids.first().map_or(0, |first| first - 1);
    let last = known.last().unwrap_or(before);
    // Ids are never used again, so if there are as many as before, they are the same.
    let mut after = last;
    if reader.count_between(before, last)? != known.ids.len() {
        known = Loaded::empty(encoder);
        after = before;
    }
    reader.load_more(&mut known, encoder, (after, i64::MAX), usize::MAX)?;
    Ok(known)
}

fn notes(damaged: Vec<(Error, usize)>, parts: &[Part]) -> Vec<Note> {
    let mut notes: Vec<Note> = damaged
        .into_iter()
        .map(|(error, images)| Note::DamagedSegment { error, images })
        .collect();
    let images: usize = parts
        .iter()
        .map(|part| match &part.source {
            Source::Loaded(loaded) => loaded.rotten.len(),
            Source::Segment(..) => 0,
        })
        .sum();
    if images > 0 {
        notes.push(Note::LostCodes { images });
    }
    notes
}
