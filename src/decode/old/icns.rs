//! Apple's icons: the largest of their pictures, a PNG, a JPEG 2000, or channels in runs.

use image::ImageFormat;

use super::super::source::Data;
use super::super::{Rgb, ground, other};
use super::{Claim, Fields, Rows, Stop, begin, broken};

/// Maximum number of parts that are looked at.
const MAX_PARTS: usize = 256;

/// Returns the side of the picture in channels of a part, and the name of the part with its transparency.
fn plain_side(kind: &[u8]) -> Option<(u32, &'static [u8; 4])> {
    Some(match kind {
        b"is32" => (16, b"s8mk"),
        b"il32" => (32, b"l8mk"),
        b"ih32" => (48, b"h8mk"),
        b"it32" => (128, b"t8mk"),
        _ => return None,
    })
}

pub fn decode(bytes: &[u8], claim: &mut Claim<'_>) -> Result<(Rgb, Option<String>), Stop> {
    let mut fields = Fields(bytes.get(8..).unwrap_or_default());
    let mut parts: Vec<(&[u8], &[u8])> = Vec::new();
    while parts.len() < MAX_PARTS
        && let Some(kind) = fields.take(4)
        && let Some(length) = fields.big(4)
    {
        let length = (length as usize).saturating_sub(8).min(fields.0.len());
        parts.extend(fields.take(length).map(|body| (kind, body)));
    }
    // The largest file is the largest picture: the sides in the names of parts are not always true.
    let whole = parts
        .iter()
        .map(|(_, body)| *body)
        .filter(|body| is_png(body) || is_jp2(body));
    if let Some(file) = whole.max_by_key(|body| body.len()) {
        return in_file(file, claim);
    }
    let plain = parts
        .iter()
        .filter_map(|(kind, body)| Some((plain_side(kind)?, *body)));
    let ((side, mask), body) = plain
        .max_by_key(|((side, _), _)| *side)
        .ok_or_else(|| broken("it has no picture of a known kind"))?;
    begin(claim, (side, side), 10)?;
    let pixels = (side * side) as usize;
    let body = if side == 128 {
        body.get(4..).unwrap_or_default()
    } else {
        body
    };
    let channels = runs(body, 3 * pixels).ok_or_else(|| broken("its pixels end early"))?;
    let alpha = parts
        .iter()
        .find(|(kind, _)| *kind == mask)
        .map(|(_, body)| *body);
    let rgba = (0..pixels).flat_map(|i| {
        let opacity = alpha.and_then(|alpha| alpha.get(i)).copied().unwrap_or(255);
        [
            channels[i],
            channels[pixels + i],
            channels[2 * pixels + i],
            opacity,
        ]
    });
    let shown = ground::show(rgba.collect());
    let mut rows = Rows::new((side, side));
    for (y, line) in (0..side).zip(shown.chunks_exact(side as usize * 3)) {
        rows.row(y).copy_from_slice(line);
    }
    rows.finish()
}

fn is_png(body: &[u8]) -> bool {
    body.starts_with(b"\x89PNG\r\n\x1a\n")
}

fn is_jp2(body: &[u8]) -> bool {
    body.starts_with(b"\0\0\0\x0cjP  \r\n\x87\n") || body.starts_with(b"\xff\x4f\xff\x51")
}

fn in_file(file: &[u8], claim: &mut Claim<'_>) -> Result<(Rgb, Option<String>), Stop> {
    if is_png(file) {
        let (rgb, _) = other::decode(Data::Memory(file), ImageFormat::Png, None, claim)?;
        return Ok((rgb, None));
    }
    #[cfg(feature = "jpeg2000")]
    {
        let picture = super::super::jp2::decode(file, claim)?;
        Ok((picture.rgb, picture.damage))
    }
    #[cfg(not(feature = "jpeg2000"))]
    Err(super::DecodeError::NotSupported("icons of JPEG 2000".to_owned()).into())
}

/// Unpacks runs: a byte of 128 or more repeats the next one 125 times fewer, another one announces as many and one more.
fn runs(mut packed: &[u8], count: usize) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(count);
    while out.len() < count {
        let (&kind, rest) = packed.split_first()?;
        packed = rest;
        if kind >= 128 {
            let (&value, rest) = packed.split_first()?;
            packed = rest;
            out.resize(out.len() + usize::from(kind) - 125, value);
        } else {
            let (plain, rest) = packed.split_at_checked(usize::from(kind) + 1)?;
            packed = rest;
            out.extend(plain);
        }
    }
    out.truncate(count);
    Some(out)
}
