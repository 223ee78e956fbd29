//! What is stored and what is asked: drawn, or the codes and hashes of an index of real images, as
//! they are or grown to any number.

use std::path::Path;

use imgsearch_index::{EncoderRecord, Index, hamming, l2_squared};
use rayon::prelude::*;

use crate::synthetic::{self, BITS, CODE, Images, Random, unit};

/// Queries.
pub const QUERIES: usize = 2000;

/// Images among whose nearest by both a grown one finds what it moves towards.
const NEAREST: usize = 20;
/// How far a grown image moves towards one of them at most, …
const TOWARDS: f64 = 0.7;
/// … how far each number of its code is moved besides, …
const SHAKEN: f32 = 0.03;
/// … and the share of bits that are turned.
const TURNED: f64 = 0.02;

/// Images to store, images to ask with, and the encoder that made them.
pub struct Data {
    pub stored: Images,
    pub asked: Images,
    pub encoder: EncoderRecord,
}

impl Data {
    /// Drawn from a seed; the hash counts as the built-in encoder's does.
    pub fn drawn(images: usize) -> Self {
        Self {
            stored: synthetic::draw(images, images, 1),
            asked: queries(images),
            encoder: encoder(),
        }
    }

    /// Those of the index in `dir`; every fifth asks, up to a number, and the others are stored, with
    /// as many copies that are moved a little as it takes to come to `images`.
    pub fn of_index(dir: &Path, images: Option<usize>) -> Self {
        let index = Index::open(dir).unwrap();
        let searcher = index.searcher().unwrap();
        let (mut stored, mut asked) = (Images::default(), Images::default());
        let rows = searcher.codes().into_iter().zip(searcher.hashes());
        for (i, (code, hash)) in rows.enumerate() {
            assert_eq!((code.len(), hash.len() * 8), (CODE, BITS));
            if i % 5 == 0 && asked.len() < QUERIES {
                asked.push((&code, &hash));
            } else {
                stored.push((&code, &hash));
            }
        }
        let encoder = index.encoder().clone();
        if let Some(images) = images {
            grow(&mut stored, images, encoder.hash_weight);
        }
        Self {
            stored,
            asked,
            encoder,
        }
    }
}

/// The queries for drawn images.
pub fn queries(images: usize) -> Images {
    synthetic::draw(QUERIES, images, 0xa5a5_0000_0000_0001)
}

/// As the built-in encoder's.
fn encoder() -> EncoderRecord {
    EncoderRecord {
        fingerprint: "bench".to_owned(),
        name: "bench".to_owned(),
        code_len: CODE,
        bits: BITS,
        hash_weight: 16.0,
        metadata: "{}".to_owned(),
    }
}

/// Adds copies of the images, each moved towards one of its nearest, code and bits alike, and shaken
/// a little: so codes and hashes stay as tied as they are.
fn grow(images: &mut Images, to: usize, weight: f32) {
    let real = images.len();
    let near: Vec<Vec<u32>> = (0..real)
        .into_par_iter()
        .map(|i| {
            let (code, hash) = images.get(i);
            let mut all: Vec<(f32, u32)> = (0..real)
                .filter(|&j| j != i)
                .map(|j| {
                    let (there, bits) = images.get(j);
                    let apart = hamming(hash, bits) as f32 / BITS as f32;
                    (l2_squared(code, there) + weight * apart, j as u32)
                })
                .collect();
            let keep = NEAREST.min(all.len() - 1);
            all.select_nth_unstable_by(keep, |a, b| a.0.total_cmp(&b.0));
            all[..keep].iter().map(|&(_, j)| j).collect()
        })
        .collect();
    let grown: Vec<(Vec<f32>, Vec<u8>)> = (real..to)
        .into_par_iter()
        .map(|i| {
            let mut random = Random((i as u64).wrapping_mul(0xd134_2543_de82_ef95));
            let near = &near[i % real];
            let (code, hash) = images.get(i % real);
            let other = near[random.next() as usize % near.len()] as usize;
            let (there, bits) = images.get(other);
            let share = random.uniform() * TOWARDS;
            let mut moved: Vec<f32> = code
                .iter()
                .zip(there)
                .map(|(a, b)| a + (b - a) * share as f32 + SHAKEN * random.normal())
                .collect();
            unit(&mut moved);
            let mut packed = hash.to_vec();
            for bit in 0..BITS {
                let (byte, mask) = (bit / 8, 1 << (bit % 8));
                let taken = (hash[byte] ^ bits[byte]) & mask != 0 && random.uniform() < share;
                if taken != (random.uniform() < TURNED) {
                    packed[byte] ^= mask;
                }
            }
            (moved, packed)
        })
        .collect();
    for (code, hash) in &grown {
        images.push((code, hash));
    }
}

/// How tied codes and hashes are: Spearman's correlation of the squared distance of the codes and the
/// number of differing bits, of an image and its 100 nearest by code, and of an image and any others.
pub fn tie(images: &Images) -> (f64, f64) {
    const ASKED: usize = 100;
    const NEAR: usize = 100;
    const ANY: usize = 2000;
    let of: Vec<(f64, f64)> = (0..ASKED)
        .into_par_iter()
        .map(|q| {
            let own = q * (images.len() / ASKED);
            let (code, hash) = images.get(own);
            let mut all: Vec<(f32, u32)> = (0..images.len())
                .filter(|&i| i != own)
                .map(|i| {
                    let (there, bits) = images.get(i);
                    (l2_squared(code, there), hamming(hash, bits))
                })
                .collect();
            let step = (all.len() / ANY).max(1);
            let any: Vec<(f32, u32)> = all.iter().copied().step_by(step).collect();
            all.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
            (spearman(&all[..NEAR.min(all.len())]), spearman(&any))
        })
        .collect();
    let mean = |of: &dyn Fn(&(f64, f64)) -> f64, all: &[(f64, f64)]| {
        all.iter().map(of).sum::<f64>() / all.len() as f64
    };
    (mean(&|tie| tie.0, &of), mean(&|tie| tie.1, &of))
}

/// In how many directions the nearest by both lie: the local intrinsic dimension, estimated from the
/// distances of the 50 nearest (Levina and Bickel 2004), the median of some images. The more there
/// are, the less a graph has to go by.
pub fn dimension(images: &Images, weight: f32) -> f64 {
    const ASKED: usize = 200;
    const NEAR: usize = 50;
    let mut of: Vec<f64> = (0..ASKED)
        .into_par_iter()
        .map(|q| {
            let own = q * (images.len() / ASKED);
            let (code, hash) = images.get(own);
            let mut all: Vec<f64> = (0..images.len())
                .filter(|&i| i != own)
                .map(|i| {
                    let (there, bits) = images.get(i);
                    let apart = hamming(hash, bits) as f32 / BITS as f32;
                    f64::from(l2_squared(code, there) + weight * apart)
                })
                .filter(|&apart| apart > 0.0)
                .collect();
            all.sort_unstable_by(f64::total_cmp);
            all.truncate(NEAR);
            let last = all.last().copied().unwrap_or(1.0);
            // Squared distances: the root halves the logarithm.
            let sum: f64 = all.iter().map(|apart| (last / apart).ln() / 2.0).sum();
            (all.len() as f64 - 1.0) / sum
        })
        .collect();
    of.sort_unstable_by(f64::total_cmp);
    of[ASKED / 2]
}

/// Spearman's rank correlation, ties at their mean rank.
fn spearman(pairs: &[(f32, u32)]) -> f64 {
    let a = ranks(
        &pairs
            .iter()
            .map(|pair| f64::from(pair.0))
            .collect::<Vec<_>>(),
    );
    let b = ranks(
        &pairs
            .iter()
            .map(|pair| f64::from(pair.1))
            .collect::<Vec<_>>(),
    );
    let mean = (pairs.len() as f64 - 1.0) / 2.0;
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(&b) {
        ab += (a - mean) * (b - mean);
        aa += (a - mean).powi(2);
        bb += (b - mean).powi(2);
    }
    ab / (aa * bb).sqrt()
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    for same in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let rank = start as f64 + (same.len() as f64 - 1.0) / 2.0;
        for &i in same {
            ranks[i] = rank;
        }
        start += same.len();
    }
    ranks
}
