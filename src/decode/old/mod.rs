//! Formats of older programs, each in a small decoder of its own that needs the file in memory: Photoshop's merged
//! picture, PCX, SGI, Sun raster, X bitmaps and pixmaps, FITS, Apple's icons, JPEG of 12 bits and floating PNM; and bitmaps and icons in forms that the crate `image`
//! refuses.
//!
//! Owns what they have in common: a size that is checked and claimed before anything is decoded, and rows of which some
//! may be missing.

mod bmp;
mod dds;
mod fits;
mod icns;
mod ico;
pub(super) mod jpeg12;
mod pcx;
mod pfm;
mod psd;
mod sgi;
mod sun;
mod xbm;
mod xpm;

use super::claim::{Claim, Stop};
use super::error::DecodeError;
use super::exif::Exif;
use super::format::Format;
use super::{Rgb, partial};

/// How the thumbnails of the viewer XV begin, which are otherwise like PNM.
pub(super) const XV: &[u8] = b"P7 332";

/// What a decoder returns.
pub(super) struct Made {
    pub rgb: Rgb,
    pub exif: Exif,
    pub profile: Option<Vec<u8>>,
    pub damage: Option<String>,
}

impl Made {
    fn of((rgb, damage): (Rgb, Option<String>)) -> Self {
        Self {
            rgb,
            exif: Exif::NONE,
            profile: None,
            damage,
        }
    }
}

/// Decodes a file of one of these formats.
///
/// # Errors
///
/// If it is damaged, of a kind that is not supported, or costs more than the limits allow.
pub(super) fn decode(bytes: &[u8], format: Format, claim: &mut Claim<'_>) -> Result<Made, Stop> {
    match format {
        Format::Psd => psd::decode(bytes, claim),
        Format::Pcx => pcx::decode(bytes, claim).map(Made::of),
        Format::Sgi => sgi::decode(bytes, claim).map(Made::of),
        Format::Sun => sun::decode(bytes, claim).map(Made::of),
        Format::Xbm => xbm::decode(bytes, claim).map(Made::of),
        Format::Xpm => xpm::decode(bytes, claim).map(Made::of),
        Format::Fits => fits::decode(bytes, claim).map(Made::of),
        Format::Icns => icns::decode(bytes, claim).map(Made::of),
        Format::Pnm if bytes.starts_with(XV) => xpm::thumbnail(bytes, claim).map(Made::of),
        Format::Pnm => pfm::decode(bytes, claim).map(Made::of),
        Format::Bmp => bmp::decode(bytes, claim).map(Made::of),
        Format::Dds if bytes.len() >= 128 => dds::decode(bytes, claim).map(Made::of),
        Format::Ico => ico::decode(bytes, claim).map(Made::of),
        other => Err(DecodeError::Unsupported(other.name()).into()),
    }
}

fn broken(what: &str) -> Stop {
    DecodeError::Malformed(what.to_owned()).into()
}

/// Checks a size, and reserves the memory of a picture of it: `bytes` for each pixel.
fn begin(claim: &mut Claim<'_>, (width, height): (u32, u32), bytes: u64) -> Result<(), Stop> {
    if width == 0 || height == 0 {
        return Err(broken("it has no pixels"));
    }
    claim.limits.check_pixels(width, height)?;
    let pixels = u64::from(width) * u64::from(height);
    let need = pixels * bytes + claim.afterwards((width, height));
    claim.bytes((width, height), need)
}

/// Rows of a picture in RGB, of which some may be missing.
struct Rows {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
    there: u32,
}

impl Rows {
    fn new((width, height): (u32, u32)) -> Self {
        Self {
            width,
            height,
            pixels: vec![partial::MISSING; width as usize * height as usize * 3],
            there: 0,
        }
    }

    /// Returns a row that is to be filled.
    fn row(&mut self, y: u32) -> &mut [u8] {
        self.there += 1;
        let row = self.width as usize * 3;
        &mut self.pixels[y as usize * row..][..row]
    }

    /// Returns the picture, and what is missing of it.
    fn finish(self) -> Result<(Rgb, Option<String>), Stop> {
        let damage = partial::judge(self.there.into(), self.height.into(), None)?;
        let rgb = Rgb {
            width: self.width,
            height: self.height,
            pixels: self.pixels,
        };
        Ok((rgb, damage))
    }
}

/// The bytes of a file, read one number after another.
#[derive(Clone, Copy)]
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn big(&mut self, count: usize) -> Option<u32> {
        let bytes = self.take(count)?;
        Some(
            bytes
                .iter()
                .fold(0, |sum, byte| sum << 8 | u32::from(*byte)),
        )
    }

    fn little(&mut self, count: usize) -> Option<u32> {
        let bytes = self.take(count)?;
        Some(
            bytes
                .iter()
                .rev()
                .fold(0, |sum, byte| sum << 8 | u32::from(*byte)),
        )
    }
}

/// Returns a bit of a row, from the highest of each byte.
fn bit(row: &[u8], x: usize) -> bool {
    row.get(x / 8)
        .is_some_and(|byte| byte >> (7 - x % 8) & 1 == 1)
}

#[cfg(test)]
mod tests;
