//! Windows' icons and pointers: the largest picture, a PNG or a bitmap with a mask.

use image::ImageFormat;

use super::super::source::Data;
use super::super::{Rgb, other};
use super::{Claim, Fields, Stop, bmp, broken};

/// Maximum number of pictures that are looked at.
const MAX_PICTURES: u32 = 256;

pub fn decode(bytes: &[u8], claim: &mut Claim<'_>) -> Result<(Rgb, Option<String>), Stop> {
    let mut fields = Fields(bytes.get(4..).unwrap_or_default());
    let count = fields.little(2).unwrap_or(0).min(MAX_PICTURES);
    let mut best: Option<((u32, u32), &[u8])> = None;
    for _ in 0..count {
        let Some(entry) = fields.take(16) else { break };
        let side = |byte: u8| if byte == 0 { 256 } else { u32::from(byte) };
        let area = side(entry[0]) * side(entry[1]);
        let mut place = Fields(&entry[6..]);
        let bits = place.little(2).unwrap_or(0);
        let (length, start) = (place.little(4).unwrap_or(0), place.little(4).unwrap_or(0));
        let Some(rest) = bytes.get(start as usize..) else {
            continue;
        };
        let part = &rest[..rest.len().min(length as usize)];
        if best.is_none_or(|(most, _)| (area, bits) > most) {
            // Some files say less than there is.
            best = Some(((area, bits), if part.len() < 40 { rest } else { part }));
        }
    }
    let (_, part) = best.ok_or_else(|| broken("it has no picture"))?;
    if part.starts_with(b"\x89PNG") {
        let (rgb, _) = other::decode(Data::Memory(part), ImageFormat::Png, None, claim)?;
        return Ok((rgb, None));
    }
    bmp::icon(part, claim)
}
