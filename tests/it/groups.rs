//! `imgsearch groups`, and `eval --groups`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use image::imageops;
use serde_json::Value;

use crate::support::{Place, sample};

/// Photographs that differ.
const KINDS: [&str; 4] = ["cat", "coffee", "rocket", "flower"];

/// Saves parts of a photograph that overlap for the most part.
fn parts(place: &Place, kind: &str, count: u32) {
    let image = image::open(sample(&format!("{kind}.jpg")))
        .unwrap()
        .to_rgb8();
    let (width, height) = (image.width() * 4 / 5, image.height() * 4 / 5);
    fs::create_dir_all(place.photo(kind)).unwrap();
    for number in 0..count {
        let x = (image.width() - width) * (number % 4) / 4;
        let y = (image.height() - height) * (number / 4) / 4;
        let part = imageops::crop_imm(&image, x, y, width, height).to_image();
        part.save(place.photo(&format!("{kind}/{number:02}.png")))
            .unwrap();
    }
}

fn index(place: &Place) {
    place
        .run(&["index", "photos", "--encoder", "built-in", "--json"])
        .ended(0);
}

fn place() -> Place {
    let place = Place::new();
    for kind in KINDS {
        parts(&place, kind, 12);
    }
    index(&place);
    place
}

/// Returns the groups and the line about all.
fn groups(place: &Place, options: &[&str], status: i32) -> (Vec<Value>, Value) {
    let ran = place.run(&[&["groups", "--json"], options].concat());
    let mut lines = ran.ended(status).json_lines();
    let all = lines.pop().unwrap();
    assert_eq!(all["groups"], lines.len(), "{all}");
    (lines, all)
}

fn folder(path: &Value) -> String {
    let folder = Path::new(path.as_str().unwrap()).parent().unwrap();
    folder.file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn what_looks_alike_is_one_group() {
    let place = place();
    let (found, all) = groups(&place, &[], 0);
    assert_eq!((&all["images"], &all["min_size"]), (&48.into(), &5.into()));
    let mut kinds: Vec<String> = found
        .iter()
        .map(|group| folder(&group["typical"]))
        .collect();
    kinds.sort_unstable();
    let mut wanted = KINDS.to_vec();
    wanted.sort_unstable();
    assert_eq!(kinds, wanted, "{found:?}");
    let sizes = found.iter().map(|group| group["size"].as_u64().unwrap());
    let grouped: u64 = sizes.sum();
    let rest = all["ungrouped"].as_array().unwrap().len() as u64;
    assert_eq!(grouped + rest, 48);
    assert!(grouped >= 40, "{grouped}");
    let ids: BTreeSet<i64> = found
        .iter()
        .flat_map(|group| group["images"].as_array().unwrap())
        .map(|id| id.as_i64().unwrap())
        .collect();
    assert_eq!(ids.len() as u64, grouped, "an image is in one group");
    // By their names and dates.
    let of = |kind: &str| found.iter().find(|group| folder(&group["typical"]) == kind);
    // Its likeliest classes, espresso and the like, are food.
    assert_eq!(of("coffee").unwrap()["name"], "food");
    assert!(found.iter().all(|group| group["dates"]["of_files"] == true));

    // For people, and without the index of names.
    let printed = place.run(&["groups"]).ended(0);
    assert_eq!(printed.stdout.lines().count(), 4, "{}", printed.stdout);
    assert!(printed.stdout.contains("food"), "{}", printed.stdout);
    assert!(printed.stderr.contains("4 groups"), "{}", printed.stderr);
    assert_eq!(groups(&place, &[], 0).0, found, "the same every time");
}

#[test]
fn filters_sizes_and_pages() {
    let place = place();
    let (found, all) = groups(
        &place,
        &["--under", "photos/cat", "--under", "photos/coffee"],
        0,
    );
    assert_eq!((found.len(), &all["images"]), (2, &24.into()));
    let (found, _) = groups(&place, &["--min-size", "30"], 1);
    assert!(found.is_empty());
    let (_, all) = groups(&place, &["--after", "2999"], 1);
    assert_eq!(all["images"], 0);
    let refused = place.run(&["groups", "--min-size", "1"]).ended(2).stderr;
    assert!(refused.contains("from 2 up"), "{refused}");
    let refused = place
        .run(&["groups", "--html", "-", "--json"])
        .ended(2)
        .stderr;
    assert!(refused.contains("standard output"), "{refused}");
    let refused = place
        .run(&["groups", "--html", "no/page.html"])
        .ended(2)
        .stderr;
    assert!(refused.contains("no folder"), "{refused}");

    place
        .run(&[
            "groups",
            "--html",
            "page.html",
            "--shown",
            "3",
            "--depth",
            "1",
        ])
        .ended(0);
    let page = fs::read_to_string(place.photos().with_file_name("page.html")).unwrap();
    assert!(page.contains("<h2>food</h2>"));
    assert!(page.matches("data:image/jpeg").count() >= 12);
    let piped = place.run(&["groups", "--html", "-"]).ended(0).stdout;
    assert!(piped.starts_with("<!doctype html>"));
}

#[test]
fn one_image_and_none_have_no_groups() {
    let place = Place::with(&["cat.jpg"]);
    index(&place);
    let (found, all) = groups(&place, &[], 1);
    assert!(found.is_empty());
    assert_eq!(all["ungrouped"].as_array().unwrap().len(), 1);
    let said = place.run(&["groups"]).ended(1).stderr;
    assert!(
        said.contains("no group of at least 5 different images among 1 image"),
        "{said}"
    );
    place.run(&["remove", "photos"]).ended(0);
    let said = place.run(&["groups"]).ended(1).stderr;
    assert!(said.contains("the index is empty"), "{said}");
    let missing = Place::new().run(&["groups"]).ended(2).stderr;
    assert!(missing.contains("imgsearch index"), "{missing}");
}

#[test]
fn copies_of_one_image_are_one_group() {
    let place = Place::new();
    for number in 0..20 {
        fs::copy(sample("cat.jpg"), place.photo(&format!("{number}.jpg"))).unwrap();
    }
    index(&place);
    let (found, all) = groups(&place, &[], 0);
    assert_eq!((found.len(), &found[0]["size"]), (1, &20.into()));
    assert!(all["ungrouped"].as_array().unwrap().is_empty());
}

#[test]
fn without_labels_groups_have_no_names() {
    let place = place();
    let database = rusqlite::Connection::open(place.index_dir().join("imgsearch.sqlite")).unwrap();
    database.execute("DELETE FROM labels", ()).unwrap();
    drop(database);
    let (found, _) = groups(&place, &[], 0);
    assert_eq!(found.len(), 4);
    assert!(found.iter().all(|group| group["name"].is_null()));
    let printed = place.run(&["groups"]).ended(0);
    assert!(printed.stdout.contains("unnamed"), "{}", printed.stdout);
    assert!(printed.stderr.contains("--reencode"), "{}", printed.stderr);
}

#[test]
fn groups_are_measured_against_folders() {
    let place = place();
    let ran = place
        .run(&["eval", "--groups", "photos", "--json"])
        .ended(0);
    let report = &ran.json_lines()[0]["groups"];
    assert_eq!(
        (&report["images"], &report["folders"]),
        (&48.into(), &4.into())
    );
    for how in ["alone", "nearest", "kmeans"] {
        let agreement = report[how].as_f64().unwrap();
        assert!((0.5..=1.0).contains(&agreement), "{how} {agreement}");
    }
    assert!(report["nearest"].as_f64().unwrap() > 0.95, "{report}");
    let printed = place.run(&["eval", "--groups", "photos"]).ended(0).stdout;
    assert!(printed.contains("adjusted mutual information"), "{printed}");
    fs::create_dir(place.photo("empty")).unwrap();
    let refused = place
        .run(&["eval", "--groups", "photos/empty"])
        .ended(2)
        .stderr;
    assert!(refused.contains("no images in folders of"), "{refused}");
}
