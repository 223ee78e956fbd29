//! `imgsearch reconstruct --vary`: how a picture changes along the strongest directions of its code.

use image::RgbImage;
use imgsearch::Engine;
use imgsearch::index::Index;
use imgsearch::onnx::{CodeDecoder, Encodings};
use imgsearch::training::baseline::Pca;
use serde_json::json;

use super::Result;
use super::args::Global;
use super::charts::grid;
use super::output::command;
use super::reconstruct::{images, keep_length};
use super::setup::index_dir;
use super::streams::out;

/// Directions that are shown, the strongest first.
const DIRECTIONS: usize = 8;

/// How far the code moves along a direction, in standard deviations.
const STEPS: [f32; 7] = [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0];

/// The fewest codes that have directions.
const MIN_CODES: usize = 3;

/// Returns the codes of the index, which the encoder must have made.
pub fn stored_codes(global: &Global, engine: &Engine) -> Result<Vec<f32>> {
    let dir = index_dir(global)?;
    let make = command(
        global.index.as_deref(),
        &["index", "FOLDER", "--encoder", "FILE"].map(std::ffi::OsStr::new),
    );
    let needs = |why: String| {
        format!(
            "--vary finds directions in the codes of many pictures: {why}\nName at least {MIN_CODES} pictures beside it, or \
             index some with this encoder: {make}"
        )
    };
    let index = Index::open(&dir).map_err(|error| needs(error.to_string()))?;
    let made_by = &index.encoder().fingerprint;
    if *made_by != engine.info().fingerprint {
        return Err(needs(format!(
            "the index in {} was made by another encoder, {:?}",
            dir.display(),
            index.encoder().name
        ))
        .into());
    }
    let codes: Vec<f32> = index.searcher()?.codes().concat();
    let n = codes.len() / engine.info().code_len;
    if n < MIN_CODES {
        return Err(needs(format!("the index in {} holds {n}", dir.display())).into());
    }
    Ok(codes)
}

/// Draws a picture along the principal directions of `codes`: a row for each direction, a column for each step.
pub fn vary(
    own: &Encodings,
    codes: &[f32],
    code_len: usize,
    decoder: &mut CodeDecoder,
    prints: (bool, bool),
) -> Result<RgbImage> {
    let n = codes.len() / code_len;
    if n < MIN_CODES {
        return Err(format!(
            "--vary finds directions in the codes of many pictures, and {n} could be read: name at least {MIN_CODES}"
        )
        .into());
    }
    let k = DIRECTIONS.min(code_len).min(n - 1);
    let all = Pca::fit(codes, n, code_len, code_len)?;
    let whole: f32 = all.variances.iter().sum();
    let bits = own.logits.len() / own.n.max(1);
    let mut varied = Encodings::of_codes(k * STEPS.len(), Vec::new());
    let mut captions = Vec::new();
    for direction in 0..k {
        let deviation = all.variances[direction].sqrt();
        let share = all.variances[direction] / whole;
        let mut row = Vec::new();
        for step in STEPS {
            let along = (0..code_len).map(|i| all.directions[i * code_len + direction]);
            let moved = own.codes[..code_len].iter().zip(along);
            let moved = moved.map(|(value, along)| value + step * deviation * along);
            varied.codes.extend(moved);
            varied.logits.extend_from_slice(&own.logits[..bits]);
            row.push(format!("{}: {step:+.0} sd", direction + 1));
        }
        captions.push(row);
        let (is_json, is_quiet) = prints;
        if is_json {
            out!(
                "{}",
                json!({ "direction": direction + 1, "share": share, "deviation": deviation })
            );
        } else if !is_quiet {
            out!(
                "direction {}: {:.1} % of the variance",
                direction + 1,
                share * 100.0
            );
        }
    }
    keep_length(&own.codes[..code_len], &mut varied.codes);
    let (sides, made) = decoder.decode(&varied)?;
    let mut made = images(sides, &made).into_iter();
    let rows: Vec<Vec<RgbImage>> = (0..k)
        .map(|_| made.by_ref().take(STEPS.len()).collect())
        .collect();
    Ok(grid(&rows, &captions))
}
