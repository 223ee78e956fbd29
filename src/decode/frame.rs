//! What a JPEG's headers say about the work of decoding it, before the work starts.

use super::colour::MAX_PROFILE;

/// The marker at the start of a scan.
const SCAN: [u8; 2] = [0xff, 0xda];

/// Maximum size of the blocks in which sides are decoded, in pixels.
const BLOCK: u64 = 32;

/// The content of the headers before the first scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    /// Samples of all components, with whole blocks at the edges.
    pub samples: u64,
    /// Whether the components come in several scans. Each scan goes over the whole image, whose coefficients are
    /// held meanwhile.
    pub many_scans: bool,
}

/// Reads a file's headers. Strict: `None` wherever decoders might see other headers.
pub(super) fn read(bytes: &[u8]) -> Option<Frame> {
    let mut place = 2;
    let mut frame: Option<(u64, u8, bool)> = None;
    loop {
        let [0xff, marker, high, low, rest @ ..] = bytes.get(place..)? else {
            return None;
        };
        match marker {
            // Baseline, extended and progressive. Others are rare, and arithmetic coding is slow.
            0xc0..=0xc2 => {
                let [_, h1, h0, w1, w0, components, ..] = rest else {
                    return None;
                };
                let whole = |high, low| {
                    let side = u64::from(u16::from_be_bytes([high, low]));
                    (side > 0).then(|| side.next_multiple_of(BLOCK))
                };
                let pixels = whole(*h1, *h0)? * whole(*w1, *w0)?;
                let new = (pixels, *components, *marker == 0xc2);
                if frame.replace(new).is_some() {
                    return None;
                }
            }
            0xda => {
                let (pixels, components, progressive) = frame?;
                return Some(Frame {
                    samples: pixels * u64::from(components),
                    many_scans: progressive || *rest.first()? < components,
                });
            }
            0xc4 | 0xdb | 0xdd | 0xe0..=0xef | 0xfe => {}
            _ => return None,
        }
        place += 2 + usize::from(u16::from_be_bytes([*high, *low])).max(2);
    }
}

/// Returns width and height of a JPEG that decoders read, by its headers, or `None` for another file, such as one with
/// the lossless data of a sensor.
pub(super) fn sides(bytes: &[u8]) -> Option<(u32, u32)> {
    let frame = bytes.get(place_of_frame(bytes)?..)?;
    let [_, _, _, _, _, h1, h0, w1, w0, ..] = *frame else {
        return None;
    };
    let side = |high, low| u32::from(u16::from_be_bytes([high, low]));
    Some((side(w1, w0), side(h1, h0)))
}

/// Returns where the frame of a JPEG is declared.
pub(super) fn place_of_frame(bytes: &[u8]) -> Option<usize> {
    if !bytes.starts_with(&[0xff, 0xd8, 0xff]) {
        return None;
    }
    let mut place = 2;
    loop {
        let [0xff, marker, high, low, ..] = bytes.get(place..)? else {
            return None;
        };
        match marker {
            0xc0..=0xc2 => return Some(place),
            0xff => place += 1,
            0xc4 | 0xdb | 0xdd | 0xe0..=0xef | 0xfe => {
                place += 2 + usize::from(u16::from_be_bytes([*high, *low])).max(2);
            }
            _ => return None,
        }
    }
}

/// Returns a file whose frame has no height with the height that follows its first scan (`DNL`), which decoders do not
/// look for. `None` if the frame has one, or nothing says it.
pub(super) fn with_height(bytes: &[u8]) -> Option<Vec<u8>> {
    let (_, 0) = sides(bytes)? else {
        return None;
    };
    let scan = first_scan(bytes)?;
    let frame = place_of_frame(bytes)?;
    let lines = scan + memchr::memmem::find(&bytes[scan..], b"\xff\xdc\0\x04")?;
    let height = bytes.get(lines + 4..lines + 6)?;
    let mut mended = bytes.to_vec();
    mended
        .get_mut(frame + 5..frame + 7)?
        .copy_from_slice(height);
    Some(mended)
}

/// Returns whether Adobe's marker is among a file's headers, which means that its CMYK is inverted.
#[cfg(any(feature = "turbojpeg", test))]
pub(super) fn has_adobe_marker(bytes: &[u8]) -> bool {
    let mut place = 2;
    while let Some([0xff, marker, high, low, rest @ ..]) = bytes.get(place..) {
        match marker {
            0xda => return false,
            0xee if rest.starts_with(b"Adobe") => return true,
            0xff => place += 1,
            _ => place += 2 + usize::from(u16::from_be_bytes([*high, *low])).max(2),
        }
    }
    false
}

/// The start of a segment with a piece of a colour profile, before the number of the piece and of all pieces.
const PROFILE: &[u8] = b"ICC_PROFILE\0";

/// Returns the ICC profile among a file's headers: its pieces in the order of their numbers. `None` if there is none,
/// a piece is missing, or it is larger than any that is used.
pub(super) fn profile(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut pieces: Vec<(u8, &[u8])> = Vec::new();
    let mut expected = 0;
    let mut place = 2;
    while let [0xff, marker, high, low, rest @ ..] = bytes.get(place..)? {
        let length = usize::from(u16::from_be_bytes([*high, *low])).max(2);
        match marker {
            0xda => break,
            0xe2 => {
                let piece = rest.get(..length - 2)?.strip_prefix(PROFILE);
                if let Some([number, of, piece @ ..]) = piece {
                    expected = usize::from(*of);
                    pieces.push((*number, piece));
                }
            }
            0xff => {
                place += 1;
                continue;
            }
            _ => {}
        }
        place += 2 + length;
    }
    pieces.sort_by_key(|(number, _)| *number);
    let is_whole = pieces.len() == expected
        && (1u8..=255)
            .zip(&pieces)
            .all(|(i, (number, _))| i == *number);
    let size: usize = pieces.iter().map(|(_, piece)| piece.len()).sum();
    (is_whole && size > 0 && size <= MAX_PROFILE).then(|| {
        pieces
            .iter()
            .flat_map(|(_, piece)| *piece)
            .copied()
            .collect()
    })
}

/// Returns where the first scan begins for lenient decoders, which skip what is between segments.
pub(super) fn first_scan(bytes: &[u8]) -> Option<usize> {
    let mut place = 2;
    loop {
        place += bytes.get(place..)?.iter().position(|&byte| byte == 0xff)?;
        match *bytes.get(place + 1)? {
            0xda => return Some(place),
            // Fill bytes, and markers without a segment.
            0xff => place += 1,
            0 | 1 | 0xd0..=0xd9 => place += 2,
            _ => {
                let length = bytes.get(place + 2..place + 4)?;
                place += 2 + usize::from(u16::from_be_bytes([length[0], length[1]])).max(2);
            }
        }
    }
}

/// Maximum components of a pixel.
const MAX_COMPONENTS: u64 = 4;

/// Bytes of a coefficient.
const COEFFICIENT: u64 = 2;

/// Returns the bytes of coefficients that are held for an image of `pixels`: all of them if it comes in several
/// scans, whatever the scale. If the headers leave this open, it is the maximum.
pub(super) fn coefficients(bytes: &[u8], pixels: u64) -> u64 {
    match read(bytes) {
        Some(frame) if !frame.many_scans => 0,
        Some(frame) => frame.samples * COEFFICIENT,
        None => pixels * MAX_COMPONENTS * COEFFICIENT,
    }
}

/// Returns how often at most a decoder goes over the image: a scan begins only at such a marker. Those of a preview
/// among the headers count, too.
pub(super) fn max_scans(bytes: &[u8]) -> u64 {
    memchr::memmem::find_iter(bytes, &SCAN).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a file's headers: a comment, a frame of three components, and a scan of `components`.
    fn headers(frame: u8, components: u8) -> Vec<u8> {
        let mut bytes = b"\xff\xd8\xff\xfe\0\x04ab\xff".to_vec();
        bytes.extend([frame, 0, 17, 8, 0, 33, 0, 64, 3]);
        bytes.extend([0; 9]);
        bytes.extend([0xff, 0xda, 0, 12, components]);
        bytes
    }

    #[test]
    fn headers_say_how_much_work_there_is() {
        let frame = |kind, components| read(&headers(kind, components));
        let one_pass = Frame {
            samples: 64 * 64 * 3,
            many_scans: false,
        };
        let many = Frame {
            many_scans: true,
            ..one_pass
        };
        assert_eq!(frame(0xc0, 3), Some(one_pass));
        assert_eq!(frame(0xc0, 1), Some(many));
        assert_eq!(frame(0xc2, 3), Some(many));
        // Arithmetic coding.
        assert_eq!(frame(0xc9, 3), None);
    }

    #[test]
    fn the_first_scan_is_found_after_a_preview_and_stray_bytes() {
        let good = headers(0xc0, 3);
        assert_eq!(first_scan(&good), Some(27));
        // A scan and an end inside a segment belong to a preview.
        let mut odd = b"\xff\xd8\xff\xe1\0\x06\xff\xda\xff\xd9stray\xff\xff".to_vec();
        let before = odd.len() - 1;
        odd.extend(&good[3..]);
        assert_eq!(first_scan(&odd), Some(before - 2 + 27));
        for length in 0..before - 2 + 28 {
            assert_eq!(first_scan(&odd[..length]), None, "{length}");
        }
    }

    #[test]
    fn a_height_may_follow_the_scan() {
        let mut file = headers(0xc0, 3);
        assert_eq!(with_height(&file), None, "it has one");
        file[13..15].fill(0);
        assert_eq!(with_height(&file), None, "nothing says it");
        let expected = [&headers(0xc0, 3)[..], b"\xff\xdc\0\x04\0\x21"].concat();
        file.extend(b"\xff\xdc\0\x04\0\x21");
        assert_eq!(with_height(&file), Some(expected));
    }

    #[test]
    fn adobes_marker_is_found_behind_long_headers() {
        let long = [&[0xff, 0xe2, 0xff, 0xff][..], &[0; 65_533]].concat();
        let adobe = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\0";
        let file = [
            &b"\xff\xd8"[..],
            &long.repeat(20)[..],
            adobe,
            &headers(0xc0, 3)[2..],
        ]
        .concat();
        assert!(has_adobe_marker(&file));
        let inside = [
            b"\xff\xd8\xff\xe1\0\x12",
            &adobe[..],
            &headers(0xc0, 3)[2..],
        ]
        .concat();
        assert!(!has_adobe_marker(&inside), "that of a preview");
    }

    #[test]
    fn ambiguous_headers_are_not_read() {
        let good = headers(0xc0, 3);
        for length in 0..good.len() {
            assert_eq!(read(&good[..length]), None, "{length}");
        }
        let mut twice = good[..27].to_vec();
        twice.extend(&good[8..]);
        assert_eq!(read(&twice), None, "two frames");
        let mut garbage = good.clone();
        garbage.insert(8, 0);
        assert_eq!(read(&garbage), None, "a byte between two segments");
    }

    #[test]
    fn a_profile_is_put_together_from_its_pieces() {
        let piece = |number: u8, text: &[u8]| {
            let length = (2 + PROFILE.len() + 2 + text.len()) as u16;
            let mut segment = vec![0xff, 0xe2];
            segment.extend(length.to_be_bytes());
            segment.extend(PROFILE);
            segment.extend([number, 2]);
            segment.extend(text);
            segment
        };
        let good = headers(0xc0, 3);
        let with = |pieces: &[Vec<u8>]| {
            let mut file = good[..2].to_vec();
            file.extend(pieces.concat());
            file.extend(&good[2..]);
            profile(&file)
        };
        let (first, second) = (piece(1, b"one "), piece(2, b"two"));
        let both = [second.clone(), first.clone()];
        assert_eq!(with(&both).as_deref(), Some(&b"one two"[..]));
        assert_eq!(
            with(std::slice::from_ref(&first)),
            None,
            "a piece is missing"
        );
        assert_eq!(with(&[first.clone(), first]), None, "a piece comes twice");
        assert_eq!(with(&[]), None);
    }
}
