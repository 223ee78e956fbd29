//! Arguments of `config` and `collections`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

const OUTPUT: &str = "Output";

#[derive(Debug, Args)]
#[command(after_help = "\
The file is TOML: options of every command first, then a table for each command.

  threads = 2
  index = \"holiday\"

  [query]
  k = 20

  [index]
  ignore = [\"*.tmp\", \"drafts/\"]

A variable of the environment counts more than the file: IMGSEARCH_THREADS=2, IMGSEARCH_QUERY_K=20. What is typed counts
most.")]
pub struct ConfigArgs {
    #[command(subcommand)]
    pub command: Option<ConfigCommand>,

    /// Also show the settings that have no value, with their defaults
    #[arg(long)]
    pub all: bool,

    /// Print JSON
    #[arg(long, help_heading = OUTPUT)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print where the configuration file is
    Path,
    /// Write a configuration file with every setting of the common commands, commented out
    Init,
    /// Open the configuration file in the editor that VISUAL or EDITOR names, then check it
    Edit,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  imgsearch index --index holiday ~/Pictures/holiday    make a collection
  imgsearch query --index holiday cat.jpg               search in it
  imgsearch collections add work /mnt/disk/index        name an index that lies elsewhere")]
pub struct CollectionsArgs {
    #[command(subcommand)]
    pub command: Option<CollectionsCommand>,

    /// Print JSON, one object per collection
    #[arg(long, help_heading = OUTPUT)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum CollectionsCommand {
    /// Name an index that lies elsewhere
    Add {
        /// The name: letters, digits, spaces and - _ + .
        name: String,
        /// The folder of the index
        dir: PathBuf,
    },
    /// Forget the name of an index that lies elsewhere, or delete an index
    Remove {
        /// The name
        name: String,
        /// Delete the index as well. The images themselves are never touched
        #[arg(long)]
        delete: bool,
    },
}
