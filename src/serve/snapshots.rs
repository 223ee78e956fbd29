//! Answers that are kept for a while, so that their next parts fit to the first although the index changes.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use imgsearch::index::ImageId;

use super::params::Params;
use super::problem::{Problem, Result};

/// Answers that are kept.
const KEPT: usize = 256;

/// Images of an answer that can be looked at.
pub const MAX_IMAGES: usize = 10_000;

/// A found image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranked {
    pub id: ImageId,
    pub distance: f32,
    pub similarity: Option<f32>,
}

/// An answer as far as it was looked at.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// What was asked.
    pub params: Params,
    pub ranked: Vec<Ranked>,
    /// Whether there are no more.
    pub is_whole: bool,
}

impl Snapshot {
    /// Adds what a longer search found. What was shown stays where it was; of the rest, what is new follows in order.
    pub fn extend(&mut self, longer: Vec<Ranked>, is_whole: bool) {
        let known: std::collections::HashSet<ImageId> =
            self.ranked.iter().map(|ranked| ranked.id).collect();
        let new = longer
            .into_iter()
            .filter(|ranked| !known.contains(&ranked.id));
        self.ranked.extend(new);
        self.is_whole = is_whole;
    }
}

/// A place in an answer that is kept: what a cursor says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The number of the answer.
    pub number: u64,
    /// How many of its parts come before.
    pub offset: usize,
}

impl Place {
    pub fn text(number: u64, offset: usize) -> String {
        format!("{number}.{offset}")
    }

    /// Reads a cursor. Offsets are below `end`.
    pub fn parse(text: &str, end: usize) -> Result<Self> {
        let parsed = text.split_once('.').and_then(|(number, offset)| {
            Some(Self {
                number: number.parse().ok()?,
                offset: offset.parse().ok().filter(|offset| *offset < end)?,
            })
        });
        parsed.ok_or_else(|| {
            Problem::bad(format!(
                "{text:?} is no cursor: send the `next` of the answer before"
            ))
        })
    }
}

/// The newest answers, by number.
#[derive(Debug, Default)]
pub struct Snapshots(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    next: u64,
    order: VecDeque<u64>,
    by_number: HashMap<u64, Snapshot>,
}

impl Snapshots {
    /// Keeps an answer and returns its number.
    pub fn keep(&self, snapshot: Snapshot) -> u64 {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.next += 1;
        let number = kept.next;
        kept.order.push_back(number);
        kept.by_number.insert(number, snapshot);
        while kept.order.len() > KEPT {
            if let Some(oldest) = kept.order.pop_front() {
                kept.by_number.remove(&oldest);
            }
        }
        number
    }

    /// Returns an answer to the same question.
    pub fn get(&self, number: u64, params: &Params) -> Option<Snapshot> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let snapshot = kept.by_number.get(&number)?;
        (snapshot.params == *params).then(|| snapshot.clone())
    }

    /// Puts a longer answer in the place of one that is still kept.
    pub fn replace(&self, number: u64, snapshot: Snapshot) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = kept.by_number.get_mut(&number) {
            *slot = snapshot;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranked(ids: &[i64]) -> Vec<Ranked> {
        let one = |&id: &i64| Ranked {
            id: ImageId(id),
            distance: id as f32,
            similarity: None,
        };
        ids.iter().map(one).collect()
    }

    #[test]
    fn what_was_shown_stays_in_front() {
        let mut snapshot = Snapshot {
            params: Params::default(),
            ranked: ranked(&[3, 5]),
            is_whole: false,
        };
        // 4 came in meanwhile, and 3 was removed.
        snapshot.extend(ranked(&[4, 5, 6]), true);
        let ids: Vec<i64> = snapshot.ranked.iter().map(|one| one.id.0).collect();
        assert_eq!(ids, [3, 5, 4, 6]);
        assert!(snapshot.is_whole);
    }

    #[test]
    fn the_oldest_answers_go_and_other_questions_get_none() {
        let snapshots = Snapshots::default();
        let snapshot = |text: &str| Snapshot {
            params: Params {
                text: Some(text.to_owned()),
                ..Params::default()
            },
            ranked: Vec::new(),
            is_whole: true,
        };
        let first = snapshots.keep(snapshot("dog"));
        assert!(snapshots.get(first, &snapshot("dog").params).is_some());
        assert!(snapshots.get(first, &snapshot("cat").params).is_none());
        for _ in 0..KEPT {
            snapshots.keep(snapshot("cat"));
        }
        assert!(snapshots.get(first, &snapshot("dog").params).is_none());
    }
}
