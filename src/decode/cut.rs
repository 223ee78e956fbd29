//! Files that end early, in formats whose decoders then show nothing: decoded with padding in place of what is missing.
//!
//! One rule for all formats: what is there is used if a quarter of the picture is, and reported (`partial.rs`).

use image::ImageFormat;

use super::claim::{Claim, Stop};
use super::reading::Padding;
use super::source::Data;
use super::{Rgb, other, partial, piece};

/// Zeros at the end of a file that are reported, as a share of it: copying stopped, and the rest was never written.
const EMPTY_SHARE: f64 = 0.25;

/// A file of which fewer bytes are zeros at the end is not looked at further.
const FEW_ZEROS: u64 = 1 << 10;

/// Bytes that are read at once.
const BLOCK: u64 = 64 << 10;

/// Bytes that any file may be padded with.
const SMALL_PADDING: u64 = 64 << 10;

/// What is there of a picture, its ICC profile, and what is missing.
type Part = (Rgb, Option<Vec<u8>>, String);

/// Decodes a file that ends early. Returns what is missing, too; `None` if it does not end early, or its format cannot
/// be shown in part.
///
/// # Errors
///
/// If too little of it is there, or if its memory is not free now.
pub(super) fn decode(
    data: Data<'_>,
    format: ImageFormat,
    claim: &mut Claim<'_>,
) -> Result<Option<Part>, Stop> {
    let byte = match format {
        // Pixels as they are: grey.
        ImageFormat::Bmp | ImageFormat::Pnm | ImageFormat::Tga | ImageFormat::Farbfeld => {
            partial::MISSING
        }
        ImageFormat::WebP => 0,
        _ => return Ok(None),
    };
    let length = data.length();
    // If more were missing, too little would be there.
    let most = ((1.0 / partial::MIN_SHARE) * length as f64) as u64 + SMALL_PADDING;
    let padding = Padding::with(byte, most);
    let (mut rgb, profile) = match other::decode(data, format, Some(padding.clone()), claim) {
        Ok(decoded) => decoded,
        Err(Stop::Wait(bytes)) => return Err(Stop::Wait(bytes)),
        Err(Stop::Failed(_)) => return Ok(None),
    };
    let all = match format {
        // It says its length, and its decoder does not read all of it.
        ImageFormat::WebP => riff_length(data).unwrap_or(length),
        _ => length + padding.given(),
    };
    let Some(damage) = partial::judge(length, all, None)? else {
        return Ok(None);
    };
    if format == ImageFormat::WebP {
        let there = (u64::from(rgb.height) * length / all.max(1)) as usize;
        let missing = rgb.pixels.len().min(there * rgb.width as usize * 3);
        rgb.pixels[missing..].fill(partial::MISSING);
    }
    Ok(Some((rgb, profile, damage)))
}

fn riff_length(data: Data<'_>) -> Option<u64> {
    let head = piece(data, 4, 4);
    let length = u32::from_le_bytes(head.try_into().ok()?);
    Some(u64::from(length) + 8)
}

/// Returns a note if a quarter or more of a file is zeros at its end.
pub(super) fn empty_end(data: Data<'_>) -> Option<String> {
    let length = data.length();
    let mut zeros = 0;
    while zeros < length {
        let size = BLOCK.min(length - zeros);
        let block = piece(data, length - zeros - size, size as usize);
        let clean = block.iter().rev().take_while(|byte| **byte == 0).count() as u64;
        zeros += clean;
        if clean < size {
            break;
        }
    }
    let share = zeros as f64 / length.max(1) as f64;
    (zeros > FEW_ZEROS && share >= EMPTY_SHARE).then(|| {
        let percent = (share * 100.0) as u32;
        format!("perhaps incomplete: the last {percent} % of the file are zeros")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_at_the_end_are_noticed() {
        let file = |ones: usize, zeros: usize| [vec![1; ones], vec![0; zeros]].concat();
        let note = |file: &[u8]| empty_end(Data::Memory(file));
        assert!(note(&file(100_000, 100_000)).unwrap().contains("50 %"));
        assert_eq!(note(&file(100_000, 20_000)), None);
        assert_eq!(note(&file(10, 1000)), None, "a tiny file");
        assert_eq!(note(&[]), None);
    }
}
