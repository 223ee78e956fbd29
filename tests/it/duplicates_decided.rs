//! `duplicates --files-from`: a person has decided what goes.

use std::fs;

use crate::duplicates_action::{events, files, run, trashed, with_duplicates};
use crate::support::Place;

/// Writes a list of photographs, each ended by `end`.
fn list(place: &Place, names: &[&str], end: &str) -> String {
    let path = place.photos().with_file_name("discard.txt");
    let photos = place.photos().canonicalize().unwrap();
    let lines: String = names
        .iter()
        .map(|name| format!("{}{end}", photos.join(name).display()))
        .collect();
    fs::write(&path, lines).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn only_what_is_listed_goes_even_the_best() {
    let place = with_duplicates();
    let before = files(&place.photos());
    for end in ["\n", "\0"] {
        // The best of one group, and one of two others of it; the other group is not listed.
        let list = list(&place, &["cat.jpg", "copies/2019/cat.jpg"], end);
        let done = run(
            &place,
            &["--apply", "trash", "--files-from", &list, "--yes"],
        )
        .ended(0);
        assert!(
            done.stdout.contains("keep      photos/copies/cat.jpg"),
            "{done:?}"
        );
        let left = files(&place.photos());
        let gone = [place.photo("cat.jpg"), place.photo("copies/2019/cat.jpg")];
        assert_eq!(left.len(), 4, "{end:?}");
        assert!(gone.iter().all(|path| !left.contains_key(path)), "{end:?}");
        assert_eq!(trashed(&place).len(), 2);
        run(&place, &["--undo"]).ended(0);
        assert_eq!(files(&place.photos()), before, "{end:?}");
    }
}

#[test]
fn one_of_each_group_stays_and_strangers_are_left_alone() {
    let place = with_duplicates();
    let before = files(&place.photos());
    let all = list(&place, &["coffee.jpg", "copies/coffee.jpg"], "\n");
    let ran = run(&place, &["--apply", "trash", "--files-from", &all, "--yes"]).ended(1);
    assert!(
        ran.stderr.contains("names every file of its group"),
        "{ran:?}"
    );
    assert!(ran.stderr.contains("nothing to do"), "{ran:?}");
    assert_eq!(files(&place.photos()), before);

    let mixed = list(&place, &["rocket.jpg", "copies/coffee.jpg"], "\r\n");
    let options = [
        "--apply",
        "trash",
        "--files-from",
        &mixed,
        "--yes",
        "--json",
    ];
    let ran = run(&place, &options).ended(1);
    assert!(
        ran.stderr
            .contains("rocket.jpg: left alone: it is not among"),
        "{ran:?}"
    );
    let done = events(&ran, "done");
    assert_eq!(done.len(), 1, "{ran:?}");
    assert!(
        done[0]["path"]
            .as_str()
            .unwrap()
            .ends_with("copies/coffee.jpg")
    );
    assert_eq!(files(&place.photos()).len(), 5);
}

#[test]
fn a_list_that_cannot_be_used_is_named() {
    let place = with_duplicates();
    let before = files(&place.photos());
    let empty = list(&place, &[], "\n");
    for (options, said) in [
        (
            &["--apply", "trash", "--files-from", "no-such-list"][..],
            "no-such-list",
        ),
        (
            &["--apply", "trash", "--files-from", &empty],
            "names no file",
        ),
        (&["--files-from", &empty], "--apply"),
        (
            &[
                "--apply",
                "trash",
                "--files-from",
                &empty,
                "--reference",
                "photos",
            ],
            "--reference",
        ),
    ] {
        let ran = run(&place, options).ended(2);
        assert!(ran.stderr.contains(said), "{ran:?}");
    }
    assert_eq!(files(&place.photos()), before);
}
