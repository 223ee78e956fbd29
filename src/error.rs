//! The one error type of the crate, sorted by whose turn it is to act.

use std::path::{Path, PathBuf};

use crate::decode::DecodeError;

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

impl Error {
    /// An I/O error with its path; `action` is a verb such as `read`.
    pub(crate) fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}
