//! Dropping what the system keeps of files in memory.

use std::path::Path;
use std::process::{Command, Stdio};

/// Drops the page cache of a file, or of all files below a folder. Pages that a process has mapped
/// stay. Linux.
pub fn evict(path: &Path) {
    // Pages that are not on disk yet would stay, too.
    assert!(Command::new("sync").status().unwrap().success());
    drop_below(path);
}

fn drop_below(path: &Path) {
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            drop_below(&entry.unwrap().path());
        }
        return;
    }
    let mut file = std::ffi::OsString::from("if=");
    file.push(path);
    let dropped = Command::new("dd")
        .arg(file)
        .args(["of=/dev/null", "iflag=nocache", "count=0", "status=none"])
        .stdout(Stdio::null())
        .status();
    assert!(dropped.unwrap().success());
}
