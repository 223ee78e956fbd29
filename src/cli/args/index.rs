//! Arguments of the commands that change or check an index.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use imgsearch::Shard;

use super::numbers::shard;
use super::restorer::RestoringArgs;
use super::shared::{LimitArgs, WalkArgs};

const MISSING: &str = "Missing files";
const ENCODER: &str = "Encoder";
const FILES: &str = "Files";
const OUTPUT: &str = "Output";

/// When `index` trains an encoder on the images of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AdaptWhen {
    /// In the first run of a new index
    New,
    /// Also when the index has doubled since
    Auto,
    /// Never
    Never,
}

#[derive(Debug, Args)]
pub struct IndexArgs {
    /// Folders and files to index [default: the folders of the last run]
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,

    /// Also index the files and folders that this list names, one a line or each up to a zero byte; - reads
    /// standard input
    #[arg(long, value_name = "FILE", help_heading = FILES)]
    pub files_from: Option<PathBuf>,

    #[command(flatten)]
    pub walk: WalkArgs,

    /// Do not read files again if only their inode number or change time differs. For network disks
    /// that invent them
    #[arg(long, help_heading = FILES)]
    pub ignore_inode: bool,

    /// Index the share K of N of the files, by a hash of their paths, so that N machines index one network disk. Only
    /// for a collection on a server
    #[arg(long, value_name = "K/N", value_parser = shard, help_heading = FILES)]
    pub shard: Option<Shard>,

    /// Retry files that could not be decoded before, even if they did not change
    #[arg(long, help_heading = FILES)]
    pub retry: bool,

    /// Keep images in the index even if their files are missing
    #[arg(long, help_heading = MISSING)]
    pub keep_missing: bool,

    /// Forget images whose files are missing, even if they are many: more than 100, or at least 10 and
    /// more than a tenth, or all of a folder. Without it they are kept unless you confirm it on the
    /// terminal
    #[arg(long, conflicts_with = "keep_missing", help_heading = MISSING)]
    pub prune: bool,

    /// Encoder to use, or built-in [default: the encoder of the index; it is trained on the images of the
    /// first run that has 300 or more, and is the built-in one before or if that is better]
    #[arg(long, value_name = "FILE", help_heading = ENCODER)]
    pub encoder: Option<PathBuf>,

    /// When to train an encoder on the images of the index
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = AdaptWhen::New, help_heading = ENCODER)]
    pub adapt: AdaptWhen,

    /// Never train an encoder on the images of this index, in later runs neither: the same as --adapt never
    #[arg(long, conflicts_with = "adapt", help_heading = ENCODER)]
    pub no_adapt: bool,

    /// Encode every stored image again, with --encoder or the built-in encoder. The old codes answer
    /// queries until the new ones are complete. After an interruption, run it again to resume
    #[arg(long, help_heading = ENCODER)]
    pub reencode: bool,

    /// Print events as JSON, one object per line
    #[arg(long, help_heading = OUTPUT)]
    pub json: bool,

    #[command(flatten)]
    pub limits: LimitArgs,
}

/// What builds the graphs of segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BuilderArg {
    /// imgsearch's own builder: faster, and finds more
    Flat,
    /// The crate hnsw_rs
    #[cfg(feature = "hnsw-rs")]
    HnswRs,
}

#[derive(Debug, Args)]
pub struct OptimizeArgs {
    /// Rebuild every segment
    #[arg(long)]
    pub rebuild: bool,

    /// Build the graphs of the rebuilt segments with this
    #[arg(long, value_enum, default_value_t = BuilderArg::Flat, requires = "rebuild")]
    pub builder: BuilderArg,

    /// Print JSON
    #[arg(long, help_heading = OUTPUT)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Rebuild what is damaged
    #[arg(long)]
    pub repair: bool,

    /// Print JSON
    #[arg(long, help_heading = OUTPUT)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct StatusArgs {
    /// List the files that could not be read or decoded, with the reasons
    #[arg(long)]
    pub damaged: bool,

    /// Count the images by file format, and the files that could not be used by extension
    #[arg(long, conflicts_with = "damaged")]
    pub formats: bool,

    /// Print JSON
    #[arg(long, help_heading = OUTPUT)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// Files and folders to remove from the index. They need not exist any more
    #[arg(value_name = "PATH", required_unless_present_any = ["files_from", "undo"])]
    pub paths: Vec<PathBuf>,

    /// Also remove the files and folders that this list names, one a line or each up to a zero byte; - reads
    /// standard input
    #[arg(long, value_name = "FILE")]
    pub files_from: Option<PathBuf>,

    /// Delete their codes at once, and those of all images removed before. Without it they can be
    /// brought back for 30 days: see --undo
    #[arg(long)]
    pub forever: bool,

    /// Bring removed images back instead: those of the PATHs, or all
    #[arg(long, conflicts_with = "forever")]
    pub undo: bool,

    /// Print JSON
    #[arg(long, help_heading = OUTPUT)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// Pictures to restore with --model; without it, files and folders whose images to bring back into the index
    /// [default: all removed images]
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,

    /// Also restore the files and folders that this list names, one a line or each up to a zero byte; - reads
    /// standard input
    #[arg(long, value_name = "FILE")]
    pub files_from: Option<PathBuf>,

    /// List what can be restored, and change nothing
    #[arg(long)]
    pub list: bool,

    #[command(flatten)]
    pub restoring: RestoringArgs,

    /// Print JSON
    #[arg(long, help_heading = OUTPUT)]
    pub json: bool,
}
