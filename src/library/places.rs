//! The user's own folders: where an index lies if no other place is named, and where settings do.

use std::path::PathBuf;

use directories::ProjectDirs;

use crate::error::{Error, Result};

/// Returns the folder of the user's index if no other is named: `imgsearch` in the platform's data
/// folder.
///
/// # Errors
///
/// [`Error::NoDataFolder`] on a system without a home folder.
pub fn default_dir() -> Result<PathBuf> {
    folders()
        .map(|dirs| dirs.data_dir().to_owned())
        .ok_or(Error::NoDataFolder)
}

/// Returns the folder of the user's settings: `imgsearch` in the platform's folder for them, such as `~/.config` or
/// what `XDG_CONFIG_HOME` names. `None` on a system without a home folder.
pub fn config_dir() -> Option<PathBuf> {
    folders().map(|dirs| dirs.config_dir().to_owned())
}

fn folders() -> Option<ProjectDirs> {
    ProjectDirs::from("", "", "imgsearch")
}
