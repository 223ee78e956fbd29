//! `imgsearch restore`: restores removed images.

use std::path::PathBuf;

use imgsearch::Library;
use serde_json::json;

use super::args::{Global, RestoreArgs};
use super::output::{counted, moment, shown, with_path, with_paths};
use super::setup::index_dir;
use super::streams::{out, say};
use super::{Outcome, Result, file_list};

pub fn run(global: &Global, args: &RestoreArgs) -> Result {
    if let (Some(model), Some(output)) = (&args.restoring.model, &args.restoring.output) {
        return super::restoring::run(global, args, model, output);
    }
    let paths = file_list::with_list(&args.paths, args.files_from.as_deref())?;
    if args.list {
        return list(global, args, &paths);
    }
    bring_back(global, &paths, args.json)
}

/// Brings removed images back into the index.
pub fn bring_back(global: &Global, paths: &[PathBuf], json: bool) -> Result {
    let restored = Library::open(index_dir(global)?)?.restore(paths)?;
    if json {
        let line = json!({"restored": restored.images});
        out!(
            "{}",
            with_paths(line, "stored_again", &restored.stored_again)
        );
    } else if !global.quiet {
        for path in &restored.stored_again {
            say!(
                "{}: not restored, because another image is stored there now",
                shown(path)
            );
        }
        say!("{} restored", counted(restored.images, "image", "images"));
    }
    Ok(if restored.images == 0 {
        Outcome::Partial
    } else {
        Outcome::Done
    })
}

fn list(global: &Global, args: &RestoreArgs, paths: &[PathBuf]) -> Result {
    let trash = Library::open(index_dir(global)?)?.trash(paths)?;
    for one in &trash {
        if args.json {
            let line = json!({"removed": one.removed});
            out!("{}", with_path(line, "path", &one.path));
        } else {
            out!("{} UTC  {}", moment(one.removed), shown(&one.path));
        }
    }
    if trash.is_empty() && !args.json && !global.quiet {
        say!("no removed image can be restored");
    }
    Ok(if trash.is_empty() {
        Outcome::Partial
    } else {
        Outcome::Done
    })
}
