//! PCX, the bitmaps of PC Paintbrush, and DCX, which holds several: the first counts.
//!
//! ZSoft PCX File Format Technical Reference Manual, 1991.

use super::super::Rgb;
use super::{Claim, Fields, Rows, Stop, begin, bit, broken};

/// The first bytes of a DCX.
const DCX: &[u8] = b"\xb1\x68\xde\x3a";

/// Bytes of the header.
const HEADER: usize = 128;

/// Bytes of a palette of 256 colours at the end, and of the mark before it.
const PALETTE: usize = 768;
const PALETTE_MARK: u8 = 12;

pub fn decode(bytes: &[u8], claim: &mut Claim<'_>) -> Result<(Rgb, Option<String>), Stop> {
    let short = || broken("its header ends early");
    let mut file = bytes;
    if bytes.starts_with(DCX) {
        let start = Fields(&bytes[4..]).little(4).ok_or_else(short)?;
        file = bytes.get(start as usize..).ok_or_else(short)?;
    }
    let header = file.get(..HEADER).ok_or_else(short)?;
    let (encoded, bits, planes) = (
        header[2] == 1,
        u32::from(header[3]),
        usize::from(header[65]),
    );
    let number = |place: usize| u32::from(u16::from_le_bytes([header[place], header[place + 1]]));
    let width = (number(8) + 1).saturating_sub(number(4));
    let height = (number(10) + 1).saturating_sub(number(6));
    let plane = number(66) as usize;
    let known = matches!((bits, planes), (1 | 2 | 4, 1..=4) | (8, 1 | 3 | 4));
    if !known || ((plane * 8) as u64) < u64::from(width) * u64::from(bits) {
        return Err(broken("its header makes no sense"));
    }
    begin(claim, (width, height), 3)?;
    let palette = palette(file, bits, planes);
    let mut rest = &file[HEADER..];
    let mut rows = Rows::new((width, height));
    for y in 0..height {
        let Some(line) = line(&mut rest, plane * planes, encoded) else {
            break;
        };
        for (x, pixel) in rows.row(y).chunks_exact_mut(3).enumerate() {
            let colour = if bits == 8 && planes >= 3 {
                [line[x], line[plane + x], line[2 * plane + x]]
            } else {
                palette[index(&line, x, bits as usize, plane, planes)]
            };
            pixel.copy_from_slice(&colour);
        }
    }
    rows.finish()
}

/// Returns a pixel's colour: its bits, with those of later planes above.
fn index(line: &[u8], x: usize, bits: usize, plane: usize, planes: usize) -> usize {
    if bits == 8 {
        return usize::from(line[x]);
    }
    (0..planes).rev().fold(0, |sum, i| {
        let of_plane = &line[i * plane..];
        (0..bits).fold(sum, |sum, j| {
            sum << 1 | usize::from(bit(of_plane, x * bits + j))
        })
    }) & 0xff
}

/// Unpacks a line: bytes, or counts with bytes.
fn line(rest: &mut &[u8], length: usize, encoded: bool) -> Option<Vec<u8>> {
    if !encoded {
        let (line, after) = rest.split_at_checked(length)?;
        *rest = after;
        return Some(line.to_vec());
    }
    let mut line = Vec::with_capacity(length);
    while line.len() < length {
        let (first, after) = rest.split_first()?;
        *rest = after;
        if first & 0xc0 == 0xc0 {
            let (value, after) = rest.split_first()?;
            *rest = after;
            line.resize(line.len() + usize::from(first & 0x3f), *value);
        } else {
            line.push(*first);
        }
    }
    line.truncate(length);
    Some(line)
}

/// Returns 256 colours: those at the end of the file, those of the header, or greys.
fn palette(file: &[u8], bits: u32, planes: usize) -> Vec<[u8; 3]> {
    let colours = |bytes: &[u8]| bytes.chunks_exact(3).map(|c| [c[0], c[1], c[2]]).collect();
    let mut palette: Vec<[u8; 3]> = if bits == 8 {
        let start = file.len().saturating_sub(PALETTE);
        match file[..start].last() {
            Some(&PALETTE_MARK) => colours(&file[start..]),
            _ => (0..=255).map(|grey| [grey; 3]).collect(),
        }
    } else if bits == 1 && planes == 1 {
        vec![[0; 3], [255; 3]]
    } else {
        colours(&file[16..64])
    };
    palette.resize(256, [0; 3]);
    palette
}
