//! What the columns of a row mean.

use std::path::PathBuf;

use rusqlite::{Connection, OptionalExtension as _, Row};

use super::path;
use super::types::{EncoderRecord, Failure, FailureKind, FileStat, Image, ImageId};

pub(super) const IMAGE_COLUMNS: &str = "i.id, i.path, i.size, i.mtime_ns, c.digest, c.width, c.height, c.format, c.taken, \
                             c.damage, i.inode, i.ctime_ns, i.away_since FROM images i JOIN contents c ON c.id = i.content";

pub(super) const FAILURE_COLUMNS: &str =
    "path, size, mtime_ns, kind, reason, inode, ctime_ns, limit_ms FROM failures";

/// Returns the encoder that an index names; none in an index that is just being made.
pub(crate) fn encoder_of(connection: &Connection) -> rusqlite::Result<Option<EncoderRecord>> {
    connection
        .query_row(
            "SELECT fingerprint, name, code_len, bits, hash_weight, metadata FROM encoder",
            (),
            |row| {
                Ok(EncoderRecord {
                    fingerprint: row.get(0)?,
                    name: row.get(1)?,
                    code_len: row.get::<_, u32>(2)? as usize,
                    bits: row.get::<_, u32>(3)? as usize,
                    hash_weight: row.get::<_, f64>(4)? as f32,
                    metadata: row.get(5)?,
                })
            },
        )
        .optional()
}

pub(crate) fn path_of(row: &Row<'_>, column: usize) -> rusqlite::Result<PathBuf> {
    path::from_bytes(row.get(column)?).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(
            column,
            rusqlite::types::Type::Blob,
            Box::new(error),
        )
    })
}

/// Returns the stat in columns of a row: size, date, inode number and change time.
pub(crate) fn stat_of(row: &Row<'_>, columns: [usize; 4]) -> rusqlite::Result<FileStat> {
    let [size, mtime, inode, ctime] = columns;
    Ok(FileStat {
        size: row.get::<_, i64>(size)?.cast_unsigned(),
        mtime_ns: row.get(mtime)?,
        inode: row.get::<_, i64>(inode)?.cast_unsigned(),
        ctime_ns: row.get(ctime)?,
    })
}

pub(super) fn image_of(row: &Row<'_>) -> rusqlite::Result<Image> {
    Ok(Image {
        id: ImageId(row.get(0)?),
        path: path_of(row, 1)?,
        stat: stat_of(row, [2, 3, 10, 11])?,
        digest: row.get(4)?,
        width: row.get(5)?,
        height: row.get(6)?,
        format: row.get(7)?,
        taken: row.get(8)?,
        damage: row.get(9)?,
        away_since: Some(row.get(12)?).filter(|&since: &i64| since != 0),
    })
}

/// Returns the kind of a failure from two columns of a row: its name and its limit.
pub(super) fn failure_kind_of(
    row: &Row<'_>,
    [name, limit]: [usize; 2],
) -> rusqlite::Result<FailureKind> {
    let limit_ms: Option<i64> = row.get(limit)?;
    let text: String = row.get(name)?;
    FailureKind::from_name(&text, limit_ms.map(i64::cast_unsigned)).ok_or_else(|| {
        rusqlite::Error::FromSqlConversionFailure(
            name,
            rusqlite::types::Type::Text,
            format!("{text:?} is no kind of failure").into(),
        )
    })
}

pub(super) fn failure_of(row: &Row<'_>) -> rusqlite::Result<Failure> {
    Ok(Failure {
        path: path_of(row, 0)?,
        stat: stat_of(row, [1, 2, 5, 6])?,
        kind: failure_kind_of(row, [3, 7])?,
        reason: row.get(4)?,
    })
}
