//! What the headers of a JPEG 2000 stream say about the memory of decoding it, before the work starts.
//!
//! The decoder keeps an entry for each block of coefficients, each layer of a block, and each precinct (a group of
//! blocks). A small file can declare blocks of 4 by 4 pixels in 65,535 layers.

use super::isobmff::atoms;

/// Bytes that the decoder takes for a block, for a layer of it, and for a precinct.
const BLOCK: u64 = 160;
const LAYER: u64 = 48;
const PRECINCT: u64 = 256;

/// Smaller sizes of the picture, together, as a share of it: a quarter, a sixteenth and so on.
const ALL_SIZES: (u64, u64) = (4, 3);

/// Kinds of parts of a stream.
const CODING: u8 = 0x52;
const CODING_OF_ONE: u8 = 0x53;
const SIZE: u8 = 0x51;
const PART: u8 = 0x90;
const DATA: u8 = 0x93;

/// Maximum number of segments that are looked at.
const MAX_SEGMENTS: usize = 1 << 20;

/// The coding that takes the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Coding {
    layers: u64,
    /// Fewest pixels of a block, and of a precinct.
    block: u64,
    precinct: u64,
    components: u64,
    tiles: u64,
    levels: u64,
}

/// Returns the bytes for the blocks of a picture of this number of pixels, or `None` if its headers make no sense.
pub(super) fn memory(file: &[u8], pixels: u64) -> Option<u64> {
    let stream = if file.starts_with(b"\xff\x4f") {
        file
    } else {
        atoms(file).find(|atom| atom.kind == *b"jp2c")?.body
    };
    let coding = coding(stream)?;
    let samples = pixels
        .checked_mul(coding.components)?
        .checked_mul(ALL_SIZES.0)?
        / ALL_SIZES.1;
    // Each part of a tile has at least one of everything.
    let least = coding.tiles * coding.components * (3 * coding.levels + 1);
    // At their edges, parts cut blocks in two in both directions.
    let precincts = least.checked_add(samples.checked_mul(4)? / coding.precinct)?;
    let blocks = precincts.checked_add(samples.checked_mul(4)? / coding.block)?;
    let of_block = coding.layers * LAYER + BLOCK;
    blocks
        .checked_mul(of_block)?
        .checked_add(precincts.checked_mul(PRECINCT)?)
}

/// Walks through the headers of a stream and those of its parts.
fn coding(stream: &[u8]) -> Option<Coding> {
    let mut coding = Coding {
        layers: 1,
        block: 1 << 20,
        precinct: 1 << 30,
        components: 1,
        tiles: 1,
        levels: 0,
    };
    let mut place = 2;
    // Where the current part ends.
    let mut next = None;
    for _ in 0..MAX_SEGMENTS {
        let Some([0xff, marker, high, low, rest @ ..]) = stream.get(place..) else {
            break;
        };
        let length = usize::from(u16::from_be_bytes([*high, *low])).max(2);
        let body = rest.get(..length - 2).unwrap_or(rest);
        match *marker {
            SIZE => size(body, &mut coding)?,
            CODING => {
                coding.layers = coding.layers.max(number(body, 2, 2)?);
                style(body, body.first()? & 1 == 1, 5, &mut coding)?;
            }
            CODING_OF_ONE => {
                // The number of the component takes two bytes if there are many.
                let start = if coding.components < 257 { 1 } else { 2 };
                style(body, body.get(start)? & 1 == 1, start + 1, &mut coding)?;
            }
            PART => {
                let length = usize::try_from(number(body, 2, 4)?).ok()?;
                // Zero: up to the end of the file.
                next = (length > 0).then(|| place.saturating_add(length));
            }
            DATA => {
                let Some(start) = next.filter(|next| *next > place) else {
                    break;
                };
                place = start;
                continue;
            }
            _ => {}
        }
        place += 2 + length;
    }
    (coding.block < 1 << 20).then_some(coding)
}

fn number(body: &[u8], start: usize, length: usize) -> Option<u64> {
    let bytes = body.get(start..start + length)?;
    Some(
        bytes
            .iter()
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
    )
}

/// Reads the size: how many tiles and components there are.
fn size(body: &[u8], coding: &mut Coding) -> Option<()> {
    let at = |i: usize| number(body, 2 + 4 * i, 4);
    let tiles = |i: usize| {
        Some(
            at(i)?
                .saturating_sub(at(i + 6)?)
                .div_ceil(at(i + 4)?.max(1)),
        )
    };
    coding.tiles = tiles(0)?.checked_mul(tiles(1)?)?.clamp(1, 1 << 32);
    coding.components = number(body, 34, 2)?.max(1);
    Some(())
}

/// Reads how coefficients are coded: the number of levels, the sides of a block, and those of the precincts of each level
/// if they are given.
fn style(body: &[u8], has_precincts: bool, start: usize, coding: &mut Coding) -> Option<()> {
    let levels = number(body, start, 1)?.min(32);
    let bits = (number(body, start + 1, 1)? & 15) + (number(body, start + 2, 1)? & 15) + 4;
    coding.levels = coding.levels.max(levels);
    coding.block = coding.block.min(1 << bits.min(19));
    if has_precincts {
        for byte in body.get(start + 5..)?.iter().take(levels as usize + 1) {
            // A level's precinct, in the coordinates of its three quarters.
            let bits = u64::from(byte & 15) + u64::from(byte >> 4);
            coding.precinct = coding.precinct.min(1 << bits.saturating_sub(2));
            coding.block = coding.block.min(coding.precinct);
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the headers of a stream: one tile of 64 by 64 pixels in three components.
    fn stream(layers: u8, block_bits: u8, precinct: Option<u8>) -> Vec<u8> {
        let mut file = b"\xff\x4f\xff\x51\0\x2f\0\0".to_vec();
        for side in [64u32, 64, 0, 0, 64, 64, 0, 0] {
            file.extend(side.to_be_bytes());
        }
        file.extend([0, 3, 7, 1, 1, 7, 1, 1, 7, 1, 1]);
        let precinct = precinct.map_or(Vec::new(), |byte| vec![byte; 2]);
        file.extend([
            0xff,
            0x52,
            0,
            12 + precinct.len() as u8,
            u8::from(!precinct.is_empty()),
        ]);
        file.extend([0, 0, layers, 1, 1, block_bits, block_bits, 0, 0]);
        file.extend(precinct);
        file
    }

    #[test]
    fn small_blocks_and_many_layers_take_much() {
        let pixels = 64 * 64;
        let plain = memory(&stream(1, 4, None), pixels).unwrap();
        assert!(plain < 100_000, "{plain}");
        let layers = memory(&stream(200, 4, None), pixels).unwrap();
        assert!(layers > 10 * plain);
        let small = memory(&stream(1, 0, None), pixels).unwrap();
        assert!(small > 40 * plain);
        let precincts = memory(&stream(1, 4, Some(0x11)), pixels).unwrap();
        assert!(precincts > 40 * plain);
        assert_eq!(memory(&stream(1, 4, None)[..40], pixels), None);
    }

    #[test]
    fn headers_of_parts_count() {
        let mut file = stream(1, 4, None);
        let main = coding(&file).unwrap();
        assert_eq!((main.tiles, main.components, main.block), (1, 3, 4096));
        file.extend(b"\xff\x90\0\x0a\0\0\0\0\0\x20\0\x01");
        file.extend([0xff, 0x52, 0, 12, 0, 0, 0, 9, 1, 1, 0, 0, 0, 0]);
        file.extend(b"\xff\x93\xff\x52");
        let part = coding(&file).unwrap();
        assert_eq!((part.layers, part.block), (9, 16));
    }
}
