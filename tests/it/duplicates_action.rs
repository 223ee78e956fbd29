//! Actions on duplicates: real files in a trash of their own, links and folders, and back again.

use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::support::{Place, Ran, ran, sample};

/// Files with the same content, the oldest first, and others.
pub fn with_duplicates() -> Place {
    let place = Place::new();
    fs::create_dir_all(place.photo("copies/2019")).unwrap();
    for (age, (from, to)) in [
        ("cat.jpg", "cat.jpg"),
        ("cat.jpg", "copies/cat.jpg"),
        ("cat.jpg", "copies/2019/cat.jpg"),
        ("coffee.jpg", "coffee.jpg"),
        ("coffee.jpg", "copies/coffee.jpg"),
        ("rocket.jpg", "rocket.jpg"),
    ]
    .into_iter()
    .enumerate()
    {
        fs::copy(sample(from), place.photo(to)).unwrap();
        set_date(&place.photo(to), age as u64);
    }
    place.index();
    place
}

pub fn date(age: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_500_000_000 + 86_400 * age)
}

pub fn set_date(path: &Path, age: u64) {
    let times = FileTimes::new().set_modified(date(age));
    let file = File::options().write(true).open(path).unwrap();
    file.set_times(times).unwrap();
}

fn modified(path: &Path) -> SystemTime {
    fs::metadata(path).unwrap().modified().unwrap()
}

pub fn beside(place: &Place, name: &str) -> PathBuf {
    place.photos().with_file_name(name)
}

/// Returns `imgsearch duplicates` with a trash of its own.
fn command(place: &Place) -> Command {
    let mut command = place.command();
    command
        .env("XDG_DATA_HOME", beside(place, "data"))
        .env("HOME", beside(place, "home"))
        .arg("duplicates");
    command
}

pub fn run(place: &Place, arguments: &[&str]) -> Ran {
    ran(command(place).args(arguments).output().unwrap())
}

/// Returns every file below a folder and its content.
pub fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let content = fs::read(&path).unwrap();
                found.insert(path, content);
            }
        }
    }
    found
}

fn stored(place: &Place) -> u64 {
    let status = place.run(&["status", "--json"]).ended(0);
    status.json_lines()[0]["stats"]["images"].as_u64().unwrap()
}

pub fn trashed(place: &Place) -> Vec<Vec<u8>> {
    files(&beside(place, "data/Trash/files"))
        .into_values()
        .collect()
}

pub fn events(ran: &Ran, event: &str) -> Vec<Value> {
    let mut lines = ran.json_lines();
    lines.retain(|line| line["event"] == event);
    lines
}

#[test]
fn without_a_yes_the_plan_is_printed_and_nothing_happens() {
    let place = with_duplicates();
    let before = files(&place.photos());
    for action in ["trash", "hardlink", "move:moved"] {
        let ran = run(&place, &["--apply", action]).ended(1);
        assert!(ran.stdout.contains("keep      photos/cat.jpg"), "{ran:?}");
        assert!(ran.stdout.contains("photos/copies/2019/cat.jpg"), "{ran:?}");
        assert!(!ran.stdout.contains("rocket"), "{ran:?}");
        assert!(ran.stderr.contains("3 files") && ran.stderr.contains("--yes"));
        assert_eq!(files(&place.photos()), before);
        assert_eq!(trashed(&place).len(), 0);
        assert!(!beside(&place, "moved").exists());
    }
    assert!(!place.index_dir().join("undo.jsonl").exists());
    for wrong in ["move:", "shred", "Trash"] {
        run(&place, &["--apply", wrong, "--yes"]).ended(2);
    }
    run(&place, &["--yes"]).ended(2);
    assert_eq!(files(&place.photos()), before);
}

#[test]
fn what_goes_to_the_trash_comes_back() {
    let place = with_duplicates();
    let before = files(&place.photos());
    let done = run(&place, &["--apply", "trash", "--yes"]).ended(0);
    assert!(
        done.stderr.contains("3 files") && done.stderr.contains("--undo"),
        "{done:?}"
    );
    let left: Vec<PathBuf> = files(&place.photos()).into_keys().collect();
    let kept = ["cat.jpg", "coffee.jpg", "rocket.jpg"].map(|name| place.photo(name));
    assert_eq!(left, kept);
    assert_eq!(trashed(&place).len(), 3);
    assert_eq!(stored(&place), 3, "the index follows");
    assert_eq!(place.index()["removed"], 0, "nothing is missing");

    let undone = run(&place, &["--undo"]).ended(0);
    assert!(undone.stderr.contains("3 files"), "{undone:?}");
    assert_eq!(files(&place.photos()), before);
    assert_eq!(modified(&place.photo("copies/2019/cat.jpg")), date(2));
    assert_eq!(
        files(&beside(&place, "data")).len(),
        0,
        "the trash is empty"
    );
    assert_eq!(stored(&place), 6);
    let run_again = place.index();
    assert_eq!(run_again["unchanged"], 6, "{run_again}");
    assert_eq!(run_again["encoded"], 0, "{run_again}");
    let nothing = run(&place, &["--undo"]).ended(1);
    assert!(nothing.stderr.contains("nothing to undo"), "{nothing:?}");
}

#[cfg(unix)]
#[test]
fn links_save_room_and_become_files_of_their_own_again() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let place = with_duplicates();
    let before = files(&place.photos());
    let copy = place.photo("copies/cat.jpg");
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o640)).unwrap();
    place.index();
    run(&place, &["--apply", "hardlink", "--yes"]).ended(0);
    let inode = |name: &str| fs::metadata(place.photo(name)).unwrap().ino();
    assert_eq!(inode("cat.jpg"), inode("copies/cat.jpg"));
    assert_eq!(inode("cat.jpg"), inode("copies/2019/cat.jpg"));
    assert_eq!(inode("coffee.jpg"), inode("copies/coffee.jpg"));
    assert_eq!(
        files(&place.photos()),
        before,
        "no content and no name changes"
    );
    assert_eq!(
        place.index()["unchanged"],
        6,
        "the index knows the new numbers"
    );
    let again = run(&place, &["--apply", "hardlink", "--yes"]).ended(1);
    assert!(again.stdout.contains("it is the same file as"), "{again:?}");
    assert!(again.stderr.contains("nothing to do"), "{again:?}");

    run(&place, &["--undo"]).ended(0);
    assert_ne!(inode("cat.jpg"), inode("copies/cat.jpg"));
    assert_eq!(fs::metadata(place.photo("cat.jpg")).unwrap().nlink(), 1);
    assert_eq!(modified(&copy), date(1));
    assert_eq!(fs::metadata(&copy).unwrap().mode() & 0o777, 0o640);
    assert_eq!(files(&place.photos()), before);
    assert_eq!(place.index()["unchanged"], 6);
}

#[test]
fn what_is_moved_keeps_its_place_and_never_overwrites() {
    let place = with_duplicates();
    let before = files(&place.photos());
    let moved = beside(&place, "moved");
    fs::create_dir_all(moved.join("copies")).unwrap();
    fs::write(moved.join("copies/cat.jpg"), "somebody else's").unwrap();
    let ran = run(&place, &["--apply", "move:moved", "--yes", "--json"]).ended(0);
    assert_eq!(events(&ran, "done").len(), 3, "{ran:?}");
    assert_eq!(events(&ran, "summary")[0]["done"], 3);
    let there = files(&moved);
    let names: Vec<&Path> = there
        .keys()
        .map(|path| path.strip_prefix(&moved).unwrap())
        .collect();
    let expected = [
        "copies/2019/cat.jpg",
        "copies/cat (2).jpg",
        "copies/cat.jpg",
        "copies/coffee.jpg",
    ];
    assert_eq!(names, expected.map(Path::new));
    assert_eq!(there[&moved.join("copies/cat.jpg")], b"somebody else's");
    assert_eq!(modified(&moved.join("copies/2019/cat.jpg")), date(2));
    assert_eq!(stored(&place), 3);
    run(&place, &["--undo"]).ended(0);
    assert_eq!(files(&place.photos()), before);
    assert_eq!(files(&moved).len(), 1);
    assert_eq!(stored(&place), 6);
}

#[test]
fn an_image_that_is_moved_within_the_collection_keeps_its_id() {
    let place = with_duplicates();
    let id_of = |name: &str| {
        let reader = imgsearch::index::Reader::open(&place.index_dir()).unwrap();
        let real = fs::canonicalize(place.photos()).unwrap().join(name);
        reader.under(&real).unwrap().first().map(|image| image.id)
    };
    let id = id_of("copies/coffee.jpg").unwrap();
    run(&place, &["--apply", "move:photos/twice", "--yes"]).ended(0);
    assert_eq!(id_of("copies/coffee.jpg"), None);
    assert_eq!(id_of("twice/copies/coffee.jpg"), Some(id));
    assert_eq!(place.index()["unchanged"], 6);
    // What lies there already is left there.
    let again = run(&place, &["--apply", "move:photos/twice", "--yes"]).ended(1);
    assert!(again.stdout.contains("the folder to move to"), "{again:?}");
    run(&place, &["--undo"]).ended(0);
    assert_eq!(id_of("copies/coffee.jpg"), Some(id));
    assert_eq!(place.index()["unchanged"], 6);
}

#[cfg(target_os = "linux")]
#[test]
fn another_file_system_is_no_obstacle_for_moving_and_one_for_links() {
    use std::os::unix::fs::MetadataExt as _;
    let place = with_duplicates();
    let device = |path: &Path| fs::metadata(path).unwrap().dev();
    let far = tempfile::tempdir_in("/dev/shm").ok();
    let Some(far) = far.filter(|far| device(far.path()) != device(&place.photos())) else {
        println!("skipped: /dev/shm is not another file system");
        return;
    };
    let before = files(&place.photos());
    let to = format!("move:{}", far.path().join("moved").display());
    run(&place, &["--apply", &to, "--yes"]).ended(0);
    let there = files(far.path());
    assert_eq!(there.len(), 3, "{:?}", there.keys());
    let moved = far.path().join("moved/copies/2019/cat.jpg");
    assert_eq!(modified(&moved), date(2));
    run(&place, &["--undo"]).ended(0);
    assert_eq!(files(&place.photos()), before);
    assert_eq!(files(far.path()).len(), 0);
    assert_eq!(modified(&place.photo("copies/2019/cat.jpg")), date(2));

    fs::copy(sample("coffee.jpg"), far.path().join("coffee.jpg")).unwrap();
    set_date(&far.path().join("coffee.jpg"), 9);
    place.run(&["index", far.path().to_str().unwrap()]).ended(0);
    let ran = run(&place, &["--apply", "hardlink", "--yes"]).ended(1);
    assert!(ran.stdout.contains("another file system"), "{ran:?}");
    assert_eq!(
        fs::metadata(far.path().join("coffee.jpg")).unwrap().nlink(),
        1
    );
    assert_eq!(fs::metadata(place.photo("coffee.jpg")).unwrap().nlink(), 2);
}

/// Replaces a content by another of the same size, under the same date.
fn change_unnoticed(path: &Path) {
    let time = modified(path);
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
    let file = File::options().write(true).open(path).unwrap();
    file.set_times(FileTimes::new().set_modified(time)).unwrap();
}

#[test]
fn a_file_that_changed_is_left_alone_and_the_rest_goes_on() {
    for action in ["trash", "hardlink", "move:moved"] {
        let place = with_duplicates();
        let changed = place.photo("copies/cat.jpg");
        change_unnoticed(&changed);
        let content = fs::read(&changed).unwrap();
        let ran = run(&place, &["--apply", action, "--yes", "--json"]).ended(1);
        let left = events(&ran, "left_alone");
        assert_eq!(left.len(), 1, "{ran:?}");
        assert!(
            left[0]["path"]
                .as_str()
                .unwrap()
                .ends_with("copies/cat.jpg")
        );
        assert!(
            left[0]["reason"].as_str().unwrap().contains("changed"),
            "{ran:?}"
        );
        assert_eq!(events(&ran, "done").len(), 2, "{ran:?}");
        assert_eq!(fs::read(&changed).unwrap(), content);
        run(&place, &["--undo"]).ended(0);
        assert_eq!(fs::read(&changed).unwrap(), content);
    }
}

#[test]
fn a_group_whose_best_file_is_not_what_it_was_is_left_alone() {
    for action in ["trash", "hardlink", "move:moved"] {
        let place = with_duplicates();
        change_unnoticed(&place.photo("cat.jpg"));
        let before = files(&place.photos());
        let ran = run(&place, &["--apply", action, "--yes", "--json"]).ended(1);
        let left = events(&ran, "left_alone");
        assert_eq!(left.len(), 2, "{ran:?}");
        assert!(
            left.iter()
                .all(|line| line["reason"].as_str().unwrap().contains("best file"))
        );
        assert_eq!(events(&ran, "done").len(), 1, "{ran:?}");
        let after = files(&place.photos());
        let cats = |files: &BTreeMap<PathBuf, Vec<u8>>| -> Vec<PathBuf> {
            let cats = files.keys().filter(|path| path.ends_with("cat.jpg"));
            cats.cloned().collect()
        };
        assert_eq!(cats(&after), cats(&before));
    }
}

#[test]
fn without_the_best_file_the_others_are_a_group_and_one_of_them_stays() {
    for action in ["trash", "hardlink", "move:moved"] {
        let place = with_duplicates();
        let cat = fs::read(place.photo("cat.jpg")).unwrap();
        fs::remove_file(place.photo("cat.jpg")).unwrap();
        // The file that is not there is named.
        let ran = run(&place, &["--apply", action, "--yes", "--json"]).ended(1);
        assert!(ran.stderr.contains("photos/cat.jpg"), "{ran:?}");
        assert_eq!(events(&ran, "done").len(), 2, "{ran:?}");
        let kept = events(&ran, "keep");
        let kept = kept.iter().map(|line| line["path"].as_str().unwrap());
        let kept: Vec<&str> = kept.filter(|path| path.ends_with("cat.jpg")).collect();
        let [kept] = kept[..] else {
            panic!("{kept:?}");
        };
        assert!(kept.ends_with("photos/copies/cat.jpg"), "{kept}");
        assert_eq!(fs::read(kept).unwrap(), cat);
    }
}

#[cfg(unix)]
#[test]
fn names_of_one_file_are_never_a_pair() {
    use std::os::unix::fs::symlink;
    let place = Place::with(&["cat.jpg", "coffee.jpg"]);
    fs::hard_link(place.photo("cat.jpg"), place.photo("cat-2.jpg")).unwrap();
    let outside = beside(&place, "outside");
    fs::create_dir(&outside).unwrap();
    fs::copy(sample("coffee.jpg"), outside.join("coffee.jpg")).unwrap();
    symlink(outside.join("coffee.jpg"), place.photo("link.jpg")).unwrap();
    place.index();
    let before = files(&place.photos());
    for action in ["trash", "hardlink", "move:moved"] {
        let ran = run(&place, &["--apply", action, "--yes"]).ended(1);
        assert!(ran.stdout.contains("it is the same file as"), "{ran:?}");
        assert!(ran.stdout.contains("symbolic link"), "{ran:?}");
        assert!(ran.stderr.contains("nothing to do"), "{ran:?}");
        assert_eq!(files(&place.photos()), before);
    }
    assert!(outside.join("coffee.jpg").exists());
}

#[cfg(unix)]
#[test]
fn files_of_a_reference_folder_win_and_stay() {
    let place = with_duplicates();
    let before = files(&place.photos());
    let ran = run(
        &place,
        &["--apply", "trash", "--yes", "--reference", "photos/copies"],
    )
    .ended(0);
    assert!(
        ran.stdout.contains("keep      photos/copies/cat.jpg"),
        "{ran:?}"
    );
    assert!(!place.photo("cat.jpg").exists() && !place.photo("coffee.jpg").exists());
    assert!(place.photo("copies/2019/cat.jpg").exists());
    run(&place, &["--undo"]).ended(0);
    assert_eq!(files(&place.photos()), before);

    // Another way to the same folder protects it as well.
    let link = beside(&place, "link");
    std::os::unix::fs::symlink(place.photo("copies"), &link).unwrap();
    run(
        &place,
        &["--apply", "trash", "--yes", "--reference", "link"],
    )
    .ended(0);
    assert!(!place.photo("cat.jpg").exists());
    assert!(place.photo("copies/cat.jpg").exists());
    run(&place, &["--undo"]).ended(0);
    let missing = run(
        &place,
        &["--apply", "trash", "--yes", "--reference", "nowhere"],
    )
    .ended(2);
    assert!(missing.stderr.contains("nowhere"), "{missing:?}");
    assert_eq!(files(&place.photos()), before);
}

#[cfg(target_os = "linux")]
#[test]
fn a_trash_that_is_not_available_is_said_for_each_file() {
    let place = with_duplicates();
    let before = files(&place.photos());
    fs::write(beside(&place, "data"), "no folder").unwrap();
    let ran = run(&place, &["--apply", "trash", "--yes"]).ended(1);
    let said = ran.stderr.matches("the trash is not available").count();
    assert_eq!(said, 3, "{ran:?}");
    assert_eq!(files(&place.photos()), before);
    assert_eq!(stored(&place), 6);
    run(&place, &["--undo"]).ended(1);
    assert_eq!(files(&place.photos()), before);
}

#[cfg(unix)]
#[test]
fn a_folder_that_is_read_only_keeps_its_files_and_the_rest_goes_on() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = with_duplicates();
    let closed = place.photo("copies/2019");
    let set_mode = |mode| fs::set_permissions(&closed, fs::Permissions::from_mode(mode)).unwrap();
    set_mode(0o555);
    for action in ["trash", "hardlink", "move:moved"] {
        let Some(mut command) = place.bound_command() else {
            return;
        };
        let output = command
            .env("XDG_DATA_HOME", beside(&place, "data"))
            .args(["duplicates", "--apply", action, "--yes", "--json"])
            .output()
            .unwrap();
        let ran = ran(output).ended(1);
        let left = events(&ran, "left_alone");
        assert_eq!(left.len(), 1, "{ran:?}");
        assert!(
            left[0]["path"].as_str().unwrap().ends_with("2019/cat.jpg"),
            "{ran:?}"
        );
        assert_eq!(events(&ran, "done").len(), 2, "{ran:?}");
        assert!(closed.join("cat.jpg").exists());
        run(&place, &["--undo"]).ended(0);
        place.index();
    }
    set_mode(0o755);
}
