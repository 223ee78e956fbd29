//! Arguments of `watch`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::numbers::seconds;
use super::shared::{LimitArgs, WalkArgs};

const MISSING: &str = "Missing files";
const FILES: &str = "Files";
const OUTPUT: &str = "Output";

#[derive(Debug, Args)]
pub struct WatchArgs {
    /// Folders and files to watch [default: those that the index covers]
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,

    /// Also look at all folders every SECONDS: for file systems that report no changes, and for more
    /// folders than the system can watch [default: only network disks, every 60]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub poll: Option<Duration>,

    #[command(flatten)]
    pub walk: WalkArgs,

    /// Do not read files again if only their inode number or change time differs. For network disks
    /// that invent them
    #[arg(long, help_heading = FILES)]
    pub ignore_inode: bool,

    /// Keep images in the index even if their files are missing
    #[arg(long, help_heading = MISSING)]
    pub keep_missing: bool,

    /// Forget images whose files are missing, even if they are many and the system did not report that
    /// they were deleted. Without it they are kept, as by imgsearch index
    #[arg(long, conflicts_with = "keep_missing", help_heading = MISSING)]
    pub prune: bool,

    /// Never train an encoder on the images of this index. Otherwise the first run of a new index does,
    /// if it has enough images
    #[arg(long, help_heading = "Encoder")]
    pub no_adapt: bool,

    /// Print events as JSON, one object per line
    #[arg(long, help_heading = OUTPUT)]
    pub json: bool,

    #[command(flatten)]
    pub limits: LimitArgs,
}
