//! How much of a collection is foreign to its encoder.
//!
//! An encoder tells apart what resembles the images that it was trained on. What else it is given, it squeezes into the
//! same few codes. Two things that are stored show that: how undecided its classifier is about an image, and whether the
//! image is so small that most of what the encoder sees was made up by enlarging it. Codes do not show it: on the unit
//! sphere, garments drawn in 28 by 28 grey pixels lie where photographs of classes lie that nobody trained on.

use imgsearch_index::{Filter, Image, Label, Writer};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::library::Library;
use crate::progress::Progress;

/// The name of the fact in the index.
const FACT: &str = "foreign";

/// The classes of the classifier, for which labels are stored.
const CLASSES: f32 = 1000.0;

/// An image is foreign if its doubt is larger. Of photographs of ImageNet's classes, 7 of 100 are; of 51 other classes of
/// objects, 34; of CIFAR-10's enlarged pictures, 78; of drawn digits and of noise, all.
pub const UNSURE: f32 = 0.6;

/// An image is foreign if its longer side has fewer pixels: of 224 by 224, the encoder then sees at least eleven of
/// twelve between those that there are.
pub const SMALL_SIDE: u32 = 64;

/// The fewest images of which it is said that they are foreign.
pub const MIN_FOREIGN: usize = 50;

/// Images that are looked at, spread evenly: enough to know the share to two of 100.
const SAMPLE: usize = 2000;

/// How much of a collection its encoder knows little of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Foreign {
    /// Images of the collection when it was measured.
    pub images: usize,
    /// Images that were looked at, spread evenly.
    pub sampled: usize,
    /// Those about which the classifier is undecided: their doubt is larger than [`UNSURE`].
    pub unsure: usize,
    /// Those whose longer side has fewer than [`SMALL_SIDE`] pixels.
    pub small: usize,
    /// Those that are one or the other.
    pub foreign: usize,
}

impl Foreign {
    /// Returns the share that is foreign, from 0 to 1.
    pub fn share(&self) -> f64 {
        self.foreign as f64 / self.sampled.max(1) as f64
    }

    /// Returns whether more than half of the collection is foreign, and it is large enough to say so.
    pub fn is_much(&self) -> bool {
        self.sampled >= MIN_FOREIGN && self.foreign * 2 > self.sampled
    }

    fn count<'a>(images: usize, of: impl Iterator<Item = (&'a Image, &'a [Label])>) -> Self {
        let mut foreign = Self {
            images,
            sampled: 0,
            unsure: 0,
            small: 0,
            foreign: 0,
        };
        for (image, labels) in of {
            let Some(doubt) = doubt(labels) else { continue };
            let (is_unsure, is_small) = (doubt > UNSURE, is_small(image));
            foreign.sampled += 1;
            foreign.unsure += usize::from(is_unsure);
            foreign.small += usize::from(is_small);
            foreign.foreign += usize::from(is_unsure || is_small);
        }
        foreign
    }

    /// Returns whether the collection has changed little since.
    fn is_valid_for(&self, images: usize) -> bool {
        self.images.abs_diff(images) * 10 <= self.images
    }
}

impl Library {
    /// Returns how much of the collection was foreign to its encoder at the end of the last indexing run that changed it
    /// by more than a tenth. `None` if that was not measured, as for encoders without a classifier.
    ///
    /// # Errors
    ///
    /// If nothing has been indexed yet, or the index cannot be read.
    pub fn foreign(&self) -> Result<Option<Foreign>> {
        let fact = self.index_view()?.fact(FACT)?;
        let stored: Option<Foreign> = fact.and_then(|fact| serde_json::from_str(&fact).ok());
        Ok(stored.filter(|foreign| foreign.sampled > 0))
    }
}

/// Does what [`update`] does. A failure is only reported: nothing depends on the result.
pub(crate) fn update_or_say(writer: &mut Writer, progress: &dyn Progress) {
    if let Err(error) = update(writer) {
        progress.note(&format!(
            "how much of the collection its encoder knows was not measured: {error}"
        ));
    }
}

/// Measures a collection again if it has changed by more than a tenth, and stores the result.
fn update(writer: &mut Writer) -> Result<()> {
    let reader = writer.reader()?;
    let images = reader.count()?;
    let stored = reader.fact(FACT)?;
    let stored: Option<Foreign> = stored.and_then(|fact| serde_json::from_str(&fact).ok());
    let is_valid = stored.is_some_and(|stored| stored.is_valid_for(images));
    if is_valid || (stored.is_none() && images < MIN_FOREIGN) {
        return Ok(());
    }
    let ids = reader.ids(&Filter::default())?;
    let step = ids.len().div_ceil(SAMPLE).max(1);
    let mut sample = Vec::new();
    for &id in ids.iter().step_by(step) {
        if let Some(image) = reader.image(id)? {
            sample.push((image, reader.labels(id)?));
        }
    }
    let of = sample
        .iter()
        .map(|(image, labels)| (image, labels.as_slice()));
    let foreign = Foreign::count(images, of);
    let fact = serde_json::to_string(&foreign).unwrap_or_default();
    Ok(writer.set_fact(FACT, &fact)?)
}

/// Returns how undecided a classifier is: the entropy of its classes divided by that of a guess. What the labels leave
/// of the probability is spread evenly over all other classes. `None` without labels.
pub(super) fn doubt(labels: &[Label]) -> Option<f32> {
    if labels.is_empty() {
        return None;
    }
    let known: f32 = labels.iter().map(|label| label.probability).sum();
    let rest = (1.0 - known).max(0.0);
    let others = CLASSES - labels.len() as f32;
    let term = |probability: f32| {
        if probability > 0.0 {
            -probability * probability.ln()
        } else {
            0.0
        }
    };
    let of_labels: f32 = labels.iter().map(|label| term(label.probability)).sum();
    let of_rest = term(rest / others) * others;
    Some(((of_labels + of_rest) / CLASSES.ln()).clamp(0.0, 1.0))
}

/// Returns whether an image is so small that the encoder sees mostly what enlarging makes up.
pub(super) fn is_small(image: &Image) -> bool {
    image.width.max(image.height) < SMALL_SIDE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(probabilities: &[f32]) -> Vec<Label> {
        let labels = (0..).zip(probabilities);
        labels
            .map(|(class, &probability)| Label { class, probability })
            .collect()
    }

    #[test]
    fn doubt_grows_with_the_number_of_likely_classes() {
        assert_eq!(doubt(&[]), None);
        assert!(doubt(&labels(&[1.0])).unwrap() < 1e-6);
        let half = doubt(&labels(&[0.5, 0.5])).unwrap();
        assert!((half - 2f32.ln() / 1000f32.ln()).abs() < 1e-5, "{half}");
        let guess = doubt(&labels(&[0.001; 8])).unwrap();
        assert!((guess - 1.0).abs() < 1e-4, "{guess}");
        assert!(doubt(&labels(&[0.9])).unwrap() < UNSURE);
        assert!(doubt(&labels(&[0.1, 0.1, 0.1])).unwrap() > UNSURE);
        // Rounding of what is stored adds up to more than one.
        assert!(doubt(&labels(&[0.6, 0.41])).unwrap() < 0.2);
    }

    #[test]
    fn half_of_enough_images_is_much() {
        let of = |sampled, foreign| Foreign {
            images: sampled,
            sampled,
            unsure: foreign,
            small: 0,
            foreign,
        };
        assert!(of(50, 26).is_much());
        assert!(!of(50, 25).is_much());
        assert!(!of(49, 49).is_much());
        assert!((of(50, 26).share() - 0.52).abs() < 1e-9);
        assert!((of(0, 0).share()).abs() < 1e-9);
    }
}
