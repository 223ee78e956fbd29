//! A small model of images and texts, trained here on drawn shapes, published, imported, and asked in words.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use candle_core::{D, DType, Device, Tensor, Var};
use candle_nn::{AdamW, Optimizer as _, ParamsAdamW, loss::cross_entropy, ops::log_softmax};
use image::RgbImage;
use imgsearch::onnx::authoring::{AttributeProto, CAPTIONS, Grafter, ModelProto, Side, data_type};
use serde_json::json;

use super::published::{Published, empty, tokenizer};
use crate::support::Place;

/// Side of the pictures; of the patches that the model sees, and the step between them; lengths of its layers.
const SIDE: usize = 48;
const PATCH: usize = 8;
const STEP: usize = 5;
const ROWS: usize = (SIDE - PATCH) / STEP + 1;
const HIDDEN: [usize; 3] = [128, 64, 96];
const DIM: usize = 32;

/// How it is trained: steps, the highest learning rate, the temperature of likenesses.
const STEPS: usize = 800;
const RATE: f64 = 0.004;
const TEMPERATURE: f64 = 0.07;

/// Tokens of a text.
const LENGTH: usize = 12;

const COUNTS: [&str; 3] = ["one", "two", "three"];
const COLOURS: [(&str, [u8; 3]); 4] = [
    ("red", [210, 40, 40]),
    ("green", [40, 170, 60]),
    ("blue", [50, 70, 210]),
    ("yellow", [230, 200, 40]),
];
const SHAPES: [&str; 3] = ["circle", "cross", "triangle"];
const CLASSES: usize = COUNTS.len() * COLOURS.len() * SHAPES.len();

/// The words of the built-in captions that mean something here: each is a synonym of a count, a colour or a shape,
/// one after the other. So these captions say all kinds of things, as they do to a real model.
fn synonyms() -> [Vec<Vec<&'static str>>; 3] {
    let mut seen = HashSet::new();
    let words = CAPTIONS.iter().flat_map(|caption| caption.split(' '));
    let words = words.filter(|word| word.len() > 3 && seen.insert(*word));
    let counts = [COUNTS.len(), COLOURS.len(), SHAPES.len()];
    let mut of = counts.map(|count| vec![Vec::new(); count]);
    let places: Vec<_> = (0..3)
        .flat_map(|part| (0..counts[part]).map(move |which| (part, which)))
        .collect();
    for ((part, which), word) in places.iter().cycle().zip(words) {
        of[*part][*which].push(word);
    }
    of
}

/// What a picture of a class shows, in words.
fn caption(class: usize) -> String {
    let (count, colour, shape) = parts(class);
    let plural = match (count, shape) {
        (0, _) => "",
        (_, 1) => "es",
        _ => "s",
    };
    format!(
        "{} {} {}{plural}",
        COUNTS[count], COLOURS[colour].0, SHAPES[shape]
    )
}

/// Another caption for a class: each word may be a synonym.
fn paraphrase(class: usize, synonyms: &[Vec<Vec<&str>>; 3], random: &mut Random) -> String {
    let (count, colour, shape) = parts(class);
    let caption = caption(class);
    let words = caption.split(' ').zip([count, colour, shape]);
    let words = words.zip(synonyms).map(|((word, which), synonyms)| {
        let synonyms = &synonyms[which];
        match random.below(2) {
            0 => word,
            _ => synonyms[random.below(synonyms.len())],
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

fn parts(class: usize) -> (usize, usize, usize) {
    (class % 3, class / 3 % 4, class / 12)
}

fn words() -> Vec<String> {
    let mut words: Vec<String> = ["[PAD]", "[UNK]"].map(ToOwned::to_owned).into();
    words.extend((0..CLASSES).flat_map(|class| {
        let caption = caption(class);
        caption
            .split(' ')
            .map(ToOwned::to_owned)
            .collect::<Vec<_>>()
    }));
    let synonyms = synonyms().into_iter().flatten().flatten();
    words.extend(synonyms.map(ToOwned::to_owned));
    let mut seen = HashSet::new();
    words.retain(|word| seen.insert(word.clone()));
    words
}

/// Random numbers: an xorshift generator.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 33) % n as u64) as usize
    }

    /// From -1 to 1.
    fn signed(&mut self) -> f64 {
        self.below(1 << 20) as f64 / f64::from(1 << 19) - 1.0
    }
}

/// Draws a picture of a class: its shapes at random places of a grid, on a light ground.
fn draw(class: usize, random: &mut Random) -> RgbImage {
    let (count, colour, shape) = parts(class);
    let ground = 200 + random.below(40);
    let mut picture = RgbImage::from_fn(SIDE as u32, SIDE as u32, |_, _| {
        image::Rgb([0, 0, 0].map(|_: u8| (ground + random.below(8)) as u8))
    });
    let mut cells: Vec<usize> = (0..9).collect();
    for _ in 0..=count {
        let cell = cells.swap_remove(random.below(cells.len()));
        let centre =
            |cell: usize, random: &mut Random| 8.0 + 16.0 * cell as f64 + 1.5 * random.signed();
        let (x, y) = (centre(cell % 3, random), centre(cell / 3, random));
        let radius = 6.5 + 0.3 * random.signed();
        let shade = random.below(16) as i16 - 8;
        let colour = COLOURS[colour]
            .1
            .map(|value| (i16::from(value) + shade).clamp(0, 255) as u8);
        for (px, py, pixel) in picture.enumerate_pixels_mut() {
            let (dx, dy) = (f64::from(px) - x, f64::from(py) - y);
            let inside = match shape {
                0 => dx.hypot(dy) <= radius,
                1 => dx.abs().max(dy.abs()) <= radius && dx.abs().min(dy.abs()) <= radius / 3.0,
                _ => dy <= radius && dx.abs() * 2.0 <= dy + radius,
            };
            if inside {
                *pixel = image::Rgb(colour);
            }
        }
    }
    picture
}

/// The patches of pictures, as a graph's convolution sees them: `[n, ROWS * ROWS, 3 * PATCH * PATCH]`, -1 to 1.
fn patches(pictures: &[RgbImage]) -> Tensor {
    let mut values = Vec::with_capacity(pictures.len() * ROWS * ROWS * 3 * PATCH * PATCH);
    let mut planes = vec![0.0; 3 * SIDE * SIDE];
    for picture in pictures {
        for (i, pixel) in picture.as_raw().chunks_exact(3).enumerate() {
            for (channel, &value) in pixel.iter().enumerate() {
                planes[channel * SIDE * SIDE + i] = f32::from(value) / 127.5 - 1.0;
            }
        }
        for row in 0..ROWS * ROWS {
            let start = row / ROWS * STEP * SIDE + row % ROWS * STEP;
            for line in 0..3 * PATCH {
                let start = start + line / PATCH * SIDE * SIDE + line % PATCH * SIDE;
                values.extend_from_slice(&planes[start..][..PATCH]);
            }
        }
    }
    let shape = (pictures.len(), ROWS * ROWS, 3 * PATCH * PATCH);
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// The two towers.
struct Model {
    parameters: HashMap<&'static str, Var>,
}

impl Model {
    fn new(random: &mut Random) -> Self {
        let [a, b, c] = HIDDEN;
        let shapes = [
            ("patch", [3 * PATCH * PATCH, a]),
            ("patch.bias", [1, a]),
            ("mix", [a, b]),
            ("mix.bias", [1, b]),
            ("whole", [b, c]),
            ("whole.bias", [1, c]),
            ("image", [c, DIM]),
            ("image.bias", [1, DIM]),
            ("words", [words().len(), DIM]),
            ("text.bias", [1, DIM]),
        ];
        let parameters = shapes.map(|(name, [rows, columns])| {
            let spread = if name.ends_with("bias") {
                0.01
            } else {
                (3.0 / rows as f64).sqrt()
            };
            let values: Vec<f32> = (0..rows * columns)
                .map(|_| (spread * random.signed()) as f32)
                .collect();
            let mut values = values;
            if name == "words" {
                // Words that it does not know say nothing.
                values[..2 * columns].fill(0.0);
            }
            let tensor = Tensor::from_vec(values, (rows, columns), &Device::Cpu).unwrap();
            (name, Var::from_tensor(&tensor).unwrap())
        });
        Self {
            parameters: parameters.into(),
        }
    }

    fn get(&self, name: &str) -> &Tensor {
        self.parameters[name].as_tensor()
    }

    fn linear(&self, rows: &Tensor, name: &str) -> Tensor {
        let product = rows.matmul(self.get(name)).unwrap();
        product
            .broadcast_add(self.get(&format!("{name}.bias")))
            .unwrap()
    }

    fn images(&self, patches: &Tensor) -> Tensor {
        let (n, rows, length) = patches.dims3().unwrap();
        let flat = patches.reshape((n * rows, length)).unwrap();
        let x = self.linear(&flat, "patch").relu().unwrap();
        let x = self.linear(&x, "mix").relu().unwrap();
        let x = x.reshape((n, rows, HIDDEN[1])).unwrap().mean(1).unwrap();
        let x = self.linear(&x, "whole").relu().unwrap();
        self.linear(&x, "image")
    }

    /// Of bags of words, `[n, words]`.
    fn texts(&self, bags: &Tensor) -> Tensor {
        let sum = bags.matmul(self.get("words")).unwrap();
        sum.broadcast_add(self.get("text.bias")).unwrap()
    }

    /// Trains: the caption of a picture among all captions, and the pictures of a caption
    /// among the pictures of the batch (Radford et al. 2021).
    fn train(&self, random: &mut Random) {
        let mut rates = ParamsAdamW {
            lr: RATE,
            weight_decay: 0.001,
            ..ParamsAdamW::default()
        };
        let mut optimiser =
            AdamW::new(self.parameters.values().cloned().collect(), rates.clone()).unwrap();
        let synonyms = synonyms();
        let words = words();
        for step in 0..STEPS {
            let classes: Vec<usize> = (0..CLASSES).flat_map(|class| [class; 2]).collect();
            let pictures: Vec<_> = classes.iter().map(|&class| draw(class, random)).collect();
            let labels: Vec<u32> = classes.iter().map(|&class| class as u32).collect();
            let labels = Tensor::new(labels, &Device::Cpu).unwrap();
            let images = unit(&self.images(&patches(&pictures)));
            let captions: Vec<_> = (0..CLASSES)
                .map(|class| paraphrase(class, &synonyms, random))
                .collect();
            let texts = unit(&self.texts(&bags(&captions, &words)));
            let alike = (images.matmul(&texts.t().unwrap()).unwrap() / TEMPERATURE).unwrap();
            let by_image = cross_entropy(&alike, &labels).unwrap();
            let by_text = by_text(&alike);
            let loss = (by_image + by_text).unwrap();
            rates.lr = RATE * (1.0 - step as f64 / STEPS as f64) + 1e-5;
            optimiser.set_params(rates.clone());
            optimiser.backward_step(&loss).unwrap();
        }
    }
}

/// The cross-entropy between the pictures of each caption, two of the batch, and what their likeness says.
fn by_text(alike: &Tensor) -> Tensor {
    let log = log_softmax(&alike.t().unwrap(), D::Minus1).unwrap();
    let right: Vec<f32> = (0..CLASSES)
        .flat_map(|text| (0..2 * CLASSES).map(move |image| f32::from(u8::from(image / 2 == text))))
        .collect();
    let right = Tensor::from_vec(right, (CLASSES, 2 * CLASSES), &Device::Cpu).unwrap();
    (log.mul(&right).unwrap().sum_all().unwrap() / (-2.0 * CLASSES as f64)).unwrap()
}

fn unit(rows: &Tensor) -> Tensor {
    let norm = rows.sqr().unwrap().sum_keepdim(1).unwrap().sqrt().unwrap();
    rows.broadcast_div(&(norm + 1e-6).unwrap()).unwrap()
}

/// How often each known word is in each text.
fn bags(texts: &[String], words: &[String]) -> Tensor {
    let mut values = vec![0.0f32; texts.len() * words.len()];
    for (row, text) in values.chunks_exact_mut(words.len()).zip(texts) {
        for word in text.split(' ') {
            row[words.iter().position(|known| known == word).unwrap_or(1)] += 1.0;
        }
    }
    Tensor::from_vec(values, (texts.len(), words.len()), &Device::Cpu).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor
        .flatten_all()
        .unwrap()
        .to_dtype(DType::F32)
        .unwrap()
        .to_vec1()
        .unwrap()
}

/// The vision model as a graph: convolutions, as exporters write them.
fn vision(model: &Model) -> ModelProto {
    let mut graph = empty(17);
    let mut graft = Grafter::new(&mut graph, "vision.");
    let n = Side::Open("batch_size");
    graft.input(
        "pixel_values",
        data_type::FLOAT,
        &[n, Side::Of(3), Side::Of(SIDE), Side::Of(SIDE)],
    );
    let [a, b, c] = HIDDEN;
    let layer = |graft: &mut Grafter<'_>, name: &str, shape: &[usize]| {
        let turned = values(&model.get(name).t().unwrap().contiguous().unwrap());
        let bias = values(model.get(&format!("{name}.bias")));
        (
            graft.constant(name, shape, &turned),
            graft.constant(&format!("{name}.bias"), &[bias.len()], &bias),
        )
    };
    let (weight, bias) = layer(&mut graft, "patch", &[a, 3, PATCH, PATCH]);
    let steps = [
        AttributeProto::ints("strides", &[STEP, STEP]),
        AttributeProto::ints("kernel_shape", &[PATCH, PATCH]),
    ];
    let x = graft.node_with("Conv", &["pixel_values", &weight, &bias], "patches", &steps);
    let x = graft.node("Relu", &[&x], "patches.on");
    let (weight, bias) = layer(&mut graft, "mix", &[b, a, 1, 1]);
    let x = graft.node("Conv", &[&x, &weight, &bias], "mixed");
    let x = graft.node("Relu", &[&x], "mixed.on");
    let x = graft.node("GlobalAveragePool", &[&x], "pooled");
    let x = graft.node_with("Flatten", &[&x], "flat", &[AttributeProto::int("axis", 1)]);
    let turned = [AttributeProto::int("transB", 1)];
    let (weight, bias) = layer(&mut graft, "whole", &[c, b]);
    let x = graft.node_with("Gemm", &[&x, &weight, &bias], "whole.linear", &turned);
    let x = graft.node("Relu", &[&x], "whole.on");
    let (weight, bias) = layer(&mut graft, "image", &[DIM, c]);
    let x = graft.node_with("Gemm", &[&x, &weight, &bias], "image.linear", &turned);
    graft.output_of("Identity", &[&x], "image_embeds", &[n, Side::Of(DIM)]);
    graph
}

/// The text model as a graph.
fn text(model: &Model) -> ModelProto {
    let mut graph = empty(17);
    let mut graft = Grafter::new(&mut graph, "text.");
    let sides = [Side::Open("batch_size"), Side::Open("sequence_length")];
    graft.input("input_ids", data_type::INT64, &sides);
    graft.input("attention_mask", data_type::INT64, &sides);
    let table = graft.constant("words", &[words().len(), DIM], &values(model.get("words")));
    let vectors = graft.node("Gather", &[&table, "input_ids"], "vectors");
    let to = [AttributeProto::int("to", i64::from(data_type::FLOAT))];
    let mask = graft.node_with("Cast", &["attention_mask"], "mask", &to);
    let shape = graft.shape("mask", &[0, 1, -1]);
    let mask = graft.node("Reshape", &[&mask, &shape], "mask.row");
    let sum = graft.node("MatMul", &[&mask, &vectors], "sum");
    let shape = graft.shape("sum", &[-1, DIM as i64]);
    let sum = graft.node("Reshape", &[&sum, &shape], "sum.row");
    let bias = graft.constant("bias", &[DIM], &values(model.get("text.bias")));
    graft.output_of(
        "Add",
        &[&sum, &bias],
        "text_embeds",
        &[Side::Open("batch_size"), Side::Of(DIM)],
    );
    graph
}

/// The trained model in a folder as CLIP is published in.
fn published(random: &mut Random) -> Published {
    let model = Model::new(random);
    model.train(random);
    let folder = Published::new();
    let words = words();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    folder
        .json("config.json", &json!({"model_type": "clip"}))
        .json(
            "preprocessor_config.json",
            &json!({
                "size": {"shortest_edge": SIDE}, "crop_size": {"height": SIDE, "width": SIDE}, "do_center_crop": true,
                "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
            }),
        )
        .json("tokenizer.json", &tokenizer(&words))
        .json("tokenizer_config.json", &json!({"model_max_length": LENGTH, "pad_token": "[PAD]"}))
        .model("onnx/vision_model.onnx", &vision(&model))
        .model("onnx/text_model.onnx", &text(&model));
    folder
}

/// Pictures of each class in the index.
const PICTURES: usize = 15;

/// The share of right pictures among the first ten, over all captions.
fn precision(place: &Place) -> f64 {
    let right: usize = (0..CLASSES).map(|class| right_of(place, class)).sum();
    right as f64 / (10 * CLASSES) as f64
}

fn right_of(place: &Place, class: usize) -> usize {
    let text = caption(class);
    let ran = place
        .run(&["query", "--text", &text, "-k", "10", "--paths"])
        .ended(0);
    let wanted = format!("class-{class:02}-");
    let names = ran
        .stdout
        .lines()
        .map(|line| Path::new(line).file_name().unwrap().to_str().unwrap());
    names.filter(|name| name.starts_with(&wanted)).count()
}

#[test]
fn two_red_circles_are_found_by_their_words() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let folder = published(&mut random);
    let place = Place::new();
    for class in 0..CLASSES {
        for i in 0..PICTURES {
            let name = format!("class-{class:02}-{i:02}.png");
            draw(class, &mut random).save(place.photo(&name)).unwrap();
        }
    }
    let model = folder.path().to_str().unwrap();
    // A drawn head works without any picture.
    place
        .run(&["import", model, "-o", "drawn.onnx", "--quiet"])
        .ended(0);
    place
        .run(&["index", "photos", "--encoder", "drawn.onnx", "--quiet"])
        .ended(0);
    let drawn = precision(&place);
    // A trained one is better. It becomes the index's encoder, with a copy of the text tower.
    place
        .run(&[
            "import",
            model,
            "-o",
            "clip.onnx",
            "--train",
            "photos",
            "--quiet",
        ])
        .ended(0);
    let index = place.index_dir();
    std::fs::remove_dir_all(&index).unwrap();
    place
        .run(&["index", "photos", "--encoder", "clip.onnx", "--quiet"])
        .ended(0);
    for name in ["clip.onnx", "clip.text.onnx"] {
        std::fs::remove_file(index.with_file_name(name)).unwrap();
    }
    let trained = precision(&place);
    let two_red_circles = (0..CLASSES)
        .find(|&class| caption(class) == "two red circles")
        .unwrap();
    eprintln!("precision at 10: {drawn:.3} with a drawn head, {trained:.3} with a trained one");
    assert!(right_of(&place, two_red_circles) >= 9);
    assert!(trained >= 0.9, "{trained}");
    assert!(drawn >= 0.8, "{drawn}");
}
