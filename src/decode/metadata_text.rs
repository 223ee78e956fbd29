//! What people wrote about a picture into its file: keywords, titles and descriptions, in XMP and IPTC.
//!
//! Packets of XMP are made to be found without knowing a format: they are looked for in the first and the last mebibyte
//! of a file, where every format has them, and so are Photoshop's resources, which hold IPTC.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use memchr::memmem;

use super::metadata::iptc_of;
use crate::documents::decoded;

/// Bytes that are looked at from either end of a file.
const LOOKED_AT: u64 = 1 << 20;

/// Maximum number of packets in a file that are read.
const MAX_PACKETS: usize = 64;

/// Properties of XMP that hold what people wrote.
const PROPERTIES: [&[u8]; 6] = [
    b"dc:title",
    b"dc:description",
    b"dc:subject",
    b"photoshop:Headline",
    b"lr:hierarchicalSubject",
    b"exif:UserComment",
];

/// Data sets of IPTC's record 2 that hold what people wrote: title, keyword, headline, caption.
const DATA_SETS: [u8; 4] = [5, 25, 105, 120];

/// Returns what people wrote into a picture's file, a line each; empty if they wrote nothing.
///
/// # Errors
///
/// If the file cannot be read.
pub(crate) fn text_of_file(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut bytes = Vec::new();
    file.by_ref().take(LOOKED_AT).read_to_end(&mut bytes)?;
    if length > 2 * LOOKED_AT {
        file.seek(SeekFrom::End(-(LOOKED_AT as i64)))?;
    }
    file.take(LOOKED_AT).read_to_end(&mut bytes)?;
    let mut lines = Vec::new();
    for start in memmem::find_iter(&bytes, b"<x:xmpmeta").take(MAX_PACKETS) {
        let packet = &bytes[start..];
        let end = memmem::find(packet, b"</x:xmpmeta>").unwrap_or(packet.len());
        add_xmp(&packet[..end], &mut lines);
    }
    const PHOTOSHOP: &[u8] = b"Photoshop 3.0\0";
    for start in memmem::find_iter(&bytes, PHOTOSHOP).take(MAX_PACKETS) {
        if let Some(iptc) = iptc_of(&bytes[start + PHOTOSHOP.len()..]) {
            add_iptc(iptc, &mut lines);
        }
    }
    Ok(lines.join("\n"))
}

/// Returns what people wrote into a sidecar file of XMP.
pub(crate) fn text_of_xmp(packet: &[u8]) -> String {
    let mut lines = Vec::new();
    add_xmp(packet, &mut lines);
    lines.join("\n")
}

/// Adds a text unless it is there: XMP and IPTC often say the same.
fn add(text: &str, lines: &mut Vec<String>) {
    let text = text.trim();
    if !text.is_empty() && !lines.iter().any(|line| line == text) {
        lines.push(text.to_owned());
    }
}

fn add_xmp(packet: &[u8], lines: &mut Vec<String>) {
    for name in PROPERTIES {
        for start in memmem::find_iter(packet, name).take(MAX_PACKETS) {
            let before = packet[..start].last();
            let rest = &packet[start + name.len()..];
            match (before, rest.first()) {
                (Some(b'<'), Some(b'>' | b' ' | b'\n')) => {
                    let close = [b"</", name, b">"].concat();
                    let end = memmem::find(rest, &close).unwrap_or(0);
                    let inside = memchr::memchr(b'>', &rest[..end]).map_or(0, |open| open + 1);
                    for part in rest[inside.min(end)..end].split(|byte| *byte == b'>') {
                        let text = part.split(|byte| *byte == b'<').next().unwrap_or_default();
                        add(&unescaped(&String::from_utf8_lossy(text)), lines);
                    }
                }
                (_, Some(b'=')) => {
                    let Some(quote @ (b'"' | b'\'')) = rest.get(1) else {
                        continue;
                    };
                    let value = &rest[2..];
                    let end = memchr::memchr(*quote, value).unwrap_or(0);
                    add(&unescaped(&String::from_utf8_lossy(&value[..end])), lines);
                }
                _ => {}
            }
        }
    }
}

/// Replaces the entities that every XML has.
fn unescaped(text: &str) -> String {
    let entities = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&#xA;", "\n"),
        ("&#10;", "\n"),
        // Last: what it stands for begins no other.
        ("&amp;", "&"),
    ];
    entities
        .iter()
        .fold(text.to_owned(), |text, (entity, meant)| {
            text.replace(entity, meant)
        })
}

fn add_iptc(mut bytes: &[u8], lines: &mut Vec<String>) {
    while let [0x1c, record, number, high, low, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (value, after) = rest.split_at(length);
        if *record == 2
            && DATA_SETS.contains(number)
            && let Ok(text) = decoded(value)
        {
            add(&text, lines);
        }
        bytes = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_and_descriptions_are_read_as_elements_and_attributes() {
        let packet = br#"<x:xmpmeta><rdf:Description dc:title='Lok &amp; Wagen'>
            <dc:subject><rdf:Bag><rdf:li>steam</rdf:li><rdf:li>train</rdf:li></rdf:Bag></dc:subject>
            <dc:description><rdf:Alt><rdf:li xml:lang="x-default">An old engine</rdf:li></rdf:Alt></dc:description>
            </rdf:Description></x:xmpmeta>"#;
        assert_eq!(
            text_of_xmp(packet),
            "Lok & Wagen\nAn old engine\nsteam\ntrain"
        );
        assert_eq!(text_of_xmp(b"<dc:subject><rdf:li>cut"), "");
        assert_eq!(text_of_xmp(b"dc:title=\"cut"), "");
    }

    #[test]
    fn a_file_holds_xmp_at_its_end_and_iptc_among_photoshops_resources() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.jpg");
        let iptc = b"\x1c\x02\x19\0\x05steam\x1c\x02\x19\0\x06Br\xfccke\x1c\x02\x78\0\x05steam";
        let mut file = b"\xff\xd8Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0".to_vec();
        file.push(iptc.len() as u8);
        file.extend(iptc);
        file.resize(3 << 20, 0);
        file.extend(b"<x:xmpmeta dc:title=\"at the end\"></x:xmpmeta>");
        std::fs::write(&path, file).unwrap();
        assert_eq!(
            text_of_file(&path).unwrap(),
            "at the end\nsteam\nBr\u{fc}cke"
        );
    }
}
