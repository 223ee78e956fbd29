//! Similarities: what they are printed for, what they limit, and how they are measured.

use std::fs;

use image::GenericImageView as _;
use imgsearch::onnx::EncoderFile;

use crate::support::{Place, sample, sample_names};

/// Saves the built-in encoder without its similarity map.
fn without_map(place: &Place) {
    let file = EncoderFile::default_encoder().unwrap();
    let file = file.with_similarity(None).unwrap();
    fs::write(place.photos().with_file_name("plain.onnx"), file.bytes()).unwrap();
}

#[test]
fn a_minimum_similarity_limits_the_results() {
    let place = Place::with(&["cat.jpg", "cat-face.jpg", "coffee.jpg", "rocket.jpg"]);
    place.index();
    let found = |options: &[&str], status: i32| {
        let query = ["query", "photos/cat.jpg", "--json"];
        let ran = place.run(&[&query, options].concat()).ended(status);
        ran.json_lines()[0]["results"].as_array().unwrap().len()
    };
    assert_eq!(
        found(&["--min-similarity", "100"], 0),
        1,
        "the image itself"
    );
    assert_eq!(found(&["--min-similarity", "80"], 0), 2, "and the same cat");
    assert_eq!(found(&["--min-similarity", "0"], 0), 4);
    // The smaller of both counts.
    assert_eq!(found(&["--min-similarity", "80", "--radius", "0"], 0), 1);
    assert_eq!(found(&["--min-similarity", "100", "--radius", "50"], 0), 1);

    let nothing = place
        .run(&[
            "query",
            "photos/rocket.jpg",
            "--glob",
            "*cat*",
            "--min-similarity",
            "90",
        ])
        .ended(1)
        .stderr;
    assert!(
        nothing.contains("choose a smaller --min-similarity"),
        "{nothing}"
    );
}

#[test]
fn a_minimum_similarity_that_cannot_be_had_is_refused() {
    let place = Place::with(&["cat.jpg"]);
    place.index();
    without_map(&place);
    let refused = |options: &[&str]| {
        place
            .run(&[&["query", "photos/cat.jpg"], options].concat())
            .ended(2)
            .stderr
    };
    for bad in ["101", "abc", "NaN", "-1", ""] {
        let text = refused(&[&format!("--min-similarity={bad}")]);
        assert!(text.contains("a number from 0 to 100"), "{bad}: {text}");
    }
    for by in ["code", "hash"] {
        let text = refused(&["--min-similarity", "80", "--by", by]);
        assert!(text.contains("needs the ranking by both"), "{text}");
    }
    let plain = ["--encoder", "plain.onnx"];
    let text = refused(&[&plain[..], &["--min-similarity", "80"]].concat());
    assert!(
        text.contains("needs an encoder for which") && text.contains("--calibrate"),
        "{text}"
    );
    // Without a map, distances are printed.
    let shown = place
        .run(&[&["query", "photos/cat.jpg"], &plain[..]].concat())
        .ended(0);
    assert_eq!(shown.stdout, "1  0.0000  photos/cat.jpg\n");
}

#[test]
fn a_collection_without_anything_like_the_query_says_so() {
    let place = Place::new();
    let cat = image::open(sample("cat.jpg")).unwrap();
    let (width, height) = cat.dimensions();
    for i in 0..220u32 {
        let (left, top) = (i % 15 * 3, i / 15 * 3);
        let part = cat.crop_imm(left, top, width - 60, height - 60);
        part.save(place.photo(&format!("{i}.jpg"))).unwrap();
    }
    place.index();
    let rocket = sample("rocket.jpg");
    let rocket = rocket.to_str().unwrap();
    let ran = place.run(&["query", rocket, "-k", "1"]).ended(0);
    assert!(
        ran.stderr
            .contains("nothing here looks like it; the nearest is ")
            && ran.stderr.contains(" % alike (1 of 20"),
        "{ran:?}"
    );
    assert_eq!(
        ran.stdout.lines().count(),
        1,
        "the nearest is still printed"
    );
    let json = |options: &[&str]| {
        let ran = place
            .run(&[&["query", "--json"], options].concat())
            .ended(0);
        assert!(!ran.stderr.contains("nothing here"), "{ran:?}");
        ran.json_lines()[0].get("resembles").cloned()
    };
    assert_eq!(json(&[rocket]), Some(false.into()));
    // Another part of the same cat.
    let other = place.photos().with_file_name("other.jpg");
    cat.crop_imm(20, 20, width - 61, height - 61)
        .save(&other)
        .unwrap();
    assert_eq!(json(&[other.to_str().unwrap()]), Some(true.into()));
    // In the index, with a filter, a radius or another ranking, nothing is said.
    assert_eq!(json(&["photos/7.jpg"]), None);
    assert_eq!(json(&[rocket, "--glob", "*1*"]), None);
    assert_eq!(json(&[rocket, "--radius", "50"]), None);
    assert_eq!(json(&[rocket, "--by", "code"]), None);
    for silent in ["--quiet", "--paths", "-0"] {
        let ran = place.run(&["query", rocket, silent]).ended(0);
        assert!(!ran.stderr.contains("nothing here"), "{silent}: {ran:?}");
    }
    // Re-encoding measures it for the new codes.
    place.run(&["index", "--reencode"]).ended(0);
    assert_eq!(json(&[rocket]), Some(false.into()));
}

#[test]
fn labelled_folders_calibrate_an_encoder() {
    let place = Place::new();
    for name in sample_names() {
        let image = image::open(sample(&name)).unwrap();
        let class = place.photo(name.trim_end_matches(".jpg"));
        fs::create_dir(&class).unwrap();
        for i in 0..2u32 {
            let part = image.crop_imm(i * 10, 0, image.width() - 30, image.height());
            part.save(class.join(format!("{i}.jpg"))).unwrap();
        }
    }
    without_map(&place);
    let eval = [
        "eval",
        "photos",
        "--no-baselines",
        "--encoder",
        "plain.onnx",
    ];
    let shown = place.run(&eval).ended(0).stdout;
    assert!(!shown.contains("same class"), "there is no map: {shown}");
    let calibrate = ["--calibrate", "own.onnx", "--json"];
    let ran = place.run(&[&eval[..], &calibrate].concat()).ended(0);
    let report = &ran.json_lines()[0];
    let bins = report["reliability"].as_array().unwrap();
    let pairs: u64 = bins.iter().map(|bin| bin["pairs"].as_u64().unwrap()).sum();
    // Each of the images with all others.
    assert_eq!(pairs, 32 * 31);
    let own = place.photos().with_file_name("own.onnx");
    let own = EncoderFile::from_path(&own).unwrap();
    let map = own.info().similarity.as_ref().unwrap();
    assert_eq!(map.knots()[0], (0.0, 1.0));
    let built_in = EncoderFile::default_encoder().unwrap();
    assert_eq!(own.info().fingerprint, built_in.info().fingerprint);
    let shown = place.run(&["eval", "photos", "--no-baselines", "--encoder", "own.onnx"]);
    assert!(shown.ended(0).stdout.contains("same class"));

    let refused = |options: &[&str]| place.run(options).ended(2).stderr;
    let two = [
        &eval[..],
        &["--encoder", "own.onnx", "--calibrate", "x.onnx"],
    ]
    .concat();
    assert!(refused(&two).contains("--calibrate writes one encoder"));
    let nowhere = [&eval[..], &["--calibrate", "nowhere/x.onnx"]].concat();
    assert!(refused(&nowhere).contains("there is no folder nowhere"));
    let text = refused(&["eval", "--copies", "photos", "--calibrate", "x.onnx"]);
    assert!(text.contains("FOLDER"), "{text}");
}
