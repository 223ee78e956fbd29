//! Filters as conditions of Milvus, and what is left to the client of those that it does not know.

use std::collections::HashSet;

use globset::GlobSet;
use imgsearch_index::collection::{below, to_bytes};
use imgsearch_index::{Filter, ImageId, LabelFilter, Moment, Result};

use super::rows::{Rows, hex};
use crate::globs::globs;

/// The most ids that go to the server with a question.
const MAX_IDS: usize = 10_000;

/// A condition that all rows meet: keys are not negative.
pub const ALL: &str = "place >= 0";

/// A condition that no row meets.
const NONE: &str = "place < 0";

/// A filter in two parts.
pub struct Conditions {
    /// What the server checks.
    pub expr: String,
    rest: Option<Rest>,
}

/// What the client checks, of the rows that the server finds.
struct Rest {
    globs: Option<GlobSet>,
    labels: Vec<LabelFilter>,
    ids: Option<HashSet<ImageId>>,
}

impl Conditions {
    /// Splits a filter.
    ///
    /// # Errors
    ///
    /// [`imgsearch_index::Error::InvalidInput`] for a pattern that is none, and for a path that cannot be stored.
    pub fn of(filter: &Filter) -> Result<Self> {
        let mut all = Vec::new();
        if let Some(under) = under(&filter.under)? {
            all.push(under);
        }
        for (sign, bound) in [(">=", filter.after), ("<", filter.before)] {
            if let Some(Moment { wall, unix_ns }) = bound {
                all.push(format!(
                    "((is_dated == false and mtime_ns {sign} {unix_ns}) or (is_dated == true and taken {sign} {wall}))"
                ));
            }
        }
        let size = |size: u64| i64::try_from(size).unwrap_or(i64::MAX);
        for (sign, bound) in [(">=", filter.min_size), ("<=", filter.max_size)] {
            if let Some(bound) = bound {
                all.push(format!("size {sign} {}", size(bound)));
            }
        }
        if !filter.formats.is_empty() {
            let formats: Vec<String> = filter.formats.iter().map(|one| quoted(one)).collect();
            all.push(format!("format in [{}]", formats.join(", ")));
        }
        let mut ids = None;
        match &filter.ids {
            Some(given) if given.len() > MAX_IDS => ids = Some(given.iter().copied().collect()),
            Some(given) => all.push(any_of("id", given.iter().map(|id| id.0))),
            None => {}
        }
        for label in &filter.labels {
            let classes: Vec<String> = label.classes.iter().map(ToString::to_string).collect();
            all.push(match classes.is_empty() {
                true => NONE.to_owned(),
                false => format!("array_contains_any(classes, [{}])", classes.join(", ")),
            });
        }
        let globs = globs(filter)?;
        let has_rest = globs.is_some() || ids.is_some() || !filter.labels.is_empty();
        Ok(Self {
            expr: all.join(" and "),
            rest: has_rest.then(|| Rest {
                globs,
                labels: filter.labels.clone(),
                ids,
            }),
        })
    }

    /// Returns whether the server checks all of the filter.
    pub fn is_whole(&self) -> bool {
        self.rest.is_none()
    }

    /// Returns the fields that the client checks.
    pub fn fields(&self) -> &'static [&'static str] {
        match self.rest {
            Some(_) => &["path", "labels"],
            None => &[],
        }
    }

    /// Returns whether a row meets the client's part.
    ///
    /// # Errors
    ///
    /// If the row's path cannot be read.
    pub fn meets(&self, rows: &Rows, row: usize) -> Result<bool> {
        let Some(rest) = &self.rest else {
            return Ok(true);
        };
        if rest
            .ids
            .as_ref()
            .is_some_and(|ids| !ids.contains(&rows.id(row)))
        {
            return Ok(false);
        }
        if !rest.labels.is_empty() {
            let stored = rows.labels(row);
            let likely = |filter: &LabelFilter| {
                let of = stored
                    .iter()
                    .filter(|label| filter.classes.contains(&label.class));
                let sum: f32 = of.map(|label| label.probability).sum();
                // As in a folder, probabilities have 255 steps.
                sum >= (filter.min_probability * 255.0).round() / 255.0 - 1e-6
            };
            if !rest.labels.iter().all(likely) {
                return Ok(false);
            }
        }
        Ok(match &rest.globs {
            Some(globs) => globs.is_match(rows.path(row)?),
            None => true,
        })
    }
}

/// Returns the condition that a path is one of `paths` or lies below it; `None` if there are none.
///
/// # Errors
///
/// [`imgsearch_index::Error::InvalidInput`] for a path that cannot be stored.
pub fn under(paths: &[std::path::PathBuf]) -> Result<Option<String>> {
    let mut any = Vec::with_capacity(paths.len());
    for path in paths {
        let (low, high) = below(path)?;
        let (itself, low, high) = (hex(to_bytes(path)?), hex(&low), hex(&high));
        any.push(format!(
            "(path == \"{itself}\" or (path >= \"{low}\" and path < \"{high}\"))"
        ));
    }
    Ok((!any.is_empty()).then(|| format!("({})", any.join(" or "))))
}

/// Returns the condition that a number is one of some.
pub fn any_of(field: &str, numbers: impl Iterator<Item = i64>) -> String {
    let numbers: Vec<String> = numbers.map(|number| number.to_string()).collect();
    match numbers.is_empty() {
        true => NONE.to_owned(),
        false => format!("{field} in [{}]", numbers.join(",")),
    }
}

/// Returns a text in quotes.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
