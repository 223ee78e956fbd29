//! Every format and every way in which a file can be broken.

use std::io::Cursor;
use std::path::PathBuf;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{DynamicImage, GenericImage, ImageEncoder, ImageFormat, Rgba, RgbaImage};

use super::*;

const GEOMETRY: Geometry = Geometry {
    width: 32,
    height: 32,
    resize: Resize::Squash,
};

/// Red, green, blue and white quarters, or transparent black where it is white.
fn quarters(transparent: bool) -> DynamicImage {
    let mut image = RgbaImage::from_pixel(64, 48, Rgba([255, 255, 255, 255]));
    for (x, y, colour) in [
        (0, 0, [255, 0, 0, 255]),
        (32, 0, [0, 255, 0, 255]),
        (0, 24, [0, 0, 255, 255]),
    ] {
        let quarter = RgbaImage::from_pixel(32, 24, Rgba(colour));
        image.copy_from(&quarter, x, y).unwrap();
    }
    if transparent {
        let nothing = RgbaImage::from_pixel(32, 24, Rgba([0, 0, 0, 0]));
        image.copy_from(&nothing, 32, 24).unwrap();
    }
    DynamicImage::ImageRgba8(image)
}

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Vec::new();
    image
        .write_to(&mut Cursor::new(&mut bytes), format)
        .unwrap();
    bytes
}

fn decode(bytes: &[u8]) -> Result<(Decoded, Vec<u8>), DecodeError> {
    let mut out = vec![0; 32 * 32 * 3];
    let decoded = Decoder::new(Limits::default()).decode_into(bytes, &GEOMETRY, &mut out)?;
    Ok((decoded, out))
}

/// The colours in the middle of the quarters of a decoded picture.
fn colours(out: &[u8]) -> [[u8; 3]; 4] {
    [(8, 8), (24, 8), (8, 24), (24, 24)].map(|(x, y)| {
        let place = (y * 32 + x) * 3;
        [out[place], out[place + 1], out[place + 2]]
    })
}

fn assert_quarters(name: &str, out: &[u8], tolerance: u8) {
    let expected = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]];
    for (got, expected) in colours(out).iter().zip(expected) {
        let close = got
            .iter()
            .zip(expected)
            .all(|(got, expected)| got.abs_diff(expected) <= tolerance);
        assert!(close, "{name}: {got:?} is not {expected:?}");
    }
}

fn fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name);
    std::fs::read(path).unwrap()
}

fn sample(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/samples")
        .join(name);
    std::fs::read(path).unwrap()
}

#[test]
fn every_format_shows_its_colours() {
    let rgba = quarters(false);
    let rgb = DynamicImage::ImageRgb8(rgba.to_rgb8());
    for (format, image, tolerance) in [
        (ImageFormat::Jpeg, &rgb, 3),
        (ImageFormat::Png, &rgba, 0),
        (ImageFormat::WebP, &rgba, 0),
        (ImageFormat::Gif, &rgba, 8),
        (ImageFormat::Bmp, &rgb, 0),
        (ImageFormat::Tiff, &rgb, 0),
        (ImageFormat::Ico, &rgba, 0),
        (ImageFormat::Pnm, &rgb, 0),
        (ImageFormat::Qoi, &rgba, 0),
        (
            ImageFormat::Farbfeld,
            &DynamicImage::ImageRgba16(rgba.to_rgba16()),
            0,
        ),
        (
            ImageFormat::Hdr,
            &DynamicImage::ImageRgb32F(rgb.to_rgb32f()),
            3,
        ),
        (
            ImageFormat::OpenExr,
            &DynamicImage::ImageRgb32F(rgb.to_rgb32f()),
            0,
        ),
    ] {
        let (decoded, out) =
            decode(&encoded(image, format)).unwrap_or_else(|error| panic!("{format:?}: {error}"));
        assert_quarters(&format!("{format:?}"), &out, tolerance);
        assert_eq!((decoded.width, decoded.height), (64, 48), "{format:?}");
        assert_eq!(decoded.format.decoder(), Some(format));
        assert_eq!(decoded.damage, None, "{format:?}");
    }
}

#[test]
fn odd_kinds_show_their_colours() {
    // Ink cannot be as pure as light where a file stores ink.
    for (name, tolerance) in [
        ("cmyk.jpg", 6),
        ("progressive.jpg", 3),
        ("palette.png", 0),
        ("animated.gif", 8),
        ("animated.webp", 0),
        ("animated.png", 0),
    ] {
        let (decoded, out) =
            decode(&fixture(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_quarters(name, &out, tolerance);
        assert_eq!(decoded.damage, None, "{name}");
    }
}

#[test]
fn grey_and_deep_pictures_keep_their_levels() {
    let levels = [10u8, 100, 200, 250];
    let grey = image::GrayImage::from_fn(64, 48, |x, y| {
        image::Luma([levels[(x / 32 + y / 24 * 2) as usize]])
    });
    let grey = DynamicImage::ImageLuma8(grey);
    let deep = DynamicImage::ImageLuma16(grey.to_luma16());
    for (name, bytes) in [
        ("8-bit PNG", encoded(&grey, ImageFormat::Png)),
        ("16-bit PNG", encoded(&deep, ImageFormat::Png)),
        ("16-bit TIFF", encoded(&deep, ImageFormat::Tiff)),
        ("JPEG", encoded(&grey, ImageFormat::Jpeg)),
    ] {
        let (_, out) = decode(&bytes).unwrap();
        for (got, level) in colours(&out).iter().zip(levels) {
            assert!(
                got.iter().all(|c| c.abs_diff(level) <= 2),
                "{name}: {got:?} is not {level}"
            );
        }
    }
}

#[test]
fn what_is_transparent_is_white() {
    for format in [
        ImageFormat::Png,
        ImageFormat::WebP,
        ImageFormat::Gif,
        ImageFormat::Qoi,
    ] {
        let (_, out) = decode(&encoded(&quarters(true), format)).unwrap();
        assert_quarters(&format!("{format:?}"), &out, 8);
    }
}

/// A JPEG with an EXIF segment that says how it is stored.
fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let mut exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    let mut out = jpeg[..2].to_vec();
    out.extend([0xff, 0xe1]);
    out.extend((exif.len() as u16 + 2).to_be_bytes());
    out.extend(exif);
    out.extend(&jpeg[2..]);
    out
}

#[test]
fn the_eight_orientations_show_the_same_picture() {
    let upright = image::load_from_memory(&sample("cat.jpg")).unwrap();
    let crop = Geometry {
        width: 48,
        height: 32,
        resize: Resize::ShortSideCrop { short: 60 },
    };
    // How each orientation's file stores the upright picture.
    let stored = [
        upright.clone(),
        upright.fliph(),
        upright.rotate180(),
        upright.flipv(),
        upright.rotate90().fliph(),
        upright.rotate270(),
        upright.rotate270().fliph(),
        upright.rotate90(),
    ];
    let mut first: Option<Vec<u8>> = None;
    for (i, image) in stored.into_iter().enumerate() {
        // Without loss, so that only the turning shows.
        let mut jpeg = Vec::new();
        image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 100)
            .encode_image(&image.to_rgb8())
            .unwrap();
        let bytes = with_orientation(&jpeg, i as u8 + 1);
        let mut out = vec![0; 48 * 32 * 3];
        let mut decoder = Decoder::new(Limits::default());
        let decoded = decoder.decode_into(&bytes, &crop, &mut out).unwrap();
        assert_eq!(
            (decoded.width, decoded.height),
            (upright.width(), upright.height())
        );
        let whole = decoder.decode_whole(&bytes, MIN_SHORT_SIDE).unwrap();
        assert_eq!(
            whole.width > whole.height,
            upright.width() > upright.height()
        );
        match &first {
            None => first = Some(out),
            Some(first) => {
                let apart: f64 = first
                    .iter()
                    .zip(&out)
                    .map(|(a, b)| f64::from(a.abs_diff(*b)))
                    .sum();
                let mean = apart / out.len() as f64;
                assert!(mean < 1.0, "orientation {}: {mean} levels apart", i + 1);
            }
        }
    }
}

#[test]
fn the_date_is_read() {
    let mut exif =
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x87\x69\0\x04\0\0\0\x01\0\0\0\x1a\0\0\0\0".to_vec();
    exif.extend(b"\0\x01\x90\x03\0\x02\0\0\0\x14\0\0\0\x2c\0\0\0\0");
    exif.extend(b"2000:02:29 12:00:01\0");
    let jpeg = encoded(
        &DynamicImage::ImageRgb8(quarters(false).to_rgb8()),
        ImageFormat::Jpeg,
    );
    let mut bytes = jpeg[..2].to_vec();
    bytes.extend([0xff, 0xe1]);
    bytes.extend((exif.len() as u16 + 2).to_be_bytes());
    bytes.extend(exif);
    bytes.extend(&jpeg[2..]);
    assert_eq!(decode(&bytes).unwrap().0.taken, Some(951_825_601));
    assert_eq!(decode(&jpeg).unwrap().0.taken, None);
}

#[test]
fn no_truncated_file_is_taken_for_whole() {
    let rgb = DynamicImage::ImageRgb8(
        image::load_from_memory(&sample("cat.jpg"))
            .unwrap()
            .to_rgb8(),
    );
    for format in [
        ImageFormat::Jpeg,
        ImageFormat::Png,
        ImageFormat::WebP,
        ImageFormat::Gif,
        ImageFormat::Bmp,
        ImageFormat::Tiff,
        ImageFormat::Qoi,
    ] {
        let whole = encoded(&rgb, format);
        assert!(decode(&whole).unwrap().0.damage.is_none());
        for hundredths in (0..100).step_by(5) {
            let length = whole.len() * hundredths / 100;
            match decode(&whole[..length]) {
                Err(_) => {}
                Ok((decoded, _)) => assert!(
                    decoded.damage.is_some(),
                    "{format:?}: {length} of {} bytes pass for the whole",
                    whole.len()
                ),
            }
        }
    }
}

#[test]
fn a_truncated_jpeg_is_used_as_far_as_it_goes() {
    let whole = sample("cat.jpg");
    let (decoded, _) = decode(&whole[..whole.len() * 3 / 4]).unwrap();
    assert!(decoded.damage.unwrap().contains("truncated"));
    // Two kilobytes show nothing, and are not a grey picture.
    assert!(decode(&whole[..1500]).is_err());
}

#[test]
fn progressive_pictures_too() {
    let whole = fixture("progressive.jpg");
    for length in 1..whole.len() - 1 {
        if let Ok((decoded, _)) = decode(&whole[..length]) {
            assert!(
                decoded.damage.is_some(),
                "{length} of {} bytes",
                whole.len()
            );
        }
    }
}

#[test]
fn no_small_change_to_a_file_makes_a_panic() {
    // Not every changed byte is damage that can be seen; none may hang or escape as a panic.
    let rgb = DynamicImage::ImageRgb8(quarters(false).to_rgb8());
    for format in [
        ImageFormat::Png,
        ImageFormat::WebP,
        ImageFormat::Gif,
        ImageFormat::Bmp,
        ImageFormat::Tiff,
    ] {
        let whole = encoded(&rgb, format);
        for place in (0..whole.len()).step_by(1 + whole.len() / 400) {
            for change in [0xff, 0x80, 0x01] {
                let mut bytes = whole.clone();
                bytes[place] ^= change;
                let _ = decode(&bytes);
            }
        }
    }
    let whole = sample("rocket.jpg");
    for place in (0..whole.len()).step_by(40) {
        let mut bytes = whole.clone();
        bytes[place] ^= 0xff;
        let _ = decode(&bytes);
    }
}

/// A JPEG header that declares so many pixels, and nothing behind it.
fn jpeg_header(width: u16, height: u16) -> Vec<u8> {
    let mut bytes = b"\xff\xd8\xff\xc0\0\x11\x08".to_vec();
    bytes.extend(height.to_be_bytes());
    bytes.extend(width.to_be_bytes());
    bytes.extend(
        b"\x03\x01\x22\0\x02\x11\x01\x03\x11\x01\xff\xda\0\x0c\x03\x01\0\x02\x11\x03\x11\0\x3f\0",
    );
    bytes
}

/// A PNG of one colour, tiny as a file.
fn png_bomb(side: u32) -> Vec<u8> {
    let mut out = Vec::new();
    let encoder =
        PngEncoder::new_with_quality(&mut out, CompressionType::Best, FilterType::NoFilter);
    let black = vec![0; (side * side) as usize];
    encoder
        .write_image(&black, side, side, image::ExtendedColorType::L8)
        .unwrap();
    out
}

#[test]
fn bombs_are_refused_before_they_are_decoded() {
    assert!(matches!(
        decode(&jpeg_header(65_000, 65_000)),
        Err(DecodeError::TooManyPixels {
            width: 65_000,
            height: 65_000,
            ..
        })
    ));
    let bomb = png_bomb(3000);
    assert!(bomb.len() < 40_000);
    let limits = Limits {
        max_pixels: 1_000_000,
        ..Limits::default()
    };
    let mut out = vec![0; 32 * 32 * 3];
    let refused = Decoder::new(limits).decode_into(&bomb, &GEOMETRY, &mut out);
    assert!(
        matches!(refused, Err(DecodeError::TooManyPixels { .. })),
        "{refused:?}"
    );
    let limits = Limits {
        max_memory: 1 << 20,
        ..Limits::default()
    };
    let refused = Decoder::new(limits).decode_into(&bomb, &GEOMETRY, &mut out);
    assert!(
        matches!(refused, Err(DecodeError::TooMuchMemory { .. })),
        "{refused:?}"
    );
    assert!(
        Decoder::new(Limits::default())
            .decode_into(&bomb, &GEOMETRY, &mut out)
            .is_ok()
    );
}

#[test]
fn what_is_no_image_says_so() {
    assert_eq!(decode(b""), Err(DecodeError::Empty));
    assert_eq!(
        decode(b"This is a text, whatever it is called."),
        Err(DecodeError::NotAnImage)
    );
    let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic";
    assert_eq!(decode(heic), Err(DecodeError::Unsupported("heif")));
}

#[test]
fn a_decoder_goes_on_after_a_broken_file() {
    let mut decoder = Decoder::new(Limits::default());
    let mut out = vec![0; 32 * 32 * 3];
    let good = sample("coffee.jpg");
    decoder.decode_into(&good, &GEOMETRY, &mut out).unwrap();
    let first = out.clone();
    for broken in [
        &good[..900],
        &good[..good.len() / 2],
        b"text",
        &jpeg_header(64, 64),
    ] {
        let _ = decoder.decode_into(broken, &GEOMETRY, &mut out);
        decoder.decode_into(&good, &GEOMETRY, &mut out).unwrap();
        assert_eq!(out, first);
    }
}

/// What a decoder makes of a file: size, damage and pixels, or why not.
fn outcome(decoder: &mut Decoder, bytes: &[u8]) -> Result<(Decoded, Vec<u8>), String> {
    let mut out = vec![0; 32 * 32 * 3];
    match decoder.decode_into(bytes, &GEOMETRY, &mut out) {
        Ok(decoded) => Ok((decoded, out)),
        Err(error) => Err(error.to_string()),
    }
}

/// Sound files of each format, and what may leave a decoder in a state: cut, with a bad table, with
/// lying sizes.
fn good_and_hostile() -> Vec<Vec<u8>> {
    let image = quarters(false);
    let rgb = DynamicImage::ImageRgb8(image.to_rgb8());
    let mut files = vec![encoded(&rgb, ImageFormat::Jpeg)];
    for format in [
        ImageFormat::Png,
        ImageFormat::Gif,
        ImageFormat::Bmp,
        ImageFormat::Tiff,
        ImageFormat::WebP,
        ImageFormat::Qoi,
        ImageFormat::Tga,
    ] {
        files.push(encoded(&image, format));
    }
    files.push(encoded(&rgb, ImageFormat::Pnm));
    let fixtures = ["cmyk.jpg", "progressive.jpg", "palette.png", "cmyk.tif"];
    files.extend(fixtures.map(fixture));
    for i in 0..files.len() {
        let sound = files[i].clone();
        files.push(sound[..sound.len() * 2 / 3].to_vec());
        let mut turned = sound.clone();
        let middle = turned.len() / 2;
        turned[middle..]
            .iter_mut()
            .step_by(7)
            .for_each(|b| *b ^= 0x5a);
        files.push(turned);
        if let Some(table) = sound.windows(2).position(|marker| marker == [0xff, 0xc4]) {
            // More codes of a length than there can be: the header cannot be read.
            let mut bad = sound.clone();
            (bad[table + 5], bad[table + 6]) = (255, 255);
            files.push(bad);
        }
    }
    files
}

#[test]
fn a_file_is_decoded_the_same_whatever_was_decoded_before_it() {
    let files = good_and_hostile();
    let alone: Vec<_> = files
        .iter()
        .map(|bytes| outcome(&mut Decoder::new(Limits::default()), bytes))
        .collect();
    let sound = alone.iter().filter(|outcome| outcome.is_ok()).count();
    assert!(sound > 13 && sound < files.len(), "{sound}");
    let mut random = 1u64;
    for _ in 0..30 {
        let mut decoder = Decoder::new(Limits::default());
        for _ in 0..2 * files.len() {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let i = (random >> 33) as usize % files.len();
            assert_eq!(outcome(&mut decoder, &files[i]), alone[i], "file {i}");
        }
    }
}
