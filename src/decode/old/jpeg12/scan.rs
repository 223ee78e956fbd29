//! Scans: Huffman codes, from bits to coefficients (ITU-T T.81, annexes F and G).

use super::{Block, Picture, Tables, ZIGZAG};

/// A scan stops when it has made up this many bits after its data ended.
const MAX_BEYOND: u32 = 16;

/// A scan that cannot be decoded at all, because a table is missing.
pub struct Wrong;

/// A table of Huffman codes.
pub struct Table {
    /// For each length, the first code that is too large, where its values begin, and the first code.
    lengths: [(u32, usize, u32); 16],
    values: Vec<u8>,
}

impl Table {
    /// Makes a table of the number of codes of each length, and their values.
    pub fn new(counts: &[u8], values: &[u8]) -> Self {
        let mut lengths = [(0, 0, 0); 16];
        let (mut code, mut place) = (0u32, 0);
        for (length, count) in lengths.iter_mut().zip(counts) {
            *length = (code + u32::from(*count), place, code);
            place += usize::from(*count);
            code = (code + u32::from(*count)) << 1;
        }
        Self {
            lengths,
            values: values.to_vec(),
        }
    }
}

/// The bits of a scan. After its end they are zeros.
pub struct Bits<'a> {
    bytes: &'a [u8],
    place: usize,
    byte: u8,
    left: u32,
    /// Bits that were made up.
    beyond: u32,
}

impl<'a> Bits<'a> {
    pub fn new(bytes: &'a [u8], place: usize) -> Self {
        Self {
            bytes,
            place,
            byte: 0,
            left: 0,
            beyond: 0,
        }
    }

    /// Returns the place of the next marker that is none of this scan's.
    pub fn end(&self) -> usize {
        let rest = self.bytes.get(self.place..).unwrap_or_default();
        let marks = rest
            .windows(2)
            .position(|pair| pair[0] == 0xff && !matches!(pair[1], 0 | 0xd0..=0xd7 | 0xff));
        marks.map_or(self.bytes.len(), |marks| self.place + marks)
    }

    fn bit(&mut self) -> u32 {
        if self.left == 0 {
            let next = self.bytes.get(self.place..).unwrap_or_default();
            (self.byte, self.left) = match next {
                [0xff, 0, ..] => {
                    self.place += 2;
                    (0xff, 8)
                }
                [0xff, ..] | [] => {
                    self.beyond += 8;
                    (0, 8)
                }
                [byte, ..] => {
                    self.place += 1;
                    (*byte, 8)
                }
            };
        }
        self.left -= 1;
        u32::from(self.byte >> self.left & 1)
    }

    fn bits(&mut self, count: u32) -> u32 {
        (0..count).fold(0, |bits, _| bits << 1 | self.bit())
    }

    /// Reads a number of a given length, whose first bit is its sign.
    fn number(&mut self, length: u32) -> i32 {
        if length == 0 {
            return 0;
        }
        let bits = self.bits(length) as i32;
        if bits >> (length - 1) == 0 {
            bits - (1 << length) + 1
        } else {
            bits
        }
    }

    /// Reads a code. `None` if there is none that begins like this.
    fn code(&mut self, table: &Table) -> Option<u8> {
        let mut code = 0;
        for (end, place, first) in table.lengths {
            code = code << 1 | self.bit();
            if code < end {
                return table
                    .values
                    .get(place + (code.checked_sub(first)?) as usize)
                    .copied();
            }
        }
        None
    }

    fn is_over(&self) -> bool {
        self.beyond > MAX_BEYOND
    }

    /// Goes to the next mark at which decoding starts afresh. Returns whether there is one.
    fn restart(&mut self) -> bool {
        self.left = 0;
        let rest = self.bytes.get(self.place..).unwrap_or_default();
        let mark = rest
            .windows(2)
            .position(|pair| pair[0] == 0xff && !matches!(pair[1], 0 | 0xff));
        match mark {
            Some(mark) if matches!(rest[mark + 1], 0xd0..=0xd7) => {
                self.place += mark + 2;
                self.beyond = 0;
                true
            }
            _ => false,
        }
    }
}

/// What a scan holds.
pub struct Scan {
    /// The components, with the numbers of their tables for the first coefficient and for the others.
    parts: Vec<(usize, usize, usize)>,
    /// The first and the last coefficient, in the order of the file.
    range: (usize, usize),
    /// The bits of the coefficients that earlier scans gave, and those that are missing after this one.
    high: u32,
    low: u32,
}

/// What is remembered from one block to the next.
#[derive(Default)]
struct State {
    last: [i32; 4],
    /// Blocks that have no more coefficients in this scan.
    ended: u32,
}

impl Scan {
    /// Reads the header of a scan.
    pub fn of(body: &[u8], picture: &Picture) -> Option<Self> {
        let (count, rest) = body.split_first()?;
        let (named, rest) = rest.split_at_checked(2 * usize::from(*count))?;
        let mut parts = Vec::new();
        for part in named.chunks_exact(2) {
            let component = picture
                .components
                .iter()
                .position(|component| component.id == part[0])?;
            let tables = (usize::from(part[1] >> 4), usize::from(part[1] & 15));
            if tables.0 > 3
                || tables.1 > 3
                || parts
                    .iter()
                    .any(|known: &(usize, _, _)| known.0 == component)
            {
                return None;
            }
            parts.push((component, tables.0, tables.1));
        }
        let [start, end, bits, ..] = *rest else {
            return None;
        };
        let (range, high, low) = if picture.is_progressive {
            let range = (usize::from(start), usize::from(end));
            (range, u32::from(bits >> 4), u32::from(bits & 15))
        } else {
            // Some programs write nonsense here.
            ((0, 63), 0, 0)
        };
        let makes_sense = !parts.is_empty()
            && range.0 <= range.1
            && range.1 < 64
            && low < 14
            && (range.0 == 0 || parts.len() == 1)
            && !(picture.is_progressive && range.0 == 0 && range.1 > 0);
        makes_sense.then_some(Self {
            parts,
            range,
            high,
            low,
        })
    }

    /// Reads coefficients. Returns how many units are there, and of how many.
    pub fn read(
        &self,
        picture: &mut Picture,
        tables: &Tables,
        bits: &mut Bits<'_>,
    ) -> Result<(u64, u64), Wrong> {
        let alone = <[_; 1]>::try_from(self.parts.as_slice()).ok();
        let (across, down) = match alone {
            Some([(component, ..)]) => picture.components[component].shown,
            None => picture.units,
        };
        for (_, dc, ac) in &self.parts {
            let needs_dc = self.range.0 == 0 && self.high == 0;
            let needs_ac = self.range.1 > 0;
            if needs_dc && tables.dc[*dc].is_none() || needs_ac && tables.ac[*ac].is_none() {
                return Err(Wrong);
            }
        }
        let all = across * down;
        let mut state = State::default();
        for unit in 0..all {
            if tables.restart > 0 && unit > 0 && unit % tables.restart == 0 {
                if !bits.restart() {
                    return Ok((unit as u64, all as u64));
                }
                state = State::default();
            }
            let (x, y) = (unit % across, unit / across);
            for part in &self.parts {
                let component = &mut picture.components[part.0];
                let (columns, rows) = if alone.is_some() {
                    (1, 1)
                } else {
                    component.factors
                };
                for inner in 0..columns * rows {
                    let place = (x * columns + inner % columns, y * rows + inner / columns);
                    let block = &mut component.blocks[place.1 * component.across + place.0];
                    let read = self.block(block, *part, tables, bits, &mut state);
                    if read.is_none() || bits.is_over() {
                        return Ok((unit as u64, all as u64));
                    }
                }
            }
        }
        Ok((all as u64, all as u64))
    }

    /// Reads a block. `None` if its codes make no sense.
    fn block(
        &self,
        block: &mut Block,
        (component, dc, ac): (usize, usize, usize),
        tables: &Tables,
        bits: &mut Bits<'_>,
        state: &mut State,
    ) -> Option<()> {
        let mut start = self.range.0;
        if start == 0 {
            if self.high > 0 {
                block[0] |= (bits.bit() << self.low) as i16;
            } else {
                let length = bits.code(tables.dc[dc].as_ref()?)?;
                let difference = bits.number(u32::from(length.min(16)));
                let last = &mut state.last[component];
                *last = last.wrapping_add(difference);
                block[0] = (state.last[component] << self.low) as i16;
            }
            start = 1;
        }
        if start > self.range.1 {
            return Some(());
        }
        let table = tables.ac[ac].as_ref()?;
        if self.high > 0 {
            self.refine(block, start, table, bits, state)
        } else {
            self.first(block, start, table, bits, state)
        }
    }

    /// Reads coefficients for the first time.
    fn first(
        &self,
        block: &mut Block,
        mut place: usize,
        table: &Table,
        bits: &mut Bits<'_>,
        state: &mut State,
    ) -> Option<()> {
        if state.ended > 0 {
            state.ended -= 1;
            return Some(());
        }
        while place <= self.range.1 {
            let code = bits.code(table)?;
            let (run, length) = (u32::from(code >> 4), u32::from(code & 15));
            if length == 0 && run < 15 {
                state.ended = (1 << run) - 1 + bits.bits(run);
                return Some(());
            }
            place += run as usize;
            if length > 0 {
                let to = usize::from(*ZIGZAG.get(place)?);
                block[to] = (bits.number(length) << self.low) as i16;
            }
            place += 1;
        }
        Some(())
    }

    /// Reads one more bit of coefficients.
    fn refine(
        &self,
        block: &mut Block,
        mut place: usize,
        table: &Table,
        bits: &mut Bits<'_>,
        state: &mut State,
    ) -> Option<()> {
        let step = 1i16 << self.low;
        while state.ended == 0 && place <= self.range.1 {
            let code = bits.code(table)?;
            let (mut run, length) = (code >> 4, code & 15);
            let mut new = 0;
            if length > 0 {
                new = if bits.bit() == 1 { step } else { -step };
            } else if run < 15 {
                // This block's rest is refined below, as that of the others.
                state.ended = (1 << run) + bits.bits(u32::from(run));
                break;
            }
            while place <= self.range.1 {
                let value = &mut block[usize::from(ZIGZAG[place])];
                if *value != 0 {
                    more(value, step, bits);
                } else if run == 0 {
                    *value = new;
                    place += 1;
                    break;
                } else {
                    run -= 1;
                }
                place += 1;
            }
        }
        if state.ended > 0 {
            for place in place..=self.range.1 {
                let value = &mut block[usize::from(ZIGZAG[place])];
                if *value != 0 {
                    more(value, step, bits);
                }
            }
            state.ended -= 1;
        }
        Some(())
    }
}

/// Reads one more bit of a coefficient that is not zero.
fn more(value: &mut i16, step: i16, bits: &mut Bits<'_>) {
    if bits.bit() == 1 && *value & step == 0 {
        *value = value.wrapping_add(if *value > 0 { step } else { -step });
    }
}
