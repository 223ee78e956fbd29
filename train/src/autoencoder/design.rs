//! What an autoencoder is made of, how it is trained, and which of it fits together.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The shape of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Pixels from top to bottom.
    pub height: usize,
    /// Pixels from left to right.
    pub width: usize,
    /// 1 for grey, 3 for colour.
    pub channels: usize,
}

impl Shape {
    /// Returns the shape of features: one pixel of `d` channels.
    pub fn features(d: usize) -> Self {
        Self {
            height: 1,
            width: 1,
            channels: d,
        }
    }

    /// Returns whether this is the shape of features.
    pub fn is_features(&self) -> bool {
        self.height == 1 && self.width == 1
    }

    /// Returns the numbers in a sample.
    pub fn len(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The layers between the pixels and the code. The decoder has the same, mirrored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layers {
    /// Fully connected layers, with the number of rectified units of each.
    Dense(Vec<usize>),
    /// Convolutions of 3 by 3 with a stride of 2, with the number of rectified channels of each.
    Convolutional(Vec<usize>),
}

/// How the input is corrupted. The clean input is reconstructed (Vincent et al. 2008).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Noise {
    /// A normal number of this deviation is added to each pixel, whose range is 0 to 1.
    Gaussian(f64),
    /// This share of the pixels is set to 0.
    Masking(f64),
}

/// A sparsity penalty of the code.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sparsity {
    /// L1: the sum of the absolute values.
    L1 {
        /// Its weight.
        weight: f64,
    },
    /// The Kullback-Leibler divergence of each unit's mean activation in a batch from a target
    /// (Ng 2011). The code then goes through the logistic function.
    Kl {
        /// The target of the mean activation, between 0 and 1.
        target: f64,
        /// Its weight.
        weight: f64,
    },
}

/// The reconstruction loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// The squared error, summed over an image.
    Mse,
    /// The binary cross-entropy, summed over an image.
    Bce,
    /// One minus the cosine, times the numbers in an image.
    Cosine,
    /// The cross-entropy of the softmax, for counts of words: a document is a distribution over the words
    /// (Hinton and Salakhutdinov 2006).
    Softmax,
}

/// The design of an autoencoder. Each part switches on a kind, and kinds combine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Design {
    /// The images.
    pub shape: Shape,
    /// The layers.
    pub layers: Layers,
    /// Numbers in the code.
    pub code_len: usize,
    /// The reconstruction loss.
    pub loss: Loss,
    /// Denoising.
    pub noise: Option<Noise>,
    /// Sparse.
    pub sparsity: Option<Sparsity>,
    /// Contractive: the weight of the squared Frobenius norm of the encoder's Jacobian (Rifai et
    /// al. 2011). 0 for none.
    pub contraction: f64,
    /// Variational: the weight of the divergence from the standard normal distribution (Kingma
    /// and Welling 2014, Higgins et al. 2017). The code is the mean.
    pub beta: Option<f64>,
    /// Twin bottleneck: the number of bits that are learned together with the code, through a
    /// straight-through estimator (Bengio et al. 2013). 0 for none: the hash is then made from the code
    /// after training.
    pub twin_bits: usize,
    /// Weight of the term that keeps the neighbourhoods of the pixels. 0 for none.
    pub neighbourhood: f64,
    /// Weight of the two-view term: the code tells a moved copy of its own image from the rest of
    /// the batch (Chen et al. 2020). 0 for none.
    pub two_view: f64,
    /// Weight of the coding rate, which keeps codes apart (Yu et al. 2020). 0 for none.
    pub coding_rate: f64,
}

impl Design {
    /// A deep autoencoder of 1000, 500 and 250 units down to 30 numbers (Hinton and Salakhutdinov
    /// 2006).
    pub fn deep(shape: Shape) -> Self {
        Self {
            shape,
            layers: Layers::Dense(vec![1000, 500, 250]),
            code_len: 30,
            loss: Loss::Mse,
            noise: None,
            sparsity: None,
            contraction: 0.0,
            beta: None,
            twin_bits: 0,
            neighbourhood: 0.0,
            two_view: 0.0,
            coding_rate: 0.0,
        }
    }

    /// A deep autoencoder of counts of `words` words: 500, 250 and 125 units down to 30 numbers, as Hinton and
    /// Salakhutdinov (2006) have for documents.
    pub fn words(words: usize) -> Self {
        Self {
            layers: Layers::Dense(vec![500, 250, 125]),
            loss: Loss::Softmax,
            ..Self::deep(Shape::features(words))
        }
    }

    /// Convolutions of 16, 32 and 64 channels.
    pub fn convolutional(shape: Shape) -> Self {
        Self {
            layers: Layers::Convolutional(vec![16, 32, 64]),
            ..Self::deep(shape)
        }
    }

    /// Returns the kind, for people.
    pub fn kind(&self) -> String {
        let mut words = Vec::new();
        let mut add = |is: bool, word: &'static str| {
            if is {
                words.push(word);
            }
        };
        add(self.twin_bits > 0, "twin bottleneck");
        add(self.beta.is_some(), "variational");
        add(self.sparsity.is_some(), "sparse");
        add(self.noise.is_some(), "denoising");
        add(self.contraction > 0.0, "contractive");
        match &self.layers {
            Layers::Convolutional(_) => words.push("convolutional"),
            Layers::Dense(sizes) if sizes.len() <= 1 => words.push("simple"),
            Layers::Dense(_) => words.push("deep"),
        }
        let on = if self.loss == Loss::Softmax {
            "on counts of words"
        } else if self.shape.is_features() {
            "on a pretrained trunk"
        } else {
            "on pixels"
        };
        format!("{} autoencoder {on}", words.join(" "))
    }

    /// Checks that the design can be built and that its parts fit together.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`].
    pub fn check(&self) -> Result<()> {
        self.check_shape()?;
        self.check_layers()?;
        self.check_weights()?;
        self.check_combination()
    }

    fn check_shape(&self) -> Result<()> {
        let Shape {
            height,
            width,
            channels,
        } = self.shape;
        if self.loss == Loss::Softmax && !self.shape.is_features() {
            return refuse(
                "the cross-entropy of the softmax is for counts of words, not for images",
            );
        }
        if self.shape.is_features() {
            if matches!(self.layers, Layers::Convolutional(_)) {
                return refuse(
                    "features have no neighbouring pixels: a convolutional autoencoder takes images",
                );
            }
            if self.loss == Loss::Bce {
                return refuse(
                    "the binary cross-entropy takes numbers from 0 to 1, which features are not: use mse or cosine",
                );
            }
            return Ok(());
        }
        if !(4..=256).contains(&height) || !(4..=256).contains(&width) {
            return refuse(format!(
                "images of {width} by {height} pixels: autoencoders on pixels take 4 to 256"
            ));
        }
        if channels != 1 && channels != 3 {
            return refuse(format!(
                "images of {channels} channels: there are 1 (grey) and 3 (colour)"
            ));
        }
        Ok(())
    }

    fn check_layers(&self) -> Result<()> {
        let Shape { height, width, .. } = self.shape;
        let (sizes, max) = match &self.layers {
            Layers::Dense(sizes) => (sizes, 16),
            Layers::Convolutional(sizes) => (sizes, height.min(width).max(1).ilog2() as usize),
        };
        if sizes.contains(&0) || sizes.len() > max {
            return refuse(format!(
                "layers of {sizes:?} units: each must have some, and there can be at most {max}"
            ));
        }
        if matches!(self.layers, Layers::Convolutional(_)) && sizes.is_empty() {
            return refuse("a convolutional autoencoder needs at least one layer");
        }
        if matches!(self.layers, Layers::Convolutional(_)) && height != width {
            return refuse(format!(
                "images of {width} by {height} pixels: convolutional autoencoders take square ones"
            ));
        }
        if self.code_len == 0 || self.code_len > self.shape.len() {
            return refuse(format!(
                "a code of {} numbers for samples of {}: it needs at least one number and at most that many",
                self.code_len,
                self.shape.len()
            ));
        }
        Ok(())
    }

    fn check_weights(&self) -> Result<()> {
        let sparsity = self.sparsity.map(|sparsity| match sparsity {
            Sparsity::L1 { weight } | Sparsity::Kl { weight, .. } => weight,
        });
        let weights = [
            ("contraction", Some(self.contraction)),
            ("beta", self.beta),
            ("neighbourhood", Some(self.neighbourhood)),
            ("two-view term", Some(self.two_view)),
            ("coding rate", Some(self.coding_rate)),
            ("sparsity", sparsity),
        ];
        for (name, weight) in weights {
            if let Some(weight) = weight
                && !(weight.is_finite() && weight >= 0.0)
            {
                return refuse(format!(
                    "the weight of the {name} is {weight} and must be 0 or more"
                ));
            }
        }
        if let Some(Sparsity::Kl { target, .. }) = self.sparsity
            && !(target > 0.0 && target < 1.0)
        {
            return refuse(format!(
                "the target of the mean activation is {target} and must be between 0 and 1"
            ));
        }
        match self.noise {
            Some(Noise::Gaussian(deviation)) if !(deviation > 0.0 && deviation.is_finite()) => {
                refuse(format!(
                    "noise of deviation {deviation}: it must be above 0"
                ))
            }
            Some(Noise::Masking(share)) if !(share > 0.0 && share < 1.0) => refuse(format!(
                "a share of {share} of the pixels masked: it must be between 0 and 1"
            )),
            _ => Ok(()),
        }
    }

    fn check_combination(&self) -> Result<()> {
        if self.beta.is_none() {
            return Ok(());
        }
        if self.sparsity.is_some() {
            return refuse(
                "variational and sparse do not go together: the one spreads the code over a normal distribution, the \
                 other keeps it near zero",
            );
        }
        if self.twin_bits > 0 {
            return refuse(
                "variational and twin bottleneck do not go together: the bits would carry what the code's noise hides",
            );
        }
        if matches!(self.loss, Loss::Cosine | Loss::Softmax) {
            return refuse(
                "a variational autoencoder needs the likelihood of each number: use mse or bce",
            );
        }
        Ok(())
    }
}

fn refuse(reason: impl Into<String>) -> Result<()> {
    Err(Error::InvalidInput(reason.into()))
}

/// The schedule of a training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// Passes over the images.
    pub epochs: usize,
    /// Images in a batch.
    pub batch: usize,
    /// The maximum learning rate.
    pub learning_rate: f64,
    /// Training ends after this number of epochs without progress on the held-out samples.
    pub patience: usize,
    /// Seed of all random numbers.
    pub seed: u64,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            epochs: 30,
            batch: 128,
            learning_rate: 1e-3,
            patience: 8,
            seed: 0,
        }
    }
}

impl Schedule {
    /// Checks the schedule.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`].
    pub fn check(&self) -> Result<()> {
        if self.epochs == 0 || self.batch < 2 {
            return Err(Error::InvalidInput(format!(
                "{} epochs of batches of {}: there must be at least one of two",
                self.epochs, self.batch
            )));
        }
        if !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) {
            return Err(Error::InvalidInput(format!(
                "a learning rate of {}: it must be above 0",
                self.learning_rate
            )));
        }
        Ok(())
    }
}

/// What to train and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// The autoencoder.
    pub design: Design,
    /// The schedule of its training.
    pub schedule: Schedule,
    /// Bits of the hash. It is made from the codes after training: principal components, rotated by
    /// iterative quantisation and split at their medians. A twin bottleneck brings its own bits, and
    /// this number is ignored.
    pub bits: usize,
}
