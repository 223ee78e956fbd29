//! Arguments of `duplicates`.

use std::path::PathBuf;

use clap::Args;

use super::duplicates_action::ActionArgs;

const OUTPUT: &str = "Output";
const FILTERS: &str = "Filters";

#[derive(Debug, Args)]
pub struct DuplicatesArgs {
    /// Only files at or below this path. Can be repeated
    #[arg(long, value_name = "PATH", help_heading = FILTERS)]
    pub under: Vec<PathBuf>,

    #[command(flatten)]
    pub actions: ActionArgs,

    /// Print one JSON object per line
    #[arg(long, help_heading = OUTPUT)]
    pub json: bool,
}
