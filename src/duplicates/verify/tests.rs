use std::path::Path;

use image::imageops::{self, FilterType};
use image::{DynamicImage, RgbImage};

use super::*;
use crate::decode::Rgb;

fn sample(name: &str) -> DynamicImage {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples");
    image::open(samples.join(name)).unwrap()
}

fn prepared(image: &DynamicImage) -> Picture {
    let image = image.to_rgb8();
    let image = Rgb {
        width: image.width(),
        height: image.height(),
        pixels: image.into_raw(),
    };
    Picture::of(&image).unwrap()
}

#[track_caller]
fn copy_of(picture: &DynamicImage, copy: &DynamicImage) -> Alignment {
    let (picture, copy) = (prepared(picture), prepared(copy));
    let Verdict::Copy(alignment) = compare_pictures(&picture, &copy) else {
        panic!("{:?}", compare_pictures(&picture, &copy));
    };
    // The other way round, it is a copy as well.
    let back = compare_pictures(&copy, &picture);
    assert!(matches!(back, Verdict::Copy(_)), "{back:?}");
    alignment
}

fn near(one: f32, other: f32, within: f32) -> bool {
    (one - other).abs() <= within
}

const PICTURES: [&str; 4] = ["cat.jpg", "coffee.jpg", "rocket.jpg", "temple.jpg"];

#[test]
fn a_copy_says_how_it_was_made() {
    for name in PICTURES {
        let picture = sample(name);
        let (width, height) = (picture.width(), picture.height());

        let same = copy_of(&picture, &picture);
        assert!(!same.mirrored && near(same.turned, 0.0, 0.1) && near(same.scale, 1.0, 0.005));
        assert!(
            same.agreement > 0.999 && same.kept > 0.99 && same.shared > 0.99,
            "{same:?}"
        );

        let half = picture.resize_exact(width / 2, height / 2, FilterType::Triangle);
        let alignment = copy_of(&picture, &half);
        assert!(near(alignment.scale, 0.5, 0.01), "{name} {alignment:?}");

        let alignment = copy_of(&picture, &picture.fliph());
        assert!(
            alignment.mirrored && near(alignment.turned, 0.0, 0.3),
            "{name} {alignment:?}"
        );

        for (turned, degrees) in [
            (picture.rotate90(), 90.0),
            (picture.rotate180(), 180.0),
            (picture.rotate270(), -90.0),
        ] {
            let alignment = copy_of(&picture, &turned);
            let apart = (alignment.turned - degrees).rem_euclid(360.0);
            assert!(
                !alignment.mirrored && apart.min(360.0 - apart) < 0.3,
                "{name} {alignment:?}"
            );
        }

        let (left, top) = (width / 10, height / 10);
        let part = picture.crop_imm(left, top, width - left, height - top);
        let alignment = copy_of(&picture, &part);
        assert!(
            near(alignment.kept, 0.81, 0.03) && alignment.shared > 0.97,
            "{alignment:?}"
        );
        assert!(near(alignment.scale, 1.0, 0.01), "{name} {alignment:?}");

        let mut barred = RgbImage::new(width, height + 2 * top);
        imageops::replace(&mut barred, &picture.to_rgb8(), 0, i64::from(top));
        let alignment = copy_of(&picture, &barred.into());
        assert!(
            near(alignment.shared, 0.833, 0.02) && alignment.kept > 0.97,
            "{alignment:?}"
        );
        assert!(alignment.has_bars() && !alignment.is_within_bars());
        assert!(alignment.reversed().is_within_bars());

        let alignment = copy_of(&picture, &picture.grayscale());
        assert!(alignment.colours.1 < 1.0, "{name} {alignment:?}");
    }
}

#[test]
fn different_pictures_are_different() {
    let pictures = [
        "cat.jpg",
        "coffee.jpg",
        "rocket.jpg",
        "temple.jpg",
        "grass.jpg",
        "gravel.jpg",
    ];
    let pictures = pictures.map(|name| prepared(&sample(name)));
    for (i, one) in pictures.iter().enumerate() {
        for other in &pictures[..i] {
            assert_eq!(compare_pictures(one, other), Verdict::Different);
        }
    }
}

#[test]
fn a_scene_in_which_something_moved_is_no_copy() {
    // A fifth of the picture shows something else: the rest is the same to the pixel.
    let picture = sample("cat.jpg");
    let (width, height) = (picture.width(), picture.height());
    let moved = sample("coffee.jpg").resize_exact(width / 2, height / 2, FilterType::Triangle);
    let mut other = picture.to_rgb8();
    imageops::replace(
        &mut other,
        &moved.to_rgb8(),
        i64::from(width / 4),
        i64::from(height / 4),
    );
    let verdict = compare_pictures(&prepared(&picture), &prepared(&other.into()));
    assert!(matches!(verdict, Verdict::Near(_)), "{verdict:?}");
}

#[test]
fn a_coloured_stamp_makes_no_other_shot() {
    let picture = sample("cat.jpg");
    let (width, height) = (picture.width(), picture.height());
    let mut other = picture.to_rgb8();
    // Stripes, so that there is something in every block of it.
    for y in height / 8..height / 4 {
        for x in width / 8..width / 2 {
            let stripe = if (x / 6) % 2 == 0 {
                [200, 60, 40]
            } else {
                [60, 90, 200]
            };
            other.put_pixel(x, y, image::Rgb(stripe));
        }
    }
    copy_of(&picture, &other.into());
}

#[test]
fn neighbouring_parts_of_a_scene_are_no_copies() {
    let picture = sample("cat.jpg");
    let (width, height) = (picture.width(), picture.height());
    let left = picture.crop_imm(0, 0, width * 7 / 10, height);
    let right = picture.crop_imm(width * 3 / 10, 0, width * 7 / 10, height);
    let verdict = compare_pictures(&prepared(&left), &prepared(&right));
    assert!(!matches!(verdict, Verdict::Copy(_)), "{verdict:?}");
    // Both are copies of the whole.
    copy_of(&picture, &left);
    copy_of(&picture, &right);
}

#[test]
fn pictures_with_nothing_in_them_are_never_the_same() {
    let plain = |value: u8, width: u32, height: u32| {
        prepared(&RgbImage::from_pixel(width, height, image::Rgb([value; 3])).into())
    };
    let pictures = [
        plain(0, 60, 40),
        plain(255, 60, 40),
        plain(0, 1, 1),
        plain(9, 2000, 1),
    ];
    for one in &pictures {
        for other in &pictures {
            assert_eq!(compare_pictures(one, other), Verdict::Different);
        }
    }
}
