//! What the properties of an item in a HEIC or AVIF say of its picture: its size, how it is turned and cut, its
//! transparency, its colours, and when it was taken.

use super::colour::MAX_PROFILE;
use super::exif::{self, Orientation};
use super::hdr::Meaning;
use super::isobmff::Fields;
use super::items::Items;

/// The names of auxiliary pictures that are transparency.
const ALPHA: [&[u8]; 2] = [
    b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0",
    b"urn:mpeg:hevc:2015:auxid:1\0",
];

/// Returns the size of an item.
pub(super) fn size(items: &Items<'_>, id: u32) -> Option<(u32, u32)> {
    let mut fields = Fields(items.property(id, *b"ispe")?);
    fields.version()?;
    let size = (fields.long()?, fields.long()?);
    (size.0 > 0 && size.1 > 0).then_some(size)
}

/// Returns how the container turns an item. EXIF data do not count: the standard says so.
pub(super) fn orientation(items: &Items<'_>, id: u32) -> Orientation {
    let mut orientation = Orientation::UPRIGHT;
    for atom in items.properties(id) {
        let next = match (&atom.kind, atom.body.first()) {
            // Quarter turns to the left.
            (b"irot", Some(turns)) => [1, 8, 3, 6][usize::from(turns & 3)],
            // Upside down, or left and right swapped.
            (b"imir", Some(axis)) => [4, 2][usize::from(axis & 1)],
            _ => continue,
        };
        orientation = orientation.then(Orientation::of(next));
    }
    orientation
}

/// Returns the transparency of an item.
pub(super) fn alpha(items: &Items<'_>, id: u32) -> Option<u32> {
    items.referring(id, *b"auxl").find(|&other| {
        let name = items
            .property(other, *b"auxC")
            .and_then(|body| body.get(4..));
        name.is_some_and(|name| ALPHA.iter().any(|alpha| name.starts_with(alpha)))
    })
}

/// Returns when the picture was taken.
pub(super) fn taken(items: &Items<'_>) -> Option<i64> {
    let content = items.content(items.of_kind(*b"Exif")?)?;
    let start = Fields(&content.bytes).long()? as usize;
    exif::read_block(content.bytes.get(4usize.checked_add(start)?..)?).taken
}

/// Returns the part of an item that is shown: left, top, width and height.
pub(super) fn crop(items: &Items<'_>, id: u32, (width, height): (u32, u32)) -> Option<[u32; 4]> {
    let mut fields = Fields(items.property(id, *b"clap")?);
    let mut ratio = || {
        let (number, of) = (fields.long()? as i32, fields.long()? as i32);
        (of != 0).then(|| f64::from(number) / f64::from(of))
    };
    let (across, down, right, below) = (ratio()?, ratio()?, ratio()?, ratio()?);
    let range = |side: u32, length: f64, offset: f64| {
        let start = (f64::from(side) - length) / 2.0 + offset;
        let fits = length >= 1.0 && start > -1.0 && start + length < f64::from(side) + 1.0;
        let start = start.max(0.0) as u32;
        fits.then(|| (start, (length as u32).min(side - start)))
    };
    let (left, width) = range(width, across, right)?;
    let (top, height) = range(height, down, below)?;
    Some([left, top, width, height])
}

/// Returns the ICC profile of an item.
pub(super) fn profile(items: &Items<'_>, id: u32) -> Option<Vec<u8>> {
    items.properties(id).find_map(|atom| {
        let mut fields = Fields(atom.body);
        let has_profile = atom.kind == *b"colr" && matches!(fields.take(4)?, b"prof" | b"rICC");
        (has_profile && fields.0.len() <= MAX_PROFILE).then(|| fields.0.to_vec())
    })
}

/// Returns what the container says of the numbers of a picture, which counts more than what the codec says.
pub(super) fn told(items: &Items<'_>, id: u32) -> Option<Meaning> {
    items.properties(id).find_map(|atom| {
        let mut fields = Fields(atom.body);
        if atom.kind != *b"colr" || fields.take(4)? != b"nclx" {
            return None;
        }
        Some(Meaning {
            primaries: fields.short()?,
            transfer: fields.short()?,
            matrix: fields.short()?,
            full_range: fields.number(1)? & 0x80 != 0,
        })
    })
}
