//! The head: the trained layers behind a trunk, in plain numbers, and as a part of an ONNX graph.

use rayon::prelude::*;
use serde::Serialize;

use super::linear::{LEAST_NORM, centre, normalise, product};
use crate::contract::{CODE, EncoderFile, EncoderInfo, FEATURES, HASH};
use crate::encoder::pack;
use crate::error::{Error, Result};
use crate::surgery::{Grafter, METRIC, constant, cut_trunk};

/// The encoder half of an autoencoder on a trunk's features.
///
/// Features are centred and brought to length one, taken through the trunk's metric where it has
/// one, and from there by one matrix to the code, which is brought to length one again, and by
/// another to the logits of the hash. Centring, scaling and medians are folded into the matrices
/// and their biases.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// The mean of the training features: `[d]`.
    pub(super) mean: Vec<f32>,
    /// `[d, width]`, row-major; none where `width` is `d`.
    pub(super) metric: Option<Vec<f32>>,
    /// Numbers behind the metric.
    pub(super) width: usize,
    /// `[width, code_len]`, row-major.
    pub(super) code: Vec<f32>,
    pub(super) code_bias: Vec<f32>,
    /// `[width, bits]`, row-major.
    pub(super) hash: Vec<f32>,
    pub(super) hash_bias: Vec<f32>,
    pub(super) hash_weight: f32,
    /// How it was trained.
    pub(super) record: Record,
}

/// How a head was trained; kept in the file.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub(super) struct Record {
    pub photographs: usize,
    pub views: usize,
    pub epochs: usize,
    pub batch: usize,
    pub learning_rate: f64,
    pub neighbourhood_weight: f64,
    pub reconstruction_weight: f64,
    pub contrast_weight: f64,
    pub feature_temperature: f64,
    pub code_temperature: f64,
    pub seed: u64,
    pub last_loss: f64,
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
    /// The packed hashes, `ceil(bits / 8)` bytes each.
    pub fn hashes(&self) -> Vec<u8> {
        self.logits.chunks_exact(self.bits).flat_map(pack).collect()
    }
}

/// What a new encoder is called and whose work is in it.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    /// A name for people.
    pub name: String,
    /// What it was trained on, in words.
    pub training_data: String,
    /// Photographs that it was trained on.
    pub photographs: usize,
}

impl Head {
    /// Numbers in a row of features.
    pub fn feature_len(&self) -> usize {
        self.mean.len()
    }

    /// Numbers in a code.
    pub fn code_len(&self) -> usize {
        self.code_bias.len()
    }

    /// Bits in a hash.
    pub fn bits(&self) -> usize {
        self.hash_bias.len()
    }

    /// How much the hash should count beside the code.
    pub fn hash_weight(&self) -> f32 {
        self.hash_weight
    }

    /// The codes and hashes of `n` rows of features, as the exported graph computes them.
    pub fn apply(&self, features: &[f32], n: usize) -> HeadOutput {
        let hidden = self.hidden(features, n);
        let linear = |weights: &[f32], bias: &[f32]| {
            let mut out = product(&hidden, weights, n, self.width, bias.len());
            out.par_chunks_exact_mut(bias.len()).for_each(|row| {
                for (value, bias) in row.iter_mut().zip(bias) {
                    *value += bias;
                }
            });
            out
        };
        let mut codes = linear(&self.code, &self.code_bias);
        normalise(&mut codes, self.code_len());
        HeadOutput {
            codes,
            logits: linear(&self.hash, &self.hash_bias),
            bits: self.bits(),
        }
    }

    /// Centred directions behind the metric: `[n, width]`.
    fn hidden(&self, features: &[f32], n: usize) -> Vec<f32> {
        directions(features, n, &self.mean, self.metric.as_deref(), self.width)
    }

    /// Puts the head behind the trunk of `base`, in one file.
    ///
    /// # Errors
    ///
    /// [`Error::BadInput`] where the trunk's features or its metric are not the head's,
    /// [`Error::Contract`] where `base` has no features.
    pub fn encoder_file(&self, base: &EncoderFile, identity: &Identity) -> Result<EncoderFile> {
        let info = base.info();
        let d = self.feature_len();
        if info.feature_len != Some(d) {
            return Err(Error::BadInput(format!(
                "the head was trained on features of {d} numbers, and {:?} has {:?}",
                info.name, info.feature_len
            )));
        }
        let mut model = cut_trunk(&base.model()?, &info.name)?;
        if let (Some((_, theirs)), Some(own)) = (constant(&model, METRIC), &self.metric)
            && theirs != *own
        {
            return Err(Error::BadInput(format!(
                "the head was trained with another metric than the one in {:?}; train with that",
                info.name
            )));
        }
        self.graft(&mut Grafter::new(&mut model, "head."));
        let mut training = serde_json::to_value(&self.record).unwrap_or_default();
        training["data"] = identity.training_data.clone().into();
        training["photographs"] = identity.photographs.into();
        let info = EncoderInfo {
            name: identity.name.clone(),
            kind: "deep autoencoder on a pretrained trunk".to_owned(),
            code_len: self.code_len(),
            bits: self.bits(),
            hash_weight: self.hash_weight,
            training: training.to_string(),
            ..info.clone()
        };
        EncoderFile::from_model(model, &info)
    }

    fn graft(&self, graft: &mut Grafter<'_>) {
        let (d, width) = (self.feature_len(), self.width);
        let mean = graft.constant("mean", &[d], &self.mean);
        let mut x = graft.node("Sub", &[FEATURES, &mean], "centred");
        x = unit(graft, &x, d, "direction");
        if let Some(metric) = &self.metric {
            let metric = graft.shared_constant(METRIC, &[d, width], metric);
            x = graft.node("MatMul", &[&x, &metric], "hidden");
        }
        let weights = graft.constant("code.weight", &[width, self.code_len()], &self.code);
        let bias = graft.constant("code.bias", &[self.code_len()], &self.code_bias);
        let code = graft.node("Gemm", &[&x, &weights, &bias], "code.linear");
        let code = unit(graft, &code, self.code_len(), "code.direction");
        graft.output_node("Identity", &[&code], CODE, self.code_len());
        let weights = graft.constant("hash.weight", &[width, self.bits()], &self.hash);
        let bias = graft.constant("hash.bias", &[self.bits()], &self.hash_bias);
        graft.output_node("Gemm", &[&x, &weights, &bias], HASH, self.bits());
    }
}

/// Rows of length one. The sum is a product with a column of ones, which every version of the
/// operators writes alike.
fn unit(graft: &mut Grafter<'_>, x: &str, d: usize, name: &str) -> String {
    let named = |part: &str| format!("{name}.{part}");
    let ones = graft.constant(&named("ones"), &[d, 1], &vec![1.0; d]);
    let least = graft.constant(&named("least"), &[], &[LEAST_NORM]);
    let squares = graft.node("Mul", &[x, x], &named("squares"));
    let sum = graft.node("MatMul", &[&squares, &ones], &named("sum"));
    let norm = graft.node("Sqrt", &[&sum], &named("sqrt"));
    let norm = graft.node("Max", &[&norm, &least], &named("norm"));
    graft.node("Div", &[x, &norm], name)
}

/// Centred features of length one, behind the metric: `[n, width]`.
pub(super) fn directions(
    features: &[f32],
    n: usize,
    mean: &[f32],
    metric: Option<&[f32]>,
    width: usize,
) -> Vec<f32> {
    let d = mean.len();
    let mut rows = features.to_vec();
    centre(&mut rows, mean);
    normalise(&mut rows, d);
    match metric {
        Some(metric) => product(&rows, metric, n, d, width),
        None => rows,
    }
}
