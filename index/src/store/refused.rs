//! Why a change is not made.

use crate::error::Error;

/// The database failed, or the change makes no sense.
pub(crate) enum Refused {
    Database(rusqlite::Error),
    Input(Error),
}

impl From<rusqlite::Error> for Refused {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Input(error)
    }
}
