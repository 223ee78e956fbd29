//! Arguments of `duplicates`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use imgsearch::duplicates::{DuplicateOptions, Keep};

use super::duplicates_action::ActionArgs;
use super::filters::FilterArgs;
use super::numbers::{from_one, percent};
use super::search::WayArg;
use super::shared::LimitArgs;

const OUTPUT: &str = "Output";
const SEARCH: &str = "Search";

/// Which file of a group is the best one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KeepArg {
    /// The one with the most pixels, then the least compressed, then the oldest
    Best,
    /// The newest
    Newest,
    /// The oldest
    Oldest,
    /// The one with the most bytes
    Largest,
    /// The one with the shortest path
    ShortestPath,
}

impl From<KeepArg> for Keep {
    fn from(keep: KeepArg) -> Self {
        match keep {
            KeepArg::Best => Self::Best,
            KeepArg::Newest => Self::Newest,
            KeepArg::Oldest => Self::Oldest,
            KeepArg::Largest => Self::Largest,
            KeepArg::ShortestPath => Self::ShortestPath,
        }
    }
}

/// Which files of a group are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FilesArg {
    /// The best file of each group
    Best,
    /// All others
    Others,
}

#[derive(Debug, Args)]
pub struct DuplicatesArgs {
    /// Only files with the same bytes. Nothing is decoded
    #[arg(long, conflicts_with = "near", help_heading = SEARCH)]
    pub identical: bool,

    /// Also shots that are nearly the same, such as those of a burst
    #[arg(long, help_heading = SEARCH)]
    pub near: bool,

    /// Which file of a group is the best one
    #[arg(long, value_enum, default_value_t = KeepArg::Best, value_name = "WHICH", help_heading = SEARCH)]
    pub keep: KeepArg,

    /// Only compare images that are at least this similar to the encoder, in per cent: faster, and copies that it
    /// sees differently are missed
    #[arg(long, value_name = "PERCENT", value_parser = percent, help_heading = SEARCH)]
    pub min_similarity: Option<f32>,

    /// Compare each image with at most this number of its nearest ones
    #[arg(long, value_name = "N", value_parser = from_one, help_heading = SEARCH)]
    #[arg(default_value_t = DuplicateOptions::default().neighbours)]
    pub neighbours: usize,

    #[command(flatten)]
    pub filter: FilterArgs,

    #[command(flatten)]
    pub actions: ActionArgs,

    /// Print one JSON object per group
    #[arg(long, group = "format", help_heading = OUTPUT)]
    pub json: bool,

    /// Print paths only, one per line: of the best files, or of the others
    #[arg(long, value_enum, value_name = "WHICH", help_heading = OUTPUT)]
    #[arg(conflicts_with_all = ["json", "show"])]
    pub paths_of: Option<FilesArg>,

    /// Separate the paths of --paths-of by NUL bytes, for `xargs -0`
    #[arg(long, short = '0', requires = "paths_of", help_heading = OUTPUT)]
    pub print0: bool,

    /// Draw the pictures of each group in the terminal. Into a pipe, lines are printed as without it
    #[arg(long, group = "format", help_heading = OUTPUT)]
    pub show: bool,

    /// Draw as with --show, but in this way, even into a pipe
    #[arg(long, value_enum, value_name = "WAY", conflicts_with_all = ["json", "paths_of"])]
    #[arg(help_heading = OUTPUT)]
    pub show_as: Option<WayArg>,

    /// Write the groups, with small copies of the pictures, to one HTML file for a browser
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    pub html: Option<PathBuf>,

    #[command(flatten)]
    pub limits: LimitArgs,
}
