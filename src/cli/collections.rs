//! `imgsearch collections`: indexes with names.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use imgsearch::index::Reader;
use imgsearch::{Collection, Collections, DEFAULT_NAME};
use serde_json::{Value, json};

use super::args::{CollectionsArgs, CollectionsCommand, Global};
use super::colours::{self, Paint};
use super::output::{bytes, command, counted, shown, with_path, with_paths};
use super::streams::{out, say};
use super::{Outcome, Result};

pub fn run(global: &Global, args: &CollectionsArgs) -> Result {
    let collections = Collections::of_user()?;
    match &args.command {
        None => list(args, &collections),
        Some(CollectionsCommand::Add { name, dir }) => {
            let added = collections.add(name, dir)?;
            if args.json {
                out!(
                    "{}",
                    with_path(json!({"name": added.name}), "dir", &added.dir)
                );
            } else if !global.quiet {
                let query = command(Some(Path::new(name)), &["query", "IMAGE"].map(OsStr::new));
                say!("{name} is {}. To search in it: {query}", shown(&added.dir));
            }
            Ok(Outcome::Done)
        }
        Some(CollectionsCommand::Remove { name, delete }) => {
            remove(global, args, &collections, name, *delete)
        }
    }
}

fn remove(
    global: &Global,
    args: &CollectionsArgs,
    collections: &Collections,
    name: &str,
    delete: bool,
) -> Result {
    let Some(collection) = collections.find(name)? else {
        return Err(imgsearch::Error::NoSuchCollection {
            name: name.to_owned(),
        }
        .into());
    };
    let dir = shown(&collection.dir);
    let left = if delete {
        collections.delete(name)?
    } else if collection.elsewhere {
        collections.forget(name)?;
        Vec::new()
    } else {
        let words = ["collections", "remove", name, "--delete"].map(OsStr::new);
        return Err(format!(
            "the index of {name} lies in the data folder and has no other name: {dir}\nTo delete it, but no image: {}",
            command(None, &words)
        )
        .into());
    };
    if args.json {
        let object = with_path(
            json!({"name": name, "deleted": delete}),
            "dir",
            &collection.dir,
        );
        out!("{}", with_paths(object, "left", &left));
    } else if !global.quiet {
        match delete {
            true => say!("the index of {name} is deleted: {dir}; the images are untouched"),
            false => say!("the name {name} is forgotten; the index stays in {dir}"),
        }
        for path in left {
            say!("not a part of the index, so it stays: {}", shown(&path));
        }
    }
    Ok(Outcome::Done)
}

/// What is known of an index.
struct Known {
    name: String,
    dir: PathBuf,
    elsewhere: bool,
    what: std::result::Result<Held, String>,
}

/// What an index holds.
struct Held {
    images: u64,
    bytes: u64,
    roots: Vec<PathBuf>,
}

fn list(args: &CollectionsArgs, collections: &Collections) -> Result {
    let mut known = Vec::new();
    let default = imgsearch::default_dir()?;
    if imgsearch::index::Index::lies_in(&default) {
        known.push(look(DEFAULT_NAME.to_owned(), default, false));
    }
    for Collection {
        name,
        dir,
        elsewhere,
        ..
    } in collections.list()?
    {
        known.push(look(name, dir, elsewhere));
    }
    if args.json {
        for known in &known {
            out!("{}", to_json(known));
        }
    } else {
        print(&known);
    }
    if known.is_empty() && !args.json {
        say!(
            "no index yet; to make a collection: {}",
            command(
                Some(Path::new("NAME")),
                &["index", "FOLDER"].map(OsStr::new)
            )
        );
    }
    Ok(match known.iter().all(|known| known.what.is_ok()) {
        true if known.is_empty() => Outcome::Partial,
        true => Outcome::Done,
        false => Outcome::Partial,
    })
}

fn look(name: String, dir: PathBuf, elsewhere: bool) -> Known {
    let what = Reader::open(&dir)
        .and_then(|reader| {
            let stats = reader.stats()?;
            Ok(Held {
                images: stats.images,
                bytes: stats.bytes,
                roots: reader.roots()?,
            })
        })
        .map_err(|error| error.to_string());
    Known {
        name,
        dir,
        elsewhere,
        what,
    }
}

fn to_json(known: &Known) -> Value {
    let object = json!({"name": known.name, "elsewhere": known.elsewhere});
    let object = with_path(object, "dir", &known.dir);
    match &known.what {
        Ok(held) => {
            let mut object = with_paths(object, "folders", &held.roots);
            object["images"] = json!(held.images);
            object["bytes"] = json!(held.bytes);
            object
        }
        Err(error) => {
            let mut object = object;
            object["error"] = json!(error);
            object
        }
    }
}

fn print(all: &[Known]) {
    let width = all.iter().map(|known| known.name.chars().count()).max();
    let width = width.unwrap_or(0);
    for known in all {
        let name = colours::result(Paint::Name, &format!("{:width$}", known.name));
        let dir = colours::result(Paint::Path, &shown(&known.dir));
        match &known.what {
            Ok(held) => {
                let images = usize::try_from(held.images).unwrap_or(usize::MAX);
                let images = counted(images, "image", "images");
                out!("{name}  {images:>16}  {:>9}  {dir}", bytes(held.bytes));
                for root in &held.roots {
                    out!("{:width$}  of {}", "", shown(root));
                }
            }
            Err(error) => out!("{name}  cannot be used: {error}"),
        }
    }
}
