//! Where ONNX Runtime may lie on a machine.
//!
//! Every candidate is an absolute path, and one that somebody else could have put there is not loaded.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Serialize;

use super::programs::{Programs, neutral_folder};
use super::system;
use super::trust::distrust;
use super::wheel::Package;

/// How a library was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FoundBy {
    /// It was named by an option or an environment variable.
    Named,
    /// It lies beside the executable.
    BesideExecutable,
    /// It was fetched before.
    Cache,
    /// It lies in a folder of the system's loader.
    System,
    /// It belongs to an installed Python package.
    PythonPackage,
    /// It was fetched just now.
    Fetched,
}

/// A place that was looked at.
pub(super) enum Place {
    Library { path: PathBuf, found: FoundBy },
    Nothing { place: String, why: String },
}

/// The user's folder for what can be fetched again; none on a system without a home folder, and where that is
/// named by a relative path, which would lead to a folder that a person happens to stand in.
pub fn cache_folder() -> Option<PathBuf> {
    directories::ProjectDirs::from("", "", "imgsearch")
        .map(|dirs| dirs.cache_dir().to_owned())
        .filter(|folder| folder.is_absolute())
}

/// The places in the order in which they are tried. They are looked at as they are asked for.
pub(super) fn places(prefer_cuda: bool) -> impl Iterator<Item = Place> {
    let looks: [fn(bool) -> Vec<Place>; 4] = [
        |_| beside_executable(),
        cached,
        |_| in_system(),
        |_| python_package(),
    ];
    looks.into_iter().flat_map(move |look| look(prefer_cuda))
}

fn nothing(place: impl Into<String>, why: impl Into<String>) -> Vec<Place> {
    vec![Place::Nothing {
        place: place.into(),
        why: why.into(),
    }]
}

fn beside_executable() -> Vec<Place> {
    let folder = std::env::current_exe()
        .ok()
        .and_then(|exe| exe.parent().map(Path::to_owned));
    match folder {
        Some(folder) => in_folder(&folder, FoundBy::BesideExecutable),
        None => nothing("beside the executable", "it is not known where that is"),
    }
}

fn cached(prefer_cuda: bool) -> Vec<Place> {
    let packages = if prefer_cuda {
        [Package::Cuda, Package::Cpu]
    } else {
        [Package::Cpu, Package::Cuda]
    };
    packages
        .into_iter()
        .flat_map(|package| match package.folder() {
            Some(folder) => in_folder(&folder, FoundBy::Cache),
            None => nothing("the user's cache folder", "there is no home folder"),
        })
        .collect()
}

fn in_system() -> Vec<Place> {
    let libraries = system::libraries();
    if libraries.is_empty() {
        return nothing("the system's folders", "no library there");
    }
    judged(libraries, FoundBy::System)
}

/// The library of a Python package, found without importing it.
fn python_package() -> Vec<Place> {
    // An older Python takes its working folder for a place of packages.
    const LOOK: &str = "import sys; sys.path = [p for p in sys.path if p]; import importlib.util as u; \
                        s = u.find_spec('onnxruntime'); \
                        print(s.submodule_search_locations[0] if s else '')";
    const PLACE: &str = "the Python package onnxruntime";
    let programs = Programs::of_environment();
    let pythons = ["python3", "python"];
    let Some(python) = pythons.iter().find_map(|name| programs.find(name)) else {
        return nothing(PLACE, "no Python was found on PATH");
    };
    let output = programs
        .command(&python, neutral_folder(&python))
        .args(["-c", LOOK])
        .stderr(Stdio::null())
        .output();
    match output {
        Err(error) => nothing(PLACE, format!("{}: {error}", python.display())),
        Ok(output) => {
            let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            if folder.is_empty() {
                nothing(PLACE, "it is not installed")
            } else {
                in_folder(&Path::new(&folder).join("capi"), FoundBy::PythonPackage)
            }
        }
    }
}

fn in_folder(folder: &Path, found: FoundBy) -> Vec<Place> {
    let libraries = libraries_in(folder);
    if libraries.is_empty() {
        return nothing(folder.display().to_string(), "no library there");
    }
    judged(libraries, found)
}

fn judged(libraries: Vec<PathBuf>, found: FoundBy) -> Vec<Place> {
    let judge = |path: PathBuf| match distrust(&path) {
        None => Place::Library { path, found },
        Some(why) => Place::Nothing {
            place: path.display().to_string(),
            why: format!("not loaded, because {why}"),
        },
    };
    libraries.into_iter().map(judge).collect()
}

/// The ONNX Runtime libraries in a folder, whatever version their names end in: the newest first, one without a
/// version last. Several names of one file count once.
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

/// Whether a file's name is that of the library itself, not of one of its providers.
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
    fn the_library_is_told_from_what_lies_beside_it() {
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
