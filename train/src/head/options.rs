//! How a head is trained, and what is told while it is.

use serde::Serialize;

/// How a head is trained. The defaults suit an encoder for collections like the photographs
/// that it is trained on; the built-in encoder, which is for any, is trained for half as many passes
/// at a quarter of the rate with 20,000 imagined rows.
#[derive(Debug, Clone, PartialEq)]
pub struct HeadOptions {
    /// Numbers in the code. Default: 30.
    pub code_len: usize,
    /// Bits in the hash. Default: 256.
    pub bits: usize,
    /// Passes over the photographs. Default: 40.
    pub epochs: usize,
    /// Photographs in a batch, among which neighbourhoods are compared. Default: 512.
    pub batch: usize,
    /// The largest learning rate, reached after a tenth of the steps. Default: 0.002.
    pub learning_rate: f64,
    /// Units in the decoder's hidden layer. Default: 512.
    pub decoder_width: usize,
    /// Weight of the neighbourhood term. Default: 1.
    pub neighbourhood_weight: f64,
    /// Weight of the reconstruction term. Default: 0.5.
    pub reconstruction_weight: f64,
    /// Weight of the contrast term. Default: 0.
    pub contrast_weight: f64,
    /// Temperature of the softmax over feature similarities. Default: 0.1.
    pub feature_temperature: f64,
    /// Temperature of the softmax over code similarities. Default: 0.25.
    pub code_temperature: f64,
    /// Temperature of the contrast term. Default: 0.3.
    pub contrast_temperature: f64,
    /// Temperature of the softmax over the trunk's classes, where it carries them. Default: 2.
    pub class_temperature: f32,
    /// How much the directions of the features count beside the trunk's classes. Default: 1.
    pub direction_weight: f32,
    /// Rows of features to add as pictures of classes that are not among the photographs might
    /// have them, made from the photographs' own and the trunk's classes: for an encoder that
    /// is to serve strangers' photographs. Default: 0.
    pub imagined: usize,
    /// Units of a hidden layer before code and hash; 0 for none. With one, [`HeadOptions::deep`]
    /// has the other options. Default: 0.
    pub hidden: usize,
    /// Photographs, nearest by features, that each is drawn to where there is a hidden layer.
    /// Default: 20.
    pub neighbours: usize,
    /// How often training a hidden layer begins anew, with neighbours by what was learned before;
    /// each time has all the passes. Default: 1.
    pub rounds: usize,
    /// How much the hash counts beside the code where both rank. Default: 8.
    pub hash_weight: f32,
    /// What everything random is drawn with. Default: 0.
    pub seed: u64,
}

impl Default for HeadOptions {
    fn default() -> Self {
        Self {
            code_len: 30,
            bits: 256,
            epochs: 40,
            batch: 512,
            learning_rate: 2e-3,
            decoder_width: 512,
            neighbourhood_weight: 1.0,
            reconstruction_weight: 0.5,
            contrast_weight: 0.0,
            feature_temperature: 0.1,
            code_temperature: 0.25,
            contrast_temperature: 0.3,
            class_temperature: 2.0,
            direction_weight: 1.0,
            imagined: 0,
            hidden: 0,
            neighbours: 20,
            rounds: 1,
            hash_weight: 8.0,
            seed: 0,
        }
    }
}

impl HeadOptions {
    /// For a head with a hidden layer of so many units, which learns from altered copies and from
    /// neighbours: for a collection of ten thousand photographs and more, measured on CIFAR-10.
    /// Terms that it does not have weigh nothing.
    pub fn deep(hidden: usize) -> Self {
        Self {
            hidden,
            rounds: 2,
            epochs: 20,
            batch: 1000,
            learning_rate: 6e-3,
            neighbourhood_weight: 0.0,
            reconstruction_weight: 1.0,
            contrast_weight: 1.0,
            contrast_temperature: 0.2,
            ..Self::default()
        }
    }
}

/// A pass over the photographs, done.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EpochReport {
    /// Its number, from 1.
    pub epoch: usize,
    /// Of so many.
    pub of: usize,
    /// Mean of the whole loss.
    pub loss: f64,
    /// Mean of the neighbourhood term, weighted.
    pub neighbourhood: f64,
    /// Mean of the reconstruction term, weighted.
    pub reconstruction: f64,
    /// Mean of the contrast term, weighted.
    pub contrast: f64,
}
