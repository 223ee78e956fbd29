//! A server in a process of its own, and clients that keep their connections.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::Result;

/// `imgsearch serve`, until it is dropped.
pub struct Server {
    child: Child,
    pub port: u16,
}

impl Server {
    /// Starts a server of an index on a free port.
    pub fn start(index: &Path) -> Result<Self> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_imgsearch"))
            .args(["serve", "--port", "0", "--quiet"])
            .env("IMGSEARCH_INDEX", index)
            .stdout(Stdio::piped())
            .spawn()?;
        let mut link = String::new();
        let stdout = child.stdout.take().ok_or("the server has no output")?;
        BufReader::new(stdout).read_line(&mut link)?;
        let port = link.trim().trim_end_matches('/').rsplit(':').next();
        let port = port.ok_or("the server printed no link")?.parse()?;
        Ok(Self { child, port })
    }

    /// Returns the megabytes that it has resident, where the system tells.
    pub fn memory(&self) -> Option<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse().ok()?;
        Some(kilobytes / 1000.0)
    }

    /// Returns the seconds of processor time that it has taken, where the system tells.
    pub fn processor_time(&self) -> Option<f64> {
        // Fields 14 and 15, of which the second is in parentheses and may hold spaces; 100 ticks are a second.
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |place: usize| fields.get(place - 3)?.parse::<f64>().ok();
        Some((ticks(14)? + ticks(15)?) / 100.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client with one connection.
pub struct Client {
    stream: BufReader<TcpStream>,
    host: String,
}

impl Client {
    pub fn new(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::new(stream),
            host: format!("127.0.0.1:{port}"),
        })
    }

    pub fn get(&mut self, path: &str) -> Result<Vec<u8>> {
        self.send("GET", path, b"")
    }

    pub fn post(&mut self, path: &str, body: &[u8]) -> Result<Vec<u8>> {
        self.send("POST", path, body)
    }

    fn send(&mut self, method: &str, path: &str, body: &[u8]) -> Result<Vec<u8>> {
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nx-imgsearch: 1\r\ncontent-length: {}\r\n\r\n",
            self.host,
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        self.stream.get_mut().write_all(&request)?;
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let is_answered = line.split(' ').nth(1) == Some("200");
        let mut length = 0;
        loop {
            let mut header = String::new();
            self.stream.read_line(&mut header)?;
            let header = header.trim().to_ascii_lowercase();
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
            if header.is_empty() {
                break;
            }
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer)?;
        if is_answered {
            Ok(answer)
        } else {
            Err(format!("{}: {}", line.trim(), String::from_utf8_lossy(&answer)).into())
        }
    }
}
