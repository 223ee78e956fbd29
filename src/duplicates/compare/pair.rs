//! Comparing two pictures.

use std::path::Path;

use super::Comparison;
use super::level::{level_of, pixel_difference};
use super::seen::{Numbers, look, open, same_pixels, see};
use crate::duplicates::difference::Difference;
use crate::duplicates::pixels::judged;
use crate::encode::engine::Engine;
use crate::error::Result;

/// Compares two image files.
///
/// # Errors
///
/// If the encoder has no codes, or a file cannot be read or decoded.
///
/// # Examples
///
/// ```no_run
/// use std::path::Path;
///
/// use imgsearch::duplicates::compare::compare;
/// use imgsearch::onnx::EncoderFile;
/// use imgsearch::{Engine, EngineOptions};
///
/// let engine = Engine::new(EncoderFile::default_encoder()?, EngineOptions::default())?;
/// let compared = compare(&engine, Path::new("cat.jpg"), Path::new("cat-small.jpg"))?;
/// println!("{}", compared.level.name());
/// # Ok::<(), imgsearch::Error>(())
/// ```
pub fn compare(engine: &Engine, a: &Path, b: &Path) -> Result<Comparison> {
    engine.file().require_codes()?;
    let limits = engine.limits();
    let mut worker = engine.worker()?;
    let (a_source, b_source) = (open(a, limits)?, open(b, limits)?);
    let a_seen = see(&mut worker, &a_source, a)?;
    let b_seen = see(&mut worker, &b_source, b)?;
    let is_same_file = a_seen.picture.digest == b_seen.picture.digest;
    let same = is_same_file || same_pixels((&a_source, &a_seen), (&b_source, &b_seen), limits)?;
    let numbers = Numbers::between(&a_seen.encoded, &b_seen.encoded, engine.info());
    let (a_look, b_look) = (
        look(&a_source, &a_seen, limits)?,
        look(&b_source, &b_seen, limits)?,
    );
    let verdict = judged(&a_look, &b_look);
    let formats = (a_seen.picture.format, b_seen.picture.format);
    Ok(Comparison {
        level: level_of(&a_seen, &b_seen, same, &verdict, &numbers),
        difference: if same {
            None
        } else {
            Difference::of(&verdict, formats)
        },
        distance: numbers.distance,
        hamming: numbers.hamming,
        bits: numbers.bits,
        similarity: numbers.similarity,
        pixel_difference: pixel_difference(&a_seen, &b_seen),
        pictures: [a_seen.picture, b_seen.picture],
    })
}
