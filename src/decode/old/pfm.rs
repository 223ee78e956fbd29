//! Floating PNM (PFM): floats from the bottom up.

use super::super::Rgb;
use super::super::deep::{self, Range};
use super::{Claim, Stop, begin, broken};

pub fn decode(bytes: &[u8], claim: &mut Claim<'_>) -> Result<(Rgb, Option<String>), Stop> {
    let channels = if bytes.starts_with(b"PF") { 3 } else { 1 };
    let mut place = 2;
    let mut words = [0.0f64; 3];
    for word in &mut words {
        let space = |byte: &u8| byte.is_ascii_whitespace();
        let rest = &bytes[place.min(bytes.len())..];
        place += rest.iter().take_while(|byte| space(byte)).count();
        let rest = &bytes[place.min(bytes.len())..];
        let length = rest
            .iter()
            .position(space)
            .ok_or_else(|| broken("its header ends early"))?;
        let text = std::str::from_utf8(&rest[..length]).ok();
        *word = text
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| broken("its header makes no sense"))?;
        place += length;
    }
    let (width, height) = (words[0] as u32, words[1] as u32);
    begin(claim, (width, height), 4 * channels + 6)?;
    let line = width as usize * channels as usize;
    let data = bytes.get(place + 1..).unwrap_or_default();
    let numbers = data.chunks_exact(4).map(|four| {
        let four = [four[0], four[1], four[2], four[3]];
        if words[2] < 0.0 {
            f32::from_le_bytes(four)
        } else {
            f32::from_be_bytes(four)
        }
    });
    let mut values: Vec<f32> = numbers.take(line * height as usize).collect();
    let there = values.len() as u64;
    values.resize(line * height as usize, f32::NAN);
    let range = Range {
        bits: 32,
        signed: true,
        float: true,
        declared: None,
    };
    let damage = super::partial::judge(there, values.len() as u64, None)?;
    let upright: Vec<f32> = values.chunks_exact(line).rev().flatten().copied().collect();
    drop(values);
    let mut pixels = deep::greys(&upright, range, false);
    if channels == 3 {
        // Each channel came as a grey of its own.
        pixels = pixels.into_iter().step_by(3).collect();
    }
    Ok((
        Rgb {
            width,
            height,
            pixels,
        },
        damage,
    ))
}
