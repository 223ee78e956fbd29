//! A server that runs, and a client that can send what no browser would.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStderr, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::Place;

/// How long a test waits for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// `imgsearch serve`, until it is dropped.
pub struct Server {
    pub child: Child,
    /// The link that it printed.
    pub link: String,
    pub port: u16,
    stderr: Option<ChildStderr>,
}

impl Server {
    /// Starts a server of the index of a place on a free port.
    #[track_caller]
    pub fn start(place: &Place, options: &[&str]) -> Self {
        Self::start_at(place, &[&["--port", "0"], options].concat())
    }

    /// Starts a server with these options.
    #[track_caller]
    pub fn start_at(place: &Place, options: &[&str]) -> Self {
        let mut child = place
            .command()
            .arg("serve")
            .args(options)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut link = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut link).unwrap();
        let stderr = child.stderr.take();
        let authority = link.trim().strip_prefix("http://");
        let authority = authority.and_then(|rest| rest.split('/').next());
        let port = authority.and_then(|authority| authority.rsplit(':').next()?.parse().ok());
        let Some(port) = port else {
            let mut text = String::new();
            stderr.unwrap().read_to_string(&mut text).unwrap();
            panic!("no link was printed, but {link:?} and {text}");
        };
        Self {
            child,
            link: link.trim().to_owned(),
            port,
            stderr,
        }
    }

    /// Returns the headers that a browser sends from the page.
    pub fn own_headers(&self) -> Vec<(&'static str, String)> {
        vec![
            ("host", format!("127.0.0.1:{}", self.port)),
            ("origin", format!("http://127.0.0.1:{}", self.port)),
            ("x-imgsearch", "1".to_owned()),
        ]
    }

    /// Sends a request and returns the whole answer.
    #[track_caller]
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, String)], body: &[u8]) -> Reply {
        let mut stream = self.connect();
        let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() || method == "POST" {
            head += &format!("content-length: {}\r\n", body.len());
        }
        head += "\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        // A server that refuses an upload may close before it has read all of it.
        let _ = stream.write_all(body);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        Reply::parse(&answer)
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &self.own_headers(), b"")
    }

    /// Returns the JSON at a path below the interface, which must be there.
    #[track_caller]
    pub fn json(&self, path: &str) -> Value {
        let reply = self.get(&format!("/api/v1{path}"));
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        reply.json()
    }

    #[track_caller]
    pub fn post(&self, path: &str, body: &[u8]) -> Reply {
        self.send("POST", &format!("/api/v1{path}"), &self.own_headers(), body)
    }

    /// Asks with a path below the interface that must be refused with a problem document.
    #[track_caller]
    pub fn refused(&self, path: &str, status: u16) -> String {
        self.get(&format!("/api/v1{path}")).problem(status)
    }

    /// Sends a signal and returns the exit status and what was printed to stderr.
    #[cfg(target_os = "linux")]
    pub fn end(mut self, signal: &str) -> (Option<i32>, String) {
        let sent = std::process::Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
        let status = self.child.wait().unwrap();
        let mut text = String::new();
        let stderr = self.stderr.as_mut().unwrap();
        stderr.read_to_string(&mut text).unwrap();
        (status.code(), text)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    /// In lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    fn parse(answer: &[u8]) -> Self {
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no head: {}", String::from_utf8_lossy(answer)));
        let head = std::str::from_utf8(&answer[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_ascii_lowercase(), value.trim().to_owned())
        });
        Self {
            status: status.parse().unwrap(),
            headers: headers.collect(),
            body: answer[end + 4..].to_vec(),
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Returns what a problem document says, with its hint.
    #[track_caller]
    pub fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        let problem = self.json();
        assert_eq!(problem["status"], status);
        let detail = problem["detail"].as_str().unwrap();
        assert!(!detail.is_empty());
        format!("{detail} {}", problem["hint"].as_str().unwrap_or_default())
    }
}

/// Returns the names of the files in an answer.
pub fn names(answer: &Value) -> Vec<String> {
    let list = [&answer["results"], &answer["images"]];
    let list = list.into_iter().find_map(Value::as_array).unwrap();
    list.iter()
        .map(|one| one["name"].as_str().unwrap().to_owned())
        .collect()
}

/// Returns the ids in an answer.
pub fn ids(answer: &Value) -> Vec<i64> {
    let list = [&answer["results"], &answer["images"]];
    let list = list.into_iter().find_map(Value::as_array).unwrap();
    list.iter().map(|one| one["id"].as_i64().unwrap()).collect()
}
