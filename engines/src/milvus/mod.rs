//! Milvus: two collections at the server, a graph over codes and a scan of hashes.
//!
//! Milvus has no transactions over two collections. A batch goes to the hashes first and to the codes last, which is
//! what looking up sees, so what is known to be stored is stored in both. A row is named by its path, so storing a
//! file again replaces its row at once.
//!
//! How recent a question's answer is: whoever wrote sees what it wrote, and what others wrote is seen within five
//! seconds, or at once after they flushed. Counting, removing and looking up paths see everything that was stored before.

mod asked;
mod client;
mod filter;
mod proto;
mod rows;
mod schema;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use imgsearch_index::collection::{Candidate, Collection, Entry, Fetch, Near, check_batch};
use imgsearch_index::{
    Digest, EncoderRecord, Filter, Image, ImageId, Label, Neighbour, NewContent, Result,
};

use crate::Options;
use crate::url::CollectionUrl;
use asked::{Seen, distance};
use client::Client;
use filter::{ALL, Conditions, any_of, under};
use proto::{Query, QueryResults, level, pairs};
use rows::{Batch, IMAGE, Rows, hex, key};
use schema::Names;

/// The most rows that a search or a question returns.
const MAX_ROWS: usize = 16_384;

/// The largest number of candidates of a search along a graph.
const MAX_EF: usize = 32_768;

/// Candidates of a search along a graph, unless a caller says how many: the images wanted, and so many more.
const EF_MORE: usize = 100;

/// Rows of one request.
const PAGE: usize = 4096;

/// Candidates beyond those wanted within a radius, among which ties are ordered by id.
const TIES: usize = 64;

/// Digests of contents that this client wrote, of which it may be that the server does not show them yet.
const MAX_WRITTEN: usize = 1 << 20;

/// The variable that holds `user:password` or a token, if the URL does not.
const TOKEN: &str = "MILVUS_TOKEN";

/// What this client wrote.
#[derive(Default)]
pub struct Written {
    /// When it last did, and the server's time of it.
    last: Option<(Instant, u64)>,
    digests: HashSet<u64>,
}

/// A collection in Milvus.
pub struct Milvus {
    client: Client,
    names: Names,
    encoder: EncoderRecord,
    written: Mutex<Written>,
}

impl std::fmt::Debug for Milvus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Milvus")
            .field("client", &self.client)
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

impl Milvus {
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
        let mut url = url.clone();
        if url.credentials.is_none() {
            let token = std::env::var(TOKEN).ok();
            url.credentials = token.filter(|token| !token.is_empty());
        }
        let client = Client::new(&url, options)?;
        let names = Names::of(&url);
        let encoder = schema::open(&client, &url, &names, encoder)?;
        Ok(Self {
            client,
            names,
            encoder,
            written: Mutex::default(),
        })
    }
}

/// The first bytes of a digest.
fn short(digest: &Digest) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_le_bytes(first)
}

impl Collection for Milvus {
    fn place(&self) -> &str {
        &self.client.place
    }

    fn encoder(&self) -> &EncoderRecord {
        &self.encoder
    }

    fn upsert(&self, batch: &[Entry]) -> Result<()> {
        check_batch(&self.encoder, batch)?;
        for entries in batch.chunks(PAGE) {
            let rows = Batch::of(entries)?;
            if rows.rows == 0 {
                continue;
            }
            self.store(&self.names.hashes, rows.rows, rows.of_hashes())?;
            self.store(&self.names.codes, rows.rows, rows.of_codes())?;
            let mut written = self.written();
            if written.digests.len() > MAX_WRITTEN {
                written.digests.clear();
            }
            let digests = entries.iter().map(|entry| short(&entry.content.digest));
            written.digests.extend(digests);
        }
        Ok(())
    }

    fn remove(&self, ids: &[ImageId]) -> Result<usize> {
        let found = self.by_ids(ids, &["id", "place"], Seen::All, |rows, row| {
            Ok(rows.long("place", row))
        })?;
        let keys: Vec<i64> = found.into_values().collect();
        self.delete(&keys)?;
        Ok(keys.len())
    }

    fn flush(&self) -> Result<()> {
        schema::flush(&self.client, &self.names)?;
        // Once the servers that search have come this far, every question sees it.
        for collection in [&self.names.hashes, &self.names.codes] {
            self.count_at_server(collection, "")?;
        }
        self.written().digests.clear();
        Ok(())
    }

    fn count(&self, filter: &Filter) -> Result<u64> {
        let conditions = Conditions::of(filter)?;
        if conditions.is_whole() {
            return self.count_at_server(&self.names.codes, &conditions.expr);
        }
        let mut fields = vec!["id"];
        fields.extend(conditions.fields());
        let mut count = 0;
        self.scan(&conditions.expr, &fields, Seen::All, |rows| {
            for row in 0..rows.len() {
                count += u64::from(conditions.meets(rows, row)?);
            }
            Ok(())
        })?;
        Ok(count)
    }

    fn images(&self, ids: &[ImageId]) -> Result<Vec<Option<Image>>> {
        let mut images = self.by_ids(ids, &IMAGE, Seen::Own, Rows::image)?;
        Ok(taken(ids, |id| images.remove(id)))
    }

    fn labels(&self, ids: &[ImageId]) -> Result<Vec<Vec<Label>>> {
        let of = |rows: &Rows, row: usize| Ok(rows.labels(row));
        let mut labels = self.by_ids(ids, &["id", "labels"], Seen::Own, of)?;
        let found = taken(ids, |id| labels.remove(id));
        Ok(found.into_iter().map(Option::unwrap_or_default).collect())
    }

    fn codes(&self, ids: &[ImageId]) -> Result<Vec<Option<Candidate>>> {
        let of = |rows: &Rows, row: usize| self.candidate(rows, row);
        let mut found = self.by_ids(ids, &["id", "packed"], Seen::Own, of)?;
        Ok(taken(ids, |id| found.remove(id)))
    }

    fn by_paths(&self, paths: &[PathBuf]) -> Result<Vec<Option<Image>>> {
        let mut images = HashMap::new();
        for some in paths.chunks(PAGE) {
            let keys = some.iter().map(|path| key(path));
            let keys = keys.collect::<Result<Vec<i64>>>()?;
            let expr = any_of("place", keys.into_iter());
            let rows = self.query(&self.names.codes, &expr, &IMAGE, None, Seen::All)?;
            for row in 0..rows.len() {
                let image = rows.image(row)?;
                images.insert(image.path.clone(), image);
            }
        }
        Ok(paths.iter().map(|path| images.get(path).cloned()).collect())
    }

    fn content(&self, digest: &Digest) -> Result<Option<NewContent>> {
        let expr = format!("digest == \"{}\"", hex(digest));
        let mut fields = IMAGE.to_vec();
        fields.extend(["labels", "packed"]);
        let ask = |level: (i32, u64)| -> Result<Rows> {
            let query = Query {
                collection: self.names.codes.clone(),
                expr: expr.clone(),
                output_fields: fields.iter().map(|&field| field.to_owned()).collect(),
                guarantee_timestamp: level.1,
                params: pairs(&[("limit", "1")]),
                consistency_level: level.0,
            };
            let results: QueryResults = self.client.run("Query", &query)?;
            Ok(Rows::of(results.columns))
        };
        // Each image that is encoded is looked for first: only what this client wrote is worth waiting for.
        let mut rows = ask((level::BOUNDED, 0))?;
        if rows.len() == 0 && self.written().digests.contains(&short(digest)) {
            rows = ask(self.level(Seen::All))?;
        }
        if rows.len() == 0 {
            return Ok(None);
        }
        let Candidate { code, hash, .. } = self.candidate(&rows, 0)?;
        Ok(Some(NewContent {
            labels: rows.labels(0),
            code,
            hash,
            ..rows.content(0)
        }))
    }

    fn under(&self, path: &Path, after: Option<ImageId>, limit: usize) -> Result<Vec<Image>> {
        let path = under(&[path.to_owned()])?.unwrap_or_else(|| ALL.to_owned());
        let limit = limit.min(PAGE);
        // Rows come in the order of their keys. Ids are as good as drawn, so a window of them holds as many as wanted.
        let mut low = after.map_or(-1, |after| after.0);
        let all = format!("id > {low} and {path}");
        let count = self.count_at_server(&self.names.codes, &all)?;
        let rest = i64::MAX.abs_diff(low.max(0));
        let width = match count <= limit as u64 {
            true => rest,
            false => (rest / count).saturating_mul(limit as u64),
        };
        let width = i64::try_from(width).unwrap_or(i64::MAX).max(1);
        let mut images: Vec<Image> = Vec::new();
        while images.len() < limit && (images.len() as u64) < count && low < i64::MAX {
            let high = low.saturating_add(width);
            let expr = format!("id > {low} and id <= {high} and {path}");
            let rows = self.query(&self.names.codes, &expr, &IMAGE, Some(MAX_ROWS), Seen::All)?;
            for row in 0..rows.len() {
                images.push(rows.image(row)?);
            }
            low = high;
        }
        images.sort_unstable_by_key(|image| image.id);
        images.truncate(limit);
        Ok(images)
    }

    fn labelled(&self, class: u16, limit: usize) -> Result<Vec<(ImageId, f32)>> {
        let mut found: Vec<(ImageId, f32)> = Vec::new();
        let expr = format!("array_contains(classes, {class})");
        self.scan(&expr, &["id", "labels"], Seen::Own, |rows| {
            for row in 0..rows.len() {
                let labels = rows.labels(row);
                let label = labels.iter().find(|label| label.class == class);
                found.extend(label.map(|label| (rows.id(row), label.probability)));
            }
            found.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            found.truncate(limit);
            Ok(())
        })?;
        Ok(found)
    }

    fn candidates(&self, near: Near<'_>, how: &Fetch<'_>) -> Result<Vec<Candidate>> {
        let conditions = Conditions::of(how.filter)?;
        if !how.exact && how.n <= MAX_ROWS && conditions.is_whole() {
            let ef = how.ef.unwrap_or_else(|| how.n.saturating_add(EF_MORE));
            let params = match near {
                Near::Code(_) => format!("{{\"ef\": {}}}", ef.clamp(how.n, MAX_EF)),
                Near::Hash(_) => "{}".to_owned(),
            };
            let (rows, _) = self.search_at_server(near, how.n, &conditions.expr, &params)?;
            // The graph may lead to too few: a filter leaves few of those that it knows.
            if rows.len() >= how.n {
                return (0..rows.len())
                    .map(|row| self.candidate(&rows, row))
                    .collect();
            }
        }
        let nearest = self.nearest_of_all(near, how.n, &conditions)?;
        Ok(nearest
            .into_iter()
            .map(|(_, candidate)| candidate)
            .collect())
    }

    fn within_hamming(&self, hash: &[u8], radius: u32, limit: usize) -> Result<Vec<Neighbour>> {
        let n = limit.saturating_add(TIES).min(MAX_ROWS);
        // The server's radius is the first too large one.
        let params = format!("{{\"radius\": {}}}", radius.saturating_add(1));
        let (rows, scores) = self.search_at_server(Near::Hash(hash), n, "", &params)?;
        let mut found: Vec<(u32, ImageId)> = Vec::new();
        if rows.len() < n {
            let of = scores.iter().enumerate();
            found.extend(of.map(|(row, &bits)| (bits as u32, rows.id(row))));
        } else {
            let all = Conditions::of(&Filter::default())?;
            self.scan(&all.expr, &["id", "packed"], Seen::Own, |rows| {
                for row in 0..rows.len() {
                    let candidate = self.candidate(rows, row)?;
                    found.push((distance(Near::Hash(hash), &candidate) as u32, candidate.id));
                }
                found.retain(|&(bits, _)| bits <= radius);
                found.sort_unstable();
                found.truncate(limit);
                Ok(())
            })?;
        }
        found.sort_unstable();
        found.truncate(limit);
        let bits = self.encoder.bits;
        let found = found.into_iter();
        Ok(found
            .map(|(apart, id)| Neighbour::apart(id, apart, bits))
            .collect())
    }

    fn check(&self) -> Result<Vec<String>> {
        let mut wrong = schema::check(&self.client, &self.names)?;
        let codes = self.count_at_server(&self.names.codes, "")?;
        let hashes = self.count_at_server(&self.names.hashes, "")?;
        if codes != hashes {
            wrong.push(format!(
                "{} holds {codes} images and {} holds {hashes}: a batch was stored by half, and indexing the same files \
                 again stores the rest",
                self.names.codes, self.names.hashes
            ));
        }
        Ok(wrong)
    }

    fn bytes(&self) -> Result<Option<u64>> {
        // The server tells rows, not bytes.
        Ok(None)
    }
}

/// Returns what belongs to ids, in their order.
fn taken<T: Clone>(ids: &[ImageId], mut take: impl FnMut(&ImageId) -> Option<T>) -> Vec<Option<T>> {
    let mut met: HashMap<ImageId, Option<T>> = HashMap::new();
    let one = |id: &ImageId| met.entry(*id).or_insert_with(|| take(id)).clone();
    ids.iter().map(one).collect()
}
