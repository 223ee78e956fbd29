//! Following symbolic links, once everything was walked that has a name of its own.
//!
//! Each real folder is walked once in a run, and each file that was found under its real name is not
//! found again through a link. Links to folders are followed in the order of their paths, those found
//! on the way included; links to files are judged last. So the outcome does not depend on the order in
//! which a disk lists its folders: the real path is preferred, then the smallest path through a link.
//!
//! A link to a folder that the link itself lies in, or that another link lies in that led here, is a
//! loop. It is not followed: `photos/up -> ..` does not lead out of `photos`, nor a link to `/` to all
//! there is.
//!
//! What makes a folder the same is its real path. Device and inode numbers would not do: there are
//! file systems that give many folders the same.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::folder::{Found, Link, LinkTo, Tree};
use super::ignoring::{Ignoring, Rules};
use super::look::Seen;
use super::patterns::Patterns;
use super::{WalkOptions, Walked};

/// A link to a folder that waits for its turn.
#[derive(Debug)]
struct Pending {
    target: PathBuf,
    rules: Rules,
    patterns: Arc<Patterns>,
    /// The real folders that hold this link and those that led to it; none for a path that was named.
    holders: Vec<PathBuf>,
}

/// A run's walk, as far as it came.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    options: &'a WalkOptions,
    ignoring: &'a Ignoring,
    /// The folders that were walked, by their real paths.
    folders: HashSet<PathBuf>,
    to_folders: BTreeMap<PathBuf, Pending>,
    to_files: BTreeMap<PathBuf, (PathBuf, Seen)>,
}

impl<'a> Walk<'a> {
    pub fn new(options: &'a WalkOptions, ignoring: &'a Ignoring) -> Self {
        Self {
            options,
            ignoring,
            folders: HashSet::new(),
            to_folders: BTreeMap::new(),
            to_files: BTreeMap::new(),
        }
    }

    /// Walks a folder whose path leads through no link, unless that was done.
    pub fn real_folder(
        &mut self,
        path: &Path,
        rules: &Rules,
        patterns: &Arc<Patterns>,
        walked: &mut Walked,
    ) {
        if !self.folders.contains(path) {
            // A tree that begins within another one has folders of that one below it.
            self.tree((path, path), rules, patterns, &[], walked);
        }
    }

    /// Follows a named path that leads through a link, once [`Walk::follow_links`] is called.
    pub fn linked_folder(
        &mut self,
        path: PathBuf,
        target: PathBuf,
        rules: Rules,
        patterns: Arc<Patterns>,
    ) {
        let pending = Pending {
            target,
            rules,
            patterns,
            holders: Vec::new(),
        };
        self.to_folders.insert(path, pending);
    }

    /// A named file whose path leads through a link.
    pub fn linked_file(&mut self, path: PathBuf, target: PathBuf, seen: Seen) {
        self.to_files.insert(path, (target, seen));
    }

    /// Follows what was linked to and not walked under a name of its own.
    pub fn follow_links(mut self, walked: &mut Walked) {
        while let Some((path, link)) = self.to_folders.pop_first() {
            let is_loop = link
                .holders
                .iter()
                .any(|holder| holder.starts_with(&link.target));
            if is_loop || self.folders.contains(&link.target) {
                tracing::debug!(path = %path.display(), "the folder that it leads to is walked already");
                continue;
            }
            self.tree(
                (&path, &link.target),
                &link.rules,
                &link.patterns,
                &link.holders,
                walked,
            );
        }
        walked.sort();
        let kept: Vec<Seen> = self
            .to_files
            .into_values()
            .filter(|(target, _)| !walked.has_real(target))
            .map(|(_, seen)| seen)
            .collect();
        if !kept.is_empty() {
            kept.into_iter().for_each(|seen| walked.add(seen));
            walked.sort();
        }
    }

    /// Walks a folder with all below it, given by its path as it is stored and its real path.
    fn tree(
        &mut self,
        (path, real): (&Path, &Path),
        rules: &Rules,
        patterns: &Arc<Patterns>,
        holders: &[PathBuf],
        walked: &mut Walked,
    ) {
        let tree = Tree {
            path,
            real,
            options: self.options,
            patterns,
            ignoring: self.ignoring,
            walked: &self.folders,
        };
        let is_linked = path != real;
        let mut folders = Vec::new();
        for found in tree.walk(rules) {
            match found {
                Found::Folder(real) => folders.push(real),
                Found::Unreadable(path, reason) => walked.errors.push((path, reason)),
                Found::File(seen) => {
                    if let (true, Seen::Candidate(candidate)) = (is_linked, &seen) {
                        walked.behind_links.insert(tree.real(&candidate.path));
                    }
                    walked.add(seen);
                }
                Found::Link(Link { path, target, to }) => match to {
                    LinkTo::File(seen) => {
                        self.to_files.insert(path, (target, seen));
                    }
                    LinkTo::Folder(rules) => {
                        let holder = path.parent().map(|holder| tree.real(holder));
                        let holders = holders.iter().cloned().chain(holder).collect();
                        let patterns = Arc::clone(patterns);
                        let pending = Pending {
                            target,
                            rules,
                            patterns,
                            holders,
                        };
                        self.to_folders.insert(path, pending);
                    }
                },
            }
        }
        self.folders.extend(folders);
    }
}
