//! The file of a text tower.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use prost::Message as _;

use crate::encoder_file::{EncoderInfo, is_fingerprint, numbers, parse_numbers, tensor_of};
use crate::error::{Error, Result};
use crate::outside::outside;
use crate::proto::{ModelProto, StringStringEntryProto, data_type};
use crate::read::{MAX_MODEL_BYTES, read_whole};

/// Name of the output: float32 `[n, dim]`.
pub(crate) const TEXT_EMBEDS: &str = "text_embeds";

/// The inputs that a text tower may have, int64 `[n, length]`: tokens, which of them are no padding, their places,
/// and which of two texts they belong to.
pub(crate) const INPUTS: [&str; 4] = [
    "input_ids",
    "attention_mask",
    "position_ids",
    "token_type_ids",
];

const PREFIX: &str = "imgsearch.text.";

/// Tokens of a text; longer texts are cut off.
const MAX_LENGTH: usize = 4096;

/// What the file of a text tower declares.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TextInfo {
    /// The tokenizer, as `tokenizer.json` has it.
    pub tokenizer: String,
    /// Tokens of a text. Shorter texts are padded, longer ones cut off.
    pub length: usize,
    /// The token that pads.
    pub pad: u32,
    /// Whether texts are written in small letters first.
    pub lowercase: bool,
    /// Numbers of an embedding.
    pub dim: usize,
    /// The mean of the embeddings, of length 1 each, of the built-in captions; empty before it is known.
    pub mean: Vec<f32>,
    /// Identifies the function from texts to embeddings.
    pub fingerprint: String,
}

/// The file of a text tower, checked.
#[derive(Clone)]
pub struct TextFile {
    bytes: Arc<[u8]>,
    info: TextInfo,
    /// Those of [`INPUTS`] that it has.
    inputs: Vec<&'static str>,
}

impl std::fmt::Debug for TextFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextFile")
            .field("fingerprint", &self.info.fingerprint)
            .field("inputs", &self.inputs)
            .finish_non_exhaustive()
    }
}

impl TextFile {
    /// Returns the path of the text tower of an encoder file: `clip.text.onnx` beside `clip.onnx`.
    pub fn path_beside(encoder: &Path) -> PathBuf {
        encoder.with_extension("text.onnx")
    }

    /// Returns the name of the copy of a text tower in the folder of an index.
    pub fn copy_name(fingerprint: &str) -> String {
        format!("text-{fingerprint}.onnx")
    }

    /// Reads the text tower that belongs to the encoder in the file `encoder`: the file beside it, or `None` if the
    /// encoder names none, or if there is no such file.
    ///
    /// # Errors
    ///
    /// As [`TextFile::from_path`], and [`Error::Contract`] if the file beside it is another model's.
    pub fn beside(encoder: &Path, info: &EncoderInfo) -> Result<Option<Self>> {
        let Some(tower) = &info.text_tower else {
            return Ok(None);
        };
        let copy = encoder.with_file_name(Self::copy_name(tower));
        let mut paths = [Self::path_beside(encoder), copy].into_iter();
        let Some(path) = paths.find(|path| path.exists()) else {
            return Ok(None);
        };
        let file = Self::from_path(&path)?;
        if file.info.fingerprint != *tower {
            return Err(Error::Contract {
                name: path.display().to_string(),
                reason: format!(
                    "it is the text tower {}, and the encoder {:?} belongs to {tower}; import both again",
                    file.info.fingerprint, info.name
                ),
            });
        }
        Ok(Some(file))
    }

    /// Reads and checks a file.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if it cannot be read, [`Error::Contract`] if it is no text tower, or damaged.
    pub fn from_path(path: &Path) -> Result<Self> {
        Self::from_bytes(
            read_whole(path, MAX_MODEL_BYTES)?,
            &path.display().to_string(),
        )
    }

    /// Checks a text tower in memory; error messages use `name`.
    ///
    /// # Errors
    ///
    /// [`Error::Contract`] if it is no text tower, or damaged.
    pub fn from_bytes(bytes: impl Into<Arc<[u8]>>, name: &str) -> Result<Self> {
        let bytes = bytes.into();
        let model = ModelProto::decode(&*bytes)
            .map_err(|error| contract(name, format!("it is not an ONNX file ({error})")))?;
        let (info, inputs) = check(&model, name)?;
        Ok(Self {
            bytes,
            info,
            inputs,
        })
    }

    /// Writes a model with what it declares, and checks what was written. The fingerprint in `info` is replaced.
    #[cfg_attr(
        not(feature = "text"),
        expect(dead_code, reason = "only an import of texts writes one")
    )]
    pub(crate) fn from_model(mut model: ModelProto, info: &TextInfo, name: &str) -> Result<Self> {
        model.metadata_props.clear();
        let mut put = |key: &str, value: String| {
            model.metadata_props.push(StringStringEntryProto {
                key: Some(format!("{PREFIX}{key}")),
                value: Some(value),
            });
        };
        put("tokenizer", info.tokenizer.clone());
        put("length", info.length.to_string());
        put("pad", info.pad.to_string());
        put("lowercase", info.lowercase.to_string());
        put("mean", numbers(&info.mean));
        let fingerprint = fingerprint(&model);
        model.metadata_props.push(StringStringEntryProto {
            key: Some(format!("{PREFIX}fingerprint")),
            value: Some(fingerprint),
        });
        Self::from_bytes(model.encode_to_vec(), name)
    }

    /// Returns what it declares.
    pub fn info(&self) -> &TextInfo {
        &self.info
    }

    /// Returns the file's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Those of [`INPUTS`] that it has.
    #[cfg(feature = "text")]
    pub(crate) fn inputs(&self) -> &[&'static str] {
        &self.inputs
    }

    /// Decodes the model.
    #[cfg(feature = "text")]
    pub(crate) fn model(&self) -> Result<ModelProto> {
        ModelProto::decode(&*self.bytes).map_err(|error| {
            contract(
                "the text tower",
                format!("it is not an ONNX file ({error})"),
            )
        })
    }
}

fn contract(name: &str, reason: impl Into<String>) -> Error {
    Error::Contract {
        name: name.to_owned(),
        reason: reason.into(),
    }
}

/// BLAKE3 of the model without its fingerprint; the first 16 bytes in hexadecimal.
fn fingerprint(model: &ModelProto) -> String {
    blake3::hash(&model.encode_to_vec()).to_hex()[..32].to_owned()
}

/// Checks a model. Returns what it declares and its inputs.
fn check(model: &ModelProto, name: &str) -> Result<(TextInfo, Vec<&'static str>)> {
    let fail = |reason: String| contract(name, reason);
    let get = |key: &str| -> Result<&str> {
        let key = format!("{PREFIX}{key}");
        let mut entries = model.metadata_props.iter();
        let entry = entries.find(|entry| entry.key.as_deref() == Some(&key));
        entry
            .and_then(|entry| entry.value.as_deref())
            .ok_or_else(|| {
                fail(format!(
                    "it is no text tower that imgsearch import wrote: it has no {key}"
                ))
            })
    };
    let wrong = |key: &str| fail(format!("its metadata {PREFIX}{key} makes no sense"));
    if let Some(tensor) = outside(model) {
        return Err(fail(format!(
            "its constant `{tensor}` lies in another file, and a text tower is one file"
        )));
    }
    let graph = model
        .graph
        .as_ref()
        .ok_or_else(|| fail("it holds no graph".to_owned()))?;
    let constants = |name: &str| {
        graph
            .initializer
            .iter()
            .any(|tensor| tensor.name.as_deref() == Some(name))
    };
    let mut inputs = Vec::new();
    for input in &graph.input {
        let named = input.name.as_deref().unwrap_or("");
        match INPUTS.iter().find(|known| **known == named) {
            Some(known) => inputs.push(*known),
            None if constants(named) => {}
            None => return Err(fail(format!("it has an unknown input `{named}`"))),
        }
    }
    let mut outputs = graph.output.iter();
    let output = outputs.find(|output| output.name.as_deref() == Some(TEXT_EMBEDS));
    let (kind, shape) = output.map(tensor_of).unwrap_or_default();
    let (data_type::FLOAT, &[_, Some(dim)]) = (kind, shape.as_slice()) else {
        return Err(fail(format!(
            "it has no output `{TEXT_EMBEDS}` of float32 [n, length]"
        )));
    };
    let fingerprint = get("fingerprint")?.to_owned();
    let mut rest = model.clone();
    rest.metadata_props
        .retain(|entry| entry.key.as_deref() != Some("imgsearch.text.fingerprint"));
    if !is_fingerprint(&fingerprint) || fingerprint != self::fingerprint(&rest) {
        return Err(fail(
            "its content does not match its fingerprint: it is damaged, or was edited".to_owned(),
        ));
    }
    let length = get("length")?
        .parse()
        .ok()
        .filter(|length| (1..=MAX_LENGTH).contains(length));
    let mean = match get("mean")? {
        "" => Vec::new(),
        text => parse_numbers(text)
            .filter(|mean| mean.len() as i64 == dim)
            .ok_or_else(|| wrong("mean"))?,
    };
    let info = TextInfo {
        tokenizer: get("tokenizer")?.to_owned(),
        length: length.ok_or_else(|| wrong("length"))?,
        pad: get("pad")?.parse().map_err(|_| wrong("pad"))?,
        lowercase: get("lowercase")?.parse().map_err(|_| wrong("lowercase"))?,
        dim: usize::try_from(dim).map_err(|_| wrong("mean"))?,
        mean,
        fingerprint,
    };
    Ok((info, inputs))
}
