//! The database: images, codes and everything that is not derived, in SQLite.
//!
//! Owns the schema, the lock of the writer, and what a row means. One writer changes it while any
//! number of readers look at instants of it.

pub(crate) mod change;
pub(crate) mod checksum;
mod clock;
pub(crate) mod columns;
mod failures;
pub(crate) mod folders;
pub(crate) mod holder;
pub(crate) mod lock;
pub(crate) mod mark;
pub(crate) mod path;
pub(crate) mod reader;
mod refused;
pub(crate) mod rows;
pub(crate) mod schema;
pub(crate) mod segments;
mod takeover;
pub(crate) mod trash;
pub(crate) mod types;
pub(crate) mod writer;
