//! Texts about forgetting: what is about to be forgotten, the question about it, and why images are kept.

use std::ffi::OsStr;
use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::Path;

use imgsearch::{Forgetting, Kept, WhyKept};

use super::output::{command, count, counted, shown};
use super::streams;

/// Number of folders that are named, of those that lose images.
pub const MAX_NAMED_FOLDERS: usize = 5;

/// Returns why images are kept although the walk did not find their files. `index` is the index that an option
/// names.
pub fn why_kept(index: Option<&Path>, kept: &Kept) -> String {
    let folder = shown(&kept.folder);
    let remove = command(index, &[OsStr::new("remove"), kept.folder.as_os_str()]);
    let images = counted(kept.images, "indexed image", "indexed images");
    match kept.why {
        WhyKept::Unreadable => {
            format!("{folder} cannot be read: {images} under it are kept as they are")
        }
        WhyKept::Empty => format!(
            "{folder} is empty, but {images} are stored under it: they are kept, in case a disk is not mounted. If they \
             are gone for good: {remove}"
        ),
        WhyKept::Unseen => format!(
            "{folder} was missing, or was another folder, when {images} stored under it were first missing, and they have \
             not been seen since: they are kept. If they are gone for good: {remove}"
        ),
        WhyKept::NotWalked => format!(
            "{folder} was not indexed in this run and is missing or empty, and {images} stored under it have the same \
             content as new ones: they are kept. If they were moved: {remove}"
        ),
        _ => format!(
            "{folder} is missing, or is not the same folder as before: {images} stored under it are kept, in case a disk is \
             not mounted. If they are gone for good: {remove}"
        ),
    }
}

/// Returns a description of what is about to be forgotten.
pub fn announced(what: &Forgetting) -> String {
    let mut text = format!(
        "{} of {} are about to be forgotten, because their files are gone or left out now:",
        counted(what.images, "image", "images"),
        count(what.of as u64)
    );
    for folder in what.folders.iter().take(MAX_NAMED_FOLDERS) {
        text += &format!(
            "\n  {} in {}",
            count(folder.images as u64),
            shown(&folder.folder)
        );
    }
    let rest: usize = what
        .folders
        .iter()
        .skip(MAX_NAMED_FOLDERS)
        .map(|folder| folder.images)
        .sum();
    if rest > 0 {
        let more = what.folders.len() - MAX_NAMED_FOLDERS;
        text += &format!(
            "\n  {} in {}",
            count(rest as u64),
            counted(more, "other folder", "other folders")
        );
    }
    text
}

/// Asks a person at the terminal, and returns whether the images may be forgotten.
pub fn asked(what: &Forgetting) -> bool {
    if !io::stdin().is_terminal() || !streams::is_watched() {
        return false;
    }
    streams::question(format_args!(
        "Forget {}? They can be restored for {} days. [y/N] ",
        counted(what.images, "image", "images"),
        imgsearch::index::TRASH_DAYS
    ));
    let mut answer = String::new();
    let answered = io::stdin().lock().read_line(&mut answer);
    answered.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}
