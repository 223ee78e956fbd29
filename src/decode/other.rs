//! Every format through the `image` crate: the first frame, on a ground, in 8-bit RGB.

use image::error::{LimitError, LimitErrorKind};
use image::{ColorType, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader};

use super::claim::{Claim, Stop};
use super::error::DecodeError;
use super::reading::{Allowed, Counting, Padding, Reading};
use super::source::Data;
use super::tiff::piece;
use super::{Limits, Rgb, SMALL, deep, frame, ground};

/// An image whose headers were read.
pub(super) struct Opened<D> {
    decoder: D,
    bounds: image::Limits,
    /// Bytes that its headers may have taken in addition to the free ones.
    headers: u64,
}

/// Reads the headers of an image. `padding` follows the end of the file.
///
/// # Errors
///
/// If they are damaged, too long, or those of an image with too many pixels.
pub(super) fn open<'a>(
    data: Data<'a>,
    format: ImageFormat,
    padding: Option<Padding>,
    claim: &Claim<'_>,
) -> Result<Opened<impl ImageDecoder + 'a>, Stop> {
    let limits = claim.limits;
    // Headers get the free memory of each decoder. If that is not enough, they are read again with a part of the
    // whole budget.
    let few = SMALL.min(limits.max_memory);
    let most = if claim.has_all() {
        few.max(limits.max_memory / 4)
    } else {
        few
    };
    let too_long = || {
        if claim.has_all() || limits.max_memory / 4 <= SMALL {
            let limit = limits.max_memory;
            DecodeError::LongHeaders { limit }.into()
        } else {
            Stop::Wait(limits.max_memory)
        }
    };
    // A JPEG is read completely, and counted.
    let allowed = match format {
        ImageFormat::Jpeg => Allowed::default(),
        _ => Allowed::up_to(most),
    };
    let stream = Reading::new(data, allowed.clone(), Counting::All).padded(padding);
    let mut reader = ImageReader::with_format(stream, format);
    let mut bounds = image::Limits::default();
    bounds.max_alloc = Some(match format {
        // The only decoder that keeps this limit before the size is known.
        ImageFormat::Png => most,
        _ => limits.max_memory,
    });
    reader.limits(bounds.clone());
    let decoder = match reader.into_decoder() {
        Ok(decoder) => decoder,
        Err(_) if allowed.was_exceeded() => return Err(too_long()),
        Err(ImageError::Limits(_)) if format == ImageFormat::Png => return Err(too_long()),
        Err(error) => return Err(malformed(error, None, limits).into()),
    };
    allowed.lift();
    let (width, height) = decoder.dimensions();
    limits.check_pixels(width, height)?;
    if width == 0 || height == 0 {
        return Err(DecodeError::Malformed("it has no pixels".to_owned()).into());
    }
    limits.check_memory(width, height, decoder.total_bytes())?;
    Ok(Opened {
        decoder,
        bounds,
        headers: if most > few { most } else { 0 },
    })
}

/// Decodes a whole image. Returns its ICC profile, too.
///
/// # Errors
///
/// If the file is damaged or costs more than the limits allow, or if its memory is not free now.
pub(super) fn decode(
    data: Data<'_>,
    format: ImageFormat,
    padding: Option<Padding>,
    claim: &mut Claim<'_>,
) -> Result<(Rgb, Option<Vec<u8>>), Stop> {
    let limits = claim.limits;
    let Opened {
        mut decoder,
        mut bounds,
        headers,
    } = open(data, format, padding, claim)?;
    let (width, height) = decoder.dimensions();
    let total = decoder.total_bytes();
    let pixels = u64::from(width) * u64::from(height);
    // In addition to the decoded image: first what the decoder needs, then what processing needs.
    let first = extra_bytes(format, data, (pixels, total / u64::from(height)), total);
    let then = (pixels * made_of(decoder.color_type())).max(claim.afterwards((width, height)));
    let need = total.saturating_add(first.max(then));
    claim.bytes((width, height), need.saturating_add(headers))?;
    // For what decoders need later, such as a frame that is larger than its image.
    let all = claim.held.bytes().max(need);
    bounds.max_alloc = Some(match format {
        ImageFormat::Gif => all - total,
        _ => limits.max_memory,
    });
    decoder
        .set_limits(bounds)
        .map_err(|error| malformed(error, Some((width, height)), limits))?;
    // A profile that cannot be read is none.
    let profile = decoder.icc_profile().ok().flatten();
    let image = match DynamicImage::from_decoder(decoder) {
        Ok(image) => image,
        Err(ImageError::Limits(error)) if !claim.has_all() && is_memory(&error) => {
            return Err(Stop::Wait(limits.max_memory));
        }
        Err(error) => return Err(malformed(error, Some((width, height)), limits).into()),
    };
    let rgb = Rgb {
        width,
        height,
        pixels: in_rgb(without_false_alpha(image, format, data)),
    };
    Ok((rgb, profile))
}

/// Drops what is no transparency: in a TGA whose header declares no bits of it, and in a TGA or bitmap that would show
/// nothing at all, because its program left those bits unset.
fn without_false_alpha(image: DynamicImage, format: ImageFormat, data: Data<'_>) -> DynamicImage {
    /// Where the header of a TGA declares the bits of transparency.
    const TGA_ALPHA: u64 = 17;
    if !matches!(format, ImageFormat::Tga | ImageFormat::Bmp) || !image.color().has_alpha() {
        return image;
    }
    let declared = match format {
        ImageFormat::Tga => piece(data, TGA_ALPHA, 1)
            .first()
            .is_none_or(|byte| byte & 15 > 0),
        _ => true,
    };
    let mut rgba = image.into_rgba8();
    if !declared || rgba.pixels().all(|pixel| pixel[3] == 0) {
        rgba.pixels_mut().for_each(|pixel| pixel[3] = 255);
    }
    DynamicImage::ImageRgba8(rgba)
}

fn is_memory(error: &LimitError) -> bool {
    matches!(error.kind(), LimitErrorKind::InsufficientMemory)
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

/// Returns the bytes that a decoder takes in addition to the `total` of its result.
fn extra_bytes(format: ImageFormat, data: Data<'_>, (pixels, line): (u64, u64), total: u64) -> u64 {
    match format {
        // The file, and what the headers say.
        ImageFormat::Jpeg => {
            let coefficients = match data {
                Data::Memory(bytes) => frame::coefficients(bytes, pixels),
                Data::Disk(disk) => frame::coefficients(disk.head(), pixels),
            };
            coefficients + data.length()
        }
        // The previous line, this line, and the next.
        ImageFormat::Png => 3 * line,
        // Colours in another form and transparency, each for the whole image, and the compressed data.
        ImageFormat::WebP => 6 * pixels + data.length(),
        // A frame in addition to its image, and the image as it was stored.
        ImageFormat::Gif | ImageFormat::OpenExr => total,
        _ => line,
    }
}

/// Returns the bytes per pixel that [`in_rgb`] needs in addition to the decoded image.
fn made_of(kind: ColorType) -> u64 {
    match kind {
        ColorType::Rgb8 | ColorType::Rgba8 => 0,
        kind if kind.has_alpha() => 4,
        _ => 3,
    }
}

/// Returns the pixels in RGB, with transparent ones shown on a ground, and dark greys stretched.
fn in_rgb(image: DynamicImage) -> Vec<u8> {
    if image.color().has_alpha() {
        return ground::show(image.into_rgba8().into_raw());
    }
    if let DynamicImage::ImageLuma16(greys) = &image
        && let Some(pixels) = deep::stretched(greys.as_raw())
    {
        return pixels;
    }
    image.into_rgb8().into_raw()
}
