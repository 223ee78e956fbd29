//! The tables of a collection: made once, checked each time it is opened.
//!
//! `imgsearch_collections` has a row for each collection of a database, with the version of its tables and its
//! encoder. `imgsearch_NAME` has a row for each image.

use imgsearch_index::collection::same_encoder;
use imgsearch_index::{EncoderRecord, Error, Result};
use tokio_postgres::error::SqlState;

use super::connection::{Pool, Session};
use crate::url::CollectionUrl;

/// The version of the tables. A program opens collections up to its own.
const VERSION: i32 = 1;

/// The oldest pgvector that keeps on searching if a filter leaves too few.
const MIN_PGVECTOR: (u32, u32) = (0, 8);

/// Names the lock under which collections are made: an arbitrary number of ours.
const LOCK: i64 = 0x1a6e_5ea7_c011_0001;

/// Candidates while graphs are built, and links of each image, of pgvector's graphs.
const GRAPH: &str = "m = 16, ef_construction = 128";

/// What each session begins with. A filter that few images meet is searched for along the graph up to this number of
/// images, and by a scan after that.
pub const SESSION: &str = "SET hnsw.iterative_scan = strict_order; SET hnsw.max_scan_tuples = 50000; \
                           SET hnsw.scan_mem_multiplier = 4";

/// The names of a collection's table and indexes. They need no quotes: see [`CollectionUrl::name`].
#[derive(Debug, Clone)]
pub struct Names {
    pub table: String,
    pub by_code: String,
    pub by_hash: String,
}

impl Names {
    pub fn of(url: &CollectionUrl) -> Self {
        let table = format!("imgsearch_{}", url.name);
        Self {
            by_code: format!("{table}_by_code"),
            by_hash: format!("{table}_by_hash"),
            table,
        }
    }
}

/// What is recorded of a collection.
struct Record {
    version: i32,
    encoder: String,
}

/// Opens a collection, or makes it for an encoder. Returns the encoder that it is for.
///
/// # Errors
///
/// As [`crate::open`] and [`crate::create`].
pub fn open(
    pool: &Pool,
    url: &CollectionUrl,
    names: &Names,
    given: Option<&EncoderRecord>,
) -> Result<EncoderRecord> {
    check_extension(pool, url, given.is_some())?;
    let mut record = pool.once(async |session: &mut Session| find(session, &url.name).await)?;
    if let (None, Some(encoder)) = (&record, given) {
        make(pool, url, names, encoder)?;
        record = pool.once(async |session: &mut Session| find(session, &url.name).await)?;
    }
    let Some(record) = record else {
        return Err(Error::IndexNotFound {
            dir: url.place.clone().into(),
        });
    };
    let corrupt = |what: String| Error::Corrupt {
        dir: url.place.clone().into(),
        what,
    };
    if record.version > VERSION {
        return Err(Error::NewerFormat {
            dir: url.place.clone().into(),
            found: record.version.into(),
            known: VERSION.into(),
        });
    }
    let stored: EncoderRecord = serde_json::from_str(&record.encoder)
        .map_err(|error| corrupt(format!("the record of its encoder cannot be read: {error}")))?;
    if let Some(given) = given {
        same_encoder(&url.place, &stored, given)?;
    }
    let columns = pool.once(async |session: &mut Session| columns(session, names).await)?;
    let wanted = [
        format!("vector({})", stored.code_len),
        format!("bit({})", stored.bits),
    ];
    if columns != wanted {
        return Err(corrupt(format!(
            "its table {} has the columns [{}] for code and hash, and its encoder needs [{}]",
            names.table,
            columns.join(", "),
            wanted.join(", ")
        )));
    }
    Ok(stored)
}

/// Refuses a server without pgvector, or with an old one. Installs it in the database if it lies ready.
fn check_extension(pool: &Pool, url: &CollectionUrl, may_install: bool) -> Result<()> {
    let lacks = |what: String| Error::NoVectors {
        place: url.place.clone(),
        what,
    };
    let version = || pool.once(async |session: &mut Session| versions(session).await);
    let (mut installed, available) = version()?;
    if installed.is_none() {
        if available.is_none() {
            return Err(lacks("its server has no pgvector".to_owned()));
        }
        if may_install {
            let create = async |session: &mut Session| {
                let sql = "CREATE EXTENSION IF NOT EXISTS vector";
                match session.client.batch_execute(sql).await {
                    // Another program was faster.
                    Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => Ok(true),
                    Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                        Ok(false)
                    }
                    other => other.map(|()| true),
                }
            };
            if !pool.once(create)? {
                return Err(lacks(
                    "pgvector is not installed in the database, and the user may not install it"
                        .to_owned(),
                ));
            }
            installed = version()?.0;
        }
    }
    let Some(installed) = installed else {
        // It lies ready, and whoever makes a collection installs it: there is none yet.
        return Err(Error::IndexNotFound {
            dir: url.place.clone().into(),
        });
    };
    let mut numbers = installed
        .split('.')
        .map(|number| number.parse().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found < MIN_PGVECTOR {
        let (major, minor) = MIN_PGVECTOR;
        return Err(lacks(format!(
            "its pgvector is {installed}, and {major}.{minor} or newer is needed"
        )));
    }
    Ok(())
}

/// Returns the versions of pgvector that is installed in the database, and that lies ready at the server.
async fn versions(
    session: &mut Session,
) -> Result<(Option<String>, Option<String>), tokio_postgres::Error> {
    let sql = "SELECT (SELECT extversion FROM pg_extension WHERE extname = 'vector'),
                      (SELECT default_version FROM pg_available_extensions WHERE name = 'vector')";
    let row = session.client.query_one(sql, &[]).await?;
    Ok((row.get(0), row.get(1)))
}

/// Returns what is recorded of a collection.
async fn find(session: &mut Session, name: &str) -> Result<Option<Record>, tokio_postgres::Error> {
    let client = &session.client;
    let exists = client
        .query_one(
            "SELECT to_regclass('imgsearch_collections') IS NOT NULL",
            &[],
        )
        .await?;
    if !exists.get::<_, bool>(0) {
        return Ok(None);
    }
    let sql = "SELECT version, encoder FROM imgsearch_collections WHERE name = $1";
    let row = client.query_opt(sql, &[&name]).await?;
    Ok(row.map(|row| Record {
        version: row.get(0),
        encoder: row.get(1),
    }))
}

/// Makes a collection, unless another program does so at the same time.
fn make(pool: &Pool, url: &CollectionUrl, names: &Names, encoder: &EncoderRecord) -> Result<()> {
    let Names { table, .. } = names;
    let tables = format!(
        "CREATE TABLE IF NOT EXISTS imgsearch_collections (
             name text PRIMARY KEY, version integer NOT NULL, encoder text NOT NULL,
             created timestamptz NOT NULL DEFAULT now());
         CREATE TABLE {table} (
             id bigint PRIMARY KEY, path bytea NOT NULL, digest bytea NOT NULL,
             size bigint NOT NULL, mtime_ns bigint NOT NULL, inode bigint NOT NULL, ctime_ns bigint NOT NULL,
             width integer NOT NULL, height integer NOT NULL, format text NOT NULL, taken bigint, damage text,
             classes integer[] NOT NULL, probabilities real[] NOT NULL,
             code vector({}) NOT NULL, hash bit({}) NOT NULL);
         ALTER TABLE {table} ALTER code SET STORAGE PLAIN;
         CREATE UNIQUE INDEX {table}_path ON {table} (sha256(path));
         CREATE INDEX {table}_under ON {table} (substr(path, 1, 500));
         CREATE INDEX {table}_digest ON {table} (digest);
         CREATE INDEX {table}_classes ON {table} USING gin (classes)",
        encoder.code_len, encoder.bits
    );
    let record = serde_json::to_string(encoder).map_err(|error| Error::Engine {
        place: url.place.clone(),
        source: Box::new(error),
    })?;
    pool.once(async |session: &mut Session| {
        let transaction = session.client.transaction().await?;
        let lock = "SELECT pg_advisory_xact_lock($1)";
        transaction.execute(lock, &[&LOCK]).await?;
        let made = transaction
            .query_one("SELECT to_regclass($1) IS NOT NULL", &[table])
            .await?;
        if made.get::<_, bool>(0) {
            return Ok(());
        }
        transaction.batch_execute(&tables).await?;
        let insert =
            "INSERT INTO imgsearch_collections (name, version, encoder) VALUES ($1, $2, $3)";
        transaction
            .execute(insert, &[&url.name, &VERSION, &record])
            .await?;
        transaction.commit().await
    })
}

/// Returns the types of the columns for code and hash.
async fn columns(
    session: &mut Session,
    names: &Names,
) -> Result<Vec<String>, tokio_postgres::Error> {
    let sql = "SELECT format_type(atttypid, atttypmod) FROM pg_attribute
               WHERE attrelid = to_regclass($1) AND attname IN ('code', 'hash') AND NOT attisdropped
               ORDER BY attname";
    let rows = session.client.query(sql, &[&names.table]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Builds the graphs that are missing, while others go on reading and writing. Of several programs, one builds.
///
/// # Errors
///
/// If the server fails.
pub fn build_graphs(pool: &Pool, names: &Names) -> Result<()> {
    pool.run_long(async |session: &mut Session| {
        let client = &session.client;
        let lock = "SELECT pg_try_advisory_lock($1, hashtext($2))";
        let unlock = "SELECT pg_advisory_unlock($1, hashtext($2))";
        let of_ours = (LOCK >> 32) as i32;
        let locked = client.query_one(lock, &[&of_ours, &names.table]).await?;
        if !locked.get::<_, bool>(0) {
            return Ok(());
        }
        let built = build(session, names).await;
        session
            .client
            .execute(unlock, &[&of_ours, &names.table])
            .await?;
        built
    })
}

async fn build(session: &Session, names: &Names) -> Result<(), tokio_postgres::Error> {
    let Names {
        table,
        by_code,
        by_hash,
    } = names;
    let client = &session.client;
    for (index, on) in [
        (by_code, "code vector_l2_ops"),
        (by_hash, "hash bit_hamming_ops"),
    ] {
        let sql = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass($1)";
        match client.query_opt(sql, &[index]).await? {
            Some(row) if row.get::<_, bool>(0) => continue,
            // Its building was interrupted.
            Some(_) => {
                let drop = format!("DROP INDEX CONCURRENTLY IF EXISTS {index}");
                client.batch_execute(&drop).await?;
            }
            None => {}
        }
        let create = format!(
            "CREATE INDEX CONCURRENTLY {index} ON {table} USING hnsw ({on}) WITH ({GRAPH})"
        );
        client.batch_execute(&create).await?;
    }
    client.batch_execute(&format!("ANALYZE {table}")).await
}

/// Returns what is wrong with the indexes of a collection, in sentences.
///
/// # Errors
///
/// If the server fails.
pub fn check(pool: &Pool, names: &Names) -> Result<Vec<String>> {
    let sql = "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
               WHERE i.indrelid = to_regclass($1) AND NOT i.indisvalid ORDER BY 1";
    let invalid = pool.run(async |session: &mut Session| {
        let rows = session.client.query(sql, &[&names.table]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect::<Vec<String>>())
    })?;
    let sentence = |index: String| {
        format!(
            "the index {index} was not built to its end; the next run of indexing builds it again"
        )
    };
    Ok(invalid.into_iter().map(sentence).collect())
}
