//! Surgery: cutting a trunk out of an encoder, and putting a head behind a trunk.

use std::collections::HashSet;

use crate::contract::FEATURES;
use crate::error::{Error, Result};
use crate::proto::{
    ModelProto, NodeProto, TensorProto, TensorShapeProto, TensorShapeProtoDimension,
    TensorShapeProtoDimensionValue, TypeProto, TypeProtoTensor, TypeProtoValue, ValueInfoProto,
    data_type,
};

/// Name of the constant in a trunk that says how much each direction of its features matters:
/// float32 `[feature_len, width]`.
pub(crate) const METRIC: &str = "metric";

/// The model that computes `features` and nothing else.
///
/// # Errors
///
/// [`Error::Contract`] where the model has no output `features`.
pub(crate) fn cut_trunk(model: &ModelProto, name: &str) -> Result<ModelProto> {
    let mut trunk = model.clone();
    let Some(graph) = &mut trunk.graph else {
        return Err(no_features(name));
    };
    graph
        .output
        .retain(|output| output.name.as_deref() == Some(FEATURES));
    if graph.output.is_empty() {
        return Err(no_features(name));
    }
    // Nodes stand in the order of computation, so one way back finds all that is needed.
    let mut needed: HashSet<String> = HashSet::from([FEATURES.to_owned()]);
    let mut kept = Vec::new();
    for node in graph.node.drain(..).rev() {
        if node.output.iter().any(|output| needed.contains(output)) {
            needed.extend(node.input.iter().cloned());
            kept.push(node);
        }
    }
    kept.reverse();
    graph.node = kept;
    // The metric belongs to the trunk, though only heads compute with it.
    needed.insert(METRIC.to_owned());
    let needed = |name: &Option<String>| name.as_ref().is_some_and(|name| needed.contains(name));
    graph.initializer.retain(|tensor| needed(&tensor.name));
    graph.value_info.retain(|value| needed(&value.name));
    Ok(trunk)
}

fn no_features(name: &str) -> Error {
    Error::Contract {
        name: name.to_owned(),
        reason: format!("it has no output `{FEATURES}`, which training needs"),
    }
}

/// A float32 constant of the graph with this name.
pub(crate) fn constant(model: &ModelProto, name: &str) -> Option<(Vec<usize>, Vec<f32>)> {
    let tensor = model
        .graph
        .as_ref()?
        .initializer
        .iter()
        .find(|tensor| tensor.name.as_deref() == Some(name))?;
    if tensor.data_type != Some(data_type::FLOAT) {
        return None;
    }
    let shape = tensor
        .dims
        .iter()
        .map(|&side| usize::try_from(side).ok())
        .collect::<Option<Vec<_>>>()?;
    let values: Vec<f32> = match &tensor.raw_data {
        Some(raw) => raw
            .as_chunks::<4>()
            .0
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect(),
        None => tensor.float_data.clone(),
    };
    (values.len() == shape.iter().product::<usize>()).then_some((shape, values))
}

/// Grows a graph at its end.
pub(crate) struct Grafter<'a> {
    model: &'a mut ModelProto,
    prefix: &'a str,
}

impl<'a> Grafter<'a> {
    /// Names of what is added begin with `prefix`.
    pub fn new(model: &'a mut ModelProto, prefix: &'a str) -> Self {
        Self { model, prefix }
    }

    /// Adds a float32 constant; its name.
    pub fn constant(&mut self, name: &str, shape: &[usize], values: &[f32]) -> String {
        self.shared_constant(&format!("{}{name}", self.prefix), shape, values)
    }

    /// Adds a float32 constant under a name without the prefix, unless it is there.
    pub fn shared_constant(&mut self, name: &str, shape: &[usize], values: &[f32]) -> String {
        debug_assert_eq!(shape.iter().product::<usize>(), values.len());
        if let Some(graph) = &mut self.model.graph
            && !graph
                .initializer
                .iter()
                .any(|tensor| tensor.name.as_deref() == Some(name))
        {
            graph.initializer.push(TensorProto {
                name: Some(name.to_owned()),
                data_type: Some(data_type::FLOAT),
                dims: shape.iter().map(|&side| side as i64).collect(),
                raw_data: Some(values.iter().flat_map(|v| v.to_le_bytes()).collect()),
                ..TensorProto::default()
            });
        }
        name.to_owned()
    }

    /// Adds a node with one output; the output's name.
    pub fn node(&mut self, operator: &str, inputs: &[&str], output: &str) -> String {
        let output = format!("{}{output}", self.prefix);
        self.push(operator, inputs, &output);
        output
    }

    /// Adds a node whose output is an output of the model, float32 `[n, length]`.
    pub fn output_node(&mut self, operator: &str, inputs: &[&str], output: &str, length: usize) {
        self.push(operator, inputs, output);
        self.output(output, length);
    }

    fn push(&mut self, operator: &str, inputs: &[&str], output: &str) {
        if let Some(graph) = &mut self.model.graph {
            graph.node.push(NodeProto {
                input: inputs.iter().map(|&input| input.to_owned()).collect(),
                output: vec![output.to_owned()],
                name: Some(format!("{}{output}.node", self.prefix)),
                op_type: Some(operator.to_owned()),
                ..NodeProto::default()
            });
        }
    }

    /// Declares an output, float32 `[n, length]`.
    fn output(&mut self, name: &str, length: usize) {
        let dimension = |value| TensorShapeProtoDimension {
            value: Some(value),
            ..TensorShapeProtoDimension::default()
        };
        let shape = TensorShapeProto {
            dim: vec![
                dimension(TensorShapeProtoDimensionValue::DimParam("n".to_owned())),
                dimension(TensorShapeProtoDimensionValue::DimValue(length as i64)),
            ],
        };
        let kind = TypeProto {
            value: Some(TypeProtoValue::TensorType(TypeProtoTensor {
                elem_type: Some(data_type::FLOAT),
                shape: Some(shape),
            })),
            ..TypeProto::default()
        };
        if let Some(graph) = &mut self.model.graph {
            graph.output.push(ValueInfoProto {
                name: Some(name.to_owned()),
                r#type: Some(Box::new(kind)),
                ..ValueInfoProto::default()
            });
        }
    }
}
