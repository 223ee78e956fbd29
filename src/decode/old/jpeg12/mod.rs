//! JPEG with samples of 12 bits, as medical and scientific cameras write it: sequential and progressive, with Huffman
//! codes.
//!
//! libjpeg-turbo reads it only through functions that its crate does not offer. Such files are rare: this decoder is
//! plain rather than fast. ITU-T T.81.

mod scan;

use super::super::claim::{Claim, Stop};
use super::super::colour::Inks;
use super::super::error::DecodeError;
use super::super::{Rgb, frame, partial};
use super::{Fields, broken};
use scan::{Bits, Scan, Table};

/// Maximum number of scans.
const MAX_SCANS: usize = 200;

/// The place of each coefficient in its block, in the order of the file.
const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
    13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59,
    52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// The coefficients of 8 by 8 samples.
type Block = [i16; 64];

/// One colour of the picture.
#[derive(Default)]
struct Component {
    id: u8,
    /// Samples in a unit, across and down.
    factors: (usize, usize),
    quantisation: usize,
    /// Blocks in a row and in a column, with those that only fill units.
    across: usize,
    down: usize,
    /// Blocks that hold a part of the picture.
    shown: (usize, usize),
    blocks: Vec<Block>,
}

/// What a file declares, and the coefficients that were read.
#[derive(Default)]
struct Picture {
    width: usize,
    height: usize,
    is_progressive: bool,
    components: Vec<Component>,
    /// The largest of the components' factors.
    most: (usize, usize),
    /// Units across and down.
    units: (usize, usize),
}

/// Tables that hold until they are replaced.
#[derive(Default)]
struct Tables {
    quantisation: [Option<[u16; 64]>; 4],
    dc: [Option<Table>; 4],
    ac: [Option<Table>; 4],
    /// Units between two marks at which decoding starts afresh; 0 for none.
    restart: usize,
    /// What Adobe's segment says of the colours.
    adobe: Option<u8>,
}

/// Returns whether the samples of a JPEG have 12 bits.
pub fn is_12_bit(bytes: &[u8]) -> bool {
    frame::place_of_frame(bytes).is_some_and(|place| bytes.get(place + 4) == Some(&12))
}

/// Decodes a file whose samples have 12 bits. Returns what is missing, too.
///
/// # Errors
///
/// If it is damaged, of a kind that is not supported, or costs more than the limits allow.
pub fn decode(bytes: &[u8], claim: &mut Claim<'_>) -> Result<(Rgb, Option<String>), Stop> {
    let mut tables = Tables::default();
    let mut picture = None;
    // Units of the first scan that are there, and whether a later one was cut.
    let mut first = None;
    let mut is_cut = true;
    let mut place = 2;
    for _ in 0..MAX_SCANS {
        match tables.read_until_scan(bytes, &mut place, &mut picture, claim)? {
            Some(scan) => {
                let Some(picture) = picture.as_mut() else {
                    return Err(broken("a scan comes before the frame"));
                };
                let mut bits = Bits::new(bytes, place);
                let done = scan.read(picture, &tables, &mut bits)?;
                first.get_or_insert(done);
                place = bits.end();
            }
            None => {
                is_cut = !bytes
                    .get(place..)
                    .is_some_and(|end| end.starts_with(&[0xff, 0xd9]));
                break;
            }
        }
    }
    let (Some(picture), Some((there, of))) = (picture, first) else {
        return Err(broken("it has no scan"));
    };
    let damage = partial::judge(there, of, None)?;
    let cut = is_cut.then(|| "truncated: the end of the file is missing".to_owned());
    let profile = frame::profile(bytes);
    Ok((picture.rgb(&tables, profile.as_deref()), damage.or(cut)))
}

impl Tables {
    /// Reads segments up to the start of a scan, whose place is left in `place`. Returns `None` at the end.
    fn read_until_scan(
        &mut self,
        bytes: &[u8],
        place: &mut usize,
        picture: &mut Option<Picture>,
        claim: &mut Claim<'_>,
    ) -> Result<Option<Scan>, Stop> {
        loop {
            let Some([0xff, marker, high, low, rest @ ..]) = bytes.get(*place..) else {
                return Ok(None);
            };
            let length = usize::from(u16::from_be_bytes([*high, *low])).max(2);
            let body = rest.get(..length - 2);
            match marker {
                0xd9 => return Ok(None),
                0xff | 0xd0..=0xd7 => {
                    *place += if *marker == 0xff { 1 } else { 2 };
                    continue;
                }
                _ => {}
            }
            let Some(body) = body else { return Ok(None) };
            *place += 2 + length;
            let understood = match marker {
                0xc0..=0xc2 if picture.is_none() => {
                    *picture = Some(Picture::read(body, *marker == 0xc2, claim)?);
                    Some(())
                }
                0xc4 => self.codes(body),
                0xdb => self.quantisation(body),
                0xdd => Fields(body)
                    .big(2)
                    .map(|every| self.restart = every as usize),
                0xda => {
                    let scan = picture.as_ref().and_then(|picture| Scan::of(body, picture));
                    return scan
                        .map(Some)
                        .ok_or_else(|| broken("the header of a scan is wrong"));
                }
                0xee if body.starts_with(b"Adobe") => {
                    body.get(11).map(|kind| self.adobe = Some(*kind))
                }
                0xe0..=0xef | 0xfe | 0xdc => Some(()),
                _ => None,
            };
            if understood.is_none() {
                return Err(broken("one of its headers is wrong"));
            }
        }
    }

    fn quantisation(&mut self, body: &[u8]) -> Option<()> {
        let mut fields = Fields(body);
        while !fields.0.is_empty() {
            let kind = fields.big(1)?;
            let wide = if kind >> 4 == 0 { 1 } else { 2 };
            let mut table = [1; 64];
            for place in ZIGZAG {
                table[usize::from(place)] = fields.big(wide)? as u16;
            }
            *self.quantisation.get_mut(kind as usize & 15)? = Some(table);
        }
        Some(())
    }

    fn codes(&mut self, body: &[u8]) -> Option<()> {
        let mut fields = Fields(body);
        while !fields.0.is_empty() {
            let kind = fields.big(1)?;
            let counts = fields.take(16)?;
            let all = counts.iter().map(|count| usize::from(*count)).sum();
            let table = Table::new(counts, fields.take(all)?);
            let tables = if kind >> 4 == 0 {
                &mut self.dc
            } else {
                &mut self.ac
            };
            *tables.get_mut(kind as usize & 15)? = Some(table);
        }
        Some(())
    }
}

impl Picture {
    /// Reads the header of the frame, and reserves memory.
    fn read(body: &[u8], is_progressive: bool, claim: &mut Claim<'_>) -> Result<Self, Stop> {
        let wrong = || broken("the header of its frame is wrong");
        let [12, h1, h0, w1, w0, count, rest @ ..] = body else {
            return Err(wrong());
        };
        let side = |high, low| usize::from(u16::from_be_bytes([high, low]));
        let (width, height) = (side(*w1, *w0), side(*h1, *h0));
        let count = usize::from(*count);
        if width == 0 || height == 0 || !matches!(count, 1 | 3 | 4) || rest.len() < 3 * count {
            return Err(wrong());
        }
        let size = (width as u32, height as u32);
        claim.limits.check_pixels(size.0, size.1)?;
        let mut components = Vec::new();
        for part in rest.chunks_exact(3).take(count) {
            let factors = (usize::from(part[1] >> 4), usize::from(part[1] & 15));
            if !(1..=4).contains(&factors.0) || !(1..=4).contains(&factors.1) || part[2] > 3 {
                return Err(wrong());
            }
            components.push(Component {
                id: part[0],
                factors: if count == 1 { (1, 1) } else { factors },
                quantisation: usize::from(part[2]),
                ..Component::default()
            });
        }
        let most = components.iter().fold((1, 1), |(across, down), component| {
            (
                across.max(component.factors.0),
                down.max(component.factors.1),
            )
        });
        let units = (width.div_ceil(8 * most.0), height.div_ceil(8 * most.1));
        let mut samples = 0;
        for component in &mut components {
            let (across, down) = component.factors;
            component.across = units.0 * across;
            component.down = units.1 * down;
            component.shown = (
                (width * across).div_ceil(8 * most.0),
                (height * down).div_ceil(8 * most.1),
            );
            samples += component.across as u64 * component.down as u64 * 64;
        }
        // Coefficients, samples, and light.
        let pixels = width as u64 * height as u64;
        claim.bytes(size, samples * 3 + pixels * 7 + claim.afterwards(size))?;
        for component in &mut components {
            component.blocks = vec![[0; 64]; component.across * component.down];
        }
        Ok(Self {
            width,
            height,
            is_progressive,
            components,
            most,
            units,
        })
    }

    /// Turns coefficients into light of 8 bits.
    fn rgb(mut self, tables: &Tables, profile: Option<&[u8]>) -> Rgb {
        let basis = basis();
        let planes: Vec<Vec<u8>> = (self.components.iter_mut())
            .map(|component| component.samples(tables, &basis))
            .collect();
        let ids: Vec<u8> = self
            .components
            .iter()
            .map(|component| component.id)
            .collect();
        let is_mixed = match (planes.len(), tables.adobe) {
            (3, None) => ids != *b"RGB",
            (3, Some(kind)) => kind != 0,
            (4, kind) => kind == Some(2),
            _ => false,
        };
        let mut pixels = Vec::with_capacity(self.width * self.height * planes.len());
        for y in 0..self.height {
            for x in 0..self.width {
                let at = |(plane, component): (&Vec<u8>, &Component)| {
                    let (across, down) = component.factors;
                    let place = (x * across / self.most.0, y * down / self.most.1);
                    plane[place.1 * component.across * 8 + place.0]
                };
                let start = pixels.len();
                pixels.extend(planes.iter().zip(&self.components).map(at));
                if is_mixed {
                    let of = [pixels[start], pixels[start + 1], pixels[start + 2]];
                    pixels[start..start + 3].copy_from_slice(&from_ycc(of));
                }
            }
        }
        let rgb = match planes.len() {
            1 => pixels.iter().flat_map(|grey| [*grey; 3]).collect(),
            4 => {
                // Adobe's programs store light instead of ink.
                if tables.adobe.is_some() {
                    pixels.iter_mut().for_each(|value| *value = 255 - *value);
                }
                let mut rgb = Vec::new();
                Inks::of(profile).add_rgb(&pixels, &mut rgb);
                rgb
            }
            _ => pixels,
        };
        Rgb {
            width: self.width as u32,
            height: self.height as u32,
            pixels: rgb,
        }
    }
}

impl Component {
    /// Returns the samples, in rows of all blocks, scaled to 8 bits. The coefficients are dropped.
    fn samples(&mut self, tables: &Tables, basis: &[[f32; 8]; 8]) -> Vec<u8> {
        let steps = tables.quantisation[self.quantisation].unwrap_or([1; 64]);
        let row = self.across * 8;
        let mut samples = vec![partial::MISSING; row * self.down * 8];
        for (i, block) in std::mem::take(&mut self.blocks).iter().enumerate() {
            let (left, top) = (i % self.across * 8, i / self.across * 8);
            let mut scaled = [0.0; 64];
            for ((to, from), step) in scaled.iter_mut().zip(block).zip(steps) {
                *to = f32::from(*from) * f32::from(step);
            }
            for (y, line) in inverse_cosine(&scaled, basis).chunks_exact(8).enumerate() {
                let to = &mut samples[(top + y) * row + left..][..8];
                for (to, value) in to.iter_mut().zip(line) {
                    *to = ((value + 2048.0) * (255.0 / 4095.0))
                        .round()
                        .clamp(0.0, 255.0) as u8;
                }
            }
        }
        samples
    }
}

/// Returns the cosines of the transform: for each frequency, its value at each sample.
fn basis() -> [[f32; 8]; 8] {
    let mut basis = [[0.0; 8]; 8];
    for (frequency, row) in basis.iter_mut().enumerate() {
        let scale = if frequency == 0 { 0.125f32.sqrt() } else { 0.5 };
        for (x, value) in row.iter_mut().enumerate() {
            let turn = (2 * x + 1) as f32 * frequency as f32 * std::f32::consts::PI / 16.0;
            *value = scale * turn.cos();
        }
    }
    basis
}

/// The inverse of the discrete cosine transform, along rows and then along columns.
fn inverse_cosine(block: &[f32; 64], basis: &[[f32; 8]; 8]) -> [f32; 64] {
    let mut rows = [0.0; 64];
    for v in 0..8 {
        for u in 0..8 {
            let coefficient = block[v * 8 + u];
            if coefficient == 0.0 {
                continue;
            }
            for x in 0..8 {
                rows[v * 8 + x] += coefficient * basis[u][x];
            }
        }
    }
    let mut samples = [0.0; 64];
    for v in 0..8 {
        for y in 0..8 {
            for x in 0..8 {
                samples[y * 8 + x] += rows[v * 8 + x] * basis[v][y];
            }
        }
    }
    samples
}

/// Converts luma and colour differences as JFIF defines them.
fn from_ycc([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    let (y, cb, cr) = (f32::from(y), f32::from(cb) - 128.0, f32::from(cr) - 128.0);
    let values = [
        y + 1.402 * cr,
        y - 0.344_136 * cb - 0.714_136 * cr,
        y + 1.772 * cb,
    ];
    values.map(|value| value.round() as u8)
}

impl From<scan::Wrong> for Stop {
    fn from(_: scan::Wrong) -> Self {
        DecodeError::Malformed("a scan is wrong".to_owned()).into()
    }
}

#[cfg(test)]
mod tests;
