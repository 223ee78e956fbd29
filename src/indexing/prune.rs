//! Pruning: what the walk did not meet is forgotten, or kept and said to be.
//!
//! Whether a file is gone is decided in [`super::forget`]. Where that is much, nothing is forgotten
//! unless somebody confirms it.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use imgsearch_index::{Change, Writer};

use super::forget::{Doubt, Fate, Grounds};
use super::plan::{Missing, Plan};
use super::report::{Forgetting, Kept, WhyKept};
use super::write::Wrote;
use super::{COMMIT_EVERY, IndexOptions, Outcome, Summary};
use crate::error::Result;
use crate::indexing::walk::Walked;
use crate::progress::Progress;

/// So many files that were read for nothing are worth a word.
const MANY_READ_IN_VAIN: usize = 100;

/// What changes of what is stored is committed by so many: it is done in no time.
const TOUCH_EVERY: usize = 16_384;

/// Deals with the images that were not met, after all others were.
pub(super) struct Prune<'a, 'g> {
    pub writer: &'a mut Writer,
    pub walked: &'a Walked,
    pub grounds: &'a mut Grounds<'g>,
    pub options: &'a IndexOptions,
    pub progress: &'a dyn Progress,
    pub summary: &'a mut Summary,
}

impl Prune<'_, '_> {
    pub fn run(&mut self, plan: &Plan, wrote: &Wrote) -> Result<()> {
        for batch in plan.touched.chunks(TOUCH_EVERY) {
            self.writer.apply(batch)?;
        }
        self.grounds.look_again();
        let mut kept = Tally::default();
        let (mut final_, mut away, mut stay) = (Vec::new(), Vec::new(), Vec::new());
        for missing in &plan.missing {
            if wrote.renamed.contains(&missing.id) {
                continue;
            }
            match self.grounds.fate(&missing.path, missing.away) {
                Fate::There => stay.push(missing),
                // It was asked for, and its file is not missing.
                Fate::Ignored | Fate::OtherName => final_.push(missing),
                Fate::Gone | Fate::NoImage if self.options.keep_missing => {
                    self.summary.kept_missing += 1;
                    stay.push(missing);
                }
                Fate::Gone | Fate::NoImage => final_.push(missing),
                Fate::OutOfSight(doubt) => {
                    if doubt.why == WhyKept::Unreadable {
                        self.summary.kept_unreadable += 1;
                    } else {
                        self.summary.kept_missing += 1;
                    }
                    if self.lies_elsewhere(missing, &doubt) {
                        away.push(Change::Away { id: missing.id });
                    }
                    kept.add(doubt);
                    stay.push(missing);
                }
            }
        }
        for doubt in wrote.left.values() {
            kept.add(doubt.clone());
        }
        kept.tell(self.progress);
        if !away.is_empty() {
            self.writer.apply(&away)?;
        }
        if self.is_confirmed(&final_)? {
            self.forget(&final_)?;
        } else {
            self.summary.kept_missing += final_.len();
            self.summary.kept_unconfirmed = final_.len();
            stay.append(&mut final_);
        }
        self.forget_failures()?;
        let known = stay.iter().map(|missing| missing.path.as_path());
        self.grounds.record(self.writer, known, false)?;
        if wrote.read_in_vain >= MANY_READ_IN_VAIN {
            self.progress.note(&format!(
                "{} files were read because their inode number or change time is another; nothing else had changed. If \
                 each run says so, as on some network disks: --ignore-inode",
                wrote.read_in_vain
            ));
        }
        Ok(())
    }

    /// Whether a missing image is to be marked as away: whatever stands in its place later.
    fn lies_elsewhere(&mut self, missing: &Missing, doubt: &Doubt) -> bool {
        let elsewhere = |doubt: &Doubt| doubt.why == WhyKept::Elsewhere;
        let is_so = match doubt.why {
            // A folder that is empty may all the same be the one that it was.
            WhyKept::Empty => self
                .grounds
                .doubt(&missing.path)
                .as_ref()
                .is_some_and(elsewhere),
            _ => elsewhere(doubt),
        };
        is_so && !missing.away
    }

    /// Whether these may be forgotten: they are few, or somebody says so.
    fn is_confirmed(&self, missing: &[&Missing]) -> Result<bool> {
        if missing.is_empty() {
            return Ok(true);
        }
        let emptied = self.emptied(missing);
        let paths = missing.iter().map(|missing| missing.path.as_path());
        let Some(forgetting) = Forgetting::of(paths, self.writer.reader()?.count()?, emptied)
        else {
            return Ok(true);
        };
        self.progress.forgetting(&forgetting);
        Ok(self.options.prune || self.progress.confirm_forget(&forgetting))
    }

    /// A folder that was to be indexed, held some of these, and in which no image was met.
    fn emptied(&self, missing: &[&Missing]) -> Option<PathBuf> {
        let candidates = &self.walked.candidates;
        let is_empty = |root: &Path| {
            let first = candidates.partition_point(|candidate| candidate.path.as_path() < root);
            !candidates
                .get(first)
                .is_some_and(|candidate| candidate.path.starts_with(root))
        };
        let held = |root: &Path| {
            let mut below = missing.iter().map(|missing| missing.path.as_path());
            below.any(|path| path != root && path.starts_with(root))
        };
        let mut roots = self.walked.roots.iter();
        roots.find(|root| is_empty(root) && held(root)).cloned()
    }

    fn forget(&mut self, missing: &[&Missing]) -> Result<()> {
        for batch in missing.chunks(COMMIT_EVERY) {
            let changes: Vec<Change> = batch
                .iter()
                .map(|missing| Change::Discard { id: missing.id })
                .collect();
            self.writer.apply(&changes)?;
            for missing in batch {
                self.progress.file(&missing.path, &Outcome::Removed);
            }
            self.summary.removed += batch.len();
        }
        Ok(())
    }

    /// Forgets why files could not be used that are gone.
    fn forget_failures(&mut self) -> Result<()> {
        if self.options.keep_missing {
            return Ok(());
        }
        let mut gone = HashSet::new();
        for failure in self.writer.reader()?.failures()? {
            if !self.grounds.was_met(&failure.path)
                && self.walked.covers(&failure.path)
                && self.grounds.fate(&failure.path, false).is_final()
            {
                gone.insert(failure.path);
            }
        }
        if !gone.is_empty() {
            self.writer.forget_failures(|path| gone.contains(path))?;
        }
        Ok(())
    }
}

/// How many images stay for which doubt.
#[derive(Default)]
struct Tally(BTreeMap<Doubt, usize>);

impl Tally {
    fn add(&mut self, doubt: Doubt) {
        *self.0.entry(doubt).or_default() += 1;
    }

    fn tell(self, progress: &dyn Progress) {
        for (Doubt { folder, why }, images) in self.0 {
            progress.kept(&Kept {
                folder,
                images,
                why,
            });
        }
    }
}
