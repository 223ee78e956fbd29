//! TIFF in the kinds that scanners, microscopes and archives write: made by hand, and by Pillow (`tests/make_formats.py`).

use super::*;

/// Writes a TIFF, of little-endian numbers, with one directory: tags with the kind of their values and these. The values
/// of `STRIPS` are the numbers of pieces, which become their places.
fn tiff(tags: &[(u16, u16, Vec<u32>)], pieces: &[Vec<u8>]) -> Vec<u8> {
    let mut file = b"II*\0\0\0\0\0".to_vec();
    let mut places = Vec::new();
    for piece in pieces {
        places.push(file.len() as u32);
        file.extend(piece);
        file.resize(file.len().next_multiple_of(2), 0);
    }
    let lengths = pieces.iter().map(|piece| piece.len() as u32).collect();
    let mut tags = tags.to_vec();
    tags.extend([(0x111, 4, places), (0x117, 4, lengths)]);
    tags.sort();
    let mut directory = (tags.len() as u16).to_le_bytes().to_vec();
    for (tag, kind, values) in &tags {
        let bytes: Vec<u8> = values
            .iter()
            .flat_map(|value| match kind {
                3 => (*value as u16).to_le_bytes().to_vec(),
                _ => value.to_le_bytes().to_vec(),
            })
            .collect();
        directory.extend(tag.to_le_bytes());
        directory.extend(kind.to_le_bytes());
        directory.extend((values.len() as u32).to_le_bytes());
        if bytes.len() <= 4 {
            directory.extend(&bytes);
            directory.resize(directory.len() + 4 - bytes.len(), 0);
        } else {
            directory.extend((file.len() as u32).to_le_bytes());
            file.extend(bytes);
            file.resize(file.len().next_multiple_of(2), 0);
        }
    }
    let start = (file.len() as u32).to_le_bytes();
    file[4..8].copy_from_slice(&start);
    file.extend(directory);
    file.extend([0; 4]);
    file
}

/// Tags of a picture of two by two pixels: bits, samples, and what they mean.
fn tags(bits: u32, samples: u32, meaning: u32) -> Vec<(u16, u16, Vec<u32>)> {
    vec![
        (0x100, 3, vec![2]),
        (0x101, 3, vec![2]),
        (0x102, 3, vec![bits; samples as usize]),
        (0x103, 3, vec![1]),
        (0x106, 3, vec![meaning]),
        (0x115, 3, vec![samples]),
        (0x116, 3, vec![2]),
    ]
}

fn whole(file: &[u8]) -> Vec<[u8; 3]> {
    let output = Decoder::new(Limits::default()).decode_whole(file, 1);
    let output = output.unwrap_or_else(|error| panic!("{error}"));
    let pixels = output.pixels.chunks_exact(3);
    pixels.map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect()
}

fn greys(file: &[u8]) -> Vec<u8> {
    whole(file).iter().map(|pixel| pixel[0]).collect()
}

const QUARTERS: [[u8; 3]; 4] = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]];

#[test]
fn palettes_of_any_number_of_bits_are_looked_up() {
    let channel = |channel: usize, count: usize| -> Vec<u32> {
        let colours = QUARTERS
            .iter()
            .map(|colour| u32::from(colour[channel]) * 257);
        colours.chain(std::iter::repeat(0)).take(count).collect()
    };
    for (bits, rows) in [
        (2, vec![0b0001_0000, 0b1011_0000]),
        (4, vec![0x01, 0x23]),
        (8, vec![0, 1, 2, 3]),
    ] {
        let mut tags = tags(bits, 1, 3);
        let count = 1 << bits;
        tags.push((
            0x140,
            3,
            [channel(0, count), channel(1, count), channel(2, count)].concat(),
        ));
        assert_eq!(whole(&tiff(&tags, &[rows])), QUARTERS, "{bits} bits");
    }
}

#[test]
fn samples_apart_and_inks_are_put_together() {
    let planes: Vec<Vec<u8>> = (0..3)
        .map(|channel| QUARTERS.iter().map(|colour| colour[channel]).collect())
        .collect();
    let mut apart = tags(8, 3, 2);
    apart.push((0x11c, 3, vec![2]));
    assert_eq!(whole(&tiff(&apart, &planes)), QUARTERS);
    let mut inks = tags(8, 4, 5);
    inks.push((0x11c, 3, vec![2]));
    let light = planes
        .iter()
        .map(|plane| plane.iter().map(|value| 255 - value).collect());
    let light: Vec<Vec<u8>> = light.chain([vec![0; 4]]).collect();
    assert_eq!(whole(&tiff(&inks, &light)), QUARTERS);
}

#[test]
fn greys_of_many_bits_show_their_range() {
    // Rows begin at a byte.
    let packed = vec![0x00, 0x08, 0x00, 0xff, 0xf0, 0x00];
    assert_eq!(greys(&tiff(&tags(12, 1, 1), &[packed])), [0, 128, 255, 0]);
    let in_16 = [0u16, 2048, 4095, 1].map(u16::to_le_bytes).concat();
    assert_eq!(
        greys(&tiff(&tags(16, 1, 1), std::slice::from_ref(&in_16))),
        [0, 128, 255, 0]
    );
    assert_eq!(greys(&tiff(&tags(16, 1, 0), &[in_16])), [255, 127, 0, 255]);
    let signed = [-100i16, 0, 100, 0].map(i16::to_le_bytes).concat();
    let mut tags_of_signed = tags(16, 1, 1);
    tags_of_signed.push((0x153, 3, vec![2]));
    assert_eq!(greys(&tiff(&tags_of_signed, &[signed])), [0, 128, 255, 128]);
    let floats = [0.0f32, 0.5, 1.0, 0.0].map(f32::to_le_bytes).concat();
    let mut tags_of_floats = tags(32, 1, 1);
    tags_of_floats.push((0x153, 3, vec![3]));
    assert_eq!(greys(&tiff(&tags_of_floats, &[floats])), [0, 128, 255, 0]);
}

#[test]
fn associated_transparency_is_not_multiplied_twice() {
    // Half transparent red, stored as dark red.
    let pixel = [128, 0, 0, 128].repeat(4);
    for (kind, expected) in [(1, [255, 127, 127]), (2, [191, 127, 127]), (0, [128, 0, 0])] {
        let mut tags = tags(8, 4, 2);
        tags.push((0x152, 3, vec![kind]));
        let shown = whole(&tiff(&tags, std::slice::from_ref(&pixel)));
        let near = shown[0]
            .iter()
            .zip(expected)
            .all(|(a, b): (&u8, u8)| a.abs_diff(b) <= 1);
        assert!(near, "{kind}: {shown:?}");
    }
}

#[test]
fn shared_colour_differences_are_spread() {
    // Four pixels of red share their differences.
    let mut tags = tags(8, 3, 6);
    tags.push((0x212, 3, vec![2, 2]));
    let shown = whole(&tiff(&tags, &[vec![76, 76, 76, 76, 85, 255]]));
    assert_eq!(shown, [[254, 0, 0]; 4]);
}

#[test]
fn a_tiff_that_is_cut_shows_what_is_there() {
    let rows: Vec<Vec<u8>> = (0..8).map(|row| vec![row * 30; 8]).collect();
    let mut tags = tags(8, 1, 1);
    tags[0].2 = vec![8];
    tags[1].2 = vec![8];
    tags[6].2 = vec![1];
    let mut file = tiff(&tags, &rows);
    let (decoded, _) = decode(&file).unwrap();
    assert_eq!((decoded.format, decoded.damage), (Format::Tiff, None));
    // The last two strips lie beyond the end.
    let place = file
        .windows(8)
        .position(|bytes| bytes == [56, 0, 0, 0, 64, 0, 0, 0])
        .unwrap();
    file[place..place + 8].fill(0x7f);
    let (decoded, _) = decode(&file).unwrap();
    assert!(decoded.damage.unwrap().contains("75 %"));
}

#[test]
fn kinds_that_are_not_supported_are_named() {
    let mut tags = tags(8, 1, 1);
    tags[3].2 = vec![34_925];
    let error = decode(&tiff(&tags, &[vec![0; 4]])).unwrap_err();
    assert!(matches!(error, DecodeError::NotSupported(_)), "{error}");
    assert!(error.to_string().contains("compression 34925"), "{error}");
}

#[test]
fn what_pillow_writes_is_read() {
    for (name, tolerance) in [
        ("fax3", 0),
        ("fax4", 0),
        ("fax-lines", 0),
        ("jpeg-ycc", 12),
        ("jpeg-grey", 12),
        ("old-jpeg", 12),
    ] {
        let bytes = fixture(&format!("formats/{name}.tif"));
        let (decoded, out) = decode(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((decoded.width, decoded.height), (64, 48), "{name}");
        assert_eq!(decoded.damage, None, "{name}");
        let is_grey = !matches!(name, "jpeg-ycc" | "old-jpeg");
        if is_grey {
            // Black and white quarters, crosswise.
            let expected = [0u8, 255, 255, 0];
            for (got, expected) in colours(&out).iter().zip(expected) {
                assert!(got[0].abs_diff(expected) <= tolerance, "{name}: {got:?}");
            }
        } else {
            assert_quarters(name, &out, tolerance);
        }
    }
}

#[test]
fn tiles_may_lie_where_strips_are_named() {
    let mut tags = tags(8, 1, 1);
    tags.extend([(0x142, 3, vec![16]), (0x143, 3, vec![16])]);
    let mut tile = vec![0; 256];
    tile[..2].copy_from_slice(&[10, 20]);
    tile[16..18].copy_from_slice(&[30, 40]);
    assert_eq!(greys(&tiff(&tags, &[tile])), [10, 20, 30, 40]);
}

#[test]
fn eight_bits_are_signed_only_if_the_picture_is_smoother_so() {
    let of = |samples: [u8; 4]| {
        let mut tags = tags(8, 1, 1);
        tags.push((0x153, 3, vec![2]));
        greys(&tiff(&tags, &[samples.to_vec()]))
    };
    // From dark to light in steps of 20, about the middle.
    assert_eq!(of([0xf6, 10, 30, 50]), [118, 138, 158, 178]);
    assert_eq!(of([118, 138, 158, 178]), [118, 138, 158, 178]);
}
