//! Encoders: finds and loads ONNX Runtime, and reads, checks and runs encoder files.
//!
//! One ONNX file is one encoder. It takes images as bytes and returns, for each, a *code* (30 numbers by
//! default), the logits of a *semantic hash* (256 bits by default) and, if it has a pretrained trunk,
//! the trunk's *features*. The file also says which size of images it takes.
//!
//! ```
//! use imgsearch_onnx::{Encoder, EncoderFile, Runtime, RuntimeOptions, SessionOptions};
//!
//! let file = EncoderFile::default_encoder()?;
//! let runtime = Runtime::load(&RuntimeOptions::default())?;
//! let mut encoder = Encoder::new(&file, runtime, &SessionOptions::default())?;
//!
//! let (width, height) = (file.info().width as usize, file.info().height as usize);
//! let grey = vec![128; height * width * 3];
//! let encodings = encoder.encode(&grey, 1)?;
//! assert_eq!(encodings.code(0).len(), 30);
//! assert_eq!(encodings.hash(0).len(), 256 / 8);
//! # Ok::<(), imgsearch_onnx::Error>(())
//! ```
//!
//! - [`Runtime`] finds, downloads and loads ONNX Runtime, once per process.
//! - [`EncoderFile`] reads, checks and holds an encoder; [`EncoderInfo`] is what it declares.
//! - [`Encoder`] runs it.
//! - [`CodeDecoder`] reconstructs images from codes, if an encoder has a decoder.
//! - [`Restorer`] repairs pictures.
//! - [`import()`] makes an encoder of a published model; [`TextFile`] is a model's text tower.
//!
//! The crate `imgsearch-train` makes new encoder files.

// What a file or a user brings is an error, never a panic.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used))]

mod code_decoder;
mod encoder;
mod encoder_file;
mod error;
mod feature_encoder;
mod graph_edit;
mod import;
mod open;
mod outside;
mod proto;
mod read;
mod restorer;
mod runtime;
mod similarity;
mod text;
mod visit;
mod word_encoder;

pub use code_decoder::CodeDecoder;
pub use encoder::{Encoder, Encodings, Provider, ProviderChoice, SessionOptions};
pub use encoder_file::{
    ClassList, DEFAULT_HASH_WEIGHT, EncoderFile, EncoderInfo, EncoderResize, FORMAT_VERSION,
};
pub use error::{Error, Result};
pub use feature_encoder::FeatureEncoder;
pub use import::{ImportOptions, Imported, Pooling, import};
pub use restorer::{Restorer, RestorerTask};
pub use similarity::SimilarityMap;
#[cfg(feature = "text")]
pub use text::TextEncoder;
pub use text::{TextFile, TextInfo};
pub use word_encoder::WordEncoder;
/// What the trainer needs to read and write encoder files: messages of ONNX, edits of graphs, names
/// of outputs. It is not meant for other crates and may change at any time.
#[doc(hidden)]
pub mod authoring {
    pub use crate::code_decoder::{DECODER_OF, PICTURES};
    pub use crate::encoder::pack;
    pub use crate::encoder_file::{CODE, FEATURES, HASH, INPUT};
    pub use crate::graph_edit::{
        CLASSES, CLASSES_BIAS, Grafter, METRIC, MIN_NORM, Side, constant, cut_trunk,
        drop_constants, rename_input, rename_output,
    };
    pub use crate::proto::{
        AttributeProto, GraphProto, ModelProto, OperatorSetIdProto, StringStringEntryProto,
        data_type,
    };
    pub use crate::read::{open_regular, too_large};
    pub use crate::restorer::{PICTURE, RESTORED, RESTORER_TASK};
    #[cfg(feature = "text")]
    pub use crate::text::CAPTIONS;
    pub use crate::word_encoder::{WORDS, WORDS_METADATA};
}

pub use runtime::{
    FoundBy, InstallOptions, PINNED_CUDA_VERSION, PINNED_VERSION, Runtime, RuntimeOptions,
    cache_folder, disable_telemetry, install, offer_runtime_folder,
};

/// Returns the lexicon of English words that ImageNet's classes may show, packed; `onnx/make_words.py` says how.
pub fn words() -> &'static [u8] {
    include_bytes!("../model/words.bin")
}

/// Returns the names of ImageNet's classes, a line each; an empty line; and for each word of WordNet above some of
/// them a line with the word, a tab, and their numbers.
pub fn class_names() -> &'static str {
    include_str!("../model/classes.txt")
}
