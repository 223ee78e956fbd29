//! Every format by the `image` crate: the first frame, on white, in 8-bit RGB.

use std::io::Cursor;

use image::{ColorType, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader};

use super::error::DecodeError;
use super::{Limits, Rgb, frame};

/// Decodes a picture whole.
pub(super) fn decode(
    bytes: &[u8],
    format: ImageFormat,
    limits: &Limits,
) -> Result<Rgb, DecodeError> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut bounds = image::Limits::default();
    bounds.max_alloc = Some(limits.max_memory);
    reader.limits(bounds);
    let decoder = reader
        .into_decoder()
        .map_err(|error| malformed(error, None, limits))?;
    let (width, height) = decoder.dimensions();
    limits.check_pixels(width, height)?;
    // What is decoded, and what is made of it beside it.
    let pixels = u64::from(width) * u64::from(height);
    let mut beside = pixels * made_of(decoder.color_type());
    if format == ImageFormat::Jpeg {
        beside += frame::coefficients(bytes, pixels) + bytes.len() as u64;
    }
    limits.check_memory(width, height, decoder.total_bytes().saturating_add(beside))?;
    if width == 0 || height == 0 {
        return Err(DecodeError::Malformed("it has no pixels".to_owned()));
    }
    let image = DynamicImage::from_decoder(decoder)
        .map_err(|error| malformed(error, Some((width, height)), limits))?;
    Ok(Rgb {
        width,
        height,
        pixels: on_white(image),
    })
}

fn malformed(error: ImageError, size: Option<(u32, u32)>, limits: &Limits) -> DecodeError {
    match error {
        ImageError::Limits(_) => {
            let (width, height) = size.unwrap_or((0, 0));
            DecodeError::TooMuchMemory {
                width,
                height,
                limit: limits.max_memory,
            }
        }
        error => DecodeError::Malformed(error.to_string()),
    }
}

/// Bytes a pixel that [`on_white`] needs beside the picture as it was decoded.
fn made_of(kind: ColorType) -> u64 {
    match kind {
        ColorType::Rgb8 | ColorType::Rgba8 => 0,
        kind if kind.has_alpha() => 4,
        _ => 3,
    }
}

/// Pixels in RGB, what is transparent shown on white.
fn on_white(image: DynamicImage) -> Vec<u8> {
    if !image.color().has_alpha() {
        return image.into_rgb8().into_raw();
    }
    let mut pixels = image.into_rgba8().into_raw();
    // In place: a pixel is written where it or one before it was read.
    let count = pixels.len() / 4;
    for i in 0..count {
        let alpha = u16::from(pixels[4 * i + 3]);
        for channel in 0..3 {
            let value = u16::from(pixels[4 * i + channel]) * alpha;
            pixels[3 * i + channel] = ((value + 255 * (255 - alpha) + 127) / 255) as u8;
        }
    }
    pixels.truncate(3 * count);
    pixels
}
