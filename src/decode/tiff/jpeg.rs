//! JPEG inside of a TIFF: pieces whose tables are stored once, and the older form, in which a whole file or its parts
//! are somewhere in the TIFF.

use super::super::claim::{Claim, Stop};
use super::super::error::DecodeError;
use super::super::frame;
use super::layout::{Colour, Layout};
use super::{Directory, Tiff, tag};

/// Maximum bytes of a file that the older form names.
const MAX_FILE: u64 = 64 << 20;

/// The decoder of pieces.
#[derive(Default)]
pub struct Jpegs {
    #[cfg(feature = "turbojpeg")]
    decompressor: Option<turbojpeg::Decompressor>,
}

/// Returns Adobe's marker, which says whether the components are luma and colour differences.
fn adobe(layout: &Layout) -> Vec<u8> {
    let mut marker = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0".to_vec();
    marker.push(u8::from(layout.jpeg_transform));
    marker
}

/// Returns a piece as a file: with the shared tables.
pub fn file(layout: &Layout, packed: &[u8]) -> Vec<u8> {
    let body = packed.strip_prefix(b"\xff\xd8").unwrap_or(packed);
    let tables = layout
        .jpeg_tables
        .strip_prefix(b"\xff\xd8")
        .unwrap_or_default();
    let tables = tables.strip_suffix(b"\xff\xd9").unwrap_or(tables);
    [b"\xff\xd8", &adobe(layout)[..], tables, body].concat()
}

impl Jpegs {
    /// Decodes a piece: its samples, row by row.
    ///
    /// # Errors
    ///
    /// If it is damaged, or its size or its components are not those of the piece.
    pub fn piece(
        &mut self,
        layout: &Layout,
        packed: &[u8],
        rows: u32,
    ) -> Result<Vec<u8>, DecodeError> {
        let wrong = |what: &str| DecodeError::Malformed(format!("a piece of JPEG: {what}"));
        let file = file(layout, packed);
        let (width, height) = frame::sides(&file).ok_or_else(|| wrong("no frame"))?;
        // Its last strip may be as high as the others.
        if width > layout.piece.0.next_multiple_of(16)
            || height > layout.piece.1.next_multiple_of(16)
        {
            return Err(wrong("it is larger than the piece"));
        }
        let samples = layout.together();
        let pixels = self.decode(&file, samples).map_err(|error| wrong(&error))?;
        let (from, to) = (width as usize * samples, layout.piece.0 as usize * samples);
        if from == to {
            return Ok(pixels);
        }
        let mut fitted = vec![0; to * (height.min(rows)) as usize];
        for (to, from) in fitted.chunks_exact_mut(to).zip(pixels.chunks_exact(from)) {
            let length = to.len().min(from.len());
            to[..length].copy_from_slice(&from[..length]);
        }
        Ok(fitted)
    }

    #[cfg(feature = "turbojpeg")]
    fn decode(&mut self, file: &[u8], samples: usize) -> Result<Vec<u8>, String> {
        use turbojpeg::{Decompressor, Image, PixelFormat};

        let text = |error: turbojpeg::Error| error.to_string();
        let format = match samples {
            1 => PixelFormat::GRAY,
            3 => PixelFormat::RGB,
            4 => PixelFormat::CMYK,
            _ => return Err(format!("{samples} components")),
        };
        let mut decompressor = match self.decompressor.take() {
            Some(decompressor) => decompressor,
            None => Decompressor::new().map_err(text)?,
        };
        let header = decompressor.read_header(file).map_err(text)?;
        let row = header.width * samples;
        let mut pixels = vec![0; row * header.height];
        let image = Image {
            pixels: pixels.as_mut_slice(),
            width: header.width,
            pitch: row,
            height: header.height,
            format,
        };
        decompressor.decompress(file, image).map_err(text)?;
        // After an error it is not used again.
        self.decompressor = Some(decompressor);
        Ok(pixels)
    }

    #[cfg(not(feature = "turbojpeg"))]
    #[expect(clippy::unused_self, reason = "the other decoder has a state")]
    fn decode(&mut self, file: &[u8], samples: usize) -> Result<Vec<u8>, String> {
        let decoded = image::load_from_memory_with_format(file, image::ImageFormat::Jpeg);
        let decoded = decoded.map_err(|error| error.to_string())?;
        match samples {
            1 => Ok(decoded.into_luma8().into_raw()),
            3 => Ok(decoded.into_rgb8().into_raw()),
            _ => Err(format!("{samples} components")),
        }
    }
}

/// Returns the picture as one JPEG file, if it is one: a single piece, or the older form.
///
/// # Errors
///
/// If it costs more than the limits allow.
pub fn whole(
    tiff: &Tiff<'_>,
    directory: &Directory,
    layout: &Layout,
    claim: &mut Claim<'_>,
) -> Result<Option<Vec<u8>>, Stop> {
    use super::layout::compression;

    let size = (layout.width, layout.height);
    let is_one = layout.pieces_by_side() == (1, 1) && !layout.planar;
    match layout.compression {
        compression::JPEG
            if is_one
                && matches!(
                    (layout.samples, &layout.colour),
                    (3, Colour::Rgb) | (1, Colour::Grey { inverted: false })
                ) =>
        {
            let &(start, length) = layout
                .pieces
                .first()
                .ok_or_else(|| DecodeError::Malformed("it has no pixels".to_owned()))?;
            claim.bytes(size, length.saturating_mul(2))?;
            let packed = tiff.piece(start, usize::try_from(length).unwrap_or(usize::MAX));
            let file = file(layout, &packed);
            claim.file = file.len() as u64;
            // Another size than the TIFF's is not that of its picture.
            Ok((frame::sides(&file) == Some(size)).then_some(file))
        }
        compression::OLD_JPEG => {
            let most = layout.pieces.iter().map(|piece| piece.1).sum::<u64>();
            claim.bytes(size, most.saturating_add(MAX_FILE.min(tiff.length())) * 2)?;
            let file = named(tiff, directory).or_else(|| assembled(tiff, directory, layout));
            claim.file = file.as_ref().map_or(0, |file| file.len() as u64);
            let what = || DecodeError::NotSupported("TIFFs with old JPEG in this form".to_owned());
            Ok(Some(file.ok_or_else(what)?))
        }
        _ => Ok(None),
    }
}

/// Returns the file that the older form names, if it is whole: with a scan.
fn named(tiff: &Tiff<'_>, directory: &Directory) -> Option<Vec<u8>> {
    let start = tiff.value(directory, tag::JPEG)?;
    let rest = tiff.length().saturating_sub(start);
    let length = tiff
        .value(directory, tag::JPEG_LENGTH)
        .filter(|length| *length > 0);
    // Some programs count the tables only.
    for length in [length.unwrap_or(rest), rest] {
        let file = tiff.piece(start, usize::try_from(length.min(MAX_FILE)).ok()?);
        if file.starts_with(b"\xff\xd8")
            && frame::sides(&file).is_some()
            && let Some(scan) = frame::first_scan(&file)
            // Beyond the header of the scan.
            && file.len() > scan + 16
        {
            return Some(file);
        }
    }
    None
}

/// Puts a file together from its tables and its strips, as marks between which decoding starts anew separate them.
fn assembled(tiff: &Tiff<'_>, directory: &Directory, layout: &Layout) -> Option<Vec<u8>> {
    // A single tile has the blocks of the picture, and nothing beside them.
    let (across, down) = layout.subsampling;
    let blocks = |side: u32, shared: u32| side.div_ceil(8 * shared);
    let is_whole = layout.pieces_by_side() == (1, 1)
        && blocks(layout.width, across) == blocks(layout.piece.0, across)
        && blocks(layout.height, down) == blocks(layout.piece.1, down);
    if layout.tiled && !is_whole {
        return None;
    }
    if layout.planar || !matches!(layout.samples, 1 | 3) || layout.bits != 8 {
        return None;
    }
    let samples = layout.samples as u8;
    let mut file = b"\xff\xd8".to_vec();
    let is_ycc = matches!(layout.colour, Colour::YCbCr(_));
    file.extend(adobe(&Layout {
        jpeg_transform: is_ycc,
        ..layout.clone()
    }));
    let segment = |file: &mut Vec<u8>, marker: u8, body: &[u8]| {
        file.extend([0xff, marker]);
        file.extend((body.len() as u16 + 2).to_be_bytes());
        file.extend(body);
    };
    for (i, place) in (0u8..).zip(tiff.values(directory, tag::JPEG_Q_TABLES).iter().take(4)) {
        let table = tiff.piece(*place, 64);
        segment(&mut file, 0xdb, &[&[i][..], table.get(..64)?].concat());
    }
    let kinds = [(tag::JPEG_DC_TABLES, 0u8), (tag::JPEG_AC_TABLES, 0x10)];
    for (tag, kind) in kinds {
        for (i, place) in (0u8..).zip(tiff.values(directory, tag).iter().take(4)) {
            let counts = tiff.piece(*place, 16);
            let count = counts
                .iter()
                .map(|count| usize::from(*count))
                .sum::<usize>();
            let table = tiff.piece(*place, 16 + count.min(256));
            segment(&mut file, 0xc4, &[&[kind | i][..], &table].concat());
        }
    }
    let [height, width] = [layout.height, layout.width].map(|side| side.min(0xffff) as u16);
    let mut frame = vec![8];
    frame.extend(height.to_be_bytes());
    frame.extend(width.to_be_bytes());
    frame.push(samples);
    for i in 0..samples {
        let shared = if i == 0 && is_ycc {
            (across << 4 | down) as u8
        } else {
            0x11
        };
        frame.extend([i + 1, shared, i]);
    }
    segment(&mut file, 0xc0, &frame);
    let blocks = if is_ycc {
        (8 * across, 8 * down)
    } else {
        (8, 8)
    };
    let interval = layout.width.div_ceil(blocks.0) * layout.piece.1.div_ceil(blocks.1);
    if layout.pieces.len() > 1 {
        segment(
            &mut file,
            0xdd,
            &u16::try_from(interval).ok()?.to_be_bytes(),
        );
    }
    let mut scan = vec![samples];
    scan.extend((0..samples).flat_map(|i| [i + 1, i << 4 | i]));
    scan.extend([0, 63, 0]);
    segment(&mut file, 0xda, &scan);
    for (i, (start, length)) in layout.pieces.iter().enumerate() {
        let strip = tiff.piece(*start, usize::try_from(*length).ok()?);
        // The first strip may begin with headers of its own.
        let body = match strip.get(..2) {
            Some([0xff, 0xd8]) => return Some(strip),
            _ => &strip[..],
        };
        let body = body.strip_suffix(b"\xff\xd9").unwrap_or(body);
        file.extend(body);
        if i + 1 < layout.pieces.len() && !matches!(body, [.., 0xff, 0xd0..=0xd7]) {
            file.extend([0xff, 0xd0 + (i % 8) as u8]);
        }
    }
    file.extend(b"\xff\xd9");
    Some(file)
}
