//! Surgery: cutting a trunk out of an encoder, and putting a head behind a trunk.

use std::collections::HashSet;

use crate::contract::FEATURES;
use crate::error::{Error, Result};
use crate::proto::{
    AttributeProto, ModelProto, NodeProto, TensorProto, TensorShapeProto,
    TensorShapeProtoDimension, TensorShapeProtoDimensionValue, TypeProto, TypeProtoTensor,
    TypeProtoValue, ValueInfoProto, data_type,
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

    /// Adds a constant shape to bring a tensor to; its name.
    pub fn shape(&mut self, name: &str, sides: &[i64]) -> String {
        let name = format!("{}{name}.shape", self.prefix);
        if let Some(graph) = &mut self.model.graph {
            graph.initializer.push(TensorProto {
                name: Some(name.clone()),
                data_type: Some(data_type::INT64),
                dims: vec![sides.len() as i64],
                raw_data: Some(sides.iter().flat_map(|v| v.to_le_bytes()).collect()),
                ..TensorProto::default()
            });
        }
        name
    }

    /// Adds a node with one output; the output's name.
    pub fn node(&mut self, operator: &str, inputs: &[&str], output: &str) -> String {
        self.node_with(operator, inputs, output, &[])
    }

    /// Adds a node with attributes and one output; the output's name.
    pub fn node_with(
        &mut self,
        operator: &str,
        inputs: &[&str],
        output: &str,
        attributes: &[AttributeProto],
    ) -> String {
        let output = format!("{}{output}", self.prefix);
        self.push(operator, inputs, &output, attributes);
        output
    }

    /// Adds a node whose output is an output of the model, float32 `[n, length]`.
    pub fn output_node(&mut self, operator: &str, inputs: &[&str], output: &str, length: usize) {
        self.output_of(
            operator,
            inputs,
            output,
            &[Side::Open("n"), Side::Of(length)],
        );
    }

    /// Adds a node whose output is an output of the model, float32 of any shape.
    pub fn output_of(&mut self, operator: &str, inputs: &[&str], output: &str, sides: &[Side<'_>]) {
        self.push(operator, inputs, output, &[]);
        if let Some(graph) = &mut self.model.graph {
            graph.output.push(value(output, data_type::FLOAT, sides));
        }
    }

    /// Declares an input.
    pub fn input(&mut self, name: &str, kind: i32, sides: &[Side<'_>]) {
        if let Some(graph) = &mut self.model.graph {
            graph.input.push(value(name, kind, sides));
        }
    }

    fn push(
        &mut self,
        operator: &str,
        inputs: &[&str],
        output: &str,
        attributes: &[AttributeProto],
    ) {
        if let Some(graph) = &mut self.model.graph {
            graph.node.push(NodeProto {
                input: inputs.iter().map(|&input| input.to_owned()).collect(),
                output: vec![output.to_owned()],
                name: Some(format!("{}{output}.node", self.prefix)),
                op_type: Some(operator.to_owned()),
                attribute: attributes.to_vec(),
                ..NodeProto::default()
            });
        }
    }
}

/// A side of a tensor's shape.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Side<'a> {
    /// Of any length, under a name.
    Open(&'a str),
    /// Of this length.
    Of(usize),
}

/// An input or output of a model.
fn value(name: &str, kind: i32, sides: &[Side<'_>]) -> ValueInfoProto {
    let dimension = |side: &Side<'_>| TensorShapeProtoDimension {
        value: Some(match side {
            Side::Open(name) => TensorShapeProtoDimensionValue::DimParam((*name).to_owned()),
            Side::Of(length) => TensorShapeProtoDimensionValue::DimValue(*length as i64),
        }),
        ..TensorShapeProtoDimension::default()
    };
    let kind = TypeProto {
        value: Some(TypeProtoValue::TensorType(TypeProtoTensor {
            elem_type: Some(kind),
            shape: Some(TensorShapeProto {
                dim: sides.iter().map(dimension).collect(),
            }),
        })),
        ..TypeProto::default()
    };
    ValueInfoProto {
        name: Some(name.to_owned()),
        r#type: Some(Box::new(kind)),
        ..ValueInfoProto::default()
    }
}
