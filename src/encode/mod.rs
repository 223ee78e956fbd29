//! Encoding: sessions of ONNX Runtime, and how long its steps take.

pub(crate) mod engine;
pub(crate) mod labels;
pub(crate) mod timings;
