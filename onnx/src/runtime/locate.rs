//! Places where ONNX Runtime can be on a machine.
//!
//! Every candidate is an absolute path. A library that another user could have put there is not loaded.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use super::library_files::libraries_in;
use super::programs::{Programs, neutral_folder};
use super::system;
use super::trust::distrust;
use super::wheel::Package;

/// How a library was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FoundBy {
    /// An option or an environment variable names it.
    Named,
    /// The program offers its folder.
    Offered,
    /// It is next to the executable.
    BesideExecutable,
    /// It was downloaded before.
    Cache,
    /// It is in a folder of the system's loader.
    System,
    /// It belongs to an installed Python package.
    PythonPackage,
    /// It was downloaded just now.
    Fetched,
}

/// Folders that the program offers, the last first.
static OFFERED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Offers a folder to look for ONNX Runtime in, before all others: that of a Python package `onnxruntime` which was
/// installed together with the program, for example. It has no effect once the library is loaded.
///
/// Whoever offers a folder answers for it: what is in it is loaded even if others may write there.
pub fn offer_runtime_folder(folder: impl Into<PathBuf>) {
    let mut offered = OFFERED.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = folder.into();
    if !offered.contains(&folder) {
        offered.insert(0, folder);
    }
}

/// A place that was searched.
pub(super) enum Place {
    Library { path: PathBuf, found: FoundBy },
    Nothing { place: String, why: String },
}

/// Returns the places in the order in which they are tried. Each is searched only when it is needed.
pub(super) fn places(prefer_cuda: bool) -> impl Iterator<Item = Place> {
    let looks: [fn(bool) -> Vec<Place>; 5] = [
        |_| offered(),
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

fn offered() -> Vec<Place> {
    let folders = OFFERED.lock().unwrap_or_else(PoisonError::into_inner);
    let look = |folder: &PathBuf| {
        let libraries = libraries_in(folder);
        if libraries.is_empty() {
            return nothing(folder.display().to_string(), "no library there");
        }
        let offer = |path| Place::Library {
            path,
            found: FoundBy::Offered,
        };
        libraries.into_iter().map(offer).collect()
    };
    folders.iter().flat_map(look).collect()
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

/// Finds the library of a Python package without importing it.
fn python_package() -> Vec<Place> {
    // An older Python also searches its working folder for packages.
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
