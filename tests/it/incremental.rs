//! Indexing again: every way in which a folder changes, and nothing is done twice.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use crate::support::{Place, sample};

#[test]
fn an_unchanged_file_is_not_read() {
    let place = Place::with(&["cat.jpg", "coffee.jpg", "rocket.jpg"]);
    let first = place.index();
    assert_eq!((&first["added"], &first["encoded"]), (&3.into(), &3.into()));
    let second = place.index();
    assert_eq!(second["unchanged"], 3);
    assert_eq!(
        (&second["added"], &second["encoded"]),
        (&0.into(), &0.into())
    );
    // A run without paths repeats the paths of the last.
    let third = place.run(&["index", "--json"]).ended(0).summary();
    assert_eq!(third["unchanged"], 3);
}

#[test]
fn a_touched_file_is_read_and_not_encoded() {
    let place = Place::with(&["cat.jpg"]);
    place.index();
    let file = fs::File::options()
        .write(true)
        .open(place.photo("cat.jpg"))
        .unwrap();
    file.set_modified(SystemTime::now() + Duration::from_secs(100))
        .unwrap();
    drop(file);
    let run = place.index();
    assert_eq!((&run["unchanged"], &run["encoded"]), (&1.into(), &0.into()));
    // The new date is stored.
    let events = place
        .run(&["index", "photos", "--json"])
        .ended(0)
        .json_lines();
    assert_eq!(events[0]["plan"]["jobs"], 0);
}

#[test]
fn a_changed_file_is_encoded_again_under_a_new_number() {
    let place = Place::with(&["cat.jpg", "coffee.jpg"]);
    place.index();
    let id = |name: &str| {
        let ran = place
            .run(&["query", &format!("photos/{name}"), "-k", "1", "--json"])
            .ended(0);
        ran.json_lines()[0]["results"][0]["id"].as_i64().unwrap()
    };
    let (cat, coffee) = (id("cat.jpg"), id("coffee.jpg"));
    fs::copy(sample("rocket.jpg"), place.photo("cat.jpg")).unwrap();
    let run = place.index();
    assert_eq!((&run["changed"], &run["encoded"]), (&1.into(), &1.into()));
    assert_eq!(place.nearest(&sample("rocket.jpg"), 1), ["cat.jpg"]);
    assert_eq!(id("coffee.jpg"), coffee);
    assert!(id("cat.jpg") > cat.max(coffee));
}

#[test]
fn a_moved_file_keeps_its_number_and_is_not_encoded() {
    let place = Place::with(&["cat.jpg", "coffee.jpg"]);
    place.index();
    let before = place
        .run(&["query", "photos/cat.jpg", "-k", "1", "--json"])
        .ended(0)
        .json_lines();
    fs::create_dir(place.photo("pets")).unwrap();
    fs::rename(place.photo("cat.jpg"), place.photo("pets/tom.jpg")).unwrap();
    let run = place.index();
    assert_eq!(
        (&run["moved"], &run["encoded"], &run["removed"]),
        (&1.into(), &0.into(), &0.into())
    );
    let after = place
        .run(&["query", "photos/pets/tom.jpg", "-k", "1", "--json"])
        .ended(0)
        .json_lines();
    assert_eq!(before[0]["results"][0]["id"], after[0]["results"][0]["id"]);
    assert!(
        after[0]["results"][0]["path"]
            .as_str()
            .unwrap()
            .ends_with("pets/tom.jpg")
    );
}

#[test]
fn two_files_that_change_names_keep_their_codes() {
    let place = Place::with(&["cat.jpg", "coffee.jpg"]);
    place.index();
    fs::rename(place.photo("cat.jpg"), place.photo("x")).unwrap();
    fs::rename(place.photo("coffee.jpg"), place.photo("cat.jpg")).unwrap();
    fs::rename(place.photo("x"), place.photo("coffee.jpg")).unwrap();
    let run = place.index();
    assert_eq!(
        (&run["changed"], &run["encoded"]),
        (&2.into(), &0.into()),
        "{run}"
    );
    assert_eq!(place.nearest(&sample("cat.jpg"), 1), ["coffee.jpg"]);
    assert_eq!(place.nearest(&sample("coffee.jpg"), 1), ["cat.jpg"]);
}

#[test]
fn an_image_whose_file_is_gone_is_removed_unless_it_is_to_be_kept() {
    let place = Place::with(&["cat.jpg", "coffee.jpg", "rocket.jpg"]);
    place.index();
    fs::remove_file(place.photo("cat.jpg")).unwrap();
    let kept = place
        .run(&["index", "photos", "--keep-missing", "--json"])
        .ended(0)
        .summary();
    assert_eq!(
        (&kept["removed"], &kept["kept_missing"]),
        (&0.into(), &1.into())
    );
    assert_eq!(place.nearest(&sample("cat.jpg"), 1), ["cat.jpg"]);
    assert_eq!(place.index()["removed"], 1);
    assert_ne!(place.nearest(&sample("cat.jpg"), 1), ["cat.jpg"]);
}

#[test]
fn a_disk_that_is_not_mounted_loses_nothing() {
    let place = Place::with(&["cat.jpg", "coffee.jpg"]);
    place.index();
    fs::rename(place.photos(), place.photos().with_file_name("away")).unwrap();
    let gone = place.run(&["index", "photos"]).ended(2).stderr;
    assert!(
        gone.contains("images already indexed under it are kept"),
        "{gone}"
    );
    // The empty folder on which a disk would be mounted.
    fs::create_dir(place.photos()).unwrap();
    let empty = place.run(&["index", "photos"]).ended(0).stderr;
    assert!(empty.contains("they are kept"), "{empty}");
    assert_eq!(place.nearest(&sample("cat.jpg"), 1), ["cat.jpg"]);
    let removed = place.run(&["remove", "photos"]).ended(0).stderr;
    assert!(removed.contains("2 images forgotten"), "{removed}");
    assert_eq!(place.run(&["remove", "photos"]).status, 1);
}

#[test]
fn a_first_run_that_fails_or_dies_leaves_nothing_in_the_way() {
    let place = Place::with(&["cat.jpg"]);
    let missing = place.run(&["index", "nowhere"]).ended(2).stderr;
    assert!(
        missing.contains("no such file or folder: nowhere"),
        "{missing}"
    );
    assert!(!place.index_dir().exists());
    // The state after a run that was killed while it created the database.
    fs::create_dir(place.index_dir()).unwrap();
    fs::write(place.index_dir().join("imgsearch.sqlite"), "").unwrap();
    let none = place.run(&["query", "photos/cat.jpg"]).ended(2).stderr;
    assert!(none.contains("imgsearch index"), "{none}");
    assert_eq!(place.index()["added"], 1);
    assert_eq!(place.nearest(&sample("cat.jpg"), 1), ["cat.jpg"]);
}

#[test]
fn identical_files_are_encoded_once_and_all_found() {
    let place = Place::with(&["cat.jpg", "coffee.jpg"]);
    for i in 0..40 {
        fs::copy(sample("cat.jpg"), place.photo(&format!("copy-{i:02}.jpg"))).unwrap();
    }
    let run = place.index();
    assert_eq!(
        (&run["added"], &run["encoded"], &run["identical"]),
        (&42.into(), &2.into(), &40.into())
    );
    let found = place.nearest(&sample("cat.jpg"), 42);
    assert_eq!(found.len(), 42);
    assert_eq!(found[41], "coffee.jpg");
    // Images at the same distance come in the order of their ids, which is that of their paths for files of one
    // size.
    assert_eq!(found[..3], ["cat.jpg", "copy-00.jpg", "copy-01.jpg"]);
}

#[test]
fn hidden_ignored_and_other_files_are_left_out() {
    let place = Place::with(&["cat.jpg"]);
    for name in [".hidden.jpg", "skipped.png", "private.jpg"] {
        fs::copy(sample("coffee.jpg"), place.photo(name)).unwrap();
    }
    fs::write(place.photo("notes.txt"), "not a picture").unwrap();
    fs::write(place.photo(".imgsearchignore"), "private.*\n").unwrap();
    let run = place
        .run(&["index", "photos", "--ignore", "*.png", "--json"])
        .ended(0)
        .summary();
    assert_eq!(
        (&run["added"], &run["others"]),
        (&1.into(), &1.into()),
        "{run}"
    );
    let run = place
        .run(&["index", "photos", "--hidden", "--json"])
        .ended(0)
        .summary();
    assert_eq!(run["added"], 2, "{run}");
    let bad = place
        .run(&["index", "photos", "--ignore", "a[b"])
        .ended(2)
        .stderr;
    assert!(bad.contains("a[b"), "{bad}");
}

#[test]
fn an_image_is_known_by_its_content_and_not_its_extension() {
    let place = Place::new();
    fs::copy(sample("cat.jpg"), place.photo("cat")).unwrap();
    fs::copy(sample("coffee.jpg"), place.photo("coffee.png")).unwrap();
    assert_eq!(place.index()["added"], 2);
    assert_eq!(place.nearest(&sample("cat.jpg"), 1), ["cat"]);
}

#[cfg(unix)]
#[test]
fn links_are_followed_once_and_loops_are_not() {
    use std::os::unix::fs::symlink;
    let place = Place::with(&["cat.jpg"]);
    let outside = place.photos().with_file_name("outside");
    fs::create_dir(&outside).unwrap();
    fs::copy(sample("coffee.jpg"), outside.join("coffee.jpg")).unwrap();
    symlink(place.photos(), place.photo("loop")).unwrap();
    symlink("cat.jpg", place.photo("same.jpg")).unwrap();
    symlink(&outside, place.photo("elsewhere")).unwrap();
    symlink(&outside, outside.join("round")).unwrap();
    let without = place
        .run(&["index", "photos", "--no-follow", "--json"])
        .ended(0)
        .summary();
    assert_eq!(without["added"], 1, "{without}");
    let run = place.index();
    assert_eq!(run["added"], 1, "{run}");
}

#[test]
fn a_second_writer_learns_who_the_first_is_and_readers_continue() {
    let place = Place::with(&["cat.jpg"]);
    place.index();
    let lock = fs::File::options()
        .read(true)
        .write(true)
        .open(place.index_dir().join("writer.lock"))
        .unwrap();
    lock.lock().unwrap();
    let refused = place.run(&["index", "photos"]).ended(2).stderr;
    assert!(
        refused.contains("is being written to by process"),
        "{refused}"
    );
    assert_eq!(place.nearest(&sample("cat.jpg"), 1), ["cat.jpg"]);
}

#[cfg(unix)]
#[test]
fn a_killed_run_keeps_what_it_committed_and_the_next_resumes() {
    let place = Place::new();
    // Enough different files that the run is not complete when it is killed.
    let image = image::open(sample("grass.jpg")).unwrap();
    for i in 0..400u32 {
        let path = place.photo(&format!("{i:03}.png"));
        image.crop_imm(i % 20, i / 20, 200, 200).save(path).unwrap();
    }
    let mut run = place
        .command()
        .args(["index", "photos", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Waits until something is committed.
    let mut seen = String::new();
    let mut lines = std::io::BufReader::new(run.stdout.take().unwrap());
    while !seen.contains("committed") {
        seen.clear();
        if std::io::BufRead::read_line(&mut lines, &mut seen).unwrap() == 0 {
            break;
        }
    }
    run.kill().unwrap();
    run.wait().unwrap();
    let status = place.run(&["status", "--json"]).ended(0);
    let stored = status.json_lines()[0]["stats"]["images"].as_u64().unwrap();
    assert!(stored > 0 && stored < 400, "{stored} are stored");
    let rest = place.index();
    let unchanged = rest["unchanged"].as_u64().unwrap();
    assert!(unchanged >= stored, "{rest}");
    assert_eq!(rest["added"].as_u64().unwrap() + unchanged, 400);
    let status = place.run(&["status", "--json"]).ended(0);
    assert_eq!(status.json_lines()[0]["stats"]["images"], 400);
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_commits_and_says_how_to_resume() {
    let place = Place::new();
    let image = image::open(sample("gravel.jpg")).unwrap();
    for i in 0..600u32 {
        let path = place.photo(&format!("{i:03}.png"));
        image.crop_imm(i % 30, i / 30, 200, 200).save(path).unwrap();
    }
    let mut run = place
        .command()
        .args(["index", "photos", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufReader::new(run.stdout.take().unwrap());
    let mut seen = String::new();
    while !seen.contains("\"event\":\"file\"") {
        seen.clear();
        assert_ne!(
            std::io::BufRead::read_line(&mut lines, &mut seen).unwrap(),
            0
        );
    }
    let killed = std::process::Command::new("kill")
        .args(["-INT", &run.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut lines, &mut rest).unwrap();
    let ended = run.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(130));
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(
        said.contains("To resume: imgsearch index photos --json"),
        "{said}"
    );
    let last: serde_json::Value = serde_json::from_str(rest.lines().last().unwrap()).unwrap();
    let added = last["summary"]["added"].as_u64().unwrap();
    assert!(added > 0 && last["summary"]["interrupted"] == true);
    assert_eq!(place.index()["unchanged"].as_u64().unwrap(), added);
}
