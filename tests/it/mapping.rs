//! `imgsearch map`.

use std::collections::BTreeMap;
use std::fs;

use image::imageops;
use serde_json::Value;

use crate::support::{Place, sample};

/// Saves parts of a photograph.
fn parts(place: &Place, kind: &str, numbers: std::ops::Range<u32>) {
    let image = image::open(sample(&format!("{kind}.jpg")))
        .unwrap()
        .to_rgb8();
    let (width, height) = (image.width() * 3 / 4, image.height() * 3 / 4);
    for number in numbers {
        let x = (image.width() - width) * (number % 5) / 5;
        let y = (image.height() - height) * (number / 5) / 5;
        let part = imageops::crop_imm(&image, x, y, width, height).to_image();
        part.save(place.photo(&format!("{kind}-{number:02}.png")))
            .unwrap();
    }
}

fn index(place: &Place) {
    place
        .run(&["index", "photos", "--encoder", "built-in", "--json"])
        .ended(0);
}

/// Returns the places by the names of the files.
fn places(place: &Place, options: &[&str]) -> BTreeMap<String, (f64, f64)> {
    let ran = place.run(&[&["map", "--json"], options].concat()).ended(0);
    ran.json_lines().iter().map(named).collect()
}

fn named(line: &Value) -> (String, (f64, f64)) {
    assert!(line["id"].is_i64(), "{line}");
    let path = line["path"].as_str().unwrap();
    let name = path.rsplit('/').next().unwrap().to_owned();
    (
        name,
        (line["x"].as_f64().unwrap(), line["y"].as_f64().unwrap()),
    )
}

fn far(a: (f64, f64), b: (f64, f64)) -> f64 {
    (a.0 - b.0).hypot(a.1 - b.1)
}

#[test]
fn images_stay_where_they_are_and_new_ones_join_their_kind() {
    let place = Place::new();
    for kind in ["cat", "coffee", "rocket"] {
        parts(&place, kind, 0..12);
    }
    index(&place);
    let first = places(&place, &[]);
    assert_eq!(first.len(), 36);
    assert_eq!(places(&place, &[]), first);
    assert_eq!(places(&place, &["--renew"]), first, "seeded");
    assert_eq!(
        places(&place, &["--renew", "-j", "1"]),
        first,
        "any number of threads"
    );
    // What looks alike lies together.
    for (name, &at) in &first {
        let others = first.iter().filter(|(other, _)| *other != name);
        let nearest = others.min_by(|a, b| far(*a.1, at).total_cmp(&far(*b.1, at)));
        let kind = |name: &str| name.split('-').next().unwrap().to_owned();
        assert_eq!(kind(nearest.unwrap().0), kind(name), "{name}");
    }
    parts(&place, "cat", 12..16);
    fs::remove_file(place.photo("rocket-00.png")).unwrap();
    index(&place);
    let second = places(&place, &[]);
    assert_eq!(second.len(), 39);
    for (name, at) in first.iter().filter(|(name, _)| *name != "rocket-00.png") {
        assert_eq!(second[name], *at, "{name}");
    }
    let said = place.run(&["map", "-o", "map.html"]).ended(0).stderr;
    assert!(said.contains("all 39 are where they were"), "{said}");
    // A damaged file of places is a new map.
    fs::write(place.index_dir().join("map.places"), "damaged").unwrap();
    let said = place.run(&["map", "-o", "map.html"]).ended(0).stderr;
    assert!(said.contains("39 images placed"), "{said}");
    let some = places(&place, &["--under", "photos/cat-03.png"]);
    assert_eq!(some.len(), 1);
    let measured = place.run(&["map", "--measure"]).ended(0).stderr;
    assert!(
        measured.contains("trustworthiness at 12 neighbours: 0.9"),
        "{measured}"
    );
}

#[test]
fn a_page_holds_everything_it_needs() {
    let place = Place::with(&["cat.jpg", "coffee.jpg", "rocket.jpg"]);
    fs::copy(sample("gravel.jpg"), place.photo("</script><b>.jpg")).ok();
    index(&place);
    place.run(&["map", "-o", "map.html"]).ended(0);
    let page = fs::read_to_string(place.photos().with_file_name("map.html")).unwrap();
    assert!(!page.contains("</script><b>"));
    assert_eq!(page.matches("class=\"sheet\"").count(), 1);
    assert!(page.contains("default-src 'none'"));
    // A picture that is gone leaves a dot.
    fs::remove_file(place.photo("cat.jpg")).unwrap();
    let ran = place.run(&["map", "-o", "map.html"]).ended(1);
    assert!(ran.stderr.contains("cat.jpg"), "{}", ran.stderr);
    place
        .run(&["map", "-o", "dots.html", "--thumbnails", "0"])
        .ended(0);
    let dots = fs::read_to_string(place.photos().with_file_name("dots.html")).unwrap();
    assert_eq!(dots.matches("class=\"sheet\"").count(), 0);
    let piped = place.run(&["map", "-o", "-"]).ended(1).stdout;
    assert!(piped.starts_with("<!doctype html>"));
}

#[test]
fn one_image_copies_and_none_have_a_map() {
    let place = Place::with(&["cat.jpg"]);
    index(&place);
    assert_eq!(places(&place, &[]).len(), 1);
    for number in 0..15 {
        fs::copy(sample("cat.jpg"), place.photo(&format!("{number}.jpg"))).unwrap();
    }
    index(&place);
    let all = places(&place, &["--renew"]);
    assert_eq!(all.len(), 16);
    assert!(
        all.values().all(|at| *at == all["cat.jpg"]),
        "copies lie together"
    );
    place.run(&["map", "-o", "map.html"]).ended(0);
    place.run(&["remove", "photos"]).ended(0);
    let empty = place.run(&["map", "-o", "empty.html"]).ended(1);
    assert!(
        empty.stderr.contains("the index is empty"),
        "{}",
        empty.stderr
    );
    let refused = place.run(&["map"]).ended(2).stderr;
    assert!(refused.contains("--output"), "{refused}");
    let refused = place.run(&["map", "-o", "no/map.html"]).ended(2).stderr;
    assert!(refused.contains("no folder"), "{refused}");
}
