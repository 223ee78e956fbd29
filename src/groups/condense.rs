//! From joins to groups: the second half of HDBSCAN* (Campello, Moulavi and Sander 2013).
//!
//! Read from the root down, a join parts a cluster in two if both sides have enough points; otherwise the smaller side
//! falls out. A cluster that lasts long while edges get shorter, with many points, is stable. Of a cluster and those
//! below it, whichever are more stable in sum are groups (excess of mass).

use super::linkage::Join;
use super::neighbours::NONE;

/// A cluster of the condensed tree. Its children have larger numbers.
#[derive(Debug, Clone)]
struct Cluster {
    parent: u32,
    /// One divided by the length of the edge that made it.
    born: f64,
    stability: f64,
    children: Vec<u32>,
}

/// The condensed tree.
#[derive(Debug, Clone)]
pub(crate) struct Condensed {
    clusters: Vec<Cluster>,
    /// The cluster from which each point fell.
    of: Vec<u32>,
    /// Whether each cluster is more stable than those below it in sum.
    chosen: Vec<bool>,
}

impl Condensed {
    /// Condenses the joins of `points` points: clusters have at least `min_size` of them.
    pub fn new(points: usize, joins: &[Join], min_size: usize) -> Self {
        let mut tree = Self {
            clusters: vec![Cluster {
                parent: NONE,
                born: 0.0,
                stability: 0.0,
                children: Vec::new(),
            }],
            of: vec![0; points],
            chosen: Vec::new(),
        };
        if !joins.is_empty() {
            tree.part(points, joins, min_size);
        }
        tree.choose();
        tree
    }

    /// Reads the joins from the root down.
    fn part(&mut self, points: usize, joins: &[Join], min_size: usize) {
        let min_size = u32::try_from(min_size.max(2)).unwrap_or(u32::MAX);
        let size = |node: u32| match (node as usize).checked_sub(points) {
            Some(join) => joins[join].size,
            None => 1,
        };
        let mut open = vec![((points + joins.len() - 1) as u32, 0u32)];
        while let Some((node, cluster)) = open.pop() {
            let Some(join) = (node as usize).checked_sub(points) else {
                self.of[node as usize] = cluster;
                continue;
            };
            let join = joins[join];
            let density = 1.0 / f64::from(join.length.max(f32::MIN_POSITIVE));
            let sides = [join.left, join.right];
            let large = sides.map(|side| size(side) >= min_size);
            if large == [true, true] {
                self.leave(cluster, density, join.size);
                for side in sides {
                    let child = self.clusters.len() as u32;
                    self.clusters.push(Cluster {
                        parent: cluster,
                        born: density,
                        stability: 0.0,
                        children: Vec::new(),
                    });
                    self.clusters[cluster as usize].children.push(child);
                    open.push((side, child));
                }
                continue;
            }
            for (side, is_large) in sides.into_iter().zip(large) {
                if is_large {
                    open.push((side, cluster));
                } else {
                    self.leave(cluster, density, size(side));
                    self.drop_out(side, cluster, points, joins);
                }
            }
        }
    }

    /// Counts points that leave a cluster at a density.
    fn leave(&mut self, cluster: u32, density: f64, points: u32) {
        let cluster = &mut self.clusters[cluster as usize];
        cluster.stability += (density - cluster.born) * f64::from(points);
    }

    /// Notes that all points below a node fall out of a cluster.
    fn drop_out(&mut self, node: u32, cluster: u32, points: usize, joins: &[Join]) {
        let mut below = vec![node];
        while let Some(node) = below.pop() {
            match (node as usize).checked_sub(points) {
                Some(join) => below.extend([joins[join].left, joins[join].right]),
                None => self.of[node as usize] = cluster,
            }
        }
    }

    /// Chooses between each cluster and those below it.
    fn choose(&mut self) {
        let mut best = vec![0.0f64; self.clusters.len()];
        self.chosen = vec![false; self.clusters.len()];
        // Children come after their parents.
        for (number, cluster) in self.clusters.iter().enumerate().rev() {
            let children = cluster.children.iter();
            let below: f64 = children.map(|&child| best[child as usize]).sum();
            let is_chosen = cluster.children.is_empty() || cluster.stability >= below;
            self.chosen[number] = is_chosen;
            best[number] = if is_chosen { cluster.stability } else { below };
        }
    }

    /// Returns the groups among everything: clusters, none of them within another. The whole is no group.
    pub fn groups(&self) -> Vec<u32> {
        self.groups_in(0)
    }

    /// Returns the groups within a cluster.
    pub fn groups_in(&self, whole: u32) -> Vec<u32> {
        let mut found = Vec::new();
        let mut open: Vec<u32> = self.clusters[whole as usize].children.clone();
        while let Some(cluster) = open.pop() {
            if self.chosen[cluster as usize] {
                found.push(cluster);
            } else {
                open.extend(&self.clusters[cluster as usize].children);
            }
        }
        found.sort_unstable();
        found
    }

    /// Returns which of some clusters each point lies in, as its place among them, or [`NONE`].
    pub fn members(&self, groups: &[u32]) -> Vec<u32> {
        let mut place = vec![NONE; self.clusters.len()];
        for (number, &group) in groups.iter().enumerate() {
            place[group as usize] = number as u32;
        }
        for number in 0..place.len() {
            let parent = self.clusters[number].parent;
            if place[number] == NONE && parent != NONE {
                place[number] = place[parent as usize];
            }
        }
        self.of
            .iter()
            .map(|&cluster| place[cluster as usize])
            .collect()
    }
}
