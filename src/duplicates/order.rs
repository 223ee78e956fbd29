//! Which file of a group is better than another.

use std::cmp::{Ordering, Reverse};
use std::collections::HashMap;
use std::path::Path;

use imgsearch_index::{Image, ImageId};

use super::types::{DuplicateFile, Keep};

/// What decides which file is better.
struct Facts<'a> {
    path: &'a Path,
    pixels: u64,
    bytes: u64,
    /// In nanoseconds since 1970.
    date: i128,
}

impl<'a> Facts<'a> {
    fn of_image(image: &'a Image) -> Self {
        Self {
            path: &image.path,
            pixels: u64::from(image.width) * u64::from(image.height),
            bytes: image.stat.size,
            date: date(image.taken, image.stat.mtime_ns),
        }
    }

    fn of_file(file: &'a DuplicateFile) -> Self {
        Self {
            path: &file.path,
            pixels: file.pixels(),
            bytes: file.bytes,
            date: date(file.taken, file.modified_ns),
        }
    }

    /// Compares two files: the better one is less. No two files are equal, because their paths differ.
    fn compare(&self, other: &Self, keep: Keep) -> Ordering {
        let by_quality = || {
            // Bytes a pixel, without a division.
            let dense = |one: &Self, by: &Self| u128::from(one.bytes) * u128::from(by.pixels);
            let pixels = other.pixels.cmp(&self.pixels);
            pixels.then_with(|| dense(other, self).cmp(&dense(self, other)))
        };
        let length = |facts: &Self| facts.path.as_os_str().len();
        let wanted = match keep {
            Keep::Best => Ordering::Equal,
            Keep::Newest => other.date.cmp(&self.date),
            Keep::Oldest => self.date.cmp(&other.date),
            Keep::Largest => other.bytes.cmp(&self.bytes),
            Keep::ShortestPath => length(self).cmp(&length(other)),
        };
        wanted
            .then_with(by_quality)
            .then_with(|| self.date.cmp(&other.date))
            .then_with(|| length(self).cmp(&length(other)))
            .then_with(|| self.path.cmp(other.path))
    }
}

fn date(taken: Option<i64>, modified_ns: i64) -> i128 {
    taken.map_or(i128::from(modified_ns), |taken| {
        i128::from(taken) * 1_000_000_000
    })
}

/// Returns all images, the better ones first.
pub(super) fn ranked(images: &HashMap<ImageId, Image>, keep: Keep) -> Vec<&Image> {
    let mut ranked: Vec<&Image> = images.values().collect();
    ranked.sort_by(|a, b| Facts::of_image(a).compare(&Facts::of_image(b), keep));
    ranked
}

/// Sorts the files of a group: the best one first, then the better ones.
pub(super) fn sort(files: &mut [DuplicateFile], keep: Keep, best: ImageId) {
    files.sort_by(|a, b| {
        let is_best = Reverse(a.id == best).cmp(&Reverse(b.id == best));
        is_best.then_with(|| Facts::of_file(a).compare(&Facts::of_file(b), keep))
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(path: &str, pixels: u64, bytes: u64, date: i128) -> Facts<'_> {
        Facts {
            path: Path::new(path),
            pixels,
            bytes,
            date,
        }
    }

    fn best<'a>(files: &[Facts<'a>], keep: Keep) -> &'a str {
        let best = files.iter().min_by(|a, b| a.compare(b, keep)).unwrap();
        best.path.to_str().unwrap()
    }

    #[test]
    fn what_is_kept_is_what_was_asked_for() {
        let files = [
            facts("/a/small-but-heavy", 100, 900, 50),
            facts("/a/large", 400, 300, 60),
            facts("/a/large-but-light", 400, 200, 10),
            facts("/b", 50, 100, 70),
        ];
        assert_eq!(best(&files, Keep::Best), "/a/large");
        assert_eq!(best(&files, Keep::Oldest), "/a/large-but-light");
        assert_eq!(best(&files, Keep::Newest), "/b");
        assert_eq!(best(&files, Keep::Largest), "/a/small-but-heavy");
        assert_eq!(best(&files, Keep::ShortestPath), "/b");
    }

    #[test]
    fn ties_go_to_the_oldest_and_then_to_the_path() {
        let files = [
            facts("/c", 1, 1, 5),
            facts("/b", 1, 1, 4),
            facts("/a", 1, 1, 4),
        ];
        assert_eq!(best(&files, Keep::Best), "/a");
    }
}
