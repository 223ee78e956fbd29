//! Tests of what the contract accepts, and what it says against the rest.

use super::info::PREFIX;
use super::*;
use crate::encoder::{Encoder, SessionOptions};
use crate::error::Error;
use crate::proto::{
    StringStringEntryProto, TensorShapeProtoDimension, TensorShapeProtoDimensionValue,
    TypeProtoTensor, TypeProtoValue, ValueInfoProto, data_type,
};
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
    assert_eq!(info.resize, EncoderResize::ShortSideCrop { short: 256 });
    assert!(info.licence.contains("Apache-2.0") && info.attribution.contains("EfficientNet"));
    assert!(!info.is_trunk() && file.require_codes().is_ok());
    // All fields of the format are known: nothing is lost by reading and writing.
    let model = file.model().unwrap();
    assert_eq!(ModelProto::decode(&*model.encode_to_vec()).unwrap(), model);
    let written = EncoderFile::from_model(model, info).unwrap();
    assert_eq!(written.info(), info);
}

type Change = Box<dyn Fn(&mut ModelProto)>;

fn assert_refused(cases: impl IntoIterator<Item = (&'static str, Change)>) {
    for (part, change) in cases {
        let text = refused(&change);
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn wrong_inputs_and_outputs_are_named() {
    assert_refused([
        (
            "its input is called `pixels`",
            Box::new(|model: &mut ModelProto| {
                model.graph.as_mut().unwrap().input[0].name = Some("pixels".to_owned());
            }) as Change,
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
            "1048576 is the most",
            Box::new(|model| {
                dimensions(output(model, CODE))[1].value =
                    Some(TensorShapeProtoDimensionValue::DimValue(i64::MAX));
            }),
        ),
    ]);
}

#[test]
fn wrong_metadata_and_files_are_named() {
    assert_refused([
        (
            "imgsearch.code_length = 31, and its output has 30",
            Box::new(|model: &mut ModelProto| put(model, "code_length", "31")) as Change,
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
            "imgsearch.similarity, and the knot \"much\"",
            Box::new(|model| put(model, "similarity", "much")),
        ),
        (
            "imgsearch.similarity, and behind 1:0.5, the knot 2:0.75",
            Box::new(|model| put(model, "similarity", "0:1,1:0.5,2:0.75")),
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
        ("it holds no graph", Box::new(|model| model.graph = None)),
    ]);
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
    assert_eq!(
        file.info().resize,
        EncoderResize::ShortSideCrop { short: 256 }
    );
    assert!((file.info().hash_weight - DEFAULT_HASH_WEIGHT).abs() < f32::EPSILON);
    // Words do not change the function that the fingerprint names.
    assert_eq!(
        file.info().fingerprint,
        EncoderFile::default_encoder().unwrap().info().fingerprint
    );
}

#[test]
fn a_similarity_map_is_kept_and_changes_no_fingerprint() {
    let built_in = EncoderFile::default_encoder().unwrap();
    for map in [Some("0:1,0.5:0.98,10:0.02"), None] {
        let map = map.map(|map| map.parse().unwrap());
        let file = built_in.with_similarity(map.clone()).unwrap();
        assert_eq!(file.info().similarity, map);
        assert_eq!(file.info().fingerprint, built_in.info().fingerprint);
    }
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
