//! What training leaves: the encoder, its decoder, the record of the run, charts, and a report.

use std::path::PathBuf;

use image::RgbImage;
use imgsearch::onnx::EncoderFile;
use imgsearch::train::autoencoder::{TrainedAutoencoder, decoder_path};
use imgsearch::training::autoencoder::{Epoch, Shape};
use imgsearch::training::head::Identity;
use serde_json::json;

use super::source::{Source, Values};
use crate::cli::args::{AutoencoderArgs, Global};
use crate::cli::output::{bytes, count, duration, typed, with_path, with_paths};
use crate::cli::streams::out;
use crate::cli::train::input;
use crate::cli::{Result, charts};

/// Images that the chart of reconstructions shows.
const SHOWN: usize = 12;

/// What was written.
pub struct Written {
    encoder: EncoderFile,
    decoder: Option<(PathBuf, usize)>,
    charts: Vec<PathBuf>,
}

/// Writes the encoder, its decoder, the record of the run, and charts.
pub fn write(
    global: &Global,
    args: &AutoencoderArgs,
    source: &Source,
    trained: &TrainedAutoencoder,
) -> Result<Written> {
    let output = &args.common.output;
    let samples = source.samples();
    let identity = Identity {
        name: input::name(&args.common),
        training_data: input::description(&args.common, samples.len()),
        images: samples.len(),
        similarity: None,
    };
    let autoencoder = &trained.autoencoder;
    let (encoder, decoder) = match &source.values {
        Values::Pixels(..) => {
            let encoder = autoencoder.encoder_file(&identity)?;
            let decoder = autoencoder.decoder_file(&encoder)?;
            (encoder, Some(decoder))
        }
        Values::Features(own) => {
            let base = own.engine.file();
            let encoder = autoencoder.encoder_file_behind(base, &own.scaling, &identity)?;
            // Texts lead to the trunk's features, and from there to the new code.
            if let Some(from) = &args.trunk {
                imgsearch::copy_text_tower(from, output, encoder.info())?;
            }
            (encoder, None)
        }
    };
    imgsearch::save(output, encoder.bytes())?;
    let decoder = match decoder {
        Some(bytes) => {
            let path = decoder_path(output);
            imgsearch::save(&path, &bytes)?;
            Some((path, bytes.len()))
        }
        None => None,
    };
    let record = format!("{:#}\n", record(trained, &encoder, global));
    imgsearch::save(&output.with_extension("json"), record.as_bytes())?;
    let charts = if args.common.no_charts {
        Vec::new()
    } else {
        draw(args, source, trained)?
    };
    Ok(Written {
        encoder,
        decoder,
        charts,
    })
}

fn draw(
    args: &AutoencoderArgs,
    source: &Source,
    trained: &TrainedAutoencoder,
) -> Result<Vec<PathBuf>> {
    let output = &args.common.output;
    let epochs = &trained.autoencoder.record().epochs;
    let column = |of: fn(&Epoch) -> f64| epochs.iter().map(of).collect::<Vec<f64>>();
    let mut drawn = vec![charts::losses(
        output,
        &[
            ("reconstruction", column(|epoch| epoch.reconstruction)),
            ("held out", column(|epoch| epoch.held_out)),
        ],
    )?];
    let validation = &trained.validation;
    let codes = trained
        .autoencoder
        .codes(&source.samples().only(validation))?;
    let groups = validation.iter().map(|&i| source.groups[i].clone());
    let groups: Vec<String> = groups.collect();
    let code_len = codes.len() / validation.len();
    drawn.extend(charts::codes(output, &codes, code_len, &groups)?);
    if let Values::Pixels(shape, pixels) = &source.values {
        let validation = &validation[..validation.len().min(SHOWN)];
        drawn.push(draw_reconstructions(
            args, source, trained, *shape, pixels, validation,
        )?);
    }
    Ok(drawn)
}

/// Draws some images, and below them their reconstructions.
fn draw_reconstructions(
    args: &AutoencoderArgs,
    source: &Source,
    trained: &TrainedAutoencoder,
    shape: Shape,
    pixels: &[u8],
    places: &[usize],
) -> Result<PathBuf> {
    let d = shape.len();
    let bytes = places.iter().flat_map(|&i| &pixels[i * d..(i + 1) * d]);
    let originals: Vec<f32> = bytes.map(|&byte| f32::from(byte) / 255.0).collect();
    let samples = source.samples();
    let reconstructed = trained.autoencoder.reconstruct(&samples.only(places))?;
    let pairs = originals.chunks_exact(d).zip(reconstructed.chunks_exact(d));
    let captions = pairs
        .map(|(a, b)| {
            let error: f32 = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum();
            format!("error {error:.2}")
        })
        .collect();
    let sides = [shape.height, shape.width, shape.channels];
    let row = |values: &[f32]| -> Vec<RgbImage> {
        let each = values.chunks_exact(d);
        each.filter_map(|values| charts::image(sides, values))
            .collect()
    };
    charts::reconstructions(
        &args.common.output,
        &[row(&originals), row(&reconstructed)],
        &[Vec::new(), captions],
    )
}

/// Returns the record of the run, which is written next to the encoder.
fn record(
    trained: &TrainedAutoencoder,
    encoder: &EncoderFile,
    global: &Global,
) -> serde_json::Value {
    json!({
        "run": trained.autoencoder.record(),
        "fingerprint": encoder.info().fingerprint,
        "squared_error": trained.error,
        "squared_error_of_main_components": trained.component_error,
        "seconds": trained.seconds,
        "environment": {
            "imgsearch": env!("CARGO_PKG_VERSION"),
            "system": std::env::consts::OS,
            "processor": std::env::consts::ARCH,
            "threads": global.threads,
        },
    })
}

/// Prints the report as a JSON event.
pub fn print_event(args: &AutoencoderArgs, trained: &TrainedAutoencoder, written: &Written) {
    let record = trained.autoencoder.record();
    let event = json!({
        "event": "trained", "decoder": null,
        "fingerprint": written.encoder.info().fingerprint,
        "pictures": record.samples, "held_out": record.held_out,
        "passes": record.epochs.len(), "best_pass": record.best,
        "squared_error": trained.error,
        "squared_error_of_main_components": trained.component_error,
        "train_seconds": trained.seconds,
    });
    let mut event = with_path(event, "file", &args.common.output);
    if let Some((decoder, _)) = &written.decoder {
        event = with_path(event, "decoder", decoder);
    }
    out!("{}", with_paths(event, "charts", &written.charts));
}

/// Prints the report for people.
pub fn print(args: &AutoencoderArgs, trained: &TrainedAutoencoder, written: &Written) {
    let record = trained.autoencoder.record();
    let output = &args.common.output;
    out!(
        "{}: trained on {} images in {}; epoch {} of {} was the best",
        written.encoder.info().kind,
        count(record.samples as u64),
        duration(trained.seconds),
        record.best,
        record.epochs.len(),
    );
    let compared = trained.component_error.map_or_else(String::new, |error| {
        format!(
            "; {} principal components leave {error:.3}, {:.2} times as much",
            record.design.code_len,
            error / trained.error
        )
    });
    out!(
        "squared error of {} held-out images: {:.3}{compared}",
        count(record.held_out as u64),
        trained.error
    );
    for chart in &written.charts {
        out!("drew {}", chart.display());
    }
    let size = bytes(written.encoder.bytes().len() as u64);
    match &written.decoder {
        Some((decoder, length)) => out!(
            "wrote {} ({size}) and {} ({}). Look at it with: imgsearch reconstruct IMAGE --encoder {}",
            output.display(),
            decoder.display(),
            bytes(*length as u64),
            typed(output.as_os_str())
        ),
        None => out!(
            "wrote {} ({size}). Use it with: imgsearch index FOLDER --encoder {}",
            output.display(),
            typed(output.as_os_str())
        ),
    }
}
