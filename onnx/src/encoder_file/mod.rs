//! Encoder files: what they declare, and how they are checked.
//!
//! One ONNX file is one encoder and carries its own preprocessing. Its input is `images`. Its outputs are
//! `code` and `hash`, and `features` if it has a trunk. A file with `features` alone is a trunk, to train
//! on. Metadata under keys that start with `imgsearch.` describe what the graph cannot.

mod check;
mod info;
mod metadata;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use prost::Message as _;

pub use info::{
    CLASS_LOGITS, CODE, ClassList, DEFAULT_HASH_WEIGHT, EncoderInfo, EncoderResize, FEATURES,
    FORMAT_VERSION, HASH, INPUT,
};

pub(crate) use check::tensor_of;
pub(crate) use metadata::{is_fingerprint, numbers, parse_numbers};

use check::check;
use info::{Fingerprint, contract};
use metadata::write_metadata;

use crate::error::{Error, Result};
use crate::graph_edit::{CLASSES, MIN_NORM, Side, constant, value};
use crate::proto::{GraphProto, ModelProto, ModelWords, data_type};
use crate::read::{MAX_MODEL_BYTES, read_whole};
use crate::similarity::SimilarityMap;

/// The built-in encoder's file.
static DEFAULT: &[u8] = include_bytes!("../../model/default.onnx");

/// An encoder file, checked.
#[derive(Clone)]
pub struct EncoderFile {
    bytes: Bytes,
    info: EncoderInfo,
    /// Where it was read from.
    path: Option<PathBuf>,
}

/// The bytes of an encoder's file.
#[derive(Clone)]
enum Bytes {
    BuiltIn,
    Own(Arc<[u8]>),
}

impl std::fmt::Debug for EncoderFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EncoderFile")
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

impl EncoderFile {
    /// Reads and checks a file.
    ///
    /// # Errors
    ///
    /// [`Error::Io`](crate::Error::Io) if it cannot be read, [`Error::Contract`](crate::Error::Contract) if it is no encoder.
    pub fn from_path(path: &Path) -> Result<Self> {
        let bytes = read_whole(path, MAX_MODEL_BYTES)?;
        let mut file = Self::from_bytes(bytes, &path.display().to_string())?;
        file.path = Some(path.to_owned());
        Ok(file)
    }

    /// Checks an encoder in memory; error messages use `name`.
    ///
    /// # Errors
    ///
    /// [`Error::Contract`](crate::Error::Contract) if it is no encoder.
    pub fn from_bytes(bytes: impl Into<Arc<[u8]>>, name: &str) -> Result<Self> {
        let bytes = bytes.into();
        let model = decode(&bytes, name)?;
        let info = check(&model, name, Fingerprint::Computed)?;
        Ok(Self {
            bytes: Bytes::Own(bytes),
            info,
            path: None,
        })
    }

    /// The encoder that is built in.
    ///
    /// # Errors
    ///
    /// [`Error::Contract`](crate::Error::Contract) if this program was built with a broken one.
    pub fn default_encoder() -> Result<Self> {
        const NAME: &str = "the built-in encoder";
        // A test compares its fingerprint with what it names. Doing so here would take a question
        // some milliseconds, each time.
        let info = check(&decode(DEFAULT, NAME)?, NAME, Fingerprint::Written)?;
        Ok(Self {
            bytes: Bytes::BuiltIn,
            info,
            path: None,
        })
    }

    /// Whether the built-in encoder has this fingerprint, without reading the whole of it.
    pub fn is_default(fingerprint: &str) -> bool {
        ModelWords::decode(DEFAULT).is_ok_and(|words| {
            words.metadata_props.iter().any(|entry| {
                entry.key.as_deref() == Some("imgsearch.fingerprint")
                    && entry.value.as_deref() == Some(fingerprint)
            })
        })
    }

    /// Writes a model with its metadata, and checks what was written.
    ///
    /// # Errors
    ///
    /// [`Error::Contract`](crate::Error::Contract) if the model breaks the contract.
    #[doc(hidden)]
    pub fn from_model(mut model: ModelProto, info: &EncoderInfo) -> Result<Self> {
        write_metadata(&mut model, info);
        Self::from_bytes(model.encode_to_vec(), &info.name)
    }

    /// Returns the same encoder with another similarity map, or with none. Its codes and its fingerprint stay.
    ///
    /// # Errors
    ///
    /// None in practice: the file was checked.
    pub fn with_similarity(&self, map: Option<SimilarityMap>) -> Result<Self> {
        let mut info = self.info.clone();
        info.similarity = map;
        let mut file = Self::from_model(self.model()?, &info)?;
        file.path.clone_from(&self.path);
        Ok(file)
    }

    /// Returns the file that it was read from, if it was read from one.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Returns the same encoder with the name of its list of classes, or with none. Its codes and its fingerprint
    /// stay. It declares none if it does not compute them.
    ///
    /// # Errors
    ///
    /// None in practice: the file was checked.
    pub fn with_classes(&self, classes: Option<ClassList>) -> Result<Self> {
        let mut info = self.info.clone();
        info.classes = classes;
        Self::from_model(self.model()?, &info)
    }

    /// Returns the file with one more output, [`CLASS_LOGITS`], if it declares classes.
    ///
    /// Messages of Protocol Buffers are merged by concatenation, so that a file of several megabytes need not be
    /// decoded and written again before each query.
    pub(crate) fn with_class_logits(&self) -> Cow<'_, [u8]> {
        let Some(classes) = self.info.classes.filter(|_| !self.info.is_trunk()) else {
            return Cow::Borrowed(self.bytes());
        };
        let sides = [Side::Open("n"), Side::Of(classes.count())];
        let output = value(CLASS_LOGITS, data_type::FLOAT, &sides);
        let graph = GraphProto {
            output: vec![output],
            ..GraphProto::default()
        };
        let addition = ModelProto {
            graph: Some(graph),
            ..ModelProto::default()
        };
        let mut bytes = Vec::with_capacity(self.bytes().len() + 128);
        bytes.extend_from_slice(self.bytes());
        bytes.extend_from_slice(&addition.encode_to_vec());
        Cow::Owned(bytes)
    }

    /// Returns features that point to the given classes: the weighted sum of the unit vectors along which the
    /// classifier looks for them. `shares` are numbers of classes with weights. `None` if the file declares no classes.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if there is no such class.
    pub fn features_of_classes(&self, shares: &[(u16, f32)]) -> Result<Option<Vec<f32>>> {
        let (Some(list), Some(d)) = (self.info.classes, self.info.feature_len) else {
            return Ok(None);
        };
        let count = list.count();
        let Some((shape, weights)) = constant(&self.model()?, CLASSES) else {
            return Ok(None);
        };
        if shape != [d, count] {
            return Ok(None);
        }
        let mut features = vec![0.0f32; d];
        for &(class, share) in shares {
            let class = usize::from(class);
            if class >= count {
                return Err(Error::InvalidInput(format!(
                    "there is no class {class} among {count}"
                )));
            }
            let column = weights[class..].iter().step_by(count);
            let norm = column
                .clone()
                .map(|value| value * value)
                .sum::<f32>()
                .sqrt();
            let factor = share / norm.max(MIN_NORM);
            for (feature, value) in features.iter_mut().zip(column) {
                *feature += factor * value;
            }
        }
        Ok(Some(features))
    }

    /// Returns what it declares.
    pub fn info(&self) -> &EncoderInfo {
        &self.info
    }

    /// Returns the file's bytes.
    pub fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::BuiltIn => DEFAULT,
            Bytes::Own(bytes) => bytes,
        }
    }

    /// Decodes the model.
    ///
    /// # Errors
    ///
    /// None in practice: the file was checked.
    #[doc(hidden)]
    pub fn model(&self) -> Result<ModelProto> {
        decode(self.bytes(), &self.info.name)
    }

    /// Rejects a trunk, which has no codes.
    ///
    /// # Errors
    ///
    /// [`Error::Contract`](crate::Error::Contract) for a trunk.
    pub fn require_codes(&self) -> Result<()> {
        if self.info.is_trunk() {
            return Err(contract(
                &self.info.name,
                "it is a trunk: it has the output `features` and no `code`. Make an encoder of it with: imgsearch train \
                 head PHOTOS --trunk FILE -o my.onnx",
            ));
        }
        Ok(())
    }
}

fn decode(bytes: &[u8], name: &str) -> Result<ModelProto> {
    let model = ModelProto::decode(bytes)
        .map_err(|error| contract(name, format!("it is not an ONNX file ({error})")))?;
    if model.graph.is_none() {
        return Err(contract(name, "it is not an ONNX file: it holds no graph"));
    }
    Ok(model)
}
