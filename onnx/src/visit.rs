//! Walks all of a model: its tensors, the names that its nodes use, and which nodes some of its values need.
//!
//! Nodes can hold graphs, which may use values of the graph around them, so every walk goes into those as well.

use std::collections::HashSet;

use crate::error::Result;
use crate::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto,
};

/// Calls `with` for every tensor of a model's graph and functions.
///
/// # Errors
///
/// The first error of `with`.
pub(crate) fn each_tensor(
    model: &mut ModelProto,
    with: &mut dyn FnMut(&mut TensorProto) -> Result<()>,
) -> Result<()> {
    if let Some(graph) = &mut model.graph {
        in_graph(graph, with)?;
    }
    for function in &mut model.functions {
        in_attributes(&mut function.attribute_proto, with)?;
        for node in &mut function.node {
            in_attributes(&mut node.attribute, with)?;
        }
    }
    Ok(())
}

fn in_graph(
    graph: &mut GraphProto,
    with: &mut dyn FnMut(&mut TensorProto) -> Result<()>,
) -> Result<()> {
    for tensor in &mut graph.initializer {
        with(tensor)?;
    }
    for sparse in &mut graph.sparse_initializer {
        in_sparse(sparse, with)?;
    }
    for node in &mut graph.node {
        in_attributes(&mut node.attribute, with)?;
    }
    Ok(())
}

fn in_attributes(
    attributes: &mut [AttributeProto],
    with: &mut dyn FnMut(&mut TensorProto) -> Result<()>,
) -> Result<()> {
    for attribute in attributes {
        for tensor in attribute.t.iter_mut().chain(&mut attribute.tensors) {
            with(tensor)?;
        }
        let sparse = attribute.sparse_tensor.iter_mut();
        for sparse in sparse.chain(&mut attribute.sparse_tensors) {
            in_sparse(sparse, with)?;
        }
        if let Some(graph) = &mut attribute.g {
            in_graph(graph, with)?;
        }
        for graph in &mut attribute.graphs {
            in_graph(graph, with)?;
        }
    }
    Ok(())
}

fn in_sparse(
    sparse: &mut SparseTensorProto,
    with: &mut dyn FnMut(&mut TensorProto) -> Result<()>,
) -> Result<()> {
    for tensor in sparse.values.iter_mut().chain(&mut sparse.indices) {
        with(tensor)?;
    }
    Ok(())
}

/// Renames a value of a graph wherever it is made or used.
pub(crate) fn rename(graph: &mut GraphProto, from: &str, to: &str) {
    let change = |name: &mut String| {
        if name == from {
            to.clone_into(name);
        }
    };
    let described = graph
        .input
        .iter_mut()
        .chain(&mut graph.output)
        .chain(&mut graph.value_info);
    let tensors = graph.initializer.iter_mut().chain(
        graph
            .sparse_initializer
            .iter_mut()
            .filter_map(|sparse| sparse.values.as_mut()),
    );
    let names = described.map(|value| &mut value.name);
    let names = names.chain(tensors.map(|tensor| &mut tensor.name));
    names.flatten().for_each(change);
    for node in &mut graph.node {
        node.input.iter_mut().for_each(change);
        node.output.iter_mut().for_each(change);
        for attribute in &mut node.attribute {
            let inner = attribute.g.as_deref_mut().into_iter();
            for graph in inner.chain(&mut attribute.graphs) {
                rename(graph, from, to);
            }
        }
    }
}

/// The names of the values that a node uses, those inside of its graphs included.
pub(crate) fn used_by(node: &NodeProto, names: &mut HashSet<String>) {
    names.extend(node.input.iter().cloned());
    for attribute in &node.attribute {
        for graph in attribute.g.as_deref().into_iter().chain(&attribute.graphs) {
            // An output of an inner graph may be a value of the graph around it.
            let outputs = graph.output.iter();
            names.extend(outputs.filter_map(|output| output.name.clone()));
            for node in &graph.node {
                used_by(node, names);
            }
        }
    }
}

/// Keeps the nodes and constants that the values `targets` need, and the constants in `kept`. Values in `given`
/// count as known: what computes them goes. Returns the names of all values that are needed.
pub(crate) fn prune(
    graph: &mut GraphProto,
    targets: &[&str],
    given: &[&str],
    kept: &[String],
) -> HashSet<String> {
    let mut needed: HashSet<String> = targets.iter().map(|&name| name.to_owned()).collect();
    let mut nodes = Vec::new();
    // Nodes are in the order of computation, so one pass backwards finds all that are needed.
    for node in graph.node.drain(..).rev() {
        let makes = |name: &String| needed.contains(name) && !given.contains(&name.as_str());
        if node.output.iter().any(makes) {
            used_by(&node, &mut needed);
            nodes.push(node);
        }
    }
    nodes.reverse();
    graph.node = nodes;
    needed.extend(kept.iter().cloned());
    let is_needed = |name: &Option<String>| name.as_ref().is_some_and(|name| needed.contains(name));
    graph.initializer.retain(|tensor| is_needed(&tensor.name));
    graph.sparse_initializer.retain(|sparse| {
        let values = sparse.values.as_ref();
        values.is_some_and(|values| is_needed(&values.name))
    });
    graph.value_info.retain(|value| is_needed(&value.name));
    needed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(inputs: &[&str], output: &str) -> NodeProto {
        NodeProto {
            input: inputs.iter().map(|&name| name.to_owned()).collect(),
            output: vec![output.to_owned()],
            ..NodeProto::default()
        }
    }

    /// A node with a graph that uses `outer` of the graph around it.
    fn branching(outer: &str) -> NodeProto {
        let mut branch = node(&["condition"], "b");
        let inner = GraphProto {
            node: vec![node(&[outer], "inner")],
            ..GraphProto::default()
        };
        branch.attribute.push(AttributeProto {
            g: Some(Box::new(inner)),
            ..AttributeProto::default()
        });
        branch
    }

    #[test]
    fn what_only_an_inner_graph_uses_is_kept() {
        let mut graph = GraphProto {
            node: vec![
                node(&["x"], "a"),
                node(&["x"], "unused"),
                branching("a"),
                node(&["b"], "y"),
            ],
            ..GraphProto::default()
        };
        let whole = graph.clone();
        let needed = prune(&mut graph, &["y"], &[], &[]);
        let outputs: Vec<_> = graph.node.iter().map(|node| &*node.output[0]).collect();
        assert_eq!(outputs, ["a", "b", "y"]);
        assert!(needed.contains("x") && !needed.contains("unused"));

        let mut graph = whole;
        let needed = prune(&mut graph, &["y"], &["a"], &[]);
        assert_eq!(graph.node.len(), 2);
        assert!(needed.contains("a") && !needed.contains("x"));
    }

    #[test]
    fn names_inside_of_inner_graphs_are_renamed() {
        let mut graph = GraphProto {
            node: vec![node(&["x"], "a"), branching("a")],
            ..GraphProto::default()
        };
        rename(&mut graph, "a", "model.a");
        assert_eq!(graph.node[0].output, ["model.a"]);
        let inner = graph.node[1].attribute[0].g.as_ref().unwrap();
        assert_eq!(inner.node[0].input, ["model.a"]);
    }
}
