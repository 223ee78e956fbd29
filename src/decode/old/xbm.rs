//! X bitmaps: black and white as a piece of C.

use super::super::Rgb;
use super::{Claim, Rows, Stop, begin, broken};

pub fn decode(bytes: &[u8], claim: &mut Claim<'_>) -> Result<(Rgb, Option<String>), Stop> {
    let text = String::from_utf8_lossy(bytes);
    let side = |name: &str| {
        let (_, after) = text.split_once(name)?;
        after.split_whitespace().next()?.parse::<u32>().ok()
    };
    let (width, height) = side("_width")
        .zip(side("_height"))
        .ok_or_else(|| broken("it has no size"))?;
    begin(claim, (width, height), 3)?;
    let (_, body) = text
        .split_once('{')
        .ok_or_else(|| broken("it has no pixels"))?;
    let mut numbers = body.split([',', '}']).map_while(|number| {
        let digits = number.trim().to_ascii_lowercase();
        u8::from_str_radix(digits.strip_prefix("0x")?, 16).ok()
    });
    let mut rows = Rows::new((width, height));
    'rows: for y in 0..height {
        let mut line = Vec::with_capacity(width.div_ceil(8) as usize);
        for _ in 0..width.div_ceil(8) {
            match numbers.next() {
                Some(number) => line.push(number),
                None => break 'rows,
            }
        }
        for (x, pixel) in rows.row(y).chunks_exact_mut(3).enumerate() {
            let is_black = line[x / 8] >> (x % 8) & 1 == 1;
            pixel.fill(if is_black { 0 } else { 255 });
        }
    }
    rows.finish()
}
