//! Where the time of a question goes.

use std::time::Instant;

use serde::Serialize;

/// What getting ready and the newest question took, step by step, in milliseconds. A step that was
/// not needed took 0.
///
/// Some steps run beside others, so that their sum may be more than what a person waits.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
#[non_exhaustive]
pub struct Timings {
    /// Opening the index.
    pub index_ms: f64,
    /// Reading and checking the encoder's file.
    pub encoder_ms: f64,
    /// Loading ONNX Runtime, …
    pub runtime_ms: f64,
    /// … and what of it was waited for: the rest went on beside the two steps before, where
    /// [`EngineOptions::preload`](crate::EngineOptions::preload) began it.
    pub runtime_waited_ms: f64,
    /// Starting the encoder's session.
    pub session_ms: f64,
    /// Reading the image's file.
    pub read_ms: f64,
    /// Decoding it: for the first question, beside the two steps before.
    pub decode_ms: f64,
    /// Encoding it.
    pub encode_ms: f64,
    /// Opening a view of the index: its segments are mapped, and what is newer is loaded.
    pub view_ms: f64,
    /// Searching, filters included.
    pub search_ms: f64,
    /// Looking up the paths of what was found.
    pub paths_ms: f64,
    /// How long the asking thread was at any of them.
    #[serde(skip)]
    waited_ms: f64,
}

impl Timings {
    /// How long the asking thread was at any of the steps.
    pub fn waited_ms(&self) -> f64 {
        self.waited_ms
    }

    /// A question begins: what getting ready took stays.
    pub(crate) fn begin(&mut self) {
        self.read_ms = 0.0;
        self.decode_ms = 0.0;
        self.encode_ms = 0.0;
        self.view_ms = 0.0;
        self.search_ms = 0.0;
        self.paths_ms = 0.0;
    }

    /// The asking thread was at a step for so long.
    pub(crate) fn waited(&mut self, ms: f64) {
        self.waited_ms += ms;
    }

    /// The asking thread was at some steps since then.
    pub(crate) fn waited_since(&mut self, started: Instant) {
        self.waited(ms_since(started));
    }
}

/// Milliseconds since an instant.
pub(crate) fn ms_since(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1000.0
}
