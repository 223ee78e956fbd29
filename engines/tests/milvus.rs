//! A Milvus server for tests: started in some seconds, killed and brought back at will.
//!
//! `script/engines install` puts it into `target/engines`, for Linux on x86-64. Without it, tests that need it say that
//! they are skipped.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

/// The password of the user `root` in a new server.
pub const PASSWORD: &str = "Milvus";

pub struct Milvus {
    dir: tempfile::TempDir,
    root: PathBuf,
    pub port: u16,
    health: u16,
    child: Option<Child>,
}

/// Returns the folder of the servers, if there is a Milvus in it.
fn installed() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = if root.join("script/engines").exists() {
        root
    } else {
        root.parent()?
    };
    let root = root.join("target/engines");
    if !root.join("milvus/bin/milvus").exists() {
        eprintln!("skipped: there is no Milvus; script/engines install installs one");
        return None;
    }
    Some(root)
}

impl Milvus {
    /// Returns a server that the tests which run at the same time share; `None` if there is none to start.
    pub fn shared() -> Option<Arc<Self>> {
        static SHARED: Mutex<Weak<Milvus>> = Mutex::new(Weak::new());
        let mut shared = SHARED
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return Some(server);
        }
        let server = Arc::new(Self::start()?);
        *shared = Arc::downgrade(&server);
        Some(server)
    }

    /// Starts a server that holds nothing; `None` if there is none to start.
    pub fn start() -> Option<Self> {
        let root = installed()?;
        let dir = tempfile::tempdir().unwrap();
        let package = root.join("packages/milvus/data");
        let template = fs::read_to_string(package.join("config.yaml.template")).unwrap();
        for folder in ["configs", "logs", "data"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        fs::copy(
            package.join("glog.conf"),
            dir.path().join("configs/glog.conf"),
        )
        .unwrap();
        let mut free = free_ports();
        let (port, health) = (free.next().unwrap(), free.next().unwrap());
        let place = |name: &str| dir.path().join(name).display().to_string();
        // What is open is in double braces, as `name(type): default`.
        let mut config = String::new();
        let mut rest = &template[..];
        while let Some((before, after)) = rest.split_once("{{") {
            let (slot, after) = after.split_once("}}").unwrap();
            let end = slot.find(['(', ':']).unwrap_or(slot.len());
            config += before;
            config += &match slot[..end].trim() {
                "proxy_port" => port.to_string(),
                name if name.ends_with("_port") => free.next().unwrap().to_string(),
                "etcd_log_path" => place("logs/etcd.log"),
                "etcd_data_dir" => place("data/etcd"),
                "local_storage_dir" => place("data"),
                "rocksmq_data_dir" => place("data/rocksmq"),
                "system_log_path" => place("logs"),
                "authorization_enabled" => "true".to_owned(),
                _ => slot.rsplit(": ").next().unwrap().trim().to_owned(),
            };
            rest = after;
        }
        config += rest;
        // Its own store has ports of its own, which no slot is for.
        let (clients, peers) = (free.next().unwrap(), free.next().unwrap());
        let store = format!(
            "listen-client-urls: http://127.0.0.1:{clients}\nadvertise-client-urls: http://127.0.0.1:{clients}\n\
             listen-peer-urls: http://127.0.0.1:{peers}\ninitial-advertise-peer-urls: http://127.0.0.1:{peers}\n\
             initial-cluster: default=http://127.0.0.1:{peers}\n"
        );
        fs::write(dir.path().join("configs/etcd.yaml"), store).unwrap();
        let path = place("configs/etcd.yaml");
        config = config.replacen(
            "\netcd:\n",
            &format!("\netcd:\n  config:\n    path: {path}\n"),
            1,
        );
        // Hundreds of small questions wait for these, one after another.
        for (slow, fast) in [
            ("  timeTickInterval: 200 ", "  timeTickInterval: 20 "),
            ("  checkInterval: 1000\n", "  checkInterval: 100\n"),
            ("  distPullInterval: 500\n", "  distPullInterval: 50\n"),
            ("    publishInterval: 1000 ", "    publishInterval: 100 "),
        ] {
            assert!(config.contains(slow), "{slow}");
            config = config.replacen(slow, fast, 1);
        }
        fs::write(dir.path().join("configs/milvus.yaml"), config).unwrap();
        let mut server = Self {
            dir,
            root,
            port,
            health,
            child: None,
        };
        server.bring_back();
        Some(server)
    }

    /// Returns the URL of a collection.
    pub fn url(&self, collection: &str) -> String {
        self.url_with(PASSWORD, collection)
    }

    pub fn url_with(&self, password: &str, collection: &str) -> String {
        let port = self.port;
        format!("milvus://root:{password}@127.0.0.1:{port}/{collection}")
    }

    /// Kills the server and everything that it was doing.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Starts the server again where it was, and waits until it answers.
    pub fn bring_back(&mut self) {
        let bin = self.root.join("milvus/bin");
        let log = fs::File::create(self.dir.path().join("logs/stdout")).unwrap();
        let child = Command::new(bin.join("milvus"))
            .args(["run", "standalone"])
            .current_dir(self.dir.path())
            .env("DEPLOY_MODE", "STANDALONE")
            .env("METRICS_PORT", self.health.to_string())
            .env("MILVUS_RUN_DIR", self.dir.path().join("run"))
            .env("LD_LIBRARY_PATH", &bin)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        let started = Instant::now();
        while !self.is_healthy() {
            assert!(
                started.elapsed() < Duration::from_secs(180),
                "the server does not start"
            );
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "the server ended: {ended:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn is_healthy(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.health)) else {
            return false;
        };
        let limit = Some(Duration::from_secs(2));
        stream.set_read_timeout(limit).unwrap();
        let mut answer = String::new();
        let ask = b"GET /healthz HTTP/1.0\r\n\r\n";
        stream.write_all(ask).is_ok()
            && stream.read_to_string(&mut answer).is_ok()
            && answer.starts_with("HTTP/1.0 200")
    }
}

/// Returns free ports below those that systems give to clients: a client that waits for a server at one of those may
/// be connected to itself.
fn free_ports() -> impl Iterator<Item = u16> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(37);
    std::iter::from_fn(move || {
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        Some(21_000 + (first.wrapping_add(next) % 11_000) as u16)
    })
    .filter(|&port| TcpListener::bind(("0.0.0.0", port)).is_ok())
}

impl Drop for Milvus {
    fn drop(&mut self) {
        self.kill();
    }
}
