//! Labelled folders: one folder for each class, and parts of them.
//!
//! Owns how a labelled folder is split, so that training and evaluation use disjoint parts.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::indexing::walk::{self, WalkOptions};

/// A part of a labelled folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Part {
    /// Everything.
    #[default]
    All,
    /// Every `of`-th class in alphabetical order, starting with number `first`, counted from 0.
    Classes {
        /// The first class taken.
        first: usize,
        /// One in this number of classes is taken.
        of: usize,
    },
    /// The classes that [`Part::Classes`] does not take.
    OtherClasses {
        /// The first class left out.
        first: usize,
        /// One in this number of classes is left out.
        of: usize,
    },
    /// Every second image of each class, starting with the first.
    FirstHalf,
    /// Every second image of each class, starting with the second.
    SecondHalf,
}

impl Part {
    fn takes(self, class: usize, image: usize) -> bool {
        match self {
            Self::All => true,
            Self::Classes { first, of } => class % of == first % of,
            Self::OtherClasses { first, of } => class % of != first % of,
            Self::FirstHalf => image.is_multiple_of(2),
            Self::SecondHalf => !image.is_multiple_of(2),
        }
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let split = |rest: &str| -> Option<(usize, usize)> {
            let (first, of) = rest.split_once('/')?;
            let (first, of) = (first.parse().ok()?, of.parse().ok()?);
            (of > 1 && first < of).then_some((first, of))
        };
        let part = match text {
            "all" => Some(Self::All),
            "first-half" => Some(Self::FirstHalf),
            "second-half" => Some(Self::SecondHalf),
            _ => match text.split_once(':') {
                Some(("classes", rest)) => {
                    split(rest).map(|(first, of)| Self::Classes { first, of })
                }
                Some(("other-classes", rest)) => {
                    split(rest).map(|(first, of)| Self::OtherClasses { first, of })
                }
                _ => None,
            },
        };
        part.ok_or_else(|| {
            "a part is one of: all, first-half, second-half, classes:I/N, other-classes:I/N (such as classes:2/3, \
             every third class)"
                .to_owned()
        })
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::FirstHalf => f.write_str("first-half"),
            Self::SecondHalf => f.write_str("second-half"),
            Self::Classes { first, of } => write!(f, "classes:{first}/{of}"),
            Self::OtherClasses { first, of } => write!(f, "other-classes:{first}/{of}"),
        }
    }
}

/// Images with their classes, sorted by path.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Labelled {
    /// Names of the classes of the whole folder, in alphabetical order.
    pub classes: Vec<String>,
    /// The images of the part.
    pub paths: Vec<PathBuf>,
    /// The class of each image, a place in `classes`.
    pub labels: Vec<usize>,
}

/// Lists the images of a part of a labelled folder.
///
/// # Errors
///
/// [`Error::BadEvaluation`] if the folder holds fewer than two classes with images.
pub fn list(folder: &Path, part: Part, options: &WalkOptions) -> Result<Labelled> {
    let walked = walk::walk(&[folder.to_owned()], options)?;
    let root = walked
        .roots
        .first()
        .map_or(folder, PathBuf::as_path)
        .to_owned();
    let mut labelled = Labelled::default();
    let (mut class, mut image) = (0, 0);
    let mut name = None;
    for candidate in walked.candidates {
        let mut inside = candidate
            .path
            .strip_prefix(&root)
            .unwrap_or(&candidate.path)
            .components();
        let (Some(first), Some(_)) = (inside.next(), inside.next()) else {
            // An image outside of the class folders belongs to no class.
            continue;
        };
        let here = first.as_os_str().to_string_lossy().into_owned();
        if name.as_ref() != Some(&here) {
            class = labelled.classes.len();
            image = 0;
            labelled.classes.push(here.clone());
            name = Some(here);
        }
        if part.takes(class, image) {
            labelled.paths.push(candidate.path);
            labelled.labels.push(class);
        }
        image += 1;
    }
    if labelled.classes.len() < 2 {
        return Err(Error::BadEvaluation(format!(
            "{} holds {} folders with images, and an evaluation needs at least two: one folder for each class, \
             its images inside",
            folder.display(),
            labelled.classes.len()
        )));
    }
    Ok(labelled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_read_as_they_are_written() {
        for text in [
            "all",
            "first-half",
            "second-half",
            "classes:2/3",
            "other-classes:0/5",
        ] {
            assert_eq!(text.parse::<Part>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "half",
            "classes:3/3",
            "classes:1",
            "classes:a/b",
            "classes:0/1",
        ] {
            assert!(text.parse::<Part>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_part_and_its_other_take_every_image_once() {
        let pairs = [
            (Part::FirstHalf, Part::SecondHalf),
            (
                Part::Classes { first: 2, of: 3 },
                Part::OtherClasses { first: 2, of: 3 },
            ),
        ];
        for (one, other) in pairs {
            for class in 0..10 {
                for image in 0..10 {
                    assert_ne!(one.takes(class, image), other.takes(class, image));
                }
            }
        }
    }

    #[test]
    fn folders_are_classes() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b/2.png", "b/1.png", "a/x/deep.png", "a/y.png", "stray.png"] {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"listed by its name").unwrap();
        }
        let listed = list(dir.path(), Part::All, &WalkOptions::default()).unwrap();
        assert_eq!(listed.classes, ["a", "b"]);
        assert_eq!(listed.labels, [0, 0, 1, 1]);
        let half = list(dir.path(), Part::SecondHalf, &WalkOptions::default()).unwrap();
        assert_eq!(half.labels, [0, 1]);
        assert!(half.paths[1].ends_with("b/2.png"));
        let error = list(&dir.path().join("a"), Part::All, &WalkOptions::default()).unwrap_err();
        assert!(error.to_string().contains("at least two"), "{error}");
    }
}
