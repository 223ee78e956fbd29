//! Arguments of `reconstruct`, `adapt` and `eval`.

use std::path::PathBuf;

use clap::Args;

use super::index::IndexArgs;
use super::numbers::{from_one, from_two};
use super::shared::LimitArgs;

const OUTPUT: &str = "Output";
const TRAINING: &str = "Training";

#[derive(Debug, Args)]
pub struct ReconstructArgs {
    /// Images to encode and reconstruct
    #[arg(value_name = "IMAGE", required_unless_present = "vary")]
    pub images: Vec<PathBuf>,

    /// Encoder to use. It must have a decoder, as `imgsearch train autoencoder` and `train head
    /// --decoder` make it. The built-in one has none
    #[arg(long, value_name = "FILE")]
    pub encoder: Option<PathBuf>,

    /// Decoder to use [default: next to the encoder, my.decoder.onnx for my.onnx]
    #[arg(long, value_name = "FILE")]
    pub decoder: Option<PathBuf>,

    /// Show this number of steps from the code of the first of two images to that of the second
    #[arg(long, value_name = "STEPS", value_parser = from_two)]
    pub interpolate: Option<usize>,

    /// Show how this image changes as its code moves along the strongest directions of the codes of IMAGE, or of those in
    /// the index: a row for each direction, from 3 standard deviations below to 3 above
    #[arg(long, value_name = "IMAGE", conflicts_with = "interpolate")]
    pub vary: Option<PathBuf>,

    /// Picture to write: the images above, their reconstructions below
    #[arg(long, short, value_name = "FILE", default_value = "reconstructed.png", help_heading = OUTPUT)]
    pub output: PathBuf,

    /// Print one JSON object per image
    #[arg(long, help_heading = OUTPUT)]
    pub json: bool,

    #[command(flatten)]
    pub limits: LimitArgs,
}

/// Images that `adapt` trains on.
const MAX_TRAINED: usize = 20_000;

#[derive(Debug, Args)]
pub struct AdaptArgs {
    /// Train, say whether the new encoder is better, and leave the index unchanged
    #[arg(long, conflicts_with = "force")]
    pub dry_run: bool,

    /// Move the index to the new encoder even if it is not better
    #[arg(long)]
    pub force: bool,

    /// Length of the code
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = from_one, help_heading = TRAINING)]
    pub code: usize,

    /// Bits of the semantic hash
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = from_one, help_heading = TRAINING)]
    pub bits: usize,

    /// Train on at most this number of images, evenly spread. All images are encoded again
    #[arg(long, value_name = "N", default_value_t = MAX_TRAINED, value_parser = from_one)]
    #[arg(help_heading = TRAINING)]
    pub limit: usize,

    /// Altered copies of each image to train on
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = TRAINING)]
    pub views: usize,

    /// Number of epochs [default: as many as make 80 steps of 256 images]
    #[arg(long, value_name = "N", value_parser = from_one, help_heading = TRAINING)]
    pub epochs: Option<usize>,

    /// Seed of all random numbers
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = TRAINING)]
    pub seed: u64,

    /// Print events as JSON, one object per line
    #[arg(long, help_heading = OUTPUT)]
    pub json: bool,

    #[command(flatten)]
    pub limits: LimitArgs,
}

impl AdaptArgs {
    /// Returns the defaults, for the images that `index` has just indexed.
    pub fn of_index(args: &IndexArgs) -> Self {
        Self {
            dry_run: false,
            force: false,
            code: 30,
            bits: 256,
            limit: MAX_TRAINED,
            views: 0,
            epochs: None,
            seed: 0,
            json: args.json,
            limits: args.limits.clone(),
        }
    }
}

#[derive(Debug, Args)]
pub struct EvalArgs {
    /// Folder with one folder for each class. With --protocol, it can have folders `train` and `test`
    /// that hold them
    #[arg(value_name = "FOLDER", required_unless_present_any = ["copies", "duplicates", "text", "groups"])]
    pub folder: Option<PathBuf>,

    /// Encoder to measure. Repeat it to compare several [default: the built-in one]
    #[arg(long, value_name = "FILE")]
    pub encoder: Vec<PathBuf>,

    /// Use only a part: first-half or second-half of each class, classes:I/N for every N-th class from
    /// number I, other-classes:I/N for the others
    #[arg(long, value_name = "PART", default_value = "all")]
    pub part: String,

    /// Number of queries and of database images, as in queries=1000,database=50000,cutoff=1000. They
    /// are drawn at random; if there are folders `test` and `train`, queries come from the first and
    /// the database from the second [default: every image is a query, all others the database]
    #[arg(long, value_name = "PROTOCOL")]
    pub protocol: Option<String>,

    /// Seed of the random draw
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,

    /// Leave out the baselines, which take most of the time
    #[arg(long)]
    pub no_baselines: bool,

    /// Also ask with several images of each class at once, with --focus, and with --less of an image of the class
    /// that looks most like it, and measure what is found
    #[arg(long, requires = "folder")]
    pub mixtures: bool,

    /// Edit the images of this folder in ten ways, and measure how many copies are recognised at a
    /// precision of 99.9 %
    #[arg(long, value_name = "FOLDER")]
    pub copies: Option<PathBuf>,

    /// Edit some images of this folder in eleven ways, and measure how many of the copies `duplicates` finds among
    /// the others
    #[arg(long, value_name = "FOLDER")]
    pub duplicates: Option<PathBuf>,

    /// With --duplicates: create this folder and keep the edited images in it, with a list of all files, so that other
    /// programs can look for the same copies
    #[arg(long, value_name = "FOLDER", requires = "duplicates")]
    pub keep_files: Option<PathBuf>,

    /// Ask the index (--index) for the names of this folder's folders, in words, and measure how many of their
    /// images are found first
    #[arg(long, value_name = "FOLDER")]
    pub text: Option<PathBuf>,

    /// Group the images of this folder that the index (--index) holds, and measure how well the groups and their names
    /// agree with its folders
    #[arg(long, value_name = "FOLDER")]
    pub groups: Option<PathBuf>,

    /// Measure what distances mean: how many of the images at a distance are of the same class. Write the
    /// encoder with that to FILE, so that `query` can say how similar an image is
    #[arg(long, value_name = "FILE", requires = "folder", help_heading = OUTPUT)]
    pub calibrate: Option<PathBuf>,

    /// Print JSON
    #[arg(long, help_heading = OUTPUT)]
    pub json: bool,

    /// Also write an HTML page with tables and charts
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    pub html: Option<PathBuf>,

    #[command(flatten)]
    pub limits: LimitArgs,
}
