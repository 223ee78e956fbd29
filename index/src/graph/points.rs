//! The points that a graph links: codes, in bytes if that is fine enough, each distinct one
//! once.

use std::cmp::Ordering;

use super::NONE;
use super::space::quantise;

/// If a byte's step is more than this share of the numbers' spread, bytes are too coarse to
/// find a way by.
const COARSEST_STEP: f32 = 0.125;

/// Which rows are linked, and as what.
#[derive(Debug)]
pub(crate) struct Points {
    /// The rows in bytes, if bytes are fine enough.
    pub bytes: Option<InBytes>,
    /// The first row of each set of equal points, in order: a node each.
    pub nodes: Vec<u32>,
    /// For each row the next one of an equal point, or [`NONE`].
    pub duplicates: Vec<u32>,
}

/// Rows in one byte a number.
#[derive(Debug)]
pub(crate) struct InBytes {
    pub rows: Vec<i8>,
    pub stride: usize,
    /// A number is its byte times this.
    pub scale: f32,
}

impl Points {
    /// Returns the points of `codes`, `stride` numbers each.
    pub fn of(codes: &[f32], stride: usize) -> Self {
        let bytes = in_bytes(codes, stride);
        let (nodes, duplicates) = match &bytes {
            Some(bytes) => distinct(&bytes.rows, bytes.stride, i8::cmp),
            None => distinct(codes, stride, f32::total_cmp),
        };
        Self {
            bytes,
            nodes,
            duplicates,
        }
    }
}

/// Returns codes in bytes; none if a few large numbers would leave the others too coarse.
fn in_bytes(codes: &[f32], stride: usize) -> Option<InBytes> {
    let largest = codes
        .iter()
        .fold(0.0f32, |largest, number| largest.max(number.abs()));
    let squares: f64 = codes.iter().map(|number| f64::from(*number).powi(2)).sum();
    let spread = (squares / codes.len().max(1) as f64).sqrt() as f32;
    let scale = largest / f32::from(i8::MAX);
    if !scale.is_normal() || scale > spread * COARSEST_STEP {
        return None;
    }
    let mut rows = Vec::new();
    let mut byte_stride = 0;
    for (i, code) in codes.chunks_exact(stride).enumerate() {
        quantise(code, scale, &mut rows);
        if i == 0 {
            byte_stride = rows.len();
            rows.reserve_exact(codes.len() / stride * byte_stride - byte_stride);
        }
    }
    Some(InBytes {
        rows,
        stride: byte_stride,
        scale,
    })
}

/// Returns the first row of each set of equal rows, and for each row the next of its set.
pub(crate) fn distinct<T>(
    points: &[T],
    stride: usize,
    compare: impl Fn(&T, &T) -> Ordering,
) -> (Vec<u32>, Vec<u32>) {
    let point = |row: u32| &points[row as usize * stride..(row as usize + 1) * stride];
    let order = |a: u32, b: u32| {
        let numbers = point(a).iter().zip(point(b));
        numbers
            .map(|(a, b)| compare(a, b))
            .find(|order| order.is_ne())
    };
    let mut rows: Vec<u32> = (0..(points.len() / stride) as u32).collect();
    rows.sort_unstable_by(|&a, &b| order(a, b).unwrap_or_else(|| a.cmp(&b)));
    let mut duplicates = vec![NONE; rows.len()];
    let mut nodes = Vec::new();
    for set in rows.chunk_by(|&a, &b| order(a, b).is_none()) {
        nodes.push(set[0]);
        for pair in set.windows(2) {
            duplicates[pair[0] as usize] = pair[1];
        }
    }
    nodes.sort_unstable();
    (nodes, duplicates)
}
