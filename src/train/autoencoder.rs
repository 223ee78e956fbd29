//! Training of autoencoders and of decoders on image files.

use std::path::{Path, PathBuf};

use imgsearch_train::autoencoder::{
    self, Autoencoder, Noise, Recipe, Samples, Schedule, Shape, component_error,
};

use crate::decode::{Decoder, Geometry, Limits, Resize, Rgb, Source, luma, resized};
use crate::encode::engine::Engine;
use crate::error::Result;
use crate::indexing::worker_pool::Jobs;
use crate::progress::Progress;
use crate::random::SplitMix;
use crate::train::Trained;
use crate::train::jobs::{self, Silent, check_cancelled, flow, report_unusable};
use crate::train::split::is_held_out;

/// Files that a worker decodes at once.
const CHUNK: usize = 32;

/// Images scaled down.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Thumbnails {
    /// The shape of each image.
    pub shape: Shape,
    /// Bytes, `[n, height, width, channels]`.
    pub pixels: Vec<u8>,
    /// The file of each image.
    pub paths: Vec<PathBuf>,
    /// The images that cannot be used, and the reasons.
    pub failed: Vec<(PathBuf, String)>,
}

/// Decodes images and scales their centres to `shape`.
///
/// # Errors
///
/// [`Error::Interrupted`](crate::Error::Interrupted).
pub fn thumbnails(
    paths: &[PathBuf],
    shape: Shape,
    limits: &Limits,
    threads: usize,
    progress: &dyn Progress,
) -> Result<Thumbnails> {
    let (width, height) = (side(shape.width), side(shape.height));
    let geometry = Geometry {
        width,
        height,
        resize: if width == height {
            Resize::ShortSideCrop { short: width }
        } else {
            Resize::Squash
        },
    };
    thumbnails_of(paths, shape, geometry, limits, threads, progress)
}

fn side(side: usize) -> u32 {
    u32::try_from(side).unwrap_or(u32::MAX)
}

/// Decodes images, brings them to `geometry`, and then scales them to `shape`.
fn thumbnails_of(
    paths: &[PathBuf],
    shape: Shape,
    geometry: Geometry,
    limits: &Limits,
    threads: usize,
    progress: &dyn Progress,
) -> Result<Thumbnails> {
    let squashed = Geometry {
        width: side(shape.width),
        height: side(shape.height),
        resize: Resize::Squash,
    };
    let mut made = Thumbnails {
        shape,
        pixels: Vec::new(),
        paths: Vec::new(),
        failed: Vec::new(),
    };
    jobs::run(
        Jobs::in_order(threads, paths.len(), CHUNK),
        progress,
        || Ok((Decoder::new(*limits), Source::default())),
        |(decoder, file), range| {
            let decoded = paths[range].iter().map(|path| {
                file.reopen(path, limits)
                    .map_err(|error| error.to_string())?;
                let (width, height) = (geometry.width, geometry.height);
                let mut rgb = vec![0; width as usize * height as usize * 3];
                decoder
                    .decode_into(&*file, &geometry, &mut rgb)
                    .map_err(|error| error.to_string())?;
                if (width, height) != (squashed.width, squashed.height) {
                    let seen = Rgb {
                        width,
                        height,
                        pixels: rgb,
                    };
                    rgb = resized(&seen, &squashed).map_err(|error| error.to_string())?;
                }
                Ok(if shape.channels == 1 { grey(&rgb) } else { rgb })
            });
            Ok(decoded.collect::<Vec<Result<Vec<u8>, String>>>())
        },
        |range, decoded| {
            for (path, decoded) in paths[range.clone()].iter().zip(decoded) {
                match decoded {
                    Ok(pixels) => {
                        made.pixels.extend(pixels);
                        made.paths.push(path.clone());
                    }
                    Err(reason) => made.failed.push((path.clone(), reason)),
                }
            }
            progress.encoded(range.end, paths.len());
            Ok(())
        },
    )?;
    report_unusable(&made.failed, progress);
    Ok(made)
}

fn grey(rgb: &[u8]) -> Vec<u8> {
    let (pixels, _) = rgb.as_chunks::<3>();
    pixels
        .iter()
        .map(|pixel| luma(pixel).round() as u8)
        .collect()
}

/// The result of [`train_autoencoder`].
#[derive(Debug)]
#[non_exhaustive]
pub struct TrainedAutoencoder {
    /// The autoencoder.
    pub autoencoder: Autoencoder,
    /// The places of the images that validate it.
    pub validation: Vec<usize>,
    /// The mean squared error of those images.
    pub error: f64,
    /// The mean squared error that principal components leave, as many as the code has numbers. `None` if
    /// images are too large to compute them.
    pub component_error: Option<f64>,
    /// Seconds of training.
    pub seconds: f64,
}

/// Trains an autoencoder on images or features. Every tenth sample is held out and validates it. With a
/// `checkpoint`, the state of the run is saved to that file, and an interrupted run resumes from it.
///
/// # Errors
///
/// The errors of [`autoencoder::train_from`]. A cancellation ends the training after an epoch, and what
/// was learned is kept.
pub fn train_autoencoder(
    samples: &Samples<'_>,
    recipe: &Recipe,
    checkpoint: Option<&Path>,
    progress: &dyn Progress,
) -> Result<TrainedAutoencoder> {
    let (validation, own): (Vec<usize>, Vec<usize>) =
        (0..samples.len()).partition(|&i| is_held_out(i));
    let started = std::time::Instant::now();
    let autoencoder = autoencoder::train_from(
        &samples.only(&own),
        &samples.only(&validation),
        recipe,
        checkpoint,
        &mut |epoch| {
            progress.autoencoder_epoch(epoch);
            flow(progress)
        },
    )?;
    let seconds = started.elapsed().as_secs_f64();
    let validating = samples.only(&validation);
    Ok(TrainedAutoencoder {
        error: autoencoder.squared_error(&validating)?,
        component_error: component_error(&samples.only(&own), &validating, recipe.design.code_len)?,
        autoencoder,
        validation,
        seconds,
    })
}

/// Side in pixels of the images that [`decoder_for`] learns.
const DECODED_SIDE: usize = 32;

/// Trains a decoder for an encoder that was just trained: from its codes to small versions of the images,
/// as the encoder sees them. `engine` is the one that it was trained on.
///
/// # Errors
///
/// The errors of [`autoencoder::train_decoder`], and [`Error::Interrupted`](crate::Error::Interrupted).
pub fn decoder_for(
    engine: &Engine,
    trained: &Trained,
    seed: u64,
    progress: &dyn Progress,
) -> Result<Vec<u8>> {
    let shape = Shape {
        height: DECODED_SIDE,
        width: DECODED_SIDE,
        channels: 3,
    };
    let made = thumbnails_of(
        &trained.paths,
        shape,
        engine.geometry(),
        engine.limits(),
        engine.threads(),
        &Silent(progress),
    )?;
    // An image that can no longer be decoded is left out.
    let code_len = trained.file.info().code_len;
    let rows = trained
        .paths
        .iter()
        .zip(trained.codes.chunks_exact(code_len));
    let mut kept = made.paths.iter().peekable();
    let mut codes = Vec::with_capacity(trained.codes.len());
    for (path, code) in rows {
        if kept.next_if_eq(&path).is_some() {
            codes.extend_from_slice(code);
        }
    }
    let schedule = Schedule {
        epochs: 60,
        seed,
        ..Schedule::default()
    };
    let samples = Samples::new(shape, &made.pixels);
    let file =
        autoencoder::train_decoder(&codes, &samples, &trained.file, &schedule, &mut |epoch| {
            progress.autoencoder_epoch(epoch);
            flow(progress)
        })?;
    check_cancelled(progress)?;
    Ok(file)
}

/// Corrupts an image of RGB bytes as the input of a denoising autoencoder. The same seed gives the same
/// noise. With `grey`, all three channels change alike.
pub fn corrupted(image: &[u8], noise: Noise, grey: bool, seed: u64) -> Vec<u8> {
    let mut random = SplitMix::new(seed);
    let change = |value: u8, drawn: [f32; 2]| match noise {
        Noise::Gaussian(deviation) => {
            // Box and Muller 1958.
            let radius = (-2.0 * (1.0 - drawn[0]).ln()).sqrt();
            let normal = radius * (std::f32::consts::TAU * drawn[1]).cos();
            (f32::from(value) + 255.0 * deviation as f32 * normal)
                .round()
                .clamp(0.0, 255.0) as u8
        }
        Noise::Masking(share) if f64::from(drawn[0]) < share => 0,
        Noise::Masking(_) => value,
    };
    let (pixels, _) = image.as_chunks::<3>();
    let mut out = Vec::with_capacity(image.len());
    for pixel in pixels {
        let mut drawn = [random.unit(), random.unit()];
        for (channel, &value) in pixel.iter().enumerate() {
            if channel > 0 && !grey {
                drawn = [random.unit(), random.unit()];
            }
            out.push(change(value, drawn));
        }
    }
    out
}

/// Returns the path of the decoder of an encoder file: `my.decoder.onnx` for `my.onnx`.
pub fn decoder_path(encoder: &Path) -> PathBuf {
    encoder.with_extension("decoder.onnx")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corruption_repeats_and_changes_as_much_as_it_says() {
        let image = vec![128u8; 3 * 10_000];
        for grey in [false, true] {
            let masked = corrupted(&image, Noise::Masking(0.3), grey, 1);
            assert_eq!(masked, corrupted(&image, Noise::Masking(0.3), grey, 1));
            let share = masked.iter().filter(|&&value| value == 0).count() as f64 / 30_000.0;
            assert!((share - 0.3).abs() < 0.02, "{share}");
            let (pixels, _) = masked.as_chunks::<3>();
            let alike = pixels.iter().all(|[r, g, b]| r == g && g == b);
            assert_eq!(alike, grey);
        }
        let noisy = corrupted(&image, Noise::Gaussian(0.1), false, 1);
        let square: f64 = noisy.iter().map(|&v| (f64::from(v) - 128.0).powi(2)).sum();
        let deviation = (square / 30_000.0).sqrt() / 255.0;
        assert!((deviation - 0.1).abs() < 0.005, "{deviation}");
    }
}
