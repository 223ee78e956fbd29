//! How a file differs from the best one of its group, for people and for programs.

use std::fmt;

use imgsearch_index::Image;
use serde::Serialize;

use super::types::Level;
use super::verify::{Alignment, Verdict};

/// Turns of fewer degrees are none: they come from rounding sides to pixels.
const TURNED: f32 = 0.7;

/// Shares of a picture above this are all of it.
const WHOLE: f32 = 0.975;

/// Sides that differ by a smaller share are of one size.
const RESIZED: f32 = 0.015;

/// Contrast that differs by a smaller factor is the same.
const BRIGHTER: f32 = 1.1;

/// A copy is softer if its sharpness falls below this share, and sharper above its reciprocal.
const SOFTER: f32 = 0.72;

/// Black or white over less than this share is none.
const COVERED: f32 = 0.012;

/// Pictures of less colour than this are black and white, if the other has twice as much.
const COLOURLESS: f32 = 6.0;

/// One way in which a file differs from the best one of its group.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Change {
    /// Mirrored left to right.
    Mirrored,
    /// Turned clockwise.
    Turned {
        /// By these degrees, above -180 up to 180.
        degrees: f32,
    },
    /// What it shows is larger or smaller.
    Scaled {
        /// The factor on lengths.
        by: f32,
    },
    /// It shows a part of the best one.
    Cropped {
        /// The share of the area that is left.
        to: f32,
    },
    /// It shows more than the best one, around it.
    Wider {
        /// The share of it that the best one shows.
        shared: f32,
    },
    /// Bars or a frame were added.
    Framed {
        /// The share of it that they take.
        share: f32,
    },
    /// The best one has bars or a frame that it has not.
    Unframed,
    /// A part is covered by or lost in black or white, such as a caption.
    Covered {
        /// The share.
        share: f32,
    },
    /// Brighter or darker.
    Exposed {
        /// The factor on contrast.
        by: f32,
    },
    /// Blurred, or less sharp.
    Softer,
    /// Sharper.
    Sharper,
    /// Black and white, and the best one is in colour.
    Colourless,
    /// In colour, and the best one is black and white.
    Coloured,
    /// Another file format.
    Format {
        /// Its own.
        format: String,
        /// That of the best one.
        of_best: String,
    },
    /// Nothing that can be seen: re-encoded, or with other metadata.
    Reencoded,
}

/// How a file differs from the best one of its group.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Difference {
    /// In which ways; at least one.
    pub changes: Vec<Change>,
    /// The share of compared places that agree, from 0 to 1.
    pub agreement: f32,
    /// Where the file lies in the best one: `[a, b, c, d, e, f]`, by which its place `(x, y)` is
    /// `(a x + b y + c, d x + e y + f)` in the best one. Places count from 0 to 1 in both, from the left and from the
    /// top.
    pub within_best: Option<[f32; 6]>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percents = |share: &f32| (share * 100.0).round();
        match self {
            Self::Mirrored => f.write_str("mirrored"),
            Self::Turned { degrees } if slant(*degrees).abs() < TURNED => {
                write!(f, "turned by {degrees:.0}°")
            }
            Self::Turned { degrees } => write!(f, "turned by {degrees:.1}°"),
            Self::Scaled { by } if (by - 0.5).abs() < 0.01 => f.write_str("half the size"),
            Self::Scaled { by } if (by - 2.0).abs() < 0.04 => f.write_str("twice the size"),
            Self::Scaled { by } => write!(f, "scaled to {} %", percents(by)),
            Self::Cropped { to } => write!(f, "cropped to {} %", percents(to)),
            Self::Wider { shared } => {
                write!(f, "shows more: {} % are in the best one", percents(shared))
            }
            Self::Framed { share } => write!(f, "with bars on {} %", percents(share)),
            Self::Unframed => f.write_str("without the bars"),
            Self::Covered { share } => write!(f, "covered on {} %", percents(share)),
            Self::Exposed { by } if *by > 1.0 => f.write_str("brighter"),
            Self::Exposed { .. } => f.write_str("darker"),
            Self::Softer => f.write_str("softer"),
            Self::Sharper => f.write_str("sharper"),
            Self::Colourless => f.write_str("black and white"),
            Self::Coloured => f.write_str("in colour"),
            Self::Format { format, of_best } => {
                write!(
                    f,
                    "{} instead of {}",
                    format.to_uppercase(),
                    of_best.to_uppercase()
                )
            }
            Self::Reencoded => f.write_str("re-encoded"),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, change) in self.changes.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            change.fmt(f)?;
        }
        Ok(())
    }
}

/// Returns how alike a file is to the best one of its group, and how it differs.
pub(super) fn level_and_difference(
    best: &Image,
    file: &Image,
    verdict: &Verdict,
) -> (Level, Option<Difference>) {
    let level = match verdict {
        Verdict::Copy(_) => Level::Edited,
        Verdict::Near(_) | Verdict::Different => Level::Near,
    };
    let formats = (best.format.as_str(), file.format.as_str());
    (level, Difference::of(verdict, formats))
}

impl Difference {
    /// Returns how the second picture differs from the first, whose formats are named; `None` if they are different
    /// pictures.
    pub(super) fn of(verdict: &Verdict, (best, own): (&str, &str)) -> Option<Self> {
        let alignment = verdict.alignment()?;
        let mut changes = seen(alignment);
        if best != own {
            changes.push(Change::Format {
                format: own.to_owned(),
                of_best: best.to_owned(),
            });
        } else if changes.is_empty() && matches!(verdict, Verdict::Copy(_)) {
            changes.push(Change::Reencoded);
        }
        Some(Self {
            changes,
            agreement: alignment.agreement,
            within_best: alignment.within_first(),
        })
    }
}

/// Returns by how many degrees a turn differs from quarter turns.
fn slant(degrees: f32) -> f32 {
    degrees - (degrees / 90.0).round() * 90.0
}

/// Returns what pixels show.
fn seen(alignment: &Alignment) -> Vec<Change> {
    let mut changes = Vec::new();
    if alignment.mirrored {
        changes.push(Change::Mirrored);
    }
    if alignment.turned.abs() > TURNED {
        changes.push(Change::Turned {
            degrees: alignment.turned,
        });
    }
    if (alignment.scale - 1.0).abs() > RESIZED {
        changes.push(Change::Scaled {
            by: alignment.scale,
        });
    }
    // The corners of a picture that was turned a little are neither a crop nor a frame.
    let slanted = slant(alignment.turned).abs() > TURNED;
    let whole = if slanted { WHOLE - 0.12 } else { WHOLE };
    if alignment.kept < whole {
        changes.push(if alignment.is_within_bars() {
            Change::Unframed
        } else {
            Change::Cropped { to: alignment.kept }
        });
    }
    if alignment.shared < whole {
        changes.push(if alignment.has_bars() {
            Change::Framed {
                share: 1.0 - alignment.shared,
            }
        } else {
            Change::Wider {
                shared: alignment.shared,
            }
        });
    }
    if alignment.gain > BRIGHTER || alignment.gain < 1.0 / BRIGHTER {
        changes.push(Change::Exposed { by: alignment.gain });
    } else if alignment.covered > COVERED && !slanted {
        changes.push(Change::Covered {
            share: alignment.covered,
        });
    }
    // A scaled picture has another sharpness by itself, and bars and captions have edges.
    let framed = alignment.has_bars() || alignment.is_within_bars();
    let as_it_was = (alignment.scale - 1.0).abs() <= RESIZED && !slanted && !framed;
    if as_it_was && alignment.covered <= COVERED {
        if alignment.sharpness < SOFTER {
            changes.push(Change::Softer);
        } else if alignment.sharpness > 1.0 / SOFTER {
            changes.push(Change::Sharper);
        }
    }
    let (best, own) = alignment.colours;
    if own < COLOURLESS && best > 2.0 * COLOURLESS {
        changes.push(Change::Colourless);
    } else if best < COLOURLESS && own > 2.0 * COLOURLESS {
        changes.push(Change::Coloured);
    }
    changes
}
