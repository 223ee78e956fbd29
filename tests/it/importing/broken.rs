//! Folders that lack something: each error says what, and what to do.

use imgsearch::onnx::authoring::{Grafter, ModelProto, Side, data_type};
use imgsearch::onnx::{ImportOptions, import};
use serde_json::json;

use super::layouts::{runtime, with_outside_data};
use super::published::{DIM, Published, SIDE, empty, mean_colour, text, tokens, vision, weights};
use crate::support::Place;

/// Fails unless importing fails with all of the parts in its message.
#[track_caller]
fn assert_refused(folder: &Published, options: &ImportOptions, parts: &[&str]) {
    let error = import(folder.path(), options, runtime())
        .unwrap_err()
        .to_string();
    for part in parts {
        assert!(error.contains(part), "{part:?} is missing: {error}");
    }
}

const N: Side<'_> = Side::Open("n");

#[test]
fn missing_files_are_named() {
    let default = ImportOptions::default();
    let folder = Published::new();
    assert_refused(
        &folder,
        &default,
        &["no ONNX file at all", "optimum-cli export onnx"],
    );
    folder.bytes("onnx/decoder.onnx", b"");
    assert_refused(
        &folder,
        &default,
        &["it holds decoder.onnx", "name one of these"],
    );

    let folder = Published::clip();
    let mut options = ImportOptions::default();
    options.variant = Some("int8".to_owned());
    assert_refused(
        &folder,
        &options,
        &[
            "\"int8\"",
            "_int8.onnx",
            "text_model.onnx, vision_model.onnx",
        ],
    );
    folder.remove("tokenizer.json");
    assert_refused(
        &folder,
        &default,
        &[
            "text_model.onnx",
            "tokenizer.json, which is missing",
            "download it",
        ],
    );
    folder.remove("onnx/text_model.onnx");
    assert!(import(folder.path(), &default, runtime()).is_ok());

    let (model, data) = with_outside_data(vision("image_embeds", N), "vision_model.onnx_data");
    folder.model("onnx/vision_model.onnx", &model);
    assert_refused(
        &folder,
        &default,
        &["vision_model.onnx_data", "download that file"],
    );
    folder.bytes("onnx/vision_model.onnx_data", &data[..20]);
    assert_refused(
        &folder,
        &default,
        &["vision_model.onnx_data has 20 bytes", "download it again"],
    );
    // Larger than a file of ONNX; nothing of it takes a place on the disk.
    let (mut model, _) = with_outside_data(vision("image_embeds", N), "huge");
    let tensor = &mut model.graph.as_mut().unwrap().initializer[0];
    tensor.external_data[2].value = Some((3u64 << 30).to_string());
    folder.model("onnx/vision_model.onnx", &model);
    let huge = std::fs::File::create(folder.file("onnx/huge")).unwrap();
    huge.set_len(4 << 30).unwrap();
    assert_refused(
        &folder,
        &default,
        &["larger than the 2 GB", "--variant fp16"],
    );
    let (model, _) = with_outside_data(vision("image_embeds", N), "../secret");
    folder.model("onnx/vision_model.onnx", &model);
    assert_refused(
        &folder,
        &default,
        &["\"../secret\", which is not in the folder"],
    );
}

#[test]
fn files_that_are_something_else_are_named() {
    let default = ImportOptions::default();
    let folder = Published::clip();
    folder.bytes("preprocessor_config.json", b"{size: 224}");
    assert_refused(
        &folder,
        &default,
        &["preprocessor_config.json", "not JSON", "download it again"],
    );
    folder
        .clip_configs()
        .json("preprocessor_config.json", &json!({"size": "large"}));
    assert_refused(
        &folder,
        &default,
        &["preprocessor_config.json", "\"large\"", "--size"],
    );
    folder.json(
        "preprocessor_config.json",
        &json!({"size": SIDE, "do_pad": true}),
    );
    assert_refused(&folder, &default, &["do_pad"]);
    folder.clip_configs().bytes("tokenizer.json", b"[]");
    assert_refused(&folder, &default, &["tokenizer.json cannot be used"]);
    folder.clip_configs().bytes(
        "onnx/vision_model.onnx",
        b"version https://git-lfs.github.com/spec/v1\n",
    );
    assert_refused(&folder, &default, &["not an ONNX file", "Git LFS"]);
    assert_refused_file(&folder.file("tokenizer.json"), "ends in .onnx");
    assert_refused_file(&folder.file("nothing.onnx"), "no such file or folder");
}

#[track_caller]
fn assert_refused_file(path: &std::path::Path, part: &str) {
    let error = import(path, &ImportOptions::default(), runtime())
        .unwrap_err()
        .to_string();
    assert!(error.contains(part), "{part:?} is missing: {error}");
}

#[test]
fn graphs_of_other_kinds_are_named() {
    let default = ImportOptions::default();
    let folder = Published::clip();
    let refused = |model: &ModelProto, parts: &[&str]| {
        folder.model("onnx/vision_model.onnx", model);
        assert_refused(&folder, &default, parts);
    };
    // Only its description is for one image.
    folder.model(
        "onnx/vision_model.onnx",
        &vision("image_embeds", Side::Of(1)),
    );
    assert!(import(folder.path(), &default, runtime()).is_ok());
    refused(
        &fixed_batch(),
        &["takes one image at a time", "dynamic batch axis"],
    );
    let mut wrong = empty(17);
    let mut graft = Grafter::new(&mut wrong, "");
    graft.input(
        "pixel_values",
        data_type::FLOAT,
        &[N, Side::Of(196), Side::Of(768)],
    );
    graft.output_of("Identity", &["pixel_values"], "image_embeds", &[N]);
    refused(
        &wrong,
        &["`pixel_values` has 3 dimensions", "[n, 3, height, width]"],
    );

    let mut options = ImportOptions::default();
    options.output = Some("embeds".to_owned());
    folder.model("onnx/vision_model.onnx", &vision("image_embeds", N));
    assert_refused(&folder, &options, &["no output \"embeds\"", "image_embeds"]);
    options.output = None;
    options.size = Some(48);
    assert_refused(&folder, &options, &["32 by 32", "48 by 48", "--size"]);

    let mut newer = vision("image_embeds", N);
    newer.opset_import[0].version = Some(99);
    refused(&newer, &["opset 99", "--opset 17"]);
    newer.opset_import[0].version = Some(8);
    refused(&newer, &["opset 8", "at least 9"]);
    refused(&tokens_and_texts(), &["input_ids", "vision_model.onnx"]);
}

/// A graph that says that it takes any number of images, and does not.
fn fixed_batch() -> ModelProto {
    let mut model = empty(17);
    let mut graft = Grafter::new(&mut model, "");
    let colour = mean_colour(&mut graft, data_type::FLOAT, N);
    let shape = graft.shape("one", &[1, 3]);
    let colour = graft.node("Reshape", &[&colour, &shape], "/one");
    let weight = graft.constant("projection", &[3, DIM], &weights(3 * DIM));
    graft.output_of(
        "MatMul",
        &[&colour, &weight],
        "image_embeds",
        &[N, Side::Of(DIM)],
    );
    model
}

/// A graph whose vectors of images depend on a text.
fn tokens_and_texts() -> ModelProto {
    let mut model = text("text_embeds");
    let mut graft = Grafter::new(&mut model, "");
    let colour = mean_colour(&mut graft, data_type::FLOAT, N);
    let weight = graft.constant("projection", &[3, DIM], &weights(3 * DIM));
    let image = graft.node("MatMul", &[&colour, &weight], "/image");
    graft.output_of(
        "Add",
        &[&image, "text_embeds"],
        "image_embeds",
        &[N, Side::Of(DIM)],
    );
    model
}

#[test]
fn texts_that_do_not_belong_to_the_images_are_refused() {
    let default = ImportOptions::default();
    let folder = Published::clip();
    folder.model("onnx/vision_model.onnx", &tokens());
    let mut options = ImportOptions::default();
    options.output = Some("/flat".to_owned());
    assert_refused(
        &folder,
        &options,
        &["cannot be compared", "32 numbers", "Move this file away"],
    );
    folder.model("onnx/vision_model.onnx", &vision("image_embeds", N));
    folder.model("onnx/text_model.onnx", &text("sentence"));
    assert_refused(&folder, &default, &["none of its outputs", "sentence"]);
    folder.model("onnx/text_model.onnx", &text("text_embeds"));
    folder.json("tokenizer_config.json", &json!({"pad_token": "<pad>"}));
    assert_refused(
        &folder,
        &default,
        &["\"<pad>\"", "tokenizer.json does not know"],
    );
    folder.json("tokenizer_config.json", &json!({}));
    assert_refused(&folder, &default, &["which token pads"]);
}

#[test]
fn the_command_says_what_is_missing() {
    let place = Place::new();
    let folder = Published::clip();
    folder.remove("tokenizer.json");
    let ran = place
        .run(&["import", folder.path().to_str().unwrap(), "-o", "clip.onnx"])
        .ended(2);
    assert!(
        ran.stderr.contains("tokenizer.json, which is missing"),
        "{ran:?}"
    );
    assert!(!place.photos().with_file_name("clip.onnx").exists());
    let ran = place.run(&["query", "--text", "a cat"]).ended(2);
    assert!(ran.stderr.contains("index"), "{ran:?}");
    let ran = place
        .run(&["import", "x", "-o", "y", "--mean", "1,2"])
        .ended(2);
    assert!(ran.stderr.contains("three numbers"), "{ran:?}");
}
