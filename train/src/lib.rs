//! Training of encoders, without labels and on the processor.
//!
//! - [`head`] trains the layers behind a pretrained trunk, on features that the trunk computed.
//! - [`copies`] finds a head that recognises edited copies of an image.
//! - [`autoencoder`] trains autoencoders of many kinds on pixels or features, and decoders alone.
//! - [`restoration`] trains networks that repair pictures.
//! - [`fit_similarity`] says what distances mean to a person.
//! - [`baseline`] has linear methods without training, to compare with.
//!
//! Each returns an [`EncoderFile`](imgsearch_onnx::EncoderFile) that indexes and queries take. This
//! crate knows nothing of image files: it takes numbers.
//!
//! ```
//! use std::ops::ControlFlow;
//!
//! use imgsearch_train::head::{ClassifierPrior, HeadOptions, TrainingSet, train_head};
//!
//! // 64 rows of 16 features each; a trunk computes real ones.
//! let features: Vec<f32> = (0..64 * 16).map(|i| ((i * i) % 37) as f32).collect();
//! let set = TrainingSet {
//!     clean: &features,
//!     views: Vec::new(),
//!     d: 16,
//!     prior: ClassifierPrior::default(),
//! };
//! let options = HeadOptions { code_len: 4, bits: 8, epochs: 1, ..HeadOptions::default() };
//! let head = train_head(&set, &options, &mut |_| ControlFlow::Continue(()))?;
//! assert_eq!(head.code_len(), 4);
//! # Ok::<(), imgsearch_train::Error>(())
//! ```

// What a file or a user brings is an error, never a panic.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used))]

pub mod autoencoder;
pub mod copies;
mod error;
mod hashing;
pub mod head;
pub mod judge;
mod linear;
mod neighbours;
mod quality;
pub mod restoration;
mod similarity;

pub use error::{Error, Result};
pub use quality::neighbourhood_preservation;
pub use similarity::fit_similarity;

/// Linear methods without training, to measure a trained encoder against.
pub mod baseline {
    pub use crate::linear::{Itq, Pca, random_signs};
}
