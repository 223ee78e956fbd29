//! Checksums of stored contents, so that a code that rots in the database is known for what it is.
//!
//! A content's checksum is the XXH3-64 of its digest, its code and its hash, one behind the other
//! as they are stored. A content without one is known to be wrong and waits for its file to be
//! read again.

use rusqlite::{Connection, Row, params};
use xxhash_rust::xxh3::Xxh3;

/// Contents whose checksums are filled in at a time.
const BLOCK: i64 = 4096;

/// Returns the checksum of a content.
pub(crate) fn of(digest: &[u8], code: &[u8], hash: &[u8]) -> i64 {
    let mut sum = Xxh3::new();
    for part in [digest, code, hash] {
        sum.update(part);
    }
    sum.digest().cast_signed()
}

/// Returns whether a row's columns from `first` on (digest, code, hash and checksum) go together.
pub(crate) fn holds(row: &Row<'_>, first: usize) -> rusqlite::Result<bool> {
    let (digest, code, hash) = (
        row.get_ref(first)?,
        row.get_ref(first + 1)?,
        row.get_ref(first + 2)?,
    );
    let (Ok(digest), Ok(code), Ok(hash)) = (digest.as_blob(), code.as_blob(), hash.as_blob())
    else {
        return Ok(false);
    };
    let stored: Option<i64> = row.get(first + 3)?;
    Ok(stored == Some(of(digest, code, hash)))
}

/// Fills in the checksums of an older database's contents, which are taken for right.
pub(crate) fn fill(connection: &Connection) -> rusqlite::Result<()> {
    let mut select = connection.prepare(
        "SELECT id, digest, code, hash FROM contents WHERE id > ?1 ORDER BY id LIMIT ?2",
    )?;
    let mut update = connection.prepare("UPDATE contents SET checksum = ?2 WHERE id = ?1")?;
    let mut after = i64::MIN;
    loop {
        let block = select
            .query_map([after, BLOCK], |row| {
                let part = |column| -> rusqlite::Result<_> { Ok(row.get_ref(column)?.as_blob()?) };
                Ok((row.get::<_, i64>(0)?, of(part(1)?, part(2)?, part(3)?)))
            })?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        let Some(&(last, _)) = block.last() else {
            return Ok(());
        };
        for (id, checksum) in block {
            update.execute(params![id, checksum])?;
        }
        after = last;
    }
}
