//! Downloads ONNX Runtime: the pinned package, with the installed pip.
//!
//! This is the only place of the program that uses the network. [`super::programs`] decides which pip runs,
//! where, and in which environment. [`super::wheel`] decides whether the download is the pinned package.

use std::fs::{self, DirBuilder};
use std::io;
use std::path::{Path, PathBuf};

use super::library_files::libraries_in;
use super::programs::Programs;
use super::trust::{distrust, distrust_folder};
use super::wheel::{Package, Wheel, changed, extract_pinned, failed};
use crate::error::{Error, Result};

/// The maximum number of lines of pip's output that an error shows.
const MAX_PIP_LINES: usize = 4;

/// The Python version in the names of the pinned wheels.
const WHEEL_PYTHON: &str = "312";

/// What to install.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct InstallOptions {
    /// The library that can use NVIDIA graphics cards.
    pub cuda: bool,
    /// Gets a line that says what is about to be downloaded.
    pub notice: Option<fn(&str)>,
}

impl InstallOptions {
    /// The processor's library, or the one for graphics cards.
    pub fn new(cuda: bool, notice: Option<fn(&str)>) -> Self {
        Self { cuda, notice }
    }
}

/// Downloads ONNX Runtime into the user's cache folder, unless it is there. Returns the path of its library.
///
/// # Errors
///
/// [`Error::Fetch`] if there is no package for this platform, no pip, no network, if everybody can write
/// to the cache folder, or if the package is not the pinned one.
pub fn install(options: &InstallOptions) -> Result<PathBuf> {
    let package = if options.cuda {
        Package::Cuda
    } else {
        Package::Cpu
    };
    let folder = package.folder().ok_or_else(|| Error::Fetch {
        reason: "there is no home folder to keep it in".to_owned(),
        cure: "Set HOME to an absolute path, or name a library with --ort-library FILE".to_owned(),
    })?;
    if let Some(library) = trusted_in(&folder) {
        return Ok(library);
    }
    let wheel = package.wheel()?;
    if let Some(notice) = options.notice {
        notice(&format!(
            "fetching {} {} ({} MB, once) into {}",
            package.name(),
            package.version(),
            wheel.megabytes,
            folder.display()
        ));
    }
    fetch(package, wheel, &folder, &Programs::of_environment())
}

fn trusted_in(folder: &Path) -> Option<PathBuf> {
    let mut libraries = libraries_in(folder).into_iter();
    libraries.find(|library| distrust(library).is_none())
}

/// Downloads a package into a folder. Returns the path of its library.
fn fetch(package: Package, wheel: &Wheel, folder: &Path, programs: &Programs) -> Result<PathBuf> {
    let parent = folder.parent().unwrap_or(folder);
    private()
        .recursive(true)
        .create(parent)
        .map_err(|source| Error::io("make the folder", parent, source))?;
    if let Some(why) = distrust_folder(parent) {
        return Err(Error::Fetch {
            reason: format!("what is kept in {} could be replaced: {why}", parent.display()),
            cure: "Take that permission away (chmod o-w), choose another cache folder with XDG_CACHE_HOME, or name a \
                   library with --ort-library FILE"
                .to_owned(),
        });
    }
    let staging = own_folder(package, parent)?;
    let fetched = fetch_into(package, wheel, &staging, folder, programs);
    fs::remove_dir_all(&staging).map_err(|source| Error::io("remove", &staging, source))?;
    fetched?;
    trusted_in(folder).ok_or_else(|| Error::Fetch {
        reason: format!(
            "{} {} left no library that may be loaded in {}",
            package.name(),
            package.version(),
            folder.display()
        ),
        cure: "Remove that folder and try again, or name a library with --ort-library FILE"
            .to_owned(),
    })
}

/// Makes folders that other users cannot read.
fn private() -> DirBuilder {
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        let mut builder = DirBuilder::new();
        builder.mode(0o700);
        builder
    }
    #[cfg(not(unix))]
    DirBuilder::new()
}

/// Makes a new folder to download into.
fn own_folder(package: Package, parent: &Path) -> Result<PathBuf> {
    const TRIES: u32 = 1_000;
    let (name, version) = (package.name(), package.version());
    let process = std::process::id();
    for number in 0..TRIES {
        let folder = parent.join(format!(".{name}-{version}.{process}.{number}"));
        match private().create(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(Error::io("make the folder", &folder, source)),
        }
    }
    Err(Error::Fetch {
        reason: format!(
            "{} is full of folders of runs that were ended: .{name}-{version}.{process}.*",
            parent.display()
        ),
        cure: "Remove them".to_owned(),
    })
}

fn fetch_into(
    package: Package,
    wheel: &Wheel,
    staging: &Path,
    folder: &Path,
    programs: &Programs,
) -> Result<()> {
    let [downloads, libraries, empty, temporary] =
        ["downloads", "libraries", "empty", "temporary"].map(|name| staging.join(name));
    for folder in [&downloads, &libraries, &empty, &temporary] {
        private()
            .create(folder)
            .map_err(|source| Error::io("make the folder", folder, source))?;
    }
    let requirements = staging.join("requirements.txt");
    let requirement = format!(
        "{}=={} --hash=sha256:{}\n",
        package.name(),
        package.version(),
        wheel.sha256
    );
    fs::write(&requirements, requirement)
        .map_err(|source| Error::io("write", &requirements, source))?;
    let folders = Folders {
        working: &empty,
        temporary: &temporary,
        target: &downloads,
    };
    pip_download(&requirements, wheel.platform, &folders, programs)?;
    let downloaded = fs::read_dir(&downloads)
        .map_err(|source| Error::io("list", &downloads, source))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or_else(|| failed("pip fetched nothing"))?;
    extract_pinned(&downloaded, wheel.sha256, &libraries)?;
    match fs::rename(&libraries, folder) {
        Ok(()) => Ok(()),
        // Another process was faster.
        Err(_) if trusted_in(folder).is_some() => Ok(()),
        Err(source) => Err(Error::io("move it to", folder, source)),
    }
}

/// Where pip works.
struct Folders<'a> {
    /// An empty one.
    working: &'a Path,
    temporary: &'a Path,
    /// For what it fetches.
    target: &'a Path,
}

/// Runs the first pip that is there.
fn pip_download(
    requirements: &Path,
    platform: &str,
    folders: &Folders<'_>,
    programs: &Programs,
) -> Result<()> {
    let pips: [(&str, &[&str]); 4] = [
        ("python3", &["-m", "pip"]),
        ("python", &["-m", "pip"]),
        ("pip3", &[]),
        ("pip", &[]),
    ];
    let mut last = None;
    for (program, arguments) in pips {
        let Some(program) = programs.find(program) else {
            continue;
        };
        let mut command = programs.command(&program, folders.working);
        for variable in ["TMPDIR", "TEMP", "TMP"] {
            command.env(variable, folders.temporary);
        }
        let output = command
            .args(arguments)
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
            .arg(folders.target)
            .arg("--requirement")
            .arg(requirements)
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

/// Returns the error of a pip that failed.
fn pip_failed(said: &str) -> Error {
    if said.contains("DO NOT MATCH THE HASHES") {
        return changed("pip found that out");
    }
    let lines_of_pip: Vec<&str> = said
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("ERROR") || line.starts_with("WARNING"))
        .collect();
    let mut lines = if lines_of_pip.is_empty() {
        said.lines().map(str::trim).collect()
    } else {
        lines_of_pip
    };
    lines.retain(|line| !line.is_empty());
    lines.dedup();
    failed(&match lines.as_slice() {
        [] => "pip failed without a word".to_owned(),
        // pip says the same of every attempt.
        lines if lines.len() > MAX_PIP_LINES => {
            format!(
                "{}\n  …\n  {}",
                lines[0],
                lines[lines.len() - 2..].join("\n  ")
            )
        }
        lines => lines.join("\n  "),
    })
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

    /// A wheel with a library in it.
    #[cfg(target_os = "linux")]
    fn packed() -> Vec<u8> {
        let mut bytes = std::io::Cursor::new(Vec::new());
        let mut archive = zip::ZipWriter::new(&mut bytes);
        let plain = zip::write::SimpleFileOptions::default();
        for name in ["onnxruntime/capi/libonnxruntime.so.1.32.0", "other/file"] {
            archive.start_file(name, plain).unwrap();
            std::io::Write::write_all(&mut archive, b"a library").unwrap();
        }
        archive.finish().unwrap();
        bytes.into_inner()
    }

    /// What comes is kept if its hash is the pinned one, and only then; by the same way as a real one, but for the
    /// pip, which hands over anything and checks nothing.
    #[cfg(target_os = "linux")]
    #[test]
    fn the_hash_is_checked_whatever_pip_did() {
        use std::os::unix::fs::PermissionsExt as _;

        use sha2::Digest as _;

        let dir = tempfile::tempdir().unwrap();
        let packed = packed();
        let own = dir.path().join("own.whl");
        fs::write(&own, &packed).unwrap();
        let tools = dir.path().join("tools");
        fs::create_dir(&tools).unwrap();
        let pip = tools.join("pip3");
        let script = format!(
            "#!/bin/sh\nwhile [ \"$1\" != --dest ]; do shift; done\n/bin/cp {} \"$2\"/onnxruntime.whl\n",
            own.display()
        );
        fs::write(&pip, script).unwrap();
        fs::set_permissions(&pip, fs::Permissions::from_mode(0o755)).unwrap();
        let programs = Programs::on(tools.as_os_str());

        let right: String = sha2::Sha256::digest(&packed)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let mut wheel = *Package::Cpu.wheel().unwrap();
        let cache = dir.path().join("cache");
        let folder = cache.join("onnxruntime");
        let refused = fetch(Package::Cpu, &wheel, &folder, &programs)
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains("its hash is another") && refused.contains(&right),
            "{refused}"
        );
        assert_eq!(
            fs::read_dir(&cache).unwrap().count(),
            0,
            "something was kept"
        );

        wheel.sha256 = Box::leak(right.into_boxed_str());
        let library = fetch(Package::Cpu, &wheel, &folder, &programs).unwrap();
        assert_eq!(library, folder.join("libonnxruntime.so.1.32.0"));
        assert_eq!(fs::read(&library).unwrap(), b"a library");
        assert_eq!(
            fs::read_dir(&cache).unwrap().count(),
            1,
            "something was left"
        );

        // A folder in which anybody may replace it is refused.
        fs::remove_dir_all(&folder).unwrap();
        fs::set_permissions(&cache, fs::Permissions::from_mode(0o777)).unwrap();
        let refused = fetch(Package::Cpu, &wheel, &folder, &programs)
            .unwrap_err()
            .to_string();
        assert!(refused.contains("everybody can write"), "{refused}");
    }
}
