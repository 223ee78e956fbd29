//! The items that HEIC and AVIF store in their boxes (ISO/IEC 23008-12).
//!
//! Owns how the description of items is read: which there are, where their bytes are, what they have and refer to.

use std::borrow::Cow;
use std::collections::HashMap;

use super::isobmff::{Atom, Fields, Kind, atoms, find};

/// Maximum bytes of the boxes that describe items. Cameras write a few kilobytes.
const MAX_META: usize = 1 << 20;

/// Where the content of an item is.
#[derive(Debug, Default)]
struct Place {
    /// Whether it is in the box `idat` and not in the file.
    inside: bool,
    /// Start and length of its pieces. Length 0: up to the end.
    pieces: Vec<(u64, u64)>,
}

/// A reference from one item to others.
#[derive(Debug)]
struct Reference {
    kind: Kind,
    from: u32,
    to: Vec<u32>,
}

/// The content of an item.
pub(super) struct Content<'a> {
    pub bytes: Cow<'a, [u8]>,
    /// Whether the file ends before the item does.
    pub cut: bool,
}

/// The items of a file.
pub(super) struct Items<'a> {
    file: &'a [u8],
    inside: &'a [u8],
    /// The item that a viewer shows.
    pub primary: u32,
    kinds: HashMap<u32, Kind>,
    places: HashMap<u32, Place>,
    properties: Vec<Atom<'a>>,
    owned: HashMap<u32, Vec<usize>>,
    references: Vec<Reference>,
}

impl<'a> Items<'a> {
    /// Reads what a file says about its items, or `None` if it has none.
    pub fn read(file: &'a [u8]) -> Option<Self> {
        let meta = find(file, *b"meta")?;
        if meta.len() > MAX_META {
            return None;
        }
        // A full box.
        let meta = meta.get(4..)?;
        let mut items = Self {
            file,
            inside: find(meta, *b"idat").unwrap_or_default(),
            primary: 0,
            kinds: HashMap::new(),
            places: HashMap::new(),
            properties: Vec::new(),
            owned: HashMap::new(),
            references: Vec::new(),
        };
        for atom in atoms(meta) {
            // What cannot be read ends there; the items before it count.
            let _ = match &atom.kind {
                b"pitm" => items.read_primary(atom.body),
                b"iinf" => items.read_kinds(atom.body),
                b"iloc" => items.read_places(atom.body),
                b"iprp" => items.read_properties(atom.body),
                b"iref" => items.read_references(atom.body),
                _ => None,
            };
        }
        Some(items)
    }

    fn read_primary(&mut self, body: &[u8]) -> Option<()> {
        let mut fields = Fields(body);
        let (version, _) = fields.version()?;
        self.primary = fields.number(if version == 0 { 2 } else { 4 })? as u32;
        Some(())
    }

    fn read_kinds(&mut self, body: &[u8]) -> Option<()> {
        let mut fields = Fields(body);
        let (version, _) = fields.version()?;
        fields.take(if version == 0 { 2 } else { 4 })?;
        for atom in atoms(fields.0).filter(|atom| atom.kind == *b"infe") {
            let mut fields = Fields(atom.body);
            let (version, _) = fields.version()?;
            if version < 2 {
                continue;
            }
            let id = fields.number(if version == 2 { 2 } else { 4 })? as u32;
            fields.take(2)?;
            self.kinds.insert(id, fields.kind()?);
        }
        Some(())
    }

    fn read_places(&mut self, body: &[u8]) -> Option<()> {
        let mut fields = Fields(body);
        let (version, _) = fields.version()?;
        let sizes = fields.short()?;
        let size = |shift: u16| usize::from(sizes >> shift & 15);
        let (of_start, of_length, of_base) = (size(12), size(8), size(4));
        let of_index = if version == 0 { 0 } else { size(0) };
        let wide = if version < 2 { 2 } else { 4 };
        for _ in 0..fields.number(wide)? {
            let id = fields.number(wide)? as u32;
            let method = if version == 0 {
                0
            } else {
                fields.short()? & 15
            };
            fields.take(2)?;
            let base = fields.number(of_base)?;
            let mut place = Place {
                inside: method == 1,
                ..Place::default()
            };
            for _ in 0..fields.short()? {
                fields.take(of_index)?;
                let start = fields.number(of_start)?;
                let length = fields.number(of_length)?;
                place.pieces.push((base.saturating_add(start), length));
                if of_start + of_length + of_index == 0 {
                    break;
                }
            }
            // Contents of other files and of other items are not read.
            if method < 2 {
                self.places.insert(id, place);
            }
        }
        Some(())
    }

    fn read_properties(&mut self, body: &'a [u8]) -> Option<()> {
        self.properties = atoms(find(body, *b"ipco")?).collect();
        for atom in atoms(body).filter(|atom| atom.kind == *b"ipma") {
            let mut fields = Fields(atom.body);
            let (version, flags) = fields.version()?;
            for _ in 0..fields.long()? {
                let id = fields.number(if version == 0 { 2 } else { 4 })? as u32;
                let count = fields.number(1)?;
                let owned = self.owned.entry(id).or_default();
                for _ in 0..count {
                    // The highest bit says whether a reader must know the property.
                    let index = match flags & 1 {
                        0 => fields.number(1)? & 0x7f,
                        _ => fields.number(2)? & 0x7fff,
                    };
                    owned.extend((index as usize).checked_sub(1));
                }
            }
        }
        Some(())
    }

    fn read_references(&mut self, body: &[u8]) -> Option<()> {
        let mut fields = Fields(body);
        let (version, _) = fields.version()?;
        let wide = if version == 0 { 2 } else { 4 };
        for atom in atoms(fields.0) {
            let mut fields = Fields(atom.body);
            let from = fields.number(wide)? as u32;
            let mut to = Vec::new();
            for _ in 0..fields.short()? {
                to.push(fields.number(wide)? as u32);
            }
            self.references.push(Reference {
                kind: atom.kind,
                from,
                to,
            });
        }
        Some(())
    }

    /// Returns the type of an item.
    pub fn kind(&self, id: u32) -> Option<Kind> {
        self.kinds.get(&id).copied()
    }

    /// Returns the first item of a type.
    pub fn of_kind(&self, kind: Kind) -> Option<u32> {
        let all = self.kinds.iter().filter(|(_, of)| **of == kind);
        all.map(|(id, _)| *id).min()
    }

    /// Returns the properties of an item, in the order in which they apply.
    pub fn properties(&self, id: u32) -> impl Iterator<Item = Atom<'a>> {
        let owned = self.owned.get(&id).map(Vec::as_slice).unwrap_or_default();
        owned
            .iter()
            .filter_map(|&index| self.properties.get(index).copied())
    }

    /// Returns the content of an item's first property of a type.
    pub fn property(&self, id: u32, kind: Kind) -> Option<&'a [u8]> {
        let mut all = self.properties(id);
        all.find(|atom| atom.kind == kind).map(|atom| atom.body)
    }

    /// Returns the items that an item refers to in that way.
    pub fn referred(&self, id: u32, kind: Kind) -> &[u32] {
        let mut all = self.references.iter();
        all.find(|reference| reference.kind == kind && reference.from == id)
            .map(|reference| reference.to.as_slice())
            .unwrap_or_default()
    }

    /// Returns the items that refer to an item in that way.
    pub fn referring(&self, id: u32, kind: Kind) -> impl Iterator<Item = u32> {
        self.references
            .iter()
            .filter(move |reference| reference.kind == kind && reference.to.contains(&id))
            .map(|reference| reference.from)
    }

    /// Returns the most bytes that the content of an item can have.
    pub fn longest(&self) -> u64 {
        let places = self.places.values();
        let lengths = places.map(|place| {
            let parts = place.pieces.iter().map(|(_, length)| match length {
                0 => u64::MAX,
                length => *length,
            });
            parts.fold(0, u64::saturating_add)
        });
        lengths.max().unwrap_or(0).min(self.file.len() as u64)
    }

    /// Returns the content of an item, as far as it is in the file.
    pub fn content(&self, id: u32) -> Option<Content<'a>> {
        let place = self.places.get(&id)?;
        let from = if place.inside { self.inside } else { self.file };
        let mut cut = false;
        let mut parts = Vec::new();
        for &(start, length) in &place.pieces {
            let start = usize::try_from(start).unwrap_or(usize::MAX);
            let rest = from.get(start..).unwrap_or_default();
            let length = match length {
                0 => rest.len(),
                length => usize::try_from(length).unwrap_or(usize::MAX),
            };
            cut |= length > rest.len();
            parts.push(&rest[..length.min(rest.len())]);
        }
        let bytes = match parts.as_slice() {
            [one] => Cow::Borrowed(*one),
            // Pieces that overlap could repeat a file any number of times.
            many if many.iter().map(|part| part.len()).sum::<usize>() > from.len() => return None,
            many => Cow::Owned(many.concat()),
        };
        Some(Content { bytes, cut })
    }
}

#[cfg(test)]
mod tests {
    use super::super::isobmff::tests::atom;
    use super::*;

    #[test]
    fn pieces_that_repeat_the_file_are_refused() {
        let mut places = b"\0\0\0\0\x44\0\0\x01\0\x07\0\0\0\x03".to_vec();
        for _ in 0..3 {
            places.extend([0, 0, 0, 0, 0, 0, 0, 90]);
        }
        let mut meta = vec![0; 4];
        meta.extend(atom(b"iloc", &places));
        let mut file = atom(b"meta", &meta);
        file.resize(100, 9);
        let items = Items::read(&file).unwrap();
        assert!(items.content(7).is_none());
        assert!(items.content(8).is_none());
        // One piece, which the file does not hold whole.
        let count = file.windows(2).position(|pair| pair == [0, 3]).unwrap();
        file[count + 1] = 1;
        file.truncate(80);
        let items = Items::read(&file).unwrap();
        let content = items.content(7).unwrap();
        assert_eq!((content.bytes.len(), content.cut), (80, true));
    }
}
