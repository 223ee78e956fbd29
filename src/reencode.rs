//! Encoding every stored image again, with another encoder or the same.
//!
//! The new index grows in a folder aside and takes the old one's place in one transaction once it
//! holds every image, so the old one serves until then and stays where the run fails. What was
//! encoded by an interrupted run stays aside, and the next with the same encoder goes on from it.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use imgsearch_index::{Change, EncoderRecord, FoldOptions, Reader, Writer};

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::indexing::{self, IndexOptions, Progress, Summary, stage};
use crate::kept;
use crate::walk::{Candidate, Walked, stat_of};

/// The folder inside an index in which the new one grows.
const FOLDER: &str = "reencode";

/// Whether a run was begun in the index in `dir` and did not come to its end.
pub fn begun(dir: &Path) -> bool {
    dir.join(FOLDER).is_dir()
}

/// See [`crate::Library::reencode`].
pub fn run(
    dir: &Path,
    engine: &Engine,
    options: &IndexOptions,
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> Result<Summary> {
    // Held so that nobody writes to the old index meanwhile.
    let mut old = Writer::open_existing(dir)?;
    let reader = old.reader()?;
    let stored = look(reader.paths()?)?;
    stored.check(&reader.roots()?, options)?;
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
    let summary = indexing::run(&mut writer, engine, &walked, options, stop, progress)?;
    if summary.interrupted {
        return Ok(summary);
    }
    require_all_read(&writer.reader()?, &wanted)?;
    kept::keep(dir, engine.file())?;
    old.replace_with(writer)?;
    let folded = indexing::fold(&mut old, &FoldOptions::default(), stop, progress);
    indexing::tell_of_folding(folded, progress);
    kept::forget_others(dir, &engine.info().fingerprint)?;
    remove_folder(&aside)?;
    Ok(summary)
}

/// The stored images, as their files are now.
struct Stored {
    there: Vec<Candidate>,
    gone: Vec<PathBuf>,
}

/// Looks at every file.
///
/// # Errors
///
/// Where the system does not say whether a file is there: what cannot be looked at now is not
/// gone.
fn look(paths: Vec<PathBuf>) -> Result<Stored> {
    let mut stored = Stored {
        there: Vec::new(),
        gone: Vec::new(),
    };
    for path in paths {
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => stored.there.push(Candidate {
                path,
                stat: stat_of(&metadata),
            }),
            Ok(_) => stored.gone.push(path),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                stored.gone.push(path);
            }
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
    /// Refuses to go on where images would be dropped that may only be out of reach.
    fn check(&self, roots: &[PathBuf], options: &IndexOptions) -> Result<()> {
        let Some(first) = self.gone.first() else {
            return Ok(());
        };
        if options.keep_missing {
            return Err(Error::StoredMissing {
                count: self.gone.len(),
                path: first.clone(),
            });
        }
        let out_of_reach: Vec<(&PathBuf, &Path)> = self
            .gone
            .iter()
            .filter_map(|path| Some((path, outermost(roots, path)?)))
            .filter(|(path, root)| !shows_anything(root, path))
            .collect();
        match out_of_reach.first() {
            Some(&(_, root)) => Err(Error::OutOfReach {
                count: out_of_reach.iter().filter(|(_, of)| *of == root).count(),
                root: root.to_owned(),
            }),
            None => Ok(()),
        }
    }
}

/// The outermost of the sorted `roots` that a path lies at or below.
fn outermost<'a>(roots: &'a [PathBuf], path: &Path) -> Option<&'a Path> {
    roots
        .iter()
        .map(PathBuf::as_path)
        .find(|root| path.starts_with(root))
}

/// Whether there is something where an image was, other than the empty place of a disk that is
/// not mounted.
fn shows_anything(root: &Path, path: &Path) -> bool {
    // A file that was indexed by name: the folder around it speaks for it.
    let folder = if root == path {
        root.parent().unwrap_or(root)
    } else {
        root
    };
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}

/// The index aside: the one that an interrupted run left, where the same encoder made it.
fn open_aside(aside: &Path, record: &EncoderRecord, progress: &dyn Progress) -> Result<Writer> {
    if !aside.exists() {
        return Ok(Writer::open(aside, record)?);
    }
    match Writer::open(aside, record) {
        Ok(writer) => {
            progress.note("going on from where an earlier run was interrupted");
            Ok(writer)
        }
        Err(error) => {
            progress.note(&format!(
                "an earlier re-encoding that was interrupted is begun anew: {}",
                error.to_string().lines().next().unwrap_or_default()
            ));
            remove_folder(aside)?;
            Ok(Writer::open(aside, record)?)
        }
    }
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

fn remove_folder(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(Error::io("remove", path, source))
        }
        _ => Ok(()),
    }
}
