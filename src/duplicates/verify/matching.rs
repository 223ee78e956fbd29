//! Guesses how one picture lies in another, from corners that look alike.
//!
//! Two pairs of corners determine a shift, a turn and a scale. Every two pairs that agree about turn and scale make a
//! guess; the one that brings most corners to their counterparts wins (RANSAC, Fischler and Bolles 1981, without
//! chance: all pairs are tried, the most alike first).

use imgsearch_index::hamming_to_all;

use super::affine::Affine;
use super::features::{Bits, Feature, Features};

/// Descriptions of the same corner differ in at most this number of 256 bits.
const ALIKE: u32 = 72;

/// The second-best counterpart differs in at least this many times the bits of the best.
const CLEARER: f32 = 1.18;

/// Counterparts within this number of pixels are the same corner at other sizes.
const SAME_PLACE: f32 = 7.0;

/// The most pairs of corners that guesses are made of.
const MOST: usize = 60;

/// Pixels between a corner and its counterpart.
const TOLERANCE: f32 = 4.0;

/// Fewest pairs of corners that a guess has to explain.
const FEWEST: usize = 8;

/// One of so many corners of the second picture is looked up first, in each of the two ways …
const PROBED: usize = 4;

/// … and only with this many counterparts the others are, too.
const FEWEST_PROBED: usize = 2;

/// A guess that explains this share of the pairs is the best one.
const CLEAR_SHARE: f32 = 0.7;

/// A guess, and how many corners it brings to their counterparts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guess {
    pub map: Affine,
    pub corners: usize,
}

/// A corner of the first picture and its counterpart in the second.
#[derive(Clone, Copy)]
struct Pair<'a> {
    a: &'a Feature,
    b: &'a Feature,
    apart: u32,
}

/// Returns the best guess of where the first picture lies in the second, mirrored or not.
pub(super) fn guess(a: &Features, b: &Features) -> Option<Guess> {
    let plain = best_of(&pairs(a, b, false), false);
    let mirrored = best_of(&pairs(a, b, true), true);
    match (plain, mirrored) {
        (Some(plain), Some(mirrored)) if mirrored.corners > plain.corners => Some(mirrored),
        (plain, mirrored) => plain.or(mirrored),
    }
}

/// Returns the corners that have a clear counterpart, the most alike first; none if hardly any of some have one.
fn pairs<'a>(a: &'a Features, b: &'a Features, mirrored: bool) -> Vec<Pair<'a>> {
    let of_a = if mirrored { &a.mirrored } else { &a.bits };
    let mut apart = Vec::with_capacity(a.len());
    let mut pairs = Vec::new();
    let probed = |i: &usize| i.is_multiple_of(PROBED);
    let corners = 0..b.len();
    for i in corners.clone().filter(probed) {
        pairs.extend(counterpart(a, of_a, b, i, &mut apart));
    }
    if pairs.len() < FEWEST_PROBED {
        return Vec::new();
    }
    for i in corners.filter(|i| !probed(i)) {
        pairs.extend(counterpart(a, of_a, b, i, &mut apart));
    }
    pairs.sort_by_key(|pair| pair.apart);
    pairs
}

/// Returns the corner of the first picture that clearly looks most like one of the second.
fn counterpart<'a>(
    a: &'a Features,
    of_a: &[Bits],
    b: &'a Features,
    i: usize,
    all_apart: &mut Vec<u32>,
) -> Option<Pair<'a>> {
    hamming_to_all(&b.bits[i], of_a, all_apart);
    let apart = all_apart.iter().copied().min()?;
    if apart > ALIKE {
        return None;
    }
    let best = &a.corners[all_apart.iter().position(|other| *other == apart)?];
    // A corner nearby is the same one at another size, and no rival.
    let limit = (CLEARER * apart as f32).ceil() as u32;
    let mut rivals = all_apart
        .iter()
        .zip(&a.corners)
        .filter(|(apart, _)| **apart < limit);
    rivals
        .all(|(_, other)| same_place(best, other))
        .then_some(Pair {
            a: best,
            b: &b.corners[i],
            apart,
        })
}

fn same_place(one: &Feature, other: &Feature) -> bool {
    (one.x - other.x).powi(2) + (one.y - other.y).powi(2) < SAME_PLACE * SAME_PLACE
}

/// Returns the guess that most pairs agree with.
fn best_of(pairs: &[Pair<'_>], mirrored: bool) -> Option<Guess> {
    if pairs.len() < FEWEST {
        return None;
    }
    let tried = &pairs[..pairs.len().min(MOST)];
    let mut best: Option<Guess> = None;
    'tried: for (i, one) in tried.iter().enumerate() {
        for other in &tried[..i] {
            let Some(map) = through(one, other, mirrored) else {
                continue;
            };
            let corners = explained(&map, pairs).count();
            if best.is_none_or(|best| corners > best.corners) {
                best = Some(Guess { map, corners });
                if corners as f32 >= CLEAR_SHARE * pairs.len() as f32 {
                    break 'tried;
                }
            }
        }
    }
    let best = best.filter(|best| best.corners >= FEWEST)?;
    // Fitted to all that agree, and once more to all that agree then.
    let mut map = best.map;
    for _ in 0..2 {
        map = fitted(explained(&map, pairs), mirrored).unwrap_or(map);
    }
    let corners = explained(&map, pairs).count();
    Some(Guess { map, corners })
}

/// Returns the pairs that a map brings together.
fn explained<'p>(map: &Affine, pairs: &'p [Pair<'p>]) -> impl Iterator<Item = &'p Pair<'p>> {
    let map = *map;
    pairs.iter().filter(move |pair| {
        let (x, y) = map.of(pair.a.x + 0.5, pair.a.y + 0.5);
        let (dx, dy) = (x - pair.b.x - 0.5, y - pair.b.y - 0.5);
        dx * dx + dy * dy <= TOLERANCE * TOLERANCE
    })
}

/// Returns the similarity through two pairs, if the corners' own directions and sizes agree with it.
fn through(one: &Pair<'_>, other: &Pair<'_>, mirrored: bool) -> Option<Affine> {
    let flip = if mirrored { -1.0 } else { 1.0 };
    let from = (other.a.x - one.a.x, (other.a.y - one.a.y) * flip);
    let to = (other.b.x - one.b.x, other.b.y - one.b.y);
    let length = from.0 * from.0 + from.1 * from.1;
    if length < 12.0 * 12.0 {
        return None;
    }
    // The quotient of two complex numbers is a turn and a scale.
    let (re, im) = (
        (to.0 * from.0 + to.1 * from.1) / length,
        (to.1 * from.0 - to.0 * from.1) / length,
    );
    let scale = (re * re + im * im).sqrt();
    if !(0.3..=3.4).contains(&scale) {
        return None;
    }
    for pair in [one, other] {
        let (cos, sin) = (pair.a.towards.0, pair.a.towards.1 * flip);
        let turned = (re * cos - im * sin, re * sin + im * cos);
        let along = turned.0 * pair.b.towards.0 + turned.1 * pair.b.towards.1;
        // Within 35 degrees, and about a level.
        let by_level = pair.a.scale / pair.b.scale;
        if along < 0.82 * scale || !(0.55..=1.8).contains(&(scale / by_level)) {
            return None;
        }
    }
    let m = [re, -im * flip, im, re * flip];
    let (x, y) = (one.a.x + 0.5, one.a.y + 0.5);
    Some(Affine {
        m,
        t: [
            one.b.x + 0.5 - (m[0] * x + m[1] * y),
            one.b.y + 0.5 - (m[2] * x + m[3] * y),
        ],
    })
}

/// Returns the similarity with the least squared distance between pairs.
fn fitted<'p>(pairs: impl Iterator<Item = &'p Pair<'p>>, mirrored: bool) -> Option<Affine> {
    let flip = if mirrored { -1.0 } else { 1.0 };
    let places: Vec<[f32; 4]> = pairs
        .map(|pair| {
            let (a, b) = (pair.a, pair.b);
            [a.x + 0.5, (a.y + 0.5) * flip, b.x + 0.5, b.y + 0.5]
        })
        .collect();
    let count = places.len() as f32;
    let mean = |i: usize| places.iter().map(|place| place[i]).sum::<f32>() / count;
    let middle = [mean(0), mean(1), mean(2), mean(3)];
    let (mut re, mut im, mut length) = (0.0f32, 0.0f32, 0.0f32);
    for place in &places {
        let from = (place[0] - middle[0], place[1] - middle[1]);
        let to = (place[2] - middle[2], place[3] - middle[3]);
        re += to.0 * from.0 + to.1 * from.1;
        im += to.1 * from.0 - to.0 * from.1;
        length += from.0 * from.0 + from.1 * from.1;
    }
    if length < 1.0 {
        return None;
    }
    let (re, im) = (re / length, im / length);
    let shift = [
        middle[2] - (re * middle[0] - im * middle[1]),
        middle[3] - (im * middle[0] + re * middle[1]),
    ];
    Some(Affine {
        m: [re, -im * flip, im, re * flip],
        t: shift,
    })
}
