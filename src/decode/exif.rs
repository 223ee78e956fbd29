//! EXIF data of an image: its orientation, and when it was taken.

use std::io::{BufRead, Seek};

use exif::{In, Tag, Value};

/// The orientation of an image: EXIF's values 1 to 8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Orientation(u8);

/// The EXIF data that are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exif {
    /// `None`: nothing says it.
    pub orientation: Option<Orientation>,
    /// Seconds since 1970 on the camera's clock, as if it showed UTC. An offset of the clock (`OffsetTimeOriginal`)
    /// is not applied: an image taken at nine in the morning belongs to that morning, wherever its owner lives, and
    /// so do images without an offset from the same day.
    pub taken: Option<i64>,
}

impl Exif {
    /// What holds of an image without EXIF data.
    pub const NONE: Self = Self {
        orientation: None,
        taken: None,
    };

    /// Returns the orientation; upright if nothing says it.
    pub fn upright(&self) -> Orientation {
        self.orientation.unwrap_or(Orientation::UPRIGHT)
    }

    /// Returns what this says, and for the rest what another source says, which is only read if it is needed.
    pub fn or_else(self, other: impl FnOnce() -> Self) -> Self {
        if self.orientation.is_some() && self.taken.is_some() {
            return self;
        }
        let other = other();
        Self {
            orientation: self.orientation.or(other.orientation),
            taken: self.taken.or(other.taken),
        }
    }
}

impl Orientation {
    pub const UPRIGHT: Self = Self(1);

    /// Returns the orientation of EXIF's value; upright for any other.
    pub fn of(value: u8) -> Self {
        match value {
            1..=8 => Self(value),
            _ => Self::UPRIGHT,
        }
    }

    /// Returns what this orientation and then another do together.
    #[cfg(any(feature = "heif", test))]
    pub fn then(self, next: Self) -> Self {
        // As a reflection (left and right swapped) and then quarter turns to the right.
        const PARTS: [(u8, u8); 8] = [
            (0, 0),
            (1, 0),
            (0, 2),
            (1, 2),
            (1, 3),
            (0, 1),
            (1, 1),
            (0, 3),
        ];
        let [(flip, turns), (next_flip, next_turns)] =
            [self, next].map(|orientation| PARTS[usize::from(orientation.0) - 1]);
        // A reflection after a turn is the opposite turn after a reflection.
        let turns = if next_flip == 1 { 4 - turns } else { turns };
        let both = (flip ^ next_flip, (turns + next_turns) % 4);
        let place = (1u8..).zip(PARTS).find(|(_, parts)| *parts == both);
        place.map_or(Self::UPRIGHT, |(value, _)| Self(value))
    }

    /// Returns whether width and height are swapped.
    pub fn swaps_sides(self) -> bool {
        self.0 >= 5
    }

    /// Returns whether exactly one of the stored sides is read backwards.
    pub fn reverses_one_side(self) -> bool {
        matches!(self.0, 2 | 4 | 6 | 8)
    }

    /// Turns RGB pixels, stored as `width` by `height`, upright.
    pub fn apply(self, pixels: &[u8], width: usize, height: usize) -> Vec<u8> {
        let (out_width, out_height) = if self.swaps_sides() {
            (height, width)
        } else {
            (width, height)
        };
        let mut out = Vec::with_capacity(pixels.len());
        for y in 0..out_height {
            for x in 0..out_width {
                let (right, bottom) = (width - 1, height - 1);
                // The stored place of the pixel at (x, y).
                let (sx, sy) = match self.0 {
                    2 => (right - x, y),
                    3 => (right - x, bottom - y),
                    4 => (x, bottom - y),
                    5 => (y, x),
                    6 => (y, bottom - x),
                    7 => (right - y, bottom - x),
                    8 => (right - y, x),
                    _ => (x, y),
                };
                let place = (sy * width + sx) * 3;
                out.extend_from_slice(&pixels[place..place + 3]);
            }
        }
        out
    }
}

/// Reads a file's EXIF data. If there are none, or they cannot be read, the image counts as upright, as in every
/// viewer.
pub(super) fn read(mut stream: impl BufRead + Seek) -> Exif {
    let data = exif::Reader::new()
        .continue_on_error(true)
        .read_from_container(&mut stream)
        .or_else(|error| error.distill_partial_result(|_| {}));
    data.map_or(Exif::NONE, |data| used(&data))
}

/// Maximum bytes of a block of EXIF data in a container that does not limit it.
const MAX_BLOCK: usize = 1 << 20;

/// Reads a block of EXIF data, as other containers than JPEG hold it, with JPEG's mark before it or not.
pub(super) fn read_block(block: &[u8]) -> Exif {
    let block = block.strip_prefix(b"Exif\0\0").unwrap_or(block);
    let data = exif::Reader::new()
        .continue_on_error(true)
        .read_raw(block[..block.len().min(MAX_BLOCK)].to_vec())
        .or_else(|error| error.distill_partial_result(|_| {}));
    data.map_or(Exif::NONE, |data| used(&data))
}

/// The dates that count, in this order: when it was taken, when it was digitised, and when a program last changed it.
const DATES: [Tag; 3] = [Tag::DateTimeOriginal, Tag::DateTimeDigitized, Tag::DateTime];

fn used(data: &exif::Exif) -> Exif {
    let mut result = Exif::NONE;
    if let Some(field) = data.get_field(Tag::Orientation, In::PRIMARY)
        && let Some(value @ 1..=8) = field.value.get_uint(0)
    {
        result.orientation = Some(Orientation(value as u8));
    }
    result.taken = DATES.into_iter().find_map(|tag| {
        let field = data.get_field(tag, In::PRIMARY)?;
        let Value::Ascii(texts) = &field.value else {
            return None;
        };
        date(texts.first()?)
    });
    result
}

/// Returns the seconds since 1970 of a date as EXIF writes it.
pub(super) fn date(text: &[u8]) -> Option<i64> {
    seconds(&exif::DateTime::from_ascii(text).ok()?)
}

/// Returns the seconds since 1970 of a date in the Gregorian calendar.
fn seconds(time: &exif::DateTime) -> Option<i64> {
    let (year, month, day) = (
        i64::from(time.year),
        i64::from(time.month),
        i64::from(time.day),
    );
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let in_range = (1..=12).contains(&month)
        && (1..=days).contains(&day)
        && time.hour < 24
        && time.minute < 60
        && time.second <= 60;
    if !in_range {
        return None;
    }
    // If years begin in March, the leap day is their last.
    let (year, month) = if month <= 2 {
        (year - 1, month + 9)
    } else {
        (year, month - 3)
    };
    let days = 365 * year + year.div_euclid(4) - year.div_euclid(100)
        + year.div_euclid(400)
        + (month * 153 + 2) / 5
        + day
        - 1
        - 719_468;
    Some(
        days * 86_400
            + i64::from(time.hour) * 3600
            + i64::from(time.minute) * 60
            + i64::from(time.second),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_seconds_since_1970() {
        let at = |text: &[u8]| seconds(&exif::DateTime::from_ascii(text).unwrap());
        assert_eq!(at(b"1970:01:01 00:00:00"), Some(0));
        assert_eq!(at(b"2000:02:29 12:00:01"), Some(951_825_601));
        assert_eq!(at(b"2026:11:23 16:20:00"), Some(1_795_450_800));
        for no_date in [
            &b"2026:13:01 00:00:00"[..],
            b"2026:02:29 00:00:00",
            b"2026:04:31 00:00:00",
            b"2026:01:00 00:00:00",
            b"2026:01:01 24:00:00",
            b"0000:00:00 00:00:00",
        ] {
            assert_eq!(at(no_date), None);
        }
    }

    /// Returns EXIF data with an orientation and dates, of which those of the camera are in a directory of their own.
    fn block(dates: &[(u16, &str)]) -> Vec<u8> {
        let (camera, own): (Vec<_>, Vec<_>) = dates.iter().partition(|(tag, _)| *tag >= 0x9000);
        let directory = |start: u32, dates: &[&(u16, &str)], more: &[[u32; 4]]| {
            let count = dates.len() + more.len();
            let mut text = start + 2 + 12 * count as u32 + 4;
            let mut entries = more.to_vec();
            for (tag, _) in dates {
                entries.push([u32::from(*tag), 2, 20, text]);
                text += 20;
            }
            entries.sort_unstable();
            let mut bytes = (count as u16).to_le_bytes().to_vec();
            for [tag, kind, count, value] in entries {
                bytes.extend((tag as u16).to_le_bytes());
                bytes.extend((kind as u16).to_le_bytes());
                bytes.extend(count.to_le_bytes());
                bytes.extend(value.to_le_bytes());
            }
            bytes.extend([0; 4]);
            for (_, text) in dates {
                bytes.extend(text.as_bytes());
                bytes.push(0);
            }
            bytes
        };
        let after = 8 + 2 + 24 + 4 + 32 * own.len() as u32;
        let first = directory(8, &own, &[[0x112, 3, 1, 6], [0x8769, 4, 1, after]]);
        let second = directory(after, &camera, &[]);
        [&b"II*\0\x08\0\0\0"[..], &first, &second].concat()
    }

    #[test]
    fn the_date_of_taking_counts_before_later_ones() {
        const CHANGED: (u16, &str) = (0x132, "2003:01:01 00:00:00");
        const TAKEN: (u16, &str) = (0x9003, "2001:01:01 00:00:00");
        const DIGITISED: (u16, &str) = (0x9004, "2002:01:01 00:00:00");
        let taken = |dates: &[(u16, &str)]| read_block(&block(dates)).taken;
        let of = |(_, text): (u16, &str)| date(text.as_bytes());
        assert_eq!(taken(&[CHANGED, DIGITISED, TAKEN]), of(TAKEN));
        assert_eq!(taken(&[CHANGED, DIGITISED]), of(DIGITISED));
        assert_eq!(taken(&[CHANGED]), of(CHANGED));
        let none = (TAKEN.0, "0000:00:00 00:00:00");
        assert_eq!(taken(&[CHANGED, none]), of(CHANGED));
        assert_eq!(taken(&[]), None);
    }

    #[test]
    fn two_orientations_are_one() {
        let pixels: Vec<u8> = (0..18).collect();
        for first in (1..=8).map(Orientation::of) {
            let (width, height) = if first.swaps_sides() { (3, 2) } else { (2, 3) };
            let turned = first.apply(&pixels, 2, 3);
            for second in (1..=8).map(Orientation::of) {
                let both = second.apply(&turned, width, height);
                assert_eq!(
                    first.then(second).apply(&pixels, 2, 3),
                    both,
                    "{first:?} {second:?}"
                );
            }
        }
        assert_eq!(Orientation::of(0), Orientation::UPRIGHT);
    }

    #[test]
    fn each_orientation_undoes_how_the_image_was_stored() {
        // Two pixels wide, three high; upright it is A B / C D / E F.
        let seen: Vec<u8> = b"ABCDEF".iter().flat_map(|&c| [c; 3]).collect();
        let stored: [(&[u8; 6], usize, usize); 8] = [
            (b"ABCDEF", 2, 3),
            (b"BADCFE", 2, 3),
            (b"FEDCBA", 2, 3),
            (b"EFCDAB", 2, 3),
            (b"ACEBDF", 3, 2),
            (b"BDFACE", 3, 2),
            (b"FDBECA", 3, 2),
            (b"ECAFDB", 3, 2),
        ];
        for (i, (letters, width, height)) in stored.into_iter().enumerate() {
            let pixels: Vec<u8> = letters.iter().flat_map(|&c| [c; 3]).collect();
            let orientation = Orientation(i as u8 + 1);
            assert_eq!(
                orientation.apply(&pixels, width, height),
                seen,
                "{orientation:?}"
            );
        }
    }
}
