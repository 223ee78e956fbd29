//! Boxes of ISO base media files (ISO/IEC 14496-12), which HEIC, AVIF, JPEG XL and CR3 are made of.
//!
//! Owns how boxes are read. Nothing here trusts a length: what lies behind the end of the file is not there.

/// The type of a box or an item.
pub(super) type Kind = [u8; 4];

/// A box.
#[derive(Debug, Clone, Copy)]
pub(super) struct Atom<'a> {
    pub kind: Kind,
    /// Its content, as far as it is there.
    pub body: &'a [u8],
}

/// Boxes one after another.
pub(super) struct Atoms<'a>(&'a [u8]);

/// Returns the boxes in `bytes`. It ends at the first that makes no sense.
pub(super) fn atoms(bytes: &[u8]) -> Atoms<'_> {
    Atoms(bytes)
}

/// Returns the content of the first box of that type.
pub(super) fn find(bytes: &[u8], kind: Kind) -> Option<&[u8]> {
    let mut all = atoms(bytes);
    all.find(|atom| atom.kind == kind).map(|atom| atom.body)
}

/// Returns the type of the box that starts with `head`, the length of its header, and its whole length, or `None`
/// for a length up to the end of the file.
pub(super) fn header(head: &[u8]) -> Option<(Kind, u64, Option<u64>)> {
    let mut fields = Fields(head);
    let short = fields.number(4)?;
    let kind = fields.kind()?;
    let (header, length) = match short {
        0 => return Some((kind, 8, None)),
        1 => (16, fields.number(8)?),
        short => (8, short),
    };
    (length >= header).then_some((kind, header, Some(length)))
}

impl<'a> Iterator for Atoms<'a> {
    type Item = Atom<'a>;

    fn next(&mut self) -> Option<Atom<'a>> {
        let (kind, start, length) = header(self.0)?;
        let end = length.and_then(|length| usize::try_from(length).ok());
        let end = end.unwrap_or(usize::MAX).min(self.0.len());
        let body = self.0.get(start as usize..end)?;
        self.0 = &self.0[end..];
        Some(Atom { kind, body })
    }
}

/// Big-endian numbers one after another.
pub(super) struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    /// Returns the next bytes.
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// Returns a number of up to 8 bytes.
    pub fn number(&mut self, bytes: usize) -> Option<u64> {
        let taken = self.take(bytes)?;
        Some(
            taken
                .iter()
                .fold(0, |sum, &byte| sum << 8 | u64::from(byte)),
        )
    }

    /// Returns a number of 4 bytes.
    pub fn long(&mut self) -> Option<u32> {
        self.number(4).map(|number| number as u32)
    }

    /// Returns a number of 2 bytes.
    #[cfg(feature = "heif")]
    pub fn short(&mut self) -> Option<u16> {
        self.number(2).map(|number| number as u16)
    }

    /// Returns a type.
    pub fn kind(&mut self) -> Option<Kind> {
        self.take(4)?.try_into().ok()
    }

    /// Returns the version and the flags of a full box.
    pub fn version(&mut self) -> Option<(u8, u32)> {
        let number = self.long()?;
        Some(((number >> 24) as u8, number & 0xff_ffff))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Returns a box.
    pub(in crate::decode) fn atom(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let mut bytes = (body.len() as u32 + 8).to_be_bytes().to_vec();
        bytes.extend(kind);
        bytes.extend(body);
        bytes
    }

    #[test]
    fn boxes_end_where_their_lengths_make_no_sense() {
        let mut bytes = atom(b"aaaa", b"12");
        bytes.extend(atom(b"bbbb", b""));
        // A length of 64 bits.
        bytes.extend(b"\0\0\0\x01cccc\0\0\0\0\0\0\0\x133 !");
        // Longer than the file.
        bytes.extend(b"\0\0\x10\0dddd56");
        let seen: Vec<(Kind, &[u8])> = atoms(&bytes).map(|atom| (atom.kind, atom.body)).collect();
        let expected: [(Kind, &[u8]); 4] = [
            (*b"aaaa", b"12"),
            (*b"bbbb", b""),
            (*b"cccc", b"3 !"),
            (*b"dddd", b"56"),
        ];
        assert_eq!(seen, expected);
        assert_eq!(find(&bytes, *b"cccc"), Some(&b"3 !"[..]));
        // Up to the end; shorter than its own header; no header.
        assert_eq!(atoms(b"\0\0\0\0eeee78").next().unwrap().body, b"78");
        assert!(atoms(b"\0\0\0\x07ffff78").next().is_none());
        assert!(atoms(b"\0\0\0\x08ff").next().is_none());
    }
}
