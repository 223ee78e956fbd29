//! The text tower of a model that knows images and texts: a text becomes a vector among the features of images.
//!
//! A text tower is one ONNX file beside an encoder file, `NAME.text.onnx` beside `NAME.onnx`. [`TextFile`] reads and
//! checks it; [`TextEncoder`] runs it, with the tokenizer that the file holds.

#[cfg(feature = "text")]
mod captions;
#[cfg(feature = "text")]
mod encoder;
mod file;

#[cfg(feature = "text")]
pub use captions::CAPTIONS;
#[cfg(feature = "text")]
pub use encoder::TextEncoder;
#[cfg(feature = "text")]
pub(crate) use encoder::tokenizer;
#[cfg(feature = "text")]
pub(crate) use file::{INPUTS, TEXT_EMBEDS};
pub use file::{TextFile, TextInfo};
