//! Arguments that all kinds of training share.

use std::path::PathBuf;

use clap::Args;

use super::numbers::from_one;
use super::shared::{LimitArgs, WalkArgs};

const FILES: &str = "Files";
const OUTPUT: &str = "Output";
const TRAINING: &str = "Training";

/// Arguments that all kinds of training share.
#[derive(Debug, Args)]
pub struct CommonArgs {
    /// Images, or folders of images, to train on
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,

    /// Encoder file to write
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,

    /// Length of the code
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = from_one, help_heading = TRAINING)]
    pub code: usize,

    /// Bits of the semantic hash
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = from_one, help_heading = TRAINING)]
    pub bits: usize,

    /// Seed of all random numbers. The same seed gives the same file on the same machine
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = TRAINING)]
    pub seed: u64,

    /// Use at most this number of images, evenly spread
    #[arg(long, value_name = "N", value_parser = from_one, help_heading = FILES)]
    pub limit: Option<usize>,

    /// Use only a part of the first folder, as in `imgsearch eval --part`
    #[arg(long, value_name = "PART", default_value = "all", help_heading = FILES)]
    pub part: String,

    #[command(flatten)]
    pub walk: WalkArgs,

    /// Name of the encoder, stored in the file [default: the name of the file]
    #[arg(long, value_name = "NAME", help_heading = OUTPUT)]
    pub name: Option<String>,

    /// Description of the training data, stored in the file
    #[arg(long, value_name = "TEXT", help_heading = OUTPUT)]
    pub data: Option<String>,

    /// Write no charts next to the output (losses, codes in two dimensions, reconstructions)
    #[arg(long, help_heading = OUTPUT)]
    pub no_charts: bool,

    /// Print events as JSON, one object per line
    #[arg(long, help_heading = OUTPUT)]
    pub json: bool,

    #[command(flatten)]
    pub limits: LimitArgs,
}
