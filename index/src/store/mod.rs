//! The database: images, codes and everything that is not derived, in SQLite.
//!
//! Owns the schema, the lock of the writer, what a row means, and all SQL. One writer changes it
//! while any number of readers look at instants of it.

pub(crate) mod browse;
mod change;
mod checksum;
mod clock;
mod columns;
mod database_error;
mod facts;
mod failures;
mod folders;
pub(crate) mod holder;
pub(crate) mod interface;
mod labels;
pub(crate) mod lock;
pub(crate) mod mark;
mod matching;
pub(crate) mod path;
pub(crate) mod reader;
mod refused;
pub(crate) mod rotten;
pub(crate) mod rows;
pub(crate) mod schema;
pub(crate) mod segments;
mod stats;
mod takeover;
pub(crate) mod trash;
pub(crate) mod types;
pub(crate) mod writer;
