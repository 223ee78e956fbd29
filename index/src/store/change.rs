//! What each change does to the tables.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::checksum;
use super::clock::now;
use super::failures::forget_failure;
use super::labels;
use super::path;
use super::refused::Refused;
use super::trash;
use super::types::{Change, Digest, EncoderRecord, FailureKind, FileStat, ImageId, NewContent};
use crate::error::{Error, Result};
use crate::kernels::distance::{finite, l2_squared};

pub(super) fn check_content(
    encoder: &EncoderRecord,
    path: &Path,
    content: &NewContent,
) -> Result<()> {
    let bad = |what: String| Err(Error::InvalidInput(format!("{}: {what}", path.display())));
    if content.code.len() != encoder.code_len {
        return bad(format!(
            "a code of {} numbers, and the index holds codes of {}",
            content.code.len(),
            encoder.code_len
        ));
    }
    if content.hash.len() != encoder.hash_bytes() {
        return bad(format!(
            "a hash of {} bytes, and the index holds hashes of {}",
            content.hash.len(),
            encoder.hash_bytes()
        ));
    }
    if !finite(&content.code) {
        return bad("the code holds a number that is not finite".to_owned());
    }
    Ok(())
}

pub(super) fn apply_one(transaction: &Transaction<'_>, change: &Change) -> Result<(), Refused> {
    match change {
        Change::Insert {
            path,
            stat,
            content,
        } => {
            let id = insert_content(transaction, path, content)?;
            insert_image(transaction, path, stat, id)
        }
        Change::InsertKnown { path, stat, digest } => {
            let id = transaction
                .prepare_cached("SELECT id FROM contents WHERE digest = ?1")?
                .query_row([digest], |row| row.get(0))
                .map_err(|error| match error {
                    rusqlite::Error::QueryReturnedNoRows => Refused::Input(Error::InvalidInput(
                        format!("{}: its content is not stored", path.display()),
                    )),
                    error => error.into(),
                })?;
            insert_image(transaction, path, stat, id)
        }
        Change::Touch { path, stat } => touch(transaction, path, stat),
        Change::Rename { id, path, stat } => rename(transaction, *id, path, stat),
        Change::Remove { id } => {
            let removed = transaction
                .prepare_cached("DELETE FROM images WHERE id = ?1")?
                .execute([id.0])?;
            found(removed, || format!("there is no image {id}"))
        }
        Change::Discard { id } => {
            let discarded = trash::discard(transaction, *id, now())?;
            found(discarded, || format!("there is no image {id}"))
        }
        Change::Away { id } => {
            let away = transaction
                .prepare_cached(
                    "UPDATE images SET away_since = iif(away_since = 0, ?2, away_since) WHERE id = ?1",
                )?
                .execute([id.0, now()])?;
            found(away, || format!("there is no image {id}"))
        }
        Change::Failure {
            path,
            stat,
            kind,
            reason,
            digest,
        } => {
            if digest.is_some() {
                remove_at(transaction, path)?;
            }
            insert_failure(transaction, path, stat, *kind, reason)
        }
    }
}

fn touch(transaction: &Transaction<'_>, path: &Path, stat: &FileStat) -> Result<(), Refused> {
    let touched = transaction
        .prepare_cached(
            "UPDATE images SET size = ?2, mtime_ns = ?3, inode = ?4, ctime_ns = ?5, away_since = 0
             WHERE path = ?1",
        )?
        .execute(params![
            path::to_bytes(path)?,
            stat.size.cast_signed(),
            stat.mtime_ns,
            stat.inode.cast_signed(),
            stat.ctime_ns
        ])?;
    forget_failure(transaction, path)?;
    found(touched, || {
        format!("no image is stored under {}", path.display())
    })
}

fn rename(
    transaction: &Transaction<'_>,
    id: ImageId,
    path: &Path,
    stat: &FileStat,
) -> Result<(), Refused> {
    remove_at(transaction, path)?;
    let renamed = transaction
        .prepare_cached(
            "UPDATE images SET path = ?2, size = ?3, mtime_ns = ?4, inode = ?5, ctime_ns = ?6,
                               away_since = 0
             WHERE id = ?1",
        )?
        .execute(params![
            id.0,
            path::to_bytes(path)?,
            stat.size.cast_signed(),
            stat.mtime_ns,
            stat.inode.cast_signed(),
            stat.ctime_ns
        ])?;
    forget_failure(transaction, path)?;
    trash::is_back(transaction, path)?;
    found(renamed, || format!("there is no image {id}"))
}

fn insert_failure(
    transaction: &Transaction<'_>,
    path: &Path,
    stat: &FileStat,
    kind: FailureKind,
    reason: &str,
) -> Result<(), Refused> {
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO failures
                 (path, size, mtime_ns, kind, reason, inode, ctime_ns, limit_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            path::to_bytes(path)?,
            stat.size.cast_signed(),
            stat.mtime_ns,
            kind.name(),
            reason,
            stat.inode.cast_signed(),
            stat.ctime_ns,
            kind.limit_ms().map(u64::cast_signed)
        ])?;
    Ok(())
}

fn found(rows: usize, what: impl FnOnce() -> String) -> Result<(), Refused> {
    if rows == 1 {
        Ok(())
    } else {
        Err(Refused::Input(Error::InvalidInput(what())))
    }
}

/// Stores a content, or finds it stored already.
///
/// Equal files have equal codes but for the noise of another machine, so the code that is stored
/// stays. Another one would be another image's, and is refused. A stored one that does not match its
/// checksum gives way to the new one.
fn insert_content(
    transaction: &Transaction<'_>,
    path: &Path,
    content: &NewContent,
) -> Result<i64, Refused> {
    let code = code_bytes(&content.code);
    let stored = transaction
        .prepare_cached("SELECT digest, code, hash, checksum, id FROM contents WHERE digest = ?1")?
        .query_row([content.digest], |row| {
            let stored: Vec<u8> = row.get(1)?;
            Ok((row.get(4)?, checksum::holds(row, 0)?, stored))
        })
        .optional()?;
    match stored {
        Some((id, true, stored)) if is_same_code(&stored, &content.code) => return Ok(id),
        Some((_, true, _)) => {
            return Err(Refused::Input(Error::InvalidInput(format!(
                "{}: its content is stored with another code, and equal files have equal codes",
                path.display()
            ))));
        }
        Some((id, false, _)) => set_aside(transaction, id)?,
        None => {}
    }
    transaction
        .prepare_cached(
            "INSERT INTO contents (digest, width, height, format, taken, damage, code, hash, checksum)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            content.digest,
            content.width,
            content.height,
            content.format,
            content.taken,
            content.damage,
            code,
            content.hash,
            checksum::of(&content.digest, &code, &content.hash)
        ])?;
    let id = transaction.last_insert_rowid();
    labels::insert(transaction, id, &content.labels)?;
    Ok(id)
}

/// Returns a code as it is stored.
pub(super) fn code_bytes(code: &[f32]) -> Vec<u8> {
    code.iter()
        .flat_map(|number| number.to_le_bytes())
        .collect()
}

/// How far apart two codes of one content may be, as a share of the longer one's length: what
/// another processor, graphics card or decoder makes of the same file.
const NOISE: f32 = 0.05;

fn is_same_code(stored: &[u8], code: &[f32]) -> bool {
    let (numbers, _) = stored.as_chunks::<4>();
    let stored: Vec<f32> = numbers
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect();
    if stored.len() != code.len() {
        return false;
    }
    let zero = vec![0.0; code.len()];
    let longer = l2_squared(&stored, &zero).max(l2_squared(code, &zero));
    l2_squared(&stored, code) <= NOISE * NOISE * longer
}

fn insert_image(
    transaction: &Transaction<'_>,
    path: &Path,
    stat: &FileStat,
    content: i64,
) -> Result<(), Refused> {
    remove_at(transaction, path)?;
    transaction
        .prepare_cached(
            "INSERT INTO images (path, size, mtime_ns, content, inode, ctime_ns) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            path::to_bytes(path)?,
            stat.size.cast_signed(),
            stat.mtime_ns,
            content,
            stat.inode.cast_signed(),
            stat.ctime_ns
        ])?;
    trash::is_back(transaction, path)?;
    forget_failure(transaction, path)
}

fn remove_at(transaction: &Transaction<'_>, path: &Path) -> Result<(), Refused> {
    transaction
        .prepare_cached("DELETE FROM images WHERE path = ?1")?
        .execute([path::to_bytes(path)?])?;
    Ok(())
}

/// The date of a file that is to be read again: no file has it.
const NO_DATE: i64 = i64::MIN;

/// Takes a content for lost: nothing is found by its digest any more, and the files of its images
/// are taken for changed ones by the next run of indexing.
pub(crate) fn set_aside(connection: &Connection, content: i64) -> rusqlite::Result<()> {
    // No file has such a digest.
    let mut none: Digest = [0; 32];
    none[24..].copy_from_slice(&content.to_le_bytes());
    connection
        .prepare_cached("UPDATE contents SET digest = ?2, checksum = NULL WHERE id = ?1")?
        .execute(params![content, none])?;
    for table in ["images", "trash"] {
        connection
            .prepare_cached(&format!(
                "UPDATE {table} SET mtime_ns = ?2 WHERE content = ?1"
            ))?
            .execute([content, NO_DATE])?;
    }
    Ok(())
}
