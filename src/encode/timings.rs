//! Where the time of a query goes.

use std::time::Instant;

use serde::Serialize;

/// How long the start and the newest query took, step by step, in milliseconds. A step that was not needed takes 0.
///
/// Some steps run in parallel, so their sum may be more than the time that a person waits.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
#[non_exhaustive]
pub struct Timings {
    /// Opening the index.
    pub index_ms: f64,
    /// Reading and checking the encoder's file.
    pub encoder_ms: f64,
    /// Loading ONNX Runtime, …
    pub runtime_ms: f64,
    /// … and the part of it that the query waited for. With
    /// [`EngineOptions::preload`](crate::EngineOptions::preload) the rest runs in parallel with the two steps
    /// above.
    pub runtime_waited_ms: f64,
    /// Starting the encoder's session.
    pub session_ms: f64,
    /// Reading the image's file.
    pub read_ms: f64,
    /// Decoding it. For the first query, this runs while the encoder starts.
    pub decode_ms: f64,
    /// Encoding it.
    pub encode_ms: f64,
    /// Opening a view of the index: mapping its segments, and loading what is newer.
    pub view_ms: f64,
    /// Searching, filters included.
    pub search_ms: f64,
    /// Looking up the paths of the results.
    pub paths_ms: f64,
    /// How long the querying thread spent on these steps.
    #[serde(skip)]
    waited_ms: f64,
}

impl Timings {
    /// Returns how long the querying thread spent on these steps.
    pub fn waited_ms(&self) -> f64 {
        self.waited_ms
    }

    /// Clears the steps of the last query and keeps those of the start.
    pub(crate) fn begin(&mut self) {
        self.read_ms = 0.0;
        self.decode_ms = 0.0;
        self.encode_ms = 0.0;
        self.view_ms = 0.0;
        self.search_ms = 0.0;
        self.paths_ms = 0.0;
    }

    /// Adds to the time that the querying thread spent.
    pub(crate) fn waited(&mut self, ms: f64) {
        self.waited_ms += ms;
    }

    /// Adds the time since `started`.
    pub(crate) fn waited_since(&mut self, started: Instant) {
        self.waited(ms_since(started));
    }
}

/// Returns the milliseconds since an instant.
pub(crate) fn ms_since(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1000.0
}
