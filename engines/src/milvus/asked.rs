//! What a collection asks its server: rows by conditions, the nearest of them, and changes.

use std::collections::HashMap;
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use imgsearch_index::collection::{Candidate, Near};
use imgsearch_index::{Error, ImageId, Result};
use prost::Message as _;

use super::filter::{Conditions, any_of};
use super::proto::{
    self, Delete, Mutation, Placeholder, PlaceholderGroup, Query, QueryResults, Search,
    SearchResults, Upsert, level, pairs,
};
use super::rows::Rows;
use super::{Milvus, PAGE, Written};

/// How long a question asks for what this client wrote. After that, the server's own bound of five seconds covers it.
const OWN: Duration = Duration::from_secs(6);

/// How recent an answer has to be.
#[derive(Clone, Copy, PartialEq)]
pub enum Seen {
    /// It sees everything that was stored before.
    All,
    /// It sees what this client stored, and what others stored more than five seconds ago.
    Own,
}

impl Milvus {
    pub fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the level of consistency, and the server's time that an answer has to see.
    pub fn level(&self, seen: Seen) -> (i32, u64) {
        match (seen, self.written().last) {
            (Seen::All, _) | (_, Some((_, 0))) => (level::STRONG, 0),
            (Seen::Own, Some((when, time))) if when.elapsed() < OWN => (level::SESSION, time),
            (Seen::Own, _) => (level::BOUNDED, 0),
        }
    }

    /// Returns the rows of a collection at the server that meet a condition, at most `limit` of those with the smallest
    /// keys.
    pub fn query(
        &self,
        collection: &str,
        expr: &str,
        fields: &[&str],
        limit: Option<usize>,
        seen: Seen,
    ) -> Result<Rows> {
        let (consistency_level, guarantee_timestamp) = self.level(seen);
        let limit = limit.map(|limit| limit.to_string());
        let query = Query {
            collection: collection.to_owned(),
            expr: expr.to_owned(),
            output_fields: fields.iter().map(|&field| field.to_owned()).collect(),
            guarantee_timestamp,
            params: limit.map_or_else(Vec::new, |limit| pairs(&[("limit", &limit)])),
            consistency_level,
        };
        let results: QueryResults = self.client.run("Query", &query)?;
        Ok(Rows::of(results.columns))
    }

    /// Calls for each page of the rows that meet a condition, in the order of their keys.
    pub fn scan(
        &self,
        expr: &str,
        fields: &[&str],
        seen: Seen,
        mut with: impl FnMut(&Rows) -> Result<()>,
    ) -> Result<()> {
        let mut fields = fields.to_vec();
        fields.push("place");
        let mut after = -1;
        loop {
            let page = match expr.is_empty() {
                true => format!("place > {after}"),
                false => format!("place > {after} and ({expr})"),
            };
            let rows = self.query(&self.names.codes, &page, &fields, Some(PAGE), seen)?;
            let Some(last) = (0..rows.len()).map(|row| rows.long("place", row)).max() else {
                return Ok(());
            };
            with(&rows)?;
            if rows.len() < PAGE {
                return Ok(());
            }
            after = last;
        }
    }

    /// Returns the rows with ids, each at its id.
    pub fn by_ids<T>(
        &self,
        ids: &[ImageId],
        fields: &[&str],
        seen: Seen,
        read: impl Fn(&Rows, usize) -> Result<T>,
    ) -> Result<HashMap<ImageId, T>> {
        let mut all = HashMap::with_capacity(ids.len());
        for some in ids.chunks(PAGE) {
            let expr = any_of("id", some.iter().map(|id| id.0));
            let rows = self.query(&self.names.codes, &expr, fields, None, seen)?;
            for row in 0..rows.len() {
                all.insert(rows.id(row), read(&rows, row)?);
            }
        }
        Ok(all)
    }

    pub fn corrupt(&self, id: ImageId) -> Error {
        Error::Corrupt {
            dir: self.client.place.clone().into(),
            what: format!("the code of image {} cannot be read", id.0),
        }
    }

    pub fn candidate(&self, rows: &Rows, row: usize) -> Result<Candidate> {
        let candidate = rows.candidate(row, &self.encoder);
        candidate.ok_or_else(|| self.corrupt(rows.id(row)))
    }

    /// Searches along the graph over codes, or past all hashes. Returns the rows and their distances.
    pub fn search_at_server(
        &self,
        near: Near<'_>,
        n: usize,
        expr: &str,
        params: &str,
    ) -> Result<(Rows, Vec<f32>)> {
        let (collection, field, metric, kind, value) = match near {
            Near::Code(code) => {
                let bytes = code.iter().flat_map(|number| number.to_le_bytes());
                let kind = proto::kind::FLOAT_VECTOR;
                (&self.names.codes, "code", "L2", kind, bytes.collect())
            }
            Near::Hash(hash) => {
                let kind = proto::kind::BINARY_VECTOR;
                (&self.names.hashes, "hash", "HAMMING", kind, hash.to_vec())
            }
        };
        let placeholders = PlaceholderGroup {
            placeholders: vec![Placeholder {
                tag: "$0".to_owned(),
                kind,
                values: vec![value],
            }],
        };
        let (consistency_level, guarantee_timestamp) = self.level(Seen::Own);
        let search = Search {
            collection: collection.clone(),
            expr: expr.to_owned(),
            placeholders: placeholders.encode_to_vec(),
            dsl_type: 1,
            output_fields: vec!["id".to_owned(), "packed".to_owned()],
            params: pairs(&[
                ("anns_field", field),
                ("topk", &n.to_string()),
                ("metric_type", metric),
                ("params", params),
                ("round_decimal", "-1"),
            ]),
            guarantee_timestamp,
            queries: 1,
            consistency_level,
        };
        let results: SearchResults = self.client.run("Search", &search)?;
        let found = results.results.unwrap_or_default();
        Ok((Rows::of(found.columns), found.scores))
    }

    /// Returns the `n` nearest of the rows that meet conditions, measured one by one; ties by id.
    pub fn nearest_of_all(
        &self,
        near: Near<'_>,
        n: usize,
        conditions: &Conditions,
    ) -> Result<Vec<(f32, Candidate)>> {
        let mut fields = vec!["id", "packed"];
        fields.extend(conditions.fields());
        let mut nearest: Vec<(f32, Candidate)> = Vec::new();
        let order = |a: &(f32, Candidate), b: &(f32, Candidate)| {
            a.0.total_cmp(&b.0).then(a.1.id.cmp(&b.1.id))
        };
        self.scan(&conditions.expr, &fields, Seen::Own, |rows| {
            for row in 0..rows.len() {
                if conditions.meets(rows, row)? {
                    let candidate = self.candidate(rows, row)?;
                    nearest.push((distance(near, &candidate), candidate));
                }
            }
            nearest.sort_unstable_by(order);
            nearest.truncate(n);
            Ok(())
        })?;
        Ok(nearest)
    }

    /// Deletes rows by their keys, the hashes first.
    pub fn delete(&self, keys: &[i64]) -> Result<()> {
        for some in keys.chunks(PAGE) {
            for collection in [&self.names.hashes, &self.names.codes] {
                let delete = Delete {
                    collection: collection.clone(),
                    expr: any_of("place", some.iter().copied()),
                };
                let done: Mutation = self.client.run("Delete", &delete)?;
                self.written().last = Some((Instant::now(), done.timestamp));
            }
        }
        Ok(())
    }

    pub fn store(&self, collection: &str, rows: u32, columns: Vec<proto::FieldData>) -> Result<()> {
        let upsert = Upsert {
            collection: collection.to_owned(),
            columns,
            rows,
        };
        let done: Mutation = self.client.run("Upsert", &upsert)?;
        if !done.failed.is_empty() {
            return Err(Error::Engine {
                place: self.client.place.clone(),
                source: format!("{} of {rows} rows were not stored", done.failed.len()).into(),
            });
        }
        self.written().last = Some((Instant::now(), done.timestamp));
        Ok(())
    }

    /// Counts the rows of a collection at the server that meet a condition.
    pub fn count_at_server(&self, collection: &str, expr: &str) -> Result<u64> {
        let rows = self.query(collection, expr, &["count(*)"], None, Seen::All)?;
        Ok(u64::try_from(rows.long("count(*)", 0)).unwrap_or(0))
    }
}

/// Returns the squared distance of codes, or the differing bits of hashes.
pub fn distance(near: Near<'_>, candidate: &Candidate) -> f32 {
    match near {
        Near::Code(code) => {
            let both = code.iter().zip(&candidate.code);
            both.map(|(a, b)| (a - b) * (a - b)).sum()
        }
        Near::Hash(hash) => {
            let both = hash.iter().zip(&candidate.hash);
            both.map(|(a, b)| (a ^ b).count_ones()).sum::<u32>() as f32
        }
    }
}
