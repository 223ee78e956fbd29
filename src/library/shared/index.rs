//! Indexing into a collection on a server.

use std::path::PathBuf;

use imgsearch_index::collection::Collection;

use crate::error::Result;
use crate::indexing::shared::{self, SharedRun};
use crate::indexing::walk::{self, Names};
use crate::indexing::{IndexOptions, Summary};
use crate::library::Library;
use crate::progress::Progress;

impl Library {
    /// Indexes files and folders into a collection, or the share of them that falls to this machine.
    pub(in crate::library) fn index_shared(
        &self,
        collection: &dyn Collection,
        paths: &[PathBuf],
        options: &IndexOptions,
        progress: &dyn Progress,
    ) -> Result<Summary> {
        let engine = self.engine()?;
        let names = Names::without_index().to_walk(paths, &options.walk)?;
        let walked = walk::walk_named(names, &options.walk)?;
        for path in &walked.left_out {
            progress.note(&format!(
                "{} is left out: a file {} in a folder above names it",
                path.display(),
                walk::IGNORE_FILE
            ));
        }
        shared::run(
            &SharedRun {
                collection,
                engine,
                options,
                progress,
            },
            walked,
        )
    }
}
