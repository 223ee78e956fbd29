//! Encoding: sessions of ONNX Runtime, and how long its steps take.

pub(crate) mod engine;
pub(crate) mod labels;
mod many;
pub(crate) mod npy;
pub(crate) mod timings;
