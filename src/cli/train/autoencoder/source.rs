//! The samples to train on: pixels of image files or of an IDX file, or features of a trunk.

use std::path::Path;

use imgsearch::Engine;
use imgsearch::train::autoencoder::thumbnails;
use imgsearch::train::extract::{ExtractOptions, extract};
use imgsearch::train::feature_cache::key;
use imgsearch::training::autoencoder::{Samples, Scaling, Shape, read_idx, read_idx_labels};

use super::design::design;
use crate::cli::Result;
use crate::cli::args::{AutoencoderArgs, Global, OnArg};
use crate::cli::progress::CommandProgress;
use crate::cli::setup::engine_options;
use crate::cli::train::input::{folder_of, images, open_trunk};

/// Side in pixels of the images by default.
const DEFAULT_SIDE: usize = 32;

/// The samples to train on.
pub struct Source {
    pub values: Values,
    /// The group of each sample in the chart of codes: its folder or its label.
    pub groups: Vec<String>,
}

pub enum Values {
    Pixels(Shape, Vec<u8>),
    Features(Box<Features>),
}

pub struct Features {
    pub rows: Vec<f32>,
    pub scaling: Scaling,
    pub engine: Engine,
    /// Identifies what they were computed from.
    pub source: [u8; 32],
}

impl Source {
    pub fn samples(&self) -> Samples<'_> {
        match &self.values {
            Values::Pixels(shape, pixels) => Samples::new(*shape, pixels),
            Values::Features(own) => {
                Samples::features(&own.rows, &own.scaling).from_source(own.source)
            }
        }
    }
}

/// Reads the samples.
pub fn open(
    global: &Global,
    args: &AutoencoderArgs,
    progress: &CommandProgress<'_>,
) -> Result<Source> {
    match (args.on, args.common.paths.as_slice()) {
        (OnArg::Features, _) => features(global, args, progress),
        (OnArg::Pixels, [path]) if path.is_file() => idx(args, path),
        (OnArg::Pixels, _) => pixels(global, args, progress),
    }
}

/// Reads images and scales them down.
fn pixels(
    global: &Global,
    args: &AutoencoderArgs,
    progress: &CommandProgress<'_>,
) -> Result<Source> {
    let side = args.side.map_or(DEFAULT_SIDE, |side| side as usize);
    let shape = Shape {
        height: side,
        width: side,
        channels: if args.grey { 1 } else { 3 },
    };
    // Wrong arguments are reported before the work.
    design(&args.design, shape, args.common.code)?;
    let paths = images(&args.common)?;
    let options = engine_options(global, Some(&args.common.limits));
    let threads = match options.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let made = thumbnails(&paths, shape, &options.limits, threads, progress)?;
    Ok(Source {
        groups: made.paths.iter().map(|path| folder_of(path)).collect(),
        values: Values::Pixels(shape, made.pixels),
    })
}

/// Reads the images of an IDX file, and their labels if those are next to it under the usual name.
fn idx(args: &AutoencoderArgs, path: &Path) -> Result<Source> {
    let read = read_idx(path)?;
    let all = read.samples().len();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let labels_path = path.with_file_name(name.replace("images-idx3", "labels-idx1"));
    let labels = if labels_path != path && labels_path.is_file() {
        read_idx_labels(&labels_path)?
    } else {
        Vec::new()
    };
    let limit = args.common.limit.unwrap_or(all).min(all);
    let kept: Vec<usize> = (0..limit).map(|i| i * all / limit).collect();
    let d = read.shape.len();
    let pixels = kept
        .iter()
        .flat_map(|&i| &read.pixels[i * d..(i + 1) * d])
        .copied()
        .collect();
    let group = |i: &usize| labels.get(*i).map(u8::to_string).unwrap_or_default();
    Ok(Source {
        groups: kept.iter().map(group).collect(),
        values: Values::Pixels(read.shape, pixels),
    })
}

/// Computes the features of images.
fn features(
    global: &Global,
    args: &AutoencoderArgs,
    progress: &CommandProgress<'_>,
) -> Result<Source> {
    let common = &args.common;
    let engine = open_trunk(global, common, args.trunk.as_deref(), args.side, None)?;
    let Some(length) = engine.info().feature_len else {
        return Err(imgsearch::Error::NoFeatures {
            name: engine.info().name.clone(),
        }
        .into());
    };
    // Wrong arguments are reported before the work.
    design(&args.design, Shape::features(length), common.code)?;
    let paths = images(common)?;
    let options = ExtractOptions::default();
    let made = extract(&engine, &paths, options, progress)?;
    let scaling = Scaling::of(&made.features, made.feature_len)?;
    Ok(Source {
        groups: made.paths.iter().map(|path| folder_of(path)).collect(),
        values: Values::Features(Box::new(Features {
            source: key(&engine, &made.paths, options)?,
            rows: made.features,
            scaling,
            engine,
        })),
    })
}
