//! Decoding on the calling thread, however long it takes: chooses the decoder, reserves memory and processes the
//! image.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use fast_image_resize::Resizer;

use super::budget::{BUDGET, Reserved, patience};
use super::claim::{Claim, Stop};
use super::error::DecodeError;
use super::error::panic_text;
use super::exif::{self, Exif, Orientation};
use super::format::Format;
#[cfg(feature = "turbojpeg")]
use super::jpeg;
use super::reading::{Allowed, Counting, Reading};
use super::source::Data;
use super::timed::Pauses;
use super::{Decoded, Geometry, Limits, Output, Rgb, SMALL, Task, frame, other, resample};

/// Number of times that an image is started, because it takes more memory than declared. Its file may change
/// meanwhile.
const MAX_TRIES: usize = 8;

/// An image as it is stored, and its properties.
struct Stored {
    rgb: Rgb,
    orientation: Orientation,
    decoded: Decoded,
}

/// Decodes on the calling thread.
pub(super) struct Core {
    limits: Limits,
    resizer: Resizer,
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
        let stored = self.stored(data, task, held)?;
        let rgb = match &task {
            Task::Resized(geometry) => Rgb {
                width: geometry.width,
                height: geometry.height,
                pixels: self.resize(&stored, geometry)?,
            },
            Task::Whole(_) => turned(stored.rgb, stored.orientation),
        };
        Ok((rgb, stored.decoded))
    }

    fn stored(&mut self, data: Data<'_>, task: Task, held: &mut Reserved) -> Result<Stored, Stop> {
        if data.length() == 0 {
            return Err(DecodeError::Empty.into());
        }
        let format = data.format().ok_or(DecodeError::NotAnImage)?;
        let reader = format
            .decoder()
            .ok_or(DecodeError::Unsupported(format.name()))?;
        let limits = self.limits;
        let mut claim = Claim {
            limits: &limits,
            held,
            file: 0,
            task,
            orientation: Orientation::UPRIGHT,
        };
        let loaded;
        let data = match data {
            Data::Disk(disk) if format == Format::Jpeg => {
                self.check_headers(disk.head(), &mut claim, data.length())?;
                loaded = disk.load().map_err(unreadable)?;
                claim.file = data.length();
                Data::Memory(&loaded)
            }
            Data::Disk(_) => {
                // Checks the headers before anything else of a large file is read.
                other::open(data, reader, &claim)?;
                data
            }
            Data::Memory(_) => data,
        };
        let exif = read_exif(data, format, &mut claim)?;
        claim.orientation = exif.orientation;
        let assemble = |rgb: Rgb, width, height, damage| {
            let (width, height) = if exif.orientation.swaps_sides() {
                (height, width)
            } else {
                (width, height)
            };
            Stored {
                rgb,
                orientation: exif.orientation,
                decoded: Decoded {
                    format,
                    width,
                    height,
                    taken: exif.taken,
                    damage,
                },
            }
        };
        let mut damage = None;
        if format == Format::Jpeg
            && let Data::Memory(bytes) = data
        {
            #[cfg(feature = "turbojpeg")]
            if let Some(jpeg) = self.turbo(bytes, &mut claim)? {
                return Ok(assemble(jpeg.rgb, jpeg.width, jpeg.height, jpeg.damage));
            }
            // `image` reads a truncated JPEG without an error.
            damage = (!has_end_of_image(bytes))
                .then(|| "truncated: the end of the file is missing".to_owned());
        }
        let rgb = other::decode(data, reader, &mut claim)?;
        let (width, height) = (rgb.width, rgb.height);
        Ok(assemble(rgb, width, height, damage))
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
                short_side(claim.task),
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
        let decoded = jpeg::decode(&mut decompressor, bytes, short_side(claim.task), claim);
        // After an error or a warning it may refuse or misread every later file, so it is used again only after an
        // intact file.
        if matches!(&decoded, Ok(Some(jpeg)) if jpeg.damage.is_none()) {
            self.jpeg = Some(decompressor);
        }
        decoded
    }

    /// Resamples once from the crop box to the encoder's size, then turns the result upright. The crop is central,
    /// so this is the same as turning first.
    fn resize(&mut self, stored: &Stored, geometry: &Geometry) -> Result<Vec<u8>, DecodeError> {
        let Stored {
            rgb, orientation, ..
        } = stored;
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
        let pixels = resample(&mut self.resizer, rgb, &turned)?;
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

/// Returns the short side in pixels that a task needs.
#[cfg(feature = "turbojpeg")]
fn short_side(task: Task) -> u32 {
    match task {
        Task::Resized(geometry) => geometry.short_side(),
        Task::Whole(min_short_side) => min_short_side,
    }
}

/// Reads a file's EXIF data. The reader loads a TIFF completely.
fn read_exif(data: Data<'_>, format: Format, claim: &mut Claim<'_>) -> Result<Exif, Stop> {
    let allowed = match format {
        Format::Tiff => {
            claim.bytes((0, 0), data.length())?;
            Allowed::up_to(data.length())
        }
        _ => Allowed::up_to(SMALL),
    };
    Ok(exif::read(Reading::new(data, allowed, Counting::Copied)))
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
