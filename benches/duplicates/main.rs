//! Duplicates: what finding the pairs that are near each other costs as a collection grows, and what it finds.
//!
//! `cargo bench -p imgsearch-index --bench duplicates -- [--images N,N,…] [--k K] [--ef N] [--index DIR]`
//!
//! Images are drawn from a seed, in clusters as loose as those of photographs (`benches/synthetic.rs`). One image in a
//! hundred has a copy: its code moved and its bits flipped until it is as far away as copies of photographs are by the
//! built-in encoder that were cropped, turned or re-encoded. Printed are the time of the join, the share of the planted
//! pairs among the pairs found, the number of pairs, and the peak memory of the process. `--index DIR` joins an index
//! that exists, which is only read: copy it first. No picture is decoded.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use imgsearch_index::{
    EncoderRecord, FoldOptions, Index, JoinParams, Searcher, Writer, hamming, l2_squared,
};

// Not all of it is used here.
#[allow(dead_code)]
#[path = "../synthetic.rs"]
mod synthetic;

use synthetic::{BITS, CODE, Images, Random};

/// Of this many images, one has a copy.
const COPIED: usize = 100;

/// How far a copy's code is moved, and how many of its bits are flipped: together a distance of 0.8 to 2.4.
const MOVED: (f32, f32) = (0.2, 0.5);
const FLIPPED: (u64, u64) = (12, 34);

/// Pairs are near if they are nearer than this share of the distance of any two images, as `duplicates` has it.
const REACH: f32 = 0.8;

struct Options {
    images: Vec<usize>,
    k: usize,
    ef: Option<usize>,
    index: Option<PathBuf>,
}

fn main() {
    let options = options();
    println!(
        "{:>10}  {:>8}  {:>10}  {:>9}  {:>12}  {:>10}",
        "images", "join s", "µs/image", "planted", "pairs", "peak MiB"
    );
    if let Some(dir) = &options.index {
        print(dir, &options, &[]);
        return;
    }
    for &n in &options.images {
        let dir = tempfile::tempdir().unwrap();
        let planted = filled(dir.path(), n);
        print(dir.path(), &options, &planted);
    }
}

fn options() -> Options {
    let mut options = Options {
        images: vec![10_000, 100_000],
        k: 48,
        ef: None,
        index: None,
    };
    let mut given = std::env::args().skip(1);
    while let Some(word) = given.next() {
        let mut value = || {
            given
                .next()
                .unwrap_or_else(|| panic!("{word} needs a value"))
        };
        match word.as_str() {
            "--bench" => {}
            "--images" => {
                options.images = value().split(',').map(|n| n.parse().unwrap()).collect();
            }
            "--k" => options.k = value().parse().unwrap(),
            "--ef" => options.ef = Some(value().parse().unwrap()),
            "--index" => options.index = Some(value().into()),
            other => panic!("unknown option {other}"),
        }
    }
    options
}

/// Makes an index of `n` images and returns which of them, counted from 0, are copies of which.
fn filled(dir: &Path, n: usize) -> Vec<(usize, usize)> {
    let copies = n / COPIED;
    let mut images = synthetic::draw(n - copies, n, 11);
    let mut random = Random(5);
    let mut planted = Vec::new();
    for i in 0..copies {
        let original = i * COPIED.min((n - copies) / copies.max(1));
        let copy = copy_of(&images, original, &mut random);
        planted.push((original, images.len()));
        images.push((&copy.0, &copy.1));
    }
    let encoder = EncoderRecord {
        fingerprint: "synthetic".to_owned(),
        name: "synthetic".to_owned(),
        code_len: CODE,
        bits: BITS,
        hash_weight: 16.0,
        metadata: "{}".to_owned(),
    };
    synthetic::fill(dir, &encoder, &images, 0);
    let mut options = FoldOptions::default();
    options.all = true;
    let mut writer = Writer::open_existing(dir).unwrap();
    writer
        .fold(&options, &mut |_| ControlFlow::Continue(()))
        .unwrap();
    planted
}

fn copy_of(images: &Images, original: usize, random: &mut Random) -> (Vec<f32>, Vec<u8>) {
    let (code, hash) = images.get(original);
    let (mut code, mut hash) = (code.to_vec(), hash.to_vec());
    let mut away: Vec<f32> = (0..CODE).map(|_| random.normal()).collect();
    synthetic::unit(&mut away);
    let moved = MOVED.0 + (MOVED.1 - MOVED.0) * random.uniform() as f32;
    code.iter_mut()
        .zip(&away)
        .for_each(|(number, away)| *number += moved * away);
    synthetic::unit(&mut code);
    for _ in 0..FLIPPED.0 + random.next() % (FLIPPED.1 - FLIPPED.0) {
        let bit = random.next() as usize % BITS;
        hash[bit / 8] ^= 1 << (bit % 8);
    }
    (code, hash)
}

fn print(dir: &Path, options: &Options, planted: &[(usize, usize)]) {
    let index = Index::open(dir).unwrap();
    let searcher = index.searcher().unwrap();
    let mut params = JoinParams::default();
    params.k = options.k;
    params.ef = options.ef;
    params.radius = Some(REACH * typical(&searcher));
    let started = Instant::now();
    let pairs = searcher
        .join(&params, |_| ControlFlow::Continue(()))
        .unwrap()
        .unwrap();
    let seconds = started.elapsed().as_secs_f64();
    // Ids ascend in the order in which images were stored.
    let first = pairs.iter().map(|pair| pair.a.0).min().unwrap_or(0).min(1);
    let found = planted.iter().filter(|(original, copy)| {
        let (a, b) = (first + *original as i64, first + *copy as i64);
        pairs
            .binary_search_by_key(&(a, b), |pair| (pair.a.0, pair.b.0))
            .is_ok()
    });
    let share = match planted.len() {
        0 => "-".to_owned(),
        all => format!("{:.4}", found.count() as f64 / all as f64),
    };
    println!(
        "{:>10}  {seconds:>8.2}  {:>10.1}  {share:>9}  {:>12}  {:>10}",
        searcher.len(),
        seconds * 1e6 / searcher.len() as f64,
        pairs.len(),
        peak_mib().map_or_else(|| "-".to_owned(), |mib| mib.to_string()),
    );
}

/// Returns the median distance of two images.
fn typical(searcher: &Searcher) -> f32 {
    let bit = searcher.encoder().hash_weight / searcher.encoder().bits as f32;
    let sample = searcher.sample(400);
    let mut distances: Vec<f32> = Vec::new();
    for (i, (code, hash)) in sample.iter().enumerate() {
        let others = sample[..i].iter();
        distances.extend(
            others.map(|(other, bits)| l2_squared(code, other) + bit * hamming(hash, bits) as f32),
        );
    }
    distances.sort_unstable_by(f32::total_cmp);
    distances[distances.len() / 2]
}

/// Returns the peak memory of the process so far, if the system says.
fn peak_mib() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(
        line.trim()
            .strip_suffix(" kB")?
            .trim()
            .parse::<usize>()
            .ok()?
            / 1024,
    )
}
