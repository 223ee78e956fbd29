//! Says which commit is built, for `imgsearch --version`.
//!
//! Whoever builds from an archive names it in `IMGSEARCH_COMMIT`; a package of cargo has it in its
//! `.cargo_vcs_info.json`; a clone is asked by git. Builds for development are asked for nothing but the variable:
//! otherwise every commit would compile everything again.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

/// Hexadecimal digits that are shown.
const DIGITS: usize = 12;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=IMGSEARCH_COMMIT");
    let named = env::var("IMGSEARCH_COMMIT")
        .ok()
        .filter(|commit| !commit.is_empty());
    let is_release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let Some(folder) = env::var_os("CARGO_MANIFEST_DIR") else {
        return;
    };
    let folder = Path::new(&folder);
    let commit = named
        .or_else(|| packaged(folder))
        .or_else(|| if is_release { of_clone(folder) } else { None });
    if let Some(commit) = commit {
        println!("cargo::rustc-env=IMGSEARCH_COMMIT={commit}");
    }
}

/// Returns the commit that a package of cargo was made from.
fn packaged(folder: &Path) -> Option<String> {
    let text = fs::read_to_string(folder.join(".cargo_vcs_info.json")).ok()?;
    let (_, rest) = text.split_once("\"sha1\"")?;
    let commit = rest.split('"').nth(1)?;
    Some(commit.chars().take(DIGITS).collect())
}

/// Returns the commit of a clone, with `+` after it if a file that git knows was changed since.
fn of_clone(folder: &Path) -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(folder)
            .output()
            .ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    // The sources can lie in the repository of something else, whose commit says nothing of them.
    git(&["ls-files", "--error-unmatch", "Cargo.toml"])?;
    // Runs again after every commit, and after every change of a source.
    for name in ["HEAD", "logs/HEAD", "index"] {
        let path = git(&["rev-parse", "--git-path", name])?;
        let path = folder.join(path);
        if path.exists() {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    for name in ["src", "index", "onnx", "train", "Cargo.toml"] {
        if folder.join(name).exists() {
            println!("cargo::rerun-if-changed={name}");
        }
    }
    let commit = git(&["rev-parse", &format!("--short={DIGITS}"), "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no"])?;
    Some(if changed.is_empty() {
        commit
    } else {
        format!("{commit}+")
    })
}
