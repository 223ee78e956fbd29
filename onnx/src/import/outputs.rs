//! Which value of a published graph holds the features.

use std::path::Path;

use super::{ImportOptions, Pooling};
use crate::error::{Error, Result};
use crate::proto::{GraphProto, NodeProto};

/// The names of outputs with one vector for an image, the best first. Those of CLIP are in the space of its texts.
const EMBEDDINGS: [&str; 7] = [
    "image_embeds",
    "pooler_output",
    "image_features",
    "image_embeddings",
    "image_embedding",
    "embeddings",
    "embedding",
];

/// The output with all tokens, or with a map of features.
const TOKENS: &str = "last_hidden_state";

/// The output of a classifier.
const SCORES: &str = "logits";

/// Models whose first token stands for the image. The layer behind it, `pooler_output`, is often untrained.
const CLS_FIRST: [&str; 8] = [
    "vit",
    "deit",
    "dinov2",
    "dinov2_with_registers",
    "dinov3_vit",
    "vit_mae",
    "vit_msn",
    "yolos",
];

/// The value that becomes the features.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    /// Its name in the graph.
    pub value: String,
    /// How tokens become one vector, if they are tokens.
    pub pooling: Pooling,
    /// Whether the model's files decided how.
    pub pooling_known: bool,
}

/// Chooses the value that holds the features.
///
/// # Errors
///
/// [`Error::Import`] if the named output does not exist, or if no output is known.
pub(super) fn choose(
    graph: &GraphProto,
    model_type: &str,
    options: &ImportOptions,
    path: &Path,
) -> Result<Choice> {
    let cls_first = CLS_FIRST.contains(&model_type);
    let default = if cls_first || model_type.starts_with("clip") {
        Pooling::Cls
    } else {
        Pooling::Mean
    };
    let choice = |value: &str| Choice {
        value: value.to_owned(),
        pooling: options.pooling.unwrap_or(default),
        pooling_known: options.pooling.is_some() || default == Pooling::Cls,
    };
    let outputs = names(graph);
    if let Some(named) = options.output.as_deref() {
        let mut made = graph.node.iter().flat_map(|node| &node.output);
        if outputs.contains(&named) || made.any(|name| name == named) {
            return Ok(choice(named));
        }
        return Err(Error::import(
            path,
            format!(
                "it has no output {named:?}; its outputs are {}",
                outputs.join(", ")
            ),
        ));
    }
    let there = |name: &str| outputs.contains(&name);
    // Who asks for a kind of pooling wants the tokens.
    if there(TOKENS) && !there(EMBEDDINGS[0]) && (cls_first || options.pooling.is_some()) {
        return Ok(choice(TOKENS));
    }
    let known = EMBEDDINGS.iter().chain([&TOKENS]);
    if let Some(known) = known.copied().find(|name| there(name)) {
        return Ok(choice(known));
    }
    if there(SCORES) {
        let Some(value) = before_classifier(graph, SCORES) else {
            return Err(Error::import(
                path,
                format!(
                    "its output `{SCORES}` holds the scores of classes, and what leads to them is not one layer; name the \
                     value before the classifier with --output-name"
                ),
            ));
        };
        return Ok(choice(value));
    }
    match outputs.as_slice() {
        [only] => Ok(choice(only)),
        _ => Err(Error::import(
            path,
            format!(
                "none of its outputs is known to hold features: {}; name one with --output-name",
                outputs.join(", ")
            ),
        )),
    }
}

/// The names of a graph's outputs.
pub(super) fn names(graph: &GraphProto) -> Vec<&str> {
    let outputs = graph.output.iter();
    outputs
        .filter_map(|output| output.name.as_deref())
        .collect()
}

/// The value that the classifier, one linear layer, makes scores of.
fn before_classifier<'a>(graph: &'a GraphProto, scores: &'a str) -> Option<&'a str> {
    let maker = |name: &str| -> Option<&'a NodeProto> {
        let mut nodes = graph.node.iter();
        nodes.find(|node| node.output.first().is_some_and(|output| output == name))
    };
    let is_constant = |name: &str| {
        let mut constants = graph.initializer.iter();
        constants.any(|tensor| tensor.name.as_deref() == Some(name))
            || maker(name).is_some_and(|node| node.op_type.as_deref() == Some("Constant"))
    };
    let mut value = scores;
    // A bias, and perhaps a change of type.
    for _ in 0..4 {
        let node = maker(value)?;
        let mut inputs = node.input.iter().map(String::as_str);
        value = inputs.find(|name| !is_constant(name))?;
        match node.op_type.as_deref()? {
            "Gemm" | "MatMul" => return Some(value),
            "Add" | "Identity" | "Cast" => {}
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph_edit::value;
    use crate::proto::{TensorProto, data_type};

    fn graph(outputs: &[&str]) -> GraphProto {
        GraphProto {
            output: outputs
                .iter()
                .map(|name| value(name, data_type::FLOAT, &[]))
                .collect(),
            ..GraphProto::default()
        }
    }

    fn chosen(
        outputs: &[&str],
        model_type: &str,
        options: &ImportOptions,
    ) -> Result<(String, Pooling)> {
        let choice = choose(
            &graph(outputs),
            model_type,
            options,
            Path::new("model.onnx"),
        )?;
        Ok((choice.value, choice.pooling))
    }

    #[test]
    fn published_outputs_are_known() {
        let both = ["last_hidden_state", "pooler_output"];
        let clip = [
            "logits_per_image",
            "logits_per_text",
            "text_embeds",
            "image_embeds",
        ];
        for (outputs, model_type, value, pooling) in [
            (&clip[..], "clip", "image_embeds", Pooling::Cls),
            (&both, "siglip", "pooler_output", Pooling::Mean),
            (&both, "dinov2", "last_hidden_state", Pooling::Cls),
            (&both, "convnext", "pooler_output", Pooling::Mean),
            (&["output"], "", "output", Pooling::Mean),
        ] {
            let found = chosen(outputs, model_type, &ImportOptions::default()).unwrap();
            assert_eq!(found, (value.to_owned(), pooling));
        }
        let options = ImportOptions {
            pooling: Some(Pooling::Mean),
            ..ImportOptions::default()
        };
        let found = chosen(&both, "dinov2", &options).unwrap();
        assert_eq!(found, ("last_hidden_state".to_owned(), Pooling::Mean));
    }

    #[test]
    fn outputs_that_are_not_there_are_named() {
        let options = ImportOptions {
            output: Some("embeds".to_owned()),
            ..ImportOptions::default()
        };
        let error = chosen(&["a", "b"], "", &options).unwrap_err().to_string();
        assert!(
            error.contains("no output \"embeds\"; its outputs are a, b"),
            "{error}"
        );
        let error = chosen(&["a", "b"], "", &ImportOptions::default())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("a, b; name one with --output-name"),
            "{error}"
        );
    }

    #[test]
    fn the_value_before_a_classifier_is_found() {
        let mut graph = graph(&["logits"]);
        let node = |operator: &str, inputs: &[&str], output: &str| NodeProto {
            op_type: Some(operator.to_owned()),
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![output.to_owned()],
            ..NodeProto::default()
        };
        let constant = |name: &str| TensorProto {
            name: Some(name.to_owned()),
            ..TensorProto::default()
        };
        graph.initializer = vec![constant("weight"), constant("bias")];
        graph.node = vec![
            node("Flatten", &["map"], "pooled"),
            node("MatMul", &["pooled", "weight"], "product"),
            node("Add", &["bias", "product"], "logits"),
        ];
        assert_eq!(before_classifier(&graph, "logits"), Some("pooled"));
        graph.node[1].op_type = Some("Relu".to_owned());
        let error = choose(&graph, "", &ImportOptions::default(), Path::new("m.onnx")).unwrap_err();
        assert!(error.to_string().contains("--output-name"), "{error}");
    }
}
