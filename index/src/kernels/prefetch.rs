//! Bringing memory near before it is needed.
//!
//! Owns the crate's prefetch instructions.

/// Bytes of a cache line on the processors that matter here.
const LINE: usize = 64;

/// Returns asks for `rows[start..start + length]` to be brought into the cache. Nothing happens if the
/// range is not within `rows`, and on processors without such an instruction.
#[inline(always)]
pub(crate) fn prefetch<T>(rows: &[T], start: usize, length: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(row) = rows.get(start..start + length) {
        let bytes = std::mem::size_of_val(row);
        let first = row.as_ptr().cast::<i8>();
        for line in (0..bytes).step_by(LINE) {
            // SAFETY: `first + line` lies in `row`, for `line` is less than its size; and the
            // instruction reads nothing that the program could see.
            #[allow(unsafe_code)]
            unsafe {
                use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
                _mm_prefetch::<_MM_HINT_T0>(first.add(line));
            }
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (rows, start, length, LINE);
}

#[cfg(test)]
mod tests {
    use super::prefetch;

    /// Nothing comes of it that could be seen; Miri sees where it reaches.
    #[test]
    fn it_stays_within_the_rows_wherever_it_is_sent() {
        let rows: Vec<u32> = (0..100).collect();
        for (start, length) in [
            (0, 100),
            (0, 0),
            (99, 1),
            (100, 0),
            (17, 40),
            (90, 11),
            (200, 1),
        ] {
            prefetch(&rows, start, length);
        }
        prefetch::<u32>(&[], 0, 0);
        prefetch(&[1u8; 64], 63, 1);
        assert_eq!(rows, (0..100).collect::<Vec<u32>>());
    }
}
