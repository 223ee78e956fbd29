//! Helpers of the tests: a folder of their own, and the program in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// A folder with images, and an index next to it.
pub struct Place {
    dir: TempDir,
}

/// The result of a run of the program.
#[derive(Debug)]
pub struct Ran {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn json_lines(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Returns the summary of an `index --json`.
    pub fn summary(&self) -> Value {
        let last = self
            .json_lines()
            .pop()
            .unwrap_or_else(|| panic!("{self:?}"));
        assert_eq!(last["event"], "summary", "{self:?}");
        last["summary"].clone()
    }

    /// Fails unless the program ended with this status.
    #[track_caller]
    pub fn ended(self, status: i32) -> Self {
        assert_eq!(self.status, status, "{}\n{}", self.stdout, self.stderr);
        self
    }
}

impl Place {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("photos")).unwrap();
        Self { dir }
    }

    /// Creates a place with some of the samples.
    pub fn with(samples: &[&str]) -> Self {
        let place = Self::new();
        for name in samples {
            std::fs::copy(sample(name), place.photo(name)).unwrap();
        }
        place
    }

    pub fn photos(&self) -> PathBuf {
        self.dir.path().join("photos")
    }

    pub fn photo(&self, name: &str) -> PathBuf {
        self.photos().join(name)
    }

    pub fn index_dir(&self) -> PathBuf {
        self.dir.path().join("index")
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_imgsearch"));
        command
            .current_dir(self.dir.path())
            .env("IMGSEARCH_INDEX", self.index_dir())
            // Whoever runs the tests may have settings.
            .env("IMGSEARCH_CONFIG", "")
            .env_remove("NO_COLOR")
            .env_remove("CLICOLOR_FORCE");
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        ran(self.command().args(arguments).output().unwrap())
    }

    /// As [`Place::command`], but bound by file permissions even if the tests run as root. If this system has no
    /// way to do that, says so and returns `None`.
    #[cfg(unix)]
    pub fn bound_command(&self) -> Option<Command> {
        use std::os::unix::fs::PermissionsExt;
        let closed = self.dir.path().join("closed");
        std::fs::write(&closed, "").unwrap();
        std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o000)).unwrap();
        if std::fs::read(&closed).is_err() {
            return Some(self.command());
        }
        // Still root, so that everything that is needed can be read, but without root's privileges.
        let bound = ["--bounding-set=-all", "--inh-caps=-all"];
        let probe = Command::new("setpriv")
            .args(bound)
            .arg("cat")
            .arg(&closed)
            .output();
        let refused = |output: &Output| {
            !output.status.success()
                && String::from_utf8_lossy(&output.stderr).contains("Permission denied")
        };
        if !probe.as_ref().is_ok_and(refused) {
            eprintln!(
                "SKIPPED: root reads every file, and its privileges cannot be dropped: {probe:?}"
            );
            return None;
        }
        let mut command = Command::new("setpriv");
        command
            .args(bound)
            .arg(env!("CARGO_BIN_EXE_imgsearch"))
            .current_dir(self.dir.path())
            .env("IMGSEARCH_INDEX", self.index_dir())
            .env("IMGSEARCH_CONFIG", "");
        Some(command)
    }

    /// Runs `imgsearch index photos`, which must succeed, and returns the summary.
    #[track_caller]
    pub fn index(&self) -> Value {
        self.run(&["index", "photos", "--json"]).ended(0).summary()
    }

    /// Returns the number of stored images.
    #[track_caller]
    pub fn images(&self) -> u64 {
        let status = self.run(&["status", "--json"]).ended(0).json_lines();
        status[0]["stats"]["images"].as_u64().unwrap()
    }

    /// Returns the names of the images nearest to a file, best first.
    #[track_caller]
    pub fn nearest(&self, image: &Path, k: usize) -> Vec<String> {
        let ran = self
            .run(&[
                "query",
                image.to_str().unwrap(),
                "-k",
                &k.to_string(),
                "--json",
            ])
            .ended(0);
        let line = &ran.json_lines()[0];
        line["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(|found| {
                let path = Path::new(found["path"].as_str().unwrap());
                path.file_name().unwrap().to_str().unwrap().to_owned()
            })
            .collect()
    }
}

pub fn ran(output: Output) -> Ran {
    Ran {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

pub fn sample(name: &str) -> PathBuf {
    samples().join(name)
}

pub fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples")
}

/// Returns the names of all samples, sorted.
pub fn sample_names() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(samples())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".jpg"))
        .collect();
    names.sort();
    names
}
