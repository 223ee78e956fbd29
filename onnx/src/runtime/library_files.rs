//! Names of ONNX Runtime's library, and the folder that downloaded ones are cached in.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Returns the user's folder for files that can be downloaded again. There is none on a system without a
/// home folder, or if a relative path names it, which would lead to the current folder.
pub fn cache_folder() -> Option<PathBuf> {
    directories::ProjectDirs::from("", "", "imgsearch")
        .map(|dirs| dirs.cache_dir().to_owned())
        .filter(|folder| folder.is_absolute())
}

/// Lists the ONNX Runtime libraries in a folder: the newest first, one without a version last. Several
/// names of one file count once.
pub(super) fn libraries_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found: Vec<(Vec<u64>, PathBuf)> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter_map(|path| {
            let name = path.file_name()?.to_str()?;
            is_library_name(name).then(|| (version_in(name), path.clone()))
        })
        .collect();
    found.sort_by(|a, b| Reverse(&a.0).cmp(&Reverse(&b.0)).then(a.1.cmp(&b.1)));
    let mut seen = HashSet::new();
    found.retain(|(_, path)| seen.insert(path.canonicalize().unwrap_or_else(|_| path.clone())));
    found.into_iter().map(|(_, path)| path).collect()
}

/// The version in a library's name, as numbers: 1.9.0 comes before 1.32.0.
fn version_in(name: &str) -> Vec<u64> {
    name.split('.')
        .skip_while(|part| part.parse::<u64>().is_err())
        .map_while(|part| part.parse().ok())
        .collect()
}

/// Returns whether a file name is that of the library itself, not of one of its providers.
pub(super) fn is_library_name(name: &str) -> bool {
    if cfg!(windows) {
        name.eq_ignore_ascii_case("onnxruntime.dll")
    } else if cfg!(target_os = "macos") {
        name.starts_with("libonnxruntime.") && name.ends_with(".dylib")
    } else {
        name == "libonnxruntime.so" || name.starts_with("libonnxruntime.so.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn the_library_is_recognised_among_other_files() {
        let dir = tempfile::tempdir().unwrap();
        assert!(libraries_in(dir.path()).is_empty());
        for name in [
            "libonnxruntime_providers_shared.so",
            "libonnxruntime_providers_cuda.so",
            "readme.txt",
        ] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        assert!(libraries_in(dir.path()).is_empty());
        let library = dir.path().join("libonnxruntime.so.1.32.0");
        fs::write(&library, "").unwrap();
        assert_eq!(libraries_in(dir.path()), [library]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn newer_libraries_come_first_by_number() {
        let dir = tempfile::tempdir().unwrap();
        let names =
            ["so.1.32.0", "so.1.9.0", "so.1.3.9", "so"].map(|end| format!("libonnxruntime.{end}"));
        for name in names.iter().rev() {
            fs::write(dir.path().join(name), name).unwrap();
        }
        // As packages have it: one more name for the newest.
        std::os::unix::fs::symlink(&names[0], dir.path().join("libonnxruntime.so.1")).unwrap();
        let found = libraries_in(dir.path());
        let found: Vec<_> = found.iter().map(|path| path.file_name().unwrap()).collect();
        assert_eq!(found, names.each_ref().map(std::ffi::OsStr::new));
    }

    #[test]
    fn versions_stand_in_names_in_several_ways() {
        assert_eq!(version_in("libonnxruntime.so.1.32.0"), [1, 32, 0]);
        assert_eq!(version_in("libonnxruntime.1.9.0.dylib"), [1, 9, 0]);
        assert!(version_in("libonnxruntime.so").is_empty());
        assert!(version_in("onnxruntime.dll").is_empty());
    }
}
