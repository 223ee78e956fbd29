//! The schema: what the database holds, and how older ones are brought up to it.
//!
//! Owns the connection's settings and the list of migrations. The list is append-only: a
//! database of format `n` has gone through the first `n` steps.

use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::error::{Error, Result};
use crate::store::checksum;
use crate::store::lock::Lock;
use crate::store::mark::{Mark, identity};

/// The database's name inside an index.
pub(crate) const DATABASE_FILE: &str = "imgsearch.sqlite";

/// Marks a database as ours: "imgs" in ASCII.
pub(crate) const APPLICATION_ID: i32 = 0x696d_6773;

/// How long a statement waits for another's, in milliseconds.
const BUSY_TIMEOUT_MS: u32 = 10_000;

/// Each step leads from the format of its place in the list to the next.
const MIGRATIONS: &[&str] = &[
    // 1: the first.
    "
    -- The encoder that made every code here.
    CREATE TABLE encoder (
        one         INTEGER PRIMARY KEY CHECK (one = 1),
        fingerprint TEXT NOT NULL,
        name        TEXT NOT NULL,
        code_len    INTEGER NOT NULL,
        bits        INTEGER NOT NULL,
        hash_weight REAL NOT NULL,
        metadata    TEXT NOT NULL
    ) STRICT;

    -- Counted up with every change, so that what is derived can tell that it is stale.
    CREATE TABLE generation (
        one    INTEGER PRIMARY KEY CHECK (one = 1),
        number INTEGER NOT NULL
    ) STRICT;
    INSERT INTO generation VALUES (1, 0);

    -- Distinct contents: files of the same bytes share one.
    CREATE TABLE contents (
        id     INTEGER PRIMARY KEY,
        digest BLOB NOT NULL UNIQUE,
        width  INTEGER NOT NULL,
        height INTEGER NOT NULL,
        format TEXT NOT NULL,
        taken  INTEGER,
        damage TEXT,
        code   BLOB NOT NULL,
        hash   BLOB NOT NULL
    ) STRICT;

    -- Files. AUTOINCREMENT: a number is never used again.
    CREATE TABLE images (
        id       INTEGER PRIMARY KEY AUTOINCREMENT,
        path     BLOB NOT NULL UNIQUE,
        size     INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL,
        content  INTEGER NOT NULL REFERENCES contents (id)
    ) STRICT;
    CREATE INDEX images_by_content ON images (content);

    -- Files that cannot be read or decoded, so that they are not tried again until they change.
    CREATE TABLE failures (
        path     BLOB PRIMARY KEY,
        size     INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL,
        stage    TEXT NOT NULL,
        reason   TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE runs (
        id        INTEGER PRIMARY KEY,
        started   INTEGER NOT NULL,
        ended     INTEGER,
        completed INTEGER NOT NULL DEFAULT 0,
        counts    TEXT NOT NULL DEFAULT '{}'
    ) STRICT;
    CREATE TABLE run_roots (
        run  INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
        path BLOB NOT NULL,
        PRIMARY KEY (run, path)
    ) STRICT, WITHOUT ROWID;
    ",
    // 2: segments, which are made from what is above.
    "
    -- Files of codes, hashes and graphs, each of the images with numbers in a range. No two ranges
    -- overlap, and newer images come behind all of them. AUTOINCREMENT: a file's name is never
    -- used again.
    CREATE TABLE segments (
        id          INTEGER PRIMARY KEY AUTOINCREMENT,
        first_image INTEGER NOT NULL,
        last_image  INTEGER NOT NULL,
        images      INTEGER NOT NULL
    ) STRICT;

    -- Images that were removed since their segment was made.
    CREATE TABLE removed (image INTEGER PRIMARY KEY) STRICT;
    CREATE TRIGGER images_removed AFTER DELETE ON images
    WHEN EXISTS (SELECT 1 FROM segments WHERE OLD.id <= last_image)
    BEGIN
        INSERT OR IGNORE INTO removed VALUES (OLD.id);
    END;
    ",
    // 3: what tells files and folders apart beyond size and date, a checksum for each content, the
    // trash, and which segments were verified.
    "
    -- Inode number and change time of the file; 0 where they are not known.
    ALTER TABLE images ADD COLUMN inode INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE images ADD COLUMN ctime_ns INTEGER NOT NULL DEFAULT 0;
    -- Since when the file has been missing together with the disk or folder that it was on; 0 where
    -- that is not so.
    ALTER TABLE images ADD COLUMN away_since INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE failures ADD COLUMN inode INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE failures ADD COLUMN ctime_ns INTEGER NOT NULL DEFAULT 0;

    -- XXH3-64 of digest, code and hash; null where they are known to be wrong, and the image waits
    -- to be read again.
    ALTER TABLE contents ADD COLUMN checksum INTEGER;

    -- The folders that held images when they were last walked, and those above them up to the walked
    -- root: an image is forgotten only if its folder is still the same one. Numbers of devices and
    -- inodes are given out again (every disk's topmost folder has the same inode), the instant at
    -- which a folder was made is not; 0 where the system does not tell it.
    CREATE TABLE folders (
        path    BLOB PRIMARY KEY,
        device  INTEGER NOT NULL,
        inode   INTEGER NOT NULL,
        born_ns INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- Removed images, kept for a while so that they can be restored and a file that comes back need
    -- not be encoded again.
    CREATE TABLE trash (
        id       INTEGER PRIMARY KEY,
        path     BLOB NOT NULL,
        size     INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL,
        inode    INTEGER NOT NULL,
        ctime_ns INTEGER NOT NULL,
        content  INTEGER NOT NULL REFERENCES contents (id),
        removed  INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX trash_by_content ON trash (content);
    CREATE INDEX trash_by_path ON trash (path);

    -- Size and change time of a segment's file when its checksums were last found right; 0 if never.
    ALTER TABLE segments ADD COLUMN verified_size INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE segments ADD COLUMN verified_mtime_ns INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE segments ADD COLUMN verified_ctime_ns INTEGER NOT NULL DEFAULT 0;
    ",
    // 4: the kind of a failure, which was known only from its text before.
    "
    ALTER TABLE failures RENAME COLUMN stage TO kind;
    -- For files that took too long: the limit of that run in milliseconds.
    ALTER TABLE failures ADD COLUMN limit_ms INTEGER;
    UPDATE failures SET kind = 'deferred' WHERE kind = 'untried';
    UPDATE failures SET kind = 'unsupported'
        WHERE kind = 'decode' AND reason LIKE '% images cannot be decoded; convert it%';
    -- A number is read up to the first character that does not belong to it.
    UPDATE failures SET kind = 'timed_out', limit_ms = CAST(round(1000 * CAST(substr(reason,
            1 + length('too slow: decoding it takes longer than the limit of ')) AS REAL)) AS INTEGER)
        WHERE kind = 'limit'
          AND reason LIKE 'too slow: decoding it takes longer than the limit of % seconds%';
    ",
    // 5: what is known of the collection as a whole, such as whether its encoder was trained on it.
    "
    CREATE TABLE facts (
        name  TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    ",
    // 6: the classes that images most likely show.
    "
    CREATE TABLE labels (
        content     INTEGER NOT NULL REFERENCES contents (id) ON DELETE CASCADE,
        class       INTEGER NOT NULL,
        -- In 255ths.
        probability INTEGER NOT NULL,
        PRIMARY KEY (content, class)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX labels_by_class ON labels (class, probability DESC, content);
    ",
];

/// The step that gave contents their checksums, which SQL alone cannot compute.
const CHECKSUMS: i64 = 3;

/// The newest format known, which is what is written.
pub const FORMAT_VERSION: i64 = MIGRATIONS.len() as i64;

pub(crate) fn database_path(dir: &Path) -> PathBuf {
    dir.join(DATABASE_FILE)
}

/// Opens the database for writing, made or brought up to date as need be.
pub(crate) fn open_writable(dir: &Path) -> Result<Connection> {
    let fail = |source| Error::database(dir, source);
    let mut connection = Connection::open(database_path(dir)).map_err(fail)?;
    configure(&connection).map_err(fail)?;
    let format = format_of(&connection).map_err(fail)?;
    check_format(dir, &connection, format)?;
    connection
        .pragma_update(None, "journal_mode", "wal")
        .map_err(fail)?;
    // A commit is on disk when it returns: what was reported as stored stays stored.
    connection
        .pragma_update(None, "synchronous", "full")
        .map_err(fail)?;
    let done = usize::try_from(format).unwrap_or(0);
    for (step, migration) in (1i64..).zip(MIGRATIONS).skip(done) {
        let transaction = connection.transaction().map_err(fail)?;
        transaction.execute_batch(migration).map_err(fail)?;
        if step == CHECKSUMS {
            checksum::fill(&transaction).map_err(fail)?;
        }
        transaction
            .pragma_update(None, "user_version", step)
            .map_err(fail)?;
        transaction
            .pragma_update(None, "application_id", APPLICATION_ID)
            .map_err(fail)?;
        transaction.commit().map_err(fail)?;
    }
    Ok(connection)
}

/// How a database's file and its log are, and which files they are.
type Unlocked = [(Option<Mark>, Option<(u64, u64)>); 2];

/// A database that is open for reading, and what shows that the connection is out of date.
#[derive(Debug)]
pub(crate) struct Readable {
    pub connection: Connection,
    path: PathBuf,
    /// Which file it is, if the system says so.
    file: Option<(u64, u64)>,
    /// How the files were when it was opened, if it is read without taking part in its locks:
    /// a change of them is not seen then.
    unlocked: Option<Unlocked>,
}

impl Readable {
    /// Returns whether the file was replaced or, if no lock shows it, changed since it was opened.
    pub fn is_stale(&self) -> bool {
        let now = identity(&self.path);
        // One that is gone altogether is read as long as it is open.
        let replaced = now.is_some() && now != self.file;
        replaced || self.changed_beneath()
    }

    /// Returns whether the files changed since it was opened and no lock kept them from that: what was
    /// read since may be of two states.
    pub fn changed_beneath(&self) -> bool {
        self.unlocked
            .is_some_and(|before| before != marks_of(&self.path))
    }

    /// Returns whether it is read without taking part in the locks of those who write.
    #[cfg(test)]
    pub fn is_unlocked(&self) -> bool {
        self.unlocked.is_some()
    }
}

/// Returns the marks of the database's file and its log.
fn marks_of(path: &Path) -> Unlocked {
    let log = log_of(path);
    // By each opening of a log SQLite sets its owner if it may, which changes the time of its change.
    let log_mark = Mark::at(&log).map(|mark| Mark {
        ctime_ns: 0,
        ..mark
    });
    [(Mark::at(path), identity(path)), (log_mark, identity(&log))]
}

/// Returns the write-ahead log's path.
fn log_of(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

/// How much of the database a reader keeps in memory: 64 MiB, in the negative KiB that SQLite takes. With its 2 MB, a
/// server of 100,000 images reads about 30 pages again for each answer.
const READER_CACHE: i64 = -64 * 1024;

/// Opens the database for reading only, as of whatever is committed.
pub(crate) fn open_readable(dir: &Path) -> Result<Readable> {
    let path = database_path(dir);
    if !path.exists() {
        return Err(Error::IndexNotFound {
            dir: dir.to_owned(),
        });
    }
    let fail = |source| Error::database(dir, source);
    let file = identity(&path);
    let plain = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags(&path, plain)
        .and_then(|connection| format_of(&connection).map(|format| (connection, format)));
    let mut unlocked = None;
    let (connection, format) = match opened {
        Ok(opened) => opened,
        Err(error) if cannot_open(&error) => {
            unlocked = Some(marks_of(&path));
            match open_unlocked(&path, plain) {
                Ok(opened) => {
                    check_log(dir, &opened.0, plain)?;
                    opened
                }
                // The database has more pages than its log says, and can be read without it.
                Err(error) if is_corrupt(&error) && generation_alone(&path, plain) > 0 => {
                    return Err(log_is_older(dir));
                }
                Err(error) => return Err(fail(error)),
            }
        }
        Err(error) => return Err(fail(error)),
    };
    configure(&connection)
        .and_then(|()| connection.pragma_update(None, "cache_size", READER_CACHE))
        .map_err(fail)?;
    check_format(dir, &connection, format)?;
    if format == 0 {
        // Whoever made the file got no further.
        return Err(Error::IndexNotFound {
            dir: dir.to_owned(),
        });
    }
    if format < FORMAT_VERSION {
        drop(connection);
        let lock = Lock::take(dir)?;
        drop(open_writable(dir)?);
        drop(lock);
        return open_readable(dir);
    }
    Ok(Readable {
        connection,
        path,
        file,
        unlocked,
    })
}

/// Opens a database in a folder that is read-only, if the shared-memory file that reading a
/// write-ahead log needs cannot be made, and nobody can be expected to write.
///
/// Without a log the main file is all there is. A log that was copied with it is read, too: a
/// connection that has the database to itself keeps in its own memory what the shared file is for,
/// and the system's locks, which a file that is read-only refuses, are done without.
fn open_unlocked(path: &Path, plain: OpenFlags) -> rusqlite::Result<(Connection, i64)> {
    let holds_log = std::fs::metadata(log_of(path)).is_ok_and(|log| log.len() > 0);
    let how = match holds_log {
        false => "immutable=1",
        true if cfg!(windows) => "vfs=win32-none",
        true => "vfs=unix-none",
    };
    let uri = format!("{}?{how}", uri(path));
    let connection = Connection::open_with_flags(uri, plain | OpenFlags::SQLITE_OPEN_URI)?;
    if holds_log {
        connection.pragma_update(None, "locking_mode", "exclusive")?;
    }
    let format = format_of(&connection)?;
    Ok((connection, format))
}

/// Refuses a log that is older than its database, as in a copy whose files were copied at different
/// times: SQLite would put the log's older pages over the newer ones.
fn check_log(dir: &Path, with_log: &Connection, plain: OpenFlags) -> Result<()> {
    // A database whose first pages are in the log says nothing by itself.
    let alone = generation_alone(&database_path(dir), plain);
    if generation_of(with_log).is_ok_and(|with| with >= alone) || alone == 0 {
        return Ok(());
    }
    Err(log_is_older(dir))
}

fn generation_of(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT number FROM generation", (), |row| row.get(0))
}

/// Returns the generation of a database without its log; 0 if it cannot be read alone.
fn generation_alone(path: &Path, plain: OpenFlags) -> i64 {
    let uri = format!("{}?immutable=1", uri(path));
    Connection::open_with_flags(uri, plain | OpenFlags::SQLITE_OPEN_URI)
        .and_then(|connection| generation_of(&connection))
        .unwrap_or(0)
}

fn log_is_older(dir: &Path) -> Error {
    Error::Corrupt {
        dir: dir.to_owned(),
        what: format!(
            "its log, {DATABASE_FILE}-wal, is older than {DATABASE_FILE}; copy both again while nothing writes to them"
        ),
    }
}

fn is_corrupt(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseCorrupt)
}

fn cannot_open(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{CannotOpen, ReadOnly};
    matches!(error.sqlite_error_code(), Some(CannotOpen | ReadOnly))
}

/// Returns a database's path as a URI, with what would end the path in it escaped.
pub(crate) fn uri(path: &Path) -> String {
    let mut uri = String::from("file:");
    for &byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => {
                uri.push(char::from(byte));
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(std::time::Duration::from_millis(BUSY_TIMEOUT_MS.into()))?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(32);
    // Or a statement is planned anew whenever another value is bound: most of the time that a lookup takes.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

fn format_of(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Refuses a database of a format that another program gave it.
fn check_application(dir: &Path, connection: &Connection) -> Result<()> {
    let id: i32 = connection
        .pragma_query_value(None, "application_id", |row| row.get(0))
        .map_err(|source| Error::database(dir, source))?;
    if id == APPLICATION_ID {
        Ok(())
    } else {
        Err(of_another_program(dir))
    }
}

pub(crate) fn of_another_program(dir: &Path) -> Error {
    Error::Corrupt {
        dir: dir.to_owned(),
        what: format!("{DATABASE_FILE} is a database of another program"),
    }
}

/// Refuses a database without a format that holds tables: it is somebody else's.
fn check_blank(dir: &Path, connection: &Connection) -> Result<()> {
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))
        .map_err(|source| Error::database(dir, source))?;
    if tables > 0 {
        return Err(of_another_program(dir));
    }
    Ok(())
}

/// Refuses a database that is not ours or of a format that is not known.
fn check_format(dir: &Path, connection: &Connection, found: i64) -> Result<()> {
    if found == 0 {
        return check_blank(dir, connection);
    }
    check_application(dir, connection)?;
    if found > FORMAT_VERSION {
        return Err(Error::NewerFormat {
            dir: dir.to_owned(),
            found,
            known: FORMAT_VERSION,
        });
    }
    Ok(())
}
