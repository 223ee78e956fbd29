//! Camera raw files, built as the makers build them, around JPEGs of this test.

use super::*;

/// Writes a TIFF file of little-endian numbers.
struct Writer(Vec<u8>);

type Field = (u16, u16, u32, u32);

const SHORT: u16 = 3;
const LONG: u16 = 4;

impl Writer {
    fn new(mark: &[u8]) -> Self {
        let mut bytes = mark.to_vec();
        bytes.resize(16, 0);
        Self(bytes)
    }

    /// Adds bytes, and returns where they are.
    fn put(&mut self, bytes: &[u8]) -> u32 {
        let place = self.0.len() as u32;
        self.0.extend(bytes);
        // Directories begin at even places.
        self.0.resize(self.0.len().next_multiple_of(2), 0);
        place
    }

    fn directory(&mut self, fields: &[Field], next: u32) -> u32 {
        let mut bytes = (fields.len() as u16).to_le_bytes().to_vec();
        for (tag, kind, count, value) in fields {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(kind.to_le_bytes());
            bytes.extend(count.to_le_bytes());
            bytes.extend(value.to_le_bytes());
        }
        bytes.extend(next.to_le_bytes());
        self.put(&bytes)
    }

    /// Ends the file with the place of its first directory.
    fn ended(mut self, first: u32) -> Vec<u8> {
        self.0[4..8].copy_from_slice(&first.to_le_bytes());
        self.0
    }

    /// Adds a directory with a date, and returns where it is.
    fn taken(&mut self) -> u32 {
        let text = self.put(b"2021:01:02 03:04:05\0");
        self.directory(&[(0x9003, 2, 20, text)], 0)
    }
}

fn jpeg(width: u32, height: u32) -> Vec<u8> {
    let rgb = DynamicImage::ImageRgb8(quarters(false).to_rgb8());
    let rgb = rgb.resize_exact(width, height, image::imageops::FilterType::Nearest);
    encoded(&rgb, ImageFormat::Jpeg)
}

/// A sensor's data, which are no JPEG that counts.
const SENSOR: &[u8] = b"\xff\xd8\xff\xc3\0\x0b\x08\x10\0\x20\0\x01\x01\x11\0";

fn sensor(writer: &mut Writer) -> u32 {
    let data = writer.put(SENSOR);
    let fields = [
        (0x103, SHORT, 1, 7),
        (0x106, SHORT, 1, 32_803),
        (0x111, LONG, 1, data),
        (0x117, LONG, 1, SENSOR.len() as u32),
    ];
    writer.directory(&fields, 0)
}

/// Nikon, Sony and Pentax: a thumbnail first, the sensor's data and the preview in directories beside it.
fn nef(preview: Option<&[u8]>) -> Vec<u8> {
    let mut writer = Writer::new(b"II*\0");
    let sensor = sensor(&mut writer);
    let thumbnail = jpeg(160, 120);
    let small = writer.put(&thumbnail);
    let taken = writer.taken();
    let parts = match preview {
        Some(preview) => {
            let place = writer.put(preview);
            let fields = [
                (0x201, LONG, 1, place),
                (0x202, LONG, 1, preview.len() as u32),
            ];
            let large = writer.directory(&fields, 0);
            let both = [large.to_le_bytes(), sensor.to_le_bytes()].concat();
            (0x14a, LONG, 2, writer.put(&both))
        }
        None => (0x14a, LONG, 1, sensor),
    };
    let fields = [
        (0x111, LONG, 1, small),
        (0x112, SHORT, 1, 6),
        (0x117, LONG, 1, thumbnail.len() as u32),
        parts,
        (0x8769, LONG, 1, taken),
    ];
    let first = writer.directory(&fields, 0);
    writer.ended(first)
}

/// Canon before CR3: the preview first, the sensor's data last.
fn cr2(preview: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new(b"II*\0\0\0\0\0CR\x02\0");
    let sensor = sensor(&mut writer);
    let place = writer.put(preview);
    let taken = writer.taken();
    let fields = [
        (0x103, SHORT, 1, 6),
        (0x111, LONG, 1, place),
        (0x112, SHORT, 1, 6),
        (0x117, LONG, 1, preview.len() as u32),
        (0x8769, LONG, 1, taken),
    ];
    let first = writer.directory(&fields, sensor);
    writer.ended(first)
}

/// Panasonic: the preview is the content of a field.
fn rw2(preview: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new(b"IIU\0");
    let place = writer.put(preview);
    let taken = writer.taken();
    let fields = [
        (0x2e, 7, preview.len() as u32, place),
        (0x112, SHORT, 1, 6),
        (0x8769, LONG, 1, taken),
    ];
    let first = writer.directory(&fields, 0);
    writer.ended(first)
}

/// Olympus: the notes of the maker name the preview, with places that count from the notes.
fn orf(preview: &[u8]) -> Vec<u8> {
    let mut notes = Writer::new(b"OLYMPUS\0II\x03\0");
    // The directory of the notes follows their head; what it names comes after it.
    notes.0.truncate(12);
    let settings = 12 + 2 + 12 + 4;
    notes.directory(&[(0x2020, 13, 1, settings)], 0);
    let place = settings + 2 + 24 + 4;
    notes.directory(
        &[
            (0x101, LONG, 1, place),
            (0x102, LONG, 1, preview.len() as u32),
        ],
        0,
    );
    notes.put(preview);
    let mut writer = Writer::new(b"IIRO");
    let text = writer.put(b"2021:01:02 03:04:05\0");
    let start = writer.put(&notes.0);
    let fields = [
        (0x9003, 2, 20, text),
        (0x927c, 7, notes.0.len() as u32, start),
    ];
    let exif = writer.directory(&fields, 0);
    let first = writer.directory(&[(0x112, SHORT, 1, 6), (0x8769, LONG, 1, exif)], 0);
    writer.ended(first)
}

/// Adobe: the version says what it is.
fn dng(preview: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new(b"II*\0");
    let place = writer.put(preview);
    let fields = [
        (0x103, SHORT, 1, 7),
        (0x106, SHORT, 1, 6),
        (0x111, LONG, 1, place),
        (0x117, LONG, 1, preview.len() as u32),
    ];
    let large = writer.directory(&fields, 0);
    let taken = writer.taken();
    let fields = [
        (0x112, SHORT, 1, 6),
        (0x14a, LONG, 1, large),
        (0x8769, LONG, 1, taken),
        (0xc612, 1, 4, 0x0401),
    ];
    let first = writer.directory(&fields, 0);
    writer.ended(first)
}

fn atom(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32 + 8).to_be_bytes(), &kind[..], body].concat()
}

/// Canon's boxes: the first track is the preview.
fn cr3(preview: &[u8]) -> Vec<u8> {
    let mut about = Writer::new(b"II*\0");
    let first = about.directory(&[(0x112, SHORT, 1, 6)], 0);
    let about = about.ended(first);
    let mut exif = Writer::new(b"II*\0");
    let first = exif.taken();
    let exif = exif.ended(first);
    let named = [
        &b"\x85\xc0\xb6\x87\x82\x0f\x11\xe0\x81\x11\xf4\xce\x46\x2b\x6a\x48"[..],
        &atom(b"CMT1", &about),
        &atom(b"CMT2", &exif),
    ];
    let named = atom(b"uuid", &named.concat());
    let moov = |place: u64| {
        let sizes = [
            &[0; 4][..],
            &(preview.len() as u32).to_be_bytes(),
            &[0, 0, 0, 1],
        ]
        .concat();
        let places = [&[0, 0, 0, 0, 0, 0, 0, 1][..], &place.to_be_bytes()].concat();
        let table = [atom(b"stsz", &sizes), atom(b"co64", &places)].concat();
        let track = [b"stbl", b"minf", b"mdia", b"trak"];
        let track = track.iter().fold(table, |inner, kind| atom(kind, &inner));
        atom(b"moov", &[&named[..], &track].concat())
    };
    let start = atom(b"ftyp", b"crx \0\0\0\x01crx isom");
    let place = start.len() + moov(0).len() + 8;
    [start, moov(place as u64), atom(b"mdat", preview)].concat()
}

/// Fuji: a header with the place of the preview, which says itself how it is turned.
fn raf(preview: &[u8]) -> Vec<u8> {
    let mut bytes = b"FUJIFILMCCD-RAW 0201FF".to_vec();
    bytes.resize(84, 0);
    bytes.extend(100u32.to_be_bytes());
    bytes.extend((preview.len() as u32).to_be_bytes());
    bytes.resize(100, 0);
    bytes.extend(preview);
    bytes
}

/// Returns a JPEG that says that it is turned, and when it was taken.
fn with_exif(jpeg: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new(b"II*\0");
    let taken = writer.taken();
    let first = writer.directory(&[(0x112, SHORT, 1, 6), (0x8769, LONG, 1, taken)], 0);
    let exif = [&b"Exif\0\0"[..], &writer.ended(first)].concat();
    let length = (exif.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, &exif, &jpeg[2..]].concat()
}

fn all() -> Vec<(&'static str, Vec<u8>)> {
    let preview = jpeg(640, 480);
    vec![
        ("nef", nef(Some(&preview))),
        ("cr2", cr2(&preview)),
        ("rw2", rw2(&preview)),
        ("orf", orf(&preview)),
        ("dng", dng(&preview)),
        ("cr3", cr3(&preview)),
        ("raf", raf(&with_exif(&preview))),
    ]
}

#[test]
fn the_preview_of_every_maker_is_shown_upright_with_its_date() {
    for (name, bytes) in all() {
        let (decoded, out) = decode(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(decoded.format, Format::Raw, "{name}");
        // A quarter turn to the right.
        assert_eq!((decoded.width, decoded.height), (480, 640), "{name}");
        assert_eq!(decoded.taken, Some(1_609_556_645), "{name}");
        assert_eq!(decoded.damage, None, "{name}");
        let seen = colours(&out);
        let expected = [[0, 0, 255], [255, 0, 0], [255, 255, 255], [0, 255, 0]];
        for (seen, expected) in seen.iter().zip(expected) {
            let close = seen.iter().zip(expected).all(|(a, b)| a.abs_diff(b) < 6);
            assert!(close, "{name}: {seen:?} is not {expected:?}");
        }
    }
}

#[test]
fn a_raw_file_without_a_large_preview_is_not_supported() {
    for bytes in [
        nef(None),
        nef(Some(&jpeg(160, 120))),
        cr2(b"no JPEG"),
        cr3(b"none"),
    ] {
        let refused = decode(&bytes);
        assert!(
            matches!(refused, Err(DecodeError::NotSupported(_))),
            "{refused:?}"
        );
    }
    let text = decode(&nef(None)).unwrap_err().to_string();
    assert!(
        text.contains("camera raw images without a large preview"),
        "{text}"
    );
    // A TIFF is a TIFF.
    let tiff = encoded(&quarters(false), ImageFormat::Tiff);
    assert_eq!(decode(&tiff).unwrap().0.format, Format::Tiff);
}

#[test]
fn the_smallest_preview_that_is_enough_is_used() {
    let mut writer = Writer::new(b"II*\0");
    let mut next = sensor(&mut writer);
    for (width, height) in [(1800, 1200), (900, 600), (1000, 562)] {
        let preview = jpeg(width, height);
        let place = writer.put(&preview);
        let fields = [
            (0x201, LONG, 1, place),
            (0x202, LONG, 1, preview.len() as u32),
        ];
        next = writer.directory(&fields, next);
    }
    let bytes = writer.ended(next);
    let mut decoder = Decoder::new(Limits::default());
    for (short, side) in [(560, 600), (600, 600), (601, 1200), (5000, 1200)] {
        // Scaled decoding may go on from there, but not below what is asked for.
        let whole = decoder.decode_whole(&bytes, short).unwrap();
        let least = short.min(side);
        assert!(
            (least..=side).contains(&whole.height),
            "{short}: {}",
            whole.height
        );
    }
    // The size is that of the largest.
    let (decoded, _) = decode(&bytes).unwrap();
    assert_eq!((decoded.width, decoded.height), (1800, 1200));
}

#[test]
fn broken_raw_files_end_in_an_error() {
    for (name, bytes) in all() {
        for length in (0..bytes.len()).step_by(bytes.len() / 40) {
            if let Err(DecodeError::Panicked(text)) = decode(&bytes[..length]) {
                panic!("{name}: {text}");
            }
        }
        // Every number of the structure at its most.
        let structure = bytes.len().min(400);
        for place in (0..structure - 4).step_by(2) {
            let mut broken = bytes.clone();
            broken[place..place + 4].fill(0xff);
            if let Err(DecodeError::Panicked(text)) = decode(&broken) {
                panic!("{name} at {place}: {text}");
            }
        }
    }
    // Directories that name each other.
    let mut writer = Writer::new(b"II*\0");
    writer.directory(&[(0x106, SHORT, 1, 32_803), (0x14a, LONG, 1, 16)], 16);
    assert!(decode(&writer.ended(16)).is_err());
}
