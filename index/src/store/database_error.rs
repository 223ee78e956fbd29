//! What an error of SQLite means.

use std::path::Path;

use crate::error::Error;

impl Error {
    /// Returns [`Error::Corrupt`] if the database says that it is damaged, else [`Error::Database`].
    pub(crate) fn database(dir: &Path, source: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        match source.sqlite_error_code() {
            Some(DatabaseCorrupt | NotADatabase) => Self::Corrupt {
                dir: dir.to_owned(),
                what: source.to_string(),
            },
            _ => Self::Database {
                dir: dir.to_owned(),
                source: Box::new(source),
            },
        }
    }
}
