//! What is known of a picture besides its EXIF data: XMP, IPTC, and what older programs write into PNG.
//!
//! Owns which source counts. EXIF data come first, then XMP, then IPTC; each only for what the earlier ones do not say.
//! (HEIC, AVIF and JPEG XL turn pictures by themselves: `heif.rs`, `jxl.rs`.)

use std::io::Read as _;

use super::exif::{Exif, Orientation, date, read_block};
use super::format::Format;
use super::reading::{Allowed, Counting, Reading};
use super::source::Data;
use super::{SMALL, exif, piece};

/// Maximum bytes of a text or a block that is read.
const MAX_BLOCK: usize = 1 << 20;

/// Maximum number of parts of a file that are looked at.
const MAX_PARTS: usize = 1 << 16;

/// Reads what is known of a picture.
pub(super) fn read(data: Data<'_>, format: Format) -> Exif {
    match format {
        Format::Jpeg => {
            let exif = by_reader(data);
            exif.or_else(|| in_jpeg(data))
        }
        Format::Png => in_png(data),
        Format::WebP => in_webp(data),
        _ => by_reader(data),
    }
}

fn by_reader(data: Data<'_>) -> Exif {
    let allowed = Allowed::up_to(SMALL);
    exif::read(Reading::new(data, allowed, Counting::Copied))
}

/// Reads XMP and IPTC data among the headers of a JPEG.
fn in_jpeg(data: Data<'_>) -> Exif {
    const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
    const PHOTOSHOP: &[u8] = b"Photoshop 3.0\0";
    let mut xmp = Exif::NONE;
    let mut iptc = Exif::NONE;
    let mut place = 2;
    for _ in 0..MAX_PARTS {
        let head = piece(data, place, 4);
        let [0xff, marker, high, low] = head[..] else {
            break;
        };
        match marker {
            0xff => {
                place += 1;
                continue;
            }
            0xda | 0xd9 => break,
            _ => {}
        }
        let length = usize::from(u16::from_be_bytes([high, low])).max(2);
        if matches!(marker, 0xe1 | 0xed) {
            let body = piece(data, place + 4, length - 2);
            if let Some(packet) = body.strip_prefix(XMP) {
                xmp = xmp.or_else(|| in_xmp(packet));
            } else if let Some(resources) = body.strip_prefix(PHOTOSHOP) {
                iptc = iptc.or_else(|| in_resources(resources));
            }
        }
        place += 2 + length as u64;
    }
    xmp.or_else(|| iptc)
}

/// Reads the chunks of a PNG: EXIF data, then those that ImageMagick writes as text, then XMP.
fn in_png(data: Data<'_>) -> Exif {
    let (mut exif, mut raw, mut xmp) = (Exif::NONE, Exif::NONE, Exif::NONE);
    let mut place = 8;
    for _ in 0..MAX_PARTS {
        let head = piece(data, place, 8);
        let [a, b, c, d, kind @ ..] = head.as_slice() else {
            break;
        };
        let length = u32::from_be_bytes([*a, *b, *c, *d]);
        let body = || piece(data, place + 8, (length as usize).min(MAX_BLOCK));
        match kind {
            b"eXIf" => exif = exif.or_else(|| read_block(&body())),
            b"zTXt" | b"iTXt" | b"tEXt" => {
                if let Some((keyword, text)) = text_of(kind, &body()) {
                    match keyword.as_slice() {
                        b"Raw profile type exif" | b"Raw profile type APP1" => {
                            raw = raw.or_else(|| in_raw_profile(&text));
                        }
                        b"XML:com.adobe.xmp" => xmp = xmp.or_else(|| in_xmp(&text)),
                        _ => {}
                    }
                }
            }
            b"IEND" => break,
            [] => break,
            _ => {}
        }
        place += 12 + u64::from(length);
    }
    exif.or_else(|| raw).or_else(|| xmp)
}

/// Maximum number of chunks of a WebP that are looked at: EXIF data come after the pixels of all frames.
const MAX_CHUNKS: usize = 4096;

/// Reads the EXIF data of a WebP, and its XMP. Some programs put JPEG's mark before them, with which the reader of containers finds
/// none.
fn in_webp(data: Data<'_>) -> Exif {
    let (mut exif, mut xmp) = (Exif::NONE, Exif::NONE);
    let mut place = 12;
    for _ in 0..MAX_CHUNKS {
        let head = piece(data, place, 8);
        let [a, b, c, d, length @ ..] = head.as_slice() else {
            break;
        };
        let length = length
            .iter()
            .rev()
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        if [*a, *b, *c, *d] == *b"EXIF" {
            let most = usize::try_from(length).unwrap_or(usize::MAX).min(MAX_BLOCK);
            exif = exif.or_else(|| read_block(&piece(data, place + 8, most)));
        } else if [*a, *b, *c, *d] == *b"XMP " {
            let most = usize::try_from(length).unwrap_or(usize::MAX).min(MAX_BLOCK);
            xmp = xmp.or_else(|| in_xmp(&piece(data, place + 8, most)));
        }
        // Chunks have an even length.
        place += 8 + length + (length & 1);
    }
    exif.or_else(|| xmp)
}

/// Splits a chunk into its keyword and its text, which may be compressed.
fn text_of(kind: &[u8], body: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (keyword, rest) = split_at_zero(body)?;
    let (is_compressed, text) = match kind {
        b"tEXt" => (false, rest),
        b"zTXt" => (true, rest.get(1..)?),
        _ => {
            let (_language, after) = split_at_zero(rest.get(2..)?)?;
            (rest[0] == 1, split_at_zero(after)?.1)
        }
    };
    let text = if is_compressed {
        let mut plain = Vec::new();
        let unpacker = flate2::read::ZlibDecoder::new(text);
        unpacker
            .take(MAX_BLOCK as u64)
            .read_to_end(&mut plain)
            .ok()?;
        plain
    } else {
        text.to_vec()
    };
    Some((keyword.to_vec(), text))
}

fn split_at_zero(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(0, bytes)?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

/// Reads a block that is written in hexadecimal digits, after its name and its length.
fn in_raw_profile(text: &[u8]) -> Exif {
    let mut lines = text.trim_ascii_start().splitn(3, |byte| *byte == b'\n');
    let (_name, _length, digits) = (lines.next(), lines.next(), lines.next().unwrap_or_default());
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let digits: Vec<u8> = digits
        .iter()
        .filter_map(|byte| Some(digit(byte)? as u8))
        .collect();
    let block: Vec<u8> = digits
        .chunks_exact(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect();
    const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
    match block.strip_prefix(XMP) {
        Some(packet) => in_xmp(packet),
        None => read_block(&block),
    }
}

/// Reads a packet of XMP: where it is an attribute or an element does not matter.
pub(super) fn in_xmp(packet: &[u8]) -> Exif {
    let orientation = value_of(packet, b"tiff:Orientation");
    let orientation = orientation.and_then(|value| match value {
        [digit @ b'1'..=b'8'] => Some(Orientation::of(digit - b'0')),
        _ => None,
    });
    // As with EXIF data: when it was taken, digitised, made, and changed.
    let dates: [&[u8]; 6] = [
        b"exif:DateTimeOriginal",
        b"exif:DateTimeDigitized",
        b"photoshop:DateCreated",
        b"xmp:CreateDate",
        b"tiff:DateTime",
        b"xmp:ModifyDate",
    ];
    let taken = dates
        .into_iter()
        .find_map(|name| iso_date(value_of(packet, name)?));
    Exif { orientation, taken }
}

/// Returns the value of a property.
fn value_of<'a>(packet: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    memchr::memmem::find_iter(packet, name).find_map(|start| {
        let rest = packet[start + name.len()..].trim_ascii_start();
        let (value, end): (&[u8], u8) = match rest {
            [b'>', value @ ..] => (value, b'<'),
            [b'=', value @ ..] => match value.trim_ascii_start() {
                [quote @ (b'"' | b'\''), value @ ..] => (value, *quote),
                _ => return None,
            },
            _ => return None,
        };
        let length = memchr::memchr(end, value)?;
        Some(value[..length].trim_ascii())
    })
}

/// Returns the seconds since 1970 of a date as XMP writes it, on its own clock: `2021-01-02T03:04:05+01:00`. What is
/// missing after the day is zero.
fn iso_date(text: &[u8]) -> Option<i64> {
    let mut full = *b"0000:00:00 00:00:00";
    let length = text.len().min(full.len());
    if length < 10 {
        return None;
    }
    for (i, (to, from)) in full.iter_mut().zip(text).enumerate() {
        match i {
            4 | 7 if *from == b'-' || *from == b':' => {}
            10 if *from == b'T' || *from == b' ' => {}
            13 | 16 if *from == b':' => {}
            // A zone instead of seconds.
            16 if length > 16 => break,
            _ if from.is_ascii_digit() => *to = *from,
            _ => return None,
        }
    }
    date(&full)
}

/// Reads Photoshop's resources, one of which is IPTC.
fn in_resources(bytes: &[u8]) -> Exif {
    iptc_of(bytes).map_or(Exif::NONE, in_iptc)
}

/// Returns the IPTC data among Photoshop's resources.
pub(super) fn iptc_of(mut bytes: &[u8]) -> Option<&[u8]> {
    const IPTC: [u8; 2] = [4, 4];
    while let [b'8', b'B', b'I', b'M', high, low, name, rest @ ..] = bytes {
        // The name has an even length with its own.
        let skip = (usize::from(*name) + 1).next_multiple_of(2) - 1;
        let Some([a, b, c, d, body @ ..]) = rest.get(skip..) else {
            break;
        };
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let length = length.min(body.len());
        if [*high, *low] == IPTC {
            return Some(&body[..length]);
        }
        bytes = body.get(length.next_multiple_of(2)..).unwrap_or_default();
    }
    None
}

/// Reads IPTC data: the date and the time of making.
pub(super) fn in_iptc(mut bytes: &[u8]) -> Exif {
    let (mut day, mut time) = (None, None);
    while let [0x1c, record, number, high, low, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (value, after) = rest.split_at(length);
        match (record, number) {
            (2, 55) => day = day.or(value.get(..8)),
            (2, 60) => time = time.or(value.get(..6)),
            _ => {}
        }
        bytes = after;
    }
    let taken = day.and_then(|day| {
        let time = time.unwrap_or(b"000000");
        let text = [
            &day[..4],
            b":",
            &day[4..6],
            b":",
            &day[6..],
            b" ",
            &time[..2],
            b":",
            &time[2..4],
            b":",
            &time[4..],
        ];
        date(&text.concat())
    });
    Exif {
        orientation: None,
        taken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xmp_is_read_as_attributes_and_as_elements() {
        let attributes = br#"<rdf:Description tiff:Orientation="6" xmp:CreateDate='2021-01-02T03:04:05.12+01:00'/>"#;
        let elements = b"<tiff:Orientation> 6 </tiff:Orientation><xmp:CreateDate>2021-01-02T03:04:05</xmp:CreateDate>";
        let expected = Exif {
            orientation: Some(Orientation::of(6)),
            taken: date(b"2021:01:02 03:04:05"),
        };
        assert!(expected.taken.is_some());
        assert_eq!(in_xmp(attributes), expected);
        assert_eq!(in_xmp(elements), expected);
        assert_eq!(
            in_xmp(b"<tiff:Orientation>9</tiff:Orientation>"),
            Exif::NONE
        );
        assert_eq!(in_xmp(b"tiff:Orientation=\"6"), Exif::NONE);
    }

    #[test]
    fn dates_of_xmp_may_be_short() {
        assert_eq!(iso_date(b"2021-01-02"), date(b"2021:01:02 00:00:00"));
        assert_eq!(iso_date(b"2021-01-02T03:04"), date(b"2021:01:02 03:04:00"));
        assert_eq!(iso_date(b"2021-01-02T03:04Z"), date(b"2021:01:02 03:04:00"));
        assert_eq!(iso_date(b"2021-01"), None);
        assert_eq!(iso_date(b"yesterday!"), None);
    }

    #[test]
    fn iptc_has_a_date_among_photoshops_resources() {
        let iptc = b"\x1c\x02\x37\0\x0820210102\x1c\x02\x3c\0\x0b030405+0100";
        let expected = date(b"2021:01:02 03:04:05");
        assert_eq!(in_iptc(iptc).taken, expected);
        assert_eq!(in_iptc(&iptc[..13]).taken, date(b"2021:01:02 00:00:00"));
        let mut resources = b"8BIM\x04\x0b\x03abc\0\0\0\x01x\08BIM\x04\x04\0\0\0\0\0".to_vec();
        resources.push(iptc.len() as u8);
        resources.extend(iptc);
        assert_eq!(in_resources(&resources).taken, expected);
    }

    #[test]
    fn the_exif_data_of_a_webp_are_read_with_and_without_jpegs_mark() {
        let block = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        for mark in [&b""[..], b"Exif\0\0"] {
            let exif = [mark, block].concat();
            let mut file = b"RIFF\0\0\0\0WEBPVP8L\x03\0\0\0abc\0EXIF".to_vec();
            file.extend((exif.len() as u32).to_le_bytes());
            file.extend(exif);
            let read = in_webp(Data::Memory(&file));
            assert_eq!(read.orientation, Some(Orientation::of(6)));
            assert_eq!(in_webp(Data::Memory(&file[..27])), Exif::NONE);
        }
    }

    /// Returns a chunk of a PNG, without a checksum that counts.
    fn chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        [&(body.len() as u32).to_be_bytes()[..], kind, body, &[0; 4]].concat()
    }

    #[test]
    fn a_png_may_hold_its_orientation_in_three_ways() {
        let exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x08\0\0\0\0\0\0\0";
        let doubled = [b"Exif\0\0", &exif[..]].concat();
        let hex: String = doubled.iter().map(|byte| format!("{byte:02x}")).collect();
        let profile = format!("\nexif\n      {}\n{hex}\n", doubled.len());
        let mut packed = Vec::new();
        flate2::read::ZlibEncoder::new(profile.as_bytes(), flate2::Compression::fast())
            .read_to_end(&mut packed)
            .unwrap();
        let raw = chunk(
            b"zTXt",
            &[b"Raw profile type exif\0\0", &packed[..]].concat(),
        );
        let xmp = b"XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation=\"3\">";
        let xmp = chunk(b"iTXt", xmp);
        let own = chunk(b"eXIf", &doubled);
        let of = |chunks: &[&[u8]]| {
            let file = [&b"\x89PNG\r\n\x1a\n"[..], &chunks.concat()].concat();
            in_png(Data::Memory(&file)).orientation
        };
        assert_eq!(of(&[&own]), Some(Orientation::of(8)));
        assert_eq!(of(&[&raw]), Some(Orientation::of(8)));
        assert_eq!(of(&[&xmp]), Some(Orientation::of(3)));
        assert_eq!(
            of(&[&xmp, &raw]),
            Some(Orientation::of(8)),
            "EXIF data count"
        );
        assert_eq!(of(&[]), None);
    }
}
