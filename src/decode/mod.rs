//! Decoding: from a file's bytes to the pixels that an encoder wants.
//!
//! Owns what is accepted and what it may cost. JPEG goes through libjpeg-turbo at a reduced size
//! where the cargo feature `turbojpeg` is on; everything else, and what libjpeg-turbo cannot
//! read, through the `image` crate. The picture is brought upright as its EXIF data say, shown on
//! white where it is transparent, and resized once, from the crop box straight to the encoder's
//! size. Colour profiles are ignored.
//!
//! A file is hostile until shown otherwise: its format is told by its content, its dimensions and
//! memory are checked before it is decoded, what may take long is decoded against the clock, and a
//! decoder that panics costs one image.

mod budget;
mod claim;
mod core;
mod error;
mod exif;
mod format;
mod frame;
#[cfg(feature = "turbojpeg")]
mod jpeg;
#[cfg(test)]
mod on_disk;
mod other;
mod reading;
mod source;
#[cfg(test)]
mod tests;
mod timed;

use std::time::Duration;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use self::core::Core;
use budget::Reserved;
pub use error::DecodeError;
pub(crate) use error::panic_text;
pub use format::{Format, has_image_extension, sniff};
pub use source::{Content, Source, Unread};

/// A JPEG is decoded at the smallest size whose short side has at least so many pixels: codes of the
/// built-in encoder then agree with those of a full decode to a cosine of 0.999, as nearly as two
/// full decoders agree (`cargo bench --bench pipeline -- PHOTOS --fidelity`).
pub const MIN_SHORT_SIDE: u32 = 512;

/// Bytes that each decoder may take without asking whether they are free.
const SMALL: u64 = 8 << 20;

/// What an image may cost before it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of a file. Default: 1 GiB.
    pub max_file_bytes: u64,
    /// Pixels of a picture. Default: 256 million.
    pub max_pixels: u64,
    /// Bytes of memory that all decoders of the process take together. Default: 1 GiB. A picture that
    /// takes more by itself is refused; one that has to wait for others does. Up to 8 MiB a decoder are
    /// not counted.
    pub max_memory: u64,
    /// How long decoding takes. Default: one minute. A decoder cannot be stopped: one that is too
    /// slow is left to finish on a thread of its own, and what it makes is dropped.
    pub max_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_file_bytes: 1 << 30,
            max_pixels: 256_000_000,
            max_memory: 1 << 30,
            max_time: Duration::from_mins(1),
        }
    }
}

impl Limits {
    fn check_bytes(&self, length: u64) -> Result<(), DecodeError> {
        if length > self.max_file_bytes {
            return Err(DecodeError::TooManyBytes {
                length,
                limit: self.max_file_bytes,
            });
        }
        Ok(())
    }

    fn check_pixels(&self, width: u32, height: u32) -> Result<(), DecodeError> {
        if u64::from(width) * u64::from(height) > self.max_pixels {
            return Err(DecodeError::TooManyPixels {
                width,
                height,
                limit: self.max_pixels,
            });
        }
        Ok(())
    }

    fn check_memory(&self, width: u32, height: u32, bytes: u64) -> Result<(), DecodeError> {
        if bytes > self.max_memory {
            return Err(DecodeError::TooMuchMemory {
                width,
                height,
                limit: self.max_memory,
            });
        }
        Ok(())
    }
}

/// How a picture is brought to an encoder's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resize {
    /// Scaled until its short side has so many pixels, then its centre is cut out.
    ShortSideCrop {
        /// Pixels of the short side.
        short: u32,
    },
    /// Scaled to the encoder's size, whatever its own shape.
    Squash,
}

/// The size of an encoder's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// How pictures are brought there.
    pub resize: Resize,
}

impl Geometry {
    /// Bytes of a picture of that size, in RGB.
    pub fn bytes(&self) -> usize {
        self.width as usize * self.height as usize * 3
    }

    /// The part of a picture that is brought to this size, in its pixels: width and height.
    fn crop(&self, width: u32, height: u32) -> (f64, f64) {
        let (width, height) = (f64::from(width), f64::from(height));
        match self.resize {
            Resize::Squash => (width, height),
            Resize::ShortSideCrop { short } => {
                let scale = width.min(height) / f64::from(short);
                (
                    (f64::from(self.width) * scale).min(width),
                    (f64::from(self.height) * scale).min(height),
                )
            }
        }
    }

    /// The short side in pixels that a picture is decoded at, to be resized from there: twice what
    /// is wanted leaves resizing something to smooth, and never less than [`MIN_SHORT_SIDE`].
    pub fn short_side(&self) -> u32 {
        let wanted = match self.resize {
            Resize::ShortSideCrop { short } => short,
            Resize::Squash => self.width.max(self.height),
        };
        wanted.saturating_mul(2).max(MIN_SHORT_SIDE)
    }
}

/// A decoded picture: `width * height * 3` bytes of RGB, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rgb {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The pixels.
    pub pixels: Vec<u8>,
}

/// A picture that was decoded whole. Until it is dropped its memory counts as taken: who decodes others
/// meanwhile may wait for it in vain.
pub struct Whole {
    rgb: Rgb,
    /// What it takes.
    #[expect(dead_code, reason = "held until the picture is dropped")]
    held: Reserved,
}

impl Whole {
    /// The picture, whose memory does not count any more.
    pub fn into_rgb(self) -> Rgb {
        self.rgb
    }
}

impl std::ops::Deref for Whole {
    type Target = Rgb;

    fn deref(&self) -> &Rgb {
        &self.rgb
    }
}

impl std::fmt::Debug for Whole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.rgb.fmt(f)
    }
}

/// What is known of a decoded image.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decoded {
    /// The file's format.
    pub format: Format,
    /// Full width in pixels, as it is looked at.
    pub width: u32,
    /// Full height in pixels, as it is looked at.
    pub height: u32,
    /// When it was taken: seconds since 1970 of the camera's clock.
    pub taken: Option<i64>,
    /// What is wrong with the file, where a part of the picture could still be used.
    pub damage: Option<String>,
}

/// Decodes images for one thread, keeping what can be used again.
pub struct Decoder {
    core: Core,
    timed: timed::Timed,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder")
            .field("limits", self.core.limits())
            .finish_non_exhaustive()
    }
}

/// What is wanted of a file.
#[derive(Debug, Clone, Copy)]
enum Task {
    /// The picture at an encoder's size.
    Resized(Geometry),
    /// The picture whole and upright, at a short side of so many pixels or more.
    #[cfg_attr(
        not(feature = "turbojpeg"),
        expect(dead_code, reason = "`image` decodes at full size only")
    )]
    Whole(u32),
}

/// What became of it.
struct Made {
    rgb: Rgb,
    decoded: Decoded,
    /// What the picture takes.
    held: Reserved,
}

impl Decoder {
    /// A decoder that refuses what costs more than `limits`.
    pub fn new(limits: Limits) -> Self {
        Self {
            core: Core::new(limits, std::sync::Arc::default()),
            timed: timed::Timed::new(),
        }
    }

    /// Decodes a file, or the bytes of one, into `out`: `height * width * 3` bytes of RGB as `geometry`
    /// says.
    ///
    /// # Errors
    ///
    /// Why it cannot be decoded.
    ///
    /// # Panics
    ///
    /// Where `out` has another length.
    pub fn decode_into<'a>(
        &mut self,
        content: impl Into<Content<'a>>,
        geometry: &Geometry,
        out: &mut [u8],
    ) -> Result<Decoded, DecodeError> {
        assert_eq!(
            out.len(),
            geometry.bytes(),
            "the buffer is not the geometry's"
        );
        let made = self.make(content.into(), Task::Resized(*geometry))?;
        out.copy_from_slice(&made.rgb.pixels);
        Ok(made.decoded)
    }

    /// Decodes a file, or the bytes of one, whole and upright, at a short side of `least` pixels and not
    /// much more where the format allows it, and of its own where it is shorter.
    ///
    /// # Errors
    ///
    /// Why it cannot be decoded.
    pub fn decode_whole<'a>(
        &mut self,
        content: impl Into<Content<'a>>,
        least: u32,
    ) -> Result<Whole, DecodeError> {
        let Made { rgb, held, .. } = self.make(content.into(), Task::Whole(least))?;
        Ok(Whole { rgb, held })
    }

    fn make(&mut self, content: Content<'_>, task: Task) -> Result<Made, DecodeError> {
        let limits = *self.core.limits();
        if !timed::is_quick(content.data(), &limits)
            && let Some(made) = self.timed.make(content, task, &limits)?
        {
            return Ok(made);
        }
        self.core.make(content.data(), task)
    }
}

/// Brings a decoded picture to another size: `height * width * 3` bytes of RGB.
///
/// # Errors
///
/// Where the picture does not hold the pixels that its size promises.
pub fn resized(picture: &Rgb, geometry: &Geometry) -> Result<Vec<u8>, DecodeError> {
    resample(&mut Resizer::new(), picture, geometry)
}

/// One resampling from the crop box to the size that is wanted.
fn resample(resizer: &mut Resizer, rgb: &Rgb, geometry: &Geometry) -> Result<Vec<u8>, DecodeError> {
    let (source_width, source_height) = (f64::from(rgb.width), f64::from(rgb.height));
    let (crop_width, crop_height) = geometry.crop(rgb.width, rgb.height);
    let broken = |error: &dyn std::fmt::Display| DecodeError::Malformed(error.to_string());
    let source = ImageRef::new(rgb.width, rgb.height, &rgb.pixels, PixelType::U8x3)
        .map_err(|error| broken(&error))?;
    let mut target = Image::new(geometry.width, geometry.height, PixelType::U8x3);
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom))
        .crop(
            (source_width - crop_width) / 2.0,
            (source_height - crop_height) / 2.0,
            crop_width,
            crop_height,
        );
    resizer
        .resize(&source, &mut target, &options)
        .map_err(|error| broken(&error))?;
    Ok(target.into_vec())
}

/// How bright a pixel is, 0 to 255 (ITU-R BT.601).
pub fn luma([red, green, blue]: &[u8; 3]) -> f32 {
    0.299 * f32::from(*red) + 0.587 * f32::from(*green) + 0.114 * f32::from(*blue)
}
