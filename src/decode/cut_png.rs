//! PNG files that are damaged: the rows before the damage.

use png::{BitDepth, ColorType, Decoder, Limits, Reader, Transformations};

use super::claim::{Claim, Stop};
use super::reading::{Allowed, Counting, Reading};
use super::source::Data;
use super::{Rgb, SMALL, partial};

/// Bytes of a pixel in a decoder's rows: 16 bits of four channels.
const ROWS: u64 = 8;

/// Decodes the rows that are there, whatever their checksums say, and says what is missing. Returns `None` if they are
/// too few, or come interlaced.
///
/// # Errors
///
/// If the image has more pixels than the limit, or its memory is not free now.
pub(super) fn decode(data: Data<'_>, claim: &mut Claim<'_>) -> Result<Option<(Rgb, String)>, Stop> {
    let Some(mut reader) = open(data, claim) else {
        return Ok(None);
    };
    let (width, height) = reader.info().size();
    let (colour, depth) = reader.output_color_type();
    if reader.info().interlaced || depth != BitDepth::Eight || width == 0 || height == 0 {
        return Ok(None);
    }
    // A damaged size was not judged before.
    claim.limits.check_pixels(width, height)?;
    let pixels = u64::from(width) * u64::from(height) * 3;
    let need = pixels + (3 * ROWS * u64::from(width)).max(claim.afterwards((width, height)));
    claim.bytes((width, height), need)?;
    let line = width as usize * 3;
    let mut pixels = Vec::with_capacity(line * height as usize);
    while let Ok(Some(row)) = reader.next_row() {
        if add(&mut pixels, row.data(), colour).is_none() {
            return Ok(None);
        }
    }
    let rows = pixels.len() / line;
    let share = rows as f64 / f64::from(height);
    if share < partial::MIN_SHARE {
        return Ok(None);
    }
    pixels.resize(line * height as usize, partial::MISSING);
    let damage = if rows == height as usize {
        "the end of the file is missing or damaged, after the last row".to_owned()
    } else {
        format!(
            "truncated or damaged: {} % of it could be decoded",
            (share * 100.0) as u32
        )
    };
    let rgb = Rgb {
        width,
        height,
        pixels,
    };
    Ok(Some((rgb, damage)))
}

/// Reads the headers.
fn open<'a>(data: Data<'a>, claim: &Claim<'_>) -> Option<Reader<Reading<'a>>> {
    let stream = Reading::new(data, Allowed::default(), Counting::All);
    let bytes = usize::try_from(SMALL.min(claim.limits.max_memory)).unwrap_or(usize::MAX);
    let mut decoder = Decoder::new_with_limits(stream, Limits { bytes });
    decoder.ignore_checksums(true);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(Transformations::normalize_to_color8());
    decoder.read_info().ok()
}

/// Adds a row in RGB, on white where it is transparent.
fn add(pixels: &mut Vec<u8>, row: &[u8], colour: ColorType) -> Option<()> {
    let on_white = |value: u8, alpha: u8| {
        let (value, alpha) = (u16::from(value), u16::from(alpha));
        ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
    };
    match colour {
        ColorType::Rgb => pixels.extend_from_slice(row),
        ColorType::Grayscale => pixels.extend(row.iter().flat_map(|&grey| [grey; 3])),
        ColorType::GrayscaleAlpha => {
            let greys = row.chunks_exact(2);
            pixels.extend(greys.flat_map(|pixel| [on_white(pixel[0], pixel[1]); 3]));
        }
        ColorType::Rgba => {
            let colours = row.chunks_exact(4);
            pixels
                .extend(colours.flat_map(|pixel| [0, 1, 2].map(|i| on_white(pixel[i], pixel[3]))));
        }
        // Expanded above.
        ColorType::Indexed => return None,
    }
    Some(())
}
