//! Arguments of `runtime`.

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub struct RuntimeArgs {
    #[command(subcommand)]
    pub command: Option<RuntimeCommand>,

    /// Print JSON
    #[arg(long, help_heading = "Output")]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum RuntimeCommand {
    /// Download ONNX Runtime into the user's cache folder
    Install {
        /// Install the version for NVIDIA graphics cards
        #[arg(long)]
        cuda: bool,
    },
}
