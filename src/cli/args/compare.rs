//! Arguments of `compare`.

use std::path::PathBuf;

use clap::Args;

use super::numbers::percent;
use super::search::WayArg;
use super::shared::{LimitArgs, WalkArgs};

const OUTPUT: &str = "Output";

#[derive(Debug, Args)]
pub struct CompareArgs {
    /// A picture, or a folder of pictures
    #[arg(value_name = "A")]
    pub a: PathBuf,

    /// What to compare it with: a picture or a folder. Without it, the index: is all of A in it? The indexed files
    /// themselves need not be in reach
    #[arg(value_name = "B")]
    pub b: Option<PathBuf>,

    /// Pictures that are at least this similar count as the same, in per cent [default: only identical ones and
    /// edited copies do]
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub threshold: Option<f32>,

    /// Encoder to use [default: that of the index, if it is named or compared with, or else the built-in one]
    #[arg(long, value_name = "FILE")]
    pub encoder: Option<PathBuf>,

    /// Print one JSON object: for a folder, one per line for each of its pictures
    #[arg(long, group = "format", help_heading = OUTPUT)]
    pub json: bool,

    /// Print only the paths of A that are not in B, one per line
    #[arg(long, group = "format", help_heading = OUTPUT)]
    pub paths: bool,

    /// Print only these paths, separated by NUL bytes, for `xargs -0`
    #[arg(long, short = '0', group = "format", help_heading = OUTPUT)]
    pub print0: bool,

    /// Draw two pictures side by side in the terminal, above what is said of them. Into a pipe, only that is printed
    #[arg(long, group = "format", help_heading = OUTPUT)]
    pub show: bool,

    /// Draw as with --show, but in this way, even into a pipe
    #[arg(long, value_enum, value_name = "WAY", conflicts_with_all = ["json", "paths", "print0"])]
    #[arg(help_heading = OUTPUT)]
    pub show_as: Option<WayArg>,

    #[command(flatten)]
    pub walk: WalkArgs,

    #[command(flatten)]
    pub limits: LimitArgs,
}
