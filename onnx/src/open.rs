//! Opens models other than encoders of images: what their metadata say, and a session that runs them.

use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use prost::Message as _;

use crate::error::{Error, Result};
use crate::outside::outside;
use crate::proto::ModelProto;
use crate::runtime::Runtime;

/// Reads a model that lies in one file. The error says why it is none.
pub(crate) fn read_model(bytes: &[u8]) -> Result<ModelProto, String> {
    let model =
        ModelProto::decode(bytes).map_err(|error| format!("it is not an ONNX file ({error})"))?;
    match outside(&model) {
        Some(tensor) => Err(format!(
            "its constant `{tensor}` lies in another file, and everything has to be in one"
        )),
        None => Ok(model),
    }
}

/// Returns a metadata of a model.
pub(crate) fn metadata<'a>(model: &'a ModelProto, key: &str) -> Option<&'a str> {
    let mut entries = model.metadata_props.iter();
    let entry = entries.find(|entry| entry.key.as_deref() == Some(key))?;
    entry.value.as_deref()
}

/// Returns a session that runs a model on `threads` threads; 0 for all cores. Messages use `name`.
///
/// # Errors
///
/// [`Error::Run`] if ONNX Runtime refuses it.
pub(crate) fn session(
    bytes: &[u8],
    name: &str,
    runtime: &Runtime,
    threads: usize,
) -> Result<Session> {
    let open = || -> Result<Session, ort::Error> {
        Session::builder(&runtime.environment)?
            .with_optimization_level(GraphOptimizationLevel::All)?
            .with_intra_threads(threads)?
            .commit_from_memory(bytes)
    };
    open().map_err(|source| Error::Run {
        name: name.to_owned(),
        source: Box::new(source),
    })
}
