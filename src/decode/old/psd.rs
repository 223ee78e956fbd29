//! Photoshop's files (PSD, PSB): the merged picture that they hold beside the layers.
//!
//! Adobe Photoshop File Formats Specification, 2019.

use super::super::colour::Inks;
use super::super::exif::{Exif, read_block};
use super::super::ground;
use super::super::metadata;
use super::super::tiff::colours::from_lab;
use super::super::tiff::unpack::pack_bits;
use super::{Claim, DecodeError, Fields, Made, Rows, Stop, begin, bit, broken};

/// Resources with a profile, EXIF data and XMP.
const PROFILE: u32 = 1039;
const EXIF: u32 = 1058;
const XMP: u32 = 1060;

/// What the channels mean.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Bitmap,
    Grey,
    Indexed,
    Rgb,
    Cmyk,
    Lab,
}

struct Header<'a> {
    large: bool,
    width: u32,
    height: u32,
    channels: u32,
    depth: u32,
    mode: Mode,
    palette: &'a [u8],
    resources: &'a [u8],
    has_alpha: bool,
    data: &'a [u8],
}

fn header(bytes: &[u8]) -> Option<Result<Header<'_>, DecodeError>> {
    let mut fields = Fields(bytes);
    fields.take(4)?;
    let large = fields.big(2)? == 2;
    fields.take(6)?;
    let channels = fields.big(2)?;
    let (height, width) = (fields.big(4)?, fields.big(4)?);
    let depth = fields.big(2)?;
    let mode = match fields.big(2)? {
        0 => Mode::Bitmap,
        1 | 8 => Mode::Grey,
        2 => Mode::Indexed,
        3 => Mode::Rgb,
        4 => Mode::Cmyk,
        9 => Mode::Lab,
        other => {
            let what = format!("PSDs with colours of kind {other}");
            return Some(Err(DecodeError::NotSupported(what)));
        }
    };
    let length = fields.big(4)? as usize;
    let palette = fields.take(length)?;
    let length = fields.big(4)? as usize;
    let resources = fields.take(length)?;
    let high = if large { fields.big(4)? } else { 0 };
    let length = u64::from(high) << 32 | u64::from(fields.big(4)?);
    let layers = fields.take(usize::try_from(length).ok()?)?;
    // A negative number of layers: the first channel after the colours is the transparency of the merged picture.
    let count = layers.get(if large { 8..10 } else { 4..6 });
    let has_alpha = count.is_some_and(|count| count[0] & 0x80 != 0);
    Some(Ok(Header {
        large,
        width,
        height,
        channels,
        depth,
        mode,
        palette,
        resources,
        has_alpha,
        data: fields.0,
    }))
}

/// Decodes the merged picture.
pub fn decode(bytes: &[u8], claim: &mut Claim<'_>) -> Result<Made, Stop> {
    let header = header(bytes).ok_or_else(|| broken("its headers end early"))??;
    let size = (header.width, header.height);
    let needed = match header.mode {
        Mode::Bitmap | Mode::Grey | Mode::Indexed => 1,
        Mode::Rgb | Mode::Lab => 3,
        Mode::Cmyk => 4,
    };
    if !matches!(header.depth, 1 | 8 | 16 | 32) || header.channels < needed {
        return Err(broken("its channels make no sense"));
    }
    let alpha = u32::from(header.has_alpha && header.channels > needed && header.depth > 1);
    // Besides the picture, all its channels, and with transparency another form of it.
    begin(claim, size, 3 + u64::from(needed + 5 * alpha))?;
    let channels =
        channels(&header, needed + alpha).ok_or_else(|| broken("its pixels end early"))?;
    let (exif, profile) = about(header.resources);
    let inks = Inks::of(profile.as_deref().filter(|_| header.mode == Mode::Cmyk));
    let mut rows = Rows::new(size);
    let width = header.width as usize;
    let there = channels.iter().map(|channel| channel.len() / width).min();
    for y in 0..there.unwrap_or(0).min(header.height as usize) {
        let line = rows.row(y as u32);
        if header.mode == Mode::Cmyk {
            // Stored as light, not as ink.
            let row = y * width..(y + 1) * width;
            let pixels = row.flat_map(|place| [0, 1, 2, 3].map(|ink| 255 - channels[ink][place]));
            let mut rgb = Vec::with_capacity(line.len());
            inks.add_rgb(&pixels.collect::<Vec<u8>>(), &mut rgb);
            line.copy_from_slice(&rgb);
            continue;
        }
        for (x, pixel) in line.chunks_exact_mut(3).enumerate() {
            let at = |channel: usize| channels[channel][y * width + x];
            let colour = match header.mode {
                Mode::Bitmap | Mode::Grey => [at(0); 3],
                Mode::Indexed => {
                    let of = |part: usize| header.palette.get(part * 256 + usize::from(at(0)));
                    [0, 1, 2].map(|part| of(part).copied().unwrap_or(0))
                }
                Mode::Rgb | Mode::Cmyk => [at(0), at(1), at(2)],
                Mode::Lab => from_lab([at(0), at(1), at(2)], false),
            };
            pixel.copy_from_slice(&colour);
        }
    }
    let (mut rgb, damage) = rows.finish()?;
    if alpha == 1 {
        let alphas = channels[needed as usize].iter().copied();
        let alphas = alphas.chain(std::iter::repeat(255));
        let pixels = rgb.pixels.chunks_exact(3).zip(alphas);
        let rgba = pixels.flat_map(|(pixel, alpha)| [pixel[0], pixel[1], pixel[2], alpha]);
        rgb.pixels = ground::show(rgba.collect());
    }
    Ok(Made {
        rgb,
        exif,
        profile,
        damage,
    })
}

/// Unpacks channels to 8 bits; the last may be short.
fn channels(header: &Header<'_>, count: u32) -> Option<Vec<Vec<u8>>> {
    let mut fields = Fields(header.data);
    let compression = fields.big(2)?;
    let width = header.width as usize;
    let row_bytes = if header.depth == 1 {
        width.div_ceil(8)
    } else {
        width * header.depth as usize / 8
    };
    let mut lengths = Fields(&[]);
    let wide = if header.large { 4 } else { 2 };
    if compression == 1 {
        let all = header.height as usize * header.channels as usize;
        lengths = Fields(fields.take(all.checked_mul(wide)?)?);
    } else if compression != 0 {
        return None;
    }
    let mut channels = Vec::new();
    for _ in 0..count {
        let mut channel = Vec::with_capacity(width * header.height as usize);
        for _ in 0..header.height {
            let packed;
            let row = if compression == 1 {
                let Some(row) = lengths
                    .big(wide)
                    .and_then(|length| fields.take(length as usize))
                else {
                    break;
                };
                packed = pack_bits(row, row_bytes);
                &packed[..]
            } else if let Some(row) = fields.take(row_bytes) {
                row
            } else {
                break;
            };
            in_bytes(row, header.depth, width, &mut channel);
        }
        channels.push(channel);
    }
    Some(channels)
}

/// Adds a row of samples in 8 bits.
fn in_bytes(row: &[u8], depth: u32, width: usize, out: &mut Vec<u8>) {
    let end = out.len() + width;
    match depth {
        // Ink.
        1 => out.extend((0..width).map(|x| if bit(row, x) { 0 } else { 255 })),
        8 => out.extend(&row[..width.min(row.len())]),
        16 => out.extend(row.chunks_exact(2).take(width).map(|sample| sample[0])),
        // Light, as a float.
        _ => out.extend(row.chunks_exact(4).take(width).map(|sample| {
            let light = f32::from_be_bytes([sample[0], sample[1], sample[2], sample[3]]);
            (light.clamp(0.0, 1.0).powf(1.0 / 2.2) * 255.0).round() as u8
        })),
    }
    out.resize(end, 0);
}

/// Reads what the resources say: orientation, date and profile.
fn about(mut bytes: &[u8]) -> (Exif, Option<Vec<u8>>) {
    let (mut exif, mut xmp, mut profile) = (Exif::NONE, Exif::NONE, None);
    while let [b'8', b'B', b'I', b'M', high, low, name, rest @ ..] = bytes {
        let skip = (usize::from(*name) + 1).next_multiple_of(2) - 1;
        let mut fields = Fields(rest.get(skip..).unwrap_or_default());
        let Some(body) = fields
            .big(4)
            .and_then(|length| fields.take(length as usize))
        else {
            break;
        };
        match u32::from(*high) << 8 | u32::from(*low) {
            PROFILE => profile = Some(body.to_vec()),
            EXIF => exif = read_block(body),
            XMP => xmp = metadata::in_xmp(body),
            _ => {}
        }
        bytes = fields.0.get(body.len() % 2..).unwrap_or_default();
    }
    (exif.or_else(|| xmp), profile)
}
