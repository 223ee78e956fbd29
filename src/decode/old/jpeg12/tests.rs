use std::f32::consts::PI;

use super::*;
use crate::decode::{Decoder, Geometry, Limits, Resize};

/// Writes bits with a zero after each byte of ones, as scans hold them.
#[derive(Default)]
struct Out {
    bytes: Vec<u8>,
    bits: u64,
    count: u32,
}

impl Out {
    fn put(&mut self, value: u32, length: u32) {
        for bit in (0..length).rev() {
            self.bits = self.bits << 1 | u64::from(value >> bit & 1);
            self.count += 1;
            if self.count == 8 {
                let byte = self.bits as u8;
                self.bytes.push(byte);
                if byte == 0xff {
                    self.bytes.push(0);
                }
                (self.bits, self.count) = (0, 0);
            }
        }
    }

    /// A code of the table that [`file`] declares is its value, in 8 bits.
    fn number(&mut self, run: u32, value: i32) {
        let length = 32 - value.unsigned_abs().leading_zeros();
        self.put(run << 4 | length, 8);
        let bits = if value < 0 { value - 1 } else { value };
        self.put(bits as u32 & ((1 << length) - 1), length);
    }

    fn finish(mut self) -> Vec<u8> {
        while self.count > 0 {
            self.put(1, 1);
        }
        self.bytes
    }
}

fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u16 + 2).to_be_bytes();
    [&[0xff, marker], &length[..], body].concat()
}

/// The coefficients of a block in the order of the file, for steps of 1.
fn transformed(samples: impl Fn(usize, usize) -> f32) -> [i32; 64] {
    let scale = |frequency| if frequency == 0 { 0.125f32.sqrt() } else { 0.5 };
    ZIGZAG.map(|place| {
        let (u, v) = (usize::from(place) % 8, usize::from(place) / 8);
        let wave = |x: usize, u: usize| ((2 * x + 1) as f32 * u as f32 * PI / 16.0).cos();
        let all =
            (0..64).map(|i| (samples(i % 8, i / 8) - 2048.0) * wave(i % 8, u) * wave(i / 8, v));
        (all.sum::<f32>() * scale(u) * scale(v)).round() as i32
    })
}

/// Samples of 12 bits of a component at a place of the picture.
fn wanted(component: usize, x: usize, y: usize) -> f32 {
    match component {
        0 => (x * 60 + y * 40) as f32 + 200.0,
        1 => 2048.0 + x as f32 * 20.0,
        _ => 2048.0 - y as f32 * 25.0,
    }
}

fn block(component: usize, factor: usize, (left, top): (usize, usize)) -> [i32; 64] {
    transformed(|x, y| wanted(component, (left * 8 + x) * factor, (top * 8 + y) * factor))
}

/// A picture of 32 by 32 pixels whose colours are shared by 2 by 2.
fn file(marker: u8, scans: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut counts = [0u8; 16];
    counts[7] = 255;
    let all: Vec<u8> = (0..255).collect();
    let table = |kind: u8| [&[kind], &counts[..], &all].concat();
    let mut file = vec![0xff, 0xd8];
    file.extend(segment(0xdb, &[&[0][..], &[1; 64]].concat()));
    let frame = [12, 0, 32, 0, 32, 3, 1, 0x22, 0, 2, 0x11, 0, 3, 0x11, 0];
    file.extend(segment(marker, &frame));
    file.extend(segment(0xc4, &[table(0), table(0x10)].concat()));
    for (header, data) in scans {
        file.extend(segment(0xda, header));
        file.extend(data);
    }
    file.extend([0xff, 0xd9]);
    file
}

fn decoded(file: &[u8]) -> Result<Rgb, DecodeError> {
    let whole = Decoder::new(Limits::default()).decode_whole(file, 1)?;
    Ok(whole.into_rgb())
}

fn check(file: &[u8]) {
    assert!(is_12_bit(file));
    let rgb = decoded(file).unwrap();
    assert_eq!((rgb.width, rgb.height), (32, 32));
    for (i, pixel) in rgb.pixels.chunks_exact(3).enumerate() {
        let (x, y) = (i % 32, i / 32);
        let eight = |component, x, y| (wanted(component, x, y) * 255.0 / 4095.0).round() as u8;
        let expected = from_ycc([
            eight(0, x, y),
            eight(1, x / 2 * 2, y / 2 * 2),
            eight(2, x / 2 * 2, y / 2 * 2),
        ]);
        let near = pixel.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= 4);
        assert!(near, "{x} {y}: {pixel:?}, {expected:?}");
    }
}

/// The blocks of a unit in the order of the file: component, and place in its blocks.
fn units() -> impl Iterator<Item = [(usize, (usize, usize)); 6]> {
    (0..4).map(|unit| {
        let (x, y) = (unit % 2, unit / 2);
        let luma = |i: usize| (0, (x * 2 + i % 2, y * 2 + i / 2));
        [luma(0), luma(1), luma(2), luma(3), (1, (x, y)), (2, (x, y))]
    })
}

fn coefficients((component, place): (usize, (usize, usize))) -> [i32; 64] {
    block(component, if component == 0 { 1 } else { 2 }, place)
}

/// Adds all coefficients but the first.
fn add_others(out: &mut Out, block: &[i32; 64], low: u32) {
    let mut run = 0;
    for value in &block[1..] {
        // Division, because a shift would round negative values down.
        let value = value / (1 << low);
        if value == 0 {
            run += 1;
            continue;
        }
        while run > 15 {
            out.put(0xf0, 8);
            run -= 16;
        }
        out.number(run, value);
        run = 0;
    }
    if run > 0 {
        out.put(0, 8);
    }
}

fn sequential() -> Vec<u8> {
    let mut out = Out::default();
    let mut last = [0; 3];
    for part in units().flatten() {
        let block = coefficients(part);
        out.number(0, block[0] - last[part.0]);
        last[part.0] = block[0];
        add_others(&mut out, &block, 0);
    }
    file(0xc1, &[(vec![3, 1, 0, 2, 0, 3, 0, 0, 63, 0], out.finish())])
}

#[test]
fn sequential_scans_show_their_picture() {
    check(&sequential());
}

#[test]
fn progressive_scans_refine_it() {
    let (mut first, mut second) = (Out::default(), Out::default());
    let mut last = [0; 3];
    for part in units().flatten() {
        let value = coefficients(part)[0];
        first.number(0, (value >> 1) - last[part.0]);
        last[part.0] = value >> 1;
        second.put(value as u32 & 1, 1);
    }
    let all = |bits: u8, out: Out| (vec![3, 1, 0, 2, 0, 3, 0, 0, 0, bits], out.finish());
    let mut scans = vec![all(0x01, first), all(0x10, second)];
    for (component, side) in [(0, 4), (1, 2), (2, 2)] {
        let (mut first, mut second) = (Out::default(), Out::default());
        for i in 0..side * side {
            let block = coefficients((component, (i % side, i / side)));
            add_others(&mut first, &block, 1);
            refine_others(&mut second, &block);
        }
        let one = |bits: u8, out: Out| (vec![1, component as u8 + 1, 0, 1, 63, bits], out.finish());
        scans.extend([one(0x01, first), one(0x10, second)]);
    }
    check(&file(0xc2, &scans));
}

/// Adds the last bit of all coefficients but the first.
fn refine_others(out: &mut Out, block: &[i32; 64]) {
    let (mut run, mut bits) = (0, Vec::new());
    let flush = |out: &mut Out, bits: &mut Vec<u32>| bits.drain(..).for_each(|bit| out.put(bit, 1));
    for value in &block[1..] {
        match value.abs() {
            0 => run += 1,
            1 => {
                // Bits of known coefficients follow each code up to where it leads.
                out.put(run << 4 | 1, 8);
                out.put(u32::from(*value > 0), 1);
                flush(out, &mut bits);
                run = 0;
            }
            known => bits.push(known as u32 & 1),
        }
        if run == 16 {
            out.put(0xf0, 8);
            flush(out, &mut bits);
            run = 0;
        }
    }
    out.put(0, 8);
    flush(out, &mut bits);
}

#[test]
fn what_is_missing_is_reported() {
    let whole = sequential();
    let mut decoder = Decoder::new(Limits::default());
    let geometry = Geometry {
        width: 32,
        height: 32,
        resize: Resize::Squash,
    };
    let mut out = vec![0; geometry.bytes()];
    let cut = decoder
        .decode_into(&whole[..whole.len() - 3], &geometry, &mut out)
        .unwrap();
    assert!(cut.damage.is_some_and(|text| text.contains("truncated")));
    let scan = whole
        .windows(2)
        .position(|pair| pair == [0xff, 0xda])
        .unwrap();
    assert_eq!(
        decoded(&whole[..scan + 14]).err(),
        Some(DecodeError::Truncated)
    );
    for end in 0..whole.len() {
        // Neither panics nor loops.
        let _ = decoded(&whole[..end]);
    }
}
