//! Every format by the `image` crate: the first frame, on white, in 8-bit RGB.

use std::io::Cursor;

use image::{DynamicImage, ImageBuffer, ImageDecoder, ImageError, ImageFormat, ImageReader, Rgba};

use super::error::DecodeError;
use super::{Limits, Rgb};

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
    limits.check_memory(width, height, decoder.total_bytes())?;
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

/// Pixels in RGB, what is transparent shown on white.
fn on_white(image: DynamicImage) -> Vec<u8> {
    if !image.color().has_alpha() {
        return image.into_rgb8().into_raw();
    }
    let image: ImageBuffer<Rgba<u8>, Vec<u8>> = image.into_rgba8();
    image
        .pixels()
        .flat_map(|pixel| {
            let alpha = u16::from(pixel[3]);
            [0, 1, 2]
                .map(|i| ((u16::from(pixel[i]) * alpha + 255 * (255 - alpha) + 127) / 255) as u8)
        })
        .collect()
}
