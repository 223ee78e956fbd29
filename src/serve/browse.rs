//! Looking through the collection: `GET /images`, `/folders`, `/facets`.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use axum::Json;
use axum::extract::State;
use imgsearch::index::{Filter, ImageId, Reader};
use imgsearch::{Error, Library, class_name};

use super::app::App;
use super::describe::{Facet, Facets, FolderInfo, Folders, ImageInfo, Page, day};
use super::map;
use super::params::Params;
use super::problem::{Problem, Result};
use super::query::Query;
use super::search::rows;
use super::work;

/// Labels that are offered as filters.
const LABELS: usize = 200;

/// The images of one state of the index by date, and those that met the newest filter.
#[derive(Debug)]
pub struct Dates {
    generation: i64,
    filter: Filter,
    /// The newest first, with seconds since 1970.
    images: Vec<(ImageId, i64)>,
}

/// Images without a question, the newest first.
#[utoipa::path(get, path = "/images", params(Params), responses(
    (status = 200, body = Page),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub async fn images(State(app): State<Arc<App>>, Query(params): Query) -> Result<Json<Page>> {
    work::with_library(&app, move |app, library| page(app, library, &params))
        .await
        .map(Json)
}

fn page(app: &App, library: &Library, params: &Params) -> Result<Page> {
    params.without_question("images")?;
    params.without_near()?;
    let limit = params.limit()?;
    let after = params.cursor.as_deref().map(place).transpose()?;
    let filter = map::filter(app, library, params)?;
    let dates = dates(app, library, &filter).map_err(|error| app.problem(&error))?;
    // By date and id, so that nothing is shown twice or left out when images come in.
    let start = after.map_or(0, |(date, id)| {
        dates
            .images
            .partition_point(|&(other, at)| (at, other.0) >= (date, id))
    });
    let shown = &dates.images[start..dates.images.len().min(start + limit)];
    let ids: Vec<ImageId> = shown.iter().map(|&(id, _)| id).collect();
    let (images, labels) = rows(app, library, &ids)?;
    let images = images.into_iter().zip(labels);
    let has_more = start + shown.len() < dates.images.len();
    Ok(Page {
        images: images
            .filter_map(|(image, labels)| Some(ImageInfo::new(&image?, &labels)))
            .collect(),
        total: dates.images.len(),
        next: shown
            .last()
            .filter(|_| has_more)
            .map(|(id, date)| format!("{date}.{}", id.0)),
    })
}

/// Reads where a page ended: a date and an id.
fn place(cursor: &str) -> Result<(i64, i64)> {
    let parsed = cursor
        .split_once('.')
        .and_then(|(date, id)| Some((date.parse().ok()?, id.parse().ok()?)));
    parsed.ok_or_else(|| {
        Problem::bad(format!(
            "{cursor:?} is no cursor: send the `next` of the page before"
        ))
    })
}

/// Returns the images that meet a filter by date. They are kept until the index changes or another filter is asked
/// for, because sorting a million takes a second.
fn dates(app: &App, library: &Library, filter: &Filter) -> Result<Arc<Dates>, Error> {
    let reader = library.index_view()?.to_reader()?;
    let generation = reader.generation()?;
    let mut kept = app.dates.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(dates) = &*kept
        && dates.generation == generation
        && dates.filter == *filter
    {
        return Ok(Arc::clone(dates));
    }
    let mut images = reader.by_date()?;
    if !filter.is_empty() {
        let wanted: HashSet<ImageId> = reader.ids(filter)?.into_iter().collect();
        images.retain(|(id, _)| wanted.contains(id));
    }
    let dates = Arc::new(Dates {
        generation,
        filter: filter.clone(),
        images,
    });
    *kept = Some(Arc::clone(&dates));
    Ok(dates)
}

/// The folders in a folder, with the number of images below each.
#[utoipa::path(get, path = "/folders", params(
    ("under" = Option<String>, Query, description = "The folder; without it, the one that holds all images"),
), responses(
    (status = 200, body = Folders),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub async fn folders(State(app): State<Arc<App>>, Query(params): Query) -> Result<Json<Folders>> {
    work::with_library(&app, move |app, library| {
        let under = match &params.under[..] {
            [] => None,
            [under] => Some(under.as_str()),
            _ => return Err(Problem::bad("give one folder as under")),
        };
        in_folder(library, under).map_err(|error| app.problem(&error))
    })
    .await
    .map(Json)
}

/// Returns the stored folders that answers write as `text`. In answers, names that are not UTF-8 have a replacement
/// character for what cannot be written, so that one text may stand for several folders.
pub fn stored_folders(reader: &Reader, text: &str) -> Result<Vec<PathBuf>, Error> {
    if !text.contains(char::REPLACEMENT_CHARACTER) {
        return Ok(vec![text.into()]);
    }
    let mut found = vec![PathBuf::new()];
    for name in Path::new(text) {
        let written = name.to_string_lossy();
        if written.contains(char::REPLACEMENT_CHARACTER) {
            let mut inner = Vec::new();
            for folder in &found {
                inner.extend(reader.folders_in(folder)?.into_iter().map(|one| one.path));
            }
            inner.retain(|path| {
                path.file_name()
                    .is_some_and(|own| own.to_string_lossy() == written)
            });
            found = inner;
        } else {
            found.iter_mut().for_each(|folder| folder.push(name));
        }
    }
    if found.is_empty() {
        // No image is below it, whatever its name is.
        found.push(text.into());
    }
    Ok(found)
}

fn in_folder(library: &Library, under: Option<&str>) -> Result<Folders, Error> {
    let reader = library.index_view()?.to_reader()?;
    let (mut folder, mut folders) = match under {
        Some(text) => {
            let mut inner = Vec::new();
            for folder in stored_folders(&reader, text)? {
                inner.extend(reader.folders_in(&folder)?);
            }
            (PathBuf::from(text), inner)
        }
        None => {
            let folder = reader.common_folder()?.unwrap_or_default();
            let folders = reader.folders_in(&folder)?;
            (folder, folders)
        }
    };
    let in_folders: usize = folders.iter().map(|folder| folder.images).sum();
    // Where images lie beside the folders, the folder that holds them all is one to choose, too.
    if under.is_none() && in_folders < reader.count()? {
        folder = folder
            .parent()
            .map_or_else(|| folder.clone(), Path::to_owned);
        folders = reader.folders_in(&folder)?;
    }
    let mut told: Vec<FolderInfo> = Vec::new();
    for folder in folders {
        let path = folder.path.to_string_lossy().into_owned();
        let is_lossy = path.contains(char::REPLACEMENT_CHARACTER);
        match told.iter_mut().find(|told| is_lossy && told.path == path) {
            // Whoever chooses one chooses both.
            Some(alike) => {
                alike.images += folder.images;
                alike.has_folders |= folder.has_folders;
            }
            None => told.push(FolderInfo {
                name: folder
                    .path
                    .file_name()
                    .map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
                path,
                images: folder.images,
                has_folders: folder.has_folders,
            }),
        }
    }
    Ok(Folders {
        path: folder.to_string_lossy().into_owned(),
        folders: told,
    })
}

/// What there is to filter by.
#[utoipa::path(get, path = "/facets", responses(
    (status = 200, body = Facets),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub async fn facets(State(app): State<Arc<App>>) -> Result<Json<Facets>> {
    work::with_library(&app, |app, library| {
        all_facets(app, library).map_err(|error| app.problem(&error))
    })
    .await
    .map(Json)
}

fn all_facets(app: &App, library: &Library) -> Result<Facets, Error> {
    let reader = library.index_view()?.to_reader()?;
    let formats = reader.formats()?.into_iter();
    let labels = reader.frequent_classes(LABELS)?.into_iter();
    let dates = dates(app, library, &Filter::default())?;
    Ok(Facets {
        formats: formats
            .map(|(name, images)| Facet { name, images })
            .collect(),
        labels: labels
            .filter_map(|(class, images)| {
                Some(Facet {
                    name: class_name(class)?.to_owned(),
                    images,
                })
            })
            .collect(),
        oldest: dates.images.last().and_then(|&(_, date)| day(date)),
        newest: dates.images.first().and_then(|&(_, date)| day(date)),
    })
}
