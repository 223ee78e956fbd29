//! Trained autoencoders, and the files that they are written to.

use std::ops::ControlFlow;
use std::path::Path;

use candle_core::Tensor;
use imgsearch_onnx::{EncoderFile, EncoderInfo, EncoderResize};
use serde::Serialize;

use super::design::{Design, Loss, Recipe, Schedule};
use super::epoch::Epoch;
use super::export::{self, HashLayer};
use super::fit::{self, Fitted};
use super::hash;
use super::network::Network;
use super::objective;
use super::samples::{AT_ONCE, Samples, Scaling};
use crate::error::{Error, Result};
use crate::head::Identity;

/// The minimum number of samples to train an autoencoder on.
pub const MIN_IMAGES: usize = 16;

/// The maximum number of codes that the hash is made from. More change nothing.
const MAX_FOR_HASH: usize = 50_000;

/// A trained autoencoder.
#[derive(Debug)]
pub struct Autoencoder {
    pub(super) network: Network,
    hash: Option<HashLayer>,
    hash_weight: f32,
    record: Record,
}

/// How an autoencoder was trained. Stored in its file.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Record {
    /// The design.
    pub design: Design,
    /// The schedule.
    pub schedule: Schedule,
    /// Number of samples trained on.
    #[serde(rename = "pictures")]
    pub samples: usize,
    /// Images held out.
    pub held_out: usize,
    /// Every pass.
    pub epochs: Vec<Epoch>,
    /// The pass whose parameters were kept.
    pub best: usize,
}

/// Trains an autoencoder. `progress` gets the report of every epoch and can end the training early; the
/// best that was learned so far is kept.
///
/// The same samples, recipe and seed give the same autoencoder on the same machine.
///
/// # Errors
///
/// [`Error::InvalidInput`] if there are fewer than [`MIN_IMAGES`] samples or no held-out ones, if shapes
/// differ, and for what [`Design::check`] and [`Schedule::check`] refuse; [`Error::Training`] if the loss
/// diverges.
pub fn train(
    samples: &Samples<'_>,
    held_out: &Samples<'_>,
    recipe: &Recipe,
    progress: &mut dyn FnMut(&Epoch) -> ControlFlow<()>,
) -> Result<Autoencoder> {
    train_from(samples, held_out, recipe, None, progress)
}

/// Trains as [`train`] does, and writes the state of the run to the file `checkpoint` after every epoch.
/// If that file exists, the run resumes from it and ends as if it had never been interrupted.
///
/// # Errors
///
/// The errors of [`train`]; [`Error::InvalidInput`] if the file cannot be read or belongs to another run,
/// and [`Error::Training`] if it cannot be written.
pub fn train_from(
    samples: &Samples<'_>,
    held_out: &Samples<'_>,
    recipe: &Recipe,
    checkpoint: Option<&Path>,
    progress: &mut dyn FnMut(&Epoch) -> ControlFlow<()>,
) -> Result<Autoencoder> {
    let Recipe {
        design,
        schedule,
        bits,
    } = recipe;
    let bits = *bits;
    design.check()?;
    schedule.check()?;
    if samples.shape() != design.shape || held_out.shape() != design.shape {
        return Err(Error::InvalidInput(format!(
            "images of {:?} and {:?} for an autoencoder of {:?}",
            samples.shape(),
            held_out.shape(),
            design.shape
        )));
    }
    let are_words = samples.are_words() && held_out.are_words();
    if (design.loss == Loss::Softmax) != are_words {
        return Err(Error::InvalidInput(
            "counts of words are trained on with the cross-entropy of the softmax, and nothing else is"
                .to_owned(),
        ));
    }
    if samples.len() < MIN_IMAGES || held_out.is_empty() {
        return Err(Error::InvalidInput(format!(
            "{} images to train on and {} held out: at least {MIN_IMAGES} and one are needed",
            samples.len(),
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
    } = fit::fit(recipe, samples, held_out, checkpoint, progress)?;
    let mut autoencoder = Autoencoder {
        network,
        hash: None,
        hash_weight: 0.0,
        record: Record {
            design: design.clone(),
            schedule: schedule.clone(),
            samples: samples.len(),
            held_out: held_out.len(),
            epochs,
            best,
        },
    };
    autoencoder.add_hash(samples, bits, schedule.seed)?;
    Ok(autoencoder)
}

impl Autoencoder {
    fn add_hash(&mut self, samples: &Samples<'_>, bits: usize, seed: u64) -> Result<()> {
        let n = samples.len().min(MAX_FOR_HASH);
        let code_len = self.design().code_len;
        let evenly: Vec<usize> = (0..n).map(|i| i * samples.len() / n).collect();
        let codes = self.codes_of(samples, &evenly)?;
        self.hash_weight = hash::weight(&codes, code_len, seed);
        if self.design().twin_bits > 0 {
            return Ok(());
        }
        self.hash = Some(hash::layer(&codes, code_len, (bits, seed))?);
        Ok(())
    }

    /// Returns the design.
    pub fn design(&self) -> &Design {
        &self.network.design
    }

    /// Returns how it was trained.
    pub fn record(&self) -> &Record {
        &self.record
    }

    fn codes_of(&self, samples: &Samples<'_>, places: &[usize]) -> Result<Vec<f32>> {
        self.through(samples, places, |network, clean| {
            Ok(network.encode(clean, None)?.code)
        })
    }

    fn through(
        &self,
        samples: &Samples<'_>,
        places: &[usize],
        of: impl Fn(&Network, &Tensor) -> candle_core::Result<Tensor>,
    ) -> Result<Vec<f32>> {
        let mut all = Vec::new();
        for places in places.chunks(AT_ONCE) {
            let made = samples
                .tensor(places)
                .and_then(|clean| of(&self.network, &clean)?.flatten_all()?.to_vec1::<f32>());
            all.extend(made.map_err(|error| Error::Training(error.to_string()))?);
        }
        Ok(all)
    }

    /// Returns the codes of samples, `[n, code_len]`.
    ///
    /// # Errors
    ///
    /// [`Error::Training`] if the numbers cannot be computed.
    pub fn codes(&self, samples: &Samples<'_>) -> Result<Vec<f32>> {
        self.codes_of(samples, &(0..samples.len()).collect::<Vec<_>>())
    }

    /// Returns the squared error of reconstructing a sample from its code, on average. It is summed over
    /// the numbers of a sample, which are from 0 to 1 for pixels.
    ///
    /// # Errors
    ///
    /// [`Error::Training`] if the numbers cannot be computed.
    pub fn squared_error(&self, samples: &Samples<'_>) -> Result<f64> {
        let all: Vec<usize> = (0..samples.len()).collect();
        let errors = self.through(samples, &all, |network, clean| {
            let logits = fit::rebuilt(network, clean)?;
            objective::squared_error(self.design(), &logits, clean)
        })?;
        Ok(errors.iter().map(|&error| f64::from(error)).sum::<f64>() / all.len() as f64)
    }

    /// Reconstructs each sample from its code: `[n, height, width, channels]`, from 0 to 1 for pixels;
    /// scaled for features.
    ///
    /// # Errors
    ///
    /// [`Error::Training`] if the numbers cannot be computed.
    pub fn reconstruct(&self, samples: &Samples<'_>) -> Result<Vec<f32>> {
        let all: Vec<usize> = (0..samples.len()).collect();
        let made = self.through(samples, &all, |network, clean| {
            objective::output(&network.design, &fit::rebuilt(network, clean)?)
        })?;
        // Channels last, as images are.
        let shape = self.design().shape;
        let area = shape.height * shape.width;
        Ok(made
            .chunks_exact(shape.len())
            .flat_map(|image| {
                (0..shape.len()).map(move |i| image[i % shape.channels * area + i / shape.channels])
            })
            .collect())
    }

    /// Returns the encoder half, as a file that an index takes.
    ///
    /// # Errors
    ///
    /// [`Error::Training`] if the parameters cannot be read, [`Error::Encoder`] if they
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
            EncoderResize::ShortSideCrop { short: width }
        } else {
            EncoderResize::Squash
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
        // That of the trunk was measured with other codes.
        info.similarity = None;
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
        // The same seed gives the same file, but two runs never take the same time.
        for epoch in training["epochs"].as_array_mut().into_iter().flatten() {
            if let Some(epoch) = epoch.as_object_mut() {
                epoch.remove("rate");
            }
        }
        training["data"] = identity.training_data.clone().into();
        training.to_string()
    }

    /// Returns the encoder half of an autoencoder on features, behind the trunk of `base`, which computed
    /// them. `scaling` is the one that it was trained with.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if the trunk has other features, [`Error::Training`] if the
    /// parameters cannot be read, [`Error::Encoder`] if they are not finite numbers.
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

    /// Returns the decoder half, as an ONNX file. It maps `code`, and `hash` with a twin bottleneck, to
    /// `pictures`, float32 `[n, height, width, channels]` from 0 to 1, and names the encoder that it
    /// belongs to.
    ///
    /// # Errors
    ///
    /// [`Error::Training`] if the parameters cannot be read.
    pub fn decoder_file(&self, encoder: &EncoderFile) -> Result<Vec<u8>> {
        export::decoder_bytes(&self.network, encoder)
    }
}
