//! Sun's raster files, plain or in runs.

use super::super::Rgb;
use super::{Claim, Fields, Rows, Stop, begin, bit, broken};

/// The mark of a run, and kinds of files.
const RUN: u8 = 0x80;
const IN_RUNS: u32 = 2;
const RED_FIRST: u32 = 3;

pub fn decode(bytes: &[u8], claim: &mut Claim<'_>) -> Result<(Rgb, Option<String>), Stop> {
    let mut fields = Fields(bytes);
    let mut number = || fields.big(4).ok_or_else(|| broken("its header ends early"));
    number()?;
    let (width, height, depth) = (number()?, number()?, number()?);
    number()?;
    let (kind, map_kind, map_length) = (number()?, number()?, number()? as usize);
    if !matches!(depth, 1 | 4 | 8 | 24 | 32) {
        return Err(broken("its depth makes no sense"));
    }
    let map = fields
        .take(map_length)
        .ok_or_else(|| broken("its palette ends early"))?;
    let map = if map_kind == 1 { map } else { &[] };
    begin(claim, (width, height), 3)?;
    // Rows end at an even byte.
    let row = (width as usize * depth as usize).div_ceil(16) * 2;
    let mut rest = Source {
        bytes: fields.0,
        run: (0, 0),
    };
    let mut rows = Rows::new((width, height));
    let mut line = Vec::with_capacity(row);
    for y in 0..height {
        line.clear();
        if rest.read(row, kind == IN_RUNS, &mut line).is_none() {
            break;
        }
        for (x, pixel) in rows.row(y).chunks_exact_mut(3).enumerate() {
            let colour = match depth {
                24 | 32 => {
                    let place = x * depth as usize / 8 + (depth as usize - 24) / 8;
                    let colour = [line[place], line[place + 1], line[place + 2]];
                    let [blue, green, red] = colour;
                    if kind == RED_FIRST {
                        colour
                    } else {
                        [red, green, blue]
                    }
                }
                _ => {
                    let index = match depth {
                        1 => usize::from(bit(&line, x)),
                        4 => usize::from(line[x / 2] >> (4 * (1 - x % 2)) & 15),
                        _ => usize::from(line[x]),
                    };
                    from_map(map, index, depth)
                }
            };
            pixel.copy_from_slice(&colour);
        }
    }
    rows.finish()
}

/// Returns a colour: all reds come first, then all greens. Without a palette, one bit is ink and more are grey.
fn from_map(map: &[u8], index: usize, depth: u32) -> [u8; 3] {
    let count = map.len() / 3;
    if index < count {
        return [0, 1, 2].map(|part| map[part * count + index]);
    }
    match depth {
        1 => [if index == 1 { 0 } else { 255 }; 3],
        4 => [(index * 17) as u8; 3],
        _ => [index as u8; 3],
    }
}

/// The rest of a file, and of a run: how often which byte comes.
struct Source<'a> {
    bytes: &'a [u8],
    run: (usize, u8),
}

impl Source<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    fn read(&mut self, length: usize, in_runs: bool, line: &mut Vec<u8>) -> Option<()> {
        if !in_runs {
            line.extend_from_slice(self.bytes.get(..length)?);
            self.bytes = &self.bytes[length..];
            return Some(());
        }
        while line.len() < length {
            if self.run.0 > 0 {
                let count = self.run.0.min(length - line.len());
                line.resize(line.len() + count, self.run.1);
                self.run.0 -= count;
                continue;
            }
            match self.byte()? {
                RUN => match self.byte()? {
                    0 => line.push(RUN),
                    count => self.run = (usize::from(count) + 1, self.byte()?),
                },
                plain => line.push(plain),
            }
        }
        Some(())
    }
}
