//! Thumbnails: small upright copies of images, and JPEG files of them.

use crate::decode::{Content, DecodeError, Decoder, Geometry, Resize, Rgb, resized};

/// Decodes a file, or the bytes of one, as a small upright image. Its longer side has at most `longer_side` pixels,
/// and each side at least one. An image is never enlarged.
///
/// # Errors
///
/// If the image cannot be decoded or costs more than the limits of the decoder allow.
///
/// # Examples
///
/// ```no_run
/// use imgsearch::decode::{Decoder, Limits, Source};
/// use imgsearch::render::thumbnail::{jpeg, thumbnail};
///
/// let limits = Limits::default();
/// let source = Source::open("cat.jpg".as_ref(), &limits)?;
/// let small = thumbnail(&mut Decoder::new(limits), &source, 320)?;
/// std::fs::write("small.jpg", jpeg(&small, 80)?)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn thumbnail<'a>(
    decoder: &mut Decoder,
    content: impl Into<Content<'a>>,
    longer_side: u32,
) -> Result<Rgb, DecodeError> {
    // A shorter side of that length leaves at least as much of the longer one.
    let whole = decoder.decode_whole(content, longer_side.max(1))?;
    if whole.width.max(whole.height) <= longer_side {
        return Ok(whole.into_rgb());
    }
    fitted(&whole, longer_side, longer_side)
}

/// Scales an image until it touches the sides of a box from inside. It keeps its shape as far as whole pixels allow.
///
/// # Errors
///
/// If the image has another number of pixels than its size says.
pub fn fitted(image: &Rgb, width: u32, height: u32) -> Result<Rgb, DecodeError> {
    let scale = f64::min(
        f64::from(width) / f64::from(image.width.max(1)),
        f64::from(height) / f64::from(image.height.max(1)),
    );
    let side = |side: u32, most: u32| {
        let scaled = (f64::from(side) * scale).round() as u32;
        scaled.clamp(1, most.max(1))
    };
    let (width, height) = (side(image.width, width), side(image.height, height));
    let geometry = Geometry {
        width,
        height,
        resize: Resize::Squash,
    };
    Ok(Rgb {
        width,
        height,
        pixels: resized(image, &geometry)?,
    })
}

/// Returns an image as a JPEG file. `quality` is from 1 to 100; 80 suits a thumbnail.
///
/// # Errors
///
/// [`DecodeError::Malformed`] if a side has no pixels or more than 65,500, or if the image has another number of
/// pixels than its size says.
pub fn jpeg(image: &Rgb, quality: u8) -> Result<Vec<u8>, DecodeError> {
    let broken = |text: String| Err(DecodeError::Malformed(text));
    let (width, height) = (image.width as usize, image.height as usize);
    if width.min(height) == 0 || width.max(height) > MAX_SIDE {
        return broken(format!("no JPEG has {width} by {height} pixels"));
    }
    if image.pixels.len() != width * height * 3 {
        return broken(format!(
            "{} bytes are not {width} by {height} pixels",
            image.pixels.len()
        ));
    }
    encode(image, quality.clamp(1, 100)).or_else(broken)
}

/// Maximum pixels of a side of a JPEG.
const MAX_SIDE: usize = 65_500;

#[cfg(feature = "turbojpeg")]
fn encode(image: &Rgb, quality: u8) -> Result<Vec<u8>, String> {
    let view = turbojpeg::Image {
        pixels: image.pixels.as_slice(),
        width: image.width as usize,
        pitch: image.width as usize * 3,
        height: image.height as usize,
        format: turbojpeg::PixelFormat::RGB,
    };
    turbojpeg::compress(view, i32::from(quality), turbojpeg::Subsamp::Sub2x2)
        .map(|made| made.to_vec())
        .map_err(|error| error.to_string())
}

#[cfg(not(feature = "turbojpeg"))]
fn encode(image: &Rgb, quality: u8) -> Result<Vec<u8>, String> {
    let mut made = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut made, quality)
        .encode(
            &image.pixels,
            image.width,
            image.height,
            image::ExtendedColorType::Rgb8,
        )
        .map_err(|error| error.to_string())?;
    Ok(made)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{ImageFormat, RgbImage};

    use super::*;
    use crate::decode::Limits;

    /// The left half is red, the right one blue.
    fn png(width: u32, height: u32) -> Vec<u8> {
        let image = RgbImage::from_fn(width, height, |x, _| {
            image::Rgb(if x < width / 2 {
                [255, 0, 0]
            } else {
                [0, 0, 255]
            })
        });
        let mut file = Cursor::new(Vec::new());
        image.write_to(&mut file, ImageFormat::Png).unwrap();
        file.into_inner()
    }

    fn size(width: u32, height: u32, longer: u32) -> (u32, u32) {
        let mut decoder = Decoder::new(Limits::default());
        let small = thumbnail(&mut decoder, &png(width, height), longer).unwrap();
        assert_eq!(small.pixels.len() as u32, small.width * small.height * 3);
        (small.width, small.height)
    }

    #[test]
    fn the_longer_side_fits_and_nothing_is_enlarged_or_vanishes() {
        assert_eq!(size(600, 400, 300), (300, 200));
        assert_eq!(size(400, 600, 300), (200, 300));
        assert_eq!(size(40, 30, 300), (40, 30));
        assert_eq!(size(4000, 1, 300), (300, 1));
        assert_eq!(size(1, 4000, 300), (1, 300));
        assert_eq!(size(10, 20, 0), (1, 1));
    }

    #[test]
    fn a_jpeg_of_a_thumbnail_shows_what_the_image_shows() {
        let mut decoder = Decoder::new(Limits::default());
        let small = thumbnail(&mut decoder, &png(600, 400), 64).unwrap();
        let file = jpeg(&small, 80).unwrap();
        let back = decoder.decode_whole(&file, u32::MAX).unwrap();
        assert_eq!((back.width, back.height), (64, 43));
        let pixel = |x: usize| &back.pixels[x * 3..x * 3 + 3];
        assert!(pixel(8)[0] > 230 && pixel(8)[2] < 25, "{:?}", pixel(8));
        assert!(pixel(56)[2] > 230 && pixel(56)[0] < 25, "{:?}", pixel(56));
    }

    #[test]
    fn what_is_no_image_is_an_error() {
        let mut decoder = Decoder::new(Limits::default());
        let error = thumbnail(&mut decoder, b"a text", 64).unwrap_err();
        assert_eq!(error, DecodeError::NotAnImage);
        for (width, height, bytes) in [(0, 5, 0), (2, 2, 11), (70_000, 1, 210_000)] {
            let image = Rgb {
                width,
                height,
                pixels: vec![0; bytes],
            };
            assert!(jpeg(&image, 80).is_err(), "{width} by {height}");
        }
    }
}
