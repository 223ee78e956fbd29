//! Whether one picture is an edited copy of another, by their pixels.
//!
//! Corners that look alike suggest how one picture lies in the other (`matching`): shifted, turned, mirrored, larger
//! or smaller. The suggestion is refined until both agree to a fraction of a pixel (`align`); then the pictures are
//! compared block by block (`agree`). A copy agrees nearly everywhere, down to its small shapes. Two shots of one
//! scene do not: something has moved in one of them.

mod affine;
mod agree;
mod align;
mod features;
mod grey;
mod matching;
mod picture;

use affine::Affine;
use agree::{Agreement, Planes, agreement};
use align::{Aligned, Sloped, align, correlation};
pub use picture::{LONGER_SIDE, Picture};

/// Pictures with fewer corners are compared as a whole, too: there is little in them to match.
const FEW_CORNERS: usize = 40;

/// Whole pictures that are less alike suggest nothing.
const COARSELY_ALIKE: f32 = 0.9;

/// Pictures that correlate less under a guess do not fit.
const PROMISING: f32 = 0.4;

/// A copy agrees in at least this share of its blocks. Captions and stamps take up the rest.
const COPY_SHARE: f32 = 0.92;

/// Pictures with fewer blocks that hold something say little about themselves …
const FEW_BLOCKS: usize = 100;

/// … and with fewer than this nothing.
const FEWEST_BLOCKS: usize = 16;

/// Of pictures with few blocks, a copy agrees in this share of them.
const COPY_SHARE_OF_FEW: f32 = 0.97;

/// At most this share of a copy is covered by black or white, …
const MOST_LOST: f32 = 0.3;

/// … or this if it has few blocks.
const MOST_LOST_OF_FEW: f32 = 0.1;

/// Of one of two copies, at least this share is in the other one. Neighbouring parts of a scene overlap less.
const WITHIN: f32 = 0.85;

/// Near-identical shots agree in this share of their blocks, or by this number of corners.
const NEAR_SHARE: f32 = 0.4;

/// Bars deviate less than this from their brightness.
const PLAIN_BARS: f32 = 6.0;

/// One picture is softer than the other if its sharpness differs by this factor.
const SOFTER: f32 = 1.3;

/// The blur in pixels that brings a sharp picture to the softness of a copy.
const SOFTENING: f32 = 1.6;

/// What a comparison of two pictures found.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Verdict {
    /// Both are copies of one picture, edited or not.
    Copy(Alignment),
    /// They are much alike, such as two shots in a row, but not copies of one picture.
    Near(Alignment),
    /// They are different pictures, or there is too little in them to tell.
    Different,
}

impl Verdict {
    /// Returns how the pictures lie in each other, unless they are different.
    pub fn alignment(&self) -> Option<&Alignment> {
        match self {
            Self::Copy(alignment) | Self::Near(alignment) => Some(alignment),
            Self::Different => None,
        }
    }

    /// Returns the same verdict as the second picture sees it: on (b, a) instead of (a, b).
    #[must_use]
    pub fn reversed(self) -> Self {
        match self {
            Self::Copy(alignment) => Self::Copy(alignment.reversed()),
            Self::Near(alignment) => Self::Near(alignment.reversed()),
            Self::Different => Self::Different,
        }
    }
}

/// How the second of two pictures was made of the first, as far as pixels show it.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Alignment {
    /// Whether it is mirrored, left to right. The turn comes after that.
    pub mirrored: bool,
    /// Degrees by which it is turned clockwise, above -180 up to 180.
    pub turned: f32,
    /// How large what it shows is in it, relative to the first, in pixels of the files: 0.5 is half the size.
    pub scale: f32,
    /// The share of the first picture that it shows, from 0 to 1: less than 1 if it is cropped.
    pub kept: f32,
    /// The share of it that the first picture shows: less than 1 if something was added at its edges, or if the first
    /// is cropped.
    pub shared: f32,
    /// The share of compared blocks that agree.
    pub agreement: f32,
    /// The share that one of both has as plain black or white: captions, bars.
    pub covered: f32,
    /// How much brighter it is: the factor on contrast. 1 for no change.
    pub gain: f32,
    /// How sharp it is relative to the first, of which 1 is no change and less is softer.
    pub sharpness: f32,
    /// Whether what only the first one shows, and what only the second one shows, is plain: bars or a frame.
    pub bars: (bool, bool),
    /// Colourfulness from 0 (black and white) to 255 of the first and of the second.
    pub colours: (f32, f32),
    /// How the first picture lies in the second, with places from 0 to 1 in both.
    map: Option<Affine>,
}

/// The alignment of a picture with itself.
#[cfg(test)]
pub(super) const SAME: Alignment = Alignment {
    mirrored: false,
    turned: 0.0,
    scale: 1.0,
    kept: 1.0,
    shared: 1.0,
    agreement: 1.0,
    covered: 0.0,
    gain: 1.0,
    sharpness: 1.0,
    bars: (false, false),
    colours: (50.0, 50.0),
    map: None,
};

impl Alignment {
    /// Returns whether the second picture has bars or a frame around what both show.
    pub fn has_bars(&self) -> bool {
        self.bars.1
    }

    /// Returns whether the first picture has bars or a frame around what both show.
    pub fn is_within_bars(&self) -> bool {
        self.bars.0
    }

    /// Returns where the second picture lies in the first one: `[a, b, c, d, e, f]`, by which its place `(x, y)` is
    /// `(a x + b y + c, d x + e y + f)` in the first one. Places count from 0 to 1 in both pictures, from the left and
    /// from the top.
    pub fn within_first(&self) -> Option<[f32; 6]> {
        let Affine { m, t } = self.map?.inverse()?;
        Some([m[0], m[1], t[0], m[2], m[3], t[1]])
    }

    fn reversed(self) -> Self {
        Self {
            // A mirrored picture turned back is the picture mirrored and turned by as much.
            turned: if self.mirrored {
                self.turned
            } else {
                -self.turned
            },
            scale: 1.0 / self.scale,
            kept: self.shared,
            shared: self.kept,
            gain: 1.0 / self.gain,
            sharpness: 1.0 / self.sharpness,
            bars: (self.bars.1, self.bars.0),
            colours: (self.colours.1, self.colours.0),
            map: self.map.and_then(|map| map.inverse()),
            ..self
        }
    }
}

/// Compares two pictures. It takes a tenth of a millisecond if they are different, and some milliseconds if not.
pub fn compare_pictures(a: &Picture, b: &Picture) -> Verdict {
    let mut prepared = None;
    let mut best: Option<(Agreement, Aligned)> = None;
    let guess = matching::guess(&a.features, &b.features);
    let by_corners = guess.map(|guess| guess.map);
    let starts = by_corners.into_iter().chain(as_a_whole(a, b));
    for start in starts {
        let prepared = prepared.get_or_insert_with(|| Prepared::of(a, b));
        let Some(found) = prepared.judge(start, a, b) else {
            continue;
        };
        if best.is_none_or(|best| found.0.share > best.0.share) {
            best = Some(found);
        }
        if is_copy(&found.0) {
            break;
        }
    }
    let Some((agreement, aligned)) = best else {
        return Verdict::Different;
    };
    let bars = prepared.map_or((false, false), |prepared| prepared.bars(&aligned));
    let alignment = describe(a, b, &agreement, &aligned, bars);
    if is_copy(&agreement) {
        Verdict::Copy(alignment)
    } else if agreement.blocks >= FEWEST_BLOCKS && agreement.share >= NEAR_SHARE {
        Verdict::Near(alignment)
    } else {
        Verdict::Different
    }
}

/// Returns whether pictures that agree so are copies of one.
fn is_copy(agreement: &Agreement) -> bool {
    let few = agreement.blocks < FEW_BLOCKS;
    let (share, lost) = if few {
        (COPY_SHARE_OF_FEW, MOST_LOST_OF_FEW)
    } else {
        (COPY_SHARE, MOST_LOST)
    };
    agreement.blocks >= FEWEST_BLOCKS
        && agreement.share >= share
        && agreement.lost <= lost
        && agreement.within_a.max(agreement.within_b) >= WITHIN
}

/// Returns how the first picture could lie in the second one as a whole, if there are few corners to tell.
fn as_a_whole(a: &Picture, b: &Picture) -> Option<Affine> {
    if a.features.len().min(b.features.len()) >= FEW_CORNERS {
        return None;
    }
    let views = a
        .views
        .iter()
        .flat_map(|one| b.views.iter().map(move |other| (one, other)));
    let ways = views.flat_map(|(one, other)| {
        let alike = one.alike(other).into_iter().enumerate();
        alike.map(move |(turn, alike)| (alike, one, other, turn))
    });
    let (alike, one, other, turn) = ways.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (alike >= COARSELY_ALIKE).then(|| one.onto(other, turn))
}

/// Two pictures, ready to be aligned and compared.
struct Prepared {
    a: Planes,
    b: Planes,
    half_a: grey::Grey,
    half_b: Sloped,
}

impl Prepared {
    fn of(a: &Picture, b: &Picture) -> Self {
        let (a, b) = (a.planes(), b.planes());
        let half = |grey: &grey::Grey| grey.resized(grey.width / 2, grey.height / 2);
        Self {
            half_a: half(&a.soft),
            half_b: Sloped::of(half(&b.soft)),
            a,
            b,
        }
    }

    /// Aligns the pictures from a start, and compares them.
    fn judge(&mut self, start: Affine, a: &Picture, b: &Picture) -> Option<(Agreement, Aligned)> {
        // Most guesses are wrong, and this shows it at once.
        if correlation(&self.half_a, &self.half_b, &start.scaled(0.5)) < PROMISING {
            return None;
        }
        let aligned = align(&self.half_a, &self.half_b, start.scaled(0.5))?;
        let aligned = Aligned {
            map: aligned.map.scaled(2.0),
            ..aligned
        };
        let found = agreement(&self.a, &self.b, &aligned);
        if is_copy(&found) || found.share < NEAR_SHARE {
            return Some((found, aligned));
        }
        // A copy that is softer than the picture agrees with what the picture is when it is softened.
        let ratio = sharpness(a, b, &aligned);
        let softened = |planes: &Planes| Planes {
            soft: planes.soft.blurred(SOFTENING),
            extreme: planes.extreme.blurred(SOFTENING),
        };
        let again = if ratio < 1.0 / SOFTER {
            agreement(&softened(&self.a), &self.b, &aligned)
        } else if ratio > SOFTER {
            agreement(&self.a, &softened(&self.b), &aligned)
        } else {
            found
        };
        Some((
            if again.share > found.share {
                again
            } else {
                found
            },
            aligned,
        ))
    }
}

impl Prepared {
    /// Returns whether what one picture shows beyond the other is plain, for both.
    fn bars(&self, aligned: &Aligned) -> (bool, bool) {
        let back = aligned.map.inverse();
        (
            is_plain_beyond(&self.a.soft, &self.b.soft, &aligned.map),
            back.is_some_and(|back| is_plain_beyond(&self.b.soft, &self.a.soft, &back)),
        )
    }
}

/// Returns whether a picture shows more than another one, and that is plain.
fn is_plain_beyond(picture: &grey::Grey, other: &grey::Grey, map: &Affine) -> bool {
    // The blur reaches over the edge.
    const EDGE: f32 = 4.0;
    let (width, height) = affine::size_of(other);
    let (mut count, mut sum, mut squares) = (0.0f32, 0.0f32, 0.0f32);
    for (i, value) in picture.pixels.iter().enumerate() {
        let place = |i: usize| i as f32 + 0.5;
        let (x, y) = map.of(place(i % picture.width), place(i / picture.width));
        if x < -EDGE || y < -EDGE || x > width + EDGE || y > height + EDGE {
            count += 1.0;
            sum += value;
            squares += value * value;
        }
    }
    let mean = sum / count.max(1.0);
    count > 0.01 * picture.pixels.len() as f32
        && (squares / count - mean * mean).max(0.0).sqrt() < PLAIN_BARS
}

/// Returns how sharp the second picture is relative to the first, in what the first one's pixels are.
fn sharpness(a: &Picture, b: &Picture, aligned: &Aligned) -> f32 {
    let area = aligned.map.determinant().abs();
    aligned.gain * aligned.gain * area * b.sharpness / a.sharpness.max(1e-3)
}

/// Returns what a map of small copies says about the pictures.
fn describe(
    a: &Picture,
    b: &Picture,
    found: &Agreement,
    aligned: &Aligned,
    bars: (bool, bool),
) -> Alignment {
    let map = &aligned.map;
    let mirrored = map.determinant() < 0.0;
    let flip = if mirrored { -1.0 } else { 1.0 };
    let turned = (map.m[2] * flip).atan2(map.m[0] * flip).to_degrees();
    // Small copies are as large as each other; the pictures are not.
    let by_copy = |picture: &Picture| {
        let (width, height) = picture.size();
        let (whole_width, whole_height) = picture.whole;
        ((whole_width as f32 / width) * (whole_height as f32 / height)).sqrt()
    };
    Alignment {
        mirrored,
        turned,
        scale: map.determinant().abs().sqrt() * by_copy(b) / by_copy(a),
        kept: found.within_b,
        shared: found.within_a,
        agreement: found.share,
        covered: found.lost,
        gain: 1.0 / aligned.gain,
        sharpness: sharpness(a, b, aligned),
        bars,
        colours: (a.colour, b.colour),
        map: Some(map.in_squares(a.size(), b.size())),
    }
}

#[cfg(test)]
mod tests;
