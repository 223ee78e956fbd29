//! Arguments of `query` and `encode`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use imgsearch::decode::Crop;
use imgsearch::index::{DEFAULT_EXPAND, ImageId};

use super::filters::FilterArgs;
use super::numbers::{from_one, from_zero, percent, up_to_hundred};
use super::shared::LimitArgs;
use crate::cli::weighted::id_of;

const OUTPUT: &str = "Output";
const QUESTION: &str = "Question";
const SEARCH: &str = "Search";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ByArg {
    /// By the code: 30 numbers, Euclidean distance
    Code,
    /// By the semantic hash: number of different bits
    Hash,
    /// By both together
    Both,
}

/// How pictures are drawn in a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WayArg {
    /// The graphics of Kitty, Ghostty and Konsole
    Kitty,
    /// The inline images of iTerm2, WezTerm and mintty
    Iterm2,
    /// Sixel: foot, mlterm, xterm -ti vt340
    Sixel,
    /// Half blocks in colours, for every other terminal
    Blocks,
}

#[derive(Debug, Args)]
pub struct QueryArgs {
    /// Images to search for, each by itself; - reads one from standard input. A folder asks with the mixture
    /// of its pictures, at most 200 of them. What is no file and does not look like one is words, such as
    /// "dog on a beach": English nouns for things, animals and places. Names of people, actions and moods
    /// are not known
    #[arg(value_name = "IMAGE", required_unless_present_any = ["id", "more", "less", "text", "files_from"])]
    pub images: Vec<PathBuf>,

    /// Also search for each of the images that this list names, one a line or each up to a zero byte; - reads
    /// standard input
    #[arg(long, value_name = "FILE", help_heading = QUESTION)]
    pub files_from: Option<PathBuf>,

    /// Search for the image with this id in the index, without decoding it. JSON output has ids
    #[arg(long, value_name = "ID", value_parser = id_of, help_heading = QUESTION)]
    pub id: Vec<ImageId>,

    /// Search for what these words name, even if there is a file of that name
    #[arg(long, value_name = "WORDS", help_heading = QUESTION)]
    pub text: Vec<String>,

    /// Answer words by what the pictures show alone, without the texts that belong to them. imgsearch topics reads
    /// these; filters and --radius leave them out, too
    #[arg(long, help_heading = QUESTION)]
    pub no_documents: bool,

    /// Search for the mixture of IMAGE and this picture, folder or id:ID. Can be repeated. A weight can follow,
    /// as in b.jpg:0.5; IMAGE and each --more weigh 1, a folder as much as one picture
    #[arg(long, value_name = "IMAGE[:WEIGHT]", help_heading = QUESTION)]
    pub more: Vec<OsString>,

    /// Search for less of what this picture, folder or id:ID shows. Can be repeated. The weight is 0.2 unless
    /// one follows: that share of it is subtracted from the mixture
    #[arg(long, value_name = "IMAGE[:WEIGHT]", help_heading = QUESTION)]
    pub less: Vec<OsString>,

    /// Count more what the pictures of the mixture agree on. All of them should show what is wanted
    #[arg(long, help_heading = QUESTION)]
    pub focus: bool,

    /// Search with a part of the picture: left, top, width and height, in pixels or per cent of the upright
    /// picture, as in 10%,10%,50%,50%
    #[arg(long, value_name = "X,Y,W,H", value_parser = str::parse::<Crop>, help_heading = QUESTION)]
    pub crop: Option<Crop>,

    /// Number of images to find
    #[arg(short, value_name = "K", default_value_t = 10, help_heading = SEARCH)]
    pub k: usize,

    /// What to rank images by
    #[arg(long, value_enum, default_value_t = ByArg::Both, value_name = "WHAT", help_heading = SEARCH)]
    pub by: ByArg,

    /// Encoder to use. It must be the one that made the index [default: the encoder of the index]
    #[arg(long, value_name = "FILE", help_heading = SEARCH)]
    pub encoder: Option<PathBuf>,

    /// Scan every image. Nothing is missed
    #[arg(long, group = "way", help_heading = SEARCH)]
    pub exact: bool,

    /// Size of the candidate list of a graph search: a larger one takes longer and misses fewer images
    /// [default: as measured for the index, so that 99 of 100 results equal those of --exact]
    #[arg(long, value_name = "N", value_parser = from_one, help_heading = SEARCH)]
    pub ef: Option<usize>,

    /// Query expansion: search again with the query mixed with the N nearest images, which come first
    #[arg(long, value_name = "N", default_value_t = DEFAULT_EXPAND, value_parser = up_to_hundred)]
    #[arg(help_heading = SEARCH)]
    pub expand: usize,

    /// Search once, with the query alone
    #[arg(long, conflicts_with = "expand", help_heading = SEARCH)]
    pub no_expand: bool,

    /// Maximum distance
    #[arg(long, value_name = "DISTANCE", value_parser = from_zero, help_heading = SEARCH)]
    pub radius: Option<f32>,

    /// Only images that are at least this similar, in per cent: 90 means that 9 of 10 such pairs of images
    /// show the same kind of thing
    #[arg(long, value_name = "PERCENT", value_parser = percent, help_heading = SEARCH)]
    pub min_similarity: Option<f32>,

    #[command(flatten)]
    pub filter: FilterArgs,

    /// Print one JSON object per query
    #[arg(long, group = "format", help_heading = OUTPUT)]
    pub json: bool,

    /// Print paths only, one per line
    #[arg(long, group = "format", help_heading = OUTPUT)]
    pub paths: bool,

    /// Print paths only, separated by NUL bytes, for `xargs -0`
    #[arg(long, short = '0', group = "format", help_heading = OUTPUT)]
    pub print0: bool,

    /// Draw the images in the terminal, in a grid: as graphics where environment variables tell of a terminal
    /// that has them, or else in coloured half blocks. Into a pipe, lines are printed as without it
    #[arg(long, group = "format", help_heading = OUTPUT)]
    pub show: bool,

    /// Draw as with --show, but in this way, even into a pipe
    #[arg(long, value_enum, value_name = "WAY", conflicts_with_all = ["json", "paths", "print0"])]
    #[arg(help_heading = OUTPUT)]
    pub show_as: Option<WayArg>,

    /// Write the images, with small copies of them, to one HTML file for a browser; - writes to standard output
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    pub html: Option<PathBuf>,

    /// Open the file of --html in the browser. Without --html, a temporary file
    #[arg(long, help_heading = OUTPUT)]
    pub open: bool,

    /// Explain how the search was done, and where the time went
    #[arg(long, help_heading = OUTPUT)]
    pub explain: bool,

    #[command(flatten)]
    pub limits: LimitArgs,
}

#[derive(Debug, Args)]
pub struct EncodeArgs {
    /// Images to encode; - reads one from standard input
    #[arg(value_name = "IMAGE", required_unless_present = "files_from")]
    pub images: Vec<PathBuf>,

    /// Also encode the images that a file names, one a line; - reads the names from standard input
    #[arg(long, value_name = "FILE")]
    pub files_from: Option<PathBuf>,

    /// Names in --files-from end with a zero byte, as those of `find -print0` do
    #[arg(short = '0', long, requires = "files_from")]
    pub null: bool,

    /// Encoder to use [default: the built-in one]
    #[arg(long, value_name = "FILE")]
    pub encoder: Option<PathBuf>,

    /// Print one JSON object per image
    #[arg(long, help_heading = OUTPUT)]
    pub json: bool,

    /// Write arrays for NumPy in place of printing: STEM.codes.npy (float32, a row for each image), STEM.hashes.npy
    /// (uint8, eight bits a byte) and STEM.images.jsonl (the path and size of the image of each row, as JSON lines)
    #[arg(long, value_name = "STEM", conflicts_with = "json", help_heading = OUTPUT)]
    pub npy: Option<PathBuf>,

    #[command(flatten)]
    pub limits: LimitArgs,
}
