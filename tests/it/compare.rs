//! Two pictures, two folders, a card and an index.

use std::fs;
use std::path::{Path, PathBuf};

use image::codecs::jpeg::JpegEncoder;
use serde_json::Value;

use crate::support::{Place, sample};

fn beside(place: &Place, name: &str) -> PathBuf {
    place.photos().with_file_name(name)
}

fn save_jpeg(image: &image::DynamicImage, path: &Path, quality: u8) {
    let file = fs::File::create(path).unwrap();
    JpegEncoder::new_with_quality(file, quality)
        .encode_image(&image.to_rgb8())
        .unwrap();
}

/// Compares two files as JSON.
fn compared(place: &Place, a: &Path, b: &Path, status: i32) -> Value {
    let ran = place
        .run(&[
            "compare",
            a.to_str().unwrap(),
            b.to_str().unwrap(),
            "--json",
        ])
        .ended(status);
    ran.json_lines().remove(0)
}

#[test]
fn each_level_of_likeness_is_told() {
    let place = Place::new();
    let cat = image::open(sample("cat.jpg")).unwrap();
    let path = |name: &str| place.photo(name);
    fs::copy(sample("cat.jpg"), path("same.jpg")).unwrap();
    cat.save(path("pixels.png")).unwrap();
    cat.save(path("pixels.bmp")).unwrap();
    let half = cat.resize(
        cat.width() / 2,
        cat.height() / 2,
        image::imageops::FilterType::Triangle,
    );
    save_jpeg(&half, &path("copy.jpg"), 60);
    let level = |a: &Path, b: &Path, status| {
        let line = compared(&place, a, b, status);
        assert_eq!(line["same"], status == 0, "{line}");
        line["level"].as_str().unwrap().to_owned()
    };
    let original = sample("cat.jpg");
    assert_eq!(level(&original, &path("same.jpg"), 0), "identical_bytes");
    assert_eq!(
        level(&path("pixels.png"), &path("pixels.bmp"), 0),
        "identical_pixels"
    );
    assert_eq!(level(&original, &path("copy.jpg"), 0), "edited_copy");
    assert_eq!(level(&original, &sample("rocket.jpg"), 1), "different");
    // A part of it, enlarged.
    assert_eq!(level(&original, &sample("cat-face.jpg"), 0), "edited_copy");
}

#[test]
fn what_differs_is_said_and_the_order_does_not_matter() {
    let place = Place::with(&["cat.jpg"]);
    let cat = image::open(sample("cat.jpg")).unwrap();
    let small = cat.resize(200, 200, image::imageops::FilterType::Triangle);
    small.save(place.photo("small.png")).unwrap();
    let ran = place
        .run(&["compare", "photos/cat.jpg", "photos/small.png"])
        .ended(0);
    let sizes = format!(
        "{} × {}, and {} × {}",
        cat.width(),
        cat.height(),
        small.width(),
        small.height()
    );
    for part in [
        "edited copy",
        "%",
        &sizes,
        "jpeg, and png",
        "shows",
        "PNG instead of JPEG",
    ] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
    save_jpeg(&cat.fliph(), &place.photo("mirrored.jpg"), 80);
    let (width, height) = (cat.width() * 9 / 10, cat.height() * 9 / 10);
    save_jpeg(
        &cat.crop_imm(0, 0, width, height),
        &place.photo("cropped.jpg"),
        80,
    );
    for name in ["mirrored", "cropped"] {
        let edited = place.photo(&format!("{name}.jpg"));
        let line = compared(&place, &place.photo("cat.jpg"), &edited, 0);
        assert_eq!(line["level"], "edited_copy", "{line}");
        let differs = line["differs"].as_str().unwrap();
        assert!(differs.contains(name), "{differs}");
    }
    let there = compared(&place, &place.photo("cat.jpg"), &sample("coffee.jpg"), 1);
    let back = compared(&place, &sample("coffee.jpg"), &place.photo("cat.jpg"), 1);
    for number in ["distance", "similarity", "hamming", "pixel_difference"] {
        assert_eq!(there[number], back[number], "{number}");
    }
    assert_eq!(there["a"], back["b"]);
}

#[test]
fn a_threshold_says_what_counts_as_the_same() {
    let place = Place::with(&["bricks.jpg", "gravel.jpg"]);
    let pair = ["compare", "photos/bricks.jpg", "photos/gravel.jpg"];
    place.run(&pair).ended(1);
    let run = |threshold: &str, status| {
        place
            .run(&[&pair[..], &["--threshold", threshold]].concat())
            .ended(status);
    };
    // They are some 13 % similar.
    run("5", 0);
    run("60", 1);
    run("101", 2);
}

#[test]
fn bad_input_is_an_error() {
    let place = Place::with(&["cat.jpg"]);
    fs::write(place.photo("text.jpg"), "this is a text").unwrap();
    let said = |arguments: &[&str]| place.run(arguments).ended(2).stderr;
    assert!(said(&["compare", "photos/cat.jpg", "nowhere.jpg"]).contains("nowhere.jpg"));
    assert!(said(&["compare", "photos/cat.jpg", "photos/text.jpg"]).contains("text.jpg"));
    assert!(said(&["compare", "nowhere", "photos"]).contains("nowhere"));
    assert!(said(&["compare", "photos"]).contains("imgsearch index FOLDER"));
    assert!(said(&["compare", "photos/cat.jpg", "photos/cat.jpg", "-0"]).contains("folder"));
}

/// Makes a card with a picture that is there, a smaller copy of one, one that is not there, and a video.
fn card(place: &Place) -> PathBuf {
    let card = beside(place, "card");
    fs::create_dir_all(card.join("dcim")).unwrap();
    fs::copy(sample("cat.jpg"), card.join("dcim/1.jpg")).unwrap();
    let coffee = image::open(sample("coffee.jpg")).unwrap();
    let small = coffee.resize(300, 300, image::imageops::FilterType::Triangle);
    save_jpeg(&small, &card.join("dcim/2.jpg"), 80);
    fs::copy(sample("rocket.jpg"), card.join("dcim/3.jpg")).unwrap();
    fs::write(card.join("dcim/4.mp4"), "a video").unwrap();
    card
}

#[test]
fn what_is_in_one_folder_and_not_in_another_is_listed() {
    let place = Place::with(&["cat.jpg", "coffee.jpg", "gravel.jpg"]);
    let card = card(&place);
    let ran = place.run(&["compare", "card", "photos"]).ended(1);
    assert!(ran.stdout.starts_with("card/dcim/3.jpg"), "{ran:?}");
    assert_eq!(ran.stdout.lines().count(), 1, "{ran:?}");
    assert!(
        ran.stderr.contains("2 of 3 pictures") && ran.stderr.contains("1 missing"),
        "{ran:?}"
    );
    assert!(
        ran.stderr.contains("4.mp4"),
        "what is no picture is not there: {ran:?}"
    );
    let paths = place
        .run(&["compare", "card", "photos", "-0"])
        .ended(1)
        .stdout;
    let real = fs::canonicalize(card.join("dcim/3.jpg")).unwrap();
    assert_eq!(paths, format!("{}\0", real.display()));
    let lines = place
        .run(&["compare", "card", "photos", "--json"])
        .ended(1)
        .json_lines();
    let of = |i: usize| (lines[i]["event"].as_str(), lines[i]["level"].as_str());
    assert_eq!(of(0), (Some("there"), Some("identical_bytes")));
    assert_eq!(of(1), (Some("there"), Some("edited_copy")));
    assert_eq!(of(2), (Some("missing"), None));
    assert_eq!(
        (&lines[3]["by_content"], &lines[3]["by_picture"]),
        (&1.into(), &1.into())
    );

    fs::copy(card.join("dcim/3.jpg"), place.photo("imported.jpg")).unwrap();
    place.run(&["compare", "card", "photos"]).ended(0);
    place
        .run(&["compare", "card/dcim/1.jpg", "photos"])
        .ended(0);
    // The other way round there is more.
    let back = place
        .run(&["compare", "photos", "card", "--paths"])
        .ended(1)
        .stdout;
    assert!(
        back.trim_end().ends_with("gravel.jpg") && back.lines().count() == 1,
        "{back}"
    );
}

#[test]
fn a_folder_is_not_in_itself() {
    let place = Place::with(&["cat.jpg"]);
    fs::create_dir(place.photo("new")).unwrap();
    fs::copy(sample("rocket.jpg"), place.photo("new/rocket.jpg")).unwrap();
    fs::copy(sample("cat.jpg"), place.photo("new/cat.jpg")).unwrap();
    let ran = place
        .run(&["compare", "photos/new", "photos", "--paths"])
        .ended(1);
    assert!(ran.stdout.trim_end().ends_with("rocket.jpg"), "{ran:?}");
    assert_eq!(ran.stdout.lines().count(), 1, "{ran:?}");
    place.run(&["compare", "photos", "photos"]).ended(1);
}

#[test]
fn a_card_is_compared_with_an_index_whose_disk_is_unplugged() {
    let place = Place::with(&["cat.jpg", "coffee.jpg", "gravel.jpg"]);
    place.index();
    card(&place);
    let lines = |status| {
        place
            .run(&["compare", "card", "--json"])
            .ended(status)
            .json_lines()
    };
    let with_disk = lines(1);
    assert_eq!(with_disk[1]["level"], "edited_copy", "{with_disk:?}");
    fs::rename(place.photos(), beside(&place, "unplugged")).unwrap();
    let without = lines(1);
    assert_eq!(without[0]["event"], "there");
    // Without pixels nobody can tell a copy from another shot, so it counts as missing, and is named.
    assert_eq!(without[1]["event"], "missing");
    let near = &without[1]["nearest"];
    assert!(
        near["path"].as_str().unwrap().ends_with("coffee.jpg"),
        "{without:?}"
    );
    assert_eq!(near["level"], "near", "{without:?}");
    assert_eq!(without[2]["event"], "missing");
    assert_eq!(without[3]["missing"], 2);
    let said = place
        .run(&["compare", "card", "--threshold", "97"])
        .ended(1);
    assert_eq!(said.stdout.lines().count(), 1, "{said:?}");
    assert!(
        said.stderr.contains("2 in ") && said.stderr.contains("photos"),
        "{said:?}"
    );
    fs::remove_file(beside(&place, "card/dcim/3.jpg")).unwrap();
    place
        .run(&["compare", "card", "--threshold", "97"])
        .ended(0);
}

#[test]
fn a_card_that_was_indexed_itself_is_not_there_because_of_that() {
    let place = Place::with(&["cat.jpg", "coffee.jpg"]);
    card(&place);
    place.run(&["index", "photos", "card"]).ended(0);
    let ran = place.run(&["compare", "card", "--paths"]).ended(1);
    assert!(ran.stdout.trim_end().ends_with("3.jpg"), "{ran:?}");
    assert_eq!(ran.stdout.lines().count(), 1, "{ran:?}");
}

#[test]
fn a_file_that_is_no_picture_is_there_by_its_bytes_or_missing() {
    let place = Place::with(&["cat.jpg"]);
    let card = beside(&place, "card");
    fs::create_dir(&card).unwrap();
    fs::write(card.join("broken.jpg"), "not a picture").unwrap();
    let ran = place.run(&["compare", "card", "photos", "--json"]).ended(1);
    assert_eq!(ran.json_lines()[0]["event"], "missing", "{ran:?}");
    assert!(!ran.json_lines()[0]["undecoded"].is_null(), "{ran:?}");
    fs::copy(card.join("broken.jpg"), place.photo("broken.jpg")).unwrap();
    place.run(&["compare", "card", "photos"]).ended(0);
}

#[test]
fn two_pictures_are_drawn_above_what_is_said_of_them() {
    let place = Place::with(&["cat.jpg", "rocket.jpg"]);
    let run = |more: &[&str], status| {
        let pair = ["compare", "photos/cat.jpg", "photos/rocket.jpg"];
        place.run(&[&pair, more].concat()).ended(status)
    };
    let plain = run(&[], 1).stdout;
    let drawn = run(&["--show-as", "blocks"], 1).stdout;
    let above = drawn.strip_suffix(&plain).unwrap();
    assert!(above.contains('▀'), "{above}");
    assert!(above.contains("photos/cat.jpg") && above.contains("photos/rocket.jpg"));
    let piped = run(&["--show"], 1);
    assert_eq!(piped.stdout, plain);
    assert!(piped.stderr.contains("--show draws in a terminal only"));
    let folder = place
        .run(&["compare", "photos", "photos", "--show"])
        .ended(2);
    assert!(folder.stderr.contains("name two files"), "{folder:?}");
}
