//! Who holds the writer's lock.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::clock::now;

/// Who holds the lock.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Holder {
    /// Process number; 0 if it is not known.
    pub pid: u32,
    /// The command, as it was typed.
    pub command: String,
    /// Since when, in seconds since 1970.
    pub since: u64,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pid == 0 {
            return f.write_str("another process");
        }
        let ago = now().saturating_sub(self.since.cast_signed()).max(0);
        write!(
            f,
            "process {} ({}), begun {ago} seconds ago",
            self.pid, self.command
        )
    }
}
