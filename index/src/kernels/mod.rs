//! The innermost loops: distances, bits, vector instructions and prefetching.

pub(crate) mod bits;
pub(crate) mod distance;
pub(crate) mod prefetch;
pub(crate) mod simd;
pub(crate) mod weighted;
