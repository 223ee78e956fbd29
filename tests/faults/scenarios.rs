//! The scenarios: commands, and the index that each starts with.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use image::DynamicImage;
use imgsearch::index::{Change, FileStat, Index, NewContent, Writer};
use rusqlite::Connection;

use crate::state::State;

/// A command on an index, and what the index holds before it and after.
pub struct Scenario {
    pub name: &'static str,
    pub arguments: Vec<String>,
    /// The index that it starts with; `None` for no folder.
    pub template: Option<PathBuf>,
    /// Whether the index changes from before to after at once.
    pub atomic: bool,
    pub before: State,
    pub after: State,
    /// How long it took undisturbed.
    pub takes: Duration,
    /// Of the changes that would be disturbed, every how many-th is.
    pub stride: usize,
}

/// The folder in which everything happens.
pub struct Sandbox {
    pub dir: PathBuf,
    pub shim: PathBuf,
}

impl Sandbox {
    /// Returns the index of the current run.
    pub fn index(&self) -> PathBuf {
        self.dir.join("index")
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_imgsearch"));
        command
            .current_dir(&self.dir)
            .env("IMGSEARCH_INDEX", self.index());
        command
    }

    /// Returns the command with the preloaded library, which counts the changes of the index.
    pub fn disturbed(&self, kind: &str, at: usize) -> Command {
        let mut command = self.command();
        command
            .env("LD_PRELOAD", &self.shim)
            .env("FAULT_FOLDER", self.index())
            .env("FAULT_KIND", kind)
            .env("FAULT_AT", at.to_string());
        command
    }

    /// Replaces the current index by a copy of a template, or by nothing.
    pub fn set(&self, template: Option<&Path>) {
        if self.index().exists() {
            fs::remove_dir_all(self.index()).unwrap();
        }
        if let Some(template) = template {
            copy_folder(template, &self.index());
        }
    }

    fn save_template(&self, name: &str) -> PathBuf {
        let template = self.dir.join(format!("template-{name}"));
        fs::rename(self.index(), &template).unwrap();
        template
    }

    fn must(&self, arguments: &[&str]) -> Output {
        let output = self.command().args(arguments).output().unwrap();
        // 1: a file could not be read, which is intended here.
        assert!(
            matches!(output.status.code(), Some(0 | 1)),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        output
    }

    /// Runs a scenario undisturbed.
    fn prepare(
        &self,
        name: &'static str,
        arguments: &[&str],
        template: Option<PathBuf>,
        atomic: bool,
    ) -> Scenario {
        self.set(template.as_deref());
        let before = State::read(&self.index()).unwrap();
        self.set(template.as_deref());
        let started = Instant::now();
        self.must(arguments);
        let takes = started.elapsed();
        let after = State::read(&self.index()).unwrap();
        Scenario {
            name,
            arguments: arguments.iter().map(|&word| word.to_owned()).collect(),
            template,
            atomic,
            before,
            after,
            takes,
            stride: 1,
        }
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Returns all scenarios, run once.
pub fn scenarios(sandbox: &Sandbox, photos: Option<&Path>, wanted: &str) -> Vec<Scenario> {
    let folder = sandbox.dir.join("photos");
    make_images(&folder, photos);
    sandbox.must(&["index", "photos"]);
    let first = sandbox.save_template("first");
    change_some(&folder);
    sandbox.set(None);
    sandbox.must(&["index", "photos"]);
    let whole = sandbox.save_template("whole");
    sandbox.must(&[
        "--quiet",
        "train",
        "photos",
        "--views",
        "0",
        "--epochs",
        "2",
        "--bits",
        "128",
        "--no-charts",
        "-o",
        "other.onnx",
    ]);

    let mut scenarios = Vec::new();
    let mut add = |name: &'static str, arguments: &[&str], template: Option<PathBuf>, atomic| {
        if name.contains(wanted) {
            scenarios.push(sandbox.prepare(name, arguments, template, atomic));
        }
    };
    add(
        "index for the first time",
        &["index", "photos"],
        None,
        false,
    );
    add(
        "index what changed",
        &["index", "photos"],
        Some(first),
        false,
    );
    add(
        "remove",
        &["remove", "photos/some"],
        Some(whole.clone()),
        true,
    );
    add(
        "restore",
        &["restore"],
        Some(with_removed(sandbox, &whole)),
        true,
    );
    add(
        "fold",
        &["optimize"],
        Some(with_many(sandbox, &whole)),
        true,
    );
    add(
        "re-encode",
        &["index", "--reencode", "--encoder", "other.onnx"],
        Some(whole.clone()),
        true,
    );
    add(
        "adapt",
        &["adapt", "--force", "--views", "0", "--epochs", "2"],
        Some(whole.clone()),
        true,
    );
    add("map", &["map", "--json"], Some(whole.clone()), true);
    add(
        REMAP,
        &["map", "--json", "--renew", "--seed", "7"],
        Some(with_map(sandbox, &whole)),
        true,
    );
    add(
        "migrate",
        &["status"],
        Some(of_format_1(sandbox, &whole)),
        true,
    );
    if TRAINING.contains(wanted) {
        let template = Some(untrained(sandbox));
        let scenario = sandbox.prepare(TRAINING, &["index", "crowd"], template, true);
        assert_ne!(
            scenario.before.fingerprint, scenario.after.fingerprint,
            "no encoder was trained, so nothing is tested"
        );
        // A run encodes and trains, twice: seconds, where the others take parts of one.
        scenarios.push(Scenario {
            stride: 4,
            ..scenario
        });
    }
    scenarios
}

/// A map takes the place of another one.
pub const REMAP: &str = "renew the map";

const TRAINING: &str = "train its own encoder";

/// Images from which an index trains: `MIN_COLLECTION`.
const CROWD: usize = 300;

/// Returns an index as the first run leaves it that is interrupted before it trains its encoder.
fn untrained(sandbox: &Sandbox) -> PathBuf {
    let folder = sandbox.dir.join("crowd");
    fs::create_dir_all(&folder).unwrap();
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples");
    let names = ["gravel.jpg", "grass.jpg", "coffee.jpg", "cat.jpg"];
    for (name, sample) in names.iter().enumerate() {
        let sample = image::open(samples.join(sample)).unwrap();
        let side = sample.width().min(sample.height()) / 5;
        for piece in 0..CROWD / names.len() {
            let (x, y) = (piece % 10, piece / 10);
            let at = |step: usize, length: u32| step as u32 * (length - side) / 10;
            sample
                .crop_imm(at(x, sample.width()), at(y, sample.height()), side, side)
                .save(folder.join(format!("{name}-{piece:02}.png")))
                .unwrap();
        }
    }
    sandbox.set(None);
    sandbox.must(&["index", "crowd", "--no-adapt"]);
    Connection::open(sandbox.index().join("imgsearch.sqlite"))
        .unwrap()
        .execute_batch("DELETE FROM facts WHERE name = 'adaptation'; UPDATE runs SET ended = NULL, completed = 0;")
        .unwrap();
    sandbox.save_template("untrained")
}

/// Makes images: some share their content, one is damaged, and one is not an image.
fn make_images(folder: &Path, given: Option<&Path>) {
    fs::create_dir_all(folder.join("some")).unwrap();
    let place = |i: usize, extension: &str| {
        let within = if i.is_multiple_of(5) { "some/" } else { "" };
        folder.join(format!("{within}{i:03}.{extension}"))
    };
    if let Some(given) = given {
        let mut files: Vec<PathBuf> = fs::read_dir(given)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "jpg"))
            .collect();
        files.sort();
        for (i, file) in files.iter().enumerate() {
            fs::copy(file, place(i, "jpg")).unwrap();
        }
    } else {
        let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples");
        for (i, name) in ["gravel.jpg", "grass.jpg", "coffee.jpg", "cat.jpg"]
            .iter()
            .enumerate()
        {
            let sample = image::open(samples.join(name)).unwrap();
            for piece in 0..8 {
                cut(&sample, piece)
                    .save(place(8 * i + piece, "jpg"))
                    .unwrap();
            }
        }
    }
    fs::copy(place(1, "jpg"), folder.join("duplicate.jpg")).unwrap();
    fs::write(folder.join("none.jpg"), "this is a text").unwrap();
    let whole = fs::read(place(2, "jpg")).unwrap();
    fs::write(folder.join("cut.jpg"), &whole[..whole.len() * 2 / 3]).unwrap();
}

fn cut(image: &DynamicImage, piece: usize) -> DynamicImage {
    let side = image.width().min(image.height()) / 2;
    let step = side / 4;
    let (x, y) = (piece as u32 % 4 * step, piece as u32 / 4 * step);
    image.crop_imm(x, y, side, side)
}

/// Removes, adds, changes, moves and swaps some images.
fn change_some(folder: &Path) {
    let path = |name: &str| folder.join(name);
    fs::remove_file(path("003.jpg")).unwrap();
    fs::rename(path("004.jpg"), path("some/moved.jpg")).unwrap();
    fs::rename(path("006.jpg"), path("temporary.jpg")).unwrap();
    fs::rename(path("007.jpg"), path("006.jpg")).unwrap();
    fs::rename(path("temporary.jpg"), path("007.jpg")).unwrap();
    let turned = image::open(path("008.jpg")).unwrap().rotate180();
    turned.save(path("008.jpg")).unwrap();
    turned.fliph().save(path("new.jpg")).unwrap();
    turned.flipv().save(path("none.jpg")).unwrap();
}

/// Returns an index that knows where its images lie on a map.
fn with_map(sandbox: &Sandbox, whole: &Path) -> PathBuf {
    sandbox.set(Some(whole));
    sandbox.must(&["map", "--json"]);
    sandbox.save_template("map")
}

/// Returns an index from which some images were removed.
fn with_removed(sandbox: &Sandbox, whole: &Path) -> PathBuf {
    sandbox.set(Some(whole));
    sandbox.must(&["remove", "photos/some"]);
    sandbox.save_template("removed")
}

/// Returns an index with many more images, so that folding them takes a while.
fn with_many(sandbox: &Sandbox, whole: &Path) -> PathBuf {
    sandbox.set(Some(whole));
    let dir = sandbox.index();
    let record = Index::open(&dir).unwrap().encoder().clone();
    let mut writer = Writer::open(&dir, &record).unwrap();
    // Xorshift (Marsaglia 2003).
    let mut noise = 88_172_645_463_325_252u64;
    let mut drawn = || {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        noise
    };
    let changes: Vec<Change> = (0..3000u64)
        .map(|i| {
            let mut digest = [7; 32];
            digest[..8].copy_from_slice(&i.to_le_bytes());
            let content = NewContent {
                digest,
                width: 4,
                height: 3,
                format: "jpeg".to_owned(),
                taken: None,
                damage: None,
                labels: Vec::new(),
                code: (0..record.code_len)
                    .map(|_| (drawn() >> 40) as f32 / (1 << 24) as f32 - 0.5)
                    .collect(),
                hash: (0..record.bits.div_ceil(8))
                    .map(|_| drawn() as u8)
                    .collect(),
            };
            Change::Insert {
                path: format!("/elsewhere/{i}.jpg").into(),
                stat: FileStat::default(),
                content,
            }
        })
        .collect();
    writer.apply(&changes).unwrap();
    drop(writer);
    sandbox.save_template("many")
}

/// Returns an index of the first format.
fn of_format_1(sandbox: &Sandbox, whole: &Path) -> PathBuf {
    sandbox.set(Some(whole));
    Connection::open(sandbox.index().join("imgsearch.sqlite"))
        .unwrap()
        .execute_batch(
            "DROP TRIGGER images_removed; DROP TABLE removed; DROP TABLE segments; DROP TABLE folders;
             DROP TABLE trash; DROP TABLE facts; DROP TABLE labels; PRAGMA user_version = 1;
             ALTER TABLE images DROP COLUMN inode; ALTER TABLE images DROP COLUMN ctime_ns;
             ALTER TABLE images DROP COLUMN away_since; ALTER TABLE contents DROP COLUMN checksum;
             ALTER TABLE failures RENAME COLUMN kind TO stage; ALTER TABLE failures DROP COLUMN limit_ms;
             ALTER TABLE failures DROP COLUMN inode; ALTER TABLE failures DROP COLUMN ctime_ns;",
        )
        .unwrap();
    fs::remove_dir_all(sandbox.index().join("segments")).unwrap();
    sandbox.save_template("format-1")
}
