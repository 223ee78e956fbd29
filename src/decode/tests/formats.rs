//! HEIC, AVIF and JPEG XL: one photograph in each kind of file that phones and programs write
//! (`tests/make_formats.py`).

use super::*;
use crate::decode::exif::Orientation;

const SIDE: usize = 64;
const SQUARE: Geometry = Geometry {
    width: SIDE as u32,
    height: SIDE as u32,
    resize: Resize::Squash,
};

/// 2 January 2021, 03:04:05.
const TAKEN: i64 = 1_609_556_645;

fn format(name: &str) -> Vec<u8> {
    fixture(&format!("formats/{name}"))
}

fn square(bytes: &[u8]) -> Result<(Decoded, Vec<u8>), DecodeError> {
    let mut out = vec![0; SQUARE.bytes()];
    let decoded = Decoder::new(Limits::default()).decode_into(bytes, &SQUARE, &mut out)?;
    Ok((decoded, out))
}

/// Returns the photograph as a JPEG shows it.
fn cat() -> Vec<u8> {
    square(&sample("cat.jpg")).unwrap().1
}

/// Returns the mean difference of two images.
fn difference(a: &[u8], b: &[u8]) -> f64 {
    let sum: u64 = a
        .iter()
        .zip(b)
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    sum as f64 / a.len() as f64
}

#[track_caller]
fn assert_shows(name: &str, expected: &[u8], size: (u32, u32)) -> Decoded {
    let (decoded, out) = square(&format(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let difference = difference(&out, expected);
    assert!(difference < 4.0, "{name}: {difference}");
    assert_eq!((decoded.width, decoded.height), size, "{name}");
    assert_eq!(decoded.damage, None, "{name}");
    decoded
}

/// The formats that this build decodes.
fn built() -> Vec<(&'static str, Format)> {
    let all = [
        ("heic", Format::Heif),
        ("avif", Format::Avif),
        ("jxl", Format::JpegXl),
    ];
    all.into_iter()
        .filter(|(_, format)| format.is_decoded())
        .collect()
}

#[test]
fn every_kind_of_file_shows_the_photograph() {
    let cat = cat();
    for (extension, format) in built() {
        let names: &[&str] = match format {
            Format::Heif => &["plain", "full-colour", "deep", "grid"],
            Format::Avif => &["plain", "full-colour", "deep", "grid", "turned"],
            _ => &["plain", "deep", "from-jpeg"],
        };
        for name in names {
            let decoded = assert_shows(&format!("{name}.{extension}"), &cat, (320, 213));
            assert_eq!(decoded.format, format);
            let dated = ["plain", "grid", "turned", "from-jpeg"].contains(name);
            let dated = dated && (format, *name) != (Format::JpegXl, "plain");
            assert_eq!(decoded.taken, dated.then_some(TAKEN), "{name}.{extension}");
        }
    }
}

#[cfg(feature = "heic")]
#[test]
fn the_container_turns_a_picture_and_exif_does_not() {
    let cat = cat();
    let left = Orientation::of(8).apply(&cat, SIDE, SIDE);
    assert_shows("turned.heic", &left, (213, 320));
    let mirrored = Orientation::of(6).then(Orientation::of(2));
    assert_shows(
        "mirrored.heic",
        &mirrored.apply(&cat, SIDE, SIDE),
        (213, 320),
    );
    // Decoded whole, it is turned as well.
    let whole = Decoder::new(Limits::default())
        .decode_whole(&format("turned.heic"), 1000)
        .unwrap();
    assert_eq!((whole.width, whole.height), (213, 320));
}

#[test]
fn transparency_is_shown_on_white() {
    let mut expected = cat();
    for row in expected.chunks_exact_mut(SIDE * 3) {
        row[SIDE / 2 * 3..].fill(255);
    }
    for (extension, format) in built() {
        let size = if format == Format::JpegXl {
            (160, 107)
        } else {
            (320, 213)
        };
        assert_shows(&format!("transparent.{extension}"), &expected, size);
    }
}

#[cfg(feature = "jxl")]
#[test]
fn grey_is_grey() {
    let mut grey = cat();
    for pixel in grey.as_chunks_mut::<3>().0 {
        *pixel = [luma(pixel) as u8; 3];
    }
    assert_shows("grey.jxl", &grey, (320, 213));
}

#[cfg(feature = "heic")]
#[test]
fn a_thumbnail_is_used_if_it_is_large_enough() {
    let file = format("thumbnail.heic");
    let whole = |short| {
        let whole = Decoder::new(Limits::default())
            .decode_whole(&file, short)
            .unwrap();
        (whole.width, whole.height)
    };
    assert_eq!(whole(100), (160, 104));
    assert_eq!(whole(105), (320, 208));
    // What is said of the picture is said of the whole.
    let (decoded, _) = square(&file).unwrap();
    assert_eq!((decoded.width, decoded.height), (320, 208));
}

#[test]
fn a_large_picture_is_decoded_at_a_fraction_of_its_size() {
    for (extension, format) in built() {
        let file = fixture(&format!("formats/large.{extension}"));
        let mut decoder = Decoder::new(Limits::default());
        let whole = decoder.decode_whole(&file, 100).unwrap();
        let side = if format == Format::JpegXl { 5800 } else { 725 };
        assert_eq!((whole.width, whole.height), (side, side), "{extension}");
        let middle = (side as usize * side as usize / 2 + side as usize / 2) * 3;
        let pixel = &whole.pixels[middle..middle + 3];
        assert!(
            difference(pixel, &[200, 100, 50]) < 4.0,
            "{extension}: {pixel:?}"
        );
    }
}

#[test]
fn cut_files_are_refused_or_known_to_be_cut() {
    let mut used = 0;
    for (extension, format) in built() {
        let names: &[&str] = match format {
            Format::Heif | Format::Avif => &["plain", "grid", "transparent"],
            _ => &["plain", "from-jpeg"],
        };
        for name in names {
            let whole = fixture(&format!("formats/{name}.{extension}"));
            for hundredths in (0..100).step_by(5) {
                let length = whole.len() * hundredths / 100;
                match square(&whole[..length]) {
                    Err(DecodeError::Panicked(text)) => panic!("{name}.{extension}: {text}"),
                    Err(_) => {}
                    Ok((decoded, _)) => {
                        let damage = decoded.damage;
                        used += usize::from(damage.is_some());
                        assert!(
                            damage.is_some(),
                            "{name}.{extension}: {length} of {} bytes pass for the whole",
                            whole.len()
                        );
                    }
                }
            }
        }
    }
    // A grid lacks some of its tiles, and a JPEG XL its last rows.
    assert!(used > 3 || built().is_empty(), "{used}");
}

#[test]
fn sizes_are_judged_before_pixels_are_decoded() {
    for (extension, _) in built() {
        let plain = fixture(&format!("formats/plain.{extension}"));
        let few = Limits {
            max_pixels: 10_000,
            ..Limits::default()
        };
        let mut out = vec![0; SQUARE.bytes()];
        let refused = Decoder::new(few).decode_into(&plain, &SQUARE, &mut out);
        // HEVC codes an even height, of which the container shows one row less.
        let coded = if extension == "heic" { 214 } else { 213 };
        let expected = DecodeError::TooManyPixels {
            width: 320,
            height: coded,
            limit: 10_000,
        };
        assert_eq!(refused, Err(expected), "{extension}");
        let little = Limits {
            max_memory: 9 << 20,
            ..Limits::default()
        };
        let large = fixture(&format!("formats/large.{extension}"));
        let refused = Decoder::new(little).decode_into(&large, &SQUARE, &mut out);
        assert!(
            matches!(refused, Err(DecodeError::TooMuchMemory { .. })),
            "{extension}: {refused:?}"
        );
    }
}

/// A container that declares a small picture, around one that is larger.
#[test]
fn a_picture_that_is_larger_than_declared_is_refused() {
    for extension in built().into_iter().map(|(extension, _)| extension) {
        if extension == "jxl" {
            continue;
        }
        let mut file = fixture(&format!("formats/large.{extension}"));
        let size = file.windows(4).position(|four| four == b"ispe").unwrap() + 8;
        file[size..size + 8].copy_from_slice(&[0, 0, 0, 64, 0, 0, 0, 64]);
        let refused = square(&file);
        assert!(
            matches!(
                refused,
                Err(DecodeError::Malformed(_) | DecodeError::Truncated)
            ),
            "{extension}: {refused:?}"
        );
    }
}

#[cfg(feature = "jpeg2000")]
#[test]
fn jpeg_2000_shows_the_photograph() {
    let decoded = assert_shows("plain.jp2", &cat(), (320, 213));
    assert_eq!(decoded.format, Format::Jpeg2000);
    let grey: Vec<u8> = cat()
        .chunks_exact(3)
        .flat_map(|pixel| [luma(&[pixel[0], pixel[1], pixel[2]]).round() as u8; 3])
        .collect();
    assert_shows("grey.j2k", &grey, (320, 213));
    // Half of a file is damaged, and no decoder panics.
    let file = format("plain.jp2");
    for length in (0..file.len()).step_by(97) {
        let _ = square(&file[..length]);
    }
}

#[test]
fn bits_that_are_no_transparency_hide_nothing() {
    // A TGA of two by two pixels of 32 bits, of which the header declares 8 or no bits of transparency.
    let tga = |declared: u8, alpha: [u8; 4]| {
        let mut file = vec![0; 18];
        (file[2], file[12], file[14], file[16]) = (2, 2, 2, 32);
        file[17] = 0x20 | declared;
        file.extend(alpha.into_iter().flat_map(|alpha| [50, 100, 200, alpha]));
        file
    };
    let shown = |file: &[u8]| {
        let source = Source::from(file.to_vec());
        let whole = Decoder::new(Limits::default())
            .decode_whole(&source, 1)
            .unwrap();
        [whole.pixels[0], whole.pixels[1], whole.pixels[2]]
    };
    assert_eq!(shown(&tga(8, [0, 255, 255, 255])), [255; 3]);
    assert_eq!(shown(&tga(0, [0, 255, 255, 255])), [200, 100, 50]);
    assert_eq!(shown(&tga(8, [0; 4])), [200, 100, 50]);
}
