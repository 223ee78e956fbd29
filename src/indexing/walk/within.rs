//! Walking a part of indexed folders: the files and folders of which the system says that they changed.
//!
//! The result is what a walk of the whole roots would find at and below these paths. A symbolic link among them
//! may change what is found elsewhere, because a file is found only once: then there is no result, and the roots
//! have to be walked.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::folder::{Found, Tree};
use super::ignoring::{Ignoring, Rules, State};
use super::look::look_at;
use super::{Named, Patterns, WalkOptions, Walked, leaves_out};
use crate::error::Result;
use crate::indexing::forget::is_missing;

/// A part of indexed folders.
pub(crate) struct Part<'a> {
    /// What is indexed, sorted.
    pub roots: &'a [Named],
    /// Paths at and below the roots, spelled as a walk of the roots finds them. They need not exist.
    pub paths: &'a [PathBuf],
    /// Returns whether a walk of the roots found a folder under this path.
    pub knows: &'a dyn Fn(&Path) -> bool,
}

/// What stands at a path.
enum There {
    Nothing,
    /// A file or a folder, with its state: rules, or why it is not walked.
    Real(fs::Metadata, State),
    /// A link that a walk would examine.
    Link,
}

/// Walks a part of indexed folders. [`Walked::roots`] are its paths. Returns `None` if the whole roots have to be
/// walked.
///
/// # Errors
///
/// [`Error::BadPattern`](crate::Error::BadPattern) if a glob is invalid.
pub(crate) fn walk_within(part: &Part<'_>, options: &WalkOptions) -> Result<Option<Walked>> {
    let mut walked = Walked::default();
    let (ignoring, none) = (Ignoring::default(), HashSet::new());
    let mut patterns = Vec::with_capacity(part.roots.len());
    for root in part.roots {
        patterns.push(Patterns::new(&root.path, &options.ignore)?);
    }
    let tree = |root: usize| Tree {
        path: &part.roots[root].path,
        real: &part.roots[root].real,
        options,
        patterns: &patterns[root],
        ignoring: &ignoring,
        walked: &none,
    };
    let mut paths: Vec<&PathBuf> = part.paths.iter().collect();
    paths.sort();
    for path in paths {
        if walked.covers(path) {
            continue;
        }
        walked.roots.push(path.clone());
        let above = |root: &usize| path.starts_with(&part.roots[*root].path);
        for root in (0..part.roots.len()).filter(above) {
            match at(path, &tree(root), part) {
                Ok(There::Nothing) => break,
                Ok(There::Link) => return Ok(None),
                Ok(There::Real(_, State::LeftOut)) => {}
                Ok(There::Real(_, State::Closed(closed))) => {
                    let error = (closed.folder.clone(), closed.reason.clone());
                    walked.errors.push(error);
                }
                Ok(There::Real(metadata, State::Open(rules))) => {
                    if !add(path, &metadata, &rules, &tree(root), &mut walked)? {
                        return Ok(None);
                    }
                    break;
                }
                Err(error) => {
                    walked.errors.push((path.clone(), error.to_string()));
                    break;
                }
            }
        }
    }
    walked.sort();
    walked.ignoring = Some(ignoring);
    Ok(Some(walked))
}

/// Adds what stands at a path in the tree of a root. Returns false if there is a link.
fn add(
    path: &Path,
    metadata: &fs::Metadata,
    rules: &Rules,
    root: &Tree<'_>,
    walked: &mut Walked,
) -> Result<bool> {
    if metadata.is_file() {
        if path != root.path || !leaves_out(path, root.options)? {
            let seen = look_at(path.to_owned(), metadata);
            seen.into_iter().for_each(|seen| walked.add(seen));
        }
    } else if metadata.is_dir() {
        let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let tree = Tree {
            path,
            real: &real,
            ..*root
        };
        for found in tree.walk(rules) {
            match found {
                Found::Folder { path, .. } => walked.folders.push(path),
                Found::File(seen) => walked.add(seen),
                Found::Unreadable(path, reason) => walked.errors.push((path, reason)),
                Found::Link(_) => return Ok(false),
            }
        }
    }
    Ok(true)
}

/// Examines a path in the tree of a root.
fn at(path: &Path, root: &Tree<'_>, part: &Part<'_>) -> std::io::Result<There> {
    let is_root = path == root.path;
    let looked = if is_root {
        fs::metadata(path)
    } else {
        fs::symlink_metadata(path)
    };
    let metadata = match looked {
        Ok(metadata) => metadata,
        Err(error) if is_missing(&error) => return Ok(There::Nothing),
        Err(error) => return Err(error),
    };
    if is_root {
        // The file of a root that is a link may be found under another name.
        if metadata.is_file() && root.path != root.real {
            return Ok(There::Link);
        }
        let state = root.ignoring.above(path, metadata.is_dir());
        return Ok(There::Real(metadata, state));
    }
    // A link counts as a folder if it leads to one.
    let is_dir = metadata.is_dir() || (metadata.is_symlink() && path.is_dir());
    let state = root.way_to(path, is_dir);
    let parent = path.parent().unwrap_or(path);
    let is_plain = !metadata.is_symlink()
        && ((part.knows)(parent) || fs::canonicalize(parent)? == root.real(parent));
    Ok(if is_plain || matches!(state, State::LeftOut) {
        There::Real(metadata, state)
    } else if root.options.no_follow {
        There::Real(metadata, State::LeftOut)
    } else {
        There::Link
    })
}

#[cfg(test)]
mod tests {
    use std::slice;

    use super::*;
    use crate::indexing::walk::{Names, walk_named};

    /// Creates a folder with files, each of which would be an image.
    fn tree(files: &[&str]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap().join("photos");
        for name in files {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        (dir, root)
    }

    /// Walks a part of a root of which every folder is known.
    fn part(root: &Path, paths: &[PathBuf], options: &WalkOptions) -> Option<Walked> {
        let roots = Names::without_index()
            .to_walk(&[root.to_owned()], options)
            .unwrap();
        let part = Part {
            roots: &roots,
            paths,
            knows: &|_| false,
        };
        walk_within(&part, options).unwrap()
    }

    #[test]
    fn each_part_is_what_a_whole_walk_finds_there() {
        let (_dir, root) = tree(&[
            "a.jpg",
            "note.txt",
            ".hidden.jpg",
            ".kept.jpg",
            ".cache/x.jpg",
            "trip/b.jpg",
            "trip/draft/c.jpg",
            "trip/private/d.jpg",
            "trip/private/deep/e.jpg",
            "sub/only/f.jpg",
            "sub/g.jpg",
            "sub/only/deep/h.png",
        ]);
        fs::write(root.join(".imgsearchignore"), "private/\n!.kept.jpg\n").unwrap();
        fs::write(root.join("sub/.imgsearchignore"), "g.*\n").unwrap();
        let everything: Vec<PathBuf> = walkdir(&root);
        for (hidden, ignore) in [
            (false, ""),
            (true, ""),
            (false, "trip/draft/"),
            (false, "*.png"),
        ] {
            let ignore = Some(ignore).filter(|one| !one.is_empty());
            let options = WalkOptions {
                hidden,
                ignore: ignore.map(ToOwned::to_owned).into_iter().collect(),
                ..WalkOptions::default()
            };
            let names = Names::without_index()
                .to_walk(slice::from_ref(&root), &options)
                .unwrap();
            let whole = walk_named(names, &options).unwrap();
            assert!(whole.candidates.len() >= 4, "{whole:?}");
            for path in &everything {
                let walked = part(&root, slice::from_ref(path), &options).unwrap();
                let mut expected = whole.candidates.clone();
                expected.retain(|candidate| candidate.path.starts_with(path));
                assert_eq!(
                    walked.candidates,
                    expected,
                    "{} {options:?}",
                    path.display()
                );
                let mut expected = whole.folders.clone();
                expected.retain(|folder| folder.starts_with(path));
                assert_eq!(walked.folders, expected, "{}", path.display());
                assert_eq!(walked.roots, slice::from_ref(path));
            }
        }
    }

    /// Returns everything at and below a folder.
    fn walkdir(folder: &Path) -> Vec<PathBuf> {
        let mut all = vec![folder.to_owned()];
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                all.extend(walkdir(&path));
            } else {
                all.push(path);
            }
        }
        all
    }

    #[test]
    fn what_is_gone_is_part_of_what_was_walked() {
        let (_dir, root) = tree(&["a.jpg", "trip/b.jpg"]);
        let paths = ["gone/x.jpg", "trip", "trip/b.jpg", "a.jpg/x"].map(|name| root.join(name));
        let walked = part(&root, &paths, &WalkOptions::default()).unwrap();
        let roots = ["a.jpg/x", "gone/x.jpg", "trip"].map(|name| root.join(name));
        assert_eq!(walked.roots, roots);
        assert_eq!(walked.candidates.len(), 1);
        assert!(walked.errors.is_empty(), "{walked:?}");
    }

    #[cfg(unix)]
    #[test]
    fn links_need_a_walk_of_everything_unless_they_do_not_count() {
        use std::os::unix::fs::symlink;
        let (_dir, root) = tree(&["a.jpg", "trip/b.jpg", "links/c.jpg"]);
        let outside = root.with_file_name("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("o.jpg"), "x").unwrap();
        symlink(&outside, root.join("links/out")).unwrap();
        symlink(root.join("a.jpg"), root.join(".hidden.jpg")).unwrap();
        let mut options = WalkOptions::default();
        let one = |name: &str, options: &WalkOptions| part(&root, &[root.join(name)], options);
        for name in ["links", "links/out", "links/out/o.jpg", ""] {
            assert!(one(name, &options).is_none(), "{name:?}");
        }
        assert_eq!(one("trip", &options).unwrap().candidates.len(), 1);
        assert_eq!(one("links/c.jpg", &options).unwrap().candidates.len(), 1);
        assert!(one(".hidden.jpg", &options).unwrap().candidates.is_empty());
        options.no_follow = true;
        assert_eq!(one("links", &options).unwrap().candidates.len(), 1);
        assert!(
            one("links/out/o.jpg", &options)
                .unwrap()
                .candidates
                .is_empty()
        );
        // A folder behind a link that a walk has followed is known.
        let roots = Names::without_index()
            .to_walk(slice::from_ref(&root), &options)
            .unwrap();
        let known = Part {
            roots: &roots,
            paths: &[root.join("links/out/o.jpg")],
            knows: &|folder| folder == root.join("links/out"),
        };
        let walked = walk_within(&known, &WalkOptions::default()).unwrap();
        assert_eq!(walked.unwrap().candidates.len(), 1);
    }
}
