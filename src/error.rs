//! The one error type of the crate, sorted by whose turn it is to act.

use std::path::{Path, PathBuf};

use crate::decode::{DecodeError, Unread};

/// What can go wrong between photographs and answers.
///
/// A photograph that cannot be read or decoded while indexing is not an error
/// but data (see [`Failure`](imgsearch_index::Failure)): the run goes on without it. It is an error where a
/// caller asked for that one image, as a query does.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The index: missing, locked, made by another encoder, damaged.
    #[error(transparent)]
    Index(#[from] imgsearch_index::Error),

    /// The encoder, its file or ONNX Runtime.
    #[error(transparent)]
    Encoder(#[from] imgsearch_onnx::Error),

    /// Training.
    #[cfg(feature = "train")]
    #[error(transparent)]
    Training(#[from] imgsearch_train::Error),

    /// An image that was asked for cannot be decoded.
    #[error("{}: {source}", path.display())]
    Image {
        /// The image.
        path: PathBuf,
        /// Why not.
        source: DecodeError,
    },

    /// A file or folder cannot be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was attempted, as a verb: `read`, `write`.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },

    /// A path to index does not exist.
    #[error("no such file or folder: {}\nNothing was changed; images already indexed under it are kept.", path.display())]
    NoSuchPath {
        /// The path as it was given.
        path: PathBuf,
    },

    /// The copy of its encoder that an index keeps cannot be used.
    #[error(
        "{} {wrong}: the index's copy of the encoder that made it, {name:?} ({fingerprint})\nGive that encoder once \
         more: imgsearch index --encoder FILE\nOr encode all images again with another: imgsearch index --reencode",
        path.display()
    )]
    KeptEncoder {
        /// The copy.
        path: PathBuf,
        /// What is wrong with it, as a predicate: `is missing`.
        wrong: String,
        /// The encoder's name.
        name: String,
        /// The encoder's fingerprint.
        fingerprint: String,
    },

    /// Stored images lie below a folder that is not there, empty, or another than the one that held them.
    #[error(
        "{count} stored images lie under {}, which is missing, empty or not the folder that held them; is a disk not \
         mounted?\nThe index is as it was. If they are gone for good: imgsearch remove {}",
        root.display(),
        quoted(root)
    )]
    OutOfReach {
        /// How many.
        count: usize,
        /// The folder.
        root: PathBuf,
    },

    /// A folder or file stands where the program would put one of its own, and holds something else.
    #[error(
        "{} is in the way: it holds something else; move it elsewhere and run this again",
        path.display()
    )]
    NotOurs {
        /// What is in the way.
        path: PathBuf,
    },

    /// Stored images cannot be read, and would be lost to a new index.
    #[error(
        "{count} stored images cannot be encoded again, the first of them {}: {reason}\nThe index is as it was. Cure \
         that and run it again, or forget them with: imgsearch remove PATH",
        path.display()
    )]
    StoredUnreadable {
        /// How many.
        count: usize,
        /// The first of them.
        path: PathBuf,
        /// Why it cannot be read.
        reason: String,
    },

    /// Stored images are missing that are to be kept, and nothing can be encoded of them.
    #[error(
        "the files of {count} stored images are missing, the first of them {}, and a new encoder can make nothing of \
         them\nThe index is as it was. Without --keep-missing they are left out",
        path.display()
    )]
    StoredMissing {
        /// How many.
        count: usize,
        /// The first of them.
        path: PathBuf,
    },

    /// Many stored images are gone, and nobody confirmed that they may be left out.
    #[error(
        "{count} of {of} stored images are no longer there, and the new codes would be without them\nThe index is as it \
         was. To forget them first: imgsearch index --prune"
    )]
    Unconfirmed {
        /// How many.
        count: usize,
        /// Of how many.
        of: usize,
    },

    /// A glob of files to leave out cannot be understood.
    #[error("the pattern {pattern:?} is not a valid glob: {reason}")]
    BadPattern {
        /// The pattern as it was given.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },

    /// There is no place for the index on this platform.
    #[error(
        "no home folder was found to keep the index in; name a folder with --index DIR or IMGSEARCH_INDEX"
    )]
    NoDataFolder,

    /// Too few images for what was asked.
    #[error("{0}")]
    TooFewImages(String),

    /// An encoder without features, which training needs.
    #[error(
        "the encoder {name:?} has no output `features`, which training needs; train behind the built-in one, or one \
         that declares them"
    )]
    NoFeatures {
        /// The encoder's name.
        name: String,
    },

    /// A labelled folder does not have the shape that an evaluation needs.
    #[error("{0}")]
    BadEvaluation(String),

    /// A part of the work was interrupted on request.
    #[error("interrupted")]
    Interrupted,

    /// A worker thread died; its message. This is a defect of imgsearch, not of the input.
    #[error("a worker thread stopped unexpectedly: {0}; what was committed before is kept")]
    Worker(String),
}

/// [`std::result::Result`] with this crate's [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "_@%+=:,./-".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

impl Error {
    /// Why the image at `path` was not read, with its name.
    pub fn unread(unread: Unread, path: &Path) -> Self {
        match unread {
            Unread::Io(source) => Self::io("read", path, source),
            Unread::OverLimit(source) => Self::Image {
                path: path.to_owned(),
                source,
            },
        }
    }

    /// An I/O error with its path; `action` is a verb such as `read`.
    pub(crate) fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_typed_is_quoted_for_a_shell() {
        let typed = |path: &str| {
            let error = Error::OutOfReach {
                count: 3,
                root: PathBuf::from(path),
            };
            let text = error.to_string();
            text.rsplit_once("imgsearch remove ").unwrap().1.to_owned()
        };
        assert_eq!(typed("/media/disk-1/2019"), "/media/disk-1/2019");
        assert_eq!(typed("/media/my disk"), "'/media/my disk'");
        assert_eq!(typed("/it's; rm x"), r"'/it'\''s; rm x'");
    }
}
