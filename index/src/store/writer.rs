//! The writer: the one that changes the store, a batch a transaction.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};

use crate::error::{Error, Result};
use crate::store::change::{apply_one, check_content};
use crate::store::clock::now;
use crate::store::columns::encoder_of;
use crate::store::lock::Lock;
use crate::store::path;
use crate::store::reader::Reader;
use crate::store::refused::Refused;
use crate::store::schema;
use crate::store::takeover::{replace, set_encoder, switch};
use crate::store::types::{Change, Digest, EncoderRecord, Image, NewCode};

/// Writes to an index. While it lives nobody else does; readers go on.
#[derive(Debug)]
pub struct Writer {
    dir: PathBuf,
    // Before the connection: whoever closes last folds the log into the database, and a reader
    // may not.
    reader: Reader,
    pub(super) connection: Connection,
    encoder: EncoderRecord,
    run: Option<i64>,
    /// Images that had to go from the trash because another encoder took over.
    dropped_from_trash: usize,
    _lock: Lock,
}

impl Writer {
    /// Opens the index in `dir` for writing with the codes of an encoder; makes it if there is
    /// none. One that holds no image takes any encoder.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`] if another process writes, [`Error::EncoderMismatch`] if another
    /// encoder made the index, and if the folder cannot be written.
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
            // Nothing depends on the encoder if no image is stored yet.
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
    /// [`Error::IndexNotFound`] if there is none, [`Error::Locked`] if another process writes.
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

    /// Returns the folder that holds the index.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the encoder whose codes are stored.
    pub fn encoder(&self) -> &EncoderRecord {
        &self.encoder
    }

    /// Returns the number of removed images that went from the trash for good when another encoder
    /// took over: those of which it has no code.
    pub fn dropped_from_trash(&self) -> usize {
        self.dropped_from_trash
    }

    /// Returns a reader of the same index.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn reader(&self) -> Result<Reader> {
        self.reader.try_clone()
    }

    /// Returns at most `limit` stored images of a content.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn images_with(&self, digest: &Digest, limit: usize) -> Result<Vec<Image>> {
        self.reader.images_with(digest, limit)
    }

    /// Returns applies changes in one transaction: all of them are on disk when it returns, or none.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] for a code or hash that is not the encoder's, a path or number that is
    /// not stored if the change needs it; if the database fails (a full disk, say). Nothing
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
    /// If the database fails.
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
    /// If the database fails.
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
    /// If the database fails.
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
    /// If the database fails; this index is kept as it was then.
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

    /// Gives every stored image the code of another encoder, which becomes the index's encoder, in one
    /// transaction: readers see the codes of the one or the other. Facts are deleted, and so are the images in
    /// the trash that have no new code.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if there is no code for a stored image, or one is not of the encoder's length;
    /// if the database fails. Nothing is changed then.
    pub fn switch_encoder(&mut self, encoder: &EncoderRecord, codes: &[NewCode]) -> Result<()> {
        let hash_bytes = encoder.hash_bytes();
        let fits = |new: &NewCode| {
            new.code.len() == encoder.code_len
                && new.hash.len() == hash_bytes
                && new.code.iter().all(|number| number.is_finite())
        };
        if !codes.iter().all(fits) {
            return Err(Error::InvalidInput(format!(
                "a new code is not {} finite numbers and {hash_bytes} bytes",
                encoder.code_len
            )));
        }
        let dropped = switch(&mut self.connection, encoder, codes)
            .map_err(|source| Error::database(&self.dir, source))?
            .ok_or_else(|| {
                Error::InvalidInput("a stored image has no code of the new encoder".to_owned())
            })?;
        self.dropped_from_trash += dropped;
        self.encoder = self.reader.encoder()?;
        Ok(())
    }
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
        "DELETE FROM contents; DELETE FROM segments; DELETE FROM removed; DELETE FROM facts;
         UPDATE generation SET number = number + 1;",
    )?;
    set_encoder(&transaction, encoder)?;
    transaction.commit()?;
    Ok(dropped)
}
