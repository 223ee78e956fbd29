//! Words: what a text names, and how classes are called.

mod classes;
mod lexicon;
mod words;

pub use classes::{class_name, classes_of};
pub use words::{Concept, UnknownWord, Words};
