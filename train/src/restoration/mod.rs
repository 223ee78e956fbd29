//! Restoration: small convolutional autoencoders that repair pictures.
//!
//! ```text
//! corrupted picture and a fourth plane ─▶ U-Net ─▶ what to add to the picture
//! ```
//!
//! One network serves every [`Task`]. It sees four planes: red, green and blue, and a fourth that says
//! what the task needs to know (the level of the noise, or where the hole is). It predicts the
//! difference to the clean picture (residual learning, Zhang et al. 2017; the level as a plane and the
//! 2 × 2 rearrangement of pixels as in FFDNet, Zhang et al. 2018), with skip connections between equal
//! sizes (U-Net, Ronneberger et al. 2015). It has no dense layer, so it takes pictures of any size.
//!
//! This module takes numbers: whoever calls [`train`] corrupts the pictures.

mod export;
mod fit;
mod network;
#[cfg(test)]
mod tests;

pub use fit::{Batch, Duration, Report, Restored, Schedule, train};
pub use imgsearch_onnx::RestorerTask as Task;
