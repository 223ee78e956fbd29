//! ONNX Runtime: finds it, downloads it if it is missing, and loads it once per process.
//!
//! Owns the process's one environment. The library is loaded through `ort::init_from`, which
//! reports what is wrong; the path that loads it lazily would panic.
//!
//! What runs as this program's own code is decided by the person and the system's administrator, never by the
//! folder that somebody stands in or by one that everybody can write to: a library is loaded by its absolute
//! path, and one that nobody named only from where others cannot put it.

mod fetch;
mod library_files;
mod locate;
mod programs;
mod system;
mod telemetry;
mod trust;
mod wheel;

use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

use ort::ep::ExecutionProvider as _;

pub use fetch::{InstallOptions, install};
pub use library_files::cache_folder;
pub use locate::{FoundBy, offer_runtime_folder};
pub use telemetry::disable_telemetry;
pub use wheel::{PINNED_CUDA_VERSION, PINNED_VERSION};

use crate::error::{Error, Result};

/// How ONNX Runtime is found.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RuntimeOptions {
    /// The library to load, and no other. Default: `ORT_DYLIB_PATH`, which has to be an absolute path, and then it
    /// is looked for.
    pub library: Option<PathBuf>,
    /// Never fetch it.
    pub offline: bool,
    /// Look for the library that can use a graphics card first.
    pub prefer_cuda: bool,
    /// Told, in one line, that it is about to be fetched.
    pub notice: Option<fn(&str)>,
}

/// The ONNX Runtime of this process.
#[derive(Debug)]
pub struct Runtime {
    library: PathBuf,
    found: FoundBy,
    version: String,
    providers: Vec<&'static str>,
    seconds: f64,
    pub(crate) environment: ort::environment::Environment,
}

static RUNTIME: OnceLock<Runtime> = OnceLock::new();
/// Held while the library is looked for, so that it is fetched once.
static LOADING: Mutex<()> = Mutex::new(());

impl Runtime {
    /// Finds and loads ONNX Runtime, or gives back the one that this process has loaded; a
    /// process loads one library for good.
    ///
    /// It is looked for in this order: the option; the environment variable `ORT_DYLIB_PATH`; a folder that
    /// [`offer_runtime_folder`] names; next to the executable; in the user's cache folder; in the folders of the system's loader; in an
    /// installed Python package `onnxruntime`. In each, the newest is tried first, and then the others.
    /// One that everybody can replace is left out, unless it was named. Where there is none, it is fetched
    /// once by `pip download` from the pinned, hashed package.
    ///
    /// # Errors
    ///
    /// [`Error::BadRuntime`] if a library was named and cannot be used,
    /// [`Error::NoRuntime`] if none was found and none may be fetched, [`Error::Fetch`].
    pub fn load(options: &RuntimeOptions) -> Result<&'static Self> {
        let _loading = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = RUNTIME.get() {
            return Ok(runtime);
        }
        let started = Instant::now();
        let mut runtime = find_and_load(options)?;
        runtime.seconds = started.elapsed().as_secs_f64();
        tracing::info!(
            version = runtime.version,
            library = ?runtime.library,
            found = ?runtime.found,
            "ONNX Runtime"
        );
        Ok(RUNTIME.get_or_init(|| runtime))
    }

    /// The library's file: an absolute path.
    pub fn library(&self) -> &std::path::Path {
        &self.library
    }

    /// How the library was found.
    pub fn found(&self) -> FoundBy {
        self.found
    }

    /// The library's version, such as `1.32.0`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The execution providers that the library was built with. Opening a session shows whether
    /// one is available on this machine.
    pub fn providers(&self) -> &[&'static str] {
        &self.providers
    }

    /// Seconds that finding and loading it took.
    pub fn load_seconds(&self) -> f64 {
        self.seconds
    }
}

/// The environment variable that names a library.
const VARIABLE: &str = "ORT_DYLIB_PATH";

fn variable() -> Option<PathBuf> {
    std::env::var_os(VARIABLE)
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
}

fn find_and_load(options: &RuntimeOptions) -> Result<Runtime> {
    let named = match (&options.library, variable()) {
        (Some(library), _) => Some(library.clone()),
        (None, Some(path)) if path.is_absolute() => Some(path),
        (None, Some(path)) => {
            return Err(Error::BadRuntime {
                path,
                reason: format!(
                    "{VARIABLE} names it by a relative path, and the folder that one stands in must not decide what is \
                     loaded; write the whole path"
                ),
            });
        }
        (None, None) => None,
    };
    if let Some(path) = named {
        return load(path.clone(), FoundBy::Named)
            .map_err(|reason| Error::BadRuntime { path, reason });
    }
    let mut tried = Vec::new();
    for place in locate::places(options.prefer_cuda) {
        let (name, path, found) = match place {
            locate::Place::Library { path, found } => (path.display().to_string(), path, found),
            locate::Place::Nothing { place, why } => {
                tracing::debug!(place, why, "no ONNX Runtime");
                tried.push((place, why));
                continue;
            }
        };
        match load(path, found) {
            Ok(runtime) => return Ok(runtime),
            Err(why) => {
                tracing::debug!(name, why, "no ONNX Runtime");
                tried.push((name, why));
            }
        }
    }
    if options.offline {
        return Err(Error::NoRuntime {
            tried,
            cure: "It may not be fetched with --offline. Without it, imgsearch fetches it once; or install it \
                   yourself (pip install onnxruntime) or name it with --ort-library FILE"
                .to_owned(),
        });
    }
    let path = install(&InstallOptions {
        cuda: false,
        notice: options.notice,
    })?;
    load(path.clone(), FoundBy::Fetched).map_err(|reason| Error::BadRuntime { path, reason })
}

/// Loads a library and sets the environment up.
fn load(library: PathBuf, found: FoundBy) -> Result<Runtime, String> {
    if !library.is_file() {
        return Err("there is no such file".to_owned());
    }
    // A relative path would be looked for beside the executable, a bare name by the system's loader.
    let library = std::path::absolute(&library).map_err(|error| error.to_string())?;
    disable_telemetry();
    let environment = ort::init_from(&library)
        .map_err(|error| chain(&error))?
        .with_name("imgsearch")
        .with_telemetry(false)
        .build()
        .map_err(|error| chain(&error))?;
    environment.set_log_level(ort::logging::LogLevel::Error);
    Ok(Runtime {
        version: version_of(ort::info(), &library),
        providers: providers(),
        seconds: 0.0,
        library,
        found,
        environment,
    })
}

/// What an error and those beneath it say, each thing once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut next = error.source();
    while let Some(beneath) = next {
        let text = beneath.to_string();
        if !said.contains(&text) {
            said = format!("{said}: {text}");
        }
        next = beneath.source();
    }
    said
}

/// The version out of the build's description, such as `git-branch=rel-1.32.0`, else out of the
/// file's name.
fn version_of(info: &str, library: &std::path::Path) -> String {
    let digits = |text: &str| -> Option<String> {
        let version: String = text
            .chars()
            .take_while(|c| c.is_ascii_digit() || *c == '.')
            .collect();
        (version.split('.').count() >= 2).then(|| version.trim_end_matches('.').to_owned())
    };
    let branch = info.split("rel-").nth(1).and_then(digits);
    let name = library.file_name().unwrap_or_default().to_string_lossy();
    branch
        .or_else(|| name.split(".so.").nth(1).and_then(digits))
        .unwrap_or_else(|| "unknown".to_owned())
}

fn providers() -> Vec<&'static str> {
    let mut providers = vec!["cpu"];
    if ort::ep::CUDA::is_available().unwrap_or(false) {
        providers.push("cuda");
    }
    providers
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn versions_are_read_from_the_build_or_the_name() {
        let file = Path::new("/x/libonnxruntime.so.1.20.1");
        let info = "ORT Build Info: git-branch=rel-1.32.0, git-commit-id=0123456789";
        assert_eq!(version_of(info, file), "1.32.0");
        assert_eq!(
            version_of("ORT Build Info: git-branch=main", file),
            "1.20.1"
        );
        assert_eq!(version_of("", Path::new("onnxruntime.dll")), "unknown");
    }
}
