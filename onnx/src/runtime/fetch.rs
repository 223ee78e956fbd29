//! Fetching ONNX Runtime: one pinned package for each platform, its hash checked by pip.
//!
//! The library in a Python package is the plain C library, the same for every version of Python,
//! so one wheel a platform is pinned, whichever Python is installed.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::locate::{cache_folder, is_library_name, library_in};
use crate::error::{Error, Result};

/// The version that is fetched for the processor.
pub const PINNED_VERSION: &str = "1.32.0";

/// The version that is fetched for graphics cards.
pub const PINNED_CUDA_VERSION: &str = "1.31.1";

/// Of what pip says when it fails, so many lines are shown whole.
const MOST_PIP_LINES: usize = 4;

/// The Python that the pinned wheels are named for.
const WHEEL_PYTHON: &str = "312";

/// What to install.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct InstallOptions {
    /// The library that can use NVIDIA graphics cards.
    pub cuda: bool,
    /// Told, in one line, what is about to be fetched.
    pub notice: Option<fn(&str)>,
}

impl InstallOptions {
    /// The processor's library, or the one for graphics cards.
    pub fn new(cuda: bool, notice: Option<fn(&str)>) -> Self {
        Self { cuda, notice }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Package {
    Cpu,
    Cuda,
}

/// A wheel: operating system and processor as Rust names them, pip's platform, megabytes, SHA-256.
type Wheel = (&'static str, &'static str, &'static str, u32, &'static str);

const CPU_WHEELS: &[Wheel] = &[
    (
        "linux",
        "x86_64",
        "manylinux_2_28_x86_64",
        28,
        "99e1074c4b2197accd5073052a465361be17b89c093b8ffb6e6bd8f986c52df8",
    ),
    (
        "linux",
        "aarch64",
        "manylinux_2_28_aarch64",
        28,
        "e36c187006e7a7c8b8d6d57f1a209dd63f52430dca6c282b177718ad6b841054",
    ),
    (
        "macos",
        "aarch64",
        "macosx_14_0_arm64",
        28,
        "d52510bbbcc880c13b826f7d75cdf33ac5cf0bb864d960000fc29ce73f0cb83e",
    ),
    (
        "windows",
        "x86_64",
        "win_amd64",
        28,
        "efe7456952c243a05a53d5b8732953625144642c2f3989094277f6217f0c0c40",
    ),
    (
        "windows",
        "aarch64",
        "win_arm64",
        28,
        "64d394c69d561af3efd4d4f49dcac8f11d0ce135a20701c16d53b74056cd4cf8",
    ),
];

const CUDA_WHEELS: &[Wheel] = &[
    (
        "linux",
        "x86_64",
        "manylinux_2_28_x86_64",
        300,
        "05d548956197b9d01f59b625de740e0d6be3593f874e241a12dc0362650ecdf7",
    ),
    (
        "windows",
        "x86_64",
        "win_amd64",
        300,
        "2bb1e9373baba88f6415257f5b6a589d23e23c16004f7d89adf4344eada5749e",
    ),
];

impl Package {
    fn name(self) -> &'static str {
        match self {
            Self::Cpu => "onnxruntime",
            Self::Cuda => "onnxruntime-gpu",
        }
    }

    fn version(self) -> &'static str {
        match self {
            Self::Cpu => PINNED_VERSION,
            Self::Cuda => PINNED_CUDA_VERSION,
        }
    }

    /// Where it is kept.
    pub fn folder(self) -> Option<PathBuf> {
        Some(cache_folder()?.join(format!("{}-{}", self.name(), self.version())))
    }

    fn wheel(self) -> Result<&'static Wheel> {
        let wheels = match self {
            Self::Cpu => CPU_WHEELS,
            Self::Cuda => CUDA_WHEELS,
        };
        let (system, processor) = (std::env::consts::OS, std::env::consts::ARCH);
        wheels
            .iter()
            .find(|wheel| (wheel.0, wheel.1) == (system, processor))
            .ok_or_else(|| Error::Fetch {
                reason: format!("{} has no package for {system} on {processor}", self.name()),
                cure: "Build or install ONNX Runtime 1.17 or newer and name it with --ort-library FILE".to_owned(),
            })
    }
}

/// Fetches ONNX Runtime into the user's cache folder, unless it is there; where its library lies.
///
/// # Errors
///
/// [`Error::Fetch`] where there is no package for this platform, no pip, no network, or the
/// package is not the pinned one.
pub fn install(options: &InstallOptions) -> Result<PathBuf> {
    let package = if options.cuda {
        Package::Cuda
    } else {
        Package::Cpu
    };
    let folder = package.folder().ok_or_else(|| Error::Fetch {
        reason: "there is no home folder to keep it in".to_owned(),
        cure: "Set HOME, or name a library with --ort-library FILE".to_owned(),
    })?;
    if let Some(library) = library_in(&folder) {
        return Ok(library);
    }
    let wheel = package.wheel()?;
    if let Some(notice) = options.notice {
        notice(&format!(
            "fetching {} {} ({} MB, once) into {}",
            package.name(),
            package.version(),
            wheel.3,
            folder.display()
        ));
    }
    let parent = folder.parent().unwrap_or(&folder);
    fs::create_dir_all(parent).map_err(|source| Error::io("make the folder", parent, source))?;
    let aside = parent.join(format!(
        ".{}-{}.{}",
        package.name(),
        package.version(),
        std::process::id()
    ));
    let fetched = fetch_into(package, wheel, &aside, &folder);
    if aside.exists() {
        fs::remove_dir_all(&aside).map_err(|source| Error::io("remove", &aside, source))?;
    }
    fetched?;
    library_in(&folder).ok_or_else(|| Error::Fetch {
        reason: format!("{} {} holds no library", package.name(), package.version()),
        cure: "Name a library with --ort-library FILE".to_owned(),
    })
}

fn fetch_into(package: Package, wheel: &Wheel, aside: &Path, folder: &Path) -> Result<()> {
    let (downloads, libraries) = (aside.join("downloads"), aside.join("libraries"));
    for folder in [&downloads, &libraries] {
        fs::create_dir_all(folder)
            .map_err(|source| Error::io("make the folder", folder, source))?;
    }
    let requirements = aside.join("requirements.txt");
    let requirement = format!(
        "{}=={} --hash=sha256:{}\n",
        package.name(),
        package.version(),
        wheel.4
    );
    fs::write(&requirements, requirement)
        .map_err(|source| Error::io("write", &requirements, source))?;
    pip_download(&requirements, wheel.2, &downloads)?;
    let downloaded = fs::read_dir(&downloads)
        .map_err(|source| Error::io("list", &downloads, source))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or_else(|| failed("pip fetched nothing"))?;
    extract(&downloaded, &libraries)?;
    match fs::rename(&libraries, folder) {
        Ok(()) => Ok(()),
        // Another process was faster.
        Err(_) if library_in(folder).is_some() => Ok(()),
        Err(source) => Err(Error::io("move it to", folder, source)),
    }
}

/// Runs the first pip that is there.
fn pip_download(requirements: &Path, platform: &str, target: &Path) -> Result<()> {
    let pips: [&[&str]; 4] = [
        &["python3", "-m", "pip"],
        &["python", "-m", "pip"],
        &["pip3"],
        &["pip"],
    ];
    let mut last = None;
    for pip in pips {
        let output = Command::new(pip[0])
            .args(&pip[1..])
            .args([
                "download",
                "--quiet",
                "--disable-pip-version-check",
                "--no-input",
            ])
            .args(["--no-deps", "--only-binary=:all:", "--require-hashes"])
            .args(["--platform", platform, "--python-version", WHEEL_PYTHON])
            .args([
                "--implementation",
                "cp",
                "--abi",
                &format!("cp{WHEEL_PYTHON}"),
            ])
            .arg("--dest")
            .arg(target)
            .arg("--requirement")
            .arg(requirements)
            .stdin(Stdio::null())
            .output();
        let Ok(output) = output else { continue };
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        if !said.contains("No module named pip") {
            last = Some(said);
            break;
        }
    }
    Err(match last {
        Some(said) => pip_failed(&said),
        None => Error::Fetch {
            reason: "pip was not found".to_owned(),
            cure: "Install it (Debian, Ubuntu: apt-get install python3-pip), or install ONNX Runtime 1.17 or newer \
                   yourself and name its library with --ort-library FILE"
                .to_owned(),
        },
    })
}

/// What pip said, as an error.
fn pip_failed(said: &str) -> Error {
    if said.contains("DO NOT MATCH THE HASHES") {
        return Error::Fetch {
            reason: "the package that came is not the pinned one: its hash is another".to_owned(),
            cure: "Nothing of it was kept. A proxy, a mirror or pip's own cache may have changed it: try another \
                   network or `pip cache purge`, or name a library that you trust with --ort-library FILE"
                .to_owned(),
        };
    }
    let told: Vec<&str> = said
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("ERROR") || line.starts_with("WARNING"))
        .collect();
    let mut lines = if told.is_empty() {
        said.lines().map(str::trim).collect()
    } else {
        told
    };
    lines.retain(|line| !line.is_empty());
    lines.dedup();
    failed(&match lines.as_slice() {
        [] => "pip failed without a word".to_owned(),
        // pip says the same of every attempt.
        lines if lines.len() > MOST_PIP_LINES => {
            format!(
                "{}\n  …\n  {}",
                lines[0],
                lines[lines.len() - 2..].join("\n  ")
            )
        }
        lines => lines.join("\n  "),
    })
}

fn failed(reason: &str) -> Error {
    Error::Fetch {
        reason: reason.to_owned(),
        cure: "Check the network and try again, or install ONNX Runtime 1.17 or newer yourself (pip install \
               onnxruntime) or name its library with --ort-library FILE"
            .to_owned(),
    }
}

/// Takes the libraries out of a wheel, which is a zip archive.
fn extract(wheel: &Path, target: &Path) -> Result<()> {
    let broken = |error: zip::result::ZipError| failed(&format!("{}: {error}", wheel.display()));
    let file = File::open(wheel).map_err(|source| Error::io("open", wheel, source))?;
    let mut archive = zip::ZipArchive::new(file).map_err(broken)?;
    for i in 0..archive.len() {
        let mut entry = archive.by_index(i).map_err(broken)?;
        let path = entry.name().map_err(broken)?;
        let name = path.rsplit('/').next().unwrap_or("").to_owned();
        if !(is_library_name(&name) || is_provider_name(&name)) {
            continue;
        }
        let path = target.join(name);
        let mut out = File::create(&path).map_err(|source| Error::io("write", &path, source))?;
        io::copy(&mut entry, &mut out)
            .and_then(|_| out.sync_all())
            .map_err(|source| Error::io("write", &path, source))?;
    }
    Ok(())
}

/// Whether a file is one of the libraries that ONNX Runtime loads a provider from.
fn is_provider_name(name: &str) -> bool {
    ["onnxruntime_providers_shared", "onnxruntime_providers_cuda"]
        .iter()
        .any(|provider| name.trim_start_matches("lib").starts_with(provider))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_of_another_hash_is_called_that() {
        let said = "Collecting onnxruntime==1.32.0\nERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. \
                    If you have updated the package versions, please update the hashes.\n    onnxruntime==1.32.0:\n        \
                    Expected sha256 00\n             Got        99";
        let error = pip_failed(said).to_string();
        assert!(
            error.contains("its hash is another") && error.contains("pip cache purge"),
            "{error}"
        );
        assert!(!error.contains("Check the network"), "{error}");
    }

    #[test]
    fn what_pip_warned_of_is_shown_beside_what_it_ended_with() {
        let retrying = "WARNING: Retrying after connection broken: Name or service not known\n";
        let ended = "ERROR: No matching distribution found for onnxruntime==1.32.0";
        let error = pip_failed(&format!("{}{ended}", retrying.repeat(5))).to_string();
        assert!(error.contains("Name or service not known"), "{error}");
        assert!(error.contains("No matching distribution"), "{error}");
        assert_eq!(error.matches("Retrying").count(), 1, "{error}");
        let plain = pip_failed("Killed").to_string();
        assert!(plain.contains("Killed"), "{plain}");
        assert!(pip_failed("").to_string().contains("without a word"));
    }
}
