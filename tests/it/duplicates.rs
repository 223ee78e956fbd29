//! `duplicates`: copies are grouped with their picture, strangers with nobody.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use image::imageops::FilterType;
use image::{DynamicImage, GenericImage as _, Rgb, RgbImage};
use serde_json::Value;

use crate::support::{Place, sample};

/// Samples that show different things.
const STRANGERS: [&str; 8] = [
    "coffee.jpg",
    "rocket.jpg",
    "temple.jpg",
    "coins.jpg",
    "flower.jpg",
    "grass.jpg",
    "gravel.jpg",
    "retina.jpg",
];

fn save(image: &DynamicImage, path: &Path, quality: u8) {
    let mut file = fs::File::create(path).unwrap();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut file, quality)
        .encode_image(&image.to_rgb8())
        .unwrap();
}

/// Returns an image between black bars, a tenth of its height each.
fn barred(image: &DynamicImage) -> DynamicImage {
    let bar = image.height() / 10;
    let mut barred = RgbImage::new(image.width(), image.height() + 2 * bar);
    barred.copy_from(&image.to_rgb8(), 0, bar).unwrap();
    barred.into()
}

/// Returns an image with a caption: a black strip with white strokes.
fn captioned(image: &DynamicImage) -> DynamicImage {
    let mut written = image.to_rgb8();
    let (width, height) = written.dimensions();
    for y in height * 8 / 10..height * 87 / 100 {
        for x in width / 10..width / 2 {
            let stroke = x / 3 % 3 == 0;
            written.put_pixel(x, y, Rgb(if stroke { [255; 3] } else { [0; 3] }));
        }
    }
    written.into()
}

/// Returns an image turned by 4 degrees, with black corners.
fn slanted(image: &DynamicImage) -> DynamicImage {
    let image = image.to_rgb8();
    let (width, height) = image.dimensions();
    let (sin, cos) = 4f32.to_radians().sin_cos();
    let middle = (width as f32 / 2.0, height as f32 / 2.0);
    RgbImage::from_fn(width, height, |x, y| {
        let (x, y) = (x as f32 - middle.0, y as f32 - middle.1);
        let (u, v) = (cos * x + sin * y + middle.0, cos * y - sin * x + middle.1);
        image::imageops::interpolate_bilinear(&image, u, v).unwrap_or(Rgb([0; 3]))
    })
    .into()
}

/// Returns copies of an image and the change that each is to be described by.
fn copies(image: &DynamicImage) -> Vec<(&'static str, DynamicImage, u8, &'static str)> {
    let (width, height) = (image.width(), image.height());
    let half = image.resize_exact(width / 2, height / 2, FilterType::Triangle);
    let cropped = image.crop_imm(
        width / 10,
        height / 10,
        width - width / 10,
        height - height / 10,
    );
    vec![
        ("reencoded", image.clone(), 50, "re-encoded"),
        ("half", half, 85, "half the size"),
        ("cropped", cropped, 90, "cropped to 81 %"),
        ("mirrored", image.fliph(), 90, "mirrored"),
        ("quarter", image.rotate90(), 90, "turned by 90°"),
        ("slanted", slanted(image), 90, "turned by "),
        ("barred", barred(image), 90, "with bars on 1"),
        ("captioned", captioned(image), 90, "covered on "),
        ("blurred", image.fast_blur(2.5), 90, "softer"),
        ("brighter", image.brighten(40), 90, ""),
        ("grey", image.grayscale(), 90, "black and white"),
    ]
}

/// Runs `duplicates --json` with more arguments; what ends with `status`.
#[track_caller]
fn groups(place: &Place, more: &[&str], status: i32) -> Vec<Value> {
    let arguments = [&["duplicates", "--json"], more].concat();
    place.run(&arguments).ended(status).json_lines()
}

/// Returns the names of the files of a group.
fn names(group: &Value) -> BTreeSet<String> {
    let files = group["files"].as_array().unwrap().iter();
    files.map(name).collect()
}

fn name(file: &Value) -> String {
    let path = Path::new(file["path"].as_str().unwrap());
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn copies_of_every_kind_are_grouped_with_their_picture_and_strangers_with_nobody() {
    let place = Place::with(&STRANGERS);
    let originals = ["cat.jpg", "astronaut.jpg"];
    for original in originals {
        let image = image::open(sample(original)).unwrap();
        save(&image, &place.photo(original), 98);
        for (edit, copy, quality, _) in copies(&image) {
            let file = place.photo(&format!("{edit}-{original}"));
            save(&copy, &file, quality);
        }
    }
    place.index();
    let found = groups(&place, &[], 0);
    assert_eq!(found.len(), originals.len(), "{found:#?}");
    for original in originals {
        let image = image::open(sample(original)).unwrap();
        let group = found
            .iter()
            .find(|group| names(group).contains(original))
            .unwrap_or_else(|| panic!("{original}: {found:#?}"));
        let files = group["files"].as_array().unwrap();
        assert_eq!(files.len(), copies(&image).len() + 1, "{:?}", names(group));
        // The one with bars has more pixels, but none of them are of the picture.
        let best = &files[group["best"].as_u64().unwrap() as usize];
        assert_eq!(name(best), original);
        for (edit, _, _, differs) in copies(&image) {
            let wanted = format!("{edit}-{original}");
            let file = files.iter().find(|file| name(file) == wanted).unwrap();
            assert_eq!(file["level"], "edited", "{file}");
            let text = file["differs"].as_str().unwrap();
            assert!(text.contains(differs), "{wanted}: {text}");
        }
    }
}

#[test]
fn strangers_alone_are_no_duplicates() {
    let place = Place::with(&STRANGERS);
    place.index();
    let ran = place.run(&["duplicates"]).ended(1);
    assert_eq!(ran.stdout, "");
    assert!(ran.stderr.contains("no two of 8 images"), "{}", ran.stderr);
    assert!(groups(&place, &["--near"], 1).is_empty());
}

#[test]
fn an_index_of_no_and_of_one_image_has_no_duplicates() {
    let place = Place::with(&["cat.jpg"]);
    let none = place.run(&["duplicates"]).ended(2);
    assert!(none.stderr.contains("there is no index"), "{}", none.stderr);
    place.index();
    assert!(groups(&place, &[], 1).is_empty());
    assert!(groups(&place, &["--identical"], 1).is_empty());
    place.run(&["remove", "photos/cat.jpg"]).ended(0);
    assert!(groups(&place, &[], 1).is_empty());
}

#[test]
fn identical_files_are_one_group_however_many_there_are() {
    let place = Place::with(&["coffee.jpg"]);
    for i in 0..300 {
        fs::copy(sample("cat.jpg"), place.photo(&format!("{i:03}.jpg"))).unwrap();
    }
    place.index();
    for more in [&["--identical"][..], &[]] {
        let found = groups(&place, more, 0);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0]["level"], "identical");
        let files = found[0]["files"].as_array().unwrap();
        assert_eq!(files.len(), 300);
        assert!(files.iter().all(|file| file["level"] == "identical"));
        let contents: BTreeSet<_> = files.iter().map(|file| file["content"].as_str()).collect();
        assert_eq!(contents.len(), 1);
    }
    // All of them are.
    fs::remove_file(place.photo("coffee.jpg")).unwrap();
    place.run(&["index", "--prune"]).ended(0);
    assert_eq!(
        groups(&place, &[], 0)[0]["files"].as_array().unwrap().len(),
        300
    );
}

#[test]
fn what_is_identical_and_what_is_edited_is_one_group_with_its_levels() {
    let place = Place::with(&["cat.jpg", "coffee.jpg"]);
    fs::copy(sample("cat.jpg"), place.photo("copy.jpg")).unwrap();
    let image = image::open(sample("cat.jpg")).unwrap();
    save(&image.fliph(), &place.photo("mirrored.jpg"), 60);
    place.index();
    let found = groups(&place, &[], 0);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["level"], "edited");
    let levels: Vec<(String, &Value)> = found[0]["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| (name(file), &file["level"]))
        .collect();
    let of = |wanted: &str| levels.iter().find(|(name, _)| name == wanted).unwrap().1;
    assert_eq!(of("mirrored.jpg"), "edited");
    assert_eq!(
        (of("cat.jpg"), of("copy.jpg")),
        (&"identical".into(), &"identical".into())
    );
    // By content alone, the mirrored one is no duplicate.
    let identical = groups(&place, &["--identical"], 0);
    let wanted = ["cat.jpg", "copy.jpg"].map(String::from);
    assert_eq!(names(&identical[0]), BTreeSet::from(wanted));
}

#[test]
fn files_that_vanished_or_changed_are_named_and_left_out() {
    let place = Place::with(&["cat.jpg", "coffee.jpg", "rocket.jpg"]);
    for original in ["cat.jpg", "coffee.jpg", "rocket.jpg"] {
        let image = image::open(sample(original)).unwrap();
        save(&image, &place.photo(&format!("copy-{original}")), 60);
    }
    fs::copy(sample("cat.jpg"), place.photo("same.jpg")).unwrap();
    place.index();
    assert_eq!(groups(&place, &[], 0).len(), 3);
    fs::remove_file(place.photo("copy-coffee.jpg")).unwrap();
    fs::write(place.photo("copy-rocket.jpg"), "something else").unwrap();
    fs::remove_file(place.photo("cat.jpg")).unwrap();
    let ran = place.run(&["duplicates", "--json"]).ended(1);
    let found = ran.json_lines();
    assert_eq!(found.len(), 1, "{found:#?}");
    // The content is still there under another name.
    let wanted = ["same.jpg", "copy-cat.jpg"].map(String::from);
    assert_eq!(names(&found[0]), BTreeSet::from(wanted));
    for gone in ["copy-coffee.jpg", "copy-rocket.jpg", "photos/cat.jpg"] {
        assert!(ran.stderr.contains(gone), "{gone}: {}", ran.stderr);
    }
    assert!(
        ran.stderr.contains("was changed or replaced"),
        "{}",
        ran.stderr
    );
}

#[test]
fn the_best_file_is_the_one_that_was_asked_for() {
    let place = Place::new();
    let image = image::open(sample("cat.jpg")).unwrap();
    let half = image.resize_exact(image.width() / 2, image.height() / 2, FilterType::Triangle);
    save(&image, &place.photo("large.jpg"), 90);
    save(&image, &place.photo("light-and-long-name.jpg"), 40);
    save(&half, &place.photo("h.jpg"), 100);
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    let file = fs::File::options()
        .write(true)
        .open(place.photo("light-and-long-name.jpg"));
    file.unwrap().set_modified(old).unwrap();
    place.index();
    for (keep, best) in [
        ("best", "large.jpg"),
        ("oldest", "light-and-long-name.jpg"),
        ("shortest-path", "h.jpg"),
    ] {
        let found = groups(&place, &["--keep", keep], 0);
        let files = found[0]["files"].as_array().unwrap();
        assert_eq!(name(&files[0]), best, "{keep}");
        assert_eq!((files.len(), &found[0]["best"]), (3, &0.into()));
    }
    let of_best = place
        .run(&["duplicates", "-q", "--paths-of", "best"])
        .ended(0)
        .stdout;
    assert!(
        of_best.ends_with("large.jpg\n") && of_best.lines().count() == 1,
        "{of_best}"
    );
    let others = place
        .run(&["duplicates", "-q", "--paths-of", "others", "-0"])
        .ended(0)
        .stdout;
    assert_eq!(others.matches('\0').count(), 2);
    assert!(
        !others.contains("large.jpg") && !others.contains('\n'),
        "{others}"
    );
}

#[test]
fn filters_choose_what_is_compared() {
    let place = Place::new();
    let image = image::open(sample("cat.jpg")).unwrap();
    for folder in ["a", "b"] {
        fs::create_dir(place.photo(folder)).unwrap();
    }
    save(&image, &place.photo("a/one.jpg"), 90);
    save(&image, &place.photo("a/two.jpg"), 50);
    save(&image.fliph(), &place.photo("b/three.jpg"), 90);
    place.index();
    assert_eq!(
        groups(&place, &[], 0)[0]["files"].as_array().unwrap().len(),
        3
    );
    let within = groups(&place, &["--under", "photos/a"], 0);
    let wanted = ["one.jpg", "two.jpg"].map(String::from);
    assert_eq!(names(&within[0]), BTreeSet::from(wanted));
    assert!(groups(&place, &["--under", "photos/b"], 1).is_empty());
    // No two pictures are that similar but those of the same code.
    let refused = place
        .run(&["duplicates", "--min-similarity", "101"])
        .ended(2);
    assert!(
        refused.stderr.contains("--min-similarity"),
        "{}",
        refused.stderr
    );
    assert_eq!(groups(&place, &["--min-similarity", "50"], 0).len(), 1);
}

#[test]
fn groups_are_readable_and_drawn_on_a_page() {
    let place = Place::with(&["cat.jpg", "coffee.jpg"]);
    let image = image::open(sample("cat.jpg")).unwrap();
    save(&image.fliph(), &place.photo("mirrored.jpg"), 60);
    place.index();
    let ran = place.run(&["duplicates", "--html", "page.html"]).ended(0);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert!(lines[0].starts_with("photos/cat.jpg  "), "{}", ran.stdout);
    assert!(
        lines[0].contains(" × ") && lines[0].contains("JPEG"),
        "{}",
        ran.stdout
    );
    assert!(
        lines[1].starts_with("  photos/mirrored.jpg  "),
        "{}",
        ran.stdout
    );
    assert!(lines[1].ends_with(": mirrored"), "{}", ran.stdout);
    assert!(
        ran.stderr
            .contains("1 group among 3 images; besides the best: 1 file"),
        "{}",
        ran.stderr
    );
    let page = fs::read_to_string(place.index_dir().with_file_name("page.html")).unwrap();
    assert!(page.contains("mirrored.jpg") && page.contains("data:image/jpeg"));
    assert!(!page.contains("coffee.jpg"));
    // A tick lays the copy on the best one, turned round.
    assert!(
        page.contains("<input class=\"switch\"") && page.contains("matrix(-1.0"),
        "{page}"
    );
}
