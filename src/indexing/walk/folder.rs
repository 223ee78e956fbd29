//! Walking one tree of folders, on all cores. Links in it are reported and not followed.

use std::collections::HashSet;
use std::fs::{self, DirEntry, FileType};
use std::path::{Path, PathBuf};

use crossbeam_channel::Sender;
use rayon::Scope;

use super::WalkOptions;
use super::ignoring::{Ignoring, Rules, Said, State};
use super::look::{Seen, look_at};
use super::patterns::Patterns;

/// So many entries of a folder are looked at in one go, others by other cores.
const BATCH: usize = 128;

/// A folder that is walked with all that is below it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tree<'a> {
    /// Its path as it is stored.
    pub path: &'a Path,
    /// Its path with all links resolved.
    pub real: &'a Path,
    pub options: &'a WalkOptions,
    pub patterns: &'a Patterns,
    pub ignoring: &'a Ignoring,
    /// Folders that were walked before, by their real paths: they are not walked again.
    pub walked: &'a HashSet<PathBuf>,
}

/// What a tree holds.
#[derive(Debug)]
pub(super) enum Found {
    /// A folder that was walked, by its real path.
    Folder(PathBuf),
    File(Seen),
    /// A folder, link or file that could not be read, and why.
    Unreadable(PathBuf, String),
    Link(Link),
}

/// A symbolic link to a folder or a regular file.
#[derive(Debug)]
pub(super) struct Link {
    pub path: PathBuf,
    /// The real path of what it leads to.
    pub target: PathBuf,
    pub to: LinkTo,
}

#[derive(Debug)]
pub(super) enum LinkTo {
    /// A folder, and the rules that hold for it where the link is.
    Folder(Rules),
    /// A file, looked at under the link's name.
    File(Seen),
}

impl Tree<'_> {
    /// Walks the tree under the rules of the folders above it.
    pub fn walk(&self, above: &Rules) -> impl Iterator<Item = Found> + use<> {
        let (sender, receiver) = crossbeam_channel::unbounded();
        rayon::scope(|scope| self.folder(scope, self.path.to_owned(), above, sender));
        receiver.into_iter().flatten()
    }

    /// The real path of what has this path in the tree.
    pub fn real(&self, path: &Path) -> PathBuf {
        match path.strip_prefix(self.path) {
            Ok(rest) if !rest.as_os_str().is_empty() => self.real.join(rest),
            _ => self.real.to_owned(),
        }
    }

    fn folder<'s>(
        &'s self,
        scope: &Scope<'s>,
        path: PathBuf,
        above: &Rules,
        sender: Sender<Vec<Found>>,
    ) {
        let mut found = Found::Folder(self.real(&path));
        match self.ignoring.enter(&path, above) {
            State::Open(rules) => match fs::read_dir(&path) {
                Ok(entries) => self.entries(scope, &path, entries, &rules, &sender),
                Err(error) => found = Found::Unreadable(path, error.to_string()),
            },
            State::Closed(closed) => {
                found = Found::Unreadable(closed.folder.clone(), closed.reason.clone());
            }
            State::LeftOut => return,
        }
        send(&sender, vec![found]);
    }

    fn entries<'s>(
        &'s self,
        scope: &Scope<'s>,
        folder: &Path,
        entries: fs::ReadDir,
        rules: &Rules,
        sender: &Sender<Vec<Found>>,
    ) {
        let mut batch = Vec::new();
        for entry in entries {
            match entry.and_then(|entry| self.entry(&entry, rules)) {
                Ok(Some(entry)) => batch.push(entry),
                Ok(None) => {}
                Err(error) => {
                    let unreadable = Found::Unreadable(folder.to_owned(), error.to_string());
                    send(sender, vec![unreadable]);
                }
            }
            if batch.len() == BATCH {
                let (rules, sender) = (rules.clone(), sender.clone());
                let batch = std::mem::take(&mut batch);
                scope.spawn(move |scope| self.look(scope, batch, &rules, &sender));
            }
        }
        self.look(scope, batch, rules, sender);
    }

    /// An entry to look at; none where it is hidden from sight in any case.
    fn entry(&self, entry: &DirEntry, rules: &Rules) -> std::io::Result<Option<Entry>> {
        let hidden = !self.options.hidden && is_hidden(entry);
        if hidden && rules.is_empty() {
            return Ok(None);
        }
        Ok(Some(Entry {
            path: entry.path(),
            kind: entry.file_type()?,
            hidden,
        }))
    }

    fn look<'s>(
        &'s self,
        scope: &Scope<'s>,
        batch: Vec<Entry>,
        rules: &Rules,
        sender: &Sender<Vec<Found>>,
    ) {
        let mut found = Vec::with_capacity(batch.len());
        for entry in batch {
            if entry.kind.is_symlink() {
                found.extend(self.look_at_link(entry, rules));
            } else if entry.kind.is_dir() {
                let looked_into = self.lets_pass(&entry, true, rules)
                    && !self.walked.contains(&self.real(&entry.path));
                if looked_into {
                    let (rules, sender) = (rules.clone(), sender.clone());
                    scope.spawn(move |scope| self.folder(scope, entry.path, &rules, sender));
                }
            } else if entry.kind.is_file() && self.lets_pass(&entry, false, rules) {
                match fs::symlink_metadata(&entry.path) {
                    Ok(metadata) if metadata.is_file() => {
                        found.extend(look_at(entry.path, &metadata).map(Found::File));
                    }
                    // It became something else, or vanished, since it was listed.
                    Ok(_) => {}
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    Err(error) => found.push(Found::Unreadable(entry.path, error.to_string())),
                }
            }
        }
        send(sender, found);
    }

    fn look_at_link(&self, entry: Entry, rules: &Rules) -> Option<Found> {
        if self.options.no_follow {
            return None;
        }
        let followed = fs::metadata(&entry.path)
            .and_then(|metadata| Ok((metadata, fs::canonicalize(&entry.path)?)));
        let (metadata, target) = match followed {
            Ok(followed) => followed,
            // What it should lead to is not known, so patterns for folders count, too.
            Err(error) => {
                return self
                    .lets_pass(&entry, true, rules)
                    .then(|| Found::Unreadable(entry.path, error.to_string()));
            }
        };
        if !self.lets_pass(&entry, metadata.is_dir(), rules) {
            return None;
        }
        let path = entry.path;
        let to = if metadata.is_dir() {
            LinkTo::Folder(rules.clone())
        } else if metadata.is_file() {
            LinkTo::File(look_at(path.clone(), &metadata)?)
        } else {
            return None;
        };
        Some(Found::Link(Link { path, target, to }))
    }

    fn lets_pass(&self, entry: &Entry, is_dir: bool, rules: &Rules) -> bool {
        !self.patterns.leave_out(&entry.path, is_dir)
            && match rules.say(&entry.path, is_dir) {
                Said::Nothing => !entry.hidden,
                Said::LeaveOut => false,
                Said::Keep => true,
            }
    }
}

/// An entry of a folder.
struct Entry {
    path: PathBuf,
    kind: FileType,
    /// Hidden, and not asked for.
    hidden: bool,
}

fn send(sender: &Sender<Vec<Found>>, found: Vec<Found>) {
    // The other end is held until all is sent.
    if !found.is_empty() && sender.send(found).is_err() {
        tracing::debug!("nobody waits for what a walk finds");
    }
}

/// Whether an entry's name begins with a dot, or on Windows its attributes say that it is hidden.
fn is_hidden(entry: &DirEntry) -> bool {
    #[cfg(windows)]
    {
        use std::os::windows::fs::MetadataExt;
        const HIDDEN: u32 = 2;
        if entry
            .metadata()
            .is_ok_and(|metadata| metadata.file_attributes() & HIDDEN != 0)
        {
            return true;
        }
    }
    has_hidden_name(&entry.file_name())
}

/// Whether a name begins with a dot.
pub(super) fn has_hidden_name(name: &std::ffi::OsStr) -> bool {
    name.as_encoded_bytes().first() == Some(&b'.')
}
