//! What an autoencoder is made of, how it is trained, and which of it fits together.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The shape of a picture that goes in and comes out.
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
    /// The shape of features: one pixel of so many channels.
    pub fn features(d: usize) -> Self {
        Self {
            height: 1,
            width: 1,
            channels: d,
        }
    }

    /// Whether this is the shape of features.
    pub fn is_features(&self) -> bool {
        self.height == 1 && self.width == 1
    }

    /// Numbers in a picture.
    pub fn len(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The layers between the pixels and the code. The decoder has the same, mirrored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layers {
    /// Fully connected, of so many rectified units each.
    Dense(Vec<usize>),
    /// Convolutions of 3 by 3 with a stride of 2 and so many channels each, rectified.
    Convolutional(Vec<usize>),
}

/// What the input is spoiled with; the clean one is to be reconstructed (Vincent et al. 2008).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Noise {
    /// A normal number of this deviation is added to each pixel, whose range is 0 to 1.
    Gaussian(f64),
    /// This share of the pixels is set to 0.
    Masking(f64),
}

/// What keeps most of the code near nothing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sparsity {
    /// The sum of the code's absolute values.
    L1 {
        /// Its weight.
        weight: f64,
    },
    /// The Kullback-Leibler divergence of each unit's mean activation in a batch from a target
    /// (Ng 2011). The code goes through the logistic function then.
    Kl {
        /// The mean activation that is sought, between 0 and 1.
        target: f64,
        /// Its weight.
        weight: f64,
    },
}

/// What reconstructing badly costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// The squared error, summed over a picture.
    Mse,
    /// The binary cross-entropy, summed over a picture.
    Bce,
    /// One minus the cosine, times the numbers in a picture.
    Cosine,
}

/// An autoencoder. Kinds of the field are what one part each switches on, and combine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Design {
    /// The pictures.
    pub shape: Shape,
    /// The layers.
    pub layers: Layers,
    /// Numbers in the code.
    pub code_len: usize,
    /// What reconstructing badly costs.
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
    /// Twin bottleneck: so many bits beside the code, learned with it through a straight-through
    /// estimator (Bengio et al. 2013). 0 for none: the hash is then made from the code afterwards.
    pub twin_bits: usize,
    /// Weight of the term that keeps the neighbourhoods of the pixels. 0 for none.
    pub neighbourhood: f64,
    /// Weight of the two-view term: the code tells a moved copy of its own picture from the rest of
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

    /// Convolutions of 16, 32 and 64 channels.
    pub fn convolutional(shape: Shape) -> Self {
        Self {
            layers: Layers::Convolutional(vec![16, 32, 64]),
            ..Self::deep(shape)
        }
    }

    /// In words, for people.
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
        let on = if self.shape.is_features() {
            "on a pretrained trunk"
        } else {
            "on pixels"
        };
        format!("{} autoencoder {on}", words.join(" "))
    }

    /// Refuses what cannot be built or does not fit together.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`].
    pub fn check(&self) -> Result<()> {
        let refuse = |what: String| Err(Error::InvalidInput(what));
        let Shape {
            height,
            width,
            channels,
        } = self.shape;
        let features = self.shape.is_features();
        if features && matches!(self.layers, Layers::Convolutional(_)) {
            return refuse(
                "features have no neighbouring pixels: a convolutional autoencoder takes pictures"
                    .to_owned(),
            );
        }
        if features && self.loss == Loss::Bce {
            return refuse(
                "the binary cross-entropy takes numbers from 0 to 1, which features are not: use mse or cosine".to_owned(),
            );
        }
        if !features && (!(4..=256).contains(&height) || !(4..=256).contains(&width)) {
            return refuse(format!(
                "pictures of {width} by {height} pixels: autoencoders on pixels take 4 to 256"
            ));
        }
        if !features && channels != 1 && channels != 3 {
            return refuse(format!(
                "pictures of {channels} channels: there are 1 (grey) and 3 (colour)"
            ));
        }
        let (sizes, most) = match &self.layers {
            Layers::Dense(sizes) => (sizes, 16),
            Layers::Convolutional(sizes) => (sizes, height.min(width).max(1).ilog2() as usize),
        };
        if sizes.contains(&0) || sizes.len() > most {
            return refuse(format!(
                "layers of {sizes:?} units: each must have some, and there can be at most {most}"
            ));
        }
        if matches!(self.layers, Layers::Convolutional(_)) && sizes.is_empty() {
            return refuse("a convolutional autoencoder needs at least one layer".to_owned());
        }
        if matches!(self.layers, Layers::Convolutional(_)) && height != width {
            return refuse(format!(
                "pictures of {width} by {height} pixels: convolutional autoencoders take square ones"
            ));
        }
        if self.code_len == 0 || self.code_len > self.shape.len() {
            return refuse(format!(
                "a code of {} numbers for pictures of {}: it must have between 1 and as many",
                self.code_len,
                self.shape.len()
            ));
        }
        let weights = [
            ("contraction", Some(self.contraction)),
            ("beta", self.beta),
            ("neighbourhood", Some(self.neighbourhood)),
            ("two-view term", Some(self.two_view)),
            ("coding rate", Some(self.coding_rate)),
            (
                "sparsity",
                self.sparsity.map(|sparsity| match sparsity {
                    Sparsity::L1 { weight } | Sparsity::Kl { weight, .. } => weight,
                }),
            ),
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
                "a mean activation of {target} is sought, and it must lie between 0 and 1"
            ));
        }
        match self.noise {
            Some(Noise::Gaussian(deviation)) if !(deviation > 0.0 && deviation.is_finite()) => {
                return refuse(format!(
                    "noise of deviation {deviation}: it must be above 0"
                ));
            }
            Some(Noise::Masking(share)) if !(share > 0.0 && share < 1.0) => {
                return refuse(format!(
                    "a share of {share} of the pixels masked: it must lie between 0 and 1"
                ));
            }
            _ => {}
        }
        if self.beta.is_some() && self.sparsity.is_some() {
            return refuse(
                "variational and sparse do not go together: the one spreads the code over a normal distribution, the \
                 other keeps it near nothing"
                    .to_owned(),
            );
        }
        if self.beta.is_some() && self.twin_bits > 0 {
            return refuse(
                "variational and twin bottleneck do not go together: the bits would carry what the code's noise hides"
                    .to_owned(),
            );
        }
        if self.beta.is_some() && self.loss == Loss::Cosine {
            return refuse(
                "a variational autoencoder needs a likelihood, and the cosine is none: use mse or bce".to_owned(),
            );
        }
        Ok(())
    }
}

/// How training goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// Passes over the pictures.
    pub epochs: usize,
    /// Pictures in a batch.
    pub batch: usize,
    /// The largest learning rate.
    pub learning_rate: f64,
    /// Training ends when so many passes in a row brought nothing on the held-out pictures.
    pub patience: usize,
    /// What everything random is drawn with.
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
    /// Refuses what cannot be done.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`].
    pub fn check(&self) -> Result<()> {
        if self.epochs == 0 || self.batch < 2 {
            return Err(Error::InvalidInput(format!(
                "{} passes of batches of {}: there must be at least one of two",
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
