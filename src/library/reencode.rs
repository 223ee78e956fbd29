//! Encoding every stored image again, with another encoder or the same.
//!
//! The new index grows in a temporary folder and takes the place of the old one in one transaction once it has
//! every image. Until then the old index answers queries, and it stays if the run fails. An interrupted run leaves
//! the temporary folder, and the next run with the same encoder resumes from it.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use imgsearch_index::{Change, EncoderRecord, FoldOptions, Image, Index, Reader, Writer};

use crate::encode::engine::Engine;
use crate::error::{Error, Result};
use crate::groups::foreign;
use crate::indexing::adapting::{ADAPTED, Known};
use crate::indexing::forget::{Evidence, Fate, is_missing};
use crate::indexing::report::Forgetting;
use crate::indexing::walk::{Candidate, Walked, stat_of};
use crate::indexing::{self, Folding, IndexOptions, Setup, Summary};
use crate::library::{encoder_copy, resemblance};
use crate::progress::Progress;

/// The folder inside an index in which the new one grows.
const FOLDER: &str = "reencode";

/// Returns whether a run in the index in `dir` started and did not finish.
pub fn is_unfinished(dir: &Path) -> bool {
    Index::lies_in(dir.join(FOLDER))
}

/// Encodes all stored images again. See [`crate::Indexer::reencode`].
///
/// # Errors
///
/// As [`crate::Indexer::reencode`].
pub fn run(
    dir: &Path,
    engine: &Engine,
    options: &IndexOptions,
    progress: &dyn Progress,
) -> Result<Summary> {
    // Holds the lock, so that nobody writes to the old index meanwhile.
    let mut old = Writer::open_existing(dir)?;
    let reader = old.reader()?;
    let stored = inspect(reader.all()?)?;
    stored.check(&reader, options, progress)?;
    let roots = reader.last_run()?.map_or_else(Vec::new, |run| run.roots);
    drop(reader);
    if !stored.gone.is_empty() {
        progress.note(&format!(
            "{} stored images are left out, because their files are gone",
            stored.gone.len()
        ));
    }

    let temp = dir.join(FOLDER);
    let mut writer = open_temporary(&temp, &engine.record(), progress)?;
    let wanted: HashSet<PathBuf> = stored
        .there
        .iter()
        .map(|candidate| candidate.path.clone())
        .collect();
    forget_all_but(&mut writer, &wanted)?;
    forget_retryable_failures(&mut writer)?;
    let walked = Walked::listed(stored.there, roots);
    let setup = Setup {
        engine,
        options,
        folding: Folding::Never,
        adapting: None,
        within: None,
    };
    let summary = indexing::run(&mut writer, &walked, &setup, progress)?;
    if summary.interrupted {
        return Ok(summary);
    }
    require_all_read(&writer.reader()?, &wanted)?;
    encoder_copy::store(dir, engine.file())?;
    old.replace_with(writer)?;
    // An encoder of the collection: a later run says when the collection has grown.
    if engine.info().name.ends_with(ADAPTED) {
        Known::trained(&mut old, wanted.len())?;
    }
    if old.dropped_from_trash() > 0 {
        progress.note(&format!(
            "{} removed images cannot be restored any more: the new encoder has no codes of them",
            old.dropped_from_trash()
        ));
    }
    let folded = indexing::fold(&mut old, &FoldOptions::default(), progress);
    indexing::report_folding(folded, progress);
    resemblance::update_or_say(&mut old, progress);
    foreign::update_or_say(&mut old, progress);
    encoder_copy::remove_others(dir, engine.info())?;
    delete(&temp, progress)?;
    Ok(summary)
}

/// The stored images, as their files are now.
struct Stored {
    there: Vec<Candidate>,
    /// Files that have not changed since they were stored.
    unchanged: Vec<PathBuf>,
    /// Each with whether its file was missing before, together with its disk or folder.
    gone: Vec<(PathBuf, bool)>,
}

/// Examines every file.
///
/// # Errors
///
/// If the system does not say whether a file exists: such a file does not count as gone.
fn inspect(images: Vec<Image>) -> Result<Stored> {
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
                    over_limit: false,
                });
            }
        }
    }
    Ok(stored)
}

impl Stored {
    /// Returns an error if the new index would lose images that may only be out of reach, or many without
    /// confirmation.
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
        let mut evidence = Evidence::new(reader, &walked, reader.roots()?)?;
        for image in &self.unchanged {
            evidence.met(image);
        }
        let mut doubts: BTreeMap<PathBuf, usize> = BTreeMap::new();
        for (path, away) in &self.gone {
            match evidence.fate(path, *away) {
                Fate::OutOfSight(doubt) => *doubts.entry(doubt.folder).or_default() += 1,
                // A link whose target is missing.
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

/// Opens the new index: the one that an interrupted run left, if the same encoder made it.
fn open_temporary(temp: &Path, record: &EncoderRecord, progress: &dyn Progress) -> Result<Writer> {
    if temp.is_symlink() {
        // It may lead to somebody's index, which would lose its images.
        let source = io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is a link, which is not followed; remove it",
        );
        return Err(Error::io("write to", temp, source));
    }
    let is_resumed = Index::lies_in(temp);
    if temp.exists() && !is_index_only(temp)? {
        return Err(Error::NotOurs {
            path: temp.to_owned(),
        });
    }
    match Writer::open(temp, record) {
        Ok(writer) => {
            if is_resumed {
                progress.note("resuming from where an earlier run was interrupted");
            }
            Ok(writer)
        }
        // If somebody uses it or the disk fails, it is not deleted.
        Err(
            error @ (imgsearch_index::Error::Locked { .. } | imgsearch_index::Error::Io { .. }),
        ) => Err(error.into()),
        Err(error) => {
            delete(temp, progress)?;
            progress.note(&format!(
                "an earlier re-encoding that was interrupted starts again: {}",
                error.to_string().lines().next().unwrap_or_default()
            ));
            Ok(Writer::open(temp, record)?)
        }
    }
}

/// Deletes the new index. Other files in its folder belong to the user and stay.
fn delete(temp: &Path, progress: &dyn Progress) -> Result<()> {
    let left = Index::delete(temp)?;
    if let Some(first) = left.first() {
        progress.note(&format!(
            "{} stays, because it holds files that are not part of the index, such as {}",
            temp.display(),
            first.display()
        ));
    }
    Ok(())
}

/// Returns whether a folder holds nothing but parts of an index. This is checked before anything is encoded, not
/// hours later.
fn is_index_only(temp: &Path) -> Result<bool> {
    const PARTS: [&str; 4] = ["imgsearch.sqlite", "writer.lock", "segments", "encoder-"];
    let listed = || -> io::Result<bool> {
        for entry in fs::read_dir(temp)? {
            let name = entry?.file_name();
            if !PARTS
                .iter()
                .any(|part| name.as_encoded_bytes().starts_with(part.as_bytes()))
            {
                return Ok(false);
            }
        }
        Ok(true)
    };
    listed().map_err(|source| Error::io("list", temp, source))
}

/// Removes from the new index what is no longer in the old one.
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

/// Forgets failures that have other causes than the content, so that these files are tried again: every stored
/// image has to be encoded.
fn forget_retryable_failures(writer: &mut Writer) -> Result<()> {
    let failures = writer.reader()?.failures()?.into_iter();
    let again: HashSet<PathBuf> = failures
        .filter(|failure| !failure.kind.is_of_content())
        .map(|failure| failure.path)
        .collect();
    writer.forget_failures(|path| again.contains(path))?;
    Ok(())
}

/// Returns an error if the new index lacks images because their files were refused or could not be read. A file
/// that is not an image any more is left out, as in any run.
fn require_all_read(reader: &Reader, wanted: &HashSet<PathBuf>) -> Result<()> {
    let unread: Vec<_> = reader
        .failures()?
        .into_iter()
        .filter(|failure| !failure.kind.is_of_content() && wanted.contains(&failure.path))
        .collect();
    match unread.first() {
        None => Ok(()),
        Some(first) => Err(Error::StoredUnreadable {
            count: unread.len(),
            path: first.path.clone(),
            reason: first.reason.clone(),
            over_limit: first.kind.is_over_limit(),
        }),
    }
}
