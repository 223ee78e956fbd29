//! The memory that decoding an image takes, counted and reserved before it is taken.

use super::budget::Reserved;
use super::error::DecodeError;
use super::exif::Orientation;
use super::{Geometry, Limits, SMALL, Task};

/// The reason why decoding stops.
pub(super) enum Stop {
    /// The image cannot be decoded.
    Failed(DecodeError),
    /// It needs this number of bytes, and they are not free now. The caller drops everything, waits for them and
    /// starts again.
    Wait(u64),
}

impl From<DecodeError> for Stop {
    fn from(error: DecodeError) -> Self {
        Self::Failed(error)
    }
}

/// The limits and the memory for one image.
pub(super) struct Claim<'a> {
    pub limits: &'a Limits,
    pub held: &'a mut Reserved,
    /// Bytes of the file, if it was loaded.
    pub file: u64,
    pub task: Task,
    pub orientation: Orientation,
}

impl Claim<'_> {
    /// Reserves `bytes` for an image of that size, in addition to its file.
    pub fn bytes(&mut self, (width, height): (u32, u32), bytes: u64) -> Result<(), Stop> {
        let all = bytes.saturating_add(self.file);
        self.limits.check_memory(width, height, all)?;
        if self.held.has(all, self.limits) {
            return Ok(());
        }
        Err(Stop::Wait(all))
    }

    /// Reserves the memory of a JPEG.
    #[cfg(feature = "turbojpeg")]
    pub fn jpeg(&mut self, plan: &super::jpeg::Plan) -> Result<(), Stop> {
        let bytes = plan.memory.saturating_add(self.afterwards(plan.scaled));
        self.bytes((plan.width, plan.height), bytes)
    }

    /// Returns whether the whole budget is reserved for this image.
    pub fn has_all(&self) -> bool {
        self.limits.max_memory <= SMALL || self.held.bytes() >= self.limits.max_memory
    }

    /// Returns the additional bytes that processing takes after an image of that size is decoded.
    pub fn afterwards(&self, (width, height): (u32, u32)) -> u64 {
        match self.task {
            Task::Resized(geometry) => resizing(width, height, &geometry),
            Task::Whole(_) if self.orientation == Orientation::UPRIGHT => 0,
            // Turning creates another image.
            Task::Whole(_) => u64::from(width) * u64::from(height) * 3,
        }
    }
}

/// Bytes of the resampling coefficients for each row and column of the source: four of them, as floats and as
/// integers.
const COEFFICIENTS: u64 = 4 * (8 + 4);

/// Returns the bytes that resizing takes: the image between the two steps, and the coefficients of both.
fn resizing(width: u32, height: u32, geometry: &Geometry) -> u64 {
    let (crop_width, crop_height) = geometry.crop(width, height);
    let (crop_width, crop_height) = (crop_width.ceil() as u64, crop_height.ceil() as u64);
    // The orientation decides which of the two is its height.
    let rows = u64::from(geometry.height.max(geometry.width));
    crop_width
        .saturating_mul(rows * 3)
        .saturating_add((crop_width + crop_height) * COEFFICIENTS)
}
