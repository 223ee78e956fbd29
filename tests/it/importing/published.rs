//! Makes folders as models are published in, with tiny graphs whose results can be computed by hand.
//!
//! The vision models see the mean colour of an image. The text models add the vectors of the words.

use std::path::{Path, PathBuf};

use imgsearch::onnx::authoring::{
    AttributeProto, Grafter, GraphProto, ModelProto, OperatorSetIdProto, Side, data_type,
};
use prost::Message as _;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Side of the images, and length of the features.
pub const SIDE: usize = 32;
pub const DIM: usize = 8;

/// Tokens of a text in the folders of CLIP.
pub const LENGTH: usize = 77;

pub const WORDS: [&str; 6] = ["[PAD]", "[UNK]", "red", "green", "blue", "circle"];

const N: Side<'_> = Side::Open("batch_size");

/// The weights of a layer: any numbers, always the same.
pub fn weights(length: usize) -> Vec<f32> {
    (0..length)
        .map(|i| ((i * 37 + 11) % 29) as f32 / 14.5 - 1.0)
        .collect()
}

/// Returns an empty model of an opset.
pub fn empty(opset: i64) -> ModelProto {
    ModelProto {
        ir_version: Some(8),
        opset_import: vec![OperatorSetIdProto {
            domain: Some(String::new()),
            version: Some(opset),
        }],
        graph: Some(GraphProto {
            name: Some("main_graph".to_owned()),
            ..GraphProto::default()
        }),
        ..ModelProto::default()
    }
}

/// Adds the mean colour, `[n, 3]`, of the input `pixel_values`.
pub fn mean_colour(graft: &mut Grafter<'_>, kind: i32, batch: Side<'_>) -> String {
    let sides = [batch, Side::Of(3), Side::Of(SIDE), Side::Of(SIDE)];
    graft.input("pixel_values", kind, &sides);
    let mut x = "pixel_values".to_owned();
    if kind != data_type::FLOAT {
        let to = [AttributeProto::int("to", i64::from(data_type::FLOAT))];
        x = graft.node_with("Cast", &[&x], "/cast", &to);
    }
    let pooled = graft.node("GlobalAveragePool", &[&x], "/pooled");
    graft.node_with(
        "Flatten",
        &[&pooled],
        "/colour",
        &[AttributeProto::int("axis", 1)],
    )
}

/// A vision model with the output `output`, `[n, DIM]`.
pub fn vision(output: &str, batch: Side<'_>) -> ModelProto {
    let mut model = empty(17);
    let mut graft = Grafter::new(&mut model, "");
    let colour = mean_colour(&mut graft, data_type::FLOAT, batch);
    let weight = graft.constant("projection", &[3, DIM], &weights(3 * DIM));
    graft.output_of(
        "MatMul",
        &[&colour, &weight],
        output,
        &[batch, Side::Of(DIM)],
    );
    model
}

/// A vision model with tokens, `[n, 4, DIM]`, as `last_hidden_state`: the first is `weights`, the others twice that
/// and more.
pub fn tokens() -> ModelProto {
    let mut model = empty(17);
    let mut graft = Grafter::new(&mut model, "");
    let colour = mean_colour(&mut graft, data_type::FLOAT, N);
    let weight = graft.constant("projection", &[3, 4 * DIM], &weights(3 * 4 * DIM));
    let flat = graft.node("MatMul", &[&colour, &weight], "/flat");
    let shape = graft.shape("tokens", &[-1, 4, DIM as i64]);
    let sides = [N, Side::Open("tokens"), Side::Of(DIM)];
    graft.output_of("Reshape", &[&flat, &shape], "last_hidden_state", &sides);
    model
}

/// Adds a text model with the output `output`, `[n, DIM]`.
pub fn texts(graft: &mut Grafter<'_>, output: &str) {
    let sides = [N, Side::Open("sequence_length")];
    graft.input("input_ids", data_type::INT64, &sides);
    graft.input("attention_mask", data_type::INT64, &sides);
    let table = graft.constant("words", &[WORDS.len(), DIM], &weights(WORDS.len() * DIM));
    let vectors = graft.node("Gather", &[&table, "input_ids"], "/vectors");
    let to = [AttributeProto::int("to", i64::from(data_type::FLOAT))];
    let mask = graft.node_with("Cast", &["attention_mask"], "/mask", &to);
    let shape = graft.shape("mask", &[0, 1, -1]);
    let mask = graft.node("Reshape", &[&mask, &shape], "/mask.row");
    let sum = graft.node("MatMul", &[&mask, &vectors], "/sum");
    let shape = graft.shape("sum", &[-1, DIM as i64]);
    graft.output_of("Reshape", &[&sum, &shape], output, &[N, Side::Of(DIM)]);
}

/// A text model alone.
pub fn text(output: &str) -> ModelProto {
    let mut model = empty(17);
    texts(&mut Grafter::new(&mut model, ""), output);
    model
}

/// A tokenizer of whole words.
pub fn tokenizer(words: &[&str]) -> Value {
    let vocabulary: serde_json::Map<String, Value> = words
        .iter()
        .enumerate()
        .map(|(id, word)| ((*word).to_owned(), json!(id)))
        .collect();
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": {"type": "Lowercase"}, "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": null, "decoder": null,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"},
    })
}

/// The folder of a published model.
pub struct Published {
    dir: TempDir,
}

impl Published {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("onnx")).unwrap();
        Self { dir }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn json(&self, name: &str, value: &Value) -> &Self {
        self.bytes(name, value.to_string().as_bytes())
    }

    pub fn bytes(&self, name: &str, bytes: &[u8]) -> &Self {
        std::fs::write(self.file(name), bytes).unwrap();
        self
    }

    pub fn model(&self, name: &str, model: &ModelProto) -> &Self {
        self.bytes(name, &model.encode_to_vec())
    }

    pub fn remove(&self, name: &str) -> &Self {
        std::fs::remove_file(self.file(name)).unwrap();
        self
    }

    /// The files beside the graphs, in the way of CLIP.
    pub fn clip_configs(&self) -> &Self {
        self.json("config.json", &json!({"model_type": "clip", "text_config": {"max_position_embeddings": LENGTH}}))
            .json(
                "preprocessor_config.json",
                &json!({
                    "crop_size": {"height": SIDE, "width": SIDE}, "do_center_crop": true, "do_normalize": true,
                    "do_rescale": true, "do_resize": true, "size": {"shortest_edge": SIDE}, "resample": 3,
                    "image_mean": [0.48, 0.45, 0.4], "image_std": [0.26, 0.25, 0.28], "rescale_factor": 1.0 / 255.0,
                }),
            )
            .json("tokenizer.json", &tokenizer(&WORDS))
            .json("tokenizer_config.json", &json!({"model_max_length": LENGTH, "pad_token": "[PAD]"}))
    }

    /// A folder as Xenova and onnx-community publish CLIP.
    pub fn clip() -> Self {
        let folder = Self::new();
        folder
            .clip_configs()
            .model("onnx/vision_model.onnx", &vision("image_embeds", N))
            .model("onnx/text_model.onnx", &text("text_embeds"));
        folder
    }

    /// A folder with images alone: `model.onnx`, its kind, and a preparation of images.
    pub fn of_images(model: &ModelProto, model_type: &str, images: &Value) -> Self {
        let folder = Self::new();
        folder
            .model("onnx/model.onnx", model)
            .json("config.json", &json!({"model_type": model_type}))
            .json("preprocessor_config.json", images);
        folder
    }
}

/// A combined model: images and texts in one graph, and how alike they are.
pub fn combined() -> ModelProto {
    let mut model = empty(17);
    let mut graft = Grafter::new(&mut model, "");
    texts(&mut graft, "text_embeds");
    let colour = mean_colour(&mut graft, data_type::FLOAT, N);
    let weight = graft.constant("projection", &[3, DIM], &weights(3 * DIM));
    graft.output_of(
        "MatMul",
        &[&colour, &weight],
        "image_embeds",
        &[N, Side::Of(DIM)],
    );
    let turned = graft.node("Transpose", &["text_embeds"], "/turned");
    let sides = [N, Side::Open("text_batch_size")];
    graft.output_of(
        "MatMul",
        &["image_embeds", &turned],
        "logits_per_image",
        &sides,
    );
    model
}
