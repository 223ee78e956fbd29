//! Walking: from named paths to a sorted list of candidate image files.
//!
//! Owns which files are examined: hidden files, ignore files and patterns ([`ignoring`], [`patterns`]), symbolic
//! links ([`links`]), and under which path an image is stored ([`named`]). A file is a candidate if its first bytes
//! are those of an image or its extension is ([`look`]). So an image without an extension is found, and a text file
//! named `.jpg` is reported.

mod folder;
mod ignoring;
mod links;
mod look;
mod named;
mod patterns;
#[cfg(test)]
mod tests;
#[cfg(feature = "watch")]
mod within;

use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::Result;
use ignoring::{Ignoring, State};
use imgsearch_index::FileStat;
use links::Walk;
use look::{Seen, look_at};
pub(crate) use named::{Named, Names};
use patterns::Patterns;
#[cfg(feature = "watch")]
pub(crate) use within::{Part, walk_within};

/// The name of a file that lists patterns to leave out, in the syntax of `.gitignore`.
pub const IGNORE_FILE: &str = ".imgsearchignore";

/// Options of a walk.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct WalkOptions {
    /// Include hidden files and folders, and those that systems and photo programs make for themselves, such as
    /// `@eaDir`, `$RECYCLE.BIN`, `__MACOSX` and `lost+found`. Default: no.
    pub hidden: bool,
    /// Do not follow symbolic links. Default: links are followed, except loops and links to what is walked under
    /// its own name.
    pub no_follow: bool,
    /// Globs of files and folders to leave out, as in `.gitignore`: `*.png`, `cache/`. The last match decides;
    /// `!keep.png` takes back the globs before it.
    pub ignore: Vec<String>,
}

/// A file that may be an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The absolute path.
    pub path: PathBuf,
    /// Size, dates and inode number when it was walked.
    pub stat: FileStat,
}

/// The result of a walk.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Walked {
    /// Candidate image files, sorted by path, each once.
    pub candidates: Vec<Candidate>,
    /// Files that are not images by extension or content, sorted.
    pub others: Vec<PathBuf>,
    /// Folders, links and files that could not be read, with the reason, sorted. Stored images in and below them
    /// are left alone.
    pub errors: Vec<(PathBuf, String)>,
    /// The absolute paths that were walked, sorted, without those inside another.
    pub roots: Vec<PathBuf>,
    /// Named paths that an ignore file leaves out, sorted.
    pub left_out: Vec<PathBuf>,
    /// The folders that were walked, each under the path that its files are found under, sorted.
    pub folders: Vec<PathBuf>,
    /// Real paths of candidates below a followed link to a folder.
    behind_links: HashSet<PathBuf>,
    /// The ignore files that the walk used; `None` if nothing was walked.
    ignoring: Option<Ignoring>,
}

/// Walks `paths`, each a file or a folder. What cannot be read below a root is not an error:
/// [`Walked::errors`] lists it.
///
/// # Errors
///
/// [`Error::NoSuchPath`](crate::Error::NoSuchPath) if a path does not exist, and
/// [`Error::BadPattern`](crate::Error::BadPattern) if a glob is invalid.
pub fn walk(paths: &[PathBuf], options: &WalkOptions) -> Result<Walked> {
    walk_named(Names::without_index().to_walk(paths, options)?, options)
}

/// Returns the errors that [`walk`] would return, without walking.
///
/// # Errors
///
/// As [`walk`].
pub(crate) fn check(paths: &[PathBuf], options: &WalkOptions) -> Result<()> {
    Names::without_index().to_walk(paths, options)?;
    // Whether a pattern is valid does not depend on the folder.
    Patterns::new(Path::new(""), &options.ignore)?;
    Ok(())
}

/// Walks paths whose names in the index are known.
///
/// # Errors
///
/// [`Error::BadPattern`](crate::Error::BadPattern) if a glob is invalid.
pub(crate) fn walk_named(names: Vec<Named>, options: &WalkOptions) -> Result<Walked> {
    let mut walked = Walked::default();
    let ignoring = Ignoring::default();
    let mut walk = Walk::new(options, &ignoring);
    // Sorted: the content of a folder comes after the folder.
    for Named { path, real } in names {
        if !walked.covers(&path) {
            walked.roots.push(path.clone());
        }
        let metadata = match fs::metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) => {
                walked.errors.push((path, error.to_string()));
                continue;
            }
        };
        let rules = match ignoring.above(&path, metadata.is_dir()) {
            State::Open(rules) => rules,
            State::LeftOut => {
                walked.left_out.push(path);
                continue;
            }
            State::Closed(closed) => {
                let error = (closed.folder.clone(), closed.reason.clone());
                walked.errors.push(error);
                continue;
            }
        };
        let is_linked = path != real;
        if metadata.is_dir() {
            let patterns = Arc::new(Patterns::new(&path, &options.ignore)?);
            if is_linked {
                walk.linked_folder(path, real, rules, patterns);
            } else {
                walk.real_folder(&path, &rules, &patterns, &mut walked);
            }
        } else if !metadata.is_file() {
            // Reading a pipe without a writer would never end.
            let reason = "it is neither a file nor a folder".to_owned();
            walked.errors.push((path, reason));
        } else if !leaves_out(&path, options)?
            && let Some(seen) = look_at(path.clone(), &metadata)
        {
            if is_linked {
                walk.linked_file(path, real, seen);
            } else {
                walked.add(seen);
            }
        }
    }
    walk.follow_links(&mut walked);
    walked.ignoring = Some(ignoring);
    Ok(walked)
}

/// Returns whether a pattern of the run leaves out a named file. A shell's `*` may name many files.
fn leaves_out(file: &Path, options: &WalkOptions) -> Result<bool> {
    if options.ignore.is_empty() {
        return Ok(false);
    }
    let folder = file.parent().unwrap_or(file);
    Ok(Patterns::new(folder, &options.ignore)?.leave_out(file, false))
}

/// Returns what shows that a file has not changed, in the index's terms.
pub(crate) fn stat_of(metadata: &Metadata) -> FileStat {
    let (inode, ctime_ns) = inode_and_ctime(metadata);
    FileStat {
        size: metadata.len(),
        // On a platform without modification times, size and content decide.
        mtime_ns: metadata.modified().map_or(0, nanoseconds),
        inode,
        ctime_ns,
    }
}

#[cfg(unix)]
fn inode_and_ctime(metadata: &Metadata) -> (u64, i64) {
    use std::os::unix::fs::MetadataExt;
    let ctime = metadata
        .ctime()
        .saturating_mul(1_000_000_000)
        .saturating_add(metadata.ctime_nsec());
    (metadata.ino(), ctime)
}

#[cfg(not(unix))]
fn inode_and_ctime(_: &Metadata) -> (u64, i64) {
    (0, 0)
}

/// Returns a time in nanoseconds since 1970, negative before.
pub(crate) fn nanoseconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |n| -n),
    }
}

impl Walked {
    /// Returns known files as if a walk of `roots` had found them.
    pub(crate) fn listed(mut candidates: Vec<Candidate>, mut roots: Vec<PathBuf>) -> Self {
        // Sorted by path components, as a walk does; the database sorts paths by bytes.
        candidates.sort_by(|a, b| a.path.cmp(&b.path));
        roots.sort();
        Self {
            candidates,
            roots,
            ..Self::default()
        }
    }

    /// Returns the root that a path is or lies below.
    pub(crate) fn root_of(&self, path: &Path) -> Option<&Path> {
        let after = self.roots.partition_point(|root| root.as_path() <= path);
        let root = self.roots[..after].last()?;
        path.starts_with(root).then_some(root)
    }

    /// Returns whether a path is or lies below a root.
    pub(crate) fn covers(&self, path: &Path) -> bool {
        self.root_of(path).is_some()
    }

    /// Returns whether an ignore file leaves out a file that is or lies below a root, even if the walk did not
    /// reach its folder. [`WalkOptions::ignore`] and hidden files do not count, nor does anything below an unusable
    /// ignore file.
    pub(crate) fn is_ignored(&self, path: &Path) -> bool {
        self.covers(path)
            && self
                .ignoring
                .as_ref()
                .is_some_and(|ignoring| matches!(ignoring.above(path, false), State::LeftOut))
    }

    /// Returns whether a path is another name of an image that the walk found: it leads there through a link that
    /// was not followed. An image under this path is stored twice.
    pub(crate) fn is_second_name(&self, path: &Path) -> bool {
        fs::canonicalize(path).is_ok_and(|real| real != path && self.has_real(&real))
    }

    /// Returns whether a candidate has this real path.
    fn has_real(&self, real: &Path) -> bool {
        self.behind_links.contains(real)
            || self
                .candidates
                .binary_search_by(|candidate| candidate.path.as_path().cmp(real))
                .is_ok()
    }

    fn add(&mut self, seen: Seen) {
        match seen {
            Seen::Candidate(candidate) => self.candidates.push(candidate),
            Seen::Other(path) => self.others.push(path),
            Seen::Unreadable(path, reason) => self.errors.push((path, reason)),
        }
    }

    fn sort(&mut self) {
        self.candidates.sort_by(|a, b| a.path.cmp(&b.path));
        self.candidates.dedup_by(|a, b| a.path == b.path);
        self.others.sort();
        self.others.dedup();
        self.errors.sort();
        self.errors.dedup();
        self.folders.sort();
    }
}
