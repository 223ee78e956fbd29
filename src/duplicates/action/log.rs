//! The undo log: what was begun and what was done, line by line.
//!
//! Owns the file [`LOG_FILE`] in the folder of the index, and its format: one JSON object a line, only ever appended
//! to. It lies in that folder because the writer's lock of the index then guards it as well, and because an index that
//! is encoded again or made anew leaves what is not its own in its folder. Each line is synced before the action goes on.
//! A line that a crash cut off says nothing that was relied on, and the next line takes its place.
//!
//! | `event` | says |
//! | --- | --- |
//! | `begin` | an action on many files begins: `batch`, `action`, `at` |
//! | `intend` | number `n` of it is about to be done to a file: `path`, `real`, `digest`, … ([`Intent`]) |
//! | `done`, `failed` | number `n` was done, or was refused and is as it was |
//! | `undo` | the action is about to be undone |
//! | `return` | number `n` is about to be brought back to its former name, which is free |
//! | `back`, `not_back` | number `n` is as it was, or could not be brought back |
//! | `closed` | the action is over: undoing goes on with the one before |

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use imgsearch_index::Digest;
use serde::{Deserialize, Serialize};

use super::files::{sync_folder_of, temp_name};
use crate::error::{Error, Result};

/// The name of the log in the folder of an index.
pub const LOG_FILE: &str = "undo.jsonl";

/// A line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Line {
    Begin {
        batch: String,
        action: String,
        /// Seconds since 1970.
        at: i64,
    },
    Intend(Box<Intent>),
    Done {
        batch: String,
        n: usize,
    },
    Failed {
        batch: String,
        n: usize,
        why: String,
    },
    Undo {
        batch: String,
    },
    Return {
        batch: String,
        n: usize,
    },
    Back {
        batch: String,
        n: usize,
    },
    NotBack {
        batch: String,
        n: usize,
        why: String,
        /// Whether trying again is of no use.
        for_good: bool,
    },
    Closed {
        batch: String,
    },
}

impl Line {
    fn batch(&self) -> &str {
        match self {
            Self::Intend(intent) => &intent.batch,
            Self::Begin { batch, .. }
            | Self::Done { batch, .. }
            | Self::Failed { batch, .. }
            | Self::Undo { batch }
            | Self::Return { batch, .. }
            | Self::Back { batch, .. }
            | Self::NotBack { batch, .. }
            | Self::Closed { batch } => batch,
        }
    }
}

/// What is about to be done to a file, and all that undoing needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Intent {
    pub batch: String,
    pub n: usize,
    /// Its stored path.
    pub path: Logged,
    /// The same without links in its folder, as the trash names it.
    pub real: Logged,
    /// BLAKE3 of its content, in hexadecimal digits.
    pub digest: String,
    /// When it was last modified, in nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Its permissions, on Unix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
    /// The best file of its group.
    pub best: Logged,
    /// Where it is moved to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Logged>,
    /// The temporary name that the action uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temp: Option<Logged>,
}

impl Intent {
    /// Returns the digest, unless the line was tampered with.
    pub fn digest(&self) -> Option<Digest> {
        Some(*blake3::Hash::from_hex(&self.digest).ok()?.as_bytes())
    }

    /// Returns the temporary names that doing and undoing it use.
    pub fn temps(&self) -> Vec<PathBuf> {
        let undoing = temp_name(&self.path.path(), &self.batch, self.n);
        let doing = self.temp.as_ref().map(Logged::path);
        doing.into_iter().chain([undoing]).collect()
    }
}

/// A path. JSON holds text, so a path that is not text is written as its bytes in hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Logged {
    Text(String),
    Bytes { bytes: String },
}

impl From<&Path> for Logged {
    fn from(path: &Path) -> Self {
        match path.to_str() {
            Some(text) => Self::Text(text.to_owned()),
            None => {
                let bytes = path.as_os_str().as_encoded_bytes().iter();
                Self::Bytes {
                    bytes: bytes.map(|byte| format!("{byte:02x}")).collect(),
                }
            }
        }
    }
}

impl Logged {
    pub fn path(&self) -> PathBuf {
        match self {
            Self::Text(text) => PathBuf::from(text),
            Self::Bytes { bytes } => path_of_bytes(bytes),
        }
    }
}

#[cfg(unix)]
fn path_of_bytes(hexadecimal: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt as _;
    let digits = hexadecimal.as_bytes().chunks_exact(2);
    let byte = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
    std::ffi::OsString::from_vec(digits.filter_map(byte).collect()).into()
}

#[cfg(not(unix))]
fn path_of_bytes(hexadecimal: &str) -> PathBuf {
    // The index stores no such path here.
    PathBuf::from(hexadecimal)
}

/// The log, open for appending. The writer's lock of the index must be held.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    file: File,
}

impl Log {
    /// Opens the log in the folder of an index, and makes it if there is none.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if it cannot be written; [`Error::NotOurs`] if something else has its name.
    pub fn open(dir: &Path) -> Result<Self> {
        let path = dir.join(LOG_FILE);
        refuse_what_is_no_file(&path)?;
        let is_new = !path.exists();
        let fail = |source| Error::io("write", &path, source);
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&path)
            .map_err(fail)?;
        // After a link that was put there meanwhile was followed, nothing is written.
        refuse_what_is_no_file(&path)?;
        cut_torn_line(&mut file).map_err(fail)?;
        if is_new {
            sync_folder_of(&path);
        }
        Ok(Self { path, file })
    }

    /// Appends a line. It is on the disk when this returns.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]. Nothing more may be done then, because it could not be undone.
    pub fn append(&mut self, line: &Line) -> Result<()> {
        let fail = |source| Error::io("write", &self.path, source);
        let mut text = serde_json::to_vec(line)
            .map_err(|error| fail(io::Error::new(io::ErrorKind::InvalidData, error)))?;
        text.push(b'\n');
        self.file
            .write_all(&text)
            .and_then(|()| self.file.sync_data())
            .map_err(fail)
    }
}

/// Refuses a link, which would be followed, and whatever else is no file.
fn refuse_what_is_no_file(path: &Path) -> Result<()> {
    match path.symlink_metadata() {
        Ok(there) if !there.is_file() => Err(Error::NotOurs {
            path: path.to_owned(),
        }),
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(Error::io("open", path, source))
        }
        _ => Ok(()),
    }
}

/// Removes an incomplete last line: the program ended while it wrote it, before it did what the line says.
fn cut_torn_line(file: &mut File) -> io::Result<()> {
    let length = file.seek(SeekFrom::End(0))?;
    let mut kept = length;
    let mut byte = [0];
    while kept > 0 {
        file.seek(SeekFrom::Start(kept - 1))?;
        file.read_exact(&mut byte)?;
        if byte == *b"\n" {
            break;
        }
        kept -= 1;
    }
    if kept < length {
        file.set_len(kept)?;
        file.sync_data()?;
    }
    Ok(())
}

/// What is known of one file of an action.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Record {
    pub intent: Intent,
    /// Whether the log says that it was done. If not, it may have been done nevertheless.
    pub done: bool,
    /// Whether undoing began to bring it back, and may have ended in between.
    pub returning: bool,
    /// Whether undoing could not bring it back before.
    pub tried: bool,
    /// Whether undoing is through with it: it is back, was never changed, or is lost.
    pub settled: bool,
}

/// An action, as the log tells it.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Batch {
    pub id: String,
    pub action: String,
    pub at: i64,
    /// By number.
    pub records: BTreeMap<usize, Record>,
    pub closed: bool,
}

/// All actions of a log, the oldest first.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct History {
    pub batches: Vec<Batch>,
    /// Lines that cannot be read, except a last one that is incomplete.
    pub unreadable: usize,
}

impl History {
    /// Reads the log in the folder of an index. There need not be one.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if it cannot be read.
    pub fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(LOG_FILE);
        let fail = |source| Error::io("read", &path, source);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(fail(error)),
        };
        let mut history = Self::default();
        let mut reader = BufReader::new(file);
        let mut text = Vec::new();
        loop {
            text.clear();
            if reader.read_until(b'\n', &mut text).map_err(fail)? == 0 {
                return Ok(history);
            }
            if text.last() != Some(&b'\n') {
                return Ok(history);
            }
            match serde_json::from_slice::<Line>(&text) {
                Ok(line) => history.add(line),
                Err(_) => history.unreadable += 1,
            }
        }
    }

    fn add(&mut self, line: Line) {
        if let Line::Begin { batch, action, at } = line {
            self.batches.push(Batch {
                id: batch,
                action,
                at,
                ..Batch::default()
            });
            return;
        }
        let mut newest_first = self.batches.iter_mut().rev();
        let Some(batch) = newest_first.find(|batch| batch.id == line.batch()) else {
            // The line that began it cannot be read, and was counted.
            return;
        };
        let mut mark = |n: usize, mark: &dyn Fn(&mut Record)| {
            if let Some(record) = batch.records.get_mut(&n) {
                mark(record);
            }
        };
        match line {
            Line::Done { n, .. } => mark(n, &|record| record.done = true),
            Line::Return { n, .. } => mark(n, &|record| record.returning = true),
            Line::Failed { n, .. } | Line::Back { n, .. } => {
                mark(n, &|record| record.settled = true);
            }
            Line::NotBack { n, for_good, .. } => mark(n, &|record| {
                record.tried = true;
                record.settled = for_good;
            }),
            Line::Intend(intent) => {
                let record = Record {
                    intent: *intent,
                    done: false,
                    returning: false,
                    tried: false,
                    settled: false,
                };
                batch.records.insert(record.intent.n, record);
            }
            Line::Closed { .. } => batch.closed = true,
            Line::Begin { .. } | Line::Undo { .. } => {}
        }
    }

    /// Returns the newest action that is not over.
    pub fn newest_open(&self) -> Option<&Batch> {
        let mut newest_first = self.batches.iter().rev();
        newest_first
            .find(|batch| !batch.closed && batch.records.values().any(|record| !record.settled))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn begin(batch: &str) -> Line {
        Line::Begin {
            batch: batch.to_owned(),
            action: "trash".to_owned(),
            at: 5,
        }
    }

    fn intend(batch: &str, n: usize) -> Line {
        Line::Intend(Box::new(Intent {
            batch: batch.to_owned(),
            n,
            path: Path::new("/a\n\"b\".jpg").into(),
            real: Path::new("/a.jpg").into(),
            digest: "0".repeat(64),
            mtime_ns: -3,
            mode: Some(0o644),
            best: Path::new("/best.jpg").into(),
            to: None,
            temp: None,
        }))
    }

    #[test]
    fn what_was_appended_is_read_and_the_newest_open_action_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(dir.path()).unwrap();
        for line in [begin("1"), intend("1", 0), begin("2"), intend("2", 0)] {
            log.append(&line).unwrap();
        }
        drop(log);
        let history = History::read(dir.path()).unwrap();
        let newest = history.newest_open().unwrap();
        assert_eq!((newest.id.as_str(), newest.at), ("2", 5));
        assert_eq!(
            newest.records[&0].intent.path.path(),
            Path::new("/a\n\"b\".jpg")
        );
        let mut log = Log::open(dir.path()).unwrap();
        log.append(&Line::Back {
            batch: "2".to_owned(),
            n: 0,
        })
        .unwrap();
        let history = History::read(dir.path()).unwrap();
        assert_eq!(history.newest_open().unwrap().id, "1");
        log.append(&Line::Closed {
            batch: "1".to_owned(),
        })
        .unwrap();
        assert_eq!(History::read(dir.path()).unwrap().newest_open(), None);
    }

    #[test]
    fn a_line_that_was_cut_off_is_replaced_and_others_stay() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(LOG_FILE);
        let mut log = Log::open(dir.path()).unwrap();
        log.append(&begin("1")).unwrap();
        log.append(&intend("1", 0)).unwrap();
        let whole = fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let before = History::read(dir.path()).unwrap();
            assert_eq!(before.unreadable, 0, "cut at {cut}");
            drop(Log::open(dir.path()).unwrap());
            let kept = fs::read(&path).unwrap();
            assert!(kept.is_empty() || kept.ends_with(b"\n"));
            assert!(whole.starts_with(&kept));
            assert_eq!(History::read(dir.path()).unwrap(), before);
        }
        let mut spoiled = whole.clone();
        spoiled[3] = b'!';
        fs::write(&path, spoiled).unwrap();
        assert_eq!(History::read(dir.path()).unwrap().unreadable, 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_path_that_is_no_text_is_read_as_it_was() {
        use std::os::unix::ffi::OsStrExt as _;
        let odd = Path::new(std::ffi::OsStr::from_bytes(b"/caf\xe9/\x01.jpg"));
        let text = serde_json::to_string(&Logged::from(odd)).unwrap();
        let back: Logged = serde_json::from_str(&text).unwrap();
        assert_eq!(back.path(), odd);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_the_place_of_the_log_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let other = dir.path().join("other");
        fs::write(&other, "somebody else's").unwrap();
        std::os::unix::fs::symlink(&other, dir.path().join(LOG_FILE)).unwrap();
        assert!(matches!(Log::open(dir.path()), Err(Error::NotOurs { .. })));
        assert_eq!(fs::read(&other).unwrap(), b"somebody else's");
    }
}
