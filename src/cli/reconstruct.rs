//! `imgsearch reconstruct`.

use image::imageops::FilterType;
use image::{RgbImage, imageops};
use imgsearch::decode::{Decoder as ImageDecoder, Source};
use imgsearch::onnx::{Decoder, EncoderFile, EncoderInfo, Encodings};
use imgsearch::train::autoencoder::{decoder_path, spoiled};
use imgsearch::training::autoencoder::{Design, Noise};
use serde_json::json;

use super::args::{Global, ReconstructArgs};
use super::charts::{self, grid, picture};
use super::output::{shown as shown_path, with_path};
use super::setup::engine;
use super::streams::{out, say};
use super::train::check_output;
use super::{Outcome, Result};

/// The most pictures in a row.
const MOST_COLUMNS: usize = 12;

pub fn run(global: &Global, args: &ReconstructArgs) -> Result {
    check_output(&args.output)?;
    if args.interpolate.is_some() && args.images.len() != 2 {
        return Err(format!(
            "--interpolate goes from one image to another, and {} were named",
            args.images.len()
        )
        .into());
    }
    let engine = engine(global, args.encoder.as_deref(), Some(&args.limits))?;
    engine.file().require_codes()?;
    let beside = args.decoder.clone();
    let beside = beside.or_else(|| args.encoder.as_deref().map(decoder_path));
    let opened = match &beside {
        None => Decoder::new(
            EncoderFile::default_decoder(),
            "the built-in decoder",
            engine.info(),
            engine.runtime(),
        ),
        Some(path) => Decoder::from_path(path, engine.info(), engine.runtime()),
    };
    let mut decoder = opened.map_err(|error| match error {
        imgsearch::onnx::Error::Io { .. } => format!(
            "{error}\nAn encoder that imgsearch train --kind made on pixels, or train --decoder, has its decoder beside \
             it; name it with --decoder where it is elsewhere"
        )
        .into(),
        error => Box::<dyn std::error::Error>::from(error),
    })?;
    let mut worker = engine.worker()?;

    let size = worker.image_bytes();
    let mut pixels = Vec::new();
    let mut used = Vec::new();
    let mut outcome = Outcome::Done;
    let mut files = ImageDecoder::new(*engine.limits());
    let mut file = Source::default();
    for path in &args.images {
        let mut picture = vec![0; size];
        let read = file.reopen(path, engine.limits());
        let decoded = read.map_err(|error| error.to_string()).and_then(|()| {
            files
                .decode_into(&file, &engine.geometry(), &mut picture)
                .map_err(|error| error.to_string())
        });
        match decoded {
            Ok(_) => {
                pixels.extend(picture);
                used.push(path);
            }
            Err(reason) => {
                say!("imgsearch: {}: {reason}", shown_path(path));
                outcome = Outcome::Lacking;
            }
        }
    }
    if used.is_empty() {
        return Ok(Outcome::Lacking);
    }
    let n = used.len();
    let (width, height) = (engine.info().width, engine.info().height);
    let shown = |pixels: &[u8]| -> Vec<RgbImage> {
        let raw = pixels.chunks_exact(size);
        raw.filter_map(|picture| RgbImage::from_raw(width, height, picture.to_vec()))
            .collect()
    };
    let originals = shown(&pixels);
    let picture_of = if let (Some(steps), 2) = (args.interpolate, n) {
        let encodings = worker.encode(&pixels, n)?;
        let (sides, made) = decoder.decode(&between(&encodings, steps))?;
        let mut row = vec![originals[0].clone()];
        row.extend(pictures(sides, &made));
        row.push(originals[1].clone());
        grid(&[row], &[])
    } else {
        let noise = noise_of(engine.info());
        let input: Vec<u8> = match noise {
            Some((noise, grey)) => pixels
                .chunks_exact(size)
                .enumerate()
                .flat_map(|(i, picture)| spoiled(picture, noise, grey, i as u64))
                .collect(),
            None => pixels,
        };
        let encodings = worker.encode(&input, n)?;
        let (sides, made) = decoder.decode(&encodings)?;
        let grey = sides[2] == 1;
        let made = pictures(sides, &made);
        let pixel_bytes: usize = sides.iter().product();
        let code_bytes = engine.info().code_len * 4
            + if decoder.has_twins() {
                engine.info().bits.div_ceil(8)
            } else {
                0
            };
        let mut captions = Vec::new();
        for ((path, original), made) in used.iter().zip(&originals).zip(&made) {
            // A decoder may make smaller pictures than its encoder sees.
            let (width, height) = made.dimensions();
            let small = imageops::resize(original, width, height, FilterType::Triangle);
            let error = squared_error(&small, made, grey);
            captions.push(format!("error {error:.2}\n{code_bytes} of {pixel_bytes} B"));
            if args.json {
                let line = json!({
                    "squared_error": error, "pixel_bytes": pixel_bytes, "code_bytes": code_bytes,
                });
                out!("{}", with_path(line, "path", path));
            } else if !global.quiet {
                out!(
                    "{}: squared error {error:.3}; {pixel_bytes} bytes of pixels in {code_bytes} bytes of code",
                    shown_path(path),
                );
            }
        }
        let input = noise.map(|_| shown(&input));
        let mut rows = Vec::new();
        let mut below = Vec::new();
        for start in (0..n).step_by(MOST_COLUMNS) {
            let part = start..n.min(start + MOST_COLUMNS);
            rows.push(originals[part.clone()].to_vec());
            if let Some(input) = &input {
                rows.push(input[part.clone()].to_vec());
            }
            rows.push(made[part.clone()].to_vec());
            below.resize(rows.len() - 1, Vec::new());
            below.push(captions[part].to_vec());
        }
        grid(&rows, &below)
    };
    charts::save(&picture_of, args.output.clone())?;
    if !args.json && !global.quiet {
        out!("wrote {}", args.output.display());
    }
    Ok(outcome)
}

/// What a denoising autoencoder's input was spoiled with, from its file's record, and whether it
/// sees no colours.
fn noise_of(info: &EncoderInfo) -> Option<(Noise, bool)> {
    let training: serde_json::Value = serde_json::from_str(&info.training).ok()?;
    let design: Design = serde_json::from_value(training["design"].clone()).ok()?;
    Some((design.noise?, design.shape.channels == 1))
}

/// How far a code's length may be from one where codes are brought to that length.
const LENGTH_ERROR: f32 = 1e-3;

/// Codes on the straight way from the first to the second, both ends included; where both have the
/// length one, all between have it too.
fn between(encodings: &Encodings, steps: usize) -> Encodings {
    let steps = steps.max(2);
    let mix = |rows: &[f32]| -> Vec<f32> {
        let (a, b) = rows.split_at(rows.len() / 2);
        (0..steps)
            .flat_map(|step| {
                let share = step as f32 / (steps - 1) as f32;
                a.iter().zip(b).map(move |(a, b)| a + share * (b - a))
            })
            .collect()
    };
    let mut between = encodings.clone();
    (between.codes, between.logits) = (mix(&encodings.codes), mix(&encodings.logits));
    let length = |code: &[f32]| code.iter().map(|v| v * v).sum::<f32>().sqrt();
    let code_len = between.codes.len() / steps;
    let mut ends = encodings.codes.chunks_exact(code_len.max(1));
    if ends.all(|code| (length(code) - 1.0).abs() < LENGTH_ERROR) {
        for code in between.codes.chunks_exact_mut(code_len.max(1)) {
            let length = length(code).max(f32::MIN_POSITIVE);
            code.iter_mut().for_each(|value| *value /= length);
        }
    }
    between.n = steps;
    between
}

fn pictures(sides: [usize; 3], values: &[f32]) -> Vec<RgbImage> {
    values
        .chunks_exact(sides.iter().product())
        .filter_map(|values| picture(sides, values))
        .collect()
}

/// The squared error of a picture, its numbers from 0 to 1; of grey ones each pixel counts once.
fn squared_error(original: &RgbImage, made: &RgbImage, grey: bool) -> f64 {
    let pixels = original.pixels().zip(made.pixels());
    let errors = pixels.map(|(a, b)| {
        if grey {
            let level = |p: &image::Rgb<u8>| {
                let [r, g, b] = p.0.map(f64::from);
                0.299 * r + 0.587 * g + 0.114 * b
            };
            (level(a) - level(b)).powi(2)
        } else {
            let channels = a.0.iter().zip(b.0);
            channels
                .map(|(a, b)| (f64::from(*a) - f64::from(b)).powi(2))
                .sum()
        }
    });
    errors.sum::<f64>() / (255.0 * 255.0)
}
