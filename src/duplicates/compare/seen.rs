//! Pictures that were read, decoded and encoded, and the numbers between two of them.

use std::path::Path;

use imgsearch_index::{hamming, l2_squared};
use imgsearch_onnx::EncoderInfo;

use super::Picture;
use crate::decode::{Decoder, Limits, Source};
use crate::duplicates::pixels::Look;
use crate::encode::engine::{Encoded, Worker};
use crate::error::{Error, Result};

/// A picture that was decoded and encoded.
pub(super) struct Seen {
    pub picture: Picture,
    pub encoded: Encoded,
    /// Its pixels at the encoder's size, RGB, row by row.
    pub pixels: Vec<u8>,
}

/// What two encodings say of their pictures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Numbers {
    pub distance: f32,
    pub hamming: u32,
    pub bits: usize,
    pub similarity: Option<f32>,
}

impl Numbers {
    /// Returns the numbers between two pictures: of distances, the mean of both directions.
    pub fn between(a: &Encoded, b: &Encoded, info: &EncoderInfo) -> Self {
        let there = distance(a, &b.code, &b.hash, info.hash_weight);
        let back = distance(b, &a.code, &a.hash, info.hash_weight);
        Self::of((there + back) / 2.0, hamming(&a.hash, &b.hash), info)
    }

    /// Returns the numbers of a distance.
    pub fn of(distance: f32, hamming: u32, info: &EncoderInfo) -> Self {
        let map = info.similarity.as_ref();
        Self {
            distance,
            hamming,
            bits: info.bits,
            similarity: map.map(|map| map.similarity(distance)),
        }
    }
}

/// Returns the distance from a picture to a code and a hash, as queries rank by default: the squared distance of the
/// codes, and for each differing bit the certainty of the picture's own.
pub(super) fn distance(from: &Encoded, code: &[f32], hash: &[u8], hash_weight: f32) -> f32 {
    let certainty: f32 = from.logits.iter().map(|logit| logit.abs()).sum();
    let differs = |bit: usize| (from.hash[bit / 8] ^ hash[bit / 8]) >> (bit % 8) & 1 == 1;
    let logits = from.logits.iter().enumerate();
    let apart: f32 = logits
        .filter(|(bit, _)| differs(*bit))
        .map(|(_, logit)| logit.abs())
        .sum();
    l2_squared(&from.code, code) + hash_weight * apart / certainty.max(f32::MIN_POSITIVE)
}

/// Opens an image file.
pub(super) fn open(path: &Path, limits: &Limits) -> Result<Source> {
    Source::open(path, limits).map_err(|unread| Error::unread(unread, path))
}

/// Decodes and encodes an open image file.
///
/// # Errors
///
/// If it cannot be read or decoded.
pub(super) fn see(worker: &mut Worker, source: &Source, path: &Path) -> Result<Seen> {
    let digest = source
        .digest()
        .map_err(|error| Error::io("read", path, error))?;
    let mut pixels = vec![0; worker.image_bytes()];
    let decoded = worker
        .decode_into(source, &mut pixels)
        .map_err(|source| Error::Image {
            path: path.to_owned(),
            source,
        })?;
    let (format, taken) = (decoded.format.name(), decoded.taken);
    let encoded = worker.encode_decoded(&pixels, decoded)?;
    Ok(Seen {
        picture: Picture {
            path: path.to_owned(),
            bytes: source.length(),
            digest,
            width: encoded.width,
            height: encoded.height,
            format,
            taken,
            damage: encoded.damage.clone(),
            labels: encoded.labels.clone(),
        },
        encoded,
        pixels,
    })
}

/// Makes the small copy of a picture that others are compared with.
///
/// # Errors
///
/// If it cannot be decoded.
pub(super) fn look(source: &Source, seen: &Seen, limits: &Limits) -> Result<Look> {
    let picture = &seen.picture;
    let whole = (picture.width, picture.height);
    Look::of(&mut Decoder::new(*limits), source, whole, picture.taken).map_err(|source| {
        Error::Image {
            path: picture.path.clone(),
            source,
        }
    })
}

/// Returns whether two pictures of one size are the same, pixel for pixel. They are decoded one after the other, so that
/// only one is in memory.
///
/// # Errors
///
/// If one cannot be decoded at its full size.
pub(super) fn same_pixels(
    (a, a_seen): (&Source, &Seen),
    (b, b_seen): (&Source, &Seen),
    limits: &Limits,
) -> Result<bool> {
    let (one, other) = (&a_seen.picture, &b_seen.picture);
    if (one.width, one.height) != (other.width, other.height) {
        return Ok(false);
    }
    let mut decoder = Decoder::new(*limits);
    let mut digest = |source: &Source, path: &Path| {
        let whole = decoder.decode_whole(source, u32::MAX);
        let whole = whole.map_err(|source| Error::Image {
            path: path.to_owned(),
            source,
        })?;
        Ok::<_, Error>(blake3::hash(&whole.pixels))
    };
    Ok(digest(a, &one.path)? == digest(b, &other.path)?)
}
