//! The contract: what an encoder file declares, and how it is checked.
//!
//! One ONNX file is one encoder and carries its own preprocessing. Its input is `images`; its
//! outputs are `code` and `hash`, beside `features` if there is a trunk; a file with
//! `features` alone is a trunk, to train on. What the graph cannot say stands in the model's
//! metadata under keys that begin with `imgsearch.`.

mod check;
mod metadata;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use prost::Message as _;
use serde::Serialize;

use check::check;
use metadata::write_metadata;

use crate::error::{Error, Result};
use crate::proto::{ModelProto, ModelWords};
use crate::read::{MAX_MODEL_BYTES, read_whole};

/// The newest format of the metadata that this version knows, which is what it writes.
pub const FORMAT_VERSION: u32 = 1;

/// Name of the input: uint8 `[n, height, width, 3]`, RGB.
pub const INPUT: &str = "images";
/// Name of the output that holds codes: float32 `[n, code_len]`.
pub const CODE: &str = "code";
/// Name of the output that holds hash logits: float32 `[n, bits]`; a bit is set where its logit
/// is above zero.
pub const HASH: &str = "hash";
/// Name of the output that holds the trunk's features: float32 `[n, feature_len]`.
pub const FEATURES: &str = "features";

/// Weight of the hash in a file that does not state it. Squared distances of codes of length one
/// reach 4 and shares of bits reach 1, so both count alike.
pub const DEFAULT_HASH_WEIGHT: f32 = 4.0;

/// Share of an image's short side that the encoder sees, in a file that does not state it: the
/// 224 of 256 pixels that most ImageNet models were made for.
const DEFAULT_CROP: f64 = 224.0 / 256.0;

/// The most numbers of an output for one image: a hundred times what any trunk gives, and small enough that
/// a batch of them is no burden.
const MAX_NUMBERS: i64 = 1 << 20;

/// Images are scaled to at most so many times the longer side that an encoder sees.
const MAX_ENLARGED: u32 = 16;

const PREFIX: &str = "imgsearch.";

/// How an image is brought to the encoder's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EncoderResize {
    /// Scaled until its short side has so many pixels, then its centre is cut out.
    ShortSideCrop {
        /// Pixels of the short side.
        short: u32,
    },
    /// Scaled to the encoder's width and height, whatever its own shape.
    Squash,
}

/// As the metadata of an encoder file have it.
impl FromStr for EncoderResize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let short = text.strip_prefix("short-side-crop:");
        match short.and_then(|short| short.parse().ok()) {
            Some(short) => Ok(Self::ShortSideCrop { short }),
            None if text == "squash" => Ok(Self::Squash),
            None => Err("that is none of squash and short-side-crop:PIXELS".to_owned()),
        }
    }
}

impl fmt::Display for EncoderResize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShortSideCrop { short } => write!(f, "short-side-crop:{short}"),
            Self::Squash => f.write_str("squash"),
        }
    }
}

/// What an encoder file declares.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EncoderInfo {
    /// A name for people.
    pub name: String,
    /// The kind of autoencoder, in words.
    pub kind: String,
    /// Numbers in a code; 0 for a trunk.
    pub code_len: usize,
    /// Bits in a hash; 0 for a trunk.
    pub bits: usize,
    /// Numbers in the trunk's features, if the file has them.
    pub feature_len: Option<usize>,
    /// Width of the input in pixels.
    pub width: u32,
    /// Height of the input in pixels.
    pub height: u32,
    /// How images are brought to that size.
    pub resize: EncoderResize,
    /// How much the hash counts beside the code if both rank.
    pub hash_weight: f32,
    /// How it was trained: JSON, for people.
    pub training: String,
    /// Its licence.
    pub licence: String,
    /// Whose work is in it.
    pub attribution: String,
    /// Names the function from images to codes: of equal fingerprints, codes can be compared.
    pub fingerprint: String,
}

impl EncoderInfo {
    /// Describes an encoder of images of this size, and leaves everything else empty.
    #[doc(hidden)]
    pub fn new(width: u32, height: u32, resize: EncoderResize) -> Self {
        Self {
            name: String::new(),
            kind: String::new(),
            code_len: 0,
            bits: 0,
            feature_len: None,
            width,
            height,
            resize,
            hash_weight: DEFAULT_HASH_WEIGHT,
            training: String::new(),
            licence: String::new(),
            attribution: String::new(),
            fingerprint: String::new(),
        }
    }

    /// Whether the file holds features only, to train on.
    pub fn is_trunk(&self) -> bool {
        self.code_len == 0
    }
}

/// The built-in encoder's file.
static DEFAULT: &[u8] = include_bytes!("../../model/default.onnx");

/// An encoder file, checked.
#[derive(Clone)]
pub struct EncoderFile {
    bytes: Bytes,
    info: EncoderInfo,
}

/// The bytes of an encoder's file.
#[derive(Clone)]
enum Bytes {
    BuiltIn,
    Own(Arc<[u8]>),
}

/// Where a file's fingerprint comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fingerprint {
    /// From what it names, which is then compared with what is written.
    Computed,
    /// From what is written in a file that cannot have been changed since.
    Written,
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
    /// [`Error::Io`] if it cannot be read, [`Error::Contract`] if it is no encoder.
    pub fn from_path(path: &Path) -> Result<Self> {
        let bytes = read_whole(path, MAX_MODEL_BYTES)?;
        Self::from_bytes(bytes, &path.display().to_string())
    }

    /// Checks an encoder in memory; `name` stands in error messages.
    ///
    /// # Errors
    ///
    /// [`Error::Contract`] if it is no encoder.
    pub fn from_bytes(bytes: impl Into<Arc<[u8]>>, name: &str) -> Result<Self> {
        let bytes = bytes.into();
        let model = decode(&bytes, name)?;
        let info = check(&model, name, Fingerprint::Computed)?;
        Ok(Self {
            bytes: Bytes::Own(bytes),
            info,
        })
    }

    /// The encoder that is built in.
    ///
    /// # Errors
    ///
    /// [`Error::Contract`] if this program was built with a broken one.
    pub fn default_encoder() -> Result<Self> {
        const NAME: &str = "the built-in encoder";
        // A test compares its fingerprint with what it names. Doing so here would take a question
        // some milliseconds, each time.
        let info = check(&decode(DEFAULT, NAME)?, NAME, Fingerprint::Written)?;
        Ok(Self {
            bytes: Bytes::BuiltIn,
            info,
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

    /// The decoder that comes with the built-in encoder: small images from its codes, for
    /// [`CodeDecoder`](crate::CodeDecoder).
    pub fn default_decoder() -> &'static [u8] {
        include_bytes!("../../model/default.decoder.onnx")
    }

    /// Writes a model with its metadata, and checks what was written.
    ///
    /// # Errors
    ///
    /// [`Error::Contract`] if the model breaks the contract.
    #[doc(hidden)]
    pub fn from_model(mut model: ModelProto, info: &EncoderInfo) -> Result<Self> {
        write_metadata(&mut model, info);
        Self::from_bytes(model.encode_to_vec(), &info.name)
    }

    /// What it declares.
    pub fn info(&self) -> &EncoderInfo {
        &self.info
    }

    /// The file's bytes.
    pub fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::BuiltIn => DEFAULT,
            Bytes::Own(bytes) => bytes,
        }
    }

    /// The model in it.
    ///
    /// # Errors
    ///
    /// None in practice: the file was checked.
    #[doc(hidden)]
    pub fn model(&self) -> Result<ModelProto> {
        decode(self.bytes(), &self.info.name)
    }

    /// Refuses a trunk if codes are needed.
    ///
    /// # Errors
    ///
    /// [`Error::Contract`] for a trunk.
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

fn contract(name: &str, reason: impl Into<String>) -> Error {
    Error::Contract {
        name: name.to_owned(),
        reason: reason.into(),
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
