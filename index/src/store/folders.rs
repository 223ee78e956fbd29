//! Which folder stood at a path when its images were last met.
//!
//! A folder's path alone does not show that a disk is there: if it is not, an empty folder stands
//! in its place, or another disk.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rusqlite::params;

use crate::error::{Error, Result};
use crate::store::columns::path_of;
use crate::store::path;
use crate::store::reader::Reader;
use crate::store::types::FolderId;
use crate::store::writer::Writer;

impl Reader {
    /// Returns the folders that held images, and those above them, as they were when these were last
    /// met.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn folders(&self) -> Result<HashMap<PathBuf, FolderId>> {
        let rows = self.many(
            "SELECT path, device, inode, born_ns FROM folders",
            (),
            |row| {
                let id = FolderId {
                    device: row.get::<_, i64>(1)?.cast_unsigned(),
                    inode: row.get::<_, i64>(2)?.cast_unsigned(),
                    born_ns: row.get(3)?,
                };
                Ok((path_of(row, 0)?, id))
            },
        )?;
        Ok(rows.into_iter().collect())
    }
}

impl Writer {
    /// Records which folders stand at paths, and forgets others, in one transaction.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn set_folders<'a>(
        &mut self,
        met: impl IntoIterator<Item = (&'a Path, FolderId)>,
        forgotten: impl IntoIterator<Item = &'a Path>,
    ) -> Result<()> {
        let dir = self.dir().to_owned();
        let fail = |source| Error::database(&dir, source);
        let transaction = self.connection.transaction().map_err(fail)?;
        for (path, id) in met {
            let path = path::to_bytes(path)?;
            let (device, inode) = (id.device.cast_signed(), id.inode.cast_signed());
            transaction
                .prepare_cached(
                    "INSERT OR REPLACE INTO folders (path, device, inode, born_ns) VALUES (?1, ?2, ?3, ?4)",
                )
                .and_then(|mut statement| statement.execute(params![path, device, inode, id.born_ns]))
                .map_err(fail)?;
        }
        for path in forgotten {
            transaction
                .execute(
                    "DELETE FROM folders WHERE path = ?1",
                    [path::to_bytes(path)?],
                )
                .map_err(fail)?;
        }
        transaction.commit().map_err(fail)
    }
}
