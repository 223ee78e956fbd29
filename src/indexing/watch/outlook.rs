//! What a run would change, known before the writer's lock is taken.

use std::path::PathBuf;

use imgsearch_index::Reader;

use crate::decode::Limits;
use crate::error::Result;
use crate::indexing::forget::{Doubt, Evidence, Fate};
use crate::indexing::report::WhyKept;
use crate::indexing::stored::{Missing, Stored};
use crate::indexing::walk::Walked;
use crate::indexing::{IndexOptions, plan, witness};

/// What a run would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outlook {
    /// Whether it would read a file or change something other than to forget images.
    pub changes: bool,
    /// The number of images that are gone.
    pub gone: usize,
}

/// Compares what was walked with the index. `within` are the indexed folders if only a part was walked.
///
/// # Errors
///
/// If the index cannot be read.
pub(crate) fn outlook(
    reader: &Reader,
    walked: &Walked,
    within: Option<&[PathBuf]>,
    options: &IndexOptions,
    limits: &Limits,
) -> Result<Outlook> {
    let mut evidence = Evidence::of_part(reader, walked, within)?;
    let mut stored = Stored::load(reader, walked)?;
    let plan = plan::plan(&mut stored, walked, options, limits, &mut evidence)?;
    let (missing, failures) = stored.into_left();
    let mut outlook = Outlook {
        changes: !plan.jobs.is_empty() || !plan.touched.is_empty(),
        gone: 0,
    };
    if outlook.changes {
        return Ok(outlook);
    }
    if within.is_some() {
        witness::call(reader, &missing, options, &mut evidence)?;
    }
    for Missing { path, away, .. } in &missing {
        match evidence.fate(path, *away) {
            Fate::There => {}
            Fate::Gone | Fate::NoImage if options.keep_missing => {}
            Fate::Gone | Fate::NoImage | Fate::Ignored | Fate::OtherName => outlook.gone += 1,
            Fate::OutOfSight(doubt) => {
                let is_elsewhere = |doubt: &Doubt| doubt.why == WhyKept::Elsewhere;
                let is_away = match doubt.why {
                    WhyKept::Empty => evidence.doubt(path).as_ref().is_some_and(is_elsewhere),
                    _ => is_elsewhere(&doubt),
                };
                outlook.changes |= is_away && !away;
            }
        }
    }
    outlook.changes |= !options.keep_missing
        && failures
            .iter()
            .any(|path| evidence.fate(path, false).is_final());
    Ok(outlook)
}
