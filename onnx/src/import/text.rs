//! Makes a text tower of a published text model.

use std::collections::HashSet;
use std::path::Path;

use super::config::{self, Configs};
use super::folder::Source;
use super::inputs::open;
use super::load::load;
use super::outputs::names;
use super::tokens::describe;
use super::trial;
use super::vision::{as_float, free_names, graph_of, of_any_shape};
use crate::encoder::SessionOptions;
use crate::encoder_file::tensor_of;
use crate::error::{Error, Result};
use crate::graph_edit::{Grafter, Side};
use crate::proto::{AttributeProto, GraphProto, ModelProto, data_type};
use crate::runtime::Runtime;
use crate::text::{CAPTIONS, TEXT_EMBEDS, TextEncoder, TextFile};
use crate::visit::{prune, rename};

/// The outputs that hold one vector for a text, the best first.
const EMBEDDINGS: [&str; 4] = [
    "text_embeds",
    "text_features",
    "pooler_output",
    "text_embeddings",
];

/// Makes the text tower, if the model has texts. `dim` is the length of the features of images.
///
/// # Errors
///
/// [`Error::Import`] if the text model is none of the kinds that are known, or if its tokenizer is missing.
pub(super) fn build(
    source: &Source,
    configs: &Configs,
    dim: usize,
    runtime: &Runtime,
    notes: &mut Vec<String>,
) -> Result<Option<TextFile>> {
    let path = source.text.as_ref().unwrap_or(&source.vision);
    let mut model = load(path)?;
    let graph = graph_of(&mut model, path)?;
    let outputs = names(graph);
    let known = if source.text.is_some() {
        &EMBEDDINGS[..]
    } else {
        &EMBEDDINGS[..2]
    };
    let Some(output) = known.iter().find(|name| outputs.contains(*name)) else {
        // A vision model alone.
        if source.text.is_none() {
            return Ok(None);
        }
        return Err(Error::import(
            path,
            format!(
                "none of its outputs is known to hold a vector for a text: {}; export the text model with its projection, \
                 or move this file away to import the images alone",
                outputs.join(", ")
            ),
        ));
    };
    let output = free_names(graph, output);
    let tokenizer = tokenizer_of(configs, path)?;
    let fixed = inputs(&mut model, &output, path)?;
    let fail = |reason: String| Error::import(path, reason);
    let read = |length| crate::text::tokenizer(&tokenizer, length);
    let parsed = read(usize::MAX >> 1)
        .map_err(|reason| fail(format!("tokenizer.json cannot be used: {reason}")))?;
    let info = describe(configs, tokenizer.clone(), fixed, |token| {
        parsed.token_to_id(token)
    })
    .map_err(fail)?;
    let float = as_float(&mut model, &output);
    graph_of(&mut model, path)?
        .output
        .push(of_any_shape(&float));
    // ONNX Runtime says what it has against the graph here, and not about a file that was made from it.
    drop(trial::session(&model, runtime, path)?);
    graph_of(&mut model, path)?.output.clear();
    // The name of the output of this file; a value of the graph may have had it.
    let graph = graph_of(&mut model, path)?;
    rename(graph, TEXT_EMBEDS, &format!("model.{TEXT_EMBEDS}"));
    let mut graft = Grafter::new(&mut model, "imgsearch.text.");
    graft.output_node("Identity", &[&float], TEXT_EMBEDS, dim);
    let name = path.display().to_string();
    let tower = TextFile::from_model(model, &info, &name)?;
    let mean = mean_of_captions(&tower, runtime).map_err(|error| {
        fail(format!(
            "its texts cannot be compared with its images, whose features have {dim} numbers: {error}\nMove this file away \
             to import the images alone"
        ))
    })?;
    let mut info = tower.info().clone();
    info.mean = mean;
    if fixed.is_none() && configs.model_type().is_empty() {
        notes.push(format!(
            "nothing says the kind of the model; texts are padded to {} tokens",
            info.length
        ));
    }
    TextFile::from_model(tower.model()?, &info, &name).map(Some)
}

fn tokenizer_of(configs: &Configs, path: &Path) -> Result<String> {
    let file = configs.folder.join("tokenizer.json");
    config::text(&file)?.ok_or_else(|| {
        Error::import(
            path,
            format!(
                "it needs {}, which is missing; download it, too, or move the text model away to import the images alone",
                file.display()
            ),
        )
    })
}

/// Cuts a graph to the vectors of texts, and makes its inputs int64. Returns the length of texts if it is fixed.
fn inputs(model: &mut ModelProto, output: &str, path: &Path) -> Result<Option<usize>> {
    let graph = graph_of(model, path)?;
    graph.output.clear();
    graph.value_info.clear();
    let needed = prune(graph, &[output], &[], &[]);
    let there = described(graph, &needed);
    graph.input.clear();
    let mut fixed = None;
    for (name, kind, shape) in there {
        if !crate::text::INPUTS.contains(&&*name) {
            return Err(Error::import(
                path,
                format!(
                    "its texts need the input `{name}`, and imgsearch knows {}; import a folder with vision_model.onnx and \
                     text_model.onnx",
                    crate::text::INPUTS.join(", ")
                ),
            ));
        }
        let &[_, length] = shape.as_slice() else {
            return Err(Error::import(
                path,
                format!(
                    "its input `{name}` has {} dimensions, and tokens have two: [n, length]",
                    shape.len()
                ),
            ));
        };
        fixed = fixed.or(length
            .and_then(|length| usize::try_from(length).ok())
            .filter(|length| *length > 0));
        let graph = graph_of(model, path)?;
        let inner = format!("model.{name}");
        let converted = kind != data_type::INT64;
        if converted {
            rename(graph, &name, &inner);
        }
        let before = graph.node.len();
        let mut graft = Grafter::new(model, "");
        graft.input(
            &name,
            data_type::INT64,
            &[Side::Open("n"), Side::Open("length")],
        );
        if converted {
            graft.node_with(
                "Cast",
                &[&name],
                &inner,
                &[AttributeProto::int("to", i64::from(kind))],
            );
        }
        let graph = graph_of(model, path)?;
        let added = graph.node.len() - before;
        graph.node.rotate_right(added);
    }
    Ok(fixed)
}

/// Name, type and shape of the open inputs.
fn described(graph: &GraphProto, needed: &HashSet<String>) -> Vec<(String, i32, Vec<Option<i64>>)> {
    let inputs = open(graph, needed).into_iter();
    let described = inputs.map(|input| {
        let (kind, shape) = tensor_of(input);
        (input.name.clone().unwrap_or_default(), kind, shape)
    });
    described.collect()
}

/// The mean of the built-in captions.
fn mean_of_captions(tower: &TextFile, runtime: &Runtime) -> Result<Vec<f32>> {
    let mut encoder = TextEncoder::new(tower, runtime, &SessionOptions::default())?;
    let embeddings = encoder.encode(&CAPTIONS)?;
    let dim = tower.info().dim;
    let mut mean = vec![0.0; dim];
    for row in embeddings.chunks_exact(dim) {
        for (sum, value) in mean.iter_mut().zip(row) {
            *sum += value / CAPTIONS.len() as f32;
        }
    }
    Ok(mean)
}
