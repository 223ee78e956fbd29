//! The watched files and folders, and which of them are there.
//!
//! A folder that is not there may be on a disk that comes back. Until then nothing is decided about its images.

use std::fs;
use std::path::{Path, PathBuf};

use imgsearch_index::Reader;

use crate::error::{Error, Result};
use crate::indexing::forget::is_missing;
use crate::indexing::walk::{self, Named, Names, WalkOptions};
use crate::indexing::watch::Outermost;
use crate::library::Library;

#[derive(Debug)]
struct Root {
    named: Named,
    is_file: bool,
    is_away: bool,
}

/// The watched files and folders.
#[derive(Debug)]
pub(super) struct Roots {
    /// Sorted.
    all: Vec<Root>,
    outermost: Outermost,
}

/// What a look at the roots showed.
#[derive(Debug, Default)]
pub(super) struct Changed {
    pub vanished: Vec<PathBuf>,
    pub returned: Vec<PathBuf>,
}

impl Roots {
    /// Names the given paths, which must exist, or those that the index covers.
    pub fn of(library: &Library, paths: &[PathBuf], options: &WalkOptions) -> Result<Self> {
        walk::check(paths, options)?;
        let named = if paths.is_empty() {
            let covered = library.indexed_roots()?;
            covered.into_iter().map(resolved).collect()
        } else {
            match Reader::open(library.dir()) {
                Ok(reader) => Names::of(&reader)?.to_walk(paths, options)?,
                Err(imgsearch_index::Error::IndexNotFound { .. }) => {
                    Names::without_index().to_walk(paths, options)?
                }
                Err(error) => return Err(error.into()),
            }
        };
        if named.is_empty() {
            return Err(Error::NothingToWatch);
        }
        Ok(Self::named(named))
    }

    fn named(named: Vec<Named>) -> Self {
        let outermost = Outermost::of(named.iter().map(|named| named.path.clone()));
        let root = |named: Named| Root {
            is_file: named.path.is_file(),
            is_away: false,
            named,
        };
        Self {
            all: named.into_iter().map(root).collect(),
            outermost,
        }
    }

    /// Looks which roots vanished, and which are back.
    pub fn look(&mut self) -> Changed {
        let mut changed = Changed::default();
        for root in &mut self.all {
            let path = root.named.path.clone();
            let is_gone =
                matches!(fs::metadata(&path), Err(error) if is_missing(&error)) && !root.is_file;
            if is_gone == root.is_away {
                continue;
            }
            root.is_away = is_gone;
            if is_gone {
                changed.vanished.push(path);
            } else {
                root.is_file = path.is_file();
                root.named = resolved(path.clone());
                changed.returned.push(path);
            }
        }
        changed
    }

    /// Returns whether any root is missing.
    pub fn any_away(&self) -> bool {
        self.all.iter().any(|root| root.is_away)
    }

    /// Returns whether a path lies in a root that is missing.
    pub fn is_away(&self, path: &Path) -> bool {
        let mut away = self.all.iter().filter(|root| root.is_away);
        away.any(|root| path.starts_with(&root.named.path))
    }

    /// Returns the roots that are there.
    pub fn present(&self) -> Vec<Named> {
        let there = self.all.iter().filter(|root| !root.is_away);
        there.map(|root| root.named.clone()).collect()
    }

    /// Returns the folders that hold roots that are files.
    pub fn holders(&self) -> impl Iterator<Item = &Path> {
        let files = self.all.iter().filter(|root| root.is_file);
        files.filter_map(|root| root.named.path.parent())
    }

    /// Returns the roots that lie in no other.
    pub fn outermost(&self) -> &Outermost {
        &self.outermost
    }

    /// Returns each root and its real path.
    #[cfg(target_os = "linux")]
    pub fn pairs(&self) -> Vec<(PathBuf, PathBuf)> {
        let pair = |root: &Root| (root.named.path.clone(), root.named.real.clone());
        self.all.iter().map(pair).collect()
    }
}

/// Returns a stored path with its real path, as far as there is one.
fn resolved(path: PathBuf) -> Named {
    let real = fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
    Named { path, real }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_away_until_it_is_back_and_a_deleted_file_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        let (folder, file) = (base.join("folder"), base.join("x.jpg"));
        fs::create_dir(&folder).unwrap();
        fs::write(&file, "x").unwrap();
        let named = [&file, &folder].map(|path| resolved(path.clone()));
        let mut roots = Roots::named(named.to_vec());
        assert!(roots.look().vanished.is_empty());
        assert_eq!(roots.holders().collect::<Vec<_>>(), [base.as_path()]);
        fs::rename(&folder, base.join("elsewhere")).unwrap();
        fs::remove_file(&file).unwrap();
        assert_eq!(roots.look().vanished, std::slice::from_ref(&folder));
        assert!(roots.any_away() && roots.is_away(&folder.join("a")) && !roots.is_away(&file));
        assert_eq!(roots.present().len(), 1);
        assert!(roots.look().vanished.is_empty(), "it is told once");
        fs::rename(base.join("elsewhere"), &folder).unwrap();
        assert_eq!(roots.look().returned, [folder]);
        assert!(!roots.any_away());
    }
}
