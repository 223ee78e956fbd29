//! Ignore files: which of them hold for a folder, and what they leave out.
//!
//! A file `.imgsearchignore` holds for its folder and everything below it, whichever folder is named. So the
//! ignore files of all folders above a root are read, up to the root of the file system: what a walk of `photos`
//! leaves out, a walk of `photos/2024` leaves out, too. The folders above are those of the stored path, even if it
//! leads through a link.
//!
//! The names in an ignore file may be private. So a file that cannot be read or understood closes its folder:
//! nothing below is walked, and what is stored of it stays.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ::ignore::Match;
use ::ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::IGNORE_FILE;

/// Maximum bytes of an ignore file: tens of thousands of patterns.
const MAX_BYTES: u64 = 1 << 20;

/// The patterns of all ignore files that hold for a folder. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Rules(Option<Arc<Node>>);

/// The patterns of one ignore file, and of the folders above.
#[derive(Debug)]
struct Node {
    patterns: Gitignore,
    above: Rules,
}

/// What the patterns say about one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Nothing,
    LeaveOut,
    Keep,
}

impl Rules {
    /// Returns whether there are no patterns at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Returns what the patterns say about a path. The nearest file decides, and in a file the last matching
    /// pattern. This does not examine whether a folder above is left out.
    pub fn judge(&self, path: &Path, is_dir: bool) -> Verdict {
        let mut rules = self;
        while let Some(node) = &rules.0 {
            match node.patterns.matched(path, is_dir) {
                Match::Ignore(_) => return Verdict::LeaveOut,
                Match::Whitelist(_) => return Verdict::Keep,
                Match::None => rules = &node.above,
            }
        }
        Verdict::Nothing
    }
}

/// What the ignore files decide about a folder.
#[derive(Debug, Clone)]
pub(super) enum State {
    /// It is walked under these rules.
    Open(Rules),
    /// It is left out, or a folder above it is.
    LeftOut,
    /// It has an ignore file that cannot be used, or a folder above it has.
    Closed(Arc<Closed>),
}

/// A folder whose ignore file cannot be used.
#[derive(Debug)]
pub(super) struct Closed {
    pub folder: PathBuf,
    pub reason: String,
}

/// The ignore files of one run. Each is read once, so the whole run uses the same patterns.
#[derive(Debug, Default)]
pub(super) struct Ignoring {
    /// Folders with an ignore file, and others that were requested.
    folders: Mutex<HashMap<PathBuf, State>>,
}

impl Ignoring {
    /// Decides about the content of a folder that is not left out and lies under the rules `above`.
    pub fn enter(&self, folder: &Path, above: &Rules) -> State {
        if let Some(known) = self.known(folder) {
            return known;
        }
        let state = match load(folder, above) {
            Ok(None) => return State::Open(above.clone()),
            Ok(Some(rules)) => State::Open(rules),
            Err(reason) => State::Closed(Arc::new(Closed {
                folder: folder.to_owned(),
                reason: format!(
                    "its {IGNORE_FILE} {reason}; until this is corrected, nothing below this folder is indexed, and \
                     stored images are kept"
                ),
            })),
        };
        self.remember(folder, &state);
        state
    }

    /// Decides about a path by the ignore files of all folders above it, up to the root of the file system.
    pub fn above(&self, path: &Path, is_dir: bool) -> State {
        let Some(parent) = path.parent() else {
            return State::Open(Rules::default());
        };
        match self.inside(parent) {
            State::Open(rules) if rules.judge(path, is_dir) == Verdict::LeaveOut => State::LeftOut,
            state => state,
        }
    }

    /// Decides about the content of a folder by its ignore file and those of all folders above it.
    pub fn inside(&self, folder: &Path) -> State {
        if let Some(known) = self.known(folder) {
            return known;
        }
        let state = match self.above(folder, true) {
            State::Open(rules) => self.enter(folder, &rules),
            state => state,
        };
        self.remember(folder, &state);
        state
    }

    fn known(&self, folder: &Path) -> Option<State> {
        let folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        folders.get(folder).cloned()
    }

    fn remember(&self, folder: &Path, state: &State) {
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        folders.insert(folder.to_owned(), state.clone());
    }
}

/// Loads the rules of a folder; `None` if it has no ignore file or no patterns.
fn load(folder: &Path, above: &Rules) -> Result<Option<Rules>, String> {
    let Some(bytes) = read(&folder.join(IGNORE_FILE))? else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&bytes)
        .ok()
        // Text in UTF-16 can pass for UTF-8, and none of its patterns would match.
        .filter(|text| !text.contains('\0'))
        .ok_or("is not text in UTF-8")?;
    let mut builder = GitignoreBuilder::new(folder);
    builder.allow_unclosed_class(false);
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (number, line) in (1..).zip(text.lines()) {
        builder
            .add_line(None, line)
            .map_err(|error| format!("has an invalid pattern in line {number}: {error}"))?;
    }
    let patterns = builder
        .build()
        .map_err(|error| format!("cannot be used: {error}"))?;
    if patterns.is_empty() {
        return Ok(None);
    }
    Ok(Some(Rules(Some(Arc::new(Node {
        patterns,
        above: above.clone(),
    })))))
}

/// Reads a regular file of limited size; `None` if it does not exist.
fn read(path: &Path) -> Result<Option<Vec<u8>>, String> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return match fs::symlink_metadata(path) {
                Ok(_) => Err("is a link to something that is not there".to_owned()),
                Err(_) => Ok(None),
            };
        }
        Err(error) => return Err(format!("cannot be read: {error}")),
    };
    // Reading a pipe may wait forever, and a device such as /dev/zero has no end.
    if !metadata.is_file() {
        return Err("is not a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("is larger than {} KiB", MAX_BYTES >> 10));
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Creates a folder with ignore files, each given as its folder and content.
    fn folder(files: &[(&str, &[u8])]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(dir.path()).unwrap();
        for (name, content) in files {
            let folder = root.join(name);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(IGNORE_FILE), content).unwrap();
        }
        (dir, root)
    }

    fn left_out(root: &Path, path: &str) -> bool {
        matches!(
            Ignoring::default().above(&root.join(path), false),
            State::LeftOut
        )
    }

    fn reason(root: &Path, path: &str) -> String {
        match Ignoring::default().above(&root.join(path), false) {
            State::Closed(closed) => closed.reason.clone(),
            state => panic!("{state:?}"),
        }
    }

    #[test]
    fn the_last_pattern_of_the_nearest_ignore_file_decides() {
        let (_dir, root) = folder(&[
            (
                "",
                b"*.png\n/private/\n!private/shown.jpg\nonly/*\n# *.jpg\n",
            ),
            ("a/b", b"!*.png\nz.png\r\n"),
        ]);
        assert!(left_out(&root, "x.png") && left_out(&root, "a/x.png"));
        assert!(!left_out(&root, "a/b/x.png") && left_out(&root, "a/b/z.png"));
        assert!(!left_out(&root, "x.jpg") && !left_out(&root, "a/private/x.jpg"));
        // No pattern brings back what a folder above leaves out, as in .gitignore.
        assert!(left_out(&root, "private/shown.jpg"));
        assert!(left_out(&root, "private/deep/not/there/x.jpg"));
        assert!(left_out(&root, "only/this.jpg") && left_out(&root, "only/a/b.jpg"));
    }

    #[test]
    fn an_invalid_ignore_file_closes_its_folder() {
        let long = b"x\n".repeat(600 * 1024);
        for (content, said) in [
            (&b"ok\nprivate[.jpg\n"[..], "line 2"),
            (b"caf\xe9.jpg\n", "UTF-8"),
            (b"p\0r\0i\0v\0", "UTF-8"),
            (&long, "1024 KiB"),
        ] {
            let (_dir, root) = folder(&[("closed", content), ("open", b"*.png")]);
            let reason = reason(&root, "closed/below/x.jpg");
            assert!(reason.contains(said), "{reason}");
            assert!(left_out(&root, "open/x.png") && !left_out(&root, "open/x.jpg"));
        }
    }

    #[cfg(unix)]
    #[test]
    fn only_regular_files_are_read() {
        use std::os::unix::fs::symlink;
        let (_dir, root) = folder(&[("good", b"*.png")]);
        for name in ["pipe", "endless", "nowhere", "folder", "linked"] {
            fs::create_dir(root.join(name)).unwrap();
        }
        let file = |name: &str| root.join(name).join(IGNORE_FILE);
        let made = std::process::Command::new("mkfifo")
            .arg(file("pipe"))
            .status()
            .unwrap();
        assert!(made.success());
        symlink("/dev/zero", file("endless")).unwrap();
        symlink("/nowhere/at/all", file("nowhere")).unwrap();
        fs::create_dir(file("folder")).unwrap();
        symlink(file("good"), file("linked")).unwrap();
        for name in ["pipe", "endless", "folder"] {
            let reason = reason(&root, &format!("{name}/x.jpg"));
            assert!(reason.contains("not a regular file"), "{reason}");
        }
        assert!(reason(&root, "nowhere/x.jpg").contains("not there"));
        assert!(left_out(&root, "linked/x.png") && !left_out(&root, "linked/x.jpg"));
    }
}
