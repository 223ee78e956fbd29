//! Each published layout, imported, against what its graph computes by hand.

use std::path::Path;

use imgsearch::onnx::authoring::{
    AttributeProto, Grafter, ModelProto, Side, StringStringEntryProto, data_type,
};
use imgsearch::onnx::{
    Encoder, EncoderResize, ImportOptions, Imported, Pooling, Runtime, RuntimeOptions,
    SessionOptions, TextEncoder, import,
};
use serde_json::{Value, json};

use super::published::{
    DIM, Published, SIDE, WORDS, combined, empty, mean_colour, text, tokens, vision, weights,
};

pub fn runtime() -> &'static Runtime {
    Runtime::load(&RuntimeOptions::default()).unwrap()
}

pub fn imported(path: &Path, options: &ImportOptions) -> Imported {
    import(path, options, runtime()).unwrap_or_else(|error| panic!("{error}"))
}

/// The mean and the standard deviation of [`Published::clip_configs`].
const MEAN: [f32; 3] = [0.48, 0.45, 0.4];
const STD: [f32; 3] = [0.26, 0.25, 0.28];

/// An image whose channels are different.
fn image() -> Vec<u8> {
    (0..SIDE * SIDE)
        .flat_map(|i| [(i % 256) as u8, 200, (i / 8) as u8])
        .collect()
}

/// What a graph makes of the image by hand: its mean colour times a matrix `[3, columns]`.
fn by_hand(mean: [f32; 3], std: [f32; 3], weight: &[f32]) -> Vec<f32> {
    let image = image();
    let columns = weight.len() / 3;
    let colour = [0, 1, 2].map(|channel| {
        let sum: f64 = image
            .iter()
            .skip(channel)
            .step_by(3)
            .map(|&value| f64::from(value))
            .sum();
        ((sum / (SIDE * SIDE) as f64 / 255.0) as f32 - mean[channel]) / std[channel]
    });
    (0..columns)
        .map(|column| {
            (0..3)
                .map(|channel| colour[channel] * weight[channel * columns + column])
                .sum()
        })
        .collect()
}

fn unit(mut values: Vec<f32>) -> Vec<f32> {
    let norm = values.iter().map(|value| value * value).sum::<f32>().sqrt();
    values.iter_mut().for_each(|value| *value /= norm);
    values
}

#[track_caller]
fn assert_features(imported: &Imported, expected: Vec<f32>) {
    let mut encoder =
        Encoder::new(&imported.encoder, runtime(), &SessionOptions::default()).unwrap();
    let found = encoder.encode(&image(), 1).unwrap();
    assert_close(found.features(0), &unit(expected));
    assert_eq!(found.code(0).len(), 30);
    let norm: f32 = found.code(0).iter().map(|value| value * value).sum();
    assert!((norm - 1.0).abs() < 1e-4, "{norm}");
    assert_eq!(found.hash(0).len(), 32);
}

#[track_caller]
fn assert_close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 2e-3, "{found} {expected}");
    }
}

#[test]
fn clip_in_two_files() {
    let folder = Published::clip();
    folder.bytes("README.md", b"---\nlicense: mit\n---\n# A model\n");
    let imported = imported(folder.path(), &ImportOptions::default());
    let info = imported.encoder.info();
    assert_eq!(
        info.resize,
        EncoderResize::ShortSideCrop { short: SIDE as u32 }
    );
    assert_eq!(
        (info.width, info.height, info.feature_len),
        (SIDE as u32, SIDE as u32, Some(DIM))
    );
    assert_eq!(
        (info.licence.as_str(), imported.features.as_str()),
        ("mit", "image_embeds")
    );
    assert_features(&imported, by_hand(MEAN, STD, &weights(3 * DIM)));

    let text = imported.text.as_ref().unwrap();
    assert_eq!(info.text_tower.as_deref(), Some(&*text.info().fingerprint));
    assert_eq!(
        (text.info().length, text.info().pad, text.info().mean.len()),
        (77, 0, DIM)
    );
    let mut texts = TextEncoder::new(text, runtime(), &SessionOptions::default()).unwrap();
    let found = texts.encode(&["a RED circle", "blue"]).unwrap();
    let words = weights(WORDS.len() * DIM);
    let word = |id: usize| &words[id * DIM..][..DIM];
    let first = (0..DIM)
        .map(|i| word(1)[i] + word(2)[i] + word(5)[i])
        .collect();
    assert_close(&found[..DIM], &unit(first));
    assert_close(&found[DIM..], &unit(word(4).to_vec()));
    // Longer than any text: cut off.
    assert_eq!(
        texts.encode(&["red ".repeat(500).as_str()]).unwrap().len(),
        DIM
    );
}

#[test]
fn clip_in_one_file_is_cut_in_two() {
    let folder = Published::new();
    folder.clip_configs().model("onnx/model.onnx", &combined());
    let imported = imported(folder.path(), &ImportOptions::default());
    assert_features(&imported, by_hand(MEAN, STD, &weights(3 * DIM)));
    let text = imported.text.as_ref().unwrap();
    let apart = import(
        Published::clip().path(),
        &ImportOptions::default(),
        runtime(),
    )
    .unwrap();
    assert_eq!(text.info().mean, apart.text.unwrap().info().mean);
}

#[test]
fn siglip_squashes_and_pools_in_the_graph() {
    let folder = Published::new();
    folder
        .json("config.json", &json!({"model_type": "siglip"}))
        .json(
            "preprocessor_config.json",
            &json!({
                "size": {"height": SIDE, "width": SIDE}, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
            }),
        )
        .json("tokenizer.json", &super::published::tokenizer(&WORDS))
        .json("tokenizer_config.json", &json!({"model_max_length": 64, "pad_token": {"content": "[PAD]"}}))
        .model("onnx/vision_model.onnx", &vision("pooler_output", Side::Open("n")))
        .model("onnx/text_model.onnx", &text("pooler_output"));
    let imported = imported(folder.path(), &ImportOptions::default());
    assert_eq!(imported.encoder.info().resize, EncoderResize::Squash);
    assert_features(&imported, by_hand([0.5; 3], [0.5; 3], &weights(3 * DIM)));
    let text = imported.text.unwrap();
    assert_eq!((text.info().length, text.info().lowercase), (64, true));
}

fn imagenet() -> Value {
    json!({
        "size": {"shortest_edge": 36}, "crop_size": {"height": SIDE, "width": SIDE}, "do_center_crop": true,
        "image_mean": MEAN, "image_std": STD,
    })
}

#[test]
fn dinov2_gives_its_first_token_or_the_mean() {
    let folder = Published::of_images(&tokens(), "dinov2", &imagenet());
    let all = by_hand(MEAN, STD, &weights(3 * 4 * DIM));
    let first = imported(folder.path(), &ImportOptions::default());
    assert_eq!(
        first.encoder.info().resize,
        EncoderResize::ShortSideCrop { short: 36 }
    );
    assert!(first.text.is_none() && first.encoder.info().text_tower.is_none());
    assert_features(&first, all[..DIM].to_vec());
    let mut options = ImportOptions::default();
    options.pooling = Some(Pooling::Mean);
    let mean = (0..DIM)
        .map(|i| (0..4).map(|token| all[token * DIM + i] / 4.0).sum())
        .collect();
    assert_features(&imported(folder.path(), &options), mean);
    // A kind that nobody knows: the mean, and a note about it.
    folder.json("config.json", &json!({"model_type": "new"}));
    let unknown = imported(folder.path(), &ImportOptions::default());
    assert!(
        unknown.notes.iter().any(|note| note.contains("--pooling")),
        "{:?}",
        unknown.notes
    );
}

/// A classifier, its features in the middle.
fn classifier() -> ModelProto {
    let mut model = empty(17);
    let mut graft = Grafter::new(&mut model, "");
    let colour = mean_colour(&mut graft, data_type::FLOAT, Side::Open("n"));
    let weight = graft.constant("projection", &[3, DIM], &weights(3 * DIM));
    let pooled = graft.node("MatMul", &[&colour, &weight], "/pooled.features");
    let weight = graft.constant("classifier", &[DIM, 5], &weights(5 * DIM));
    let bias = graft.constant("classifier.bias", &[5], &weights(5));
    graft.output_of(
        "Gemm",
        &[&pooled, &weight, &bias],
        "logits",
        &[Side::Open("n"), Side::Of(5)],
    );
    model
}

#[test]
fn timm_loses_its_classifier() {
    let folder = Published::new();
    folder.model("model.onnx", &classifier()).json(
        "config.json",
        &json!({
            "architecture": "mobilenetv4", "num_classes": 5,
            "pretrained_cfg": {"input_size": [3, SIDE, SIDE], "crop_pct": 0.5, "mean": MEAN, "std": STD},
        }),
    );
    let cut = imported(folder.path(), &ImportOptions::default());
    assert_eq!(cut.features, "/pooled.features");
    assert_eq!(
        cut.encoder.info().resize,
        EncoderResize::ShortSideCrop { short: 64 }
    );
    assert_features(&cut, by_hand(MEAN, STD, &weights(3 * DIM)));
    let mut options = ImportOptions::default();
    options.output = Some("logits".to_owned());
    assert_eq!(
        imported(folder.path(), &options).encoder.info().feature_len,
        Some(5)
    );
}

#[test]
fn one_file_with_options_alone() {
    let folder = Published::new();
    // Half precision, the names of an encoder's own, and blue and red not told apart by position.
    let mut model = empty(17);
    let mut graft = Grafter::new(&mut model, "");
    let colour = mean_colour(&mut graft, data_type::FLOAT16, Side::Open("n"));
    let weight = graft.constant("projection", &[3, DIM], &weights(3 * DIM));
    let code = graft.node("MatMul", &[&colour, &weight], "code");
    let to = [AttributeProto::int("to", i64::from(data_type::FLOAT16))];
    graft.node_with("Cast", &[&code], "half", &to);
    graft.output_of(
        "Identity",
        &["half"],
        "features",
        &[Side::Open("n"), Side::Of(DIM)],
    );
    folder.model("own.onnx", &with_half_output(model));
    let mut options = ImportOptions::default();
    options.mean = Some([0.5, 0.25, 0.5]);
    options.std = Some([0.5, 0.5, 0.25]);
    let found = imported(&folder.file("own.onnx"), &options);
    assert_features(
        &found,
        by_hand([0.5, 0.25, 0.5], [0.5, 0.5, 0.25], &weights(3 * DIM)),
    );
    options.resize = Some(EncoderResize::Squash);
    options.name = Some("own".to_owned());
    let info = imported(&folder.file("own.onnx"), &options)
        .encoder
        .info()
        .clone();
    assert_eq!(
        (info.resize, info.name.as_str()),
        (EncoderResize::Squash, "own")
    );
}

/// Declares the outputs as half precision.
fn with_half_output(mut model: ModelProto) -> ModelProto {
    let mut other = empty(17);
    Grafter::new(&mut other, "").input(
        "features",
        data_type::FLOAT16,
        &[Side::Open("n"), Side::Of(DIM)],
    );
    let graph = model.graph.as_mut().unwrap();
    graph.output = other.graph.unwrap().input;
    model
}

#[test]
fn less_exact_variants_are_used_if_asked_for_or_alone() {
    let folder = Published::clip();
    std::fs::copy(
        folder.file("onnx/vision_model.onnx"),
        folder.file("onnx/vision_model_fp16.onnx"),
    )
    .unwrap();
    let exact = imported(folder.path(), &ImportOptions::default());
    assert!(
        exact.source.ends_with("vision_model.onnx") && exact.notes.is_empty(),
        "{exact:?}"
    );
    let mut options = ImportOptions::default();
    options.variant = Some("fp16".to_owned());
    assert!(
        imported(folder.path(), &options)
            .source
            .ends_with("vision_model_fp16.onnx")
    );
    folder.remove("onnx/vision_model.onnx");
    let alone = imported(folder.path(), &ImportOptions::default());
    assert!(alone.notes[0].contains("less exact"), "{:?}", alone.notes);
}

/// Moves the weights of a model into a file of its own.
pub fn with_outside_data(mut model: ModelProto, location: &str) -> (ModelProto, Vec<u8>) {
    let mut data = vec![7; 16];
    for tensor in &mut model.graph.as_mut().unwrap().initializer {
        let raw = tensor.raw_data.take().unwrap();
        let entries = [
            ("location", location.to_owned()),
            ("offset", data.len().to_string()),
            ("length", raw.len().to_string()),
        ];
        tensor.external_data = entries
            .map(|(key, value)| StringStringEntryProto {
                key: Some(key.to_owned()),
                value: Some(value),
            })
            .to_vec();
        tensor.data_location = Some(1);
        data.extend(raw);
    }
    (model, data)
}

#[test]
fn weights_in_a_file_of_their_own_are_pulled_in() {
    let folder = Published::clip();
    let (model, data) =
        with_outside_data(vision("image_embeds", Side::Open("n")), "model.onnx_data");
    folder
        .model("onnx/vision_model.onnx", &model)
        .bytes("onnx/model.onnx_data", &data);
    let found = imported(folder.path(), &ImportOptions::default());
    assert_features(&found, by_hand(MEAN, STD, &weights(3 * DIM)));
}
