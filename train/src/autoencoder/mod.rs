//! Autoencoders on pixels or features, of every kind of the field.
//!
//! ```text
//! pixels ─▶ layers ─▶ code (and bits) ─▶ the same layers mirrored ─▶ pixels
//! ```
//!
//! A [`Design`] says what is learned. Its parts are the kinds, and they combine: deep or convolutional,
//! denoising, sparse, contractive, variational, with a twin bottleneck of bits in addition to the code.
//! [`train`] gives an [`Autoencoder`], whose encoder half is written as an encoder file of the
//! contract and whose decoder half as a file of its own.
//!
//! Training is in float32 on the processor, by Adam (Kingma and Ba 2015) under one cycle of the
//! learning rate. The parameters of the best epoch on held-out samples are kept.

mod adam;
mod checkpoint;
mod components;
mod decoding;
mod design;
mod epoch;
mod export;
mod fit;
mod hash;
mod idx;
mod network;
mod objective;
mod samples;
#[cfg(test)]
mod tests;
mod trained;
mod words;

pub(crate) use adam::Adam;
pub use checkpoint::is_checkpoint;
pub use components::component_error;
pub use decoding::train_decoder;
pub use design::{Design, Layers, Loss, Noise, Recipe, Schedule, Shape, Sparsity};
pub use epoch::Epoch;
pub(crate) use export::empty_model;
pub use idx::{IdxImages, read_idx, read_idx_labels};
pub use samples::{Samples, Scaling, WordCounts};
pub use trained::{Autoencoder, MIN_IMAGES, Record, train, train_from};
pub use words::WordsFile;
