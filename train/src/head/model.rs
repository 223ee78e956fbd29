//! A trained head, as plain numbers and as a part of an ONNX graph.

use rayon::prelude::*;
use serde::Serialize;

use super::feature_transform::FeatureTransform;
use crate::error::{Error, Result};
use crate::linear::{normalise, product};
use imgsearch_onnx::EncoderFile;
use imgsearch_onnx::SimilarityMap;
use imgsearch_onnx::authoring::pack;
use imgsearch_onnx::authoring::{CODE, HASH};
use imgsearch_onnx::authoring::{Grafter, cut_trunk};

/// The encoder half of an autoencoder on a trunk's features.
///
/// The input is the probabilities of the trunk's classes, if it has a classifier, and the directions of
/// the features, times its metric. One matrix leads from there, or from a hidden layer, to the code,
/// which is normalised to length one. Another leads to the logits of the hash. Centring, scaling and
/// medians are folded into the matrices and their biases.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// From features to the input of the layers.
    pub(crate) transform: FeatureTransform,
    pub(crate) hidden: Option<Hidden>,
    /// `[width, code_len]`, row-major; `[units, code_len]` with a hidden layer.
    pub(crate) code: Vec<f32>,
    pub(crate) code_bias: Vec<f32>,
    /// `[width, bits]` or `[units, bits]`, row-major.
    pub(crate) hash: Vec<f32>,
    pub(crate) hash_bias: Vec<f32>,
    pub(crate) hash_weight: f32,
    /// The kind, stored in the file.
    pub(crate) kind: &'static str,
    /// How it was trained.
    pub(crate) record: Record,
}

/// A layer of rectified units after the transform.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Hidden {
    /// `[width, units]`, row-major.
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
}

impl Hidden {
    /// Returns the units of `n` rows of `width` numbers: `[n, units]`.
    pub fn apply(&self, seen: &[f32], n: usize, width: usize) -> Vec<f32> {
        let mut units = affine(seen, &self.weight, &self.bias, n, width);
        units
            .par_iter_mut()
            .for_each(|value| *value = value.max(0.0));
        units
    }
}

/// Returns `n` rows of `width` numbers, times a matrix, plus a bias.
fn affine(rows: &[f32], weight: &[f32], bias: &[f32], n: usize, width: usize) -> Vec<f32> {
    let mut out = product(rows, weight, n, width, bias.len());
    out.par_chunks_exact_mut(bias.len()).for_each(|row| {
        for (value, bias) in row.iter_mut().zip(bias) {
            *value += bias;
        }
    });
    out
}

/// The kind of a head that keeps neighbourhoods.
pub(crate) const SEMANTIC: &str = "deep autoencoder on a pretrained trunk";

/// How a head was trained. Stored in the file.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub(crate) struct Record {
    #[serde(rename = "photographs")]
    pub images: usize,
    pub views: usize,
    #[serde(skip_serializing_if = "is_zero")]
    pub hidden: usize,
    #[serde(skip_serializing_if = "is_zero")]
    pub neighbours: usize,
    #[serde(skip_serializing_if = "is_zero")]
    pub rounds: usize,
    pub epochs: usize,
    pub batch: usize,
    pub learning_rate: f64,
    pub neighbourhood_weight: f64,
    pub reconstruction_weight: f64,
    pub contrast_weight: f64,
    #[serde(skip_serializing_if = "is_zero")]
    pub contrast_temperature: f64,
    pub feature_temperature: f64,
    pub code_temperature: f64,
    pub class_temperature: f32,
    pub direction_weight: f32,
    #[serde(rename = "imagined")]
    pub synthetic: usize,
    pub seed: u64,
    pub last_loss: f64,
}

/// Returns whether an option was not used.
fn is_zero<T: PartialEq + Default>(value: &T) -> bool {
    *value == T::default()
}

/// Codes and hashes of a batch.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct HeadOutput {
    /// Codes, `[n, code_len]`, row-major.
    pub codes: Vec<f32>,
    /// Hash logits, `[n, bits]`.
    pub logits: Vec<f32>,
    bits: usize,
}

impl HeadOutput {
    /// Returns the packed hashes, `ceil(bits / 8)` bytes each.
    pub fn hashes(&self) -> Vec<u8> {
        self.logits.chunks_exact(self.bits).flat_map(pack).collect()
    }
}

/// The name and the origin of a new encoder.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    /// A name for people.
    pub name: String,
    /// A description of the training data.
    pub training_data: String,
    /// Number of images that it was trained on.
    pub images: usize,
    /// What its distances mean, if that was measured.
    pub similarity: Option<SimilarityMap>,
}

impl Head {
    /// Numbers in a row of features.
    pub fn feature_len(&self) -> usize {
        self.transform.mean.len()
    }

    /// Numbers in a code.
    pub fn code_len(&self) -> usize {
        self.code_bias.len()
    }

    /// Bits in a hash.
    pub fn bits(&self) -> usize {
        self.hash_bias.len()
    }

    /// Returns the weight of the hash when code and hash rank together.
    pub fn hash_weight(&self) -> f32 {
        self.hash_weight
    }

    /// The codes and hashes of `n` rows of features, as the exported graph computes them.
    pub fn apply(&self, features: &[f32], n: usize) -> HeadOutput {
        let (mut seen, mut width) = (self.transform.apply(features, n), self.transform.width());
        if let Some(hidden) = &self.hidden {
            seen = hidden.apply(&seen, n, width);
            width = hidden.bias.len();
        }
        let linear = |weight: &[f32], bias: &[f32]| affine(&seen, weight, bias, n, width);
        let mut codes = linear(&self.code, &self.code_bias);
        normalise(&mut codes, self.code_len());
        HeadOutput {
            codes,
            logits: linear(&self.hash, &self.hash_bias),
            bits: self.bits(),
        }
    }

    /// Puts the head behind the trunk of `base`, in one file.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if the trunk's features, or what it says about them, are not the head's,
    /// [`Error::Encoder`] if `base` has no features.
    pub fn encoder_file(&self, base: &EncoderFile, identity: &Identity) -> Result<EncoderFile> {
        let info = base.info();
        let d = self.feature_len();
        if info.feature_len != Some(d) {
            return Err(Error::InvalidInput(format!(
                "the head was trained on features of {d} numbers, and {:?} has {:?}",
                info.name, info.feature_len
            )));
        }
        let mut model = cut_trunk(&base.model()?, &info.name)?;
        self.transform.prior.check_against(&model, d, &info.name)?;
        self.graft(&mut Grafter::new(&mut model, "head."));
        let mut training = serde_json::to_value(&self.record).unwrap_or_default();
        training["data"] = identity.training_data.clone().into();
        training["photographs"] = identity.images.into();
        let mut info = info.clone();
        info.name.clone_from(&identity.name);
        info.kind = self.kind.to_owned();
        info.code_len = self.code_len();
        info.bits = self.bits();
        info.hash_weight = self.hash_weight;
        info.similarity.clone_from(&identity.similarity);
        info.training = training.to_string();
        // A text's features are moved to where the images' features are.
        info.feature_mean = (info.text_tower.is_some()).then(|| self.transform.mean.clone());
        Ok(EncoderFile::from_model(model, &info)?)
    }

    fn graft(&self, graft: &mut Grafter<'_>) {
        let (mut x, mut width) = (self.transform.graft(graft), self.transform.width());
        if let Some(hidden) = &self.hidden {
            let units = hidden.bias.len();
            let weights = graft.constant("units.weight", &[width, units], &hidden.weight);
            let bias = graft.constant("units.bias", &[units], &hidden.bias);
            let linear = graft.node("Gemm", &[&x, &weights, &bias], "units.linear");
            (x, width) = (graft.node("Relu", &[&linear], "units"), units);
        }
        let weights = graft.constant("code.weight", &[width, self.code_len()], &self.code);
        let bias = graft.constant("code.bias", &[self.code_len()], &self.code_bias);
        let code = graft.node("Gemm", &[&x, &weights, &bias], "code.linear");
        let code = graft.unit(&code, self.code_len(), "code.direction");
        graft.output_node("Identity", &[&code], CODE, self.code_len());
        let weights = graft.constant("hash.weight", &[width, self.bits()], &self.hash);
        let bias = graft.constant("hash.bias", &[self.bits()], &self.hash_bias);
        graft.output_node("Gemm", &[&x, &weights, &bias], HASH, self.bits());
    }
}
