//! Why an image cannot be decoded.

use std::time::Duration;

/// Why an image cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The file holds nothing.
    #[error("the file is empty")]
    Empty,

    /// The content is that of no image format that is known.
    #[error("not an image: its content is that of no format that is known")]
    NotAnImage,

    /// The format is known and cannot be decoded.
    #[error("{0} images cannot be decoded; convert it to JPEG, PNG or WebP")]
    Unsupported(&'static str),

    /// The content is broken.
    #[error("damaged: {0}")]
    Malformed(String),

    /// The file ends so early that there is no picture to speak of.
    #[error("truncated: it ends before enough of the picture is there")]
    Truncated,

    /// The file is longer than is allowed.
    #[error("too large: {length} bytes are more than the limit of {limit}; see --max-file-size")]
    TooManyBytes {
        /// Bytes of the file, or those of them that were read.
        length: u64,
        /// The limit in bytes.
        limit: u64,
    },

    /// The image has more pixels than is allowed.
    #[error("too large: {width} by {height} pixels are more than the limit of {} megapixels; see --max-megapixels", limit / 1_000_000)]
    TooManyPixels {
        /// Width that the file declares.
        width: u32,
        /// Height that the file declares.
        height: u32,
        /// The limit in pixels.
        limit: u64,
    },

    /// Decoding would take more memory than is allowed.
    #[error("too large: decoding {} takes more memory than the limit of {} MiB; see --max-memory", what(*width, *height), limit >> 20)]
    TooMuchMemory {
        /// Width that the file declares; 0 where the file by itself is too large.
        width: u32,
        /// Height that the file declares.
        height: u32,
        /// The limit in bytes.
        limit: u64,
    },

    /// What stands before the pixels takes so much memory that little is left for them.
    #[error("too large: its headers or one of its lines take more memory than a quarter of the limit of {} MiB; see --max-memory", limit >> 20)]
    LongHeaders {
        /// The limit in bytes.
        limit: u64,
    },

    /// It was not tried: others that were too slow still hold the memory.
    #[error(
        "not tried: it takes {} MiB, and images that took too long still hold the memory; try it again later, without them or with more than {} MiB of --max-memory", needed >> 20, limit >> 20
    )]
    MemoryBusy {
        /// Bytes that it takes.
        needed: u64,
        /// The limit in bytes.
        limit: u64,
    },

    /// The system could not read the file, or it was changed meanwhile.
    #[error("it cannot be read: {0}")]
    Unreadable(String),

    /// Decoding takes longer than is allowed.
    #[error("too slow: decoding it takes longer than the limit of {} seconds; see --max-seconds", limit.as_secs_f64())]
    TooSlow {
        /// The limit.
        limit: Duration,
    },

    /// It was not tried: others that were too slow are still being decoded.
    #[error(
        "not tried: {count} images that took too long are still being decoded; try it again later, without them or with another --max-seconds"
    )]
    Busy {
        /// How many.
        count: usize,
    },

    /// A decoder panicked; its message.
    #[error("damaged: the decoder gave up on it ({0})")]
    Panicked(String),
}

/// What would be decoded.
fn what(width: u32, height: u32) -> String {
    match (width, height) {
        (0, 0) => "a file of this size".to_owned(),
        _ => format!("{width} by {height} pixels"),
    }
}

impl DecodeError {
    /// Whether the image may be sound and only costs more than the limits allow.
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

    /// Whether it was not tried, because others that were too slow are still being decoded.
    pub fn is_untried(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::MemoryBusy { .. })
    }
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
        .to_owned()
}
