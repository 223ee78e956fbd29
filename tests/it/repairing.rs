//! Pictures are restored by networks that were trained a moment ago.

use std::fs;
use std::path::Path;

use image::{Rgb, RgbImage};

use crate::support::{Place, sample};

/// A place with a network of a task, which was trained on two pictures.
fn place(task: &str) -> Place {
    let place = Place::with(&["cat.jpg", "coffee.jpg", "rocket.jpg"]);
    let command = [
        "train", "restorer", "photos", "--task", task, "-o", "m.onnx", "--epochs", "1", "--quiet",
    ];
    place.run(&command).ended(0);
    place
}

fn pixels(place: &Place, name: &str) -> RgbImage {
    image::open(place.index_dir().with_file_name(name))
        .unwrap()
        .into_rgb8()
}

#[test]
fn noise_is_removed_and_no_input_is_overwritten() {
    let place = place("denoise");
    let input = fs::read(sample("cat.jpg")).unwrap();
    let own = ["--model", "m.onnx", "-o"];
    let restore =
        |rest: &[&str]| place.run(&[&["restore", "photos/cat.jpg"], &own[..], rest].concat());
    restore(&["out.png", "--compare", "both.png"]).ended(0);
    let (before, after) = (pixels(&place, "photos/cat.jpg"), pixels(&place, "out.png"));
    assert_eq!(before.dimensions(), after.dimensions());
    assert_eq!(pixels(&place, "both.png").width(), 2 * before.width());
    let refused = restore(&["photos/cat.jpg", "--force"]).ended(2).stderr;
    assert!(refused.contains("never overwritten"), "{refused}");
    let refused = restore(&["out.png"]).ended(2).stderr;
    assert!(refused.contains("--force"), "{refused}");
    restore(&["out.png", "--force", "--noise", "10"]).ended(0);
    restore(&["out.gif"]).ended(2);
    // A folder for several.
    let both = ["restore", "photos/cat.jpg", "photos/rocket.jpg"];
    place.run(&[&both[..], &own, &["outs"]].concat()).ended(0);
    assert!(
        place
            .index_dir()
            .with_file_name("outs")
            .join("rocket.jpg")
            .is_file()
    );
    place
        .run(&[&both[..], &own, &["photos", "--force"]].concat())
        .ended(2);
    assert_eq!(fs::read(place.photo("cat.jpg")).unwrap(), input);
    // A picture smaller than what the network takes at once.
    RgbImage::from_pixel(3, 5, Rgb([9, 99, 200]))
        .save(place.photo("small.png"))
        .unwrap();
    place
        .run(&[&["restore", "photos/small.png"], &own[..], &["s.png"]].concat())
        .ended(0);
    assert_eq!(pixels(&place, "s.png").dimensions(), (3, 5));
    let refused = place
        .run(&[
            "restore",
            "photos/cat.jpg",
            "--model",
            "photos/cat.jpg",
            "-o",
            "x.png",
        ])
        .ended(2)
        .stderr;
    assert!(refused.contains("is no restorer"), "{refused}");
}

#[test]
fn only_the_hole_is_filled() {
    let place = place("inpaint");
    let own = [
        "restore",
        "photos/cat.jpg",
        "--model",
        "m.onnx",
        "-o",
        "out.png",
    ];
    let refused = |rest: &[&str], reason: &str| {
        let said = place.run(&[&own, rest].concat()).ended(2).stderr;
        assert!(said.contains(reason), "{said}");
        assert!(!Path::new(&place.index_dir().with_file_name("out.png")).exists());
    };
    refused(&[], "--mask FILE or --rect");
    refused(&["--rect", "0,0,99999,4"], "does not lie in the picture");
    refused(&["--rect", "4,4,0,4"], "does not lie in the picture");
    refused(&["--rect", "4,4"], "four numbers");
    refused(&["--noise", "5", "--rect", "1,1,9,9"], "trained to inpaint");
    RgbImage::new(7, 7).save(place.photo("mask.png")).unwrap();
    refused(&["--mask", "photos/mask.png"], "the mask");
    place
        .run(&[&own[..], &["--rect", "10,20,30,8"]].concat())
        .ended(0);
    let (before, after) = (pixels(&place, "photos/cat.jpg"), pixels(&place, "out.png"));
    for (x, y, pixel) in after.enumerate_pixels() {
        let is_hole = (10..40).contains(&x) && (20..28).contains(&y);
        assert!(is_hole || pixel == before.get_pixel(x, y), "{x} {y}");
    }
    assert_ne!(before, after);
}

#[test]
fn a_picture_with_colours_is_coloured_all_the_same() {
    let place = place("colourise");
    let said = place
        .run(&[
            "restore",
            "photos/cat.jpg",
            "--model",
            "m.onnx",
            "-o",
            "out.jpg",
        ])
        .ended(0)
        .stderr;
    assert!(said.contains("has colours"), "{said}");
    assert_eq!(
        pixels(&place, "out.jpg").dimensions(),
        pixels(&place, "photos/cat.jpg").dimensions()
    );
}

#[test]
fn a_network_for_watermarks_is_trained_and_used() {
    let place = place("watermark");
    place
        .run(&[
            "restore",
            "photos/cat.jpg",
            "--model",
            "m.onnx",
            "-o",
            "o.png",
            "--strength",
            "50",
        ])
        .ended(0);
}
