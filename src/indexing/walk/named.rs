//! Names: the path under which the index stores an image that is named by another path.
//!
//! Because of links, several paths may lead to one file. A walk resolves the links in the path of a root and keeps
//! the names of links below it. Indexing by name, removing and filtering by folder must agree with the walk, so all
//! three use this rule:
//!
//! 1. A path has several spellings: as given, then with its links resolved one by one from the left. The first
//!    spelling that is stored, or that images are stored below, is meant.
//! 2. If nothing is stored: the spelling under which a walk of an indexed folder would find the file, the one with
//!    the most links resolved first.
//! 3. Otherwise the spelling under which a walk of the folder around it would find it: a link at the end of the
//!    path keeps its name, unless the walk would skip it.

use std::collections::HashSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use imgsearch_index::Reader;

use super::folder::has_hidden_name;
use super::ignoring::{Ignoring, State};
use super::{Patterns, WalkOptions};
use crate::error::{Error, Result};

/// A path to walk.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Named {
    /// The path as it is stored.
    pub path: PathBuf,
    /// The path with all links resolved.
    pub real: PathBuf,
}

/// Finds the stored spelling of paths.
#[derive(Debug)]
pub(crate) struct Names<'a> {
    reader: Option<&'a Reader>,
    /// Every path that a run indexed.
    roots: HashSet<PathBuf>,
    /// Roots that are stored under the name of a link, with their real paths.
    links: Vec<(PathBuf, PathBuf)>,
}

impl<'a> Names<'a> {
    /// Creates one that knows no index.
    pub fn without_index() -> Self {
        Self {
            reader: None,
            roots: HashSet::new(),
            links: Vec::new(),
        }
    }

    /// Creates one that knows what an index holds.
    ///
    /// # Errors
    ///
    /// If the database cannot be read.
    pub fn of(reader: &'a Reader) -> Result<Self> {
        let roots = reader.roots()?;
        let links = roots
            .iter()
            .filter_map(|root| {
                let real = fs::canonicalize(root).ok()?;
                (real != *root).then(|| (root.clone(), real))
            })
            .collect();
        Ok(Self {
            reader: Some(reader),
            roots: roots.into_iter().collect(),
            links,
        })
    }

    /// Returns the stored spelling of a path, which need not exist.
    ///
    /// # Errors
    ///
    /// If the working folder cannot be determined, or the database cannot be read.
    pub fn stored(&self, path: &Path) -> Result<PathBuf> {
        let mut spellings = self.spellings(path)?;
        match self.first_stored(&spellings)? {
            Some(stored) => Ok(stored),
            None => Ok(spellings.pop().unwrap_or_else(|| path.to_owned())),
        }
    }

    /// Returns the names of paths to walk, which must exist; sorted, each once.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchPath`] if a path does not exist. If a path or the database cannot be read, its error.
    pub fn to_walk(&self, paths: &[PathBuf], options: &WalkOptions) -> Result<Vec<Named>> {
        let mut names = paths
            .iter()
            .map(|path| {
                let real = resolve(path)?;
                let path = self.to_index(path, &real, options)?;
                Ok(Named { path, real })
            })
            .collect::<Result<Vec<_>>>()?;
        names.sort();
        names.dedup();
        Ok(names)
    }

    fn to_index(&self, path: &Path, real: &Path, options: &WalkOptions) -> Result<PathBuf> {
        let spellings = self.spellings(path)?;
        if let Some(stored) = self.first_stored(&spellings)? {
            return Ok(stored);
        }
        if options.no_follow {
            return Ok(real.to_owned());
        }
        let ignoring = Ignoring::default();
        let meets = |folder: &Path, path: &Path| {
            would_meet(folder, path, real.is_dir(), &ignoring, options)
        };
        for spelling in spellings.iter().rev() {
            for root in spelling.ancestors().filter(|at| self.roots.contains(*at)) {
                if meets(root, spelling)? {
                    return Ok(spelling.clone());
                }
            }
        }
        let absolute = absolute(path)?;
        let (Some(folder), Some(name)) = (absolute.parent(), absolute.file_name()) else {
            return Ok(real.to_owned());
        };
        let folder = resolve(folder)?;
        let link = folder.join(name);
        let is_passed_over = is_loop(&link) || meets(&folder, real)?;
        Ok(if is_link(&link) && !is_passed_over {
            link
        } else {
            real.to_owned()
        })
    }

    fn first_stored(&self, spellings: &[PathBuf]) -> Result<Option<PathBuf>> {
        let Some(reader) = self.reader else {
            return Ok(None);
        };
        for spelling in spellings {
            if reader.knows_under(spelling)? {
                return Ok(Some(spelling.clone()));
            }
        }
        Ok(None)
    }

    /// Returns the spellings of a path: as given, then with its links resolved from the left, then through roots
    /// that are links, and last without any links, as far as the path exists.
    fn spellings(&self, path: &Path) -> Result<Vec<PathBuf>> {
        let absolute = absolute(path)?;
        let mut spellings = vec![absolute.clone()];
        let parts: Vec<Component<'_>> = absolute.components().collect();
        for resolved in 1..=parts.len() {
            let (head, rest) = parts.split_at(resolved);
            // Below what does not exist, there are no links.
            let Ok(head) = fs::canonicalize(head.iter().collect::<PathBuf>()) else {
                break;
            };
            let spelling: PathBuf = head.components().chain(rest.iter().copied()).collect();
            if spellings.last() != Some(&spelling) {
                spellings.push(spelling);
            }
        }
        if let Some(real) = spellings.pop() {
            spellings.extend(self.links.iter().filter_map(|(root, target)| {
                let rest = real.strip_prefix(target).ok()?;
                Some(root.components().chain(rest.components()).collect())
            }));
            spellings.push(real);
        }
        Ok(spellings)
    }
}

/// Returns an existing path with all its links resolved.
fn resolve(path: &Path) -> Result<PathBuf> {
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

/// Returns the absolute path, without `.` and `..`, with its links.
fn absolute(path: &Path) -> Result<PathBuf> {
    let absolute =
        std::path::absolute(path).map_err(|source| Error::io("resolve", path, source))?;
    let parts: Vec<Component<'_>> = absolute.components().collect();
    let Some(last_up) = parts.iter().rposition(|part| *part == Component::ParentDir) else {
        return Ok(absolute);
    };
    let (head, rest) = parts.split_at(last_up + 1);
    // After a link, `..` leads elsewhere than the text says.
    let head = match fs::canonicalize(head.iter().collect::<PathBuf>()) {
        Ok(real) => real,
        Err(_) => head.iter().fold(PathBuf::new(), |mut folder, part| {
            if *part == Component::ParentDir {
                folder.pop();
            } else {
                folder.push(part);
            }
            folder
        }),
    };
    Ok(head.components().chain(rest.iter().copied()).collect())
}

fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink())
}

/// Returns whether a path is a link to a folder that contains it, which no walk follows.
fn is_loop(path: &Path) -> bool {
    is_link(path)
        && path
            .parent()
            .and_then(|folder| Some((fs::canonicalize(folder).ok()?, fs::canonicalize(path).ok()?)))
            .is_some_and(|(folder, target)| folder.starts_with(target))
}

/// Returns whether a walk of a folder would find a path in or below it, judging by the names in between.
fn would_meet(
    folder: &Path,
    path: &Path,
    is_dir: bool,
    ignoring: &Ignoring,
    options: &WalkOptions,
) -> Result<bool> {
    let Ok(rest) = path.strip_prefix(folder) else {
        return Ok(false);
    };
    let hidden = !options.hidden && rest.iter().any(has_hidden_name);
    if hidden || !matches!(ignoring.above(path, is_dir), State::Open(_)) {
        return Ok(false);
    }
    let patterns = Patterns::new(folder, &options.ignore)?;
    Ok(path
        .ancestors()
        .take_while(|above| *above != folder)
        .all(|above| !is_loop(above) && !patterns.leave_out(above, is_dir || above != path)))
}
