//! Altered copies of photographs: what a code should not care about.
//!
//! A view is a crop of half to all of the picture's area, mirrored or not, with brightness,
//! contrast and colour changed a little and sometimes without colour. Training brings the codes
//! of two views of one picture together (the alterations of SimCLR, Chen et al. 2020, without
//! blur, whose gain was lost in the noise there).

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use crate::decode::{Geometry, Rgb, luma};
use crate::random::SplitMix;

/// One alteration, drawn from a seed.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct View {
    /// Share of the picture's area that is kept, 0.5 to 1.
    pub area: f32,
    /// Width over height of the crop, relative to the picture's, 0.75 to 1.33.
    pub aspect: f32,
    /// Where the crop lies: 0 is left, 1 is right.
    pub x: f32,
    /// Where the crop lies: 0 is the top, 1 the bottom.
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
    /// Draws view number `view` of picture number `image`. The same numbers give the same view.
    pub fn draw(seed: u64, image: u64, view: u64) -> Self {
        let mut bits = SplitMix::new(
            seed ^ image
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .rotate_left(17)
                .wrapping_add(view.wrapping_mul(0xd1b5_4a32_d192_ed03)),
        );
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

    /// The crop in pixels of a picture: left, top, width, height.
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

/// Applies a view and brings it to the encoder's size: `height * width * 3` bytes.
///
/// # Panics
///
/// Where `picture` does not hold the pixels that its size promises; the decoder's always does.
pub fn apply(picture: &Rgb, view: View, geometry: &Geometry) -> Vec<u8> {
    let (left, top, width, height) = view.crop(picture.width, picture.height);
    let source = ImageRef::new(
        picture.width,
        picture.height,
        &picture.pixels,
        PixelType::U8x3,
    )
    .expect("a decoded picture holds width * height * 3 bytes");
    let mut target = Image::new(geometry.width, geometry.height, PixelType::U8x3);
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom))
        .crop(left, top, width, height);
    Resizer::new()
        .resize(&source, &mut target, &options)
        .expect("the crop box lies inside the picture and both are RGB");
    let mut pixels = target.into_vec();
    colours(&mut pixels, view);
    if view.mirror {
        mirror(&mut pixels, geometry.width as usize);
    }
    pixels
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

    fn picture() -> Rgb {
        let (width, height) = (60, 40);
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
        assert_eq!(apply(&picture(), plain(), &GEOMETRY), picture().pixels);
    }

    #[test]
    fn a_mirrored_view_is_the_picture_read_backwards() {
        let view = View {
            mirror: true,
            ..plain()
        };
        let mirrored = apply(&picture(), view, &GEOMETRY);
        let original = picture().pixels;
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
        for pixel in apply(&picture(), view, &GEOMETRY).chunks_exact(3) {
            assert!(pixel.iter().all(|c| c.abs_diff(pixel[0]) <= 1), "{pixel:?}");
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
