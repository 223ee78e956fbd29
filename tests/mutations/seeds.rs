//! Good files of every format that can be decoded, small enough that a change strikes something.

use std::io::Cursor;
use std::path::Path;

use image::codecs::{gif, jpeg, png, pnm, tga};
use image::{DynamicImage, ExtendedColorType, Frame, ImageEncoder, ImageFormat, Rgba, RgbaImage};

/// A file, and what it is called in reports.
pub struct Seed {
    pub name: String,
    pub bytes: Vec<u8>,
}

/// A picture with edges, a slope and a part that is transparent.
fn picture(width: u32, height: u32) -> DynamicImage {
    DynamicImage::ImageRgba8(RgbaImage::from_fn(width, height, |x, y| {
        let slope = (x * 255 / width) as u8;
        match (x * 2 < width, y * 2 < height) {
            (true, true) => Rgba([slope, 30, 200, 255]),
            (false, true) => Rgba([10, slope, 90, 255]),
            (true, false) => Rgba([(x * y % 251) as u8, 128, 60, 255]),
            (false, false) => Rgba([250, 240, 10, slope]),
        }
    }))
}

fn written(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A DirectDraw surface of one block of colours: its header says all that there is to say.
fn dds(four: &[u8; 4], block: usize) -> Vec<u8> {
    let (width, height) = (16u32, 8u32);
    let mut bytes = b"DDS ".to_vec();
    for number in [124, 0x81007, height, width, 0, 0, 0] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend([0; 44]);
    bytes.extend(32u32.to_le_bytes());
    bytes.extend(4u32.to_le_bytes());
    bytes.extend(four);
    bytes.extend([0; 20]);
    bytes.extend(0x1000u32.to_le_bytes());
    bytes.extend([0; 16]);
    let blocks = (width * height / 16) as usize;
    bytes.extend((0..blocks * block).map(|i| (i * 37) as u8));
    bytes
}

/// A JPEG with another one among its headers, as cameras write them, and which way up it is.
fn with_thumbnail(whole: &[u8], small: &[u8]) -> Vec<u8> {
    let mut exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0".to_vec();
    exif.extend([0, 0, 0, 26, 0, 2, 2, 1, 0, 4, 0, 0, 0, 1, 0, 0, 0, 56]);
    exif.extend([2, 2, 0, 4, 0, 0, 0, 1]);
    exif.extend((small.len() as u32).to_be_bytes());
    exif.extend([0; 4]);
    exif.extend(small);
    let mut bytes = whole[..2].to_vec();
    bytes.extend([0xff, 0xe1]);
    bytes.extend((exif.len() as u16 + 2).to_be_bytes());
    bytes.extend(exif);
    bytes.extend(&whole[2..]);
    bytes
}

fn file(path: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Files of images. Those whose names begin with `jpeg` are JPEGs.
pub fn images() -> Vec<Seed> {
    let mut seeds = Vec::new();
    let mut add = |name: &str, bytes: Vec<u8>| {
        seeds.push(Seed {
            name: name.to_owned(),
            bytes,
        });
    };
    let rgba = picture(40, 24);
    let rgb = DynamicImage::ImageRgb8(rgba.to_rgb8());
    let grey = DynamicImage::ImageLuma8(rgba.to_luma8());
    let deep = DynamicImage::ImageRgb16(rgba.to_rgb16());
    let float = DynamicImage::ImageRgb32F(rgba.to_rgb32f());

    let jpeg_of = |image: &DynamicImage, quality| {
        let mut bytes = Vec::new();
        jpeg::JpegEncoder::new_with_quality(&mut bytes, quality)
            .encode_image(image)
            .unwrap();
        bytes
    };
    let whole = jpeg_of(&rgb, 80);
    add("jpeg", whole.clone());
    add("jpeg of grey", jpeg_of(&grey, 50));
    let small = jpeg_of(&DynamicImage::ImageRgb8(picture(8, 8).to_rgb8()), 50);
    add("jpeg with a thumbnail", with_thumbnail(&whole, &small));
    add(
        "jpeg with a text behind it",
        [&whole[..], b"a text"].concat(),
    );
    add("jpeg, progressive", file("tests/fixtures/progressive.jpg"));
    add("jpeg of ink", file("tests/fixtures/cmyk.jpg"));

    for (name, image) in [
        ("png", &rgba),
        ("png of 16 bits", &deep),
        ("png of grey", &grey),
    ] {
        add(name, written(image, ImageFormat::Png));
    }
    let mut bytes = Vec::new();
    png::PngEncoder::new_with_quality(
        &mut bytes,
        png::CompressionType::Best,
        png::FilterType::Paeth,
    )
    .write_image(rgba.to_rgba8().as_raw(), 40, 24, ExtendedColorType::Rgba8)
    .unwrap();
    add("png, filtered", bytes);
    add("png of a palette", file("tests/fixtures/palette.png"));
    add("png, animated", file("tests/fixtures/animated.png"));

    add("webp", written(&rgba, ImageFormat::WebP));
    add("webp, animated", file("tests/fixtures/animated.webp"));

    add("gif", written(&rgba, ImageFormat::Gif));
    let mut bytes = Vec::new();
    let mut encoder = gif::GifEncoder::new(&mut bytes);
    for side in [24, 12] {
        let frame = Frame::new(picture(side, side).to_rgba8());
        encoder.encode_frame(frame).unwrap();
    }
    drop(encoder);
    add("gif, animated", bytes);
    add(
        "gif, animated by others",
        file("tests/fixtures/animated.gif"),
    );

    add("bmp", written(&rgb, ImageFormat::Bmp));
    add("bmp, transparent", written(&rgba, ImageFormat::Bmp));
    for (name, image) in [
        ("tiff", &rgb),
        ("tiff, transparent", &rgba),
        ("tiff of 16 bits", &deep),
        ("tiff of floats", &float),
    ] {
        add(name, written(image, ImageFormat::Tiff));
    }
    add("tiff of ink", file("tests/fixtures/cmyk.tif"));
    add("ico", written(&rgba, ImageFormat::Ico));

    add("pnm", written(&rgb, ImageFormat::Pnm));
    for (name, kind, image) in [
        (
            "pnm of grey as text",
            pnm::PnmSubtype::Graymap(pnm::SampleEncoding::Ascii),
            &grey,
        ),
        (
            "pnm as text",
            pnm::PnmSubtype::Pixmap(pnm::SampleEncoding::Ascii),
            &rgb,
        ),
        ("pam", pnm::PnmSubtype::ArbitraryMap, &rgba),
    ] {
        let mut bytes = Vec::new();
        let encoder = pnm::PnmEncoder::new(&mut bytes).with_subtype(kind);
        image.write_with_encoder(encoder).unwrap();
        add(name, bytes);
    }
    add(
        "pbm",
        b"P4\n16 4\n\xaa\x55\xf0\x0f\xff\x00\x12\x34".to_vec(),
    );

    add("qoi", written(&rgba, ImageFormat::Qoi));
    add("hdr", written(&float, ImageFormat::Hdr));
    add("exr", written(&float, ImageFormat::OpenExr));
    for (four, block) in [(b"DXT1", 8), (b"DXT3", 16), (b"DXT5", 16)] {
        let name = format!("dds {}", four.escape_ascii());
        add(&name, dds(four, block));
    }
    let deep = DynamicImage::ImageRgba16(rgba.to_rgba16());
    add("farbfeld", written(&deep, ImageFormat::Farbfeld));
    let mut bytes = Vec::new();
    rgba.write_with_encoder(tga::TgaEncoder::new(&mut bytes))
        .unwrap();
    // The footer of version 2, without which nothing says that it is one.
    bytes.extend([0; 8]);
    bytes.extend(b"TRUEVISION-XFILE.\0");
    add("tga", bytes);
    seeds
}

/// Files of encoders: one of every kind of output, small.
pub fn encoders() -> Vec<Seed> {
    let seed = |name: &str, bytes: Vec<u8>| Seed {
        name: name.to_owned(),
        bytes,
    };
    vec![
        seed("encoder", encoder::file(true, true)),
        seed("trunk", encoder::file(false, true)),
        seed("encoder without a trunk", encoder::file(true, false)),
    ]
}

/// Files of segments.
pub fn segments() -> Vec<Seed> {
    [0, 1, 40, 700]
        .map(|rows| Seed {
            name: format!("segment of {rows} rows"),
            bytes: imgsearch::index::fuzzing::segment(rows).unwrap(),
        })
        .into()
}

/// The format of ONNX files, as far as these need it, written by hand.
mod encoder {
    /// A field of bytes: a message, a text or numbers.
    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = varint(u64::from(number) << 3 | 2);
        bytes.extend(varint(content.len() as u64));
        bytes.extend(content);
        bytes
    }

    fn number(field: u8, value: u64) -> Vec<u8> {
        let mut bytes = varint(u64::from(field) << 3);
        bytes.extend(varint(value));
        bytes
    }

    fn varint(mut value: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while value > 0x7f {
            bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
        bytes
    }

    /// An input or output: its name, element type and sides, of which 0 is one left open.
    fn value(name: &str, kind: u64, sides: &[u64]) -> Vec<u8> {
        let dimensions: Vec<u8> = sides
            .iter()
            .flat_map(|&side| {
                let side = match side {
                    0 => field(2, b"n"),
                    side => number(1, side),
                };
                field(1, &side)
            })
            .collect();
        let tensor = [number(1, kind), field(2, &dimensions)].concat();
        [field(1, name.as_bytes()), field(2, &field(1, &tensor))].concat()
    }

    fn node(from: &str, to: &str, kind: &str) -> Vec<u8> {
        let attribute = [field(1, b"to"), number(3, 1), number(20, 2)].concat();
        [
            field(1, from.as_bytes()),
            field(2, to.as_bytes()),
            field(4, kind.as_bytes()),
            field(5, &attribute),
        ]
        .concat()
    }

    fn constant() -> Vec<u8> {
        let numbers: Vec<u8> = (0..24).collect();
        [
            number(1, 2),
            number(1, 3),
            number(2, 1),
            field(8, b"metric"),
            field(9, &numbers),
        ]
        .concat()
    }

    /// A model with the outputs of a head, of a trunk, or of both.
    pub fn file(head: bool, trunk: bool) -> Vec<u8> {
        let mut graph = field(2, b"graph");
        graph.extend(field(1, &node("images", "features", "Cast")));
        graph.extend(field(1, &node("features", "code", "Relu")));
        graph.extend(field(1, &node("features", "hash", "Neg")));
        graph.extend(field(5, &constant()));
        graph.extend(field(11, &value("images", 2, &[0, 32, 32, 3])));
        if head {
            graph.extend(field(12, &value("code", 1, &[0, 30])));
            graph.extend(field(12, &value("hash", 1, &[0, 256])));
        }
        if trunk {
            graph.extend(field(12, &value("features", 1, &[0, 1280])));
        }
        let mut model = number(1, 8);
        model.extend(field(7, &graph));
        model.extend(field(8, &number(2, 17)));
        for (key, text) in [
            ("imgsearch.format", "1"),
            ("imgsearch.name", "a test"),
            ("imgsearch.resize", "short-side-crop:40"),
            ("imgsearch.hash_weight", "4.5"),
            ("imgsearch.distance", "l2"),
        ] {
            let entry = [field(1, key.as_bytes()), field(2, text.as_bytes())].concat();
            model.extend(field(14, &entry));
        }
        model
    }
}
