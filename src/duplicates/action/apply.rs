//! Doing what a plan says, one file after the other.
//!
//! For each file: the best file of its group and the file itself are as they were indexed, by their content; the undo
//! log has what is about to be done; both are still the same; it is done; the log has that.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use imgsearch_index::{Digest, FileStat};

use super::checked::{Checked, is_same_file, plain};
use super::files::{self, free_name, remove_left_over, temp_name};
use super::log::{History, Intent, Line, Log};
use super::plan::real_path;
use super::{Action, Applied, Outcome, Plan, PlannedGroup, Step, Why, rubbish};
use crate::error::Result;
use crate::indexing::walk::{nanoseconds, stat_of};
use crate::progress::Progress;

/// Files after which the index takes over what was done.
const BATCH: usize = 64;

/// What was done to a file, for the index.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Done {
    /// The file is not at its path any more.
    Removed { path: PathBuf },
    /// The file is at another path.
    Moved {
        path: PathBuf,
        to: PathBuf,
        stat: FileStat,
    },
    /// The file is there, with the same content and other dates or numbers.
    Touched {
        path: PathBuf,
        digest: Digest,
        stat: FileStat,
    },
}

/// An action that is about to be done. The writer's lock of the index in `dir` must be held.
pub(crate) struct Applying<'a> {
    pub dir: &'a Path,
    pub plan: &'a Plan,
    pub progress: &'a dyn Progress,
}

/// What goes on during an action.
struct Run<'a> {
    plan: &'a Plan,
    progress: &'a dyn Progress,
    log: Log,
    batch: String,
    /// The number of the next file.
    n: usize,
    applied: Applied,
    /// What the index does not know yet.
    news: Vec<Done>,
    /// Files of the current group that became links.
    linked: Vec<PathBuf>,
}

impl Applying<'_> {
    /// Does it. `follow` hands what was done to the index.
    ///
    /// # Errors
    ///
    /// If the undo log cannot be written: nothing more is done then. The errors of `follow`.
    pub fn run(self, mut follow: impl FnMut(&[Done]) -> Result<()>) -> Result<Applied> {
        if self.plan.files() == 0 {
            return Ok(Applied::default());
        }
        let now = nanoseconds(SystemTime::now());
        clean_up(&History::read(self.dir)?);
        let mut run = Run {
            plan: self.plan,
            progress: self.progress,
            log: Log::open(self.dir)?,
            batch: format!("{now}-{}", std::process::id()),
            n: 0,
            applied: Applied::default(),
            news: Vec::new(),
            linked: Vec::new(),
        };
        run.log.append(&Line::Begin {
            batch: run.batch.clone(),
            action: run.plan.action.name().to_owned(),
            at: now.div_euclid(1_000_000_000),
        })?;
        for group in &self.plan.groups {
            let went = run.group(group, &mut follow);
            run.note_links(group);
            if went.is_err() || run.news.len() >= BATCH {
                // What was done is done, whatever happened then.
                follow(&std::mem::take(&mut run.news))?;
            }
            went?;
        }
        follow(&run.news)?;
        Ok(run.applied)
    }
}

/// Removes the temporary file of the last action if that was interrupted while it used one.
fn clean_up(history: &History) {
    let last = history.batches.last();
    if let Some((_, record)) = last.and_then(|batch| batch.records.last_key_value()) {
        for temp in record.intent.temps() {
            remove_left_over(&temp);
        }
    }
}

impl Run<'_> {
    fn group(
        &mut self,
        group: &PlannedGroup,
        follow: &mut impl FnMut(&[Done]) -> Result<()>,
    ) -> Result<()> {
        let mut best = Err(Why::Gone);
        for step in &group.steps {
            if self.progress.is_cancelled() {
                self.applied.interrupted = true;
                return Ok(());
            }
            // Read once, and again if anything speaks for a change since.
            let path = &group.best.path;
            let is_known = best
                .as_ref()
                .is_ok_and(|best: &Checked| best.still(path).is_ok());
            if !is_known {
                best = Checked::read(path, &group.best.digest);
            }
            let outcome = match &mut best {
                Ok(best) => self.step(group, step, best)?,
                Err(why) => Outcome::LeftAlone(Why::Best {
                    best: path.clone(),
                    why: Box::new(why.clone()),
                }),
            };
            match &outcome {
                Outcome::Done { .. } => {
                    self.applied.done += 1;
                    self.applied.bytes += step.member.stat.size;
                }
                _ => self.applied.left_alone += 1,
            }
            self.progress.acted(&step.member.path, &outcome);
            if self.news.len() >= BATCH {
                follow(&std::mem::take(&mut self.news))?;
            }
        }
        Ok(())
    }

    /// Does what is to be done with one file.
    fn step(&mut self, group: &PlannedGroup, step: &Step, best: &mut Checked) -> Result<Outcome> {
        let (path, digest) = (&step.member.path, &step.member.digest);
        let checked = match Checked::read(path, digest) {
            Ok(_) if is_same_file(path, &group.best.path) => {
                return Ok(Outcome::LeftAlone(Why::SameFile {
                    of: group.best.path.clone(),
                }));
            }
            Ok(checked) => checked,
            Err(why) => return Ok(Outcome::LeftAlone(why)),
        };
        let to = match self.make_target(step) {
            Ok(to) => to,
            Err(why) => return Ok(Outcome::LeftAlone(why)),
        };
        let intent = self.intent(group, step, &checked, to.as_deref());
        let temp = intent.temp.as_ref().map(super::log::Logged::path);
        let n = intent.n;
        self.log.append(&Line::Intend(Box::new(intent)))?;
        let done = best
            .still(&group.best.path)
            .map_err(|why| Why::Best {
                best: group.best.path.clone(),
                why: Box::new(why),
            })
            .and_then(|()| checked.still(path))
            .and_then(|()| self.act(group, step, to.as_deref(), temp.as_deref()));
        let batch = self.batch.clone();
        if let Err(why) = done {
            // If it is not as it was after all, undoing has to look.
            if checked.still(path).is_ok() {
                let why = why.to_string();
                self.log.append(&Line::Failed { batch, n, why })?;
            }
            return Ok(Outcome::LeftAlone(why));
        }
        self.log.append(&Line::Done { batch, n })?;
        best.linked(&group.best.path);
        self.note(step, to.as_deref());
        Ok(Outcome::Done { to })
    }

    /// Makes the folder that a file is moved to, and returns its name there.
    fn make_target(&self, step: &Step) -> Result<Option<PathBuf>, Why> {
        let Some(to) = &step.to else {
            return Ok(None);
        };
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).map_err(|error| Why::NoTarget {
                folder: folder.to_owned(),
                reason: error.to_string(),
            })?;
        }
        Ok(Some(free_name(to.clone())))
    }

    fn intent(
        &mut self,
        group: &PlannedGroup,
        step: &Step,
        checked: &Checked,
        to: Option<&Path>,
    ) -> Intent {
        let path = step.member.path.as_path();
        let n = self.n;
        self.n += 1;
        let beside = match &self.plan.action {
            Action::Trash => None,
            Action::Hardlink => Some(path),
            Action::Move { .. } => to,
        };
        let temp = beside.map(|beside| temp_name(beside, &self.batch, n));
        Intent {
            batch: self.batch.clone(),
            n,
            path: path.into(),
            real: real_path(path).as_deref().unwrap_or(path).into(),
            digest: blake3::Hash::from_bytes(step.member.digest)
                .to_hex()
                .to_string(),
            mtime_ns: checked.stat().mtime_ns,
            mode: mode_of(&checked.metadata),
            best: group.best.path.as_path().into(),
            to: to.map(Into::into),
            temp: temp.as_deref().map(Into::into),
        }
    }

    fn act(
        &self,
        group: &PlannedGroup,
        step: &Step,
        to: Option<&Path>,
        temp: Option<&Path>,
    ) -> Result<(), Why> {
        let path = step.member.path.as_path();
        match (&self.plan.action, to, temp) {
            (Action::Trash, ..) => {
                rubbish::discard(path)?;
                match fs::symlink_metadata(path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        files::sync_folder_of(path);
                        Ok(())
                    }
                    _ => Err(Why::Refused("the trash did not take it".to_owned())),
                }
            }
            (Action::Hardlink, _, Some(temp)) => files::link_over(&group.best.path, path, temp)
                .map_err(|error| Why::refused_in(path.parent(), &error)),
            (Action::Move { .. }, Some(to), Some(temp)) => {
                files::relocate(path, to, temp, &step.member.digest).map_err(|error| {
                    let refusing = if files::may_be_made(temp) { path } else { to };
                    Why::refused_in(refusing.parent(), &error)
                })
            }
            _ => Err(Why::Refused("the plan names no place for it".to_owned())),
        }
    }

    /// Notes what was done for the index.
    fn note(&mut self, step: &Step, to: Option<&Path>) {
        let path = step.member.path.clone();
        match (&self.plan.action, to) {
            (Action::Hardlink, _) => self.linked.push(path),
            (Action::Move { .. }, Some(to)) => {
                let stat = fs::symlink_metadata(to).map(|metadata| stat_of(&metadata));
                self.news.push(match stat {
                    Ok(stat) => Done::Moved {
                        path,
                        to: to.to_owned(),
                        stat,
                    },
                    Err(_) => Done::Removed { path },
                });
            }
            _ => self.news.push(Done::Removed { path }),
        }
    }

    /// Notes the links of a group: each new one changes the change time of all.
    fn note_links(&mut self, group: &PlannedGroup) {
        let linked = std::mem::take(&mut self.linked);
        if linked.is_empty() {
            return;
        }
        let best = &group.best;
        if let Ok(metadata) = plain(&best.path) {
            let stat = stat_of(&metadata);
            let paths = linked.into_iter().chain([best.path.clone()]);
            self.news.extend(paths.map(|path| Done::Touched {
                path,
                digest: best.digest,
                stat,
            }));
        }
    }
}

/// Returns the permissions of a file.
#[cfg(unix)]
fn mode_of(metadata: &fs::Metadata) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    Some(metadata.permissions().mode())
}

/// Returns nothing: this system has no permissions in one number.
#[cfg(not(unix))]
fn mode_of(_: &fs::Metadata) -> Option<u32> {
    None
}
