//! Filters: which stored images may be found.

use std::path::{Path, PathBuf};

use globset::{Glob, GlobMatcher};
use rusqlite::params_from_iter;
use rusqlite::types::Value;

use crate::error::{Error, Result};
use crate::store::columns::path_of;
use crate::store::path;
use crate::store::reader::Reader;
use crate::store::types::ImageId;

/// Which images may be found: all that meet every condition. The default has none.
///
/// # Examples
///
/// ```
/// use imgsearch_index::Filter;
///
/// let filter = Filter::default().under("/photos/2024").formats(["jpeg", "heif"]);
/// assert!(!filter.is_empty());
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Filter {
    /// At or below one of these paths.
    pub under: Vec<PathBuf>,
    /// The whole path matches one of these globs; `*` does not stop at a `/`.
    pub globs: Vec<String>,
    /// Taken at this moment or later; the file's date counts where the image does not say when it
    /// was taken.
    pub after: Option<Moment>,
    /// Taken before this moment.
    pub before: Option<Moment>,
    /// The file is of so many bytes or more.
    pub min_size: Option<u64>,
    /// The file is of so many bytes or fewer.
    pub max_size: Option<u64>,
    /// Of one of these formats, in lower case.
    pub formats: Vec<String>,
    /// One of these images.
    pub ids: Option<Vec<ImageId>>,
}

/// A moment as the two clocks show it that dates come from. A camera writes what its own clock
/// shows, wherever it is; a system writes the date of a file as it is everywhere. Which belongs to
/// which depends on a time zone, and this crate knows none: whoever asks says both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// What a clock on the wall shows, in seconds since 1970 as if it showed UTC. Compared with
    /// when an image says that it was taken.
    pub wall: i64,
    /// The moment itself, in nanoseconds since 1970 UTC. Compared with the dates of files.
    pub unix_ns: i64,
}

impl Moment {
    /// A moment whose wall clock shows UTC, in seconds since 1970.
    pub fn utc(seconds: i64) -> Self {
        Self {
            wall: seconds,
            // No file is as old or as new as what does not fit.
            unix_ns: seconds.saturating_mul(1_000_000_000),
        }
    }
}

impl Filter {
    /// Only images at or below this path, or another that was named so.
    #[must_use]
    pub fn under(mut self, path: impl Into<PathBuf>) -> Self {
        self.under.push(path.into());
        self
    }

    /// Only images of these formats, such as `jpeg`.
    #[must_use]
    pub fn formats<S: Into<String>>(mut self, formats: impl IntoIterator<Item = S>) -> Self {
        self.formats.extend(formats.into_iter().map(Into::into));
        self
    }

    /// Only these images.
    #[must_use]
    pub fn ids(mut self, ids: impl IntoIterator<Item = ImageId>) -> Self {
        self.ids = Some(ids.into_iter().collect());
        self
    }

    /// Whether every image meets it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether only the numbers count.
    fn is_of_ids_only(&self) -> bool {
        Self {
            ids: None,
            ..self.clone()
        }
        .is_empty()
    }

    /// The numbers of the images that meet it, ascending.
    pub(crate) fn resolve(&self, reader: &Reader) -> Result<Vec<i64>> {
        let mut chosen: Option<Vec<i64>> = self
            .ids
            .as_ref()
            .map(|ids| ids.iter().map(|id| id.0).collect());
        if let Some(chosen) = &mut chosen {
            chosen.sort_unstable();
            chosen.dedup();
            if self.is_of_ids_only() {
                return Ok(std::mem::take(chosen));
            }
        }
        let globs = self
            .globs
            .iter()
            .map(|glob| matcher(glob))
            .collect::<Result<Vec<_>>>()?;
        let mut found = self.query(reader, &globs)?;
        if let Some(chosen) = chosen {
            found.retain(|id| chosen.binary_search(id).is_ok());
        }
        Ok(found)
    }

    fn query(&self, reader: &Reader, globs: &[GlobMatcher]) -> Result<Vec<i64>> {
        let mut sql = "SELECT i.id, i.path FROM images i".to_owned();
        let mut values: Vec<Value> = Vec::new();
        let mut conditions = Vec::new();
        if self.after.is_some() || self.before.is_some() || !self.formats.is_empty() {
            sql += " JOIN contents c ON c.id = i.content";
        }
        if !self.under.is_empty() {
            let mut any = Vec::new();
            for under in &self.under {
                let (low, high) = path::below(under)?;
                any.push("i.path = ? OR (i.path >= ? AND i.path < ?)");
                values.push(Value::Blob(path::to_bytes(under)?.to_vec()));
                values.extend([Value::Blob(low), Value::Blob(high)]);
            }
            conditions.push(format!("({})", any.join(" OR ")));
        }
        for (sign, bound) in [(">=", self.after), ("<", self.before)] {
            if let Some(Moment { wall, unix_ns }) = bound {
                conditions.push(format!(
                    "CASE WHEN c.taken IS NULL THEN i.mtime_ns {sign} ? ELSE c.taken {sign} ? END"
                ));
                values.extend([Value::Integer(unix_ns), Value::Integer(wall)]);
            }
        }
        let size = |size: u64| i64::try_from(size).unwrap_or(i64::MAX);
        for (sign, bound) in [(">=", self.min_size), ("<=", self.max_size)] {
            if let Some(bound) = bound {
                conditions.push(format!("i.size {sign} ?"));
                values.push(Value::Integer(size(bound)));
            }
        }
        if !self.formats.is_empty() {
            let marks = vec!["?"; self.formats.len()].join(", ");
            conditions.push(format!("c.format IN ({marks})"));
            values.extend(self.formats.iter().cloned().map(Value::Text));
        }
        if !conditions.is_empty() {
            sql += &format!(" WHERE {}", conditions.join(" AND "));
        }
        sql += " ORDER BY i.id";

        let fail = |source| reader.fail(source);
        let mut statement = reader.connection().prepare(&sql).map_err(fail)?;
        let mut rows = statement.query(params_from_iter(values)).map_err(fail)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(fail)? {
            if !globs.is_empty() {
                let path = path_of(row, 1).map_err(fail)?;
                if !globs.iter().any(|glob| glob.is_match(Path::new(&path))) {
                    continue;
                }
            }
            found.push(row.get(0).map_err(fail)?);
        }
        Ok(found)
    }
}

fn matcher(glob: &str) -> Result<GlobMatcher> {
    match Glob::new(glob) {
        Ok(glob) => Ok(glob.compile_matcher()),
        Err(error) => Err(Error::BadInput(format!(
            "the pattern {glob:?} is not a valid glob: {}",
            error.kind()
        ))),
    }
}
