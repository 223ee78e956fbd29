//! What is forgotten, and what only seems to be gone: disks that are not mounted, other disks in their
//! place, folders that cannot be read; and how what was forgotten comes back.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::{Place, Ran, ran, sample};

fn stored(place: &Place) -> u64 {
    let status = place.run(&["status", "--json"]).ended(0);
    status.json_lines()[0]["stats"]["images"].as_u64().unwrap()
}

/// Small pictures, each of a content of its own.
fn pieces(folder: &Path, numbers: std::ops::Range<u32>) {
    fs::create_dir_all(folder).unwrap();
    let image = image::open(sample("gravel.jpg")).unwrap();
    for i in numbers {
        let piece = image.crop_imm(i % 30, i / 30, 64, 64);
        piece.save(folder.join(format!("{i:03}.png"))).unwrap();
    }
}

/// A place with three pictures in `photos` and four in `photos/nas`, indexed.
fn with_nas() -> (Place, PathBuf) {
    let place = Place::new();
    let nas = place.photo("nas");
    pieces(&place.photos(), 0..3);
    pieces(&nas, 10..14);
    assert_eq!(place.index()["added"], 7);
    (place, nas)
}

/// Puts another folder in the place of one, which is what a disk leaves that is not mounted; the
/// one that was there.
fn unmount(folder: &Path, left: impl Fn(&Path)) -> PathBuf {
    let aside = folder.parent().unwrap().parent().unwrap().join("aside");
    fs::rename(folder, &aside).unwrap();
    fs::create_dir(folder).unwrap();
    left(folder);
    aside
}

fn mount(aside: &Path, folder: &Path) {
    fs::remove_dir_all(folder).unwrap();
    fs::rename(aside, folder).unwrap();
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
fn what_a_disk_leaves_that_is_not_mounted_is_not_what_it_was() {
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
        let aside = unmount(&nas, left);
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
        // Nor is it the second time, when the folder that is left has been seen.
        keeps(&place.index(), 4);
        mount(&aside, &nas);
        assert_eq!(
            place.index()["kept_missing"],
            if what == "a picture" { 1 } else { 0 }
        );
    }
    // A root of which that is so.
    let aside = place.index_dir().with_file_name("root");
    fs::rename(place.photos(), &aside).unwrap();
    fs::create_dir(place.photos()).unwrap();
    fs::write(place.photo(".DS_Store"), "x").unwrap();
    let said = place.run(&["index", "photos"]).ended(0).stderr;
    assert!(
        said.contains("not the folder that it was") && said.contains("8 missing and kept"),
        "{said}"
    );
    assert_eq!(stored(&place), 8);
}

#[test]
fn a_folder_that_vanished_is_gone_only_if_it_was_no_disk() {
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
fn what_was_kept_is_judged_anew_once_it_was_there_again() {
    let (place, nas) = with_nas();
    let aside = unmount(&nas, |_| {});
    keeps(&place.index(), 4);
    fs::remove_file(aside.join("010.png")).unwrap();
    mount(&aside, &nas);
    // One that was deleted meanwhile may as well lie elsewhere.
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

/// Changes the numbers of all disks in what was recorded, as a start of the system does; births too
/// where they are not to be known.
fn renumber(place: &Place, births: bool) {
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
        // Nothing is left to be met in the folder itself.
        for i in 11..14 {
            fs::remove_file(nas.join(format!("{i:03}.png"))).unwrap();
        }
        assert_eq!(place.index()["removed"], 3, "births known: {births}");
    }
}

#[test]
fn an_index_of_an_older_format_judges_by_what_is_met() {
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

/// A shell in a namespace of mounts of its own, where disks can come and go.
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
    let beside = place.photos().with_file_name("beside");
    pieces(&place.photos(), 0..3);
    pieces(&beside.join("one"), 10..14);
    pieces(&beside.join("two"), 20..25);
    let script = "
        index() { $IMGSEARCH index photos --json \"$@\" | tail -1; }
        mkdir photos/disk
        put() { mount -t tmpfs none photos/disk; cp -p beside/$1/*.png photos/disk; }
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
    let beside = place.photos().with_file_name("beside");
    pieces(&place.photos(), 0..3);
    pieces(&beside, 10..14);
    let script = "
        index() { $IMGSEARCH index photos --json | tail -1; }
        mkdir photos/disk
        mount -t tmpfs none photos/disk
        mkdir photos/disk/inner
        cp -p beside/*.png photos/disk/inner
        index
        umount photos/disk; rmdir photos/disk
        # Copies of its pictures turn up.
        cp -rp beside photos/copies
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
    // That it is kept is said, and what to do.
    let said = place.run(&["index", "copy"]).ended(0).stderr;
    assert!(
        said.contains("was not looked through") && said.contains("imgsearch remove"),
        "{said}"
    );
    place.run(&["remove", "copy"]).ended(0);

    // From a folder that is there, and something in it, images may move; but not where what is
    // missing is to be kept.
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
fn what_is_kept_on_request_is_said_even_if_nothing_is_left() {
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
        said.stderr
            .contains("4 indexed images stored under it stay"),
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
        let aside = place.photo("aside");
        fs::rename(&files[0], &aside).unwrap();
        fs::rename(&files[1], &files[0]).unwrap();
        fs::rename(&aside, &files[1]).unwrap();
    };
    swap();
    // Not if that is not to count.
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
    // A name that only goes to and fro costs no encoding.
    fs::rename(&files[0], place.photo("aside")).unwrap();
    fs::rename(place.photo("aside"), &files[0]).unwrap();
    let events = place
        .run(&["index", "photos", "--json"])
        .ended(0)
        .json_lines();
    assert_eq!(events[0]["plan"]["jobs"], 1);
    assert_eq!(place.index()["unchanged"], 2);
}

#[test]
fn much_is_forgotten_only_when_it_is_confirmed() {
    let place = Place::new();
    pieces(&place.photos(), 0..90);
    pieces(&place.photo("some"), 90..105);
    place.index();
    let delete = |numbers: std::ops::Range<u32>| {
        for i in numbers {
            fs::remove_file(place.photo(&format!("some/{i:03}.png"))).unwrap();
        }
    };
    // Few are forgotten without a word.
    delete(90..95);
    assert_eq!(place.index()["removed"], 5);
    pieces(&place.photo("some"), 90..95);
    assert_eq!(place.index()["added"], 5);
    delete(90..102);
    let said = place.run(&["index", "photos"]).ended(1).stderr;
    assert!(
        said.contains("12 images of 105 are to be forgotten")
            && said.contains("12 in ")
            && said.contains("photos/some")
            && said.contains("--prune")
            && said.contains("12 missing and kept"),
        "{said}"
    );
    assert_eq!(stored(&place), 105);
    let run = place.run(&["index", "photos", "--json"]).ended(1);
    assert_eq!(run.summary()["kept_unconfirmed"], 12);
    let told = run
        .json_lines()
        .into_iter()
        .find(|event| event["event"] == "forgetting");
    assert_eq!(told.unwrap()["folders"][0]["images"], 12);
    let pruned = place
        .run(&["index", "photos", "--prune", "--json"])
        .ended(0);
    assert!(pruned.stdout.contains("\"forgetting\""), "{pruned:?}");
    assert_eq!(pruned.summary()["removed"], 12);
    assert_eq!(stored(&place), 93);
}

/// Runs the program on a terminal of its own, at which something is typed.
#[cfg(target_os = "linux")]
fn on_a_terminal(place: &Place, typed: &str) -> Option<Ran> {
    use std::io::Write as _;
    use std::process::Stdio;
    let program = env!("CARGO_BIN_EXE_imgsearch");
    let mut child = Command::new("script")
        .args(["-qec", &format!("'{program}' index photos"), "/dev/null"])
        .current_dir(place.photos().parent().unwrap())
        .env("IMGSEARCH_INDEX", place.index_dir())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    child
        .stdin
        .as_mut()
        .unwrap()
        .write_all(typed.as_bytes())
        .unwrap();
    Some(ran(child.wait_with_output().unwrap()))
}

#[cfg(target_os = "linux")]
#[test]
fn a_person_at_a_terminal_is_asked() {
    let place = Place::new();
    pieces(&place.photos(), 0..30);
    place.index();
    for i in 0..12 {
        fs::remove_file(place.photo(&format!("{i:03}.png"))).unwrap();
    }
    for (typed, status, left) in [("\n", 1, 30), ("n\n", 1, 30), ("y\n", 0, 18)] {
        let Some(asked) = on_a_terminal(&place, typed) else {
            println!("skipped: there is no script(1), which makes terminals");
            return;
        };
        assert!(asked.stdout.contains("Forget 12 images?"), "{asked:?}");
        assert_eq!(asked.status, status, "{asked:?}");
        assert_eq!(stored(&place), left, "{asked:?}");
    }
}

#[test]
fn a_root_without_any_image_left_is_confirmed_however_few_they_were() {
    let place = Place::with(&["cat.jpg", "coffee.jpg"]);
    fs::write(place.photo("notes.txt"), "x").unwrap();
    place.index();
    for name in ["cat.jpg", "coffee.jpg"] {
        fs::remove_file(place.photo(name)).unwrap();
    }
    let run = place.run(&["index", "photos", "--json"]);
    // Where the system does not tell when folders were made, the folder may be another.
    if run.summary()["kept_unconfirmed"] == 0 {
        println!("skipped: folders have no date of birth here");
        return;
    }
    run.ended(1);
    assert_eq!(stored(&place), 2);
    let pruned = place
        .run(&["index", "photos", "--prune", "--json"])
        .ended(0);
    assert_eq!(pruned.summary()["removed"], 2);
}

#[test]
fn encoding_anew_leaves_out_many_only_when_it_is_confirmed() {
    let place = Place::new();
    pieces(&place.photos(), 0..30);
    place.index();
    for i in 0..12 {
        fs::remove_file(place.photo(&format!("{i:03}.png"))).unwrap();
    }
    let refused = place.run(&["index", "--reencode"]).ended(2).stderr;
    assert!(
        refused.contains("12 of 30") && refused.contains("--prune"),
        "{refused}"
    );
    assert_eq!(stored(&place), 30);
    place.run(&["index", "--reencode", "--prune"]).ended(0);
    assert_eq!(stored(&place), 18);
}

#[test]
fn encoding_anew_keeps_what_lies_on_a_disk_below_a_root() {
    let (place, nas) = with_nas();
    let aside = unmount(&nas, |folder| {
        fs::write(folder.join("NOT_MOUNTED.txt"), "x").unwrap()
    });
    let refused = place.run(&["index", "--reencode"]).ended(2).stderr;
    assert!(
        refused.contains("4 stored images") && refused.contains("nas"),
        "{refused}"
    );
    assert_eq!(stored(&place), 7);
    mount(&aside, &nas);
    place.run(&["index", "--reencode"]).ended(0);
    assert_eq!(stored(&place), 7);
}

#[cfg(unix)]
#[test]
fn encoding_anew_keeps_links_whose_targets_are_out_of_reach() {
    let place = Place::with(&["cat.jpg"]);
    let beside = place.photos().with_file_name("beside");
    pieces(&beside, 0..1);
    let link = place.photo("link.png");
    std::os::unix::fs::symlink(beside.join("000.png"), &link).unwrap();
    assert_eq!(place.index()["added"], 2);
    fs::rename(&beside, place.photos().with_file_name("away")).unwrap();
    let refused = place.run(&["index", "--reencode"]).ended(2).stderr;
    assert!(refused.contains("link.png"), "{refused}");
    assert_eq!(stored(&place), 2);
}

#[test]
fn removed_images_come_back_and_cost_no_encoding() {
    let place = Place::with(&["cat.jpg", "coffee.jpg", "rocket.jpg"]);
    place.index();
    let removed = place.run(&["remove", "photos/cat.jpg"]).ended(0).stderr;
    assert!(
        removed.contains("imgsearch restore photos/cat.jpg"),
        "{removed}"
    );
    assert_ne!(place.nearest(&sample("cat.jpg"), 1), ["cat.jpg"]);
    let status = place.run(&["status"]).ended(0).stdout;
    assert!(status.contains("1 removed image,"), "{status}");
    let listed = place.run(&["restore", "--list"]).ended(0).stdout;
    assert!(
        listed.contains("UTC") && listed.contains("cat.jpg"),
        "{listed}"
    );
    let listed = place
        .run(&["restore", "photos", "--list", "--json"])
        .ended(0)
        .json_lines();
    assert!(listed[0]["removed"].as_i64().unwrap() > 0);
    place.run(&["restore", "photos/coffee.jpg"]).ended(1);
    let back = place.run(&["restore", "photos/cat.jpg"]).ended(0).stderr;
    assert!(back.contains("1 image brought back"), "{back}");
    assert_eq!(place.nearest(&sample("cat.jpg"), 1), ["cat.jpg"]);
    assert_eq!(place.index()["unchanged"], 3);
    place.run(&["restore", "--list"]).ended(1);

    // A file that was deleted and comes back.
    let aside = place.index_dir().with_file_name("cat.jpg");
    fs::rename(place.photo("cat.jpg"), &aside).unwrap();
    assert_eq!(place.index()["removed"], 1);
    assert_eq!(place.index()["removed"], 0);
    fs::rename(&aside, place.photo("cat.jpg")).unwrap();
    let run = place.index();
    assert_eq!(
        (&run["added"], &run["encoded"]),
        (&1.into(), &0.into()),
        "{run}"
    );
    place.run(&["restore-removed"]).ended(1);
}

#[test]
fn a_path_that_another_image_has_by_now_keeps_it() {
    let place = Place::with(&["cat.jpg", "coffee.jpg"]);
    place.index();
    place.run(&["remove", "photos/cat.jpg"]).ended(0);
    fs::copy(sample("rocket.jpg"), place.photo("cat.jpg")).unwrap();
    place.index();
    let said = place.run(&["restore"]).ended(1).stderr;
    assert!(said.contains("another image is stored there"), "{said}");
    assert_eq!(place.nearest(&sample("rocket.jpg"), 1), ["cat.jpg"]);
}

#[test]
fn what_is_removed_forever_is_nowhere() {
    let place = Place::with(&["cat.jpg", "coffee.jpg"]);
    place.index();
    let code = |line: &Value| -> Vec<u8> {
        let numbers = line["code"].as_array().unwrap();
        let floats = numbers.iter().map(|number| number.as_f64().unwrap() as f32);
        floats.flat_map(f32::to_le_bytes).collect()
    };
    place.run(&["optimize"]).ended(0);
    let encoded = place
        .run(&["encode", "photos/cat.jpg", "--json"])
        .ended(0)
        .json_lines();
    let code = code(&encoded[0]);
    let holders = || {
        let mut found = Vec::new();
        let mut folders = vec![place.index_dir()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if fs::read(&path)
                    .unwrap()
                    .windows(code.len())
                    .any(|part| part == code)
                {
                    found.push(path);
                }
            }
        }
        found
    };
    assert!(holders().len() >= 2, "{:?}", holders());
    place.run(&["remove", "photos/cat.jpg"]).ended(0);
    // What was removed before is in the trash, and goes.
    let removed = place
        .run(&["remove", "--forever", "photos/cat.jpg"])
        .ended(0)
        .stderr;
    assert!(removed.contains("1 image forgotten for good"), "{removed}");
    assert_eq!(holders(), Vec::<PathBuf>::new());
    place.run(&["restore"]).ended(1);
}
