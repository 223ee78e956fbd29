//! What is played: commands, and the index that each begins with.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use image::DynamicImage;
use imgsearch::index::{Change, FileStat, Index, NewContent, Writer};
use rusqlite::Connection;

use crate::state::State;

/// A command on an index, and what the index holds before it and after.
pub struct Scene {
    pub name: &'static str,
    pub arguments: Vec<String>,
    /// The index that it begins with; none where the folder is not there.
    pub template: Option<PathBuf>,
    /// Whether the index passes from before to after at once.
    pub atomic: bool,
    pub before: State,
    pub after: State,
    /// How long it took undisturbed.
    pub takes: Duration,
}

/// The place that everything happens in.
pub struct Stage {
    pub dir: PathBuf,
    pub shim: PathBuf,
}

impl Stage {
    /// The index that is played on.
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

    /// The command with the library before it that counts the changes of the index.
    pub fn disturbed(&self, kind: &str, at: usize) -> Command {
        let mut command = self.command();
        command
            .env("LD_PRELOAD", &self.shim)
            .env("FAULT_FOLDER", self.index())
            .env("FAULT_KIND", kind)
            .env("FAULT_AT", at.to_string());
        command
    }

    /// Puts a copy of a template, or nothing, where the index is played on.
    pub fn set(&self, template: Option<&Path>) {
        if self.index().exists() {
            fs::remove_dir_all(self.index()).unwrap();
        }
        if let Some(template) = template {
            copy_folder(template, &self.index());
        }
    }

    fn keep(&self, name: &str) -> PathBuf {
        let template = self.dir.join(format!("template-{name}"));
        fs::rename(self.index(), &template).unwrap();
        template
    }

    fn must(&self, arguments: &[&str]) -> Output {
        let output = self.command().args(arguments).output().unwrap();
        // 1: a file that could not be read, as is meant here.
        assert!(
            matches!(output.status.code(), Some(0 | 1)),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        output
    }

    /// Plays a scene undisturbed.
    fn rehearse(
        &self,
        name: &'static str,
        arguments: &[&str],
        template: Option<PathBuf>,
        atomic: bool,
    ) -> Scene {
        self.set(template.as_deref());
        let before = State::read(&self.index()).unwrap();
        self.set(template.as_deref());
        let started = Instant::now();
        self.must(arguments);
        let takes = started.elapsed();
        let after = State::read(&self.index()).unwrap();
        Scene {
            name,
            arguments: arguments.iter().map(|&word| word.to_owned()).collect(),
            template,
            atomic,
            before,
            after,
            takes,
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

/// All scenes, rehearsed.
pub fn scenes(stage: &Stage, photos: Option<&Path>, wanted: &str) -> Vec<Scene> {
    let folder = stage.dir.join("photos");
    photographs(&folder, photos);
    stage.must(&["index", "photos"]);
    let first = stage.keep("first");
    change_some(&folder);
    stage.set(None);
    stage.must(&["index", "photos"]);
    let whole = stage.keep("whole");
    stage.must(&[
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

    let mut scenes = Vec::new();
    let mut add = |name: &'static str, arguments: &[&str], template: Option<PathBuf>, atomic| {
        if name.contains(wanted) {
            scenes.push(stage.rehearse(name, arguments, template, atomic));
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
        Some(with_removed(stage, &whole)),
        true,
    );
    add("fold", &["optimize"], Some(with_many(stage, &whole)), true);
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
    add(
        "migrate",
        &["status"],
        Some(of_format_1(stage, &whole)),
        true,
    );
    scenes
}

/// Photographs of which some share their content, one is damaged, and one is none.
fn photographs(folder: &Path, given: Option<&Path>) {
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
    fs::copy(place(1, "jpg"), folder.join("twin.jpg")).unwrap();
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

/// Some photographs go, come, change, move and change places.
fn change_some(folder: &Path) {
    let path = |name: &str| folder.join(name);
    fs::remove_file(path("003.jpg")).unwrap();
    fs::rename(path("004.jpg"), path("some/moved.jpg")).unwrap();
    fs::rename(path("006.jpg"), path("aside.jpg")).unwrap();
    fs::rename(path("007.jpg"), path("006.jpg")).unwrap();
    fs::rename(path("aside.jpg"), path("007.jpg")).unwrap();
    let turned = image::open(path("008.jpg")).unwrap().rotate180();
    turned.save(path("008.jpg")).unwrap();
    turned.fliph().save(path("new.jpg")).unwrap();
    turned.flipv().save(path("none.jpg")).unwrap();
}

/// An index of which some images were removed.
fn with_removed(stage: &Stage, whole: &Path) -> PathBuf {
    stage.set(Some(whole));
    stage.must(&["remove", "photos/some"]);
    stage.keep("removed")
}

/// An index with many more images, so that folding them takes a while.
fn with_many(stage: &Stage, whole: &Path) -> PathBuf {
    stage.set(Some(whole));
    let dir = stage.index();
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
    stage.keep("many")
}

/// An index as the first version made it.
fn of_format_1(stage: &Stage, whole: &Path) -> PathBuf {
    stage.set(Some(whole));
    Connection::open(stage.index().join("imgsearch.sqlite"))
        .unwrap()
        .execute_batch(
            "DROP TRIGGER images_removed; DROP TABLE removed; DROP TABLE segments; DROP TABLE folders;
             DROP TABLE trash; PRAGMA user_version = 1;
             ALTER TABLE images DROP COLUMN inode; ALTER TABLE images DROP COLUMN ctime_ns;
             ALTER TABLE images DROP COLUMN away_since; ALTER TABLE contents DROP COLUMN checksum;
             ALTER TABLE failures RENAME COLUMN kind TO stage; ALTER TABLE failures DROP COLUMN limit_ms;
             ALTER TABLE failures DROP COLUMN inode; ALTER TABLE failures DROP COLUMN ctime_ns;",
        )
        .unwrap();
    fs::remove_dir_all(stage.index().join("segments")).unwrap();
    stage.keep("format-1")
}
