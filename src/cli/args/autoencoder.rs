//! Arguments of `train autoencoder`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::common::CommonArgs;
use super::numbers::{above_zero, from_one, from_two};

const DESIGN: &str = "Design";
const INPUT: &str = "Input";
const RESUMING: &str = "Interrupted runs";
const TRAINING: &str = "Training";

#[derive(Debug, Args)]
pub struct AutoencoderArgs {
    #[command(flatten)]
    pub common: CommonArgs,

    #[command(flatten)]
    pub design: DesignArgs,

    /// What the autoencoder sees. PATH can also be an IDX file such as MNIST's
    #[arg(long, value_name = "WHAT", default_value = "pixels", help_heading = INPUT)]
    pub on: OnArg,

    /// Side in pixels of the images [default: 32; images of an IDX file keep their size, and a trunk
    /// sees its own]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(4..=1024))]
    #[arg(help_heading = INPUT)]
    pub side: Option<u32>,

    /// Use grey images
    #[arg(long, help_heading = INPUT)]
    pub grey: bool,

    /// Encoder or trunk whose features to use with --on features [default: the built-in one]
    #[arg(long, value_name = "FILE", help_heading = INPUT)]
    pub trunk: Option<PathBuf>,

    /// Number of epochs [default: 30]
    #[arg(long, value_name = "N", value_parser = from_one, help_heading = TRAINING)]
    pub epochs: Option<usize>,

    /// Maximum learning rate [default: 0.001]
    #[arg(long, value_name = "RATE", value_parser = above_zero, help_heading = TRAINING)]
    pub learning_rate: Option<f64>,

    /// Images in a batch
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = from_two, help_heading = TRAINING)]
    pub batch: usize,

    /// Stop after this number of epochs without progress on held-out images
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = from_one, help_heading = TRAINING)]
    pub patience: usize,

    /// Resume an interrupted run. Its state is saved next to the output after every epoch
    #[arg(long, help_heading = RESUMING)]
    pub resume: bool,

    /// Start over, and delete the state of an interrupted run
    #[arg(long, conflicts_with = "resume", help_heading = RESUMING)]
    pub restart: bool,
}

/// The design of an autoencoder.
#[derive(Debug, Args)]
pub struct DesignArgs {
    /// Kind of autoencoder. The options below change or combine kinds
    #[arg(long, value_name = "KIND", default_value = "deep", help_heading = DESIGN)]
    pub kind: KindArg,

    /// Units of each layer, or channels of each convolution [default: 1000,500,250; simple: none;
    /// convolutional: 16,32,64]
    #[arg(long, value_name = "N,N,...", value_delimiter = ',', help_heading = DESIGN)]
    pub layers: Option<Vec<usize>>,

    /// Reconstruction loss
    #[arg(long, value_name = "LOSS", default_value = "mse", help_heading = DESIGN)]
    pub loss: LossArg,

    /// Corrupt the input: gaussian:DEVIATION or masking:SHARE [default of denoising: masking:0.25]
    #[arg(long, value_name = "NOISE", help_heading = DESIGN)]
    pub noise: Option<String>,

    /// Sparsity penalty of the code: l1:WEIGHT or kl:TARGET:WEIGHT [default of sparse: l1:0.05]
    #[arg(long, value_name = "SPARSITY", help_heading = DESIGN)]
    pub sparsity: Option<String>,

    /// Weight of the squared norm of the encoder's Jacobian [default of contractive: 0.001]
    #[arg(long, value_name = "WEIGHT", help_heading = DESIGN)]
    pub contraction: Option<f64>,

    /// Weight of the divergence from the normal distribution [default of variational: 1]
    #[arg(long, value_name = "WEIGHT", help_heading = DESIGN)]
    pub beta: Option<f64>,

    /// Bits that are learned together with the code and become the hash [default of twin: 64]
    #[arg(long, value_name = "BITS", help_heading = DESIGN)]
    pub twin_bits: Option<usize>,

    /// Weight of keeping the neighbourhoods of the pixels
    #[arg(long, value_name = "WEIGHT", default_value_t = 0.0, help_heading = DESIGN)]
    pub neighbourhood: f64,

    /// Weight of telling a shifted copy of an image from other images
    #[arg(long, value_name = "WEIGHT", default_value_t = 0.0, help_heading = DESIGN)]
    pub two_view: f64,

    /// Weight of keeping codes apart
    #[arg(long, value_name = "WEIGHT", default_value_t = 0.0, help_heading = DESIGN)]
    pub coding_rate: f64,
}

/// What an autoencoder sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnArg {
    /// Small images
    Pixels,
    /// The features of a trunk
    Features,
}

/// Kinds of autoencoders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KindArg {
    /// One hidden layer, which is the code
    Simple,
    /// Several layers
    Deep,
    /// Convolutions
    Convolutional,
    /// Sparse code (L1 or KL penalty)
    Sparse,
    /// Reconstruct clean images from corrupted ones
    Denoising,
    /// A code that small changes of the input do not change
    Contractive,
    /// A code with a normal distribution
    Variational,
    /// Bits that are learned together with the code (twin bottleneck)
    Twin,
}

/// Reconstruction losses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LossArg {
    /// Squared error
    Mse,
    /// Binary cross-entropy
    Bce,
    /// One minus the cosine
    Cosine,
}
