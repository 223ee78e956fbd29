//! What an autoencoder is trained on: images or rows of features, as numbers.

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use super::design::Shape;
use crate::error::{Error, Result};
use crate::linear;

/// Samples that are computed together if nothing is trained.
pub(super) const AT_ONCE: usize = 256;

/// Samples to train an autoencoder on: images, or rows of features.
#[derive(Debug, Clone, Copy)]
pub struct Samples<'a> {
    shape: Shape,
    values: Values<'a>,
    /// The places of the samples that count; all if `None`.
    only: Option<&'a [usize]>,
    /// Identifies their content.
    source: Option<[u8; 32]>,
}

#[derive(Debug, Clone, Copy)]
enum Values<'a> {
    Pixels(&'a [u8]),
    Features(&'a [f32], &'a Scaling),
    Words(&'a WordCounts),
}

/// How often words occur in documents: a sparse matrix, a row for each document.
#[derive(Debug, Clone, PartialEq)]
pub struct WordCounts {
    words: usize,
    /// Where each row starts among the entries, and where the last one ends.
    starts: Vec<usize>,
    /// The number of a word, and its count on any scale from 0.
    entries: Vec<(u32, f32)>,
}

impl WordCounts {
    /// Returns no document, with a vocabulary of so many words.
    pub fn new(words: usize) -> Self {
        Self {
            words,
            starts: vec![0],
            entries: Vec::new(),
        }
    }

    /// Adds a document: the numbers of its words, each with its count. Words beyond the vocabulary are left out.
    pub fn push(&mut self, row: &[(u32, f32)]) {
        let known = row.iter().filter(|(word, _)| (*word as usize) < self.words);
        self.entries.extend(known);
        self.starts.push(self.entries.len());
    }

    /// Returns the number of documents.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number of words.
    pub fn words(&self) -> usize {
        self.words
    }

    /// Returns the words of a document.
    pub fn row(&self, document: usize) -> &[(u32, f32)] {
        &self.entries[self.starts[document]..self.starts[document + 1]]
    }
}

/// Scales features to the order of magnitude that training expects: without their mean, and of length
/// one on average.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Scaling {
    /// The mean, which is subtracted from each row.
    pub mean: Vec<f32>,
    /// The factor of each number.
    pub scale: f32,
}

impl Scaling {
    /// Computes the scaling of rows of `d` features.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if numbers are not finite or all rows alike.
    pub fn of(rows: &[f32], d: usize) -> Result<Self> {
        let mean = linear::mean(rows, d);
        let mut sum = 0.0;
        for row in rows.chunks_exact(d) {
            let centred = row.iter().zip(&mean);
            sum += centred
                .map(|(value, mean)| f64::from(value - mean).powi(2))
                .sum::<f64>();
        }
        let length = (sum / (rows.len() / d).max(1) as f64).sqrt();
        let scale = length.recip() as f32;
        if !(scale.is_finite() && scale > 0.0) {
            return Err(Error::InvalidInput(
                "the features do not differ, or are not finite: there is nothing to learn"
                    .to_owned(),
            ));
        }
        Ok(Self { mean, scale })
    }
}

impl<'a> Samples<'a> {
    /// Returns samples of images: bytes row by row, channels last, `[n, height, width, channels]`.
    pub fn new(shape: Shape, pixels: &'a [u8]) -> Self {
        Self {
            shape,
            values: Values::Pixels(pixels),
            only: None,
            source: None,
        }
    }

    /// Returns samples of features, `[n, d]`.
    pub fn features(rows: &'a [f32], scaling: &'a Scaling) -> Self {
        Self {
            shape: Shape::features(scaling.mean.len()),
            values: Values::Features(rows, scaling),
            only: None,
            source: None,
        }
    }

    /// Returns samples of documents, `[n, words]`.
    pub fn words(counts: &'a WordCounts) -> Self {
        Self {
            shape: Shape::features(counts.words),
            values: Values::Words(counts),
            only: None,
            source: None,
        }
    }

    /// Returns whether the samples are documents.
    pub(super) fn are_words(&self) -> bool {
        matches!(self.values, Values::Words(_))
    }

    /// Returns only the samples at these places.
    #[must_use]
    pub fn only(&self, places: &'a [usize]) -> Self {
        Self {
            only: Some(places),
            ..*self
        }
    }

    /// Sets what identifies their source. A resumed run compares it instead of the numbers, because a
    /// graphics card never computes the same last digits again.
    #[must_use]
    pub fn from_source(&self, source: [u8; 32]) -> Self {
        Self {
            source: Some(source),
            ..*self
        }
    }

    /// Returns the BLAKE3 hash of the samples in their order, or of their source.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(format!("{:?} {}", self.shape, self.len()).as_bytes());
        if let Some(source) = &self.source {
            hasher.update(source);
            for place in self.only.into_iter().flatten() {
                hasher.update(&(*place as u64).to_le_bytes());
            }
            return *hasher.finalize().as_bytes();
        }
        let d = self.shape.len();
        for i in 0..self.len() {
            let sample = self.only.map_or(i, |only| only[i]);
            let place = sample * d;
            match self.values {
                Values::Words(counts) => {
                    for (word, count) in counts.row(sample) {
                        hasher.update(&word.to_le_bytes());
                        hasher.update(&count.to_le_bytes());
                    }
                    // No word has this number, so rows are told apart.
                    hasher.update(&u32::MAX.to_le_bytes());
                }
                Values::Pixels(pixels) => {
                    hasher.update(&pixels[place..place + d]);
                }
                Values::Features(rows, _) => {
                    let row = rows[place..place + d].iter();
                    let bytes: Vec<u8> = row.flat_map(|value| value.to_le_bytes()).collect();
                    hasher.update(&bytes);
                }
            }
        }
        *hasher.finalize().as_bytes()
    }

    /// Returns the shape of each.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Returns the number of samples.
    pub fn len(&self) -> usize {
        if let Some(only) = self.only {
            return only.len();
        }
        let numbers = match self.values {
            Values::Pixels(pixels) => pixels.len(),
            Values::Features(rows, _) => rows.len(),
            Values::Words(counts) => return counts.len(),
        };
        numbers / self.shape.len().max(1)
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns some samples as numbers, `[n, channels × height × width]`, channels first: pixels from 0
    /// to 1, features scaled.
    pub(super) fn numbers(&self, places: &[usize]) -> Vec<f32> {
        let d = self.shape.len();
        let mut values = vec![0.0f32; places.len() * d];
        let area = self.shape.height * self.shape.width;
        values
            .par_chunks_exact_mut(d)
            .zip(places)
            .map(|(row, &place)| (row, self.only.map_or(place, |only| only[place])))
            .for_each(|(row, place)| match self.values {
                Values::Words(counts) => {
                    for &(word, count) in counts.row(place) {
                        row[word as usize] = count;
                    }
                }
                Values::Pixels(pixels) => {
                    let image = &pixels[place * d..(place + 1) * d];
                    for (i, pixel) in image.chunks_exact(self.shape.channels).enumerate() {
                        for (channel, &byte) in pixel.iter().enumerate() {
                            row[channel * area + i] = f32::from(byte) / 255.0;
                        }
                    }
                }
                Values::Features(rows, scaling) => {
                    let own = rows[place * d..(place + 1) * d].iter().zip(&scaling.mean);
                    for (out, (value, mean)) in row.iter_mut().zip(own) {
                        *out = (value - mean) * scaling.scale;
                    }
                }
            });
        values
    }

    /// Returns some samples as a tensor.
    pub(super) fn tensor(&self, places: &[usize]) -> candle_core::Result<Tensor> {
        let shape = (places.len(), self.shape.len());
        Tensor::from_vec(self.numbers(places), shape, &Device::Cpu)
    }
}
