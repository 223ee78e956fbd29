//! What may be run or loaded: only what nobody but its owner, its group and the system's administrator can
//! replace.
//!
//! A folder that everybody can write to must not decide what this program runs. Where such a folder is
//! sticky, as `/tmp` is, what is in it can be replaced by its owner alone, so the owner decides.

use std::path::Path;

/// Why a file must not be run or loaded: somebody else could have put it there. None if it may be.
pub(super) fn distrust(file: &Path) -> Option<String> {
    if !file.is_absolute() {
        return Some("it is named by a relative path".to_owned());
    }
    imp::distrust(file)
}

/// Why nothing in a folder must be run or loaded. Stricter than [`distrust`] of each file in it: also what is
/// not there yet counts.
pub(super) fn distrust_folder(folder: &Path) -> Option<String> {
    distrust(folder).or_else(|| imp::distrust_folder(folder))
}

#[cfg(unix)]
mod imp {
    use std::fs::{self, Metadata};
    use std::io;
    use std::os::fd::OwnedFd;
    use std::os::unix::fs::MetadataExt as _;
    use std::path::Path;

    /// The bit of a file's mode that lets everybody write to it.
    const EVERYBODY_WRITES: u32 = 0o002;
    /// The bit of a folder's mode that lets nobody but its owner remove or rename what is in it.
    const STICKY: u32 = 0o1000;
    const ROOT: u32 = 0;

    fn open_to_all(metadata: &Metadata) -> bool {
        // The mode of a link says nothing.
        !metadata.is_symlink() && metadata.mode() & EVERYBODY_WRITES != 0
    }

    pub fn distrust_folder(folder: &Path) -> Option<String> {
        match fs::metadata(folder) {
            Ok(metadata) if open_to_all(&metadata) => Some(format!(
                "everybody can write to the folder {}",
                folder.display()
            )),
            _ => None,
        }
    }

    /// Looks at the path as it is written and as it is without links: whoever can replace a link, decides, too.
    pub fn distrust(file: &Path) -> Option<String> {
        let real = match fs::canonicalize(file) {
            Ok(real) => real,
            Err(error) => return Some(error.to_string()),
        };
        along(file).or_else(|| along(&real))
    }

    fn along(path: &Path) -> Option<String> {
        let mut below: Option<Metadata> = None;
        for part in path.ancestors() {
            let metadata = match fs::symlink_metadata(part) {
                Ok(metadata) => metadata,
                Err(error) => return Some(format!("{}: {error}", part.display())),
            };
            if open_to_all(&metadata) {
                let (sticky, what) = if metadata.is_dir() {
                    (metadata.mode() & STICKY != 0, "the folder")
                } else {
                    (false, "the file")
                };
                let open = || Some(format!("everybody can write to {what} {}", part.display()));
                match &below {
                    // The end of the path, a folder: what is in it is judged by itself.
                    None if sticky => {}
                    Some(inside) if sticky && is_ours(inside) => {}
                    Some(inside) if sticky => {
                        return Some(format!(
                            "somebody else (user {}) put it into {}, to which everybody can write",
                            inside.uid(),
                            part.display()
                        ));
                    }
                    _ => return open(),
                }
            }
            below = Some(metadata);
        }
        None
    }

    fn is_ours(metadata: &Metadata) -> bool {
        let owner = metadata.uid();
        owner == ROOT || own_user().is_ok_and(|own| owner == own)
    }

    /// The user that this process runs as. A pipe belongs to whoever makes it, and the standard library has no
    /// other way to ask.
    fn own_user() -> io::Result<u32> {
        let (end, _) = io::pipe()?;
        Ok(fs::File::from(OwnedFd::from(end)).metadata()?.uid())
    }
}

#[cfg(not(unix))]
mod imp {
    use std::path::Path;

    // Who may write where is set for the whole system there.
    pub fn distrust(_: &Path) -> Option<String> {
        None
    }

    pub fn distrust_folder(_: &Path) -> Option<String> {
        None
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn what_everybody_can_replace_is_not_trusted() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("folder");
        fs::create_dir(&folder).unwrap();
        let file = folder.join("program");
        fs::write(&file, "").unwrap();
        let mode =
            |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        assert_eq!(distrust(&file), None);
        assert_eq!(distrust_folder(&folder), None);

        mode(&file, 0o666);
        assert!(distrust(&file).unwrap().contains("the file"));
        mode(&file, 0o644);
        mode(&folder, 0o777);
        let reason = distrust(&file).unwrap();
        assert!(reason.contains(folder.to_str().unwrap()), "{reason}");
        assert!(distrust_folder(&folder).is_some());

        // Our own file in a sticky folder can be replaced by nobody, but files can be added there.
        mode(&folder, 0o1777);
        assert_eq!(distrust(&file), None);
        assert!(distrust_folder(&folder).is_some());

        // By a link: the way to it counts, and the way to what it leads to.
        mode(&folder, 0o777);
        let link = dir.path().join("link");
        symlink(&file, &link).unwrap();
        assert!(distrust(&link).is_some());
        mode(&folder, 0o755);
        assert_eq!(distrust(&link), None);

        assert!(distrust(Path::new("program")).unwrap().contains("relative"));
        assert!(distrust(&folder.join("missing")).is_some());
    }

    #[test]
    fn what_somebody_else_put_into_a_sticky_folder_is_not_trusted() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o1777)).unwrap();
        let file = dir.path().join("program");
        fs::write(&file, "").unwrap();
        if let Err(error) = std::os::unix::fs::chown(&file, Some(12_345), None) {
            println!("skipped: giving a file to somebody else takes root ({error})");
            return;
        }
        let reason = distrust(&file).unwrap();
        assert!(reason.contains("12345"), "{reason}");
    }
}
