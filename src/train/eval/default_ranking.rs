//! The default ranking of queries, over all images of an evaluation.

use imgsearch_index::{
    DEFAULT_EXPAND, Mixture, Query, expansion_shift, expansion_weight, l2_squared,
};
use imgsearch_onnx::EncoderInfo;

use crate::train::extract::Extracted;

/// Distances of hashes by a query's logits: each differing bit counts by the size of its logit.
pub(crate) struct ByLogits<'a> {
    /// The stored bits as plus and minus one, `[n, bits]`.
    signs: Vec<f32>,
    logits: &'a [f32],
    pub bits: usize,
}

impl<'a> ByLogits<'a> {
    pub fn new(hashes: &[u8], logits: &'a [f32], bits: usize) -> Self {
        let sign = |hash: &[u8], i: usize| {
            if hash[i / 8] >> (i % 8) & 1 == 1 {
                1.0
            } else {
                -1.0
            }
        };
        let hashes = hashes.chunks_exact(bits.div_ceil(8));
        Self {
            signs: hashes
                .flat_map(|hash| (0..bits).map(move |i| sign(hash, i)))
                .collect(),
            logits,
            bits,
        }
    }

    /// Returns the logits of image `q`.
    pub fn of(&self, q: usize) -> &'a [f32] {
        &self.logits[q * self.bits..(q + 1) * self.bits]
    }

    /// Writes the distances from a query's logits to all images: `total` if all bits differ.
    pub fn apart(&self, asked: &[f32], total: f32, out: &mut [f32]) {
        let sum: f32 = asked.iter().map(|logit| logit.abs()).sum();
        let scale = 0.5 * total / sum.max(f32::MIN_POSITIVE);
        for (out, signs) in out.iter_mut().zip(self.signs.chunks_exact(self.bits)) {
            *out = scale * (sum - dot(asked, signs));
        }
    }
}

/// Returns the sum of the products of two rows. In as many sums as a vector register holds, which compilers do not
/// make of one by themselves, because the order of additions changes the last digits.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let ((a, last_a), (b, last_b)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sums = [0.0f32; LANES];
    for (a, b) in a.iter().zip(b) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    let rest: f32 = last_a.iter().zip(last_b).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

/// Codes and hashes, ranked as a query ranks them by default.
pub(crate) struct DefaultRanking<'a> {
    pub codes: &'a [f32],
    pub code_len: usize,
    pub hashes: &'a [u8],
    pub by_logits: ByLogits<'a>,
    pub hash_weight: f32,
}

impl<'a> DefaultRanking<'a> {
    /// Returns the ranking of what an encoder made of images.
    pub fn of(info: &EncoderInfo, extracted: &'a Extracted) -> Self {
        Self {
            codes: &extracted.codes,
            code_len: info.code_len,
            hashes: &extracted.hashes,
            by_logits: ByLogits::new(&extracted.hashes, &extracted.logits, info.bits),
            hash_weight: info.hash_weight,
        }
    }

    /// Writes the distances from image `q` to all images.
    pub fn plain(&self, q: usize, out: &mut [f32]) {
        self.apart(self.code(q), self.by_logits.of(q), out);
    }

    /// Writes the distances from image `q`, expanded by its nearest images of `database`, to all images. Image `q`
    /// is not in the database.
    pub fn expanded(&self, q: usize, database: &[usize], out: &mut [f32]) {
        let query = self.query(q);
        let database = database.iter().copied().filter(|&i| i != q);
        self.answer(&query, database, DEFAULT_EXPAND, out);
    }

    /// Writes the distances from a query with logits, expanded by its `expand` nearest images of `database`, to all
    /// images.
    pub fn answer(
        &self,
        query: &Query<'_>,
        database: impl Iterator<Item = usize>,
        expand: usize,
        out: &mut [f32],
    ) {
        self.from(query, out);
        let database: Vec<usize> = database.collect();
        let mut near: Vec<(f32, usize)> = database.iter().map(|&i| (out[i], i)).collect();
        let order = |a: &(f32, usize), b: &(f32, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
        if near.len() > expand {
            near.select_nth_unstable_by(expand.saturating_sub(1), order);
            near.truncate(expand);
        }
        near.sort_unstable_by(order);
        let (Some(&(nearest, _)), Some(&(last, _))) = (near.first(), near.last()) else {
            return;
        };
        let from_away = query.away().map(|away| {
            let mut distances = vec![0.0; out.len()];
            self.from(&away, &mut distances);
            distances
        });
        let mut mixture = Mixture::new(query, self.by_logits.bits);
        for &(distance, i) in &near {
            if from_away.as_ref().is_some_and(|away| away[i] < distance) {
                continue;
            }
            let weight = expansion_weight(distance - nearest);
            mixture.add(weight, self.code(i), self.hash(i));
        }
        let mixture = mixture.finish();
        self.from(&mixture.query(), out);
        let is_near = |i: usize| near.iter().any(|&(_, near)| near == i);
        let others = database.iter().filter(|&&i| !is_near(i));
        let first = others.map(|&i| out[i]).reduce(f32::min);
        let shift = first.map_or(0.0, |first| expansion_shift(last, first));
        out.iter_mut()
            .for_each(|out| *out = (*out + shift).max(last.next_up()));
        near.iter().for_each(|&(distance, i)| out[i] = distance);
    }

    /// Returns the query for image `q`.
    pub fn query(&self, q: usize) -> Query<'_> {
        Query::new(self.code(q))
            .hash(self.hash(q))
            .logits(self.by_logits.of(q))
    }

    /// Writes the distances from a query with logits to all images.
    fn from(&self, query: &Query<'_>, out: &mut [f32]) {
        self.apart(query.code, query.logits.unwrap_or_default(), out);
    }

    fn apart(&self, code: &[f32], logits: &[f32], out: &mut [f32]) {
        let mut codes = vec![0.0; out.len()];
        euclidean_from(code, self.codes, &mut codes);
        self.by_logits.apart(logits, self.hash_weight, out);
        for (out, code) in out.iter_mut().zip(codes) {
            *out += code;
        }
    }

    fn code(&self, i: usize) -> &[f32] {
        &self.codes[i * self.code_len..(i + 1) * self.code_len]
    }

    fn hash(&self, i: usize) -> &[u8] {
        let bytes = self.by_logits.bits.div_ceil(8);
        &self.hashes[i * bytes..(i + 1) * bytes]
    }
}

/// Writes the squared distances from `asked` to rows of its length.
pub(super) fn euclidean_from(asked: &[f32], rows: &[f32], out: &mut [f32]) {
    for (out, row) in out.iter_mut().zip(rows.chunks_exact(asked.len())) {
        *out = l2_squared(asked, row);
    }
}
