//! PNG files that are damaged: the rows before the damage.

use png::{BitDepth, ColorType, Decoder, Limits, Transformations};

use super::Rgb;
use super::reading::{Allowed, Counting, Reading};
use super::source::Data;

/// A file shows next to nothing if a smaller share of its rows is there.
const MIN_SHARE: f64 = 0.25;

/// The grey of rows that are missing.
const MISSING: u8 = 128;

/// Decodes the rows that are there, whatever their checksums say, and says what is missing. Returns `None` if they are
/// too few, or come interlaced. `memory` is what the decoder may take for one row and for headers.
pub(super) fn decode(data: Data<'_>, memory: u64) -> Option<(Rgb, String)> {
    let stream = Reading::new(data, Allowed::default(), Counting::All);
    let bytes = usize::try_from(memory).unwrap_or(usize::MAX);
    let mut decoder = Decoder::new_with_limits(stream, Limits { bytes });
    decoder.ignore_checksums(true);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().ok()?;
    let (width, height) = reader.info().size();
    let (colour, depth) = reader.output_color_type();
    if reader.info().interlaced || depth != BitDepth::Eight || width == 0 {
        return None;
    }
    let line = width as usize * 3;
    let mut pixels = Vec::with_capacity(line * height as usize);
    while let Ok(Some(row)) = reader.next_row() {
        add(&mut pixels, row.data(), colour)?;
    }
    let rows = pixels.len() / line;
    let share = rows as f64 / f64::from(height);
    if share < MIN_SHARE {
        return None;
    }
    pixels.resize(line * height as usize, MISSING);
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
    Some((rgb, damage))
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
