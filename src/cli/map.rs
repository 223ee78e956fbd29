//! `imgsearch map`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use imgsearch::groups::map::{Map, MapOptions, TRUST_NEIGHBOURS};
use imgsearch::index::ImageId;
use imgsearch::render::map::{COLUMNS, MapGroup, MapPage, TILE};
use imgsearch::{Error, Library, groups::Group};
use serde_json::json;

use super::args::{Global, MapArgs, fills_output};
use super::destination::check_output;
use super::groups::{dates, words};
use super::output::{count, counted, with_path};
use super::pictures::{Loader, Wanted, deliver};
use super::progress::{CommandProgress, Task};
use super::signals::stop_flag;
use super::streams::{out, say};
use super::{Outcome, Result, setup};

/// Pictures that are decoded between two looks at whether to stop.
const LOADED: usize = 64;

/// Images whose paths are read at once.
const AT_ONCE: usize = 4096;

pub fn run(global: &Global, args: &MapArgs) -> Result {
    if fills_output(args.output.as_deref()) {
        if args.json || args.open {
            return Err(
                "--output - fills standard output, so it does not go with --json or --open: name a file instead of -"
                    .into(),
            );
        }
    } else if let Some(file) = &args.output {
        check_output(file)?;
    }
    let stop = stop_flag("stopping")?;
    let library = setup::library(global, None, Some(&args.limits))?;
    let mut options = MapOptions::default();
    options.renew = args.renew;
    options.seed = args.seed;
    options.groups.min_size = args.min_size;
    options.filter = setup::filter(global, &library, &args.chosen.typed())?;
    let progress = CommandProgress::new(Task::Groups, global, args.json, &stop);
    let map = library.map(&options, &progress)?;
    progress.finish();
    if !global.quiet && !args.json {
        say_about(&map);
    }
    if args.measure {
        say!(
            "trustworthiness at {TRUST_NEIGHBOURS} neighbours: {:.4}",
            library.trustworthiness(&map)?
        );
    }
    if args.json {
        print_json(&library, &map)?;
    }
    if map.places.is_empty() {
        return Ok(Outcome::Partial);
    }
    if args.output.is_none() && !args.open {
        return Ok(Outcome::Done);
    }
    let mut loader = Loader::new(global);
    let page = page(&library, &map, args.thumbnails, &mut loader, &stop)?;
    deliver(global, &page.to_html(), args.output.as_deref(), args.open)?;
    Ok(match loader.finish() {
        0 => Outcome::Done,
        _ => Outcome::Partial,
    })
}

fn say_about(map: &Map) {
    match (map.kept, map.placed) {
        (0, 0) => say!("no image to place: the index is empty"),
        (0, placed) => say!("{} placed", counted(placed, "image", "images")),
        (kept, 0) => say!("all {} are where they were", count(kept as u64)),
        (kept, placed) => {
            say!(
                "{} kept where they were, {} placed among them",
                counted(kept, "image", "images"),
                count(placed as u64)
            );
            if placed > kept {
                say!(
                    "most images are new, so a new map shows more of how they belong together: add --renew"
                );
            }
        }
    }
}

fn print_json(library: &Library, map: &Map) -> Result<()> {
    for places in map.places.chunks(AT_ONCE) {
        let ids: Vec<ImageId> = places.iter().map(|place| place.id).collect();
        let images = library.index_view()?.images(&ids)?;
        for (place, image) in places.iter().zip(images) {
            if let Some(image) = image {
                out!("{}", with_path(json!(place), "path", &image.path));
            }
        }
    }
    Ok(())
}

/// Returns the page, with pictures of at most `most` images.
fn page(
    library: &Library,
    map: &Map,
    most: usize,
    loader: &mut Loader<'_>,
    stop: &AtomicBool,
) -> Result<MapPage> {
    let mut page = MapPage::default();
    let groups = map.groups.groups.iter().zip(map.centres());
    page.groups = groups.map(described).collect();
    let mut group_of = HashMap::new();
    for (place, group) in map.groups.groups.iter().enumerate() {
        group_of.extend(group.images.iter().map(|id| (*id, place)));
    }
    let mut paths = Vec::new();
    let mut number_of = HashMap::new();
    for places in map.places.chunks(AT_ONCE) {
        let ids: Vec<ImageId> = places.iter().map(|place| place.id).collect();
        let images = library.index_view()?.images(&ids)?;
        for (place, image) in places.iter().zip(images) {
            // It was removed since.
            let Some(image) = image else { continue };
            number_of.insert(place.id, page.len());
            let group = group_of.get(&place.id).copied();
            page.add(&image.path, [place.x, place.y], group);
            paths.push(image.path);
        }
    }
    page.title = counted(page.len(), "image", "images");
    page.note = format!(
        "{}, {} in none",
        counted(map.groups.groups.len(), "group", "groups"),
        count(map.groups.ungrouped.len() as u64)
    );
    let order = map.by_importance().into_iter();
    let order = order
        .filter_map(|id| number_of.get(&id).copied())
        .take(most);
    let order: Vec<usize> = order.collect();
    // Some at a time: all pictures at once would take a lot of memory. Those that cannot be shown leave room for more.
    let mut ready = Vec::new();
    for some in order.chunks(LOADED) {
        if stop.load(Ordering::Relaxed) {
            return Err(Error::Interrupted.into());
        }
        let wanted: Vec<Wanted> = some
            .iter()
            .map(|&number| Wanted::at(paths[number].clone()))
            .collect();
        let pictures = loader.load(&wanted, library.limits(), TILE, Ok)?;
        let loaded = some.iter().copied().zip(pictures);
        ready.extend(loaded.filter_map(|(number, picture)| Some((number, picture.ok()?))));
        if ready.len() >= COLUMNS * COLUMNS {
            let rest = ready.split_off(COLUMNS * COLUMNS);
            page.add_pictures(&ready)?;
            ready = rest;
        }
    }
    page.add_pictures(&ready)?;
    Ok(page)
}

fn described((group, place): (&Group, Option<[f32; 2]>)) -> MapGroup {
    MapGroup {
        place,
        name: group.name.clone().unwrap_or_default(),
        size: group.images.len(),
        dates: group.dates.as_ref().map_or_else(String::new, dates),
        words: words(group),
    }
}
