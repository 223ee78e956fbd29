//! The metadata of an encoder file, and the fingerprint.

use std::collections::HashMap;

use prost::Message as _;

use super::info::{EncoderInfo, EncoderResize, FORMAT_VERSION, PREFIX};
use crate::proto::{ModelProto, StringStringEntryProto};

/// What a model declares under keys that begin with `imgsearch.`.
pub(super) struct Metadata<'a>(HashMap<&'a str, &'a str>);

impl<'a> Metadata<'a> {
    pub fn of(model: &'a ModelProto) -> Self {
        let entries = model.metadata_props.iter();
        let pairs = entries.filter_map(|entry| {
            let key = entry.key.as_deref()?.strip_prefix(PREFIX)?;
            Some((key, entry.value.as_deref()?))
        });
        Self(pairs.collect())
    }

    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.0.get(key).copied()
    }
}

/// BLAKE3 of all that decides what is computed: the graph, the versions of the operators in it,
/// the functions that it calls, and how images are brought to it; the first 16 bytes in
/// hexadecimal. Names, licences and other words about an encoder do not change its codes, so they
/// are left out.
pub(super) fn fingerprint(model: &ModelProto, resize: EncoderResize) -> String {
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

/// Returns numbers as a text from which [`parse_numbers`] makes the same numbers.
pub(crate) fn numbers(values: &[f32]) -> String {
    let texts: Vec<String> = values.iter().map(ToString::to_string).collect();
    texts.join(",")
}

/// Returns the finite numbers in a text, or `None` if it holds anything else.
pub(crate) fn parse_numbers(text: &str) -> Option<Vec<f32>> {
    let numbers = text.split(',').map(|number| number.parse().ok());
    let numbers: Option<Vec<f32>> = numbers.collect();
    numbers.filter(|numbers| numbers.iter().all(|number| number.is_finite()))
}

/// Returns whether a text is a fingerprint: 32 hexadecimal digits.
pub(crate) fn is_fingerprint(text: &str) -> bool {
    let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.len() == 32 && text.bytes().all(is_digit)
}

pub(super) fn write_metadata(model: &mut ModelProto, info: &EncoderInfo) {
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
    if let Some(similarity) = &info.similarity {
        put("similarity", similarity.to_string());
    }
    if let Some(classes) = info.classes {
        put("classes", classes.to_string());
    }
    if let Some(tower) = &info.text_tower {
        put("text_tower", tower.clone());
    }
    if let Some(mean) = &info.feature_mean {
        put("feature_mean", numbers(mean));
    }
    put("training", info.training.clone());
    put("licence", info.licence.clone());
    put("attribution", info.attribution.clone());
    put("fingerprint", fingerprint);
}
