//! A view of the index at one instant: which segments and rows there are.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::error::{Error, Result};
use crate::kernels::bits::Bits;
use crate::segment::Segment;
use crate::store::reader::Reader;
use crate::store::rows::{Loaded, Rows};
use crate::store::types::EncoderRecord;

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
    notes: Vec<String>,
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

impl Searcher {
    /// A view of what is committed. Segments that `before` has open are taken from it.
    pub(crate) fn open(reader: Reader, before: Option<&Self>) -> Result<Self> {
        // One snapshot of the database for everything.
        let snapshot = reader
            .connection()
            .unchecked_transaction()
            .map_err(|source| reader.fail(source))?;
        let encoder = reader.encoder()?;
        let generation = reader.generation()?;
        let newest_segment = reader.next_segment()?;
        let load = |after: i64, last: i64| {
            Loaded::load(&snapshot, &encoder, (after, last), usize::MAX)
                .map_err(|source| reader.fail(source))
        };
        let (mut parts, mut notes, mut covered) = (Vec::new(), Vec::new(), 0);
        let removed = reader.removed()?;
        for stored in reader.segments()? {
            if stored.first - 1 > covered {
                parts.push(Part::loaded(load(covered, stored.first - 1)?));
            }
            covered = stored.last;
            let open = before.and_then(|before| before.segment(&stored.name));
            let opened = match open {
                Some(segment) if segment.damage().is_none() => Ok(segment),
                Some(segment) => segment.verify().map(|()| segment),
                None => Segment::open(&stored.path(reader.dir()), &stored.verified),
            };
            let opened = opened.and_then(|segment| {
                segment.expect(&encoder, &stored)?;
                Ok(segment)
            });
            match opened {
                Ok(segment) => {
                    let mut live = Bits::all(segment.len());
                    let ids = segment.rows().ids;
                    let start = removed.partition_point(|&id| id < stored.first);
                    for id in removed[start..].iter().take_while(|&&id| id <= stored.last) {
                        if let Ok(row) = ids.binary_search(id) {
                            live.remove(row);
                        }
                    }
                    parts.push(Part {
                        live,
                        source: Source::Segment(segment, stored.name),
                    });
                }
                Err(error @ Error::NewerSegment { .. }) => return Err(error),
                Err(error) => {
                    let loaded = load(stored.first - 1, stored.last)?;
                    notes.push(format!(
                        "{error}: its {} images are read from the database instead, which is slower; imgsearch optimize \
                         makes it anew",
                        loaded.ids.len()
                    ));
                    parts.push(Part::loaded(loaded));
                }
            }
        }
        let known = before
            .filter(|before| before.encoder == encoder && before.newest_segment == newest_segment);
        let known = known.and_then(|before| before.tail(covered));
        let tail = match known {
            Some(known) => with_newer(known, &reader, &encoder)?,
            None => load(covered, i64::MAX)?,
        };
        if tail.seen() > 0 {
            parts.push(Part::loaded(tail));
        }
        notes.extend(note_of_rotten(&parts));
        drop(snapshot);
        Ok(Self {
            view: VIEWS.fetch_add(1, Ordering::Relaxed),
            encoder,
            parts,
            generation,
            newest_segment,
            notes,
            reader: Mutex::new(reader),
        })
    }

    /// What is in memory of the images behind all segments, where that is all of them.
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
    /// they are. What is damaged is then told by [`Searcher::damage`].
    pub fn verify_meanwhile(&self) {
        for part in &self.parts {
            if let Source::Segment(segment, _) = &part.source {
                segment.verify_meanwhile();
            }
        }
    }

    /// A segment that was found to be damaged since this view was opened, and what is wrong with
    /// it. A new view does without it.
    pub fn damage(&self) -> Option<(PathBuf, String)> {
        self.parts.iter().find_map(|part| match &part.source {
            Source::Segment(segment, name) => {
                Some((PathBuf::from(name), segment.damage()?.to_owned()))
            }
            Source::Loaded(_) => None,
        })
    }

    /// The encoder that made the codes.
    pub fn encoder(&self) -> &EncoderRecord {
        &self.encoder
    }

    /// What a person should know of it, a line each: segments that could not be used.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Counted up by each change of the index: which instant this is a view of.
    pub fn generation(&self) -> i64 {
        self.generation
    }

    /// How many images it shows.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.live.count()).sum()
    }

    /// Whether it shows no image.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The codes of all images, in the order of their numbers.
    pub fn codes(&self) -> Vec<Vec<f32>> {
        self.some_rows(self.len())
            .into_iter()
            .map(|(code, _)| code)
            .collect()
    }

    /// The packed hashes of all images, in the order of their numbers.
    pub fn hashes(&self) -> Vec<Vec<u8>> {
        self.some_rows(self.len())
            .into_iter()
            .map(|(_, hash)| hash)
            .collect()
    }

    /// The codes and packed hashes of at most `n` images, spread evenly.
    pub(crate) fn some_rows(&self, n: usize) -> Vec<(Vec<f32>, Vec<u8>)> {
        let all = self.len();
        let step = all.div_ceil(n.max(1)).max(1);
        let bytes = self.encoder.hash_bytes();
        let mut chosen = Vec::new();
        let mut place = 0;
        for part in &self.parts {
            let rows = part.rows();
            part.live.for_each(0..rows.len(), |row| {
                if place % step == 0 {
                    let code = rows.code(row)[..self.encoder.code_len].to_vec();
                    let mut hash: Vec<u8> = rows
                        .hash(row)
                        .iter()
                        .flat_map(|word| word.to_le_bytes())
                        .collect();
                    hash.truncate(bytes);
                    chosen.push((code, hash));
                }
                place += 1;
            });
        }
        chosen
    }
}

/// What is in memory of the newest images, and what came since; all of it is loaded again where an
/// image was removed.
fn with_newer(mut known: Loaded, reader: &Reader, encoder: &EncoderRecord) -> Result<Loaded> {
    let before = known.ids.first().map_or(0, |first| first - 1);
    let last = known.last().unwrap_or(before);
    // Numbers are never used again, so as many as there were are the same.
    let mut after = last;
    if reader.count_between(before, last)? != known.ids.len() {
        known = Loaded::empty(encoder);
        after = before;
    }
    known
        .append(reader.connection(), encoder, (after, i64::MAX), usize::MAX)
        .map_err(|source| reader.fail(source))?;
    Ok(known)
}

/// What a person should know of images that are left out.
fn note_of_rotten(parts: &[Part]) -> Option<String> {
    let rotten: usize = parts
        .iter()
        .map(|part| match &part.source {
            Source::Loaded(loaded) => loaded.rotten.len(),
            Source::Segment(..) => 0,
        })
        .sum();
    (rotten > 0).then(|| {
        format!(
            "{rotten} of the images are left out: their stored codes are damaged; imgsearch check --repair mends what \
             can be, and imgsearch index reads the other files again"
        )
    })
}
