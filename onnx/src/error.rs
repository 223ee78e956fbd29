//! The one error type of the crate, sorted by whose turn it is to act.

use std::path::{Path, PathBuf};

type Source = Box<dyn std::error::Error + Send + Sync>;

/// What can go wrong with encoders and the runtime under them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No ONNX Runtime library could be used.
    #[error(
        "no ONNX Runtime library could be loaded{}\n{cure}",
        tried.iter().map(|(place, why)| format!("\n  {place}: {why}")).collect::<String>()
    )]
    NoRuntime {
        /// Where it was looked for, and what was wrong there.
        tried: Vec<(String, String)>,
        /// What to do.
        cure: String,
    },

    /// The ONNX Runtime library that was named cannot be used.
    #[error(
        "the ONNX Runtime library {} cannot be used: {reason}\nName another with --ort-library or \
         ORT_DYLIB_PATH, or leave both out to have one found",
        path.display()
    )]
    BadRuntime {
        /// The library.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// ONNX Runtime could not be fetched.
    #[error("ONNX Runtime could not be fetched: {reason}\n{cure}")]
    Fetch {
        /// What went wrong.
        reason: String,
        /// What to do.
        cure: String,
    },

    /// The graphics card cannot be used.
    #[error(
        "the CUDA provider is not available: {reason}\nInstall it with: imgsearch runtime install --cuda   (it needs an \
         NVIDIA driver, CUDA 13 and cuDNN 9), or use --provider cpu"
    )]
    NoCuda {
        /// What ONNX Runtime said.
        reason: String,
    },

    /// A file is no encoder.
    #[error("{name} is no encoder that can be used: {reason}")]
    Contract {
        /// The file, or what stands for it.
        name: String,
        /// Which part of the contract it breaks.
        reason: String,
    },

    /// A file is no network that restores pictures.
    #[error("{name} is no restorer that can be used: {reason}")]
    NoRestorer {
        /// The file, or what stands for it.
        name: String,
        /// What it lacks.
        reason: String,
    },

    /// A published model cannot be made an encoder.
    #[error("{} cannot be imported: {reason}", path.display())]
    Import {
        /// The file or folder.
        path: PathBuf,
        /// What is in the way, and what to do.
        reason: String,
    },

    /// ONNX Runtime failed on an encoder.
    #[error("the encoder {name:?} failed: {source}")]
    Run {
        /// The encoder.
        name: String,
        /// What ONNX Runtime said.
        source: Source,
    },

    /// What was passed has the wrong size or is invalid.
    #[error("{0}")]
    InvalidInput(String),

    /// A file cannot be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was attempted, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// [`std::result::Result`] with this crate's [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn import(path: &Path, reason: impl Into<String>) -> Self {
        Self::Import {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }

    pub(crate) fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}
