//! Pruning: stored images that the walk did not find are forgotten, or kept and reported.
//!
//! [`super::forget`] decides whether a file is gone. If many are, nothing is forgotten without confirmation.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use imgsearch_index::{Change, ImageId, Writer};

use super::forget::{Doubt, Evidence, Fate};
use super::report::{Forgetting, Kept, WhyKept};
use super::stored::Missing;
use super::write::Wrote;
use super::{COMMIT_EVERY, IndexOptions, Outcome, Summary};
use crate::error::Result;
use crate::indexing::walk::Walked;
use crate::progress::Progress;

/// From this number on, files that were read in vain are reported.
const MIN_REPORTED_READ_IN_VAIN: usize = 100;

/// Number of touched files in one commit; each takes next to no time.
const TOUCH_EVERY: usize = 16_384;

/// The last step of a run: decides about the images that the walk did not find.
pub(super) struct Prune<'a, 'g> {
    pub writer: &'a mut Writer,
    pub walked: &'a Walked,
    /// The indexed folders, if only a part of them was walked.
    pub within: Option<&'a [PathBuf]>,
    pub evidence: &'a mut Evidence<'g>,
    pub options: &'a IndexOptions,
    pub progress: &'a dyn Progress,
    pub summary: &'a mut Summary,
}

impl Prune<'_, '_> {
    /// Commits what changed of unchanged files, and forgets or keeps the missing images.
    ///
    /// # Errors
    ///
    /// If the index cannot be read or written.
    pub fn run(&mut self, touched: &[Change], missing: &[Missing], wrote: &Wrote) -> Result<()> {
        for batch in touched.chunks(TOUCH_EVERY) {
            self.writer.apply(batch)?;
        }
        self.evidence.forget_answers();
        let mut kept = Tally::default();
        let (mut final_, mut away, mut stay) = (Vec::new(), Vec::new(), Vec::new());
        for missing in missing {
            if wrote.renamed.contains(&missing.id) {
                continue;
            }
            let fate = self.evidence.fate(&missing.path, missing.away);
            tracing::info!(path = ?missing.path, ?fate, "its file was not found");
            match fate {
                Fate::There => stay.push(missing),
                // The user asked for it, or the image is stored under another name.
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
        kept.report(self.progress);
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
        self.evidence.record(self.writer, known, false)?;
        if wrote.read_in_vain >= MIN_REPORTED_READ_IN_VAIN {
            self.progress.read_in_vain(wrote.read_in_vain);
        }
        Ok(())
    }

    /// Returns whether a missing image is to be marked as away, whatever takes its place later.
    fn lies_elsewhere(&mut self, missing: &Missing, doubt: &Doubt) -> bool {
        let elsewhere = |doubt: &Doubt| doubt.why == WhyKept::Elsewhere;
        let is_so = match doubt.why {
            // An empty folder may still be the same as before.
            WhyKept::Empty => self
                .evidence
                .doubt(&missing.path)
                .as_ref()
                .is_some_and(elsewhere),
            _ => elsewhere(doubt),
        };
        is_so && !missing.away
    }

    /// Returns whether these images may be forgotten: they are few, or somebody confirms it.
    fn is_confirmed(&self, missing: &[&Missing]) -> Result<bool> {
        if missing.is_empty() {
            return Ok(true);
        }
        let emptied = self.emptied(missing)?;
        let paths = missing.iter().map(|missing| missing.path.as_path());
        let Some(forgetting) = Forgetting::of(paths, self.writer.reader()?.count()?, emptied)
        else {
            return Ok(true);
        };
        self.progress.forgetting(&forgetting);
        Ok(self.options.prune || self.progress.confirm_forget(&forgetting))
    }

    /// Returns an indexed folder that held some of these images, and in which no image is left.
    fn emptied(&self, missing: &[&Missing]) -> Result<Option<PathBuf>> {
        let held = |root: &Path| {
            let mut below = missing.iter().map(|missing| missing.path.as_path());
            below.any(|path| path != root && path.starts_with(root))
        };
        for root in self.within.unwrap_or(&self.walked.roots) {
            if !self.finds_any(root) && held(root) && !self.leaves_any(root, missing)? {
                return Ok(Some(root.clone()));
            }
        }
        Ok(None)
    }

    /// Returns whether the walk found an image at or below a path.
    fn finds_any(&self, root: &Path) -> bool {
        let candidates = &self.walked.candidates;
        let first = candidates.partition_point(|candidate| candidate.path.as_path() < root);
        candidates
            .get(first)
            .is_some_and(|candidate| candidate.path.starts_with(root))
    }

    /// Returns whether an image is stored below an indexed folder in a part that was not walked.
    fn leaves_any(&self, root: &Path, missing: &[&Missing]) -> Result<bool> {
        if self.within.is_none() {
            return Ok(false);
        }
        let missing: HashSet<ImageId> = missing.iter().map(|missing| missing.id).collect();
        let reader = self.writer.reader()?;
        let left = reader.find_under(root, missing.len() + 1, |image| {
            !missing.contains(&image.id)
        })?;
        Ok(left.is_some())
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

    /// Forgets the failures of files that are gone.
    fn forget_failures(&mut self) -> Result<()> {
        if self.options.keep_missing {
            return Ok(());
        }
        let mut gone = HashSet::new();
        for failure in self.writer.reader()?.failures()? {
            if !self.evidence.was_met(&failure.path)
                && self.walked.covers(&failure.path)
                && self.evidence.fate(&failure.path, false).is_final()
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

/// The number of images that stay, for each doubt.
#[derive(Default)]
struct Tally(BTreeMap<Doubt, usize>);

impl Tally {
    fn add(&mut self, doubt: Doubt) {
        *self.0.entry(doubt).or_default() += 1;
    }

    fn report(self, progress: &dyn Progress) {
        for (Doubt { folder, why }, images) in self.0 {
            progress.kept(&Kept {
                folder,
                images,
                why,
            });
        }
    }
}
