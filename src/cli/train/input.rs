//! What all kinds of training take: images, a trunk, and what the file says about them.

use std::path::{Path, PathBuf};

use imgsearch::onnx::EncoderResize;
use imgsearch::train::dataset::{self, Part};
use imgsearch::{Engine, walk};

use crate::cli::Result;
use crate::cli::args::{CommonArgs, Global};
use crate::cli::output::count;
use crate::cli::setup::{engine, walk_options};

/// Opens the encoder to train on, which sees images of the given size.
pub fn open_trunk(
    global: &Global,
    common: &CommonArgs,
    trunk: Option<&Path>,
    side: Option<u32>,
    resize: Option<EncoderResize>,
) -> Result<Engine> {
    let engine = engine(global, trunk, Some(&common.limits))?;
    if side.is_none() && resize.is_none() {
        return Ok(engine);
    }
    let side = side.unwrap_or_else(|| engine.info().width);
    Ok(engine.with(engine.file().trunk_at(side, resize)?)?)
}

/// Returns the encoder's name.
pub fn name(common: &CommonArgs) -> String {
    match &common.name {
        Some(name) => name.clone(),
        None => common
            .output
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
    }
}

/// Returns the description of the training data.
pub fn description(common: &CommonArgs, images: usize) -> String {
    match &common.data {
        Some(data) => data.clone(),
        None => format!("{} photographs of the user's own", count(images as u64)),
    }
}

/// Lists the images to train on. If there is a limit, they are spread evenly.
pub fn images(common: &CommonArgs) -> Result<Vec<PathBuf>> {
    let part: Part = common.part.parse()?;
    let options = walk_options(&common.walk);
    let walked = |paths: &[PathBuf]| -> Result<Vec<PathBuf>> {
        let walked = walk(paths, &options)?;
        let found = walked.candidates.into_iter();
        Ok(found.map(|candidate| candidate.path).collect())
    };
    let mut found = if part == Part::All {
        walked(&common.paths)?
    } else {
        // Only the first path is a labelled folder. Everything in the others is used.
        let (labelled, others) = common.paths.split_first().ok_or("no images were named")?;
        let mut found = dataset::list(labelled, part, &options)?.paths;
        if !others.is_empty() {
            found.extend(walked(others)?);
        }
        found
    };
    if let Some(limit) = common.limit.filter(|&limit| limit < found.len()) {
        let all = found.len();
        found = (0..limit).map(|i| found[i * all / limit].clone()).collect();
    }
    if found.is_empty() {
        return Err(
            "no image was found; hidden files and folders are skipped, see --hidden".into(),
        );
    }
    Ok(found)
}

/// Returns the name of an image's folder.
pub fn folder_of(path: &Path) -> String {
    let name = path.parent().and_then(Path::file_name);
    name.unwrap_or_default().to_string_lossy().into_owned()
}
