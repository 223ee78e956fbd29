//! JPEG 2000, as a file of boxes or as a bare stream, through `hayro-jpeg2000`, which is safe Rust.
//!
//! The picture is decoded at the smallest of its own sizes that is enough: the format holds halves, quarters and so on.

use hayro_jpeg2000::{ColorSpace, DecodeSettings, DecoderContext, Image};

use super::claim::{Claim, Stop};
use super::colour::Inks;
use super::error::DecodeError;
use super::exif::Orientation;
use super::picture::Picture;
use super::{Rgb, ground, j2k};

/// Bytes per sample that the decoder takes: its coefficients, the transformed ones and the result, as floats, with room
/// for the edges of the parts in which they are coded.
const SAMPLE: u64 = 16;

/// Maximum samples of a pixel: colours, and transparency.
const MAX_SAMPLES: u64 = 5;

fn broken(error: hayro_jpeg2000::error::DecodeError) -> DecodeError {
    DecodeError::Malformed(error.to_string())
}

/// Decodes the picture.
///
/// # Errors
///
/// If the file is damaged or costs more than the limits allow, or if its memory is not free now.
pub(super) fn decode(bytes: &[u8], claim: &mut Claim<'_>) -> Result<Picture, Stop> {
    let header = Image::new(bytes, &DecodeSettings::default()).map_err(broken)?;
    let (width, height) = (header.width(), header.height());
    claim.limits.check_pixels(width, height)?;
    if width == 0 || height == 0 {
        return Err(DecodeError::Malformed("it has no pixels".to_owned()).into());
    }
    let sides = u64::from(width) * u64::from(height);
    let blocks = j2k::memory(bytes, sides);
    let blocks = blocks.ok_or_else(|| DecodeError::Malformed("it has no coding".to_owned()))?;
    let settings = DecodeSettings {
        target_resolution: Some(enough((width, height), claim.task.short_side())),
        ..DecodeSettings::default()
    };
    let image = Image::new(bytes, &settings).map_err(broken)?;
    let pixels = u64::from(image.width()) * u64::from(image.height());
    let decoding = pixels.saturating_mul(MAX_SAMPLES * SAMPLE);
    let afterwards = pixels * 3 + claim.afterwards((image.width(), image.height()));
    let need = decoding.saturating_add(afterwards).saturating_add(blocks);
    claim.bytes((width, height), need)?;
    let profile = match image.color_space() {
        ColorSpace::Icc { profile, .. } => Some(profile.clone()),
        _ => None,
    };
    let colours = usize::from(image.color_space().num_channels());
    let samples = colours + usize::from(image.has_alpha());
    let mut context = DecoderContext::default();
    let decoded = image.decode(&mut context).map_err(broken)?.data_u8();
    let size = (image.width(), image.height());
    if decoded.len() as u64 != pixels * samples as u64 {
        return Err(DecodeError::Malformed("its parts differ in size".to_owned()).into());
    }
    Ok(Picture {
        rgb: Rgb {
            width: size.0,
            height: size.1,
            pixels: in_rgb(decoded, colours, image.has_alpha(), profile.as_deref())?,
        },
        width,
        height,
        orientation: Orientation::UPRIGHT,
        taken: None,
        profile,
        damage: None,
    })
}

/// Returns the size with the needed short side, in the shape of the picture.
fn enough((width, height): (u32, u32), short: u32) -> (u32, u32) {
    let least = u64::from(width.min(height));
    let scaled = |side: u32| u64::from(side) * u64::from(short) / least;
    let side = |side| u32::try_from(scaled(side)).unwrap_or(u32::MAX).max(1);
    (side(width), side(height))
}

/// Returns samples of 8 bits as RGB. A profile counts only for inks, which become RGB by it.
fn in_rgb(
    mut samples: Vec<u8>,
    mut colours: usize,
    has_alpha: bool,
    profile: Option<&[u8]>,
) -> Result<Vec<u8>, DecodeError> {
    if colours == 4 {
        samples = without_inks(&samples, has_alpha, profile);
        colours = 3;
    }
    let colour = |pixel: &[u8]| match *pixel {
        [red, green, blue, ..] if colours == 3 => [red, green, blue],
        [grey, ..] => [grey; 3],
        [] => [0; 3],
    };
    match (colours, has_alpha) {
        (3, false) => Ok(samples),
        (1..=3, false) => Ok(samples.chunks_exact(colours).flat_map(colour).collect()),
        (1..=3, true) => {
            let rgba = samples.chunks_exact(colours + 1).flat_map(|pixel| {
                let [red, green, blue] = colour(pixel);
                [red, green, blue, pixel[colours]]
            });
            Ok(ground::show(rgba.collect()))
        }
        _ => Err(DecodeError::NotSupported(format!(
            "JPEG 2000 images of {colours} colours"
        ))),
    }
}

/// Returns pixels of four inks, and perhaps alpha, as RGB and perhaps alpha.
fn without_inks(samples: &[u8], has_alpha: bool, profile: Option<&[u8]>) -> Vec<u8> {
    let inks = Inks::of(profile);
    if !has_alpha {
        let mut rgb = Vec::with_capacity(samples.len() / 4 * 3);
        inks.add_rgb(samples, &mut rgb);
        return rgb;
    }
    let mut rgba = Vec::with_capacity(samples.len() / 5 * 4);
    let mut rgb = Vec::with_capacity(3);
    for pixel in samples.chunks_exact(5) {
        rgb.clear();
        inks.add_rgb(&pixel[..4], &mut rgb);
        rgba.extend(&rgb);
        rgba.push(pixel[4]);
    }
    rgba
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_become_rgb() {
        assert_eq!(
            in_rgb(vec![7, 8], 1, false, None),
            Ok(vec![7, 7, 7, 8, 8, 8])
        );
        assert_eq!(
            in_rgb(vec![0, 255, 255, 0], 4, false, None),
            Ok(vec![255, 0, 0])
        );
        assert_eq!(in_rgb(vec![1, 2, 3, 255], 3, true, None), Ok(vec![1, 2, 3]));
        assert!(in_rgb(vec![1; 5], 5, false, None).is_err());
    }

    #[test]
    fn a_size_that_is_enough_keeps_the_shape() {
        assert_eq!(enough((4000, 3000), 512), (682, 512));
        assert_eq!(enough((1, 5), 512), (512, 2560));
    }
}
