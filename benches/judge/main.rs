//! How often the judge without labels agrees with labels:
//!
//!     cargo bench --bench judge -- OBJECTS PHOTOS
//!
//! OBJECTS holds a folder of photographs for each class, PHOTOS any other photographs. The classes are split into
//! thirds. For each third, an encoder is trained on the other two and PHOTOS, as the built-in one is; it stands for
//! the built-in encoder on a collection that it never saw. Collections of several sizes are drawn from the third.
//! For each, encoders of different worth are trained. Labels give each its mean average precision (mAP, leave one
//! out); the judge gives each its score. The table counts the pairs of encoders of one collection that differ by more
//! than 0.01 mAP, and how often the judge prefers the better one.

mod collections;
mod encoders;
mod truth;

use std::error::Error;
use std::path::Path;

use imgsearch::onnx::EncoderFile;
use imgsearch::training::head::ClassifierPrior;
use imgsearch::training::judge::Judge;
use imgsearch::{Engine, EngineOptions};

use collections::{Pool, collections};
use encoders::{base, variants};
use truth::{map, rank};

/// Differences of mAP that are too small to be judged.
const SAME: f64 = 0.01;

fn main() -> Result<(), Box<dyn Error>> {
    let mut folders = std::env::args().skip(1).filter(|word| word != "--bench");
    let (Some(objects), Some(photos)) = (folders.next(), folders.next()) else {
        // `cargo test --benches` runs this without folders.
        eprintln!("name two folders: cargo bench --bench judge -- OBJECTS PHOTOS");
        return Ok(());
    };
    let engine = Engine::new(EncoderFile::default_encoder()?, EngineOptions::default())?;
    let prior = ClassifierPrior::of(engine.file())?;
    let pool = Pool::read(&engine, Path::new(&objects), Path::new(&photos))?;
    let bases = (0..3)
        .map(|third| base(&pool, &pool.outside(third), &prior))
        .collect::<Result<Vec<_>, _>>()?;
    println!("collection           images  encoders  best mAP  its rank by the judge");
    let (mut pairs, mut against_base) = (Tally::default(), Tally::default());
    let mut encoders = 0;
    for collection in collections(&pool) {
        let features = pool.features_of(&collection.images);
        let labels = pool.labels_of(&collection.images);
        let judge = Judge::new(&features, pool.d, &prior)?;
        let mut scored = Vec::new();
        for head in variants(&pool, &collection, &bases[collection.third], &prior)? {
            let output = head.apply(&features, collection.images.len());
            let distances = |image: usize, out: &mut [f32]| rank(&head, &output, image, out);
            scored.push((map(&labels, &distances), judge.score(distances)));
        }
        for (i, a) in scored.iter().enumerate() {
            for (j, b) in scored.iter().enumerate().skip(i + 1) {
                if (a.0 - b.0).abs() <= SAME {
                    continue;
                }
                let agrees = (a.0 > b.0) == (a.1 > b.1);
                pairs.count(agrees);
                // The first is the one that stands for the built-in encoder.
                if i == 0 && j > 0 {
                    against_base.count(agrees);
                }
            }
        }
        encoders += scored.len();
        let best = scored.iter().map(|s| s.0).fold(0.0, f64::max);
        let of_best = scored.iter().find(|s| s.0 == best).map_or(0.0, |s| s.1);
        let rank = 1 + scored.iter().filter(|s| s.1 > of_best).count();
        println!(
            "{:<20} {:>6}  {:>8}  {best:>8.3}  {rank}",
            collection.name,
            collection.images.len(),
            scored.len()
        );
    }
    println!("\n{encoders} encoders");
    println!("pairs that differ by more than {SAME} mAP: {pairs}");
    println!("of these, with the one that stands for the built-in encoder: {against_base}");
    Ok(())
}

/// Counts verdicts.
#[derive(Default)]
struct Tally {
    right: usize,
    all: usize,
}

impl Tally {
    fn count(&mut self, right: bool) {
        self.right += usize::from(right);
        self.all += 1;
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let share = 100.0 * self.right as f64 / self.all.max(1) as f64;
        write!(f, "{} of {} right ({share:.1} %)", self.right, self.all)
    }
}
