//! Options and reports of the training of a head.

use serde::Serialize;

/// Options of the training of a head. The defaults suit an encoder for collections like the images that
/// it is trained on. The built-in encoder, which is for any collection, is trained for half as many
/// epochs at a quarter of the learning rate with 20,000 synthetic rows.
#[derive(Debug, Clone, PartialEq)]
pub struct HeadOptions {
    /// Numbers in the code. Default: 30.
    pub code_len: usize,
    /// Bits in the hash. Default: 256.
    pub bits: usize,
    /// Number of epochs. Default: 40.
    pub epochs: usize,
    /// Images in a batch, among which neighbourhoods are compared. Default: 512.
    pub batch: usize,
    /// The maximum learning rate, reached after a tenth of the steps. Default: 0.002.
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
    /// Temperature of the softmax over the trunk's classes, if it has a classifier. Default: 2.
    pub class_temperature: f32,
    /// Weight of the directions of the features, relative to the trunk's classes. Default: 1.
    pub direction_weight: f32,
    /// Number of synthetic rows of features to add. They look like images of classes that the
    /// collection lacks, and are made from its own features and the trunk's classifier. They help an
    /// encoder for images of other people. Default: 0.
    pub synthetic: usize,
    /// Units of a hidden layer before code and hash; 0 for none. [`HeadOptions::deep`] sets the other
    /// options for it. Default: 0.
    pub hidden: usize,
    /// Nearest images by features that a hidden layer draws each image to. Default: 20.
    pub neighbours: usize,
    /// Number of trainings of a hidden layer. Each starts again, with neighbours by what the one before
    /// learned, and has all the epochs. Default: 1.
    pub rounds: usize,
    /// Weight of the hash when code and hash rank together. Default: 8.
    pub hash_weight: f32,
    /// Seed of all random numbers. Default: 0.
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
            synthetic: 0,
            hidden: 0,
            neighbours: 20,
            rounds: 1,
            hash_weight: 8.0,
            seed: 0,
        }
    }
}

/// Steps of the training for one collection, the images in each, and the maximum learning rate.
const COLLECTION_STEPS: usize = 80;
const COLLECTION_BATCH: usize = 256;
const COLLECTION_RATE: f64 = 0.016;

impl HeadOptions {
    /// Returns options for an encoder that is only for the collection of `images` images that it is trained on, as
    /// an index trains it by itself: no altered copies, few steps of few images at a high rate, and a narrow decoder. The
    /// model card `onnx/model/README.md` compares it with the defaults.
    pub fn for_collection(images: usize) -> Self {
        let steps_per_epoch = (images / COLLECTION_BATCH).max(1);
        Self {
            batch: COLLECTION_BATCH,
            epochs: COLLECTION_STEPS.div_ceil(steps_per_epoch),
            learning_rate: COLLECTION_RATE,
            decoder_width: 128,
            ..Self::default()
        }
    }

    /// Returns options for a head with a hidden layer of `hidden` units, which learns from altered
    /// copies and from neighbours. It is for collections of ten thousand images and more, and was
    /// measured on CIFAR-10. Terms that such a head lacks have weight 0.
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

/// The report of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EpochReport {
    /// Number of the epoch, from 1.
    pub epoch: usize,
    /// Number of all epochs.
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
