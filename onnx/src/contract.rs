//! The contract: what an encoder file declares, and how it is checked.
//!
//! One ONNX file is one encoder and carries its own preprocessing. Its input is `images`; its
//! outputs are `code` and `hash`, beside `features` where there is a trunk; a file with
//! `features` alone is a trunk, to train on. What the graph cannot say stands in the model's
//! metadata under keys that begin with `imgsearch.`.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use prost::Message as _;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::outside::outside;
use crate::proto::{
    ModelProto, ModelWords, StringStringEntryProto, TensorShapeProtoDimensionValue, TypeProtoValue,
    ValueInfoProto, data_type,
};
use crate::read::{MOST_MODEL_BYTES, read_whole};
use crate::surgery::{cut_trunk, resize_input};

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

/// Share of a picture's short side that the encoder sees, in a file that does not state it: the
/// 224 of 256 pixels that most ImageNet models were made for.
const DEFAULT_CROP: f64 = 224.0 / 256.0;

/// The most numbers of an output for one picture: a hundred times what any trunk gives, and small enough that
/// a batch of them is no burden.
const MOST_NUMBERS: i64 = 1 << 20;

/// Pictures are scaled to at most so many times the longer side that an encoder sees.
const MOST_ENLARGED: u32 = 16;

const PREFIX: &str = "imgsearch.";

/// How a picture is brought to the encoder's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Resize {
    /// Scaled until its short side has so many pixels, then its centre is cut out.
    ShortSideCrop {
        /// Pixels of the short side.
        short: u32,
    },
    /// Scaled to the encoder's width and height, whatever its own shape.
    Squash,
}

/// As the metadata of an encoder file have it.
impl FromStr for Resize {
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

impl fmt::Display for Resize {
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
    /// Numbers in the trunk's features, where the file has them.
    pub feature_len: Option<usize>,
    /// Width of the input in pixels.
    pub width: u32,
    /// Height of the input in pixels.
    pub height: u32,
    /// How pictures are brought to that size.
    pub resize: Resize,
    /// How much the hash counts beside the code where both rank.
    pub hash_weight: f32,
    /// How it was trained: JSON, for people.
    pub training: String,
    /// Its licence.
    pub licence: String,
    /// Whose work is in it.
    pub attribution: String,
    /// Names the function from pictures to codes: of equal fingerprints, codes can be compared.
    pub fingerprint: String,
}

impl EncoderInfo {
    /// Whether the file holds features only, to train on.
    pub fn is_trunk(&self) -> bool {
        self.code_len == 0
    }
}

/// The built-in encoder's file.
static DEFAULT: &[u8] = include_bytes!("../model/default.onnx");

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

/// Where a file's fingerprint is had from.
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
    /// [`Error::Io`] where it cannot be read, [`Error::Contract`] where it is no encoder.
    pub fn from_path(path: &Path) -> Result<Self> {
        let bytes = read_whole(path, MOST_MODEL_BYTES)?;
        Self::from_bytes(bytes, &path.display().to_string())
    }

    /// Checks an encoder in memory; `name` stands in error messages.
    ///
    /// # Errors
    ///
    /// [`Error::Contract`] where it is no encoder.
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
    /// [`Error::Contract`] where this program was built with a broken one.
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

    /// The decoder that comes with the built-in encoder: small pictures from its codes, for
    /// [`Decoder`](crate::autoencoder::Decoder).
    pub fn default_decoder() -> &'static [u8] {
        include_bytes!("../model/default.decoder.onnx")
    }

    /// Writes a model with its metadata, and checks what was written.
    ///
    /// # Errors
    ///
    /// [`Error::Contract`] where the model breaks the contract.
    pub(crate) fn from_model(mut model: ModelProto, info: &EncoderInfo) -> Result<Self> {
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
    pub(crate) fn model(&self) -> Result<ModelProto> {
        decode(self.bytes(), &self.info.name)
    }

    /// The trunk of this encoder, shown pictures of `side` × `side` pixels: small pictures are told
    /// apart better where they are not enlarged as much. Without `resize`, as much of a picture
    /// is seen as now.
    ///
    /// A trunk that takes one size only is refused when it is opened.
    ///
    /// # Errors
    ///
    /// [`Error::Contract`] where the file has no features, and where pictures brought to size by
    /// `resize` cannot fill the square.
    pub fn trunk_at(&self, side: u32, resize: Option<Resize>) -> Result<Self> {
        let info = &self.info;
        let mut model = cut_trunk(&self.model()?, &info.name)?;
        resize_input(&mut model, side);
        let resize = resize.unwrap_or(match info.resize {
            Resize::ShortSideCrop { short } => {
                let share = f64::from(short) / f64::from(info.width.min(info.height));
                Resize::ShortSideCrop {
                    short: (f64::from(side) * share).round() as u32,
                }
            }
            Resize::Squash => Resize::Squash,
        });
        let info = EncoderInfo {
            code_len: 0,
            bits: 0,
            resize,
            ..info.clone()
        };
        Self::from_model(model, &info)
    }

    /// Refuses a trunk where codes are needed.
    ///
    /// # Errors
    ///
    /// [`Error::Contract`] for a trunk.
    pub fn require_codes(&self) -> Result<()> {
        if self.info.is_trunk() {
            return Err(contract(
                &self.info.name,
                "it is a trunk: it has the output `features` and no `code`. Make an encoder of it with: imgsearch train \
                 PHOTOS --trunk FILE -o my.onnx",
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

/// Checks a model against the contract.
fn check(model: &ModelProto, name: &str, from: Fingerprint) -> Result<EncoderInfo> {
    let fail = |reason: String| contract(name, reason);
    let metadata: HashMap<&str, &str> = model
        .metadata_props
        .iter()
        .filter_map(|entry| Some((entry.key.as_deref()?, entry.value.as_deref()?)))
        .filter_map(|(key, value)| Some((key.strip_prefix(PREFIX)?, value)))
        .collect();
    if let Some(format) = metadata.get("format") {
        let format: u32 = format
            .parse()
            .map_err(|_| fail(format!("its format {format:?} is not a number")))?;
        if format > FORMAT_VERSION {
            return Err(fail(format!(
                "its format is {format}, and this version of imgsearch knows formats up to {FORMAT_VERSION}; use a \
                 newer imgsearch"
            )));
        }
    }

    let graph = model
        .graph
        .as_ref()
        .ok_or_else(|| fail("it holds no graph".to_owned()))?;
    if let Some(tensor) = outside(model) {
        return Err(fail(format!(
            "its constant `{tensor}` lies in another file, and an encoder is one file; save the model with its data \
             inside"
        )));
    }
    let constants: Vec<_> = graph
        .initializer
        .iter()
        .filter_map(|t| t.name.as_deref())
        .collect();
    let inputs: Vec<_> = graph
        .input
        .iter()
        .filter(|input| !constants.contains(&input.name.as_deref().unwrap_or("")))
        .collect();
    let [input] = inputs.as_slice() else {
        return Err(fail(format!(
            "it has {} inputs, and an encoder has one, `{INPUT}`",
            inputs.len()
        )));
    };
    if input.name.as_deref() != Some(INPUT) {
        return Err(fail(format!(
            "its input is called `{}` and must be called `{INPUT}`",
            input.name.as_deref().unwrap_or("")
        )));
    }
    let (kind, shape) = tensor_of(input);
    let (&[None, Some(height), Some(width), Some(3)], data_type::UINT8) = (shape.as_slice(), kind)
    else {
        return Err(fail(format!(
            "its input `{INPUT}` is {} and must be uint8 [n, height, width, 3], n left open",
            describe(kind, &shape)
        )));
    };
    let pixels = |side: i64| {
        u32::try_from(side)
            .ok()
            .filter(|side| (1..=4096).contains(side))
    };
    let (Some(width), Some(height)) = (pixels(width), pixels(height)) else {
        return Err(fail(format!(
            "its input of {width} by {height} pixels is not between 1 and 4096"
        )));
    };

    let length_of = |output: &str| -> Result<Option<usize>> {
        let Some(value) = graph
            .output
            .iter()
            .find(|value| value.name.as_deref() == Some(output))
        else {
            return Ok(None);
        };
        let (kind, shape) = tensor_of(value);
        match (kind, shape.as_slice()) {
            (data_type::FLOAT, &[_, Some(length)]) if (1..=MOST_NUMBERS).contains(&length) => {
                Ok(usize::try_from(length).ok())
            }
            (data_type::FLOAT, &[_, Some(length)]) if length > MOST_NUMBERS => Err(fail(format!(
                "its output `{output}` has {length} numbers, and {MOST_NUMBERS} is the most"
            ))),
            _ => Err(fail(format!(
                "its output `{output}` is {} and must be float32 [n, length], its length stated",
                describe(kind, &shape)
            ))),
        }
    };
    let (code, hash, features) = (length_of(CODE)?, length_of(HASH)?, length_of(FEATURES)?);
    let (code_len, bits) = match (code, hash, features) {
        (Some(code), Some(hash), _) => (code, hash),
        (None, None, Some(_)) => (0, 0),
        (None, ..) => return Err(fail(format!("it has no output `{CODE}`"))),
        (_, None, _) => return Err(fail(format!("it has no output `{HASH}`"))),
    };
    let declared = [("code_length", code_len), ("bits", bits)];
    for (key, length) in declared {
        if let Some(text) = metadata.get(key)
            && text.parse() != Ok(length)
        {
            return Err(fail(format!(
                "its metadata declares {PREFIX}{key} = {text}, and its output has {length}"
            )));
        }
    }

    let resize = match metadata.get("resize") {
        None => Resize::ShortSideCrop {
            short: (f64::from(width.min(height)) / DEFAULT_CROP).round() as u32,
        },
        Some(text) => text.parse().map_err(|reason| {
            fail(format!(
                "its metadata declares {PREFIX}resize = {text}, and {reason}"
            ))
        })?,
    };
    if let Resize::ShortSideCrop { short } = resize
        && short < width.max(height)
    {
        return Err(fail(format!(
            "pictures scaled to a short side of {short} cannot fill {width} by {height} pixels"
        )));
    }
    if let Resize::ShortSideCrop { short } = resize
        && short > MOST_ENLARGED * width.max(height)
    {
        return Err(fail(format!(
            "of pictures scaled to a short side of {short}, {width} by {height} pixels are next to nothing"
        )));
    }
    if let Some(distance) = metadata.get("distance")
        && *distance != "l2"
    {
        return Err(fail(format!(
            "its metadata declares {PREFIX}distance = {distance}, and only l2 is known"
        )));
    }
    let hash_weight = match metadata.get("hash_weight") {
        None => DEFAULT_HASH_WEIGHT,
        Some(text) => text
            .parse()
            .ok()
            .filter(|weight: &f32| weight.is_finite() && *weight >= 0.0)
            .ok_or_else(|| {
                fail(format!(
                    "its metadata declares {PREFIX}hash_weight = {text}, and that is no number from 0 up"
                ))
            })?,
    };
    let fingerprint = match metadata.get("fingerprint") {
        Some(written) if from == Fingerprint::Written => (*written).to_owned(),
        Some(written) => {
            let computed = fingerprint(model, resize);
            if *written != computed {
                return Err(fail(format!(
                    "its content does not match its fingerprint {written}: the file is damaged, or was edited"
                )));
            }
            computed
        }
        None => fingerprint(model, resize),
    };
    let text = |key: &str| {
        metadata
            .get(key)
            .map_or_else(String::new, |text| (*text).to_owned())
    };
    let named = text("name");
    Ok(EncoderInfo {
        name: if named.is_empty() {
            Path::new(name)
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned()
        } else {
            named
        },
        kind: text("kind"),
        code_len,
        bits,
        feature_len: features,
        width,
        height,
        resize,
        hash_weight,
        training: text("training"),
        licence: text("licence"),
        attribution: text("attribution"),
        fingerprint,
    })
}

/// Element type and dimensions of an input or output; an open dimension is none.
fn tensor_of(value: &ValueInfoProto) -> (i32, Vec<Option<i64>>) {
    let Some(TypeProtoValue::TensorType(tensor)) =
        value.r#type.as_ref().and_then(|kind| kind.value.as_ref())
    else {
        return (0, Vec::new());
    };
    let dimensions = tensor.shape.as_ref().map_or(&[][..], |shape| &shape.dim);
    let shape = dimensions
        .iter()
        .map(|dimension| match dimension.value {
            Some(TensorShapeProtoDimensionValue::DimValue(value)) => Some(value),
            _ => None,
        })
        .collect();
    (tensor.elem_type.unwrap_or(0), shape)
}

fn describe(kind: i32, shape: &[Option<i64>]) -> String {
    let kind = match kind {
        data_type::FLOAT => "float32".to_owned(),
        data_type::UINT8 => "uint8".to_owned(),
        other => format!("of ONNX type {other}"),
    };
    let shape: Vec<String> = shape
        .iter()
        .map(|side| side.map_or_else(|| "n".to_owned(), |side| side.to_string()))
        .collect();
    format!("{kind} [{}]", shape.join(", "))
}

/// BLAKE3 of all that decides what is computed: the graph, the versions of the operators in it,
/// the functions that it calls, and how pictures are brought to it; the first 16 bytes in
/// hexadecimal. Names, licences and other words about an encoder do not change its codes, so they
/// are left out.
fn fingerprint(model: &ModelProto, resize: Resize) -> String {
    let mut hasher = blake3::Hasher::new();
    if let Some(graph) = &model.graph {
        hasher.update(&graph.encode_to_vec());
    }
    let mut operators: Vec<Vec<u8>> = model
        .opset_import
        .iter()
        .map(prost::Message::encode_to_vec)
        .collect();
    operators.sort();
    let functions = model.functions.iter().map(prost::Message::encode_to_vec);
    for part in operators.into_iter().chain(functions) {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(&part);
    }
    hasher.update(resize.to_string().as_bytes());
    hasher.finalize().to_hex()[..32].to_owned()
}

fn write_metadata(model: &mut ModelProto, info: &EncoderInfo) {
    model.metadata_props.retain(|entry| {
        !entry
            .key
            .as_deref()
            .is_some_and(|key| key.starts_with(PREFIX))
    });
    let fingerprint = fingerprint(model, info.resize);
    let mut put = |key: &str, value: String| {
        model.metadata_props.push(StringStringEntryProto {
            key: Some(format!("{PREFIX}{key}")),
            value: Some(value),
        });
    };
    put("format", FORMAT_VERSION.to_string());
    put("name", info.name.clone());
    put("kind", info.kind.clone());
    put("code_length", info.code_len.to_string());
    put("bits", info.bits.to_string());
    put("resize", info.resize.to_string());
    put("distance", "l2".to_owned());
    put("hash_weight", info.hash_weight.to_string());
    put("training", info.training.clone());
    put("licence", info.licence.clone());
    put("attribution", info.attribution.clone());
    put("fingerprint", fingerprint);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::{Encoder, SessionOptions};
    use crate::proto::{TensorShapeProtoDimension, TypeProtoTensor};
    use crate::runtime::{Runtime, RuntimeOptions};

    fn built_in() -> ModelProto {
        EncoderFile::default_encoder().unwrap().model().unwrap()
    }

    fn tensor(value: &mut ValueInfoProto) -> &mut TypeProtoTensor {
        match value.r#type.as_mut().unwrap().value.as_mut().unwrap() {
            TypeProtoValue::TensorType(tensor) => tensor,
            other => panic!("{other:?}"),
        }
    }

    fn dimensions(value: &mut ValueInfoProto) -> &mut Vec<TensorShapeProtoDimension> {
        &mut tensor(value).shape.as_mut().unwrap().dim
    }

    fn output<'a>(model: &'a mut ModelProto, name: &str) -> &'a mut ValueInfoProto {
        let outputs = &mut model.graph.as_mut().unwrap().output;
        outputs
            .iter_mut()
            .find(|output| output.name.as_deref() == Some(name))
            .unwrap()
    }

    fn put(model: &mut ModelProto, key: &str, value: &str) {
        let key = format!("{PREFIX}{key}");
        let props = &mut model.metadata_props;
        props.retain(|entry| entry.key.as_deref() != Some(&key));
        props.push(StringStringEntryProto {
            key: Some(key),
            value: Some(value.to_owned()),
        });
    }

    /// What is said against a changed built-in encoder, its fingerprint left out of it.
    #[track_caller]
    fn refused(change: impl Fn(&mut ModelProto)) -> String {
        let mut model = built_in();
        model
            .metadata_props
            .retain(|entry| entry.key.as_deref() != Some("imgsearch.fingerprint"));
        assert!(EncoderFile::from_bytes(model.encode_to_vec(), "unchanged.onnx").is_ok());
        change(&mut model);
        let error = EncoderFile::from_bytes(model.encode_to_vec(), "changed.onnx").unwrap_err();
        assert!(matches!(error, Error::Contract { .. }));
        let text = error.to_string();
        assert!(
            text.starts_with("changed.onnx is no encoder that can be used: "),
            "{text}"
        );
        text
    }

    #[test]
    fn the_built_in_encoder_keeps_the_contract_and_its_bytes() {
        let file = EncoderFile::default_encoder().unwrap();
        let info = file.info();
        assert_eq!(
            (info.code_len, info.bits, info.feature_len),
            (30, 256, Some(1280))
        );
        assert_eq!((info.width, info.height), (224, 224));
        assert_eq!(info.resize, Resize::ShortSideCrop { short: 256 });
        assert!(info.licence.contains("Apache-2.0") && info.attribution.contains("EfficientNet"));
        assert!(!info.is_trunk() && file.require_codes().is_ok());
        // All fields of the format are known: nothing is lost by reading and writing.
        let model = file.model().unwrap();
        assert_eq!(ModelProto::decode(&*model.encode_to_vec()).unwrap(), model);
        let written = EncoderFile::from_model(model, info).unwrap();
        assert_eq!(written.info(), info);
    }

    #[test]
    fn what_breaks_the_contract_is_named() {
        for (part, change) in [
            (
                "its input is called `pixels`",
                Box::new(|model: &mut ModelProto| {
                    model.graph.as_mut().unwrap().input[0].name = Some("pixels".to_owned());
                }) as Box<dyn Fn(&mut ModelProto)>,
            ),
            (
                "is float32 [n, 224, 224, 3] and must be uint8",
                Box::new(|model| {
                    tensor(&mut model.graph.as_mut().unwrap().input[0]).elem_type =
                        Some(data_type::FLOAT);
                }),
            ),
            (
                "is uint8 [1, 224, 224, 3] and must be uint8 [n, height, width, 3], n left open",
                Box::new(|model| {
                    dimensions(&mut model.graph.as_mut().unwrap().input[0])[0].value =
                        Some(TensorShapeProtoDimensionValue::DimValue(1));
                }),
            ),
            (
                "is uint8 [n, 3, 224, 224]",
                Box::new(|model| {
                    dimensions(&mut model.graph.as_mut().unwrap().input[0])[1..].rotate_right(1)
                }),
            ),
            (
                "it has no output `code`",
                Box::new(|model| output(model, CODE).name = Some("latent".to_owned())),
            ),
            (
                "it has no output `hash`",
                Box::new(|model| output(model, HASH).name = Some("bits".to_owned())),
            ),
            (
                "its output `code` is float32 [n, n]",
                Box::new(|model| dimensions(output(model, CODE))[1].value = None),
            ),
            (
                "its output `hash` is uint8 [n, 256]",
                Box::new(|model| tensor(output(model, HASH)).elem_type = Some(data_type::UINT8)),
            ),
            (
                "imgsearch.code_length = 31, and its output has 30",
                Box::new(|model| put(model, "code_length", "31")),
            ),
            (
                "use a newer imgsearch",
                Box::new(|model| put(model, "format", "2")),
            ),
            (
                "imgsearch.resize = stretch",
                Box::new(|model| put(model, "resize", "stretch")),
            ),
            (
                "a short side of 100 cannot fill 224 by 224",
                Box::new(|model| put(model, "resize", "short-side-crop:100")),
            ),
            (
                "imgsearch.hash_weight = much",
                Box::new(|model| put(model, "hash_weight", "much")),
            ),
            (
                "only l2 is known",
                Box::new(|model| put(model, "distance", "cosine")),
            ),
            (
                "does not match its fingerprint",
                Box::new(|model| put(model, "fingerprint", "0123")),
            ),
            (
                "lies in another file",
                Box::new(|model| {
                    model.graph.as_mut().unwrap().initializer[0].data_location = Some(1);
                }),
            ),
            (
                "1048576 is the most",
                Box::new(|model| {
                    dimensions(output(model, CODE))[1].value =
                        Some(TensorShapeProtoDimensionValue::DimValue(i64::MAX));
                }),
            ),
            ("it holds no graph", Box::new(|model| model.graph = None)),
        ] {
            let text = refused(&change);
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn what_is_no_onnx_file_is_named() {
        for bytes in [
            &b"this is a text"[..],
            b"",
            b"\x89PNG\r\n\x1a\n",
            &[0xff; 100],
        ] {
            let error = EncoderFile::from_bytes(bytes, "some.onnx")
                .unwrap_err()
                .to_string();
            assert!(
                error.contains("some.onnx") && error.contains("not an ONNX file"),
                "{error}"
            );
        }
        let whole = EncoderFile::default_encoder().unwrap();
        let half = &whole.bytes()[..whole.bytes().len() / 2];
        assert!(EncoderFile::from_bytes(half, "half.onnx").is_err());
    }

    #[test]
    fn a_file_without_metadata_gets_the_usual_ones() {
        let mut model = built_in();
        model.metadata_props.clear();
        let file = EncoderFile::from_bytes(model.encode_to_vec(), "folder/own.onnx").unwrap();
        assert_eq!(file.info().name, "own");
        assert_eq!(file.info().resize, Resize::ShortSideCrop { short: 256 });
        assert!((file.info().hash_weight - DEFAULT_HASH_WEIGHT).abs() < f32::EPSILON);
        // Words do not change the function that the fingerprint names.
        assert_eq!(
            file.info().fingerprint,
            EncoderFile::default_encoder().unwrap().info().fingerprint
        );
    }

    #[test]
    fn what_is_written_in_the_built_in_encoder_is_so() {
        let default = EncoderFile::default_encoder().unwrap();
        let read = EncoderFile::from_bytes(default.bytes(), "the built-in encoder").unwrap();
        assert_eq!(read.info(), default.info());
        assert!(EncoderFile::is_default(&read.info().fingerprint));
        assert!(!EncoderFile::is_default("0123"));
    }

    #[test]
    fn other_operators_are_another_encoder() {
        let fingerprint = |change: &dyn Fn(&mut ModelProto)| {
            let mut model = built_in();
            model.metadata_props.clear();
            change(&mut model);
            let file = EncoderFile::from_bytes(model.encode_to_vec(), "own.onnx").unwrap();
            file.info().fingerprint.clone()
        };
        let as_it_is = fingerprint(&|_| {});
        let version = fingerprint(&|model| model.opset_import[0].version = Some(99));
        let function = fingerprint(&|model| model.functions.push(Default::default()));
        assert!(as_it_is != version && as_it_is != function && version != function);
        assert_eq!(as_it_is, fingerprint(&|model| model.opset_import.reverse()));
    }

    #[test]
    fn a_bit_flipped_in_the_weights_is_found() {
        let file = EncoderFile::default_encoder().unwrap();
        let mut bytes = file.bytes().to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        assert!(EncoderFile::from_bytes(bytes, "flipped.onnx").is_err());
    }

    #[test]
    fn a_trunk_has_no_codes() {
        let mut model = built_in();
        model.metadata_props.clear();
        model
            .graph
            .as_mut()
            .unwrap()
            .output
            .retain(|output| output.name.as_deref() == Some(FEATURES));
        let file = EncoderFile::from_bytes(model.encode_to_vec(), "trunk.onnx").unwrap();
        assert!(file.info().is_trunk());
        let error = file.require_codes().unwrap_err().to_string();
        assert!(error.contains("imgsearch train"), "{error}");
    }

    #[test]
    fn a_picture_has_the_same_code_alone_and_in_a_batch() {
        let file = EncoderFile::default_encoder().unwrap();
        let runtime = Runtime::load(&RuntimeOptions::default()).unwrap();
        let mut encoder = Encoder::new(&file, runtime, &SessionOptions::default()).unwrap();
        let length = 224 * 224 * 3;
        let pixels: Vec<u8> = (0..4 * length)
            .map(|i| ((i * i / 97 + i / 3) % 256) as u8)
            .collect();
        let batch = encoder.encode(&pixels, 4).unwrap();
        for i in 0..4 {
            let alone = encoder
                .encode(&pixels[i * length..(i + 1) * length], 1)
                .unwrap();
            assert_eq!(alone.code(0), batch.code(i));
            assert_eq!(alone.hash(0), batch.hash(i));
        }
        assert!(encoder.encode(&pixels[1..], 4).is_err());
        assert!(encoder.encode(&[], 0).is_err());
    }
}
