//! Undoing: what the newest action did is looked up in the undo log and on the disk, and brought back.
//!
//! The disk decides, because an action or an earlier undoing may have ended between two lines of the log. Nothing that
//! has a name is overwritten, and nothing is removed before its content is complete elsewhere.

use std::cell::OnceCell;
use std::fs::{self, FileTimes};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use imgsearch_index::Digest;

use super::checked::{holds, is_same_file, plain};
use super::files::{Kept, relocate, remove_left_over, temp_name, unlink_by_copy};
use super::log::{Batch, History, Intent, Line, Log, Logged, Record};
use super::rubbish::Rubbish;
use super::{Outcome, Undone, Why};
use crate::error::Result;
use crate::progress::Progress;

/// Files after which the index takes over what was brought back.
const BATCH: usize = 64;

/// A file that is back, for the index.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Back {
    pub path: PathBuf,
    /// Where it was meanwhile, if it was moved.
    pub from: Option<PathBuf>,
    /// The best file of its group, if it was a link to that.
    pub best: Option<PathBuf>,
    pub digest: Digest,
}

/// An undoing that is about to begin. The writer's lock of the index in `dir` must be held.
pub(crate) struct Undoing<'a> {
    pub dir: &'a Path,
    pub progress: &'a dyn Progress,
}

impl Undoing<'_> {
    /// Undoes the newest action that is not over; `None` if there is none. `follow` hands what is back to the index.
    ///
    /// # Errors
    ///
    /// If the undo log cannot be read or written. The errors of `follow`.
    pub fn run(self, mut follow: impl FnMut(&[Back]) -> Result<()>) -> Result<Option<Undone>> {
        let history = History::read(self.dir)?;
        let Some(batch) = history.newest_open() else {
            return Ok(None);
        };
        let mut undone = Undone {
            action: batch.action.clone(),
            began: batch.at,
            back: 0,
            not_back: 0,
            closed: false,
            unreadable_lines: history.unreadable,
            interrupted: false,
        };
        let mut log = Log::open(self.dir)?;
        log.append(&Line::Undo {
            batch: batch.id.clone(),
        })?;
        let mut news = Vec::new();
        let went = self.bring_back(batch, &mut log, &mut undone, &mut |back| {
            news.push(back);
            if news.len() >= BATCH {
                return follow(&std::mem::take(&mut news));
            }
            Ok(())
        });
        // What is back is back, whatever happened then.
        follow(&news)?;
        went?;
        Ok(Some(undone))
    }

    fn bring_back(
        &self,
        batch: &Batch,
        log: &mut Log,
        undone: &mut Undone,
        report: &mut dyn FnMut(Back) -> Result<()>,
    ) -> Result<()> {
        let rubbish = OnceCell::new();
        let (mut left, mut untried) = (0, 0);
        // The last file first, as when one walks back.
        for (&n, record) in batch
            .records
            .iter()
            .rev()
            .filter(|(_, record)| !record.settled)
        {
            if self.progress.is_cancelled() {
                undone.interrupted = true;
                return Ok(());
            }
            let (path, id) = (record.intent.path.path(), batch.id.clone());
            if will_return(&batch.action, record) {
                log.append(&Line::Return {
                    batch: id.clone(),
                    n,
                })?;
            }
            match bring_one_back(&batch.action, record, &rubbish) {
                Ok(back) => {
                    log.append(&Line::Back { batch: id, n })?;
                    if let Some(back) = back {
                        undone.back += 1;
                        report(back)?;
                        self.progress.acted(&path, &Outcome::Back);
                    }
                }
                Err(why) => {
                    let for_good = why.is_for_good();
                    log.append(&Line::NotBack {
                        batch: id,
                        n,
                        why: why.to_string(),
                        for_good,
                    })?;
                    undone.not_back += 1;
                    left += usize::from(!for_good);
                    untried += usize::from(!for_good && !record.tried);
                    self.progress.acted(&path, &Outcome::NotBack(why));
                }
            }
        }
        // Trying again helps if the reason was removed. If a second attempt brought nothing back, the action before is
        // next.
        undone.closed = left == 0 || (undone.back == 0 && untried == 0);
        if undone.closed {
            log.append(&Line::Closed {
                batch: batch.id.clone(),
            })?;
        }
        Ok(())
    }
}

/// Returns whether a moved file is about to be brought back. Only then, what is at both places after an interruption is
/// ours, and not a copy that somebody made.
fn will_return(action: &str, record: &Record) -> bool {
    let path = record.intent.path.path();
    action == "move"
        && matches!(fs::symlink_metadata(path), Err(error) if error.kind() == io::ErrorKind::NotFound)
}

/// Brings one file back; `None` if it is as it was already.
fn bring_one_back(
    action: &str,
    record: &Record,
    rubbish: &OnceCell<Result<Rubbish, Why>>,
) -> Result<Option<Back>, Why> {
    let intent = &record.intent;
    let Some(digest) = intent.digest() else {
        return Err(Why::Refused("the undo log is damaged".to_owned()));
    };
    for temp in intent.temps() {
        remove_left_over(&temp);
    }
    let back = Back {
        path: intent.path.path(),
        from: intent.to.as_ref().map(Logged::path),
        best: None,
        digest,
    };
    let is_back = match action {
        "trash" => from_trash(intent, &back, rubbish),
        "move" => from_folder(record, &back),
        "hardlink" => {
            let best = intent.best.path();
            let is_back = from_link(intent, &back, &best)?;
            return Ok(is_back.then_some(Back {
                best: Some(best),
                ..back
            }));
        }
        other => Err(Why::Refused(format!(
            "a newer version did {other:?}, which this one cannot undo"
        ))),
    }?;
    Ok(is_back.then_some(back))
}

/// Returns whether nothing has the former name of a file and its folder is there. `false` if the file itself is there.
///
/// # Errors
///
/// If something else is there.
fn is_free(back: &Back) -> Result<bool, Why> {
    match fs::symlink_metadata(&back.path) {
        Ok(_) if holds(&back.path, &back.digest) => Ok(false),
        Ok(_) => Err(Why::Occupied),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            match back.path.parent() {
                // It is not made again: a disk may be mounted there.
                Some(folder) if !folder.is_dir() => Err(Why::NoFolder {
                    folder: folder.to_owned(),
                }),
                _ => Ok(true),
            }
        }
        Err(error) => Err(Why::refused(&error)),
    }
}

fn from_trash(
    intent: &Intent,
    back: &Back,
    rubbish: &OnceCell<Result<Rubbish, Why>>,
) -> Result<bool, Why> {
    let is_free = is_free(back)?;
    let rubbish = rubbish.get_or_init(Rubbish::list).as_ref();
    if !is_free {
        if let Some(second) = rubbish
            .ok()
            .and_then(|rubbish| rubbish.find(&intent.real.path(), &back.digest))
        {
            second.finish(&back.path);
        }
        return Ok(false);
    }
    let found = rubbish
        .map_err(Clone::clone)?
        .find(&intent.real.path(), &back.digest)
        .ok_or(Why::NotInTrash)?;
    let temp = temp_name(&back.path, &intent.batch, intent.n);
    found
        .restore(&back.path, &temp, &back.digest)
        .map_err(|error| refused(&error))?;
    Ok(true)
}

fn from_folder(record: &Record, back: &Back) -> Result<bool, Why> {
    let intent = &record.intent;
    let Some(from) = &back.from else {
        return Err(Why::Refused("the undo log is damaged".to_owned()));
    };
    let is_free = is_free(back)?;
    let is_there = holds(from, &back.digest);
    if !is_free {
        // The move, or an earlier undoing, ended before it removed the old name.
        if is_there && (record.returning || !record.done) {
            fs::remove_file(from).map_err(|error| Why::refused(&error))?;
        }
        return Ok(false);
    }
    if !is_there {
        return Err(Why::NotAt {
            place: from.clone(),
        });
    }
    let temp = temp_name(&back.path, &intent.batch, intent.n);
    relocate(from, &back.path, &temp, &back.digest).map_err(|error| refused(&error))?;
    Ok(true)
}

fn from_link(intent: &Intent, back: &Back, best: &Path) -> Result<bool, Why> {
    let there = plain(&back.path)?;
    if !holds(&back.path, &back.digest) {
        return Err(Why::Changed);
    }
    if !is_same_file(&back.path, best) {
        return Ok(false);
    }
    let mut keep = Kept::of(&there);
    keep.times = FileTimes::new().set_modified(time_of(intent.mtime_ns));
    set_mode(&mut keep, intent.mode);
    let temp = temp_name(&back.path, &intent.batch, intent.n);
    unlink_by_copy(&back.path, &temp, &back.digest, &keep).map_err(|error| refused(&error))?;
    Ok(true)
}

/// Returns what a system's error says of a file that should come back.
fn refused(error: &io::Error) -> Why {
    match error.kind() {
        io::ErrorKind::AlreadyExists => Why::Occupied,
        // What is missing may be a folder, and come back.
        _ => Why::Refused(error.to_string()),
    }
}

/// Returns the time of nanoseconds since 1970.
fn time_of(nanoseconds: i64) -> SystemTime {
    let away = Duration::from_nanos(nanoseconds.unsigned_abs());
    let time = if nanoseconds < 0 {
        UNIX_EPOCH.checked_sub(away)
    } else {
        UNIX_EPOCH.checked_add(away)
    };
    time.unwrap_or(UNIX_EPOCH)
}

#[cfg(unix)]
fn set_mode(keep: &mut Kept, mode: Option<u32>) {
    use std::os::unix::fs::PermissionsExt as _;
    if let Some(mode) = mode {
        keep.permissions = Some(fs::Permissions::from_mode(mode));
    }
}

#[cfg(not(unix))]
fn set_mode(_: &mut Kept, _: Option<u32>) {}
