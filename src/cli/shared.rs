//! Commands on a collection on a server, as far as they differ from those on a folder.

use std::path::PathBuf;

use imgsearch::index::collection::Collection;
use imgsearch::{Library, SharedStatus};
use serde_json::json;

use super::args::{AdaptWhen, CheckArgs, Global, IndexArgs, RemoveArgs, StatusArgs};
use super::output::{bytes, count, counted};
use super::streams::{out, say};
use super::{Outcome, Result};

/// Returns the first option of `imgsearch index` that a collection on a server has not.
pub fn folder_only(args: &IndexArgs) -> Option<&'static str> {
    if args.reencode {
        Some("--reencode")
    } else if args.adapt == AdaptWhen::Auto {
        Some("--adapt auto")
    } else {
        None
    }
}

/// `imgsearch remove`.
pub fn remove(
    global: &Global,
    args: &RemoveArgs,
    paths: &[PathBuf],
    library: &mut Library,
) -> Result {
    let removed = library.remove(paths)?;
    if args.json {
        out!("{}", json!({"removed": removed, "restorable": false}));
    } else if !global.quiet {
        let images = counted(removed, "image", "images");
        match removed {
            0 => say!("no image of the collection lies under these paths"),
            _ => say!(
                "{images} forgotten for good: a server keeps no trash. The files are untouched"
            ),
        }
    }
    Ok(if removed == 0 {
        Outcome::Partial
    } else {
        Outcome::Done
    })
}

/// `imgsearch status`.
pub fn status(args: &StatusArgs, status: &SharedStatus) -> Result {
    if args.damaged || args.formats {
        return Err(imgsearch::Error::NeedsFolder {
            place: status.place.clone(),
        }
        .into());
    }
    let encoder = &status.encoder;
    if args.json {
        out!(
            "{}",
            json!({
                "place": status.place,
                "stats": {"images": status.images, "bytes": status.bytes},
                "encoder": {
                    "name": encoder.name, "fingerprint": encoder.fingerprint,
                    "code_length": encoder.code_len, "bits": encoder.bits,
                },
            })
        );
        return Ok(Outcome::Done);
    }
    out!("index     {}", status.place);
    out!("images    {}", count(status.images));
    out!(
        "encoder   {} ({} numbers, {} bits, {})",
        encoder.name,
        encoder.code_len,
        encoder.bits,
        encoder.fingerprint
    );
    if let Some(taken) = status.bytes {
        out!("on disk   {} at the server", bytes(taken));
    }
    Ok(Outcome::Done)
}

/// `imgsearch check`.
pub fn check(args: &CheckArgs, collection: &dyn Collection) -> Result {
    if args.repair {
        return Err(imgsearch::Error::NeedsFolder {
            place: collection.place().to_owned(),
        }
        .into());
    }
    let wrong = collection.check()?;
    let images = collection.count(&imgsearch::index::Filter::default())?;
    if args.json {
        out!("{}", json!({"images": images, "wrong": wrong}));
    } else {
        for line in &wrong {
            out!("{line}");
        }
        if wrong.is_empty() {
            out!("{} images: the tables and indexes are sound", count(images));
        }
    }
    Ok(if wrong.is_empty() {
        Outcome::Done
    } else {
        Outcome::Partial
    })
}
