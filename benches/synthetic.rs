//! Codes without photographs, for benches that need many of them: in clusters, drawn from a seed, 30
//! numbers of length one each, with 256 bits that follow from them.

use std::path::Path;

use imgsearch_index::{Change, EncoderRecord, FileStat, NewContent, Writer, pack_bits};
use rayon::prelude::*;

/// Numbers of a code.
pub const CODE: usize = 30;
/// Bits of a hash.
pub const BITS: usize = 256;
/// Photographs of one place, day or subject: so many on average.
const CLUSTER: usize = 100;
/// Images stored in one transaction.
const BLOCK: usize = 20_000;

/// Numbers as a normal distribution has them, from a seed.
struct Normal(u64);

impl Normal {
    fn next(&mut self) -> u64 {
        // SplitMix64 (Steele, Lea and Flood 2014).
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    fn draw(&mut self) -> f32 {
        let (a, b) = (self.uniform(), self.uniform());
        ((-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()) as f32
    }
}

fn unit(mut code: Vec<f32>) -> Vec<f32> {
    let norm = code.iter().map(|v| v * v).sum::<f32>().sqrt();
    code.iter_mut().for_each(|v| *v /= norm);
    code
}

/// Codes in clusters: `n` of them from the clusters of an index of `images`.
pub fn codes(n: usize, images: usize, seed: u64) -> Vec<f32> {
    let clusters = images.div_ceil(CLUSTER);
    (0..n)
        .into_par_iter()
        .flat_map_iter(|i| {
            let mut own = Normal(seed ^ (i as u64).wrapping_mul(0xd134_2543_de82_ef95));
            let cluster = own.next() % clusters as u64;
            let mut centre = Normal(cluster.wrapping_mul(0xa076_1d64_78bd_642f));
            // The leading numbers of a code vary more than the last.
            let code = (0..CODE).map(|j| {
                let scale = 1.0 / (1.0 + j as f32 / 10.0);
                scale * (centre.draw() + 0.4 * own.draw())
            });
            unit(code.collect())
        })
        .collect()
}

/// Bits that follow from a code: on which side of fixed planes it lies.
pub fn hash(code: &[f32], planes: &[f32]) -> Vec<u8> {
    let logits: Vec<f32> = planes
        .chunks_exact(CODE)
        .map(|plane| plane.iter().zip(code).map(|(a, b)| a * b).sum())
        .collect();
    pack_bits(&logits)
}

pub fn planes() -> Vec<f32> {
    let mut random = Normal(7);
    (0..BITS * CODE).map(|_| random.draw()).collect()
}

/// Stores images of these codes in the index in `dir`, numbered from `first` on.
pub fn fill(dir: &Path, encoder: &EncoderRecord, codes: &[f32], planes: &[f32], first: usize) {
    let mut writer = Writer::open(dir, encoder).unwrap();
    for (block, some) in codes.chunks(CODE * BLOCK).enumerate() {
        let changes: Vec<Change> = some
            .par_chunks_exact(CODE)
            .enumerate()
            .map(|(i, code)| {
                let number = first + block * BLOCK + i;
                let mut digest = [0; 32];
                digest[..8].copy_from_slice(&(number as u64).to_le_bytes());
                Change::Insert {
                    path: format!("/photos/{:04}/{number:08}.jpg", number / 1000).into(),
                    stat: FileStat {
                        size: number as u64,
                        ..FileStat::default()
                    },
                    content: NewContent {
                        digest,
                        width: 4000,
                        height: 3000,
                        format: "jpeg".to_owned(),
                        taken: Some(number as i64),
                        damage: None,
                        code: code.to_vec(),
                        hash: hash(code, planes),
                    },
                }
            })
            .collect();
        writer.apply(&changes).unwrap();
    }
}
