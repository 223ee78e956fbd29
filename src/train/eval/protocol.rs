//! Queries and database: leave-one-out, or the split that the literature on hashing uses.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::metrics::RetrievalSplit;
use crate::error::{Error, Result};
use crate::random::SplitMix;
use crate::train::dataset::Labelled;

/// How images are split into queries and database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// Every image is a query, and all others are the database.
    LeaveOneOut {
        /// The cutoff rank of the average precision.
        cutoff: usize,
    },
    /// A number of queries and a number of other images as the database, both drawn at random.
    Split {
        /// Number of queries.
        queries: usize,
        /// Number of images in the database.
        database: usize,
        /// The cutoff rank of the average precision.
        cutoff: usize,
    },
}

/// The default cutoff.
const CUTOFF: usize = 1000;

impl Default for Protocol {
    fn default() -> Self {
        Self::LeaveOneOut { cutoff: CUTOFF }
    }
}

impl FromStr for Protocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (mut queries, mut database, mut cutoff) = (None, None, None);
        for part in text.split(',') {
            let known = part.split_once('=').and_then(|(name, number)| {
                let to = match name.trim() {
                    "queries" => &mut queries,
                    "database" => &mut database,
                    "cutoff" => &mut cutoff,
                    _ => return None,
                };
                let number: usize = number.trim().parse().ok()?;
                *to = (number > 0).then_some(number);
                *to
            });
            if known.is_none() {
                return Err(format!(
                    "{part:?} in a protocol: write it as queries=1000,database=50000,cutoff=1000"
                ));
            }
        }
        let cutoff = cutoff.unwrap_or(CUTOFF);
        match (queries, database) {
            (Some(queries), Some(database)) => Ok(Self::Split {
                queries,
                database,
                cutoff,
            }),
            (None, None) => Ok(Self::LeaveOneOut { cutoff }),
            _ => Err(
                "a protocol with queries= needs database= too, and the other way round".to_owned(),
            ),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeaveOneOut { cutoff } => write!(f, "cutoff={cutoff}"),
            Self::Split {
                queries,
                database,
                cutoff,
            } => write!(f, "queries={queries},database={database},cutoff={cutoff}"),
        }
    }
}

/// Images chosen by a protocol. Only these are encoded.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Chosen {
    /// The images.
    pub paths: Vec<PathBuf>,
    /// The class of each.
    pub labels: Vec<usize>,
    /// The first images, this many, are the queries; 0 if all images are.
    pub queries: usize,
    /// The cutoff rank of the average precision.
    pub cutoff: usize,
    /// A description of what was done.
    pub description: String,
}

impl Protocol {
    /// Chooses among labelled images. Queries are drawn from `apart` if it is given, and the database from
    /// `own`; otherwise both are drawn from `own`.
    ///
    /// # Errors
    ///
    /// [`Error::BadEvaluation`] if there are not enough images.
    pub fn choose(&self, own: Labelled, apart: Option<Labelled>, seed: u64) -> Result<Chosen> {
        let (wanted, database, cutoff) = match *self {
            Self::LeaveOneOut { cutoff } => {
                return Ok(Chosen {
                    description:
                        "leave-one-out: every image asks, all others are ranked; ties by path"
                            .to_owned(),
                    paths: own.paths,
                    labels: own.labels,
                    queries: 0,
                    cutoff,
                });
            }
            Self::Split {
                queries,
                database,
                cutoff,
            } => (queries, database, cutoff),
        };
        let enough = |what: &str, there: usize, wanted: usize| {
            if there >= wanted {
                return Ok(());
            }
            Err(Error::BadEvaluation(format!(
                "{wanted} images for the {what} are asked for and there are {there}; ask for fewer with --protocol"
            )))
        };
        let mut random = SplitMix::new(seed);
        let mut drawn = |n: usize| -> Vec<usize> {
            let mut order: Vec<usize> = (0..n).collect();
            for i in (1..n).rev() {
                order.swap(i, random.below(i + 1));
            }
            order
        };
        let from = if apart.is_some() {
            "drawn from the folder `test`, the database from the folder `train`"
        } else {
            "and database drawn from the whole folder, without overlap"
        };
        let mut chosen = Chosen {
            description: format!(
                "{wanted} queries {from}, at random with seed {seed}; {database} images ranked by each; mAP@{cutoff} is \
                 the mean of sum(precision at each hit) / hits among the first {cutoff}; ties by random order"
            ),
            queries: wanted,
            cutoff,
            ..Chosen::default()
        };
        let mut take = |from: &Labelled, places: &[usize]| {
            chosen
                .paths
                .extend(places.iter().map(|&i| from.paths[i].clone()));
            chosen.labels.extend(places.iter().map(|&i| from.labels[i]));
        };
        match apart {
            Some(asking) => {
                if asking.classes != own.classes {
                    return Err(Error::BadEvaluation(
                        "the folders `train` and `test` hold different classes".to_owned(),
                    ));
                }
                enough("queries", asking.paths.len(), wanted)?;
                enough("database", own.paths.len(), database)?;
                take(&asking, &drawn(asking.paths.len())[..wanted]);
                take(&own, &drawn(own.paths.len())[..database]);
            }
            None => {
                enough("queries and database", own.paths.len(), wanted + database)?;
                take(&own, &drawn(own.paths.len())[..wanted + database]);
            }
        }
        Ok(chosen)
    }
}

impl Chosen {
    /// Returns queries and database among the images that could be read. `read` holds their paths in the
    /// order of [`Chosen::paths`].
    pub fn split(&self, read: &[PathBuf]) -> RetrievalSplit {
        let mut there = read.iter().peekable();
        let mut labels = Vec::with_capacity(read.len());
        let mut queries = 0;
        for (i, path) in self.paths.iter().enumerate() {
            if there.next_if(|next| *next == path).is_some() {
                labels.push(self.labels[i]);
                queries += usize::from(i < self.queries);
            }
        }
        if self.queries == 0 {
            return RetrievalSplit::leave_one_out(labels, self.cutoff);
        }
        let n = labels.len();
        RetrievalSplit::split(
            labels,
            (0..queries).collect(),
            (queries..n).collect(),
            self.cutoff,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labelled(n: usize, start: usize) -> Labelled {
        Labelled {
            classes: vec!["a".to_owned(), "b".to_owned()],
            paths: (0..n)
                .map(|i| PathBuf::from((start + i).to_string()))
                .collect(),
            labels: (0..n).map(|i| i % 2).collect(),
        }
    }

    #[test]
    fn protocols_read_as_they_are_written() {
        for text in ["cutoff=5", "queries=10,database=200,cutoff=7"] {
            assert_eq!(text.parse::<Protocol>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "queries=3",
            "queries=0,database=3",
            "queries=x,database=1",
            "rank=3",
        ] {
            assert!(text.parse::<Protocol>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_split_takes_each_image_once_and_repeats() {
        let protocol: Protocol = "queries=4,database=12".parse().unwrap();
        let chosen = protocol.choose(labelled(20, 0), None, 3).unwrap();
        assert_eq!(chosen, protocol.choose(labelled(20, 0), None, 3).unwrap());
        assert_ne!(
            chosen.paths,
            protocol.choose(labelled(20, 0), None, 4).unwrap().paths
        );
        let mut paths = chosen.paths.clone();
        paths.sort();
        paths.dedup();
        assert_eq!(paths.len(), 16);
        let split = chosen.split(&chosen.paths);
        assert_eq!(split.queries, (0..4).collect::<Vec<_>>());
        assert_eq!(split.database, (4..16).collect::<Vec<_>>());
        // One query could not be read.
        let split = chosen.split(&chosen.paths[1..]);
        assert_eq!((split.queries.len(), split.database.len()), (3, 12));
        assert_eq!(split.labels, chosen.labels[1..]);
        assert!(protocol.choose(labelled(15, 0), None, 3).is_err());
    }

    #[test]
    fn queries_come_from_the_folder_apart() {
        let protocol: Protocol = "queries=4,database=12".parse().unwrap();
        let chosen = protocol
            .choose(labelled(20, 0), Some(labelled(9, 100)), 1)
            .unwrap();
        let number = |path: &PathBuf| path.to_str().unwrap().parse::<usize>().unwrap();
        assert!(chosen.paths[..4].iter().all(|path| number(path) >= 100));
        assert!(chosen.paths[4..].iter().all(|path| number(path) < 100));
    }
}
