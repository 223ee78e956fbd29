//! `imgsearch watch`: what it does while it runs, told by its events.

mod changes;
#[cfg(target_os = "linux")]
mod system;

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Place, Ran};

/// How long a test waits for an event before it fails.
const PATIENCE: Duration = Duration::from_secs(180);

/// `imgsearch watch --json`, until it is ended or dropped.
pub struct Watch {
    child: Child,
    lines: Receiver<String>,
    /// All events so far.
    events: Vec<Value>,
    /// The number of events that a test has dealt with.
    dealt: usize,
}

impl Watch {
    /// Starts to watch, and waits until everything was indexed once.
    #[track_caller]
    pub fn start(place: &Place, arguments: &[&str]) -> Self {
        let mut command = place.command();
        command.args(["watch", "--json"]).args(arguments);
        Self::ready(command)
    }

    #[track_caller]
    fn ready(command: Command) -> Self {
        let mut watch = Self::spawn(command);
        watch.until("it is ready", |event| event["event"] == "watching");
        watch
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines() {
                if sender.send(line.unwrap()).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            lines,
            events: Vec::new(),
            dealt: 0,
        }
    }

    /// Waits for an event, which may have come before, and returns it.
    #[track_caller]
    fn until(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            while let Some(event) = self.events.get(self.dealt) {
                self.dealt += 1;
                if is_it(event) {
                    return event.clone();
                }
            }
            let left = PATIENCE.saturating_sub(start.elapsed());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.events.push(serde_json::from_str(&line).unwrap()),
                Err(error) => panic!("{what}: {error}; {:#?}", self.events),
            }
        }
    }

    /// Waits until the batches from now on have done as much as this, and fails if they do more.
    #[track_caller]
    fn does(&mut self, expected: &[(&str, u64)]) {
        let mut sums = vec![0; expected.len()];
        while (0..expected.len()).any(|i| sums[i] < expected[i].1) {
            let what = format!("{expected:?}, of which there are {sums:?}");
            let batch = self.until(&what, |event| event["event"] == "batch");
            for (sum, (name, _)) in sums.iter_mut().zip(expected) {
                *sum += batch["summary"][name].as_u64().unwrap();
            }
        }
        let wanted: Vec<u64> = expected.iter().map(|(_, number)| *number).collect();
        assert_eq!(sums, wanted, "{expected:?}: {:#?}", self.events);
    }

    fn number_of(&self, name: &str) -> usize {
        let named = self.events.iter().filter(|event| event["event"] == name);
        named.count()
    }

    /// Returns what was reported of files, as names and outcomes.
    fn files(&self) -> Vec<(String, Value)> {
        let files = self.events.iter().filter(|event| event["event"] == "file");
        files
            .map(|event| {
                let path = Path::new(event["path"].as_str().unwrap());
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                (name, event["outcome"].clone())
            })
            .collect()
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// Waits until it ends by itself.
    fn ended(mut self) -> Ran {
        let status = self.child.wait().unwrap();
        let mut stderr = String::new();
        let mut said = self.child.stderr.take().unwrap();
        said.read_to_string(&mut stderr).unwrap();
        let mut stdout: String = self
            .events
            .iter()
            .map(|event| format!("{event}\n"))
            .collect();
        for line in self.lines.iter() {
            stdout += &format!("{line}\n");
        }
        Ran {
            status: status.code().unwrap_or(-1),
            stdout,
            stderr,
        }
    }

    /// Ends it while nothing is indexed.
    #[track_caller]
    fn end(self) -> Ran {
        self.signal("-TERM");
        let ran = self.ended().ended(0);
        let last = ran.json_lines().pop().unwrap();
        assert_eq!(
            (&last["event"], &last["interrupted"]),
            (&"ended".into(), &false.into())
        );
        ran
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
