//! Engines: what storing and asking costs in a collection on a server, beside the index in a folder.
//!
//! `cargo bench -p imgsearch-engines --features milvus,postgres --bench engines -- [--images N] [--queries N] [--url URL]`
//!
//! Images are drawn from a seed: codes in clusters, 30 numbers of length one each, and 256 bits tied to them. Every
//! store gets the same images in the same batches, is asked the same questions in the same run, and its recall at ten
//! is that against the exact answers of the folder. Without `--url`, the PostgreSQL and the Milvus of
//! `script/engines install` are started for the run. `pgbench`, which speaks to the server through PostgreSQL's own client library, asks it the same for
//! comparison. Compare the columns with each other: absolute times are this machine's.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use imgsearch_engines::{Options, create};
use imgsearch_index::collection::{Collection, Entry, FolderCollection};
use imgsearch_index::{
    EncoderRecord, FileStat, Filter, ImageId, NewContent, Query, RankBy, SearchParams,
    SearchStrategy,
};

use milvus::Milvus;
use server::Server;
use synthetic::Images;

#[path = "../../engines/tests/milvus.rs"]
#[allow(dead_code)]
mod milvus;
#[path = "../../engines/tests/server.rs"]
#[allow(dead_code)]
mod server;
#[path = "../synthetic.rs"]
#[allow(dead_code)]
mod synthetic;

/// Images found by a query.
const K: usize = 10;

/// Candidates along graphs that are tried.
const EFS: [usize; 9] = [10, 20, 40, 64, 100, 160, 256, 512, 1000];

/// Images in one batch, as indexing stores them.
const BATCH: usize = 256;

struct Typed {
    images: usize,
    queries: usize,
    url: Option<String>,
}

fn typed() -> Typed {
    let mut typed = Typed {
        images: 100_000,
        queries: 200,
        url: None,
    };
    let mut given = std::env::args().skip(1);
    while let Some(word) = given.next() {
        let mut value = || {
            given
                .next()
                .unwrap_or_else(|| panic!("{word} needs a value"))
        };
        match word.as_str() {
            "--bench" => {}
            "--images" => typed.images = value().parse().expect("--images takes a number"),
            "--queries" => typed.queries = value().parse().expect("--queries takes a number"),
            "--url" => typed.url = Some(value()),
            _ => panic!("unknown option {word}"),
        }
    }
    typed
}

fn entry(i: usize, images: &Images) -> Entry {
    let (code, hash) = images.get(i);
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&(i as u64).to_le_bytes());
    Entry {
        path: format!("/photos/{:03}/{i:08}.jpg", i % 997).into(),
        stat: FileStat::default(),
        content: NewContent {
            digest,
            width: 640,
            height: 480,
            format: "jpeg".to_owned(),
            taken: None,
            damage: None,
            code: code.to_vec(),
            hash: hash.to_vec(),
            labels: Vec::new(),
        },
    }
}

/// Stores all images. Returns the images a second, and the seconds until they are fast to search.
fn fill(collection: &dyn Collection, entries: &[Entry]) -> (f64, f64) {
    let started = Instant::now();
    for batch in entries.chunks(BATCH) {
        collection.upsert(batch).expect("the batch is stored");
    }
    let rate = entries.len() as f64 / started.elapsed().as_secs_f64();
    let started = Instant::now();
    collection.flush().expect("graphs are built");
    (rate, started.elapsed().as_secs_f64())
}

/// Asks all questions with several clients. Returns the microseconds of a question, and the recall at ten.
fn ask(
    collection: &Arc<dyn Collection>,
    queries: &Images,
    right: &[f32],
    params: &SearchParams,
    clients: usize,
) -> (f64, f64) {
    let (next, same) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    if i >= queries.len() {
                        break;
                    }
                    let (code, hash) = queries.get(i);
                    let query = Query::new(code).hash(hash);
                    let (found, _) = collection.search(&query, params).expect("it answers");
                    let near = found
                        .iter()
                        .filter(|found| found.distance <= right[i] + 1e-5);
                    same.fetch_add(near.count(), Ordering::Relaxed);
                }
            });
        }
    });
    let us = started.elapsed().as_secs_f64() * 1e6 / queries.len() as f64;
    (us, same.into_inner() as f64 / (queries.len() * K) as f64)
}

/// Prints, for each recall wanted, the first number of candidates that reaches it and what a question takes.
fn table(
    name: &str,
    collection: &Arc<dyn Collection>,
    queries: &Images,
    right: &[f32],
    by: RankBy,
) {
    let mut wanted = [0.95, 0.99].into_iter().peekable();
    for ef in EFS {
        let params = SearchParams::new(K).by(by).ef(ef);
        // The first round warms connections and caches.
        ask(collection, queries, right, &params, 8);
        let (one, recall) = ask(collection, queries, right, &params, 1);
        while let Some(least) = wanted.next_if(|least| recall >= *least) {
            let (eight, _) = ask(collection, queries, right, &params, 8);
            println!(
                "{name:10} by {by:?}: recall {least} with ef {ef} ({recall:.4}): {one:8.0} µs with 1 client, \
                 {eight:8.0} µs a question with 8"
            );
        }
    }
    for least in wanted {
        println!(
            "{name:10} by {by:?}: recall {least} is not reached with ef {}",
            EFS[EFS.len() - 1]
        );
    }
}

fn main() {
    let typed = typed();
    let postgres = match &typed.url {
        Some(_) => None,
        None => Server::start(),
    };
    let milvus = match &typed.url {
        Some(_) => None,
        None => Milvus::start(),
    };
    let mut urls: Vec<(&str, String)> = Vec::new();
    urls.extend(typed.url.clone().map(|url| ("server", url)));
    urls.extend(postgres.as_ref().map(|own| ("postgres", own.url("bench"))));
    urls.extend(milvus.as_ref().map(|own| ("milvus", own.url("bench"))));
    let all = synthetic::draw(typed.images + typed.queries, typed.images, 1);
    let (mut images, mut queries) = (Images::default(), Images::default());
    for i in 0..all.len() {
        match i < typed.images {
            true => images.push(all.get(i)),
            false => queries.push(all.get(i)),
        }
    }
    let encoder = EncoderRecord {
        fingerprint: "bench".to_owned(),
        name: "drawn".to_owned(),
        code_len: synthetic::CODE,
        bits: synthetic::BITS,
        hash_weight: 8.0,
        metadata: "{}".to_owned(),
    };
    let entries: Vec<Entry> = (0..images.len()).map(|i| entry(i, &images)).collect();
    let dir = tempfile::tempdir().expect("a folder");
    let folder = FolderCollection::open(dir.path(), &encoder).expect("the folder opens");
    let folder: Arc<dyn Collection> = Arc::new(folder);
    let mut stores = vec![("folder", folder.clone())];
    for (name, url) in &urls {
        let server = create(url, &encoder, &Options::default()).expect("the collection opens");
        stores.push((name, server));
    }
    for (name, store) in &stores {
        let (rate, seconds) = fill(&**store, &entries);
        let bytes = store.bytes().ok().flatten().unwrap_or(0) as f64;
        println!(
            "{name:10} {rate:8.0} images/s stored, {seconds:6.1} s for graphs, {:6.1} MB, {:5.0} bytes an image",
            bytes / 1e6,
            bytes / images.len() as f64
        );
        assert_eq!(
            store.count(&Filter::default()).ok(),
            Some(images.len() as u64)
        );
    }
    for by in [RankBy::Code, RankBy::Hash, RankBy::Both] {
        let params = SearchParams::new(K).by(by).strategy(SearchStrategy::Exact);
        let right: Vec<f32> = (0..queries.len())
            .map(|i| {
                let (code, hash) = queries.get(i);
                let query = Query::new(code).hash(hash);
                let (found, _) = folder.search(&query, &params).expect("it scans");
                found.last().map_or(f32::INFINITY, |last| last.distance)
            })
            .collect();
        for (name, store) in &stores {
            table(name, store, &queries, &right, by);
        }
    }
    let server = stores.iter().find(|(name, _)| *name == "postgres");
    if let (Some(own), Some((_, server))) = (&postgres, server) {
        beside_pgbench(own, server, &images);
    }
}

/// Asks for stored codes by our client and by the server's own, in turns.
fn beside_pgbench(own: &Server, server: &Arc<dyn Collection>, images: &Images) {
    let n = images.len().min(1000);
    own.sql(&format!(
        "CREATE TABLE asked AS SELECT row_number() OVER (ORDER BY id) AS i, id, code FROM imgsearch_bench ORDER BY id \
         LIMIT {n}; CREATE UNIQUE INDEX ON asked (i); ANALYZE asked"
    ));
    let ids: Vec<i64> = own
        .sql("SELECT id FROM asked ORDER BY i")
        .lines()
        .map(|line| line.parse().expect("an id"))
        .collect();
    let ids: Vec<ImageId> = ids.into_iter().map(ImageId).collect();
    let stored = server.codes(&ids).expect("codes");
    for clients in [1, 8] {
        let params = SearchParams::new(K).ef(100);
        let mut queries = Images::default();
        for stored in stored.iter().flatten() {
            queries.push((&stored.code, &stored.hash));
        }
        let right = vec![f32::INFINITY; queries.len()];
        let mut ours = f64::INFINITY;
        let mut theirs = f64::INFINITY;
        for _ in 0..3 {
            ours = ours.min(ask(server, &queries, &right, &params, clients).0);
            let latency = own.pgbench(
                &format!(
                    "\\set i random(1, {n})\nSELECT id, code, hash FROM imgsearch_bench ORDER BY code <-> (SELECT code \
                     FROM asked WHERE i = :i) LIMIT {K};\n"
                ),
                clients,
                n / clients,
            );
            theirs = theirs.min(latency / clients as f64);
        }
        println!(
            "{clients} clients: {ours:.0} µs a question by ours, {theirs:.0} µs by pgbench ({:+.0} %)",
            (ours / theirs - 1.0) * 100.0
        );
    }
}
