//! What the collection holds twice: `GET /duplicates`.
//!
//! Nothing is changed here. The page lets a person decide, and the command line acts on the list.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use imgsearch::duplicates::{
    DuplicateFile, DuplicateGroup, DuplicateOptions, Duplicates, Level, find,
};
use imgsearch::index::ImageId;
use imgsearch::{Library, Progress};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::app::App;
use super::describe::ImageInfo;
use super::making::{Made, Makings, Underway};
use super::map;
use super::params::Params;
use super::problem::{Problem, Result};
use super::query::Query;
use super::search::rows;
use super::snapshots::Place;
use super::work;

/// Groups that were found, by what was asked for.
pub type FoundGroups = Makings<Params, Duplicates>;

/// A file of a group.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FileInfo {
    #[serde(flatten)]
    pub image: ImageInfo,
    /// How alike it is to the best file: `identical`, `edited` or `near`.
    pub level: &'static str,
    /// How it differs from the best file, in words; none if it has the same content.
    pub differs: Option<String>,
    /// The same for programs, as `imgsearch duplicates --json` prints it.
    pub changes: Vec<Value>,
    /// The share of compared places that agree, from 0 to 1.
    pub agreement: Option<f32>,
    /// Where it lies in the best file: `[a, b, c, d, e, f]`, by which its place `(x, y)` is
    /// `(a x + b y + c, d x + e y + f)` there. Places count from 0 to 1 in both.
    pub within_best: Option<[f32; 6]>,
}

/// Files that hold the same picture.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct GroupInfo {
    /// The level of the file that differs most from the best one.
    pub level: &'static str,
    /// The place of the best file among the files.
    pub best: usize,
    /// At least two files, the best one first.
    pub files: Vec<FileInfo>,
}

/// A part of the groups.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct GroupsPage {
    /// Groups, by the path of the best file.
    pub groups: Vec<GroupInfo>,
    /// The number of groups.
    pub total: usize,
    /// Files beside the best ones, in all groups.
    pub files: usize,
    /// The bytes of those files.
    pub bytes: u64,
    /// Images that were looked through.
    pub images: usize,
    /// Files that were left out, because they are missing, changed or not readable.
    pub skipped: usize,
    /// What to send as `cursor` for the next ones; none if there are no more.
    pub next: Option<String>,
}

/// Groups of files that hold the same picture.
///
/// Finding them takes a while. It is done once for each state of the index; until it is done, the answer is 202 and
/// says how far it is.
#[utoipa::path(get, path = "/duplicates", params(Params), responses(
    (status = 200, body = GroupsPage),
    (status = 202, body = Underway, description = "Ask again in a moment"),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub async fn duplicates(State(app): State<Arc<App>>, Query(params): Query) -> Result<Response> {
    params.without_question("duplicates")?;
    let limit = params.limit()?;
    let place = params.place(usize::MAX)?;
    let key = params.without_paging();
    let asked = key.clone();
    // What is wrong with the filters is said at once.
    work::with_library(&app, move |app, library| {
        map::filter(app, library, &asked).map(drop)
    })
    .await?;
    let asked = key.clone();
    let make = move |app: &App, library: &Library, progress: &dyn Progress| {
        let mut options = DuplicateOptions::default();
        if asked.near == Some(true) {
            options.level = Level::Near;
        }
        options.filter = map::filter(app, library, &asked)?;
        find(library, &options, progress).map_err(|error| app.problem(&error))
    };
    let number = place.map(|place| place.number);
    match app.duplicates.get(&app, key, number, make).await? {
        Made::Underway(underway) => Ok(underway.into_response()),
        Made::Ready(number, found) => {
            let offset = place.map_or(0, |place| place.offset);
            let shown = work::with_library(&app, move |app, library| {
                page(app, library, &found, Place { number, offset }, limit)
            });
            Ok(Json(shown.await?).into_response())
        }
    }
}

fn page(
    app: &App,
    library: &Library,
    found: &Duplicates,
    place: Place,
    limit: usize,
) -> Result<GroupsPage> {
    let start = place.offset.min(found.groups.len());
    let end = start.saturating_add(limit).min(found.groups.len());
    let shown = &found.groups[start..end];
    let files = shown.iter().flat_map(|group| &group.files);
    let ids: Vec<ImageId> = files.map(|file| file.id).collect();
    let (images, labels) = rows(app, library, &ids)?;
    let stored = images.into_iter().zip(labels);
    let stored = stored.filter_map(|(image, labels)| {
        let image = image?;
        Some((image.id, ImageInfo::new(&image, &labels)))
    });
    let mut stored: HashMap<ImageId, ImageInfo> = stored.collect();
    let others = || found.groups.iter().flat_map(DuplicateGroup::others);
    Ok(GroupsPage {
        groups: shown
            .iter()
            .filter_map(|group| described(group, &mut stored))
            .collect(),
        total: found.groups.len(),
        files: others().count(),
        bytes: others().map(|file| file.bytes).sum(),
        images: found.images,
        skipped: found.skipped.len(),
        next: (end < found.groups.len()).then(|| Place::text(place.number, end)),
    })
}

/// Returns a group without the files that are no longer stored; `None` if it is none without them.
fn described(
    group: &DuplicateGroup,
    stored: &mut HashMap<ImageId, ImageInfo>,
) -> Option<GroupInfo> {
    let best = group.files[group.best].id;
    let files = group.files.iter();
    let files = files.filter_map(|file| Some(file_info(file, stored.remove(&file.id)?)));
    let files: Vec<FileInfo> = files.collect();
    let best = files.iter().position(|file| file.image.id == best.0)?;
    (files.len() > 1).then(|| GroupInfo {
        level: group.level.name(),
        best,
        files,
    })
}

fn file_info(file: &DuplicateFile, image: ImageInfo) -> FileInfo {
    let difference = file.difference.as_ref();
    let changes = difference.map_or(&[][..], |difference| &difference.changes);
    FileInfo {
        image,
        level: file.level.name(),
        differs: difference.map(ToString::to_string),
        changes: changes
            .iter()
            .filter_map(|change| serde_json::to_value(change).ok())
            .collect(),
        agreement: difference.map(|difference| difference.agreement),
        within_best: difference.and_then(|difference| difference.within_best),
    }
}
