//! What every decoder returns.

use super::Rgb;
use super::exif::Orientation;

/// An image as it is stored, and its properties.
pub(super) struct Picture {
    pub rgb: Rgb,
    /// The full size in pixels, before it is turned.
    pub width: u32,
    pub height: u32,
    pub orientation: Orientation,
    /// Seconds since 1970 on the camera's clock.
    pub taken: Option<i64>,
    /// The ICC profile that its colours are in, if not sRGB's.
    pub profile: Option<Vec<u8>>,
    /// What is wrong with the file, if only a part of the image could be used.
    pub damage: Option<String>,
}
