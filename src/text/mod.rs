//! Words: what a text names, how classes are called, and texts that a tower encodes.

mod classes;
mod directions;
mod lexicon;
#[cfg(feature = "text")]
mod tower;
mod words;

pub use classes::{class_name, classes_of};
pub(crate) use directions::of_words;
#[cfg(feature = "text")]
pub(crate) use tower::Tower;
pub use words::{Concept, UnknownWord, Words};
