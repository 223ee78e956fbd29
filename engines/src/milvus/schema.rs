//! The two collections at the server that one collection of ours is: made once, checked each time it is opened.
//!
//! `imgsearch_NAME` has the codes as vectors, `imgsearch_NAME_HASH` the hashes, because Milvus 2.3 allows one vector a
//! collection. Everything else of a row is in both, so that both are searched under the same filters. The first is
//! what counts: its description holds the version of its fields and the record of its encoder, it is made first, and
//! it is written and emptied last. What is missing of the second is made up for when the collection is opened.

use std::time::{Duration, Instant};

use imgsearch_index::collection::same_encoder;
use imgsearch_index::{EncoderRecord, Error, Result};
use prost::Message as _;
use serde::{Deserialize, Serialize};

use super::client::Client;
use super::proto::{
    CollectionSchema, CreateCollection, CreateIndex, Described, FieldSchema, Flush, FlushState,
    Flushed, GetFlushState, GetLoadState, GetVersion, Indexes, LoadState, OfCollection, Status,
    Version, index_state, kind, level, load, pairs,
};
use super::rows::packed_len;
use crate::url::CollectionUrl;

/// The version of the fields. A program opens collections up to its own.
const VERSION: u32 = 1;

/// The oldest server that counts by a filter and has arrays.
const MIN_SERVER: (u32, u32) = (2, 3);

/// The longest text of a field, in bytes.
pub const MAX_TEXT: usize = 65_535;

/// The most classes of an image.
pub const MAX_CLASSES: usize = 4096;

/// Links of each image in the graph over codes, and candidates while it is built.
const GRAPH: &str = r#"{"M": 16, "efConstruction": 128}"#;

/// How long a server may take to read a collection into its memory.
const LOADING: Duration = Duration::from_secs(600);

/// The names of the collections at the server. Names of ours have no capitals, so none is another's second.
#[derive(Debug, Clone)]
pub struct Names {
    pub codes: String,
    pub hashes: String,
}

impl Names {
    pub fn of(url: &CollectionUrl) -> Self {
        let codes = format!("imgsearch_{}", url.name);
        Self {
            hashes: format!("{codes}_HASH"),
            codes,
        }
    }
}

/// What the description of a collection holds.
#[derive(Serialize, Deserialize)]
struct Record {
    version: u32,
    encoder: EncoderRecord,
}

/// Opens a collection, or makes it for an encoder. Returns the encoder that it is for.
///
/// # Errors
///
/// As [`crate::open`] and [`crate::create`].
pub fn open(
    client: &Client,
    url: &CollectionUrl,
    names: &Names,
    given: Option<&EncoderRecord>,
) -> Result<EncoderRecord> {
    check_server(client)?;
    let mut schema = describe(client, &names.codes)?;
    if let (None, Some(encoder)) = (&schema, given) {
        let record = Record {
            version: VERSION,
            encoder: encoder.clone(),
        };
        let description = serde_json::to_string(&record).map_err(|error| Error::Engine {
            place: url.place.clone(),
            source: Box::new(error),
        })?;
        let code = vector("code", kind::FLOAT_VECTOR, encoder.code_len);
        make(client, &names.codes, description, encoder, code)?;
        schema = describe(client, &names.codes)?;
    }
    let dir = || url.place.clone().into();
    let Some(schema) = schema else {
        return Err(Error::IndexNotFound { dir: dir() });
    };
    let corrupt = |what: String| Error::Corrupt { dir: dir(), what };
    let encoder = recorded(&schema.description, &url.place)?;
    if let Some(given) = given {
        same_encoder(&url.place, &encoder, given)?;
    }
    let hashes = match describe(client, &names.hashes)? {
        Some(hashes) => Some(hashes),
        None => {
            let hash = vector("hash", kind::BINARY_VECTOR, encoder.bits);
            let description = format!("the hashes of {}", names.codes);
            make(client, &names.hashes, description, &encoder, hash)?;
            describe(client, &names.hashes)?
        }
    };
    for (name, schema, field, wanted) in [
        (&names.codes, Some(&schema), "code", encoder.code_len),
        (&names.hashes, hashes.as_ref(), "hash", encoder.bits),
    ] {
        let found = schema.and_then(|schema| dim(schema, field));
        if found != Some(wanted) {
            let found = found.map_or_else(|| "none".to_owned(), |found| found.to_string());
            return Err(corrupt(format!(
                "the dimension of {field:?} in its collection {name} is {found}, and its encoder needs {wanted}"
            )));
        }
    }
    ready(client, names)?;
    Ok(encoder)
}

/// Reads the description of a collection.
///
/// # Errors
///
/// [`Error::NewerFormat`] and [`Error::Corrupt`].
fn recorded(description: &str, place: &str) -> Result<EncoderRecord> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let corrupt = |what: String| Error::Corrupt {
        dir: place.into(),
        what,
    };
    let Versioned { version } = serde_json::from_str(description)
        .map_err(|_| corrupt("its description is not what imgsearch writes".to_owned()))?;
    if version > VERSION {
        return Err(Error::NewerFormat {
            dir: place.into(),
            found: version.into(),
            known: VERSION.into(),
        });
    }
    let record: Record = serde_json::from_str(description)
        .map_err(|error| corrupt(format!("the record of its encoder cannot be read: {error}")))?;
    Ok(record.encoder)
}

/// Refuses a server that is too old.
fn check_server(client: &Client) -> Result<()> {
    let answer: Version = client.once("GetVersion", &GetVersion {})?;
    if is_too_old(&answer.version) {
        let (major, minor) = MIN_SERVER;
        return Err(Error::NoVectors {
            place: client.place.clone(),
            what: format!(
                "its Milvus is {}, and {major}.{minor} or newer is needed",
                answer.version
            ),
        });
    }
    Ok(())
}

/// Returns whether a version is older than what is needed. One that is no number is a build of a newer one.
fn is_too_old(version: &str) -> bool {
    let mut numbers = version.trim_start_matches('v').split(['.', '-']);
    let mut next = || numbers.next().and_then(|number| number.parse::<u32>().ok());
    match (next(), next()) {
        (Some(major), Some(minor)) => (major, minor) < MIN_SERVER,
        _ => false,
    }
}

fn named(collection: &str) -> OfCollection {
    OfCollection {
        collection: collection.to_owned(),
    }
}

fn describe(client: &Client, name: &str) -> Result<Option<CollectionSchema>> {
    match client.attempt::<_, Described>("DescribeCollection", &named(name)) {
        Ok(described) => Ok(described.schema),
        Err(failure) if failure.is_no_collection() => Ok(None),
        Err(failure) => Err(client.error(failure)),
    }
}

fn field(name: &str, data_type: i32, params: &[(&str, &str)]) -> FieldSchema {
    FieldSchema {
        name: name.to_owned(),
        data_type,
        type_params: pairs(params),
        ..FieldSchema::default()
    }
}

fn vector(name: &str, data_type: i32, dim: usize) -> FieldSchema {
    field(name, data_type, &[("dim", &dim.to_string())])
}

/// Returns the dimension of a vector.
fn dim(schema: &CollectionSchema, field: &str) -> Option<usize> {
    let field = schema.fields.iter().find(|one| one.name == field)?;
    let mut params = field.type_params.iter();
    params.find(|pair| pair.key == "dim")?.value.parse().ok()
}

/// Makes a collection at the server, unless another program did so at the same time.
fn make(
    client: &Client,
    name: &str,
    description: String,
    encoder: &EncoderRecord,
    vector: FieldSchema,
) -> Result<()> {
    let text = |name: &str, longest: usize| {
        field(name, kind::VARCHAR, &[("max_length", &longest.to_string())])
    };
    let number = |name: &str| field(name, kind::INT64, &[]);
    let fields = vec![
        FieldSchema {
            is_primary_key: true,
            ..number("place")
        },
        number("id"),
        text("path", MAX_TEXT),
        text("digest", 64),
        number("size"),
        number("mtime_ns"),
        number("inode"),
        number("ctime_ns"),
        number("width"),
        number("height"),
        text("format", 64),
        field("is_dated", kind::BOOL, &[]),
        number("taken"),
        text("damage", MAX_TEXT),
        FieldSchema {
            element_type: kind::INT32,
            ..field(
                "classes",
                kind::ARRAY,
                &[("max_capacity", &MAX_CLASSES.to_string())],
            )
        },
        text("labels", MAX_TEXT),
        text("packed", packed_len(encoder)),
        vector,
    ];
    let schema = CollectionSchema {
        name: name.to_owned(),
        description,
        fields,
    };
    let create = CreateCollection {
        collection: name.to_owned(),
        schema: schema.encode_to_vec(),
        consistency_level: level::BOUNDED,
    };
    match client.attempt::<_, Status>("CreateCollection", &create) {
        Ok(_) => Ok(()),
        Err(failure) => match describe(client, name)? {
            Some(_) => Ok(()),
            None => Err(client.error(failure)),
        },
    }
}

/// Sees to it that both collections have their indexes and are in the memory of the servers that search.
fn ready(client: &Client, names: &Names) -> Result<()> {
    for (name, wanted) in [
        (
            &names.codes,
            [
                ("code", "HNSW", "L2", GRAPH),
                ("id", "", "", ""),
                ("digest", "", "", ""),
            ],
        ),
        (
            &names.hashes,
            [
                ("hash", "BIN_FLAT", "HAMMING", "{}"),
                ("id", "", "", ""),
                ("", "", "", ""),
            ],
        ),
    ] {
        let mut found = indexed(client, name)?;
        for (field, index, metric, params) in wanted {
            if field.is_empty() || found.iter().any(|(there, _)| there == field) {
                continue;
            }
            let mut all = Vec::new();
            if !index.is_empty() {
                all.extend([
                    ("index_type", index),
                    ("metric_type", metric),
                    ("params", params),
                ]);
            }
            let create = CreateIndex {
                collection: name.clone(),
                field: field.to_owned(),
                params: pairs(&all),
                name: field.to_owned(),
            };
            if let Err(failure) = client.attempt::<_, Status>("CreateIndex", &create) {
                // Another program was faster.
                found = indexed(client, name)?;
                if !found.iter().any(|(there, _)| there == field) {
                    return Err(client.error(failure));
                }
            }
        }
    }
    let of = [&names.codes, &names.hashes];
    for name in of {
        if load_state(client, name)? != load::LOADED {
            client.once::<_, Status>("LoadCollection", &named(name))?;
        }
    }
    let started = Instant::now();
    for name in of {
        while load_state(client, name)? != load::LOADED {
            if started.elapsed() > LOADING {
                return Err(Error::Unreachable {
                    place: client.place.clone(),
                    source: format!("{name} is not in its memory yet").into(),
                });
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    Ok(())
}

fn load_state(client: &Client, name: &str) -> Result<i32> {
    let ask = GetLoadState {
        collection: name.to_owned(),
    };
    let answer: LoadState = client.once("GetLoadState", &ask)?;
    Ok(answer.state)
}

/// Returns the indexed fields, each with why its index cannot be built, and an empty text if that is not so.
fn indexed(client: &Client, name: &str) -> Result<Vec<(String, String)>> {
    match client.attempt::<_, Indexes>("DescribeIndex", &named(name)) {
        Ok(answer) => Ok(answer
            .indexes
            .into_iter()
            .map(|one| match one.state {
                index_state::FAILED => (one.field, format!("failed: {}", one.failure)),
                _ => (one.field, String::new()),
            })
            .collect()),
        Err(failure) if failure.is_no_index() => Ok(Vec::new()),
        Err(failure) => Err(client.error(failure)),
    }
}

/// Closes the segments that still grow, and waits until they are stored and their graphs are built.
///
/// # Errors
///
/// If the server fails.
pub fn flush(client: &Client, names: &Names) -> Result<()> {
    let both = vec![names.codes.clone(), names.hashes.clone()];
    let flush = Flush {
        collections: both.clone(),
    };
    let flushed: Flushed = client.run("Flush", &flush)?;
    for name in &both {
        let ask = GetFlushState {
            segments: flushed
                .segments
                .get(name)
                .map_or_else(Vec::new, |segments| segments.data.clone()),
            timestamp: flushed.timestamps.get(name).copied().unwrap_or(0),
            collection: name.clone(),
        };
        while !client.run::<_, FlushState>("GetFlushState", &ask)?.flushed {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    for name in &both {
        let is_built = || -> Result<bool> {
            let answer: Indexes = client.run("DescribeIndex", &named(name))?;
            Ok(answer.indexes.iter().all(|one| {
                one.state == index_state::FAILED
                    || one.state == index_state::FINISHED && one.pending_rows == 0
            }))
        };
        while !is_built()? {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    Ok(())
}

/// Returns what is wrong with the collections at the server, in sentences.
///
/// # Errors
///
/// If the server fails.
pub fn check(client: &Client, names: &Names) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for name in [&names.codes, &names.hashes] {
        for (field, why) in indexed(client, name)? {
            if !why.is_empty() {
                wrong.push(format!("the index over {field} of {name} {why}"));
            }
        }
        if load_state(client, name)? != load::LOADED {
            wrong.push(format!(
                "{name} is not in the memory of the server; the next command loads it"
            ));
        }
    }
    Ok(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_or_foreign_description_is_refused() {
        let of = |text: &str| recorded(text, "milvus://h/a").unwrap_err();
        let newer = of(r#"{"version": 2, "encoder": "unknown"}"#);
        assert!(matches!(newer, Error::NewerFormat { found: 2, .. }));
        for foreign in ["", "my photographs", r#"{"version": 1}"#] {
            assert!(matches!(of(foreign), Error::Corrupt { .. }), "{foreign}");
        }
    }

    #[test]
    fn versions_below_2_3_are_too_old() {
        for old in ["v2.2.16", "2.2.9-lite", "v1.1.1", "2.0.0-rc8"] {
            assert!(is_too_old(old), "{old}");
        }
        for new in [
            "v2.3.5-lite",
            "2.3.0",
            "v2.10.1",
            "3.0.0-dev",
            "master-20260101-abc",
        ] {
            assert!(!is_too_old(new), "{new}");
        }
    }
}
