//! Encoders: ONNX Runtime found and loaded, the encoder file contract, and the trainer.
//!
//! One ONNX file is one encoder. It takes pictures as bytes and gives, for each, a *code* (30
//! numbers by default), the logits of a *semantic hash* (256 bits by default) and, where a
//! pretrained trunk is in it, the trunk's *features*. What it needs to know of a picture's size
//! stands in the file, so nobody can feed it wrongly.
//!
//! ```
//! use imgsearch_onnx::{Encoder, EncoderFile, Runtime, RuntimeOptions, SessionOptions};
//!
//! let file = EncoderFile::default_encoder()?;
//! let runtime = Runtime::load(&RuntimeOptions::default())?;
//! let mut encoder = Encoder::new(&file, runtime, &SessionOptions::default())?;
//!
//! let (width, height) = (file.info().width as usize, file.info().height as usize);
//! let grey = vec![128; height * width * 3];
//! let encodings = encoder.encode(&grey, 1)?;
//! assert_eq!(encodings.code(0).len(), 30);
//! assert_eq!(encodings.hash(0).len(), 256 / 8);
//! # Ok::<(), imgsearch_onnx::Error>(())
//! ```
//!
//! - [`Runtime`] finds, fetches and loads ONNX Runtime, once a process.
//! - [`EncoderFile`] reads, checks and holds an encoder; [`EncoderInfo`] is what it declares.
//! - [`Encoder`] runs it.
//! - [`train`] makes a new one on a trunk's features; [`autoencoder`] makes one on pixels or features.

// What a file or a user brings is an error, never a panic.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used))]

pub mod autoencoder;
mod contract;
mod encoder;
mod error;
mod outside;
mod proto;
mod read;
mod runtime;
mod surgery;
pub mod train;

pub use contract::{DEFAULT_HASH_WEIGHT, EncoderFile, EncoderInfo, FORMAT_VERSION, Resize};
pub use encoder::{Encoder, Encodings, Provider, ProviderChoice, SessionOptions};
pub use error::{Error, Result};
pub use runtime::{
    FoundBy, InstallOptions, PINNED_CUDA_VERSION, PINNED_VERSION, Runtime, RuntimeOptions,
    cache_folder, disable_telemetry, install,
};
