//! X pixmaps, and the thumbnails of the viewer XV.
//!
//! XPM Manual, 1996: pictures as a piece of C, with a name of one to several letters for each colour.

use std::collections::HashMap;

use super::super::{Rgb, ground};
use super::{Claim, Rows, Stop, begin, broken};

/// The longest name of a colour.
const MAX_LETTERS: usize = 8;

pub fn decode(bytes: &[u8], claim: &mut Claim<'_>) -> Result<(Rgb, Option<String>), Stop> {
    let mut texts = Strings(bytes);
    let sizes = texts.next().ok_or_else(|| broken("it has no size"))?;
    let sizes = String::from_utf8_lossy(sizes);
    let mut numbers = sizes
        .split_whitespace()
        .map_while(|number| number.parse::<u32>().ok());
    let mut number = || {
        numbers
            .next()
            .ok_or_else(|| broken("its size makes no sense"))
    };
    let (width, height, colours, letters) = (number()?, number()?, number()?, number()? as usize);
    if letters == 0 || letters > MAX_LETTERS {
        return Err(broken("the names of its colours make no sense"));
    }
    let named = u64::from(colours).min(bytes.len() as u64);
    begin(claim, (width, height), 7)?;
    claim.bytes(
        (width, height),
        u64::from(width) * u64::from(height) * 7 + named * 64,
    )?;
    let mut palette = HashMap::new();
    for _ in 0..colours {
        let text = texts
            .next()
            .ok_or_else(|| broken("its colours end early"))?;
        let (name, meaning) = text
            .split_at_checked(letters)
            .ok_or_else(|| broken("a colour has no name"))?;
        palette.insert(name, colour(&String::from_utf8_lossy(meaning)));
    }
    let row = width as usize;
    let mut rgba = Vec::with_capacity(row * height as usize * 4);
    let mut there = 0;
    for text in texts.take(height as usize) {
        if text.len() < row * letters {
            break;
        }
        for name in text.chunks_exact(letters).take(row) {
            rgba.extend(palette.get(name).copied().unwrap_or([0; 4]));
        }
        there += 1;
    }
    let mut rows = Rows::new((width, height));
    let shown = ground::show(rgba);
    for (y, line) in (0..there).zip(shown.chunks_exact(row * 3)) {
        rows.row(y).copy_from_slice(line);
    }
    rows.finish()
}

/// The strings of a piece of C.
struct Strings<'a>(&'a [u8]);

impl<'a> Iterator for Strings<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let next = self.0.iter().position(|byte| matches!(byte, b'"' | b'/'))?;
            let (comment, rest) = (self.0[next] == b'/', &self.0[next + 1..]);
            if comment {
                let end = rest
                    .strip_prefix(b"*")
                    .and_then(|rest| Some(&rest[memchr::memmem::find(rest, b"*/")? + 2..]));
                self.0 = end.unwrap_or(rest);
                continue;
            }
            let end = rest.iter().position(|byte| *byte == b'"')?;
            self.0 = &rest[end + 1..];
            return Some(&rest[..end]);
        }
    }
}

/// Returns what a colour looks like by its meanings: in colour, else in greys, else in black and white.
fn colour(meanings: &str) -> [u8; 4] {
    let words: Vec<&str> = meanings.split_whitespace().collect();
    let of = |key: &str| {
        let place = words.iter().position(|word| *word == key)?;
        words.get(place + 1).copied()
    };
    let value = ["c", "g", "g4", "m"]
        .into_iter()
        .find_map(of)
        .unwrap_or("none");
    if let Some(digits) = value.strip_prefix('#') {
        let each = digits.len() / 3;
        let part = |i: usize| {
            let digits = digits.get(i * each..(i + 1) * each)?;
            // The highest two digits, or the only one twice.
            let two = if each == 1 {
                digits.repeat(2)
            } else {
                digits.get(..2)?.to_owned()
            };
            u8::from_str_radix(&two, 16).ok()
        };
        return match (part(0), part(1), part(2)) {
            (Some(red), Some(green), Some(blue)) => [red, green, blue, 255],
            _ => [128, 128, 128, 255],
        };
    }
    let [red, green, blue] = match value.to_ascii_lowercase().as_str() {
        "none" => return [0; 4],
        "white" => [255; 3],
        "black" => [0; 3],
        "red" => [255, 0, 0],
        "green" => [0, 255, 0],
        "blue" => [0, 0, 255],
        "yellow" => [255, 255, 0],
        "cyan" => [0, 255, 255],
        "magenta" => [255, 0, 255],
        "orange" => [255, 165, 0],
        "brown" => [165, 42, 42],
        "pink" => [255, 192, 203],
        "navy" | "navyblue" => [0, 0, 128],
        "gold" => [255, 215, 0],
        other => grey(other),
    };
    [red, green, blue, 255]
}

/// Returns a grey by its name, `gray0` to `gray100`. Names that are not known are a middle grey.
fn grey(name: &str) -> [u8; 3] {
    let percent = name
        .strip_prefix("gray")
        .or_else(|| name.strip_prefix("grey"));
    let percent = percent.and_then(|percent| percent.parse::<u32>().ok());
    [(percent.unwrap_or(50).min(100) * 255 / 100) as u8; 3]
}

/// Decodes a thumbnail of XV: `P7 332`, and bytes of three bits of red and green and two of blue.
pub fn thumbnail(bytes: &[u8], claim: &mut Claim<'_>) -> Result<(Rgb, Option<String>), Stop> {
    let mut rest = bytes;
    let mut sizes = None;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let (line, after) = (&rest[..end], &rest[end + 1..]);
        rest = after;
        if !line.starts_with(b"#") && !line.starts_with(b"P7") {
            let text = String::from_utf8_lossy(line);
            let mut numbers = text
                .split_whitespace()
                .map_while(|number| number.parse::<u32>().ok());
            sizes = numbers.next().zip(numbers.next());
            break;
        }
    }
    let size = sizes.ok_or_else(|| broken("it has no size"))?;
    begin(claim, size, 3)?;
    let mut rows = Rows::new(size);
    for (y, line) in (0..size.1).zip(rest.chunks_exact(size.0 as usize)) {
        for (pixel, byte) in rows.row(y).chunks_exact_mut(3).zip(line) {
            let part = |value: u8, most: u16| (u16::from(value) * 255 / most) as u8;
            let colour = [
                part(byte >> 5, 7),
                part(byte >> 2 & 7, 7),
                part(byte & 3, 3),
            ];
            pixel.copy_from_slice(&colour);
        }
    }
    rows.finish()
}
