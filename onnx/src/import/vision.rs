//! Makes a trunk of a published vision model: bytes of images in, features of length 1 out.

use std::path::Path;

use super::config::Configs;
use super::folder::Source;
use super::geometry::{Preparation, preparation};
use super::inputs::{ImageInput, image_input};
use super::load::load;
use super::outputs::{Choice, choose};
use super::trial;
use super::{ImportOptions, Pooling};
use crate::encoder_file::{CODE, EncoderResize, FEATURES, HASH, INPUT};
use crate::error::{Error, Result};
use crate::graph_edit::{CLASSES, CLASSES_BIAS, Grafter, METRIC, Side};
use crate::proto::{
    AttributeProto, GraphProto, ModelProto, TypeProto, TypeProtoTensor, TypeProtoValue,
    ValueInfoProto, data_type,
};
use crate::runtime::Runtime;
use crate::visit::{prune, rename};

/// A trunk.
pub(super) struct Vision {
    /// The model, with the one output `features`.
    pub model: ModelProto,
    pub feature_len: usize,
    /// Width and height of its images.
    pub side: (u32, u32),
    pub resize: EncoderResize,
    /// Which value became the features, and how.
    pub features: String,
}

/// Makes the trunk.
///
/// # Errors
///
/// [`Error::Import`] if the model is none of the kinds that are known.
pub(super) fn build(
    source: &Source,
    configs: &Configs,
    options: &ImportOptions,
    runtime: &Runtime,
    notes: &mut Vec<String>,
) -> Result<Vision> {
    let path = &source.vision;
    let mut model = load(path)?;
    let prepared = preparation(configs, options, notes)?;
    let graph = graph_of(&mut model, path)?;
    let mut choice = choose(graph, configs.model_type(), options, path)?;
    let named = choice.value.clone();
    choice.value = free_names(graph, &choice.value);
    graph.output.clear();
    let needed = prune(graph, &[&choice.value], &[], &[]);
    let input = image_input(graph, &needed, path)?;
    let side = side_of(&input, &prepared, path)?;
    graph.input.clear();
    // These shapes may be for a batch of one image.
    graph.value_info.clear();
    model.training_info.clear();
    prepare(&mut model, &input, &prepared, side, path)?;

    let float = as_float(&mut model, &choice.value);
    graph_of(&mut model, path)?
        .output
        .push(of_any_shape(&float));
    let shape = trial::shape_of(&model, &float, side, runtime, path)?;
    graph_of(&mut model, path)?.output.clear();
    let (feature_len, how) = features(&mut model, &float, &shape, &choice, path)?;
    if shape.len() == 3 && !choice.pooling_known {
        notes.push(format!(
            "nothing says how the tokens of `{named}` become one vector; their mean is used, and --pooling cls takes the first"
        ));
    }
    Ok(Vision {
        model,
        feature_len,
        side,
        resize: prepared
            .resize
            .unwrap_or(Preparation::usual_resize(side.0, side.1)),
        features: format!("{named}{how}"),
    })
}

/// The graph of a model, which was checked to be there.
pub(super) fn graph_of<'a>(model: &'a mut ModelProto, path: &Path) -> Result<&'a mut GraphProto> {
    model
        .graph
        .as_mut()
        .ok_or_else(|| Error::import(path, "it holds no graph"))
}

/// What the names of grafted values and nodes start with: those of a head, and those of an import.
const GRAFTED: [&str; 2] = ["head.", "imgsearch."];

/// Renames the values and nodes whose names an encoder file uses for its own. Returns the new name of `value`.
pub(super) fn free_names(graph: &mut GraphProto, value: &str) -> String {
    let own = [INPUT, CODE, HASH, FEATURES, METRIC, CLASSES, CLASSES_BIAS];
    let is_taken =
        |name: &str| own.contains(&name) || GRAFTED.iter().any(|prefix| name.starts_with(prefix));
    for node in &mut graph.node {
        if let Some(name) = node.name.as_mut().filter(|name| !name.is_empty()) {
            name.insert_str(0, "model.");
        }
    }
    let inputs = graph.input.iter().filter_map(|input| input.name.as_ref());
    let constants = graph
        .initializer
        .iter()
        .filter_map(|tensor| tensor.name.as_ref());
    let made = graph.node.iter().flat_map(|node| &node.output);
    let mut taken: Vec<String> = inputs.chain(constants).chain(made).cloned().collect();
    taken.retain(|name| is_taken(name));
    for name in &taken {
        rename(graph, name, &format!("model.{name}"));
    }
    if is_taken(value) {
        format!("model.{value}")
    } else {
        value.to_owned()
    }
}

/// Width and height of the images.
fn side_of(input: &ImageInput, prepared: &Preparation, path: &Path) -> Result<(u32, u32)> {
    let Some((width, height)) = prepared.side else {
        let (Some(width), Some(height)) = (input.width, input.height) else {
            return Err(Error::import(
                path,
                "nothing says which size of images it takes: there is no preprocessor_config.json with a size, and its \
                 input is open; give it with --size PIXELS",
            ));
        };
        return Ok((width, height));
    };
    let fits = |fixed: Option<u32>, side: u32| fixed.is_none_or(|fixed| fixed == side);
    if !fits(input.width, width) || !fits(input.height, height) {
        let text = |side: Option<u32>| side.map_or("any".to_owned(), |side| side.to_string());
        return Err(Error::import(
            path,
            format!(
                "its input takes images of {} by {} pixels, and its configuration or --size says {width} by {height}; give \
                 the size of the input with --size",
                text(input.width),
                text(input.height)
            ),
        ));
    }
    Ok((width, height))
}

/// Puts the preparation of pixels in front of the input that takes images.
fn prepare(
    model: &mut ModelProto,
    input: &ImageInput,
    prepared: &Preparation,
    (width, height): (u32, u32),
    path: &Path,
) -> Result<()> {
    let before = graph_of(model, path)?.node.len();
    let mut graft = Grafter::new(model, "imgsearch.prepare.");
    let sides = [
        Side::Open("n"),
        Side::Of(height as usize),
        Side::Of(width as usize),
        Side::Of(3),
    ];
    graft.input(INPUT, data_type::UINT8, &sides);
    let to = |kind: i32| [AttributeProto::int("to", i64::from(kind))];
    let mut x = graft.node_with("Cast", &[INPUT], "float", &to(data_type::FLOAT));
    if prepared.blue_first {
        let order = graft.shape("order", &[2, 1, 0]);
        x = graft.node_with(
            "Gather",
            &[&x, &order],
            "blue_first",
            &[AttributeProto::int("axis", 3)],
        );
    }
    let channels: &[usize] = if input.channels_last {
        &[3]
    } else {
        let order = [AttributeProto::ints("perm", &[0, 3, 1, 2])];
        x = graft.node_with("Transpose", &[&x], "channels_first", &order);
        &[3, 1, 1]
    };
    let scale = graft.constant("scale", channels, &prepared.scale);
    let shift = graft.constant("shift", channels, &prepared.shift);
    let scaled = graft.node("Mul", &[&x, &scale], "scaled");
    x = graft.node("Add", &[&scaled, &shift], "normalised");
    if input.kind != data_type::FLOAT {
        x = graft.node_with("Cast", &[&x], "cast", &to(input.kind));
    }
    let graph = graph_of(model, path)?;
    rename(graph, &input.name, &x);
    // Nodes have to be in the order of computation.
    let added = graph.node.len() - before;
    graph.node.rotate_right(added);
    Ok(())
}

/// Adds a change of a value to float32, which costs nothing if it is. Returns its name.
pub(super) fn as_float(model: &mut ModelProto, value: &str) -> String {
    let to = [AttributeProto::int("to", i64::from(data_type::FLOAT))];
    Grafter::new(model, "imgsearch.trunk.").node_with("Cast", &[value], "float", &to)
}

/// Adds what leads from a value of this shape to `features`. Returns their length, and what was done.
fn features(
    model: &mut ModelProto,
    value: &str,
    shape: &[usize],
    choice: &Choice,
    path: &Path,
) -> Result<(usize, &'static str)> {
    let mut graft = Grafter::new(model, "imgsearch.trunk.");
    let flat = [AttributeProto::int("axis", 1)];
    let (x, length, how) = match (shape, choice.pooling) {
        (&[_, length], _) => (value.to_owned(), length, ""),
        (&[_, _, length], Pooling::Cls) => {
            let first = graft.shape("first", &[0]);
            let first = graft.node_with("Gather", &[value, &first], "token", &flat);
            (
                graft.node_with("Flatten", &[&first], "cls", &flat),
                length,
                ", its first token",
            )
        }
        (&[_, _, length], Pooling::Mean) => {
            let order = [AttributeProto::ints("perm", &[0, 2, 1])];
            let turned = graft.node_with("Transpose", &[value], "turned", &order);
            let mean = graft.node("GlobalAveragePool", &[&turned], "pooled");
            (
                graft.node_with("Flatten", &[&mean], "mean", &flat),
                length,
                ", the mean of its tokens",
            )
        }
        (&[_, length, ..], _) if shape.len() == 4 => {
            let mean = graft.node("GlobalAveragePool", &[value], "pooled");
            (
                graft.node_with("Flatten", &[&mean], "mean", &flat),
                length,
                ", the mean over its places",
            )
        }
        _ => {
            return Err(Error::import(
                path,
                format!(
                    "its output `{}` has the shape {shape:?} for two images, which is no vector for each; name another with \
                     --output-name",
                    choice.value
                ),
            ));
        }
    };
    let unit = graft.unit(&x, length, "unit");
    graft.output_node("Identity", &[&unit], FEATURES, length);
    Ok((length, how))
}

/// Describes a float32 output whose shape is not known.
pub(super) fn of_any_shape(name: &str) -> ValueInfoProto {
    ValueInfoProto {
        name: Some(name.to_owned()),
        r#type: Some(Box::new(TypeProto {
            value: Some(TypeProtoValue::TensorType(TypeProtoTensor {
                elem_type: Some(data_type::FLOAT),
                shape: None,
            })),
            ..TypeProto::default()
        })),
        ..ValueInfoProto::default()
    }
}
