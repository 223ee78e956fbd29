//! PostgreSQL with pgvector: a row for each image, graphs over codes and over hashes.

mod connection;
mod credentials;
mod filter;
mod schema;
mod write;

use std::path::{Path, PathBuf};

use imgsearch_index::collection::{
    Candidate, Collection, Entry, Fetch, Near, check_batch, from_bytes,
};
use imgsearch_index::{
    Digest, EncoderRecord, Error, FileStat, Filter, Image, ImageId, Label, Neighbour, NewContent,
    Result,
};
use pgvector::{Bit, Vector};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::Options;
use crate::globs::globs;
use crate::url::CollectionUrl;
use connection::{Pool, Session};
use filter::{Conditions, Value};
use schema::Names;

/// The largest `hnsw.ef_search`. Beyond it, the iterative scan goes on by itself.
const MAX_EF: usize = 1000;

/// Candidates of a search along a graph, unless a caller says how many: the images wanted, and so many more.
const EF_MORE: usize = 100;

/// The most images that a glob may leave: their ids go to the server.
const MAX_OF_GLOB: usize = 1_000_000;

/// What an image is read from.
const COLUMNS: &str =
    "id, path, digest, size, mtime_ns, inode, ctime_ns, width, height, format, taken, damage";

/// A collection in PostgreSQL.
#[derive(Debug)]
pub struct Postgres {
    place: String,
    names: Names,
    encoder: EncoderRecord,
    pool: Pool,
}

impl Postgres {
    /// Opens a collection, or makes it for an encoder.
    ///
    /// # Errors
    ///
    /// As [`crate::open`] and [`crate::create`].
    pub fn open(
        url: &CollectionUrl,
        encoder: Option<&EncoderRecord>,
        options: &Options,
    ) -> Result<Self> {
        let mut config: tokio_postgres::Config = url.server.parse().map_err(|error| {
            // The client's text may repeat parts of the URL, and with them the password.
            let error: tokio_postgres::Error = error;
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            let cause = cause.filter(|cause| cause.starts_with("unknown option"));
            Error::InvalidInput(format!(
                "{} is not the URL of a PostgreSQL database{}",
                url.place,
                cause.map_or_else(String::new, |cause| format!(": {cause}"))
            ))
        })?;
        credentials::complete(&mut config);
        config
            .application_name("imgsearch")
            .connect_timeout(options.connect);
        let tls = connection::tls(url.root_certificates.as_deref())?;
        let mut pool = Pool::new(config, tls, &url.place, options);
        let names = Names::of(url);
        let encoder = schema::open(&pool, url, &names, encoder)?;
        pool.begin_with(schema::SESSION);
        Ok(Self {
            place: url.place.clone(),
            names,
            encoder,
            pool,
        })
    }

    /// Returns the rows of a statement.
    fn rows(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
        self.pool.run(async |session: &mut Session| {
            let statement = session.prepared(sql).await?;
            session.client.query(&statement, values).await
        })
    }

    /// Returns the conditions of a filter, after the values of the statement. Globs become ids.
    fn conditions(&self, values: Vec<Value>, filter: &Filter) -> Result<Conditions> {
        let mut conditions = Conditions::after(values);
        conditions.filter(filter)?;
        if let Some(globs) = globs(filter)? {
            let mut others = Conditions::default();
            others.filter(filter)?;
            let sql = format!(
                "SELECT id, path FROM {} {}",
                self.names.table,
                others.clause()
            );
            let mut ids: Vec<i64> = Vec::new();
            for row in self.rows(&sql, &others.parameters())? {
                if globs.is_match(from_bytes(row.get(1))?) {
                    ids.push(row.get(0));
                }
            }
            if ids.len() > MAX_OF_GLOB {
                return Err(Error::Unsupported {
                    place: self.place.clone(),
                    what: format!("a pattern that more than {MAX_OF_GLOB} images match"),
                });
            }
            conditions.with("id = ANY(?)", ids);
        }
        Ok(conditions)
    }

    /// Returns the rows nearest to something, along the graph or past all rows.
    fn nearest(&self, near: Near<'_>, how: &Fetch<'_>, exact: bool) -> Result<Vec<Row>> {
        let limit = i64::try_from(how.n).unwrap_or(i64::MAX);
        let (operator, asked): (_, Value) = match near {
            Near::Code(code) => ("code <->", Box::new(Vector::from(code.to_vec()))),
            Near::Hash(hash) => ("hash <~>", Box::new(Bit::from_bytes(hash))),
        };
        let conditions = self.conditions(vec![asked, Box::new(limit)], how.filter)?;
        // A sum is not what the graph orders by, so it is not used.
        let order = match exact {
            true => format!("({operator} $1) + 0, id"),
            false => format!("{operator} $1"),
        };
        let sql = format!(
            "SELECT id, code, hash FROM {} {} ORDER BY {order} LIMIT $2",
            self.names.table,
            conditions.clause()
        );
        let ef = how.ef.unwrap_or_else(|| how.n.saturating_add(EF_MORE));
        let ef = ef.max(how.n).clamp(1, MAX_EF);
        let parameters = conditions.parameters();
        self.pool.run(async |session: &mut Session| {
            session.set_ef(ef).await?;
            let statement = session.prepared(&sql).await?;
            session.client.query(&statement, &parameters).await
        })
    }
}

impl Collection for Postgres {
    fn place(&self) -> &str {
        &self.place
    }

    fn encoder(&self) -> &EncoderRecord {
        &self.encoder
    }

    fn upsert(&self, batch: &[Entry]) -> Result<()> {
        check_batch(&self.encoder, batch)?;
        write::upsert(&self.pool, &self.names, batch)
    }

    fn remove(&self, ids: &[ImageId]) -> Result<usize> {
        let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
        let sql = format!("DELETE FROM {} WHERE id = ANY($1)", self.names.table);
        let removed = self.pool.run(async |session: &mut Session| {
            let statement = session.prepared(&sql).await?;
            session.client.execute(&statement, &[&ids]).await
        })?;
        Ok(usize::try_from(removed).unwrap_or(usize::MAX))
    }

    fn flush(&self) -> Result<()> {
        schema::build_graphs(&self.pool, &self.names)
    }

    fn count(&self, filter: &Filter) -> Result<u64> {
        let conditions = self.conditions(Vec::new(), filter)?;
        let sql = format!(
            "SELECT count(*) FROM {} {}",
            self.names.table,
            conditions.clause()
        );
        let rows = self.rows(&sql, &conditions.parameters())?;
        let count: i64 = rows.first().map_or(0, |row| row.get(0));
        Ok(u64::try_from(count).unwrap_or(0))
    }

    fn images(&self, ids: &[ImageId]) -> Result<Vec<Option<Image>>> {
        let given: Vec<i64> = ids.iter().map(|id| id.0).collect();
        let sql = format!(
            "SELECT {COLUMNS} FROM {} WHERE id = ANY($1)",
            self.names.table
        );
        let rows = self.rows(&sql, &[&given])?;
        let images = rows.iter().map(image).collect::<Result<Vec<Image>>>()?;
        let of = |id: &ImageId| images.iter().find(|image| image.id == *id).cloned();
        Ok(ids.iter().map(of).collect())
    }

    fn labels(&self, ids: &[ImageId]) -> Result<Vec<Vec<Label>>> {
        let given: Vec<i64> = ids.iter().map(|id| id.0).collect();
        let table = &self.names.table;
        let sql = format!("SELECT id, classes, probabilities FROM {table} WHERE id = ANY($1)");
        let rows = self.rows(&sql, &[&given])?;
        let of = |id: &ImageId| {
            let row = rows.iter().find(|row| row.get::<_, i64>(0) == id.0);
            row.map_or_else(Vec::new, |row| labels(row, 1))
        };
        Ok(ids.iter().map(of).collect())
    }

    fn codes(&self, ids: &[ImageId]) -> Result<Vec<Option<Candidate>>> {
        let given: Vec<i64> = ids.iter().map(|id| id.0).collect();
        let sql = format!(
            "SELECT id, code, hash FROM {} WHERE id = ANY($1)",
            self.names.table
        );
        let rows = self.rows(&sql, &[&given])?;
        let found: Vec<Candidate> = rows.iter().map(candidate).collect();
        let of = |id: &ImageId| found.iter().find(|found| found.id == *id).cloned();
        Ok(ids.iter().map(of).collect())
    }

    fn by_paths(&self, paths: &[PathBuf]) -> Result<Vec<Option<Image>>> {
        let mut given = Vec::with_capacity(paths.len());
        for path in paths {
            given.push(imgsearch_index::collection::to_bytes(path)?.to_vec());
        }
        let sql = format!(
            "SELECT {COLUMNS} FROM {} WHERE sha256(path) = ANY(SELECT sha256(p) FROM unnest($1::bytea[]) AS g(p))",
            self.names.table
        );
        let mut images = std::collections::HashMap::new();
        for row in self.rows(&sql, &[&given])? {
            let image = image(&row)?;
            images.insert(image.path.clone(), image);
        }
        Ok(paths.iter().map(|path| images.get(path).cloned()).collect())
    }

    fn content(&self, digest: &Digest) -> Result<Option<NewContent>> {
        let sql = format!(
            "SELECT {COLUMNS}, classes, probabilities, code, hash FROM {} WHERE digest = $1 LIMIT 1",
            self.names.table
        );
        let rows = self.rows(&sql, &[&&digest[..]])?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let code: Vector = row.get(14);
        let hash: Bit = row.get(15);
        Ok(Some(NewContent {
            labels: labels(row, 12),
            code: code.to_vec(),
            hash: hash.as_bytes().to_vec(),
            ..content(row)
        }))
    }

    fn under(&self, path: &Path, after: Option<ImageId>, limit: usize) -> Result<Vec<Image>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut conditions = Conditions::after(vec![Box::new(limit)]);
        conditions.under(&[path.to_owned()])?;
        if let Some(after) = after {
            conditions.with("id > ?", after.0);
        }
        let sql = format!(
            "SELECT {COLUMNS} FROM {} {} ORDER BY id LIMIT $1",
            self.names.table,
            conditions.clause()
        );
        self.rows(&sql, &conditions.parameters())?
            .iter()
            .map(image)
            .collect()
    }

    fn labelled(&self, class: u16, limit: usize) -> Result<Vec<(ImageId, f32)>> {
        let class = i32::from(class);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let sql = format!(
            "SELECT id, probabilities[array_position(classes, $1::integer)] AS p FROM {}
             WHERE classes @> ARRAY[$1::integer] ORDER BY p DESC, id LIMIT $2",
            self.names.table
        );
        let rows = self.rows(&sql, &[&class, &limit])?;
        Ok(rows
            .iter()
            .map(|row| (ImageId(row.get(0)), row.get(1)))
            .collect())
    }

    fn candidates(&self, near: Near<'_>, how: &Fetch<'_>) -> Result<Vec<Candidate>> {
        let mut rows = self.nearest(near, how, how.exact)?;
        // The graph may lead to too few: a filter leaves few of those that it knows.
        if rows.len() < how.n && !how.exact {
            rows = self.nearest(near, how, true)?;
        }
        Ok(rows.iter().map(candidate).collect())
    }

    fn within_hamming(&self, hash: &[u8], radius: u32, limit: usize) -> Result<Vec<Neighbour>> {
        let asked = Bit::from_bytes(hash);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let sql = format!(
            "SELECT id, apart FROM (SELECT id, (hash <~> $1) AS apart FROM {}) AS a
             WHERE apart <= $2 ORDER BY apart, id LIMIT $3",
            self.names.table
        );
        let rows = self.rows(&sql, &[&asked, &f64::from(radius), &limit])?;
        let bits = self.encoder.bits;
        let found = rows.iter().map(|row| {
            let apart = row.get::<_, f64>(1) as u32;
            Neighbour::apart(ImageId(row.get(0)), apart, bits)
        });
        Ok(found.collect())
    }

    fn check(&self) -> Result<Vec<String>> {
        schema::check(&self.pool, &self.names)
    }

    fn bytes(&self) -> Result<Option<u64>> {
        let sql = "SELECT pg_total_relation_size(to_regclass($1))";
        let rows = self.rows(sql, &[&self.names.table])?;
        let bytes: Option<i64> = rows.first().and_then(|row| row.get(0));
        Ok(bytes.and_then(|bytes| u64::try_from(bytes).ok()))
    }
}

fn candidate(row: &Row) -> Candidate {
    let code: Vector = row.get(1);
    let hash: Bit = row.get(2);
    Candidate {
        id: ImageId(row.get(0)),
        code: code.to_vec(),
        hash: hash.as_bytes().to_vec(),
    }
}

/// Reads [`COLUMNS`].
fn image(row: &Row) -> Result<Image> {
    let stat = FileStat {
        size: row.get::<_, i64>(3).cast_unsigned(),
        mtime_ns: row.get(4),
        inode: row.get::<_, i64>(5).cast_unsigned(),
        ctime_ns: row.get(6),
    };
    let path = from_bytes(row.get(1))?;
    Ok(Image::stored(
        ImageId(row.get(0)),
        path,
        stat,
        &content(row),
    ))
}

/// Reads the content of [`COLUMNS`], without what it is searched by.
fn content(row: &Row) -> NewContent {
    let mut digest = [0; 32];
    let stored: &[u8] = row.get(2);
    if stored.len() == digest.len() {
        digest.copy_from_slice(stored);
    }
    NewContent {
        digest,
        width: row.get::<_, i32>(7).cast_unsigned(),
        height: row.get::<_, i32>(8).cast_unsigned(),
        format: row.get(9),
        taken: row.get(10),
        damage: row.get(11),
        code: Vec::new(),
        hash: Vec::new(),
        labels: Vec::new(),
    }
}

/// Reads labels from two columns, the most likely first.
fn labels(row: &Row, column: usize) -> Vec<Label> {
    let classes: Vec<i32> = row.get(column);
    let probabilities: Vec<f32> = row.get(column + 1);
    let both = classes.into_iter().zip(probabilities);
    let mut labels: Vec<Label> = both
        .filter_map(|(class, probability)| {
            let class = u16::try_from(class).ok()?;
            Some(Label { class, probability })
        })
        .collect();
    labels.sort_by(|a, b| {
        let by_probability = b.probability.total_cmp(&a.probability);
        by_probability.then(a.class.cmp(&b.class))
    });
    labels
}
