//! Filters: which stored images may be found.

use std::path::PathBuf;

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
    /// Taken at this moment or later; the file's date counts if the image does not say when it
    /// was taken.
    pub after: Option<Moment>,
    /// Taken before this moment.
    pub before: Option<Moment>,
    /// The file has at least this number of bytes.
    pub min_size: Option<u64>,
    /// The file has at most this number of bytes.
    pub max_size: Option<u64>,
    /// Of one of these formats, in lower case.
    pub formats: Vec<String>,
    /// One of these images.
    pub ids: Option<Vec<ImageId>>,
    /// Shows each of these.
    pub labels: Vec<LabelFilter>,
}

/// Shows one of some classes with a probability.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelFilter {
    /// Numbers of the classes. Their probabilities are added.
    pub classes: Vec<u16>,
    /// The minimum probability of all classes together, from 0 to 1.
    pub min_probability: f32,
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
    /// Returns a moment whose wall clock shows UTC, in seconds since 1970.
    pub fn utc(seconds: i64) -> Self {
        Self {
            wall: seconds,
            // No file is as old or as new as what does not fit.
            unix_ns: seconds.saturating_mul(1_000_000_000),
        }
    }
}

impl Filter {
    /// Accepts only images at or below this path, or another that was given so.
    #[must_use]
    pub fn under(mut self, path: impl Into<PathBuf>) -> Self {
        self.under.push(path.into());
        self
    }

    /// Accepts only images of these formats, such as `jpeg`.
    #[must_use]
    pub fn formats<S: Into<String>>(mut self, formats: impl IntoIterator<Item = S>) -> Self {
        self.formats.extend(formats.into_iter().map(Into::into));
        self
    }

    /// Accepts only images that show one of some classes with at least this probability, all classes together; and
    /// one of others that were given so.
    #[must_use]
    pub fn label(mut self, classes: impl IntoIterator<Item = u16>, min_probability: f32) -> Self {
        self.labels.push(LabelFilter {
            classes: classes.into_iter().collect(),
            min_probability,
        });
        self
    }

    /// Accepts only these images.
    #[must_use]
    pub fn ids(mut self, ids: impl IntoIterator<Item = ImageId>) -> Self {
        self.ids = Some(ids.into_iter().collect());
        self
    }

    /// Returns whether every image meets it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns whether only the numbers count.
    pub(crate) fn is_of_ids_only(&self) -> bool {
        Self {
            ids: None,
            ..self.clone()
        }
        .is_empty()
    }
}
