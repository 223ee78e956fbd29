//! Arguments of `train restorer` and of `restore --model`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use imgsearch::onnx::RestorerTask;

use super::numbers::{above_zero, from_one};
use super::shared::{LimitArgs, WalkArgs};

const OUTPUT: &str = "Output";
const PICTURES: &str = "Restoring pictures";
const TRAINING: &str = "Training";

#[derive(Debug, Args)]
pub struct RestorerArgs {
    /// Pictures, or folders of pictures, to learn from
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,

    /// What to learn
    #[arg(long, value_name = "TASK")]
    pub task: TaskArg,

    /// File to write, for imgsearch restore --model
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,

    /// Minutes of training [default: 10]
    #[arg(long, value_name = "N", value_parser = above_zero, conflicts_with = "epochs", help_heading = TRAINING)]
    pub minutes: Option<f64>,

    /// Number of epochs instead: times that eight patches of each picture are learned from. The same seed then
    /// gives the same file on the same machine
    #[arg(long, value_name = "N", value_parser = from_one, help_heading = TRAINING)]
    pub epochs: Option<usize>,

    /// Seed of all random numbers
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..1 << 31))]
    #[arg(help_heading = TRAINING)]
    pub seed: u64,

    #[command(flatten)]
    pub walk: WalkArgs,

    /// Print events as JSON, one object per line
    #[arg(long, help_heading = OUTPUT)]
    pub json: bool,

    #[command(flatten)]
    pub limits: LimitArgs,
}

/// What a restorer learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TaskArg {
    /// Remove noise
    Denoise,
    /// Fill holes
    Inpaint,
    /// Remove texts and logos
    Watermark,
    /// Colour grey pictures
    Colourise,
}

impl From<TaskArg> for RestorerTask {
    fn from(task: TaskArg) -> Self {
        match task {
            TaskArg::Denoise => Self::Denoise,
            TaskArg::Inpaint => Self::Inpaint,
            TaskArg::Watermark => Self::Watermark,
            TaskArg::Colourise => Self::Colourise,
        }
    }
}

/// How pictures are restored.
#[derive(Debug, Args)]
pub struct RestoringArgs {
    /// Restore the pictures PATH with this network of imgsearch train restorer
    #[arg(long, value_name = "FILE", requires = "output", conflicts_with_all = ["list", "files_from"])]
    #[arg(help_heading = PICTURES)]
    pub model: Option<PathBuf>,

    /// File to write, or a folder if there are several pictures. An input is never overwritten
    #[arg(long, short, value_name = "OUT", requires = "model", help_heading = PICTURES)]
    pub output: Option<PathBuf>,

    /// Picture of the same size that is white where to restore: the hole to fill, or the text to remove
    #[arg(long, value_name = "FILE", requires = "model", conflicts_with = "rect", help_heading = PICTURES)]
    pub mask: Option<PathBuf>,

    /// Rectangle to restore, in pixels of the upright picture
    #[arg(
        long,
        value_name = "X,Y,WIDTH,HEIGHT",
        value_delimiter = ',',
        num_args = 1,
        requires = "model"
    )]
    #[arg(help_heading = PICTURES)]
    pub rect: Option<Vec<u32>>,

    /// How strongly to restore, in percent. Of a noisy picture: of the noise that it seems to have
    #[arg(long, value_name = "PERCENT", default_value_t = 100, requires = "model", value_parser = clap::value_parser!(u32).range(1..=300))]
    #[arg(help_heading = PICTURES)]
    pub strength: u32,

    /// Deviation of the noise, with pixels from 0 to 255 [default: estimated]
    #[arg(long, value_name = "LEVEL", value_parser = above_zero, requires = "model", help_heading = PICTURES)]
    pub noise: Option<f64>,

    /// Also write a picture with before and after side by side; with one picture
    #[arg(long, value_name = "FILE", requires = "model", help_heading = PICTURES)]
    pub compare: Option<PathBuf>,

    /// Replace files in the output folder
    #[arg(long, requires = "model", help_heading = PICTURES)]
    pub force: bool,

    #[command(flatten)]
    pub limits: LimitArgs,
}
