//! FITS: pictures of telescopes. The first image of a file, plane by plane of which the first counts, from the bottom up.
//!
//! Definition of the Flexible Image Transport System, version 4.0.

use super::super::Rgb;
use super::super::deep::{self, Range};
use super::super::partial;
use super::{Claim, Stop, begin, broken};

/// Bytes of a line of a header, and of a block of which all parts are whole multiples.
const CARD: usize = 80;
const BLOCK: usize = 2880;

/// Maximum number of lines of a header, and of parts of a file that are looked at.
const MAX_CARDS: usize = 10_000;
const MAX_PARTS: usize = 100;

/// What a header says of its data.
#[derive(Default)]
struct Header {
    bits: i64,
    sides: Vec<u64>,
    zero: Option<f64>,
    scale: Option<f64>,
    is_table: bool,
    groups: u64,
    parameters: u64,
}

pub fn decode(bytes: &[u8], claim: &mut Claim<'_>) -> Result<(Rgb, Option<String>), Stop> {
    let mut place = 0;
    for _ in 0..MAX_PARTS {
        let (header, data) = header(bytes, place).ok_or_else(|| broken("it has no image"))?;
        if let [width, height, ..] = header.sides[..]
            && !header.is_table
            && width > 0
            && height > 0
        {
            return image(
                &header,
                (width, height),
                bytes.get(data..).unwrap_or_default(),
                claim,
            );
        }
        let values = header
            .sides
            .iter()
            .try_fold(1u64, |all, side| all.checked_mul(*side));
        let values = if header.sides.is_empty() {
            Some(0)
        } else {
            values
        };
        let length = values
            .and_then(|values| {
                values
                    .checked_add(header.parameters)?
                    .checked_mul(header.groups.max(1))
            })
            .and_then(|values| values.checked_mul(header.bits.unsigned_abs() / 8))
            .and_then(|length| usize::try_from(length).ok());
        place = length
            .and_then(|length| data.checked_add(length.checked_next_multiple_of(BLOCK)?))
            .ok_or_else(|| broken("its header makes no sense"))?;
    }
    Err(broken("it has no image among its first parts"))
}

/// Reads the header at a place. Returns where its data begin, too.
fn header(bytes: &[u8], start: usize) -> Option<(Header, usize)> {
    let mut header = Header::default();
    for (i, card) in bytes
        .get(start..)?
        .chunks_exact(CARD)
        .enumerate()
        .take(MAX_CARDS)
    {
        let (key, rest) = card.split_at(8);
        let key = std::str::from_utf8(key).ok()?.trim_end();
        if key == "END" {
            let length = (i + 1) * CARD;
            return Some((header, start + length.next_multiple_of(BLOCK)));
        }
        let text = std::str::from_utf8(rest).unwrap_or_default();
        let value = text.strip_prefix("= ").unwrap_or_default();
        let value = value.split('/').next().unwrap_or_default().trim();
        let number = || value.parse::<u64>().unwrap_or(0);
        match key {
            "BITPIX" => header.bits = value.parse().ok()?,
            "BZERO" => header.zero = value.parse().ok(),
            "BSCALE" => header.scale = value.parse().ok(),
            "PCOUNT" => header.parameters = number(),
            "GCOUNT" => header.groups = number(),
            "XTENSION" => header.is_table = !value.trim_matches(['\'', ' ']).starts_with("IMAGE"),
            "NAXIS" => header.sides = Vec::with_capacity(number().min(999) as usize),
            axis if axis.starts_with("NAXIS") => header.sides.push(number()),
            _ => {}
        }
    }
    None
}

fn image(
    header: &Header,
    (width, height): (u64, u64),
    data: &[u8],
    claim: &mut Claim<'_>,
) -> Result<(Rgb, Option<String>), Stop> {
    let side = |side: u64| u32::try_from(side).map_err(|_| broken("its size makes no sense"));
    let size = (side(width)?, side(height)?);
    let bytes = match header.bits {
        8 | 16 | 32 | 64 | -32 | -64 => header.bits.unsigned_abs() as usize / 8,
        _ => return Err(broken("its values have an unknown number of bits")),
    };
    begin(claim, size, 4 + 3)?;
    let (scale, zero) = (header.scale.unwrap_or(1.0), header.zero.unwrap_or(0.0));
    let (across, down) = (size.0 as usize, size.1 as usize);
    let mut values = vec![f32::NAN; across * down];
    let mut there = 0;
    for (i, value) in data.chunks_exact(bytes).take(across * down).enumerate() {
        let stored = match (value, header.bits) {
            (&[byte], _) => f64::from(byte),
            (&[a, b], _) => f64::from(i16::from_be_bytes([a, b])),
            (&[a, b, c, d], 32) => f64::from(i32::from_be_bytes([a, b, c, d])),
            (&[a, b, c, d], _) => f64::from(f32::from_be_bytes([a, b, c, d])),
            (&[a, b, c, d, e, f, g, h], 64) => i64::from_be_bytes([a, b, c, d, e, f, g, h]) as f64,
            (&[a, b, c, d, e, f, g, h], _) => f64::from_be_bytes([a, b, c, d, e, f, g, h]),
            _ => f64::NAN,
        };
        values[(down - 1 - i / across) * across + i % across] = (stored * scale + zero) as f32;
        there += 1;
    }
    let damage = partial::judge(there, width * height, None)?;
    let range = Range {
        bits: header.bits.unsigned_abs().min(32) as u32,
        signed: false,
        float: header.bits < 0,
        declared: None,
    };
    let rgb = Rgb {
        width: size.0,
        height: size.1,
        pixels: deep::greys(&values, range, false),
    };
    Ok((rgb, damage))
}
