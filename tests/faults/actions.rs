//! Actions on duplicates: wherever one ends, every file is somewhere with its content, and undoing brings it back.

use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::runner::{KINDS, Tally, ended, is_allowed};
use crate::scenarios::Sandbox;
use crate::state::{State, audit};

/// The actions: a name, and what is done.
pub const CASES: [(&str, Way); 4] = [
    ("duplicates to the trash", Way::Trash),
    ("duplicates to links", Way::Hardlink),
    ("duplicates to a folder", Way::Move),
    ("duplicates to another disk", Way::MoveFar),
];

#[derive(Clone, Copy, PartialEq)]
pub enum Way {
    Trash,
    Hardlink,
    Move,
    /// As `Move`, onto another file system.
    MoveFar,
}

/// A folder with duplicates, its index, a trash, and folders to move to.
struct Scene<'a> {
    sandbox: &'a Sandbox,
    way: Way,
    /// The index before the action.
    index: PathBuf,
    /// The files before the action.
    files: BTreeMap<PathBuf, (Vec<u8>, SystemTime)>,
    far: Option<tempfile::TempDir>,
}

/// Runs an action with a fault at each change that it makes, and then its undoing with one.
pub fn run(parent: &Sandbox, way: Way, every: usize) -> Tally {
    let sandbox = Sandbox {
        dir: parent.dir.join("acting"),
        shim: parent.shim.clone(),
    };
    fs::create_dir_all(&sandbox.dir).unwrap();
    let scene = Scene::new(&sandbox, way);
    let mut tally = Tally::default();
    if way == Way::MoveFar && scene.far.is_none() {
        println!("duplicates to another disk: skipped, /dev/shm is not one");
        return tally;
    }
    for undoing in [false, true] {
        let changes = scene.changes(undoing);
        tally.changes += changes;
        for (turn, at) in (1..=changes).step_by(every).enumerate() {
            let kinds: &[&str] = if every == 1 {
                &KINDS
            } else {
                &[KINDS[turn % KINDS.len()]]
            };
            for &kind in kinds {
                scene.reset();
                let output = scene.disturbed(undoing, kind, at);
                tally.runs += 1;
                let how = ended(&output);
                *tally.ended.entry(how.clone()).or_default() += 1;
                let judged = is_allowed(kind, &output)
                    .and_then(|()| scene.nothing_is_lost())
                    .and_then(|()| scene.everything_comes_back());
                if let Err(why) = judged {
                    let what = if undoing { "undoing, " } else { "" };
                    tally
                        .failures
                        .push(format!("{what}{kind} at change {at} ({how}): {why}"));
                }
            }
        }
    }
    fs::remove_dir_all(&sandbox.dir).unwrap();
    tally
}

impl<'a> Scene<'a> {
    fn new(sandbox: &'a Sandbox, way: Way) -> Self {
        let photos = sandbox.dir.join("photos");
        fs::create_dir_all(photos.join("copies")).unwrap();
        let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples");
        let mut files = BTreeMap::new();
        for (i, (sample, name)) in [
            ("cat.jpg", "cat.jpg"),
            ("cat.jpg", "copies/cat.jpg"),
            ("cat.jpg", "copies/another cat.jpg"),
            ("coffee.jpg", "coffee.jpg"),
            ("coffee.jpg", "copies/coffee.jpg"),
        ]
        .into_iter()
        .enumerate()
        {
            let bytes = fs::read(samples.join(sample)).unwrap();
            let time = UNIX_EPOCH + Duration::from_secs(1_600_000_000 + 1000 * i as u64);
            files.insert(photos.join(name), (bytes, time));
        }
        let far = other_disk(&sandbox.dir);
        let scene = Self {
            sandbox,
            way,
            index: sandbox.dir.join("template"),
            files,
            far,
        };
        scene.make_files();
        let indexed = sandbox
            .command()
            .args(["index", "photos"])
            .output()
            .unwrap();
        assert_eq!(ended(&indexed), "completed");
        fs::rename(sandbox.index(), &scene.index).unwrap();
        scene
    }

    fn make_files(&self) {
        for (path, (bytes, time)) in &self.files {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
            let times = FileTimes::new().set_modified(*time);
            File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_times(times)
                .unwrap();
        }
    }

    /// Makes everything as it was before the action.
    fn reset(&self) {
        for name in ["photos", "data", "moved"] {
            let folder = self.sandbox.dir.join(name);
            if folder.exists() {
                fs::remove_dir_all(folder).unwrap();
            }
        }
        if let Some(far) = &self.far {
            let target = far.path().join("moved");
            if target.exists() {
                fs::remove_dir_all(target).unwrap();
            }
        }
        self.make_files();
        self.sandbox.set(Some(&self.index));
    }

    fn with_trash(&self, mut command: Command) -> Command {
        command
            .env("XDG_DATA_HOME", self.sandbox.dir.join("data"))
            .env("HOME", &self.sandbox.dir);
        command
    }

    fn action(&self) -> Vec<String> {
        let way = match (self.way, &self.far) {
            (Way::Trash, _) => "trash".to_owned(),
            (Way::Hardlink, _) => "hardlink".to_owned(),
            (Way::MoveFar, Some(far)) => format!("move:{}", far.path().join("moved").display()),
            _ => "move:moved".to_owned(),
        };
        ["duplicates", "--yes", "--apply", &way]
            .map(ToOwned::to_owned)
            .to_vec()
    }

    fn undo(&self) -> Output {
        self.with_trash(self.sandbox.command())
            .args(["duplicates", "--undo"])
            .output()
            .unwrap()
    }

    /// Runs the action, or undoes it after it was done, with a fault.
    fn disturbed(&self, undoing: bool, kind: &str, at: usize) -> Output {
        let mut command = self.with_trash(self.sandbox.disturbed(kind, at));
        command.env("FAULT_FOLDER", "/");
        self.prepared(undoing, command).output().unwrap()
    }

    fn prepared(&self, undoing: bool, mut command: Command) -> Command {
        if undoing {
            let done = self
                .with_trash(self.sandbox.command())
                .args(self.action())
                .output()
                .unwrap();
            assert_eq!(ended(&done), "completed");
            command.args(["duplicates", "--undo"]);
        } else {
            command.args(self.action());
        }
        command
    }

    /// Returns the number of changes that the action makes, or its undoing.
    fn changes(&self, undoing: bool) -> usize {
        self.reset();
        let log = self.sandbox.dir.join("changes.log");
        let mut command = self.with_trash(self.sandbox.disturbed("none", 0));
        command.env("FAULT_FOLDER", "/").env("FAULT_LOG", &log);
        let output = self.prepared(undoing, command).output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(0),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        if !undoing {
            self.is_done();
        }
        let changes = fs::read_to_string(&log).unwrap().lines().count();
        fs::remove_file(log).unwrap();
        assert!(changes > 20, "the library counted {changes} changes");
        changes
    }

    /// Fails unless the action did something to three files.
    fn is_done(&self) {
        let is_as_before = |path: &Path| match self.way {
            Way::Hardlink => links(path) == 1,
            _ => path.exists(),
        };
        let touched = self.files.keys().filter(|path| !is_as_before(path)).count();
        // Best files have more names then.
        let expected = if self.way == Way::Hardlink { 5 } else { 3 };
        assert_eq!(touched, expected);
    }

    /// Checks that each file is where it was, or that its content is in the trash or in the target.
    fn nothing_is_lost(&self) -> Result<(), String> {
        let mut elsewhere = self
            .files_in(&["data/Trash/files", "moved"])?
            .into_iter()
            .map(fs::read)
            .collect::<Result<Vec<Vec<u8>>, _>>()
            .map_err(|error| error.to_string())?;
        for (path, (bytes, _)) in &self.files {
            if fs::read(path).is_ok_and(|there| there == *bytes) {
                continue;
            }
            // Each lost file needs a copy of its own.
            match elsewhere.iter().position(|there| there == bytes) {
                Some(place) => drop(elsewhere.swap_remove(place)),
                None => return Err(format!("{} is lost", path.display())),
            }
        }
        audit(&self.sandbox.index())
    }

    /// Checks that undoing makes everything as it was, and that the index follows.
    fn everything_comes_back(&self) -> Result<(), String> {
        let undone = self.undo();
        is_allowed("none", &undone)?;
        let said = String::from_utf8_lossy(&undone.stderr).into_owned();
        for (path, (bytes, time)) in &self.files {
            let there =
                fs::read(path).map_err(|error| format!("{}: {error}: {said}", path.display()))?;
            if there != *bytes {
                return Err(format!("{} has another content", path.display()));
            }
            let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
            if modified.map_err(|error| error.to_string())? != *time {
                return Err(format!("{} has another date", path.display()));
            }
            if links(path) != 1 {
                return Err(format!("{} shares its file: {said}", path.display()));
            }
        }
        self.no_left_overs()?;
        let indexed = self
            .sandbox
            .command()
            .args(["index", "photos"])
            .output()
            .unwrap();
        is_allowed("none", &indexed)?;
        audit(&self.sandbox.index())?;
        if State::read(&self.sandbox.index())? != State::read(&self.index)? {
            return Err("the index is not as it was".to_owned());
        }
        let again = self.undo();
        match again.status.code() {
            Some(1) => Ok(()),
            other => Err(format!("there was something left to undo: {other:?}")),
        }
    }

    fn no_left_overs(&self) -> Result<(), String> {
        let there = self.files_in(&["photos", "moved"])?;
        match there.iter().find(|path| !self.files.contains_key(*path)) {
            Some(path) => Err(format!("left over: {}", path.display())),
            None => Ok(()),
        }
    }

    /// Returns the files at any depth in folders of the sandbox, and in the folder on another disk.
    fn files_in(&self, folders: &[&str]) -> Result<Vec<PathBuf>, String> {
        let folders = folders.iter().map(|folder| self.sandbox.dir.join(folder));
        let far = self.far.as_ref().map(|far| far.path().to_owned());
        let mut folders: Vec<PathBuf> = folders.chain(far).collect();
        let mut files = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten() {
                let path = entry.map_err(|error| error.to_string())?.path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.push(path);
                }
            }
        }
        Ok(files)
    }
}

fn links(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(path).unwrap().nlink()
}

/// Returns a folder on another file system, if this machine has one to write to.
fn other_disk(here: &Path) -> Option<tempfile::TempDir> {
    use std::os::unix::fs::MetadataExt as _;
    let far = tempfile::tempdir_in("/dev/shm").ok()?;
    let device = |path: &Path| fs::metadata(path).unwrap().dev();
    (device(far.path()) != device(here)).then_some(far)
}
