//! The writer: the one that changes the store, a batch a transaction.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::error::{Error, Result};
use crate::kernels::distance::{finite, l2_squared};
use crate::mend::set_aside;
use crate::store::checksum;
use crate::store::lock::Lock;
use crate::store::path;
use crate::store::reader::{Reader, encoder_of};
use crate::store::schema;
use crate::store::trash;
use crate::store::types::{Change, Digest, EncoderRecord, FileStat, Image, NewContent};

/// Writes to an index. While it lives nobody else does; readers go on.
#[derive(Debug)]
pub struct Writer {
    dir: PathBuf,
    // Before the connection: whoever closes last folds the log into the database, and a reader
    // may not.
    reader: Reader,
    pub(crate) connection: Connection,
    encoder: EncoderRecord,
    run: Option<i64>,
    /// Images that had to go from the trash because another encoder took over.
    dropped_from_trash: usize,
    _lock: Lock,
}

impl Writer {
    /// Opens the index in `dir` for writing with the codes of an encoder; makes it where there is
    /// none. One that holds no image takes any encoder.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`] where another process writes, [`Error::EncoderMismatch`] where another
    /// encoder made the index, and where the folder cannot be written.
    pub fn open(dir: &Path, encoder: &EncoderRecord) -> Result<Self> {
        fs::create_dir_all(dir).map_err(|source| Error::io("make the folder", dir, source))?;
        let lock = Lock::take(dir)?;
        let mut connection = schema::open_writable(dir)?;
        let fail = |source| Error::database(dir, source);
        let made_by = encoder_of(&connection).map_err(fail)?;
        let mut dropped = 0;
        if let Some(made_by) = &made_by
            && Reader::open(dir)?.holds_images()?
        {
            check_encoder(dir, made_by, encoder)?;
        } else if made_by.as_ref() != Some(encoder) {
            // Nothing depends on the encoder where no image is stored yet.
            dropped = begin_with(&mut connection, encoder).map_err(fail)?;
        }
        let mut writer = Self::assemble(dir, connection, lock)?;
        writer.dropped_from_trash = dropped;
        Ok(writer)
    }

    /// Opens an index that exists, whichever encoder made it.
    ///
    /// # Errors
    ///
    /// [`Error::NoIndex`] where there is none, [`Error::Locked`] where another process writes.
    pub fn open_existing(dir: &Path) -> Result<Self> {
        // Before anything is made: a folder without an index gets no lock.
        Reader::open(dir)?.encoder()?;
        let lock = Lock::take(dir)?;
        let connection = schema::open_writable(dir)?;
        Self::assemble(dir, connection, lock)
    }

    fn assemble(dir: &Path, connection: Connection, lock: Lock) -> Result<Self> {
        let reader = Reader::open(dir)?;
        Ok(Self {
            dir: dir.to_owned(),
            encoder: reader.encoder()?,
            connection,
            reader,
            run: None,
            dropped_from_trash: 0,
            _lock: lock,
        })
    }

    /// The folder that holds the index.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The encoder whose codes are stored.
    pub fn encoder(&self) -> &EncoderRecord {
        &self.encoder
    }

    /// How many removed images went from the trash for good when another encoder took over: those
    /// of which it has no code.
    pub fn dropped_from_trash(&self) -> usize {
        self.dropped_from_trash
    }

    /// A reader of the same index.
    ///
    /// # Errors
    ///
    /// What the database says.
    pub fn reader(&self) -> Result<Reader> {
        self.reader.try_clone()
    }

    /// At most `limit` stored images of a content.
    ///
    /// # Errors
    ///
    /// What the database says.
    pub fn images_with(&self, digest: &Digest, limit: usize) -> Result<Vec<Image>> {
        self.reader.images_with(digest, limit)
    }

    /// Applies changes in one transaction: all of them are on disk when it returns, or none.
    ///
    /// # Errors
    ///
    /// [`Error::BadInput`] for a code or hash that is not the encoder's, a path or number that is
    /// not stored where the change needs it; what the database says (a full disk, say). Nothing
    /// is changed then.
    pub fn apply(&mut self, changes: &[Change]) -> Result<()> {
        for change in changes {
            if let Change::Insert { path, content, .. } = change {
                check_content(&self.encoder, path, content)?;
            }
        }
        let dir = self.dir.clone();
        let fail = |source| Error::database(&dir, source);
        let transaction = self.connection.transaction().map_err(fail)?;
        for change in changes {
            apply_one(&transaction, change).map_err(|error| match error {
                Refused::Database(source) => fail(source),
                Refused::Input(error) => error,
            })?;
        }
        transaction
            .execute("UPDATE generation SET number = number + 1", ())
            .map_err(fail)?;
        transaction.commit().map_err(fail)
    }

    /// Forgets the failures whose paths are chosen.
    ///
    /// # Errors
    ///
    /// What the database says.
    pub fn forget_failures(&mut self, chosen: impl Fn(&Path) -> bool) -> Result<usize> {
        let dir = self.dir.clone();
        let fail = |source| Error::database(&dir, source);
        let chosen: Vec<_> = self
            .reader
            .failures()?
            .into_iter()
            .filter(|failure| chosen(&failure.path))
            .collect();
        let transaction = self.connection.transaction().map_err(fail)?;
        for failure in &chosen {
            transaction
                .execute(
                    "DELETE FROM failures WHERE path = ?1",
                    [path::to_bytes(&failure.path)?],
                )
                .map_err(fail)?;
        }
        transaction.commit().map_err(fail)?;
        Ok(chosen.len())
    }

    /// Records that a run begins.
    ///
    /// # Errors
    ///
    /// What the database says.
    pub fn begin_run(&mut self, roots: &[PathBuf]) -> Result<()> {
        let dir = self.dir.clone();
        let fail = |source| Error::database(&dir, source);
        let transaction = self.connection.transaction().map_err(fail)?;
        transaction
            .execute("INSERT INTO runs (started) VALUES (?1)", [now()])
            .map_err(fail)?;
        let run = transaction.last_insert_rowid();
        for root in roots {
            transaction
                .execute(
                    "INSERT OR IGNORE INTO run_roots (run, path) VALUES (?1, ?2)",
                    params![run, path::to_bytes(root)?],
                )
                .map_err(fail)?;
        }
        transaction.commit().map_err(fail)?;
        self.run = Some(run);
        Ok(())
    }

    /// Records that the run ended, and forgets what has been in the trash for
    /// [`TRASH_DAYS`](crate::TRASH_DAYS), and the contents that neither an image nor the trash has any
    /// more. They are kept until then, for within a run a content may leave one path and come to
    /// another.
    ///
    /// # Errors
    ///
    /// What the database says.
    pub fn finish_run(&mut self, counts: &serde_json::Value, completed: bool) -> Result<()> {
        self.expire_trash()?;
        self.sweep()?;
        if let Some(run) = self.run.take() {
            self.connection
                .execute(
                    "UPDATE runs SET ended = ?2, completed = ?3, counts = ?4 WHERE id = ?1",
                    params![run, now(), completed, counts.to_string()],
                )
                .map_err(|source| Error::database(&self.dir, source))?;
        }
        Ok(())
    }

    pub(crate) fn sweep(&mut self) -> Result<()> {
        self.connection
            .execute(
                "DELETE FROM contents
                 WHERE NOT EXISTS (SELECT 1 FROM images WHERE images.content = contents.id)
                   AND NOT EXISTS (SELECT 1 FROM trash WHERE trash.content = contents.id)",
                (),
            )
            .map_err(|source| Error::database(&self.dir, source))?;
        Ok(())
    }

    /// Puts the images and the encoder of another index in the place of this one's, in one
    /// transaction: readers see the one or the other. An image whose path and content stay keeps
    /// its id, and failures that the other does not know of are kept. Of the trash only those images
    /// are kept whose content the other has a code of; [`Writer::dropped_from_trash`] says how many
    /// were not.
    ///
    /// # Errors
    ///
    /// What the database says; this index is kept as it was then.
    pub fn replace_with(&mut self, other: Self) -> Result<()> {
        let from = schema::database_path(&other.dir);
        drop(other);
        let dir = self.dir.clone();
        let fail = |source| Error::database(&dir, source);
        self.connection
            .execute("ATTACH DATABASE ?1 AS new", [schema::uri(&from)])
            .map_err(fail)?;
        let replaced = replace(&mut self.connection).map_err(fail);
        self.connection
            .execute("DETACH DATABASE new", ())
            .map_err(fail)?;
        self.dropped_from_trash += replaced?;
        self.encoder = self.reader.encoder()?;
        Ok(())
    }
}

/// How many images went from the trash.
fn replace(connection: &mut Connection) -> rusqlite::Result<usize> {
    let transaction = connection.transaction()?;
    let dropped = trash::drop_all_but_new(&transaction)?;
    transaction.execute_batch(
        "
        DELETE FROM encoder;
        INSERT INTO encoder SELECT * FROM new.encoder;
        -- They hold the codes of the encoder before. That a number is used up tells views that
        -- what they hold in memory is of no use either.
        INSERT INTO segments (first_image, last_image, images) VALUES (0, 0, 0);
        DELETE FROM segments;
        DELETE FROM removed;

        INSERT INTO contents (digest, width, height, format, taken, damage, code, hash, checksum)
            SELECT digest, width, height, format, taken, damage, code, hash, checksum
            FROM new.contents
            WHERE true
            ON CONFLICT (digest) DO UPDATE SET
                width = excluded.width, height = excluded.height, format = excluded.format,
                taken = excluded.taken, damage = excluded.damage,
                code = excluded.code, hash = excluded.hash, checksum = excluded.checksum;

        CREATE TEMP TABLE wanted AS
            SELECT n.id, n.path, n.size, n.mtime_ns, n.inode, n.ctime_ns, c.id AS content
            FROM new.images n
            JOIN new.contents nc ON nc.id = n.content
            JOIN contents c ON c.digest = nc.digest;
        CREATE UNIQUE INDEX temp.wanted_by_path ON wanted (path);
        DELETE FROM images WHERE NOT EXISTS
            (SELECT 1 FROM wanted w WHERE w.path = images.path AND w.content = images.content);
        UPDATE images SET size = w.size, mtime_ns = w.mtime_ns, inode = w.inode,
                          ctime_ns = w.ctime_ns, away_since = 0
            FROM wanted w WHERE w.path = images.path;
        INSERT INTO images (path, size, mtime_ns, inode, ctime_ns, content)
            SELECT path, size, mtime_ns, inode, ctime_ns, content FROM wanted w
            WHERE NOT EXISTS (SELECT 1 FROM images i WHERE i.path = w.path)
            ORDER BY w.id;
        DROP TABLE wanted;
        DELETE FROM contents
            WHERE NOT EXISTS (SELECT 1 FROM images WHERE images.content = contents.id)
              AND NOT EXISTS (SELECT 1 FROM trash WHERE trash.content = contents.id);
        INSERT OR REPLACE INTO folders SELECT * FROM new.folders;

        DELETE FROM failures WHERE path IN (SELECT path FROM images);
        INSERT OR REPLACE INTO failures (path, size, mtime_ns, stage, reason, inode, ctime_ns)
            SELECT path, size, mtime_ns, stage, reason, inode, ctime_ns FROM new.failures;
        CREATE TEMP TABLE before AS SELECT coalesce(max(id), 0) AS newest FROM runs;
        INSERT INTO runs (id, started, ended, completed, counts)
            SELECT newest + id, started, ended, completed, counts FROM new.runs, before;
        INSERT INTO run_roots (run, path)
            SELECT newest + run, path FROM new.run_roots, before;
        DROP TABLE before;
        UPDATE generation SET number = number + 1;
        ",
    )?;
    transaction.commit()?;
    Ok(dropped)
}

/// Refuses an encoder that did not make the index.
pub(crate) fn check_encoder(
    dir: &Path,
    made_by: &EncoderRecord,
    given: &EncoderRecord,
) -> Result<()> {
    if made_by.fingerprint == given.fingerprint {
        return Ok(());
    }
    Err(Error::EncoderMismatch {
        dir: dir.to_owned(),
        made_by: made_by.name.clone(),
        made_by_fingerprint: made_by.fingerprint.clone(),
        given: given.name.clone(),
        given_fingerprint: given.fingerprint.clone(),
    })
}

/// Makes `encoder` the encoder of an index without images; how many went from the trash.
fn begin_with(connection: &mut Connection, encoder: &EncoderRecord) -> rusqlite::Result<usize> {
    let transaction = connection.transaction()?;
    let dropped = transaction.execute("DELETE FROM trash", ())?;
    transaction.execute_batch(
        "DELETE FROM contents; DELETE FROM encoder; DELETE FROM segments; DELETE FROM removed;
         UPDATE generation SET number = number + 1;",
    )?;
    transaction.execute(
        "INSERT INTO encoder VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            encoder.fingerprint,
            encoder.name,
            encoder.code_len as i64,
            encoder.bits as i64,
            f64::from(encoder.hash_weight),
            encoder.metadata
        ],
    )?;
    transaction.commit()?;
    Ok(dropped)
}

fn check_content(encoder: &EncoderRecord, path: &Path, content: &NewContent) -> Result<()> {
    let bad = |what: String| Err(Error::BadInput(format!("{}: {what}", path.display())));
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

pub(crate) enum Refused {
    Database(rusqlite::Error),
    Input(Error),
}

impl From<rusqlite::Error> for Refused {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Input(error)
    }
}

fn apply_one(transaction: &Transaction<'_>, change: &Change) -> Result<(), Refused> {
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
                    rusqlite::Error::QueryReturnedNoRows => Refused::Input(Error::BadInput(
                        format!("{}: its content is not stored", path.display()),
                    )),
                    error => error.into(),
                })?;
            insert_image(transaction, path, stat, id)
        }
        Change::Touch { path, stat } => {
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
        Change::Rename { id, path, stat } => {
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
            stage,
            reason,
            digest,
        } => {
            if digest.is_some() {
                remove_at(transaction, path)?;
            }
            transaction
                .prepare_cached(
                    "INSERT OR REPLACE INTO failures (path, size, mtime_ns, stage, reason, inode, ctime_ns)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![
                    path::to_bytes(path)?,
                    stat.size.cast_signed(),
                    stat.mtime_ns,
                    stage,
                    reason,
                    stat.inode.cast_signed(),
                    stat.ctime_ns
                ])?;
            Ok(())
        }
    }
}

fn found(rows: usize, what: impl FnOnce() -> String) -> Result<(), Refused> {
    if rows == 1 {
        Ok(())
    } else {
        Err(Refused::Input(Error::BadInput(what())))
    }
}

/// Stores a content, or finds it stored already.
///
/// Equal files have equal codes but for the noise of another machine, so the code that is stored
/// stays. Another one would be another image's, and is refused. A stored one that does not match its
/// checksum is set aside for the new one.
fn insert_content(
    transaction: &Transaction<'_>,
    path: &Path,
    content: &NewContent,
) -> Result<i64, Refused> {
    let code: Vec<u8> = content.code.iter().flat_map(|v| v.to_le_bytes()).collect();
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
            return Err(Refused::Input(Error::BadInput(format!(
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
    Ok(transaction.last_insert_rowid())
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

pub(crate) fn forget_failure(transaction: &Transaction<'_>, path: &Path) -> Result<(), Refused> {
    transaction
        .prepare_cached("DELETE FROM failures WHERE path = ?1")?
        .execute([path::to_bytes(path)?])?;
    Ok(())
}

pub(crate) fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs().cast_signed())
}
