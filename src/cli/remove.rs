//! `imgsearch remove`.

use std::ffi::OsStr;

use imgsearch::Library;
use imgsearch::index::{FoldOptions, TRASH_DAYS};
use serde_json::json;

use super::args::{Global, RemoveArgs};
use super::output::{command, counted};
use super::setup::index_place;
use super::streams::{out, say};
use super::{Outcome, Result, file_list, optimize, restore, shared};

pub fn run(global: &Global, args: &RemoveArgs) -> Result {
    let paths = file_list::with_list(&args.paths, args.files_from.as_deref())?;
    if args.undo {
        return restore::bring_back(global, &paths, args.json);
    }
    let mut library = Library::open(index_place(global)?)?;
    if library.collection().is_some() {
        return shared::remove(global, args, &paths, &mut library);
    }
    let removed = if args.forever {
        let removed = library.remove_forever(&paths)?;
        // Segments hold the codes of removed images until they are rebuilt.
        let mut options = FoldOptions::default();
        options.all = true;
        if optimize::fold(global, &mut library, &options, args.json)?.interrupted {
            say!(
                "the images are forgotten; to take their codes out of the segments, too: {}",
                command(global.index.as_deref(), &[OsStr::new("optimize")])
            );
            return Ok(Outcome::Interrupted);
        }
        removed
    } else {
        library.remove(&paths)?
    };
    if args.json {
        out!(
            "{}",
            json!({"removed": removed, "restorable": removed > 0 && !args.forever})
        );
    } else if !global.quiet {
        let images = counted(removed, "image", "images");
        match (removed, args.forever) {
            (0, _) => say!("no image of the index lies under these paths"),
            (_, true) => say!("{images} forgotten for good; the files are untouched"),
            _ => say!(
                "{images} forgotten; the files are untouched. To restore them within {TRASH_DAYS} days: {}",
                how_to_restore(global, args)
            ),
        }
    }
    Ok(if removed == 0 {
        Outcome::Partial
    } else {
        Outcome::Done
    })
}

/// Returns the command that restores what was removed.
fn how_to_restore(global: &Global, args: &RemoveArgs) -> String {
    let mut words = vec![OsStr::new("remove"), OsStr::new("--undo")];
    words.extend(args.paths.iter().map(|path| path.as_os_str()));
    if let Some(list) = &args.files_from {
        words.extend([OsStr::new("--files-from"), list.as_os_str()]);
    }
    command(global.index.as_deref(), &words)
}
