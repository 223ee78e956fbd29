//! Arguments of `train`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use imgsearch::onnx::EncoderResize;

use super::autoencoder::AutoencoderArgs;
use super::common::CommonArgs;
use super::numbers::{above_zero, from_one, from_zero};
use super::restorer::RestorerArgs;

const OUTPUT: &str = "Output";
const TRAINING: &str = "Training";
const TRUNK: &str = "Trunk";

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  imgsearch train head ~/Pictures -o my.onnx            find similar images
  imgsearch train copies ~/Pictures -o copies.onnx      recognise edited copies
  imgsearch train autoencoder ~/Pictures -o small.onnx  learn from pixels
  imgsearch train restorer ~/Pictures --task denoise -o denoise.onnx")]
pub struct TrainArgs {
    #[command(subcommand)]
    pub command: TrainCommand,
}

#[derive(Debug, Subcommand)]
pub enum TrainCommand {
    /// Train a head on a pretrained trunk. The encoder finds images that show similar things
    Head(Box<HeadArgs>),
    /// Train an encoder that finds edited copies: scaled, cropped, rotated, mirrored, blurred, brighter
    Copies(Box<CopiesArgs>),
    /// Train an autoencoder on pixels or on the features of a trunk
    Autoencoder(Box<AutoencoderArgs>),
    /// Train a network that restores pictures: removes noise, fills holes, removes texts, or colours
    Restorer(Box<RestorerArgs>),
}

/// The trunk to train on, and what it sees.
#[derive(Debug, Args)]
pub struct TrunkArgs {
    /// Encoder or trunk whose features to train on [default: the built-in one]
    #[arg(long, value_name = "FILE", help_heading = TRUNK)]
    pub trunk: Option<PathBuf>,

    /// Side in pixels of the images that the trunk sees [default: the trunk's own]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(4..=1024))]
    #[arg(help_heading = TRUNK)]
    pub side: Option<u32>,

    /// How to resize images: squash, or short-side-crop:PIXELS, which scales the short side and cuts
    /// out the centre [default: the trunk's own way]
    #[arg(long, value_name = "HOW", help_heading = TRUNK)]
    pub resize: Option<EncoderResize>,

    /// Cache the features in this file. A later training on the same images reads them from it and
    /// takes seconds. Altered copies are then the same for every --seed
    #[arg(long, value_name = "FILE", help_heading = TRUNK)]
    pub features: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct HeadArgs {
    #[command(flatten)]
    pub common: CommonArgs,

    #[command(flatten)]
    pub trunk: TrunkArgs,

    /// Number of epochs [default: 40, or 20 per round with --hidden-units]
    #[arg(long, value_name = "N", value_parser = from_one, help_heading = TRAINING)]
    pub epochs: Option<usize>,

    /// Maximum learning rate [default: 0.002, or 0.006 with --hidden-units]
    #[arg(long, value_name = "RATE", value_parser = above_zero, help_heading = TRAINING)]
    pub learning_rate: Option<f64>,

    /// Altered copies of each image, which teach the code what does not matter; 0 for none [default: 2]
    #[arg(long, value_name = "N", help_heading = TRAINING)]
    pub views: Option<usize>,

    /// Units of a hidden layer, which also learns from the nearest neighbours of each image. For
    /// collections of ten thousand images and more, try 512; 0 for none
    #[arg(long, value_name = "UNITS", default_value_t = 0, help_heading = TRAINING)]
    pub hidden_units: usize,

    /// Neighbours of each image to learn from with --hidden-units
    #[arg(long, value_name = "N", default_value_t = 20, requires = "hidden_units", value_parser = from_one)]
    #[arg(help_heading = TRAINING)]
    pub neighbours: usize,

    /// Number of trainings with --hidden-units. Each finds neighbours by what the one before learned,
    /// and has all the --epochs
    #[arg(long, value_name = "N", default_value_t = 2, requires = "hidden_units")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100), help_heading = TRAINING)]
    pub rounds: u32,

    /// Add this number of synthetic rows of features, made from the trunk's classes. For an encoder
    /// that will also see images unlike these
    #[arg(long, alias = "imagined", value_name = "N", default_value_t = 0, help_heading = TRAINING)]
    pub synthetic: usize,

    /// Weight of the hash when code and hash rank together [default: 8]
    #[arg(long, value_name = "WEIGHT", value_parser = from_zero, help_heading = TRAINING)]
    pub hash_weight: Option<f32>,

    /// Also train a decoder, which makes small images from codes. It is written next to the output; see
    /// imgsearch reconstruct
    #[arg(long, help_heading = OUTPUT)]
    pub decoder: bool,
}

#[derive(Debug, Args)]
pub struct CopiesArgs {
    #[command(flatten)]
    pub common: CommonArgs,

    #[command(flatten)]
    pub trunk: TrunkArgs,

    /// Altered copies of each image to learn from [default: 5]
    #[arg(long, value_name = "N", help_heading = TRAINING)]
    pub views: Option<usize>,

    /// Weight of the hash when code and hash rank together [default: 16]
    #[arg(long, value_name = "WEIGHT", value_parser = from_zero, help_heading = TRAINING)]
    pub hash_weight: Option<f32>,

    /// Also train a decoder, which makes small images from codes. It is written next to the output; see
    /// imgsearch reconstruct
    #[arg(long, help_heading = OUTPUT)]
    pub decoder: bool,
}
