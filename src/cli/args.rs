//! What can be typed. Every command turns its arguments into the library's plain options, and
//! nothing below knows clap.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use imgsearch::onnx::Resize;

/// Find images by what they show: index folders of photographs, then ask with a picture.
#[derive(Debug, Parser)]
#[command(name = "imgsearch", version, max_term_width = 100)]
#[command(after_help = "\
Examples:
  imgsearch index ~/Pictures             index a folder, or bring its index up to date
  imgsearch query cat.jpg -k 5           the five images most like cat.jpg
  imgsearch train ~/Pictures -o my.onnx  an encoder made for these photographs

JSON holds text: a path that is not UTF-8 has its bytes beside it in Base64, as path_bytes.

Exit status: 0 found, 1 nothing found or some files failed, 2 error, 130 interrupted.")]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,

    #[command(flatten)]
    pub global: Global,
}

/// Options of every command.
#[derive(Debug, Args)]
pub struct Global {
    /// Folder that holds the index [env: IMGSEARCH_INDEX] [default: the user's data folder]
    #[arg(long, global = true, value_name = "DIR")]
    #[arg(help_heading = "Global options")]
    pub index: Option<PathBuf>,

    /// Where the encoder runs
    #[arg(long, global = true, value_enum, default_value_t = ProviderArg::Cpu, value_name = "PROVIDER")]
    #[arg(help_heading = "Global options")]
    pub provider: ProviderArg,

    /// ONNX Runtime library to load [env: ORT_DYLIB_PATH, an absolute path] [default: it is looked for, and
    /// fetched once where missing]
    // The variable is read by the library, which takes no relative path from there.
    #[arg(long, global = true, value_name = "FILE")]
    #[arg(help_heading = "Global options")]
    pub ort_library: Option<PathBuf>,

    /// Never fetch anything
    #[arg(long, global = true, help_heading = "Global options")]
    pub offline: bool,

    /// Worker threads [default: one for each core]
    #[arg(
        long,
        short = 'j',
        global = true,
        value_name = "N",
        default_value_t = 0
    )]
    #[arg(hide_default_value = true, help_heading = "Global options")]
    pub threads: usize,

    /// Say nothing but results and errors
    #[arg(long, short, global = true, help_heading = "Global options")]
    pub quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProviderArg {
    /// The processor
    Cpu,
    /// An NVIDIA graphics card, or an error
    Cuda,
    /// The graphics card where there is one, and it says which it took
    Auto,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Index folders of images, or bring what is indexed up to date
    Index(IndexArgs),
    /// Find the images most like one or several others
    #[command(visible_alias = "search")]
    Query(QueryArgs),
    /// Say where the index is, what it holds and how the last run went
    Status(StatusArgs),
    /// Forget images; the files themselves are not touched
    Remove(RemoveArgs),
    /// Bring images back that were removed from the index
    #[command(alias = "restore-removed")]
    Restore(RestoreArgs),
    /// Print the code and the hash of images
    Encode(EncodeArgs),
    /// Train an encoder on your own photographs
    Train(Box<TrainArgs>),
    /// Show what the codes of images keep: the pictures that a decoder makes of them
    Reconstruct(ReconstructArgs),
    /// Train an encoder on an index's own photographs, and move the index to it if it is better
    Adapt(AdaptArgs),
    /// Measure an encoder on a labelled folder: one folder a class
    Eval(EvalArgs),
    /// Make searching fast: fold new and removed images into the segments
    Optimize(OptimizeArgs),
    /// Verify the segments, and that every image is found
    Check(CheckArgs),
    /// Show which ONNX Runtime is in use, or install one
    Runtime(RuntimeArgs),
}

/// What an image may cost before it is refused.
#[derive(Debug, Args)]
pub struct LimitArgs {
    /// Refuse images of more megapixels than this
    #[arg(
        long,
        value_name = "MP",
        default_value_t = 256,
        help_heading = "Limits"
    )]
    pub max_megapixels: u64,

    /// Refuse files larger than this many MiB
    #[arg(
        long,
        value_name = "MIB",
        default_value_t = 1024,
        help_heading = "Limits"
    )]
    pub max_file_size: u64,

    /// Memory in MiB that all decoders together may take, beside 16 MiB for each worker; an image that needs
    /// more by itself is refused
    #[arg(
        long,
        value_name = "MIB",
        default_value_t = 1024,
        help_heading = "Limits"
    )]
    pub max_memory: u64,

    /// Seconds that decoding one image may take
    #[arg(
        long,
        value_name = "S",
        default_value = "60",
        value_parser = seconds,
        help_heading = "Limits"
    )]
    pub max_seconds: Duration,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "that is no number".to_owned())?;
    let time = Duration::try_from_secs_f64(number).map_err(|error| error.to_string())?;
    if time.is_zero() {
        return Err(
            "nothing is decoded in no time; a large number is as good as no limit".to_owned(),
        );
    }
    Ok(time)
}

/// Which files are walked.
#[derive(Debug, Args)]
pub struct WalkArgs {
    /// Look into hidden files and folders too
    #[arg(long)]
    pub hidden: bool,

    /// Do not follow symbolic links
    #[arg(long)]
    pub no_follow: bool,

    /// Leave out what matches, as in .gitignore; may be given several times, and '!GLOB' takes back
    /// the patterns before it. A file .imgsearchignore in a folder lists such patterns for what is
    /// below it
    #[arg(long, value_name = "GLOB")]
    pub ignore: Vec<String>,
}

#[derive(Debug, Args)]
pub struct IndexArgs {
    /// Folders and files to index [default: the folders of the last run]
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,

    #[command(flatten)]
    pub walk: WalkArgs,

    /// Keep images in the index whose files are gone
    #[arg(long)]
    pub keep_missing: bool,

    /// Forget images whose files are gone even if they are many: more than 100, or at least 10 and more
    /// than a tenth, or all of a folder. Without it they are kept unless you say yes on the terminal
    #[arg(long, conflicts_with = "keep_missing")]
    pub prune: bool,

    /// Do not read files again of which only inode number or change time is another: for network
    /// disks that make them up
    #[arg(long)]
    pub ignore_inode: bool,

    /// Try the files again that could not be decoded before, changed or not
    #[arg(long)]
    pub retry: bool,

    /// Encoder to use [default: the index's own, and the built-in one for a new index]
    #[arg(long, value_name = "FILE")]
    pub encoder: Option<PathBuf>,

    /// Encode every stored image again, with --encoder or the built-in encoder. The old codes answer
    /// queries until the new ones are complete. After an interruption, run it again to resume
    #[arg(long)]
    pub reencode: bool,

    /// Print events as JSON, one object a line
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub limits: LimitArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ByArg {
    /// By the code: 30 numbers, Euclidean distance
    Code,
    /// By the semantic hash: differing bits
    Hash,
    /// By both together
    Both,
}

#[derive(Debug, Args)]
pub struct QueryArgs {
    /// Images to ask with; - reads one from standard input
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<PathBuf>,

    /// How many images to find
    #[arg(short, value_name = "K", default_value_t = 10)]
    pub k: usize,

    /// What the images are ranked by
    #[arg(long, value_enum, default_value_t = ByArg::Both, value_name = "WHAT")]
    pub by: ByArg,

    /// Encoder to use; it must be the one that made the index [default: the index's own]
    #[arg(long, value_name = "FILE")]
    pub encoder: Option<PathBuf>,

    #[command(flatten)]
    pub filter: FilterArgs,

    /// Look at every image: nothing is missed
    #[arg(long, group = "way", help_heading = "Search")]
    pub exact: bool,

    /// Keep so many images in view along the graph: more take longer and miss fewer. By default as
    /// many as the index was measured to need, so that 99 of 100 results are those of --exact
    #[arg(long, value_name = "N", value_parser = from_one, help_heading = "Search")]
    pub ef: Option<usize>,

    /// Find nothing at a larger distance
    #[arg(long, value_name = "DISTANCE", value_parser = from_zero, help_heading = "Search")]
    pub radius: Option<f32>,

    /// Say which way the search took, what it cost, and where the time went
    #[arg(long, help_heading = "Search")]
    pub explain: bool,

    /// Print one JSON object a query
    #[arg(long, group = "format")]
    pub json: bool,

    /// Print paths only, one a line
    #[arg(long, group = "format")]
    pub paths: bool,

    /// Print paths only, each ended by a zero byte, for `xargs -0`
    #[arg(long, short = '0', group = "format")]
    pub print0: bool,

    #[command(flatten)]
    pub limits: LimitArgs,
}

/// Which images may be found.
#[derive(Debug, Args)]
#[command(next_help_heading = "Filters")]
pub struct FilterArgs {
    /// Only images at or below this path; may be given several times
    #[arg(long, value_name = "PATH")]
    pub under: Vec<PathBuf>,

    /// Only images whose whole path matches, such as '*/2024/*.png'; may be given several times
    #[arg(long, value_name = "GLOB")]
    pub glob: Vec<String>,

    /// Only images taken then or later: 2024, 2024-05, 2024-05-17 or 2024-05-17T18:30, as the camera's
    /// clock showed it. Where an image does not say when it was taken, its file's date counts, as
    /// clocks here show it (variable TZ). With an offset, as 2024-05-17T18:30Z or …+02:00, it is
    /// that moment
    #[arg(long, value_name = "DATE")]
    pub after: Option<String>,

    /// Only images taken before
    #[arg(long, value_name = "DATE")]
    pub before: Option<String>,

    /// Only files of this size or larger: 300, 200k, 1.5M
    #[arg(long, value_name = "SIZE")]
    pub min_size: Option<String>,

    /// Only files of this size or smaller
    #[arg(long, value_name = "SIZE")]
    pub max_size: Option<String>,

    /// Only images of this format, such as jpeg or png; may be given several times
    #[arg(long = "type", value_name = "FORMAT")]
    pub formats: Vec<String>,
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
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Make anew what is wrong
    #[arg(long)]
    pub repair: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct StatusArgs {
    /// List the files that could not be read or decoded, and why
    #[arg(long)]
    pub damaged: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// Files and folders to forget, whether they still exist or not
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,

    /// Delete their codes at once, those of images that were removed before, too. Without it they are
    /// kept for 30 days: see imgsearch restore
    #[arg(long)]
    pub forever: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// Files and folders whose images to bring back [default: all that were removed]
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,

    /// List what can be brought back, and change nothing
    #[arg(long)]
    pub list: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct EncodeArgs {
    /// Images to encode; - reads one from standard input
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<PathBuf>,

    /// Encoder to use [default: the built-in one]
    #[arg(long, value_name = "FILE")]
    pub encoder: Option<PathBuf>,

    /// Print one JSON object an image
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub limits: LimitArgs,
}

#[derive(Debug, Args)]
pub struct TrainArgs {
    /// Photographs, or folders of them, to train on
    #[arg(value_name = "PHOTOS", required = true)]
    pub paths: Vec<PathBuf>,

    /// The encoder file to write
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,

    /// Encoder or trunk whose features are trained on [default: the built-in one]
    #[arg(long, value_name = "FILE")]
    pub trunk: Option<PathBuf>,

    /// Numbers in the code
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = from_one)]
    pub code: usize,

    /// Bits in the semantic hash
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = from_one)]
    pub bits: usize,

    /// Passes over the photographs [default: as many as the recipe has]
    #[arg(long, value_name = "N", value_parser = from_one)]
    pub epochs: Option<usize>,

    /// What the encoder is to find
    #[arg(
        long = "for",
        value_name = "WHAT",
        default_value = "similar",
        conflicts_with = "kind"
    )]
    pub purpose: PurposeArg,

    /// Altered copies of each photograph that teach the code what does not matter; 0 for none
    /// [default: 2, and 5 for copies]
    #[arg(long, value_name = "N")]
    pub views: Option<usize>,

    /// Keep the photographs' features in this file, and take them from it where it was made of the same
    /// photographs: training once more with other settings then takes seconds. Altered copies are
    /// the same for every --seed then
    #[arg(long, value_name = "FILE", conflicts_with = "kind")]
    pub features: Option<PathBuf>,

    /// At most so many photographs, spread evenly over those found
    #[arg(long, value_name = "N", value_parser = from_one)]
    pub limit: Option<usize>,

    /// Train only on a part of the first folder, as `imgsearch eval --part` has it
    #[arg(long, value_name = "PART", default_value = "all")]
    pub part: String,

    /// The largest learning rate [default: the recipe's]
    #[arg(long, value_name = "RATE", value_parser = above_zero)]
    pub learning_rate: Option<f64>,

    /// Units of a hidden layer before code and hash, which then learn from each photograph's nearest
    /// neighbours, too: better for a collection of ten thousand and more, 512 say; 0 for none
    #[arg(
        long,
        value_name = "UNITS",
        default_value_t = 0,
        conflicts_with = "kind"
    )]
    pub hidden_units: usize,

    /// Neighbours that each photograph is drawn to where there are --hidden-units
    #[arg(
        long,
        value_name = "N",
        default_value_t = 20,
        requires = "hidden_units",
        value_parser = from_one
    )]
    pub neighbours: usize,

    /// How often training with --hidden-units begins anew, with neighbours by what was learned before;
    /// each time has all the --epochs
    #[arg(long, value_name = "N", default_value_t = 2, requires = "hidden_units",
        value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: u32,

    /// Pixels of the side of the pictures that the encoder sees [default: the trunk's own, and 32 for
    /// a --kind on pixels; images of an IDX file stay as they are]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(4..=1024))]
    pub side: Option<u32>,

    /// How photographs are brought to that size: squash, or short-side-crop:PIXELS, which scales
    /// the short side and cuts out the centre [default: the trunk's own way]
    #[arg(long, value_name = "HOW", conflicts_with = "kind")]
    pub resize: Option<Resize>,

    /// Add so many rows of features as photographs of other things might have them, made from
    /// the trunk's classes: for an encoder that is to serve photographs unlike these
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "kind")]
    pub imagined: usize,

    /// How much the hash counts beside the code where both rank [default: the recipe's]
    #[arg(long, value_name = "WEIGHT", conflicts_with = "kind", value_parser = from_zero)]
    pub hash_weight: Option<f32>,

    /// What was trained on, in words, kept in the file
    #[arg(long, value_name = "TEXT")]
    pub data: Option<String>,

    /// The same seed gives the same file on the same machine
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,

    /// Name of the encoder, kept in the file [default: the file's name]
    #[arg(long)]
    pub name: Option<String>,

    /// Train a decoder, too, which lies beside the output and makes small pictures of codes: see
    /// imgsearch reconstruct. Encoders of a --kind on pixels have one anyway
    #[arg(long, conflicts_with = "kind")]
    pub decoder: bool,

    /// Write no charts beside the output (losses, codes in two dimensions, reconstructions)
    #[arg(long)]
    pub no_charts: bool,

    #[command(flatten)]
    pub on_pixels: PixelArgs,

    #[command(flatten)]
    pub walk: WalkArgs,

    /// Print events as JSON, one object a line
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub limits: LimitArgs,
}

/// A whole number from 1 up.
fn from_one(text: &str) -> Result<usize, String> {
    from(1, text)
}

/// A whole number from 2 up.
fn from_two(text: &str) -> Result<usize, String> {
    from(2, text)
}

fn from(least: usize, text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|&number| number >= least);
    number.ok_or_else(|| format!("a whole number from {least} up is wanted"))
}

/// A finite number above 0.
fn above_zero(text: &str) -> Result<f64, String> {
    let number = text.parse().ok();
    number
        .filter(|number: &f64| number.is_finite() && *number > 0.0)
        .ok_or_else(|| "a number above 0 is wanted".to_owned())
}

/// A finite number from 0 up.
fn from_zero(text: &str) -> Result<f32, String> {
    let number = text.parse().ok();
    number
        .filter(|number: &f32| number.is_finite() && *number >= 0.0)
        .ok_or_else(|| "a number from 0 up is wanted".to_owned())
}

/// What an encoder is to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum PurposeArg {
    /// Photographs that show similar things
    Similar,
    /// Edited copies of the same photograph: smaller, cut, turned, mirrored, blurred, brighter
    Copies,
}

/// What an autoencoder on pixels is made of.
#[derive(Debug, Args)]
#[command(next_help_heading = "Autoencoders of other kinds")]
pub struct PixelArgs {
    /// Train an autoencoder of this kind, not the head that is trained otherwise. PHOTOS may then
    /// be an IDX file such as MNIST's
    #[arg(long, value_name = "KIND")]
    pub kind: Option<KindArg>,

    /// What it sees: the pixels of small pictures, or the features of a trunk
    #[arg(long, value_name = "WHAT", default_value = "pixels", requires = "kind")]
    pub on: OnArg,

    /// See no colours
    #[arg(long, requires = "kind")]
    pub grey: bool,

    /// Units of each layer, or channels of each convolution [default: 1000,500,250; of a simple
    /// one none, of a convolutional one 16,32,64]
    #[arg(long, value_name = "N,N,...", value_delimiter = ',', requires = "kind")]
    pub layers: Option<Vec<usize>>,

    /// What reconstructing badly costs
    #[arg(long, value_name = "LOSS", default_value = "mse", requires = "kind")]
    pub loss: LossArg,

    /// Spoil what goes in: gaussian:DEVIATION or masking:SHARE [default of the kind denoising:
    /// masking:0.25]
    #[arg(long, value_name = "NOISE", requires = "kind")]
    pub noise: Option<String>,

    /// Keep most of the code near nothing: l1:WEIGHT or kl:TARGET:WEIGHT [default of the kind
    /// sparse: l1:0.05]
    #[arg(long, value_name = "SPARSITY", requires = "kind")]
    pub sparsity: Option<String>,

    /// Weight of the squared norm of the encoder's Jacobian [default of the kind contractive:
    /// 0.001]
    #[arg(long, value_name = "WEIGHT", requires = "kind")]
    pub contraction: Option<f64>,

    /// Weight of the divergence from the normal distribution [default of the kind variational: 1]
    #[arg(long, value_name = "WEIGHT", requires = "kind")]
    pub beta: Option<f64>,

    /// Bits learned beside the code, which are then the hash [default of the kind twin: 64]
    #[arg(long, value_name = "BITS", requires = "kind")]
    pub twin_bits: Option<usize>,

    /// Weight of keeping the neighbourhoods of the pixels
    #[arg(long, value_name = "WEIGHT", default_value_t = 0.0, requires = "kind")]
    pub neighbourhood: f64,

    /// Weight of telling a moved copy of a picture from other pictures
    #[arg(long, value_name = "WEIGHT", default_value_t = 0.0, requires = "kind")]
    pub two_view: f64,

    /// Weight of keeping codes apart
    #[arg(long, value_name = "WEIGHT", default_value_t = 0.0, requires = "kind")]
    pub coding_rate: f64,

    /// Pictures in a batch
    #[arg(long, value_name = "N", default_value_t = 128, requires = "kind", value_parser = from_two)]
    pub batch: usize,

    /// Stop when so many passes in a row brought nothing on held-out pictures
    #[arg(long, value_name = "N", default_value_t = 8, requires = "kind", value_parser = from_one)]
    pub patience: usize,

    /// Go on with a run that was interrupted: its state lies beside the output after every pass
    #[arg(long, requires = "kind")]
    pub resume: bool,

    /// Begin anew although an interrupted run left its state there, which is then deleted
    #[arg(long, requires = "kind", conflicts_with = "resume")]
    pub restart: bool,
}

/// What an autoencoder sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum OnArg {
    /// Small pictures
    Pixels,
    /// What a trunk makes of photographs
    Features,
}

/// Kinds of autoencoders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum KindArg {
    /// One hidden layer, which is the code
    Simple,
    /// Several layers
    Deep,
    /// Convolutions
    Convolutional,
    /// Most of the code near nothing
    Sparse,
    /// Clean pictures from spoiled ones
    Denoising,
    /// A code that small changes do not move
    Contractive,
    /// A code spread like a normal distribution
    Variational,
    /// Bits beside the code, learned with it
    Twin,
}

/// What reconstructing badly costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LossArg {
    /// The squared error
    Mse,
    /// The binary cross-entropy
    Bce,
    /// One minus the cosine
    Cosine,
}

#[derive(Debug, Args)]
pub struct ReconstructArgs {
    /// Images to take through the code and back
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<PathBuf>,

    /// The picture to write: images above, what their codes say below
    #[arg(long, short, value_name = "FILE", default_value = "reconstructed.png")]
    pub output: PathBuf,

    /// An encoder that imgsearch train --kind or --decoder made; its decoder lies beside it
    /// [default: the built-in one]
    #[arg(long, value_name = "FILE")]
    pub encoder: Option<PathBuf>,

    /// The decoder [default: beside the encoder, my.decoder.onnx for my.onnx]
    #[arg(long, value_name = "FILE")]
    pub decoder: Option<PathBuf>,

    /// Between two images, show so many steps from the one's code to the other's
    #[arg(long, value_name = "STEPS", value_parser = from_two)]
    pub interpolate: Option<usize>,

    /// Print one JSON object an image
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub limits: LimitArgs,
}

#[derive(Debug, Args)]
pub struct AdaptArgs {
    /// Numbers in the code
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = from_one)]
    pub code: usize,

    /// Bits in the hash
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = from_one)]
    pub bits: usize,

    /// Train on so many of the photographs at most, evenly spread; all are re-coded
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = from_one)]
    pub limit: usize,

    /// Altered copies of each photograph to train on
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub views: usize,

    /// Passes over the photographs [default: as many as the recipe has]
    #[arg(long, value_name = "N", value_parser = from_one)]
    pub epochs: Option<usize>,

    /// What everything random is drawn with
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,

    /// Say whether it is better and leave the index as it is
    #[arg(long, conflicts_with = "force")]
    pub dry_run: bool,

    /// Move the index to the new encoder even if it is not better
    #[arg(long)]
    pub force: bool,

    /// Print events as JSON, one a line
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub limits: LimitArgs,
}

#[derive(Debug, Args)]
pub struct EvalArgs {
    /// A folder with one folder for each class; or, with --protocol, with such folders `train` and
    /// `test`
    #[arg(value_name = "FOLDER", required_unless_present = "copies")]
    pub folder: Option<PathBuf>,

    /// Encoder to measure; give it again to compare several [default: the built-in one]
    #[arg(long, value_name = "FILE")]
    pub encoder: Vec<PathBuf>,

    /// Judge only a part: first-half or second-half of each class, classes:I/N for every N-th
    /// class from number I, other-classes:I/N for the others
    #[arg(long, value_name = "PART", default_value = "all")]
    pub part: String,

    /// Who asks and who is ranked, as in queries=1000,database=50000,cutoff=1000; drawn at random,
    /// queries from the folder `test` and database from `train` where there are such. Without it
    /// every image asks once
    #[arg(long, value_name = "PROTOCOL")]
    pub protocol: Option<String>,

    /// What images are drawn with
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,

    /// Leave out the baselines, which take most of the time
    #[arg(long)]
    pub no_baselines: bool,

    /// Edit the photographs of this folder in ten ways and say how many copies are recognised, at a
    /// precision of 99.9 %
    #[arg(long, value_name = "FOLDER")]
    pub copies: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,

    /// Write a page with tables and charts, too
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,

    #[command(flatten)]
    pub limits: LimitArgs,
}

#[derive(Debug, Args)]
pub struct RuntimeArgs {
    #[command(subcommand)]
    pub command: Option<RuntimeCommand>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum RuntimeCommand {
    /// Fetch ONNX Runtime into the user's cache folder
    Install {
        /// The one for NVIDIA graphics cards
        #[arg(long)]
        cuda: bool,
    },
}
