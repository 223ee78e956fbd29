//! Codes and hashes without photographs, for benches that need many of them: in clusters, drawn from
//! a seed, 30 numbers of length one each and 256 bits.
//!
//! The bits are as loosely tied to the codes as the built-in encoder's are. They are the sides of
//! random planes on which a point lies that has more directions than the code: those of the code, and
//! [`UNSEEN`] that the code does not show. Both tie strengths are printed by
//! `cargo bench -p imgsearch-index --bench search`, of drawn and of real images alike.

use std::path::Path;

use imgsearch_index::{Change, EncoderRecord, FileStat, NewContent, Writer, pack_bits};
use rayon::prelude::*;

/// Numbers of a code.
pub const CODE: usize = 30;
/// Bits of a hash.
pub const BITS: usize = 256;
/// Bytes of a packed hash.
pub const HASH: usize = BITS / 8;
/// Photographs of one place, day or subject: so many on average.
const CLUSTER: usize = 100;
/// How far the images of a cluster lie from its centre, of how far the centres lie apart.
const SPREAD: f32 = 0.5;
/// Directions that the bits see and the code does not …
const UNSEEN: usize = 60;
/// … and how much each of them counts; the code's own count 1, 0.9, 0.8 and so on down.
const UNSEEN_SCALE: f32 = 0.3;
/// Images stored in one transaction.
const BLOCK: usize = 20_000;

/// Images as they are stored.
#[derive(Debug, Clone, Default)]
pub struct Images {
    /// [`CODE`] numbers each.
    pub codes: Vec<f32>,
    /// [`HASH`] bytes each.
    pub hashes: Vec<u8>,
    /// The logits of the hashes, [`BITS`] numbers each, or none: stored images have bits only.
    pub logits: Vec<f32>,
}

impl Images {
    /// How many.
    pub fn len(&self) -> usize {
        self.codes.len() / CODE
    }

    /// An image's code and hash.
    pub fn get(&self, i: usize) -> (&[f32], &[u8]) {
        (
            &self.codes[i * CODE..(i + 1) * CODE],
            &self.hashes[i * HASH..(i + 1) * HASH],
        )
    }

    /// The logits of an image's hash, if there are any.
    pub fn logits(&self, i: usize) -> Option<&[f32]> {
        self.logits.get(i * BITS..(i + 1) * BITS)
    }

    /// The same images as queries with logits: of normally distributed size, with the signs of the bits.
    pub fn with_logits(&self, seed: u64) -> Self {
        let mut random = Random(seed);
        let mut all = self.clone();
        all.logits.clear();
        for i in 0..self.len() {
            let (_, hash) = self.get(i);
            all.logits.extend((0..BITS).map(|bit| {
                let size = random.normal().abs().max(f32::MIN_POSITIVE);
                let set = hash[bit / 8] >> (bit % 8) & 1 == 1;
                if set { size } else { -size }
            }));
        }
        all
    }

    /// Adds an image.
    pub fn push(&mut self, (code, hash): (&[f32], &[u8])) {
        self.codes.extend_from_slice(code);
        self.hashes.extend_from_slice(hash);
    }
}

/// Numbers from a seed.
pub struct Random(pub u64);

impl Random {
    /// 64 bits.
    pub fn next(&mut self) -> u64 {
        // SplitMix64 (Steele, Lea and Flood 2014).
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Between 0 and 1.
    pub fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// As a normal distribution has them.
    pub fn normal(&mut self) -> f32 {
        let (a, b) = (self.uniform(), self.uniform());
        ((-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()) as f32
    }
}

/// Makes a code's length one.
pub fn unit(code: &mut [f32]) {
    let norm = code.iter().map(|v| v * v).sum::<f32>().sqrt();
    code.iter_mut().for_each(|v| *v /= norm);
}

/// Images in clusters: `n` of them from the clusters of an index of `images`.
pub fn draw(n: usize, images: usize, seed: u64) -> Images {
    let clusters = images.div_ceil(CLUSTER);
    let planes = planes();
    let drawn: Vec<(Vec<f32>, Vec<u8>)> = (0..n)
        .into_par_iter()
        .map(|i| {
            let mut own = Random(seed ^ (i as u64).wrapping_mul(0xd134_2543_de82_ef95));
            let cluster = own.next() % clusters as u64;
            let mut centre = Random(cluster.wrapping_mul(0xa076_1d64_78bd_642f));
            let point: Vec<f32> = (0..CODE + UNSEEN)
                .map(|j| scale(j) * (centre.normal() + SPREAD * own.normal()))
                .collect();
            let logits: Vec<f32> = planes
                .chunks_exact(point.len())
                .map(|plane| plane.iter().zip(&point).map(|(a, b)| a * b).sum())
                .collect();
            let mut code = point[..CODE].to_vec();
            unit(&mut code);
            (code, pack_bits(&logits))
        })
        .collect();
    let mut all = Images::default();
    for (code, hash) in &drawn {
        all.push((code, hash));
    }
    all
}

/// The leading numbers of a code vary more than the last.
fn scale(direction: usize) -> f32 {
    if direction < CODE {
        1.0 / (1.0 + direction as f32 / 10.0)
    } else {
        UNSEEN_SCALE
    }
}

fn planes() -> Vec<f32> {
    let mut random = Random(7);
    (0..BITS * (CODE + UNSEEN))
        .map(|_| random.normal())
        .collect()
}

/// Stores images in the index in `dir`, numbered from `first` on.
pub fn fill(dir: &Path, encoder: &EncoderRecord, images: &Images, first: usize) {
    let mut writer = Writer::open(dir, encoder).unwrap();
    let numbers: Vec<usize> = (0..images.len()).collect();
    for block in numbers.chunks(BLOCK) {
        let changes: Vec<Change> = block
            .par_iter()
            .map(|&i| {
                let number = first + i;
                let (code, hash) = images.get(i);
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
                        labels: Vec::new(),
                        code: code.to_vec(),
                        hash: hash.to_vec(),
                    },
                }
            })
            .collect();
        writer.apply(&changes).unwrap();
    }
}
