//! The crate `hnsw_rs` as it comes, on the same codes.

use std::time::Instant;

use hnsw_rs::api::AnnT;
use hnsw_rs::prelude::{DistL2, Hnsw, HnswIo};
use imgsearch_index::ImageId;

use crate::asking::{K, recall};
use crate::opened::resident;
use crate::synthetic::{CODE, Images};

/// The crate `hnsw_rs` as it comes: built on all threads, asked on one, saved and loaded.
pub fn print(codes: &[f32], asked: &Images, truth: &[Vec<ImageId>], efs: &[usize], json: bool) {
    let before = resident("RssAnon");
    let started = Instant::now();
    let rows: Vec<Vec<f32>> = codes.chunks_exact(CODE).map(<[f32]>::to_vec).collect();
    let hnsw: Hnsw<'_, f32, DistL2> = Hnsw::new(16, rows.len(), 16, 100, DistL2 {});
    let given: Vec<(&Vec<f32>, usize)> = rows.iter().zip(0..).collect();
    hnsw.parallel_insert(&given);
    let built = started.elapsed().as_secs_f64();
    let held = (resident("RssAnon") - before) / rows.len();
    let folder = tempfile::tempdir().unwrap();
    hnsw.file_dump(folder.path(), "hnsw").unwrap();
    let size: u64 = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    let started = Instant::now();
    let mut saved = HnswIo::new(folder.path(), "hnsw");
    let loaded: Hnsw<'_, f32, DistL2> = saved.load_hnsw().unwrap();
    loaded.search(&asked.codes[..CODE], K, 64);
    let opened = started.elapsed().as_secs_f64() * 1e3;
    if !json {
        println!(
            "\nhnsw_rs as it comes: built in {built:.1} s, {held} bytes an image in memory and {} on disk, opened and a query answered in {opened:.0} ms\n   ef   recall   µs, one thread",
            size as usize / rows.len()
        );
    }
    for &ef in efs {
        let started = Instant::now();
        let found: Vec<Vec<ImageId>> = (0..asked.len())
            .map(|i| {
                let found = hnsw.search(asked.get(i).0, K, ef);
                // Images were stored in the order of their codes, and their numbers begin at 1.
                found
                    .iter()
                    .map(|found| ImageId(found.d_id as i64 + 1))
                    .collect()
            })
            .collect();
        let us = started.elapsed().as_secs_f64() * 1e6 / found.len() as f64;
        let recall = recall(&found, truth);
        if json {
            println!(
                "{{\"ef\": {ef}, \"recall\": {recall:.5}, \"us\": {us:.2}, \"built\": {built:.1}}}"
            );
        } else {
            println!("{ef:>5}   {recall:.4}   {us:>14.1}");
        }
    }
}
