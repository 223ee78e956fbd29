//! Runs imported graphs on made-up images, to know shapes that a file leaves open and that they work.

use std::path::Path;

use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::TensorRef;
use prost::Message as _;

use super::head::Drawing;
use super::load::opset;
use crate::encoder::{Encoder, SessionOptions};
use crate::encoder_file::{EncoderFile, INPUT};
use crate::error::{Error, Result};
use crate::proto::ModelProto;
use crate::runtime::Runtime;

/// Features of one image, alone and with others, whose cosine is lower are not those of a batch.
const LEAST_COSINE: f32 = 0.9;

/// What rounding does to a cosine, and a little more.
const SAME_COSINE: f32 = 0.9995;

/// Opens a session; `path` is the model's file.
///
/// # Errors
///
/// [`Error::Import`] with what ONNX Runtime says.
pub(super) fn session(model: &ModelProto, runtime: &Runtime, path: &Path) -> Result<Session> {
    let bytes = model.encode_to_vec();
    let open = || -> Result<Session, ort::Error> {
        Session::builder(&runtime.environment)?
            .with_optimization_level(GraphOptimizationLevel::Disable)?
            .with_intra_threads(1)?
            // What fails in a trial is an error of the import, or nothing at all.
            .with_log_level(ort::logging::LogLevel::Fatal)?
            .commit_from_memory(&bytes)
    };
    open().map_err(|error| {
        let text = error.to_string();
        let version = runtime.version();
        let about_operators = ["pset", "not a registered function/op", "IR version", "Could not find an implementation"];
        Error::import(
            path,
            if about_operators.iter().any(|part| text.contains(part)) {
                format!(
                    "ONNX Runtime {version} does not know its operators (opset {}): {text}\nExport it again with an older \
                     opset, such as --opset 17, or name a newer ONNX Runtime with --ort-library",
                    opset(model)
                )
            } else {
                format!("ONNX Runtime {version} refuses it: {text}")
            },
        )
    })
}

/// Returns the shape of the output `output` for two images of a width and a height.
///
/// # Errors
///
/// [`Error::Import`] if ONNX Runtime refuses the model, if it takes one image at a time, or if it fails.
pub(super) fn shape_of(
    model: &ModelProto,
    output: &str,
    (width, height): (u32, u32),
    runtime: &Runtime,
    path: &Path,
) -> Result<Vec<usize>> {
    let mut session = session(model, runtime, path)?;
    let (width, height) = (width as usize, height as usize);
    let mut run = |n: usize| -> Result<Vec<usize>, ort::Error> {
        let pixels = pixels(n, width * height);
        let input = TensorRef::from_array_view(([n, height, width, 3], &*pixels))?;
        let outputs = session.run(ort::inputs![INPUT => input])?;
        let (shape, _) = outputs[output].try_extract_tensor::<f32>()?;
        Ok(shape
            .iter()
            .map(|&side| usize::try_from(side).unwrap_or(0))
            .collect())
    };
    let fixed = || {
        Error::import(
            path,
            "it takes one image at a time, because its graph fixes the size of a batch; export it again with a dynamic \
             batch axis, as optimum-cli export onnx does",
        )
    };
    match run(2) {
        Ok(shape) if shape.first() == Some(&2) => Ok(shape),
        Ok(_) => Err(fixed()),
        Err(error) => match run(1) {
            Ok(_) => Err(fixed()),
            Err(_) => Err(Error::import(
                path,
                format!(
                    "it fails on images of {width} by {height} pixels: {error}\nIf it takes another size, give it with --size"
                ),
            )),
        },
    }
}

/// Checks that an image has the same features alone and together with others.
///
/// # Errors
///
/// [`Error::Import`] if it has other ones.
pub(super) fn alone_and_together(
    file: &EncoderFile,
    runtime: &Runtime,
    path: &Path,
    notes: &mut Vec<String>,
) -> Result<()> {
    const N: usize = 3;
    let mut encoder = Encoder::new(file, runtime, &SessionOptions::default())?;
    let area = file.info().width as usize * file.info().height as usize;
    let pixels = pixels(N, area);
    let together = encoder.encode(&pixels, N)?;
    let mut least = 1.0f32;
    for (i, image) in pixels.chunks_exact(area * 3).enumerate() {
        let alone = encoder.encode(image, 1)?;
        let pairs = alone.features(0).iter().zip(together.features(i));
        least = least.min(pairs.map(|(a, b)| a * b).sum());
    }
    if least < LEAST_COSINE {
        return Err(Error::import(
            path,
            format!(
                "an image has other features in a batch than alone (cosine {least:.3}); export it again with a dynamic \
                 batch axis"
            ),
        ));
    }
    if least < SAME_COSINE {
        notes.push(format!(
            "the features of an image depend a little on the others in its batch (cosine {least:.4}), as with 8-bit \
             variants; a float32 model has no such noise"
        ));
    }
    Ok(())
}

/// Makes `n` images of `area` pixels: noise, brighter from image to image.
fn pixels(n: usize, area: usize) -> Vec<u8> {
    let mut random = Drawing::new(n as u64);
    let length = area * 3;
    (0..n * length)
        .map(|i| {
            let range = 64 + 190 * (i / length + 1) as u64 / n as u64;
            (random.next() % range) as u8
        })
        .collect()
}
