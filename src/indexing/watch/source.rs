//! The system's reports of changes. Owns the crate `notify`.
//!
//! On Linux each folder that a walk enters is watched by itself, so that what an ignore file leaves out costs
//! nothing, and the system's limit counts only what is needed. Elsewhere the system watches whole trees.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use notify::event::{AccessKind, AccessMode, Event, EventKind, ModifyKind, RenameMode};
use notify::{Config, ErrorKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::{Outermost, Shared, Sign};

/// Whether the system watches folders one by one, and says when a file is closed after it was written.
const IS_INOTIFY: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// Why the system does not report changes.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// A limit of the system, by name and value.
    Limit(&'static str, Option<u64>),
    Other(String),
}

/// Folders of which the system reports changes.
pub(crate) struct Source {
    watcher: RecommendedWatcher,
    folders: BTreeSet<PathBuf>,
    scope: Arc<Scope>,
}

/// Which reports count.
#[derive(Debug)]
struct Scope {
    roots: Outermost,
    /// The folder of the index, which changes whenever something is indexed, under its names.
    index: Vec<PathBuf>,
}

impl Scope {
    fn counts(&self, path: &Path) -> bool {
        self.roots.above(path).is_some() && !self.is_index(path)
    }

    fn is_index(&self, path: &Path) -> bool {
        self.index.iter().any(|index| path.starts_with(index))
    }
}

impl Source {
    /// Starts to listen; nothing is watched yet. What happens at and below `roots` is noted in `shared`, except in
    /// the folder of the index.
    ///
    /// # Errors
    ///
    /// If the system offers no more watchers.
    pub fn new(shared: Arc<Shared>, roots: Outermost, index: &Path) -> Result<Self, Trouble> {
        let named = std::path::absolute(index).ok();
        let real = index.canonicalize().ok();
        let scope = Arc::new(Scope {
            roots,
            index: named.into_iter().chain(real).collect(),
        });
        let of_handler = Arc::clone(&scope);
        let handler = move |event| handle(&shared, &of_handler, event);
        let watcher = RecommendedWatcher::new(handler, Config::default()).map_err(trouble)?;
        Ok(Self {
            watcher,
            folders: BTreeSet::new(),
            scope,
        })
    }

    /// Watches folders that are not watched yet, and returns them.
    ///
    /// # Errors
    ///
    /// If the system watches no more.
    pub fn cover<'p>(
        &mut self,
        folders: impl IntoIterator<Item = &'p Path>,
    ) -> Result<Vec<PathBuf>, Trouble> {
        let mut new = Vec::new();
        for folder in folders {
            if self.is_covered(folder) || self.scope.is_index(folder) {
                continue;
            }
            let mode = match self.scope.roots.above(folder) {
                Some(root) if !IS_INOTIFY && root == folder => RecursiveMode::Recursive,
                _ => RecursiveMode::NonRecursive,
            };
            match self.watcher.watch(folder, mode) {
                Ok(()) => {
                    self.folders.insert(folder.to_owned());
                    new.push(folder.to_owned());
                }
                Err(error) => match trouble(error) {
                    limit @ Trouble::Limit(..) => return Err(limit),
                    // It vanished, or cannot be read, which the walk reports.
                    Trouble::Other(why) => {
                        tracing::debug!(folder = %folder.display(), why, "not watched");
                    }
                },
            }
        }
        Ok(new)
    }

    fn is_covered(&self, folder: &Path) -> bool {
        if IS_INOTIFY {
            return self.folders.contains(folder);
        }
        let mut above = folder.ancestors();
        above.any(|above| self.folders.contains(above))
    }

    /// Returns whether a folder is watched.
    pub fn knows(&self, folder: &Path) -> bool {
        self.folders.contains(folder)
    }

    /// Returns the number of watched folders.
    pub fn len(&self) -> usize {
        self.folders.len()
    }

    /// Forgets that the folders at and below a path are watched, because others may stand there now.
    pub fn forget(&mut self, path: &Path) {
        let below = self.folders.range(path.to_owned()..);
        let below: Vec<PathBuf> = below
            .take_while(|folder| folder.starts_with(path))
            .cloned()
            .collect();
        for folder in below {
            self.folders.remove(&folder);
            if !IS_INOTIFY && let Err(error) = self.watcher.unwatch(&folder) {
                tracing::debug!(%error, "a folder that is gone was not watched");
            }
        }
    }
}

/// Notes what the system reports.
fn handle(shared: &Shared, scope: &Scope, event: notify::Result<Event>) {
    match event {
        Ok(event) if event.need_rescan() => lost(shared),
        Ok(event) => {
            if let Some(sign) = sign_of(&event.kind) {
                for path in event.paths.iter().filter(|path| scope.counts(path)) {
                    shared.note(path, sign);
                }
            }
        }
        Err(error) => match trouble(error) {
            limit @ Trouble::Limit(..) => shared.tell(|state| state.trouble = Some(limit)),
            Trouble::Other(why) => {
                tracing::warn!(why, "the system could not report changes");
                lost(shared);
            }
        },
    }
}

/// Notes that reports were lost, so that everything has to be walked.
fn lost(shared: &Shared) {
    shared.tell(|state| state.pending.everything(Instant::now()));
}

fn sign_of(kind: &EventKind) -> Option<Sign> {
    Some(match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Sign::Touched,
        EventKind::Access(_) | EventKind::Other => return None,
        EventKind::Modify(ModifyKind::Data(_)) if IS_INOTIFY => Sign::Written,
        EventKind::Modify(ModifyKind::Metadata(_)) => Sign::Dated,
        EventKind::Modify(ModifyKind::Name(RenameMode::From)) | EventKind::Remove(_) => {
            Sign::Removed
        }
        // Both names come one by one, too.
        EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => return None,
        EventKind::Any | EventKind::Create(_) | EventKind::Modify(_) => Sign::Touched,
    })
}

fn trouble(error: notify::Error) -> Trouble {
    /// "Too many open files", which also stands for too many watchers.
    const EMFILE: i32 = 24;
    match error.kind {
        ErrorKind::MaxFilesWatch => limit("max_user_watches", "max_inotify_watches"),
        ErrorKind::Io(source) if IS_INOTIFY && source.raw_os_error() == Some(EMFILE) => {
            limit("max_user_instances", "max_inotify_instances")
        }
        ErrorKind::Io(source) => Trouble::Other(source.to_string()),
        _ => Trouble::Other(error.to_string()),
    }
}

/// Returns the smaller one of two limits: of the system, and of the user in a container.
fn limit(system: &'static str, user: &'static str) -> Trouble {
    let read = |path: String| -> io::Result<Option<u64>> {
        Ok(std::fs::read_to_string(path)?.trim().parse().ok())
    };
    let of_system = read(format!("/proc/sys/fs/inotify/{system}")).unwrap_or(None);
    let of_user = read(format!("/proc/sys/user/{user}")).unwrap_or(None);
    let name = |is_system: bool| match (is_system, system) {
        (true, "max_user_watches") => "fs.inotify.max_user_watches",
        (true, _) => "fs.inotify.max_user_instances",
        (false, "max_user_watches") => "user.max_inotify_watches",
        (false, _) => "user.max_inotify_instances",
    };
    match (of_system, of_user) {
        (Some(system), Some(user)) if user < system => Trouble::Limit(name(false), Some(user)),
        (system, _) => Trouble::Limit(name(true), system),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::event::{CreateKind, DataChange, Flag, MetadataKind, RemoveKind};

    fn scope() -> Scope {
        Scope {
            roots: Outermost::of(["/p", "/q/x.jpg"].map(PathBuf::from)),
            index: vec![PathBuf::from("/p/index")],
        }
    }

    #[test]
    fn only_reports_of_what_is_indexed_count() {
        let shared = Shared::default();
        let report = |kind, path: &str| {
            let event = Event::new(kind).add_path(PathBuf::from(path));
            handle(&shared, &scope(), Ok(event));
        };
        let made = EventKind::Create(CreateKind::File);
        for path in [
            "/p/a.jpg",
            "/p/index/log",
            "/q/y.jpg",
            "/q/x.jpg",
            "/pp/a.jpg",
        ] {
            report(made, path);
        }
        report(
            EventKind::Access(AccessKind::Open(AccessMode::Any)),
            "/p/read.jpg",
        );
        report(
            EventKind::Access(AccessKind::Close(AccessMode::Read)),
            "/p/read.jpg",
        );
        let batch = shared
            .lock()
            .pending
            .take(Instant::now() + super::super::QUIET);
        let expected = ["/p/a.jpg", "/q/x.jpg"].map(PathBuf::from);
        assert_eq!(batch.unwrap().paths, expected);
    }

    #[test]
    fn lost_reports_and_errors_lead_to_a_walk_of_everything() {
        for event in [
            Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan)),
            Err(notify::Error::generic("no")),
            Err(notify::Error::io(io::Error::other("no"))),
        ] {
            let shared = Shared::default();
            handle(&shared, &scope(), event);
            let batch = shared.lock().pending.take(Instant::now()).unwrap();
            assert!(batch.is_everything);
        }
        let shared = Shared::default();
        handle(
            &shared,
            &scope(),
            Err(notify::Error::new(ErrorKind::MaxFilesWatch)),
        );
        let trouble = shared.lock().trouble.take();
        assert!(matches!(trouble, Some(Trouble::Limit(name, _)) if name.contains("watches")));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn signs_tell_writing_from_having_written() {
        let modified = |kind| sign_of(&EventKind::Modify(kind));
        assert_eq!(
            modified(ModifyKind::Data(DataChange::Any)),
            Some(Sign::Written)
        );
        let dated = ModifyKind::Metadata(MetadataKind::Any);
        assert_eq!(modified(dated), Some(Sign::Dated));
        assert_eq!(
            modified(ModifyKind::Name(RenameMode::From)),
            Some(Sign::Removed)
        );
        assert_eq!(
            modified(ModifyKind::Name(RenameMode::To)),
            Some(Sign::Touched)
        );
        assert_eq!(modified(ModifyKind::Name(RenameMode::Both)), None);
        let closed = EventKind::Access(AccessKind::Close(AccessMode::Write));
        assert_eq!(sign_of(&closed), Some(Sign::Touched));
        assert_eq!(
            sign_of(&EventKind::Remove(RemoveKind::Any)),
            Some(Sign::Removed)
        );
    }

    #[test]
    fn folders_are_forgotten_with_what_is_below() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for name in ["a/b", "a!", "ab"] {
            std::fs::create_dir_all(root.join(name)).unwrap();
        }
        let roots = Outermost::of([root.clone()]);
        let mut source = Source::new(Arc::default(), roots, &root.join("index"))
            .ok()
            .unwrap();
        let folders = ["", "a", "a/b", "a!", "ab", "gone"].map(|name| root.join(name));
        let covered = source.cover(folders.iter().map(PathBuf::as_path));
        let covered = covered.ok().map(|new| new.len());
        if !IS_INOTIFY {
            assert_eq!((covered, source.len()), (Some(1), 1));
            return;
        }
        assert_eq!((covered, source.len()), (Some(5), 5));
        source.forget(&root.join("a"));
        assert!(source.knows(&root.join("a!")) && source.knows(&root.join("ab")));
        assert!(!source.knows(&root.join("a/b")));
        assert_eq!(
            source.cover([root.join("a").as_path()]).ok(),
            Some(vec![root.join("a")])
        );
    }
}
