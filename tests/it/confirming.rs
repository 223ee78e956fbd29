//! Forgetting many images needs a confirmation.

use std::fs;
#[cfg(target_os = "linux")]
use std::process::Command;

use crate::forgetting::{mount, pieces, stored, unmount, with_nas};
use crate::support::Place;
#[cfg(target_os = "linux")]
use crate::support::{Ran, ran};

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
    // Few images are forgotten without confirmation.
    delete(90..95);
    assert_eq!(place.index()["removed"], 5);
    pieces(&place.photo("some"), 90..95);
    assert_eq!(place.index()["added"], 5);
    delete(90..102);
    let said = place.run(&["index", "photos"]).ended(1).stderr;
    assert!(
        said.contains("12 images of 105 are about to be forgotten")
            && said.contains("12 in ")
            && said.contains("photos/some")
            && said.contains("--prune")
            && said.contains("12 missing and kept"),
        "{said}"
    );
    assert_eq!(stored(&place), 105);
    let run = place.run(&["index", "photos", "--json"]).ended(1);
    assert_eq!(run.summary()["kept_unconfirmed"], 12);
    let reported = run
        .json_lines()
        .into_iter()
        .find(|event| event["event"] == "forgetting");
    assert_eq!(reported.unwrap()["folders"][0]["images"], 12);
    let pruned = place
        .run(&["index", "photos", "--prune", "--json"])
        .ended(0);
    assert!(pruned.stdout.contains("\"forgetting\""), "{pruned:?}");
    assert_eq!(pruned.summary()["removed"], 12);
    assert_eq!(stored(&place), 93);
}

/// Runs the program on its own terminal, at which something is typed.
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
fn a_root_without_any_image_left_needs_confirmation_however_few_there_were() {
    let place = Place::with(&["cat.jpg", "coffee.jpg"]);
    fs::write(place.photo("notes.txt"), "x").unwrap();
    place.index();
    for name in ["cat.jpg", "coffee.jpg"] {
        fs::remove_file(place.photo(name)).unwrap();
    }
    let run = place.run(&["index", "photos", "--json"]);
    // On a system without creation times, the folder may be another.
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
fn reencoding_leaves_out_many_images_only_if_confirmed() {
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
fn reencoding_keeps_images_on_a_disk_below_a_root() {
    let (place, nas) = with_nas();
    let elsewhere = unmount(&nas, |folder| {
        fs::write(folder.join("NOT_MOUNTED.txt"), "x").unwrap()
    });
    let refused = place.run(&["index", "--reencode"]).ended(2).stderr;
    assert!(
        refused.contains("4 stored images") && refused.contains("nas"),
        "{refused}"
    );
    assert_eq!(stored(&place), 7);
    mount(&elsewhere, &nas);
    place.run(&["index", "--reencode"]).ended(0);
    assert_eq!(stored(&place), 7);
}

#[cfg(unix)]
#[test]
fn reencoding_keeps_links_whose_targets_are_out_of_reach() {
    let place = Place::with(&["cat.jpg"]);
    let neighbour = place.photos().with_file_name("neighbour");
    pieces(&neighbour, 0..1);
    let link = place.photo("link.png");
    std::os::unix::fs::symlink(neighbour.join("000.png"), &link).unwrap();
    assert_eq!(place.index()["added"], 2);
    fs::rename(&neighbour, place.photos().with_file_name("away")).unwrap();
    let refused = place.run(&["index", "--reencode"]).ended(2).stderr;
    assert!(refused.contains("link.png"), "{refused}");
    assert_eq!(stored(&place), 2);
}
