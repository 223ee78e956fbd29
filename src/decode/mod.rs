//! Decoding: from a file's bytes to the pixels that an encoder wants.
//!
//! Owns which files are accepted and what they may cost. JPEG goes through libjpeg-turbo at a reduced size if the
//! cargo feature `turbojpeg` is enabled. HEIC, AVIF and JPEG XL have decoders of their own, each a cargo feature
//! (`heic`, `avif`, `jxl`); of a camera's raw file the JPEG preview is decoded. Everything else, and what libjpeg-turbo
//! cannot read, goes through the `image` crate. The image is turned upright by its EXIF data, shown on white where it is transparent, and resized
//! once, from the crop box to the encoder's size, and converted to sRGB.
//!
//! Every file counts as hostile: its content decides the format, its dimensions and memory are checked before it is
//! decoded, slow decoding is limited in time, and a decoder that panics costs one image.

mod budget;
mod claim;
#[cfg(feature = "heif")]
mod codec;
mod colour;
mod core;
mod crop;
mod cut;
mod cut_png;
mod deep;
mod error;
mod exif;
mod format;
mod frame;
mod gif;
mod ground;
#[cfg(any(feature = "heif", feature = "jxl"))]
mod hdr;
#[cfg(feature = "heif")]
mod heif;
mod isobmff;
#[cfg(feature = "heif")]
mod items;
#[cfg(feature = "jpeg2000")]
mod j2k;
#[cfg(feature = "jpeg2000")]
mod jp2;
#[cfg(feature = "turbojpeg")]
mod jpeg;
#[cfg(feature = "jxl")]
mod jxl;
mod long;
mod metadata;
#[cfg(feature = "train")]
mod metadata_text;
mod old;
#[cfg(test)]
mod on_disk;
mod other;
mod partial;
mod picture;
mod pixels;
#[cfg(feature = "heif")]
mod planes;
#[cfg(feature = "heif")]
mod properties;
mod raw;
mod reading;
mod sandbox;
mod source;
#[cfg(test)]
mod tests;
mod tiff;
mod timed;

use std::time::Duration;

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

use serde::{Deserialize, Serialize};

use self::core::Core;
use budget::Reserved;
pub use crop::Crop;
pub use error::DecodeError;
pub(crate) use error::panic_text;
use exif::Orientation;
pub use format::{Format, has_image_extension, sniff};
#[cfg(feature = "train")]
pub(crate) use metadata_text::{text_of_file, text_of_xmp};
pub use sandbox::{run_if_asked, set_sandbox_command};
pub use source::{Content, ReadError, Source};
use tiff::piece;

/// A JPEG is decoded at the smallest size whose short side has at least this number of pixels. Codes of the
/// built-in encoder then agree with those of a full decode to a cosine of 0.999, as closely as two full decoders
/// agree (`cargo bench --bench pipeline -- PHOTOS --fidelity`).
pub const MIN_SHORT_SIDE: u32 = 512;

/// Bytes that each decoder may take without a reservation.
const SMALL: u64 = 8 << 20;

/// Limits of what one image may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Limits {
    /// Maximum bytes of a file. Default: 1 GiB.
    pub max_file_bytes: u64,
    /// Maximum pixels of an image. Default: 256 million.
    pub max_pixels: u64,
    /// Maximum bytes of memory that all decoders of the process take together. Default: 1 GiB. An image that needs
    /// more by itself is refused; an image that has to wait for others waits. Up to 8 MiB per decoder are not
    /// counted.
    pub max_memory: u64,
    /// Maximum time of decoding. Default: one minute. A decoder cannot be stopped: one that is too slow finishes on
    /// its own thread, and its result is dropped.
    pub max_time: Duration,
    /// Whether images are decoded in processes of their own, which may do nothing else: see [`run_if_asked`]. A decoder
    /// that crashes then costs one image. Default: no.
    pub sandbox: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_file_bytes: 1 << 30,
            max_pixels: 256_000_000,
            max_memory: 1 << 30,
            max_time: Duration::from_mins(1),
            sandbox: false,
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

/// How an image is brought to an encoder's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Resize {
    /// Scaled until its short side has this number of pixels; then the centre is cut out. An image whose sides differ
    /// by a factor of 2.5 or more is cut into pieces along its long side instead, which are laid side by side.
    ShortSideCrop {
        /// Pixels of the short side.
        short: u32,
    },
    /// Scaled to the encoder's size, whatever its own shape.
    Squash,
}

/// The size of an encoder's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Geometry {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// How images are brought to this size.
    pub resize: Resize,
}

impl Geometry {
    /// Returns the bytes of an image of this size, in RGB.
    pub fn bytes(&self) -> usize {
        self.width as usize * self.height as usize * 3
    }

    /// Returns the part of an image that is brought to this size: width and height in its pixels.
    fn crop(&self, width: u32, height: u32) -> (f64, f64) {
        let (width, height) = (f64::from(width), f64::from(height));
        if let Some(count) = self.pieces(width, height) {
            let count = f64::from(count);
            return if width > height {
                (width / count, height)
            } else {
                (width, height / count)
            };
        }
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

    /// Returns the number of pieces into which a long image is cut so that all of it is seen.
    fn pieces(&self, width: f64, height: f64) -> Option<u32> {
        match self.resize {
            Resize::Squash => None,
            Resize::ShortSideCrop { .. } => long::pieces(width as u32, height as u32),
        }
    }

    /// Returns the short side in pixels at which an image is decoded before it is resized: twice the target, so
    /// that resizing has something to smooth, and at least [`MIN_SHORT_SIDE`].
    pub fn short_side(&self) -> u32 {
        let wanted = match self.resize {
            Resize::ShortSideCrop { short } => short,
            Resize::Squash => self.width.max(self.height),
        };
        wanted.saturating_mul(2).max(MIN_SHORT_SIDE)
    }
}

/// A decoded image: `width * height * 3` bytes of RGB, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rgb {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The pixels.
    pub pixels: Vec<u8>,
}

/// An image that was decoded at its whole size. Until it is dropped, its memory counts as taken, so a caller that
/// decodes others meanwhile may wait in vain.
pub struct Whole {
    rgb: Rgb,
    /// The memory that it takes.
    #[expect(dead_code, reason = "held until the image is dropped")]
    held: Reserved,
}

impl Whole {
    /// Returns the image, whose memory no longer counts.
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

/// Properties of a decoded image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Decoded {
    /// The file's format.
    pub format: Format,
    /// Full width in pixels of the upright image.
    pub width: u32,
    /// Full height in pixels of the upright image.
    pub height: u32,
    /// When it was taken: seconds since 1970 on the camera's clock.
    pub taken: Option<i64>,
    /// What is wrong with the file, if only a part of the image could be used.
    pub damage: Option<String>,
    /// Whether it shows nothing: one colour.
    pub blank: bool,
}

/// Decodes images on one thread, and reuses what it can.
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

/// The requested result.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Task {
    /// The image at an encoder's size.
    Resized(Geometry),
    /// The whole image, upright, with a short side of at least this number of pixels.
    Whole(u32),
}

impl Task {
    /// Returns the short side in pixels that it needs.
    fn short_side(self) -> u32 {
        match self {
            Self::Resized(geometry) => geometry.short_side(),
            Self::Whole(min_short_side) => min_short_side,
        }
    }
}

/// The result of decoding.
struct Output {
    rgb: Rgb,
    decoded: Decoded,
    /// The memory that the image takes.
    held: Reserved,
}

impl Decoder {
    /// Creates a decoder that refuses images that cost more than `limits`.
    pub fn new(limits: Limits) -> Self {
        Self {
            core: Core::new(limits, std::sync::Arc::default()),
            timed: timed::Timed::new(),
        }
    }

    /// Decodes a file, or the bytes of one, into `out`: `height * width * 3` bytes of RGB, as `geometry` says.
    ///
    /// # Errors
    ///
    /// If the image cannot be decoded or costs more than the limits allow.
    ///
    /// # Panics
    ///
    /// If `out` has another length.
    pub fn decode_into<'a>(
        &mut self,
        content: impl Into<Content<'a>>,
        geometry: &Geometry,
        out: &mut [u8],
    ) -> Result<Decoded, DecodeError> {
        assert_eq!(
            out.len(),
            geometry.bytes(),
            "the buffer has another size than the geometry"
        );
        let made = self.make(content.into(), Task::Resized(*geometry))?;
        out.copy_from_slice(&made.rgb.pixels);
        Ok(made.decoded)
    }

    /// Decodes a file, or the bytes of one, at its whole size and upright. Its short side has at least
    /// `min_short_side` pixels, and not many more if the format allows it; a smaller image keeps its size.
    ///
    /// # Errors
    ///
    /// If the image cannot be decoded or costs more than the limits allow.
    pub fn decode_whole<'a>(
        &mut self,
        content: impl Into<Content<'a>>,
        min_short_side: u32,
    ) -> Result<Whole, DecodeError> {
        let Output { rgb, held, .. } = self.make(content.into(), Task::Whole(min_short_side))?;
        Ok(Whole { rgb, held })
    }

    /// Decodes a part of a file, or of the bytes of one, into `out`, as if the part were an image of its own. The
    /// image is decoded at its full size, so that a small part is sharp.
    ///
    /// # Errors
    ///
    /// As [`Decoder::decode_into`], and [`DecodeError::OutsideOfImage`].
    ///
    /// # Panics
    ///
    /// If `out` has another length than `geometry` says.
    pub fn decode_part_into<'a>(
        &mut self,
        content: impl Into<Content<'a>>,
        part: &Crop,
        geometry: &Geometry,
        out: &mut [u8],
    ) -> Result<Decoded, DecodeError> {
        let Output { rgb, decoded, held } = self.make(content.into(), Task::Whole(u32::MAX))?;
        let pixels = resized(&part.cut(&rgb)?, geometry)?;
        drop(held);
        out.copy_from_slice(&pixels);
        Ok(decoded)
    }

    fn make(&mut self, content: Content<'_>, task: Task) -> Result<Output, DecodeError> {
        let limits = *self.core.limits();
        if (limits.sandbox || !timed::is_quick(content.data(), &limits))
            && let Some(made) = self.timed.make(content, task, &limits)?
        {
            return Ok(made);
        }
        self.core.make(content.data(), task)
    }
}

/// Brings a decoded image to another size: `height * width * 3` bytes of RGB.
///
/// # Errors
///
/// If the image has another number of pixels than its size says.
pub fn resized(image: &Rgb, geometry: &Geometry) -> Result<Vec<u8>, DecodeError> {
    resample(&mut Resizer::new(), image, geometry, Orientation::UPRIGHT)
}

/// Resamples once from the crop box to the target size, or in pieces if the image is long.
fn resample(
    resizer: &mut Resizer,
    rgb: &Rgb,
    geometry: &Geometry,
    orientation: Orientation,
) -> Result<Vec<u8>, DecodeError> {
    if let Some(count) = geometry.pieces(f64::from(rgb.width), f64::from(rgb.height)) {
        return long::fold(resizer, rgb, count, geometry, orientation)
            .map_err(DecodeError::Malformed);
    }
    let (width, height) = geometry.crop(rgb.width, rgb.height);
    let left = (f64::from(rgb.width) - width) / 2.0;
    let top = (f64::from(rgb.height) - height) / 2.0;
    resample_part(resizer, rgb, [left, top, width, height], geometry)
        .map_err(DecodeError::Malformed)
}

/// Resamples a part of an image, given as left, top, width and height, to the size of `geometry`.
pub(crate) fn resample_part(
    resizer: &mut Resizer,
    rgb: &Rgb,
    [left, top, width, height]: [f64; 4],
    geometry: &Geometry,
) -> Result<Vec<u8>, String> {
    let (left, width) = beside_zeros(left, width, geometry.width);
    let broken = |error: &dyn std::fmt::Display| error.to_string();
    let source = TypedImageRef::<U8x3>::from_buffer(rgb.width, rgb.height, &rgb.pixels)
        .map_err(|error| broken(&error))?;
    let mut pixels = vec![0; geometry.bytes()];
    let mut target = TypedImage::<U8x3>::from_buffer(geometry.width, geometry.height, &mut pixels)
        .map_err(|error| broken(&error))?;
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom))
        .crop(left, top, width, height);
    // By its type: the call that looks at the type at run time brings the code for twelve others, three megabytes.
    resizer
        .resize_typed(&source, &mut target, &options)
        .map_err(|error| broken(&error))?;
    drop(target);
    Ok(pixels)
}

/// Moves the sides of a part by a hundred-thousandth of a pixel if the resizer would read beyond it otherwise.
///
/// fast_image_resize 6.1 keeps those columns that the first and the last pixel of the target need, and takes it that the
/// pixels between need no others. But weights of zero are left out, and that of the next pixel but one is zero exactly
/// where a target pixel lies on the middle of a column. The pixel beside it then needs one more column, which is not there.
fn beside_zeros(left: f64, width: f64, target: u32) -> (f64, f64) {
    const NEAR: f64 = 1e-6;
    let scale = width / f64::from(target);
    let is_whole = |place: f64| (place - place.round()).abs() < NEAR;
    let (first, last) = (
        left + (scale - 1.0) / 2.0,
        left + width - (scale + 1.0) / 2.0,
    );
    if scale < 1.0 && (is_whole(first) || is_whole(last)) {
        let by = (10.0 * NEAR).min(width / 4.0);
        (left + by, width - 2.0 * by)
    } else {
        (left, width)
    }
}

/// Returns the brightness of a pixel, 0 to 255 (ITU-R BT.601).
pub fn luma([red, green, blue]: &[u8; 3]) -> f32 {
    0.299 * f32::from(*red) + 0.587 * f32::from(*green) + 0.114 * f32::from(*blue)
}
