//! The one error type of the crate.

use std::path::{Path, PathBuf};

/// An error of training.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An encoder file cannot be read, changed or written.
    #[error(transparent)]
    Encoder(#[from] imgsearch_onnx::Error),

    /// The data or the options cannot be trained with.
    #[error("{0}")]
    InvalidInput(String),

    /// Training ended without a result.
    #[error("training failed: {0}")]
    Training(String),

    /// A file cannot be read.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The attempted action, as a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
}

/// [`std::result::Result`] with this crate's [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}
