//! JPEG through libjpeg-turbo, which can decode at one eighth to the full size and so skips most of the work on a
//! large image.

use turbojpeg::{Colorspace, Decompressor, Image, PixelFormat, ScalingFactor};

use super::claim::{Claim, Stop};
use super::colour::Inks;
use super::error::DecodeError;
use super::{Limits, Rgb, frame};

/// Maximum number of scans; the other decoder takes images with more.
const MAX_SCANS: u32 = 200;

/// A truncated file shows next to nothing if this share of its rows or more is one flat colour up to the end.
const EMPTY_SHARE: f64 = 0.75;

/// A decoded image, and what is wrong with it.
pub(super) struct Jpeg {
    pub rgb: Rgb,
    /// The full size.
    pub width: u32,
    pub height: u32,
    pub damage: Option<String>,
    /// Whether the decoder said nothing.
    pub is_clean: bool,
}

/// What a file's headers say about decoding it.
pub(super) struct Plan {
    /// The full size.
    pub width: u32,
    pub height: u32,
    /// The size that it is decoded at.
    pub scaled: (u32, u32),
    factor: ScalingFactor,
    format: PixelFormat,
    /// Bytes of memory that decoding takes in addition to the file.
    pub memory: u64,
}

/// Reads the headers at the start of a file, and plans to decode it at the smallest size whose short side is at
/// least `short`. Returns `None` if libjpeg-turbo cannot read them, or they are longer than `head`.
///
/// # Errors
///
/// If the image has more pixels than the limit.
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
    // CMYK is converted to RGB in addition.
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

/// Decodes at the smallest size whose short side is at least `short`. Returns `None` if libjpeg-turbo cannot read
/// the file but another decoder may.
///
/// # Errors
///
/// If the file is damaged or costs more than the limits allow, or if its memory is not free now.
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
    decompressor.set_scan_limit(MAX_SCANS).map_err(broken)?;
    let mut pixels = vec![0; row * scaled.1 as usize];
    let image = Image {
        pixels: pixels.as_mut_slice(),
        width: scaled.0 as usize,
        pitch: row,
        height: scaled.1 as usize,
        format,
    };
    // The error may be a warning, with the image so far in the buffer.
    let decompressed = decompressor.decompress(bytes, image);
    let is_clean = decompressed.is_ok();
    let damage = match decompressed {
        Ok(()) => None,
        // Wrong numbers in the header of a scan, which some phones write; they have no effect.
        Err(error) if error.to_string().contains("Invalid SOS parameters") => None,
        Err(error) => match warning(&error.to_string()) {
            Some(text) => Some(text),
            None => return Ok(None),
        },
    };
    if damage.as_deref().is_some_and(hides_pixels) && is_empty(&pixels, row, format.size()) {
        return Err(DecodeError::Truncated.into());
    }
    if format == PixelFormat::CMYK {
        // Adobe's programs store light instead of ink.
        if frame::has_adobe_marker(bytes) {
            pixels.iter_mut().for_each(|value| *value = 255 - *value);
        }
        let mut rgb = Vec::with_capacity(pixels.len() / 4 * 3);
        Inks::of(frame::profile(bytes).as_deref()).add_rgb(&pixels, &mut rgb);
        pixels = rgb;
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
        is_clean,
    }))
}

/// Returns the smallest multiple of an eighth that leaves a short side of at least `short`.
fn scale_for(side: usize, short: usize) -> ScalingFactor {
    (1..=8)
        .map(|eighths| ScalingFactor::new(eighths, 8))
        .find(|factor| factor.scale(side) >= short)
        .unwrap_or(ScalingFactor::ONE)
}

/// Returns the meaning of a warning of libjpeg, or `None` for an error.
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

/// Returns whether pixels may be missing after a warning. Bytes too many before the end marker come after all of them.
fn hides_pixels(warning: &str) -> bool {
    !warning.contains("extraneous bytes before marker 0xd9")
}

/// Returns whether most of the image is what libjpeg fills in for missing data: rows of one colour, the same up to
/// the end.
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
