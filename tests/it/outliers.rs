//! `imgsearch outliers`, and what is said of a collection that is foreign to its encoder.

use std::fs;

use image::{GrayImage, Luma, imageops};
use serde_json::Value;

use crate::support::{Place, sample};

fn index(place: &Place) -> String {
    place
        .run(&["index", "photos", "--encoder", "built-in"])
        .ended(0)
        .stderr
}

/// Saves parts of a photograph that overlap for the most part.
fn parts(place: &Place, kind: &str, count: u32) {
    let image = image::open(sample(&format!("{kind}.jpg")))
        .unwrap()
        .to_rgb8();
    let (width, height) = (image.width() * 4 / 5, image.height() * 4 / 5);
    for number in 0..count {
        let x = (image.width() - width) * (number % 4) / 4;
        let y = (image.height() - height) * (number / 4) / 6;
        let part = imageops::crop_imm(&image, x, y, width, height).to_image();
        part.save(place.photo(&format!("{kind}-{number:02}.png")))
            .unwrap();
    }
}

/// Draws a garment in 28 by 28 grey pixels: a body, and sleeves or legs of some length.
fn garment(number: u32) -> GrayImage {
    let light = 90 + (number * 37 % 160) as u8;
    let (shoulder, length) = (4 + number % 4, 16 + number % 9);
    GrayImage::from_fn(28, 28, |x, y| {
        let from_middle = x.abs_diff(14);
        let is_body = from_middle < 4 + number % 5 && y > 3 && y < length;
        let is_sleeve =
            number.is_multiple_of(2) && y > shoulder && y < shoulder + 5 && from_middle < 12;
        let is_leg = number % 2 == 1 && y >= length && y < 26 && (2..7).contains(&from_middle);
        let noise = ((x * 31 + y * 17 + number * 7) % 13) as u8;
        Luma([if is_body || is_sleeve || is_leg {
            light + noise
        } else {
            0
        }])
    })
}

fn result(place: &Place, options: &[&str], status: i32) -> Value {
    let ran = place.run(&[&["outliers", "--json"], options].concat());
    ran.ended(status).json_lines().remove(0)
}

fn name(line: &Value) -> &str {
    line["path"].as_str().unwrap().rsplit('/').next().unwrap()
}

#[test]
fn what_resembles_nothing_else_comes_first() {
    let place = Place::new();
    for kind in ["cat", "coffee"] {
        parts(&place, kind, 16);
    }
    fs::copy(sample("galaxies.jpg"), place.photo("galaxies.jpg")).unwrap();
    index(&place);
    let found = result(&place, &["-k", "3"], 0);
    let results = found["results"].as_array().unwrap();
    assert_eq!(results.len(), 3);
    assert_eq!(name(&results[0]), "galaxies.jpg", "{found}");
    assert!(results[0]["distance"].as_f64() > found["limit"].as_f64());
    assert!(results[0]["nearest_path"].is_string(), "{found}");
    assert!(results[0]["rank"].as_f64().unwrap() > 0.95);
    assert_eq!(found["images"], 33);
    let only = result(&place, &["--under", "photos/cat-00.png"], 0);
    assert_eq!(only["images"], 1);
    let printed = place.run(&["outliers", "-k", "1"]).ended(0);
    assert!(
        printed.stdout.contains("galaxies.jpg"),
        "{}",
        printed.stdout
    );
    assert!(printed.stderr.contains("beyond"), "{}", printed.stderr);
    place.run(&["outliers", "--html", "page.html"]).ended(0);
    let page = fs::read_to_string(place.photos().with_file_name("page.html")).unwrap();
    assert!(page.contains("galaxies.jpg"));
}

#[test]
fn one_image_and_none_stand_out_from_nothing() {
    let place = Place::with(&["cat.jpg"]);
    index(&place);
    let found = result(&place, &[], 0);
    assert_eq!((&found["images"], &found["beyond"]), (&1.into(), &0.into()));
    assert!(found["results"][0]["nearest"].is_null());
    place.run(&["outliers", "--html", "page.html"]).ended(0);
    place.run(&["remove", "photos"]).ended(0);
    let said = place.run(&["outliers"]).ended(1).stderr;
    assert!(said.contains("the index is empty"), "{said}");
    result(&place, &["--unknown"], 1);
    place.run(&["outliers", "-k", "0"]).ended(2);
}

#[test]
fn drawn_grey_pictures_are_foreign_and_photographs_are_not() {
    let drawn = Place::new();
    for number in 0..60 {
        garment(number)
            .save(drawn.photo(&format!("{number:02}.png")))
            .unwrap();
    }
    let said = index(&drawn);
    assert!(said.contains("foreign to this encoder"), "{said}");
    assert!(said.contains("imgsearch adapt"), "{said}");
    let status = drawn.run(&["status"]).ended(0).stdout;
    assert!(status.contains("foreign to this encoder"), "{status}");
    assert!(status.contains("train autoencoder"), "{status}");
    let status = &drawn.run(&["status", "--json"]).ended(0).json_lines()[0]["foreign"];
    assert_eq!(
        (&status["is_much"], &status["small"]),
        (&true.into(), &60.into())
    );
    let events = drawn
        .run(&["index", "photos", "--json"])
        .ended(0)
        .json_lines();
    assert!(events.iter().any(|event| event["event"] == "foreign"));

    let photographs = Place::new();
    for kind in ["cat", "coffee", "rocket", "flower"] {
        parts(&photographs, kind, 15);
    }
    let said = index(&photographs);
    assert!(!said.contains("foreign"), "{said}");
    let status = photographs.run(&["status"]).ended(0).stdout;
    assert!(!status.contains("foreign"), "{status}");

    // Among photographs, a drawing is what the encoder knows least of.
    garment(7).save(photographs.photo("drawn.png")).unwrap();
    index(&photographs);
    let found = result(&photographs, &["--unknown", "-k", "2"], 0);
    assert_eq!(name(&found["results"][0]), "drawn.png", "{found}");
    assert_eq!(found["results"][0]["small"], true);
    assert!(found["results"][1]["doubt"].as_f64().unwrap() <= 1.0);
    let printed = photographs
        .run(&["outliers", "--unknown", "-k", "1"])
        .ended(0);
    assert!(printed.stdout.contains("small, "), "{}", printed.stdout);
}

#[test]
fn without_labels_nothing_is_known_of_what_is_unknown() {
    let place = Place::with(&["cat.jpg", "coffee.jpg"]);
    index(&place);
    let database = rusqlite::Connection::open(place.index_dir().join("imgsearch.sqlite")).unwrap();
    database.execute("DELETE FROM labels", ()).unwrap();
    drop(database);
    let refused = place.run(&["outliers", "--unknown"]).ended(2).stderr;
    assert!(
        refused.contains("none of the 2 images") && refused.contains("--reencode"),
        "{refused}"
    );
    result(&place, &[], 0);
}
