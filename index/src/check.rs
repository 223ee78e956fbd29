//! The audit: whether what is derived is what the database says, and whether every image is found.

use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;
use serde::Serialize;

use crate::compare;
use crate::error::{Error, Result};
use crate::index::Index;
use crate::mend::{Rotten, images_of};
use crate::search::{DEFAULT_EF, Neighbour, Query, RankBy, SearchParams, Way};
use crate::segment::{GraphDesk, Segment};
use crate::store::reader::Reader;
use crate::store::types::ImageId;

/// Images that are asked for both ways, along the graph and past every row.
const SAMPLE: usize = 200;

/// How many neighbours of each are compared.
const SAMPLE_K: usize = 10;

/// The most lines that are told of what is wrong with the database.
const MOST_LINES: usize = 20;

/// The most lost images, and the most of any other kind, that are named.
const MOST_NAMED: usize = 20;

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
    /// Images that were asked for along the graphs and past every row.
    pub sampled: usize,
    /// What of the exact answers each ranking found that goes along a graph.
    pub rankings: Vec<RankingChecked>,
}

/// How far a ranking's answers are its exact ones.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RankingChecked {
    /// The ranking.
    pub by: RankBy,
    /// The share of the ten nearest by a scan that the graphs found, without a scan where they found
    /// too few.
    pub recall: f64,
    /// The same of what a person gets who asks for images of the other side of the codes: what is
    /// near may not be found there, and what may be found is not near.
    pub recall_other_side: f64,
}

/// What [`RankingChecked::recall`] has to be. A sound graph reaches 0.99 on real pictures and more on
/// most; 2,000 neighbours tell 0.95 from that.
pub const RECALL_FLOOR: f64 = 0.95;

impl RankingChecked {
    /// Whether it finds what it has to.
    pub fn is_sound(&self) -> bool {
        self.recall >= RECALL_FLOOR && self.recall_other_side >= RECALL_FLOOR
    }
}

impl Checked {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.database.is_empty()
            && self.rotten == 0
            && self.waiting == 0
            && self.segments_are_sound()
    }

    /// Whether nothing is wrong with the segments.
    pub fn segments_are_sound(&self) -> bool {
        self.damaged.is_empty()
            && self.lost == 0
            && self.rankings.iter().all(RankingChecked::is_sound)
    }
}

impl Index {
    /// Checks the database's file and the checksum of every stored code, every segment against its
    /// checksums and the database, looks for every image by its own code, and compares a sample of
    /// answers along the graph with exact ones. `done` counts the images up as they are looked for.
    ///
    /// # Errors
    ///
    /// Where the database cannot be asked. What is wrong is no error but told.
    pub fn check(&self, done: &AtomicUsize) -> Result<Checked> {
        let reader = self.to_reader()?;
        let mut checked = Checked {
            database: database_errors(&reader)?,
            ..Checked::default()
        };
        let looked = self.look(&reader, &mut checked, done);
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

    fn look(&self, reader: &Reader, checked: &mut Checked, done: &AtomicUsize) -> Result<()> {
        let fail = |source| reader.fail(source);
        let connection = reader.connection();
        let snapshot = connection.unchecked_transaction().map_err(fail)?;
        let encoder = reader.encoder()?;
        let rotten = Rotten::find(connection).map_err(fail)?;
        checked.rotten = rotten.contents.len();
        for &content in &rotten.contents {
            if checked.rotten_images.len() == MOST_NAMED {
                break;
            }
            let images = images_of(connection, content).map_err(fail)?;
            let room = MOST_NAMED - checked.rotten_images.len();
            checked
                .rotten_images
                .extend(images.into_iter().take(room).map(ImageId));
        }
        for &content in &rotten.waiting {
            checked.waiting += images_of(connection, content).map_err(fail)?.len();
        }
        let removed = reader.removed()?;
        let mut covered = 0;
        for stored in reader.segments()? {
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
                    done.fetch_add(stored.images, Ordering::Relaxed);
                    continue;
                }
            };
            let rows = segment.rows();
            let is_live = |id: i64| removed.binary_search(&id).is_err();
            let differing = compare::differing(reader, &encoder, &stored, &segment, &removed)?;
            if differing > 0 {
                checked.damaged.push(format!(
                    "the segment {}: {differing} of its rows are not what the database holds",
                    path.display()
                ));
            }
            let live = rows.ids.iter().filter(|&&id| is_live(id)).count();
            checked.in_segments += live;
            checked.removed += rows.len() - live;

            let lost: Vec<i64> = (0..rows.len())
                .into_par_iter()
                .map_init(
                    || (GraphDesk::default(), Vec::new()),
                    |(desk, found), row| {
                        let ef = DEFAULT_EF;
                        segment.candidates(rows.code(row), ef, desk, found);
                        let mut is_lost = !found.contains(&(row as u32));
                        if segment.has_fused_graph() {
                            let asked = (rows.code(row), rows.hash(row));
                            segment.fused_candidates(asked, ef, desk, found);
                            is_lost |= !found.contains(&(row as u32));
                        }
                        done.fetch_add(1, Ordering::Relaxed);
                        is_lost.then_some(rows.ids[row])
                    },
                )
                .flatten()
                .filter(|&id| is_live(id))
                .collect();
            checked.lost += lost.len();
            let room = MOST_NAMED.saturating_sub(checked.lost_images.len());
            let named = lost.into_iter().take(room).map(ImageId);
            checked.lost_images.extend(named);
        }
        checked.newer = reader.count_between(covered, i64::MAX)?;
        checked.images = reader.count_between(0, i64::MAX)?;
        drop(snapshot);
        self.sample(checked)
    }

    /// Asks for images spread evenly over the index both ways, by each ranking that goes along a
    /// graph.
    fn sample(&self, checked: &mut Checked) -> Result<()> {
        let searcher = self.searcher()?;
        let asked = searcher.some_rows(SAMPLE);
        checked.sampled = asked.len();
        let mut firsts: Vec<f32> = asked.iter().map(|(code, _)| code[0]).collect();
        firsts.sort_unstable_by(f32::total_cmp);
        let Some(&middle) = firsts.get(firsts.len() / 2) else {
            return Ok(());
        };
        let below = searcher.select_codes(|code| code[0] < middle);
        let above = searcher.select_codes(|code| code[0] >= middle);
        for by in [RankBy::Code, RankBy::Both] {
            let params = |way| SearchParams::new(SAMPLE_K).by(by).way(way);
            let (mut alone, mut filtered) = (Shared::default(), Shared::default());
            for (code, hash) in &asked {
                let query = Query {
                    code,
                    hash: Some(hash),
                };
                let ask = |way, selection, fall_back| {
                    searcher
                        .search_parts(&query, &params(way), selection, fall_back)
                        .map(|(found, _)| found)
                };
                let truth = ask(Way::Exact, None, true)?;
                alone.count(&truth, &ask(Way::Graph, None, false)?);
                let other = Some(if code[0] < middle { &above } else { &below });
                let truth = ask(Way::Exact, other, true)?;
                filtered.count(&truth, &ask(Way::Graph, other, true)?);
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

/// What SQLite finds wrong with the database's file, and images without a content.
fn database_errors(reader: &Reader) -> Result<Vec<String>> {
    let lines = |sql: &str| -> rusqlite::Result<Vec<String>> {
        let mut statement = reader.connection().prepare(sql)?;
        statement.query_map((), |row| row.get(0))?.collect()
    };
    let told = lines(&format!("PRAGMA quick_check({MOST_LINES})"));
    let mut errors = match told.map_err(|source| reader.fail(source)) {
        Ok(told) => told,
        Err(Error::Corrupt { what, .. }) => vec![what],
        Err(error) => return Err(error),
    };
    errors.retain(|line| line != "ok");
    if errors.is_empty() {
        let sql = format!(
            "SELECT 'the image ' || id || ' has no content' FROM images i
             WHERE NOT EXISTS (SELECT 1 FROM contents c WHERE c.id = i.content) LIMIT {MOST_LINES}"
        );
        errors = lines(&sql).map_err(|source| reader.fail(source))?;
    }
    Ok(errors)
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
