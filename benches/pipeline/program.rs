//! The program in a process of its own.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;
use crate::folders::{self, Folder};

/// How many times more files are indexed to see whether memory grows with them.
const TIMES: usize = 4;

/// How often the memory of a process is measured.
const LOOK_EVERY: Duration = Duration::from_millis(3);

/// The program, with an index.
pub fn program(index: &Path, arguments: &[&OsStr]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_imgsearch"));
    command.args(arguments).env("IMGSEARCH_INDEX", index);
    command
}

/// Runs the program; returns the milliseconds from start to end, and what it printed.
pub fn run(index: &Path, arguments: &[&OsStr]) -> Result<(f64, String)> {
    let started = Instant::now();
    let output = program(index, arguments).output()?;
    let ms = started.elapsed().as_secs_f64() * 1000.0;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok((ms, String::from_utf8_lossy(&output.stdout).into_owned()))
}

/// Indexes the files below a path.
pub fn index(path: &Path, index: &Path) -> Result {
    let words = ["--quiet", "index", "--no-adapt"].map(OsStr::new);
    let arguments = [&words[..], &[path.as_os_str()]].concat();
    run(index, &arguments)?;
    Ok(())
}

/// Prints the peak memory of indexing each folder, and of several times as many files.
pub fn memory(folders: &[Folder], work: &Path) -> Result {
    println!();
    if !cfg!(target_os = "linux") {
        println!("memory is not measured on this system");
        return Ok(());
    }
    println!("the most memory that `imgsearch index` takes, in MB resident");
    for (i, folder) in folders.iter().enumerate() {
        let more = work.join("more");
        folders::copies(folder, TIMES - 1, &more)?;
        let few = watch(&[&folder.path], &work.join(format!("few-{i}")))?.peak_mb;
        let many = watch(&[&folder.path, &more], &work.join(format!("many-{i}")))?.peak_mb;
        std::fs::remove_dir_all(&more)?;
        println!(
            "{:<14} {:>6} files {few:>6.0}, {:>6} files {many:>6.0} ({:+.1} %)",
            folder.name,
            folder.files.len(),
            folder.files.len() * TIMES,
            100.0 * (many / few - 1.0)
        );
    }
    Ok(())
}

/// The costs of a run of `imgsearch index`.
pub struct Watched {
    /// Time from the start of the process to its end.
    pub seconds: f64,
    /// Peak resident memory in MB; 0 on systems other than Linux.
    pub peak_mb: f64,
}

/// Indexes files and measures the process.
pub fn watch(paths: &[&Path], index: &Path) -> Result<Watched> {
    let mut arguments: Vec<&OsStr> = vec!["--quiet".as_ref(), "index".as_ref()];
    arguments.extend(paths.iter().map(|path| path.as_os_str()));
    let started = Instant::now();
    let mut child = program(index, &arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let mut peak_mb = 0.0f64;
    let ended = loop {
        // The kernel keeps the peak, but only while the process lives.
        if let Some(kb) = std::fs::read_to_string(&status).ok().and_then(|status| {
            let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
            line.split_whitespace().nth(1)?.parse::<f64>().ok()
        }) {
            peak_mb = peak_mb.max(kb * 1024.0 / 1e6);
        }
        if let Some(ended) = child.try_wait()? {
            break ended;
        }
        std::thread::sleep(LOOK_EVERY);
    };
    let seconds = started.elapsed().as_secs_f64();
    // 1: some files could not be indexed.
    if !ended.success() && ended.code() != Some(1) {
        return Err(format!("imgsearch index ended with {ended}").into());
    }
    Ok(Watched { seconds, peak_mb })
}
