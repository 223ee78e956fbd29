//! The files of stored images, for programs that show them.

use std::fs::File;
use std::io::{Read as _, Seek as _};

use imgsearch_index::{FileStat, Image};

use super::Library;
use crate::error::{Error, Result};
use crate::indexing::walk::stat_of;

impl Library {
    /// Opens the file of a stored image if it still is the file that was indexed, or has the same content. A program
    /// that shows images to others can rely on it: what was put in the place of the file since, such as a link to
    /// another one, is refused.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the file cannot be read, [`Error::FileChanged`] if it is another one now.
    pub fn open_image(&self, image: &Image) -> Result<File> {
        let failed = |source| Error::io("read", &image.path, source);
        let mut file = File::open(&image.path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        let changed = || Error::FileChanged {
            path: image.path.clone(),
        };
        if !metadata.is_file() || metadata.len() != image.stat.size {
            return Err(changed());
        }
        // A copy of the collection on another disk has other dates and numbers, and is the same.
        if !is_same(&image.stat, &stat_of(&metadata)) {
            let mut hasher = blake3::Hasher::new();
            hasher
                .update_reader((&file).take(metadata.len()))
                .map_err(failed)?;
            if hasher.finalize() != image.digest {
                return Err(changed());
            }
            file.rewind().map_err(failed)?;
        }
        Ok(file)
    }
}

/// Returns whether a file is the one that was indexed. A new name or new permissions change its change time only,
/// which does not matter here. Some systems make up inode numbers; there the content decides.
fn is_same(then: &FileStat, now: &FileStat) -> bool {
    then.same_size_and_date(now) && then.inode == now.inode && now.inode != 0
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn stat(path: &Path) -> FileStat {
        stat_of(&fs::metadata(path).unwrap())
    }

    #[cfg(unix)]
    #[test]
    fn a_file_of_the_same_size_and_date_in_its_place_is_another_one() {
        let dir = tempfile::tempdir().unwrap();
        let (file, other) = (dir.path().join("a.png"), dir.path().join("secret"));
        fs::write(&file, "one").unwrap();
        fs::write(&other, "two").unwrap();
        let then = stat(&file);
        let date = fs::metadata(&file).unwrap().modified().unwrap();
        let opened = fs::File::options().write(true).open(&other).unwrap();
        opened.set_modified(date).unwrap();
        assert!(is_same(&then, &stat(&file)));
        // A second name changes nothing but the change time.
        fs::hard_link(&file, dir.path().join("b.png")).unwrap();
        assert!(is_same(&then, &stat(&file)));
        fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink(&other, &file).unwrap();
        let now = stat(&file);
        assert!(then.same_size_and_date(&now) && !is_same(&then, &now));
    }
}
