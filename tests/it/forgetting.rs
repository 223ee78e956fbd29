//! Which images are forgotten, and which only seem to be gone: on disks that are not mounted or have another disk
//! in their place, or in folders that cannot be read.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::{Place, Ran, ran, sample};

pub fn stored(place: &Place) -> u64 {
    let status = place.run(&["status", "--json"]).ended(0);
    status.json_lines()[0]["stats"]["images"].as_u64().unwrap()
}

/// Saves small images, each with its own content.
pub fn pieces(folder: &Path, numbers: std::ops::Range<u32>) {
    fs::create_dir_all(folder).unwrap();
    let image = image::open(sample("gravel.jpg")).unwrap();
    for i in numbers {
        let piece = image.crop_imm(i % 30, i / 30, 64, 64);
        piece.save(folder.join(format!("{i:03}.png"))).unwrap();
    }
}

/// Creates an indexed place with three images in `photos` and four in `photos/nas`.
pub fn with_nas() -> (Place, PathBuf) {
    let place = Place::new();
    let nas = place.photo("nas");
    pieces(&place.photos(), 0..3);
    pieces(&nas, 10..14);
    assert_eq!(place.index()["added"], 7);
    (place, nas)
}

/// Replaces a folder by another, as if its disk were not mounted; returns where the first one is now.
pub fn unmount(folder: &Path, left: impl Fn(&Path)) -> PathBuf {
    let elsewhere = folder.parent().unwrap().parent().unwrap().join("elsewhere");
    fs::rename(folder, &elsewhere).unwrap();
    fs::create_dir(folder).unwrap();
    left(folder);
    elsewhere
}

pub fn mount(elsewhere: &Path, folder: &Path) {
    fs::remove_dir_all(folder).unwrap();
    fs::rename(elsewhere, folder).unwrap();
}

#[track_caller]
fn keeps(run: &Value, kept: u64) {
    assert_eq!(
        (&run["removed"], &run["moved"], &run["kept_missing"]),
        (&0.into(), &0.into(), &kept.into()),
        "{run}"
    );
}

#[test]
fn the_empty_folder_of_an_unmounted_disk_is_not_the_same_folder() {
    type Left = fn(&Path);
    let left: [(&str, Left); 6] = [
        ("nothing", |_| {}),
        ("Finder's", |folder| {
            fs::write(folder.join(".DS_Store"), "x").unwrap()
        }),
        ("Explorer's", |folder| {
            fs::write(folder.join("Thumbs.db"), "x").unwrap()
        }),
        ("a repair's", |folder| {
            fs::create_dir(folder.join("lost+found")).unwrap()
        }),
        ("a note", |folder| {
            fs::write(folder.join("NOT_MOUNTED.txt"), "x").unwrap()
        }),
        ("a picture", |folder| pieces(folder, 50..51)),
    ];
    let (place, nas) = with_nas();
    for (what, left) in left {
        let elsewhere = unmount(&nas, left);
        let run = place.run(&["index", "photos", "--json"]).ended(0);
        let summary = run.summary();
        keeps(&summary, 4);
        let kept = run
            .json_lines()
            .into_iter()
            .find(|event| event["event"] == "kept");
        let kept = kept.unwrap_or_else(|| panic!("{what}: {run:?}"));
        assert_eq!(
            (&kept["images"], &kept["why"]),
            (&4.into(), &"elsewhere".into())
        );
        // The same for the second run, which has seen the folder that is left.
        keeps(&place.index(), 4);
        mount(&elsewhere, &nas);
        assert_eq!(
            place.index()["kept_missing"],
            if what == "a picture" { 1 } else { 0 }
        );
    }
    // The same for a root.
    let elsewhere = place.index_dir().with_file_name("root");
    fs::rename(place.photos(), &elsewhere).unwrap();
    fs::create_dir(place.photos()).unwrap();
    fs::write(place.photo(".DS_Store"), "x").unwrap();
    let said = place.run(&["index", "photos"]).ended(0).stderr;
    assert!(
        said.contains("not the same folder as before") && said.contains("8 missing and kept"),
        "{said}"
    );
    assert_eq!(stored(&place), 8);
}

#[test]
fn a_missing_folder_is_gone_only_if_it_was_not_a_disk() {
    let (place, nas) = with_nas();
    fs::remove_dir_all(&nas).unwrap();
    let run = place.index();
    assert_eq!(
        (&run["removed"], &run["kept_missing"]),
        (&4.into(), &0.into())
    );
    assert_eq!(stored(&place), 3);
}

#[test]
fn the_only_image_of_a_folder_that_is_still_there_is_gone() {
    let place = Place::new();
    pieces(&place.photos(), 0..3);
    pieces(&place.photo("one"), 3..4);
    place.index();
    fs::remove_file(place.photo("one/003.png")).unwrap();
    assert_eq!(place.index()["removed"], 1);
}

#[test]
fn a_kept_image_can_be_forgotten_after_its_file_was_found_again() {
    let (place, nas) = with_nas();
    let elsewhere = unmount(&nas, |_| {});
    keeps(&place.index(), 4);
    fs::remove_file(elsewhere.join("010.png")).unwrap();
    mount(&elsewhere, &nas);
    // An image that was deleted meanwhile may as well be on another disk.
    let run = place.index();
    keeps(&run, 1);
    fs::remove_file(nas.join("011.png")).unwrap();
    let run = place.index();
    assert_eq!(
        (&run["removed"], &run["kept_missing"]),
        (&1.into(), &1.into()),
        "{run}"
    );
    place.run(&["remove", "photos/nas/010.png"]).ended(0);
    assert_eq!(place.index()["kept_missing"], 0);
}

/// Changes the recorded numbers of all disks, as a start of the system may; with `births` false, creation times are
/// removed, too.
pub fn renumber(place: &Place, births: bool) {
    let database = rusqlite::Connection::open(place.index_dir().join("imgsearch.sqlite")).unwrap();
    database
        .execute("UPDATE folders SET device = device + 77", ())
        .unwrap();
    if !births {
        database
            .execute("UPDATE folders SET born_ns = 0", ())
            .unwrap();
    }
}

#[cfg(unix)]
#[test]
fn disks_with_other_numbers_are_known_by_what_is_on_them() {
    for births in [true, false] {
        let (place, nas) = with_nas();
        renumber(&place, births);
        fs::remove_file(nas.join("010.png")).unwrap();
        fs::remove_file(place.photo("000.png")).unwrap();
        assert_eq!(place.index()["removed"], 2);
        renumber(&place, births);
        // No image is left in the folder itself.
        for i in 11..14 {
            fs::remove_file(nas.join(format!("{i:03}.png"))).unwrap();
        }
        assert_eq!(place.index()["removed"], 3, "births known: {births}");
    }
}

#[test]
fn an_index_of_an_older_format_decides_by_the_images_that_are_found() {
    let (place, nas) = with_nas();
    let forget_folders = || {
        rusqlite::Connection::open(place.index_dir().join("imgsearch.sqlite"))
            .unwrap()
            .execute_batch("DELETE FROM folders; UPDATE images SET inode = 0, ctime_ns = 0")
            .unwrap();
    };
    forget_folders();
    fs::remove_file(nas.join("010.png")).unwrap();
    let run = place.index();
    assert_eq!((&run["removed"], &run["unchanged"]), (&1.into(), &6.into()));
    forget_folders();
    for i in 11..14 {
        fs::remove_file(nas.join(format!("{i:03}.png"))).unwrap();
    }
    keeps(&place.index(), 3);
}

/// Runs a shell in its own namespace of mounts, where disks can come and go.
#[cfg(target_os = "linux")]
fn with_mounts(place: &Place, script: &str) -> Option<Ran> {
    let possible = Command::new("unshare")
        .args(["-m", "mount", "-t", "tmpfs", "none", "/mnt"])
        .output();
    if !possible.is_ok_and(|output| output.status.success()) {
        println!("skipped: disks cannot be mounted here, which takes root and unshare");
        return None;
    }
    let mut command = Command::new("unshare");
    command
        .args(["-m", "sh", "-euc", script])
        .current_dir(place.photos().parent().unwrap())
        .env("IMGSEARCH_INDEX", place.index_dir())
        .env("IMGSEARCH", env!("CARGO_BIN_EXE_imgsearch"));
    Some(ran(command.output().unwrap()).ended(0))
}

#[cfg(target_os = "linux")]
#[test]
fn real_disks_come_and_go_and_change_places() {
    let place = Place::new();
    let neighbour = place.photos().with_file_name("neighbour");
    pieces(&place.photos(), 0..3);
    pieces(&neighbour.join("one"), 10..14);
    pieces(&neighbour.join("two"), 20..25);
    let script = "
        index() { $IMGSEARCH index photos --json \"$@\" | tail -1; }
        mkdir photos/disk
        put() { mount -t tmpfs none photos/disk; cp -p neighbour/$1/*.png photos/disk; }
        put one; index; umount photos/disk
        # The empty folder that is left, twice, and none.
        index; index; rmdir photos/disk; index; mkdir photos/disk
        # Another disk, with the same numbers, twice; and the first again.
        put two; index; index; umount photos/disk
        put one; index; index
        # One picture is deleted.
        rm photos/disk/010.png; index; umount photos/disk
        # The other disk again.
        put two; index; index
    ";
    let Some(ran) = with_mounts(&place, script) else {
        return;
    };
    let counts: Vec<[u64; 4]> = ran
        .json_lines()
        .iter()
        .map(|line| {
            ["added", "unchanged", "removed", "kept_missing"]
                .map(|name| line["summary"][name].as_u64().unwrap())
        })
        .collect();
    assert_eq!(
        counts,
        [
            [7, 0, 0, 0],
            [0, 3, 0, 4],
            [0, 3, 0, 4],
            [0, 3, 0, 4],
            [5, 3, 0, 4],
            [0, 8, 0, 4],
            [0, 7, 0, 5],
            [0, 7, 0, 5],
            [0, 6, 1, 5],
            [0, 8, 0, 3],
            [0, 8, 0, 3],
        ],
        "{ran:?}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_takes_its_folder_along_is_not_deleted_and_its_images_do_not_move() {
    let place = Place::new();
    let neighbour = place.photos().with_file_name("neighbour");
    pieces(&place.photos(), 0..3);
    pieces(&neighbour, 10..14);
    let script = "
        index() { $IMGSEARCH index photos --json | tail -1; }
        mkdir photos/disk
        mount -t tmpfs none photos/disk
        mkdir photos/disk/inner
        cp -p neighbour/*.png photos/disk/inner
        index
        umount photos/disk; rmdir photos/disk
        # Copies of its pictures turn up.
        cp -rp neighbour photos/copies
        index
    ";
    let Some(ran) = with_mounts(&place, script) else {
        return;
    };
    let second = &ran.json_lines()[1]["summary"];
    keeps(second, 4);
    assert_eq!(
        (&second["added"], &second["encoded"]),
        (&4.into(), &0.into())
    );
}

#[test]
fn images_do_not_move_away_from_a_disk_that_is_not_there() {
    let place = Place::new();
    let base = place.photos().parent().unwrap().to_owned();
    pieces(&base.join("disk"), 0..2);
    place.run(&["index", "disk"]).ended(0);
    let copy = base.join("copy");
    fs::rename(base.join("disk"), &copy).unwrap();
    for made in [false, true] {
        if made {
            fs::create_dir(base.join("disk")).unwrap();
        }
        for extra in [None, Some("--keep-missing")] {
            let mut arguments = vec!["index", "copy", "--json"];
            arguments.extend(extra);
            let run = place.run(&arguments).ended(0).summary();
            assert_eq!(
                (&run["moved"], &run["encoded"]),
                (&0.into(), &0.into()),
                "{run}"
            );
            assert_eq!(stored(&place), 4);
        }
        place.run(&["remove", "copy"]).ended(0);
    }
    // The message says that it is kept, and what to do.
    let said = place.run(&["index", "copy"]).ended(0).stderr;
    assert!(
        said.contains("was not indexed in this run") && said.contains("imgsearch remove"),
        "{said}"
    );
    place.run(&["remove", "copy"]).ended(0);

    // Images may move out of a folder that exists and is not empty, but not if missing images are to be kept.
    fs::rename(&copy, base.join("gone")).unwrap();
    fs::remove_dir_all(base.join("disk")).unwrap();
    fs::rename(base.join("gone"), base.join("disk")).unwrap();
    place.run(&["index", "disk"]).ended(0);
    fs::create_dir(&copy).unwrap();
    fs::rename(base.join("disk/000.png"), copy.join("000.png")).unwrap();
    let kept = place
        .run(&["index", "copy", "--keep-missing", "--json"])
        .ended(0);
    assert_eq!(kept.summary()["moved"], 0);
    place.run(&["remove", "copy"]).ended(0);
    let run = place.run(&["index", "copy", "--json"]).ended(0).summary();
    assert_eq!(
        (&run["moved"], &run["added"]),
        (&1.into(), &0.into()),
        "{run}"
    );
    assert_eq!(stored(&place), 2);
}

#[test]
fn images_kept_on_request_are_reported_even_if_no_file_is_left() {
    let place = Place::with(&["cat.jpg", "coffee.jpg"]);
    place.index();
    fs::remove_file(place.photo("cat.jpg")).unwrap();
    fs::remove_file(place.photo("coffee.jpg")).unwrap();
    fs::write(place.photo("notes.txt"), "x").unwrap();
    let said = place
        .run(&["index", "photos", "--keep-missing"])
        .ended(0)
        .stderr;
    assert!(said.contains("2 missing and kept"), "{said}");
}

/// Runs the program as a user for whom permissions count.
#[cfg(target_os = "linux")]
fn without_privileges(place: &Place, arguments: &[&str]) -> Option<Ran> {
    let command = place.command();
    let mut dropped = Command::new("setpriv");
    dropped
        .args([
            "--inh-caps=-all",
            "--bounding-set=-all",
            "--ambient-caps=-all",
            "--",
        ])
        .arg(command.get_program())
        .args(arguments)
        .current_dir(place.photos().parent().unwrap())
        .env("IMGSEARCH_INDEX", place.index_dir());
    dropped.output().ok().map(ran)
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_cannot_be_read_any_more_keeps_its_images_and_says_how_many() {
    use std::os::unix::fs::PermissionsExt;
    let (place, nas) = with_nas();
    fs::set_permissions(&nas, fs::Permissions::from_mode(0o000)).unwrap();
    let run = without_privileges(&place, &["index", "photos", "--json"]);
    let said = without_privileges(&place, &["index", "photos"]);
    fs::set_permissions(&nas, fs::Permissions::from_mode(0o755)).unwrap();
    let (Some(run), Some(said)) = (run, said) else {
        println!("skipped: setpriv is missing, which takes privileges away");
        return;
    };
    let summary = run.ended(1).summary();
    assert_eq!(summary["unreadable_folders"], 1, "{summary}");
    keeps(&summary, 0);
    assert_eq!(summary["kept_unreadable"], 4);
    assert!(
        said.stderr.contains("4 indexed images under it are kept"),
        "{said:?}"
    );
    assert!(said.stderr.contains("4 out of reach and kept"), "{said:?}");
    assert_eq!(place.index()["unchanged"], 7);
}

#[cfg(unix)]
#[test]
fn files_of_one_size_and_date_that_change_places_are_noticed() {
    let place = Place::new();
    let image = image::open(sample("gravel.jpg")).unwrap();
    let date = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    let files = [place.photo("a.bmp"), place.photo("b.bmp")];
    for (i, file) in (0u32..).zip(&files) {
        image.crop_imm(100 * i, 0, 64, 64).save(file).unwrap();
        let opened = fs::File::options().write(true).open(file).unwrap();
        opened.set_modified(date).unwrap();
    }
    place.index();
    let swap = || {
        let elsewhere = place.photo("elsewhere");
        fs::rename(&files[0], &elsewhere).unwrap();
        fs::rename(&files[1], &files[0]).unwrap();
        fs::rename(&elsewhere, &files[1]).unwrap();
    };
    swap();
    // Not if inode numbers are ignored.
    let run = place
        .run(&["index", "photos", "--ignore-inode", "--json"])
        .ended(0)
        .summary();
    assert_eq!((&run["unchanged"], &run["changed"]), (&2.into(), &0.into()));
    let run = place.index();
    assert_eq!(
        (&run["changed"], &run["encoded"]),
        (&2.into(), &0.into()),
        "{run}"
    );
    assert_eq!(place.nearest(&files[0], 1), ["a.bmp"]);
    // Swapping names needs no encoding.
    fs::rename(&files[0], place.photo("elsewhere")).unwrap();
    fs::rename(place.photo("elsewhere"), &files[0]).unwrap();
    let events = place
        .run(&["index", "photos", "--json"])
        .ended(0)
        .json_lines();
    assert_eq!(events[0]["plan"]["jobs"], 1);
    assert_eq!(place.index()["unchanged"], 2);
}
