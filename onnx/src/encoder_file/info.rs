//! What an encoder file declares.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::error::Error;
use crate::similarity::SimilarityMap;

/// The newest format of the metadata that this version knows. It writes this format.
pub const FORMAT_VERSION: u32 = 1;

/// Name of the input: uint8 `[n, height, width, 3]`, RGB.
pub const INPUT: &str = "images";
/// Name of the output that holds codes: float32 `[n, code_len]`.
pub const CODE: &str = "code";
/// Name of the output that holds hash logits: float32 `[n, bits]`; a bit is set if its logit
/// is above zero.
pub const HASH: &str = "hash";
/// Name of the output that holds the trunk's features: float32 `[n, feature_len]`.
pub const FEATURES: &str = "features";

/// Name of the tensor inside an encoder that holds the logits of its classes: float32 `[n, classes]`. A session
/// makes it an output.
pub const CLASS_LOGITS: &str = "head.classes.logits";

/// Weight of the hash in a file that does not state it. Squared distances of codes of length one
/// reach 4 and shares of bits reach 1, so both count alike.
pub const DEFAULT_HASH_WEIGHT: f32 = 4.0;

/// Share of an image's short side that the encoder sees, in a file that does not state it: the
/// 224 of 256 pixels that most ImageNet models were made for.
pub(super) const DEFAULT_CROP: f64 = 224.0 / 256.0;

/// The maximum number of values in an output for one image: a hundred times what any trunk has, and small
/// enough for a batch.
pub(super) const MAX_NUMBERS: i64 = 1 << 20;

/// Images are scaled to at most this multiple of the longer side that an encoder sees.
pub(super) const MAX_ENLARGED: u32 = 16;

pub(super) const PREFIX: &str = "imgsearch.";

/// How an encoder wants its images resized.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EncoderResize {
    /// Scale the short side to a number of pixels, and cut out the centre.
    ShortSideCrop {
        /// Pixels of the short side.
        short: u32,
    },
    /// Scale to the encoder's width and height, and ignore the aspect ratio.
    Squash,
}

/// As in the metadata of an encoder file.
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

/// What the classes of an encoder's classifier are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ClassList {
    /// The 1,000 classes of ImageNet's challenges from 2012 on, sorted by their WordNet ids.
    #[serde(rename = "imagenet-1k")]
    ImageNet1k,
}

impl ClassList {
    const IMAGENET_1K: &str = "imagenet-1k";

    /// Returns the number of classes.
    pub fn count(self) -> usize {
        match self {
            Self::ImageNet1k => 1000,
        }
    }

    /// Reads the name in the metadata. `None` for a list that this version does not know.
    pub(super) fn parse(text: &str) -> Option<Self> {
        (text == Self::IMAGENET_1K).then_some(Self::ImageNet1k)
    }
}

/// As in the metadata of an encoder file.
impl fmt::Display for ClassList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ImageNet1k => f.write_str(Self::IMAGENET_1K),
        }
    }
}

/// What an encoder file declares.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EncoderInfo {
    /// A name for people.
    pub name: String,
    /// The kind of autoencoder, for people.
    pub kind: String,
    /// Numbers in a code; 0 for a trunk.
    pub code_len: usize,
    /// Bits in a hash; 0 for a trunk.
    pub bits: usize,
    /// Numbers in the trunk's features, if the file has a trunk.
    pub feature_len: Option<usize>,
    /// Width of the input in pixels.
    pub width: u32,
    /// Height of the input in pixels.
    pub height: u32,
    /// How images are resized to that size.
    pub resize: EncoderResize,
    /// How much the hash counts beside the code if both rank.
    pub hash_weight: f32,
    /// What a ranked distance means to a person, if that was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub similarity: Option<SimilarityMap>,
    /// What its classes are, if it has a classifier and says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<ClassList>,
    /// The fingerprint of the text tower whose embeddings can be compared with the features, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_tower: Option<String>,
    /// The mean of the features of the images that it was trained on, if there is a text tower and that is known.
    #[serde(skip)]
    pub feature_mean: Option<Vec<f32>>,
    /// How it was trained: JSON, for people.
    pub training: String,
    /// Its licence.
    pub licence: String,
    /// Attribution of the works that it contains.
    pub attribution: String,
    /// Identifies the function from images to codes. Codes of equal fingerprints can be compared.
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
            similarity: None,
            classes: None,
            text_tower: None,
            feature_mean: None,
            training: String::new(),
            licence: String::new(),
            attribution: String::new(),
            fingerprint: String::new(),
        }
    }

    /// Returns whether the file is a trunk: it has features only, to train on.
    pub fn is_trunk(&self) -> bool {
        self.code_len == 0
    }
}

/// The origin of a file's fingerprint.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fingerprint {
    /// It is computed from the function, and compared with the one in the file.
    Computed,
    /// It is read from a file that cannot have changed since it was written.
    Written,
}

/// Returns the error of a file that breaks the contract.
pub(super) fn contract(name: &str, reason: impl Into<String>) -> Error {
    Error::Contract {
        name: name.to_owned(),
        reason: reason.into(),
    }
}
