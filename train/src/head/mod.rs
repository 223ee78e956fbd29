//! Training: the encoder half of an autoencoder, on a trunk's features, without labels.
//!
//! ```text
//! features ─▶ likeness to classes ┐
//!      └────▶ direction ─▶ metric ┴─▶ main directions ─▶ encoder ─▶ code, length 1 ─▶ decoder
//!                                                   └──▶ rotation ─▶ hash
//! ```
//!
//! The encoder begins as the main directions of what is seen, half whitened, and is then moved so
//! that the codes keep its neighbourhoods and a decoder can make it from them ([`HeadOptions`]
//! has the weights). The hash is the signs of the main directions turned by iterative
//! quantisation, each bit split at its median. Where a collection is large, a hidden layer learns more
//! from it ([`HeadOptions::deep`]). What was compared, and why this, stands in the model card
//! `onnx/model/README.md`.

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

pub use feature_transform::Prior;
pub use model::{Head, HeadOutput, Identity};
pub use options::{EpochReport, HeadOptions};
pub use set::{LEAST_PHOTOGRAPHS, TrainingSet};

use std::ops::ControlFlow;

use crate::error::Result;

/// Trains a head, with a hidden layer where [`HeadOptions::hidden`] says so. `progress` is told of every pass and may end the training early, with what was
/// learned so far.
///
/// The same set, options and seed give the same head on the same machine.
///
/// # Errors
///
/// [`Error::InvalidInput`] for too few photographs, features that are not finite or all alike, views
/// of another shape, or sizes of zero; [`Error::Training`] where the loss diverges.
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
