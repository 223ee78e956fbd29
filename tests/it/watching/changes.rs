//! Files that appear, change, move and vanish, and other processes meanwhile.

use std::fs;
#[cfg(target_os = "linux")]
use std::io::Write as _;
use std::time::Duration;

use super::Watch;
use crate::contract::training_place;
use crate::forgetting::{mount, pieces, stored, unmount, with_nas};
use crate::support::{Place, sample};

#[test]
fn new_changed_moved_and_deleted_files_are_followed() {
    let place = Place::with(&["cat.jpg"]);
    let mut watch = Watch::start(&place, &["photos"]);
    assert_eq!(stored(&place), 1);
    fs::copy(sample("coffee.jpg"), place.photo("coffee.jpg")).unwrap();
    watch.does(&[("added", 1)]);
    assert_eq!(place.nearest(&sample("coffee.jpg"), 1), ["coffee.jpg"]);
    fs::rename(place.photo("coffee.jpg"), place.photo("cup.jpg")).unwrap();
    watch.does(&[("moved", 1), ("added", 0), ("removed", 0)]);
    assert_eq!(place.nearest(&sample("coffee.jpg"), 1), ["cup.jpg"]);
    fs::copy(sample("rocket.jpg"), place.photo("cat.jpg")).unwrap();
    watch.does(&[("changed", 1), ("added", 0)]);
    assert_eq!(place.nearest(&sample("rocket.jpg"), 1), ["cat.jpg"]);
    fs::remove_file(place.photo("cup.jpg")).unwrap();
    watch.does(&[("removed", 1)]);
    assert_eq!(place.nearest(&sample("coffee.jpg"), 9), ["cat.jpg"]);
    // What was forgotten can be brought back.
    let list = place.run(&["restore", "--list", "--json"]).ended(0);
    assert!(list.stdout.contains("cup.jpg"), "{list:?}");
    watch.end();
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_that_is_written_in_pieces_is_read_once_it_is_complete() {
    let place = Place::new();
    let mut watch = Watch::start(&place, &["photos"]);
    let content = fs::read(sample("coffee.jpg")).unwrap();
    let mut file = fs::File::create(place.photo("coffee.jpg")).unwrap();
    for piece in content.chunks(content.len().div_ceil(4)) {
        file.write_all(piece).unwrap();
        // Longer than a file must be quiet.
        std::thread::sleep(Duration::from_millis(900));
    }
    drop(file);
    // A download, under another name until it is complete.
    let content = fs::read(sample("cat.jpg")).unwrap();
    let (half, rest) = content.split_at(content.len() / 2);
    let part = place.photo("cat.jpg.part");
    for piece in [half, rest] {
        let mut file = fs::File::options()
            .append(true)
            .create(true)
            .open(&part)
            .unwrap();
        file.write_all(piece).unwrap();
        drop(file);
        std::thread::sleep(Duration::from_millis(900));
    }
    fs::rename(&part, place.photo("cat.jpg")).unwrap();
    watch.does(&[("added", 2), ("damaged", 0), ("failed", 0), ("changed", 0)]);
    let mut files = watch.files();
    files.sort_by(|a, b| a.0.cmp(&b.0));
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["cat.jpg", "coffee.jpg"], "{files:?}");
    assert!(
        files.iter().all(|(_, outcome)| outcome == "added"),
        "{files:?}"
    );
    assert_eq!(place.nearest(&sample("coffee.jpg"), 1), ["coffee.jpg"]);
    watch.end();
}

#[test]
fn folders_move_in_out_and_back() {
    let place = Place::with(&["cat.jpg"]);
    let outside = place.photos().with_file_name("outside");
    pieces(&outside.join("trip/day"), 0..3);
    let mut watch = Watch::start(&place, &["photos"]);
    let trip = place.photo("trip");
    fs::rename(outside.join("trip"), &trip).unwrap();
    watch.does(&[("added", 3)]);
    assert_eq!(place.nearest(&trip.join("day/001.png"), 1), ["001.png"]);
    // New files in the folder that came, and in one that is made inside it.
    fs::create_dir_all(trip.join("night/late")).unwrap();
    fs::copy(sample("coffee.jpg"), trip.join("night/late/coffee.jpg")).unwrap();
    fs::copy(sample("rocket.jpg"), trip.join("day/rocket.jpg")).unwrap();
    watch.does(&[("added", 2), ("removed", 0)]);
    fs::rename(&trip, place.photo("journey")).unwrap();
    watch.does(&[("moved", 5), ("added", 0), ("removed", 0)]);
    // It is watched under its new name.
    fs::remove_file(place.photo("journey/day/rocket.jpg")).unwrap();
    watch.does(&[("removed", 1)]);
    fs::rename(place.photo("journey"), outside.join("journey")).unwrap();
    watch.does(&[("removed", 4)]);
    assert_eq!(place.nearest(&sample("coffee.jpg"), 9), ["cat.jpg"]);
    // Nothing is lost: when it comes back, no image is encoded again.
    fs::rename(outside.join("journey"), &trip).unwrap();
    watch.does(&[("added", 4), ("encoded", 0)]);
    assert_eq!(place.nearest(&sample("coffee.jpg"), 1), ["coffee.jpg"]);
    watch.end();
}

#[test]
fn a_burst_is_few_batches_and_what_the_system_says_was_deleted_is_forgotten() {
    let place = Place::with(&["cat.jpg"]);
    let outside = place.photos().with_file_name("outside");
    pieces(&outside, 0..300);
    let mut watch = Watch::start(&place, &["photos"]);
    let before = watch.number_of("batch");
    for entry in fs::read_dir(&outside).unwrap() {
        let entry = entry.unwrap();
        fs::rename(entry.path(), place.photos().join(entry.file_name())).unwrap();
    }
    watch.does(&[("added", 300)]);
    let batches = watch.number_of("batch") - before;
    assert!(batches <= 20, "{batches} batches");
    assert_eq!(stored(&place), 301);
    // So many need a confirmation if nobody saw how they went.
    for number in 0..300 {
        fs::remove_file(place.photo(&format!("{number:03}.png"))).unwrap();
    }
    watch.does(&[("removed", 300), ("kept_unconfirmed", 0)]);
    assert_eq!(stored(&place), 1);
    watch.end();
}

#[test]
fn many_that_were_deleted_unseen_are_kept() {
    let place = Place::new();
    pieces(&place.photos(), 0..20);
    place.index();
    for number in 0..15 {
        fs::remove_file(place.photo(&format!("{number:03}.png"))).unwrap();
    }
    // Without paths: those that the index covers.
    let mut watch = Watch::start(&place, &[]);
    assert_eq!(watch.number_of("forgetting"), 1);
    assert_eq!(stored(&place), 20);
    fs::remove_file(place.photo("015.png")).unwrap();
    watch.does(&[("removed", 1)]);
    watch.end();
    let watch = Watch::start(&place, &["--prune"]);
    assert_eq!(stored(&place), 4);
    watch.end();
}

#[test]
fn what_a_walk_leaves_out_is_left_out() {
    let place = Place::new();
    let ignoring = place.photo(".imgsearchignore");
    fs::write(&ignoring, "*.png\nprivate/\n").unwrap();
    let mut watch = Watch::start(&place, &["photos", "--ignore", "draft-*"]);
    pieces(&place.photo("private"), 0..2);
    pieces(&place.photos(), 2..4);
    fs::create_dir(place.photo(".cache")).unwrap();
    for name in [
        ".hidden.jpg",
        ".cache/x.jpg",
        "draft-1.jpg",
        "private/cat.jpg",
        "coffee.jpg",
    ] {
        fs::copy(sample("coffee.jpg"), place.photo(name)).unwrap();
    }
    watch.does(&[("added", 1)]);
    assert_eq!(stored(&place), 1);
    // What the ignore file allows now is found, and what it leaves out now is forgotten.
    fs::write(&ignoring, "coffee.jpg\n").unwrap();
    watch.does(&[("added", 5), ("removed", 1)]);
    let names: Vec<String> = watch.files().into_iter().map(|(name, _)| name).collect();
    for name in [".hidden.jpg", "x.jpg", "draft-1.jpg"] {
        assert!(!names.contains(&name.to_owned()), "{names:?}");
    }
    watch.end();
}

#[test]
fn others_write_to_the_index_meanwhile() {
    let place = Place::with(&["cat.jpg"]);
    let mut watch = Watch::start(&place, &["photos"]);
    // It does not hold the lock while it waits.
    place.index();
    place.run(&["optimize"]).ended(0);
    let writer = imgsearch::index::Writer::open_existing(&place.index_dir()).unwrap();
    fs::copy(sample("coffee.jpg"), place.photo("coffee.jpg")).unwrap();
    watch.until("it says that it waits", |event| event["event"] == "waiting");
    fs::copy(sample("rocket.jpg"), place.photo("rocket.jpg")).unwrap();
    // It tries again and again, and says it once.
    std::thread::sleep(Duration::from_secs(3));
    drop(writer);
    watch.does(&[("added", 2)]);
    assert_eq!(watch.number_of("waiting"), 1);
    assert_eq!(stored(&place), 3);
    // A later run without paths still knows the whole folder.
    watch.end();
    let run = place.run(&["index", "--json"]).ended(0).summary();
    assert_eq!(run["unchanged"], 3, "{run}");
}

#[test]
fn another_encoder_takes_over_meanwhile() {
    let place = training_place();
    place.index();
    let mut watch = Watch::start(&place, &["photos"]);
    let file = place.photos().with_file_name("two.onnx");
    let file = file.to_str().unwrap();
    place
        .run(&[
            "train", "photos", "-o", file, "--views", "1", "--epochs", "3",
        ])
        .ended(0);
    place
        .run(&["index", "--reencode", "--encoder", file])
        .ended(0);
    pieces(&place.photos(), 0..1);
    watch.does(&[("added", 1), ("encoded", 1)]);
    assert_eq!(place.nearest(&place.photo("000.png"), 1), ["000.png"]);
    watch.end();
}

#[cfg(target_os = "linux")]
#[test]
fn ctrl_c_in_a_batch_keeps_what_is_stored() {
    if crate::signals::ignores(2) {
        eprintln!("SKIPPED: these tests were started with SIGINT ignored");
        return;
    }
    let place = Place::new();
    pieces(&place.photos(), 0..600);
    let mut command = place.command();
    command.args(["watch", "--json", "photos"]);
    let mut watch = Watch::spawn(command);
    watch.until("something is stored", |event| event["event"] == "committed");
    watch.signal("-INT");
    let ran = watch.ended().ended(130);
    let events = ran.json_lines();
    let last = events.last().unwrap();
    assert_eq!(
        (&last["event"], &last["interrupted"]),
        (&"ended".into(), &true.into())
    );
    let done = stored(&place);
    assert!(done > 0 && done < 600, "{done}");
    let mut watch = Watch::start(&place, &[]);
    assert_eq!(stored(&place), 600);
    fs::remove_file(place.photo("007.png")).unwrap();
    watch.does(&[("removed", 1)]);
    watch.end();
}

#[test]
fn paths_that_do_not_exist_are_errors_and_change_nothing() {
    let place = Place::with(&["cat.jpg"]);
    let ran = place.run(&["watch", "nowhere"]).ended(2);
    assert!(
        ran.stderr.contains("no such file or folder: nowhere"),
        "{ran:?}"
    );
    let ran = place.run(&["watch"]).ended(2);
    assert!(
        ran.stderr.contains("nothing is indexed yet") && ran.stderr.contains("imgsearch watch"),
        "{ran:?}"
    );
    assert!(!place.index_dir().exists());
    let ran = place.run(&["watch", "photos", "--ignore", "a[b"]).ended(2);
    assert!(ran.stderr.contains("not a valid glob"), "{ran:?}");
    let ran = place.run(&["watch", "photos", "--poll", "0"]).ended(2);
    assert!(ran.stderr.contains("--poll"), "{ran:?}");
}

#[test]
fn a_watched_folder_that_vanishes_and_comes_back_loses_nothing() {
    let place = Place::new();
    pieces(&place.photos(), 0..12);
    let mut watch = Watch::start(&place, &["photos"]);
    let elsewhere = place.photos().with_file_name("elsewhere");
    fs::rename(place.photos(), &elsewhere).unwrap();
    watch.until("it vanished", |event| event["event"] == "vanished");
    // A run by hand decides the same.
    place.run(&["index"]).ended(2);
    pieces(&elsewhere, 12..14);
    fs::remove_file(elsewhere.join("003.png")).unwrap();
    fs::rename(&elsewhere, place.photos()).unwrap();
    watch.until("it is back", |event| event["event"] == "returned");
    watch.does(&[("added", 2), ("removed", 1)]);
    assert_eq!(stored(&place), 13);
    assert_eq!(place.nearest(&place.photo("013.png"), 1), ["013.png"]);
    // It is watched as before.
    fs::copy(sample("cat.jpg"), place.photo("cat.jpg")).unwrap();
    watch.does(&[("added", 1)]);
    watch.end();
    // A start while it is away waits for it, too.
    fs::rename(place.photos(), &elsewhere).unwrap();
    let mut watch = Watch::start(&place, &[]);
    assert_eq!(watch.number_of("vanished"), 1);
    fs::rename(&elsewhere, place.photos()).unwrap();
    fs::copy(sample("coffee.jpg"), place.photo("coffee.jpg")).unwrap();
    watch.does(&[("added", 1), ("removed", 0)]);
    assert_eq!(stored(&place), 15);
    watch.end();
}

#[test]
fn files_that_were_named_are_watched_and_their_neighbours_are_not() {
    let place = Place::with(&["cat.jpg", "coffee.jpg"]);
    let mut watch = Watch::start(&place, &["photos/cat.jpg"]);
    fs::copy(sample("rocket.jpg"), place.photo("rocket.jpg")).unwrap();
    fs::copy(sample("astronaut.jpg"), place.photo("cat.jpg")).unwrap();
    watch.does(&[("changed", 1), ("added", 0)]);
    assert_eq!(stored(&place), 1);
    fs::remove_file(place.photo("cat.jpg")).unwrap();
    watch.does(&[("removed", 1)]);
    watch.end();
}

#[test]
fn an_index_inside_the_watched_folder_is_not_watched() {
    let place = Place::with(&["cat.jpg"]);
    let index = place.photo("index");
    let mut watch = Watch::start(&place, &["photos", "--index", index.to_str().unwrap()]);
    for name in ["coffee.jpg", "rocket.jpg"] {
        fs::copy(sample(name), place.photo(name)).unwrap();
        watch.does(&[("added", 1)]);
        // Time for a batch about the changes of the last one.
        std::thread::sleep(Duration::from_secs(2));
    }
    let ran = watch.end();
    let batches = ran.json_lines();
    let batches = batches.iter().filter(|event| event["event"] == "batch");
    assert_eq!(batches.count(), 3);
}

#[cfg(unix)]
#[test]
fn images_behind_links_are_followed() {
    use std::os::unix::fs::symlink;
    let place = Place::with(&["cat.jpg"]);
    let outside = place.photos().with_file_name("outside");
    pieces(&outside.join("deep"), 0..2);
    symlink(&outside, place.photo("link")).unwrap();
    let mut watch = Watch::start(&place, &["photos"]);
    assert_eq!(stored(&place), 3);
    fs::copy(sample("coffee.jpg"), outside.join("deep/coffee.jpg")).unwrap();
    watch.does(&[("added", 1)]);
    assert_eq!(place.nearest(&sample("coffee.jpg"), 1), ["coffee.jpg"]);
    // A link to what is indexed under its own name adds nothing; a link to something else does.
    symlink(place.photo("cat.jpg"), place.photo("again.jpg")).unwrap();
    symlink(sample("rocket.jpg"), place.photo("rocket.jpg")).unwrap();
    watch.does(&[("added", 1)]);
    assert_eq!(stored(&place), 5);
    fs::remove_file(place.photo("link")).unwrap();
    watch.does(&[("removed", 3)]);
    assert_eq!(stored(&place), 2);
    watch.end();
}

#[test]
fn another_folder_in_the_place_of_one_takes_no_images_from_it() {
    let (place, nas) = with_nas();
    let mut watch = Watch::start(&place, &["photos"]);
    let elsewhere = unmount(&nas, |folder| pieces(folder, 50..51));
    watch.does(&[("added", 1), ("kept_missing", 4), ("removed", 0)]);
    // A batch about one file of it is no evidence about the others.
    pieces(&nas, 51..52);
    watch.does(&[("added", 1), ("removed", 0)]);
    let run = place.index();
    assert_eq!(
        (&run["removed"], &run["kept_missing"]),
        (&0.into(), &4.into())
    );
    mount(&elsewhere, &nas);
    watch.does(&[("kept_missing", 2), ("removed", 0), ("encoded", 0)]);
    assert_eq!(stored(&place), 9);
    watch.end();
}

#[cfg(unix)]
#[test]
fn a_disk_without_creation_times_is_known_by_an_image_on_it() {
    let (place, nas) = with_nas();
    let mut watch = Watch::start(&place, &["photos"]);
    crate::forgetting::renumber(&place, false);
    fs::remove_file(nas.join("010.png")).unwrap();
    watch.does(&[("removed", 1), ("kept_missing", 0)]);
    fs::rename(nas.join("011.png"), place.photo("moved.png")).unwrap();
    watch.does(&[("moved", 1), ("added", 0), ("removed", 0)]);
    assert_eq!(stored(&place), 6);
    watch.end();
}
