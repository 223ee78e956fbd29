//! Texts become codes through a text tower and the head of the index's encoder.
//!
//! The two towers of a model like CLIP put images and texts into one space, but not into one place: all images lie
//! in one narrow cone, and all texts in another (the modality gap; Liang et al. 2022). A head that was trained on
//! images knows their cone only. So a text is moved by the difference of the two means before the head sees it.

use std::sync::{Mutex, PoisonError};

use imgsearch_onnx::{FeatureEncoder, Runtime, SessionOptions, TextEncoder};

use crate::encode::engine::Encoded;
use crate::error::{Error, Result};
use crate::library::{Library, tower_copy};

/// What encodes texts: a text tower, and the head behind it.
#[derive(Debug)]
pub(crate) struct Tower(Mutex<Parts>);

#[derive(Debug)]
struct Parts {
    texts: TextEncoder,
    head: FeatureEncoder,
    /// The mean of images minus that of texts; empty if one of them is not known.
    shift: Vec<f32>,
}

impl Library {
    /// Returns the code and the hash of a text, as if it were an image that shows what the text says. They can be
    /// searched for like an image's. Distances between a text and images are larger than between images, so
    /// similarities that were measured for images do not hold.
    ///
    /// # Errors
    ///
    /// [`Error::NoTextTower`] if the encoder knows no texts, or if its text tower is missing; [`Error::Encoder`] if
    /// the text is blank or cannot be encoded.
    pub fn text_to_encoded(&self, text: &str) -> Result<Encoded> {
        if text.trim().is_empty() {
            return Err(imgsearch_onnx::Error::InvalidInput("the text is empty".to_owned()).into());
        }
        let tower = match self.tower.get() {
            Some(tower) => tower,
            None => {
                let opened = Tower::open(self)?;
                self.tower.get_or_init(|| opened)
            }
        };
        tower.encode(text)
    }
}

impl Tower {
    fn open(library: &Library) -> Result<Self> {
        let file = library.encoder_file()?;
        let info = file.info();
        let lacking = |reason: &str| Error::NoTextTower {
            name: info.name.clone(),
            reason: reason.to_owned(),
        };
        if info.text_tower.is_none() {
            return Err(lacking("was not imported with a text model"));
        }
        let tower = tower_copy::load(library.dir(), file)?.ok_or_else(|| {
            lacking("has a text tower, which is missing beside it and in the index")
        })?;
        if info.feature_len != Some(tower.info().dim) {
            return Err(lacking("has other features than its text tower"));
        }
        let runtime = Runtime::load(&library.engine_options().runtime())?;
        let mut options = SessionOptions::default();
        options.threads = library.engine_options().worker_threads();
        let shift = match &info.feature_mean {
            Some(images) => images
                .iter()
                .zip(&tower.info().mean)
                .map(|(a, b)| a - b)
                .collect(),
            None => Vec::new(),
        };
        Ok(Self(Mutex::new(Parts {
            texts: TextEncoder::new(&tower, runtime, &options)?,
            head: FeatureEncoder::new(file, runtime)?,
            shift,
        })))
    }

    fn encode(&self, text: &str) -> Result<Encoded> {
        // A panic in another thread leaves the sessions as they were before the call.
        let mut parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut features = parts.texts.encode(&[text])?;
        for (value, shift) in features.iter_mut().zip(&parts.shift) {
            *value += shift;
        }
        let norm = features
            .iter()
            .map(|value| value * value)
            .sum::<f32>()
            .sqrt();
        features
            .iter_mut()
            .for_each(|value| *value /= norm.max(f32::MIN_POSITIVE));
        let encodings = parts.head.encode(&features, 1)?;
        Ok(Encoded::of_code(
            encodings.code(0).to_vec(),
            encodings.logits(0).to_vec(),
        ))
    }
}
