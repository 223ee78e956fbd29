//! Near-duplicates: how many edited copies of photographs a representation tells from strangers.
//!
//! Every photograph is edited in every way. Of all pairs of a photograph and a copy of one, the
//! nearest are called duplicates, down to where so many of them in a thousand would be strangers;
//! the recall is the share of the true pairs among them.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use image::{RgbImage, imageops};
use imgsearch_index::{hamming, l2_squared};
use rayon::prelude::*;
use serde::Serialize;

use crate::decode::{self, Rgb, Source, Whole};
use crate::encode::engine::{Engine, Worker};
use crate::error::{Error, Result};
use crate::indexing::worker_pool;
use crate::render::chart;
use crate::train::augment;
use crate::train::perceptual::Perceptual;

/// The precision at which the recall is given.
pub const PRECISION: f64 = 0.999;

/// Photographs that a worker looks at before it says so.
const CHUNK: usize = 4;

/// A way of editing a photograph.
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
    /// Turned by 4 degrees, black where nothing is left.
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
}

/// All of them.
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
    /// In words.
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
        }
    }

    /// The edited picture.
    ///
    /// # Errors
    ///
    /// Where it cannot be written and read as a JPEG, or has no pixels.
    pub fn apply(self, picture: &RgbImage) -> Result<RgbImage, String> {
        let (width, height) = picture.dimensions();
        let cropped = |share: f64| {
            let cut = |side: u32| ((f64::from(side) * share).round() as u32).min(side - 1);
            let (left, top) = (cut(width), cut(height));
            // All from one corner: what a hand that crops does not do evenly.
            imageops::crop_imm(picture, left, top, width - left, height - top).to_image()
        };
        Ok(match self {
            Self::Reencode => augment::rewritten(picture, 50)?,
            Self::Resize => imageops::resize(
                picture,
                (width / 2).max(1),
                (height / 2).max(1),
                imageops::FilterType::Triangle,
            ),
            Self::Crop5 => cropped(0.05),
            Self::Crop10 => cropped(0.10),
            Self::Rotate => augment::turned(picture, 4.0),
            Self::Mirror => imageops::flip_horizontal(picture),
            Self::Pad => augment::barred(picture, (height / 10).max(1)),
            Self::Text => {
                let mut written = picture.clone();
                write_over(&mut written);
                written
            }
            Self::Blur => augment::blurred(picture, width.min(height) as f32 / 100.0),
            Self::Brightness => augment::brightened(picture.clone(), 4.0 / 3.0),
        })
    }
}

/// White letters on black across the lower part, as a caption has them.
fn write_over(picture: &mut RgbImage) {
    let (width, height) = picture.dimensions();
    let scale = (height / 10 / chart::LETTER.1).max(1);
    let letters = chart::stamp("SAMPLE TEXT", scale);
    imageops::replace(
        picture,
        &letters,
        i64::from(width / 20),
        i64::from(height * 4 / 5),
    );
}

/// A representation's recall.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CopiesRow {
    /// What was compared.
    pub representation: String,
    /// Bytes that one image takes.
    pub bytes: usize,
    /// The recall for each of [`CopiesReport::edits`].
    pub recall: Vec<f64>,
}

/// What is found of copies.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CopiesReport {
    /// The encoder's name.
    pub encoder: String,
    /// Photographs that were edited.
    pub photographs: usize,
    /// The precision at which the recall is given.
    pub precision: f64,
    /// The edits.
    pub edits: Vec<Edit>,
    /// A row for each representation.
    pub rows: Vec<CopiesRow>,
    /// What could not be used, and why.
    pub failed: Vec<(PathBuf, String)>,
}

/// What a picture is compared by.
struct Marks {
    code: Vec<f32>,
    hash: Vec<u8>,
    perceptual: Perceptual,
}

/// Edits the photographs at `paths` and finds the copies again.
///
/// # Errors
///
/// [`Error::BadEvaluation`] where fewer than two photographs can be used, and
/// [`Error::Interrupted`] once `stop` is set.
pub fn copies(
    engine: &Engine,
    paths: &[PathBuf],
    stop: &AtomicBool,
    tick: &mut dyn FnMut(usize),
) -> Result<CopiesReport> {
    let mut originals: Vec<Marks> = Vec::new();
    let mut edited: Vec<Vec<Marks>> = EDITS.iter().map(|_| Vec::new()).collect();
    let mut failed = Vec::new();
    worker_pool::run(
        worker_pool::Jobs::in_order(engine.threads(), paths.len(), CHUNK),
        stop,
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
                        Ok(whole) => marks(worker, whole),
                        Err(reason) => Ok(Err(reason)),
                    }
                })
                .collect::<Result<Vec<_>>>()
        },
        |range, all| {
            for (path, marks) in paths[range.clone()].iter().zip(all) {
                match marks {
                    Ok((original, copies)) => {
                        originals.push(original);
                        for (all, copy) in edited.iter_mut().zip(copies) {
                            all.push(copy);
                        }
                    }
                    Err(reason) => failed.push((path.clone(), reason)),
                }
            }
            tick(range.end);
            Ok(())
        },
    )?;
    if stop.load(Ordering::Relaxed) {
        return Err(Error::Interrupted);
    }
    if originals.len() < 2 {
        return Err(Error::BadEvaluation(format!(
            "{} photographs could be used, and telling copies from strangers takes at least two",
            originals.len()
        )));
    }
    let info = engine.info();
    let weight = info.hash_weight / info.bits as f32;
    let of = |name: &str, bytes: usize, apart: &(dyn Fn(&Marks, &Marks) -> f32 + Sync)| CopiesRow {
        representation: name.to_owned(),
        bytes,
        recall: edited
            .iter()
            .map(|copies| recall(&originals, copies, apart))
            .collect(),
    };
    let hash_bytes = info.bits.div_ceil(8);
    let rows = vec![
        of(
            &format!("code of {}", info.code_len),
            info.code_len * 4,
            &|a, b| l2_squared(&a.code, &b.code),
        ),
        of(
            &format!("hash of {} bits", info.bits),
            hash_bytes,
            &|a, b| hamming(&a.hash, &b.hash) as f32,
        ),
        of("code + hash", info.code_len * 4 + hash_bytes, &|a, b| {
            l2_squared(&a.code, &b.code) + weight * hamming(&a.hash, &b.hash) as f32
        }),
        of("dHash", 8, &|a, b| {
            hamming(&a.perceptual.dhash, &b.perceptual.dhash) as f32
        }),
        of("pHash", 8, &|a, b| {
            hamming(&a.perceptual.phash, &b.perceptual.phash) as f32
        }),
    ];
    Ok(CopiesReport {
        encoder: info.name.clone(),
        photographs: originals.len(),
        precision: PRECISION,
        edits: EDITS.to_vec(),
        rows,
        failed,
    })
}

/// The marks of a picture and of its edits.
fn marks(worker: &mut Worker, whole: Whole) -> Result<Result<(Marks, Vec<Marks>), String>> {
    let whole = whole.into_rgb();
    let Some(original) = RgbImage::from_raw(whole.width, whole.height, whole.pixels) else {
        return Ok(Err("has fewer pixels than its size promises".to_owned()));
    };
    let pictures: Result<Vec<RgbImage>, String> =
        EDITS.iter().map(|edit| edit.apply(&original)).collect();
    let pictures = match pictures {
        Ok(edited) => [vec![original], edited].concat(),
        Err(reason) => return Ok(Err(reason)),
    };
    let mut pixels = Vec::with_capacity(pictures.len() * worker.image_bytes());
    let mut hashes = Vec::with_capacity(pictures.len());
    for picture in pictures {
        let (width, height) = picture.dimensions();
        let picture = Rgb {
            width,
            height,
            pixels: picture.into_raw(),
        };
        let made = decode::resized(&picture, &worker.geometry())
            .and_then(|small| Ok((small, Perceptual::of(&picture)?)));
        match made {
            Ok((small, perceptual)) => {
                pixels.extend(small);
                hashes.push(perceptual);
            }
            Err(error) => return Ok(Err(error.to_string())),
        }
    }
    let encodings = worker.encode(&pixels, hashes.len())?;
    let mut marks = hashes.into_iter().enumerate().map(|(i, perceptual)| Marks {
        code: encodings.code(i).to_vec(),
        hash: encodings.hash(i),
        perceptual,
    });
    Ok(marks
        .next()
        .map(|original| (original, marks.collect()))
        .ok_or_else(|| "nothing was encoded".to_owned()))
}

/// The share of true pairs that are nearer than a threshold at which all pairs below are true but
/// for one in a thousand. All pairs at the same distance stand on the same side of it.
fn recall(
    originals: &[Marks],
    copies: &[Marks],
    apart: &(dyn Fn(&Marks, &Marks) -> f32 + Sync),
) -> f64 {
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
        // The last of equal ones speaks for all of them.
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

    fn picture() -> RgbImage {
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
        let picture = picture();
        for edit in EDITS {
            let edited = edit.apply(&picture).unwrap();
            assert_ne!(edited, picture, "{edit:?}");
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
        let turned = Edit::Rotate.apply(&picture).unwrap();
        assert_eq!(turned.get_pixel(0, 0).0, [0; 3]);
        // The centre stays.
        let moved = turned.get_pixel(60, 40).0[0].abs_diff(picture.get_pixel(60, 40).0[0]);
        assert!(moved <= 3, "{moved}");
        let written = Edit::Text.apply(&picture).unwrap();
        let changed = written
            .pixels()
            .zip(picture.pixels())
            .filter(|(a, b)| a != b);
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
