//! `imgsearch eval`: what similarities are worth, and `--calibrate`, which measures them.

use std::path::Path;

use imgsearch::Engine;
use imgsearch::onnx::SimilarityMap;
use imgsearch::train::eval::{LabelledPairs, ReliabilityBin};
use imgsearch::train::extract::Extracted;

use super::Result;
use super::args::EvalArgs;
use super::destination::check_output;
use super::output::{count, shown};
use super::streams::out;

/// A similarity map, and how far it is true for the evaluated images.
pub struct Calibrated {
    pub map: SimilarityMap,
    pub bins: Vec<ReliabilityBin>,
}

/// Reports wrong arguments before the work.
pub fn check(args: &EvalArgs) -> Result<()> {
    let Some(file) = &args.calibrate else {
        return Ok(());
    };
    if args.encoder.len() > 1 {
        return Err(format!(
            "--calibrate writes one encoder, and {} are named: name one with --encoder",
            args.encoder.len()
        )
        .into());
    }
    check_output(file)
}

/// Fits a map, if the arguments ask for it, or takes the encoder's own.
pub fn calibrate(
    args: &EvalArgs,
    engine: &Engine,
    extracted: &Extracted,
    labels: &[usize],
) -> Result<Option<Calibrated>> {
    let own = &engine.info().similarity;
    if args.calibrate.is_none() && own.is_none() {
        return Ok(None);
    }
    let pairs = LabelledPairs::of(engine.info(), extracted, labels, args.seed);
    let map = match own {
        Some(own) if args.calibrate.is_none() => own.clone(),
        _ => pairs.fit()?,
    };
    Ok(Some(Calibrated {
        bins: pairs.reliability(&map),
        map,
    }))
}

/// Writes the encoder with the map that was fitted.
pub fn write(engine: &Engine, calibrated: &Calibrated, file: &Path) -> Result<()> {
    let with_map = engine
        .file()
        .with_similarity(Some(calibrated.map.clone()))?;
    imgsearch::save(file, with_map.bytes())?;
    Ok(())
}

/// Prints a reliability table.
pub fn print(calibrated: &Calibrated, written: Option<&Path>) {
    out!(
        "\n{:<12} {:>10}  {:>15}  {:>10}",
        "similarity",
        "pairs",
        "mean similarity",
        "same class"
    );
    for bin in &calibrated.bins {
        out!(
            "{:<12} {:>10}  {:>13.1} %  {:>8.1} %",
            format!("{:.0} to {:.0} %", bin.from * 100.0, bin.to * 100.0),
            count(bin.pairs as u64),
            bin.similarity * 100.0,
            bin.same_class * 100.0
        );
    }
    if let Some(file) = written {
        out!("\nwrote {}", shown(file));
    }
}
