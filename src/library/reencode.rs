//! Encoding every stored image again, with another encoder or the same.
//!
//! The new index grows in a folder aside and takes the old one's place in one transaction once it
//! holds every image, so the old one serves until then and stays where the run fails. What was
//! encoded by an interrupted run stays aside, and the next with the same encoder goes on from it.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use imgsearch_index::{Change, EncoderRecord, FoldOptions, Image, Index, Reader, Writer};

use crate::encode::engine::Engine;
use crate::error::{Error, Result};
use crate::indexing::forget::{Fate, Grounds, is_missing};
use crate::indexing::report::Forgetting;
use crate::indexing::walk::{Candidate, Walked, stat_of};
use crate::indexing::{self, Folding, IndexOptions, Summary, stage};
use crate::library::encoder_copy;
use crate::progress::Progress;

/// The folder inside an index in which the new one grows.
const FOLDER: &str = "reencode";

/// Whether a run was begun in the index in `dir` and did not come to its end.
pub fn begun(dir: &Path) -> bool {
    Index::lies_in(dir.join(FOLDER))
}

/// See [`crate::Library::reencode`].
pub fn run(
    dir: &Path,
    engine: &Engine,
    options: &IndexOptions,
    progress: &dyn Progress,
) -> Result<Summary> {
    // Held so that nobody writes to the old index meanwhile.
    let mut old = Writer::open_existing(dir)?;
    let reader = old.reader()?;
    let stored = look(reader.all()?)?;
    stored.check(&reader, options, progress)?;
    let roots = reader.last_run()?.map_or_else(Vec::new, |run| run.roots);
    drop(reader);
    if !stored.gone.is_empty() {
        progress.note(&format!(
            "{} stored images are no longer there and are left out",
            stored.gone.len()
        ));
    }

    let aside = dir.join(FOLDER);
    let mut writer = open_aside(&aside, &engine.record(), progress)?;
    let wanted: HashSet<PathBuf> = stored
        .there
        .iter()
        .map(|candidate| candidate.path.clone())
        .collect();
    forget_all_but(&mut writer, &wanted)?;
    try_again(&mut writer)?;
    let walked = Walked::listed(stored.there, roots);
    let summary = indexing::run(
        &mut writer,
        engine,
        &walked,
        options,
        Folding::Never,
        progress,
    )?;
    if summary.interrupted {
        return Ok(summary);
    }
    require_all_read(&writer.reader()?, &wanted)?;
    encoder_copy::keep(dir, engine.file())?;
    old.replace_with(writer)?;
    if old.dropped_from_trash() > 0 {
        progress.note(&format!(
            "{} removed images cannot be restored any more: the new encoder has no codes of them",
            old.dropped_from_trash()
        ));
    }
    let folded = indexing::fold(&mut old, &FoldOptions::default(), progress);
    indexing::tell_of_folding(folded, progress);
    encoder_copy::forget_others(dir, &engine.info().fingerprint)?;
    delete(&aside, progress)?;
    Ok(summary)
}

/// The stored images, as their files are now.
struct Stored {
    there: Vec<Candidate>,
    /// Those of them that have not changed since they were stored.
    unchanged: Vec<PathBuf>,
    /// With whether they were missing before, together with their disk or folder.
    gone: Vec<(PathBuf, bool)>,
}

/// Looks at every file.
///
/// # Errors
///
/// Where the system does not say whether a file is there: what cannot be looked at now is not
/// gone.
fn look(images: Vec<Image>) -> Result<Stored> {
    let mut stored = Stored {
        there: Vec::new(),
        unchanged: Vec::new(),
        gone: Vec::new(),
    };
    for image in images {
        let (path, away) = (image.path, image.away_since.is_some());
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => {
                let stat = stat_of(&metadata);
                if !away && image.stat.is_unchanged(&stat) {
                    stored.unchanged.push(path.clone());
                }
                stored.there.push(Candidate { path, stat });
            }
            Ok(_) => stored.gone.push((path, away)),
            Err(error) if is_missing(&error) => stored.gone.push((path, away)),
            Err(error) => {
                return Err(Error::StoredUnreadable {
                    count: 1,
                    path,
                    reason: error.to_string(),
                });
            }
        }
    }
    Ok(stored)
}

impl Stored {
    /// Refuses to go on where images would be dropped that may only be out of reach, or many and
    /// nobody confirms it.
    fn check(
        &self,
        reader: &Reader,
        options: &IndexOptions,
        progress: &dyn Progress,
    ) -> Result<()> {
        let Some((first, _)) = self.gone.first() else {
            return Ok(());
        };
        if options.keep_missing {
            return Err(Error::StoredMissing {
                count: self.gone.len(),
                path: first.clone(),
            });
        }
        let walked = Walked::default();
        let mut grounds = Grounds::new(reader, &walked, reader.roots()?)?;
        for image in &self.unchanged {
            grounds.met(image);
        }
        let mut doubts: BTreeMap<PathBuf, usize> = BTreeMap::new();
        for (path, away) in &self.gone {
            match grounds.fate(path, *away) {
                Fate::OutOfSight(doubt) => *doubts.entry(doubt.folder).or_default() += 1,
                // A link, and what it leads to is missing.
                Fate::There => *doubts.entry(path.clone()).or_default() += 1,
                _ => {}
            }
        }
        if let Some((folder, count)) = doubts.into_iter().max_by_key(|(_, count)| *count) {
            return Err(Error::OutOfReach {
                count,
                root: folder,
            });
        }
        let gone = self.gone.iter().map(|(path, _)| path.as_path());
        let of = self.gone.len() + self.there.len();
        if let Some(forgetting) = Forgetting::of(gone, of, None) {
            progress.forgetting(&forgetting);
            if !options.prune && !progress.confirm_forget(&forgetting) {
                return Err(Error::Unconfirmed {
                    count: forgetting.images,
                    of,
                });
            }
        }
        Ok(())
    }
}

/// The index aside: the one that an interrupted run left, where the same encoder made it.
fn open_aside(aside: &Path, record: &EncoderRecord, progress: &dyn Progress) -> Result<Writer> {
    if aside.is_symlink() {
        // It may lead to an index of somebody's, which would lose its images.
        let source = io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is a link, which is not followed; remove it",
        );
        return Err(Error::io("write to", aside, source));
    }
    let begun = Index::lies_in(aside);
    if aside.exists() && !is_ours(aside)? {
        return Err(Error::NotOurs {
            path: aside.to_owned(),
        });
    }
    match Writer::open(aside, record) {
        Ok(writer) => {
            if begun {
                progress.note("going on from where an earlier run was interrupted");
            }
            Ok(writer)
        }
        // Who is at work on it, and a disk that fails, are no reason to begin anew.
        Err(
            error @ (imgsearch_index::Error::Locked { .. } | imgsearch_index::Error::Io { .. }),
        ) => Err(error.into()),
        Err(error) => {
            delete(aside, progress)?;
            progress.note(&format!(
                "an earlier re-encoding that was interrupted is begun anew: {}",
                error.to_string().lines().next().unwrap_or_default()
            ));
            Ok(Writer::open(aside, record)?)
        }
    }
}

/// Deletes the index aside. What else lies there is the user's and stays.
fn delete(aside: &Path, progress: &dyn Progress) -> Result<()> {
    let left = Index::delete(aside)?;
    if let Some(first) = left.first() {
        progress.note(&format!(
            "{} stays, for what lies in it is no part of the index, such as {}",
            aside.display(),
            first.display()
        ));
    }
    Ok(())
}

/// Whether a folder holds nothing but what an index is made of. It is looked at before anything is
/// encoded, not after hours of it.
fn is_ours(aside: &Path) -> Result<bool> {
    const OURS: [&str; 4] = ["imgsearch.sqlite", "writer.lock", "segments", "encoder-"];
    let listed = || -> io::Result<bool> {
        for entry in fs::read_dir(aside)? {
            let name = entry?.file_name();
            if !OURS
                .iter()
                .any(|ours| name.as_encoded_bytes().starts_with(ours.as_bytes()))
            {
                return Ok(false);
            }
        }
        Ok(true)
    };
    listed().map_err(|source| Error::io("list", aside, source))
}

/// Forgets in the index aside what is no longer in the old one.
fn forget_all_but(writer: &mut Writer, wanted: &HashSet<PathBuf>) -> Result<()> {
    let reader = writer.reader()?;
    let mut changes = Vec::new();
    for path in reader.paths()? {
        if !wanted.contains(&path)
            && let Some(imgsearch_index::KnownPath::Image(image)) = reader.by_path(&path)?
        {
            changes.push(Change::Remove { id: image.id });
        }
    }
    if !changes.is_empty() {
        writer.apply(&changes)?;
    }
    writer.forget_failures(|path| !wanted.contains(path))?;
    Ok(())
}

/// Forgets what a run before could not use for another reason than its content: all that is stored has
/// to be encoded anew, so it is tried again.
fn try_again(writer: &mut Writer) -> Result<()> {
    let failures = writer.reader()?.failures()?.into_iter();
    let again: HashSet<PathBuf> = failures
        .filter(|failure| failure.stage != stage::DECODE)
        .map(|failure| failure.path)
        .collect();
    writer.forget_failures(|path| again.contains(path))?;
    Ok(())
}

/// Refuses to drop images of which the new index knows nothing because their files were refused
/// or could not be read. A file whose content is no picture any more is dropped, as `index` does.
fn require_all_read(reader: &Reader, wanted: &HashSet<PathBuf>) -> Result<()> {
    let unread: Vec<_> = reader
        .failures()?
        .into_iter()
        .filter(|failure| failure.stage != stage::DECODE && wanted.contains(&failure.path))
        .collect();
    match unread.first() {
        None => Ok(()),
        Some(first) => Err(Error::StoredUnreadable {
            count: unread.len(),
            path: first.path.clone(),
            reason: first.reason.clone(),
        }),
    }
}
