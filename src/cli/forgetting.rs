//! What a person is told and asked before much is forgotten, and why something is kept.

use std::ffi::OsStr;
use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::Path;

use imgsearch::{Forgetting, Kept, WhyKept};

use super::output::{command, count, counted, shown};
use super::streams;

/// So many folders are named of those that lose images.
pub const NAMED_FOLDERS: usize = 5;

/// Why images stay whose files were not met, in the index that is named if one is.
pub fn why_kept(index: Option<&Path>, kept: &Kept) -> String {
    let folder = shown(&kept.folder);
    let remove = command(index, &[OsStr::new("remove"), kept.folder.as_os_str()]);
    let images = counted(kept.images, "indexed image", "indexed images");
    match kept.why {
        WhyKept::Unreadable => {
            format!("{folder} cannot be read: {images} stored under it stay as they are")
        }
        WhyKept::Empty => format!(
            "{folder} is empty, but {images} are stored under it: they are kept, in case a disk is not mounted. If they \
             are gone for good: {remove}"
        ),
        WhyKept::Unseen => format!(
            "{folder} was not there, or another folder, when {images} stored under it were missed first, and they have not \
             been seen since: they are kept. If they are gone for good: {remove}"
        ),
        WhyKept::NotWalked => format!(
            "{folder} was not looked through and is missing or empty, and {images} stored under it have the same \
             content as new ones: they are kept. If they were moved: {remove}"
        ),
        _ => format!(
            "{folder} is not there, or not the folder that it was: {images} stored under it are kept, in case a disk is \
             not mounted. If they are gone for good: {remove}"
        ),
    }
}

/// What is about to be forgotten.
pub fn announced(what: &Forgetting) -> String {
    let mut text = format!(
        "{} of {} are to be forgotten, for their files are gone or left out by now:",
        counted(what.images, "image", "images"),
        count(what.of as u64)
    );
    for folder in what.folders.iter().take(NAMED_FOLDERS) {
        text += &format!(
            "\n  {} in {}",
            count(folder.images as u64),
            shown(&folder.folder)
        );
    }
    let rest: usize = what
        .folders
        .iter()
        .skip(NAMED_FOLDERS)
        .map(|folder| folder.images)
        .sum();
    if rest > 0 {
        let more = what.folders.len() - NAMED_FOLDERS;
        text += &format!(
            "\n  {} in {}",
            count(rest as u64),
            counted(more, "other folder", "other folders")
        );
    }
    text
}

/// Whether a person at a terminal says that they may be forgotten.
pub fn asked(what: &Forgetting) -> bool {
    if !io::stdin().is_terminal() || !streams::is_watched() {
        return false;
    }
    streams::question(format_args!(
        "Forget {}? They can be brought back for {} days. [y/N] ",
        counted(what.images, "image", "images"),
        imgsearch::index::TRASH_DAYS
    ));
    let mut answer = String::new();
    let answered = io::stdin().lock().read_line(&mut answer);
    answered.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}
