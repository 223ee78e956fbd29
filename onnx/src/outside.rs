//! Finds data that a model keeps in other files.
//!
//! An encoder or a decoder is one file. ONNX lets any tensor in a model name another file to read its numbers
//! from, so a model of unknown origin could make its user's program read any file. This module checks every
//! place that can hold a tensor: constants, attributes of nodes, also sparse ones, graphs inside of nodes, functions and what
//! belongs to training.

use crate::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto,
};

/// A tensor's location where its numbers are in another file, as the format numbers it.
const EXTERNAL_DATA: i32 = 1;

/// The name of a tensor whose numbers lie in another file.
pub(crate) fn outside(model: &ModelProto) -> Option<&str> {
    let training = model.training_info.iter();
    let training = training.flat_map(|info| [&info.initialization, &info.algorithm]);
    let mut graphs = model
        .graph
        .iter()
        .chain(training.flatten().map(Box::as_ref));
    let mut functions = model.functions.iter();
    graphs.find_map(in_graph).or_else(|| {
        functions.find_map(|function| {
            in_attributes(&function.attribute_proto).or_else(|| in_nodes(&function.node))
        })
    })
}

fn in_graph(graph: &GraphProto) -> Option<&str> {
    let mut sparse = graph.sparse_initializer.iter();
    in_tensors(&graph.initializer)
        .or_else(|| sparse.find_map(in_sparse))
        .or_else(|| in_nodes(&graph.node))
}

fn in_nodes(nodes: &[NodeProto]) -> Option<&str> {
    nodes.iter().find_map(|node| in_attributes(&node.attribute))
}

/// Graphs in attributes hold attributes; decoding limits how deep that goes.
fn in_attributes(attributes: &[AttributeProto]) -> Option<&str> {
    attributes.iter().find_map(|attribute| {
        let mut sparse = attribute
            .sparse_tensor
            .iter()
            .chain(&attribute.sparse_tensors);
        let mut graphs = attribute.g.as_deref().into_iter().chain(&attribute.graphs);
        in_tensors(attribute.t.iter().chain(&attribute.tensors))
            .or_else(|| sparse.find_map(in_sparse))
            .or_else(|| graphs.find_map(in_graph))
    })
}

fn in_sparse(tensor: &SparseTensorProto) -> Option<&str> {
    in_tensors(tensor.values.iter().chain(&tensor.indices))
}

/// Whether the numbers of a tensor lie in another file.
pub(crate) fn is_outside(tensor: &TensorProto) -> bool {
    tensor.data_location == Some(EXTERNAL_DATA) || !tensor.external_data.is_empty()
}

fn in_tensors<'a>(tensors: impl IntoIterator<Item = &'a TensorProto>) -> Option<&'a str> {
    let mut tensors = tensors.into_iter();
    tensors
        .find(|tensor| is_outside(tensor))
        .map(|tensor| tensor.name.as_deref().unwrap_or(""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{FunctionProto, TrainingInfoProto};

    fn elsewhere() -> TensorProto {
        TensorProto {
            name: Some("elsewhere".to_owned()),
            data_location: Some(EXTERNAL_DATA),
            ..TensorProto::default()
        }
    }

    fn sparse(values: bool) -> SparseTensorProto {
        SparseTensorProto {
            values: values.then(elsewhere),
            indices: (!values).then(elsewhere),
            ..SparseTensorProto::default()
        }
    }

    fn node(attribute: AttributeProto) -> NodeProto {
        NodeProto {
            attribute: vec![attribute],
            ..NodeProto::default()
        }
    }

    /// Each way in which an attribute may name another file.
    fn attributes() -> Vec<AttributeProto> {
        let inner = GraphProto {
            initializer: vec![elsewhere()],
            ..GraphProto::default()
        };
        let mut all = vec![AttributeProto::default(); 7];
        all[0].t = Some(elsewhere());
        all[1].tensors = vec![TensorProto::default(), elsewhere()];
        all[2].sparse_tensor = Some(sparse(true));
        all[3].sparse_tensor = Some(sparse(false));
        all[4].sparse_tensors = vec![sparse(false)];
        all[5].g = Some(Box::new(inner.clone()));
        all[6].graphs = vec![inner];
        all
    }

    fn of_graph(graph: GraphProto) -> ModelProto {
        ModelProto {
            graph: Some(graph),
            ..ModelProto::default()
        }
    }

    #[test]
    fn other_files_are_seen_wherever_they_are_named() {
        let mut models = vec![
            of_graph(GraphProto {
                initializer: vec![elsewhere()],
                ..GraphProto::default()
            }),
            of_graph(GraphProto {
                sparse_initializer: vec![sparse(false)],
                ..GraphProto::default()
            }),
        ];
        for attribute in attributes() {
            let node = node(attribute.clone());
            let graph = GraphProto {
                node: vec![node.clone()],
                ..GraphProto::default()
            };
            models.push(of_graph(graph.clone()));
            for training in [
                TrainingInfoProto {
                    initialization: Some(Box::new(graph.clone())),
                    ..TrainingInfoProto::default()
                },
                TrainingInfoProto {
                    algorithm: Some(Box::new(graph)),
                    ..TrainingInfoProto::default()
                },
            ] {
                models.push(ModelProto {
                    training_info: vec![training],
                    ..ModelProto::default()
                });
            }
            for function in [
                FunctionProto {
                    node: vec![node],
                    ..FunctionProto::default()
                },
                FunctionProto {
                    attribute_proto: vec![attribute],
                    ..FunctionProto::default()
                },
            ] {
                models.push(ModelProto {
                    functions: vec![function],
                    ..ModelProto::default()
                });
            }
        }
        for model in &models {
            assert_eq!(outside(model), Some("elsewhere"), "{model:?}");
        }
        assert_eq!(outside(&ModelProto::default()), None);
    }
}
