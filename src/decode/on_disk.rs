//! A file is decoded the same from disk as from memory.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, ImageFormat, Rgb as Pixel, RgbImage};

use super::source::{Data, MAX_IN_MEMORY};
use super::*;

const GEOMETRY: Geometry = Geometry {
    width: 48,
    height: 32,
    resize: Resize::ShortSideCrop { short: 32 },
};

fn noise(side: u32) -> RgbImage {
    RgbImage::from_fn(side, side * 3 / 4, |x, y| {
        let noise = (x * 7 + y * 13) * (x + 3) % 31;
        Pixel([x as u8, y as u8, (x / 2 + y / 3 + noise) as u8])
    })
}

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// Returns files of every format that `image` can write, and of special kinds, longer than what is read at once.
fn large() -> Vec<(String, Vec<u8>)> {
    let rgb = DynamicImage::ImageRgb8(noise(256));
    let (rgba, deep) = (rgb.to_rgba8().into(), rgb.to_rgba16().into());
    let floats = DynamicImage::ImageRgb32F(rgb.to_rgb32f());
    let formats: [(ImageFormat, &DynamicImage); 13] = [
        (ImageFormat::Jpeg, &rgb),
        (ImageFormat::Png, &rgba),
        (ImageFormat::WebP, &rgba),
        (ImageFormat::Gif, &rgba),
        (ImageFormat::Bmp, &rgb),
        (ImageFormat::Tiff, &rgb),
        (ImageFormat::Ico, &rgba),
        (ImageFormat::Pnm, &rgb),
        (ImageFormat::Qoi, &rgba),
        (ImageFormat::Tga, &rgb),
        (ImageFormat::Farbfeld, &deep),
        (ImageFormat::Hdr, &floats),
        (ImageFormat::OpenExr, &floats),
    ];
    let mut files: Vec<(String, Vec<u8>)> = formats
        .map(|(format, image)| (format!("{format:?}"), encoded(image, format)))
        .into();
    for name in [
        "cmyk.jpg",
        "progressive.jpg",
        "palette.png",
        "animated.gif",
        "animated.webp",
        "animated.png",
        "cmyk.tif",
    ] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        files.push((name.to_owned(), fs::read(folder.join(name)).unwrap()));
    }
    for (name, bytes) in &mut files {
        let end = bytes.len();
        bytes.resize(end + MAX_IN_MEMORY as usize, 0);
        if name == "Tga" {
            // Recognised by its end.
            bytes.extend_from_slice(b"\0\0\0\0\0\0\0\0TRUEVISION-XFILE.\0");
        }
    }
    // And some of their natural length, one of them cut.
    let noise = RgbImage::from_fn(2000, 1500, |x, y| {
        let noise = x.wrapping_mul(2_654_435_761) ^ (y * 40_503 + x).wrapping_mul(97);
        Pixel([noise as u8, (noise >> 8) as u8, (noise >> 16) as u8])
    });
    let noise = DynamicImage::ImageRgb8(noise);
    for format in [ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::Pnm] {
        files.push((format!("whole {format:?}"), encoded(&noise, format)));
    }
    let cut = encoded(&noise, ImageFormat::Bmp)[..MAX_IN_MEMORY as usize + 1].to_vec();
    files.push(("cut Bmp".to_owned(), cut));
    files
}

#[test]
fn every_format_is_decoded_from_disk_as_from_memory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    let mut decoder = Decoder::new(Limits::default());
    let mut sound = 0;
    for (name, bytes) in large() {
        fs::write(&path, &bytes).unwrap();
        let source = Source::open(&path, &Limits::default()).unwrap();
        assert!(
            matches!(source.data(), Data::Disk(_)),
            "{name} is in memory"
        );
        let (mut from_disk, mut from_memory) = (vec![0; 48 * 32 * 3], vec![0; 48 * 32 * 3]);
        let disk = decoder.decode_into(&source, &GEOMETRY, &mut from_disk);
        let memory = decoder.decode_into(&bytes, &GEOMETRY, &mut from_memory);
        assert_eq!(disk, memory, "{name}");
        assert_eq!(from_disk, from_memory, "{name}");
        let is_cut = name.starts_with("cut");
        let decoded = disk
            .as_ref()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!is_cut || decoded.damage.is_some(), "{name}: {decoded:?}");
        let whole = |content: Content<'_>, decoder: &mut Decoder| {
            let whole = decoder.decode_whole(content, 64);
            whole.map(Whole::into_rgb)
        };
        let pixels = whole((&source).into(), &mut decoder);
        assert!(pixels == whole((&bytes).into(), &mut decoder), "{name}");
        sound += usize::from(disk.is_ok());
    }
    assert_eq!(sound, 24);
}

#[test]
fn dates_and_orientations_are_read_from_disk() {
    let mut exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([6, 0, 0, 0, 0, 0, 0]);
    let jpeg = encoded(&noise(256).into(), ImageFormat::Jpeg);
    let mut bytes = jpeg[..2].to_vec();
    bytes.extend([0xff, 0xe1]);
    bytes.extend((exif.len() as u16 + 2).to_be_bytes());
    bytes.extend(&exif);
    bytes.extend(&jpeg[2..]);
    bytes.resize(bytes.len() + MAX_IN_MEMORY as usize, 0);
    let png = encoded(&noise(256).into(), ImageFormat::Png);
    let mut with_chunk = png[..33].to_vec();
    with_chunk.extend((exif.len() as u32 - 6).to_be_bytes());
    with_chunk.extend(b"eXIf");
    with_chunk.extend(&exif[6..]);
    // The checksum is wrong, but nothing checks it in a chunk that may be missing.
    with_chunk.extend([0; 4]);
    with_chunk.extend(&png[33..]);
    with_chunk.resize(with_chunk.len() + MAX_IN_MEMORY as usize, 0);

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    let mut out = vec![0; GEOMETRY.bytes()];
    for bytes in [bytes, with_chunk] {
        fs::write(&path, &bytes).unwrap();
        let source = Source::open(&path, &Limits::default()).unwrap();
        let decoded = Decoder::new(Limits::default()).decode_into(&source, &GEOMETRY, &mut out);
        let decoded = decoded.unwrap();
        assert_eq!((decoded.width, decoded.height), (192, 256));
    }
}

/// A JPEG whose headers declare 40,000 by 40,000 pixels, followed by many bytes.
#[test]
fn headers_are_judged_before_a_file_is_read() {
    let mut bytes =
        b"\xff\xd8\xff\xc2\0\x11\x08\x9c\x40\x9c\x40\x03\x01\x22\0\x02\x11\x01\x03\x11\x01"
            .to_vec();
    bytes.extend(b"\xff\xda\0\x0c\x03\x01\0\x02\x11\x03\x11\0\x3f\0");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image.jpg");
    fs::write(&path, &bytes).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(700 << 20).unwrap();
    let mut out = vec![0; GEOMETRY.bytes()];
    let mut refused = |max_pixels| {
        let limits = Limits {
            max_pixels,
            ..Limits::default()
        };
        let source = Source::open(&path, &limits).unwrap();
        let Data::Disk(disk) = source.data() else {
            panic!("it is in memory");
        };
        let before = disk.bytes_read();
        let error = Decoder::new(limits).decode_into(&source, &GEOMETRY, &mut out);
        assert!(disk.bytes_read() - before < MAX_IN_MEMORY, "it was read");
        error.unwrap_err()
    };
    assert!(matches!(
        refused(1_000_000),
        DecodeError::TooManyPixels { .. }
    ));
    let error = refused(u64::MAX);
    assert!(matches!(error, DecodeError::TooMuchMemory { .. }));
    assert!(error.to_string().contains("1024 MiB"), "{error}");
}

#[test]
fn headers_without_an_end_are_refused_with_their_limit() {
    // A text chunk that fills the file, 64 MiB.
    let png = encoded(&noise(16).into(), ImageFormat::Png);
    let text = 64u32 << 20;
    let mut bytes = png[..33].to_vec();
    bytes.extend(text.to_be_bytes());
    bytes.extend(b"tEXtname\0");
    bytes.resize(33 + 12 + text as usize, b' ');
    bytes.extend(&png[33..]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image.png");
    fs::write(&path, &bytes).unwrap();
    let mut out = vec![0; GEOMETRY.bytes()];
    let mut decoded = |max_memory| {
        let limits = Limits {
            max_memory,
            ..Limits::default()
        };
        let source = Source::open(&path, &limits).unwrap();
        Decoder::new(limits).decode_into(&source, &GEOMETRY, &mut out)
    };
    for tight in [16 << 20, 100 << 20] {
        let refused = decoded(tight).unwrap_err();
        assert!(
            matches!(refused, DecodeError::LongHeaders { .. }),
            "{refused:?}"
        );
    }
    // With more memory, the wrong checksum of the chunk is found, which decoders may ignore.
    let decoded = decoded(1 << 30);
    assert!(
        matches!(decoded, Ok(_) | Err(DecodeError::Malformed(_))),
        "{decoded:?}"
    );
}
