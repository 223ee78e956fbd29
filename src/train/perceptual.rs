//! Perceptual hashes without learning, to compare semantic hashes with.
//!
//! Both have 64 bits and use the whole image in grey. A bit of *dHash* says whether a pixel of the image,
//! scaled to 9 by 8, is darker than its right neighbour (Krawetz, "Kind of like that", 2013). A bit of
//! *pHash* says whether one of the 8 by 8 lowest frequencies of the image, scaled to 32 by 32, is above
//! their median (Zauner, "Implementation and benchmarking of perceptual image hash
//! functions", 2010).

use std::f32::consts::PI;
use std::path::PathBuf;

use crate::decode::{self, DecodeError, Decoder, Geometry, Limits, Resize, Rgb, Source};
use crate::error::Result;
use crate::indexing::worker_pool::Jobs;
use crate::progress::Progress;
use crate::train::jobs;

/// Bytes of each of the two hashes.
pub const BYTES: usize = 8;

/// The side of the image that pHash transforms.
const SIDE: usize = 32;

/// The number of lowest frequencies that pHash keeps, in each direction.
const KEPT: usize = 8;

/// Files that a worker hashes at once.
const CHUNK: usize = 32;

/// The two hashes of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Perceptual {
    /// By differences.
    pub dhash: [u8; BYTES],
    /// By frequencies.
    pub phash: [u8; BYTES],
}

impl Perceptual {
    /// Computes the hashes of a decoded image.
    ///
    /// # Errors
    ///
    /// An image that lacks pixels.
    pub fn of(image: &Rgb) -> Result<Self, DecodeError> {
        Ok(Self {
            dhash: dhash(&grey(image, 9, 8)?),
            phash: phash(&grey(image, SIDE as u32, SIDE as u32)?),
        })
    }
}

/// Returns the hashes of image files, in their order, or the reason why a file cannot be decoded.
///
/// # Errors
///
/// [`crate::Error::Interrupted`] after a cancellation.
pub fn of_files(
    paths: &[PathBuf],
    limits: &Limits,
    threads: usize,
    progress: &dyn Progress,
) -> Result<Vec<Result<Perceptual, String>>> {
    let mut all = Vec::with_capacity(paths.len());
    jobs::run(
        Jobs::in_order(threads, paths.len(), CHUNK),
        progress,
        || Ok((Decoder::new(*limits), Source::default())),
        |(decoder, file), range| {
            let hashes = paths[range].iter().map(|path| {
                file.reopen(path, limits)
                    .map_err(|error| error.to_string())?;
                decoder
                    .decode_whole(&*file, decode::MIN_SHORT_SIDE)
                    .and_then(|image| Perceptual::of(&image))
                    .map_err(|error| error.to_string())
            });
            Ok(hashes.collect::<Vec<_>>())
        },
        |_, hashes| {
            all.extend(hashes);
            Ok(())
        },
    )?;
    Ok(all)
}

/// Returns the whole image at another size, in grey from 0 to 255.
fn grey(image: &Rgb, width: u32, height: u32) -> Result<Vec<f32>, DecodeError> {
    let geometry = Geometry {
        width,
        height,
        resize: Resize::Squash,
    };
    let small = decode::resized(image, &geometry)?;
    let (pixels, _) = small.as_chunks::<3>();
    Ok(pixels.iter().map(decode::luma).collect())
}

fn dhash(grey: &[f32]) -> [u8; BYTES] {
    packed(
        grey.chunks_exact(9)
            .flat_map(|row| row.windows(2).map(|pair| pair[0] < pair[1])),
    )
}

fn phash(grey: &[f32]) -> [u8; BYTES] {
    // The discrete cosine transform of type II; a constant factor changes no comparison.
    let wave = |frequency: usize, place: usize| {
        (PI * frequency as f32 * (2 * place + 1) as f32 / (2 * SIDE) as f32).cos()
    };
    let mut rows = [[0.0f32; KEPT]; SIDE];
    for (row, pixels) in rows.iter_mut().zip(grey.chunks_exact(SIDE)) {
        for (u, out) in row.iter_mut().enumerate() {
            let waved = pixels.iter().enumerate();
            *out = waved.map(|(x, value)| value * wave(u, x)).sum();
        }
    }
    let mut lowest = [0.0f32; KEPT * KEPT];
    for v in 0..KEPT {
        for u in 0..KEPT {
            let column = rows.iter().enumerate();
            lowest[v * KEPT + u] = column.map(|(y, row)| row[u] * wave(v, y)).sum();
        }
    }
    let mut sorted = lowest;
    sorted.sort_unstable_by(f32::total_cmp);
    let median = (sorted[KEPT * KEPT / 2 - 1] + sorted[KEPT * KEPT / 2]) / 2.0;
    packed(lowest.iter().map(|&value| value > median))
}

fn packed(bits: impl Iterator<Item = bool>) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    for (i, bit) in bits.enumerate() {
        bytes[i / 8] |= u8::from(bit) << (i % 8);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(of: impl Fn(u32, u32) -> u8) -> Rgb {
        let (width, height) = (96, 64);
        let pixels = (0..height)
            .flat_map(|y| (0..width).map(move |x| (x, y)))
            .flat_map(|(x, y)| [of(x, y); 3])
            .collect();
        Rgb {
            width,
            height,
            pixels,
        }
    }

    #[test]
    fn brighter_to_the_right_sets_every_bit_of_dhash() {
        let up = Perceptual::of(&image(|x, _| (x * 2) as u8)).unwrap();
        let down = Perceptual::of(&image(|x, _| 255 - (x * 2) as u8)).unwrap();
        assert_eq!(up.dhash, [0xff; BYTES]);
        assert_eq!(down.dhash, [0; BYTES]);
    }

    #[test]
    fn phash_sees_the_frequency_that_is_there() {
        // A wave of four half periods across: of the 64 frequencies only that one stands out
        // positively, in addition to the mean.
        let wave = |x: u32| (PI * 4.0 * (2 * x + 1) as f32 / (2 * 96) as f32).cos();
        let hash = Perceptual::of(&image(|x, _| (128.0 + 100.0 * wave(x)) as u8))
            .unwrap()
            .phash;
        assert_eq!(hash[0] & 0b1_0001, 0b1_0001, "{:08b}", hash[0]);
    }

    #[test]
    fn half_of_the_bits_of_phash_are_set() {
        let hash = Perceptual::of(&image(|x, y| (x * y % 251) as u8)).unwrap();
        let set: u32 = hash.phash.iter().map(|byte| byte.count_ones()).sum();
        assert_eq!(set, 32);
    }

    #[test]
    fn a_brighter_picture_keeps_its_hashes_and_another_does_not() {
        let of = |x: u32, y: u32| ((x * x / 40 + y * 3 + (x / 7 % 3) * 20) % 200) as u8;
        let one = Perceptual::of(&image(of)).unwrap();
        let brighter = Perceptual::of(&image(|x, y| of(x, y) + 30)).unwrap();
        let other = Perceptual::of(&image(|x, y| of(y, 95 - x))).unwrap();
        let apart = |a: [u8; BYTES], b: [u8; BYTES]| imgsearch_index::hamming(&a, &b);
        assert!(apart(one.dhash, brighter.dhash) <= 4);
        assert!(apart(one.phash, brighter.phash) <= 4);
        assert!(apart(one.dhash, other.dhash) > 12);
        assert!(apart(one.phash, other.phash) > 12);
    }

    #[test]
    fn files_are_hashed_in_their_order_and_failures_named() {
        let samples = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/samples");
        let cat = samples.join("cat.jpg");
        let paths = [cat.clone(), samples.join("README.md"), cat];
        let limits = Limits::default();
        let hashes = of_files(&paths, &limits, 2, &()).unwrap();
        assert_eq!(hashes[0], hashes[2]);
        assert!(hashes[1].is_err());
    }
}
