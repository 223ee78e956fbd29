//! Damaged and hostile files: they never pass for intact ones, never panic and never affect later files.

use super::*;

#[test]
fn no_truncated_file_is_taken_for_whole() {
    let rgb = DynamicImage::ImageRgb8(
        image::load_from_memory(&sample("cat.jpg"))
            .unwrap()
            .to_rgb8(),
    );
    for format in [
        ImageFormat::Jpeg,
        ImageFormat::Png,
        ImageFormat::WebP,
        ImageFormat::Gif,
        ImageFormat::Bmp,
        ImageFormat::Tiff,
        ImageFormat::Qoi,
    ] {
        let whole = encoded(&rgb, format);
        assert!(decode(&whole).unwrap().0.damage.is_none());
        for hundredths in (0..100).step_by(5) {
            let length = whole.len() * hundredths / 100;
            match decode(&whole[..length]) {
                Err(_) => {}
                Ok((decoded, _)) => assert!(
                    decoded.damage.is_some(),
                    "{format:?}: {length} of {} bytes pass for the whole",
                    whole.len()
                ),
            }
        }
    }
}

#[test]
fn a_truncated_jpeg_is_used_as_far_as_it_goes() {
    let whole = sample("cat.jpg");
    let (decoded, _) = decode(&whole[..whole.len() * 3 / 4]).unwrap();
    assert!(decoded.damage.unwrap().contains("truncated"));
    // Two kilobytes show nothing, and must not pass for a grey image.
    assert!(decode(&whole[..1500]).is_err());
}

#[test]
fn a_page_that_is_white_below_its_text_is_whole_with_stray_bytes_at_the_end() {
    let mut page = image::RgbImage::from_pixel(160, 200, image::Rgb([255; 3]));
    for x in 0..160 {
        page.put_pixel(x, 10, image::Rgb([(x % 7 * 30) as u8; 3]));
    }
    let mut file = encoded(&DynamicImage::ImageRgb8(page), ImageFormat::Jpeg);
    let whole = decode(&file).unwrap().1;
    let end = file.len() - 2;
    file.splice(end..end, [0; 4]);
    assert_eq!(decode(&file).unwrap().1, whole);
    // Without the end it is not known how much of the white is the page's.
    assert!(decode(&file[..end / 2]).is_err());
}

/// Two decoders round 16 bits differently.
fn assert_near(a: &[u8], b: &[u8]) {
    assert!(a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.abs_diff(*b) <= 1));
}

#[test]
fn a_truncated_png_is_used_as_far_as_it_goes() {
    let rgb = image::load_from_memory(&sample("cat.jpg")).unwrap();
    let alpha = DynamicImage::ImageRgba8(rgb.to_rgba8());
    let greys = [
        DynamicImage::ImageLuma8(rgb.to_luma8()),
        DynamicImage::ImageLumaA16(rgb.to_luma_alpha16()),
    ];
    for image in [rgb, alpha].into_iter().chain(greys) {
        let file = encoded(&image, ImageFormat::Png);
        let whole = decode(&file).unwrap().1;
        let first_rows = whole.len() / 3;
        let (decoded, out) = decode(&file[..file.len() / 2]).unwrap();
        assert!(decoded.damage.unwrap().contains("% of it could be decoded"));
        assert_near(&out[..first_rows], &whole[..first_rows]);
        // Without its end, and with a wrong checksum, all rows are there.
        let mut odd = file.clone();
        let place = odd.len() - 13;
        odd[place] ^= 1;
        for odd in [&file[..file.len() - 12], &odd] {
            let (decoded, out) = decode(odd).unwrap();
            assert!(decoded.damage.unwrap().contains("after the last row"));
            assert_near(&out, &whole);
        }
        assert!(decode(&file[..file.len() / 10]).is_err());
    }
}

#[test]
fn cut_files_of_other_formats_are_used_as_far_as_they_go() {
    let rgb = image::load_from_memory(&sample("cat.jpg")).unwrap();
    for format in [
        ImageFormat::Gif,
        ImageFormat::Pnm,
        ImageFormat::WebP,
        ImageFormat::Bmp,
    ] {
        let file = encoded(&rgb, format);
        let whole = decode(&file).unwrap().1;
        let (decoded, out) = decode(&file[..file.len() * 6 / 10])
            .unwrap_or_else(|error| panic!("{format:?}: {error}"));
        let damage = decoded.damage.unwrap();
        assert!(damage.contains("% of it could be decoded"), "{damage}");
        // Bitmaps begin with the lowest row.
        let third = whole.len() / 3;
        let range = if format == ImageFormat::Bmp {
            2 * third..whole.len()
        } else {
            0..third
        };
        assert_near(&out[range.clone()], &whole[range]);
        assert!(decode(&file[..file.len() / 10]).is_err(), "{format:?}");
    }
}

#[test]
fn zeros_at_the_end_of_a_file_are_reported() {
    let rgb = image::load_from_memory(&sample("cat.jpg")).unwrap();
    let mut file = encoded(&rgb, ImageFormat::Pnm);
    let half = file.len() / 2;
    file[half..].fill(0);
    let (decoded, _) = decode(&file).unwrap();
    assert!(
        decoded
            .damage
            .unwrap()
            .contains("50 % of the file are zeros")
    );
}

#[test]
fn a_gif_shows_its_first_frame_that_shows_something() {
    let frame = |image: &DynamicImage| image::Frame::new(image.to_rgba8());
    let empty = DynamicImage::new_rgba8(64, 48);
    let mut file = Vec::new();
    let mut encoder = image::codecs::gif::GifEncoder::new(&mut file);
    encoder
        .encode_frames([frame(&empty), frame(&quarters(false))])
        .unwrap();
    drop(encoder);
    let (decoded, out) = decode(&file).unwrap();
    assert_quarters("gif", &out, 8);
    assert!(!decoded.blank && decoded.damage.is_none());
    let (decoded, _) = decode(&encoded(&empty, ImageFormat::Gif)).unwrap();
    assert!(decoded.blank);
}

#[test]
fn a_jpeg_may_have_bytes_before_it_and_its_height_behind_it() {
    let file = sample("cat.jpg");
    let expected = decode(&file).unwrap().1;
    let late = [b"\r\n", &file[..]].concat();
    assert_eq!(decode(&late).unwrap().1, expected);
    let frame = file
        .windows(2)
        .position(|pair| matches!(pair, [0xff, 0xc0 | 0xc2]))
        .unwrap();
    let mut without = file.clone();
    let height = file[frame + 5..frame + 7].to_vec();
    without[frame + 5..frame + 7].fill(0);
    assert!(decode(&without).is_err());
    let end = without.len() - 2;
    without.splice(end..end, [b"\xff\xdc\0\x04", &height[..]].concat());
    let (decoded, out) = decode(&without).unwrap();
    assert_eq!(out, expected);
    assert_eq!((decoded.width, decoded.height), (320, 213));
}

#[test]
fn wrong_numbers_in_the_header_of_a_scan_do_no_harm() {
    let mut file = sample("cat.jpg");
    let expected = decode(&file).unwrap().1;
    let scan = file
        .windows(3)
        .position(|bytes| bytes == [0xff, 0xda, 0])
        .unwrap();
    let components = usize::from(file[scan + 4]);
    // The last coefficient of the scan.
    file[scan + 5 + 2 * components + 1] = 0;
    let (decoded, out) = decode(&file).unwrap();
    assert_eq!((decoded.damage, out), (None, expected));
}

#[test]
fn a_truncated_progressive_jpeg_is_reported_as_damaged() {
    let whole = fixture("progressive.jpg");
    for length in 1..whole.len() - 1 {
        if let Ok((decoded, _)) = decode(&whole[..length]) {
            assert!(
                decoded.damage.is_some(),
                "{length} of {} bytes",
                whole.len()
            );
        }
    }
}

#[test]
fn a_decoder_does_not_panic_after_a_small_change_to_a_file() {
    // Not every changed byte is visible damage, but none may hang or panic.
    let rgb = DynamicImage::ImageRgb8(quarters(false).to_rgb8());
    for format in [
        ImageFormat::Png,
        ImageFormat::WebP,
        ImageFormat::Gif,
        ImageFormat::Bmp,
        ImageFormat::Tiff,
    ] {
        let whole = encoded(&rgb, format);
        for place in (0..whole.len()).step_by(1 + whole.len() / 400) {
            for change in [0xff, 0x80, 0x01] {
                let mut bytes = whole.clone();
                bytes[place] ^= change;
                let _ = decode(&bytes);
            }
        }
    }
    let whole = sample("rocket.jpg");
    for place in (0..whole.len()).step_by(40) {
        let mut bytes = whole.clone();
        bytes[place] ^= 0xff;
        let _ = decode(&bytes);
    }
}

/// Returns a JPEG header that declares a size, with nothing after it.
fn jpeg_header(width: u16, height: u16) -> Vec<u8> {
    let mut bytes = b"\xff\xd8\xff\xc0\0\x11\x08".to_vec();
    bytes.extend(height.to_be_bytes());
    bytes.extend(width.to_be_bytes());
    bytes.extend(
        b"\x03\x01\x22\0\x02\x11\x01\x03\x11\x01\xff\xda\0\x0c\x03\x01\0\x02\x11\x03\x11\0\x3f\0",
    );
    bytes
}

/// Returns a PNG of one colour, tiny as a file.
fn png_bomb(side: u32) -> Vec<u8> {
    let mut out = Vec::new();
    let encoder =
        PngEncoder::new_with_quality(&mut out, CompressionType::Best, FilterType::NoFilter);
    let black = vec![0; (side * side) as usize];
    encoder
        .write_image(&black, side, side, image::ExtendedColorType::L8)
        .unwrap();
    out
}

#[test]
fn bombs_are_refused_before_they_are_decoded() {
    assert!(matches!(
        decode(&jpeg_header(65_000, 65_000)),
        Err(DecodeError::TooManyPixels {
            width: 65_000,
            height: 65_000,
            ..
        })
    ));
    let bomb = png_bomb(3000);
    assert!(bomb.len() < 40_000);
    let limits = Limits {
        max_pixels: 1_000_000,
        ..Limits::default()
    };
    let mut out = vec![0; 32 * 32 * 3];
    let refused = Decoder::new(limits).decode_into(&bomb, &GEOMETRY, &mut out);
    assert!(
        matches!(refused, Err(DecodeError::TooManyPixels { .. })),
        "{refused:?}"
    );
    let limits = Limits {
        max_memory: 1 << 20,
        ..Limits::default()
    };
    let refused = Decoder::new(limits).decode_into(&bomb, &GEOMETRY, &mut out);
    assert!(
        matches!(refused, Err(DecodeError::TooMuchMemory { .. })),
        "{refused:?}"
    );
    assert!(
        Decoder::new(Limits::default())
            .decode_into(&bomb, &GEOMETRY, &mut out)
            .is_ok()
    );
}

#[test]
fn a_file_that_is_not_an_image_is_refused_with_the_reason() {
    assert_eq!(decode(b""), Err(DecodeError::Empty));
    assert_eq!(
        decode(b"This is a text, whatever it is called."),
        Err(DecodeError::NotAnImage)
    );
    let jpeg_2000 = b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 ";
    let refused = decode(jpeg_2000).unwrap_err();
    let expected = if cfg!(feature = "jpeg2000") {
        matches!(refused, DecodeError::Malformed(_))
    } else {
        refused == DecodeError::Unsupported("jpeg-2000")
    };
    assert!(expected, "{refused}");
}

#[test]
fn a_decoder_works_after_a_broken_file() {
    let mut decoder = Decoder::new(Limits::default());
    let mut out = vec![0; 32 * 32 * 3];
    let good = sample("coffee.jpg");
    decoder.decode_into(&good, &GEOMETRY, &mut out).unwrap();
    let first = out.clone();
    for broken in [
        &good[..900],
        &good[..good.len() / 2],
        b"text",
        &jpeg_header(64, 64),
    ] {
        let _ = decoder.decode_into(broken, &GEOMETRY, &mut out);
        decoder.decode_into(&good, &GEOMETRY, &mut out).unwrap();
        assert_eq!(out, first);
    }
}

/// Returns the result of decoding a file: size, damage and pixels, or the error.
fn outcome(decoder: &mut Decoder, bytes: &[u8]) -> Result<(Decoded, Vec<u8>), String> {
    let mut out = vec![0; 32 * 32 * 3];
    match decoder.decode_into(bytes, &GEOMETRY, &mut out) {
        Ok(decoded) => Ok((decoded, out)),
        Err(error) => Err(error.to_string()),
    }
}

/// Returns intact files of each format, and files that may confuse a decoder: cut, with a bad table, with wrong
/// sizes.
fn good_and_hostile() -> Vec<Vec<u8>> {
    let image = quarters(false);
    let rgb = DynamicImage::ImageRgb8(image.to_rgb8());
    let mut files = vec![encoded(&rgb, ImageFormat::Jpeg)];
    for format in [
        ImageFormat::Png,
        ImageFormat::Gif,
        ImageFormat::Bmp,
        ImageFormat::Tiff,
        ImageFormat::WebP,
        ImageFormat::Qoi,
        ImageFormat::Tga,
    ] {
        files.push(encoded(&image, format));
    }
    files.push(encoded(&rgb, ImageFormat::Pnm));
    let fixtures = ["cmyk.jpg", "progressive.jpg", "palette.png", "cmyk.tif"];
    files.extend(fixtures.map(fixture));
    for i in 0..files.len() {
        let sound = files[i].clone();
        files.push(sound[..sound.len() * 2 / 3].to_vec());
        let mut turned = sound.clone();
        let middle = turned.len() / 2;
        turned[middle..]
            .iter_mut()
            .step_by(7)
            .for_each(|b| *b ^= 0x5a);
        files.push(turned);
        if let Some(table) = sound.windows(2).position(|marker| marker == [0xff, 0xc4]) {
            // More codes of one length than possible, so the header cannot be read.
            let mut bad = sound.clone();
            (bad[table + 5], bad[table + 6]) = (255, 255);
            files.push(bad);
        }
    }
    files
}

#[test]
fn a_file_is_decoded_the_same_whatever_was_decoded_before_it() {
    let files = good_and_hostile();
    let alone: Vec<_> = files
        .iter()
        .map(|bytes| outcome(&mut Decoder::new(Limits::default()), bytes))
        .collect();
    let sound = alone.iter().filter(|outcome| outcome.is_ok()).count();
    assert!(sound > 13 && sound < files.len(), "{sound}");
    let mut random = 1u64;
    for _ in 0..30 {
        let mut decoder = Decoder::new(Limits::default());
        for _ in 0..2 * files.len() {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let i = (random >> 33) as usize % files.len();
            assert_eq!(outcome(&mut decoder, &files[i]), alone[i], "file {i}");
        }
    }
}
