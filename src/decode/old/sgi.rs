//! SGI's pictures (RGB, RGBA, BW): planes from the bottom up, plain or in runs.
//!
//! The SGI Image File Format, version 1.00.

use super::super::{Rgb, ground};
use super::{Claim, Fields, Rows, Stop, begin, broken};

/// Bytes of the header.
const HEADER: usize = 512;

pub fn decode(bytes: &[u8], claim: &mut Claim<'_>) -> Result<(Rgb, Option<String>), Stop> {
    let mut fields = Fields(bytes);
    let mut number = |bytes| {
        fields
            .big(bytes)
            .ok_or_else(|| broken("its header ends early"))
    };
    number(2)?;
    let (packed, size) = (number(1)? == 1, number(1)? as usize);
    let dimensions = number(2)?;
    let (width, height, channels) = (number(2)?, number(2)?, number(2)?);
    let height = if dimensions < 2 { 1 } else { height };
    let channels = if dimensions < 3 { 1 } else { channels };
    if !matches!(size, 1 | 2) || channels == 0 {
        return Err(broken("its header makes no sense"));
    }
    // The fourth is transparency.
    let colours = if channels < 3 { 1 } else { channels.min(4) };
    begin(claim, (width, height), if colours == 4 { 8 } else { 3 })?;
    let mut rows = Rows::new((width, height));
    let mut alphas = vec![
        255;
        if colours == 4 {
            width as usize * height as usize
        } else {
            0
        }
    ];
    for y in 0..height {
        // The first row is the lowest.
        let parts: Option<Vec<Vec<u8>>> = (0..colours)
            .map(|channel| {
                let index = (channel * height + y) as usize;
                if packed {
                    run(
                        bytes,
                        index,
                        (channels * height) as usize,
                        size,
                        width as usize,
                    )
                } else {
                    let row = width as usize * size;
                    let row = bytes.get(HEADER + index * row..HEADER + (index + 1) * row)?;
                    Some(row.iter().step_by(size).copied().collect())
                }
            })
            .collect();
        let Some(parts) = parts else { continue };
        let line = rows.row(height - 1 - y);
        for (x, pixel) in line.chunks_exact_mut(3).enumerate() {
            for (i, value) in pixel.iter_mut().enumerate() {
                *value = parts[i.min(parts.len() - 1)][x];
            }
        }
        if let Some(alpha) = parts.get(3) {
            let start = (height - 1 - y) as usize * width as usize;
            alphas[start..][..alpha.len()].copy_from_slice(alpha);
        }
    }
    let (mut rgb, damage) = rows.finish()?;
    if colours == 4 {
        let pixels = rgb.pixels.chunks_exact(3).zip(alphas);
        let rgba = pixels.flat_map(|(pixel, alpha)| [pixel[0], pixel[1], pixel[2], alpha]);
        rgb.pixels = ground::show(rgba.collect());
    }
    Ok((rgb, damage))
}

/// Unpacks a row: the highest bytes of its samples.
fn run(bytes: &[u8], index: usize, rows: usize, size: usize, width: usize) -> Option<Vec<u8>> {
    let start = Fields(bytes.get(HEADER + index * 4..)?).big(4)? as usize;
    let length = Fields(bytes.get(HEADER + (rows + index) * 4..)?).big(4)? as usize;
    let end = start.checked_add(length)?.min(bytes.len());
    let mut samples = bytes.get(start..end)?.chunks_exact(size);
    let mut row = Vec::with_capacity(width);
    while row.len() < width {
        let sample = samples.next()?;
        let count = usize::from(sample[size - 1] & 0x7f);
        if count == 0 {
            return None;
        }
        let count = count.min(width - row.len());
        if sample[size - 1] & 0x80 != 0 {
            for _ in 0..count {
                row.push(samples.next()?[0]);
            }
        } else {
            let value = samples.next()?[0];
            row.resize(row.len() + count, value);
        }
    }
    Some(row)
}
