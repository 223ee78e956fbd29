//! The map of the collection: `GET /map`, and the images in a region of it.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use imgsearch::groups::map::{Map, MapOptions, MapPlace, Region};
use imgsearch::index::{Filter, ImageId};
use imgsearch::{Error, Library, Progress};
use serde::Serialize;
use utoipa::ToSchema;

use super::app::App;
use super::browse::stored_folders;
use super::making::{Made, Makings, Underway};
use super::params::Params;
use super::problem::{Problem, Result};
use super::query::Query;
use super::work;

/// Maps, of one state of the index each.
pub type Maps = Makings<(), Map>;

/// Corners of a region at most.
const MAX_CORNERS: usize = 1000;

/// The largest number in 16 bits; as a group, it means none.
const LAST: u16 = u16::MAX;

/// A group on the map.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MapGroupInfo {
    /// What it shows, in a word or two.
    pub name: Option<String>,
    /// Words that set it apart, best first.
    pub words: Vec<&'static str>,
    /// Its images that are shown.
    pub images: usize,
    /// Where the image nearest to its middle lies: from left to right, and from the bottom to the top.
    pub place: Option<[f32; 2]>,
}

/// A map. What belongs to images is in the order of their ids; numbers are little-endian, in Base64.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MapInfo {
    /// The number of images that are shown.
    pub images: usize,
    /// Their ids: runs of ids that follow each other, as the first one and how many.
    pub ids: Vec<[i64; 2]>,
    /// Left, bottom, right and top, in the unit of the map: neighbours are about one apart.
    pub bounds: [f32; 4],
    /// 16 bits for each image: 0 is the left, 65535 the right.
    pub x: String,
    /// 16 bits for each image: 0 is the bottom, 65535 the top.
    pub y: String,
    /// 16 bits for each image: the place of its group in `groups`, or 65535 for none.
    pub group: String,
    /// 8 bits for each image: the smaller, the more it is worth a picture.
    pub rank: String,
    /// The groups of the collection, the largest first.
    pub groups: Vec<MapGroupInfo>,
}

/// A place for every image, so that what looks alike lies together.
///
/// Making it takes a while. It is done once for each state of the index; until it is done, the answer is 202 and says
/// how far it is. Filters choose which images are shown; all keep their places.
#[utoipa::path(get, path = "/map", params(Params), responses(
    (status = 200, body = MapInfo),
    (status = 202, body = Underway, description = "Ask again in a moment"),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub async fn map(State(app): State<Arc<App>>, Query(params): Query) -> Result<Response> {
    params.without_question("images on the map")?;
    params.without_near()?;
    let place = params.place(usize::MAX)?;
    let asked = params.without_paging();
    // What is wrong with the filters is said at once.
    let wanted = asked.clone();
    work::with_library(&app, move |_, library| {
        wanted.region.as_deref().map(region).transpose()?;
        wanted.filter(library).map(drop)
    })
    .await?;
    let make = |app: &App, library: &Library, progress: &dyn Progress| {
        let made = library.map(&MapOptions::default(), progress);
        made.map_err(|error| app.problem(&error))
    };
    let number = place.map(|place| place.number);
    match app.maps.get(&app, (), number, make).await? {
        Made::Underway(underway) => Ok(underway.into_response()),
        Made::Ready(_, map) => {
            let shown =
                work::with_library(&app, move |app, library| shown(app, library, &map, &asked));
            Ok(Json(shown.await?).into_response())
        }
    }
}

/// Returns what of the map the filters let through.
fn shown(app: &App, library: &Library, map: &Map, params: &Params) -> Result<MapInfo> {
    let filter = filter(app, library, params)?;
    if filter.is_empty() {
        return Ok(described(map));
    }
    let read =
        || -> Result<Vec<ImageId>, Error> { Ok(library.index_view()?.to_reader()?.ids(&filter)?) };
    let wanted: HashSet<ImageId> = read()
        .map_err(|error| app.problem(&error))?
        .into_iter()
        .collect();
    let mut part = map.clone();
    part.places.retain(|place| wanted.contains(&place.id));
    Ok(described(&part))
}

fn described(map: &Map) -> MapInfo {
    let places = &map.places;
    let bounds = bounds(places);
    let mut group_of = HashMap::new();
    for (number, group) in map.groups.groups.iter().enumerate() {
        let number = u16::try_from(number).unwrap_or(LAST);
        group_of.extend(group.images.iter().map(|id| (*id, number)));
    }
    let group: Vec<u16> = places
        .iter()
        .map(|place| group_of.get(&place.id).copied().unwrap_or(LAST))
        .collect();
    let mut sizes = vec![0; map.groups.groups.len()];
    for &number in &group {
        if let Some(size) = sizes.get_mut(usize::from(number)) {
            *size += 1;
        }
    }
    let groups = map.groups.groups.iter().zip(map.centres()).zip(sizes);
    MapInfo {
        images: places.len(),
        ids: runs(places.iter().map(|place| place.id.0)),
        x: packed(places.iter().map(|one| share(one.x, bounds[0], bounds[2]))),
        y: packed(places.iter().map(|one| share(one.y, bounds[1], bounds[3]))),
        group: packed(group.into_iter()),
        rank: STANDARD.encode(ranks(map)),
        groups: groups
            .map(|((group, place), images)| MapGroupInfo {
                name: group.name.clone(),
                words: group.words.iter().map(|word| word.name).collect(),
                images,
                place,
            })
            .collect(),
        bounds,
    }
}

/// Returns left, bottom, right and top.
fn bounds(places: &[MapPlace]) -> [f32; 4] {
    let Some(first) = places.first() else {
        return [0.0, 0.0, 1.0, 1.0];
    };
    let start = [first.x, first.y, first.x, first.y];
    places
        .iter()
        .fold(start, |[left, bottom, right, top], place| {
            [
                left.min(place.x),
                bottom.min(place.y),
                right.max(place.x),
                top.max(place.y),
            ]
        })
}

/// Returns where a number lies between two others, in 16 bits.
fn share(number: f32, low: f32, high: f32) -> u16 {
    let share = (number - low) / (high - low).max(f32::MIN_POSITIVE);
    (share.clamp(0.0, 1.0) * f32::from(LAST)).round() as u16
}

fn packed(numbers: impl Iterator<Item = u16>) -> String {
    STANDARD.encode(numbers.flat_map(u16::to_le_bytes).collect::<Vec<u8>>())
}

/// Returns the ids as runs of ids that follow each other.
fn runs(ids: impl Iterator<Item = i64>) -> Vec<[i64; 2]> {
    let mut runs: Vec<[i64; 2]> = Vec::new();
    for id in ids {
        match runs.last_mut() {
            Some([first, count]) if *first + *count == id => *count += 1,
            _ => runs.push([id, 1]),
        }
    }
    runs
}

/// Returns how little each image is worth a picture, in 8 bits.
fn ranks(map: &Map) -> Vec<u8> {
    let order = map.by_importance();
    let steps = order.len().div_ceil(256).max(1);
    let rank_of: HashMap<ImageId, u8> = order
        .into_iter()
        .enumerate()
        .map(|(place, id)| (id, u8::try_from(place / steps).unwrap_or(u8::MAX)))
        .collect();
    let ranks = map.places.iter();
    ranks
        .map(|place| rank_of.get(&place.id).copied().unwrap_or(u8::MAX))
        .collect()
}

/// Returns the filter that the parameters describe, with the images of the region.
pub fn filter(app: &App, library: &Library, params: &Params) -> Result<Filter> {
    let mut filter = params.filter(library)?;
    let read = || -> Result<Vec<PathBuf>, Error> {
        let reader = library.index_view()?.to_reader()?;
        let folders = params
            .under
            .iter()
            .map(|text| stored_folders(&reader, text));
        Ok(folders.collect::<Result<Vec<_>, _>>()?.concat())
    };
    if !params.under.is_empty() {
        filter.under = read().map_err(|error| app.problem(&error))?;
    }
    let Some(text) = &params.region else {
        return Ok(filter);
    };
    let region = region(text)?;
    let images = match app.maps.newest() {
        // It was drawn on this one.
        Some(map) => region.images(&map.places),
        None => {
            let stored = library.map_places().map_err(|error| app.problem(&error))?;
            if stored.is_empty() {
                let detail = "there is no map yet that the region could be of";
                return Err(Problem::new(StatusCode::CONFLICT, detail)
                    .hint("Open the map, and ask again when it is there"));
            }
            region.images(&stored)
        }
    };
    filter.ids = Some(images);
    Ok(filter)
}

/// Reads a region: `x,y` of each corner.
pub fn region(text: &str) -> Result<Region> {
    let bad = || {
        Problem::bad(format!(
            "region has to be x,y of 3 to {MAX_CORNERS} corners, as in 0,0,4.5,0,4.5,3"
        ))
    };
    let numbers: Vec<f32> = text
        .split(',')
        .map(|number| number.trim().parse().map_err(|_| bad()))
        .collect::<Result<_>>()?;
    let (corners, rest) = numbers.as_chunks::<2>();
    if !rest.is_empty() || corners.len() > MAX_CORNERS {
        return Err(bad());
    }
    Region::new(corners.to_vec()).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_read_and_mistakes_are_said() {
        let square = region("0,0, 2,0,2,2,0,2").unwrap();
        assert!(square.holds([1.0, 1.0]) && !square.holds([3.0, 1.0]));
        let many = vec!["1"; 2 * MAX_CORNERS + 2].join(",");
        for bad in [
            "",
            "1,2",
            "0,0,1,1,2",
            "0,0,1,1,2,x",
            "0,0,1,1,NaN,2",
            &many,
        ] {
            assert_eq!(region(bad).unwrap_err().status(), 400, "{bad}");
        }
    }

    #[test]
    fn numbers_become_small() {
        assert_eq!(
            runs([3, 4, 5, 9, 11, 12].into_iter()),
            [[3, 3], [9, 1], [11, 2]]
        );
        assert!(runs(std::iter::empty()).is_empty());
        for (number, expected) in [(-1.0, 0), (0.5, 32768), (2.0, 65535), (9.0, 65535)] {
            assert_eq!(share(number, -1.0, 2.0), expected, "{number}");
        }
        assert_eq!(share(3.0, 3.0, 3.0), 0);
    }
}
