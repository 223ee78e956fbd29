//! Intact files of every format that can be decoded, so small that a change affects something.

use std::io::Cursor;
use std::path::Path;

use image::codecs::{gif, jpeg, png, pnm, tga};
use image::{DynamicImage, ExtendedColorType, Frame, ImageEncoder, ImageFormat, Rgba, RgbaImage};

/// A file, and its name in reports.
pub struct Seed {
    pub name: String,
    pub bytes: Vec<u8>,
}

/// Returns an image with edges, a slope and a transparent part.
fn pixels(width: u32, height: u32) -> DynamicImage {
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

/// Returns a DirectDraw surface that repeats one block of colours.
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

/// Returns a JPEG with an orientation and a preview among its headers, as cameras write them.
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

/// The same image in every pixel type that the formats store.
struct Pixels {
    rgba: DynamicImage,
    rgb: DynamicImage,
    grey: DynamicImage,
    deep: DynamicImage,
    float: DynamicImage,
}

impl Pixels {
    fn new() -> Self {
        let rgba = pixels(40, 24);
        Self {
            rgb: DynamicImage::ImageRgb8(rgba.to_rgb8()),
            grey: DynamicImage::ImageLuma8(rgba.to_luma8()),
            deep: DynamicImage::ImageRgb16(rgba.to_rgb16()),
            float: DynamicImage::ImageRgb32F(rgba.to_rgb32f()),
            rgba,
        }
    }
}

/// Returns image files. The names of JPEGs begin with `jpeg`.
pub fn images() -> Vec<Seed> {
    let pixels = Pixels::new();
    let families = [jpegs, pngs, web, plain, pnms, modern, others];
    families
        .into_iter()
        .flat_map(|seeds| seeds(&pixels))
        .collect()
}

fn seed(name: &str, bytes: Vec<u8>) -> Seed {
    Seed {
        name: name.to_owned(),
        bytes,
    }
}

fn jpegs(of: &Pixels) -> Vec<Seed> {
    let jpeg_of = |image: &DynamicImage, quality| {
        let mut bytes = Vec::new();
        jpeg::JpegEncoder::new_with_quality(&mut bytes, quality)
            .encode_image(image)
            .unwrap();
        bytes
    };
    let whole = jpeg_of(&of.rgb, 80);
    let small = jpeg_of(&DynamicImage::ImageRgb8(pixels(8, 8).to_rgb8()), 50);
    vec![
        seed("jpeg", whole.clone()),
        seed("jpeg of grey", jpeg_of(&of.grey, 50)),
        seed("jpeg with a thumbnail", with_thumbnail(&whole, &small)),
        seed(
            "jpeg with a text after it",
            [&whole[..], b"a text"].concat(),
        ),
        seed("jpeg, progressive", file("tests/fixtures/progressive.jpg")),
        seed("jpeg of ink", file("tests/fixtures/cmyk.jpg")),
    ]
}

fn pngs(of: &Pixels) -> Vec<Seed> {
    let mut filtered = Vec::new();
    png::PngEncoder::new_with_quality(
        &mut filtered,
        png::CompressionType::Best,
        png::FilterType::Paeth,
    )
    .write_image(
        of.rgba.to_rgba8().as_raw(),
        40,
        24,
        ExtendedColorType::Rgba8,
    )
    .unwrap();
    vec![
        seed("png", written(&of.rgba, ImageFormat::Png)),
        seed("png of 16 bits", written(&of.deep, ImageFormat::Png)),
        seed("png of grey", written(&of.grey, ImageFormat::Png)),
        seed("png, filtered", filtered),
        seed("png of a palette", file("tests/fixtures/palette.png")),
        seed("png, animated", file("tests/fixtures/animated.png")),
    ]
}

fn web(of: &Pixels) -> Vec<Seed> {
    let mut animated = Vec::new();
    let mut encoder = gif::GifEncoder::new(&mut animated);
    for side in [24, 12] {
        let frame = Frame::new(pixels(side, side).to_rgba8());
        encoder.encode_frame(frame).unwrap();
    }
    drop(encoder);
    vec![
        seed("webp", written(&of.rgba, ImageFormat::WebP)),
        seed("webp, animated", file("tests/fixtures/animated.webp")),
        seed("gif", written(&of.rgba, ImageFormat::Gif)),
        seed("gif, animated", animated),
        seed(
            "gif, animated by others",
            file("tests/fixtures/animated.gif"),
        ),
    ]
}

fn plain(of: &Pixels) -> Vec<Seed> {
    vec![
        seed("bmp", written(&of.rgb, ImageFormat::Bmp)),
        seed("bmp, transparent", written(&of.rgba, ImageFormat::Bmp)),
        seed("tiff", written(&of.rgb, ImageFormat::Tiff)),
        seed("tiff, transparent", written(&of.rgba, ImageFormat::Tiff)),
        seed("tiff of 16 bits", written(&of.deep, ImageFormat::Tiff)),
        seed("tiff of floats", written(&of.float, ImageFormat::Tiff)),
        seed("tiff of ink", file("tests/fixtures/cmyk.tif")),
        seed("ico", written(&of.rgba, ImageFormat::Ico)),
    ]
}

fn pnms(of: &Pixels) -> Vec<Seed> {
    let with_subtype = |kind, image: &DynamicImage| {
        let mut bytes = Vec::new();
        let encoder = pnm::PnmEncoder::new(&mut bytes).with_subtype(kind);
        image.write_with_encoder(encoder).unwrap();
        bytes
    };
    let text = pnm::SampleEncoding::Ascii;
    vec![
        seed("pnm", written(&of.rgb, ImageFormat::Pnm)),
        seed(
            "pnm of grey as text",
            with_subtype(pnm::PnmSubtype::Graymap(text), &of.grey),
        ),
        seed(
            "pnm as text",
            with_subtype(pnm::PnmSubtype::Pixmap(text), &of.rgb),
        ),
        seed("pam", with_subtype(pnm::PnmSubtype::ArbitraryMap, &of.rgba)),
        seed(
            "pbm",
            b"P4\n16 4\n\xaa\x55\xf0\x0f\xff\x00\x12\x34".to_vec(),
        ),
    ]
}

/// Files of phones and cameras.
fn modern(_: &Pixels) -> Vec<Seed> {
    let names = [
        "plain.heic",
        "grid.heic",
        "deep.heic",
        "transparent.heic",
        "plain.avif",
        "grid.avif",
        "deep.avif",
        "transparent.avif",
        "plain.jxl",
        "from-jpeg.jxl",
        "transparent.jxl",
        "plain.jp2",
        "grey.j2k",
        "fax3.tif",
        "fax4.tif",
        "fax-lines.tif",
        "jpeg-ycc.tif",
        "jpeg-grey.tif",
        "old-jpeg.tif",
    ];
    let seeds = names.map(|name| seed(name, file(&format!("tests/fixtures/formats/{name}"))));
    let mut seeds = Vec::from(seeds);
    seeds.push(seed("nef", raw(&file("tests/samples/cat-face.jpg"))));
    seeds.extend(older());
    seeds
}

/// Returns files of older programs: small headers, and pixels in runs.
fn older() -> Vec<Seed> {
    let mut psd = b"8BPS\0\x01\0\0\0\0\0\0\0\x03\0\0\0\x04\0\0\0\x04\0\x08\0\x03".to_vec();
    psd.extend([0; 12]);
    psd.extend([0, 1]);
    psd.extend([0, 2].repeat(12));
    psd.extend((0..12u8).flat_map(|i| [0xfd, i * 20]));
    let mut sgi = vec![1, 0xda, 1, 1, 0, 3, 0, 4, 0, 4, 0, 3];
    sgi.resize(512, 0);
    sgi.extend((0..12u32).flat_map(|i| (512 + 96 + 2 * i).to_be_bytes()));
    sgi.extend([0, 0, 0, 2].repeat(12));
    sgi.extend((0..12u8).flat_map(|i| [4, i * 20]));
    let mut pcx = vec![10, 5, 1, 8, 0, 0, 0, 0, 3, 0, 3, 0];
    pcx.resize(128, 0);
    (pcx[65], pcx[66]) = (3, 4);
    pcx.extend((0..12u8).flat_map(|i| [0xc4, i * 20]));
    let mut sun = b"\x59\xa6\x6a\x95\0\0\0\x04\0\0\0\x04\0\0\0\x18\0\0\0\0\0\0\0\x02".to_vec();
    sun.extend([0; 8]);
    sun.extend([0x80, 20, 9, 1, 2, 3, 4, 0x80, 0, 0x80, 30, 200]);
    let mut bmp =
        b"BM\0\0\0\0\0\0\0\0\x5e\0\0\0\x40\0\0\0\x04\0\0\0\x04\0\0\0\x01\0\x08\0\x01".to_vec();
    bmp.resize(46, 0);
    bmp.push(4);
    bmp.resize(78, 0);
    bmp.extend((0..16u8).map(|i| i * 15));
    bmp.extend([4, 1, 0, 0, 0, 3, 1, 2, 3, 0, 0, 2, 1, 1, 2, 3, 0, 1]);
    let mut icon = b"\0\0\x02\0\x01\0\x04\x04\0\0\0\0\0\0\x78\0\0\0\x16\0\0\0".to_vec();
    icon.extend(b"\x28\0\0\0\x04\0\0\0\x08\0\0\0\x01\0\x20\0");
    icon.resize(22 + 40, 0);
    icon.extend((0..80u8).map(|i| i * 3));
    let text =
        b"#define a_width 9\n#define a_height 2\nstatic char a[] = {\n 0x01, 0x02, 0xff, 0x80 };\n";
    let floats = (0..9).flat_map(|i| (i as f32 / 8.0).to_be_bytes());
    vec![
        seed("psd", psd),
        seed("sgi", sgi),
        seed("pcx", pcx),
        seed("sun", sun),
        seed("bmp of os/2", bmp),
        seed("pointer", icon),
        seed("xbm", text.to_vec()),
        seed(
            "pfm",
            b"Pf\n3 3\n1.0\n".iter().copied().chain(floats).collect(),
        ),
    ]
}

/// Returns a camera's raw file: a directory that names a preview, and another with a sensor's data.
fn raw(preview: &[u8]) -> Vec<u8> {
    let entry = |tag: u16, value: u32| {
        let mut bytes = tag.to_le_bytes().to_vec();
        bytes.extend([4, 0, 1, 0, 0, 0]);
        bytes.extend(value.to_le_bytes());
        bytes
    };
    let (second, place) = (8 + 2 + 24 + 4, 8 + 2 + 24 + 4 + 2 + 12 + 4);
    let mut bytes = b"II*\0\x08\0\0\0\x02\0".to_vec();
    bytes.extend(entry(0x201, place));
    bytes.extend(entry(0x202, preview.len() as u32));
    bytes.extend(u32::to_le_bytes(second));
    bytes.extend([1, 0]);
    bytes.extend(entry(0x106, 32_803));
    bytes.extend([0; 4]);
    bytes.extend(preview);
    bytes
}

fn others(of: &Pixels) -> Vec<Seed> {
    let mut seeds = vec![
        seed("qoi", written(&of.rgba, ImageFormat::Qoi)),
        seed("hdr", written(&of.float, ImageFormat::Hdr)),
        seed("exr", written(&of.float, ImageFormat::OpenExr)),
    ];
    for (four, block) in [(b"DXT1", 8), (b"DXT3", 16), (b"DXT5", 16)] {
        let name = format!("dds {}", four.escape_ascii());
        seeds.push(seed(&name, dds(four, block)));
    }
    let deep = DynamicImage::ImageRgba16(of.rgba.to_rgba16());
    seeds.push(seed("farbfeld", written(&deep, ImageFormat::Farbfeld)));
    let mut bytes = Vec::new();
    of.rgba
        .write_with_encoder(tga::TgaEncoder::new(&mut bytes))
        .unwrap();
    // The footer of version 2, which identifies the format.
    bytes.extend([0; 8]);
    bytes.extend(b"TRUEVISION-XFILE.\0");
    seeds.push(seed("tga", bytes));
    seeds
}

/// Returns small encoder files, one for each kind of output.
pub fn encoders() -> Vec<Seed> {
    vec![
        seed("encoder", encoder::file(true, true)),
        seed("trunk", encoder::file(false, true)),
        seed("encoder without a trunk", encoder::file(true, false)),
    ]
}

/// Returns segments.
pub fn segments() -> Vec<Seed> {
    [0, 1, 40, 700]
        .map(|rows| Seed {
            name: format!("segment of {rows} rows"),
            bytes: imgsearch::index::fuzzing::segment(rows).unwrap(),
        })
        .into()
}

/// Writes ONNX files, as far as these tests need the format.
mod encoder {
    /// Returns a field of bytes: a message, a text or numbers.
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

    /// Returns an input or output: its name, element type and sides; 0 leaves a side open.
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

    /// Returns a model with the outputs of a head, of a trunk, or of both.
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
            ("imgsearch.similarity", "0:1,2.5:0.5,9:0"),
        ] {
            let entry = [field(1, key.as_bytes()), field(2, text.as_bytes())].concat();
            model.extend(field(14, &entry));
        }
        model
    }
}
