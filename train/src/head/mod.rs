//! Heads: the encoder half of an autoencoder, on the features of a trunk, without labels.
//!
//! ```text
//! features ─▶ class probabilities ┐
//!      └────▶ direction ─▶ metric ┴─▶ principal components ─▶ encoder ─▶ code, length 1 ─▶ decoder
//!                                                        └──▶ rotation ─▶ hash
//! ```
//!
//! The encoder starts as the principal components of its input, half whitened. Training then moves it
//! so that codes keep neighbourhoods and a decoder can reconstruct the input from them
//! ([`HeadOptions`] has the weights). The hash is the signs of the principal components, rotated by
//! iterative quantisation, with each bit split at its median. In a large collection, a hidden layer
//! learns more ([`HeadOptions::deep`]). The model card `onnx/model/README.md` says what was compared
//! and why this was chosen.

mod deep;
pub(crate) mod descent;
pub(crate) mod feature_transform;
pub(crate) mod model;
pub(crate) mod objective;
mod options;
pub(crate) mod set;
mod shallow;
#[cfg(test)]
mod tests;

pub use feature_transform::ClassifierPrior;
pub use model::{Head, HeadOutput, Identity};
pub use options::{EpochReport, HeadOptions};
pub use set::{MIN_IMAGES, TrainingSet};

use std::ops::ControlFlow;

use crate::error::Result;

/// Trains a head. It has a hidden layer if [`HeadOptions::hidden`] is above 0. `progress` gets the
/// report of every epoch and can end the training early; what was learned so far is kept.
///
/// The same set, options and seed give the same head on the same machine.
///
/// # Errors
///
/// [`Error::InvalidInput`](crate::Error::InvalidInput) for too few images, features that are not
/// finite or all equal, views of another shape, or sizes of zero;
/// [`Error::Training`](crate::Error::Training) if the loss diverges.
pub fn train_head(
    set: &TrainingSet<'_>,
    options: &HeadOptions,
    progress: &mut dyn FnMut(&EpochReport) -> ControlFlow<()>,
) -> Result<Head> {
    if options.hidden > 0 {
        deep::train(set, options, progress)
    } else {
        shallow::train(set, options, progress)
    }
}
