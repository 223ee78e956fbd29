//! Autoencoders on pixels or features, of every kind of the field.
//!
//! ```text
//! pixels ─▶ layers ─▶ code (and bits) ─▶ the same layers mirrored ─▶ pixels
//! ```
//!
//! A [`Design`] says what is learned; its parts are the kinds, and combine: deep or convolutional,
//! denoising, sparse, contractive, variational, with a twin bottleneck of bits beside the code.
//! [`train`] gives an [`Autoencoder`], whose encoder half is written as an encoder file of the
//! contract and whose decoder half as a file beside it.
//!
//! Training is in float32 on the processor, by Adam (Kingma and Ba 2015) under one cycle of the
//! learning rate. The parameters of the pass that reconstructs held-out pictures best are kept.

mod checkpoint;
mod decoding;
mod design;
mod export;
mod fit;
mod idx;
mod network;
mod objective;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;
use std::path::Path;

use candle_core::Tensor;
use prost::Message as _;
use serde::Serialize;

pub use checkpoint::is_checkpoint;
pub use decoding::train_decoder;
pub use design::{Design, Layers, Loss, Noise, Schedule, Shape, Sparsity};
pub use fit::{Epoch, Pictures, Scaling};
pub use idx::{IdxImages, read_idx, read_idx_labels};

use crate::baseline::Pca;
use crate::error::{Error, Result};
use crate::hashing::hash_layer;
use crate::head::Identity;
use crate::linear::{Normal, product};
use export::HashLayer;
use fit::{AT_ONCE, Fitted};
use imgsearch_onnx::authoring::{DECODER_OF, StringStringEntryProto};
use imgsearch_onnx::{EncoderFile, EncoderInfo, Resize};
use network::Network;

/// The fewest pictures that an autoencoder can be trained on.
pub const LEAST_PICTURES: usize = 16;

/// Codes that the hash is made from, where it is made from codes; more say nothing new.
const MOST_FOR_HASH: usize = 50_000;

/// Pairs of codes whose distances say how much the hash has to count beside them.
const PAIRS: usize = 10_000;

/// A trained autoencoder.
#[derive(Debug)]
pub struct Autoencoder {
    network: Network,
    hash: Option<HashLayer>,
    hash_weight: f32,
    record: Record,
}

/// How an autoencoder came about; kept in its file.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Record {
    /// What was learned.
    pub design: Design,
    /// How.
    pub schedule: Schedule,
    /// Pictures trained on.
    pub pictures: usize,
    /// Pictures held out.
    pub held_out: usize,
    /// Every pass.
    pub epochs: Vec<Epoch>,
    /// The pass whose parameters were kept.
    pub best: usize,
}

/// Trains an autoencoder. `progress` is told of every pass and may end the training early, with
/// the best that was learned so far.
///
/// `bits` is the length of the hash, which is made from the codes afterwards: main directions
/// turned by iterative quantisation and split at their medians. With a twin bottleneck the hash
/// is that, and `bits` is not looked at.
///
/// The same pictures, design, schedule and seed give the same autoencoder on the same machine.
///
/// # Errors
///
/// [`Error::InvalidInput`] where there are fewer than [`LEAST_PICTURES`] or no held-out ones, where
/// shapes differ, or what [`Design::check`] and [`Schedule::check`] refuse; [`Error::Training`]
/// where the loss diverges.
pub fn train(
    pictures: &Pictures<'_>,
    held_out: &Pictures<'_>,
    design: &Design,
    schedule: &Schedule,
    bits: usize,
    progress: &mut dyn FnMut(&Epoch) -> ControlFlow<()>,
) -> Result<Autoencoder> {
    train_from(pictures, held_out, (design, schedule, bits), None, progress)
}

/// As [`train`], with the run's state written to the file `checkpoint` after every pass; where
/// that is there, the run goes on from it, and ends as if it had never been interrupted.
///
/// # Errors
///
/// As [`train`]; [`Error::InvalidInput`] where the file cannot be read or is of another run, and
/// [`Error::Training`] where it cannot be written.
pub fn train_from(
    pictures: &Pictures<'_>,
    held_out: &Pictures<'_>,
    (design, schedule, bits): (&Design, &Schedule, usize),
    checkpoint: Option<&Path>,
    progress: &mut dyn FnMut(&Epoch) -> ControlFlow<()>,
) -> Result<Autoencoder> {
    design.check()?;
    schedule.check()?;
    if pictures.shape() != design.shape || held_out.shape() != design.shape {
        return Err(Error::InvalidInput(format!(
            "pictures of {:?} and {:?} for an autoencoder of {:?}",
            pictures.shape(),
            held_out.shape(),
            design.shape
        )));
    }
    if pictures.len() < LEAST_PICTURES || held_out.is_empty() {
        return Err(Error::InvalidInput(format!(
            "{} pictures to train on and {} held out: at least {LEAST_PICTURES} and one are needed",
            pictures.len(),
            held_out.len()
        )));
    }
    if design.twin_bits == 0 && bits == 0 {
        return Err(Error::InvalidInput(
            "a hash of 0 bits: it needs at least one".to_owned(),
        ));
    }
    let Fitted {
        network,
        epochs,
        best,
    } = fit::fit(design, schedule, pictures, held_out, checkpoint, progress)?;
    let mut autoencoder = Autoencoder {
        network,
        hash: None,
        hash_weight: 0.0,
        record: Record {
            design: design.clone(),
            schedule: schedule.clone(),
            pictures: pictures.len(),
            held_out: held_out.len(),
            epochs,
            best,
        },
    };
    autoencoder.add_hash(pictures, bits, schedule.seed)?;
    Ok(autoencoder)
}

impl Autoencoder {
    fn add_hash(&mut self, pictures: &Pictures<'_>, bits: usize, seed: u64) -> Result<()> {
        let n = pictures.len().min(MOST_FOR_HASH);
        let code_len = self.design().code_len;
        let evenly: Vec<usize> = (0..n).map(|i| i * pictures.len() / n).collect();
        let codes = self.codes_of(pictures, &evenly)?;
        let mut random = Normal::new(seed);
        let apart: f64 = (0..PAIRS)
            .map(|_| {
                let [a, b] = [random.below(n), random.below(n)].map(|i| i * code_len);
                let pairs = codes[a..a + code_len].iter().zip(&codes[b..b + code_len]);
                pairs.map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>()
            })
            .sum();
        // Half of the bits of two pictures differ on average, so that both count alike.
        self.hash_weight = (2.0 * apart / PAIRS as f64) as f32;
        if self.design().twin_bits > 0 {
            return Ok(());
        }
        let directions = code_len.min(n - 1);
        let pca = Pca::fit(&codes, n, code_len, directions)?;
        let along = pca.project(&codes, n);
        let (hash, medians) = hash_layer(&along, (n, directions), (bits, seed))?;
        let weight = product(&pca.directions, &hash, code_len, directions, bits);
        let shift = product(&pca.mean, &weight, 1, code_len, bits);
        let bias = shift.iter().zip(&medians);
        let bias = bias.map(|(shift, median)| -shift - median).collect();
        self.hash = Some(HashLayer { weight, bias });
        Ok(())
    }

    /// What it is made of.
    pub fn design(&self) -> &Design {
        &self.network.design
    }

    /// How it came about.
    pub fn record(&self) -> &Record {
        &self.record
    }

    fn codes_of(&self, pictures: &Pictures<'_>, places: &[usize]) -> Result<Vec<f32>> {
        self.through(pictures, places, |network, clean| {
            Ok(network.encode(clean, None)?.code)
        })
    }

    fn through(
        &self,
        pictures: &Pictures<'_>,
        places: &[usize],
        of: impl Fn(&Network, &Tensor) -> candle_core::Result<Tensor>,
    ) -> Result<Vec<f32>> {
        let mut all = Vec::new();
        for places in places.chunks(AT_ONCE) {
            let made = pictures
                .tensor(places)
                .and_then(|clean| of(&self.network, &clean)?.flatten_all()?.to_vec1::<f32>());
            all.extend(made.map_err(|error| Error::Training(error.to_string()))?);
        }
        Ok(all)
    }

    /// The codes of pictures, `[n, code_len]`.
    ///
    /// # Errors
    ///
    /// [`Error::Training`] where the numbers cannot be computed.
    pub fn codes(&self, pictures: &Pictures<'_>) -> Result<Vec<f32>> {
        self.codes_of(pictures, &(0..pictures.len()).collect::<Vec<_>>())
    }

    /// The squared error of reconstructing each picture from its code, summed over its numbers
    /// from 0 to 1, on average.
    ///
    /// # Errors
    ///
    /// [`Error::Training`] where the numbers cannot be computed.
    pub fn squared_error(&self, pictures: &Pictures<'_>) -> Result<f64> {
        let all: Vec<usize> = (0..pictures.len()).collect();
        let errors = self.through(pictures, &all, |network, clean| {
            let logits = fit::rebuilt(network, clean)?;
            objective::squared_error(self.design(), &logits, clean)
        })?;
        Ok(errors.iter().map(|&error| f64::from(error)).sum::<f64>() / all.len() as f64)
    }

    /// What the decoder makes of each picture's code, `[n, height, width, channels]`, 0 to 1; of
    /// features, on their own scale.
    ///
    /// # Errors
    ///
    /// [`Error::Training`] where the numbers cannot be computed.
    pub fn reconstruct(&self, pictures: &Pictures<'_>) -> Result<Vec<f32>> {
        let all: Vec<usize> = (0..pictures.len()).collect();
        let made = self.through(pictures, &all, |network, clean| {
            objective::made(&network.design, &fit::rebuilt(network, clean)?)
        })?;
        // Channels last, as pictures are.
        let shape = self.design().shape;
        let area = shape.height * shape.width;
        Ok(made
            .chunks_exact(shape.len())
            .flat_map(|picture| {
                (0..shape.len())
                    .map(move |i| picture[i % shape.channels * area + i / shape.channels])
            })
            .collect())
    }

    /// The encoder half, as a file that indexes and queries take.
    ///
    /// # Errors
    ///
    /// [`Error::Training`] where the parameters cannot be read, [`Error::Encoder`] where they
    /// are not finite numbers.
    pub fn encoder_file(&self, identity: &Identity) -> Result<EncoderFile> {
        let design = self.design();
        if design.shape.is_features() {
            return Err(Error::InvalidInput(
                "an autoencoder on features is written behind the trunk that computes them"
                    .to_owned(),
            ));
        }
        let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
        let (width, height) = (side(design.shape.width), side(design.shape.height));
        let resize = if width == height {
            Resize::ShortSideCrop { short: width }
        } else {
            Resize::Squash
        };
        let info = self.describe(EncoderInfo::new(width, height, resize), identity);
        export::encoder_file(&self.network, self.hash.as_ref(), &info)
    }

    /// Fills in what this autoencoder decides about its encoder.
    fn describe(&self, mut info: EncoderInfo, identity: &Identity) -> EncoderInfo {
        info.name.clone_from(&identity.name);
        info.kind = self.design().kind();
        info.code_len = self.design().code_len;
        info.bits = self.bits();
        info.hash_weight = self.hash_weight;
        info.training = self.training(identity);
        info
    }

    fn bits(&self) -> usize {
        match &self.hash {
            Some(hash) => hash.bias.len(),
            None => self.design().twin_bits,
        }
    }

    fn training(&self, identity: &Identity) -> String {
        let mut training = serde_json::to_value(&self.record).unwrap_or_default();
        // The same seed gives the same file, and no two runs are equally fast.
        for epoch in training["epochs"].as_array_mut().into_iter().flatten() {
            if let Some(epoch) = epoch.as_object_mut() {
                epoch.remove("rate");
            }
        }
        training["data"] = identity.training_data.clone().into();
        training.to_string()
    }

    /// The encoder half of an autoencoder on features, behind the trunk of `base`, which computed
    /// them; `scaling` is the one that it was trained with.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] where the trunk has other features, [`Error::Training`] where the
    /// parameters cannot be read, [`Error::Encoder`] where they are not finite numbers.
    pub fn encoder_file_behind(
        &self,
        base: &EncoderFile,
        scaling: &Scaling,
        identity: &Identity,
    ) -> Result<EncoderFile> {
        let design = self.design();
        if !design.shape.is_features() || base.info().feature_len != Some(design.shape.len()) {
            return Err(Error::InvalidInput(format!(
                "the autoencoder was trained on {} numbers, and {:?} has features of {:?}",
                design.shape.len(),
                base.info().name,
                base.info().feature_len
            )));
        }
        let info = self.describe(base.info().clone(), identity);
        export::encoder_file_behind(&self.network, self.hash.as_ref(), base, scaling, &info)
    }

    /// The decoder half, as an ONNX file: from `code`, and `hash` where there are twins, to
    /// `pictures`, float32 `[n, height, width, channels]` from 0 to 1. It says which encoder it
    /// belongs to.
    ///
    /// # Errors
    ///
    /// [`Error::Training`] where the parameters cannot be read.
    pub fn decoder_file(&self, encoder: &EncoderFile) -> Result<Vec<u8>> {
        decoder_bytes(&self.network, encoder)
    }
}

/// The file of a network's decoder half, for an encoder.
fn decoder_bytes(network: &Network, encoder: &EncoderFile) -> Result<Vec<u8>> {
    let mut model = export::decoder_model(network)?;
    model.metadata_props.push(StringStringEntryProto {
        key: Some(DECODER_OF.to_owned()),
        value: Some(encoder.info().fingerprint.clone()),
    });
    Ok(model.encode_to_vec())
}

/// Pictures that main components are computed of; more change little.
const MOST_FOR_COMPONENTS: usize = 20_000;

/// The most numbers in a picture that main components are computed for: it takes their cube.
const MOST_NUMBERS: usize = 2_048;

/// The squared error of a held-out picture that `k` main components of the others leave, on
/// average: what an autoencoder has to beat. None where pictures have more than 2,048 numbers.
///
/// # Errors
///
/// [`Error::InvalidInput`] where there are too few pictures for `k` components.
pub fn component_error(
    pictures: &Pictures<'_>,
    held_out: &Pictures<'_>,
    k: usize,
) -> Result<Option<f64>> {
    let d = pictures.shape().len();
    if d > MOST_NUMBERS {
        return Ok(None);
    }
    let numbers = |pictures: &Pictures<'_>, n: usize| -> Vec<f32> {
        let evenly: Vec<usize> = (0..n).map(|i| i * pictures.len() / n).collect();
        pictures.numbers(&evenly)
    };
    let n = pictures.len().min(MOST_FOR_COMPONENTS);
    let pca = Pca::fit(&numbers(pictures, n), n, d, k)?;
    let own = numbers(held_out, held_out.len());
    let kept = pca.project(&own, held_out.len());
    let mut left = 0.0;
    for (row, code) in own.chunks_exact(d).zip(kept.chunks_exact(k)) {
        let centred = row.iter().zip(&pca.mean);
        left += centred
            .map(|(v, mean)| f64::from(v - mean).powi(2))
            .sum::<f64>();
        left -= code.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
    }
    Ok(Some(left / held_out.len() as f64))
}
