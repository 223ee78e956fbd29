//! Fax: black and white lines as ITU-T T.4 and T.6 code them, with the code tables of the crate `fax`.

use fax::BitReader;
use fax::maps::{Mode, black, mode, white};

/// How lines are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// By themselves, each at the start of a byte.
    Lines,
    /// By themselves or, if it says so after each mark, by the line above.
    Group3 { by_line_above: bool },
    /// By the line above.
    Group4,
}

/// Bits of a mark at the end of a line before its last one.
const MARK_ZEROS: u8 = 11;

/// Bits, read from the highest of each byte. After the end come zeros until a whole code was read.
struct Bits<'a> {
    bytes: &'a [u8],
    place: usize,
}

impl BitReader for Bits<'_> {
    type Error = ();

    fn peek(&self, bits: u8) -> Option<u16> {
        let first = self.place / 8;
        if first >= self.bytes.len() {
            return None;
        }
        let byte = |i| u32::from(self.bytes.get(first + i).copied().unwrap_or(0));
        let window = byte(0) << 16 | byte(1) << 8 | byte(2);
        let window = window << (8 + self.place % 8);
        Some(window.checked_shr(32 - u32::from(bits)).unwrap_or(0) as u16)
    }

    fn consume(&mut self, bits: u8) -> Result<(), ()> {
        self.place += usize::from(bits);
        Ok(())
    }

    fn bits_to_byte_boundary(&self) -> u8 {
        ((8 - self.place % 8) % 8) as u8
    }
}

impl Bits<'_> {
    fn align(&mut self) {
        self.place = self.place.next_multiple_of(8);
    }

    /// Skips marks, with the zeros before them, and returns how many there were; `None` at the end of the data.
    fn skip_marks(&mut self, tagged: bool) -> Option<usize> {
        let mut marks = 0;
        while self.peek(MARK_ZEROS)? == 0 {
            while self.peek(1)? == 0 {
                self.place += 1;
            }
            self.place += 1;
            marks += 1;
            // The tag of an empty line belongs to the end.
            if tagged && self.peek(MARK_ZEROS + 1)? == 1 << MARK_ZEROS {
                self.place += 1;
            }
        }
        Some(marks)
    }

    /// Moves to the next mark after a damaged line. Returns `None` if there is none.
    fn find_mark(&mut self) -> Option<()> {
        while self.peek(MARK_ZEROS)? != 0 {
            self.place += 1;
        }
        Some(())
    }

    /// Reads the length of a run.
    fn run(&mut self, is_black: bool) -> Option<u32> {
        let mut sum = 0u32;
        loop {
            let part = if is_black {
                black::decode(self)
            } else {
                white::decode(self)
            }?;
            sum = sum.saturating_add(u32::from(part));
            if part < 64 {
                return Some(sum);
            }
        }
    }
}

/// Decodes lines: bits from the highest of each byte, where 1 is black. Returns as many whole lines as could be decoded,
/// `rows` at most.
pub fn decode(bytes: &[u8], width: u32, rows: u32, kind: Kind) -> Vec<u8> {
    let mut bits = Bits { bytes, place: 0 };
    let line_bytes = (width as usize).div_ceil(8);
    let mut lines = Vec::with_capacity(line_bytes.saturating_mul(rows as usize).min(1 << 20));
    let mut line = Vec::new();
    let mut above = Vec::new();
    for _ in 0..rows {
        line.clear();
        if next(&mut bits, width, kind, &above, &mut line).is_none() {
            break;
        }
        paint(&mut lines, line_bytes, width, &line);
        std::mem::swap(&mut line, &mut above);
    }
    lines
}

/// Reads the next line: the places where the colour changes, from white. Returns `None` if there is none.
fn next(
    bits: &mut Bits<'_>,
    width: u32,
    kind: Kind,
    above: &[u32],
    line: &mut Vec<u32>,
) -> Option<()> {
    match kind {
        Kind::Lines => {
            bits.align();
            by_itself(bits, width, line)
        }
        Kind::Group4 => by_line_above(bits, width, above, line),
        Kind::Group3 { by_line_above: two } => {
            let start = bits.place;
            // Several marks in a row end the picture.
            if bits.skip_marks(two)? > 1 && start > 0 {
                return None;
            }
            let alone = !two || {
                let tag = bits.peek(1)?;
                bits.place += 1;
                tag == 1
            };
            let read = if alone {
                by_itself(bits, width, line)
            } else {
                by_line_above(bits, width, above, line)
            };
            // The damage ends with the line, unless nothing follows.
            read.or_else(|| bits.find_mark())
        }
    }
}

fn by_itself(bits: &mut Bits<'_>, width: u32, line: &mut Vec<u32>) -> Option<()> {
    let mut place = 0u32;
    let mut is_black = false;
    while place < width {
        place = place.saturating_add(bits.run(is_black)?).min(width);
        line.push(place);
        is_black = !is_black;
    }
    Some(())
}

fn by_line_above(
    bits: &mut Bits<'_>,
    width: u32,
    above: &[u32],
    line: &mut Vec<u32>,
) -> Option<()> {
    // Before the first pixel.
    let mut place = -1i64;
    let mut is_black = false;
    let mut i = 0;
    while place < i64::from(width) {
        // The first change above to the right, to the other colour.
        while i > 0 && i64::from(above[i - 1]) > place {
            i -= 1;
        }
        while i < above.len() && i64::from(above[i]) <= place {
            i += 1;
        }
        let first = if (i % 2 == 1) == is_black { i } else { i + 1 };
        let change = |i: usize| above.get(i).copied().unwrap_or(width);
        match mode::decode(bits)? {
            Mode::Pass => place = i64::from(change(first + 1)),
            Mode::Vertical(by) => {
                place = i64::from(change(first)) + i64::from(by);
                if !(0..=i64::from(width)).contains(&place) {
                    return None;
                }
                line.push(place as u32);
                is_black = !is_black;
            }
            Mode::Horizontal => {
                let start = place.max(0) as u32;
                let first = start.saturating_add(bits.run(is_black)?).min(width);
                let second = first.saturating_add(bits.run(!is_black)?).min(width);
                line.extend([first, second]);
                place = i64::from(second);
            }
            Mode::Extension | Mode::EOF => return None,
        }
    }
    Some(())
}

/// Adds a line whose colour changes at the given places.
fn paint(lines: &mut Vec<u8>, line_bytes: usize, width: u32, changes: &[u32]) {
    let start = lines.len();
    lines.resize(start + line_bytes, 0);
    let line = &mut lines[start..];
    for pair in changes.chunks(2) {
        let from = pair[0];
        let to = pair.get(1).copied().unwrap_or(width);
        for place in from..to.max(from) {
            line[place as usize / 8] |= 0x80 >> (place % 8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns bits, written with spaces between codes, as bytes.
    fn bytes(text: &str) -> Vec<u8> {
        let bits: Vec<u8> = text.bytes().filter(|byte| *byte != b' ').collect();
        bits.chunks(8)
            .map(|byte| {
                let ones = byte.iter().enumerate().filter(|(_, bit)| **bit == b'1');
                ones.map(|(i, _)| 0x80u8 >> i).sum()
            })
            .collect()
    }

    /// Four white, two black, two white.
    const LINE: &str = "1011 11 0111";
    const MARK: &str = "000000000001";

    #[test]
    fn lines_are_read_with_and_without_marks() {
        let line = bytes(LINE);
        assert_eq!(
            decode(&[&line[..], &line].concat(), 8, 2, Kind::Lines),
            [0b1100; 2]
        );
        let group3 = Kind::Group3 {
            by_line_above: false,
        };
        let marked = bytes(&format!("{MARK}{LINE}{MARK}{LINE}{}", MARK.repeat(6)));
        assert_eq!(decode(&marked, 8, 5, group3), [0b1100; 2]);
        assert_eq!(
            decode(&bytes(&format!("{LINE}{LINE}")), 8, 2, group3),
            [0b1100; 2]
        );
    }

    #[test]
    fn lines_are_read_by_the_line_above() {
        // A line by its runs and the same line again, moved by one to the right at its start, and an empty one.
        let text = format!("001 1011 11 1  1 1 1  011 1 1  0001 1 {MARK}{MARK}");
        let expected = [0b1100, 0b1100, 0b0100, 0];
        assert_eq!(decode(&bytes(&text), 8, 9, Kind::Group4), expected);
        let end = format!("{MARK}1").repeat(6);
        let mixed = format!("{MARK}1{LINE}{MARK}0 1 1 1{end}");
        let kind = Kind::Group3 {
            by_line_above: true,
        };
        assert_eq!(decode(&bytes(&mixed), 8, 9, kind), [0b1100; 2]);
    }

    #[test]
    fn damage_ends_a_line_or_the_picture() {
        let group3 = Kind::Group3 {
            by_line_above: false,
        };
        let text = format!("{MARK}{LINE}{MARK}0000000011111111{MARK}{LINE}");
        let lines = decode(&bytes(&text), 8, 3, group3);
        assert_eq!((lines.len(), lines[0], lines[2]), (3, 0b1100, 0b1100));
        let group4 = decode(&bytes("001 1011 11 1 0000001"), 8, 3, Kind::Group4);
        assert_eq!(group4, [0b1100]);
        assert!(decode(&[], 8, 3, Kind::Group4).is_empty());
    }
}
