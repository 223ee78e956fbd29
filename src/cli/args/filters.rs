//! Options that say which images count.

use std::path::PathBuf;

use clap::Args;

use crate::typed::filter::Typed;

const FILTERS: &str = "Filters";

/// Images that count, by everything but their size.
#[derive(Debug, Args)]
pub struct ChosenArgs {
    /// Only images at or below this path. Can be repeated
    #[arg(long, value_name = "PATH", help_heading = FILTERS)]
    pub under: Vec<PathBuf>,

    /// Only images whose whole path matches, such as '*/2024/*.png'. Can be repeated
    #[arg(long, value_name = "GLOB", help_heading = FILTERS)]
    pub glob: Vec<String>,

    /// Only images taken at this time or later: 2024, 2024-05, 2024-05-17 or 2024-05-17T18:30, in the
    /// time of the camera's clock. If an image does not say when it was taken, the date of its file
    /// counts, in local time (variable TZ). With an offset, as in 2024-05-17T18:30Z or …+02:00, it is
    /// that exact moment
    #[arg(long, value_name = "DATE", help_heading = FILTERS)]
    pub after: Option<String>,

    /// Only images taken before this time
    #[arg(long, value_name = "DATE", help_heading = FILTERS)]
    pub before: Option<String>,

    /// Only images that most likely show this, such as dog, bird or vehicle: one of ImageNet's 1,000 classes,
    /// or a word above some of them in WordNet. Can be repeated; all must hold
    #[arg(long = "label", value_name = "LABEL", help_heading = FILTERS)]
    pub labels: Vec<String>,

    /// Only images of this format, such as jpeg or png. Can be repeated
    #[arg(long = "type", value_name = "FORMAT", help_heading = FILTERS)]
    pub formats: Vec<String>,
}

impl ChosenArgs {
    /// Returns what was typed.
    pub fn typed(&self) -> Typed {
        Typed {
            under: self.under.clone(),
            globs: self.glob.clone(),
            after: self.after.clone(),
            before: self.before.clone(),
            labels: self.labels.clone(),
            formats: self.formats.clone(),
            ..Typed::default()
        }
    }
}

/// Images that may be found.
#[derive(Debug, Args)]
pub struct FilterArgs {
    #[command(flatten)]
    pub chosen: ChosenArgs,

    /// Only files of at least this size: 300, 200k, 1.5M
    #[arg(long, value_name = "SIZE", help_heading = FILTERS)]
    pub min_size: Option<String>,

    /// Only files of at most this size
    #[arg(long, value_name = "SIZE", help_heading = FILTERS)]
    pub max_size: Option<String>,
}

impl FilterArgs {
    /// Returns what was typed.
    pub fn typed(&self) -> Typed {
        Typed {
            min_size: self.min_size.clone(),
            max_size: self.max_size.clone(),
            ..self.chosen.typed()
        }
    }
}
