//! A trash that programs can look into.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use imgsearch_index::Digest;

use super::super::checked::{holds, is_same_file};
use super::super::files::relocate;
use super::{Why, said};

/// What the trash holds, listed once.
#[derive(Debug)]
pub(in super::super) struct Rubbish {
    items: Vec<trash::TrashItem>,
}

/// A file in the trash.
#[derive(Debug)]
pub(in super::super) struct Discarded {
    /// The file itself, where the system shows it.
    file: Option<PathBuf>,
    item: trash::TrashItem,
}

impl Rubbish {
    /// Lists the trash.
    ///
    /// # Errors
    ///
    /// Why it cannot be listed.
    pub fn list() -> Result<Self, Why> {
        let items = trash::os_limited::list().map_err(|error| Why::Refused(said(&error)))?;
        Ok(Self { items })
    }

    /// Returns the file of a content that came from a place, if the trash has it.
    pub fn find(&self, from: &Path, digest: &Digest) -> Option<Discarded> {
        let items = self.items.iter();
        let mut newest_first: Vec<_> = items.filter(|item| item.original_path() == from).collect();
        newest_first.sort_by_key(|item| std::cmp::Reverse(item.time_deleted));
        newest_first.into_iter().find_map(|item| {
            let file = file_of(item);
            let is_it = file.as_ref().is_none_or(|file| holds(file, digest));
            is_it.then(|| Discarded {
                file,
                item: item.clone(),
            })
        })
    }
}

/// Returns the file of an item: next to its description, as freedesktop.org specifies.
#[cfg(unix)]
fn file_of(item: &trash::TrashItem) -> Option<PathBuf> {
    let description = Path::new(&item.id);
    let folder = description.parent()?.parent()?;
    Some(folder.join("files").join(description.file_stem()?))
}

/// Returns nothing: the recycle bin shows no files.
#[cfg(not(unix))]
fn file_of(_: &trash::TrashItem) -> Option<PathBuf> {
    None
}

impl Discarded {
    /// Moves the file back. It never overwrites. `temp` is a free name in the folder of `to`.
    ///
    /// # Errors
    ///
    /// If the system refuses. The file is in the trash then.
    pub fn restore(self, to: &Path, temp: &Path, digest: &Digest) -> io::Result<()> {
        let Some(file) = &self.file else {
            return trash::os_limited::restore_all([self.item])
                .map_err(|error| io::Error::other(said(&error)));
        };
        // The crate would make an empty file first, which would stay if the program ended there, and it cannot move a
        // file to another file system.
        relocate(file, to, temp, digest)?;
        self.drop_description();
        Ok(())
    }

    /// Removes this second name of a file that is back: restoring was interrupted.
    pub fn finish(self, back: &Path) {
        let Some(file) = self.file.as_ref().filter(|file| is_same_file(file, back)) else {
            return;
        };
        match fs::remove_file(file) {
            Ok(()) => self.drop_description(),
            Err(error) => {
                tracing::debug!(%error, file = %file.display(), "a second name was not removed");
            }
        }
    }

    /// Removes the description of a file that is not in the trash any more. Without it, the trash still works.
    fn drop_description(&self) {
        if let Err(error) = fs::remove_file(&self.item.id) {
            tracing::debug!(%error, "the description of a file in the trash was not removed");
        }
    }
}
