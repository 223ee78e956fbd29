//! Windows' and OS/2's bitmaps, in the forms that the crate `image` refuses: headers of OS/2 2.x, without the header of
//! the file, wrong numbers that do no harm, runs that are damaged, and files that end early.

use super::super::{Rgb, ground};
use super::{Claim, DecodeError, Fields, Rows, Stop, begin, bit, broken};

/// Ways in which pixels are stored.
const RUNS_8: u32 = 1;
const RUNS_4: u32 = 2;
const MASKS: u32 = 3;
const RUNS_24: u32 = 4;
const ALPHA_MASKS: u32 = 6;

/// Sizes of headers: that of OS/2 1.x, Windows', and that of OS/2 2.x.
const CORE: usize = 12;
const INFO: usize = 40;
const OS2: usize = 64;

/// A bitmap's header.
struct Header {
    width: u32,
    height: u32,
    top_down: bool,
    bits: u32,
    compression: u32,
    palette: Vec<[u8; 3]>,
    /// Red, green, blue and alpha.
    masks: [u32; 4],
    /// Where the pixels begin.
    start: usize,
}

/// Decodes a file, with or without the header of a file.
pub fn decode(bytes: &[u8], claim: &mut Claim<'_>) -> Result<(Rgb, Option<String>), Stop> {
    let (start, place) = if bytes.starts_with(b"BM") {
        let start = bytes.get(10..).and_then(|rest| Fields(rest).little(4));
        (start.map(|start| start as usize), 14)
    } else {
        (None, 0)
    };
    let header = header(bytes, place, start).ok_or_else(|| broken("its header ends early"))?;
    pixels(&bytes[header.start.min(bytes.len())..], &header, claim)
}

/// Decodes a bitmap of an icon: colours of half of the height, and a mask of what is transparent. `claim` has been told
/// of nothing yet.
pub fn icon(bytes: &[u8], claim: &mut Claim<'_>) -> Result<(Rgb, Option<String>), Stop> {
    let mut header = header(bytes, 0, None).ok_or_else(|| broken("its header ends early"))?;
    header.height /= 2;
    begin(claim, (header.width, header.height), 8)?;
    let body = &bytes[header.start.min(bytes.len())..];
    let (width, height) = (header.width as usize, header.height as usize);
    let row = (width * header.bits as usize).div_ceil(32) * 4;
    let mask = body.get(row * height..).unwrap_or_default();
    let mask_row = width.div_ceil(32) * 4;
    let has_alpha =
        header.bits == 32 && body.chunks_exact(4).take(width * height).any(|p| p[3] > 0);
    let (rgb, damage) = pixels(body, &header, claim)?;
    let mut rgba = Vec::with_capacity(width * height * 4);
    for (i, pixel) in rgb.pixels.chunks_exact(3).enumerate() {
        let (x, y) = (i % width, height - 1 - i / width);
        let alpha = if has_alpha {
            body.get(y * row + x * 4 + 3).copied().unwrap_or(255)
        } else {
            let line = mask.get(y * mask_row..).unwrap_or_default();
            if bit(line, x) { 0 } else { 255 }
        };
        rgba.extend_from_slice(pixel);
        rgba.push(alpha);
    }
    Ok((
        Rgb {
            pixels: ground::show(rgba),
            ..rgb
        },
        damage,
    ))
}

fn header(bytes: &[u8], place: usize, start: Option<usize>) -> Option<Header> {
    let mut fields = Fields(bytes.get(place..)?);
    let size = fields.little(4)? as usize;
    if size < CORE {
        return None;
    }
    // What a short header lacks is zero.
    let mut own = fields.0.get(..size - 4).unwrap_or(fields.0).to_vec();
    own.resize(own.len().max(124), 0);
    let mut fields = Fields(&own);
    let core = size == CORE;
    let wide = if core { 2 } else { 4 };
    let width = fields.little(wide)?;
    let height = fields.little(wide)?;
    fields.take(2)?;
    let bits = fields.little(2)?;
    let compression = if core { 0 } else { fields.little(4)? };
    fields.take(12)?;
    let used = if core { 0 } else { fields.little(4)? as usize };
    let top_down = !core && (height as i32) < 0;
    let mut after = place + size;
    let mut masks = [0; 4];
    if matches!(compression, MASKS | ALPHA_MASKS) && size != OS2 {
        let mut of = Fields(bytes.get(place + INFO..)?);
        let count = if compression == ALPHA_MASKS || size > 52 {
            4
        } else {
            3
        };
        for mask in &mut masks[..count] {
            *mask = of.little(4)?;
        }
        if size == INFO {
            after += 4 * count;
        }
    }
    if masks == [0; 4] {
        masks = match bits {
            16 => [0x7c00, 0x3e0, 0x1f, 0],
            _ => [0xff_0000, 0xff00, 0xff, 0],
        };
    }
    let entry = if core { 3 } else { 4 };
    let mut palette = Vec::new();
    if bits <= 8 {
        let most = 1usize << bits;
        let stored = if used == 0 { most } else { used };
        let room = start.map(|start| start.saturating_sub(after) / entry);
        let stored = room
            .filter(|room| *room > 0)
            .map_or(stored, |room| room.min(stored));
        let colours = bytes.get(after..)?.chunks_exact(entry).take(stored);
        palette = colours.map(|c| [c[2], c[1], c[0]]).collect();
        after += stored * entry;
    }
    Some(Header {
        width,
        height: if top_down {
            height.wrapping_neg()
        } else {
            height
        },
        top_down,
        bits,
        compression: if size == OS2 && compression == MASKS {
            99
        } else {
            compression
        },
        palette,
        masks,
        start: start
            .filter(|start| *start >= place + size)
            .unwrap_or(after),
    })
}

fn pixels(
    body: &[u8],
    header: &Header,
    claim: &mut Claim<'_>,
) -> Result<(Rgb, Option<String>), Stop> {
    if !matches!(header.bits, 1 | 2 | 4 | 8 | 16 | 24 | 32) {
        return Err(broken("its number of bits makes no sense"));
    }
    let runs = match header.compression {
        0 | MASKS | ALPHA_MASKS => false,
        RUNS_8 | RUNS_4 | RUNS_24 => true,
        other => {
            let what = format!("bitmaps with compression {other}");
            return Err(DecodeError::NotSupported(what).into());
        }
    };
    let size = (header.width, header.height);
    begin(claim, size, if runs { 7 } else { 4 })?;
    let width = header.width as usize;
    let unpacked;
    let (body, row, bits) = if runs {
        let bits = if header.compression == RUNS_24 { 24 } else { 8 };
        unpacked = unpack(body, header);
        (&unpacked[..], width * bits / 8, bits as u32)
    } else {
        (
            body,
            (width * header.bits as usize).div_ceil(32) * 4,
            header.bits,
        )
    };
    let mut rows = Rows::new(size);
    for (y, line) in (0..header.height).zip(body.chunks_exact(row.max(1))) {
        let y = if header.top_down {
            y
        } else {
            header.height - 1 - y
        };
        for (x, pixel) in rows.row(y).chunks_exact_mut(3).enumerate() {
            pixel.copy_from_slice(&colour(line, x, bits, header));
        }
    }
    rows.finish()
}

fn colour(line: &[u8], x: usize, bits: u32, header: &Header) -> [u8; 3] {
    let of = |value: u32, mask: u32| {
        let top = mask >> mask.trailing_zeros().min(31);
        let value = (value & mask) >> mask.trailing_zeros().min(31);
        (u64::from(value) * 255 / u64::from(top.max(1))) as u8
    };
    match bits {
        24 => [line[x * 3 + 2], line[x * 3 + 1], line[x * 3]],
        16 | 32 => {
            let size = bits as usize / 8;
            let value = Fields(&line[x * size..]).little(size).unwrap_or(0);
            [0, 1, 2].map(|i| of(value, header.masks[i]))
        }
        _ => {
            let bits = bits as usize;
            let place = x * bits;
            let index = line[place / 8] >> (8 - bits - place % 8);
            let index = usize::from(index) & ((1 << bits) - 1);
            header.palette.get(index).copied().unwrap_or([0; 3])
        }
    }
}

/// Undoes runs: a byte for each pixel, or three. Pixels that are skipped are zero; what is damaged ends the picture.
fn unpack(body: &[u8], header: &Header) -> Vec<u8> {
    let size = if header.compression == RUNS_24 { 3 } else { 1 };
    let (width, height) = (header.width as usize, header.height as usize);
    let mut out = vec![0; width * height * size];
    let (mut x, mut y) = (0usize, 0usize);
    let mut rest = Fields(body);
    let mut put = |x: &mut usize, y: usize, value: &[u8]| {
        if *x < width && y < height {
            let place = (y * width + *x) * size;
            out[place..place + size].copy_from_slice(value);
        }
        *x += 1;
    };
    let nibble = |byte: u8, i: usize| {
        if i.is_multiple_of(2) {
            byte >> 4
        } else {
            byte & 15
        }
    };
    while let Some([count, kind]) = rest
        .take(1)
        .and_then(|count| Some([count[0], rest.0.first().copied()?]))
    {
        match (count, kind) {
            (0, 0) => (x, y) = (0, y + 1),
            (0, 1) => {
                y = height;
                break;
            }
            (0, 2) => {
                let Some(step) = rest.0.get(1..3) else { break };
                x += usize::from(step[0]);
                y += usize::from(step[1]);
                rest.take(2);
            }
            (0, count) => {
                let count = usize::from(count);
                let bytes = if header.compression == RUNS_4 {
                    count.div_ceil(2)
                } else {
                    count * size
                };
                rest.take(1);
                let Some(plain) = rest.take(bytes) else { break };
                for i in 0..count {
                    match header.compression {
                        RUNS_4 => put(&mut x, y, &[nibble(plain[i / 2], i)]),
                        _ => put(&mut x, y, &plain[i * size..(i + 1) * size]),
                    }
                }
                // Plain pixels end at an even byte.
                rest.take(bytes % 2);
                continue;
            }
            (count, value) if size == 1 => {
                for i in 0..usize::from(count) {
                    let value = if header.compression == RUNS_4 {
                        nibble(value, i)
                    } else {
                        value
                    };
                    put(&mut x, y, &[value]);
                }
            }
            (count, _) => {
                let Some(value) = rest.0.get(..3) else { break };
                for _ in 0..count {
                    put(&mut x, y, value);
                }
                rest.take(2);
            }
        }
        rest.take(1);
    }
    // Rows after the damage are missing.
    out.truncate((y + usize::from(x > 0)).min(height) * width * size);
    out
}
