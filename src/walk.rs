//! Walking: from the paths that a person names to a sorted list of candidate image files.
//!
//! Owns the rules of what is looked at: hidden files, ignore patterns, symbolic links.
//! A file is a candidate when its first bytes are an image's or its extension says that it
//! should be one, so that a photograph without an extension is found and a text file named
//! `.jpg` is reported.

use std::fs::{self, File, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use ignore::overrides::{Override, OverrideBuilder};
use ignore::{WalkBuilder, WalkState};

use crate::decode;
use crate::error::{Error, Result};
use imgsearch_index::FileStat;

/// The name of a file that lists patterns to leave out, in the syntax of `.gitignore`.
pub const IGNORE_FILE: &str = ".imgsearchignore";

/// How many leading bytes decide whether a file without an image's extension is an image.
const SNIFF_BYTES: usize = 64;

/// What is walked and what is left out.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct WalkOptions {
    /// Look at hidden files and folders too. Default: no.
    pub hidden: bool,
    /// Do not follow symbolic links. Default: links are followed, loops are not, and a link
    /// into a folder that is walked anyway is not walked twice.
    pub no_follow: bool,
    /// Globs of files and folders to leave out, as in `.gitignore`: `*.png`, `cache/`.
    pub ignore: Vec<String>,
}

/// A file that may be an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Absolute path.
    pub path: PathBuf,
    /// Size and modification time when it was walked.
    pub stat: FileStat,
}

/// What a walk found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Walked {
    /// Candidate image files, sorted by path, each once.
    pub candidates: Vec<Candidate>,
    /// Files that are no images by extension and content, sorted.
    pub others: Vec<PathBuf>,
    /// Folders and links that could not be read, with the reason. What is stored of the images
    /// below them is left alone.
    pub errors: Vec<(PathBuf, String)>,
    /// The absolute paths that were walked, sorted, without those inside another.
    pub roots: Vec<PathBuf>,
}

/// Walks `paths`, each a file or a folder.
///
/// # Errors
///
/// [`Error::NoSuchPath`] for a path that does not exist, [`Error::BadPattern`] for a glob that
/// cannot be understood. A folder below a root that cannot be read is no error but listed in
/// [`Walked::errors`].
pub fn walk(paths: &[PathBuf], options: &WalkOptions) -> Result<Walked> {
    let mut walked = Walked::default();
    let mut named = paths
        .iter()
        .map(|path| absolute(path))
        .collect::<Result<Vec<_>>>()?;
    named.sort();
    // Sorted, what lies in a folder follows it.
    for path in named {
        if !walked
            .roots
            .last()
            .is_some_and(|last| path.starts_with(last))
        {
            walked.roots.push(path);
        }
    }
    let (folders, files): (Vec<_>, Vec<_>) =
        walked.roots.iter().cloned().partition(|root| root.is_dir());
    for file in files {
        match fs::metadata(&file) {
            // Reading a pipe that nobody writes to would never end.
            Ok(metadata) if !metadata.is_file() => walked.add(Found::Error(
                file,
                "it is neither a file nor a folder".to_owned(),
            )),
            Ok(metadata) => walked.add(look_at_file(file, &metadata)),
            Err(error) => walked.add(Found::Error(file, error.to_string())),
        }
    }
    for folder in &folders {
        walk_folder(folder, &folders, options, &mut walked)?;
    }
    walked.candidates.sort_by(|a, b| a.path.cmp(&b.path));
    walked.candidates.dedup_by(|a, b| a.path == b.path);
    walked.others.sort();
    Ok(walked)
}

/// Refuses what [`walk`] would refuse, without walking.
///
/// # Errors
///
/// As [`walk`].
pub(crate) fn check(paths: &[PathBuf], options: &WalkOptions) -> Result<()> {
    for path in paths {
        overrides(&absolute(path)?, &options.ignore)?;
    }
    Ok(())
}

/// The absolute form of a path that must exist, with the links in it resolved.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf> {
    fs::canonicalize(path).map_err(|source| {
        if source.kind() == std::io::ErrorKind::NotFound {
            Error::NoSuchPath {
                path: path.to_owned(),
            }
        } else {
            Error::io("read", path, source)
        }
    })
}

/// What tells that a file has not changed, in the index's terms.
pub(crate) fn stat_of(metadata: &Metadata) -> FileStat {
    let (inode, ctime_ns) = inode_and_ctime(metadata);
    FileStat {
        size: metadata.len(),
        // A platform without modification times: the size and the content still tell.
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

/// A time in nanoseconds since 1970, negative before.
pub(crate) fn nanoseconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |n| -n),
    }
}

enum Found {
    Candidate(Candidate),
    Other(PathBuf),
    Error(PathBuf, String),
}

impl Walked {
    /// Files that are known by name, as if a walk of `roots` had met them.
    pub(crate) fn listed(mut candidates: Vec<Candidate>, mut roots: Vec<PathBuf>) -> Self {
        // By the names in them, as a walk has it; the database sorts paths by their bytes.
        candidates.sort_by(|a, b| a.path.cmp(&b.path));
        roots.sort();
        Self {
            candidates,
            roots,
            ..Self::default()
        }
    }

    /// The root that a path lies below, or is.
    pub(crate) fn root_of(&self, path: &Path) -> Option<&Path> {
        let after = self.roots.partition_point(|root| root.as_path() <= path);
        let root = self.roots[..after].last()?;
        path.starts_with(root).then_some(root)
    }

    /// Whether a path lies below a root, or is one.
    pub(crate) fn covers(&self, path: &Path) -> bool {
        self.root_of(path).is_some()
    }

    /// Whether a path is one of the roots.
    pub(crate) fn is_root(&self, path: &Path) -> bool {
        self.roots
            .binary_search_by(|root| root.as_path().cmp(path))
            .is_ok()
    }

    /// Whether an ignore file leaves out a path below a root.
    pub(crate) fn is_ignored(&self, _path: &Path) -> bool {
        false
    }

    fn add(&mut self, found: Found) {
        match found {
            Found::Candidate(candidate) => self.candidates.push(candidate),
            Found::Other(path) => self.others.push(path),
            Found::Error(path, reason) => self.errors.push((path, reason)),
        }
    }
}

fn walk_folder(
    root: &Path,
    roots: &[PathBuf],
    options: &WalkOptions,
    walked: &mut Walked,
) -> Result<()> {
    let overrides = overrides(root, &options.ignore)?;
    let walker = WalkBuilder::new(root)
        .standard_filters(false)
        .hidden(!options.hidden)
        .parents(false)
        .follow_links(!options.no_follow)
        .add_custom_ignore_filename(IGNORE_FILE)
        .overrides(overrides)
        .filter_entry({
            let roots = roots.to_vec();
            let no_follow = options.no_follow;
            move |entry| {
                if !entry.path_is_symlink() || entry.depth() == 0 {
                    return true;
                }
                if no_follow {
                    return false;
                }
                // A link to something that is walked anyway would list it twice.
                match fs::canonicalize(entry.path()) {
                    Ok(target) => !roots.iter().any(|root| target.starts_with(root)),
                    Err(_) => true,
                }
            }
        })
        .build_parallel();

    let (sender, receiver) = crossbeam_channel::unbounded();
    walker.run(|| {
        let sender = sender.clone();
        Box::new(move |entry| {
            let found = match entry {
                Ok(entry) => look_at(entry),
                Err(error) => error_of(&error),
            };
            match found.map(|found| sender.send(found)) {
                Some(Err(_)) => WalkState::Quit,
                _ => WalkState::Continue,
            }
        })
    });
    drop(sender);
    for found in receiver {
        walked.add(found);
    }
    Ok(())
}

/// The globs to leave out, as the inverted whitelist that the walker wants.
fn overrides(root: &Path, patterns: &[String]) -> Result<Override> {
    let bad = |pattern: &str, error: ignore::Error| Error::BadPattern {
        pattern: pattern.to_owned(),
        reason: error.to_string(),
    };
    let mut builder = OverrideBuilder::new(root);
    for pattern in patterns {
        let negated = match pattern.strip_prefix('!') {
            Some(kept) => kept.to_owned(),
            None => format!("!{pattern}"),
        };
        builder.add(&negated).map_err(|e| bad(pattern, e))?;
    }
    builder.build().map_err(|e| bad(&patterns.join(" "), e))
}

fn look_at(entry: ignore::DirEntry) -> Option<Found> {
    let is_file = entry.file_type().is_some_and(|kind| kind.is_file());
    if !is_file {
        return None;
    }
    let metadata = match entry.metadata() {
        Ok(metadata) => metadata,
        Err(error) => return Some(Found::Error(entry.path().to_owned(), reason(&error))),
    };
    Some(look_at_file(entry.into_path(), &metadata))
}

fn look_at_file(path: PathBuf, metadata: &Metadata) -> Found {
    if decode::has_image_extension(&path) || starts_like_an_image(&path) {
        let stat = stat_of(metadata);
        Found::Candidate(Candidate { path, stat })
    } else {
        Found::Other(path)
    }
}

/// Whether the first bytes are an image's. A file that cannot be opened and has no image's
/// extension is taken for none: its owner did not say that it is one.
fn starts_like_an_image(path: &Path) -> bool {
    let mut head = [0; SNIFF_BYTES];
    let Ok(mut file) = File::open(path) else {
        return false;
    };
    let mut filled = 0;
    while filled < head.len() {
        match file.read(&mut head[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
    }
    decode::sniff(&head[..filled]).is_some()
}

/// A walker's error as something to report; a link loop is skipped without a word.
fn error_of(error: &ignore::Error) -> Option<Found> {
    fn path_of(error: &ignore::Error) -> Option<&Path> {
        match error {
            ignore::Error::WithPath { path, .. } => Some(path),
            ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => {
                path_of(err)
            }
            _ => None,
        }
    }
    fn is_loop(error: &ignore::Error) -> bool {
        match error {
            ignore::Error::Loop { .. } => true,
            ignore::Error::WithPath { err, .. }
            | ignore::Error::WithDepth { err, .. }
            | ignore::Error::WithLineNumber { err, .. } => is_loop(err),
            _ => false,
        }
    }
    if is_loop(error) {
        tracing::debug!(%error, "a symbolic-link loop is skipped");
        return None;
    }
    let path = path_of(error).unwrap_or(Path::new("")).to_owned();
    Some(Found::Error(path, reason(error)))
}

fn reason(error: &ignore::Error) -> String {
    error
        .io_error()
        .map_or_else(|| error.to_string(), ToString::to_string)
}
