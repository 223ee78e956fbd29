//! Why an image cannot be decoded.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use super::format::Format;

/// A name of which reading makes no copy: by this type, because serde would borrow a plain `&str` from what it reads.
type FormatName = &'static str;

/// The reason why an image cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum DecodeError {
    /// The file is empty.
    #[error("the file is empty")]
    Empty,

    /// The content has no known image format.
    #[error("not an image: the content has no known image format")]
    NotAnImage,

    /// The format is known, but there is no decoder for it.
    #[error("{0} images cannot be decoded; convert it to JPEG, PNG or WebP")]
    Unsupported(#[serde(deserialize_with = "name_of_format")] FormatName),

    /// The format is known, but not this kind of it.
    #[error("{0} cannot be decoded; convert it to JPEG, PNG or WebP")]
    NotSupported(String),

    /// The content is damaged.
    #[error("damaged: {0}")]
    Malformed(String),

    /// The file ends so early that it shows next to nothing.
    #[error("truncated: the file ends before enough of the image is there")]
    Truncated,

    /// The file is longer than the limit.
    #[error("too large: {length} bytes are more than the limit of {limit}")]
    TooManyBytes {
        /// Bytes of the file, or the number that was read.
        length: u64,
        /// The limit in bytes.
        limit: u64,
    },

    /// The image has more pixels than the limit.
    #[error("too large: {width} by {height} pixels are more than the limit of {} megapixels", limit / 1_000_000)]
    TooManyPixels {
        /// Width that the file declares.
        width: u32,
        /// Height that the file declares.
        height: u32,
        /// The limit in pixels.
        limit: u64,
    },

    /// Decoding would take more memory than the limit.
    #[error("too large: decoding {} takes more memory than the limit of {} MiB", size(*width, *height), limit >> 20)]
    TooMuchMemory {
        /// Width that the file declares; 0 if the file alone is too large.
        width: u32,
        /// Height that the file declares.
        height: u32,
        /// The limit in bytes.
        limit: u64,
    },

    /// The data before the pixels take so much memory that little is left for the pixels.
    #[error("too large: its headers or one of its lines take more memory than a quarter of the limit of {} MiB", limit >> 20)]
    LongHeaders {
        /// The limit in bytes.
        limit: u64,
    },

    /// The image was not tried: slow images still hold the memory.
    #[error(
        "not tried: it takes {} MiB, and images that took too long still hold the memory, which is limited to {} MiB",
        needed >> 20,
        limit >> 20
    )]
    MemoryBusy {
        /// Bytes that it takes.
        needed: u64,
        /// The limit in bytes.
        limit: u64,
    },

    /// The system could not read the file, or the file changed while it was read.
    #[error("it cannot be read: {0}")]
    Unreadable(String),

    /// Decoding takes longer than the limit.
    #[error("too slow: decoding it takes longer than the limit of {} seconds", limit.as_secs_f64())]
    TooSlow {
        /// The limit.
        limit: Duration,
    },

    /// The image was not tried: too many slow images are still being decoded.
    #[error("not tried: {count} images that took too long are still being decoded")]
    Busy {
        /// The number of slow images.
        count: usize,
    },

    /// The part to cut out lies outside of the image, or is smaller than a pixel.
    #[error(
        "the part {part} of it is outside of its {width} by {height} pixels, or smaller than one"
    )]
    OutsideOfImage {
        /// The part, as it is written: see [`Crop`](crate::decode::Crop).
        part: String,
        /// Width in pixels of the upright image.
        width: u32,
        /// Height in pixels of the upright image.
        height: u32,
    },

    /// A decoder panicked with this message.
    #[error("damaged: the decoder gave up on it ({0})")]
    Panicked(String),

    /// The process that decoded it ended, for this reason.
    #[error("damaged: the decoder crashed on it ({0})")]
    Crashed(String),

    /// No process could be started to decode in, for this reason.
    #[error("not tried: no process can be started to decode in ({0})")]
    NoSandbox(String),
}

/// Reads the name of a format, which is one of those that are known.
fn name_of_format<'de, D: Deserializer<'de>>(from: D) -> Result<FormatName, D::Error> {
    let name = String::deserialize(from)?;
    Ok(Format::named(&name).map_or("these", Format::name))
}

/// Describes an image by the size that its file declares.
fn size(width: u32, height: u32) -> String {
    match (width, height) {
        (0, 0) => "a file of this size".to_owned(),
        _ => format!("{width} by {height} pixels"),
    }
}

impl DecodeError {
    /// Returns whether the image may be intact and only costs more than the limits allow.
    pub fn is_over_limit(&self) -> bool {
        matches!(
            self,
            Self::TooManyBytes { .. }
                | Self::TooManyPixels { .. }
                | Self::TooMuchMemory { .. }
                | Self::LongHeaders { .. }
                | Self::TooSlow { .. }
        ) || self.is_untried()
    }

    /// Returns whether the image was not tried, because slow images are still being decoded.
    pub fn is_untried(&self) -> bool {
        matches!(
            self,
            Self::Busy { .. } | Self::MemoryBusy { .. } | Self::NoSandbox(_)
        )
    }
}

/// Returns the message of a panic.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
        .to_owned()
}
