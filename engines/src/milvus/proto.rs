//! The messages of Milvus' gRPC interface that are needed here, with the fields that are. Others are skipped when they
//! are read. The numbers are those of the public protocol, the same from 2.3 on.

use std::collections::HashMap;

use prost::{Message, Oneof};

/// Types of fields.
pub mod kind {
    pub const BOOL: i32 = 1;
    pub const INT32: i32 = 4;
    pub const INT64: i32 = 5;
    pub const VARCHAR: i32 = 21;
    pub const ARRAY: i32 = 22;
    pub const BINARY_VECTOR: i32 = 100;
    pub const FLOAT_VECTOR: i32 = 101;
}

/// How recent what a question sees has to be.
pub mod level {
    pub const STRONG: i32 = 0;
    pub const SESSION: i32 = 1;
    pub const BOUNDED: i32 = 2;
}

/// Whether a collection is in the memory of the servers that search.
pub mod load {
    pub const LOADED: i32 = 3;
}

/// How far an index is.
pub mod index_state {
    pub const FINISHED: i32 = 3;
    pub const FAILED: i32 = 4;
}

#[derive(Clone, PartialEq, Message)]
pub struct Status {
    /// The codes of 2.2.
    #[prost(int32, tag = "1")]
    pub error_code: i32,
    #[prost(string, tag = "2")]
    pub reason: String,
    #[prost(int32, tag = "3")]
    pub code: i32,
    #[prost(bool, tag = "4")]
    pub retriable: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct KeyValue {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

/// Returns pairs of names and values as messages.
pub fn pairs(of: &[(&str, &str)]) -> Vec<KeyValue> {
    of.iter()
        .map(|&(key, value)| KeyValue {
            key: key.to_owned(),
            value: value.to_owned(),
        })
        .collect()
}

#[derive(Clone, PartialEq, Message)]
pub struct FieldSchema {
    #[prost(string, tag = "2")]
    pub name: String,
    #[prost(bool, tag = "3")]
    pub is_primary_key: bool,
    #[prost(int32, tag = "5")]
    pub data_type: i32,
    #[prost(message, repeated, tag = "6")]
    pub type_params: Vec<KeyValue>,
    #[prost(int32, tag = "10")]
    pub element_type: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct CollectionSchema {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub description: String,
    #[prost(message, repeated, tag = "4")]
    pub fields: Vec<FieldSchema>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Bools {
    #[prost(bool, repeated, tag = "1")]
    pub data: Vec<bool>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Ints {
    #[prost(int32, repeated, tag = "1")]
    pub data: Vec<i32>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Longs {
    #[prost(int64, repeated, tag = "1")]
    pub data: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Floats {
    #[prost(float, repeated, tag = "1")]
    pub data: Vec<f32>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Texts {
    #[prost(string, repeated, tag = "1")]
    pub data: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Arrays {
    #[prost(message, repeated, tag = "1")]
    pub data: Vec<Scalars>,
    #[prost(int32, tag = "2")]
    pub element_type: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct Scalars {
    #[prost(oneof = "Scalar", tags = "1, 2, 3, 6, 8")]
    pub data: Option<Scalar>,
}

#[derive(Clone, PartialEq, Oneof)]
pub enum Scalar {
    #[prost(message, tag = "1")]
    Bools(Bools),
    #[prost(message, tag = "2")]
    Ints(Ints),
    #[prost(message, tag = "3")]
    Longs(Longs),
    #[prost(message, tag = "6")]
    Texts(Texts),
    #[prost(message, tag = "8")]
    Arrays(Arrays),
}

#[derive(Clone, PartialEq, Message)]
pub struct Vectors {
    #[prost(int64, tag = "1")]
    pub dim: i64,
    #[prost(oneof = "Vector", tags = "2, 3")]
    pub data: Option<Vector>,
}

#[derive(Clone, PartialEq, Oneof)]
pub enum Vector {
    #[prost(message, tag = "2")]
    Floats(Floats),
    #[prost(bytes = "vec", tag = "3")]
    Bits(Vec<u8>),
}

/// A column of rows.
#[derive(Clone, PartialEq, Message)]
pub struct FieldData {
    #[prost(int32, tag = "1")]
    pub kind: i32,
    #[prost(string, tag = "2")]
    pub name: String,
    #[prost(oneof = "Column", tags = "3, 4")]
    pub column: Option<Column>,
}

#[derive(Clone, PartialEq, Oneof)]
pub enum Column {
    #[prost(message, tag = "3")]
    Scalars(Scalars),
    #[prost(message, tag = "4")]
    Vectors(Vectors),
}

/// What names a collection, in the requests whose other fields have defaults.
#[derive(Clone, PartialEq, Message)]
pub struct OfCollection {
    #[prost(string, tag = "3")]
    pub collection: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct CreateCollection {
    #[prost(string, tag = "3")]
    pub collection: String,
    /// A [`CollectionSchema`], encoded.
    #[prost(bytes = "vec", tag = "4")]
    pub schema: Vec<u8>,
    #[prost(int32, tag = "6")]
    pub consistency_level: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct Described {
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    #[prost(message, optional, tag = "2")]
    pub schema: Option<CollectionSchema>,
}

#[derive(Clone, PartialEq, Message)]
pub struct CreateIndex {
    #[prost(string, tag = "3")]
    pub collection: String,
    #[prost(string, tag = "4")]
    pub field: String,
    #[prost(message, repeated, tag = "5")]
    pub params: Vec<KeyValue>,
    #[prost(string, tag = "6")]
    pub name: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct IndexDescription {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "4")]
    pub field: String,
    #[prost(int32, tag = "7")]
    pub state: i32,
    #[prost(string, tag = "8")]
    pub failure: String,
    #[prost(int64, tag = "9")]
    pub pending_rows: i64,
}

#[derive(Clone, PartialEq, Message)]
pub struct Indexes {
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    #[prost(message, repeated, tag = "2")]
    pub indexes: Vec<IndexDescription>,
}

#[derive(Clone, PartialEq, Message)]
pub struct GetLoadState {
    #[prost(string, tag = "2")]
    pub collection: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct LoadState {
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    #[prost(int32, tag = "2")]
    pub state: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct Upsert {
    #[prost(string, tag = "3")]
    pub collection: String,
    #[prost(message, repeated, tag = "5")]
    pub columns: Vec<FieldData>,
    #[prost(uint32, tag = "7")]
    pub rows: u32,
}

#[derive(Clone, PartialEq, Message)]
pub struct Delete {
    #[prost(string, tag = "3")]
    pub collection: String,
    #[prost(string, tag = "5")]
    pub expr: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct Mutation {
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    #[prost(uint32, repeated, tag = "4")]
    pub failed: Vec<u32>,
    #[prost(uint64, tag = "9")]
    pub timestamp: u64,
}

#[derive(Clone, PartialEq, Message)]
pub struct Search {
    #[prost(string, tag = "3")]
    pub collection: String,
    /// A condition.
    #[prost(string, tag = "5")]
    pub expr: String,
    /// A [`PlaceholderGroup`], encoded.
    #[prost(bytes = "vec", tag = "6")]
    pub placeholders: Vec<u8>,
    /// The language of the condition; 1 in all versions.
    #[prost(int32, tag = "7")]
    pub dsl_type: i32,
    #[prost(string, repeated, tag = "8")]
    pub output_fields: Vec<String>,
    #[prost(message, repeated, tag = "9")]
    pub params: Vec<KeyValue>,
    #[prost(uint64, tag = "11")]
    pub guarantee_timestamp: u64,
    #[prost(int64, tag = "12")]
    pub queries: i64,
    #[prost(int32, tag = "14")]
    pub consistency_level: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct PlaceholderGroup {
    #[prost(message, repeated, tag = "1")]
    pub placeholders: Vec<Placeholder>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Placeholder {
    #[prost(string, tag = "1")]
    pub tag: String,
    #[prost(int32, tag = "2")]
    pub kind: i32,
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub values: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Found {
    #[prost(message, repeated, tag = "3")]
    pub columns: Vec<FieldData>,
    #[prost(float, repeated, tag = "4")]
    pub scores: Vec<f32>,
}

#[derive(Clone, PartialEq, Message)]
pub struct SearchResults {
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    #[prost(message, optional, tag = "2")]
    pub results: Option<Found>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Query {
    #[prost(string, tag = "3")]
    pub collection: String,
    #[prost(string, tag = "4")]
    pub expr: String,
    #[prost(string, repeated, tag = "5")]
    pub output_fields: Vec<String>,
    #[prost(uint64, tag = "8")]
    pub guarantee_timestamp: u64,
    #[prost(message, repeated, tag = "9")]
    pub params: Vec<KeyValue>,
    #[prost(int32, tag = "11")]
    pub consistency_level: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct QueryResults {
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    #[prost(message, repeated, tag = "2")]
    pub columns: Vec<FieldData>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Flush {
    #[prost(string, repeated, tag = "3")]
    pub collections: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Flushed {
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    #[prost(map = "string, message", tag = "3")]
    pub segments: HashMap<String, Longs>,
    #[prost(map = "string, uint64", tag = "6")]
    pub timestamps: HashMap<String, u64>,
}

#[derive(Clone, PartialEq, Message)]
pub struct GetFlushState {
    #[prost(int64, repeated, tag = "1")]
    pub segments: Vec<i64>,
    #[prost(uint64, tag = "2")]
    pub timestamp: u64,
    #[prost(string, tag = "4")]
    pub collection: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct FlushState {
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    #[prost(bool, tag = "2")]
    pub flushed: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct GetVersion {}

#[derive(Clone, PartialEq, Message)]
pub struct Version {
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    #[prost(string, tag = "2")]
    pub version: String,
}

/// An answer that says whether the server did what it was asked.
pub trait Answer {
    fn status(&self) -> Option<&Status>;
}

impl Answer for Status {
    fn status(&self) -> Option<&Status> {
        Some(self)
    }
}

macro_rules! answers {
    ($($answer:ty),*) => {
        $(impl Answer for $answer {
            fn status(&self) -> Option<&Status> {
                self.status.as_ref()
            }
        })*
    };
}

answers!(
    Described,
    Indexes,
    LoadState,
    Mutation,
    SearchResults,
    QueryResults,
    Flushed,
    FlushState,
    Version
);
