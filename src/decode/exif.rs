//! EXIF data of an image: its orientation, and when it was taken.

use std::io::{BufRead, Seek};

use exif::{In, Tag, Value};

/// The orientation of an image: EXIF's values 1 to 8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Orientation(u8);

/// The EXIF data that are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exif {
    pub orientation: Orientation,
    /// Seconds since 1970 on the camera's clock, as if it showed UTC. An offset of the clock (`OffsetTimeOriginal`)
    /// is not applied: an image taken at nine in the morning belongs to that morning, wherever its owner lives, and
    /// so do images without an offset from the same day.
    pub taken: Option<i64>,
}

impl Orientation {
    pub const UPRIGHT: Self = Self(1);

    /// Returns whether width and height are swapped.
    pub fn swaps_sides(self) -> bool {
        self.0 >= 5
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
    let mut result = Exif {
        orientation: Orientation::UPRIGHT,
        taken: None,
    };
    let Ok(data) = exif::Reader::new()
        .continue_on_error(true)
        .read_from_container(&mut stream)
        .or_else(|error| error.distill_partial_result(|_| {}))
    else {
        return result;
    };
    if let Some(field) = data.get_field(Tag::Orientation, In::PRIMARY)
        && let Some(value @ 1..=8) = field.value.get_uint(0)
    {
        result.orientation = Orientation(value as u8);
    }
    if let Some(field) = data.get_field(Tag::DateTimeOriginal, In::PRIMARY)
        && let Value::Ascii(texts) = &field.value
        && let Some(text) = texts.first()
        && let Ok(time) = exif::DateTime::from_ascii(text)
    {
        result.taken = seconds(&time);
    }
    result
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
