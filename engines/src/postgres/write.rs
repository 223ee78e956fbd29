//! Storing a batch: one statement, so that all of it is stored or nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use imgsearch_index::Result;
use imgsearch_index::collection::{Entry, to_bytes};
use pgvector::{Bit, Vector};

use super::connection::{Pool, Session};
use super::schema::Names;
use crate::url::shared_id;

/// Steps of a stored probability, as in a folder.
const STEPS: f32 = 255.0;

/// A batch, column by column.
#[derive(Default)]
struct Columns {
    id: Vec<i64>,
    path: Vec<Vec<u8>>,
    digest: Vec<Vec<u8>>,
    size: Vec<i64>,
    mtime_ns: Vec<i64>,
    inode: Vec<i64>,
    ctime_ns: Vec<i64>,
    width: Vec<i32>,
    height: Vec<i32>,
    format: Vec<String>,
    taken: Vec<Option<i64>>,
    damage: Vec<Option<String>>,
    /// Arrays as text: an array of arrays of different lengths is none.
    classes: Vec<String>,
    probabilities: Vec<String>,
    code: Vec<Vector>,
    hash: Vec<Bit>,
}

impl Columns {
    fn push(&mut self, path: &[u8], entry: &Entry) -> Result<()> {
        let Entry { stat, content, .. } = entry;
        self.id.push(shared_id(&content.digest, &entry.path)?.0);
        self.path.push(path.to_vec());
        self.digest.push(content.digest.to_vec());
        self.size.push(stat.size.cast_signed());
        self.mtime_ns.push(stat.mtime_ns);
        self.inode.push(stat.inode.cast_signed());
        self.ctime_ns.push(stat.ctime_ns);
        self.width.push(content.width.cast_signed());
        self.height.push(content.height.cast_signed());
        self.format.push(content.format.clone());
        self.taken.push(content.taken);
        // The server's text holds no zero bytes.
        let damage = content.damage.as_ref();
        self.damage
            .push(damage.map(|damage| damage.replace('\0', " ")));
        let (mut classes, mut probabilities) = ("{".to_owned(), "{".to_owned());
        for (i, label) in content.labels.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            let probability = (label.probability.clamp(0.0, 1.0) * STEPS).round() / STEPS;
            // Writing to a string cannot fail.
            let _ = write!(classes, "{comma}{}", label.class);
            let _ = write!(probabilities, "{comma}{probability}");
        }
        self.classes.push(classes + "}");
        self.probabilities.push(probabilities + "}");
        self.code.push(Vector::from(content.code.clone()));
        self.hash.push(Bit::from_bytes(&content.hash));
        Ok(())
    }
}

/// Stores a batch. Rows that are stored as they are stay untouched.
///
/// # Errors
///
/// If the server fails. Nothing of the batch is stored then.
pub fn upsert(pool: &Pool, names: &Names, batch: &[Entry]) -> Result<()> {
    // By path, so that two programs that store the same paths take them in the same order and none waits for the
    // other; of several entries with one path, the last.
    let mut by_path: BTreeMap<&[u8], &Entry> = BTreeMap::new();
    for entry in batch {
        by_path.insert(to_bytes(&entry.path)?, entry);
    }
    if by_path.is_empty() {
        return Ok(());
    }
    let mut columns = Columns::default();
    for (path, entry) in by_path {
        columns.push(path, entry)?;
    }
    let sql = statement(&names.table);
    let c = &columns;
    pool.run(async |session: &mut Session| {
        let statement = session.prepared(&sql).await?;
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 16] = [
            &c.id,
            &c.path,
            &c.digest,
            &c.size,
            &c.mtime_ns,
            &c.inode,
            &c.ctime_ns,
            &c.width,
            &c.height,
            &c.format,
            &c.taken,
            &c.damage,
            &c.classes,
            &c.probabilities,
            &c.code,
            &c.hash,
        ];
        session.client.execute(&statement, &values).await
    })?;
    Ok(())
}

/// In quotes, `bit` has any length; without them it is one bit.
fn statement(table: &str) -> String {
    format!(
        "INSERT INTO {table} AS t (id, path, digest, size, mtime_ns, inode, ctime_ns, width, height, format, taken,
                              damage, classes, probabilities, code, hash)
         SELECT id, path, digest, size, mtime_ns, inode, ctime_ns, width, height, format, taken, damage,
                classes::integer[], probabilities::real[], code, hash
         FROM unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
                     $8::integer[], $9::integer[], $10::text[], $11::bigint[], $12::text[], $13::text[], $14::text[],
                     $15::vector[], $16::pg_catalog.\"bit\"[])
              AS b(id, path, digest, size, mtime_ns, inode, ctime_ns, width, height, format, taken, damage, classes,
                   probabilities, code, hash)
         ON CONFLICT (sha256(path)) DO UPDATE SET
             id = excluded.id, digest = excluded.digest, size = excluded.size, mtime_ns = excluded.mtime_ns,
             inode = excluded.inode, ctime_ns = excluded.ctime_ns, width = excluded.width, height = excluded.height,
             format = excluded.format, taken = excluded.taken, damage = excluded.damage, classes = excluded.classes,
             probabilities = excluded.probabilities, code = excluded.code, hash = excluded.hash
         WHERE (t.id, t.size, t.mtime_ns, t.inode, t.ctime_ns, t.classes, t.damage)
             IS DISTINCT FROM (excluded.id, excluded.size, excluded.mtime_ns, excluded.inode, excluded.ctime_ns,
                               excluded.classes, excluded.damage)"
    )
}
