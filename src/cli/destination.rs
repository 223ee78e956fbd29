//! Files that a command is about to write.

use std::path::Path;

use super::Result;

/// Checks that a file can be written, before the work that makes it.
pub fn check_output(path: &Path) -> Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(format!(
            "cannot write {}: there is no folder {}",
            path.display(),
            folder.display()
        )
        .into());
    }
    if path.is_dir() {
        return Err(format!("cannot write {}: it is a folder", path.display()).into());
    }
    // Saving renames a complete file into place, which would replace a device or a pipe.
    if path.exists() && !path.is_file() {
        return Err(format!(
            "cannot write {}: it is not an ordinary file",
            path.display()
        )
        .into());
    }
    Ok(())
}
