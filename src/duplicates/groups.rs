//! Groups by complete evidence.
//!
//! A group is one file, the best, and the files that were compared with it and found to be the same picture. If A
//! resembles B and B resembles C, A and C are in one group only if they were compared, too, or if B is the best.

use std::collections::{HashMap, HashSet};

use imgsearch_index::{Image, ImageId, NearPair};

use super::contents::Contents;
use super::types::{DuplicateOptions, Keep, Level};
use super::verify::Verdict;

/// In larger clusters not all pairs are compared, only those that are two steps apart.
const MOST_CLUSTERED: usize = 64;

/// What a comparison of pixels said about pairs of images, the one with the lower id first.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    verdicts: HashMap<(ImageId, ImageId), Verdict>,
    /// Pairs that were compared and are different: not compared again.
    different: HashSet<(ImageId, ImageId)>,
}

impl Evidence {
    /// Adds a verdict on the pair of `a` and `b`.
    pub fn add(&mut self, a: ImageId, b: ImageId, verdict: Verdict) {
        let (pair, verdict) = if a < b {
            ((a, b), verdict)
        } else {
            ((b, a), verdict.reversed())
        };
        if verdict == Verdict::Different {
            self.different.insert(pair);
        } else {
            self.verdicts.insert(pair, verdict);
        }
    }

    /// Returns the verdict on two images as the first of them sees it.
    pub fn of(&self, a: ImageId, b: ImageId) -> Option<Verdict> {
        if a < b {
            self.verdicts.get(&(a, b)).copied()
        } else {
            self.verdicts.get(&(b, a)).map(|verdict| verdict.reversed())
        }
    }

    /// Returns whether two images were compared and do not belong together.
    fn denies(&self, a: ImageId, b: ImageId, level: Level) -> bool {
        match self.of(a, b) {
            Some(Verdict::Near(_)) => level != Level::Near,
            Some(_) => false,
            None => self.different.contains(&(a.min(b), a.max(b))),
        }
    }

    /// Returns the images that resemble another one, some of them twice.
    pub fn images(&self) -> impl Iterator<Item = ImageId> + '_ {
        self.verdicts.keys().flat_map(|(a, b)| [*a, *b])
    }

    /// Returns, for each image, those that resemble it up to a level.
    fn neighbours(&self, level: Level) -> HashMap<ImageId, Vec<ImageId>> {
        let mut all: HashMap<ImageId, Vec<ImageId>> = HashMap::new();
        for ((a, b), verdict) in &self.verdicts {
            if level == Level::Near || matches!(verdict, Verdict::Copy(_)) {
                all.entry(*a).or_default().push(*b);
                all.entry(*b).or_default().push(*a);
            }
        }
        all.values_mut().for_each(|near| near.sort_unstable());
        all
    }

    /// Returns the pairs that a group may hold and that were not compared yet, sorted: all pairs of a cluster, or in a
    /// large one those with a picture in common that resembles both.
    pub fn missing(&self, level: Level) -> Vec<NearPair> {
        let neighbours = self.neighbours(level);
        let mut missing = HashSet::new();
        let mut add = |a: ImageId, b: ImageId| {
            let pair = (a.min(b), a.max(b));
            if a != b && !self.verdicts.contains_key(&pair) && !self.different.contains(&pair) {
                missing.insert(pair);
            }
        };
        for cluster in clusters(&neighbours) {
            if cluster.len() <= MOST_CLUSTERED {
                for (i, a) in cluster.iter().enumerate() {
                    cluster[..i].iter().for_each(|b| add(*a, *b));
                }
            } else {
                for id in &cluster {
                    let near = &neighbours[id];
                    let near = &near[..near.len().min(MOST_CLUSTERED)];
                    for (i, a) in near.iter().enumerate() {
                        near[..i].iter().for_each(|b| add(*a, *b));
                    }
                }
            }
        }
        let mut pairs: Vec<NearPair> = missing
            .into_iter()
            .map(|(a, b)| NearPair::new(a, b))
            .collect();
        pairs.sort_unstable_by_key(|pair| (pair.a, pair.b));
        pairs
    }
}

/// Returns the images that are connected, each cluster sorted, in the order of their first images.
fn clusters(neighbours: &HashMap<ImageId, Vec<ImageId>>) -> Vec<Vec<ImageId>> {
    let mut starts: Vec<ImageId> = neighbours.keys().copied().collect();
    starts.sort_unstable();
    let mut seen = HashSet::new();
    let mut clusters = Vec::new();
    for start in starts {
        if !seen.insert(start) {
            continue;
        }
        let mut cluster = vec![start];
        let mut next = 0;
        while let Some(id) = cluster.get(next) {
            next += 1;
            let near = neighbours.get(id).into_iter().flatten();
            let new: Vec<ImageId> = near.copied().filter(|id| seen.insert(*id)).collect();
            cluster.extend(new);
        }
        cluster.sort_unstable();
        clusters.push(cluster);
    }
    clusters
}

/// The contents of a group, each named by its first image.
#[derive(Debug, PartialEq)]
pub(super) struct Grouped {
    /// The best file.
    pub best: ImageId,
    /// Its content.
    pub best_content: ImageId,
    /// The other contents, and how the best one is related to each.
    pub members: Vec<(ImageId, Verdict)>,
}

/// Makes groups of images that are `ranked`, the best first.
pub(super) fn group(
    ranked: &[&Image],
    evidence: &Evidence,
    options: &DuplicateOptions,
    contents: &Contents,
) -> Vec<Grouped> {
    // The best file of each content, in the order of the ranking.
    let mut content_of = HashMap::new();
    for first in evidence.images().chain(contents.repeated()) {
        for id in contents.files(first) {
            content_of.insert(*id, first);
        }
    }
    let mut best_of: HashMap<ImageId, &Image> = HashMap::new();
    let mut order = Vec::new();
    for image in ranked {
        if let Some(&content) = content_of.get(&image.id)
            && !best_of.contains_key(&content)
        {
            best_of.insert(content, image);
            order.push(content);
        }
    }
    let pixels = |content: ImageId| {
        best_of
            .get(&content)
            .map_or(0, |image| u64::from(image.width) * u64::from(image.height))
    };
    let with_bars = matches!(options.keep, Keep::Best | Keep::Largest);
    let made = around(
        &order,
        evidence,
        options.level,
        with_bars.then_some(&pixels as &dyn Fn(ImageId) -> u64),
    );
    made.into_iter()
        .filter_map(|(content, members)| {
            let is_group = !members.is_empty() || contents.files(content).len() > 1;
            let best = best_of.get(&content)?;
            is_group.then_some(Grouped {
                best: best.id,
                best_content: content,
                members,
            })
        })
        .collect()
}

/// A content, and the contents that belong to it.
type Around = (ImageId, Vec<(ImageId, Verdict)>);

/// Makes groups around the best content that is left, again and again. If `pixels` are given, a content is not the
/// best one because of bars at its edges.
fn around(
    order: &[ImageId],
    evidence: &Evidence,
    level: Level,
    pixels: Option<&dyn Fn(ImageId) -> u64>,
) -> Vec<Around> {
    let neighbours = evidence.neighbours(level);
    let place: HashMap<ImageId, usize> = order.iter().enumerate().map(|(i, id)| (*id, i)).collect();
    let mut taken = HashSet::new();
    let mut made = Vec::new();
    let members_of = |centre: ImageId, taken: &HashSet<ImageId>| {
        let near = neighbours.get(&centre).into_iter().flatten();
        let free = near.filter(|id| place.contains_key(*id) && !taken.contains(*id));
        let mut members: Vec<(ImageId, Verdict)> = free
            .filter_map(|id| Some((*id, evidence.of(centre, *id)?)))
            .collect();
        members.sort_by_key(|(id, _)| place[id]);
        without_doubtful(members, evidence, level)
    };
    for &first in order {
        if taken.contains(&first) {
            continue;
        }
        let (mut centre, mut members) = (first, members_of(first, &taken));
        if let Some(pixels) = pixels
            && let Some(bare) = without_bars(first, &members, pixels)
        {
            let of_bare = members_of(bare, &taken);
            // Nothing is lost from the group for it.
            if of_bare.len() >= members.len() {
                (centre, members) = (bare, of_bare);
            }
        }
        taken.insert(centre);
        taken.extend(members.iter().map(|(id, _)| *id));
        made.push((centre, members));
    }
    made
}

/// Leaves out members that do not belong together with most of the others: one comparison of two shots can be wrong,
/// that of a shot with every copy of another one hardly ever is.
fn without_doubtful(
    members: Vec<(ImageId, Verdict)>,
    evidence: &Evidence,
    level: Level,
) -> Vec<(ImageId, Verdict)> {
    let others: Vec<ImageId> = members
        .iter()
        .take(MOST_CLUSTERED)
        .map(|(id, _)| *id)
        .collect();
    let is_doubtful = |id: ImageId| {
        let others = others.iter().filter(|other| **other != id);
        let denied = others
            .clone()
            .filter(|other| evidence.denies(id, **other, level));
        // The best one speaks for it, as does whoever was not asked.
        2 * denied.count() > others.count() + 1
    };
    let doubtful: Vec<bool> = members.iter().map(|(id, _)| is_doubtful(*id)).collect();
    let members = members.into_iter().zip(doubtful);
    members
        .filter(|(_, doubtful)| !doubtful)
        .map(|(member, _)| member)
        .collect()
}

/// Returns the best of the members that show all of the first one but its bars, and as large.
fn without_bars(
    first: ImageId,
    members: &[(ImageId, Verdict)],
    pixels: &dyn Fn(ImageId) -> u64,
) -> Option<ImageId> {
    let bare = members.iter().find(|(id, verdict)| {
        let Verdict::Copy(alignment) = verdict else {
            return false;
        };
        let shown = pixels(first) as f64 * f64::from(alignment.kept);
        alignment.is_within_bars() && pixels(*id) as f64 >= 0.95 * shown
    });
    bare.map(|(id, _)| *id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duplicates::verify::SAME;

    fn ids(of: &[i64]) -> Vec<ImageId> {
        of.iter().copied().map(ImageId).collect()
    }

    fn evidence(copies: &[(i64, i64)], near: &[(i64, i64)]) -> Evidence {
        let mut evidence = Evidence::default();
        for (a, b) in copies {
            evidence.add(ImageId(*a), ImageId(*b), Verdict::Copy(SAME));
        }
        for (a, b) in near {
            evidence.add(ImageId(*a), ImageId(*b), Verdict::Near(SAME));
        }
        evidence
    }

    /// Returns the groups of several, sorted, each with its best first.
    fn groups(order: &[i64], evidence: &Evidence, level: Level) -> Vec<Vec<i64>> {
        let made = around(&ids(order), evidence, level, None);
        let made = made.into_iter().filter(|(_, members)| !members.is_empty());
        made.map(|(best, members)| {
            let members = members.into_iter().map(|(id, _)| id.0);
            std::iter::once(best.0).chain(members).collect()
        })
        .collect()
    }

    #[test]
    fn a_chain_is_no_group() {
        // 1 ~ 2 ~ 3, and 1 was not found to be 3.
        let chain = evidence(&[(1, 2), (2, 3)], &[]);
        assert_eq!(groups(&[1, 2, 3], &chain, Level::Edited), [[1, 2]]);
        // All were compared with the best one.
        assert_eq!(groups(&[2, 1, 3], &chain, Level::Edited), [[2, 1, 3]]);
        let long: Vec<(i64, i64)> = (1..10).map(|i| (i, i + 1)).collect();
        let made = groups(
            &(1..=10).collect::<Vec<_>>(),
            &evidence(&long, &[]),
            Level::Edited,
        );
        assert!(made.iter().all(|group| group.len() == 2), "{made:?}");
    }

    #[test]
    fn every_file_is_in_one_group_at_most() {
        let all = evidence(&[(1, 2), (1, 3), (2, 3), (3, 4), (4, 5)], &[]);
        let made = groups(&[3, 1, 4, 2, 5], &all, Level::Edited);
        assert_eq!(made, [[3, 1, 4, 2]]);
    }

    #[test]
    fn who_belongs_to_the_best_one_alone_is_left_out() {
        let mut some = evidence(&[(1, 2), (1, 3), (1, 4), (2, 3), (1, 9)], &[(2, 9)]);
        some.add(ImageId(3), ImageId(9), Verdict::Different);
        // 9 is denied by two of three, and 4 was compared with the best one only.
        assert_eq!(
            groups(&[1, 2, 3, 4, 9], &some, Level::Edited),
            [[1, 2, 3, 4, 9]]
        );
        some.add(ImageId(4), ImageId(9), Verdict::Different);
        assert_eq!(
            groups(&[1, 2, 3, 4, 9], &some, Level::Edited),
            [[1, 2, 3, 4]]
        );
        // Of two alone, none outvotes the other.
        let mut pair = evidence(&[(1, 2), (1, 3)], &[]);
        pair.add(ImageId(2), ImageId(3), Verdict::Different);
        assert_eq!(groups(&[1, 2, 3], &pair, Level::Edited), [[1, 2, 3]]);
    }

    #[test]
    fn near_shots_count_only_if_they_are_asked_for() {
        let mixed = evidence(&[(1, 2)], &[(1, 3), (4, 5)]);
        assert_eq!(
            groups(&[1, 2, 3, 4, 5], &mixed, Level::Edited),
            [vec![1, 2]]
        );
        let near = groups(&[1, 2, 3, 4, 5], &mixed, Level::Near);
        assert_eq!(near, [vec![1, 2, 3], vec![4, 5]]);
    }

    #[test]
    fn what_a_group_may_hold_is_compared_and_nothing_twice() {
        let mut some = evidence(&[(1, 2), (2, 3), (7, 8)], &[(3, 4)]);
        let missing = |evidence: &Evidence, level| -> Vec<(i64, i64)> {
            let pairs = evidence.missing(level);
            pairs.iter().map(|pair| (pair.a.0, pair.b.0)).collect()
        };
        assert_eq!(missing(&some, Level::Edited), [(1, 3)]);
        assert_eq!(missing(&some, Level::Near), [(1, 3), (1, 4), (2, 4)]);
        some.add(ImageId(3), ImageId(1), Verdict::Different);
        assert!(missing(&some, Level::Edited).is_empty());
    }

    #[test]
    fn bars_make_no_picture_the_best() {
        // 1 has more pixels, but 2 shows all of it that is not bars.
        let mut barred = SAME;
        (barred.kept, barred.bars) = (0.8, (true, false));
        let mut evidence = Evidence::default();
        evidence.add(ImageId(1), ImageId(2), Verdict::Copy(barred));
        evidence.add(ImageId(1), ImageId(3), Verdict::Copy(SAME));
        evidence.add(ImageId(2), ImageId(3), Verdict::Copy(SAME));
        let order = ids(&[1, 2, 3]);
        let best = |pixels: &dyn Fn(ImageId) -> u64| {
            around(&order, &evidence, Level::Edited, Some(pixels))[0].0
        };
        assert_eq!(best(&|id| if id.0 == 1 { 1000 } else { 800 }), ImageId(2));
        // It is smaller than what 1 shows between its bars.
        assert_eq!(best(&|id| if id.0 == 1 { 1000 } else { 200 }), ImageId(1));
    }

    #[test]
    fn evidence_is_seen_from_both_sides() {
        let mut cropped = SAME;
        (cropped.kept, cropped.scale) = (0.5, 2.0);
        let mut evidence = Evidence::default();
        evidence.add(ImageId(2), ImageId(1), Verdict::Copy(cropped));
        let seen = |a, b| {
            *evidence
                .of(ImageId(a), ImageId(b))
                .unwrap()
                .alignment()
                .unwrap()
        };
        assert_eq!((seen(2, 1).kept, seen(2, 1).scale), (0.5, 2.0));
        assert_eq!((seen(1, 2).shared, seen(1, 2).scale), (0.5, 0.5));
    }
}
