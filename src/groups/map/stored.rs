//! The places of a map, in a file of the index.
//!
//! The file is derived: whoever deletes it gets a new map. It belongs to one encoder, whose fingerprint it names. A file
//! of another encoder or with a wrong checksum counts as none.
//!
//! | bytes | content |
//! | --- | --- |
//! | 8 | `imgmap1\n` |
//! | 64 | the encoder's fingerprint, padded with zeros |
//! | 16 for each image, by id | its id (int64), its place (two float32), little-endian |
//! | 32 | BLAKE3 of everything before |

use std::path::Path;

use imgsearch_index::ImageId;

use super::MapPlace;
use crate::error::Result;

/// The name of the file in the folder of the index.
pub const MAP_FILE: &str = "map.places";

const MAGIC: &[u8; 8] = b"imgmap1\n";
const FINGERPRINT: usize = 64;
const CHECKSUM: usize = 32;

/// Bytes for each image.
const ROW: usize = 16;

/// Returns the places that are stored, by id; none if there are none for this encoder.
pub(super) fn read(dir: &Path, fingerprint: &str) -> Vec<MapPlace> {
    let path = dir.join(MAP_FILE);
    // A link may lead to something that reading never ends of.
    if !path.symlink_metadata().is_ok_and(|there| there.is_file()) {
        return Vec::new();
    }
    let stored = std::fs::read(&path).ok();
    stored
        .and_then(|bytes| parse(&bytes, fingerprint))
        .unwrap_or_default()
}

fn parse(bytes: &[u8], fingerprint: &str) -> Option<Vec<MapPlace>> {
    let (content, checksum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM)?)?;
    if blake3::hash(content).as_bytes() != checksum {
        return None;
    }
    let (of, rows) = content.strip_prefix(MAGIC)?.split_at_checked(FINGERPRINT)?;
    if of != padded(fingerprint) {
        return None;
    }
    let (rows, rest) = rows.as_chunks::<ROW>();
    if !rest.is_empty() {
        return None;
    }
    let number = |row: &[u8; ROW], at: usize| {
        let bytes = [row[at], row[at + 1], row[at + 2], row[at + 3]];
        f32::from_le_bytes(bytes)
    };
    let places = rows.iter().map(|row| {
        let (id, _) = row.split_first_chunk()?;
        let [x, y] = [number(row, 8), number(row, 12)];
        (x.is_finite() && y.is_finite()).then(|| MapPlace {
            id: ImageId(i64::from_le_bytes(*id)),
            x,
            y,
        })
    });
    places.collect()
}

/// Stores places, completely or not at all.
///
/// # Errors
///
/// If the file cannot be written.
pub(super) fn write(dir: &Path, fingerprint: &str, places: &[MapPlace]) -> Result<()> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(padded(fingerprint));
    for place in places {
        bytes.extend(place.id.0.to_le_bytes());
        bytes.extend(place.x.to_le_bytes());
        bytes.extend(place.y.to_le_bytes());
    }
    let checksum = blake3::hash(&bytes);
    bytes.extend(checksum.as_bytes());
    crate::save(&dir.join(MAP_FILE), &bytes)
}

fn padded(fingerprint: &str) -> [u8; FINGERPRINT] {
    let mut padded = [0; FINGERPRINT];
    for (to, from) in padded.iter_mut().zip(fingerprint.bytes()) {
        *to = from;
    }
    padded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_back_and_damage_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read(dir.path(), "1b2c").is_empty());
        let places: Vec<MapPlace> = (1..20)
            .map(|n| MapPlace {
                id: ImageId(n * 7),
                x: n as f32 / 3.0,
                y: -1.5,
            })
            .collect();
        write(dir.path(), "1b2c", &places).unwrap();
        assert_eq!(read(dir.path(), "1b2c"), places);
        assert!(read(dir.path(), "1b2d").is_empty(), "another encoder's");
        let path = dir.path().join(MAP_FILE);
        let whole = std::fs::read(&path).unwrap();
        for at in [0, 7, 8, 80, whole.len() - 1] {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            assert!(read(dir.path(), "1b2c").is_empty(), "byte {at}");
        }
        for length in 0..whole.len() {
            assert!(parse(&whole[..length], "1b2c").is_none(), "{length} bytes");
        }
    }
}
