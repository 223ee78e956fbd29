//! Whether a segment holds what the database does.

use crate::error::Result;
use crate::segment::Segment;
use crate::store::reader::Reader;
use crate::store::segments::StoredSegment;
use crate::store::types::EncoderRecord;

/// Rows that are compared at a time.
const BLOCK: usize = 16 * 1024;

/// Returns the number of rows of a segment that are not what the database holds, or the other way
/// round. Images that were `removed` need not be in it any more, and those whose stored codes do not
/// match their checksums say nothing about it.
pub(crate) fn differing(
    reader: &Reader,
    encoder: &EncoderRecord,
    stored: &StoredSegment,
    segment: &Segment,
    removed: &[i64],
) -> Result<usize> {
    let rows = segment.rows();
    let is_live = |id: i64| removed.binary_search(&id).is_err();
    let (mut after, mut row, mut differing) = (stored.first - 1, 0, 0);
    loop {
        let range = (after, stored.last);
        let block = reader.load(encoder, range, BLOCK)?;
        let more = block.seen() == BLOCK;
        let truth = block.rows();
        // Up to here the database was looked at.
        let end = if more {
            block.last().unwrap_or(stored.last)
        } else {
            i64::MAX
        };
        let mut place = 0;
        while row < rows.len() && rows.ids[row] <= end {
            let id = rows.ids[row];
            // In the database alone.
            let missing = truth.ids[place..]
                .iter()
                .take_while(|&&there| there < id)
                .count();
            differing += missing;
            place += missing;
            if truth.ids.get(place) == Some(&id) {
                let same =
                    rows.code(row) == truth.code(place) && rows.hash(row) == truth.hash(place);
                differing += usize::from(!same);
                place += 1;
            } else {
                let known = block.rotten.binary_search(&id).is_ok();
                differing += usize::from(!known && is_live(id));
            }
            row += 1;
        }
        differing += truth.len() - place;
        match block.last() {
            Some(last) if more => after = last,
            _ => return Ok(differing),
        }
    }
}
