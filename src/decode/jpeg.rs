//! JPEG through libjpeg-turbo, which can decode at an eighth to all of the size, skipping most of
//! the work on a large photograph.

use turbojpeg::{Colorspace, Decompressor, Image, PixelFormat, ScalingFactor};

use super::claim::{Claim, Stop};
use super::error::DecodeError;
use super::{Limits, Rgb, frame};

/// Passes over a picture that comes in several scans; more are left to the other decoder.
const MOST_SCANS: u32 = 200;

/// Where this share of the rows or more is one flat colour up to the end, a truncated file has
/// no picture to speak of.
const EMPTY_SHARE: f64 = 0.75;

/// A picture, and what is wrong with it.
pub(super) struct Jpeg {
    pub rgb: Rgb,
    /// Its full size.
    pub width: u32,
    pub height: u32,
    pub damage: Option<String>,
}

/// What a file's headers say of decoding it.
pub(super) struct Plan {
    /// Its full size.
    pub width: u32,
    pub height: u32,
    /// What it is decoded at.
    pub scaled: (u32, u32),
    factor: ScalingFactor,
    format: PixelFormat,
    /// Bytes of memory that decoding takes beside the file.
    pub memory: u64,
}

/// Reads the headers at the beginning of a file, and plans to decode it at the smallest size whose
/// short side is at least `short`. `Ok(None)` where libjpeg-turbo cannot read them, or they are longer
/// than `head`.
pub(super) fn plan(
    decompressor: &mut Decompressor,
    head: &[u8],
    short: u32,
    limits: &Limits,
) -> Result<Option<Plan>, DecodeError> {
    let Ok(header) = decompressor.read_header(head) else {
        return Ok(None);
    };
    let (width, height) = (side(header.width), side(header.height));
    limits.check_pixels(width, height)?;
    let factor = if header.is_lossless {
        ScalingFactor::ONE
    } else {
        scale_for(header.width.min(header.height), short as usize)
    };
    let scaled = header.scaled(factor);
    let cmyk = matches!(header.colorspace, Colorspace::CMYK | Colorspace::YCCK);
    let format = if cmyk {
        PixelFormat::CMYK
    } else {
        PixelFormat::RGB
    };
    let coefficients = frame::coefficients(head, u64::from(width) * u64::from(height));
    let pixels = scaled.width as u64 * scaled.height as u64;
    // Light is made of ink beside it.
    let light = if cmyk { pixels * 3 } else { 0 };
    Ok(Some(Plan {
        width,
        height,
        scaled: (side(scaled.width), side(scaled.height)),
        factor,
        format,
        memory: coefficients + pixels * format.size() as u64 + light,
    }))
}

fn side(side: usize) -> u32 {
    u32::try_from(side).unwrap_or(u32::MAX)
}

/// Decodes at the smallest size whose short side is at least `short`. `Ok(None)` where
/// libjpeg-turbo cannot read the file and another decoder may.
pub(super) fn decode(
    decompressor: &mut Decompressor,
    bytes: &[u8],
    short: u32,
    claim: &mut Claim<'_>,
) -> Result<Option<Jpeg>, Stop> {
    let Some(plan) = plan(decompressor, bytes, short, claim.limits)? else {
        return Ok(None);
    };
    claim.jpeg(&plan)?;
    let Plan {
        width,
        height,
        scaled,
        factor,
        format,
        ..
    } = plan;
    let row = scaled.0 as usize * format.size();

    let broken = |error: turbojpeg::Error| DecodeError::Malformed(error.to_string());
    decompressor.set_scaling_factor(factor).map_err(broken)?;
    decompressor.set_scan_limit(MOST_SCANS).map_err(broken)?;
    let mut pixels = vec![0; row * scaled.1 as usize];
    let image = Image {
        pixels: pixels.as_mut_slice(),
        width: scaled.0 as usize,
        pitch: row,
        height: scaled.1 as usize,
        format,
    };
    // An error may be a warning, with the picture so far in the buffer.
    let damage = match decompressor.decompress(bytes, image) {
        Ok(()) => None,
        Err(error) => match warning(&error.to_string()) {
            Some(text) => Some(text),
            None => return Ok(None),
        },
    };
    if damage.is_some() && is_empty(&pixels, row, format.size()) {
        return Err(DecodeError::Truncated.into());
    }
    if format == PixelFormat::CMYK {
        pixels = from_cmyk(&pixels, has_adobe_marker(bytes));
    }
    Ok(Some(Jpeg {
        rgb: Rgb {
            width: scaled.0,
            height: scaled.1,
            pixels,
        },
        width,
        height,
        damage,
    }))
}

/// The smallest multiple of an eighth that leaves a short side of at least `short`.
fn scale_for(side: usize, short: usize) -> ScalingFactor {
    (1..=8)
        .map(|eighths| ScalingFactor::new(eighths, 8))
        .find(|factor| factor.scale(side) >= short)
        .unwrap_or(ScalingFactor::ONE)
}

/// What libjpeg's warnings mean; none for what is an error.
fn warning(text: &str) -> Option<String> {
    if text.contains("Premature end") {
        Some("truncated: the end of the file is missing".to_owned())
    } else if text.contains("Corrupt JPEG data") || text.contains("Inconsistent progression") {
        Some(format!(
            "damaged inside ({})",
            text.trim_start_matches("TurboJPEG error: ")
        ))
    } else {
        None
    }
}

/// Whether most of the picture is what libjpeg fills missing data with: rows of one colour, the
/// same down to the end.
fn is_empty(pixels: &[u8], row: usize, pixel: usize) -> bool {
    let Some(last) = pixels.len().checked_sub(pixel) else {
        return true;
    };
    let fill = &pixels[last..];
    let flat = pixels
        .chunks_exact(row)
        .rev()
        .take_while(|row| row.chunks_exact(pixel).all(|pixel| close(pixel, fill)))
        .count();
    flat as f64 >= EMPTY_SHARE * (pixels.len() / row) as f64
}

fn close(a: &[u8], b: &[u8]) -> bool {
    a.iter().zip(b).all(|(a, b)| a.abs_diff(*b) <= 2)
}

/// Whether the file carries Adobe's APP14 marker: its CMYK is stored inverted then.
fn has_adobe_marker(bytes: &[u8]) -> bool {
    bytes
        .windows(9)
        .take(1 << 20)
        .any(|window| window.starts_with(b"\xff\xee") && window[4..].starts_with(b"Adobe"))
}

/// Ink to light, without a colour profile.
fn from_cmyk(pixels: &[u8], inverted: bool) -> Vec<u8> {
    let light = |ink: u8| u16::from(if inverted { ink } else { 255 - ink });
    pixels
        .chunks_exact(4)
        .flat_map(|pixel| {
            let black = light(pixel[3]);
            [0, 1, 2].map(|i| ((light(pixel[i]) * black + 127) / 255) as u8)
        })
        .collect()
}
