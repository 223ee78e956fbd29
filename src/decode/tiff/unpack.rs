//! The bytes of a piece of a picture, unpacked: what it was compressed with is undone.

use std::io::Read;

use weezl::{BitOrder, LzwStatus};

use super::super::error::DecodeError;
use super::fax;
use super::jpeg::Jpegs;
use super::layout::{Layout, compression};

/// Unpacks a piece of `rows` rows: as many bytes as could be unpacked, and no more than the piece has.
///
/// # Errors
///
/// If the compression is not supported, or nothing can be unpacked.
pub fn piece(
    layout: &Layout,
    mut packed: Vec<u8>,
    rows: u32,
    jpegs: &mut Jpegs,
) -> Result<Vec<u8>, DecodeError> {
    let most = usize::try_from(layout.bytes_of(rows)).unwrap_or(usize::MAX);
    if layout.reversed && layout.compression != compression::JPEG {
        for byte in &mut packed {
            *byte = byte.reverse_bits();
        }
    }
    let by_fax = |kind| fax::decode(&packed, layout.piece.0, rows, kind);
    let mut unpacked = match layout.compression {
        compression::NONE => {
            packed.truncate(most);
            return Ok(packed);
        }
        compression::LZW => lzw(&packed, most),
        compression::PACK_BITS => pack_bits(&packed, most),
        compression::DEFLATE | compression::OLD_DEFLATE => deflate(&packed, most),
        compression::JPEG => jpegs.piece(layout, &packed, rows)?,
        fax @ compression::FAX_LINES..=compression::FAX4 if layout.bits == 1 => match fax {
            compression::FAX_LINES => by_fax(fax::Kind::Lines),
            compression::FAX4 => by_fax(fax::Kind::Group4),
            _ => by_fax(fax::Kind::Group3 {
                by_line_above: layout.fax_options & 1 == 1,
            }),
        },
        other => {
            let what = format!("TIFFs with compression {other}");
            return Err(DecodeError::NotSupported(what));
        }
    };
    unpacked.truncate(most);
    Ok(unpacked)
}

/// Undoes LZW. Old programs wrote codes from the lowest bit, and changed their length later, as GIF does.
fn lzw(packed: &[u8], most: usize) -> Vec<u8> {
    let old = matches!(packed, [0, second, ..] if second & 1 == 1);
    let mut decoder = if old {
        weezl::decode::Decoder::new(BitOrder::Lsb, 8)
    } else {
        weezl::decode::Decoder::with_tiff_size_switch(BitOrder::Msb, 8)
    };
    let mut unpacked = vec![0; most];
    let (mut read, mut written) = (0, 0);
    while written < most {
        let result = decoder.decode_bytes(&packed[read..], &mut unpacked[written..]);
        read += result.consumed_in;
        written += result.consumed_out;
        if !matches!(result.status, Ok(LzwStatus::Ok))
            || result.consumed_in + result.consumed_out == 0
        {
            break;
        }
    }
    unpacked.truncate(written);
    unpacked
}

/// Undoes runs of bytes, as Apple's computers pack them.
pub fn pack_bits(packed: &[u8], most: usize) -> Vec<u8> {
    let mut unpacked = Vec::with_capacity(most);
    let mut rest = packed;
    while unpacked.len() < most
        && let [kind, after @ ..] = rest
    {
        let kind = *kind as i8;
        rest = after;
        if kind >= 0 {
            let (plain, after) = rest.split_at(rest.len().min(kind as usize + 1));
            unpacked.extend_from_slice(plain);
            rest = after;
        } else if kind != i8::MIN
            && let [byte, after @ ..] = rest
        {
            let length = unpacked.len() + usize::from(kind.unsigned_abs()) + 1;
            unpacked.resize(length, *byte);
            rest = after;
        }
    }
    unpacked
}

fn deflate(packed: &[u8], most: usize) -> Vec<u8> {
    let mut unpacked = Vec::new();
    // What was unpacked before the data end or are damaged counts.
    let _ = flate2::read::ZlibDecoder::new(packed)
        .take(most as u64)
        .read_to_end(&mut unpacked);
    unpacked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_unpacked_up_to_the_end_or_the_limit() {
        let packed = [2, 1, 2, 3, 0xfe, 9, 0x80, 0, 7];
        assert_eq!(pack_bits(&packed, 9), [1, 2, 3, 9, 9, 9, 7]);
        assert_eq!(pack_bits(&packed[..2], 9), [1]);
        assert!(pack_bits(&packed, 2).len() < 6);
    }

    #[test]
    fn both_kinds_of_lzw_are_unpacked() {
        let text: Vec<u8> = (0..6000u32).map(|i| (i * i % 251) as u8).collect();
        let new = weezl::encode::Encoder::with_tiff_size_switch(BitOrder::Msb, 8)
            .encode(&text)
            .unwrap();
        let old = weezl::encode::Encoder::new(BitOrder::Lsb, 8)
            .encode(&text)
            .unwrap();
        assert!(old[0] == 0 && old[1] & 1 == 1);
        for packed in [new, old] {
            assert!(lzw(&packed, text.len()) == text);
            let half = lzw(&packed[..packed.len() / 2], text.len());
            assert!(half.len() > 1000 && text.starts_with(&half));
        }
    }
}
