//! Checking a model against the contract.

use std::path::Path;

use super::info::{
    CLASS_LOGITS, CODE, ClassList, DEFAULT_CROP, DEFAULT_HASH_WEIGHT, EncoderInfo, EncoderResize,
    FEATURES, FORMAT_VERSION, Fingerprint, HASH, INPUT, MAX_ENLARGED, MAX_NUMBERS, PREFIX,
    contract,
};
use super::metadata::{Metadata, fingerprint, is_fingerprint, parse_numbers};
use crate::error::{Error, Result};
use crate::graph_edit::CLASSES_BIAS;
use crate::outside::outside;
use crate::proto::{
    GraphProto, ModelProto, TensorShapeProtoDimensionValue, TypeProtoValue, ValueInfoProto,
    data_type,
};
use crate::similarity::SimilarityMap;

/// Checks a model and returns what it declares; error messages use `name`.
pub(super) fn check(model: &ModelProto, name: &str, from: Fingerprint) -> Result<EncoderInfo> {
    let checking = Checking {
        metadata: Metadata::of(model),
        name,
    };
    checking.format()?;
    let graph = model
        .graph
        .as_ref()
        .ok_or_else(|| contract(name, "it holds no graph"))?;
    if let Some(tensor) = outside(model) {
        return Err(checking.fail(format!(
            "its constant `{tensor}` lies in another file, and an encoder is one file; save the model with its data \
             inside"
        )));
    }
    if checking.metadata.get("words").is_some() {
        return Err(checking.fail("it encodes documents, and no images".to_owned()));
    }
    let (width, height) = checking.input(graph)?;
    let (code_len, bits, feature_len) = checking.outputs(graph)?;
    let resize = checking.resize(width, height)?;
    let hash_weight = checking.ranking()?;
    let similarity = checking.similarity()?;
    let classes = checking.classes(graph, code_len);
    let (text_tower, feature_mean) = checking.text(feature_len)?;
    let fingerprint = checking.fingerprint(model, resize, from)?;
    let text = |key| checking.metadata.get(key).unwrap_or_default().to_owned();
    let mut own_name = text("name");
    if own_name.is_empty() {
        let stem = Path::new(name).file_stem().unwrap_or_default();
        own_name = stem.to_string_lossy().into_owned();
    }
    Ok(EncoderInfo {
        name: own_name,
        kind: text("kind"),
        code_len,
        bits,
        feature_len,
        width,
        height,
        resize,
        hash_weight,
        similarity,
        classes,
        text_tower,
        feature_mean,
        training: text("training"),
        licence: text("licence"),
        attribution: text("attribution"),
        fingerprint,
    })
}

/// A model's metadata, and its name for error messages.
struct Checking<'a> {
    metadata: Metadata<'a>,
    name: &'a str,
}

impl Checking<'_> {
    fn fail(&self, reason: String) -> Error {
        contract(self.name, reason)
    }

    /// What is wrong with a value in the metadata.
    fn declared(&self, key: &str, value: &str, wrong: &str) -> Error {
        self.fail(format!(
            "its metadata declares {PREFIX}{key} = {value}, and {wrong}"
        ))
    }

    fn format(&self) -> Result<()> {
        let Some(format) = self.metadata.get("format") else {
            return Ok(());
        };
        let format: u32 = format
            .parse()
            .map_err(|_| self.fail(format!("its format {format:?} is not a number")))?;
        if format > FORMAT_VERSION {
            return Err(self.fail(format!(
                "its format is {format}, and this version of imgsearch knows formats up to {FORMAT_VERSION}; use a \
                 newer imgsearch"
            )));
        }
        Ok(())
    }

    /// Returns the width and height of the input in pixels.
    fn input(&self, graph: &GraphProto) -> Result<(u32, u32)> {
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
            return Err(self.fail(format!(
                "it has {} inputs, and an encoder has one, `{INPUT}`",
                inputs.len()
            )));
        };
        if input.name.as_deref() != Some(INPUT) {
            return Err(self.fail(format!(
                "its input is called `{}` and must be called `{INPUT}`",
                input.name.as_deref().unwrap_or("")
            )));
        }
        let (kind, shape) = tensor_of(input);
        let (&[None, Some(height), Some(width), Some(3)], data_type::UINT8) =
            (shape.as_slice(), kind)
        else {
            return Err(self.fail(format!(
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
            return Err(self.fail(format!(
                "its input of {width} by {height} pixels is not between 1 and 4096"
            )));
        };
        Ok((width, height))
    }

    /// Returns the lengths of codes and hashes, 0 for a trunk, and of features if there are any.
    fn outputs(&self, graph: &GraphProto) -> Result<(usize, usize, Option<usize>)> {
        let (code, hash) = (self.length_of(graph, CODE)?, self.length_of(graph, HASH)?);
        let features = self.length_of(graph, FEATURES)?;
        let (code_len, bits) = match (code, hash) {
            (Some(code), Some(hash)) => (code, hash),
            (None, None) if features.is_some() => (0, 0),
            (None, _) => return Err(self.fail(format!("it has no output `{CODE}`"))),
            (_, None) => return Err(self.fail(format!("it has no output `{HASH}`"))),
        };
        for (key, length) in [("code_length", code_len), ("bits", bits)] {
            if let Some(text) = self.metadata.get(key)
                && text.parse() != Ok(length)
            {
                return Err(self.declared(key, text, &format!("its output has {length}")));
            }
        }
        Ok((code_len, bits, features))
    }

    /// Returns how many numbers an output has for one image; `None` if there is no such output.
    fn length_of(&self, graph: &GraphProto, output: &str) -> Result<Option<usize>> {
        let mut outputs = graph.output.iter();
        let Some(value) = outputs.find(|value| value.name.as_deref() == Some(output)) else {
            return Ok(None);
        };
        let (kind, shape) = tensor_of(value);
        match (kind, shape.as_slice()) {
            (data_type::FLOAT, &[_, Some(length)]) if (1..=MAX_NUMBERS).contains(&length) => {
                Ok(usize::try_from(length).ok())
            }
            (data_type::FLOAT, &[_, Some(length)]) if length > MAX_NUMBERS => {
                Err(self.fail(format!(
                    "its output `{output}` has {length} numbers, and {MAX_NUMBERS} is the most"
                )))
            }
            _ => Err(self.fail(format!(
                "its output `{output}` is {} and must be float32 [n, length], its length stated",
                describe(kind, &shape)
            ))),
        }
    }

    /// Returns how images are brought to the size of the input.
    fn resize(&self, width: u32, height: u32) -> Result<EncoderResize> {
        let resize = match self.metadata.get("resize") {
            None => EncoderResize::ShortSideCrop {
                short: (f64::from(width.min(height)) / DEFAULT_CROP).round() as u32,
            },
            Some(text) => text
                .parse()
                .map_err(|reason: String| self.declared("resize", text, &reason))?,
        };
        let EncoderResize::ShortSideCrop { short } = resize else {
            return Ok(resize);
        };
        if short < width.max(height) {
            return Err(self.fail(format!(
                "images scaled to a short side of {short} cannot fill {width} by {height} pixels"
            )));
        }
        if short > MAX_ENLARGED * width.max(height) {
            return Err(self.fail(format!(
                "of images scaled to a short side of {short}, {width} by {height} pixels are next to nothing"
            )));
        }
        Ok(resize)
    }

    /// Returns the weight of the hash.
    fn ranking(&self) -> Result<f32> {
        if let Some(distance) = self.metadata.get("distance")
            && distance != "l2"
        {
            return Err(self.declared("distance", distance, "only l2 is known"));
        }
        let Some(text) = self.metadata.get("hash_weight") else {
            return Ok(DEFAULT_HASH_WEIGHT);
        };
        let weight = text.parse().ok();
        weight
            .filter(|weight: &f32| weight.is_finite() && *weight >= 0.0)
            .ok_or_else(|| self.declared("hash_weight", text, "that is no number from 0 up"))
    }

    /// Returns what ranked distances mean to a person.
    /// Returns what the classes are. A trunk declares those of its classifier; an encoder must compute them, too.
    fn classes(&self, graph: &GraphProto, code_len: usize) -> Option<ClassList> {
        let classes = ClassList::parse(self.metadata.get("classes")?)?;
        let computes = |tensor: &str| {
            let mut outputs = graph.node.iter().flat_map(|node| &node.output);
            outputs.any(|output| output == tensor)
        };
        // Another classifier may stand behind a trunk that declares this list.
        let bias = graph
            .initializer
            .iter()
            .find(|t| t.name.as_deref() == Some(CLASSES_BIAS));
        let is_of_list = bias.is_none_or(|bias| bias.dims == [classes.count() as i64]);
        (is_of_list && (code_len == 0 || computes(CLASS_LOGITS))).then_some(classes)
    }

    fn similarity(&self) -> Result<Option<SimilarityMap>> {
        let text = self.metadata.get("similarity");
        let map = text.map(str::parse).transpose();
        // Not `declared`: a map can be long.
        map.map_err(|error: Error| {
            self.fail(format!(
                "its metadata declares {PREFIX}similarity, and {error}"
            ))
        })
    }

    /// Returns the fingerprint of the text tower and the mean of the features, if the file names them.
    fn text(&self, feature_len: Option<usize>) -> Result<(Option<String>, Option<Vec<f32>>)> {
        let tower = self.metadata.get("text_tower");
        // It becomes a part of a path.
        if let Some(tower) = tower.filter(|tower| !is_fingerprint(tower)) {
            return Err(self.declared("text_tower", tower, "that is no fingerprint"));
        }
        let Some(text) = self.metadata.get("feature_mean") else {
            return Ok((tower.map(ToOwned::to_owned), None));
        };
        let mean = parse_numbers(text).filter(|mean| Some(mean.len()) == feature_len);
        // Not `declared`: it is long.
        let mean = mean.ok_or_else(|| {
            self.fail(format!(
                "its metadata declares {PREFIX}feature_mean, and that is no mean of its features"
            ))
        })?;
        Ok((tower.map(ToOwned::to_owned), Some(mean)))
    }

    fn fingerprint(
        &self,
        model: &ModelProto,
        resize: EncoderResize,
        from: Fingerprint,
    ) -> Result<String> {
        let written = self.metadata.get("fingerprint");
        if let Some(written) = written
            && from == Fingerprint::Written
        {
            return Ok(written.to_owned());
        }
        let computed = fingerprint(model, resize);
        match written {
            Some(written) if written != computed => Err(self.fail(format!(
                "its content does not match its fingerprint {written}: the file is damaged, or was edited"
            ))),
            _ => Ok(computed),
        }
    }
}

/// Element type and dimensions of an input or output; an open dimension is none.
pub(crate) fn tensor_of(value: &ValueInfoProto) -> (i32, Vec<Option<i64>>) {
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
