//! What people are told when much of a collection is foreign to its encoder.

use std::ffi::OsStr;

use imgsearch::Library;
use imgsearch::groups::{Foreign, SMALL_SIDE};
use imgsearch::onnx::EncoderFile;
use serde_json::{Value, json};

use super::Result;
use super::args::Global;
use super::output::command;
use super::streams::say;

/// Says how much of the collection is foreign, and the cure, if it is much.
pub fn say_if_much(global: &Global, library: &Library, foreign: &Foreign) -> Result<()> {
    if foreign.is_much() {
        say!("{}", text(foreign));
        say!("{}", cure(global, library)?);
    }
    Ok(())
}

/// Returns what is so.
pub fn text(foreign: &Foreign) -> String {
    let why = if foreign.small * 2 > foreign.sampled {
        format!("smaller than {SMALL_SIDE} pixels")
    } else {
        "of things that its classifier has no name for".to_owned()
    };
    format!(
        "{:.0} % of the images are foreign to this encoder: most are {why}. It tells such images apart less well",
        100.0 * foreign.share()
    )
}

/// Returns what to do about it.
pub fn cure(global: &Global, library: &Library) -> Result<String> {
    let typed = |words: &[&str]| {
        let words: Vec<&OsStr> = words.iter().map(OsStr::new).collect();
        command(global.index.as_deref(), &words)
    };
    let of_pixels = typed(&["train", "autoencoder", "FOLDER", "-o", "my.onnx"]);
    let built_in = EncoderFile::default_encoder()?.info().fingerprint.clone();
    Ok(if library.index_view()?.encoder().fingerprint == built_in {
        format!(
            "To train an encoder on them: {}   (or from their pixels alone: {of_pixels})",
            typed(&["adapt"])
        )
    } else {
        format!("To train an encoder from their pixels alone: {of_pixels}")
    })
}

/// Returns it as JSON.
pub fn to_json(foreign: &Foreign) -> Value {
    let mut value = json!(foreign);
    value["share"] = json!(foreign.share());
    value["is_much"] = json!(foreign.is_much());
    value
}
