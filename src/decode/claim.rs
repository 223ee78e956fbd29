//! What decoding a picture takes, counted and reserved before it is taken.

use super::budget::Reserved;
use super::error::DecodeError;
use super::exif::Orientation;
use super::{Geometry, Limits, SMALL, Task};

/// Why decoding does not go on.
pub(super) enum Stop {
    /// The picture cannot be decoded.
    Failed(DecodeError),
    /// It needs so many bytes, and they are not free now. The caller drops everything, waits for them
    /// and starts again.
    Wait(u64),
}

impl From<DecodeError> for Stop {
    fn from(error: DecodeError) -> Self {
        Self::Failed(error)
    }
}

/// What a picture is decoded within.
pub(super) struct Claim<'a> {
    pub limits: &'a Limits,
    pub held: &'a mut Reserved,
    /// Bytes of the file that were loaded for it.
    pub file: u64,
    pub task: Task,
    pub orientation: Orientation,
}

impl Claim<'_> {
    /// Makes sure of so many bytes for a picture of that size beside its file.
    pub fn bytes(&mut self, (width, height): (u32, u32), bytes: u64) -> Result<(), Stop> {
        let all = bytes.saturating_add(self.file);
        self.limits.check_memory(width, height, all)?;
        if self.held.has(all, self.limits) {
            return Ok(());
        }
        Err(Stop::Wait(all))
    }

    /// Makes sure of what a JPEG takes.
    #[cfg(feature = "turbojpeg")]
    pub fn jpeg(&mut self, plan: &super::jpeg::Plan) -> Result<(), Stop> {
        let bytes = plan.memory.saturating_add(self.afterwards(plan.scaled));
        self.bytes((plan.width, plan.height), bytes)
    }

    /// Whether all that there is was reserved for this one picture.
    pub fn has_all(&self) -> bool {
        self.limits.max_memory <= SMALL || self.held.bytes() >= self.limits.max_memory
    }

    /// Bytes that what is done with a decoded picture of that size takes beside it.
    pub fn afterwards(&self, (width, height): (u32, u32)) -> u64 {
        match self.task {
            Task::Resized(geometry) => resizing(width, height, &geometry),
            Task::Whole(_) if self.orientation == Orientation::UPRIGHT => 0,
            // It is turned into another.
            Task::Whole(_) => u64::from(width) * u64::from(height) * 3,
        }
    }
}

/// Bytes that the coefficients of a resampling take for each row and column of the source: four of
/// them, as floats and as integers.
const COEFFICIENTS: u64 = 4 * (8 + 4);

/// Bytes that resizing takes: the picture between the two passes, and the coefficients of both.
fn resizing(width: u32, height: u32, geometry: &Geometry) -> u64 {
    let (crop_width, crop_height) = geometry.crop(width, height);
    let (crop_width, crop_height) = (crop_width.ceil() as u64, crop_height.ceil() as u64);
    // Which of the two is its height depends on the orientation.
    let rows = u64::from(geometry.height.max(geometry.width));
    crop_width
        .saturating_mul(rows * 3)
        .saturating_add((crop_width + crop_height) * COEFFICIENTS)
}
