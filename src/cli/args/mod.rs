//! The command line as clap reads it. Each command turns its arguments into the plain options of the
//! library, and nothing below knows clap.
//!
//! Each option names its own heading, because a heading of a group would apply to all options after
//! it as well.

mod autoencoder;
mod common;
mod compare;
mod config;
mod duplicates;
mod duplicates_action;
mod filters;
mod groups;
mod import;
mod index;
mod measure;
mod numbers;
pub mod old_train;
mod restorer;
mod runtime;
mod search;
mod serve;
mod shared;
mod topics;
mod train;
mod watch;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use autoencoder::{AutoencoderArgs, DesignArgs, KindArg, LossArg, OnArg};
pub use common::CommonArgs;
pub use compare::CompareArgs;
pub use config::{CollectionsArgs, CollectionsCommand, ConfigArgs, ConfigCommand};
pub use duplicates::{DuplicatesArgs, FilesArg};
pub use duplicates_action::ActionArgs;
pub use groups::{GroupsArgs, MapArgs, OutliersArgs};
pub use import::{ImportArgs, PoolingArg};
pub use index::{
    AdaptWhen, BuilderArg, CheckArgs, IndexArgs, OptimizeArgs, RemoveArgs, RestoreArgs, StatusArgs,
};
pub use measure::{AdaptArgs, EvalArgs, ReconstructArgs};
pub use restorer::{RestorerArgs, RestoringArgs};
pub use runtime::{RuntimeArgs, RuntimeCommand};
pub use search::{ByArg, EncodeArgs, QueryArgs, WayArg};
pub use serve::ServeArgs;
pub use shared::{LimitArgs, WalkArgs, fills_output};
pub use topics::TopicsArgs;
pub use train::{CopiesArgs, HeadArgs, TrainArgs, TrainCommand, TrunkArgs};
pub use watch::WatchArgs;

/// Search images by what they show. Index folders of images, then query them with an image.
#[derive(Debug, Parser)]
#[command(name = "imgsearch", version, max_term_width = 100)]
#[command(after_help = "\
Examples:
  imgsearch index ~/Pictures                  index a folder, or update its index
  imgsearch query cat.jpg -k 5                find the five images most similar to cat.jpg
  imgsearch train head ~/Pictures -o my.onnx  train an encoder on these images

JSON holds text. A path that is not UTF-8 also has its bytes in Base64, as path_bytes.

Options can also be set in a file and in the environment (imgsearch config --help). A flag that is set there is turned
off with --FLAG=false.

Exit status: 0 found, 1 nothing found or some files failed, 2 error, 130 interrupted.")]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,

    #[command(flatten)]
    pub global: Global,
}

const GLOBAL: &str = "Global options";

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Folder of the index, the name of a collection, or postgres://USER@HOST/DATABASE?collection=NAME [env:
    /// IMGSEARCH_INDEX] [default: the user's data folder]
    #[arg(long, global = true, value_name = "DIR", help_heading = GLOBAL)]
    pub index: Option<PathBuf>,

    /// Whether the index was named on the line, and not by a setting.
    #[arg(skip)]
    pub index_is_typed: bool,

    /// Device that runs the encoder
    #[arg(long, global = true, value_enum, default_value_t = ProviderArg::Cpu, value_name = "PROVIDER")]
    #[arg(help_heading = GLOBAL)]
    pub provider: ProviderArg,

    /// ONNX Runtime library to load [env: ORT_DYLIB_PATH, an absolute path] [default: search for one,
    /// and download it once if there is none]
    // The library reads the variable. It accepts no relative path there.
    #[arg(long, global = true, value_name = "FILE", help_heading = GLOBAL)]
    pub ort_library: Option<PathBuf>,

    /// Never download anything
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub offline: bool,

    /// Number of worker threads [default: one for each core]
    #[arg(
        long,
        short = 'j',
        global = true,
        value_name = "N",
        default_value_t = 0
    )]
    #[arg(hide_default_value = true, help_heading = GLOBAL)]
    pub threads: usize,

    /// Print only results and errors
    #[arg(long, short, global = true, help_heading = GLOBAL)]
    pub quiet: bool,

    /// Say what is decided and why: which files are skipped, which encoder and index are used. Twice for more
    #[arg(long, short, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    #[arg(help_heading = GLOBAL)]
    pub verbose: u8,

    /// Append to this file what -vv would say, with times
    #[arg(long, global = true, value_name = "FILE", help_heading = GLOBAL)]
    pub log_file: Option<PathBuf>,

    /// Colours of results and errors. auto: on a terminal, unless NO_COLOR is set; CLICOLOR_FORCE colours in a
    /// pipe, too
    #[arg(long, global = true, value_enum, default_value_t = ColorArg::Auto, value_name = "WHEN")]
    #[arg(help_heading = GLOBAL)]
    pub color: ColorArg,

    /// Configuration file [env: IMGSEARCH_CONFIG] [default: imgsearch config says where]
    #[arg(long, global = true, value_name = "FILE", help_heading = GLOBAL)]
    pub config: Option<PathBuf>,

    /// Read no configuration file
    #[arg(long, global = true, conflicts_with = "config", help_heading = GLOBAL)]
    pub no_config: bool,
}

/// When output has colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorArg {
    /// On a terminal
    Auto,
    /// Everywhere
    Always,
    /// Nowhere
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProviderArg {
    /// The processor
    Cpu,
    /// An NVIDIA graphics card; an error if there is none
    Cuda,
    /// The graphics card if there is one, and a message that says which device was used
    Auto,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Index folders of images, or update their index
    Index(IndexArgs),
    /// Find the images most similar to one or more images
    #[command(visible_alias = "search")]
    Query(Box<QueryArgs>),
    /// Look at the images of the index in a web browser
    Serve(Box<ServeArgs>),
    /// Keep the index up to date: index files whenever they change
    Watch(Box<WatchArgs>),
    /// Show where the index is, what it holds and how the last run went
    Status(StatusArgs),
    /// Remove images from the index; the files themselves stay
    Remove(RemoveArgs),
    /// Restore pictures with --model: remove noise, fill holes, colour. Without it, bring back images that were
    /// removed from the index
    #[command(alias = "restore-removed")]
    Restore(RestoreArgs),
    /// Compare two pictures, or find what of a folder is not in another one or in the index
    Compare(Box<CompareArgs>),
    /// Find files that hold the same picture: identical files, and edited copies
    Duplicates(Box<DuplicatesArgs>),
    /// Find groups of images that resemble each other, and name them
    Groups(Box<GroupsArgs>),
    /// Find images that resemble nothing else, or that the encoder knows little of
    Outliers(Box<OutliersArgs>),
    /// Write a map of the collection: a page on which images that look alike lie together
    Map(Box<MapArgs>),
    /// Learn the topics of texts that belong to pictures or lie in files, and find texts
    Topics(Box<TopicsArgs>),
    /// Print the code and the hash of images
    Encode(EncodeArgs),
    /// Train an encoder on your own images
    Train(TrainArgs),
    /// Make an encoder of a published model, such as CLIP or DINOv2, from its folder of ONNX files
    Import(Box<ImportArgs>),
    /// Reconstruct images from their codes with a decoder
    Reconstruct(ReconstructArgs),
    /// Train an encoder on the images of the index, and move the index to it if it is better
    Adapt(AdaptArgs),
    /// Measure encoders on a labelled folder, with one folder for each class
    Eval(EvalArgs),
    /// Make searches fast: fold new and removed images into the segments
    Optimize(OptimizeArgs),
    /// Verify the segments, and that every image can be found
    Check(CheckArgs),
    /// Show which ONNX Runtime is used, or install one
    Runtime(RuntimeArgs),
    /// Show the settings: where their file is, which values hold and where each comes from
    Config(ConfigArgs),
    /// List the collections, which are indexes with names, or name, forget or delete one
    Collections(CollectionsArgs),
    /// Print what a shell needs to complete commands and options
    Completions(CompletionsArgs),
    /// Print the manual page, or write those of all commands
    Man(ManArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  imgsearch completions bash > ~/.local/share/bash-completion/completions/imgsearch
  imgsearch completions zsh > ~/.zfunc/_imgsearch      with ~/.zfunc in fpath
  imgsearch completions fish > ~/.config/fish/completions/imgsearch.fish")]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write a page for each command to this folder, as imgsearch.1, imgsearch-index.1 and so on
    #[arg(long, short, value_name = "DIR")]
    pub output: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Cli;

    #[test]
    fn clap_accepts_the_definition() {
        Cli::command().debug_assert();
    }
}
