//! Camera raw files: the JPEG that the camera stored beside the data of its sensor.
//!
//! Owns where such previews are. Nearly every camera stores one at the full size or at two megapixels. It is found
//! by the structure of the file: the directories of a TIFF (CR2, NEF, ARW, DNG, PEF, RW2, ORF), the boxes of CR3, or
//! the header of RAF. The sensor's data are not decoded. A file whose largest preview is a thumbnail is not supported.

use super::claim::{Claim, Stop};
use super::error::DecodeError;
use super::exif::{Orientation, date};
use super::source::Data;
use super::tiff::{Directory, Tiff, piece, tag};
use super::{frame, isobmff};

/// Minimum short side in pixels of a preview that counts.
const MIN_SIDE: u32 = 240;

/// Bytes of a preview that are looked at for its size. A colour profile and a thumbnail may come before it.
const HEADERS: usize = 192 << 10;

/// Maximum bytes of the boxes in which CR3 describes its content.
const MAX_MOOV: usize = 1 << 20;

/// Maximum number of boxes at the start of a CR3.
const MAX_BOXES: usize = 32;

/// How much the ratio of a preview's sides may differ from that of the largest.
const SAME_SHAPE: f64 = 0.02;

/// Numbers of `COLOURS` for the data of a sensor: a pattern of colours, and colours without processing.
const SENSOR: [u64; 2] = [32_803, 34_892];

/// Numbers of `COMPRESSION` that only cameras use: Sony's, Nikon's (packed and compressed) and Pentax's.
const CAMERAS: [u64; 4] = [32_767, 32_769, 34_713, 65_535];

/// Returns whether a file that begins like a TIFF is a camera's raw file.
pub(super) fn is_raw(data: Data<'_>) -> bool {
    let Some((tiff, first)) = Tiff::open(data, 0) else {
        return false;
    };
    tiff.directories(first).iter().any(|directory| {
        let is = |tag, numbers: &[u64]| {
            tiff.value(directory, tag)
                .is_some_and(|value| numbers.contains(&value))
        };
        is(tag::COLOURS, &SENSOR)
            || is(tag::COMPRESSION, &CAMERAS)
            || directory.entry(tag::DNG_VERSION).is_some()
    })
}

/// A preview, and what the file says about it.
pub(super) struct Preview {
    pub jpeg: Vec<u8>,
    /// Size in pixels of the largest preview of the file.
    pub width: u32,
    pub height: u32,
    /// `None`: what the preview says itself.
    pub orientation: Option<Orientation>,
    pub taken: Option<i64>,
}

/// Where something is that may be a JPEG.
type Place = (u64, u64);

/// What the structure of a file says.
#[derive(Default)]
struct Found {
    places: Vec<Place>,
    orientation: Option<Orientation>,
    taken: Option<i64>,
}

/// Finds the smallest preview that is enough for the task, or else the largest, and loads it.
///
/// # Errors
///
/// [`DecodeError::NotSupported`] if there is none of a useful size; or the preview is too large, or its memory is not
/// free now.
pub(super) fn preview(data: Data<'_>, claim: &mut Claim<'_>) -> Result<Preview, Stop> {
    let found = find(data);
    let mut previews: Vec<(u32, u32, Place)> = found
        .places
        .iter()
        .filter_map(|&(start, length)| {
            let head = piece(data, start, usize::try_from(length).ok()?.min(HEADERS));
            let (width, height) = frame::sides(&head)?;
            (width.min(height) >= MIN_SIDE).then_some((width, height, (start, length)))
        })
        .collect();
    previews.sort_by_key(|&(width, height, _)| u64::from(width) * u64::from(height));
    let &(width, height, _) = previews.last().ok_or_else(|| {
        DecodeError::NotSupported("camera raw images without a large preview".to_owned())
    })?;
    let short = claim.task.short_side();
    let ratio = |width: u32, height: u32| f64::from(width) / f64::from(height);
    let enough = previews.iter().find(|preview| {
        preview.0.min(preview.1) >= short
            && (ratio(preview.0, preview.1) / ratio(width, height) - 1.0).abs() < SAME_SHAPE
    });
    let &(.., (start, length)) = enough.or(previews.last()).unwrap_or(&(0, 0, (0, 0)));
    let length = length.min(data.length().saturating_sub(start));
    claim.file = length;
    claim.bytes((0, 0), 0)?;
    Ok(Preview {
        jpeg: piece(data, start, usize::try_from(length).unwrap_or(usize::MAX)),
        width,
        height,
        orientation: found.orientation,
        taken: found.taken,
    })
}

fn find(data: Data<'_>) -> Found {
    let head = piece(data, 0, 16);
    if head.starts_with(b"FUJIFILM") {
        in_raf(data)
    } else if head.get(4..8) == Some(b"ftyp") {
        in_cr3(data).unwrap_or_default()
    } else {
        in_tiff(data).unwrap_or_default()
    }
}

/// Fuji's header names the place of the preview, which has its own EXIF data.
fn in_raf(data: Data<'_>) -> Found {
    let numbers = piece(data, 84, 8);
    let mut fields = isobmff::Fields(&numbers);
    let place = fields.long().zip(fields.long());
    Found {
        places: place
            .map(|(start, length)| (start.into(), length.into()))
            .into_iter()
            .collect(),
        ..Found::default()
    }
}

fn in_tiff(data: Data<'_>) -> Option<Found> {
    let (tiff, first) = Tiff::open(data, 0)?;
    let mut found = Found::default();
    for directory in tiff.directories(first) {
        let starts = tiff.values(&directory, tag::STRIPS);
        let lengths = tiff.values(&directory, tag::STRIP_LENGTHS);
        // A preview in one piece; a sensor's data in JPEG have no frame that counts.
        if let ([start], [length]) = (starts.as_slice(), lengths.as_slice()) {
            found.places.push((*start, *length));
        }
        let start = tiff.value(&directory, tag::JPEG);
        found
            .places
            .extend(start.zip(tiff.value(&directory, tag::JPEG_LENGTH)));
        if let Some(entry) = directory.entry(tag::PANASONIC_JPEG) {
            found.places.push((tiff.place(entry), entry.count.into()));
        }
        about(&tiff, &directory, &mut found);
        if let Some(exif) = tiff.value(&directory, tag::EXIF)
            && let Some((exif, _)) = tiff.directory(exif)
        {
            about(&tiff, &exif, &mut found);
            found.places.extend(in_olympus(&tiff, &exif));
        }
    }
    Some(found)
}

/// Reads the orientation and the date of a directory, unless an earlier one had them.
fn about(tiff: &Tiff<'_>, directory: &Directory, found: &mut Found) {
    let orientation = tiff.value(directory, tag::ORIENTATION);
    let orientation = orientation.filter(|value| (1..=8).contains(value));
    found.orientation = found
        .orientation
        .or(orientation.map(|value| Orientation::of(value as u8)));
    let taken = tiff.text(directory, tag::TAKEN);
    found.taken = found.taken.or(taken.and_then(|text| date(text.get(..19)?)));
}

/// Olympus names the preview in its own notes, in the directory of its camera's settings.
fn in_olympus(tiff: &Tiff<'_>, exif: &Directory) -> Option<Place> {
    const SETTINGS: u16 = 0x2020;
    const START: u16 = 0x101;
    const LENGTH: u16 = 0x102;
    let notes = tiff.place(exif.entry(tag::MAKER_NOTE)?);
    let head = tiff.piece(notes, 16);
    let (skip, own) = match head.as_slice() {
        [b'O', b'L', b'Y', b'M', b'P', b'U', b'S', 0, order, ..] => (12, Some(*order == b'I')),
        [b'O', b'M', b' ', ..] => (16, Some(head.get(12) == Some(&b'I'))),
        [b'O', b'L', b'Y', b'M', b'P', 0, ..] => (8, None),
        _ => return None,
    };
    // Newer notes count from their own start.
    let base = own.map_or(tiff.start(), |_| tiff.start().saturating_add(notes));
    let start = own.map_or(notes.saturating_add(skip), |_| skip);
    let tiff = tiff.from(base, own);
    let (notes, _) = tiff.directory(start)?;
    let (settings, _) = tiff.directory(tiff.place(notes.entry(SETTINGS)?))?;
    let place = tiff.value(&settings, START)?.saturating_add(base);
    Some((place, tiff.value(&settings, LENGTH)?))
}

/// Canon's boxes: a preview of two megapixels in a box of its own, and the first track, which is one JPEG at full
/// size. What EXIF says is in small TIFF files.
fn in_cr3(data: Data<'_>) -> Option<Found> {
    const ABOUT: [u8; 16] = *b"\x85\xc0\xb6\x87\x82\x0f\x11\xe0\x81\x11\xf4\xce\x46\x2b\x6a\x48";
    const PREVIEW: [u8; 16] = *b"\xea\xf4\x2b\x5e\x1c\x98\x4b\x88\xb9\xfb\xb7\xdc\x40\x6e\x4d\x16";
    let mut found = Found::default();
    let mut place = 0;
    for _ in 0..MAX_BOXES {
        let head = piece(data, place, 64);
        let Some((kind, header, length)) = isobmff::header(&head) else {
            break;
        };
        let body = place.saturating_add(header);
        let length = length.unwrap_or(u64::MAX);
        match &kind {
            b"moov" => {
                let most = usize::try_from(length - header)
                    .unwrap_or(usize::MAX)
                    .min(MAX_MOOV);
                let moov = piece(data, body, most);
                in_moov(&moov, &ABOUT, &mut found);
            }
            b"uuid" if head.get(header as usize..header as usize + 16) == Some(&PREVIEW) => {
                // After the name and eight bytes, a box with a header of 16 bytes that ends in the length.
                let inner = piece(data, body.saturating_add(24), 24);
                let mut fields = isobmff::Fields(inner.get(20..).unwrap_or_default());
                let jpeg = fields
                    .long()
                    .map(|length| (body.saturating_add(48), length.into()));
                found.places.extend(jpeg);
            }
            _ => {}
        }
        place = place.saturating_add(length);
    }
    Some(found)
}

fn in_moov(moov: &[u8], about_box: &[u8; 16], found: &mut Found) {
    for atom in isobmff::atoms(moov) {
        if atom.kind == *b"uuid"
            && let Some(body) = atom.body.strip_prefix(about_box)
        {
            for part in isobmff::atoms(body).filter(|part| part.kind.starts_with(b"CMT")) {
                if let Some((tiff, first)) = Tiff::open(Data::Memory(part.body), 0)
                    && let Some((directory, _)) = tiff.directory(first)
                {
                    about(&tiff, &directory, found);
                }
            }
        }
    }
    found.places.extend(first_sample(moov));
}

/// Returns where the first sample of the first track is.
fn first_sample(moov: &[u8]) -> Option<Place> {
    let mut table = moov;
    for kind in [b"trak", b"mdia", b"minf", b"stbl"] {
        table = isobmff::find(table, *kind)?;
    }
    let mut sizes = isobmff::Fields(isobmff::find(table, *b"stsz")?);
    sizes.version()?;
    let (size, count) = (sizes.long()?, sizes.long()?);
    let length = if size == 0 && count > 0 {
        sizes.long()?
    } else {
        size
    };
    let (wide, places) = match isobmff::find(table, *b"co64") {
        Some(places) => (8, places),
        None => (4, isobmff::find(table, *b"stco")?),
    };
    let mut places = isobmff::Fields(places);
    places.version()?;
    places.long()?;
    Some((places.number(wide)?, length.into()))
}
