//! Why a file is left alone.

use std::path::{Path, PathBuf};

/// Why a file is left alone, or cannot be brought back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Why {
    /// Nothing is there: it was removed, or its disk is not mounted.
    #[error("it is not there")]
    Gone,

    /// It is not the file that was indexed.
    #[error("it was changed since it was indexed")]
    Changed,

    /// It is a symbolic link.
    #[error("it is a symbolic link")]
    Link,

    /// It is a folder, a device or the like.
    #[error("it is not a file")]
    NotAFile,

    /// The other path leads to the same file, so nothing is there twice.
    #[error("it is the same file as {}", of.display())]
    SameFile {
        /// The other path.
        of: PathBuf,
    },

    /// It lies in a folder whose files are never touched.
    #[error("it lies in a reference folder")]
    Reference,

    /// It does not lie in a folder whose files may be touched.
    #[error("it lies outside of the chosen folders")]
    Outside,

    /// It lies in the folder that files are to be moved to.
    #[error("it lies in the folder to move to")]
    AlreadyThere,

    /// It is the best file of another group, or another group has it, too.
    #[error("another group has it, too")]
    InAnotherGroup,

    /// Its content is not that of the best file, so a link would replace it by another picture.
    #[error("its bytes are not those of {}", best.display())]
    OtherContent {
        /// The best file.
        best: PathBuf,
    },

    /// It lies on another file system than the best file.
    #[error("it lies on another file system than {}", best.display())]
    OtherDisk {
        /// The best file.
        best: PathBuf,
    },

    /// It belongs to somebody else than the best file, and would not any more as a link to it.
    #[error("it has another owner than {}", best.display())]
    OtherOwner {
        /// The best file.
        best: PathBuf,
    },

    /// The best file of its group is not usable.
    #[error("the best file of its group, {}, cannot be relied on: {why}", best.display())]
    Best {
        /// The best file.
        best: PathBuf,
        /// What is the matter with it.
        why: Box<Why>,
    },

    /// Another file has its former name now.
    #[error("another file is there now")]
    Occupied,

    /// The folder that it was in is not there.
    #[error("its folder {} is not there; is a disk not mounted?", folder.display())]
    NoFolder {
        /// The folder.
        folder: PathBuf,
    },

    /// It is not in the trash any more.
    #[error("it is not in the trash any more")]
    NotInTrash,

    /// Nothing has its content under the name that it was given.
    #[error("{} is not there any more, or was changed", place.display())]
    NotAt {
        /// Where it was.
        place: PathBuf,
    },

    /// The folder that it should be moved to cannot be made.
    #[error("the folder {} cannot be made: {reason}", folder.display())]
    NoTarget {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        reason: String,
    },

    /// Its folder, or the one that it should be moved to, is read-only.
    #[error("files in {} may not be changed: {reason}", folder.display())]
    ReadOnly {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        reason: String,
    },

    /// The system refused.
    #[error("{0}")]
    Refused(String),
}

impl Why {
    /// Returns what a system's error says.
    pub(super) fn refused(error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::Gone,
            _ => Self::Refused(error.to_string()),
        }
    }

    /// Returns what a system's error says about a change in a folder.
    pub(super) fn refused_in(folder: Option<&Path>, error: &std::io::Error) -> Self {
        use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        match folder {
            Some(folder) if matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem) => {
                Self::ReadOnly {
                    folder: folder.to_owned(),
                    reason: error.to_string(),
                }
            }
            _ => Self::refused(error),
        }
    }

    /// Returns whether trying again is of no use.
    pub(super) fn is_for_good(&self) -> bool {
        matches!(
            self,
            Self::NotInTrash | Self::NotAt { .. } | Self::Changed | Self::Gone | Self::NotAFile
        )
    }

    /// Returns whether the file is as it should be: leaving it alone is what was asked for.
    pub fn is_intended(&self) -> bool {
        matches!(
            self,
            Self::SameFile { .. }
                | Self::Reference
                | Self::Outside
                | Self::AlreadyThere
                | Self::InAnotherGroup
                | Self::OtherContent { .. }
                | Self::Link
        )
    }
}
