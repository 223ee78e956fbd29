//! Walking one tree of folders on all cores. Links in it are reported and not followed.

use std::collections::HashSet;
use std::fs::{self, DirEntry, FileType};
use std::path::{Path, PathBuf};

use crossbeam_channel::Sender;
use rayon::Scope;

use super::WalkOptions;
use super::ignoring::{Ignoring, Rules, State, Verdict};
use super::look::{Seen, look_at};
use super::patterns::Patterns;

/// Number of a folder's entries that one task examines; other cores take the rest.
const BATCH: usize = 128;

/// A folder to walk, with everything below it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tree<'a> {
    /// The path as it is stored.
    pub path: &'a Path,
    /// The path with all links resolved.
    pub real: &'a Path,
    pub options: &'a WalkOptions,
    pub patterns: &'a Patterns,
    pub ignoring: &'a Ignoring,
    /// Real paths of folders that were walked before and are not walked again.
    pub walked: &'a HashSet<PathBuf>,
}

/// One thing that a tree holds.
#[derive(Debug)]
pub(super) enum Found {
    /// A folder that was walked.
    Folder {
        /// The path under which its images are stored.
        path: PathBuf,
        real: PathBuf,
    },
    File(Seen),
    /// A folder, link or file that could not be read, with the reason.
    Unreadable(PathBuf, String),
    Link(Link),
}

/// A symbolic link to a folder or a regular file.
#[derive(Debug)]
pub(super) struct Link {
    pub path: PathBuf,
    /// The real path of its target.
    pub target: PathBuf,
    pub to: LinkTo,
}

#[derive(Debug)]
pub(super) enum LinkTo {
    /// A folder, and the rules that hold for it at the link.
    Folder(Rules),
    /// A file, examined under the name of the link.
    File(Seen),
}

impl Tree<'_> {
    /// Walks the tree under the rules of the folders above it.
    pub fn walk(&self, above: &Rules) -> impl Iterator<Item = Found> + use<> {
        let (sender, receiver) = crossbeam_channel::unbounded();
        rayon::scope(|scope| self.folder(scope, self.path.to_owned(), above, sender));
        receiver.into_iter().flatten()
    }

    /// Returns what holds for a path below this tree's folder, judging by the folders in between. Their names are
    /// those of real folders: links in between are not examined.
    #[cfg(feature = "watch")]
    pub fn way_to(&self, path: &Path, is_dir: bool) -> State {
        let between: Vec<&Path> = path
            .ancestors()
            .take_while(|above| *above != self.path)
            .collect();
        let mut state = self.ignoring.inside(self.path);
        for (step, &place) in between.iter().rev().enumerate() {
            let State::Open(rules) = &state else {
                return state;
            };
            let is_last = step + 1 == between.len();
            let hidden = !self.options.hidden && is_hidden_path(place);
            if !self.lets_pass((place, hidden), is_dir || !is_last, rules) {
                return State::LeftOut;
            }
            if !is_last {
                state = self.ignoring.inside(place);
            }
        }
        state
    }

    /// Returns the real path of a path in the tree.
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
        let mut found = Found::Folder {
            real: self.real(&path),
            path: path.clone(),
        };
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
                scope.spawn(move |scope| self.examine(scope, batch, &rules, &sender));
            }
        }
        self.examine(scope, batch, rules, sender);
    }

    /// Returns an entry to examine, or `None` if it is hidden and no rule can bring it back.
    fn entry(&self, entry: &DirEntry, rules: &Rules) -> std::io::Result<Option<Entry>> {
        let hidden = !self.options.hidden && is_hidden(entry);
        if hidden && rules.is_empty() {
            tracing::debug!(path = ?entry.path(), why = "hidden", "skipped");
            return Ok(None);
        }
        Ok(Some(Entry {
            path: entry.path(),
            kind: entry.file_type()?,
            hidden,
        }))
    }

    fn examine<'s>(
        &'s self,
        scope: &Scope<'s>,
        batch: Vec<Entry>,
        rules: &Rules,
        sender: &Sender<Vec<Found>>,
    ) {
        let mut found = Vec::with_capacity(batch.len());
        for entry in batch {
            if entry.kind.is_symlink() {
                found.extend(self.examine_link(entry, rules));
            } else if entry.kind.is_dir() {
                let walks_into = self.lets_pass(entry.name(), true, rules)
                    && !self.walked.contains(&self.real(&entry.path));
                if walks_into {
                    let (rules, sender) = (rules.clone(), sender.clone());
                    scope.spawn(move |scope| self.folder(scope, entry.path, &rules, sender));
                }
            } else if entry.kind.is_file() && self.lets_pass(entry.name(), false, rules) {
                match fs::symlink_metadata(&entry.path) {
                    Ok(metadata) if metadata.is_file() => {
                        found.extend(look_at(entry.path, &metadata).map(Found::File));
                    }
                    // It vanished, or became something else, since it was listed.
                    Ok(_) => {}
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    Err(error) => found.push(Found::Unreadable(entry.path, error.to_string())),
                }
            }
        }
        send(sender, found);
    }

    fn examine_link(&self, entry: Entry, rules: &Rules) -> Option<Found> {
        if self.options.no_follow {
            tracing::debug!(path = ?entry.path, why = "a link", "skipped");
            return None;
        }
        let followed = fs::metadata(&entry.path)
            .and_then(|metadata| Ok((metadata, fs::canonicalize(&entry.path)?)));
        let (metadata, target) = match followed {
            Ok(followed) => followed,
            // The target is unknown, so patterns for folders count, too.
            Err(error) => {
                return self
                    .lets_pass(entry.name(), true, rules)
                    .then(|| Found::Unreadable(entry.path, error.to_string()));
            }
        };
        if !self.lets_pass(entry.name(), metadata.is_dir(), rules) {
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

    /// Returns whether an entry of a folder is walked, given by its path and whether it is hidden.
    fn lets_pass(&self, (path, hidden): (&Path, bool), is_dir: bool, rules: &Rules) -> bool {
        let why = if self.patterns.leave_out(path, is_dir) {
            "a pattern leaves it out"
        } else {
            match rules.judge(path, is_dir) {
                Verdict::Nothing if hidden => "hidden",
                Verdict::LeaveOut => "an ignore file leaves it out",
                Verdict::Nothing | Verdict::Keep => return true,
            }
        };
        tracing::debug!(?path, why, "skipped");
        false
    }
}

/// An entry of a folder.
struct Entry {
    path: PathBuf,
    kind: FileType,
    /// Hidden, while hidden entries are not wanted.
    hidden: bool,
}

impl Entry {
    fn name(&self) -> (&Path, bool) {
        (&self.path, self.hidden)
    }
}

fn send(sender: &Sender<Vec<Found>>, found: Vec<Found>) {
    // The receiver exists until everything is sent.
    if !found.is_empty() && sender.send(found).is_err() {
        tracing::debug!("no receiver for the results of a walk");
    }
}

/// Folders that systems and photo programs make for themselves: small copies of photographs, what was deleted, and
/// snapshots. They count as hidden. Compared without regard to case.
const FOR_THEMSELVES: [&str; 10] = [
    "@eaDir",
    "@Recently-Snapshot",
    "@Recycle",
    "#recycle",
    "#snapshot",
    "$RECYCLE.BIN",
    "RECYCLER",
    "System Volume Information",
    "__MACOSX",
    "lost+found",
];

/// Returns whether an entry is hidden: by its name, or on Windows by its attribute.
fn is_hidden(entry: &DirEntry) -> bool {
    #[cfg(windows)]
    if has_hidden_attribute(entry.metadata()) {
        return true;
    }
    has_hidden_name(&entry.file_name())
}

/// As [`is_hidden`], for the path of an entry.
#[cfg(feature = "watch")]
fn is_hidden_path(path: &Path) -> bool {
    #[cfg(windows)]
    if has_hidden_attribute(fs::symlink_metadata(path)) {
        return true;
    }
    path.file_name().is_some_and(has_hidden_name)
}

#[cfg(windows)]
fn has_hidden_attribute(metadata: std::io::Result<fs::Metadata>) -> bool {
    use std::os::windows::fs::MetadataExt;
    const HIDDEN: u32 = 2;
    metadata.is_ok_and(|metadata| metadata.file_attributes() & HIDDEN != 0)
}

/// Returns whether a name begins with a dot, or is one of [`FOR_THEMSELVES`].
pub(super) fn has_hidden_name(name: &std::ffi::OsStr) -> bool {
    name.as_encoded_bytes().first() == Some(&b'.')
        || FOR_THEMSELVES
            .iter()
            .any(|own| name.eq_ignore_ascii_case(own))
}
