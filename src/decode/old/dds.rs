//! DirectDraw surfaces in the forms that the crate `image` refuses: pixels as they are, and the newer kinds of blocks
//! (BC4 to BC7) through `texture2ddecoder`, which is safe Rust.

use texture2ddecoder as blocks;

use super::super::{Rgb, ground};
use super::{Claim, DecodeError, Fields, Rows, Stop, begin, broken};

/// Bytes of the header, and of a second one that newer files have.
const HEADER: usize = 128;
const NEWER: usize = 20;

/// Sides of a block in pixels.
const SIDE: usize = 4;

/// Flags of pixels: there is an alpha, a palette of 256 colours follows, or they are grey.
const ALPHA: u32 = 1;
const PALETTE: u32 = 0x20;
const GREY: u32 = 0x2_0000;

/// How pixels are stored.
enum Stored {
    /// As bits under the masks of red, green, blue and alpha.
    Plain {
        bytes: usize,
        masks: [u32; 4],
        palette: bool,
    },
    /// In blocks of this number of bytes.
    Blocks(usize, fn(&[u8], &mut [u32]), Shown),
}

/// What the channels of a block mean.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Colours,
    /// Red is grey.
    Grey,
    /// Red and green, of which blue follows for normals; shown as they are.
    Two {
        signed: bool,
    },
}

pub fn decode(bytes: &[u8], claim: &mut Claim<'_>) -> Result<(Rgb, Option<String>), Stop> {
    let number = |place: usize| {
        let field = bytes.get(place..).and_then(|rest| Fields(rest).little(4));
        field.ok_or_else(|| broken("its header ends early"))
    };
    let size = (number(16)?, number(12)?);
    let newer = &bytes[84..88] == b"DX10";
    let stored = if newer {
        by_number(number(HEADER)?)?
    } else {
        by_header(bytes, &number)?
    };
    begin(claim, size, 8)?;
    let body = bytes
        .get(HEADER + if newer { NEWER } else { 0 }..)
        .unwrap_or_default();
    match stored {
        Stored::Plain {
            bytes,
            masks,
            palette,
        } => plain(body, size, (bytes, masks, palette)),
        Stored::Blocks(length, decode, shown) => in_blocks(body, size, length, decode, shown),
    }
}

fn by_header(bytes: &[u8], number: &impl Fn(usize) -> Result<u32, Stop>) -> Result<Stored, Stop> {
    let blocks: Option<Stored> = match &bytes[84..88] {
        b"DXT1" => Some(Stored::Blocks(8, blocks::decode_bc1a_block, Shown::Colours)),
        b"ATI1" | b"BC4U" => Some(Stored::Blocks(8, blocks::decode_bc4_block, Shown::Grey)),
        b"ATI2" | b"BC5U" => two(false),
        b"BC5S" => two(true),
        _ => None,
    };
    if let Some(blocks) = blocks {
        return Ok(blocks);
    }
    let (flags, bits) = (number(80)?, number(88)?);
    let mut masks = [number(92)?, number(96)?, number(100)?, number(104)?];
    if flags & GREY != 0 {
        (masks[1], masks[2]) = (masks[0], masks[0]);
    }
    if flags & ALPHA == 0 {
        masks[3] = 0;
    }
    if !matches!(bits, 8 | 16 | 24 | 32) {
        let kind = bytes[84..88].escape_ascii();
        return Err(DecodeError::NotSupported(format!("DDS images of kind {kind}")).into());
    }
    let palette = flags & PALETTE != 0;
    // Some programs give the bits of the colours, and masks outside of the pixel.
    let bits = if palette { 8 } else { bits };
    let all = u32::MAX >> (32 - bits);
    if flags & GREY != 0 && masks[0] & all == 0 {
        masks = [all, all, all, masks[3] & all];
    }
    Ok(Stored::Plain {
        bytes: bits as usize / 8,
        masks,
        palette,
    })
}

fn two(signed: bool) -> Option<Stored> {
    Some(Stored::Blocks(
        16,
        blocks::decode_bc5_block,
        Shown::Two { signed },
    ))
}

/// Returns how pixels are stored by Microsoft's number (`DXGI_FORMAT`).
fn by_number(number: u32) -> Result<Stored, Stop> {
    let rgba = [0xff, 0xff00, 0xff_0000, 0xff00_0000];
    let bgra = [0xff_0000, 0xff00, 0xff, 0xff00_0000];
    let plain = |bytes, masks| Stored::Plain {
        bytes,
        masks,
        palette: false,
    };
    Ok(match number {
        27..=29 => plain(4, rgba),
        87 | 90 | 91 => plain(4, bgra),
        88 | 92 | 93 => plain(4, [bgra[0], bgra[1], bgra[2], 0]),
        60..=62 => plain(1, [0xff, 0xff, 0xff, 0]),
        70..=72 => Stored::Blocks(8, blocks::decode_bc1a_block, Shown::Colours),
        73..=75 => Stored::Blocks(16, blocks::decode_bc2_block, Shown::Colours),
        76..=78 => Stored::Blocks(16, blocks::decode_bc3_block, Shown::Colours),
        79 | 80 => Stored::Blocks(8, blocks::decode_bc4_block, Shown::Grey),
        82 | 83 => Stored::Blocks(16, blocks::decode_bc5_block, Shown::Two { signed: false }),
        84 => Stored::Blocks(16, blocks::decode_bc5_block, Shown::Two { signed: true }),
        94 | 95 => Stored::Blocks(16, blocks::decode_bc6_block_unsigned, Shown::Colours),
        96 => Stored::Blocks(16, blocks::decode_bc6_block_signed, Shown::Colours),
        97..=99 => Stored::Blocks(16, blocks::decode_bc7_block, Shown::Colours),
        other => {
            return Err(DecodeError::NotSupported(format!("DDS images of kind {other}")).into());
        }
    })
}

fn plain(
    body: &[u8],
    size: (u32, u32),
    (bytes, masks, palette): (usize, [u32; 4], bool),
) -> Result<(Rgb, Option<String>), Stop> {
    let (colours, body) = if palette {
        body.split_at_checked(1024)
            .ok_or_else(|| broken("its palette ends early"))?
    } else {
        (&[][..], body)
    };
    let of = |value: u32, mask: u32| {
        let shift = mask.trailing_zeros().min(31);
        (u64::from((value & mask) >> shift) * 255 / u64::from((mask >> shift).max(1))) as u8
    };
    let mut shown = Rgba::new(size);
    for line in body
        .chunks_exact(size.0 as usize * bytes)
        .take(size.1 as usize)
    {
        for pixel in line.chunks_exact(bytes) {
            let value = Fields(pixel).little(bytes).unwrap_or(0);
            shown.pixels.extend(if palette {
                let place = (value as usize & 0xff) * 4;
                [colours[place], colours[place + 1], colours[place + 2], 255]
            } else {
                let alpha = if masks[3] == 0 {
                    255
                } else {
                    of(value, masks[3])
                };
                [
                    of(value, masks[0]),
                    of(value, masks[1]),
                    of(value, masks[2]),
                    alpha,
                ]
            });
        }
    }
    shown.finish()
}

fn in_blocks(
    body: &[u8],
    size: (u32, u32),
    length: usize,
    decode: fn(&[u8], &mut [u32]),
    shown: Shown,
) -> Result<(Rgb, Option<String>), Stop> {
    let width = size.0 as usize;
    let across = width.div_ceil(SIDE);
    let mut out = Rgba::new(size);
    let mut lines = vec![[0u8; 4]; across * SIDE * SIDE];
    for row in body
        .chunks_exact(across * length)
        .take((size.1 as usize).div_ceil(SIDE))
    {
        for (i, block) in row.chunks_exact(length).enumerate() {
            let mut pixels = [0xff00_0000u32; SIDE * SIDE];
            decode(&moved(block, shown), &mut pixels);
            for (j, pixel) in pixels.iter().enumerate() {
                let [blue, green, red, alpha] = pixel.to_le_bytes();
                let pixel = match shown {
                    Shown::Colours => [red, green, blue, alpha],
                    Shown::Grey => [red, red, red, 255],
                    Shown::Two { .. } => [red, green, 0, 255],
                };
                lines[j / SIDE * across * SIDE + i * SIDE + j % SIDE] = pixel;
            }
        }
        for line in lines.chunks_exact(across * SIDE) {
            out.pixels.extend(line[..width].as_flattened());
        }
    }
    out.finish()
}

/// Returns a block whose signed ends are moved to begin at zero.
fn moved(block: &[u8], shown: Shown) -> [u8; 16] {
    let mut moved = [0; 16];
    moved[..block.len()].copy_from_slice(block);
    if shown == (Shown::Two { signed: true }) {
        for place in [0, 1, 8, 9] {
            moved[place] = moved[place].wrapping_add(128);
        }
    }
    moved
}

/// Pixels of red, green, blue and alpha, from the top on.
struct Rgba {
    size: (u32, u32),
    pixels: Vec<u8>,
}

impl Rgba {
    fn new(size: (u32, u32)) -> Self {
        let pixels = size.0 as usize * size.1 as usize * 4;
        Self {
            size,
            pixels: Vec::with_capacity(pixels),
        }
    }

    fn finish(self) -> Result<(Rgb, Option<String>), Stop> {
        let shown = ground::show(self.pixels);
        let mut rows = Rows::new(self.size);
        for (y, line) in (0..self.size.1).zip(shown.chunks_exact(self.size.0 as usize * 3)) {
            rows.row(y).copy_from_slice(line);
        }
        rows.finish()
    }
}
