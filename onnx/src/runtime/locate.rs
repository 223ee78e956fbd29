//! Where ONNX Runtime may lie on a machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Serialize;

use super::fetch::Package;

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
    /// The system's loader knows it.
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

/// The user's folder for what can be fetched again; none on a system without a home folder.
pub fn cache_folder() -> Option<PathBuf> {
    directories::ProjectDirs::from("", "", "imgsearch").map(|dirs| dirs.cache_dir().to_owned())
}

/// The places in the order in which they are tried. They are looked at as they are asked for.
pub(super) fn places(prefer_cuda: bool) -> impl Iterator<Item = Place> {
    let looks: [fn(bool) -> Vec<Place>; 4] = [
        |_| vec![beside_executable()],
        cached,
        |_| system(),
        |_| vec![python_package()],
    ];
    looks.into_iter().flat_map(move |look| look(prefer_cuda))
}

fn beside_executable() -> Place {
    let folder = std::env::current_exe()
        .ok()
        .and_then(|exe| exe.parent().map(Path::to_owned));
    match folder {
        Some(folder) => in_folder(&folder, FoundBy::BesideExecutable),
        None => Place::Nothing {
            place: "beside the executable".to_owned(),
            why: "it is not known where that is".to_owned(),
        },
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
        .map(|package| match package.folder() {
            Some(folder) => in_folder(&folder, FoundBy::Cache),
            None => Place::Nothing {
                place: "the user's cache folder".to_owned(),
                why: "there is no home folder".to_owned(),
            },
        })
        .collect()
}

/// The names that the system's loader may know the library by.
fn system() -> Vec<Place> {
    let names: &[&str] = if cfg!(windows) {
        // Windows itself holds an old one under the plain name.
        &[]
    } else if cfg!(target_os = "macos") {
        &["libonnxruntime.dylib"]
    } else {
        &["libonnxruntime.so", "libonnxruntime.so.1"]
    };
    names
        .iter()
        .map(|name| Place::Library {
            path: PathBuf::from(name),
            found: FoundBy::System,
        })
        .collect()
}

/// The library of a Python package, found without importing it.
fn python_package() -> Place {
    // Not in the folder that the person stands in: whatever lies there would be loaded.
    const LOOK: &str = "import sys; sys.path = [p for p in sys.path if p]; import importlib.util as u; \
                        s = u.find_spec('onnxruntime'); \
                        print(s.submodule_search_locations[0] if s else '')";
    let place = "the Python package onnxruntime".to_owned();
    let nothing = |why: String| Place::Nothing {
        place: place.clone(),
        why,
    };
    let python = if cfg!(windows) { "python" } else { "python3" };
    let output = Command::new(python)
        .args(["-c", LOOK])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    match output {
        Err(error) => nothing(format!("{python}: {error}")),
        Ok(output) => {
            let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            if folder.is_empty() {
                nothing("it is not installed".to_owned())
            } else {
                in_folder(&Path::new(&folder).join("capi"), FoundBy::PythonPackage)
            }
        }
    }
}

fn in_folder(folder: &Path, found: FoundBy) -> Place {
    match library_in(folder) {
        Some(path) => Place::Library { path, found },
        None => Place::Nothing {
            place: folder.display().to_string(),
            why: "no library there".to_owned(),
        },
    }
}

/// The ONNX Runtime library in a folder, whatever version its name ends in.
pub(super) fn library_in(folder: &Path) -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| is_library_name(&name.to_string_lossy()))
        })
        .collect();
    found.sort();
    found.pop()
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
        assert!(library_in(dir.path()).is_none());
        for name in [
            "libonnxruntime_providers_shared.so",
            "libonnxruntime_providers_cuda.so",
            "readme.txt",
        ] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        assert!(library_in(dir.path()).is_none());
        fs::write(dir.path().join("libonnxruntime.so.1.32.0"), "").unwrap();
        let found = library_in(dir.path()).unwrap();
        assert!(found.ends_with("libonnxruntime.so.1.32.0"));
    }
}
