//! Actions on duplicates: to the trash, hard links, or another folder, and back again.
//!
//! Owns the rule that no action may cost a content its last file. An action has three steps:
//!
//! 1. [`Plan::new`] decides from names and from what the system says of the files, without reading them, what would
//!    be done and what is left alone, and why.
//! 2. Applying a plan ([`Library::apply_plan`](crate::Library::apply_plan)) reads each file once more, just before it
//!    is touched. A file that is not the one that was indexed is left alone, and so is a whole group if its best file
//!    is not.
//! 3. Undoing ([`Library::undo_action`](crate::Library::undo_action)) brings back what can be brought back.
//!
//! Each step of an action is written to the undo log ([`LOG_FILE`]) and synced before it is done, and again after it.
//! So an action can end at any moment: what the log says was begun is looked up on the disk.

mod apply;
mod checked;
mod files;
mod log;
mod plan;
mod rubbish;
mod undo;
mod why;

use std::path::PathBuf;

use imgsearch_index::{Digest, FileStat, Image};

pub(crate) use apply::{Applying, Done};
pub use log::LOG_FILE;
pub use plan::{Plan, PlanOptions, PlannedGroup, Step, absolute_folder};
pub(crate) use undo::{Back, Undoing};
pub use why::Why;

/// What is done with the files of a group that are not its best.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// They go to the system's trash.
    Trash,
    /// They become hard links to the best file, if their content is identical.
    Hardlink,
    /// They go to a folder, in which they keep their place relative to the indexed folders.
    Move {
        /// The folder. It is made if it does not exist.
        to: PathBuf,
    },
}

impl Action {
    /// Returns the name that is written to the undo log: the variant in lower case.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Trash => "trash",
            Self::Hardlink => "hardlink",
            Self::Move { .. } => "move",
        }
    }
}

/// A file of a group, as the index has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its stored path.
    pub path: PathBuf,
    /// Its size, dates and inode number when it was indexed.
    pub stat: FileStat,
    /// BLAKE3 of its content.
    pub digest: Digest,
}

impl From<&Image> for Member {
    fn from(image: &Image) -> Self {
        Self {
            path: image.path.clone(),
            stat: image.stat,
            digest: image.digest,
        }
    }
}

/// Files that show the same picture. One of them is the best, and stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The files, the better before the worse.
    pub members: Vec<Member>,
    /// The place of the best file.
    pub best: usize,
}

/// What became of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The action was done.
    Done {
        /// Where the file is now, if it was moved.
        to: Option<PathBuf>,
    },
    /// The file was left alone.
    LeftAlone(Why),
    /// The file is where it was, as it was.
    Back,
    /// The file cannot be brought back.
    NotBack(Why),
}

/// What applying a plan did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Applied {
    /// Files that were trashed, linked or moved.
    pub done: usize,
    /// Bytes of those files.
    pub bytes: u64,
    /// Files that were left alone although the plan named them.
    pub left_alone: usize,
    /// Whether it was cancelled before the end.
    pub interrupted: bool,
}

/// What undoing an action did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Undone {
    /// The name of the action: see [`Action::name`].
    pub action: String,
    /// When the action began, in seconds since 1970.
    pub began: i64,
    /// Files that are back.
    pub back: usize,
    /// Files that cannot be brought back.
    pub not_back: usize,
    /// Whether the action is over: the next undoing takes the action before it. Otherwise it tries the same action
    /// again.
    pub closed: bool,
    /// Lines of the undo log that cannot be read.
    pub unreadable_lines: usize,
    /// Whether it was cancelled before the end.
    pub interrupted: bool,
}
