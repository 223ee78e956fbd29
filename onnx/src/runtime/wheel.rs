//! The pinned packages of ONNX Runtime, and taking the libraries out of one whose hash is right.
//!
//! The library in a Python package is the plain C library, the same for every version of Python,
//! so one wheel a platform is pinned, whichever Python is installed.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::library_files::{cache_folder, is_library_name};
use crate::error::{Error, Result};

/// The version that is fetched for the processor.
pub const PINNED_VERSION: &str = "1.32.0";

/// The version that is fetched for graphics cards.
pub const PINNED_CUDA_VERSION: &str = "1.31.1";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Package {
    Cpu,
    Cuda,
}

/// A package for one platform.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wheel {
    /// Operating system and processor, as Rust names them.
    machine: (&'static str, &'static str),
    /// The platform, as pip names it.
    pub platform: &'static str,
    pub megabytes: u32,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: &'static str,
}

const CPU_WHEELS: &[Wheel] = &[
    Wheel {
        machine: ("linux", "x86_64"),
        platform: "manylinux_2_28_x86_64",
        megabytes: 28,
        sha256: "99e1074c4b2197accd5073052a465361be17b89c093b8ffb6e6bd8f986c52df8",
    },
    Wheel {
        machine: ("linux", "aarch64"),
        platform: "manylinux_2_28_aarch64",
        megabytes: 28,
        sha256: "e36c187006e7a7c8b8d6d57f1a209dd63f52430dca6c282b177718ad6b841054",
    },
    Wheel {
        machine: ("macos", "aarch64"),
        platform: "macosx_14_0_arm64",
        megabytes: 28,
        sha256: "d52510bbbcc880c13b826f7d75cdf33ac5cf0bb864d960000fc29ce73f0cb83e",
    },
    Wheel {
        machine: ("windows", "x86_64"),
        platform: "win_amd64",
        megabytes: 28,
        sha256: "efe7456952c243a05a53d5b8732953625144642c2f3989094277f6217f0c0c40",
    },
    Wheel {
        machine: ("windows", "aarch64"),
        platform: "win_arm64",
        megabytes: 28,
        sha256: "64d394c69d561af3efd4d4f49dcac8f11d0ce135a20701c16d53b74056cd4cf8",
    },
];

const CUDA_WHEELS: &[Wheel] = &[
    Wheel {
        machine: ("linux", "x86_64"),
        platform: "manylinux_2_28_x86_64",
        megabytes: 300,
        sha256: "05d548956197b9d01f59b625de740e0d6be3593f874e241a12dc0362650ecdf7",
    },
    Wheel {
        machine: ("windows", "x86_64"),
        platform: "win_amd64",
        megabytes: 300,
        sha256: "2bb1e9373baba88f6415257f5b6a589d23e23c16004f7d89adf4344eada5749e",
    },
];

impl Package {
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "onnxruntime",
            Self::Cuda => "onnxruntime-gpu",
        }
    }

    pub fn version(self) -> &'static str {
        match self {
            Self::Cpu => PINNED_VERSION,
            Self::Cuda => PINNED_CUDA_VERSION,
        }
    }

    /// Where it is kept.
    pub fn folder(self) -> Option<PathBuf> {
        Some(cache_folder()?.join(format!("{}-{}", self.name(), self.version())))
    }

    /// The one for this machine.
    pub fn wheel(self) -> Result<&'static Wheel> {
        let wheels = match self {
            Self::Cpu => CPU_WHEELS,
            Self::Cuda => CUDA_WHEELS,
        };
        let (system, processor) = (std::env::consts::OS, std::env::consts::ARCH);
        wheels
            .iter()
            .find(|wheel| wheel.machine == (system, processor))
            .ok_or_else(|| Error::Fetch {
                reason: format!("{} has no package for {system} on {processor}", self.name()),
                cure: "Build or install ONNX Runtime 1.17 or newer and name it with --ort-library FILE".to_owned(),
            })
    }
}

/// Takes the libraries out of a wheel, which is a zip archive, if its hash is the pinned one.
///
/// pip checks the hash as well, but the loaded library must not depend on that pip.
///
/// # Errors
///
/// [`Error::Fetch`] for another file, of which nothing is kept.
pub(super) fn extract_pinned(wheel: &Path, sha256: &str, target: &Path) -> Result<()> {
    // Opened once: what is hashed is what is taken apart.
    let mut file = File::open(wheel).map_err(|source| Error::io("open", wheel, source))?;
    let found = sha256_of(&mut file).map_err(|source| Error::io("read", wheel, source))?;
    if found != sha256 {
        return Err(changed(&format!("it is {found}, and {sha256} is pinned")));
    }
    file.rewind()
        .map_err(|source| Error::io("read", wheel, source))?;
    let broken = |error: zip::result::ZipError| failed(&format!("{}: {error}", wheel.display()));
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

/// The SHA-256 of a file from if it stands, in hexadecimal.
fn sha256_of(file: &mut File) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            n => hasher.update(&buffer[..n]),
        }
    }
    let bytes = hasher.finalize();
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Whether a file is one of the libraries that ONNX Runtime loads a provider from.
fn is_provider_name(name: &str) -> bool {
    ["onnxruntime_providers_shared", "onnxruntime_providers_cuda"]
        .iter()
        .any(|provider| name.trim_start_matches("lib").starts_with(provider))
}

/// Returns the error of a package that is not the pinned one.
pub(super) fn changed(how: &str) -> Error {
    Error::Fetch {
        reason: format!("the package that came is not the pinned one: its hash is another ({how})"),
        cure: "Nothing of it was kept. A proxy, a mirror or pip's own cache may have changed it: try another \
               network or `pip cache purge`, or name a library that you trust with --ort-library FILE"
            .to_owned(),
    }
}

/// Returns the error of a download that failed.
pub(super) fn failed(reason: &str) -> Error {
    Error::Fetch {
        reason: reason.to_owned(),
        cure: "Check the network and try again, or install ONNX Runtime 1.17 or newer yourself (pip install \
               onnxruntime) or name its library with --ort-library FILE"
            .to_owned(),
    }
}
