//! Edits of graphs: cutting a trunk out of an encoder, and adding a head behind a trunk.

use crate::encoder_file::{EncoderFile, EncoderInfo, EncoderResize, FEATURES, INPUT};
use crate::error::{Error, Result};
use crate::proto::{
    AttributeProto, ModelProto, NodeProto, TensorProto, TensorShapeProto,
    TensorShapeProtoDimension, TensorShapeProtoDimensionValue, TypeProto, TypeProtoTensor,
    TypeProtoValue, ValueInfoProto, data_type,
};
use crate::visit::prune;

/// Name of the constant in a trunk that weights the directions of its features:
/// `[feature_len, width]`, float32, or int8 with `.scale` behind the name.
pub const METRIC: &str = "metric";

/// Name of the constant in a trunk with the weights of the classifier that it was trained with: `[feature_len, classes]`, float32, or int8 with `.scale` behind the name.
pub const CLASSES: &str = "classes";

/// The bias of those classes: float32 `[classes]`.
pub const CLASSES_BIAS: &str = "classes.bias";

/// The suffix of the name of a constant with the factor of each column of an int8 matrix, float32
/// `[columns]`.
const SCALE: &str = ".scale";

/// Rows are never divided by less, so an image without features has a code of zeros.
pub const MIN_NORM: f32 = 1e-6;

impl EncoderFile {
    /// Returns the trunk of this encoder for images of `side` × `side` pixels. Codes of small images are
    /// better if the images are enlarged less. Without `resize`, the trunk sees the same part of an image
    /// as before.
    ///
    /// A trunk that takes one size only fails when it is opened.
    ///
    /// # Errors
    ///
    /// [`Error::Contract`] if the file has no features, or if images resized by `resize` cannot fill the
    /// square.
    pub fn trunk_at(&self, side: u32, resize: Option<EncoderResize>) -> Result<Self> {
        let info = self.info();
        let mut model = cut_trunk(&self.model()?, &info.name)?;
        resize_input(&mut model, side);
        let resize = resize.unwrap_or(match info.resize {
            EncoderResize::ShortSideCrop { short } => {
                let share = f64::from(short) / f64::from(info.width.min(info.height));
                EncoderResize::ShortSideCrop {
                    short: (f64::from(side) * share).round() as u32,
                }
            }
            EncoderResize::Squash => EncoderResize::Squash,
        });
        let info = EncoderInfo {
            code_len: 0,
            bits: 0,
            resize,
            ..info.clone()
        };
        Self::from_model(model, &info)
    }
}

/// Returns the model that computes only `features`.
///
/// # Errors
///
/// [`Error::Contract`] if the model has no output `features`.
pub fn cut_trunk(model: &ModelProto, name: &str) -> Result<ModelProto> {
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
    // These belong to the trunk, although only heads use them.
    let kept = [METRIC, CLASSES, CLASSES_BIAS];
    let kept = kept.map(|name| [name.to_owned(), format!("{name}{SCALE}")]);
    prune(graph, &[FEATURES], &[], kept.as_flattened());
    Ok(trunk)
}

/// Makes a model take square images of `side` pixels.
pub fn resize_input(model: &mut ModelProto, side: u32) {
    let Some(graph) = &mut model.graph else {
        return;
    };
    let sides = [
        Side::Open("n"),
        Side::Of(side as usize),
        Side::Of(side as usize),
        Side::Of(3),
    ];
    for input in &mut graph.input {
        if input.name.as_deref() == Some(INPUT) {
            *input = value(INPUT, data_type::UINT8, &sides);
        }
    }
    // These shapes are for the old size.
    graph.value_info.clear();
}

/// Takes away what a trunk says about its features, if they are to be others.
pub fn drop_constants(model: &mut ModelProto) {
    if let Some(graph) = &mut model.graph {
        let dropped = [METRIC, CLASSES, CLASSES_BIAS];
        let base = |name: &str| name.strip_suffix(SCALE).unwrap_or(name).to_owned();
        graph.initializer.retain(|tensor| {
            let name = tensor.name.as_deref().unwrap_or_default();
            !dropped.contains(&base(name).as_str())
        });
    }
}

/// Makes the nodes that take `from` take `to` instead.
pub fn rename_input(model: &mut ModelProto, from: &str, to: &str) {
    let nodes = model.graph.iter_mut().flat_map(|graph| &mut graph.node);
    let inputs = nodes.flat_map(|node| &mut node.input);
    inputs
        .filter(|input| *input == from)
        .for_each(|input| *input = to.to_owned());
}

/// Renames the model's output `from`, which is then no output any more.
pub fn rename_output(model: &mut ModelProto, from: &str, to: &str) {
    rename_input(model, from, to);
    if let Some(graph) = &mut model.graph {
        graph
            .output
            .retain(|output| output.name.as_deref() != Some(from));
        let outputs = graph.node.iter_mut().flat_map(|node| &mut node.output);
        outputs
            .filter(|output| *output == from)
            .for_each(|output| *output = to.to_owned());
    }
}

fn no_features(name: &str) -> Error {
    Error::Contract {
        name: name.to_owned(),
        reason: format!("it has no output `{FEATURES}`, which training needs"),
    }
}

fn find<'a>(model: &'a ModelProto, name: &str) -> Option<&'a TensorProto> {
    let mut all = model.graph.as_ref()?.initializer.iter();
    all.find(|tensor| tensor.name.as_deref() == Some(name))
}

/// Returns the shape and the numbers of a constant. Each column of an int8 matrix is multiplied by its
/// factor.
pub fn constant(model: &ModelProto, name: &str) -> Option<(Vec<usize>, Vec<f32>)> {
    let tensor = find(model, name)?;
    let (Some(data_type::INT8), Some(raw)) = (tensor.data_type, &tensor.raw_data) else {
        return floats(tensor);
    };
    let shape = shape_of(tensor)?;
    // Only float32, or a file could give factors of factors without end.
    let (_, factors) = floats(find(model, &format!("{name}{SCALE}"))?)?;
    if shape.last() != Some(&factors.len()) {
        return None;
    }
    let factors = factors.iter().cycle();
    let values = raw.iter().zip(factors);
    let values = values.map(|(&byte, factor)| f32::from(byte.cast_signed()) * factor);
    filled(shape, values.collect())
}

/// Returns a float32 constant.
fn floats(tensor: &TensorProto) -> Option<(Vec<usize>, Vec<f32>)> {
    let values = match (tensor.data_type?, &tensor.raw_data) {
        (data_type::FLOAT, Some(raw)) => {
            let (values, _) = raw.as_chunks::<4>();
            values
                .iter()
                .map(|bytes| f32::from_le_bytes(*bytes))
                .collect()
        }
        (data_type::FLOAT, None) => tensor.float_data.clone(),
        _ => return None,
    };
    filled(shape_of(tensor)?, values)
}

fn shape_of(tensor: &TensorProto) -> Option<Vec<usize>> {
    let sides = tensor.dims.iter();
    sides.map(|&side| usize::try_from(side).ok()).collect()
}

/// Returns both if the number of values matches the shape.
fn filled(shape: Vec<usize>, values: Vec<f32>) -> Option<(Vec<usize>, Vec<f32>)> {
    let mut sides = shape.iter();
    let length = sides.try_fold(1usize, |length, &side| length.checked_mul(side))?;
    (values.len() == length).then_some((shape, values))
}

/// Types of attributes, as ONNX numbers them.
const INT: i32 = 2;
const STRING: i32 = 3;
const INTS: i32 = 7;

impl AttributeProto {
    /// Returns an attribute with a whole number.
    pub fn int(name: &str, value: i64) -> Self {
        Self {
            name: Some(name.to_owned()),
            r#type: Some(INT),
            i: Some(value),
            ..Self::default()
        }
    }

    /// Returns an attribute with a text.
    pub fn string(name: &str, value: &str) -> Self {
        Self {
            name: Some(name.to_owned()),
            r#type: Some(STRING),
            s: Some(value.as_bytes().to_vec()),
            ..Self::default()
        }
    }

    /// Returns an attribute with whole numbers.
    pub fn ints(name: &str, values: &[usize]) -> Self {
        Self {
            name: Some(name.to_owned()),
            r#type: Some(INTS),
            ints: values.iter().map(|&value| value as i64).collect(),
            ..Self::default()
        }
    }
}

/// Adds nodes at the end of a graph.
pub struct Grafter<'a> {
    model: &'a mut ModelProto,
    prefix: &'a str,
}

impl<'a> Grafter<'a> {
    /// Returns a grafter. The names of what it adds start with `prefix`.
    pub fn new(model: &'a mut ModelProto, prefix: &'a str) -> Self {
        Self { model, prefix }
    }

    /// Adds a float32 constant. Returns its name.
    pub fn constant(&mut self, name: &str, shape: &[usize], values: &[f32]) -> String {
        self.shared_constant(&format!("{}{name}", self.prefix), shape, values)
    }

    /// Adds a float32 constant under a name without the prefix, unless it exists. Returns the name of its
    /// values. If it is int8, nodes compute them.
    pub fn shared_constant(&mut self, name: &str, shape: &[usize], values: &[f32]) -> String {
        debug_assert_eq!(shape.iter().product::<usize>(), values.len());
        match find(self.model, name).map(|tensor| tensor.data_type) {
            // DequantizeLinear would stay in the graph if a product follows it. A runtime computes these two
            // once, when it opens the model.
            Some(Some(data_type::INT8)) => {
                let to_float = [AttributeProto::int("to", i64::from(data_type::FLOAT))];
                let float = self.node_with("Cast", &[name], &format!("{name}.float"), &to_float);
                let scale = format!("{name}{SCALE}");
                return self.node("Mul", &[&float, &scale], &format!("{name}.scaled"));
            }
            Some(_) => {}
            None => {
                if let Some(graph) = &mut self.model.graph {
                    graph.initializer.push(TensorProto {
                        name: Some(name.to_owned()),
                        data_type: Some(data_type::FLOAT),
                        dims: shape.iter().map(|&side| side as i64).collect(),
                        raw_data: Some(values.iter().flat_map(|v| v.to_le_bytes()).collect()),
                        ..TensorProto::default()
                    });
                }
            }
        }
        name.to_owned()
    }

    /// Adds a constant shape. Returns its name.
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

    /// Adds a node with one output. Returns the output's name.
    pub fn node(&mut self, operator: &str, inputs: &[&str], output: &str) -> String {
        self.node_with(operator, inputs, output, &[])
    }

    /// Adds a node with attributes and one output. Returns the output's name.
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

    /// Adds the normalisation of rows of `d` numbers to length one. Returns the output's name. The sum is a
    /// product with a column of ones, which is the same in every version of the operators.
    pub fn unit(&mut self, x: &str, d: usize, output: &str) -> String {
        let named = |part: &str| format!("{output}.{part}");
        let ones = self.constant(&named("ones"), &[d, 1], &vec![1.0; d]);
        let least = self.constant(&named("least"), &[], &[MIN_NORM]);
        let squares = self.node("Mul", &[x, x], &named("squares"));
        let sum = self.node("MatMul", &[&squares, &ones], &named("sum"));
        let norm = self.node("Sqrt", &[&sum], &named("sqrt"));
        let norm = self.node("Max", &[&norm, &least], &named("norm"));
        self.node("Div", &[x, &norm], output)
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
pub enum Side<'a> {
    /// Any length, with a name.
    Open(&'a str),
    /// This length.
    Of(usize),
}

/// Describes an input or output of a model.
pub(crate) fn value(name: &str, kind: i32, sides: &[Side<'_>]) -> ValueInfoProto {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::GraphProto;

    fn model(constants: Vec<TensorProto>) -> ModelProto {
        ModelProto {
            graph: Some(GraphProto {
                initializer: constants,
                ..GraphProto::default()
            }),
            ..ModelProto::default()
        }
    }

    fn bytes(name: &str, dims: &[i64], raw: &[u8]) -> TensorProto {
        TensorProto {
            name: Some(name.to_owned()),
            data_type: Some(data_type::INT8),
            dims: dims.to_vec(),
            raw_data: Some(raw.to_vec()),
            ..TensorProto::default()
        }
    }

    #[test]
    fn shapes_and_factors_that_make_no_sense_are_nothing() {
        let scale = TensorProto {
            name: Some("m.scale".to_owned()),
            data_type: Some(data_type::FLOAT),
            dims: vec![2],
            float_data: vec![0.5, 2.0],
            ..TensorProto::default()
        };
        let good = model(vec![bytes("m", &[1, 2], &[4, 255]), scale]);
        assert_eq!(constant(&good, "m"), Some((vec![1, 2], vec![2.0, -2.0])));
        // Sides whose product overflows.
        let huge = TensorProto {
            name: Some("m".to_owned()),
            data_type: Some(data_type::FLOAT),
            dims: vec![i64::MAX, 4],
            ..TensorProto::default()
        };
        assert_eq!(constant(&model(vec![huge]), "m"), None);
        // Factors of factors of factors.
        let name = |depth: usize| format!("m{}", SCALE.repeat(depth));
        let chain = (0..500).map(|depth| bytes(&name(depth), &[1], &[1]));
        assert_eq!(constant(&model(chain.collect()), "m"), None);
    }
}
