//! When the images of a group were taken.

use imgsearch_index::Image;
use serde::Serialize;

/// The dates of some images, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Dates {
    /// The first one.
    pub first: i64,
    /// The last one.
    pub last: i64,
    /// Where the middle eight of ten begin: one date that a camera got wrong does not move it.
    pub from: i64,
    /// Where the middle eight of ten end.
    pub to: i64,
    /// Whether these are dates of files in UTC, because less than half of the images say when they were taken. Else
    /// they are what the cameras' clocks showed.
    pub of_files: bool,
}

impl Dates {
    /// Returns the dates of some images; `None` if there are none.
    pub(crate) fn of<'a>(images: impl Iterator<Item = &'a Image> + Clone) -> Option<Self> {
        let taken: Vec<i64> = images.clone().filter_map(|image| image.taken).collect();
        let of_files = taken.len() * 2 < images.clone().count();
        let mut dates = if of_files {
            let seconds = images.map(|image| image.stat.mtime_ns.div_euclid(1_000_000_000));
            seconds.collect()
        } else {
            taken
        };
        dates.sort_unstable();
        let last = dates.len().checked_sub(1)?;
        Some(Self {
            first: dates[0],
            last: dates[last],
            from: dates[last / 10],
            to: dates[last - last / 10],
            of_files,
        })
    }
}
