//! Tests of the decoder with every format.

use std::io::Cursor;
use std::path::PathBuf;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{DynamicImage, GenericImage, ImageEncoder, ImageFormat, Rgba, RgbaImage};

use super::*;

mod damaged;
mod formats;
mod raw;
mod tiff;

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

/// Returns the colours in the middle of the quarters of a decoded image.
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
fn special_kinds_of_files_show_their_colours() {
    // A file that stores ink cannot show colours as pure as light.
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
fn grey_and_deep_images_keep_their_levels() {
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
fn transparent_pixels_are_white() {
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

/// Returns a JPEG with an EXIF segment that declares an orientation.
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
fn the_eight_orientations_show_the_same_image() {
    let upright = image::load_from_memory(&sample("cat.jpg")).unwrap();
    let crop = Geometry {
        width: 48,
        height: 32,
        resize: Resize::ShortSideCrop { short: 60 },
    };
    // How a file of each orientation stores the upright image.
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
        // With next to no loss, so that only the orientation matters.
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
fn a_part_is_one_of_the_upright_image_at_its_full_size() {
    // Each image is stored turned by 90 degrees, so that upright its quarters are where `quarters` has them.
    let upright = quarters(false);
    let turned = DynamicImage::ImageRgba8(image::imageops::rotate270(&upright.to_rgba8()));
    let mut jpeg = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 100)
        .encode_image(&turned.to_rgb8())
        .unwrap();
    let jpeg = with_orientation(&jpeg, 6);
    let mut decoder = Decoder::new(Limits::default());
    for (part, colour) in [
        ("10%,10%,30%,30%", [255u8, 0, 0]),
        ("60%,10%,30%,30%", [0, 255, 0]),
        ("6,30,20,12", [0, 0, 255]),
    ] {
        let mut out = vec![0; GEOMETRY.bytes()];
        let part: Crop = part.parse().unwrap();
        let decoded = decoder
            .decode_part_into(&*jpeg, &part, &GEOMETRY, &mut out)
            .unwrap();
        assert_eq!((decoded.width, decoded.height), (64, 48), "of the whole");
        let far = |pixel: &[u8]| pixel.iter().zip(colour).any(|(a, b)| a.abs_diff(b) > 12);
        assert!(!out.chunks(3).any(far), "{part}");
    }
    let part: Crop = "50,0,15,48".parse().unwrap();
    let mut out = vec![0; GEOMETRY.bytes()];
    let error = decoder.decode_part_into(&*jpeg, &part, &GEOMETRY, &mut out);
    assert!(matches!(error, Err(DecodeError::OutsideOfImage { .. })));
}

/// In builds with debug assertions, the standard library checks what the resizer reads.
#[test]
fn parts_of_any_place_and_size_are_read_within_the_picture() {
    let mut resizer = fast_image_resize::Resizer::new();
    for (width, height) in [(64u32, 2u32), (64, 48), (300, 2), (17, 16)] {
        let rgb = Rgb {
            width,
            height,
            pixels: vec![7; (width * height * 3) as usize],
        };
        for parts in 2..12u32 {
            for place in 0..parts {
                for (wide, high) in [(32, 5), (32, 32), (224, 224)] {
                    let geometry = Geometry {
                        width: wide,
                        height: high,
                        resize: Resize::Squash,
                    };
                    let share = f64::from(width) / f64::from(parts);
                    let left = share * f64::from(place);
                    let share = share.min(f64::from(width) - left);
                    let part = [left, 0.0, share, f64::from(height)];
                    let pixels = resample_part(&mut resizer, &rgb, part, &geometry).unwrap();
                    assert_eq!(
                        pixels,
                        vec![7; geometry.bytes()],
                        "{part:?} to {wide}×{high}"
                    );
                }
            }
        }
    }
}
