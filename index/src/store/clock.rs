//! The clock of what is stored.

use std::time::{SystemTime, UNIX_EPOCH};

/// Returns seconds since 1970.
pub(super) fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs().cast_signed())
}
