//! Altered copies of images: changes that a code should ignore, according to its [`Purpose`].
//!
//! A view is a crop of half to all of the image's area, mirrored or not, with brightness,
//! contrast and colour changed a little and sometimes without colour. Training draws the codes of
//! two views of one image together (the alterations of SimCLR, Chen et al. 2020, without
//! blur, whose gain was lost in the noise there).
//!
//! A copy ([`copy`]) is the image as others pass it on: blurred, scaled down, re-encoded and brighter,
//! cropped and rotated, or mirrored between black bars.

use fast_image_resize::Resizer;

use image::codecs::jpeg::JpegEncoder;
use image::{ImageFormat, Rgb as Pixel, RgbImage, imageops};
use std::io::Cursor;

use crate::decode::{Geometry, Rgb, luma, resample_part};
use crate::random::SplitMix;

/// What an encoder finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Purpose {
    /// Images that show similar things.
    #[default]
    Similar,
    /// Edited copies of the same image.
    Copies,
}

impl Purpose {
    /// Returns the default number of altered copies of each image.
    pub fn views(self) -> usize {
        match self {
            Self::Similar => 2,
            Self::Copies => COPIES,
        }
    }
}

/// Ways in which [`copy`] alters an image.
const COPIES: usize = 5;

/// One alteration, drawn from a seed.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct View {
    /// Share of the image's area that is kept, 0.5 to 1.
    pub area: f32,
    /// Width over height of the crop, relative to the image's, 0.75 to 1.33.
    pub aspect: f32,
    /// Horizontal position of the crop: 0 is left, 1 is right.
    pub x: f32,
    /// Vertical position of the crop: 0 is the top, 1 the bottom.
    pub y: f32,
    /// Mirrored left to right.
    pub mirror: bool,
    /// Factor on brightness, 0.7 to 1.3.
    pub brightness: f32,
    /// Factor on the distance from the mean grey, 0.7 to 1.3.
    pub contrast: f32,
    /// Factor on the distance from each pixel's grey, 0 (no colour) to 1.4.
    pub saturation: f32,
}

impl View {
    /// Draws view number `view` of image number `image`. The same numbers give the same view.
    pub fn draw(seed: u64, image: u64, view: u64) -> Self {
        let mut bits = bits(seed, image, view);
        let mut between = |low: f32, high: f32| low + (high - low) * bits.unit();
        let area = between(0.5, 1.0);
        let aspect = between(0.75f32.ln(), (1.0f32 / 0.75).ln()).exp();
        let (x, y) = (between(0.0, 1.0), between(0.0, 1.0));
        let mirror = between(0.0, 1.0) < 0.5;
        let (brightness, contrast) = (between(0.7, 1.3), between(0.7, 1.3));
        let saturation = if between(0.0, 1.0) < 0.15 {
            0.0
        } else {
            between(0.6, 1.4)
        };
        Self {
            area,
            aspect,
            x,
            y,
            mirror,
            brightness,
            contrast,
            saturation,
        }
    }

    /// Returns the crop in pixels of an image: left, top, width, height.
    fn crop(&self, width: u32, height: u32) -> (f64, f64, f64, f64) {
        let (width, height) = (f64::from(width), f64::from(height));
        let side = f64::from(self.area).sqrt();
        let stretch = f64::from(self.aspect).sqrt();
        let w = (width * side * stretch).clamp(1.0, width);
        let h = (height * side / stretch).clamp(1.0, height);
        (
            (width - w) * f64::from(self.x),
            (height - h) * f64::from(self.y),
            w,
            h,
        )
    }
}

fn bits(seed: u64, image: u64, view: u64) -> SplitMix {
    SplitMix::new(
        seed ^ image
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(17)
            .wrapping_add(view.wrapping_mul(0xd1b5_4a32_d192_ed03)),
    )
}

/// Returns copy number `view` of an image, which is number `number`. Each view alters it in another
/// way, by an amount drawn from the seed. The same numbers give the same copy.
///
/// # Errors
///
/// An image that lacks pixels, or that cannot be written as a JPEG.
pub fn copy(image: &Rgb, seed: u64, number: u64, view: u64) -> Result<Rgb, String> {
    let mut bits = bits(seed, number, view);
    let mut between = |low: f32, high: f32| low + (high - low) * bits.unit();
    let (width, height) = (image.width, image.height);
    let short = width.min(height) as f32;
    let share = |side: u32, share: f32| (side as f32 * share) as u32;
    let whole = RgbImage::from_raw(width, height, image.pixels.clone())
        .ok_or("the image does not hold the pixels that its size promises")?;
    let copy = match view as usize % COPIES {
        0 => blurred(&whole, short * between(0.004, 0.016)),
        1 => {
            let scale = between(0.3, 0.7);
            let side = |side: u32| share(side, scale).max(1);
            imageops::resize(
                &whole,
                side(width),
                side(height),
                imageops::FilterType::Triangle,
            )
        }
        2 => {
            let quality = between(30.0, 71.0) as u8;
            brightened(rewritten(&whole, quality)?, between(0.7, 1.4))
        }
        3 => {
            let (left, top) = (
                share(width, between(0.0, 0.15)),
                share(height, between(0.0, 0.15)),
            );
            let (right, bottom) = (
                share(width, between(0.85, 1.0)),
                share(height, between(0.85, 1.0)),
            );
            let (wide, high) = ((right - left).max(1), (bottom - top).max(1));
            let cut = imageops::crop_imm(&whole, left, top, wide, high).to_image();
            turned(&cut, between(-6.0, 6.0))
        }
        _ => {
            let bar = share(height, between(0.03, 0.15)).max(1);
            let padded = barred(&whole, bar);
            blurred(
                &imageops::flip_horizontal(&padded),
                short * between(0.0, 0.012),
            )
        }
    };
    Ok(Rgb {
        width: copy.width(),
        height: copy.height(),
        pixels: copy.into_raw(),
    })
}

/// Blurs an image by a Gaussian with this deviation in pixels.
pub(crate) fn blurred(image: &RgbImage, deviation: f32) -> RgbImage {
    // Less is refused, and changes nothing.
    if deviation < 0.1 {
        return image.clone();
    }
    imageops::fast_blur(image, deviation)
}

/// Writes an image as a JPEG of this quality, and reads it again.
pub(crate) fn rewritten(image: &RgbImage, quality: u8) -> Result<RgbImage, String> {
    let mut file = Vec::new();
    JpegEncoder::new_with_quality(&mut file, quality)
        .encode_image(image)
        .map_err(|error| error.to_string())?;
    let read = image::load(Cursor::new(file), ImageFormat::Jpeg);
    Ok(read.map_err(|error| error.to_string())?.into_rgb8())
}

/// Multiplies every value by `factor`.
pub(crate) fn brightened(mut image: RgbImage, factor: f32) -> RgbImage {
    for value in image.iter_mut() {
        *value = (f32::from(*value) * factor).round().min(255.0) as u8;
    }
    image
}

/// Adds black bars above and below.
pub(crate) fn barred(image: &RgbImage, bar: u32) -> RgbImage {
    let mut barred = RgbImage::new(image.width(), image.height() + 2 * bar);
    imageops::replace(&mut barred, image, 0, i64::from(bar));
    barred
}

/// Rotates an image about its centre, with linear interpolation and black corners.
pub(crate) fn turned(image: &RgbImage, degrees: f32) -> RgbImage {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let (width, height) = image.dimensions();
    let middle = [(width as f32 - 1.0) / 2.0, (height as f32 - 1.0) / 2.0];
    RgbImage::from_fn(width, height, |x, y| {
        let (x, y) = (x as f32 - middle[0], y as f32 - middle[1]);
        let (x, y) = (cos * x + sin * y + middle[0], cos * y - sin * x + middle[1]);
        imageops::interpolate_bilinear(image, x, y).unwrap_or(Pixel([0; 3]))
    })
}

/// Applies a view and brings it to the encoder's size: `height * width * 3` bytes.
///
/// # Errors
///
/// An image that lacks pixels, or that cannot be resized.
pub fn apply(image: &Rgb, view: View, geometry: &Geometry) -> Result<Vec<u8>, String> {
    let (left, top, width, height) = view.crop(image.width, image.height);
    let part = [left, top, width, height];
    let mut pixels = resample_part(&mut Resizer::new(), image, part, geometry)?;
    colours(&mut pixels, view);
    if view.mirror {
        mirror(&mut pixels, geometry.width as usize);
    }
    Ok(pixels)
}

fn colours(pixels: &mut [u8], view: View) {
    let count = (pixels.len() / 3).max(1) as f32;
    let (pixels, _) = pixels.as_chunks_mut::<3>();
    let mean = pixels.iter().map(luma).sum::<f32>() / count;
    for pixel in pixels {
        let level = luma(pixel);
        for channel in pixel {
            let coloured = level + (f32::from(*channel) - level) * view.saturation;
            let contrasted = mean + (coloured - mean) * view.contrast;
            *channel = (contrasted * view.brightness).round().clamp(0.0, 255.0) as u8;
        }
    }
}

fn mirror(pixels: &mut [u8], width: usize) {
    for row in pixels.chunks_exact_mut(width * 3) {
        for x in 0..width / 2 {
            for c in 0..3 {
                row.swap(x * 3 + c, (width - 1 - x) * 3 + c);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Resize;

    fn image() -> Rgb {
        sized(60, 40)
    }

    fn sized(width: u32, height: u32) -> Rgb {
        let pixels = (0..width * height)
            .flat_map(|i| [(i % width * 4) as u8, (i / width * 6) as u8, 128])
            .collect();
        Rgb {
            width,
            height,
            pixels,
        }
    }

    fn plain() -> View {
        View {
            area: 1.0,
            aspect: 1.0,
            x: 0.5,
            y: 0.5,
            mirror: false,
            brightness: 1.0,
            contrast: 1.0,
            saturation: 1.0,
        }
    }

    const GEOMETRY: Geometry = Geometry {
        width: 60,
        height: 40,
        resize: Resize::Squash,
    };

    #[test]
    fn a_view_that_changes_nothing_gives_the_picture() {
        assert_eq!(apply(&image(), plain(), &GEOMETRY).unwrap(), image().pixels);
    }

    #[test]
    fn a_mirrored_view_is_the_picture_read_backwards() {
        let view = View {
            mirror: true,
            ..plain()
        };
        let mirrored = apply(&image(), view, &GEOMETRY).unwrap();
        let original = image().pixels;
        for (y, x) in [(0, 0), (3, 17), (39, 59)] {
            let there = (y * 60 + 59 - x) * 3;
            let here = (y * 60 + x) * 3;
            assert_eq!(mirrored[here..here + 3], original[there..there + 3]);
        }
    }

    #[test]
    fn a_view_without_colour_is_grey() {
        let view = View {
            saturation: 0.0,
            ..plain()
        };
        for pixel in apply(&image(), view, &GEOMETRY).unwrap().chunks_exact(3) {
            assert!(pixel.iter().all(|c| c.abs_diff(pixel[0]) <= 1), "{pixel:?}");
        }
    }

    #[test]
    fn copies_repeat_differ_and_still_show_the_picture() {
        let mean = |image: &Rgb| {
            let sum: f64 = image.pixels.iter().map(|v| f64::from(*v)).sum();
            sum / image.pixels.len() as f64
        };
        // Large enough for blurs of different strength to differ.
        let image = sized(300, 200);
        for view in 0..2 * COPIES as u64 {
            let made = copy(&image, 3, 5, view).unwrap();
            assert_eq!(made, copy(&image, 3, 5, view).unwrap());
            // Two may be altered alike, for sides are whole pixels; not all.
            let others = (6..16).map(|number| copy(&image, 3, number, view).unwrap());
            let alike = others.filter(|other| *other == made).count();
            assert!(alike <= 5, "{view}: {alike}");
            assert_ne!(made, image, "{view}");
            let bytes = made.width * made.height * 3;
            assert_eq!(made.pixels.len(), bytes as usize);
            let ratio = mean(&made) / mean(&image);
            assert!((0.6..1.45).contains(&ratio), "{view}: {ratio}");
        }
        let dot = Rgb {
            width: 1,
            height: 1,
            pixels: vec![9; 3],
        };
        for view in 0..COPIES as u64 {
            assert!(!copy(&dot, 0, 0, view).unwrap().pixels.is_empty());
        }
    }

    #[test]
    fn views_are_drawn_within_their_bounds_and_repeat() {
        let mut mirrored = 0;
        for image in 0..500 {
            let view = View::draw(7, image, 1);
            assert_eq!(view, View::draw(7, image, 1));
            assert_ne!(view, View::draw(7, image, 2));
            assert_ne!(view, View::draw(8, image, 1));
            assert!((0.5..=1.0).contains(&view.area));
            assert!((0.7..=1.3).contains(&view.brightness));
            let (left, top, width, height) = view.crop(300, 200);
            assert!(left >= 0.0 && top >= 0.0);
            assert!(left + width <= 300.0 + 1e-9 && top + height <= 200.0 + 1e-9);
            mirrored += usize::from(view.mirror);
        }
        assert!((180..320).contains(&mirrored), "{mirrored}");
    }
}
