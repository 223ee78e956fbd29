//! Imports published models: a folder of a vision model becomes an encoder file, and its text model a text tower.
//!
//! `onnx/IMPORT.md` lists which layouts are known and what is taken from where. Owns the order of the steps; each
//! has a module of its own:
//!
//! 1. [`folder`] finds the files, [`load`] reads a model with all its data,
//! 2. [`config`] and [`geometry`] say how images are prepared,
//! 3. [`vision`] cuts the graph to the features and puts the preparation ahead,
//! 4. [`head`] adds a head that needs no data,
//! 5. [`text`] makes the text tower.

mod config;
mod folder;
mod geometry;
mod head;
mod inputs;
mod load;
mod outputs;
#[cfg(feature = "text")]
mod text;
#[cfg(feature = "text")]
mod tokens;
mod trial;
mod vision;

use std::path::{Path, PathBuf};

use crate::encoder_file::{EncoderFile, EncoderInfo, EncoderResize};
use crate::error::Result;
use crate::runtime::Runtime;
use crate::text::TextFile;

use config::Configs;
use folder::Source;

/// How the features of an image are taken from the tokens of a model that gives no single vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pooling {
    /// The first token, which stands for the whole image.
    Cls,
    /// The mean of all tokens.
    Mean,
}

/// Options of [`import()`]. What is `None` is read from the model's folder.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ImportOptions {
    /// The variant of the files: `fp32`, `fp16`, `int8`, `quantized`, `uint8`. Default: the most exact one.
    pub variant: Option<String>,
    /// The output, or any value of the graph, that holds the features.
    pub output: Option<String>,
    /// How tokens become features.
    pub pooling: Option<Pooling>,
    /// The mean of each channel, red first, of pixels from 0 to 1.
    pub mean: Option<[f32; 3]>,
    /// The standard deviation of each channel.
    pub std: Option<[f32; 3]>,
    /// The side of the square images that the model takes, in pixels.
    pub size: Option<u32>,
    /// How images are brought to that size.
    pub resize: Option<EncoderResize>,
    /// The encoder's name. Default: that of the folder.
    pub name: Option<String>,
    /// Numbers in a code of the head without data.
    pub code_len: usize,
    /// Bits in a hash of the head without data.
    pub bits: usize,
    /// The seed of the head without data.
    pub seed: u64,
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self {
            variant: None,
            output: None,
            pooling: None,
            mean: None,
            std: None,
            size: None,
            resize: None,
            name: None,
            code_len: 30,
            bits: 256,
            seed: 0,
        }
    }
}

/// What [`import()`] made.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Imported {
    /// The encoder: the model's features, scaled to length 1, and a head without data behind them.
    pub encoder: EncoderFile,
    /// The text tower, if the model has one.
    pub text: Option<TextFile>,
    /// The ONNX file that the encoder was made from.
    pub source: PathBuf,
    /// The value of its graph that became the features, and how.
    pub features: String,
    /// What a person should know about the result.
    pub notes: Vec<String>,
}

/// Makes an encoder of a published model, and a text tower if it has a text model.
///
/// `path` is the folder of a model as it was published, or one ONNX file. The encoder has a head without data: a
/// drawn rotation of the features to a code and a hash. It keeps the order of the features' cosines roughly; a
/// head trained on the encoder's `features` is better.
///
/// The encoder and the text tower are run on made-up images and on 100 built-in captions, to know that they work.
///
/// # Errors
///
/// [`Error::Import`](crate::Error::Import) says what is missing or unknown in the model, and what to do;
/// [`Error::Io`](crate::Error::Io) if a file cannot be read; [`Error::Run`](crate::Error::Run) if ONNX Runtime
/// fails on a model that it opened.
pub fn import(path: &Path, options: &ImportOptions, runtime: &Runtime) -> Result<Imported> {
    let source = Source::find(path, options.variant.as_deref())?;
    let configs = Configs::read(&source.folder)?;
    let mut notes = source.notes.clone();
    let vision = vision::build(&source, &configs, options, runtime, &mut notes)?;
    let text = towers(&source, &configs, &vision, runtime, &mut notes)?;
    let mut model = vision.model;
    let width = vision.feature_len;
    head::graft(&mut model, width, options);
    let mut info = EncoderInfo::new(vision.side.0, vision.side.1, vision.resize);
    info.name = options.name.clone().unwrap_or_else(|| source.name());
    info.kind = "imported trunk with a drawn head".to_owned();
    info.code_len = options.code_len;
    info.bits = options.bits;
    info.text_tower = text.as_ref().map(|text| text.info().fingerprint.clone());
    info.training = serde_json::json!({
        "imported": configs.model_type(), "features": vision.features, "head": "drawn", "seed": options.seed,
    })
    .to_string();
    info.licence = configs.licence();
    info.attribution = format!("{}, imported by imgsearch", source.name());
    let encoder = EncoderFile::from_model(model, &info)?;
    trial::alone_and_together(&encoder, runtime, &source.vision, &mut notes)?;
    Ok(Imported {
        encoder,
        text,
        source: source.vision,
        features: vision.features,
        notes,
    })
}

#[cfg(feature = "text")]
fn towers(
    source: &Source,
    configs: &Configs,
    vision: &vision::Vision,
    runtime: &Runtime,
    notes: &mut Vec<String>,
) -> Result<Option<TextFile>> {
    text::build(source, configs, vision.feature_len, runtime, notes)
}

#[cfg(not(feature = "text"))]
fn towers(
    source: &Source,
    _: &Configs,
    _: &vision::Vision,
    _: &Runtime,
    notes: &mut Vec<String>,
) -> Result<Option<TextFile>> {
    if source.text.is_some() {
        notes.push(
            "the text model is left out: this program was built without the feature `text`"
                .to_owned(),
        );
    }
    Ok(None)
}
