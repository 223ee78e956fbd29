//! Decoding on the calling thread, however long it takes: chooses the decoder, reserves memory and processes the
//! image.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use fast_image_resize::Resizer;
use image::ImageFormat;

use super::budget::{BUDGET, Reserved, patience};
use super::claim::{Claim, Stop};
use super::colour::Colours;
use super::error::DecodeError;
use super::error::panic_text;
use super::exif::{Exif, Orientation};
use super::format::{Format, jpeg_start};
use super::gif;
#[cfg(feature = "turbojpeg")]
use super::jpeg;
use super::metadata;
use super::picture::Picture;
use super::raw;
use super::source::Data;
use super::tiff;
use super::timed::Pauses;
use super::{
    Decoded, Geometry, Limits, Output, Rgb, SMALL, Task, cut, cut_png, frame, ground, old, other,
    piece, resample,
};

/// Number of times that an image is started, because it takes more memory than declared. Its file may change
/// meanwhile.
const MAX_TRIES: usize = 8;

/// Decodes on the calling thread.
pub(super) struct Core {
    limits: Limits,
    resizer: Resizer,
    colours: Colours,
    #[cfg(feature = "turbojpeg")]
    jpeg: Option<turbojpeg::Decompressor>,
    /// The times in which it only waits for memory.
    pauses: Arc<Pauses>,
}

impl Core {
    pub fn new(limits: Limits, pauses: Arc<Pauses>) -> Self {
        Self {
            limits,
            resizer: Resizer::new(),
            colours: Colours::default(),
            #[cfg(feature = "turbojpeg")]
            jpeg: None,
            pauses,
        }
    }

    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Decodes a file within the memory of the process. If a decoder panics, its state is dropped, because it may
    /// be broken.
    ///
    /// # Errors
    ///
    /// If the image cannot be decoded or read, or costs more than the limits allow.
    pub fn make(&mut self, data: Data<'_>, task: Task) -> Result<Output, DecodeError> {
        let made = self.make_within_budget(data, task);
        match data.trouble() {
            // A decoder mistakes a read error for the end of the file, or for damage.
            Some(trouble) if made.is_err() => Err(DecodeError::Unreadable(trouble)),
            _ => made,
        }
    }

    fn make_within_budget(&mut self, data: Data<'_>, task: Task) -> Result<Output, DecodeError> {
        let mut held = BUDGET.nothing();
        let mut needed = 0;
        for _ in 0..MAX_TRIES {
            let tried = catch_unwind(AssertUnwindSafe(|| self.attempt(data, task, &mut held)));
            let tried = tried.unwrap_or_else(|panic| {
                *self = Self::new(self.limits, Arc::clone(&self.pauses));
                Err(DecodeError::Panicked(panic_text(&*panic)).into())
            });
            match tried {
                Ok((rgb, decoded)) => {
                    held.shrink(rgb.pixels.len() as u64);
                    return Ok(Output { rgb, decoded, held });
                }
                Err(Stop::Failed(error)) => return Err(error),
                Err(Stop::Wait(bytes)) => {
                    needed = bytes;
                    // No decoder waits while it holds memory.
                    held.shrink(0);
                    let limits = self.limits;
                    held = self
                        .pauses
                        .during(|| BUDGET.reserve(bytes, &limits, patience(&limits)))?;
                }
            }
        }
        Err(DecodeError::MemoryBusy {
            needed,
            limit: self.limits.max_memory,
        })
    }

    fn attempt(
        &mut self,
        data: Data<'_>,
        task: Task,
        held: &mut Reserved,
    ) -> Result<(Rgb, Decoded), Stop> {
        let (format, mut picture) = self.picture(data, task, held)?;
        let profile = picture.profile.take();
        let (width, height) = if picture.orientation.swaps_sides() {
            (picture.height, picture.width)
        } else {
            (picture.width, picture.height)
        };
        let mut rgb = match &task {
            Task::Resized(geometry) => Rgb {
                width: geometry.width,
                height: geometry.height,
                pixels: self.resize(&picture, geometry)?,
            },
            Task::Whole(_) => turned(picture.rgb, picture.orientation),
        };
        if let Some(profile) = profile {
            self.colours.convert(profile, &mut rgb.pixels);
        }
        let decoded = Decoded {
            format,
            width,
            height,
            taken: picture.taken,
            damage: picture.damage,
            blank: ground::is_flat(&rgb.pixels),
        };
        Ok((rgb, decoded))
    }

    fn picture(
        &mut self,
        data: Data<'_>,
        task: Task,
        held: &mut Reserved,
    ) -> Result<(Format, Picture), Stop> {
        if data.length() == 0 {
            return Err(DecodeError::Empty.into());
        }
        let format = match data.format().ok_or(DecodeError::NotAnImage)? {
            Format::Tiff if raw::is_raw(data) => Format::Raw,
            format => format,
        };
        if !format.is_decoded() {
            return Err(DecodeError::Unsupported(format.name()).into());
        }
        let limits = self.limits;
        let mut claim = Claim {
            limits: &limits,
            held,
            file: 0,
            task,
            orientation: Orientation::UPRIGHT,
        };
        let decoder = match format {
            Format::Pnm if is_unusual(data) => None,
            format => format.decoder(),
        };
        let picture = match (format, decoder) {
            (Format::Jpeg, _) => self.jpeg_file(data, &mut claim),
            (Format::Raw, _) => self.raw(data, &mut claim),
            (Format::Tiff, _) => self.tiff(data, &mut claim),
            (_, Some(reader)) => by_image(data, format, reader, &mut claim),
            (_, None) => in_memory(data, format, &mut claim),
        }?;
        Ok((format, picture))
    }

    fn jpeg_file(&mut self, data: Data<'_>, claim: &mut Claim<'_>) -> Result<Picture, Stop> {
        let loaded;
        let bytes = match data {
            Data::Memory(bytes) => bytes,
            Data::Disk(disk) => {
                let start = jpeg_start(disk.head()).unwrap_or(0);
                self.check_headers(&disk.head()[start..], claim, data.length())?;
                loaded = disk.load().map_err(unreadable)?;
                claim.file = data.length();
                &loaded
            }
        };
        let bytes = &bytes[jpeg_start(bytes).unwrap_or(0)..];
        let exif = metadata::read(Data::Memory(bytes), Format::Jpeg);
        let Some(mended) = frame::with_height(bytes) else {
            return self.jpeg_in_memory(bytes, exif, claim);
        };
        claim.file += mended.len() as u64;
        self.jpeg_in_memory(&mended, exif, claim)
    }

    /// Decodes the preview of a camera's raw file. What the file says counts before what the preview says.
    fn raw(&mut self, data: Data<'_>, claim: &mut Claim<'_>) -> Result<Picture, Stop> {
        let preview = raw::preview(data, claim)?;
        let own = metadata::read(Data::Memory(&preview.jpeg), Format::Jpeg);
        let exif = Exif {
            orientation: preview.orientation.or(own.orientation),
            taken: preview.taken.or(own.taken),
        };
        let picture = self.jpeg_in_memory(&preview.jpeg, exif, claim)?;
        Ok(Picture {
            width: preview.width,
            height: preview.height,
            ..picture
        })
    }

    /// Decodes a TIFF. One that holds a JPEG is that JPEG; what the TIFF says of it counts.
    fn tiff(&mut self, data: Data<'_>, claim: &mut Claim<'_>) -> Result<Picture, Stop> {
        let opened = tiff::picture::open(data, claim)?;
        let exif = opened.exif();
        claim.orientation = exif.upright();
        if let Some(jpeg) = opened.as_jpeg(claim)? {
            let picture = self.jpeg_in_memory(&jpeg, exif, claim)?;
            let profile = opened.profile().or(picture.profile);
            let damage = picture.damage.or_else(|| opened.damage());
            return Ok(Picture {
                profile,
                damage,
                ..picture
            });
        }
        let (rgb, damage) = opened.decode(claim)?;
        Ok(whole((rgb, opened.profile()), exif, damage))
    }

    fn jpeg_in_memory(
        &mut self,
        bytes: &[u8],
        exif: Exif,
        claim: &mut Claim<'_>,
    ) -> Result<Picture, Stop> {
        claim.orientation = exif.upright();
        if old::jpeg12::is_12_bit(bytes) {
            let (rgb, damage) = old::jpeg12::decode(bytes, claim)?;
            return Ok(whole((rgb, frame::profile(bytes)), exif, damage));
        }
        #[cfg(feature = "turbojpeg")]
        if let Some(jpeg) = self.turbo(bytes, claim)? {
            return Ok(Picture {
                rgb: jpeg.rgb,
                width: jpeg.width,
                height: jpeg.height,
                orientation: exif.upright(),
                taken: exif.taken,
                profile: frame::profile(bytes),
                damage: jpeg.damage,
            });
        }
        // `image` reads a truncated JPEG without an error.
        let damage = (!has_end_of_image(bytes))
            .then(|| "truncated: the end of the file is missing".to_owned());
        let coloured = other::decode(Data::Memory(bytes), ImageFormat::Jpeg, None, claim)?;
        Ok(whole(coloured, exif, damage))
    }

    /// Checks a JPEG by the headers in `head`, and reserves the memory for its file and image before the file is
    /// loaded.
    fn check_headers(&mut self, head: &[u8], claim: &mut Claim<'_>, file: u64) -> Result<(), Stop> {
        claim.file = file;
        #[cfg(feature = "turbojpeg")]
        if let Some(mut decompressor) = self.decompressor() {
            let plan = jpeg::plan(
                &mut decompressor,
                head,
                claim.task.short_side(),
                claim.limits,
            )?;
            if let Some(plan) = plan {
                // It can be used again, because it could read the header.
                self.jpeg = Some(decompressor);
                return claim.jpeg(&plan);
            }
        }
        #[cfg(not(feature = "turbojpeg"))]
        let _ = head;
        claim.bytes((0, 0), 0)
    }

    #[cfg(feature = "turbojpeg")]
    fn decompressor(&mut self) -> Option<turbojpeg::Decompressor> {
        // If there is no memory for it, the other decoder is used, which needs less.
        let new = || turbojpeg::Decompressor::new().ok();
        self.jpeg.take().or_else(new)
    }

    #[cfg(feature = "turbojpeg")]
    fn turbo(&mut self, bytes: &[u8], claim: &mut Claim<'_>) -> Result<Option<jpeg::Jpeg>, Stop> {
        let Some(mut decompressor) = self.decompressor() else {
            return Ok(None);
        };
        let decoded = jpeg::decode(&mut decompressor, bytes, claim.task.short_side(), claim);
        // After an error or a warning it may refuse or misread every later file, so it is used again only after an
        // intact file.
        if matches!(&decoded, Ok(Some(jpeg)) if jpeg.is_clean) {
            self.jpeg = Some(decompressor);
        }
        decoded
    }

    /// Resamples once from the crop box to the encoder's size, then turns the result upright. The crop is central,
    /// so this is the same as turning first.
    fn resize(&mut self, picture: &Picture, geometry: &Geometry) -> Result<Vec<u8>, DecodeError> {
        let Picture {
            rgb, orientation, ..
        } = picture;
        let (width, height) = if orientation.swaps_sides() {
            (geometry.height, geometry.width)
        } else {
            (geometry.width, geometry.height)
        };
        let turned = Geometry {
            width,
            height,
            ..*geometry
        };
        let pixels = resample(&mut self.resizer, rgb, &turned, *orientation)?;
        if rgb.pixels.len() as u64 > SMALL {
            // The buffers of a large image are not kept.
            self.resizer.reset_internal_buffers();
        }
        Ok(if *orientation == Orientation::UPRIGHT {
            pixels
        } else {
            orientation.apply(&pixels, width as usize, height as usize)
        })
    }
}

fn unreadable(error: std::io::Error) -> DecodeError {
    DecodeError::Unreadable(error.to_string())
}

/// Returns an image that was decoded at its full size, with its colour profile.
fn whole((rgb, profile): (Rgb, Option<Vec<u8>>), exif: Exif, damage: Option<String>) -> Picture {
    Picture {
        width: rgb.width,
        height: rgb.height,
        rgb,
        orientation: exif.upright(),
        taken: exif.taken,
        profile,
        damage,
    }
}

/// Decodes an image with the crate `image`.
fn by_image(
    data: Data<'_>,
    format: Format,
    reader: ImageFormat,
    claim: &mut Claim<'_>,
) -> Result<Picture, Stop> {
    if matches!(data, Data::Disk(_)) {
        // Checks the headers before anything else of a large file is read.
        other::open(data, reader, None, claim)?;
    }
    let exif = metadata::read(data, format);
    claim.orientation = exif.upright();
    match other::decode(data, reader, None, claim) {
        Err(Stop::Failed(error @ DecodeError::Malformed(_))) => {
            damaged(data, format, reader, exif, claim)?.ok_or(Stop::Failed(error))
        }
        decoded => {
            let (rgb, profile) = decoded?;
            if reader == ImageFormat::Gif
                && ground::is_flat(&rgb.pixels)
                && let Some((rgb, damage)) = gif::decode(data, claim)?
            {
                return Ok(whole((rgb, profile), exif, damage));
            }
            Ok(whole((rgb, profile), exif, cut::empty_end(data)))
        }
    }
}

/// Returns whether a PNM holds floats.
fn is_unusual(data: Data<'_>) -> bool {
    let start = piece(data, 0, old::XV.len());
    matches!(start.get(..2), Some(b"PF" | b"Pf")) || start == old::XV
}

/// Decodes an image that the crate `image` refuses: by another decoder, or what is there of a damaged one, if its format
/// can be shown in part.
fn damaged(
    data: Data<'_>,
    format: Format,
    reader: ImageFormat,
    exif: Exif,
    claim: &mut Claim<'_>,
) -> Result<Option<Picture>, Stop> {
    Ok(match reader {
        ImageFormat::Png => cut_png::decode(data, claim)?
            .map(|(rgb, damage)| whole((rgb, None), exif, Some(damage))),
        ImageFormat::Gif => {
            gif::decode(data, claim)?.map(|(rgb, damage)| whole((rgb, None), exif, damage))
        }
        ImageFormat::Bmp | ImageFormat::Ico | ImageFormat::Dds => {
            match in_memory(data, format, claim) {
                Ok(picture) => Some(picture),
                // What the first decoder said counts.
                Err(Stop::Failed(DecodeError::Malformed(_) | DecodeError::Truncated)) => None,
                Err(stop) => return Err(stop),
            }
        }
        reader => cut::decode(data, reader, claim)?
            .map(|(rgb, profile, damage)| whole((rgb, profile), exif, Some(damage))),
    })
}

/// Decodes an image whose decoder needs the whole file in memory.
fn in_memory(data: Data<'_>, format: Format, claim: &mut Claim<'_>) -> Result<Picture, Stop> {
    let loaded;
    let bytes: &[u8] = match data {
        Data::Memory(bytes) => bytes,
        Data::Disk(disk) => {
            claim.file = data.length();
            claim.bytes((0, 0), 0)?;
            loaded = disk.load().map_err(unreadable)?;
            &loaded
        }
    };
    #[cfg(feature = "heif")]
    if matches!(format, Format::Heif | Format::Avif) {
        return super::heif::decode(bytes, format.name(), claim);
    }
    #[cfg(feature = "jxl")]
    if format == Format::JpegXl {
        return super::jxl::decode(bytes, claim);
    }
    #[cfg(feature = "jpeg2000")]
    if format == Format::Jpeg2000 {
        return super::jp2::decode(bytes, claim);
    }
    let made = old::decode(bytes, format, claim)?;
    Ok(whole((made.rgb, made.profile), made.exif, made.damage))
}

/// Returns the image upright.
fn turned(rgb: Rgb, orientation: Orientation) -> Rgb {
    if orientation == Orientation::UPRIGHT {
        return rgb;
    }
    let pixels = orientation.apply(&rgb.pixels, rgb.width as usize, rgb.height as usize);
    let (width, height) = if orientation.swaps_sides() {
        (rgb.height, rgb.width)
    } else {
        (rgb.width, rgb.height)
    };
    Rgb {
        width,
        height,
        pixels,
    }
}

/// Returns whether a JPEG file has an end marker, even with something after it. The marker of a preview among the
/// headers does not count.
fn has_end_of_image(bytes: &[u8]) -> bool {
    frame::first_scan(bytes)
        .is_some_and(|scan| memchr::memmem::find(&bytes[scan..], &[0xff, 0xd9]).is_some())
}
