//! Duplicates: comparing pictures, and acting on files that are there twice.

pub mod action;
pub mod compare;
