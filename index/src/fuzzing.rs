//! Entry points for tests and fuzzers: a segment's bytes that nobody may have written. No part of the
//! crate's interface.

use std::path::Path;
use std::sync::atomic::AtomicUsize;

use crate::error::Result;
use crate::graph::GraphOptions;
use crate::kernels::distance::{LANES, hamming_words, l2_squared};
use crate::kernels::weighted::BitWeights;
use crate::segment::mapped::Bytes;
use crate::segment::{Content, FusedQuery, SearchScratch, Segment, seal};
use crate::store::rows::Loaded;
use crate::store::types::EncoderRecord;

/// Numbers in a code of [`segment`]'s.
const CODE_LEN: usize = 6;

fn encoder() -> EncoderRecord {
    EncoderRecord {
        fingerprint: "0123456789abcdef".to_owned(),
        name: "test".to_owned(),
        code_len: CODE_LEN,
        bits: 64,
        hash_weight: 1.0,
        metadata: "{}".to_owned(),
    }
}

/// Returns the bytes of a sound segment with this number of rows.
///
/// # Errors
///
/// None in practice.
pub fn segment(rows: usize) -> Result<Vec<u8>> {
    let mut loaded = Loaded::empty(&encoder());
    for row in 0..rows {
        loaded.ids.push(row as i64 + 1);
        // Neither in order nor all different.
        let start = row * 7919 % 251;
        loaded
            .codes
            .extend((0..CODE_LEN).map(|i| ((start * (i + 3)) % 97) as f32 / 97.0));
        loaded.codes.resize((row + 1) * loaded.stride, 0.0);
        loaded
            .hashes
            .push((row as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    }
    let content = Content {
        encoder: &encoder(),
        rows: loaded.rows(),
    };
    let options = GraphOptions {
        threads: 1,
        ..GraphOptions::default()
    };
    let built = Segment::build(&content, &options, &AtomicUsize::new(0))?;
    Ok(built.as_bytes().to_vec())
}

/// Makes the header's checksum right for whatever it holds, and those of the sections if
/// `sections` says so and they lie in the file.
pub fn reseal(bytes: &mut [u8], sections: bool) {
    seal(bytes, sections);
}

/// Reads a segment as the program does that finds it: its header, a few searches while nothing
/// else is known to be sound, and then all of it. How many rows the searches met.
///
/// # Errors
///
/// What is wrong with it.
///
/// # Panics
///
/// If a search gives what it must not.
pub fn search(bytes: &[u8]) -> Result<usize> {
    let segment = Segment::unverified(Bytes::copied(bytes), Path::new("segment"))?;
    let mut met = 0;
    if segment.fits(&encoder()) {
        let rows = segment.rows();
        let mut scratch = SearchScratch::default();
        let mut found = Vec::new();
        for (ef, number) in [(1, 0.0), (16, 0.5), (usize::MAX, -1e30), (64, f32::NAN)] {
            let mut code = vec![number; CODE_LEN];
            code.resize(CODE_LEN.next_multiple_of(LANES), 0.0);
            let hash = [ef as u64];
            let logits: Vec<f32> = (0..64)
                .map(|bit| if hash[0] >> bit & 1 == 1 { 1.0 } else { -0.5 })
                .collect();
            let weights = BitWeights::new(&logits, 16.0);
            // The graph of the codes, and that of codes and hashes without and with weights.
            for fused in [None, Some(None), Some(Some(&weights))] {
                match fused {
                    Some(weights) => {
                        let query = FusedQuery {
                            code: &code,
                            hash: &hash,
                            weights,
                        };
                        segment.fused_candidates(&query, ef, &mut scratch, &mut found);
                    }
                    None => segment.candidates(&code, ef, &mut scratch, &mut found),
                }
                assert!(found.len() <= segment.len(), "more rows than there are");
                for &row in &found {
                    let row = row as usize;
                    std::hint::black_box((
                        rows.ids[row],
                        l2_squared(&code, rows.code(row)),
                        hamming_words(rows.hash(row), &[0]),
                    ));
                }
                met += found.len();
            }
        }
    }
    segment.verify()?;
    Ok(met)
}
