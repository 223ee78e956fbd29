//! Arguments of actions on duplicates.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser as _};
use imgsearch::duplicates::action::Action;

const ACTIONS: &str = "Actions";

/// What is done with duplicates.
#[derive(Debug, Args)]
pub struct ActionArgs {
    /// Do this with the files of each group that are not its best: trash, hardlink (only identical bytes, on one
    /// file system) or move:DIR (they keep their place below the indexed folders). The plan is printed first, and
    /// nothing is done without a yes
    #[arg(long, value_name = "ACTION", value_parser = OsStringValueParser::new().try_map(action))]
    #[arg(help_heading = ACTIONS)]
    pub apply: Option<Action>,

    /// Never touch files in this folder. If a group has one of them, it is the best. Can be repeated
    #[arg(long, value_name = "DIR", help_heading = ACTIONS)]
    pub reference: Vec<PathBuf>,

    /// Only touch the files that this list names, one a line or each up to a zero byte, as the page of serve writes it;
    /// - reads standard input. The best file of a group that is not named stays; if all are named, all stay
    #[arg(
        long,
        value_name = "FILE",
        requires = "apply",
        conflicts_with = "reference"
    )]
    #[arg(help_heading = ACTIONS)]
    pub files_from: Option<PathBuf>,

    /// Apply the plan without asking
    #[arg(long, requires = "apply", help_heading = ACTIONS)]
    pub yes: bool,

    /// Undo the last action that was not undone yet
    #[arg(long, conflicts_with_all = ["apply", "reference", "files_from"], help_heading = ACTIONS)]
    pub undo: bool,
}

/// Reads an action.
fn action(text: OsString) -> Result<Action, String> {
    let bytes = text.as_encoded_bytes();
    if bytes == b"trash" {
        return Ok(Action::Trash);
    }
    if bytes == b"hardlink" {
        return Ok(Action::Hardlink);
    }
    match folder_of(&text) {
        Some(folder) if folder.is_empty() => {
            Err("move: needs a folder, as in move:duplicates".to_owned())
        }
        Some(folder) => Ok(Action::Move { to: folder.into() }),
        None => Err("choose trash, hardlink or move:DIR".to_owned()),
    }
}

#[cfg(unix)]
fn folder_of(text: &OsStr) -> Option<OsString> {
    use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
    let folder = text.as_bytes().strip_prefix(b"move:")?;
    Some(OsString::from_vec(folder.to_vec()))
}

#[cfg(not(unix))]
fn folder_of(text: &OsStr) -> Option<OsString> {
    Some(text.to_str()?.strip_prefix("move:")?.into())
}
