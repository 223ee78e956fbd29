//! Arguments of `groups`, `outliers` and `map`.

use std::path::PathBuf;

use clap::Args;

use super::filters::ChosenArgs;
use super::numbers::{from_one, from_two};
use super::shared::LimitArgs;

const GROUPS: &str = "Groups";
const OUTPUT: &str = "Output";

/// Images of a group that are drawn on a page.
const DRAWN: usize = 12;

/// Pictures on a map.
const THUMBNAILS: usize = 5000;

#[derive(Debug, Args)]
pub struct GroupsArgs {
    /// Fewest different images of a group [default: the root of their number divided by 6, at least 5]
    #[arg(long, value_name = "N", value_parser = from_two, help_heading = GROUPS)]
    pub min_size: Option<usize>,

    /// Levels of groups within groups
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = GROUPS)]
    pub depth: usize,

    #[command(flatten)]
    pub chosen: ChosenArgs,

    /// Print JSON, one object per group and one for the images in no group
    #[arg(long, help_heading = OUTPUT)]
    pub json: bool,

    /// Write the groups, with small copies of their most typical images, to one HTML file for a browser; - writes to
    /// standard output
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    pub html: Option<PathBuf>,

    /// Images of each group in the HTML file
    #[arg(long, value_name = "N", default_value_t = DRAWN, value_parser = from_one, help_heading = OUTPUT)]
    pub shown: usize,

    /// Open the file of --html in the browser. Without --html, a temporary file
    #[arg(long, help_heading = OUTPUT)]
    pub open: bool,

    #[command(flatten)]
    pub limits: LimitArgs,
}

#[derive(Debug, Args)]
pub struct OutliersArgs {
    /// Number of images to return
    #[arg(short, value_name = "K", default_value_t = 10, value_parser = from_one)]
    pub k: usize,

    /// Instead of the images that are far from all others, those that the encoder knows least of
    #[arg(long)]
    pub unknown: bool,

    #[command(flatten)]
    pub chosen: ChosenArgs,

    /// Print one JSON object
    #[arg(long, help_heading = OUTPUT)]
    pub json: bool,

    /// Write the images, with small copies of them, to one HTML file for a browser; - writes to standard output
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    pub html: Option<PathBuf>,

    /// Open the file of --html in the browser. Without --html, a temporary file
    #[arg(long, help_heading = OUTPUT)]
    pub open: bool,

    #[command(flatten)]
    pub limits: LimitArgs,
}

#[derive(Debug, Args)]
pub struct MapArgs {
    /// HTML file to write
    #[arg(long, short, value_name = "FILE", required_unless_present_any = ["json", "measure", "open"])]
    pub output: Option<PathBuf>,

    /// Place every image anew. Without it, images keep the places of the last map, and new ones are placed among them
    #[arg(long)]
    pub renew: bool,

    /// Seed of the random numbers
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,

    /// Fewest different images of a group on the map [default: the root of their number divided by 6, at least 5]
    #[arg(long, value_name = "N", value_parser = from_two, help_heading = GROUPS)]
    pub min_size: Option<usize>,

    #[command(flatten)]
    pub chosen: ChosenArgs,

    /// Most pictures in the HTML file; each takes about 3 KB. The other images are dots. 0 for dots only
    #[arg(long, value_name = "N", default_value_t = THUMBNAILS, help_heading = OUTPUT)]
    pub thumbnails: usize,

    /// Print one JSON object per image: id, path, x and y
    #[arg(long, help_heading = OUTPUT)]
    pub json: bool,

    /// Measure how far neighbours on the map can be trusted
    #[arg(long, help_heading = OUTPUT)]
    pub measure: bool,

    /// Open the map in the browser. Without --output, a temporary file
    #[arg(long, help_heading = OUTPUT)]
    pub open: bool,

    #[command(flatten)]
    pub limits: LimitArgs,
}
