//! The audit: whether what is derived is what the database says, and whether every image is found.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;

use rayon::prelude::*;
use serde::Serialize;

use crate::compare;
use crate::error::{Error, Result};
use crate::index::Index;
use crate::progress::{Counter, Report, Step};
use crate::search::{DEFAULT_EF, Neighbour, Query, RankBy, SearchParams, SearchStrategy};
use crate::segment::{FusedQuery, SearchScratch, Segment};
use crate::store::reader::Reader;
use crate::store::types::ImageId;

/// Images that are asked for both ways, along the graph and by an exhaustive scan.
const SAMPLE: usize = 200;

/// How many neighbours of each are compared.
const SAMPLE_K: usize = 10;

/// The most lines about what is wrong with the database.
const MAX_LINES: usize = 20;

/// The most lost images, and the most of any other kind, that are named.
const MAX_NAMED: usize = 20;

/// What an audit found.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Checked {
    /// Images in the index.
    pub images: usize,
    /// Segments, damaged ones among them.
    pub segments: usize,
    /// Images in segments.
    pub in_segments: usize,
    /// Images that are newer than the segments and scanned.
    pub newer: usize,
    /// Removed images that still take room in segments.
    pub removed: usize,
    /// What is wrong with the database's file itself. Nothing can be trusted then, and nothing is
    /// repaired.
    pub database: Vec<String>,
    /// Stored codes that do not match their checksums.
    pub rotten: usize,
    /// Some of the images that they belong to.
    pub rotten_images: Vec<ImageId>,
    /// Images whose stored codes are known to be lost and that wait to be indexed again.
    pub waiting: usize,
    /// What is wrong with segments: checksums, or rows that are not the database's.
    pub damaged: Vec<String>,
    /// Images that a search of their segment's graphs by their own code and hash does not find.
    pub lost: usize,
    /// Some of them.
    pub lost_images: Vec<ImageId>,
    /// Images that were asked for along the graphs and by an exhaustive scan.
    pub sampled: usize,
    /// What of the exact answers each ranking found that goes along a graph.
    pub rankings: Vec<RankingChecked>,
    /// Whether the check was cancelled before all was looked at.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub interrupted: bool,
}

/// How far a ranking's answers are its exact ones.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RankingChecked {
    /// The ranking.
    pub by: RankBy,
    /// The share of the ten nearest by a scan that the graphs found, without a scan if they found
    /// too few.
    pub recall: f64,
    /// The same of what a person gets who asks for images of the other side of the codes: what is
    /// near may not be found there, and what may be found is not near.
    pub recall_other_side: f64,
}

/// What [`RankingChecked::recall`] has to be. A sound graph reaches 0.99 on real images and more on
/// most; 2,000 neighbours tell 0.95 from that.
pub const RECALL_FLOOR: f64 = 0.95;

impl RankingChecked {
    /// Returns whether it finds what it has to.
    pub fn is_sound(&self) -> bool {
        self.recall >= RECALL_FLOOR && self.recall_other_side >= RECALL_FLOOR
    }
}

impl Checked {
    /// Returns whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        !self.interrupted
            && self.database.is_empty()
            && self.rotten == 0
            && self.waiting == 0
            && self.segments_are_sound()
    }

    /// Returns whether nothing is wrong with the segments.
    pub fn segments_are_sound(&self) -> bool {
        self.damaged.is_empty()
            && self.lost == 0
            && self.rankings.iter().all(RankingChecked::is_sound)
    }
}

impl Index {
    /// Checks the database's file and the checksum of every stored code, every segment against its
    /// checksums and the database, looks for every image by its own code, and compares a sample of
    /// answers along the graph with exact ones.
    ///
    /// `progress` is called on this thread a few times a second with the number of images that were
    /// looked for. If it breaks, the check ends early and says so in [`Checked::interrupted`].
    ///
    /// # Errors
    ///
    /// If the database cannot be asked. What is wrong is no error but part of the result.
    pub fn check(&self, progress: &mut dyn FnMut(Step) -> ControlFlow<()>) -> Result<Checked> {
        let reader = self.to_reader()?;
        let mut checked = Checked {
            database: reader.database_errors(MAX_LINES)?,
            ..Checked::default()
        };
        let looked = self.check_all(&reader, &mut checked, progress);
        // What looks like damage may be two states of the files.
        reader.still_holds()?;
        match looked {
            // No more can be said of a database whose pages are damaged.
            Err(Error::Corrupt { what, .. }) if !checked.database.is_empty() => {
                if !checked.database.contains(&what) {
                    checked.database.push(what);
                }
                Ok(checked)
            }
            Err(error) => Err(error),
            Ok(()) => Ok(checked),
        }
    }

    fn check_all(
        &self,
        reader: &Reader,
        checked: &mut Checked,
        progress: &mut dyn FnMut(Step) -> ControlFlow<()>,
    ) -> Result<()> {
        let counter = Counter::default();
        let mut report = Report::new(progress, &counter, reader.count()?, 1);
        reader.at_one_instant(|| {
            check_contents(reader, checked)?;
            self.check_segments(reader, checked, &counter, &mut report)
        })?;
        if !counter.is_stopped() {
            self.sample(checked, &mut report)?;
        }
        checked.interrupted = counter.is_stopped();
        Ok(())
    }

    /// Checks every segment, and looks for its images.
    fn check_segments(
        &self,
        reader: &Reader,
        checked: &mut Checked,
        counter: &Counter,
        report: &mut Report<'_>,
    ) -> Result<()> {
        let encoder = reader.encoder()?;
        let removed = reader.removed()?;
        let is_live = |id: i64| removed.binary_search(&id).is_err();
        let mut covered = 0;
        for stored in reader.segments()? {
            if !report.step() {
                return Ok(());
            }
            covered = stored.last;
            checked.segments += 1;
            let path = stored.path(self.dir());
            let opened = Segment::open(&path, &stored.verified).and_then(|segment| {
                segment.verify()?;
                segment.expect(&encoder, &stored)?;
                Ok(segment)
            });
            let segment = match opened {
                Ok(segment) => segment,
                Err(error @ Error::NewerSegment { .. }) => return Err(error),
                Err(error) => {
                    checked.damaged.push(error.to_string());
                    counter.done.fetch_add(stored.images, Ordering::Relaxed);
                    continue;
                }
            };
            let differing = compare::differing(reader, &encoder, &stored, &segment, &removed)?;
            if differing > 0 {
                checked.damaged.push(format!(
                    "the segment {}: {differing} of its rows are not what the database holds",
                    path.display()
                ));
            }
            let rows = segment.rows();
            let live = rows.ids.iter().filter(|&&id| is_live(id)).count();
            checked.in_segments += live;
            checked.removed += rows.len() - live;

            let mut lost = report.during(|| Ok(lost_images(&segment, counter)))?;
            lost.retain(|&id| is_live(id));
            checked.lost += lost.len();
            let room = MAX_NAMED.saturating_sub(checked.lost_images.len());
            let named = lost.into_iter().take(room).map(ImageId);
            checked.lost_images.extend(named);
        }
        checked.newer = reader.count_between(covered, i64::MAX)?;
        checked.images = reader.count_between(0, i64::MAX)?;
        Ok(())
    }

    /// Returns asks for images spread evenly over the index both ways, by each ranking that goes along
    /// a graph.
    fn sample(&self, checked: &mut Checked, report: &mut Report<'_>) -> Result<()> {
        let searcher = self.searcher()?;
        let asked = searcher.sample(SAMPLE);
        checked.sampled = asked.len();
        let mut firsts: Vec<f32> = asked.iter().map(|(code, _)| code[0]).collect();
        firsts.sort_unstable_by(f32::total_cmp);
        let Some(&middle) = firsts.get(firsts.len() / 2) else {
            return Ok(());
        };
        let below = searcher.select_codes(|code| code[0] < middle);
        let above = searcher.select_codes(|code| code[0] >= middle);
        for by in [RankBy::Code, RankBy::Both] {
            let params = |strategy| SearchParams::new(SAMPLE_K).by(by).strategy(strategy);
            let (mut alone, mut filtered) = (Shared::default(), Shared::default());
            for (code, hash) in &asked {
                if !report.step() {
                    return Ok(());
                }
                let query = Query::new(code).hash(hash);
                let ask = |strategy, selection, fall_back| {
                    searcher
                        .search_parts(&query, &params(strategy), selection, fall_back)
                        .map(|(found, _)| found)
                };
                let truth = ask(SearchStrategy::Exact, None, true)?;
                alone.count(&truth, &ask(SearchStrategy::Graph, None, false)?);
                let other = Some(if code[0] < middle { &above } else { &below });
                let truth = ask(SearchStrategy::Exact, other, true)?;
                filtered.count(&truth, &ask(SearchStrategy::Graph, other, true)?);
            }
            checked.rankings.push(RankingChecked {
                by,
                recall: alone.share(),
                recall_other_side: filtered.share(),
            });
        }
        Ok(())
    }
}

/// Checks every stored code against its checksum.
fn check_contents(reader: &Reader, checked: &mut Checked) -> Result<()> {
    let rotten = reader.rotten()?;
    checked.rotten = rotten.contents.len();
    for &content in &rotten.contents {
        if checked.rotten_images.len() == MAX_NAMED {
            break;
        }
        let images = reader.images_of(content)?;
        let room = MAX_NAMED - checked.rotten_images.len();
        checked
            .rotten_images
            .extend(images.into_iter().take(room).map(ImageId));
    }
    for &content in &rotten.waiting {
        checked.waiting += reader.images_of(content)?.len();
    }
    Ok(())
}

/// Searches for every row of a segment by its own code and hash. Returns the ids of those that are not
/// found.
fn lost_images(segment: &Segment, counter: &Counter) -> Vec<i64> {
    let rows = segment.rows();
    (0..rows.len())
        .into_par_iter()
        .map_init(
            || (SearchScratch::default(), Vec::new()),
            |(scratch, found), row| {
                if counter.is_stopped() {
                    return None;
                }
                let ef = DEFAULT_EF;
                segment.candidates(rows.code(row), ef, scratch, found);
                let mut is_lost = !found.contains(&(row as u32));
                if segment.has_fused_graph() {
                    let query = FusedQuery {
                        code: rows.code(row),
                        hash: rows.hash(row),
                        weights: None,
                    };
                    segment.fused_candidates(&query, ef, scratch, found);
                    is_lost |= !found.contains(&(row as u32));
                }
                counter.done.fetch_add(1, Ordering::Relaxed);
                is_lost.then_some(rows.ids[row])
            },
        )
        .flatten()
        .collect()
}

/// How much of the exact answers was found.
#[derive(Debug, Default)]
struct Shared {
    same: usize,
    of: usize,
}

impl Shared {
    fn count(&mut self, truth: &[Neighbour], found: &[Neighbour]) {
        self.of += truth.len();
        self.same += truth.iter().filter(|there| found.contains(there)).count();
    }

    fn share(&self) -> f64 {
        if self.of == 0 {
            return 1.0;
        }
        self.same as f64 / self.of as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ranking_below_the_floor_is_not_sound() {
        let checked = |recall, recall_other_side| Checked {
            rankings: vec![RankingChecked {
                by: RankBy::Both,
                recall,
                recall_other_side,
            }],
            ..Checked::default()
        };
        let (floor, below) = (RECALL_FLOOR, RECALL_FLOOR - 0.0005);
        assert!(checked(floor, floor).is_sound() && checked(1.0, 1.0).is_sound());
        for ill in [checked(below, 1.0), checked(1.0, below)] {
            assert!(!ill.is_sound() && !ill.segments_are_sound());
        }
    }
}
