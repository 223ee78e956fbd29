//! A map of a collection: a place in two dimensions for every image, so that what looks alike lies together.
//!
//! The places are kept in a file of the index, so that images stay where they were when others come.

mod layout;
mod quality;
mod seen;
mod stored;

use imgsearch_index::{Filter, ImageId, Points};
use serde::Serialize;

use self::layout::layout;
use super::GroupOptions;
use super::find::{Groups, grouped};
use super::neighbours::{NEIGHBOURS, of};
use crate::error::Result;
use crate::library::Library;
use crate::progress::Progress;

pub use quality::TRUST_NEIGHBOURS;
pub use seen::Region;
pub use stored::MAP_FILE;

/// How a map is made.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct MapOptions {
    /// Which images are shown. All of them have a place, so it is the same with every filter. Default: all.
    pub filter: Filter,
    /// Whether every image is placed anew. Default: images that have a place keep it.
    pub renew: bool,
    /// Seed of the random numbers. Default: 0.
    pub seed: u64,
    /// How the groups on the map are found; their filter is not looked at.
    pub groups: GroupOptions,
}

/// A map of a collection.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Map {
    /// The images and their places, by id.
    pub places: Vec<MapPlace>,
    /// The groups among all images.
    pub groups: Groups,
    /// The images of the collection that kept the places of an earlier map.
    pub kept: usize,
    /// The images of the collection that were placed now.
    pub placed: usize,
}

/// An image on a map. Distances on the map have no unit; neighbours are about one apart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct MapPlace {
    /// The image.
    pub id: ImageId,
    /// Its place from left to right.
    pub x: f32,
    /// Its place from the bottom to the top.
    pub y: f32,
}

impl Library {
    /// Makes a map of the collection, and the groups on it. Copies of one image lie on one place.
    ///
    /// The method is UMAP (McInnes, Healy and Melville 2018) by the default ranking, along the nearest neighbours that
    /// the index finds. The same index and seed give the same map, however many threads there are. Places are stored in
    /// the folder of the index: the next map keeps them and places only new images among them. If they cannot be stored,
    /// `progress` is told.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`](crate::Error::Interrupted) if `progress` says so, and if the filter is invalid, the options
    /// are out of range or the index cannot be read.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use imgsearch::Library;
    /// use imgsearch::groups::map::MapOptions;
    ///
    /// let map = Library::open("my-index")?.map(&MapOptions::default(), &())?;
    /// for place in map.places {
    ///     println!("{} lies at {} {}", place.id, place.x, place.y);
    /// }
    /// # Ok::<(), imgsearch::Error>(())
    /// ```
    pub fn map(&self, options: &MapOptions, progress: &dyn Progress) -> Result<Map> {
        let index = self.index_view()?;
        let searcher = index.searcher()?;
        let points = searcher.points(None)?;
        let lists = of(&searcher, &points, NEIGHBOURS, progress)?;
        let groups = grouped(index, &points, &lists, &options.groups, progress)?;
        let fingerprint = &searcher.encoder().fingerprint;
        let before = if options.renew {
            Vec::new()
        } else {
            stored::read(self.dir(), fingerprint)
        };
        let known = known(&points, &before);
        let places = layout(&points, &lists, &known, options.seed, progress)?;
        let mut all = Vec::with_capacity(points.images().len());
        let mut kept = 0;
        for &(id, point) in points.images() {
            let [x, y] = places[point as usize];
            kept += usize::from(known[point as usize].is_some());
            all.push(MapPlace { id, x, y });
        }
        let placed = all.len() - kept;
        if all != before
            && let Err(error) = stored::write(self.dir(), fingerprint, &all)
        {
            progress.note(&format!(
                "the places are not stored, so the next map may differ: {error}"
            ));
        }
        if !options.filter.is_empty() {
            let shown = index.to_reader()?.ids(&options.filter)?;
            all.retain(|place| shown.binary_search(&place.id).is_ok());
        }
        Ok(Map {
            places: all,
            groups,
            kept,
            placed,
        })
    }

    /// Returns the places of the last map that was stored, by id; none if there is none. Images that came since have no
    /// place, and some may be gone.
    ///
    /// # Errors
    ///
    /// If the index cannot be read.
    pub fn map_places(&self) -> Result<Vec<MapPlace>> {
        let fingerprint = &self.index_view()?.encoder().fingerprint;
        Ok(stored::read(self.dir(), fingerprint))
    }

    /// Returns how far the neighbours on a map can be trusted, from 0 to 1 (Venna and Kaski 2001): 1 if the
    /// [`TRUST_NEIGHBOURS`] nearest on the map of every image are its nearest by code and hash; less, the further away
    /// those are that are not. Of many images, 1,000 are looked at, spread evenly.
    ///
    /// # Errors
    ///
    /// If the index cannot be read.
    pub fn trustworthiness(&self, map: &Map) -> Result<f64> {
        let points = self.index_view()?.searcher()?.points(None)?;
        let ids: Vec<ImageId> = map.places.iter().map(|place| place.id).collect();
        let place = |id: &ImageId| {
            let at = ids.binary_search(id).ok()?;
            Some([map.places[at].x, map.places[at].y])
        };
        let shown = points.ids().iter().enumerate();
        let shown: Vec<(usize, layout::Place)> = shown
            .filter_map(|(point, id)| Some((point, place(id)?)))
            .collect();
        Ok(quality::trustworthiness(&points, &shown))
    }
}

/// Returns the place of each point that any of its images had.
fn known(points: &Points, before: &[MapPlace]) -> Vec<Option<layout::Place>> {
    let mut known = vec![None; points.len()];
    let mut before = before.iter().peekable();
    // Both ascend.
    for &(id, point) in points.images() {
        while before.next_if(|place| place.id < id).is_some() {}
        if let Some(place) = before.next_if(|place| place.id == id) {
            known[point as usize].get_or_insert([place.x, place.y]);
        }
    }
    known
}
