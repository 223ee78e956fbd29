//! The one error type of the crate, sorted by whose turn it is to act.
//!
//! Errors state facts. What to do about them depends on the program: its commands and options are
//! not known here.

use std::path::{Path, PathBuf};

use crate::store::holder::Holder;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// What can go wrong in the index.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no index in the folder.
    #[error("there is no index in {}", dir.display())]
    IndexNotFound {
        /// The folder that was looked in.
        dir: PathBuf,
    },

    /// Another process writes to the index.
    #[error("the index in {} is being written to by {holder}", dir.display())]
    Locked {
        /// The index.
        dir: PathBuf,
        /// Who holds the lock, as far as it is known.
        holder: Holder,
    },

    /// Another encoder made the index: its codes cannot be compared with this one's.
    #[error(
        "the index in {} was made by the encoder {made_by:?} ({made_by_fingerprint}), and its codes cannot be \
         compared with those of {given:?} ({given_fingerprint})",
        dir.display()
    )]
    EncoderMismatch {
        /// The index.
        dir: PathBuf,
        /// Name of the encoder that made it.
        made_by: String,
        /// Fingerprint of the encoder that made it.
        made_by_fingerprint: String,
        /// Name of the encoder that was given.
        given: String,
        /// Fingerprint of the encoder that was given.
        given_fingerprint: String,
    },

    /// The index was written by a newer version of this program.
    #[error(
        "the index in {} has format {found}, and this version reads formats up to {known}",
        dir.display()
    )]
    NewerFormat {
        /// The index.
        dir: PathBuf,
        /// The format found.
        found: i64,
        /// The newest format known.
        known: i64,
    },

    /// What is stored cannot be right.
    #[error("the index in {} is damaged: {what}", dir.display())]
    Corrupt {
        /// The index.
        dir: PathBuf,
        /// What was found.
        what: String,
    },

    /// The files of an index that is read without locks, in a folder that is read-only, changed while
    /// they were read. What was read of them may be of two states, so it is not returned.
    #[error("the index in {} changed while it was read, in a folder that is read-only", dir.display())]
    Changed {
        /// The index.
        dir: PathBuf,
    },

    /// A segment cannot be what was written. Its images are read from the database instead, and
    /// the next fold rebuilds it.
    #[error("the segment {} is damaged: {what}", path.display())]
    DamagedSegment {
        /// The segment.
        path: PathBuf,
        /// What was found.
        what: String,
    },

    /// A segment was written by a newer version of this program.
    #[error(
        "the segment {} has format {found}, and this version reads formats up to {known}",
        path.display()
    )]
    NewerSegment {
        /// The segment.
        path: PathBuf,
        /// The format found.
        found: u32,
        /// The newest format known.
        known: u32,
    },

    /// A query or a code to store is not what the index holds.
    #[error("{0}")]
    InvalidInput(String),

    /// A path cannot be stored on this platform.
    #[error("the path {} is not valid Unicode and cannot be stored on this platform", path.display())]
    BadPath {
        /// The path.
        path: PathBuf,
    },

    /// A file or folder of the index cannot be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was attempted, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },

    /// A server cannot be reached, or does not answer in time. What was stored before is kept.
    #[error("{place} cannot be reached: {source}")]
    Unreachable {
        /// The collection, without passwords.
        place: String,
        /// What the network said.
        source: Source,
    },

    /// A server does not let the user in.
    #[error("{place} does not let the user in: {what}")]
    Denied {
        /// The collection, without passwords.
        place: String,
        /// What the server said.
        what: String,
    },

    /// A database has no type for vectors.
    #[error("{place} cannot hold vectors: {what}")]
    NoVectors {
        /// The collection, without passwords.
        place: String,
        /// What is missing.
        what: String,
    },

    /// A server failed at what it was asked. What was stored before is kept.
    #[error("{place} failed: {source}")]
    Engine {
        /// The collection, without passwords.
        place: String,
        /// What the server said.
        source: Source,
    },

    /// An engine cannot do something that another one can.
    #[error("{place} cannot do this: {what}")]
    Unsupported {
        /// The collection, without passwords.
        place: String,
        /// What it cannot do.
        what: String,
    },

    /// The database could not do what it was asked. What was committed before is kept.
    #[error("the database of the index in {} failed: {source}", dir.display())]
    Database {
        /// The index.
        dir: PathBuf,
        /// What the database said.
        source: Source,
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
