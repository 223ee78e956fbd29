//! The libraries that the system knows, by their absolute paths.
//!
//! A bare name is never handed to the system's loader: where `LD_LIBRARY_PATH` has an empty part, and always
//! on macOS, the loader looks for one in the folder that a person stands in.

use std::env;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::library_files::{is_library_name, libraries_in};
use super::programs::trusted_folders;

/// The list of libraries that `ldconfig` keeps (glibc).
const LOADER_CACHE: &str = "/etc/ld.so.cache";

/// That list is some hundred kilobytes; more is not believed.
const MAX_CACHE_BYTES: u64 = 16 << 20;

/// The candidates, in the order in which the loader would look.
pub(super) fn libraries() -> Vec<PathBuf> {
    if cfg!(windows) {
        // Windows itself holds an old one under the plain name.
        return Vec::new();
    }
    let variables: &[&str] = if cfg!(target_os = "macos") {
        &["DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH"]
    } else {
        &["LD_LIBRARY_PATH"]
    };
    let named = variables
        .iter()
        .filter_map(env::var_os)
        .flat_map(|list| trusted_folders(&list));
    let mut found: Vec<PathBuf> = named.flat_map(|folder| libraries_in(&folder)).collect();
    if cfg!(target_os = "linux") {
        found.extend(known_to_loader());
    }
    let usual = usual_folders();
    found.extend(usual.iter().flat_map(|folder| libraries_in(folder)));
    let mut seen = std::collections::HashSet::new();
    found.retain(|path| seen.insert(path.canonicalize().unwrap_or_else(|_| path.clone())));
    found
}

fn usual_folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = ["/usr/local/lib", "/usr/lib", "/lib"]
        .map(PathBuf::from)
        .to_vec();
    if cfg!(target_os = "macos") {
        folders.insert(0, PathBuf::from("/opt/homebrew/lib"));
    } else {
        folders.extend(["/usr/local/lib64", "/usr/lib64", "/lib64"].map(PathBuf::from));
        // Debian's and its like.
        let machine = format!("{}-linux-gnu", env::consts::ARCH);
        folders.extend(["/usr/lib", "/lib"].map(|folder| Path::new(folder).join(&machine)));
    }
    folders
}

fn known_to_loader() -> Vec<PathBuf> {
    let mut bytes = Vec::new();
    let read = File::open(LOADER_CACHE)
        .and_then(|file| file.take(MAX_CACHE_BYTES).read_to_end(&mut bytes));
    match read {
        Ok(_) => of_loader_cache(&bytes),
        // Systems without glibc have none.
        Err(error) => {
            tracing::debug!(%error, "the loader's list cannot be read");
            Vec::new()
        }
    }
}

/// Returns the ONNX Runtime libraries in a list of `ldconfig`; none if the list cannot be parsed.
fn of_loader_cache(bytes: &[u8]) -> Vec<PathBuf> {
    const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
    /// Magic, two counts, and what this does not need.
    const HEADER: usize = 48;
    /// Flags, places of the name and of the path, the system's version, and capabilities.
    const ENTRY: usize = 24;
    // An older list may stand before it.
    let Some(start) = memmem(bytes, MAGIC) else {
        return Vec::new();
    };
    let bytes = &bytes[start..];
    let number = |at: usize| -> Option<usize> {
        let four = bytes.get(at..at.checked_add(4)?)?.first_chunk::<4>()?;
        usize::try_from(u32::from_ne_bytes(*four)).ok()
    };
    let text = |at: usize| -> Option<&str> {
        let rest = bytes.get(at..)?;
        let end = rest.iter().position(|&byte| byte == 0)?;
        std::str::from_utf8(&rest[..end]).ok()
    };
    let entries = number(MAGIC.len()).unwrap_or(0);
    let most = bytes.len().saturating_sub(HEADER) / ENTRY;
    (0..entries.min(most))
        .map(|i| HEADER + i * ENTRY)
        .filter_map(|at| Some((text(number(at + 4)?)?, text(number(at + 8)?)?)))
        .filter(|(name, path)| is_library_name(name) && Path::new(path).is_absolute())
        .map(|(_, path)| PathBuf::from(path))
        .collect()
}

fn memmem(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// A list as `ldconfig` writes it.
    fn list(entries: &[(&str, &str)]) -> Vec<u8> {
        let mut strings = Vec::new();
        let mut table = Vec::new();
        let first = 48 + entries.len() * 24;
        for (name, path) in entries {
            let mut put = |text: &str| {
                let at = (first + strings.len()) as u32;
                strings.extend(text.as_bytes());
                strings.push(0);
                at
            };
            let (name, path) = (put(name), put(path));
            for number in [0x0303, name, path, 0, 0, 0] {
                table.extend(u32::to_ne_bytes(number));
            }
        }
        let mut bytes = b"glibc-ld.so.cache1.1".to_vec();
        bytes.extend((entries.len() as u32).to_ne_bytes());
        bytes.resize(48, 0);
        bytes.extend(table);
        bytes.extend(strings);
        bytes
    }

    #[test]
    fn the_loaders_list_is_read_and_nonsense_is_nothing() {
        let whole = list(&[
            ("libm.so.6", "/lib/libm.so.6"),
            ("libonnxruntime.so.1", "/opt/ort/lib/libonnxruntime.so.1"),
            ("libonnxruntime_providers_shared.so", "/opt/ort/lib/p.so"),
            ("libonnxruntime.so", "libonnxruntime.so"),
        ]);
        let found = [PathBuf::from("/opt/ort/lib/libonnxruntime.so.1")];
        assert_eq!(of_loader_cache(&whole), found);
        let behind = [&b"ld.so-1.7.0\0\0\0\0\0"[..], &whole].concat();
        assert_eq!(of_loader_cache(&behind), found);
        for end in 0..whole.len() {
            of_loader_cache(&whole[..end]);
        }
        let mut wild = whole.clone();
        wild[20..24].fill(0xff);
        wild[48 + 24 + 8..48 + 24 + 12].fill(0xff);
        assert!(of_loader_cache(&wild).is_empty());
    }

    #[test]
    fn the_systems_own_list_is_understood() {
        let Ok(bytes) = std::fs::read(LOADER_CACHE) else {
            println!("skipped: this system has no {LOADER_CACHE}");
            return;
        };
        // What was built against the C library is in the list, so this is what ldconfig writes.
        assert!(memmem(&bytes, b"glibc-ld.so.cache1.1").is_some());
        for path in libraries() {
            assert!(path.is_absolute(), "{}", path.display());
        }
    }
}
