//! A reader's machine: a home with photographs in it, a card that is plugged in, and a shell.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use tempfile::TempDir;

use crate::support::{sample_names, samples};

/// What pages call the home folder, the card, and the port.
const HOME: &str = "/home/me";
const CARD: &str = "/media/card";
const PORT: &str = "7878";

/// The date of the photographs' files: noon of 17 May 2024.
const DATE: u64 = 1_715_947_200;

/// A program that does nothing for this long is stuck.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Shell {
    root: TempDir,
    port: String,
}

impl Shell {
    pub fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let shell = Self {
            root,
            port: free_port(),
        };
        // A cat and coffee were copied already; the others are new.
        for (folder, wanted) in [
            (format!("{HOME}/photos"), ""),
            (format!("{HOME}/Pictures"), ""),
            (CARD.to_owned(), "co"),
        ] {
            let folder = shell.real(&folder);
            fs::create_dir_all(&folder).unwrap();
            for name in sample_names()
                .iter()
                .filter(|name| name.starts_with(wanted))
            {
                copy(&samples().join(name), &folder.join(name));
            }
        }
        shell
    }

    /// Returns where a folder of the reader's machine really is.
    fn real(&self, folder: &str) -> PathBuf {
        self.root.path().join(folder.trim_start_matches('/'))
    }

    fn command(&self, line: &str) -> Command {
        let program = Path::new(env!("CARGO_BIN_EXE_imgsearch"));
        let mut path = program.parent().unwrap().as_os_str().to_owned();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let card = self.real(CARD);
        let line = line
            .replace(CARD, card.to_str().unwrap())
            .replace(PORT, &self.port);
        let mut command = Command::new("sh");
        // What runs meanwhile and is ended is the program, not a shell above it.
        command.args(["-c", &format!("exec 2>&1; {line}")]);
        command
            .current_dir(self.real(HOME))
            .stdin(Stdio::null())
            .env("PATH", path)
            .env("HOME", self.real(HOME))
            .env("TZ", "UTC")
            .env("ORT_DYLIB_PATH", runtime())
            .env("SHOWN", self.shown());
        for variable in [
            "COLUMNS",
            "IMGSEARCH_INDEX",
            "XDG_DATA_HOME",
            "XDG_CONFIG_HOME",
            "XDG_CACHE_HOME",
        ] {
            command.env_remove(variable);
        }
        command
    }

    fn shown(&self) -> PathBuf {
        self.root.path().join("shown")
    }

    /// Runs a command. Returns its status and what it printed, as a reader would see it.
    pub fn run(&self, line: &str) -> (i32, String) {
        // Into a file: what runs in the background must not keep a pipe open.
        let printed = self.root.path().join("printed");
        let mut child = self.start(line, &printed);
        let status = child.wait().unwrap().code().unwrap_or(-1);
        (status, self.seen(&printed))
    }

    /// Runs a command until another one is done. Returns the first one's status and what it printed.
    pub fn run_while(&self, line: &str, meanwhile: &str) -> Result<(i32, String), String> {
        let shown = self.shown();
        let mut child = self.start(&format!("exec {line}"), &shown);
        let (status, printed) = self.run(meanwhile);
        // Not SIGINT, which a job in the background inherits as ignored.
        let interrupted = Command::new("kill")
            .args(["-TERM", &child.id().to_string()])
            .status();
        assert!(interrupted.unwrap().success());
        let end = ended(&mut child).ok_or_else(|| format!("`{line}` does not end"))?;
        if status != 0 {
            let seen = self.seen(&shown);
            return Err(format!(
                "`{meanwhile}` ended with {status}:\n{printed}\n`{line}` printed:\n{seen}"
            ));
        }
        Ok((end, self.seen(&shown)))
    }

    fn start(&self, line: &str, printed: &Path) -> Child {
        self.command(line)
            .stdout(File::create(printed).unwrap())
            .spawn()
            .unwrap()
    }

    fn seen(&self, printed: &Path) -> String {
        let text = String::from_utf8_lossy(&fs::read(printed).unwrap()).into_owned();
        let root = self.root.path().canonicalize().unwrap();
        text.replace(root.to_str().unwrap(), "")
            .replace(self.root.path().to_str().unwrap(), "")
            .replace(&self.port, PORT)
    }
}

impl Drop for Shell {
    /// Ends what the page's commands left running; they wrote the numbers of their processes to `.started`.
    fn drop(&mut self) {
        let started = fs::read_to_string(self.real(HOME).join(".started")).unwrap_or_default();
        for process in started.split_whitespace() {
            let ended = Command::new("kill").args(["-TERM", process]).status();
            assert!(ended.is_ok_and(|status| status.success()) || std::thread::panicking());
        }
    }
}

fn ended(child: &mut Child) -> Option<i32> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status.code().unwrap_or(-1));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    None
}

fn copy(from: &Path, to: &Path) {
    fs::copy(from, to).unwrap();
    let date = SystemTime::UNIX_EPOCH + Duration::from_secs(DATE);
    File::options()
        .write(true)
        .open(to)
        .unwrap()
        .set_modified(date)
        .unwrap();
}

fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port().to_string()
}

/// The ONNX Runtime of this machine, because the reader's home has none.
fn runtime() -> &'static str {
    static RUNTIME: OnceLock<String> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let output = Command::new(env!("CARGO_BIN_EXE_imgsearch"))
            .args(["runtime", "--json"])
            .output()
            .unwrap();
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        found["library"].as_str().unwrap().to_owned()
    })
}
