//! What of some files is not among others, or not in an index: by content, and by picture.
//!
//! All files are hashed first, which is a matter of reading. Only what is not found by its content is decoded and
//! encoded, and compared with its nearest few, never with all.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use imgsearch_index::{Digest, hamming};

use super::level::{Likeness, by_numbers, level_of};
use super::seen::{Numbers, distance, look, open, same_pixels, see};
use crate::decode::{Limits, Source};
use crate::duplicates::pixels::judged;
use crate::encode::engine::{Encoded, Engine, Worker};
use crate::error::{Error, Result};
use crate::indexing::worker_pool::{self, Jobs};
use crate::progress::Progress;

/// The nearest pictures that are looked at.
pub(crate) const NEAREST: usize = 3;

/// Files that a worker takes at once.
const CHUNK: usize = 8;

/// What files are looked for in. It is asked from several threads.
pub(crate) trait Others: Sync {
    /// Returns where each content is; `None` for one that is nowhere.
    fn places(&self, digests: &[Digest]) -> Result<Vec<Option<PathBuf>>>;

    /// Gets ready for questions about pictures, after a content was nowhere.
    fn prepare(&mut self, engine: &Engine, progress: &dyn Progress) -> Result<()>;

    /// Returns the pictures nearest to one, the nearest first: path, distance, and differing bits.
    fn nearest(&self, engine: &Engine, asked: &Encoded) -> Result<Vec<(PathBuf, f32, u32)>>;

    /// Opens the file of one of them, if it can be reached and is what it was.
    fn open(&self, path: &Path, limits: &Limits) -> Result<Option<Source>>;
}

/// Whether a file is among others.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Presence {
    /// A file with the same bytes.
    Content {
        /// That file.
        of: PathBuf,
    },
    /// A file that shows the same picture.
    Picture {
        /// That file.
        of: PathBuf,
        /// What the two are to each other.
        level: Likeness,
        /// How alike they are, from 0 to 1, if the encoder has similarities.
        similarity: Option<f32>,
    },
    /// Nothing.
    Missing {
        /// The nearest picture, and how alike it is, unless it is [`Likeness::Different`].
        nearest: Option<(PathBuf, Likeness, Option<f32>)>,
        /// Why the file could not be compared as a picture, if that is so.
        undecoded: Option<String>,
    },
    /// Nobody knows, because the file cannot be read.
    Unreadable {
        /// The reason.
        reason: String,
    },
}

/// What came of comparing files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Compared {
    /// Files that are there by their content.
    pub by_content: usize,
    /// Files that are there as pictures.
    pub by_picture: usize,
    /// Files that are not there.
    pub missing: usize,
    /// Files that cannot be read.
    pub unreadable: usize,
    /// Files of the other side that cannot be read or decoded, with the reasons.
    pub others_failed: Vec<(PathBuf, String)>,
}

/// The encoding of a file of the other side.
struct Row {
    path: PathBuf,
    code: Vec<f32>,
    hash: Vec<u8>,
}

/// Files that others are looked for in.
struct OtherFiles<'a> {
    files: &'a [PathBuf],
    /// A file of each content.
    known: HashMap<Digest, PathBuf>,
    rows: Vec<Row>,
    failed: Vec<(PathBuf, String)>,
}

/// Looks for each of `files` among `others`, and reports it in the order of the files. Pictures that are at least
/// `threshold` similar count as the same, if one is given, from 0 to 1.
///
/// # Errors
///
/// The errors of the encoder, and [`Error::Interrupted`].
pub fn compare_files(
    engine: &Engine,
    files: &[PathBuf],
    others: &[PathBuf],
    threshold: Option<f32>,
    progress: &dyn Progress,
    report: &mut dyn FnMut(&Path, &Presence),
) -> Result<Compared> {
    let mut others = OtherFiles::read(engine, others, progress)?;
    let mut compared = look_in(engine, files, &mut others, threshold, progress, report)?;
    compared.others_failed = others.failed;
    Ok(compared)
}

/// Looks for each of `files`. See [`compare_files`].
pub(crate) fn look_in<O: Others>(
    engine: &Engine,
    files: &[PathBuf],
    others: &mut O,
    threshold: Option<f32>,
    progress: &dyn Progress,
    report: &mut dyn FnMut(&Path, &Presence),
) -> Result<Compared> {
    engine.file().require_codes()?;
    let digests = digests(engine, files, progress)?;
    let read: Vec<Digest> = digests.iter().flatten().copied().collect();
    let mut places = others.places(&read)?.into_iter();
    let mut there: Vec<Option<Presence>> = digests
        .into_iter()
        .map(|digest| match digest {
            Ok(_) => places.next().flatten().map(|of| Presence::Content { of }),
            Err(reason) => Some(Presence::Unreadable { reason }),
        })
        .collect();
    let missing: Vec<usize> = (0..files.len()).filter(|&i| there[i].is_none()).collect();
    if !missing.is_empty() {
        others.prepare(engine, progress)?;
        run(
            engine,
            missing.len(),
            progress,
            || engine.worker(),
            |worker, job| look_for(engine, worker, &files[missing[job]], &*others, threshold),
            |job, presence| {
                there[missing[job]] = Some(presence?);
                Ok(())
            },
        )?;
    }
    let mut compared = Compared::default();
    for (path, presence) in files.iter().zip(there.into_iter().flatten()) {
        match &presence {
            Presence::Content { .. } => compared.by_content += 1,
            Presence::Picture { .. } => compared.by_picture += 1,
            Presence::Missing { .. } => compared.missing += 1,
            Presence::Unreadable { .. } => compared.unreadable += 1,
        }
        report(path, &presence);
    }
    Ok(compared)
}

impl<'a> OtherFiles<'a> {
    fn read(engine: &Engine, files: &'a [PathBuf], progress: &dyn Progress) -> Result<Self> {
        let mut others = Self {
            files,
            known: HashMap::new(),
            rows: Vec::new(),
            failed: Vec::new(),
        };
        for (path, digest) in files.iter().zip(digests(engine, files, progress)?) {
            match digest {
                Ok(digest) => {
                    others.known.entry(digest).or_insert_with(|| path.clone());
                }
                Err(reason) => others.failed.push((path.clone(), reason)),
            }
        }
        Ok(others)
    }
}

impl Others for OtherFiles<'_> {
    fn places(&self, digests: &[Digest]) -> Result<Vec<Option<PathBuf>>> {
        let place = |digest| self.known.get(digest).cloned();
        Ok(digests.iter().map(place).collect())
    }

    fn prepare(&mut self, engine: &Engine, progress: &dyn Progress) -> Result<()> {
        let files = self.files;
        run(
            engine,
            files.len(),
            progress,
            || engine.worker(),
            |worker, job| {
                let path = &files[job];
                open(path, engine.limits()).and_then(|source| worker.encode_image(&source, path))
            },
            |job, encoded: Result<Encoded>| {
                let path = files[job].clone();
                match encoded {
                    Ok(Encoded { code, hash, .. }) => self.rows.push(Row { path, code, hash }),
                    Err(error @ (Error::Io { .. } | Error::Image { .. })) => {
                        self.failed.push((path, error.to_string()));
                    }
                    Err(error) => return Err(error),
                }
                Ok(())
            },
        )?;
        // One that cannot be read was found while it was hashed, too.
        self.failed.sort();
        self.failed.dedup_by(|a, b| a.0 == b.0);
        Ok(())
    }

    fn nearest(&self, engine: &Engine, asked: &Encoded) -> Result<Vec<(PathBuf, f32, u32)>> {
        let weight = engine.info().hash_weight;
        let apart = |row: &Row| distance(asked, &row.code, &row.hash, weight);
        let rows = self.rows.iter();
        let mut near: Vec<(f32, &Row)> = rows.map(|row| (apart(row), row)).collect();
        near.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.path.cmp(&b.1.path)));
        let near = near.into_iter().take(NEAREST);
        Ok(near
            .map(|(apart, row)| (row.path.clone(), apart, hamming(&asked.hash, &row.hash)))
            .collect())
    }

    fn open(&self, path: &Path, limits: &Limits) -> Result<Option<Source>> {
        Ok(open(path, limits).ok())
    }
}

/// Returns the digest of each file, or why it cannot be read.
fn digests(
    engine: &Engine,
    files: &[PathBuf],
    progress: &dyn Progress,
) -> Result<Vec<Result<Digest, String>>> {
    let mut digests = Vec::with_capacity(files.len());
    let digest = |path: &Path| -> Result<Digest, String> {
        let source = open(path, engine.limits()).map_err(|error| error.to_string())?;
        source.digest().map_err(|error| error.to_string())
    };
    run(
        engine,
        files.len(),
        progress,
        || Ok(()),
        |(), job| digest(&files[job]),
        |_, digest| {
            digests.push(digest);
            Ok(())
        },
    )?;
    Ok(digests)
}

/// Looks for a picture whose content is not there.
fn look_for(
    engine: &Engine,
    worker: &mut Worker,
    path: &Path,
    others: &dyn Others,
    threshold: Option<f32>,
) -> Result<Presence> {
    let missing = |error: Error| match error {
        Error::Io { .. } | Error::Image { .. } => Ok(Presence::Missing {
            nearest: None,
            undecoded: Some(error.to_string()),
        }),
        error => Err(error),
    };
    let source = match open(path, engine.limits()) {
        Ok(source) => source,
        Err(error) => return missing(error),
    };
    let seen = match see(worker, &source, path) {
        Ok(seen) => seen,
        Err(error) => return missing(error),
    };
    let mut own_look = None;
    let mut best: Option<(PathBuf, Likeness, Option<f32>)> = None;
    for (other, apart, bits) in others.nearest(engine, &seen.encoded)? {
        let numbers = Numbers::of(apart, bits, engine.info());
        let opened = others.open(&other, engine.limits())?;
        let looked = opened.and_then(|opened| {
            let there = see(worker, &opened, &other).ok()?;
            let same = same_pixels((&source, &seen), (&opened, &there), engine.limits()).ok()?;
            if own_look.is_none() {
                own_look = look(&source, &seen, engine.limits()).ok();
            }
            let verdict = judged(
                own_look.as_ref()?,
                &look(&opened, &there, engine.limits()).ok()?,
            );
            Some(level_of(&seen, &there, same, &verdict, &numbers))
        });
        let level = looked.unwrap_or_else(|| by_numbers(&numbers));
        if best.as_ref().is_none_or(|(_, before, _)| level < *before) {
            best = Some((other, level, numbers.similarity));
        }
    }
    Ok(match best {
        Some((of, level, similarity))
            if level.is_same_picture()
                || threshold.is_some_and(|least| similarity.is_some_and(|s| s >= least)) =>
        {
            Presence::Picture {
                of,
                level,
                similarity,
            }
        }
        nearest => Presence::Missing {
            nearest: nearest.filter(|(_, level, _)| *level != Likeness::Different),
            undecoded: None,
        },
    })
}

/// Does numbered jobs on all workers, and receives their results in order.
fn run<S, T: Send>(
    engine: &Engine,
    count: usize,
    progress: &dyn Progress,
    setup: impl Fn() -> Result<S> + Sync,
    work: impl Fn(&mut S, usize) -> T + Sync,
    mut receive: impl FnMut(usize, T) -> Result<()>,
) -> Result<()> {
    // The pool takes a flag. A worker sets it as soon as its chunk is done.
    let stop = AtomicBool::new(progress.is_cancelled());
    let jobs = Jobs::in_order(engine.threads(), count, CHUNK);
    worker_pool::run(
        jobs,
        &stop,
        setup,
        |state, range| {
            let done: Vec<T> = range.map(|job| work(state, job)).collect();
            if progress.is_cancelled() {
                stop.store(true, Ordering::Relaxed);
            }
            Ok(done)
        },
        |range, done| {
            let end = range.end;
            for (job, made) in range.zip(done) {
                receive(job, made)?;
            }
            progress.encoded(end, count);
            Ok(())
        },
    )?;
    if progress.is_cancelled() {
        return Err(Error::Interrupted);
    }
    Ok(())
}
