//! Files of each format, made by hand: red, green, blue and white quarters of two pixels.

use super::super::{Decoder, Format, Limits, sniff};

const QUARTERS: [[u8; 3]; 4] = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]];

/// Decodes a file of two by two pixels.
fn decoded(file: &[u8], format: Format) -> Vec<[u8; 3]> {
    assert_eq!(sniff(file), Some(format));
    let whole = Decoder::new(Limits::default()).decode_whole(file, 1);
    let whole = whole.unwrap_or_else(|error| panic!("{format:?}: {error}"));
    assert_eq!((whole.width, whole.height), (2, 2), "{format:?}");
    whole
        .pixels
        .chunks_exact(3)
        .map(|pixel| [pixel[0], pixel[1], pixel[2]])
        .collect()
}

/// Returns one channel of the quarters.
fn plane(channel: usize) -> Vec<u8> {
    QUARTERS.iter().map(|colour| colour[channel]).collect()
}

fn psd(mode: u16, channels: u16, compression: u16, data: &[u8]) -> Vec<u8> {
    let mut file = b"8BPS\0\x01\0\0\0\0\0\0".to_vec();
    file.extend(channels.to_be_bytes());
    file.extend([0, 0, 0, 2, 0, 0, 0, 2, 0, 8]);
    file.extend(mode.to_be_bytes());
    file.extend([0; 12]);
    file.extend(compression.to_be_bytes());
    file.extend(data);
    file
}

#[test]
fn photoshops_merged_picture_is_shown_plain_and_in_runs() {
    let planes = [plane(0), plane(1), plane(2)].concat();
    assert_eq!(decoded(&psd(3, 3, 0, &planes), Format::Psd), QUARTERS);
    let rows = planes.chunks_exact(2).map(|row| [&[1], row].concat());
    let runs = [[0, 3].repeat(6), rows.collect::<Vec<_>>().concat()].concat();
    assert_eq!(decoded(&psd(3, 3, 1, &runs), Format::Psd), QUARTERS);
    let inks = [planes, vec![255; 4]].concat();
    assert_eq!(decoded(&psd(4, 4, 0, &inks), Format::Psd), QUARTERS);
    // A file whose last row of the last channel is missing is used.
    let cut = psd(
        3,
        3,
        0,
        &[plane(0), plane(1), plane(2)[..2].to_vec()].concat(),
    );
    let output = Decoder::new(Limits::default())
        .decode_whole(&cut[..], 1)
        .unwrap();
    assert_eq!(output.pixels[..6], [255, 0, 0, 0, 255, 0]);
}

#[test]
fn sgis_pictures_are_shown_plain_and_in_runs() {
    let header = |packed: u8| {
        let mut file = vec![1, 0xda, packed, 1, 0, 3, 0, 2, 0, 2, 0, 3];
        file.resize(512, 0);
        file
    };
    let flipped = |channel| {
        let plane = plane(channel);
        [&plane[2..], &plane[..2]].concat()
    };
    let planes = [flipped(0), flipped(1), flipped(2)].concat();
    let plain = [header(0), planes.clone()].concat();
    assert_eq!(decoded(&plain, Format::Sgi), QUARTERS);
    let starts = (0..6u32).flat_map(|i| (512 + 48 + 4 * i).to_be_bytes());
    let lengths = [0, 0, 0, 4].repeat(6);
    let rows = planes
        .chunks_exact(2)
        .flat_map(|row| [0x82, row[0], row[1], 0]);
    let packed: Vec<u8> = header(1)
        .into_iter()
        .chain(starts)
        .chain(lengths)
        .chain(rows)
        .collect();
    assert_eq!(decoded(&packed, Format::Sgi), QUARTERS);
}

#[test]
fn pcx_is_shown_in_colours_and_with_a_palette() {
    let header = |planes: u8| {
        let mut file = vec![10, 5, 1, 8, 0, 0, 0, 0, 1, 0, 1, 0];
        file.resize(128, 0);
        file[65] = planes;
        file[66] = 2;
        file
    };
    let encoded =
        |bytes: &[u8]| -> Vec<u8> { bytes.iter().flat_map(|byte| [0xc1, *byte]).collect() };
    let rows: Vec<u8> = [0, 2]
        .iter()
        .flat_map(|row| (0..3).flat_map(move |channel| plane(channel)[*row..row + 2].to_vec()))
        .collect();
    let colours = [header(3), encoded(&rows)].concat();
    assert_eq!(decoded(&colours, Format::Pcx), QUARTERS);
    let mut palette = QUARTERS.concat();
    palette.resize(768, 0);
    let indexed = [header(1), encoded(&[0, 1, 2, 3]), vec![12], palette].concat();
    assert_eq!(decoded(&indexed, Format::Pcx), QUARTERS);
    let several = [&b"\xb1\x68\xde\x3a\x0c\0\0\0\0\0\0\0"[..], &indexed].concat();
    assert_eq!(decoded(&several, Format::Pcx), QUARTERS);
}

#[test]
fn suns_raster_files_are_shown_plain_and_in_runs() {
    let header = |kind: u8| {
        let mut file = b"\x59\xa6\x6a\x95\0\0\0\x02\0\0\0\x02\0\0\0\x18\0\0\0\0\0\0\0".to_vec();
        file.push(kind);
        file.extend([0; 8]);
        file
    };
    let blue_first: Vec<u8> = QUARTERS.iter().flat_map(|[r, g, b]| [*b, *g, *r]).collect();
    assert_eq!(
        decoded(&[header(1), blue_first].concat(), Format::Sun),
        QUARTERS
    );
    assert_eq!(
        decoded(&[header(3), QUARTERS.concat()].concat(), Format::Sun),
        QUARTERS
    );
    let runs = [0, 0, 255, 0, 255, 0, 255, 0, 0, 0x80, 2, 255];
    assert_eq!(
        decoded(&[header(2), runs.to_vec()].concat(), Format::Sun),
        QUARTERS
    );
}

#[test]
fn x_bitmaps_and_floats_are_shown() {
    let text = b"#define a_width 2\n#define a_height 2\nstatic char a[] = {\n 0x01, 0x02 };\n";
    let expected = [[0; 3], [255; 3], [255; 3], [0; 3]];
    assert_eq!(decoded(text, Format::Xbm), expected);
    let floats = [0.0f32, 1.0, 1.0, 0.0].map(f32::to_le_bytes).concat();
    let file = [&b"Pf\n2 2\n-1.0\n"[..], &floats].concat();
    assert_eq!(
        decoded(&file, Format::Pnm),
        [[255; 3], [0; 3], [0; 3], [255; 3]]
    );
}

/// Returns a bitmap of OS/2 2.x with a palette.
fn os2(compression: u8, data: &[u8]) -> Vec<u8> {
    let mut file = b"BM\0\0\0\0abcd\x5e\0\0\0\x40\0\0\0\x02\0\0\0\x02\0\0\0\x01\0\x08\0".to_vec();
    file.extend([compression, 0, 0, 0]);
    file.extend([0; 12]);
    file.extend([4, 0, 0, 0]);
    file.resize(14 + 64, 0);
    file.extend(QUARTERS.iter().flat_map(|[r, g, b]| [*b, *g, *r, 0]));
    file.extend(data);
    file
}

#[test]
fn bitmaps_of_os2_are_shown_plain_and_in_runs() {
    let plain = os2(0, &[2, 3, 0, 0, 0, 1, 0, 0]);
    assert_eq!(decoded(&plain, Format::Bmp), QUARTERS);
    let runs = os2(1, &[1, 2, 1, 3, 0, 0, 1, 0, 1, 1, 0, 1]);
    assert_eq!(decoded(&runs, Format::Bmp), QUARTERS);
    // The upper half is missing.
    let half = Decoder::new(Limits::default())
        .decode_whole(&plain[..plain.len() - 4], 1)
        .unwrap();
    assert_eq!(half.pixels[6..], [0, 0, 255, 255, 255, 255]);
}

#[test]
fn surfaces_are_shown_plain_and_in_blocks() {
    let header = |four: &[u8; 4], flags: u32, bits: u32, masks: [u32; 4]| {
        let mut file = b"DDS \x7c\0\0\0\0\0\0\0\x02\0\0\0\x02\0\0\0".to_vec();
        file.resize(80, 0);
        file.extend(flags.to_le_bytes());
        file.extend(four);
        file.extend(bits.to_le_bytes());
        file.extend(masks.iter().flat_map(|mask| mask.to_le_bytes()));
        file.resize(128, 0);
        file
    };
    let plain = header(&[0; 4], 0x40, 24, [0xff, 0xff00, 0xff_0000, 0]);
    let plain = [plain, QUARTERS.concat()].concat();
    assert_eq!(decoded(&plain, Format::Dds), QUARTERS);
    // Indices of three bits: the first and the second end, from the lowest bit on.
    let rows = u64::from(0b000_001u32) | u64::from(0b001_000u32) << 12;
    let block = [&[0, 255][..], &rows.to_le_bytes()[..6]].concat();
    let grey = [header(b"ATI1", 4, 0, [0; 4]), block].concat();
    assert_eq!(
        decoded(&grey, Format::Dds),
        [[255; 3], [0; 3], [0; 3], [255; 3]]
    );
}

#[test]
fn pointers_are_shown_on_a_ground() {
    let mut bitmap = b"\x28\0\0\0\x02\0\0\0\x04\0\0\0\x01\0\x18\0".to_vec();
    bitmap.resize(40, 0);
    let row = |a: usize, b: usize| -> Vec<u8> {
        let colours = [QUARTERS[a], QUARTERS[b]];
        let mut row: Vec<u8> = colours.iter().flat_map(|[r, g, b]| [*b, *g, *r]).collect();
        row.extend([0, 0]);
        row
    };
    bitmap.extend([row(2, 0), row(0, 1)].concat());
    // The last pixel is transparent.
    bitmap.extend([0x40, 0, 0, 0, 0, 0, 0, 0]);
    let mut file = b"\0\0\x02\0\x01\0\x02\x02\0\0\0\0\0\0".to_vec();
    file.extend((bitmap.len() as u32).to_le_bytes());
    file.extend([22, 0, 0, 0]);
    file.extend(bitmap);
    assert_eq!(decoded(&file, Format::Ico), QUARTERS);
}

#[test]
fn transparency_of_photoshops_merged_picture_and_of_sgis_counts() {
    let planes = [plane(0), plane(1), plane(2), vec![255, 255, 0, 255]].concat();
    let mut file = psd(3, 4, 0, &planes);
    // Without layers the fourth channel is only a selection.
    assert_eq!(decoded(&file, Format::Psd), QUARTERS);
    let layers = [
        &6u32.to_be_bytes()[..],
        &2u32.to_be_bytes(),
        &(-1i16).to_be_bytes(),
    ]
    .concat();
    file.splice(34..38, layers);
    let mut shown = QUARTERS;
    shown[2] = [255; 3];
    assert_eq!(decoded(&file, Format::Psd), shown);

    let mut sgi = vec![1, 0xda, 0, 1, 0, 3, 0, 2, 0, 2, 0, 4];
    sgi.resize(512, 0);
    for channel in [plane(0), plane(1), plane(2), vec![255, 255, 0, 255]] {
        sgi.extend([&channel[2..], &channel[..2]].concat());
    }
    assert_eq!(decoded(&sgi, Format::Sgi), shown);
}

#[test]
fn pixmaps_name_their_colours() {
    let text = b"/* XPM */\nstatic char *a[] = {\n/* sizes \"1 1\" */ \"2 2 4 2\",\n\"aa c red\",\"bb m white c #0F0\",\n\
        \"cc c #00000000FFFF\", \"dd c None\",\n/* pixels */\n\"aabb\",\n\"ccdd\"\n};";
    assert_eq!(decoded(text, Format::Xpm), QUARTERS);
    let thumbnail = b"P7 332\n#END_OF_COMMENTS\n2 2 255\n\xe0\x1c\x03\xff";
    assert_eq!(decoded(thumbnail, Format::Pnm), QUARTERS);
}

fn card(text: &str) -> Vec<u8> {
    format!("{text:<80}").into_bytes()
}

#[test]
fn fits_begins_at_the_bottom_and_may_hold_other_parts_first() {
    let part = |cards: &[&str], data: &[u8]| {
        let cards = cards.iter().chain(&["END"]).flat_map(|text| card(text));
        let mut part: Vec<u8> = cards.collect();
        part.resize(2880, b' ');
        part.extend(data);
        part
    };
    let sides = [
        "NAXIS   =                    2",
        "NAXIS1  =                    2",
        "NAXIS2  =                    2",
    ];
    let eight = [
        &[
            "SIMPLE  =                    T",
            "BITPIX  =                    8 / bits",
        ][..],
        &sides,
    ]
    .concat();
    let expected = [[3; 3], [4; 3], [1; 3], [2; 3]];
    assert_eq!(
        decoded(&part(&eight, &[1, 2, 3, 4]), Format::Fits),
        expected
    );
    // Unsigned numbers of 16 bits, as the standard has them.
    let empty = part(
        &[
            "SIMPLE  =                    T",
            "BITPIX  =                    8",
            "NAXIS   =                    0",
        ],
        &[],
    );
    let wide = [
        &[
            "XTENSION= 'IMAGE   '",
            "BITPIX  =                   16",
            "BZERO   =                32768",
        ][..],
        &sides,
    ]
    .concat();
    let values = [0x8000u16, 0x8000, 0x7fff, 0x7fff]
        .map(u16::to_be_bytes)
        .concat();
    let file = [empty, part(&wide, &values)].concat();
    assert_eq!(
        decoded(&file, Format::Fits),
        [[255; 3], [255; 3], [0; 3], [0; 3]]
    );
}

#[test]
fn icons_of_apple_show_their_largest_picture() {
    let part = |kind: &[u8; 4], body: &[u8]| {
        let length = (body.len() as u32 + 8).to_be_bytes();
        [&kind[..], &length, body].concat()
    };
    // Runs of 130 of each channel of 16 by 16 pixels, and the rest plain.
    let channel = |value: u8| [&[255, value, 123, value], &[1, value, value][..]].concat();
    let channels = [channel(200), channel(100), channel(50)].concat();
    let small = part(b"is32", &channels);
    let file =
        |parts: &[u8]| [&b"icns"[..], &(parts.len() as u32 + 8).to_be_bytes(), parts].concat();
    let shown = |file: &[u8]| {
        assert_eq!(sniff(file), Some(Format::Icns));
        let whole = Decoder::new(Limits::default())
            .decode_whole(file, 1)
            .unwrap();
        (
            whole.width,
            [whole.pixels[0], whole.pixels[1], whole.pixels[2]],
        )
    };
    assert!(
        Decoder::new(Limits::default())
            .decode_whole(&file(&small), 1)
            .is_err(),
        "it is cut"
    );
    let channel = |value: u8| [255, value, 251, value].to_vec();
    let small = part(b"is32", &[channel(200), channel(100), channel(50)].concat());
    assert_eq!(shown(&file(&small)), (16, [200, 100, 50]));
    let mut png = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_pixel(3, 3, image::Rgb([1, 2, 3]))
        .write_to(&mut png, image::ImageFormat::Png)
        .unwrap();
    let both = [small, part(b"ic07", png.get_ref())].concat();
    assert_eq!(shown(&file(&both)), (3, [1, 2, 3]));
}

#[test]
fn textures_of_greys_and_palettes_are_shown_whatever_their_header_says_of_bits() {
    let header = |flags: u32, bits: u32, masks: u32| {
        let mut header = b"DDS \x7c\0\0\0".to_vec();
        for number in [0x100f, 2, 2, 2, 0, 0] {
            header.extend(u32::to_le_bytes(number));
        }
        header.resize(76, 0);
        for number in [32, flags, 0, bits, masks, masks, masks, 0, 0x1000] {
            header.extend(number.to_le_bytes());
        }
        header.resize(128, 0);
        header
    };
    let grey = [header(0x2_0000, 8, 0xff00_0000), vec![1, 2, 3, 4]].concat();
    assert_eq!(
        decoded(&grey, Format::Dds),
        [[1; 3], [2; 3], [3; 3], [4; 3]]
    );
    let mut palette = header(0x20, 24, 0);
    palette.extend(QUARTERS.iter().flat_map(|[r, g, b]| [*r, *g, *b, 0]));
    palette.resize(128 + 1024, 0);
    palette.extend([0, 1, 2, 3]);
    assert_eq!(decoded(&palette, Format::Dds), QUARTERS);
}
