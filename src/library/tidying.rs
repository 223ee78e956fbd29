//! Acting on duplicates, and taking it back: the index follows what happens to the files.

use std::fs;
use std::path::{Path, PathBuf};

use imgsearch_index::{Change, Image, KnownPath, Reader, Writer};

use super::Library;
use crate::duplicates::action::{
    Action, Applied, Applying, Back, Done, Group, Plan, PlanOptions, Undoing, Undone,
};
use crate::error::Result;
use crate::indexing::walk::{Names, stat_of};
use crate::progress::Progress;

impl Library {
    /// Plans what an action would do with the files of `groups` that are not their best. Nothing is changed.
    /// Files in `reference` are never touched, and the best file of a group is one of them if it has one. If `under`
    /// names paths, only files at and below them are touched.
    ///
    /// # Errors
    ///
    /// If there is no index, or it cannot be read.
    pub fn plan_action(
        &self,
        groups: &[Group],
        action: Action,
        reference: &[PathBuf],
        under: &[PathBuf],
    ) -> Result<Plan> {
        let reader = self.index_view()?.to_reader()?;
        let names = Names::of(&reader)?;
        let stored = |paths: &[PathBuf]| -> Result<Vec<PathBuf>> {
            paths.iter().map(|path| names.stored(path)).collect()
        };
        let mut options = PlanOptions::new(action);
        options.reference = stored(reference)?;
        options.under = stored(under)?;
        options.roots = reader.roots()?;
        Ok(Plan::new(groups, &options))
    }

    /// Does what a plan says. Each file is verified once more by its content just before it is touched, and so is the
    /// best file of its group; whatever is not as it was indexed is left alone. [`Progress::acted`] reports each file.
    /// [`Library::undo_action`] takes it back.
    ///
    /// Files that were trashed or moved out of the indexed folders are forgotten as by [`Library::remove`], and those
    /// that were moved within them keep their ids.
    ///
    /// # Errors
    ///
    /// If there is no index, another process writes to it, or it cannot be written; if the undo log cannot be written.
    /// What was done before is kept and can be undone.
    pub fn apply_plan(&mut self, plan: &Plan, progress: &dyn Progress) -> Result<Applied> {
        let mut writer = self.writer()?;
        let reader = writer.reader()?;
        let roots = reader.roots()?;
        let dir = self.dir.clone();
        let applying = Applying {
            dir: &dir,
            plan,
            progress,
        };
        applying.run(|done| follow(&mut writer, &reader, &roots, done))
    }

    /// Undoes the newest action that was not undone yet, and returns what came of it; `None` if there is none.
    /// An action of which something could not be brought back is tried again by the next call, and is over when that
    /// brings nothing back either.
    ///
    /// # Errors
    ///
    /// If there is no index, another process writes to it, or it cannot be written; if the undo log cannot be read or
    /// written.
    pub fn undo_action(&mut self, progress: &dyn Progress) -> Result<Option<Undone>> {
        let mut writer = self.writer()?;
        let reader = writer.reader()?;
        let dir = self.dir.clone();
        let undoing = Undoing {
            dir: &dir,
            progress,
        };
        undoing.run(|back| follow_back(&mut writer, &reader, back))
    }
}

/// Stores what was done to files. We did it ourselves, so nothing is in doubt: what was removed is gone.
fn follow(writer: &mut Writer, reader: &Reader, roots: &[PathBuf], done: &[Done]) -> Result<()> {
    let mut changes = Vec::new();
    for one in done {
        match one {
            Done::Removed { path } => {
                changes.extend(stored(reader, path)?.map(|image| Change::Discard { id: image.id }));
            }
            Done::Moved { path, to, stat } => {
                let Some(image) = stored(reader, path)? else {
                    continue;
                };
                // Outside of what is indexed, no run would ever look at it again.
                let is_indexed = roots.iter().any(|root| to.starts_with(root));
                changes.push(if is_indexed {
                    Change::Rename {
                        id: image.id,
                        path: to.clone(),
                        stat: *stat,
                    }
                } else {
                    Change::Discard { id: image.id }
                });
            }
            Done::Touched { path, digest, stat } => {
                if stored(reader, path)?.is_some_and(|image| image.digest == *digest) {
                    changes.push(Change::Touch {
                        path: path.clone(),
                        stat: *stat,
                    });
                }
            }
        }
    }
    apply(writer, &changes)
}

/// Stores what was brought back.
fn follow_back(writer: &mut Writer, reader: &Reader, back: &[Back]) -> Result<()> {
    for one in back {
        let moved = match &one.from {
            Some(from) => stored(reader, from)?.filter(|image| image.digest == one.digest),
            None => None,
        };
        let mut changes = Vec::new();
        if let (Some(image), Ok(metadata)) = (moved, fs::symlink_metadata(&one.path)) {
            changes.push(Change::Rename {
                id: image.id,
                path: one.path.clone(),
                stat: stat_of(&metadata),
            });
        } else {
            if stored(reader, &one.path)?.is_none() {
                writer.restore(Some(&one.path))?;
            }
            for path in [Some(&one.path), one.best.as_ref()].into_iter().flatten() {
                changes.extend(touched(reader, path, &one.digest)?);
            }
        }
        apply(writer, &changes)?;
    }
    Ok(())
}

/// Returns the change that stores what the system says of a file whose content is known, so that the next run does not
/// read it again.
fn touched(reader: &Reader, path: &Path, digest: &[u8; 32]) -> Result<Option<Change>> {
    let is_it = stored(reader, path)?.is_some_and(|image| image.digest == *digest);
    let metadata = fs::symlink_metadata(path).ok().filter(|_| is_it);
    Ok(metadata.map(|metadata| Change::Touch {
        path: path.to_owned(),
        stat: stat_of(&metadata),
    }))
}

fn stored(reader: &Reader, path: &Path) -> Result<Option<Box<Image>>> {
    Ok(match reader.by_path(path)? {
        Some(KnownPath::Image(image)) => Some(image),
        _ => None,
    })
}

fn apply(writer: &mut Writer, changes: &[Change]) -> Result<()> {
    if !changes.is_empty() {
        writer.apply(changes)?;
    }
    Ok(())
}
