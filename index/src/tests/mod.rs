//! Tests of the crate as a whole, and what they share.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;

use crate::*;

mod collection;
mod damage;
mod filter;
mod formats;
mod interface;
mod join;
mod labels;
mod search;
mod segments;
mod store;
mod views;

pub(crate) fn encoder(code_len: usize, bits: usize) -> EncoderRecord {
    EncoderRecord {
        fingerprint: format!("{code_len}-{bits}"),
        name: "test".to_owned(),
        code_len,
        bits,
        hash_weight: 3.0,
        metadata: "{}".to_owned(),
    }
}

pub(crate) fn content(number: u64, code: Vec<f32>, hash: Vec<u8>) -> NewContent {
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&number.to_le_bytes());
    NewContent {
        digest,
        width: 4,
        height: 3,
        format: "jpeg".to_owned(),
        taken: Some(-5),
        damage: None,
        labels: Vec::new(),
        code,
        hash,
    }
}

pub(crate) fn insert(path: &str, content: NewContent) -> Change {
    Change::Insert {
        path: path.into(),
        stat: FileStat {
            size: 7,
            mtime_ns: -9,
            ..FileStat::default()
        },
        content,
    }
}

/// Numbers from a few values, so that distances tie.
pub(super) fn few_values(seed: &mut u64) -> f32 {
    *seed = seed
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    ((*seed >> 60) % 3) as f32 - 1.0
}

pub(super) fn filled(dir: &Path, n: u64, code_len: usize, bits: usize) -> Vec<(Vec<f32>, Vec<u8>)> {
    let mut writer = Writer::open(dir, &encoder(code_len, bits)).unwrap();
    let mut seed = 42;
    let rows: Vec<(Vec<f32>, Vec<u8>)> = (0..n)
        .map(|_| {
            let code = (0..code_len).map(|_| few_values(&mut seed)).collect();
            let logits: Vec<f32> = (0..bits).map(|_| few_values(&mut seed)).collect();
            (code, pack_bits(&logits))
        })
        .collect();
    let changes: Vec<Change> = rows
        .iter()
        .enumerate()
        .map(|(i, (code, hash))| {
            insert(
                &format!("/p/{i:05}.jpg"),
                content(i as u64, code.clone(), hash.clone()),
            )
        })
        .collect();
    writer.apply(&changes).unwrap();
    rows
}

/// Numbers spread evenly between -1 and 1.
pub(super) fn spread(seed: &mut u64) -> f32 {
    *seed = seed
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 40) as f32 / (1u64 << 23) as f32 - 1.0
}

/// An index of `n` images with codes of 8 numbers, and its writer.
pub(super) fn many(dir: &Path, n: u64) -> Writer {
    let mut writer = Writer::open(dir, &encoder(8, 64)).unwrap();
    add(&mut writer, 0..n);
    writer
}

pub(super) fn code_of(i: u64) -> Vec<f32> {
    let mut seed = i.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..8).map(|_| spread(&mut seed)).collect()
}

pub(super) fn add(writer: &mut Writer, range: std::ops::Range<u64>) {
    let changes: Vec<Change> = range
        .map(|i| Change::Insert {
            path: format!(
                "/p/{}/{i:06}.{}",
                i % 10,
                if i % 2 == 0 { "jpg" } else { "png" }
            )
            .into(),
            stat: FileStat {
                size: i,
                mtime_ns: i as i64 * 1_000_000_000,
                ..FileStat::default()
            },
            content: NewContent {
                format: if i % 2 == 0 { "jpeg" } else { "png" }.to_owned(),
                taken: (i % 3 == 0).then_some(-(i as i64)),
                ..content(i, code_of(i), i.to_le_bytes().to_vec())
            },
        })
        .collect();
    writer.apply(&changes).unwrap();
}

pub(super) fn fold(writer: &mut Writer, options: &FoldOptions) -> Folded {
    writer.fold(options, &mut going_on).unwrap()
}

/// A progress that never cancels.
pub(crate) fn going_on(_: Step) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

pub(super) fn all() -> FoldOptions {
    FoldOptions {
        all: true,
        ..FoldOptions::default()
    }
}

pub(super) fn segment_files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir.join("segments"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

pub(super) fn ids(found: &[Neighbour]) -> Vec<i64> {
    found.iter().map(|found| found.id.0).collect()
}

/// Recall at 10 of the graph against the scan over some queries.
pub(super) fn recall(index: &Index, params: &SearchParams) -> f64 {
    let (mut same, mut of) = (0, 0);
    for i in 0..100u64 {
        let code = code_of(1_000_000 + i);
        let query = Query::new(&code);
        let exact = index
            .search(&query, &params.clone().strategy(SearchStrategy::Exact))
            .unwrap();
        let found = index
            .search(&query, &params.clone().strategy(SearchStrategy::Graph))
            .unwrap();
        assert_eq!(found.len(), exact.len());
        of += exact.len();
        same += exact.iter().filter(|there| found.contains(there)).count();
    }
    same as f64 / of as f64
}
