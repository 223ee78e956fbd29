//! Pictures that are read and written with their colours as they are: upright, with alpha and profile.

use std::fs::File;
use std::io::{Cursor, Read as _};
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageDecoder as _, ImageEncoder as _, ImageFormat, ImageReader};
use imgsearch::decode::{DecodeError, Decoder, Limits};

use crate::cli::Result;

/// Quality of JPEG files.
const QUALITY: u8 = 95;
/// The colour space of a profile stands here in it.
const SPACE: std::ops::Range<usize> = 16..20;

/// A picture in the colours of its file.
#[derive(Debug, Clone)]
pub struct Picture {
    pub width: usize,
    pub height: usize,
    /// `[height, width, 3]`.
    pub rgb: Vec<u8>,
    /// `[height, width]`.
    alpha: Option<Vec<u8>>,
    profile: Option<Vec<u8>>,
}

/// Returns the format of a file to write, by its name.
pub fn format(path: &Path) -> Result<ImageFormat> {
    match ImageFormat::from_path(path) {
        Ok(format @ (ImageFormat::Png | ImageFormat::Jpeg)) => Ok(format),
        _ => Err(format!("cannot write {}: name it .png or .jpg", path.display()).into()),
    }
}

pub fn is_jpeg(path: &Path) -> bool {
    matches!(ImageFormat::from_path(path), Ok(ImageFormat::Jpeg))
}

impl Picture {
    /// Reads a picture upright, in the colours of its file. One that can be read in sRGB only comes in sRGB: such as of
    /// inks, with a profile of greys, damaged, or in a format without a reader that knows its profile.
    pub fn read(path: &Path, limits: &Limits) -> Result<Self> {
        let failed =
            |error: &dyn std::fmt::Display| format!("cannot read {}: {error}", path.display());
        let file = File::open(path).map_err(|error| failed(&error))?;
        // Both decoders see the same bytes, whatever happens to the file meanwhile.
        let mut bytes = Vec::new();
        file.take(limits.max_file_bytes.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| failed(&error))?;
        let (length, limit) = (bytes.len() as u64, limits.max_file_bytes);
        if length > limit {
            return Err(failed(&DecodeError::TooManyBytes { length, limit }).into());
        }
        // This decoder is safe against hostile files. What it refuses is not read again.
        let whole = Decoder::new(*limits)
            .decode_whole(&bytes, u32::MAX)
            .map_err(|error| format!("{}: {error}", path.display()))?
            .into_rgb();
        if let Some(own) = own_colours(&bytes, limits)
            && (own.width, own.height) == (whole.width as usize, whole.height as usize)
        {
            return Ok(own);
        }
        Ok(Self {
            width: whole.width as usize,
            height: whole.height as usize,
            rgb: whole.pixels,
            alpha: None,
            profile: None,
        })
    }

    /// Whether it shows only grey.
    pub fn is_grey(&self) -> bool {
        let (pixels, _) = self.rgb.as_chunks::<3>();
        pixels
            .iter()
            .all(|[r, g, b]| r.abs_diff(*g) <= 8 && g.abs_diff(*b) <= 8)
    }

    /// Returns the picture with other colours.
    pub fn with(&self, rgb: Vec<u8>) -> Self {
        Self {
            rgb,
            ..self.clone()
        }
    }

    /// Returns this picture and another of its size, side by side.
    pub fn beside(&self, other: &Self) -> Self {
        let row = self.width * 3;
        let rows = self.rgb.chunks_exact(row).zip(other.rgb.chunks_exact(row));
        Self {
            width: 2 * self.width,
            height: self.height,
            rgb: rows.flat_map(|(a, b)| [a, b].concat()).collect(),
            alpha: None,
            profile: self.profile.clone(),
        }
    }

    /// Writes it, completely or not at all.
    pub fn write(&self, path: &Path) -> Result<()> {
        let failed =
            |error: &dyn std::fmt::Display| format!("cannot write {}: {error}", path.display());
        let mut bytes = Cursor::new(Vec::new());
        let (width, height) = (self.width as u32, self.height as u32);
        let profile = self.profile.clone().filter(|profile| !profile.is_empty());
        if format(path)? == ImageFormat::Jpeg {
            let mut encoder = JpegEncoder::new_with_quality(&mut bytes, QUALITY);
            if let Some(profile) = profile {
                encoder
                    .set_icc_profile(profile)
                    .map_err(|error| failed(&error))?;
            }
            encoder
                .write_image(&self.rgb, width, height, image::ExtendedColorType::Rgb8)
                .map_err(|error| failed(&error))?;
        } else {
            let mut encoder = image::codecs::png::PngEncoder::new(&mut bytes);
            if let Some(profile) = profile {
                encoder
                    .set_icc_profile(profile)
                    .map_err(|error| failed(&error))?;
            }
            let (pixels, kind) = self.with_alpha();
            encoder
                .write_image(&pixels, width, height, kind)
                .map_err(|error| failed(&error))?;
        }
        imgsearch::save(path, bytes.get_ref())?;
        Ok(())
    }

    fn with_alpha(&self) -> (Vec<u8>, image::ExtendedColorType) {
        let Some(alpha) = &self.alpha else {
            return (self.rgb.clone(), image::ExtendedColorType::Rgb8);
        };
        let (pixels, _) = self.rgb.as_chunks::<3>();
        let all = pixels.iter().zip(alpha);
        let all = all.flat_map(|([r, g, b], a)| [*r, *g, *b, *a]).collect();
        (all, image::ExtendedColorType::Rgba8)
    }
}

/// Reads a picture in its own colours, if they are RGB or have no profile, and it is intact.
fn own_colours(bytes: &[u8], limits: &Limits) -> Option<Picture> {
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .ok()?;
    let mut bounds = image::Limits::default();
    bounds.max_alloc = Some(limits.max_memory);
    reader.limits(bounds);
    let mut decoder = reader.into_decoder().ok()?;
    let orientation = decoder.orientation().ok()?;
    let profile = decoder.icc_profile().ok()?;
    // Pixels of other spaces, such as CMYK, are not what the profile speaks of any more.
    if profile
        .as_ref()
        .is_some_and(|profile| profile.get(SPACE) != Some(b"RGB "))
    {
        return None;
    }
    let mut image = DynamicImage::from_decoder(decoder).ok()?;
    image.apply_orientation(orientation);
    let (width, height) = (image.width() as usize, image.height() as usize);
    let alpha = image
        .color()
        .has_alpha()
        .then(|| image.to_rgba8().pixels().map(|pixel| pixel.0[3]).collect());
    Some(Picture {
        width,
        height,
        rgb: image.into_rgb8().into_raw(),
        alpha,
        profile,
    })
}
