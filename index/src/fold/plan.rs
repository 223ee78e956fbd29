//! Which ranges of images become segments.

use crate::segment::MAX_ROWS;

/// A range of numbers to make a segment of.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Range {
    /// The number before the first.
    pub after: i64,
    /// The last; none for all that come.
    pub last: Option<i64>,
    pub images: usize,
}

/// Flags segments that are to be merged with a newer one: a run that went on for long leaves a row
/// of small ones.
pub(super) fn flag_neighbours(pieces: &mut [(Range, bool)], ratio: usize) {
    let Some((newest, _)) = pieces.last() else {
        return;
    };
    let mut newer = newest.images;
    for i in (1..pieces.len()).rev() {
        let older = pieces[i - 1].0.images;
        if newer + older <= MAX_ROWS && older <= newer.saturating_mul(ratio) {
            newer += older;
            pieces[i - 1].1 = true;
            pieces[i].1 = true;
        } else {
            newer = older;
        }
    }
}

/// Returns the ranges to make: what has to be, with the segments before and after it that are not much
/// larger than `ratio` times, up to a full segment.
pub(super) fn merged(pieces: Vec<(Range, bool)>, tail: Option<Range>, ratio: usize) -> Vec<Range> {
    let mut ranges: Vec<Range> = Vec::new();
    // The piece that grows, from the newest to the oldest.
    let mut growing: Option<Range> = tail;
    for (piece, due) in pieces.into_iter().rev() {
        match &mut growing {
            Some(range)
                if range.images + piece.images <= MAX_ROWS
                    && (due || piece.images <= range.images.saturating_mul(ratio)) =>
            {
                range.after = piece.after;
                range.images += piece.images;
            }
            _ if due => ranges.extend(growing.replace(piece)),
            _ => ranges.extend(growing.take()),
        }
    }
    ranges.extend(growing);
    ranges.reverse();
    ranges
}

#[cfg(test)]
mod tests {
    use super::super::MERGE_RATIO;
    use super::*;

    fn range(after: i64, last: i64, images: usize) -> Range {
        Range {
            after,
            last: Some(last),
            images,
        }
    }

    fn tail(after: i64, images: usize) -> Range {
        Range {
            after,
            last: None,
            images,
        }
    }

    #[test]
    fn a_tail_takes_in_what_is_not_much_larger() {
        let pieces = || {
            vec![
                (range(0, 100_000, 100_000), false),
                (range(100_000, 108_000, 8000), false),
                (range(108_000, 112_000, 4000), false),
            ]
        };
        assert_eq!(merged(pieces(), None, MERGE_RATIO), []);
        assert_eq!(
            merged(pieces(), Some(tail(112_000, 4096)), MERGE_RATIO),
            [tail(100_000, 16_096)]
        );
        assert_eq!(
            merged(pieces(), Some(tail(112_000, 60_000)), MERGE_RATIO),
            [tail(0, 172_000)]
        );
    }

    #[test]
    fn what_a_long_run_left_is_merged_and_what_is_settled_stays() {
        let flagged = |sizes: &[usize]| {
            let mut after = 0;
            let mut pieces: Vec<(Range, bool)> = Vec::new();
            for &size in sizes {
                let last = after + size as i64;
                pieces.push((range(after, last, size), false));
                after = last;
            }
            flag_neighbours(&mut pieces, MERGE_RATIO);
            merged(pieces, None, MERGE_RATIO)
        };
        assert_eq!(flagged(&[16_384; 5]), [range(0, 5 * 16_384, 5 * 16_384)]);
        assert_eq!(
            flagged(&[200_000, 16_384, 16_384]),
            [range(200_000, 232_768, 32_768)]
        );
        // As foldings leave them.
        assert_eq!(flagged(&[100_000, 40_000, 16_096]), []);
        assert_eq!(flagged(&[MAX_ROWS, MAX_ROWS, 400_000]), []);
        assert_eq!(flagged(&[7]), []);
        assert_eq!(flagged(&[]), []);
    }

    #[test]
    fn a_full_segment_is_left_alone() {
        let pieces = vec![(range(0, 1_000_000, MAX_ROWS), false)];
        assert_eq!(
            merged(pieces, Some(tail(1_000_000, 900_000)), MERGE_RATIO),
            [tail(1_000_000, 900_000)]
        );
    }

    #[test]
    fn what_is_damaged_is_made_anew_in_its_place() {
        let pieces = vec![
            (range(0, 10, 10), true),
            (range(10, 1_000_010, MAX_ROWS), false),
            (range(1_000_010, 1_000_020, 10), true),
        ];
        assert_eq!(
            merged(pieces, None, MERGE_RATIO),
            [range(0, 10, 10), range(1_000_010, 1_000_020, 10)]
        );
        // All images of a segment were removed.
        assert_eq!(
            merged(vec![(range(0, 5, 0), true)], None, MERGE_RATIO),
            [range(0, 5, 0)]
        );
    }
}
