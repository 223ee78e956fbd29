//! The loop of a watcher: waits for changes, and indexes them batch by batch.

#[cfg(target_os = "linux")]
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use imgsearch_index::{Error as IndexError, Reader};

use super::batched::Batched;
use super::roots::Roots;
use super::{POLL_NETWORK, WatchEnd, WatchEvent, WatchProgress, Watcher};
use crate::error::{Error, Result};
use crate::indexing::walk::{IGNORE_FILE, Part, Walked, walk_named, walk_within};
use crate::indexing::watch::{Batch, Settling, Shared, Source, Trouble, outlook};
use crate::indexing::{self, IndexOptions, Summary};
use crate::library::Library;
use crate::library::indexer::Over;

/// How often a batch that waits for another process tries again, and a missing root is looked for.
const RETRY: Duration = Duration::from_secs(1);

/// Walks of one batch at most, if each finds folders that were not watched before.
const ROUNDS: usize = 3;

/// Times in a row that the index has another encoder than before.
const MAX_RELOADS: usize = 3;

/// A watcher that runs.
pub(super) struct Session<'a> {
    library: &'a mut Library,
    options: IndexOptions,
    /// How often everything is looked at, if that was asked for.
    poll: Option<Duration>,
    progress: &'a dyn WatchProgress,
    shared: Arc<Shared>,
    roots: Roots,
    source: Source,
    #[cfg(target_os = "linux")]
    _mounts: Option<crate::indexing::watch::Mounts>,
    /// For each path near a root at which something is mounted, what that is.
    #[cfg(target_os = "linux")]
    mounted: BTreeMap<PathBuf, Vec<String>>,
    /// What is looked at regularly, and when the next time is.
    polled: Vec<PathBuf>,
    next_poll: Option<Instant>,
    settling: Settling,
    /// Whether everything was indexed once.
    is_ready: bool,
    /// Whether the system can watch no more folders.
    is_full: bool,
    /// Whether it was said that a batch waits.
    has_said_waiting: bool,
    /// What was walked when images were gone and nobody confirmed to forget them, and their number.
    unconfirmed: Option<(Vec<PathBuf>, usize)>,
    reloads: usize,
}

/// What was walked for a batch.
struct Look {
    walked: Walked,
    /// The indexed folders, if only a part of them was walked.
    within: Option<Vec<PathBuf>>,
}

impl<'a> Session<'a> {
    /// Prepares to watch. Nothing is indexed yet.
    pub fn start(
        watcher: Watcher<'a>,
        paths: &[PathBuf],
        progress: &'a dyn WatchProgress,
    ) -> Result<Self> {
        let Watcher {
            library,
            options,
            poll,
            shared,
        } = watcher;
        // As for an indexing run: what can fail before anything is created fails here.
        library.engine()?;
        let roots = Roots::of(library, paths, &options.walk)?;
        let source = Source::new(
            Arc::clone(&shared),
            roots.outermost().clone(),
            library.dir(),
        )
        .map_err(failed)?;
        #[cfg(target_os = "linux")]
        let mounts = crate::indexing::watch::Mounts::follow(Arc::clone(&shared))
            .inspect_err(|error| tracing::warn!(%error, "disks that come and go are not noticed"))
            .ok();
        shared.tell(|state| state.pending.everything(Instant::now()));
        let mut session = Self {
            library,
            options,
            poll,
            progress,
            shared,
            roots,
            source,
            #[cfg(target_os = "linux")]
            _mounts: mounts,
            #[cfg(target_os = "linux")]
            mounted: BTreeMap::new(),
            polled: Vec::new(),
            next_poll: None,
            settling: Settling::default(),
            is_ready: false,
            is_full: false,
            has_said_waiting: false,
            unconfirmed: None,
            reloads: 0,
        };
        session.remounted();
        Ok(session)
    }

    /// Watches until it is stopped.
    pub fn run(mut self) -> Result<WatchEnd> {
        loop {
            let retry = self.roots.any_away().then(|| Instant::now() + RETRY);
            let wakes = [retry, self.next_poll];
            self.shared.wait(wakes.into_iter().flatten().min());
            let (is_stopped, remounted, trouble) = {
                let mut state = self.shared.lock();
                let remounted = std::mem::take(&mut state.mounts_changed);
                (state.is_stopped, remounted, state.trouble.take())
            };
            if is_stopped || self.progress.is_cancelled() {
                // A batch may wait for another process.
                let interrupted = !self.is_ready || self.has_said_waiting;
                return Ok(WatchEnd { interrupted });
            }
            if let Some(trouble) = trouble {
                self.full(trouble)?;
            }
            if remounted {
                self.remounted();
            }
            if self.roots.any_away() {
                self.look_at_roots();
            }
            let now = Instant::now();
            if self.next_poll.is_some_and(|due| due <= now) {
                let mut state = self.shared.lock();
                for path in &self.polled {
                    state.pending.look_at(path, now);
                }
                drop(state);
                self.next_poll = None;
            }
            let batch = self.shared.lock().pending.take(now);
            if let Some(batch) = batch {
                let summary = self.index(&batch)?;
                if summary.is_some_and(|summary| summary.interrupted) {
                    return Ok(WatchEnd { interrupted: true });
                }
            }
            if self.next_poll.is_none() && !self.polled.is_empty() {
                self.next_poll = Some(Instant::now() + self.poll.unwrap_or(POLL_NETWORK));
            }
        }
    }

    /// Indexes a batch. Returns `None` if it changes nothing, or waits.
    fn index(&mut self, batch: &Batch) -> Result<Option<Summary>> {
        for path in &batch.removed {
            self.source.forget(path);
        }
        self.look_at_roots();
        let Some(Look { mut walked, within }) = self.look(batch)? else {
            return Ok(None);
        };
        // The first run is one like any other.
        if self.is_ready {
            let mut state = self.shared.lock();
            self.settling
                .sift(&mut walked.candidates, &mut state.pending);
        }
        if self.is_ready && !self.changes_anything(&walked, within.as_deref())? {
            self.has_said_waiting = false;
            return Ok(None);
        }
        let progress = Batched {
            inner: self.progress,
            shared: &self.shared,
            removed: &batch.removed,
        };
        let mut writer = match self.library.begin_indexing(&progress) {
            Ok(writer) => writer,
            Err(error) => return self.wait_after(error, batch),
        };
        let over = Over {
            walked: &walked,
            within: within.as_deref(),
            adapts: !self.is_ready,
        };
        let indexed = self
            .library
            .index_walked(&mut writer, &over, &self.options, &progress);
        self.library.end_indexing(writer)?;
        let (summary, folded) = indexed?;
        indexing::report_folding(folded, &progress);
        (self.reloads, self.has_said_waiting) = (0, false);
        if summary.kept_unconfirmed > 0 {
            self.unconfirmed = Some((walked.roots, summary.kept_unconfirmed));
        }
        self.progress.watch(&WatchEvent::Indexed(summary.clone()));
        if !self.is_ready && !summary.interrupted {
            self.is_ready = true;
            self.progress.watch(&WatchEvent::Ready {
                folders: self.source.len(),
                polled: self.polled.clone(),
            });
        }
        Ok(Some(summary))
    }

    /// Walks what a batch names, and watches the folders that it finds. Returns `None` if nothing of it is there
    /// to look at.
    fn look(&mut self, batch: &Batch) -> Result<Option<Look>> {
        if self.is_ready && !batch.is_everything {
            let paths = batch.paths.iter().map(|path| ruled_by(path));
            let paths: Vec<PathBuf> = paths
                .filter(|path| !self.roots.is_away(path))
                .map(Path::to_owned)
                .collect();
            if paths.is_empty() {
                return Ok(None);
            }
            let roots = self.roots.present();
            let walked = self.covered(|source, options| {
                let part = Part {
                    roots: &roots,
                    paths: &paths,
                    knows: &|folder| source.knows(folder),
                };
                walk_within(&part, &options.walk)
            })?;
            if let Some(walked) = walked {
                let within = self.roots.outermost().as_slice().to_vec();
                return Ok(Some(Look {
                    walked,
                    within: Some(within),
                }));
            }
        } else if self.is_ready {
            // Reports were lost, so other folders may stand where some were watched.
            for root in self.roots.outermost().as_slice() {
                self.source.forget(root);
            }
        }
        let names = self.roots.present();
        let walked =
            self.covered(|_, options| walk_named(names.clone(), &options.walk).map(Some))?;
        let is_whole = !self.roots.any_away();
        let within = (!is_whole).then(|| self.roots.outermost().as_slice().to_vec());
        Ok(walked.map(|walked| Look { walked, within }))
    }

    /// Walks, and watches the folders that were found. What was made in a folder before it was watched would be
    /// missed, so it is walked again then.
    fn covered(
        &mut self,
        walk: impl Fn(&Source, &IndexOptions) -> Result<Option<Walked>>,
    ) -> Result<Option<Walked>> {
        for round in 1.. {
            let Some(walked) = walk(&self.source, &self.options)? else {
                return Ok(None);
            };
            let new = self.cover(&walked)?;
            if new.is_empty() {
                return Ok(Some(walked));
            }
            if round == ROUNDS {
                let mut state = self.shared.lock();
                for folder in new {
                    state.pending.look_at(&folder, Instant::now());
                }
                return Ok(Some(walked));
            }
        }
        Ok(None)
    }

    /// Watches the walked folders, and those of files that are roots. Returns the new ones.
    fn cover(&mut self, walked: &Walked) -> Result<Vec<PathBuf>> {
        if self.is_full {
            return Ok(Vec::new());
        }
        let folders = walked.folders.iter().map(PathBuf::as_path);
        match self.source.cover(folders.chain(self.roots.holders())) {
            Ok(new) => Ok(new),
            Err(trouble) => {
                self.full(trouble)?;
                Ok(Vec::new())
            }
        }
    }

    /// Looks at everything regularly from now on, if that was allowed, because the system watches no more.
    fn full(&mut self, trouble: Trouble) -> Result<()> {
        let error = failed(trouble);
        if self.poll.is_none() {
            return Err(error);
        }
        if !self.is_full {
            self.is_full = true;
            let reason = error.to_string();
            self.progress.watch(&WatchEvent::Incomplete { reason });
        }
        Ok(())
    }

    /// Returns whether an indexing run would change anything.
    fn changes_anything(&mut self, walked: &Walked, within: Option<&[PathBuf]>) -> Result<bool> {
        let reader = match Reader::open(self.library.dir()) {
            Ok(reader) => reader,
            Err(IndexError::IndexNotFound { .. }) => {
                // It was deleted, so everything is new.
                if within.is_some() {
                    self.shared.lock().pending.everything(Instant::now());
                }
                return Ok(within.is_none());
            }
            Err(error) => return Err(error.into()),
        };
        let limits = *self.library.limits();
        let outlook = outlook(&reader, walked, within, &self.options, &limits)?;
        let is_known = self
            .unconfirmed
            .as_ref()
            .is_some_and(|(roots, gone)| *roots == walked.roots && *gone == outlook.gone);
        Ok(outlook.changes || (outlook.gone > 0 && !is_known))
    }

    /// Puts a batch back if the index could not be opened for a reason that passes.
    fn wait_after(&mut self, error: Error, batch: &Batch) -> Result<Option<Summary>> {
        match &error {
            Error::Index(IndexError::Locked { holder, .. }) => {
                if !self.has_said_waiting {
                    self.has_said_waiting = true;
                    let holder = holder.to_string();
                    self.progress.watch(&WatchEvent::Waiting { holder });
                }
            }
            // Another process gave the index another encoder.
            Error::Index(IndexError::EncoderMismatch { .. }) | Error::EncoderCopy { .. }
                if !self.library.encoder_given && self.reloads < MAX_RELOADS =>
            {
                self.reloads += 1;
                self.library.forget_encoder();
            }
            _ => return Err(error),
        }
        let due = Instant::now() + RETRY;
        self.shared.lock().pending.put_back(batch.clone(), due);
        Ok(None)
    }

    /// Looks which roots vanished or are back.
    fn look_at_roots(&mut self) {
        let changed = self.roots.look();
        for folder in changed.vanished {
            self.source.forget(&folder);
            self.progress.watch(&WatchEvent::Vanished { folder });
        }
        for folder in changed.returned {
            self.source.forget(&folder);
            let mut state = self.shared.lock();
            state.pending.look_at(&folder, Instant::now());
            drop(state);
            self.progress.watch(&WatchEvent::Returned { folder });
        }
    }

    /// Looks which disks are mounted now, at what came or went, and which of them report nothing.
    fn remounted(&mut self) {
        #[cfg(target_os = "linux")]
        {
            use crate::indexing::watch::{is_silent, near};
            let before = std::mem::replace(&mut self.mounted, near(&self.roots.pairs()));
            let changed = before
                .keys()
                .chain(self.mounted.keys())
                .filter(|place| before.get(*place) != self.mounted.get(*place));
            if !before.is_empty() {
                for place in changed {
                    self.source.forget(place);
                    let mut state = self.shared.lock();
                    state.pending.look_at(place, Instant::now());
                }
            }
            let roots = self.roots.outermost().as_slice().iter();
            let silent = roots.chain(self.mounted.keys());
            let silent = silent.filter(|place| is_silent(place)).cloned();
            self.polled = silent.collect();
        }
        if self.poll.is_some() {
            self.polled = self.roots.outermost().as_slice().to_vec();
        }
        self.polled.sort();
        self.polled.dedup();
        self.next_poll = None;
    }
}

/// Returns what a change of a path concerns: an ignore file concerns its folder.
fn ruled_by(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if path.file_name() == Some(IGNORE_FILE.as_ref()) => folder,
        _ => path,
    }
}

/// Returns the error for a system that does not report changes.
fn failed(trouble: Trouble) -> Error {
    match trouble {
        Trouble::Limit(limit, value) => Error::WatchLimit { limit, value },
        Trouble::Other(reason) => Error::Watch { reason },
    }
}
