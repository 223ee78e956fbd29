//! Whether an image looks like anything in a collection.
//!
//! A fixed distance cannot tell: in a collection of many kinds of things, even an image of something else has
//! near neighbours. So a query is compared with the collection itself. Each stored image of a sample is as far
//! from its nearest others as an image that belongs here is, and a query is judged to look like nothing if it
//! is further from its nearest than 95 of 100 of them.

use imgsearch_index::{Index, Query, RankBy, SearchParams, Searcher, Writer};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::progress::Progress;

/// The name of the fact in the index.
const FACT: &str = "resemblance";

/// The number of nearest images that are looked at. On 51 classes of objects, five find 1 to 2 more of 100
/// foreign images than three, at the same number of mistakes.
const NEAREST: usize = 5;

/// The maximum size of the sample.
const SAMPLE: usize = 500;

/// The fewest images of a collection that has a distribution of its own.
pub(crate) const MIN_IMAGES: usize = 200;

/// The fewest images of a sample that have other neighbours than their copies.
const MIN_SAMPLE: usize = 50;

/// The share of the collection's own images that lie within the limit.
const PERCENTILE: f64 = 0.95;

/// Identical images that may hide the neighbours of a sampled one.
const COPIES: usize = 10;

/// What is stored of a collection.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Resemblance {
    /// Images when it was measured.
    images: usize,
    /// The number of nearest images that were looked at.
    nearest: usize,
    /// A query whose mean distance is larger looks like nothing here.
    limit: f32,
}

impl Resemblance {
    /// Reads what is stored; `None` if there is nothing, or another version measured something else.
    fn parse(fact: &str) -> Option<Self> {
        let stored: Self = serde_json::from_str(fact).ok()?;
        (stored.nearest == NEAREST && stored.limit.is_finite()).then_some(stored)
    }

    /// Returns whether the collection has changed little since.
    fn is_valid_for(&self, images: usize) -> bool {
        self.images.abs_diff(images) * 10 <= self.images
    }
}

/// Does what [`update`] does. A failure is only reported: queries do without the result.
pub(crate) fn update_or_say(writer: &mut Writer, progress: &dyn Progress) {
    if let Err(error) = update(writer) {
        progress.note(&format!(
            "whether a query looks like anything here was not measured: {error}"
        ));
    }
}

/// Measures a collection again if it has changed by more than a tenth, and stores the result.
///
/// # Errors
///
/// If the index cannot be read or written.
fn update(writer: &mut Writer) -> Result<()> {
    let reader = writer.reader()?;
    let images = reader.count()?;
    let stored = reader.fact(FACT)?;
    let is_valid = stored
        .and_then(|fact| Resemblance::parse(&fact))
        .is_some_and(|stored| stored.is_valid_for(images));
    drop(reader);
    if images < MIN_IMAGES || is_valid {
        return Ok(());
    }
    let measured = measure(&*Index::open(writer.dir())?.searcher()?)?;
    if let Some(limit) = measured {
        let now = Resemblance {
            images,
            nearest: NEAREST,
            limit,
        };
        writer.set_fact(FACT, &serde_json::to_string(&now).unwrap_or_default())?;
    }
    Ok(())
}

/// Returns the limit of a collection, or `None` if almost all of its images are copies of each other.
fn measure(searcher: &Searcher) -> Result<Option<f32>> {
    let sample = searcher.sample(SAMPLE);
    let means = sample.par_iter().map(|(code, hash)| {
        let mut near = distances(searcher, code, hash, NEAREST + COPIES)?;
        // The image itself, and its copies.
        near.retain(|&distance| distance > 0.0);
        Ok(mean(&near))
    });
    let means = means.collect::<Result<Vec<Option<f32>>>>()?;
    let mut means: Vec<f32> = means.into_iter().flatten().collect();
    if means.len() < MIN_SAMPLE {
        return Ok(None);
    }
    means.sort_unstable_by(f32::total_cmp);
    let place = PERCENTILE * (means.len() - 1) as f64;
    Ok(Some(means[place.round() as usize]))
}

/// Returns whether a query looks like anything in the index: `None` if that was not measured, if the query is
/// in the index, or if there are too few images.
///
/// # Errors
///
/// If the index cannot be read.
pub(super) fn resembles(
    index: &Index,
    searcher: &Searcher,
    (code, hash): (&[f32], &[u8]),
) -> Result<Option<bool>> {
    if searcher.len() < MIN_IMAGES {
        return Ok(None);
    }
    let fact = index.fact(FACT)?;
    let Some(stored) = fact.and_then(|fact| Resemblance::parse(&fact)) else {
        return Ok(None);
    };
    let near = distances(searcher, code, hash, NEAREST)?;
    if near.first().is_none_or(|&first| first <= 0.0) {
        return Ok(None);
    }
    Ok(mean(&near).map(|mean| mean <= stored.limit))
}

/// Returns the distances to the nearest images by code and hash, every bit counting alike: stored images have no
/// logits.
fn distances(searcher: &Searcher, code: &[f32], hash: &[u8], k: usize) -> Result<Vec<f32>> {
    let query = Query::new(code).hash(hash);
    let found = searcher.search(&query, &SearchParams::new(k).by(RankBy::Both))?;
    Ok(found.into_iter().map(|found| found.distance).collect())
}

/// Returns the mean of the nearest distances; `None` if there are too few.
fn mean(near: &[f32]) -> Option<f32> {
    let near = near.get(..NEAREST)?;
    Some(near.iter().sum::<f32>() / NEAREST as f32)
}

#[cfg(test)]
mod tests {
    use imgsearch_index::{Change, EncoderRecord, FileStat, NewContent};

    use super::*;

    /// Stores images whose codes are these numbers.
    fn store(writer: &mut Writer, codes: impl IntoIterator<Item = f32>) {
        let changes: Vec<Change> = codes
            .into_iter()
            .enumerate()
            .map(|(i, code)| Change::Insert {
                path: format!("/photos/{code}-{i}.jpg").into(),
                stat: FileStat::default(),
                content: NewContent {
                    digest: *blake3::hash(format!("{code} {i}").as_bytes()).as_bytes(),
                    width: 8,
                    height: 8,
                    format: "jpeg".to_owned(),
                    taken: None,
                    damage: None,
                    labels: Vec::new(),
                    code: vec![code],
                    hash: vec![0],
                },
            })
            .collect();
        writer.apply(&changes).unwrap();
    }

    fn open(dir: &std::path::Path) -> Writer {
        let encoder = EncoderRecord {
            fingerprint: "1b2c".to_owned(),
            name: "a number".to_owned(),
            code_len: 1,
            bits: 8,
            hash_weight: 1.0,
            metadata: "{}".to_owned(),
        };
        Writer::open(dir, &encoder).unwrap()
    }

    fn stored(writer: &Writer) -> Option<Resemblance> {
        let fact = writer.reader().unwrap().fact(FACT).unwrap();
        fact.and_then(|fact| Resemblance::parse(&fact))
    }

    fn asked(dir: &std::path::Path, code: f32) -> Option<bool> {
        let index = Index::open(dir).unwrap();
        resembles(&index, &index.searcher().unwrap(), (&[code], &[0])).unwrap()
    }

    #[test]
    fn a_query_is_judged_by_the_collection() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = open(dir.path());
        store(&mut writer, (0..199).map(|i| i as f32));
        update(&mut writer).unwrap();
        assert_eq!(stored(&writer), None, "199 images are too few");
        store(&mut writer, [199.0]);
        assert_eq!(asked(dir.path(), 50.3), None, "nothing is measured");
        update(&mut writer).unwrap();
        let first = stored(&writer).unwrap();
        assert_eq!(first.images, 200);
        // The nearest are at 1, 1, 4, 4 and 9: squared, as codes are.
        assert!((first.limit - 3.8).abs() < 0.01, "{first:?}");
        assert_eq!(asked(dir.path(), 50.3), Some(true));
        assert_eq!(asked(dir.path(), 203.0), Some(false));
        assert_eq!(asked(dir.path(), 50.0), None, "it is in the index");

        store(&mut writer, (1000..1020).map(|i| i as f32));
        update(&mut writer).unwrap();
        assert_eq!(stored(&writer).unwrap(), first, "a tenth more is no change");
        store(&mut writer, [2000.0]);
        update(&mut writer).unwrap();
        assert_eq!(stored(&writer).unwrap().images, 221);
    }

    #[test]
    fn copies_are_no_neighbours() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = open(dir.path());
        // Each has five copies of its content.
        store(&mut writer, (0..600).map(|i| (i / 6) as f32));
        update(&mut writer).unwrap();
        let limit = stored(&writer).unwrap().limit;
        assert!((limit - 1.0).abs() < 0.01, "{limit}");
        // So many copies that nothing else is found.
        let dir = tempfile::tempdir().unwrap();
        let mut writer = open(dir.path());
        store(&mut writer, (0..600).map(|i| (i / 100) as f32));
        update(&mut writer).unwrap();
        assert_eq!(stored(&writer), None);
    }
}
