//! Who holds the writer's lock.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::clock::now;
use super::lock::LOCK_FILE;

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

impl Holder {
    /// Returns who last took the lock of the index in `dir`, if that process is alive. The lock itself is not tried,
    /// because whoever tries it holds it for a moment.
    pub(super) fn alive(dir: &Path) -> Option<Self> {
        let text = std::fs::read(dir.join(LOCK_FILE)).ok()?;
        let holder: Self = serde_json::from_slice(&text).ok()?;
        let processes = Path::new("/proc");
        let is_told = processes.join("self").exists();
        (!is_told || processes.join(holder.pid.to_string()).exists()).then_some(holder)
    }
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
