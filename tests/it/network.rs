//! Nothing is sent: a preloaded library (`sockets.c`) records each attempt to reach a network, and there is none.
//!
//! The download of ONNX Runtime is not watched, so it is there before. Linux only.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Place, ran};

/// Builds a C library from source.
pub fn built(source: &Path, folder: &Path, name: &str) -> PathBuf {
    let library = folder.join(name);
    let built = Command::new("cc")
        .args(["-O1", "-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(source)
        .arg("-ldl")
        .status()
        .expect("a C compiler, which script/setup installs");
    assert!(built.success());
    library
}

struct Watch {
    library: PathBuf,
    log: PathBuf,
}

impl Watch {
    fn new(folder: &Path) -> Self {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/sockets.c");
        Self {
            library: built(&source, folder, "sockets.so"),
            log: folder.join("sockets.log"),
        }
    }

    fn over<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("LD_PRELOAD", &self.library)
            .env("WATCH_LOG", &self.log)
    }

    /// Returns which programs started, and which attempts were made, since the last call.
    fn seen(&self) -> (Vec<String>, Vec<String>) {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let _ = std::fs::remove_file(&self.log);
        let lines = log.lines().map(str::to_owned);
        lines.partition(|line| line.starts_with("began "))
    }
}

#[test]
fn commands_do_not_use_the_network() {
    let place = Place::with(&["cat.jpg", "coffee.jpg", "bricks.jpg"]);
    let folder = place.photos().with_file_name("");
    place.run(&["runtime"]).ended(0);
    let watch = Watch::new(&folder);
    let mut idx = vec![0, 0, 8, 3, 0, 0, 0, 40, 0, 0, 0, 8, 0, 0, 0, 8];
    idx.extend((0..40 * 64).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8));
    std::fs::write(folder.join("images"), &idx).unwrap();
    for arguments in [
        &["index", "photos"][..],
        &["index", "photos"],
        &["query", "photos/cat.jpg"],
        &["status"],
        &["check"],
        &["optimize"],
        &["encode", "photos/cat.jpg"],
        &["remove", "photos/bricks.jpg"],
        &["runtime"],
        &[
            "train",
            "images",
            "-o",
            "small.onnx",
            "--kind",
            "simple",
            "--code",
            "4",
            "--bits",
            "8",
            "--epochs",
            "1",
        ],
    ] {
        let mut command = place.command();
        let done = ran(watch.over(&mut command).args(arguments).output().unwrap());
        let (began, attempts) = watch.seen();
        assert!(
            began.iter().any(|line| line.contains("imgsearch")),
            "the watcher was not there: {began:?}"
        );
        assert!(attempts.is_empty(), "{arguments:?}: {attempts:?}");
        done.ended(0);
    }
}

#[test]
fn an_attempt_to_reach_a_network_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let watch = Watch::new(dir.path());
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    for (code, kinds) in [
        (
            format!("import socket; socket.create_connection(('127.0.0.1', {port}))"),
            &["getaddrinfo", "socket", "connect"][..],
        ),
        (
            format!("import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {port}))"),
            &["socket", "sendto"],
        ),
        (
            "import ctypes; ctypes.CDLL(None).syscall(41 if __import__('platform').machine() == 'x86_64' else 198, 2, 1, 0)".to_owned(),
            &["syscall"],
        ),
    ] {
        let mut command = Command::new("python3");
        let done = ran(watch.over(&mut command).args(["-c", &code]).output().unwrap());
        let (_, attempts) = watch.seen();
        for kind in kinds {
            assert!(
                attempts.iter().any(|line| line.starts_with(kind)),
                "{kind} is not in {attempts:?} of {code}: {done:?}"
            );
        }
        done.ended(0);
    }
}
