//! Arguments of `topics`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use super::numbers::{from_one, from_two};
use super::search::ByArg;
use super::shared::WalkArgs;

const LEARNING: &str = "Learning";
const OUTPUT: &str = "Output";
const SEARCH: &str = "Search";

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  imgsearch topics ~/Pictures                     read captions, learn their topics and print these
  imgsearch topics --query \"steam train\" -k 5     find the five documents nearest to these words
  imgsearch topics                                read the same folders again and print their topics")]
pub struct TopicsArgs {
    /// Folders to read documents from, in place of those that are stored: captions beside pictures (a.txt, a.jpg.txt,
    /// a.json or a.xmp for a.jpg), keywords and descriptions inside pictures (XMP, IPTC), and text files by themselves
    /// [default: the folders of the last run]
    #[arg(value_name = "FOLDER")]
    pub folders: Vec<PathBuf>,

    /// Maximum number of words that count: those in the most documents, without stop words
    #[arg(long, value_name = "N", default_value_t = 2000, help_heading = LEARNING)]
    #[arg(value_parser = clap::value_parser!(u32).range(100..=20_000))]
    pub words: u32,

    /// Number of topics [default: a quarter of the root of the number of documents, from 2 to 30]
    #[arg(long, value_name = "N", value_parser = from_two, help_heading = LEARNING)]
    pub topics: Option<usize>,

    /// Train again even if less than a fifth of the documents changed
    #[arg(long, help_heading = LEARNING)]
    pub retrain: bool,

    /// Number of epochs [default: 40, and more for fewer than 5,000 documents]
    #[arg(long, value_name = "N", value_parser = from_one, help_heading = LEARNING)]
    pub epochs: Option<usize>,

    /// Seed of all random numbers
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = LEARNING)]
    pub seed: u64,

    /// Find the documents nearest to these words, or to the text of this file, and read no folder. Can be repeated
    #[arg(long, value_name = "WORDS", conflicts_with = "folders", help_heading = SEARCH)]
    pub query: Vec<OsString>,

    /// Number of documents to find
    #[arg(short, value_name = "K", default_value_t = 10, value_parser = from_one, help_heading = SEARCH)]
    pub k: usize,

    /// What to rank documents by
    #[arg(long, value_enum, default_value_t = ByArg::Code, value_name = "WHAT", help_heading = SEARCH)]
    pub by: ByArg,

    /// Also print what the strongest directions of the code stand for
    #[arg(long, help_heading = OUTPUT)]
    pub directions: bool,

    /// Print JSON: one object for the topics, or one for each --query
    #[arg(long, help_heading = OUTPUT)]
    pub json: bool,

    #[command(flatten)]
    pub walk: WalkArgs,
}
