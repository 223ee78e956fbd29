//! `imgsearch restore`: removed images are brought back.

use std::io::{self, Write as _};

use imgsearch::Library;
use imgsearch::index::Reader;
use serde_json::json;

use super::args::{Global, RestoreArgs};
use super::output::{counted, moment, shown};
use super::setup::index_dir;
use super::{Outcome, Result};

pub fn run(global: &Global, args: &RestoreArgs) -> Result {
    if args.list {
        return list(global, args);
    }
    let restored = Library::restore(index_dir(global)?, &args.paths)?;
    if args.json {
        let again = restored
            .stored_again
            .iter()
            .map(|path| path.to_string_lossy());
        let line = json!({"restored": restored.images, "stored_again": again.collect::<Vec<_>>()});
        writeln!(io::stdout(), "{line}")?;
    } else if !global.quiet {
        for path in &restored.stored_again {
            eprintln!(
                "{}: another image is stored there by now, and stays",
                shown(path)
            );
        }
        eprintln!(
            "{} brought back",
            counted(restored.images, "image", "images")
        );
    }
    Ok(if restored.images == 0 {
        Outcome::Lacking
    } else {
        Outcome::Done
    })
}

fn list(global: &Global, args: &RestoreArgs) -> Result {
    let wanted = args
        .paths
        .iter()
        .map(|path| imgsearch::resolved(path))
        .collect::<imgsearch::Result<Vec<_>>>()?;
    let mut trash = Reader::open(&index_dir(global)?)?.trash()?;
    trash.retain(|one| wanted.is_empty() || wanted.iter().any(|path| one.path.starts_with(path)));
    let mut out = io::stdout().lock();
    for one in &trash {
        if args.json {
            let path = one.path.to_string_lossy();
            writeln!(out, "{}", json!({"path": path, "removed": one.removed}))?;
        } else {
            writeln!(out, "{} UTC  {}", moment(one.removed), shown(&one.path))?;
        }
    }
    if trash.is_empty() && !args.json && !global.quiet {
        eprintln!("nothing was removed that could be brought back");
    }
    Ok(if trash.is_empty() {
        Outcome::Lacking
    } else {
        Outcome::Done
    })
}
