//! `imgsearch remove`.

use std::ffi::OsStr;

use imgsearch::Library;
use imgsearch::index::{FoldOptions, TRASH_DAYS};
use serde_json::json;

use super::args::{Global, RemoveArgs};
use super::output::{command, counted};
use super::setup::index_dir;
use super::streams::{out, say};
use super::{Outcome, Result, optimize};

pub fn run(global: &Global, args: &RemoveArgs) -> Result {
    let library = Library::open(index_dir(global)?)?;
    let removed = if args.forever {
        let removed = library.remove_forever(&args.paths)?;
        // Segments hold the codes of what was removed until they are made anew.
        let mut options = FoldOptions::default();
        options.all = true;
        if optimize::fold(global, &library, &options, args.json)?.interrupted {
            say!(
                "the images are forgotten; imgsearch optimize takes their codes out of the segments"
            );
            return Ok(Outcome::Interrupted);
        }
        removed
    } else {
        library.remove(&args.paths)?
    };
    if args.json {
        out!(
            "{}",
            json!({"removed": removed, "restorable": removed > 0 && !args.forever})
        );
    } else if !global.quiet {
        let images = counted(removed, "image", "images");
        match (removed, args.forever) {
            (0, _) => say!("{images} forgotten; the files are untouched"),
            (_, true) => say!("{images} forgotten for good; the files are untouched"),
            _ => say!(
                "{images} forgotten; the files are untouched. To bring them back within {TRASH_DAYS} days: {}",
                how_to_restore(global, args)
            ),
        }
    }
    Ok(if removed == 0 {
        Outcome::Lacking
    } else {
        Outcome::Done
    })
}

/// The command that brings back what was removed.
fn how_to_restore(global: &Global, args: &RemoveArgs) -> String {
    let mut words = vec![OsStr::new("restore")];
    words.extend(args.paths.iter().map(|path| path.as_os_str()));
    command(global.index.as_deref(), &words)
}
