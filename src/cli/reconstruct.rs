//! `imgsearch reconstruct`.

use std::path::{Path, PathBuf};

use image::imageops::FilterType;
use image::{RgbImage, imageops};
use imgsearch::decode::{Decoder, Source};
use imgsearch::onnx::{CodeDecoder, EncoderInfo, Encodings};
use imgsearch::train::autoencoder::{corrupted, decoder_path};
use imgsearch::training::autoencoder::{Design, Noise};
use imgsearch::{Engine, Worker};
use serde_json::json;

use super::args::{Global, ReconstructArgs};
use super::charts::{self, grid};
use super::destination::check_output;
use super::output::{shown as shown_path, with_path};
use super::setup::engine;
use super::streams::{out, say};
use super::{Outcome, Result, vary};

/// The maximum number of images in a row.
const MAX_COLUMNS: usize = 12;

pub fn run(global: &Global, args: &ReconstructArgs) -> Result {
    check_output(&args.output)?;
    if args.interpolate.is_some() && args.images.len() != 2 {
        return Err(format!(
            "--interpolate goes from one image to another, and {} were named",
            args.images.len()
        )
        .into());
    }
    let Some(path) = decoder_of(args) else {
        return Err(NO_DECODER.into());
    };
    let engine = engine(global, args.encoder.as_deref(), Some(&args.limits))?;
    engine.file().require_codes()?;
    let mut decoder = open_decoder(&path, &engine)?;
    let mut worker = engine.worker()?;
    if let Some(varied) = &args.vary {
        return show_varied(global, args, varied, &engine, &mut worker, &mut decoder);
    }
    let input = read(&args.images, &engine, worker.image_bytes());
    let outcome = if input.paths.len() < args.images.len() {
        Outcome::Partial
    } else {
        Outcome::Done
    };
    if input.paths.is_empty() {
        return Ok(outcome);
    }
    let picture = match (args.interpolate, input.paths.len()) {
        (Some(steps), 2) => interpolate(&input, steps, &mut worker, &mut decoder)?,
        _ => reconstruct(global, args, input, &engine, &mut worker, &mut decoder)?,
    };
    charts::save(&picture, args.output.clone())?;
    if !args.json && !global.quiet {
        out!("wrote {}", args.output.display());
    }
    Ok(outcome)
}

/// Draws a picture along the directions of the codes of the others that are named, or of those in the index.
fn show_varied(
    global: &Global,
    args: &ReconstructArgs,
    varied: &Path,
    engine: &Engine,
    worker: &mut Worker,
    decoder: &mut CodeDecoder,
) -> Result {
    let own = read(&[varied.to_owned()], engine, worker.image_bytes());
    if own.paths.is_empty() {
        return Ok(Outcome::Partial);
    }
    let own = worker.encode(&own.pixels, 1)?;
    let mut outcome = Outcome::Done;
    let codes = if args.images.is_empty() {
        vary::stored_codes(global, engine)?
    } else {
        let others = read(&args.images, engine, worker.image_bytes());
        if others.paths.len() < args.images.len() {
            outcome = Outcome::Partial;
        }
        worker.encode(&others.pixels, others.paths.len())?.codes
    };
    let prints = (args.json, global.quiet);
    let picture = vary::vary(&own, &codes, engine.info().code_len, decoder, prints)?;
    charts::save(&picture, args.output.clone())?;
    if !args.json && !global.quiet {
        out!("wrote {}", args.output.display());
    }
    Ok(outcome)
}

/// Why the built-in encoder has no decoder. It had one that drew 32 by 32 pixels, which were grey clouds for nearly
/// every picture.
const NO_DECODER: &str = "the built-in encoder has no decoder: its 30 numbers keep what a picture shows, and not where or \
    in which colours, so nothing like the picture can be drawn from them\n\
    An encoder of pixels keeps these. To train one: imgsearch train autoencoder FOLDER -o my.onnx\n\
    Then: imgsearch reconstruct IMAGE --encoder my.onnx";

/// Returns the decoder that was named, or the one next to the encoder.
fn decoder_of(args: &ReconstructArgs) -> Option<PathBuf> {
    let beside = || args.encoder.as_deref().map(decoder_path);
    args.decoder.clone().or_else(beside)
}

/// Opens a decoder of the encoder.
fn open_decoder(path: &Path, engine: &Engine) -> Result<CodeDecoder> {
    let opened = CodeDecoder::from_path(path, engine.info(), engine.runtime());
    opened.map_err(|error| match error {
        imgsearch::onnx::Error::Io { .. } => format!(
            "{error}\n`imgsearch train autoencoder` on pixels and `imgsearch train head --decoder` write the decoder next \
             to the encoder. If it is elsewhere, name it with --decoder"
        )
        .into(),
        error => Box::<dyn std::error::Error>::from(error),
    })
}

/// The images that could be decoded.
struct Input {
    paths: Vec<PathBuf>,
    /// Their pixels, as the encoder takes them.
    pixels: Vec<u8>,
    /// The same as images.
    images: Vec<RgbImage>,
}

/// Decodes the images, and prints which ones cannot be decoded.
fn read(images: &[PathBuf], engine: &Engine, size: usize) -> Input {
    let (mut paths, mut pixels) = (Vec::new(), Vec::new());
    let mut files = Decoder::new(*engine.limits());
    let mut file = Source::default();
    for path in images {
        let mut image = vec![0; size];
        let read = file.reopen(path, engine.limits());
        let decoded = read.map_err(|error| error.to_string()).and_then(|()| {
            files
                .decode_into(&file, &engine.geometry(), &mut image)
                .map_err(|error| error.to_string())
        });
        match decoded {
            Ok(_) => {
                pixels.extend(image);
                paths.push(path.clone());
            }
            Err(reason) => say!("imgsearch: {}: {reason}", shown_path(path)),
        }
    }
    Input {
        paths,
        images: seen(&pixels, engine.info()),
        pixels,
    }
}

/// Returns images from the pixels that an encoder takes.
fn seen(pixels: &[u8], info: &EncoderInfo) -> Vec<RgbImage> {
    let size = info.width as usize * info.height as usize * 3;
    pixels
        .chunks_exact(size)
        .filter_map(|image| RgbImage::from_raw(info.width, info.height, image.to_vec()))
        .collect()
}

/// Draws the steps from the code of the first image to that of the second.
fn interpolate(
    input: &Input,
    steps: usize,
    worker: &mut Worker,
    decoder: &mut CodeDecoder,
) -> Result<RgbImage> {
    let encodings = worker.encode(&input.pixels, input.paths.len())?;
    let (sides, made) = decoder.decode(&between(&encodings, steps))?;
    let mut row = vec![input.images[0].clone()];
    row.extend(images(sides, &made));
    row.push(input.images[1].clone());
    Ok(grid(&[row], &[]))
}

/// Reconstructs each image from its code, prints the errors, and draws both.
fn reconstruct(
    global: &Global,
    args: &ReconstructArgs,
    input: Input,
    engine: &Engine,
    worker: &mut Worker,
    decoder: &mut CodeDecoder,
) -> Result<RgbImage> {
    let info = engine.info();
    let n = input.paths.len();
    let noise = noise_of(info);
    let pixels: Vec<u8> = match noise {
        Some((noise, grey)) => input
            .pixels
            .chunks_exact(worker.image_bytes())
            .enumerate()
            .flat_map(|(i, image)| corrupted(image, noise, grey, i as u64))
            .collect(),
        None => input.pixels,
    };
    let encodings = worker.encode(&pixels, n)?;
    let (sides, made) = decoder.decode(&encodings)?;
    let is_grey = sides[2] == 1;
    let made = images(sides, &made);
    let pixel_bytes: usize = sides.iter().product();
    let hash_bytes = if decoder.has_twins() {
        info.bits.div_ceil(8)
    } else {
        0
    };
    let code_bytes = info.code_len * 4 + hash_bytes;
    let mut captions = Vec::new();
    for ((path, original), made) in input.paths.iter().zip(&input.images).zip(&made) {
        // A decoder can make smaller images than its encoder sees.
        let (width, height) = made.dimensions();
        let small = imageops::resize(original, width, height, FilterType::Triangle);
        let error = squared_error(&small, made, is_grey);
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
    let corrupted = noise.map(|_| seen(&pixels, info));
    Ok(draw(&input.images, corrupted.as_deref(), &made, &captions))
}

/// Draws images, the corrupted ones if there are any, and the reconstructions with captions.
fn draw(
    originals: &[RgbImage],
    corrupted: Option<&[RgbImage]>,
    made: &[RgbImage],
    captions: &[String],
) -> RgbImage {
    let n = originals.len();
    let (mut rows, mut below) = (Vec::new(), Vec::new());
    for start in (0..n).step_by(MAX_COLUMNS) {
        let part = start..n.min(start + MAX_COLUMNS);
        rows.push(originals[part.clone()].to_vec());
        if let Some(corrupted) = corrupted {
            rows.push(corrupted[part.clone()].to_vec());
        }
        rows.push(made[part.clone()].to_vec());
        below.resize(rows.len() - 1, Vec::new());
        below.push(captions[part].to_vec());
    }
    grid(&rows, &below)
}

/// Returns the noise that a denoising autoencoder's input is corrupted with, from the record in its
/// file, and whether it sees grey images.
fn noise_of(info: &EncoderInfo) -> Option<(Noise, bool)> {
    let training: serde_json::Value = serde_json::from_str(&info.training).ok()?;
    let design: Design = serde_json::from_value(training["design"].clone()).ok()?;
    Some((design.noise?, design.shape.channels == 1))
}

/// How far the length of a code may be from one if an encoder normalises its codes.
const LENGTH_ERROR: f32 = 1e-3;

/// Returns codes on the straight line from the first to the second, both ends included. If both have
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
    let code_len = between.codes.len() / steps;
    let (one, other) = encodings.codes.split_at(code_len);
    if has_length_one(one) && has_length_one(other) {
        keep_length(one, &mut between.codes);
    }
    between.n = steps;
    between
}

fn length(code: &[f32]) -> f32 {
    code.iter().map(|value| value * value).sum::<f32>().sqrt()
}

fn has_length_one(code: &[f32]) -> bool {
    (length(code) - 1.0).abs() < LENGTH_ERROR
}

/// Scales codes to length one if the code that they were made of has it.
pub(super) fn keep_length(of: &[f32], codes: &mut [f32]) {
    if !has_length_one(of) {
        return;
    }
    for code in codes.chunks_exact_mut(of.len().max(1)) {
        let length = length(code).max(f32::MIN_POSITIVE);
        code.iter_mut().for_each(|value| *value /= length);
    }
}

/// Returns the pictures that a decoder made.
pub(super) fn images(sides: [usize; 3], values: &[f32]) -> Vec<RgbImage> {
    values
        .chunks_exact(sides.iter().product())
        .filter_map(|values| charts::image(sides, values))
        .collect()
}

/// Returns the squared error of an image, with numbers from 0 to 1. A grey pixel counts once.
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
