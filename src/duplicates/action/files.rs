//! Moving, linking and copying a file so that its content is complete under at least one name at every moment.
//!
//! Nothing here overwrites a file that was not meant. What is written first has a temporary name, which the undo log
//! knows, and its content is compared before anything is removed.

use std::fs::{self, File, FileTimes, Metadata, Permissions};
use std::io;
use std::path::{Path, PathBuf};

use imgsearch_index::Digest;

use super::checked::{digest_of, plain};

/// Makes `path` a hard link to `best`. `temp` is a free name in the folder of `path`.
///
/// # Errors
///
/// If the system refuses. `path` is as it was then.
pub(super) fn link_over(best: &Path, path: &Path, temp: &Path) -> io::Result<()> {
    fs::hard_link(best, temp)?;
    fs::rename(temp, path).inspect_err(|_| remove_quietly(temp))?;
    sync_folder_of(path);
    Ok(())
}

/// Replaces `path`, which has other names, by a copy of its own. `temp` is a free name in its folder.
///
/// # Errors
///
/// If the system refuses, or the copy has another content. `path` is as it was then.
pub(super) fn unlink_by_copy(
    path: &Path,
    temp: &Path,
    digest: &Digest,
    keep: &Kept,
) -> io::Result<()> {
    copy_to_temp(path, temp, digest, keep)?;
    fs::rename(temp, path).inspect_err(|_| remove_quietly(temp))?;
    sync_folder_of(path);
    Ok(())
}

/// Gives a file another name, also on another file system. It never overwrites. `temp` is a free name in the folder
/// of `to`.
///
/// # Errors
///
/// [`io::ErrorKind::AlreadyExists`] if `to` exists; if the system refuses, or a copy has another content. The file
/// is where it was then.
pub(super) fn relocate(from: &Path, to: &Path, temp: &Path, digest: &Digest) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
        // Another file system, or one without links.
        Err(_) => {
            let metadata = fs::symlink_metadata(from)?;
            copy_to_temp(from, temp, digest, &Kept::of(&metadata))?;
            publish(temp, to).inspect_err(|_| remove_quietly(temp))?;
        }
    }
    // The new name is on disk before the old one is removed.
    sync_folder_of(to);
    fs::remove_file(from).inspect_err(|_| remove_quietly(to))?;
    sync_folder_of(from);
    Ok(())
}

/// Returns whether a file of this name, which is free, may be made.
pub(super) fn may_be_made(temp: &Path) -> bool {
    let made = File::create_new(temp).is_ok();
    if made {
        remove_quietly(temp);
    }
    made
}

/// What a copy keeps of the file that it replaces.
#[derive(Debug)]
pub(super) struct Kept {
    pub times: FileTimes,
    pub permissions: Option<Permissions>,
    /// User and group, where there are such.
    owner: Option<(u32, u32)>,
}

impl Kept {
    pub fn of(metadata: &Metadata) -> Self {
        let mut times = FileTimes::new();
        if let Ok(modified) = metadata.modified() {
            times = times.set_modified(modified);
        }
        if let Ok(accessed) = metadata.accessed() {
            times = times.set_accessed(accessed);
        }
        Self {
            times,
            permissions: Some(metadata.permissions()),
            owner: owner_of(metadata),
        }
    }
}

#[cfg(unix)]
fn owner_of(metadata: &Metadata) -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt as _;
    Some((metadata.uid(), metadata.gid()))
}

#[cfg(not(unix))]
fn owner_of(_: &Metadata) -> Option<(u32, u32)> {
    None
}

/// Gives a copy the owner of its original. Only an administrator may, and whoever else copies a file owns the copy.
fn give_to(owner: Option<(u32, u32)>, copy: &File) {
    #[cfg(unix)]
    if let Some((user, group)) = owner
        && let Err(error) = std::os::unix::fs::fchown(copy, Some(user), Some(group))
    {
        tracing::debug!(%error, "a copy has another owner than its original");
    }
    #[cfg(not(unix))]
    let _ = (owner, copy);
}

/// Copies a file to a temporary name, syncs the copy and compares its content.
fn copy_to_temp(from: &Path, temp: &Path, digest: &Digest, keep: &Kept) -> io::Result<()> {
    let copied = (|| {
        let mut copy = File::create_new(temp)?;
        io::copy(&mut File::open(from)?, &mut copy)?;
        give_to(keep.owner, &copy);
        copy.set_times(keep.times)?;
        if let Some(permissions) = &keep.permissions {
            copy.set_permissions(permissions.clone())?;
        }
        copy.sync_all()?;
        if digest_of(temp)? != *digest {
            return Err(io::Error::other("the copy has another content"));
        }
        Ok(())
    })();
    if let Err(error) = &copied
        && error.kind() != io::ErrorKind::AlreadyExists
    {
        remove_quietly(temp);
    }
    copied
}

/// Gives a complete copy its name, unless something has that name.
fn publish(temp: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(temp, to) {
        Ok(()) => fs::remove_file(temp).inspect_err(|_| remove_quietly(to)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        Err(_) => {
            // A file system without links: an empty file keeps the name free of others until the copy has it.
            drop(File::create_new(to)?);
            fs::rename(temp, to).inspect_err(|_| remove_quietly(to))
        }
    }
}

/// Returns a name for `to` that nothing has: itself, or with a number before the extension.
pub(super) fn free_name(to: PathBuf) -> PathBuf {
    let is_free = |path: &Path| matches!(fs::symlink_metadata(path), Err(error) if error.kind() == io::ErrorKind::NotFound);
    if is_free(&to) {
        return to;
    }
    let stem = to.file_stem().unwrap_or_default().to_owned();
    (2..10_000)
        .map(|number| {
            let mut name = stem.clone();
            name.push(format!(" ({number})"));
            if let Some(extension) = to.extension() {
                name.push(".");
                name.push(extension);
            }
            to.with_file_name(name)
        })
        .find(|path| is_free(path))
        // Moving says that the name is taken.
        .unwrap_or(to)
}

/// Returns a name in the folder of a file that nothing else has. It begins with a point, so that no walk meets it.
pub(super) fn temp_name(beside: &Path, batch: &str, n: usize) -> PathBuf {
    beside.with_file_name(format!("{TEMP_PREFIX}{batch}-{n}{TEMP_SUFFIX}"))
}

const TEMP_PREFIX: &str = ".imgsearch-";
const TEMP_SUFFIX: &str = ".part";

/// Removes a temporary file of an action that was interrupted, if it is there. It never is the only one of its content.
pub(super) fn remove_left_over(temp: &Path) {
    let name = temp.file_name().and_then(|name| name.to_str());
    let is_ours =
        name.is_some_and(|name| name.starts_with(TEMP_PREFIX) && name.ends_with(TEMP_SUFFIX));
    if is_ours && plain(temp).is_ok() {
        remove_quietly(temp);
    }
}

/// Syncs the names in the folder of a file to the disk. Some file systems cannot do that, and their names are as safe as
/// they make them; the content was synced before.
pub(super) fn sync_folder_of(path: &Path) {
    #[cfg(unix)]
    if let Some(folder) = path.parent()
        && let Err(error) = File::open(folder).and_then(|folder| folder.sync_all())
    {
        tracing::debug!(%error, folder = %folder.display(), "the names in a folder were not synced");
    }
    #[cfg(not(unix))]
    let _ = path;
}

/// Removes what an action that failed has made. The error of the action is the one to report.
fn remove_quietly(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        tracing::debug!(%error, path = %path.display(), "what a failed action left was not removed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_never_overwrites_and_keeps_the_date() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("a"), "one").unwrap();
        fs::write(path("b"), "two").unwrap();
        let digest = digest_of(&path("a")).unwrap();
        let error = relocate(&path("a"), &path("b"), &path("t"), &digest).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(path("b")).unwrap(), b"two");
        assert_eq!(fs::read(path("a")).unwrap(), b"one");
        let modified = fs::metadata(path("a")).unwrap().modified().unwrap();
        relocate(&path("a"), &path("c"), &path("t"), &digest).unwrap();
        assert!(!path("a").exists() && !path("t").exists());
        assert_eq!(fs::read(path("c")).unwrap(), b"one");
        let moved = fs::metadata(path("c")).unwrap().modified().unwrap();
        assert_eq!(moved, modified);
    }

    #[test]
    fn a_copy_with_another_content_takes_no_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("a"), "one").unwrap();
        let keep = Kept::of(&fs::metadata(path("a")).unwrap());
        let refused = unlink_by_copy(&path("a"), &path("t"), &[0; 32], &keep).unwrap_err();
        assert!(refused.to_string().contains("another content"), "{refused}");
        assert_eq!(fs::read(path("a")).unwrap(), b"one");
        assert!(!path("t").exists());
    }

    #[test]
    fn publishing_never_overwrites() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("t"), "new").unwrap();
        fs::write(path("a"), "old").unwrap();
        assert!(publish(&path("t"), &path("a")).is_err());
        assert_eq!(fs::read(path("a")).unwrap(), b"old");
        publish(&path("t"), &path("b")).unwrap();
        assert_eq!(fs::read(path("b")).unwrap(), b"new");
        assert!(!path("t").exists());
    }

    #[test]
    fn a_free_name_is_beside_the_taken_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        assert_eq!(free_name(path("a.jpg")), path("a.jpg"));
        fs::write(path("a.jpg"), "").unwrap();
        assert_eq!(free_name(path("a.jpg")), path("a (2).jpg"));
        fs::write(path("a (2).jpg"), "").unwrap();
        assert_eq!(free_name(path("a.jpg")), path("a (3).jpg"));
    }
}
