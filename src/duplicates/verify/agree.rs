//! How well two aligned pictures agree, block by block.
//!
//! Whole pictures that are alike, such as two shots of one place, agree in most of their large shapes. Copies agree
//! in their small ones, nearly everywhere: each block of the first picture is correlated with the place in the second
//! that it was mapped to.

use super::affine::{Affine, size_of};
use super::align::Aligned;
use super::grey::Grey;

/// The side of a block in pixels.
const BLOCK: usize = 8;

/// Pixels at the edges that are not compared: bars beyond an edge of one picture are blurred into it.
const EDGE: usize = 4;

/// What the other picture does not explain of a block may deviate by this many grey levels: noise, and what a JPEG
/// of low quality leaves out.
const NOISE: f32 = 5.0;

/// Or else by this share of what deviates in the block: edges that are a little softer or harder.
const UNEXPLAINED: f32 = 0.35;

/// A block whose brightness deviates less than this is plain.
const PLAIN: f32 = 4.0;

/// Plain blocks whose brightness differs by more disagree.
const APART: f32 = 40.0;

/// Pixels that differ by less in brightness are not lost, however near to black or white.
const UNLIKE: f32 = 6.0;

/// What is at least so bright may be white in a brighter copy, and what is at most so dark black in a darker one.
const CLIPS: (f32, f32) = (40.0, 160.0);

/// Something may have moved if more than this share of the blocks disagrees at one place …
const AT_ONE_PLACE: f32 = 0.04;

/// … and did if at least this share agrees with a place beside its own.
const MOVED: f32 = 0.03;

/// Pixels by which something may move between two shots, in each direction.
const MOVES: i32 = 2;

/// With a smaller share of blocks that agree, pictures are no copies anyway, and nobody asks what moved.
const WORTHWHILE: f32 = 0.9;

/// What one picture has this much more of than the other, of black or of white, was lost there or laid over it.
const LOST: f32 = 0.04;

/// How two aligned pictures agree.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Agreement {
    /// Blocks of the first picture that the second one shows, too.
    pub shown: usize,
    /// Those of them with something in them.
    pub blocks: usize,
    /// The share of these that agree.
    pub share: f32,
    /// The correlation that half of them reach.
    pub median: f32,
    /// The share of what is shown that one of the pictures has as plain black or white only, other than for its
    /// brightness.
    pub lost: f32,
    /// The share of the first picture that the second shows.
    pub within_b: f32,
    /// The share of the second picture that the first shows.
    pub within_a: f32,
    /// Whether something moved between the two, such as a face: many blocks at one place that hold something disagree,
    /// and many agree with what is a pixel or two away. What a copy loses is scattered, or black and white.
    pub moved: bool,
}

/// What pictures are compared by: softened, so that a copy that is a little softer agrees.
#[derive(Debug, Clone)]
pub(super) struct Planes {
    pub soft: Grey,
    /// How much of the place around a pixel is white, less how much is black: from 1 to -1. A brighter copy is white
    /// where the picture is not, and bars, captions and the corners of a turned picture are black.
    pub extreme: Grey,
}

/// Compares `a` with `b` under a map.
pub(super) fn agreement(a: &Planes, b: &Planes, aligned: &Aligned) -> Agreement {
    let (mut shown, mut agreeing, mut differing_plain, mut lost) = (0, 0, 0, 0);
    let mut correlations = Vec::new();
    let (width, height) = (a.soft.width, a.soft.height);
    let mut disagreeing = Vec::new();
    let mut places = Places::of(width / BLOCK, height / BLOCK);
    for top in (EDGE..height.saturating_sub(EDGE + BLOCK - 1)).step_by(BLOCK) {
        for left in (EDGE..width.saturating_sub(EDGE + BLOCK - 1)).step_by(BLOCK) {
            let Some(block) = block(a, b, aligned, left, top) else {
                continue;
            };
            shown += 1;
            match block {
                Block::Clipped => {}
                Block::Lost => {
                    lost += 1;
                    places.set(left / BLOCK, top / BLOCK, Place::Lost);
                }
                Block::Plain { differs } => differing_plain += usize::from(differs),
                Block::Correlated { value, agrees, .. } if agrees => {
                    agreeing += 1;
                    correlations.push(value);
                }
                Block::Correlated {
                    value, holds_both, ..
                } => {
                    correlations.push(value);
                    disagreeing.push((left, top));
                    if holds_both {
                        places.set(left / BLOCK, top / BLOCK, Place::Changed);
                    }
                }
            }
        }
    }
    let blocks = correlations.len() + differing_plain;
    correlations.sort_unstable_by(f32::total_cmp);
    let median = correlations.get(correlations.len() / 2);
    let share = agreeing as f32 / blocks.max(1) as f32;
    let of_blocks = |some: usize| some as f32 / blocks.max(1) as f32;
    let at_one_place = || of_blocks(places.largest_change()) > AT_ONE_PLACE;
    let moved = share >= WORTHWHILE && at_one_place() && {
        let moved = disagreeing.iter();
        let moved = moved.filter(|(left, top)| has_moved(a, b, aligned, *left, *top));
        of_blocks(moved.count()) >= MOVED
    };
    let within = |map: Option<Affine>, from: &Grey, to: &Grey| {
        map.map_or(0.0, |map| map.share_within(size_of(from), size_of(to)))
    };
    Agreement {
        shown,
        blocks,
        share,
        median: median.copied().unwrap_or(0.0),
        lost: lost as f32 / shown.max(1) as f32,
        within_b: within(Some(aligned.map), &a.soft, &b.soft),
        within_a: within(aligned.map.inverse(), &b.soft, &a.soft),
        moved,
    }
}

/// Returns whether a block agrees with a place beside the one that it is mapped to.
fn has_moved(a: &Planes, b: &Planes, aligned: &Aligned, left: usize, top: usize) -> bool {
    let ways = (-MOVES..=MOVES).flat_map(|y| (-MOVES..=MOVES).map(move |x| (x as f32, y as f32)));
    let mut ways = ways.filter(|way| *way != (0.0, 0.0));
    ways.any(|(x, y)| {
        let mut beside = *aligned;
        let m = beside.map.m;
        beside.map.t[0] += m[0] * x + m[1] * y;
        beside.map.t[1] += m[2] * x + m[3] * y;
        let block = block(a, b, &beside, left, top);
        matches!(block, Some(Block::Correlated { agrees: true, .. }))
    })
}

/// What is known of a block for its neighbours.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Other,
    Lost,
    Changed,
}

/// All blocks of a picture.
struct Places {
    across: usize,
    all: Vec<Place>,
}

impl Places {
    fn of(across: usize, down: usize) -> Self {
        Self {
            across,
            all: vec![Place::Other; across * down],
        }
    }

    fn set(&mut self, column: usize, row: usize, place: Place) {
        self.all[row * self.across + column] = place;
    }

    /// Returns the blocks around one.
    fn around(&self, block: usize) -> impl Iterator<Item = usize> + use<> {
        let (across, down) = (self.across, self.all.len() / self.across);
        let (column, row) = (block % across, block / across);
        let rows = row.saturating_sub(1)..(row + 2).min(down);
        let columns = column.saturating_sub(1)..(column + 2).min(across);
        rows.flat_map(move |row| columns.clone().map(move |column| row * across + column))
    }

    /// Returns the number of blocks in the largest place that changed. Those at the edges of a caption do not count.
    fn largest_change(mut self) -> usize {
        let beside_lost =
            |block: usize| self.around(block).any(|near| self.all[near] == Place::Lost);
        let changed = (0..self.all.len()).filter(|block| self.all[*block] == Place::Changed);
        let mut changed: Vec<usize> = changed.filter(|block| !beside_lost(*block)).collect();
        self.all.fill(Place::Other);
        for block in &changed {
            self.all[*block] = Place::Changed;
        }
        let mut largest = 0;
        while let Some(first) = changed.pop() {
            let mut reached = vec![first];
            let mut size = 0;
            while let Some(block) = reached.pop() {
                if self.all[block] == Place::Changed {
                    self.all[block] = Place::Other;
                    size += 1;
                    reached.extend(self.around(block));
                }
            }
            largest = largest.max(size);
        }
        largest
    }
}

/// What a block says.
enum Block {
    /// One of the pictures is plain black or white there.
    Lost,
    /// The same, as its brightness explains.
    Clipped,
    Plain {
        differs: bool,
    },
    Correlated {
        value: f32,
        agrees: bool,
        /// Whether both pictures hold something there.
        holds_both: bool,
    },
}

/// Compares a block with where it is mapped to; `None` if the other picture does not show all of it.
fn block(a: &Planes, b: &Planes, aligned: &Aligned, left: usize, top: usize) -> Option<Block> {
    let (width, height) = size_of(&b.soft);
    let edge = EDGE as f32;
    let mut sums = [0.0f32; 5];
    let (mut count, mut clipped) = (0.0f32, 0.0f32);
    for y in top..top + BLOCK {
        for x in left..left + BLOCK {
            let (u, v) = aligned.map.of(x as f32 + 0.5, y as f32 + 0.5);
            if !(u >= edge && v >= edge && u <= width - edge && v <= height - edge) {
                return None;
            }
            let place = y * a.soft.width + x;
            let (u, v) = (u - 0.5, v - 0.5);
            let (own, other) = (a.soft.pixels[place], b.soft.between(u, v));
            let differs = (aligned.gain * other + aligned.offset - own).abs() > UNLIKE;
            if differs && is_lost(a.extreme.pixels[place], b.extreme.between(u, v)) {
                clipped += f32::from(u8::from(is_clipped(own, other)));
                continue;
            }
            count += 1.0;
            let values = [own, other, own * own, other * other, own * other];
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum += value;
            }
        }
    }
    if count < (BLOCK * BLOCK) as f32 / 2.0 {
        let lost = (BLOCK * BLOCK) as f32 - count;
        return Some(if clipped > 0.8 * lost {
            Block::Clipped
        } else {
            Block::Lost
        });
    }
    let mean = sums.map(|sum| sum / count);
    let own = (mean[2] - mean[0] * mean[0]).max(0.0);
    // In the brightness of the first.
    let gain = aligned.gain.abs();
    let other = (mean[3] - mean[1] * mean[1]).max(0.0) * gain * gain;
    let both = (mean[4] - mean[0] * mean[1]) * gain;
    let most = own.max(other);
    if most < PLAIN * PLAIN {
        let expected = aligned.gain * mean[1] + aligned.offset;
        return Some(Block::Plain {
            differs: (expected - mean[0]).abs() > APART,
        });
    }
    let value = both / ((own + 1.0) * (other + 1.0)).sqrt();
    let unexplained = most * (1.0 - value.max(0.0).powi(2));
    let allowed = (NOISE * NOISE).max(UNEXPLAINED * UNEXPLAINED * most);
    let agrees = unexplained <= allowed;
    Some(Block::Correlated {
        value,
        agrees,
        holds_both: own.min(other) >= PLAIN * PLAIN,
    })
}

/// Returns how much energy the fine detail of `b` has relative to that of `a`, where both show the same: what each pixel
/// differs by from the middle of four around it, the same four of both pictures.
pub(super) fn detail(a: &Planes, b: &Planes, aligned: &Aligned) -> f32 {
    const FAR: f32 = 2.0;
    const AROUND: [(f32, f32); 4] = [(-FAR, 0.0), (FAR, 0.0), (0.0, -FAR), (0.0, FAR)];
    let ((width, height), edge) = (size_of(&b.soft), EDGE as f32);
    let (mut own, mut other) = (0.0f32, 0.0f32);
    for y in (EDGE..a.soft.height.saturating_sub(EDGE)).step_by(2) {
        for x in (EDGE..a.soft.width.saturating_sub(EDGE)).step_by(2) {
            let (column, row) = (x as f32 + 0.5, y as f32 + 0.5);
            let there = |(dx, dy): (f32, f32)| {
                let (u, v) = aligned.map.of(column + dx, row + dy);
                (u - 0.5, v - 0.5)
            };
            let (u, v) = there((0.0, 0.0));
            if !(u >= edge && v >= edge && u <= width - edge && v <= height - edge) {
                continue;
            }
            let place = y * a.soft.width + x;
            let extremes = (a.extreme.pixels[place], b.extreme.between(u, v));
            if extremes.0.abs().max(extremes.1.abs()) > LOST {
                continue;
            }
            let mean = |of: &dyn Fn((f32, f32)) -> f32| AROUND.map(of).iter().sum::<f32>() / 4.0;
            let around = mean(&|(dx, dy)| a.soft.between(column + dx - 0.5, row + dy - 0.5));
            own += (a.soft.pixels[place] - around).powi(2);
            let around = mean(&|by| {
                let (u, v) = there(by);
                b.soft.between(u, v)
            });
            other += (aligned.gain * (b.soft.between(u, v) - around)).powi(2);
        }
    }
    // Where there is no detail, none is lost.
    (other + 1.0) / (own + 1.0)
}

/// Returns whether one picture is black or white where the other is neither.
fn is_lost(one: f32, other: f32) -> bool {
    (one - other).abs() > LOST && one * other > -LOST
}

/// Returns whether another exposure explains that one of two pixels is black or white.
fn is_clipped(one: f32, other: f32) -> bool {
    let (least, most) = (one.min(other), one.max(other));
    least >= CLIPS.1 || most <= CLIPS.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texture(x: f32, y: f32) -> f32 {
        let across = (x / 2.1 + 3.0 * (y / 9.0).sin()).sin();
        let down = (y / 2.3 + 2.0 * (x / 11.0).cos()).sin();
        128.0 + 40.0 * across + 40.0 * down
    }

    /// Compares the texture with one that is something else within a square of five by five blocks.
    fn with_square(within: impl Fn(f32, f32) -> f32) -> Agreement {
        let planes = |of: &dyn Fn(f32, f32) -> f32| Planes {
            soft: Grey::from_fn(192, 144, |x, y| of(x as f32, y as f32)),
            extreme: Grey::from_fn(192, 144, |_, _| 0.0),
        };
        let square = 52.0..92.0;
        let other = planes(&|x, y| {
            if square.contains(&x) && square.contains(&y) {
                within(x, y)
            } else {
                texture(x, y)
            }
        });
        let as_it_is = Aligned {
            map: Affine {
                m: [1.0, 0.0, 0.0, 1.0],
                t: [0.0; 2],
            },
            gain: 1.0,
            offset: 0.0,
        };
        agreement(&planes(&texture), &other, &as_it_is)
    }

    #[test]
    fn what_moved_a_little_is_told_from_what_was_laid_over() {
        let same = with_square(texture);
        assert!(same.share == 1.0 && !same.moved, "{same:?}");
        let moved = with_square(|x, y| texture(x - 2.0, y + 2.0));
        assert!(moved.share > 0.9 && moved.moved, "{moved:?}");
        let laid_over = with_square(|x, y| 128.0 + 60.0 * ((1.3 * x + 0.9 * y) / 1.7).sin());
        assert!(
            laid_over.share > 0.9 && laid_over.share < 0.96 && !laid_over.moved,
            "{laid_over:?}"
        );
    }
}
