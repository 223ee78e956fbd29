//! Options that several commands share.

use std::path::Path;
use std::time::Duration;

use clap::Args;

use super::numbers::seconds;

const FILES: &str = "Files";
const LIMITS: &str = "Limits";

/// Limits on what one image may cost.
#[derive(Debug, Clone, Args)]
pub struct LimitArgs {
    /// Reject images with more megapixels
    #[arg(long, value_name = "MP", default_value_t = 256, help_heading = LIMITS)]
    pub max_megapixels: u64,

    /// Reject files larger than this many MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024, help_heading = LIMITS)]
    pub max_file_size: u64,

    /// Memory limit in MiB of all decoders together, in addition to 16 MiB for each worker. An image
    /// that needs more is rejected
    #[arg(long, value_name = "MIB", default_value_t = 1024, help_heading = LIMITS)]
    pub max_memory: u64,

    /// Time limit in seconds for decoding one image
    #[arg(long, value_name = "S", default_value = "60", value_parser = seconds, help_heading = LIMITS)]
    pub max_seconds: Duration,

    /// Decode in processes of their own, which may do nothing else: a file on which a decoder crashes costs itself and
    /// nothing more. For files from strangers; see docs/formats.md for what it costs
    #[arg(long, help_heading = LIMITS)]
    pub sandbox: bool,
}

/// Files that are walked.
#[derive(Debug, Args)]
pub struct WalkArgs {
    /// Include hidden files and folders, and those that systems and photo programs make for themselves: @eaDir,
    /// @Recently-Snapshot, @Recycle, #recycle, #snapshot, $RECYCLE.BIN, RECYCLER, System Volume Information, __MACOSX,
    /// lost+found
    #[arg(long, help_heading = FILES)]
    pub hidden: bool,

    /// Do not follow symbolic links
    #[arg(long, help_heading = FILES)]
    pub no_follow: bool,

    /// Exclude files that match, as in .gitignore. Can be repeated; '!GLOB' overrides the patterns
    /// before it. A file .imgsearchignore in a folder lists such patterns for everything below it
    #[arg(long, value_name = "GLOB", help_heading = FILES)]
    pub ignore: Vec<String>,
}

/// Returns whether a page goes to standard output, where nothing else may be then.
pub fn fills_output(page: Option<&Path>) -> bool {
    page == Some(Path::new("-"))
}
