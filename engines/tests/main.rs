//! The contract of collections: the folder and every server pass the same tests. Servers are started for real.

#![cfg(all(feature = "milvus", feature = "postgres"))]

mod contract;
mod engine;
mod failing;
#[allow(dead_code)]
mod milvus;
#[allow(dead_code)]
mod server;

use std::path::PathBuf;

use imgsearch_index::collection::Entry;
use imgsearch_index::{EncoderRecord, FileStat, Label, NewContent, pack_bits};

/// Numbers of a code, bits of a hash, as the built-in encoder has them.
const CODE: usize = 30;
const BITS: usize = 256;

fn encoder() -> EncoderRecord {
    EncoderRecord {
        fingerprint: "1b2c".to_owned(),
        name: "test".to_owned(),
        code_len: CODE,
        bits: BITS,
        hash_weight: 4.0,
        metadata: "{}".to_owned(),
    }
}

/// Numbers drawn from a seed: PCG's multiplier, and a sum of twelve for a normal distribution.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn normal(&mut self) -> f32 {
        let sum: f32 = (0..12)
            .map(|_| self.next() as f32 / (1u64 << 31) as f32)
            .sum();
        sum - 6.0
    }
}

/// An encoded image.
#[derive(Clone)]
struct Image {
    code: Vec<f32>,
    logits: Vec<f32>,
}

impl Image {
    fn hash(&self) -> Vec<u8> {
        pack_bits(&self.logits)
    }
}

/// Draws images as photographs lie: in clusters of about a hundred, codes of length one, and logits that see the code
/// and more.
fn drawn(n: usize, seed: u64) -> Vec<Image> {
    const UNSEEN: usize = 30;
    let mut random = Random(seed);
    let mut world = Random(99);
    let centres: Vec<Vec<f32>> = (0..(n / 100).max(1))
        .map(|_| (0..CODE + UNSEEN).map(|_| random.normal()).collect())
        .collect();
    let planes: Vec<Vec<f32>> = (0..BITS)
        .map(|_| (0..CODE + UNSEEN).map(|_| world.normal()).collect())
        .collect();
    (0..n)
        .map(|_| {
            let centre = &centres[random.next() as usize % centres.len()];
            let point: Vec<f32> = centre.iter().map(|c| c + 0.5 * random.normal()).collect();
            let length = point[..CODE].iter().map(|v| v * v).sum::<f32>().sqrt();
            let code: Vec<f32> = point[..CODE].iter().map(|v| v / length).collect();
            let logits = planes.iter().map(|plane| {
                let seen: f32 = plane[..CODE].iter().zip(&code).map(|(a, b)| a * b).sum();
                let rest = plane[CODE..].iter().zip(&point[CODE..]);
                seen + 0.05 * rest.map(|(a, b)| a * b).sum::<f32>()
            });
            Image {
                logits: logits.collect(),
                code,
            }
        })
        .collect()
}

/// An image to be stored: everything about it follows from its number.
fn entry(i: usize, image: &Image) -> Entry {
    let mut digest = [7; 32];
    digest[..8].copy_from_slice(&(i as u64).to_le_bytes());
    let is_jpeg = i.is_multiple_of(2);
    Entry {
        path: PathBuf::from(format!(
            "/p/{}/{i:06}.{}",
            i % 10,
            if is_jpeg { "jpg" } else { "png" }
        )),
        stat: FileStat {
            size: i as u64,
            mtime_ns: i as i64 * 1_000_000_000,
            inode: u64::MAX - i as u64,
            ctime_ns: 5,
        },
        content: NewContent {
            digest,
            width: 640,
            height: 480,
            format: if is_jpeg { "jpeg" } else { "png" }.to_owned(),
            taken: i.is_multiple_of(3).then_some(-(i as i64)),
            damage: i
                .is_multiple_of(7)
                .then(|| "half of it is missing".to_owned()),
            code: image.code.clone(),
            hash: image.hash(),
            labels: vec![
                Label {
                    class: (i % 50) as u16,
                    probability: 0.6,
                },
                Label {
                    class: 500,
                    probability: 0.2,
                },
            ],
        },
    }
}

/// Stores images in batches, as indexing does.
fn fill(collection: &dyn imgsearch_index::collection::Collection, images: &[Image]) {
    let entries: Vec<Entry> = images
        .iter()
        .enumerate()
        .map(|(i, image)| entry(i, image))
        .collect();
    for batch in entries.chunks(500) {
        collection.upsert(batch).unwrap();
    }
    collection.flush().unwrap();
}
