//! The input of a published graph that takes images.

use std::collections::HashSet;
use std::path::Path;

use crate::encoder_file::tensor_of;
use crate::error::{Error, Result};
use crate::proto::{GraphProto, ValueInfoProto, data_type};

/// The input that takes images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ImageInput {
    pub name: String,
    /// The type of its numbers.
    pub kind: i32,
    /// Whether the channels come last.
    pub channels_last: bool,
    /// Width and height, where the graph fixes them.
    pub width: Option<u32>,
    pub height: Option<u32>,
}

/// The inputs of a graph that are no constants, and that the values in `needed` are computed from.
pub(super) fn open<'a>(graph: &'a GraphProto, needed: &HashSet<String>) -> Vec<&'a ValueInfoProto> {
    let constants: HashSet<&str> = graph
        .initializer
        .iter()
        .filter_map(|tensor| tensor.name.as_deref())
        .collect();
    let name = |input: &ValueInfoProto| input.name.clone().unwrap_or_default();
    let inputs = graph.input.iter();
    inputs
        .filter(|input| needed.contains(&name(input)) && !constants.contains(&*name(input)))
        .collect()
}

/// Returns the input that takes images.
///
/// # Errors
///
/// [`Error::Import`] if there is not exactly one input, or if it does not take images.
pub(super) fn image_input(
    graph: &GraphProto,
    needed: &HashSet<String>,
    path: &Path,
) -> Result<ImageInput> {
    let fail = |reason: String| Error::import(path, reason);
    let inputs = open(graph, needed);
    let [input] = inputs.as_slice() else {
        return Err(fail(too_many(&inputs)));
    };
    let name = input.name.clone().unwrap_or_default();
    let (kind, shape) = tensor_of(input);
    let floats = [
        data_type::FLOAT,
        data_type::FLOAT16,
        data_type::DOUBLE,
        data_type::BFLOAT16,
    ];
    if !floats.contains(&kind) {
        return Err(fail(format!(
            "its input `{name}` takes numbers of ONNX type {kind}, and images are given as floats; export the vision \
             model alone"
        )));
    }
    let &[_, a, b, c] = shape.as_slice() else {
        return Err(fail(format!(
            "its input `{name}` has {} dimensions, and images have four: [n, 3, height, width]; export the model for whole \
             images, not for patches or for one image without a batch",
            shape.len()
        )));
    };
    let channels_last = a != Some(3) && c == Some(3);
    if !channels_last && a.is_some_and(|channels| channels != 3) {
        return Err(fail(format!(
            "its input `{name}` takes {} channels, and images have 3",
            a.unwrap_or(0)
        )));
    }
    let (height, width) = if channels_last { (a, b) } else { (b, c) };
    let side = |side: Option<i64>| {
        side.and_then(|side| u32::try_from(side).ok())
            .filter(|side| *side > 0)
    };
    Ok(ImageInput {
        name,
        kind,
        channels_last,
        width: side(width),
        height: side(height),
    })
}

fn too_many(inputs: &[&ValueInfoProto]) -> String {
    let names: Vec<&str> = inputs
        .iter()
        .filter_map(|input| input.name.as_deref())
        .collect();
    if names.is_empty() {
        return "its features do not depend on any input; name another output with --output-name"
            .to_owned();
    }
    let all = names.join(", ");
    if names.contains(&"input_ids") {
        return format!(
            "its features need a text, too (inputs {all}): it is a combined model; import its vision_model.onnx instead, \
             or name an output of the vision part with --output-name, such as image_embeds"
        );
    }
    if names.contains(&"spatial_shapes") || names.contains(&"pixel_attention_mask") {
        return format!(
            "it takes patches with a mask (inputs {all}), as models for any aspect ratio do; import a model for images of \
             one size"
        );
    }
    format!(
        "it needs {} inputs ({all}), and an encoder has one for images",
        names.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph_edit::{Side, value};

    fn of(inputs: &[(&str, i32, &[Side<'_>])]) -> Result<ImageInput> {
        let graph = GraphProto {
            input: inputs
                .iter()
                .map(|(name, kind, sides)| value(name, *kind, sides))
                .collect(),
            ..GraphProto::default()
        };
        let needed = inputs.iter().map(|(name, ..)| (*name).to_owned()).collect();
        image_input(&graph, &needed, Path::new("model.onnx"))
    }

    const N: Side<'_> = Side::Open("n");

    #[test]
    fn both_orders_of_channels_are_known() {
        let first = of(&[(
            "pixel_values",
            data_type::FLOAT,
            &[N, Side::Of(3), Side::Of(8), Side::Of(6)],
        )])
        .unwrap();
        assert_eq!(
            (first.channels_last, first.height, first.width),
            (false, Some(8), Some(6))
        );
        let last = of(&[(
            "x",
            data_type::FLOAT16,
            &[N, Side::Of(8), Side::Of(6), Side::Of(3)],
        )])
        .unwrap();
        assert_eq!(
            (last.channels_last, last.height, last.width),
            (true, Some(8), Some(6))
        );
        let open = of(&[("x", data_type::FLOAT, &[N, N, N, N])]).unwrap();
        assert_eq!(
            (open.channels_last, open.height, open.width),
            (false, None, None)
        );
    }

    #[test]
    fn inputs_that_are_no_images_are_refused() {
        let images: &[Side<'_>] = &[N, Side::Of(3), Side::Of(8), Side::Of(8)];
        let pixels = ("pixel_values", data_type::FLOAT, images);
        let cases: [(&[_], &str); 6] = [
            (&[], "do not depend on any input"),
            (
                &[pixels, ("input_ids", data_type::INT64, &[N, N])],
                "import its vision_model.onnx",
            ),
            (
                &[pixels, ("spatial_shapes", data_type::INT64, &[N, N])],
                "aspect ratio",
            ),
            (&[("x", data_type::FLOAT, &images[..3])], "has 3 dimensions"),
            (&[("x", data_type::UINT8, images)], "ONNX type 2"),
            (
                &[("x", data_type::FLOAT, &[N, Side::Of(1), N, N])],
                "takes 1 channels",
            ),
        ];
        for (inputs, part) in cases {
            let error = of(inputs).unwrap_err().to_string();
            assert!(error.contains(part), "{part}: {error}");
        }
    }
}
