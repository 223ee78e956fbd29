//! Similarity maps: from a ranked distance to a number that a person understands.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::error::{Error, Result};

/// The fewest knots of a map.
const MIN_KNOTS: usize = 2;

/// The most knots of a map: many more than a smooth curve needs.
const MAX_KNOTS: usize = 64;

/// A falling curve from the distance of the default ranking to a similarity from 0 to 1.
///
/// It is linear between its knots and level outside of them. An encoder file carries it as text:
/// `distance:similarity` for each knot, separated by commas.
///
/// # Examples
///
/// ```
/// use imgsearch_onnx::SimilarityMap;
///
/// let map: SimilarityMap = "0:1,2:0.9,10:0.1".parse()?;
/// assert_eq!(map.similarity(1.0), 0.95);
/// assert_eq!(map.distance(0.5), Some(6.0));
/// # Ok::<(), imgsearch_onnx::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct SimilarityMap {
    knots: Vec<(f32, f32)>,
}

impl SimilarityMap {
    /// Makes a map of knots: pairs of a distance and a similarity.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] unless there are 2 to 64 knots, distances rise from 0, and similarities lie
    /// between 0 and 1 and never rise.
    pub fn new(knots: Vec<(f32, f32)>) -> Result<Self> {
        match problem(&knots) {
            Some(problem) => Err(Error::InvalidInput(problem)),
            None => Ok(Self { knots }),
        }
    }

    /// Returns the knots: pairs of a distance and a similarity.
    pub fn knots(&self) -> &[(f32, f32)] {
        &self.knots
    }

    /// Returns the similarity at a distance.
    pub fn similarity(&self, distance: f32) -> f32 {
        let after = self.knots.partition_point(|knot| knot.0 <= distance);
        let (Some(&(start, from)), Some(&(end, to))) =
            (self.knots[..after].last(), self.knots.get(after))
        else {
            // Below 0, or behind the last knot.
            let end = if after == 0 { 0 } else { after - 1 };
            return self.knots[end].1;
        };
        from + (to - from) * ((distance - start) / (end - start))
    }

    /// Returns the largest distance that is still at least this similar: `None` if nothing is, and
    /// [`f32::MAX`] if everything is.
    pub fn distance(&self, similarity: f32) -> Option<f32> {
        let below = self.knots.partition_point(|knot| knot.1 >= similarity);
        let &(start, from) = self.knots[..below].last()?;
        let Some(&(end, to)) = self.knots.get(below) else {
            return Some(f32::MAX);
        };
        Some(start + (end - start) * ((from - similarity) / (from - to)))
    }
}

/// Returns what is wrong with knots.
fn problem(knots: &[(f32, f32)]) -> Option<String> {
    if !(MIN_KNOTS..=MAX_KNOTS).contains(&knots.len()) {
        return Some(format!(
            "a similarity map of {} knots must have {MIN_KNOTS} to {MAX_KNOTS}",
            knots.len()
        ));
    }
    if knots[0].0 != 0.0 {
        return Some(format!(
            "the distances of a similarity map start at {} and must start at 0",
            knots[0].0
        ));
    }
    for &(distance, similarity) in knots {
        if !distance.is_finite() || !(0.0..=1.0).contains(&similarity) {
            return Some(format!(
                "the knot {distance}:{similarity} of a similarity map must have a finite distance and a similarity \
                 from 0 to 1"
            ));
        }
    }
    for pair in knots.windows(2) {
        let ((distance, similarity), (next, less)) = (pair[0], pair[1]);
        if next <= distance || less > similarity {
            return Some(format!(
                "behind {distance}:{similarity}, the knot {next}:{less} of a similarity map must have a larger \
                 distance and no larger similarity"
            ));
        }
    }
    None
}

/// As in the metadata of an encoder file.
impl FromStr for SimilarityMap {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let knot = |text: &str| -> Option<(f32, f32)> {
            let (distance, similarity) = text.split_once(':')?;
            Some((distance.parse().ok()?, similarity.parse().ok()?))
        };
        let mut knots = Vec::new();
        // One more than there may be is enough to say so.
        for text in text.split(',').take(MAX_KNOTS + 1) {
            let Some(knot) = knot(text) else {
                let start: String = text.chars().take(40).collect();
                return Err(Error::InvalidInput(format!(
                    "the knot {start:?} of a similarity map must be written as distance:similarity"
                )));
            };
            knots.push(knot);
        }
        Self::new(knots)
    }
}

impl fmt::Display for SimilarityMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (distance, similarity)) in self.knots.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(f, "{comma}{distance}:{similarity}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map() -> SimilarityMap {
        SimilarityMap::new(vec![(0.0, 1.0), (1.0, 0.8), (2.0, 0.8), (4.0, 0.2)]).unwrap()
    }

    #[test]
    fn it_is_linear_between_its_knots_and_level_outside() {
        for (distance, similarity) in [
            (-1.0, 1.0),
            (0.0, 1.0),
            (0.5, 0.9),
            (1.5, 0.8),
            (3.0, 0.5),
            (4.0, 0.2),
            (f32::MAX, 0.2),
            (f32::INFINITY, 0.2),
        ] {
            let got = map().similarity(distance);
            assert!((got - similarity).abs() < 1e-6, "{distance}: {got}");
        }
    }

    #[test]
    fn a_similarity_leads_to_the_largest_distance_that_reaches_it() {
        for (similarity, distance) in [
            (1.0, Some(0.0)),
            (0.9, Some(0.5)),
            (0.8, Some(2.0)),
            (0.5, Some(3.0)),
            (0.2, Some(f32::MAX)),
            (0.0, Some(f32::MAX)),
            (1.1, None),
        ] {
            let got = map().distance(similarity);
            match (got, distance) {
                (Some(got), Some(distance)) => {
                    assert!((got / distance.max(0.1) - distance / distance.max(0.1)).abs() < 1e-5);
                }
                _ => assert_eq!(got, distance),
            }
        }
        // Not even an image itself is so similar.
        let low = SimilarityMap::new(vec![(0.0, 0.9), (1.0, 0.1)]).unwrap();
        assert_eq!(low.distance(0.95), None);
    }

    #[test]
    fn text_is_read_as_it_is_written() {
        let map = SimilarityMap::new(vec![(0.0, 1.0), (0.1, 0.333_333_34), (1e9, 0.0)]).unwrap();
        assert_eq!(map.to_string().parse::<SimilarityMap>().unwrap(), map);
        assert_eq!(map.to_string(), "0:1,0.1:0.33333334,1000000000:0");
    }

    #[test]
    fn bad_maps_are_refused() {
        for (text, part) in [
            ("", "must be written as distance:similarity"),
            ("0:1", "1 knots must have 2 to 64"),
            ("0:1,x:0", "\"x:0\""),
            ("0:1;1:0", "\"0:1;1:0\""),
            ("1:1,2:0", "must start at 0"),
            ("NaN:1,2:0", "must start at 0"),
            ("0:1,inf:0", "finite distance"),
            ("0:1,1:NaN", "similarity from 0 to 1"),
            ("0:1.5,1:0", "similarity from 0 to 1"),
            ("0:1,1:-0.1", "similarity from 0 to 1"),
            ("0:1,2:0.5,2:0.4", "a larger distance"),
            ("0:1,1:0.5,2:0.6", "no larger similarity"),
        ] {
            let error = text.parse::<SimilarityMap>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        let many: Vec<String> = (0..1000).map(|i| format!("{i}:0.5")).collect();
        assert!(many.join(",").parse::<SimilarityMap>().is_err());
        assert!(many[..64].join(",").parse::<SimilarityMap>().is_ok());
    }
}
