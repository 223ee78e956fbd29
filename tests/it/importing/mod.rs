//! Published models: their folders become encoders, and their texts find images.

mod broken;
mod layouts;
mod published;
mod words;
