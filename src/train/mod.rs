//! Training of encoders on image files, and their evaluation.
//!
//! ```text
//! images ─▶ features of the trunk ─▶ head or autoencoder ─▶ encoder file
//! ```
//!
//! [`train`] computes the trunk's features of every image and of a few altered copies, trains a head
//! on them without labels, and writes it behind the trunk into one file that an index takes.
//! [`autoencoder`] does the same with autoencoders on pixels. [`restoration`] trains networks that repair
//! pictures. [`eval`] measures encoders. The methods
//! themselves are in [`imgsearch_train`].

pub(crate) mod augment;
pub mod autoencoder;
pub(crate) mod collection;
pub mod dataset;
pub mod eval;
pub mod extract;
pub mod feature_cache;
mod head;
pub(crate) mod jobs;
pub mod perceptual;
mod preservation;
pub mod restoration;
pub(crate) mod split;

pub use augment::Purpose;
/// The end of the name of an encoder that was trained for a collection.
pub const ADAPTED: &str = crate::indexing::adapting::ADAPTED;

pub use collection::{MIN_COLLECTION, max_sample};
pub use head::{Judged, TrainOptions, Trained, train};
pub use preservation::{NEIGHBOURS, Preservation};
pub use split::min_images;
