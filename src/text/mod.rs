//! Texts: what is written in words becomes a code and a hash among those of images.

mod tower;

pub(crate) use tower::Tower;
