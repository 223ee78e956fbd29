//! Distances for the graph: keys that order as the distances do.

use crate::kernels::distance::l2_lanes;
use crate::kernels::prefetch::prefetch;
use crate::kernels::weighted::BitWeights;

/// Points and how far they are from each other, as keys: a smaller key is a smaller distance.
pub(crate) trait Space: Sync {
    /// A point as it is compared.
    type Point: ?Sized;

    /// Returns the number of points.
    fn len(&self) -> usize;

    /// Returns a point.
    fn point(&self, node: u32) -> &Self::Point;

    /// Returns the key of the distance between two points.
    fn key(&self, a: &Self::Point, b: &Self::Point) -> u32;

    /// Returns what a key stands for, as a number that grows with the distance.
    fn distance(&self, key: u32) -> f32;

    /// Returns the slack of links: a point is linked to another although a third is nearer to that,
    /// unless its distance to it is smaller even after it was multiplied by this.
    fn slack(&self) -> f32;

    /// Has a point brought near, for it will be needed soon.
    fn prefetch(&self, node: u32);
}

/// The slack of squared distances of codes. With 1 instead, CIFAR-10's codes need a third more
/// candidates, and those of clusters of hundreds of near copies twice as many; with more than this,
/// files grow and little is gained.
const CODE_SLACK: f32 = 1.2;

/// The slack of distances by code and hash. With that of the codes, the rows of links are full of what
/// is near, and CIFAR-10's images need more candidates, not fewer.
const FUSED_SLACK: f32 = 1.1;

/// Codes as they are: float32, padded with zeros to whole lanes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Floats<'a> {
    pub rows: &'a [f32],
    pub stride: usize,
}

impl Space for Floats<'_> {
    type Point = [f32];

    fn len(&self) -> usize {
        self.rows.len() / self.stride
    }

    #[inline(always)]
    fn point(&self, node: u32) -> &[f32] {
        let start = node as usize * self.stride;
        &self.rows[start..start + self.stride]
    }

    #[inline(always)]
    fn key(&self, a: &[f32], b: &[f32]) -> u32 {
        // The bits of floats that are not negative order as they do.
        l2_lanes(a, b).to_bits()
    }

    #[inline(always)]
    fn distance(&self, key: u32) -> f32 {
        f32::from_bits(key)
    }

    #[inline(always)]
    fn slack(&self) -> f32 {
        CODE_SLACK
    }

    #[inline(always)]
    fn prefetch(&self, node: u32) {
        prefetch(self.rows, node as usize * self.stride, self.stride);
    }
}

/// Codes in one byte a number: a quarter of the memory to wait for. What is found is ordered
/// again by the codes as they are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bytes<'a> {
    pub rows: &'a [i8],
    pub stride: usize,
}

/// Lanes of the byte kernel; rows are padded to a multiple of it.
pub(crate) const BYTE_LANES: usize = 32;

impl Space for Bytes<'_> {
    type Point = [i8];

    fn len(&self) -> usize {
        self.rows.len() / self.stride
    }

    #[inline(always)]
    fn point(&self, node: u32) -> &[i8] {
        let start = node as usize * self.stride;
        &self.rows[start..start + self.stride]
    }

    #[inline(always)]
    fn key(&self, a: &[i8], b: &[i8]) -> u32 {
        squared(a, b)
    }

    #[inline(always)]
    fn distance(&self, key: u32) -> f32 {
        key as f32
    }

    #[inline(always)]
    fn slack(&self) -> f32 {
        CODE_SLACK
    }

    #[inline(always)]
    fn prefetch(&self, node: u32) {
        prefetch(self.rows, node as usize * self.stride, self.stride);
    }
}

/// Returns the squared distance of two codes in bytes.
#[inline(always)]
fn squared(a: &[i8], b: &[i8]) -> u32 {
    let (a, _) = a.as_chunks::<BYTE_LANES>();
    let (b, _) = b.as_chunks::<BYTE_LANES>();
    let mut sum = 0i32;
    for (a, b) in a.iter().zip(b) {
        for lane in 0..BYTE_LANES {
            let apart = i16::from(a[lane]) - i16::from(b[lane]);
            sum += i32::from(apart) * i32::from(apart);
        }
    }
    sum.cast_unsigned()
}

/// Codes in bytes with their hashes behind them, ranked as [`RankBy::Both`](crate::RankBy::Both) ranks:
/// the squared distance of the codes and a constant for each differing bit. A row is one cache line for
/// codes of 30 numbers and hashes of 256 bits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fused<'a> {
    pub rows: &'a [u8],
    pub stride: usize,
    /// How many of a row's bytes are the code's.
    pub code_bytes: usize,
    /// The square of what a byte's step stands for.
    pub step: f32,
    /// What a differing bit adds.
    pub bit: f32,
}

impl Space for Fused<'_> {
    type Point = [u8];

    fn len(&self) -> usize {
        self.rows.len() / self.stride
    }

    #[inline(always)]
    fn point(&self, node: u32) -> &[u8] {
        let start = node as usize * self.stride;
        &self.rows[start..start + self.stride]
    }

    #[inline(always)]
    fn key(&self, a: &[u8], b: &[u8]) -> u32 {
        let (a, a_hash) = a.split_at(self.code_bytes);
        let (b, b_hash) = b.split_at(self.code_bytes);
        let sum = squared(bytemuck::cast_slice(a), bytemuck::cast_slice(b));
        let (a, _) = a_hash.as_chunks::<8>();
        let (b, _) = b_hash.as_chunks::<8>();
        let apart: u32 = a
            .iter()
            .zip(b)
            .map(|(a, b)| (u64::from_ne_bytes(*a) ^ u64::from_ne_bytes(*b)).count_ones())
            .sum();
        (sum as f32 * self.step + apart as f32 * self.bit).to_bits()
    }

    #[inline(always)]
    fn distance(&self, key: u32) -> f32 {
        f32::from_bits(key)
    }

    #[inline(always)]
    fn slack(&self) -> f32 {
        FUSED_SLACK
    }

    #[inline(always)]
    fn prefetch(&self, node: u32) {
        prefetch(self.rows, node as usize * self.stride, self.stride);
    }
}

/// Fused rows as a query with logits ranks them: each differing bit counts by its weight, rounded down.
/// Only searched, never built on: a distance is between the query and a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weighted<'a> {
    pub fused: Fused<'a>,
    pub weights: &'a BitWeights,
}

impl Space for Weighted<'_> {
    type Point = [u8];

    fn len(&self) -> usize {
        self.fused.len()
    }

    #[inline(always)]
    fn point(&self, node: u32) -> &[u8] {
        self.fused.point(node)
    }

    #[inline(always)]
    fn key(&self, query: &[u8], row: &[u8]) -> u32 {
        let (code, _) = query.split_at(self.fused.code_bytes);
        let (row_code, row_hash) = row.split_at(self.fused.code_bytes);
        let sum = squared(bytemuck::cast_slice(code), bytemuck::cast_slice(row_code));
        let (hash, _) = row_hash.as_chunks::<8>();
        let hash = hash.iter().map(|word| u64::from_ne_bytes(*word));
        let bits = self.weights.lower_bound_of(hash);
        (sum as f32 * self.fused.step + bits).to_bits()
    }

    #[inline(always)]
    fn distance(&self, key: u32) -> f32 {
        f32::from_bits(key)
    }

    #[inline(always)]
    fn slack(&self) -> f32 {
        self.fused.slack()
    }

    #[inline(always)]
    fn prefetch(&self, node: u32) {
        self.fused.prefetch(node);
    }
}

/// Writes a fused row: a code in bytes, a hash, and zeros up to whole cache lines.
pub(crate) fn fuse(code: &[i8], hash: &[u64], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(bytemuck::cast_slice(code));
    out.extend(hash.iter().flat_map(|word| word.to_ne_bytes()));
    out.resize(start + fused_stride(code.len(), hash.len()), 0);
}

/// Returns bytes of a fused row.
pub(crate) fn fused_stride(code_bytes: usize, hash_words: usize) -> usize {
    (code_bytes + hash_words * 8).next_multiple_of(64)
}

/// The points in the order of the nodes.
#[derive(Debug)]
pub(crate) struct Ordered<'a, S> {
    pub space: &'a S,
    pub order: &'a [u32],
}

impl<S: Space> Space for Ordered<'_, S> {
    type Point = S::Point;

    fn len(&self) -> usize {
        self.order.len()
    }

    #[inline(always)]
    fn point(&self, node: u32) -> &S::Point {
        self.space.point(self.order[node as usize])
    }

    #[inline(always)]
    fn key(&self, a: &S::Point, b: &S::Point) -> u32 {
        self.space.key(a, b)
    }

    #[inline(always)]
    fn distance(&self, key: u32) -> f32 {
        self.space.distance(key)
    }

    #[inline(always)]
    fn slack(&self) -> f32 {
        self.space.slack()
    }

    #[inline(always)]
    fn prefetch(&self, node: u32) {
        self.space.prefetch(self.order[node as usize]);
    }
}

/// Quantises codes for [`Bytes`]: `number / scale`, rounded.
pub(crate) fn quantise(code: &[f32], scale: f32, out: &mut Vec<i8>) {
    // The cast saturates.
    out.extend(code.iter().map(|number| (number / scale).round() as i8));
    let whole = out.len().next_multiple_of(BYTE_LANES);
    out.resize(whole, 0);
}
