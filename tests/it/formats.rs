//! HEIC, AVIF, JPEG XL and camera raw, through the program: the same photograph gives nearly the same code in each, and
//! is found by its JPEG before any other.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{Place, sample};

/// The cosine of a code to that of the JPEG.
const MIN_COSINE: f64 = 0.99;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/formats")
        .join(name)
}

/// Files that show the photograph upright and whole.
const SAME: [&str; 12] = [
    "plain.heic",
    "full-colour.heic",
    "deep.heic",
    "grid.heic",
    "plain.avif",
    "full-colour.avif",
    "deep.avif",
    "grid.avif",
    "turned.avif",
    "plain.jxl",
    "deep.jxl",
    "from-jpeg.jxl",
];

/// Returns a camera's raw file: a directory that names a preview, and another with a sensor's data.
fn raw(preview: &[u8]) -> Vec<u8> {
    let entry = |tag: u16, value: u32| {
        let mut bytes = tag.to_le_bytes().to_vec();
        bytes.extend([4, 0, 1, 0, 0, 0]);
        bytes.extend(value.to_le_bytes());
        bytes
    };
    let second = 8 + 2 + 24 + 4;
    let place = second + 2 + 12 + 4;
    [
        &b"II*\0\x08\0\0\0\x02\0"[..],
        &entry(0x201, place),
        &entry(0x202, preview.len() as u32),
        &second.to_le_bytes(),
        &[1, 0],
        &entry(0x106, 32_803),
        &[0; 4],
        preview,
    ]
    .concat()
}

fn code(line: &Value) -> Vec<f64> {
    let numbers = line["code"].as_array().unwrap().iter();
    numbers.map(|number| number.as_f64().unwrap()).collect()
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// Returns a JPEG whose short side is that of a useful preview.
fn large_cat() -> Vec<u8> {
    let cat = image::open(sample("cat.jpg")).unwrap();
    let large = cat
        .resize(960, 960, image::imageops::FilterType::CatmullRom)
        .to_rgb8();
    let mut bytes = std::io::Cursor::new(Vec::new());
    large
        .write_to(&mut bytes, image::ImageFormat::Jpeg)
        .unwrap();
    bytes.into_inner()
}

#[test]
fn the_same_photograph_has_nearly_the_same_code_in_every_format() {
    let place = Place::new();
    let camera = place.photo("camera.nef");
    fs::write(&camera, raw(&large_cat())).unwrap();
    let mut paths = vec![sample("cat.jpg"), camera];
    paths.extend(SAME.map(fixture));
    let mut arguments = vec!["encode", "--json"];
    arguments.extend(paths.iter().map(|path| path.to_str().unwrap()));
    let lines = place.run(&arguments).ended(0).json_lines();
    assert_eq!(lines.len(), paths.len());
    let jpeg = code(&lines[0]);
    let mut low = Vec::new();
    for (path, line) in paths.iter().zip(&lines).skip(1) {
        let cosine = cosine(&code(line), &jpeg);
        println!("{cosine:.4} {}", path.display());
        if cosine < MIN_COSINE {
            low.push((cosine, path));
        }
    }
    assert!(low.is_empty(), "{low:?}");
}

#[test]
fn photographs_of_phones_and_cameras_are_indexed_and_found_by_their_jpeg() {
    let place = Place::with(&["coffee.jpg", "rocket.jpg", "coins.jpg"]);
    for name in SAME {
        fs::copy(fixture(name), place.photo(name)).unwrap();
    }
    fs::write(place.photo("camera.nef"), raw(&large_cat())).unwrap();
    // Without a preview that is worth the name, and cut.
    fs::write(place.photo("small.dng"), raw(b"no preview")).unwrap();
    let heic = fs::read(fixture("grid.heic")).unwrap();
    fs::write(place.photo("half.heic"), &heic[..heic.len() * 2 / 3]).unwrap();
    fs::write(place.photo("stump.heic"), &heic[..1000]).unwrap();

    let run = place.run(&["index", "photos", "--json"]).ended(1).summary();
    let seen = (&run["added"], &run["damaged"], &run["failed"]);
    assert_eq!(seen, (&17.into(), &1.into(), &2.into()), "{run}");
    let mut found = place.nearest(&sample("cat.jpg"), SAME.len() + 1);
    let mut expected: Vec<String> = SAME.map(ToOwned::to_owned).into();
    expected.push("camera.nef".to_owned());
    found.sort();
    expected.sort();
    assert_eq!(found, expected);

    let listed = place
        .run(&["status", "--damaged", "--json"])
        .ended(0)
        .json_lines();
    let reason = |name: &str| {
        let line = listed
            .iter()
            .find(|line| line["path"].as_str().unwrap().ends_with(name));
        line.unwrap_or_else(|| panic!("{name} is not listed"))["reason"].to_string()
    };
    assert!(reason("small.dng").contains("without a large preview cannot be decoded"));
    assert!(
        reason("half.heic").contains("truncated"),
        "{}",
        reason("half.heic")
    );
    assert!(
        reason("stump.heic").contains("truncated"),
        "{}",
        reason("stump.heic")
    );

    let counts = &place
        .run(&["status", "--formats", "--json"])
        .ended(0)
        .json_lines()[0];
    let images = |format: &str| {
        let mut formats = counts["formats"].as_array().unwrap().iter();
        formats.find(|of| of["format"] == format).unwrap()["images"].clone()
    };
    // With the half of one.
    assert_eq!(images("heif"), 5);
    assert_eq!((images("avif"), images("jpeg-xl")), (5.into(), 3.into()));
    assert_eq!((images("raw"), images("jpeg")), (1.into(), 3.into()));
    assert_eq!(counts["failed"].as_array().unwrap().len(), 2, "{counts}");
    let text = place.run(&["status"]).ended(0).stdout;
    let said = "3 files (1 used in part, 1 damaged, 1 of a kind without a decoder)";
    assert!(text.contains(said), "{text}");
}
