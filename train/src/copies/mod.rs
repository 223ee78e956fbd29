//! Encoders that recognise edited copies of an image, and not similar images.
//!
//! ```text
//! images ─▶ blurred ─▶ trunk ─▶ direction ┐
//!    └────▶ low frequencies ─▶ direction ─┴─▶ features ─▶ whitened within copies ─▶ code, hash
//! ```
//!
//! The trunk sees the image without its fine detail, which re-encoding, scaling and blurring change. The
//! features also have the lowest frequencies of the image itself: those of the discrete cosine
//! transform, as perceptual hashes use them, of grey and of two colour differences. If mirroring changes
//! the sign of a frequency, only its absolute value counts. The features are then whitened by their
//! differences between an image and its altered copies, and the directions are kept along which images
//! differ most from each other: linear discriminant analysis with each image as its own class (Fisher
//! 1936).

use std::f64::consts::PI;

use crate::baseline::Pca;
use crate::error::{Error, Result};
use crate::hashing::hash_layer;
use crate::head::feature_transform::{ClassifierPrior, FeatureTransform, directions};
use crate::head::model::{Head, Record};
use crate::head::set::check;
use crate::head::{HeadOptions, TrainingSet};
use crate::linear::{mean, product, scatter, whitening};
use imgsearch_onnx::EncoderFile;
use imgsearch_onnx::authoring::{AttributeProto, ModelProto, data_type};
use imgsearch_onnx::authoring::{FEATURES, INPUT};
use imgsearch_onnx::authoring::{Grafter, cut_trunk, drop_constants, rename_input, rename_output};

/// The [kind](imgsearch_onnx::EncoderInfo::kind) of such an encoder.
pub const COPIES: &str = "recogniser of copies on a pretrained trunk";

/// The best [`HeadOptions::hash_weight`] for these. The hash recognises copies better than the code,
/// because it has more directions.
pub const HASH_WEIGHT: f32 = 16.0;

/// The trunk sees one pixel in this number, along each side. The others are interpolated.
const STRIDE: usize = 4;
/// Pixels of the window whose mean is kept.
const WINDOW: usize = 8;
/// The side in pixels of the image whose frequencies are used.
const SMALL: usize = 16;
/// The lowest frequencies of grey that count, in each direction; of colours half as many.
const LOWEST: usize = 8;
/// The share of the mean spread within copies that is added in every direction.
const RIDGE: f32 = 0.1;

/// The prefix of names in the graph.
const PREFIX: &str = "copies.";

/// Returns the trunk of `base` for copies. Its features are those of the blurred image, normalised, and
/// the low frequencies of the image, normalised.
///
/// # Errors
///
/// [`Error::Encoder`] if `base` has no features, or sees images whose sides are no
/// multiples of 16; [`Error::InvalidInput`] if it recognises copies already.
pub fn trunk_for_copies(base: &EncoderFile) -> Result<EncoderFile> {
    let info = base.info();
    let seen = base.model()?.graph.is_some_and(|graph| {
        let mut outputs = graph.node.iter().flat_map(|node| &node.output);
        outputs.any(|output| output.starts_with(PREFIX))
    });
    if info.kind == COPIES || seen {
        return Err(Error::InvalidInput(format!(
            "{:?} recognises copies already, or its trunk does; name the encoder that it was made from, or none for the built-in one",
            info.name
        )));
    }
    let contract = |reason: String| imgsearch_onnx::Error::Contract {
        name: info.name.clone(),
        reason,
    };
    let d = info
        .feature_len
        .ok_or_else(|| contract(format!("it has no output `{FEATURES}`")))?;
    let (width, height) = (info.width as usize, info.height as usize);
    if !width.is_multiple_of(SMALL) || !height.is_multiple_of(SMALL) {
        return Err(contract(format!(
            "it sees images of {width}×{height} pixels, and recognising copies needs sides that are multiples of \
             {SMALL}"
        ))
        .into());
    }
    let mut model = cut_trunk(&base.model()?, &info.name)?;
    drop_constants(&mut model);
    let blurred = format!("{PREFIX}blurred");
    let trunk = format!("{PREFIX}trunk");
    rename_input(&mut model, INPUT, &blurred);
    rename_output(&mut model, FEATURES, &trunk);
    let nodes = model
        .graph
        .as_mut()
        .map(|graph| std::mem::take(&mut graph.node));
    let low = see(&mut model, (width, height));
    // Nodes stand in the order of computation.
    if let Some(graph) = &mut model.graph {
        graph.node.extend(nodes.unwrap_or_default());
    }
    let mut graft = Grafter::new(&mut model, PREFIX);
    let trunk = graft.unit(&trunk, d, "trunk.direction");
    let low = graft.unit(&low, low_frequencies(), "low.direction");
    let axis = [AttributeProto::int("axis", 1)];
    let all = graft.node_with("Concat", &[&trunk, &low], "seen", &axis);
    let feature_len = d + low_frequencies();
    graft.output_node("Identity", &[&all], FEATURES, feature_len);
    let mut info = info.clone();
    info.kind = COPIES.to_owned();
    info.feature_len = Some(feature_len);
    info.similarity = None;
    // These features are not those of the text tower any more.
    info.text_tower = None;
    info.feature_mean = None;
    info.code_len = 0;
    info.bits = 0;
    Ok(EncoderFile::from_model(model, &info)?)
}

/// Adds the preprocessing. Returns the name of the low frequencies.
fn see(model: &mut ModelProto, (width, height): (usize, usize)) -> String {
    let mut graft = Grafter::new(model, PREFIX);
    let to = |kind: i32| [AttributeProto::int("to", i64::from(kind))];
    let float = graft.node_with("Cast", &[INPUT], "float", &to(data_type::FLOAT));
    let planes = [AttributeProto::ints("perm", &[0, 3, 1, 2])];
    let planes = graft.node_with("Transpose", &[&float], "planes", &planes);

    let pad = (WINDOW - STRIDE) / 2;
    let small = graft.node_with(
        "AveragePool",
        &[&planes],
        "small",
        &[
            AttributeProto::ints("kernel_shape", &[WINDOW; 2]),
            AttributeProto::ints("strides", &[STRIDE; 2]),
            AttributeProto::ints("pads", &[pad; 4]),
        ],
    );
    let factor = STRIDE as f32;
    let scales = graft.constant("scales", &[4], &[1.0, 1.0, factor, factor]);
    let linear = [AttributeProto::string("mode", "linear")];
    let large = graft.node_with("Resize", &[&small, "", &scales], "large", &linear);
    let pixels = [AttributeProto::ints("perm", &[0, 2, 3, 1])];
    let pixels = graft.node_with("Transpose", &[&large], "pixels", &pixels);
    let rounded = graft.node("Round", &[&pixels], "rounded");
    graft.node_with("Cast", &[&rounded], "blurred", &to(data_type::UINT8));

    let block = [height / SMALL, width / SMALL];
    let small = graft.node_with(
        "AveragePool",
        &[&planes],
        "blocks",
        &[
            AttributeProto::ints("kernel_shape", &block),
            AttributeProto::ints("strides", &block),
        ],
    );
    let flat = [AttributeProto::int("axis", 1)];
    let small = graft.node_with("Flatten", &[&small], "flat", &flat);
    let [even, odd] = transforms();
    let inputs = 3 * SMALL * SMALL;
    let matrix = |graft: &mut Grafter<'_>, name: &str, values: &[f32]| {
        let weights = graft.constant(name, &[inputs, values.len() / inputs], values);
        graft.node("MatMul", &[&small, &weights], &format!("{name}.product"))
    };
    let even = matrix(&mut graft, "even", &even);
    let odd = matrix(&mut graft, "odd", &odd);
    let odd = graft.node("Abs", &[&odd], "odd.size");
    graft.node_with("Concat", &[&even, &odd], "low", &flat)
}

/// Returns the number of low frequencies: all of grey except its mean, and those of two colour
/// differences.
const fn low_frequencies() -> usize {
    LOWEST * LOWEST - 1 + 2 * (LOWEST / 2) * (LOWEST / 2)
}

/// From planes of red, green and blue, [`SMALL`] pixels a side, to their lowest frequencies: the
/// columns that mirroring leaves as they are, and those whose sign it turns. Each
/// `[3 * SMALL * SMALL, columns]`, row-major.
fn transforms() -> [Vec<f32>; 2] {
    // How much red, green and blue count, and how many frequencies.
    let channels = [
        ([0.299, 0.587, 0.114], LOWEST, 1),
        ([1.0, -1.0, 0.0], LOWEST / 2, 0),
        ([0.5, 0.5, -1.0], LOWEST / 2, 0),
    ];
    let wave = |k: usize, i: usize| {
        let scale = if k == 0 { 1.0 } else { 2.0f64 } / SMALL as f64;
        scale.sqrt() * (PI * (2 * i + 1) as f64 * k as f64 / (2 * SMALL) as f64).cos()
    };
    [0, 1].map(|parity| {
        let mut columns: Vec<Vec<f32>> = Vec::new();
        for (weights, most, first) in channels {
            for down in 0..most {
                for across in (parity..most).step_by(2) {
                    if down + across < first {
                        continue;
                    }
                    let mut column = Vec::with_capacity(3 * SMALL * SMALL);
                    for weight in weights {
                        for y in 0..SMALL {
                            column.extend(
                                (0..SMALL)
                                    .map(|x| (weight * wave(down, y) * wave(across, x)) as f32),
                            );
                        }
                    }
                    columns.push(column);
                }
            }
        }
        (0..3 * SMALL * SMALL)
            .flat_map(|i| columns.iter().map(move |column| column[i]))
            .collect()
    })
}

/// Trains a head that recognises copies, on features of [`trunk_for_copies`]. It has a closed form, so
/// there are no epochs.
///
/// # Errors
///
/// [`Error::InvalidInput`] as [`train_head`](crate::head::train_head), and if there are no altered copies.
pub fn train_copies_head(set: &TrainingSet<'_>, options: &HeadOptions) -> Result<Head> {
    let n = check(set, options)?;
    if set.views.is_empty() {
        return Err(Error::InvalidInput(
            "recognising copies is learned from altered copies, and there are none".to_owned(),
        ));
    }
    let d = set.d;
    let transform = FeatureTransform::new(mean(set.clean, d), ClassifierPrior::default(), options);
    let clean = directions(set.clean, &transform.mean);
    let mut within = vec![0.0; d * d];
    for view in &set.views {
        let mut changes = directions(view, &transform.mean);
        let pairs = changes.iter_mut().zip(&clean);
        pairs.for_each(|(change, clean)| *change -= clean);
        let scatter = scatter(&changes, n, d);
        let sums = within.iter_mut().zip(&scatter);
        sums.for_each(|(sum, value)| *sum += value / set.views.len() as f32);
    }
    let white = whitening(&within, d, RIDGE)?;
    let kept = d.min(n - 1).min(options.bits.max(options.code_len));
    if options.code_len > kept {
        return Err(Error::InvalidInput(format!(
            "a code of {} numbers cannot be learned from {n} images and {d} features; ask for at most {kept}",
            options.code_len
        )));
    }
    let pca = Pca::fit(&product(&clean, &white, n, d, d), n, d, kept)?;
    // Whitened twice: within copies, and along the directions that are kept. Copies vary by about one
    // there: added, it holds back directions along which images hardly differ more than that.
    let mut along = product(&white, &pca.directions, d, d, kept);
    for row in along.chunks_exact_mut(kept) {
        for (value, variance) in row.iter_mut().zip(&pca.variances) {
            *value /= (variance + 1.0).sqrt();
        }
    }
    let middle = product(&mean(&clean, d), &along, 1, d, kept);
    let mut rows = product(&clean, &along, n, d, kept);
    crate::linear::centre(&mut rows, &middle);
    let (hash, medians) = hash_layer(&rows, (n, kept), (options.bits, options.seed))?;
    let below = product(&middle, &hash, 1, kept, options.bits);
    let hash_bias = below.iter().zip(&medians).map(|(a, b)| -a - b).collect();
    let code = along
        .chunks_exact(kept)
        .flat_map(|row| &row[..options.code_len])
        .copied()
        .collect();
    Ok(Head {
        transform,
        hidden: None,
        code,
        code_bias: middle[..options.code_len].iter().map(|v| -v).collect(),
        hash: product(&along, &hash, d, kept, options.bits),
        hash_bias,
        hash_weight: options.hash_weight,
        kind: COPIES,
        record: Record {
            images: n,
            views: set.views.len(),
            seed: options.seed,
            ..Record::default()
        },
    })
}

#[cfg(test)]
mod tests;
