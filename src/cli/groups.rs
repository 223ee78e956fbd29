//! `imgsearch groups`.

use std::ffi::OsStr;
use std::sync::atomic::Ordering;

use imgsearch::groups::{Dates, Group, GroupOptions, Groups};
use imgsearch::index::ImageId;
use imgsearch::render::sheet;
use imgsearch::{Error, Library};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::args::{Global, GroupsArgs, fills_output};
use super::output::{command, count, counted, relative, shown, with_path};
use super::pictures::{Page, of_path};
use super::progress::{CommandProgress, Task};
use super::query::percents;
use super::signals::stop_flag;
use super::streams::{out, say};
use super::{Outcome, Result, setup};

/// What a group is called that no word fits.
const UNNAMED: &str = "unnamed";

/// The widest name that others are aligned with.
const WIDEST: usize = 24;

pub fn run(global: &Global, args: &GroupsArgs) -> Result {
    let page = Page::of_options(global, args.html.as_deref(), args.open, args.json)?;
    let stop = stop_flag("stopping")?;
    let library = setup::library(global, None, Some(&args.limits))?;
    let mut options = GroupOptions::default();
    options.min_size = args.min_size;
    options.depth = args.depth;
    options.filter = setup::filter(global, &library, &args.chosen.typed())?;
    let progress = CommandProgress::new(Task::Groups, global, args.json, &stop);
    let groups = library.groups(&options, &progress)?;
    progress.finish();
    let mut outcome = if groups.groups.is_empty() {
        Outcome::Partial
    } else {
        Outcome::Done
    };
    if args.json {
        print_json(&library, &groups)?;
    } else if !fills_output(args.html.as_deref()) {
        print(&library, &groups)?;
    }
    if !args.json && !global.quiet {
        say_about(global, &groups);
    }
    if let Some(mut page) = page {
        for group in &groups.groups {
            if stop.load(Ordering::Relaxed) {
                return Err(Error::Interrupted.into());
            }
            add(&mut page, &library, group, None, args.shown)?;
        }
        if !groups.ungrouped.is_empty() {
            let rest = sheet::Group {
                heading: "In no group".to_owned(),
                note: counted(groups.ungrouped.len(), "image", "images"),
                items: items(&library, &groups.ungrouped, args.shown)?,
                ..sheet::Group::default()
            };
            page.add(&library, rest)?;
        }
        let title = format!(
            "{} among {}",
            counted(groups.groups.len(), "group", "groups"),
            counted(groups.images, "image", "images")
        );
        if page.finish(&title)? == Outcome::Partial {
            outcome = Outcome::Partial;
        }
    }
    Ok(outcome)
}

/// Says what is worth knowing beside the groups.
fn say_about(global: &Global, groups: &Groups) {
    if groups.images == 0 {
        say!("no image to group: the index is empty, or none matches the filters");
    } else if groups.groups.is_empty() {
        say!(
            "no group of at least {} among {}: nothing lies closer together than the rest",
            counted(groups.min_size, "different image", "different images"),
            counted(groups.images, "image", "images")
        );
    } else {
        say!(
            "{} and {} in none; a group has at least {}",
            counted(groups.groups.len(), "group", "groups"),
            counted(groups.ungrouped.len(), "image", "images"),
            counted(groups.min_size, "different image", "different images")
        );
    }
    if !groups.has_labels && !groups.groups.is_empty() {
        let reencode = ["index", "--reencode"].map(OsStr::new);
        say!(
            "the groups have no names, because the images have no labels. To add them: {}",
            command(global.index.as_deref(), &reencode)
        );
    }
}

/// Prints a line for each group, and below it the groups within.
fn print(library: &Library, groups: &Groups) -> Result<()> {
    let names = groups
        .groups
        .iter()
        .map(|group| name(group).chars().count());
    let width = names.max().unwrap_or(0).min(WIDEST);
    let digits = groups.groups.iter().map(|group| group.images.len());
    let digits = digits.max().map_or(1, |most| count(most as u64).len());
    for group in &groups.groups {
        print_group(library, group, 0, (digits, width))?;
    }
    Ok(())
}

fn print_group(
    library: &Library,
    group: &Group,
    depth: usize,
    (digits, width): (usize, usize),
) -> Result<()> {
    let typical = library.index_view()?.images(&group.images[..1])?;
    let path = typical.into_iter().flatten().next();
    let path = path.map_or_else(String::new, |image| shown(&relative(&image.path)));
    out!(
        "{:indent$}{:>digits$}  {:<width$}  {:<16}  {path}",
        "",
        count(group.images.len() as u64),
        name(group),
        group.dates.as_ref().map_or_else(String::new, dates),
        indent = 2 * depth,
    );
    for inner in &group.groups {
        print_group(library, inner, depth + 1, (digits, width))?;
    }
    Ok(())
}

/// Returns the name of a group for a person.
fn name(group: &Group) -> String {
    group.name.clone().unwrap_or_else(|| UNNAMED.to_owned())
}

/// Returns when the middle eight of ten images were taken, as short as it can be said.
pub fn dates(dates: &Dates) -> String {
    let zone = if dates.of_files {
        TimeZone::try_system().unwrap_or(TimeZone::UTC)
    } else {
        TimeZone::UTC
    };
    let day = |seconds: i64| {
        let moment = Timestamp::from_second(seconds).ok()?;
        Some(moment.to_zoned(zone.clone()).date())
    };
    let (Some(from), Some(to)) = (day(dates.from), day(dates.to)) else {
        return String::new();
    };
    let text = |format: &str, date: jiff::civil::Date| date.strftime(format).to_string();
    if from == to {
        text("%Y-%m-%d", from)
    } else if (from.year(), from.month()) == (to.year(), to.month()) {
        text("%Y-%m", from)
    } else if from.year() == to.year() {
        format!("{} to {}", text("%Y-%m", from), text("%m", to))
    } else {
        format!("{} to {}", text("%Y", from), text("%Y", to))
    }
}

/// Returns what sets a group apart, as a sentence.
pub fn words(group: &Group) -> String {
    let words = group.words.iter();
    let words = words.map(|word| format!("{} {}", word.name, percents(word.share as f32)));
    words.collect::<Vec<_>>().join(", ")
}

/// Adds a section for a group, and one for each group within.
fn add(
    page: &mut Page<'_>,
    library: &Library,
    group: &Group,
    above: Option<&str>,
    most: usize,
) -> Result<()> {
    let name = name(group);
    let heading = above.map_or_else(|| name.clone(), |above| format!("{above} › {name}"));
    let parts = [
        counted(group.images.len(), "image", "images"),
        group.dates.as_ref().map_or_else(String::new, dates),
        words(group),
    ];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    let section = sheet::Group {
        heading: heading.clone(),
        note: parts.join(" · "),
        items: items(library, &group.images, most)?,
        ..sheet::Group::default()
    };
    page.add(library, section)?;
    for inner in &group.groups {
        add(page, library, inner, Some(&heading), most)?;
    }
    Ok(())
}

/// Returns the items of the first images.
fn items(library: &Library, ids: &[ImageId], most: usize) -> Result<Vec<sheet::Item>> {
    let images = library.index_view()?.images(&ids[..ids.len().min(most)])?;
    Ok(images
        .into_iter()
        .flatten()
        .map(|image| of_path(&image.path))
        .collect())
}

fn print_json(library: &Library, groups: &Groups) -> Result<()> {
    for group in &groups.groups {
        out!("{}", to_json(library, group)?);
    }
    out!(
        "{}",
        json!({
            "groups": groups.groups.len(), "images": groups.images, "min_size": groups.min_size,
            "ungrouped": groups.ungrouped,
        })
    );
    Ok(())
}

/// Returns a group as JSON, with the path of its most typical image.
fn to_json(library: &Library, group: &Group) -> Result<Value> {
    let inner = group.groups.iter().map(|inner| to_json(library, inner));
    let line = json!({
        "name": group.name, "size": group.images.len(), "words": group.words, "dates": group.dates,
        "images": group.images, "groups": inner.collect::<Result<Vec<_>>>()?,
    });
    let typical = library.index_view()?.images(&group.images[..1])?;
    Ok(match typical.into_iter().flatten().next() {
        Some(image) => with_path(line, "typical", &image.path),
        None => line,
    })
}
