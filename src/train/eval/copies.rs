//! Near-duplicates: how many edited copies of images a representation recognises.
//!
//! Every image is edited in every way. Of all pairs of an image and any copy, the nearest count as
//! duplicates, up to a distance at which one in a thousand is wrong. The recall is the share of the true
//! pairs among them.

use std::path::PathBuf;

use image::{RgbImage, imageops};
use imgsearch_index::{hamming, l2_squared};
use imgsearch_onnx::EncoderInfo;
use rayon::prelude::*;
use serde::Serialize;

use crate::decode::{self, Rgb, Source, Whole};
use crate::encode::engine::{Engine, Worker};
use crate::error::{Error, Result};
use crate::indexing::worker_pool::Jobs;
use crate::progress::Progress;
use crate::render::chart;
use crate::train::augment;
use crate::train::eval::found_copies::{Encoded, found};
use crate::train::jobs::{self, report_unusable};
use crate::train::perceptual::Perceptual;

pub use crate::train::eval::found_copies::FoundRow;

/// The precision at which the recall is measured.
pub const PRECISION: f64 = 0.999;

/// Images that a worker edits at once.
const CHUNK: usize = 4;

/// A way of editing an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Edit {
    /// Written as a JPEG of quality 50 and read again.
    Reencode,
    /// At half its size.
    Resize,
    /// Without a twentieth of its width and height.
    Crop5,
    /// Without a tenth of its width and height.
    Crop10,
    /// Rotated by 4 degrees, with black corners.
    Rotate,
    /// Mirrored left to right.
    Mirror,
    /// With black bars, a tenth of its height each, above and below.
    Pad,
    /// With a line of text over it, a tenth of its height.
    Text,
    /// Blurred by a Gaussian of a hundredth of its short side.
    Blur,
    /// Brighter by a third.
    Brightness,
    /// Turned by 90 degrees.
    QuarterTurn,
}

/// The edits that representations are compared on.
pub const EDITS: [Edit; 10] = [
    Edit::Reencode,
    Edit::Resize,
    Edit::Crop5,
    Edit::Crop10,
    Edit::Rotate,
    Edit::Mirror,
    Edit::Pad,
    Edit::Text,
    Edit::Blur,
    Edit::Brightness,
];

impl Edit {
    /// Returns the name of the edit, for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reencode => "re-encode, quality 50",
            Self::Resize => "resize to half",
            Self::Crop5 => "crop 5 %",
            Self::Crop10 => "crop 10 %",
            Self::Rotate => "rotate 4°",
            Self::Mirror => "mirror",
            Self::Pad => "pad",
            Self::Text => "text",
            Self::Blur => "blur",
            Self::Brightness => "brightness",
            Self::QuarterTurn => "turn 90°",
        }
    }

    /// Edits an image.
    ///
    /// # Errors
    ///
    /// An image that has no pixels, or that cannot be written and read as a JPEG.
    pub fn apply(self, image: &RgbImage) -> Result<RgbImage, String> {
        let (width, height) = image.dimensions();
        let cropped = |share: f64| {
            let cut = |side: u32| ((f64::from(side) * share).round() as u32).min(side - 1);
            let (left, top) = (cut(width), cut(height));
            // All is cut from one corner, because people do not crop evenly.
            imageops::crop_imm(image, left, top, width - left, height - top).to_image()
        };
        Ok(match self {
            Self::Reencode => augment::rewritten(image, 50)?,
            Self::Resize => imageops::resize(
                image,
                (width / 2).max(1),
                (height / 2).max(1),
                imageops::FilterType::Triangle,
            ),
            Self::Crop5 => cropped(0.05),
            Self::Crop10 => cropped(0.10),
            Self::Rotate => augment::turned(image, 4.0),
            Self::Mirror => imageops::flip_horizontal(image),
            Self::Pad => augment::barred(image, (height / 10).max(1)),
            Self::Text => {
                let mut written = image.clone();
                write_over(&mut written);
                written
            }
            Self::Blur => augment::blurred(image, width.min(height) as f32 / 100.0),
            Self::Brightness => augment::brightened(image.clone(), 4.0 / 3.0),
            Self::QuarterTurn => imageops::rotate90(image),
        })
    }
}

/// Writes white letters on black across the lower part, as a caption.
fn write_over(image: &mut RgbImage) {
    let (width, height) = image.dimensions();
    let scale = (height / 10 / chart::LETTER.1).max(1);
    let letters = chart::stamp("SAMPLE TEXT", scale);
    imageops::replace(
        image,
        &letters,
        i64::from(width / 20),
        i64::from(height * 4 / 5),
    );
}

/// The recall of a representation.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CopiesRow {
    /// The name of the representation.
    pub representation: String,
    /// Bytes per image.
    pub bytes: usize,
    /// The recall for each of [`CopiesReport::edits`].
    pub recall: Vec<f64>,
}

/// The result of [`copies`].
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CopiesReport {
    /// The encoder's name.
    pub encoder: String,
    /// Number of images that were edited.
    #[serde(rename = "photographs")]
    pub images: usize,
    /// The precision at which the recall is measured.
    pub precision: f64,
    /// The edits.
    pub edits: Vec<Edit>,
    /// A row for each representation.
    pub rows: Vec<CopiesRow>,
    /// A row for each ranking of queries.
    pub found: Vec<FoundRow>,
    /// The images that cannot be used, and the reasons.
    pub failed: Vec<(PathBuf, String)>,
}

/// What images are compared by.
struct Signatures {
    code: Vec<f32>,
    hash: Vec<u8>,
    logits: Vec<f32>,
    perceptual: Perceptual,
}

/// Edits the images at `paths` and finds the copies again.
///
/// # Errors
///
/// [`Error::BadEvaluation`] if fewer than two images can be used, and
/// [`Error::Interrupted`] after a cancellation.
pub fn copies(engine: &Engine, paths: &[PathBuf], progress: &dyn Progress) -> Result<CopiesReport> {
    let signed = sign_all(engine, paths, progress)?;
    if signed.originals.len() < 2 {
        return Err(Error::BadEvaluation(format!(
            "{} images could be used, and telling copies from strangers needs at least two",
            signed.originals.len()
        )));
    }
    Ok(CopiesReport {
        encoder: engine.info().name.clone(),
        images: signed.originals.len(),
        precision: PRECISION,
        edits: EDITS.to_vec(),
        rows: rows(engine.info(), &signed),
        found: {
            let edited: Vec<Encoded> = signed.edited.iter().map(|all| encoded(all)).collect();
            found(engine.info(), &encoded(&signed.originals), &edited)
        },
        failed: signed.failed,
    })
}

/// The signatures of all images.
struct Signed {
    originals: Vec<Signatures>,
    /// Those of the edited images, for each of [`EDITS`].
    edited: Vec<Vec<Signatures>>,
    failed: Vec<(PathBuf, String)>,
}

fn sign_all(engine: &Engine, paths: &[PathBuf], progress: &dyn Progress) -> Result<Signed> {
    let mut signed = Signed {
        originals: Vec::new(),
        edited: EDITS.iter().map(|_| Vec::new()).collect(),
        failed: Vec::new(),
    };
    jobs::run(
        Jobs::in_order(engine.threads(), paths.len(), CHUNK),
        progress,
        || Ok((engine.worker()?, Source::default())),
        |(worker, file), range| {
            paths[range]
                .iter()
                .map(|path| {
                    let read = file.reopen(path, engine.limits());
                    let whole = read.map_err(|error| error.to_string()).and_then(|()| {
                        worker
                            .decode_whole(&*file)
                            .map_err(|error| error.to_string())
                    });
                    match whole {
                        Ok(whole) => signatures(worker, whole),
                        Err(reason) => Ok(Err(reason)),
                    }
                })
                .collect::<Result<Vec<_>>>()
        },
        |range, all| {
            for (path, signatures) in paths[range.clone()].iter().zip(all) {
                match signatures {
                    Ok((original, copies)) => {
                        signed.originals.push(original);
                        for (all, copy) in signed.edited.iter_mut().zip(copies) {
                            all.push(copy);
                        }
                    }
                    Err(reason) => signed.failed.push((path.clone(), reason)),
                }
            }
            progress.encoded(range.end, paths.len());
            Ok(())
        },
    )?;
    report_unusable(&signed.failed, progress);
    Ok(signed)
}

fn encoded(all: &[Signatures]) -> Encoded {
    let mut rows = Encoded::default();
    for one in all {
        rows.codes.extend_from_slice(&one.code);
        rows.hashes.extend_from_slice(&one.hash);
        rows.logits.extend_from_slice(&one.logits);
    }
    rows
}

/// A distance between two signatures.
type Distance<'a> = &'a (dyn Fn(&Signatures, &Signatures) -> f32 + Sync);

/// Returns the recall of each representation.
fn rows(info: &EncoderInfo, signed: &Signed) -> Vec<CopiesRow> {
    let row = |name: &str, bytes: usize, distance: Distance<'_>| CopiesRow {
        representation: name.to_owned(),
        bytes,
        recall: signed
            .edited
            .iter()
            .map(|copies| recall(&signed.originals, copies, distance))
            .collect(),
    };
    let weight = info.hash_weight / info.bits as f32;
    let (code_bytes, hash_bytes) = (info.code_len * 4, info.bits.div_ceil(8));
    let (code_name, hash_name) = (
        format!("code of {}", info.code_len),
        format!("hash of {} bits", info.bits),
    );
    vec![
        row(&code_name, code_bytes, &|a, b| l2_squared(&a.code, &b.code)),
        row(&hash_name, hash_bytes, &|a, b| {
            hamming(&a.hash, &b.hash) as f32
        }),
        row("code + hash", code_bytes + hash_bytes, &|a, b| {
            l2_squared(&a.code, &b.code) + weight * hamming(&a.hash, &b.hash) as f32
        }),
        row("dHash", 8, &|a, b| {
            hamming(&a.perceptual.dhash, &b.perceptual.dhash) as f32
        }),
        row("pHash", 8, &|a, b| {
            hamming(&a.perceptual.phash, &b.perceptual.phash) as f32
        }),
    ]
}

/// Returns the signatures of an image and of its edits.
fn signatures(
    worker: &mut Worker,
    whole: Whole,
) -> Result<Result<(Signatures, Vec<Signatures>), String>> {
    let whole = whole.into_rgb();
    let Some(original) = RgbImage::from_raw(whole.width, whole.height, whole.pixels) else {
        return Ok(Err("has fewer pixels than its size promises".to_owned()));
    };
    let images: Result<Vec<RgbImage>, String> =
        EDITS.iter().map(|edit| edit.apply(&original)).collect();
    let images = match images {
        Ok(edited) => [vec![original], edited].concat(),
        Err(reason) => return Ok(Err(reason)),
    };
    let mut pixels = Vec::with_capacity(images.len() * worker.image_bytes());
    let mut hashes = Vec::with_capacity(images.len());
    for image in images {
        let (width, height) = image.dimensions();
        let image = Rgb {
            width,
            height,
            pixels: image.into_raw(),
        };
        let made = decode::resized(&image, &worker.geometry())
            .and_then(|small| Ok((small, Perceptual::of(&image)?)));
        match made {
            Ok((small, perceptual)) => {
                pixels.extend(small);
                hashes.push(perceptual);
            }
            Err(error) => return Ok(Err(error.to_string())),
        }
    }
    let encodings = worker.encode(&pixels, hashes.len())?;
    let mut signatures = hashes
        .into_iter()
        .enumerate()
        .map(|(i, perceptual)| Signatures {
            code: encodings.code(i).to_vec(),
            hash: encodings.hash(i),
            logits: encodings.logits(i).to_vec(),
            perceptual,
        });
    Ok(signatures
        .next()
        .map(|original| (original, signatures.collect()))
        .ok_or_else(|| "nothing was encoded".to_owned()))
}

/// Returns the share of true pairs below a threshold. All pairs below it are true, except one in a
/// thousand. Pairs at the same distance are on the same side of it.
fn recall(originals: &[Signatures], copies: &[Signatures], apart: Distance<'_>) -> f64 {
    let own: Vec<f32> = originals
        .iter()
        .zip(copies)
        .map(|(original, copy)| apart(original, copy))
        .collect();
    let farthest = own.iter().copied().fold(0.0, f32::max);
    // Strangers beyond the farthest copy cannot matter.
    let strangers: Vec<f32> = originals
        .par_iter()
        .enumerate()
        .flat_map_iter(|(i, original)| {
            let others = copies.iter().enumerate().filter(move |(j, _)| *j != i);
            others
                .map(move |(_, copy)| apart(original, copy))
                .filter(|apart| *apart <= farthest)
        })
        .collect();
    recall_at(own, strangers, PRECISION)
}

fn recall_at(mut own: Vec<f32>, mut strangers: Vec<f32>, precision: f64) -> f64 {
    own.sort_unstable_by(f32::total_cmp);
    strangers.sort_unstable_by(f32::total_cmp);
    let mut best = 0;
    for (i, &threshold) in own.iter().enumerate() {
        // Equal distances are counted once, at the last of them.
        if own.get(i + 1).is_some_and(|next| *next == threshold) {
            continue;
        }
        let right = i + 1;
        let wrong = strangers.partition_point(|&stranger| stranger <= threshold);
        if right as f64 >= precision * (right + wrong) as f64 {
            best = right;
        }
    }
    best as f64 / own.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb as Pixel;

    fn image() -> RgbImage {
        RgbImage::from_fn(120, 80, |x, y| {
            Pixel([(x * 2) as u8, (y * 3) as u8, ((x + y) % 90) as u8])
        })
    }

    #[test]
    fn recall_counts_what_is_nearer_than_nearly_all_strangers() {
        let own: Vec<f32> = (0..2000).map(|i| i as f32).collect();
        // No stranger before the 1500th.
        assert_eq!(
            recall_at(own.clone(), vec![1499.5, 1499.6, 1499.7], 0.999),
            0.75
        );
        // One among the first 2000 is within a thousandth.
        assert_eq!(recall_at(own.clone(), vec![1900.0], 0.999), 1.0);
        // Strangers at the same distance count.
        assert_eq!(recall_at(vec![0.0, 0.0], vec![0.0], 0.999), 0.0);
        assert_eq!(recall_at(vec![0.0, 1.0], vec![1.0], 0.999), 0.5);
    }

    #[test]
    fn every_edit_changes_a_picture_and_keeps_what_it_says() {
        let image = image();
        for edit in EDITS {
            let edited = edit.apply(&image).unwrap();
            assert_ne!(edited, image, "{edit:?}");
            let (width, height) = edited.dimensions();
            let wanted = match edit {
                Edit::Resize => (60, 40),
                Edit::Crop5 => (114, 76),
                Edit::Crop10 => (108, 72),
                Edit::Pad => (120, 96),
                _ => (120, 80),
            };
            assert_eq!((width, height), wanted, "{edit:?}");
        }
        let turned = Edit::Rotate.apply(&image).unwrap();
        assert_eq!(turned.get_pixel(0, 0).0, [0; 3]);
        // The centre stays.
        let moved = turned.get_pixel(60, 40).0[0].abs_diff(image.get_pixel(60, 40).0[0]);
        assert!(moved <= 3, "{moved}");
        let written = Edit::Text.apply(&image).unwrap();
        let changed = written.pixels().zip(image.pixels()).filter(|(a, b)| a != b);
        let changed = changed.count() as f64 / (120.0 * 80.0);
        assert!(changed > 0.02 && changed < 0.2, "{changed}");
    }

    #[test]
    fn the_smallest_pictures_can_be_edited() {
        let dot = RgbImage::from_pixel(1, 1, Pixel([9, 9, 9]));
        for edit in EDITS {
            let (width, height) = edit.apply(&dot).unwrap().dimensions();
            assert!(width > 0 && height > 0, "{edit:?}");
        }
    }
}
