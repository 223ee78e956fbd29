//! What a contact sheet says about a question and its answer.

use std::path::{Path, PathBuf};

use imgsearch::index::{Image, Label};
use imgsearch::render::sheet::{Group, Item, Picture};
use imgsearch::{Answer, Library, Match, class_name};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::load::Wanted;
use crate::cli::Result;
use crate::cli::output::{bytes, counted, moment, relative};
use crate::cli::query::{nearness, percents};
use crate::cli::question::{Asked, Plan};
use crate::cli::weighted::What;

/// Maximum number of labels of an image. More are hardly likely.
const MOST_LABELS: usize = 3;

/// A group whose items have no pictures yet.
pub struct Made {
    pub group: Group,
    /// The pictures of the items that are missing theirs, in their order.
    pub wanted: Vec<Wanted>,
}

/// Describes a question and what was found.
///
/// # Errors
///
/// If the index cannot be read.
pub fn group(library: &Library, plan: &Plan, asked: &Asked, answer: &Answer) -> Result<Made> {
    let mut wanted = Vec::new();
    let mut group = Group {
        heading: plan.heading(),
        note: note(answer),
        ..Group::default()
    };
    let parts = plan.parts();
    let several = parts.len() > 1;
    for (i, ((what, weight), &images)) in parts.into_iter().zip(&asked.images).enumerate() {
        let mut item = asked_item(library, what, images)?;
        if let Some(path) = &item.file
            && matches!(item.picture, Picture::Missing(_))
        {
            let crop = plan.crop().filter(|_| i == 0).copied();
            item.facts.extend(crop.map(|crop| format!("part {crop}")));
            wanted.push(Wanted {
                path: path.clone(),
                source: None,
                crop,
            });
        } else if matches!(item.picture, Picture::Missing(_)) {
            wanted.push(Wanted {
                path: PathBuf::from("-"),
                source: asked.piped.clone(),
                crop: plan.crop().filter(|_| i == 0).copied(),
            });
        }
        if several {
            let way = if weight.is_sign_negative() {
                "less"
            } else {
                "more"
            };
            item.facts.push(format!("{way}, weight {}", weight.abs()));
        }
        group.asked.push(item);
    }
    let zone = TimeZone::try_system().unwrap_or(TimeZone::UTC);
    for (i, found) in answer.matches.iter().enumerate() {
        wanted.push(Wanted::at(found.path.clone()));
        let item = found_item(i + 1, found, Some(&found.image), plan.is_words(), &zone);
        group.items.push(item);
    }
    Ok(Made { group, wanted })
}

fn note(answer: &Answer) -> String {
    if answer.matches.is_empty() {
        "Nothing was found.".to_owned()
    } else if answer.resembles == Some(false) {
        "Nothing here looks like it. These are the nearest images.".to_owned()
    } else {
        counted(answer.matches.len(), "image", "images")
    }
}

/// Describes a part of the question.
fn asked_item(library: &Library, what: &What, images: usize) -> Result<Item> {
    Ok(match what {
        What::Picture(path) if path == Path::new("-") => Item {
            picture: Picture::Missing(String::new()),
            name: "standard input".to_owned(),
            ..Item::words("")
        },
        What::Picture(path) => of_path(&std::path::absolute(path)?),
        What::Folder(path) => Item {
            picture: Picture::Words(counted(images, "picture", "pictures")),
            ..of_path(&std::path::absolute(path)?)
        },
        What::Words(text) => Item::words(text),
        What::Id(id) => match library.image(*id)? {
            Some(image) => {
                let mut item = of_path(&image.path);
                item.facts.push(format!("id {id}"));
                item
            }
            // It was removed since it was asked.
            None => Item::words(&format!("id {id}")),
        },
    })
}

/// Describes a file. Its folder is written as a person in the current one would.
pub fn of_path(path: &Path) -> Item {
    let mut item = Item::at(path);
    if let Some(folder) = relative(path).parent() {
        item.folder = folder.display().to_string();
    }
    item
}

/// Describes an image that was found.
fn found_item(
    rank: usize,
    found: &Match,
    image: Option<&Image>,
    by_words: bool,
    zone: &TimeZone,
) -> Item {
    let mut item = of_path(&found.path);
    item.rank = Some(rank);
    item.nearness = nearness(found, by_words);
    if let Some(image) = image {
        item.facts.push(date(image, zone));
        item.facts.push(format!(
            "{} × {}, {}",
            image.width,
            image.height,
            bytes(image.stat.size)
        ));
    }
    item.facts.extend(named_labels(&found.labels));
    item
}

/// Returns the likeliest labels, on one line; `None` if there are none.
pub fn named_labels(labels: &[Label]) -> Option<String> {
    let labels = labels.iter().filter_map(label).take(MOST_LABELS);
    let labels: Vec<String> = labels.collect();
    (!labels.is_empty()).then(|| labels.join(", "))
}

fn label(label: &Label) -> Option<String> {
    let name = class_name(label.class)?;
    // A number stays on one line with its sign.
    let probability = percents(label.probability).replace(' ', "\u{a0}");
    Some(format!("{name} {probability}"))
}

/// Returns when an image was taken, by the camera's clock, or else the local date of its file.
pub fn date(image: &Image, zone: &TimeZone) -> String {
    if let Some(taken) = image.taken {
        return moment(taken);
    }
    let file = Timestamp::from_nanosecond(image.stat.mtime_ns.into());
    file.map_or_else(
        |_| "no date".to_owned(),
        |file| {
            let file = file.to_zoned(zone.clone());
            format!("file date {}", file.strftime("%Y-%m-%d %H:%M"))
        },
    )
}
