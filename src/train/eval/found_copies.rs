//! Where the original of an edited copy stands in an answer, with and without expansion.

use imgsearch_index::{DEFAULT_EXPAND, Query};
use imgsearch_onnx::EncoderInfo;
use rayon::prelude::*;
use serde::Serialize;

use super::default_ranking::{ByLogits, DefaultRanking};

/// How often the original is among the first images that a query with a copy of it finds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FoundRow {
    /// The name of the ranking.
    pub ranking: String,
    /// For each of [`CopiesReport::edits`](super::copies::CopiesReport::edits), the share of copies whose original
    /// comes first.
    pub first: Vec<f64>,
    /// The same for the first ten.
    pub in_ten: Vec<f64>,
}

/// Codes, packed hashes and logits of images, row by row.
#[derive(Debug, Default)]
pub(super) struct Encoded {
    pub codes: Vec<f32>,
    pub hashes: Vec<u8>,
    pub logits: Vec<f32>,
}

/// Returns a row for each ranking of the originals. `edited` has the copies of all originals for each edit, in their
/// order.
pub(super) fn found(info: &EncoderInfo, originals: &Encoded, edited: &[Encoded]) -> Vec<FoundRow> {
    let ranking = DefaultRanking {
        codes: &originals.codes,
        code_len: info.code_len,
        hashes: &originals.hashes,
        by_logits: ByLogits::new(&originals.hashes, &originals.logits, info.bits),
        hash_weight: info.hash_weight,
    };
    [
        ("code + hash, asymmetric", 0),
        ("code + hash, expanded", DEFAULT_EXPAND),
    ]
    .map(|(name, expand)| {
        let shares = edited.iter().map(|copies| {
            let ranks = ranks(&ranking, info, copies, expand);
            let share = |limit: usize| {
                let within = ranks.iter().filter(|&&rank| rank < limit).count();
                within as f64 / ranks.len().max(1) as f64
            };
            (share(1), share(10))
        });
        let (first, in_ten) = shares.unzip();
        FoundRow {
            ranking: name.to_owned(),
            first,
            in_ten,
        }
    })
    .into()
}

/// Returns how many other originals come before the one of each copy.
fn ranks(
    ranking: &DefaultRanking<'_>,
    info: &EncoderInfo,
    copies: &Encoded,
    expand: usize,
) -> Vec<usize> {
    let n = ranking.codes.len() / info.code_len;
    let (length, bits, bytes) = (info.code_len, info.bits, info.bits.div_ceil(8));
    (0..n)
        .into_par_iter()
        .map(|i| {
            let query = Query::new(&copies.codes[i * length..(i + 1) * length])
                .hash(&copies.hashes[i * bytes..(i + 1) * bytes])
                .logits(&copies.logits[i * bits..(i + 1) * bits]);
            let mut apart = vec![0.0; n];
            ranking.answer(&query, 0..n, expand, &mut apart);
            let before = |&j: &usize| (apart[j], j) < (apart[i], i);
            (0..n).filter(before).count()
        })
        .collect()
}
