//! Following symbolic links, after everything was walked under its own name.
//!
//! A run walks each real folder once, and finds each file once: a file that has a real name in the walk is not
//! found again through a link. Links to folders are followed in the order of their paths, including links that are
//! found on the way; links to files come last. So the result does not depend on the order in which a disk lists its
//! folders: the real path is preferred, then the smallest path through a link.
//!
//! A link to a folder that contains the link, or a link that led there, is a loop. It is not followed:
//! `photos/up -> ..` does not lead out of `photos`, and a link to `/` does not lead to everything.
//!
//! Folders are the same if their real paths are. Device and inode numbers would not do, because some file systems
//! give many folders the same numbers.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::folder::{Found, Link, LinkTo, Tree};
use super::ignoring::{Ignoring, Rules};
use super::look::Seen;
use super::patterns::Patterns;
use super::{WalkOptions, Walked};

/// A link to a folder that waits to be followed.
#[derive(Debug)]
struct Pending {
    target: PathBuf,
    rules: Rules,
    patterns: Arc<Patterns>,
    /// The real folders that contain this link and the links that led to it; empty for a named path.
    holders: Vec<PathBuf>,
}

/// The walk of one run, while it goes on.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    options: &'a WalkOptions,
    ignoring: &'a Ignoring,
    /// Real paths of the folders that were walked.
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

    /// Walks a folder whose path has no links, unless it was walked already.
    pub fn real_folder(
        &mut self,
        path: &Path,
        rules: &Rules,
        patterns: &Arc<Patterns>,
        walked: &mut Walked,
    ) {
        if !self.folders.contains(path) {
            // If the tree of an earlier root lies inside this one, its folders were walked already.
            self.tree((path, path), rules, patterns, &[], walked);
        }
    }

    /// Adds a named folder whose path has links; [`Walk::follow_links`] follows it.
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

    /// Adds a named file whose path has links.
    pub fn linked_file(&mut self, path: PathBuf, target: PathBuf, seen: Seen) {
        self.to_files.insert(path, (target, seen));
    }

    /// Follows the links to everything that was not walked under its own name.
    pub fn follow_links(mut self, walked: &mut Walked) {
        while let Some((path, link)) = self.to_folders.pop_first() {
            let is_loop = link
                .holders
                .iter()
                .any(|holder| holder.starts_with(&link.target));
            if is_loop || self.folders.contains(&link.target) {
                tracing::debug!(path = %path.display(), "the target folder was walked already");
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

    /// Walks a folder and everything below it, given by its stored path and its real path.
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
                Found::Folder { path, real } => {
                    walked.folders.push(path);
                    folders.push(real);
                }
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
