//! What is decided and why, for people who ask: `-v` and `--log-file`.
//!
//! The libraries report through `tracing`; here is what receives it. `-v` shows events of the level `INFO` on stderr,
//! `-vv` those of `DEBUG`, too; the file gets all of them, with their time and place. Only events of imgsearch's own
//! crates are shown, and warnings of others. The library's events name files and folders, never tokens or passwords.

use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};

use super::args::Global;
use super::output::shown;
use super::streams::say;

/// What the crates of this project are called.
const OWN: &str = "imgsearch";

/// The command line itself: a part of another crate in the Python package.
const HERE: &str = module_path!()
    .split_at(module_path!().len() - "log".len())
    .0;

/// Starts to listen if `-v` or `--log-file` asks for it.
pub fn start(global: &Global) -> Result<(), String> {
    let shown_level = match global.verbose {
        0 => LevelFilter::OFF,
        1 => LevelFilter::INFO,
        _ => LevelFilter::DEBUG,
    };
    let file = global.log_file.as_deref().map(open).transpose()?;
    if shown_level == LevelFilter::OFF && file.is_none() {
        return Ok(());
    }
    let log = Log {
        shown: shown_level,
        file: file.map(Mutex::new),
    };
    tracing::subscriber::set_global_default(log)
        .map_err(|error| format!("what happens cannot be logged: {error}"))?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        process = std::process::id(),
        "started"
    );
    Ok(())
}

fn open(path: &Path) -> Result<File, String> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    // It has names of files in it.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(path)
        .map_err(|error| format!("the log file {} cannot be written: {error}", shown(path)))
}

struct Log {
    /// What is shown on stderr.
    shown: LevelFilter,
    file: Option<Mutex<File>>,
}

impl Log {
    fn level(&self) -> LevelFilter {
        match self.file {
            Some(_) => LevelFilter::DEBUG,
            None => self.shown,
        }
    }
}

impl Subscriber for Log {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.enabled(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        let is_own = target.starts_with(OWN) || target.starts_with(HERE);
        metadata.is_event()
            && *metadata.level() <= self.level()
            && (is_own || *metadata.level() <= Level::WARN)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level())
    }

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let mut line = Line::default();
        event.record(&mut line);
        let level = metadata.level();
        let text = format!("{}{}", line.message, line.fields);
        if *level <= self.shown {
            say!("{}: {text}", level.as_str().to_lowercase());
        }
        if let Some(file) = &self.file {
            let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ");
            let whole = format!("{now} {:5} {} {text}\n", level.as_str(), metadata.target());
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            // In one piece, so that lines of several processes do not mix. A full disk does not stop the work.
            let _ = file.write_all(whole.as_bytes());
        }
    }

    // No spans: the program is not traced, it only says what it decides.
    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

/// The text of an event: its message, and its fields after it.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a text does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}
