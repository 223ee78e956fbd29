//! What is looked at on a map: the middles of groups, the images worth a picture, and those in a region.

use std::collections::HashMap;

use imgsearch_index::ImageId;

use super::{Map, MapPlace};

impl Map {
    /// Returns the place of each group, in their order: that of the image nearest to its middle, because the mean may lie
    /// between two parts. `None` for groups of which no image is shown.
    pub fn centres(&self) -> Vec<Option<[f32; 2]>> {
        let mut group_of = HashMap::new();
        for (number, group) in self.groups.groups.iter().enumerate() {
            group_of.extend(group.images.iter().map(|id| (*id, number)));
        }
        let mut members = vec![Vec::new(); self.groups.groups.len()];
        for place in &self.places {
            if let Some(&number) = group_of.get(&place.id) {
                members[number].push([place.x, place.y]);
            }
        }
        members.iter().map(|places| middle(places)).collect()
    }

    /// Returns the images in the order in which they are worth a picture: the most typical of each group, then images
    /// spread over the groups by their size, and those in no group among them.
    pub fn by_importance(&self) -> Vec<ImageId> {
        let mut ranked: Vec<(f64, ImageId)> = Vec::with_capacity(self.places.len());
        let groups = self.groups.groups.iter().map(|group| &group.images);
        for images in groups.chain([&self.groups.ungrouped]) {
            let count = images.len() as f64;
            let share = images.iter().enumerate();
            ranked.extend(share.map(|(place, id)| (place as f64 / count, *id)));
        }
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        ranked.into_iter().map(|(_, id)| id).collect()
    }
}

/// Returns the place that is nearest to the medians.
fn middle(places: &[[f32; 2]]) -> Option<[f32; 2]> {
    let median = |axis: usize| {
        let mut along: Vec<f32> = places.iter().map(|place| place[axis]).collect();
        let half = along.len() / 2;
        (half < along.len()).then(|| *along.select_nth_unstable_by(half, f32::total_cmp).1)
    };
    let (x, y) = (median(0)?, median(1)?);
    let far = |place: &[f32; 2]| (place[0] - x).hypot(place[1] - y);
    let nearest = places.iter().min_by(|a, b| far(a).total_cmp(&far(b)));
    nearest.copied()
}

/// A part of a map: a polygon.
///
/// # Examples
///
/// ```
/// use imgsearch::groups::map::Region;
///
/// let square = Region::new(vec![[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]]).unwrap();
/// assert!(square.holds([1.0, 1.0]) && !square.holds([3.0, 1.0]));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Region(Vec<[f32; 2]>);

impl Region {
    /// Takes the corners of a polygon in order; `None` if there are fewer than three, or one is not finite.
    pub fn new(corners: Vec<[f32; 2]>) -> Option<Self> {
        let are_finite = corners.iter().flatten().all(|number| number.is_finite());
        (corners.len() >= 3 && are_finite).then_some(Self(corners))
    }

    /// Returns whether a place lies in it. What the outline goes around twice lies outside.
    pub fn holds(&self, [x, y]: [f32; 2]) -> bool {
        let mut is_inside = false;
        let mut before = self.0[self.0.len() - 1];
        for &corner in &self.0 {
            // The sides that a ray to the right crosses.
            if (corner[1] > y) != (before[1] > y) {
                let share = (y - corner[1]) / (before[1] - corner[1]);
                if x < corner[0] + share * (before[0] - corner[0]) {
                    is_inside = !is_inside;
                }
            }
            before = corner;
        }
        is_inside
    }

    /// Returns the images in it, in the order of the places.
    pub fn images(&self, places: &[MapPlace]) -> Vec<ImageId> {
        let inside = places.iter().filter(|place| self.holds([place.x, place.y]));
        inside.map(|place| place.id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_holds_what_its_outline_goes_around() {
        let corners = [[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [2.0, 1.0], [0.0, 4.0]];
        let region = Region::new(corners.to_vec()).unwrap();
        for inside in [[0.5, 0.5], [2.0, 0.5], [3.5, 2.0], [0.5, 3.0]] {
            assert!(region.holds(inside), "{inside:?}");
        }
        for outside in [[2.0, 2.0], [-1.0, 1.0], [5.0, 0.5], [2.0, -0.1], [2.0, 5.0]] {
            assert!(!region.holds(outside), "{outside:?}");
        }
        let place = |id, x, y| MapPlace {
            id: ImageId(id),
            x,
            y,
        };
        let places = [place(3, 2.0, 2.0), place(5, 0.5, 0.5)];
        assert_eq!(region.images(&places), [ImageId(5)]);
        assert!(Region::new(vec![[0.0, 0.0], [1.0, 1.0]]).is_none());
        assert!(Region::new(vec![[0.0, 0.0], [1.0, f32::NAN], [1.0, 0.0]]).is_none());
    }

    #[test]
    fn the_middle_is_an_image_of_the_larger_part() {
        let places = [[0.0, 0.0], [0.2, 0.1], [0.1, 0.0], [9.0, 9.0]];
        assert_eq!(middle(&places), Some([0.2, 0.1]));
        assert_eq!(middle(&[]), None);
    }
}
