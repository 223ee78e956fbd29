//! Images that were removed are restored, unless they were removed forever.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::{Place, sample};

#[test]
fn removed_images_are_restored_without_encoding() {
    let place = Place::with(&["cat.jpg", "coffee.jpg", "rocket.jpg"]);
    place.index();
    let removed = place.run(&["remove", "photos/cat.jpg"]).ended(0).stderr;
    assert!(
        removed.contains("imgsearch remove --undo photos/cat.jpg"),
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
    let back = place
        .run(&["remove", "--undo", "photos/cat.jpg"])
        .ended(0)
        .stderr;
    assert!(back.contains("1 image restored"), "{back}");
    assert_eq!(place.nearest(&sample("cat.jpg"), 1), ["cat.jpg"]);
    assert_eq!(place.index()["unchanged"], 3);
    place.run(&["restore", "--list"]).ended(1);

    // A file that is deleted and comes back.
    let elsewhere = place.index_dir().with_file_name("cat.jpg");
    fs::rename(place.photo("cat.jpg"), &elsewhere).unwrap();
    assert_eq!(place.index()["removed"], 1);
    assert_eq!(place.index()["removed"], 0);
    fs::rename(&elsewhere, place.photo("cat.jpg")).unwrap();
    let run = place.index();
    assert_eq!(
        (&run["added"], &run["encoded"]),
        (&1.into(), &0.into()),
        "{run}"
    );
    place.run(&["restore-removed"]).ended(1);
}

#[test]
fn a_path_that_has_another_image_now_keeps_it() {
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
fn an_image_removed_forever_leaves_no_code_in_the_index() {
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
    // An image that was removed before is in the trash, and is deleted from there.
    let removed = place
        .run(&["remove", "--forever", "photos/cat.jpg"])
        .ended(0)
        .stderr;
    assert!(removed.contains("1 image forgotten for good"), "{removed}");
    assert_eq!(holders(), Vec::<PathBuf>::new());
    place.run(&["restore"]).ended(1);
}
