//! `imgsearch remove`.

use imgsearch::Library;
use serde_json::json;

use super::args::{Global, RemoveArgs};
use super::output::counted;
use super::setup::index_dir;
use super::streams::{out, say};
use super::{Outcome, Result};

pub fn run(global: &Global, args: &RemoveArgs) -> Result {
    let removed = Library::remove(index_dir(global)?, &args.paths)?;
    if args.json {
        out!("{}", json!({"removed": removed}));
    } else if !global.quiet {
        say!(
            "{} forgotten; the files are untouched",
            counted(removed, "image", "images")
        );
    }
    Ok(if removed == 0 {
        Outcome::Lacking
    } else {
        Outcome::Done
    })
}
